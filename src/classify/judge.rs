//! Verdicts for the activities of one block.

mod attempt;
mod code;
mod effects;
mod operation;
mod raised;
mod views;
mod wallet;

use super::builtin::{self, DefaultFinding};
use super::finding::{abnormal_verdict, repeated_verdict, unjudged_verdict};
use super::history::History;
use super::rule::{Baseline, Polarity, Rule, Rules, WatchRules};
use super::rule_result::{self, RuleResult, Windows};
use super::{baseline, expected, first_seen, noise};
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Fact, Fate, Judged, Role, Stage, Verdict, Voucher, WindowEntry};
use alloy_primitives::{Address, B256, U256};
pub(crate) use attempt::PAGES_WINDOW;
use raised::Unraised;
use std::collections::HashMap;
use std::sync::Arc;
use views::Changes;

/// Time at which a block is judged: the block's own timestamp, since rules use no other clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Header timestamp, Unix seconds.
    pub time: u64,
}

/// Judges `activities` of one block by `rules` and the windows before that block.
///
/// Returns one verdict for each activity, in the same order, and the entries that the block adds to the windows:
/// vouched and executed activities, by rule; failed attempts; submissions by id; addresses and functions that were met.
#[must_use]
pub fn judge_activities(
    activities: Vec<Activity>,
    rules: &Rules,
    history: &History,
    at: Moment,
) -> (Vec<Judged>, Vec<WindowEntry>) {
    judge_after(activities, rules, history, &[], at)
}

/// Does the same after the block already added entries: `before`, which are not returned again. Facts of watched state
/// among them hold for the block itself.
#[must_use]
pub fn judge_after(
    activities: Vec<Activity>,
    rules: &Rules,
    history: &History,
    before: &[WindowEntry],
    at: Moment,
) -> (Vec<Judged>, Vec<WindowEntry>) {
    let mut windows = Windows::new(history, at.time);
    for delta in before {
        match Fact::of_rule(&delta.rule) {
            Some(Fact::Value(item)) => windows.record_fact(delta.watch, item, delta.amount.into()),
            Some(Fact::Told(_) | Fact::Reading) => {}
            None => windows.add(delta.watch, &delta.rule, delta.amount),
        }
    }
    let mut court = Evaluator {
        all: &activities,
        changes: Changes::from_activities(&activities, rules),
        rules,
        windows,
        deltas: Vec::new(),
        attempts: HashMap::new(),
        foreign: HashMap::new(),
        upgrades: HashMap::new(),
        is_raised: false,
        unraised: None,
        plain: HashMap::new(),
        verdicts: vec![None; activities.len()],
    };
    for activity in activities.iter().filter(|activity| builtin::is_upgrade(activity)) {
        *court.upgrades.entry((activity.watch.0, activity.tx)).or_default() += 1;
    }
    for (index, activity) in activities.iter().enumerate() {
        if is_leaf(activity) && !left_by_itself(activity) {
            let verdict = court.judge_leaf(index, activity);
            court.settle(index, verdict);
        }
    }
    // An envelope's contents, nested envelopes included, come after it in the list, so the list is judged from its end.
    for (index, activity) in activities.iter().enumerate().rev() {
        if let Role::Envelope { carries } = &activity.role
            && !is_leaf(activity)
        {
            let verdict = court.judge_envelope(index, carries);
            court.settle(index, verdict);
        }
    }
    for (index, activity) in activities.iter().enumerate() {
        if let Role::Effect { of } = activity.role
            && !is_remainder(activity)
        {
            let verdict = court.judge_effect(index, of);
            court.settle(index, verdict);
        }
    }
    // Value that left and that nothing explains. It is judged here because the verdict of the call around it is known
    // by now.
    for (index, activity) in activities.iter().enumerate().filter(|(_, activity)| left_by_itself(activity)) {
        let verdict = court.judge_leaf(index, activity);
        let verdict = court.named_cause(activity, verdict);
        court.settle(index, verdict);
    }
    // The remainder of an allowance gets the verdict of the transfer that used it, which may come after it in the list.
    for (index, activity) in activities.iter().enumerate().filter(|(_, activity)| is_remainder(activity)) {
        if let Role::Effect { of } = activity.role {
            let verdict = court.judge_effect(index, of);
            court.settle(index, verdict);
        }
    }
    let Evaluator { verdicts, deltas, .. } = court;
    let judged = activities
        .into_iter()
        .zip(verdicts)
        .map(|(activity, verdict)| Judged { activity, verdict: verdict.unwrap_or_else(unjudged_verdict) })
        .collect();
    (judged, deltas)
}

/// Returns whether an activity is a leaf. An envelope that carries nothing is judged like any other call.
fn is_leaf(activity: &Activity) -> bool {
    match &activity.role {
        Role::Leaf => true,
        Role::Envelope { carries } => carries.is_empty(),
        Role::Effect { .. } => false,
    }
}

/// Returns whether the activity logs the remainder of an allowance that was used.
fn is_remainder(activity: &Activity) -> bool {
    activity.notes.contains(&Note::Remainder)
}

/// Returns whether an activity is a movement that nothing explains.
fn left_by_itself(activity: &Activity) -> bool {
    activity.kind == ActivityKind::Move && activity.role == Role::Leaf && activity.enclosing_calls().is_some()
}

struct Evaluator<'a> {
    /// The block's activities.
    all: &'a [Activity],
    /// Changes that calls may have made.
    changes: Changes,
    rules: &'a Rules,
    windows: Windows<'a>,
    deltas: Vec<WindowEntry>,
    /// First unvouched part of each attempt, which stands for the whole attempt; by watch and transaction.
    attempts: HashMap<(u32, B256), usize>,
    /// Finding that stands for all effects of unvouched code in this block; by watch and code.
    foreign: HashMap<(u32, Address), usize>,
    /// Number of times its code was replaced; by watch and transaction.
    upgrades: HashMap<(u32, B256), usize>,
    /// True if an abnormal rule raises the activity being judged.
    is_raised: bool,
    /// Last verdict, where an abnormal rule alone makes it a finding.
    unraised: Option<Unraised>,
    /// By activity: the same of all that were judged.
    plain: HashMap<usize, Unraised>,
    verdicts: Vec<Option<Verdict>>,
}

impl<'a> Evaluator<'a> {
    fn rules_for(&self, activity: &Activity) -> Option<&'a WatchRules> {
        self.rules.watches.get(activity.watch.index())
    }

    fn judge_leaf(&mut self, index: usize, activity: &Activity) -> Verdict {
        let Some(rules) = self.rules_for(activity) else { return unjudged_verdict() };
        self.judge_with_raising_rules(activity, rules, |court| court.by_itself(index, activity, rules))
    }

    /// Judges a leaf without abnormal rules.
    fn by_itself(&mut self, index: usize, activity: &Activity, rules: &WatchRules) -> Verdict {
        self.remember_submission(activity, rules);
        let operation = self.operation_finding(activity, rules);
        if let Some(cost) = operation.or_else(|| self.replaced_twice(activity, rules)) {
            return abnormal_verdict(&cost, &[], rules);
        }
        if let Some(verdict) = self.judge_unlisted_code(index, activity, rules) {
            return verdict;
        }
        let verdict = self.judge_by_normal_rules(index, activity, rules);
        match verdict {
            Verdict::Abnormal(mut abnormal) if abnormal.repeats.is_none() && !abnormal.is_noise() => {
                let mut news = first_seen::describe_novelty(activity, rules, &self.windows);
                news.extend(operation::describe_operation_progress(activity));
                if &*abnormal.rule != builtin::TIP {
                    news.extend(operation::priority_fee_finding(activity, rules).and_then(|cost| cost.reason));
                }
                let near = abnormal.near.min(abnormal.reasons.len());
                abnormal.near = near + news.len();
                abnormal.reasons.splice(near..near, news);
                Verdict::Abnormal(abnormal)
            }
            verdict => verdict,
        }
    }

    /// Judges a leaf by normal rules and built-ins.
    fn judge_by_normal_rules(&mut self, index: usize, activity: &Activity, rules: &WatchRules) -> Verdict {
        let normal = || rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal);
        let try_all = |windows: &Windows<'_>| -> Vec<(&Rule, RuleResult)> {
            normal().map(|rule| (rule, rule_result::evaluate_rule(rule, activity, rules, windows))).collect()
        };
        // A rule that names the address makes it known. A rule that allows payments to any address does not vouch for a
        // look-alike.
        if let Some(cost) = noise::look_alike(activity, rules, &self.windows) {
            return abnormal_verdict(&cost, &try_all(&self.windows), rules);
        }
        let risk = first_seen::payment_risk_finding(activity, rules, &self.windows);
        // No rule vouches for an activity that could not be read to its end.
        if builtin::undecodable_finding(activity, rules).is_none() {
            if let Some(rule) = normal().find(|rule| rule_result::is_rule_match(rule, activity, rules, &self.windows)) {
                if let Some(verdict) = self.one_too_many(index, activity, rules) {
                    return verdict;
                }
                let tip = self.unmeant_tip(activity, rules);
                if let Some(cost) = tip.filter(|tip| risk.as_ref().is_none_or(|risk| risk.severity < tip.severity)) {
                    return abnormal_verdict(&cost, &[], rules);
                }
                if let Some(cost) = risk {
                    return abnormal_verdict(&cost, &[], rules);
                }
                self.record_rule_usage(rule, activity, rules);
                return Verdict::Normal { by: Voucher::Rule(rule.name.clone()) };
            }
            if let Some(cost) = noise::poisoning_finding(activity, rules, &self.windows) {
                return abnormal_verdict(&cost, &[], rules);
            }
            if let Some(name) = builtin::vouching_builtin(activity, rules) {
                let Some(why) = self.changed_by(index, activity).filter(|_| name == builtin::VIEW) else {
                    if let Some(cost) = self.unmeant_tip(activity, rules) {
                        return abnormal_verdict(&cost, &[], rules);
                    }
                    return Verdict::Normal { by: Voucher::Builtin(name) };
                };
                let mut cost = builtin::default_finding(activity, rules);
                cost.reason.get_or_insert_with(|| format!("its ABI says that it changes nothing, and {why}"));
                return abnormal_verdict(&cost, &try_all(&self.windows), rules);
            }
        }
        let cost =
            noise::adjust_for_token_use(builtin::default_finding(activity, rules), activity, rules, &self.windows);
        // A block may hold thousands of noise activities, and no rule was written for them.
        if let Some(cost) = noise::recognize_noise(&cost, activity) {
            return abnormal_verdict(&cost, &[], rules);
        }
        let trials = try_all(&self.windows);
        if builtin::is_attempt(activity, rules) {
            return self.judge_attempt(index, activity, rules, &trials);
        }
        let found = match risk.filter(|risk| risk.severity > cost.severity) {
            Some(risk) => abnormal_verdict(&risk, &trials, rules),
            None => abnormal_verdict(&cost, &trials, rules),
        };
        match self.unmeant_tip(activity, rules) {
            Some(tip) => operation::with_tip(found, tip),
            None => found,
        }
    }

    /// Returns the default finding for an unusual payment for inclusion, unless a rule that vouches for the activity
    /// allows that amount.
    fn unmeant_tip(&self, activity: &Activity, rules: &WatchRules) -> Option<DefaultFinding> {
        let cost = operation::priority_fee_finding(activity, rules)?;
        let mut minding = rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal && rule.minds_tips());
        let meant = minding.any(|rule| rule_result::is_rule_match(rule, activity, rules, &self.windows));
        (!meant).then_some(cost)
    }

    /// Sets the verdict of an activity and records what it adds to the windows.
    fn settle(&mut self, index: usize, verdict: Verdict) {
        let all = self.all;
        if let (Some(activity), true) = (all.get(index), index < self.verdicts.len()) {
            let unraised = self.unraised.take();
            // A rule on trial changes nothing of what is remembered.
            let taught = unraised.as_ref().filter(|unraised| unraised.on_trial).map_or(&verdict, |own| &own.verdict);
            self.record_window_entries(activity, taught);
            self.plain.extend(unraised.map(|unraised| (index, unraised)));
            self.verdicts[index] = Some(verdict);
        }
    }

    /// Records what the activity adds to the windows, after it was judged.
    fn record_window_entries(&mut self, activity: &Activity, verdict: &Verdict) {
        let Some(rules) = self.rules_for(activity) else { return };
        for (key, amount) in first_seen::first_seen_entries(activity, verdict, rules, &self.windows) {
            self.add(rules, key, amount);
        }
        if let Some((key, amount)) = code::vouched_code_entry(activity, verdict, rules, &self.windows) {
            self.add(rules, key, amount);
        }
        for expected in &rules.expected {
            if rule_result::is_of(&expected.rule, activity, rules, &self.windows)
                && let Some((key, amount)) =
                    expected::expectation_entry(expected, activity, rules.address, &self.windows)
            {
                self.add(rules, key, amount);
            }
        }
        for rule in rules.rules.iter().filter(|rule| !rule.habits.is_empty()) {
            if rule_result::is_of(rule, activity, rules, &self.windows) {
                for (key, amount) in baseline::baseline_entries(rule, activity, rules.address, &self.windows) {
                    self.add(rules, key, amount);
                }
            }
        }
    }

    /// Adds an executed activity that a rule vouched for to the rule's windows.
    fn record_rule_usage(&mut self, rule: &Rule, activity: &Activity, rules: &WatchRules) {
        if self.is_raised || activity.fate != Fate::Executed || activity.stage != Stage::Included {
            return;
        }
        if rule.habits.iter().any(|habit| matches!(habit, Baseline::Pause { .. })) {
            self.add(rules, baseline::pause_key(rule), U256::ONE);
        }
        // Two limits with the same measure, for example over an hour and over a day, share one window, which is filled
        // once.
        let mut filled: Vec<Arc<str>> = Vec::with_capacity(rule.limits.len());
        for limit in &rule.limits {
            let key = rule_result::window_key(&rule.name, &limit.measure);
            if let Some(amount) = rule_result::measured_amount(&limit.measure, activity)
                && !filled.contains(&key)
            {
                self.add(rules, key.clone(), amount);
                filled.push(key);
            }
        }
    }

    fn add(&mut self, rules: &WatchRules, rule: Arc<str>, amount: U256) {
        self.windows.add(rules.address, &rule, amount);
        self.deltas.push(WindowEntry { watch: rules.address, rule, amount });
    }

    /// Judges an envelope. It is normal when its own conditions hold and everything that it carries is normal.
    fn judge_envelope(&mut self, index: usize, carries: &[usize]) -> Verdict {
        let all = self.all;
        let Some(activity) = all.get(index) else { return unjudged_verdict() };
        let Some(rules) = self.rules_for(activity) else { return unjudged_verdict() };
        self.judge_with_raising_rules(activity, rules, |court| court.wrapping(index, carries, rules))
    }

    /// Judges an envelope without abnormal rules.
    fn wrapping(&mut self, index: usize, carries: &[usize], rules: &WatchRules) -> Verdict {
        let all = self.all;
        let Some(activity) = all.get(index) else { return unjudged_verdict() };
        self.remember_submission(activity, rules);
        // The sender of the transaction may append bytes to the calldata, where a rule about the envelope allows that.
        let lets_be = || {
            let normal = rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal && rule.suffix.is_some());
            let mut holding = normal.filter(|rule| rule_result::is_rule_match(rule, activity, rules, &self.windows));
            builtin::undecodable_finding(activity, rules).is_none() && holding.next().is_some()
        };
        if builtin::decoding_finding(activity, rules).is_some() && !lets_be() {
            return abnormal_verdict(&builtin::default_finding(activity, rules), &[], rules);
        }
        if let Some(verdict) = self.judge_unlisted_code(index, activity, rules) {
            return verdict;
        }
        let loudest = carries
            .iter()
            .filter_map(|at| match self.verdicts.get(*at)?.as_ref()? {
                Verdict::Abnormal(abnormal) => Some((abnormal.severity, *at)),
                Verdict::Normal { .. } => None,
            })
            .max_by_key(|(severity, at)| (*severity, std::cmp::Reverse(*at)));
        // A reverted or unconfirmed envelope counts only as an attempt, and its leaves carry that finding.
        let lives = !matches!(activity.fate, Fate::Reverted | Fate::Unconfirmed);
        let carries_finding = carries.iter().any(|at| matches!(self.plain(*at), Some(Verdict::Abnormal(_))));
        if lives && let Some(cost) = self.own_conditions(activity, rules, carries, all, carries_finding) {
            return abnormal_verdict(&cost, &[], rules);
        }
        if lives && let Some(verdict) = self.judge_hasty_confirmation(activity, rules) {
            return verdict;
        }
        match loudest {
            Some((_, at)) => match &self.verdicts[at] {
                Some(verdict) => repeated_verdict(verdict, at),
                None => unjudged_verdict(),
            },
            // A pending transaction has no confirmation yet, and everything that it carries is vouched for.
            None if activity.stage == Stage::Pending && !rules.builtins_off.contains(builtin::ENVELOPE) => {
                Verdict::Normal { by: Voucher::Envelope }
            }
            None if activity.fate == Fate::Unconfirmed && builtin::is_attempt(activity, rules) => {
                self.judge_attempt(index, activity, rules, &[])
            }
            None if rules.builtins_off.contains(builtin::ENVELOPE) || activity.fate == Fate::Unconfirmed => {
                abnormal_verdict(&builtin::default_finding(activity, rules), &[], rules)
            }
            None => Verdict::Normal { by: Voucher::Envelope },
        }
    }

    /// Returns whether a log is normal only because of the call that wrote it: a rule that vouches for the call vouches for such a log, unless
    /// a normal rule is about the log itself or the log is a change of control.
    fn is_only_logged(&self, event: &Activity, of: usize, rules: &WatchRules) -> bool {
        let by_rule = matches!(self.plain(of), Some(Verdict::Normal { by: Voucher::Rule(_) }));
        let normal = rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal);
        let mut about = normal.filter(|rule| rule_result::is_about(rule, event, rules.address));
        event.notes.contains(&Note::Logged) && (!by_rule || about.next().is_some() || builtin::is_change(event, rules))
    }
}
