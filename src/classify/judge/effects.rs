//! Effects inside of a judged call, and effects that a judged act explains: the extent to which the verdict on the
//! cause covers the effect.
//!
//! An act that a rule vouches for covers its own logs. A rule for a call covers the call and the effects that move
//! nothing out of the subject; it covers outgoing effects only with `effects = "any"`. A built-in covers arriving value
//! and nothing that leaves.

use super::raised::Unraised;
use super::{Evaluator, code};
use crate::classify::builtin;
use crate::classify::finding::{abnormal_verdict, repeated_verdict, unjudged_verdict};
use crate::classify::outward::{goes_out, is_self_destruct, is_token_act, issues_own_tokens, reaches_out};
use crate::classify::rule::{CallMatch, Polarity, Rule, WatchRules};
use crate::classify::rule_result;
use crate::contracts::Property;
use crate::model::activity::Note;
use crate::model::{Abnormal, Activity, ActivityKind, Fate, Role, Verdict, Voucher};
use std::sync::Arc;

/// Extent of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Everything that happens inside.
    Everything,
    /// The effects that the act itself explains: its own logs.
    Explained,
    /// Effects that move nothing out of the subject.
    Kept,
    /// Only effects that can change nothing elsewhere.
    Nothing,
}

impl Evaluator<'_> {
    /// Returns the verdict of an activity that `of` explains, or that happened inside of it.
    pub(super) fn judge_effect(&mut self, index: usize, of: usize) -> Verdict {
        // A log that could not be read is judged as a finding of its own, and so is one that an abnormal rule is about.
        // A log of a change of control counts as an effect only of a call that asks for this change, however well its
        // arguments match another call: permission to move tokens is not permission to transfer control of the
        // contract.
        let Some(event) = self.all.get(index) else { return unjudged_verdict() };
        let Some(rules) = self.rules_for(event) else { return unjudged_verdict() };
        self.judge_with_raising_rules(event, rules, |court| court.explained(index, of, rules))
    }

    /// Judges an effect without abnormal rules.
    fn explained(&mut self, index: usize, of: usize, rules: &WatchRules) -> Verdict {
        let (Some(event), Some(cause)) = (self.all.get(index), self.all.get(of)) else { return unjudged_verdict() };
        if let Some(cost) = self.replaced_twice(event, rules) {
            return abnormal_verdict(&cost, &[], rules);
        }
        let foreign = code::foreign_code(event, rules, &self.windows).is_some();
        let abnormal = matches!(self.plain(of), Some(Verdict::Abnormal(_)));
        let alone = !abnormal && self.is_only_logged(event, of, rules);
        let asked = !builtin::is_change_without_asking(event, cause, rules);
        if is_unread(event, rules) || foreign && !abnormal || alone || !asked {
            return self.by_itself(index, event, rules);
        }
        match self.plain(of) {
            Some(verdict @ Verdict::Abnormal(abnormal)) => {
                let told = repeated_verdict(verdict, of);
                if !self.stands_alone(event, cause, abnormal, rules) {
                    return told;
                }
                let own = self.by_itself(index, event, rules);
                prepend_reason(own, || {
                    format!("it happened inside {}, which is a finding itself", cause.deed.signature)
                })
            }
            // A difference that the registry must follow is reported even if a rule vouched for the change.
            Some(Verdict::Normal { .. }) if event.notes.contains(&Note::Drift) => self.by_itself(index, event, rules),
            Some(Verdict::Normal { .. }) => {
                if self.is_effect_vouched(of, event, rules) {
                    // What is part of something that a rule raises is told with that.
                    let normal = Verdict::Normal { by: Voucher::EffectOf(cause.position.clone()) };
                    let Some(Some(raised @ Verdict::Abnormal(_))) = self.verdicts.get(of) else { return normal };
                    let told = repeated_verdict(raised, of);
                    let on_trial = self.plain.get(&of).is_some_and(|unraised| unraised.on_trial);
                    self.unraised = Some(Unraised { verdict: normal, on_trial });
                    return told;
                }
                self.judge_outgoing_effect(index, of, event, rules)
            }
            None => unjudged_verdict(),
        }
    }

    /// Returns whether the verdict of `of`, which is normal, covers `event`.
    fn is_effect_vouched(&self, of: usize, event: &Activity, rules: &WatchRules) -> bool {
        // A reverted activity moved nothing, and the cost of an operation belongs to the operation.
        let prefund = event.notes.contains(&Note::Prefund);
        if prefund || !matches!(event.fate, Fate::Executed | Fate::Waiting) {
            return true;
        }
        let reach = self.voucher_reach(of, event, rules);
        match event.kind {
            ActivityKind::Act => match reach {
                Reach::Everything => !is_self_destruct(event),
                Reach::Explained | Reach::Kept => !goes_out(event, rules),
                Reach::Nothing => !reaches_out(event, rules),
            },
            ActivityKind::Move => match reach {
                Reach::Everything | Reach::Explained => true,
                Reach::Kept | Reach::Nothing => !goes_out(event, rules),
            },
            ActivityKind::Event => match (reach, self.all.get(of)) {
                (Reach::Kept | Reach::Nothing, Some(cause)) => !issues_own_tokens(event, cause, rules),
                _ => true,
            },
            ActivityKind::Call | ActivityKind::State => true,
        }
    }

    fn voucher_reach(&self, of: usize, event: &Activity, rules: &WatchRules) -> Reach {
        let (Some(cause), Some(Verdict::Normal { by })) = (self.all.get(of), self.plain(of)) else {
            return Reach::Nothing;
        };
        match by {
            Voucher::Rule(name) => {
                let rule = rules.rules.iter().find(|rule| rule.name == *name);
                match (cause.kind, rule) {
                    (ActivityKind::Call, Some(rule)) if rule.effects && !is_unnamed(rule, event, rules) => {
                        Reach::Everything
                    }
                    (ActivityKind::Call, _) => Reach::Kept,
                    // A rule for movements vouched for the act because of one movement. Every movement still has to
                    // pass that rule.
                    (ActivityKind::Act, Some(rule)) if rule.kind == ActivityKind::Move => Reach::Kept,
                    _ => Reach::Explained,
                }
            }
            // A wallet's own guard and refund belong to its envelope. Other calls that code makes inside of it do not.
            Voucher::Envelope if event.kind == ActivityKind::Act && rules.contract().has(Property::Wallet) => {
                Reach::Everything
            }
            Voucher::Envelope => Reach::Explained,
            Voucher::Builtin(_) => Reach::Nothing,
            Voucher::EffectOf(_) => match cause.role {
                Role::Effect { of } if self.voucher_reach(of, event, rules) == Reach::Everything => Reach::Everything,
                _ => Reach::Kept,
            },
        }
    }

    /// Judges an effect that leaves the subject inside of a normal call by the rules for that effect.
    fn judge_outgoing_effect(&mut self, index: usize, of: usize, event: &Activity, rules: &WatchRules) -> Verdict {
        if let Some(by) = self.vouched_as_moved(index, event, rules) {
            return Verdict::Normal { by: Voucher::Rule(by) };
        }
        let verdict = self.by_itself(index, event, rules);
        let Some(cause) = self.all.get(of) else { return verdict };
        let vouched = match self.plain(of) {
            Some(Verdict::Normal { by: Voucher::Rule(name) }) if cause.kind == ActivityKind::Call => format!(
                "which `{name}` vouches for: a rule for a call answers for what moves nothing out, unless it says `effects = \"any\"`"
            ),
            Some(Verdict::Normal { by: Voucher::Builtin(name) }) => {
                format!("which {name} vouches for, and for nothing that goes out")
            }
            _ => "and nothing vouches for it there".to_owned(),
        };
        prepend_reason(verdict, || format!("it happened inside {} of the subject, {vouched}", cause.deed.signature))
    }

    /// Returns the rule for movements that vouches for an act on a token, where the token's logs show everything that
    /// the act did. Without traces, users write rules for movements; these rules must still work when traces are added.
    fn vouched_as_moved(&self, index: usize, act: &Activity, rules: &WatchRules) -> Option<Arc<str>> {
        if act.kind != ActivityKind::Act || !is_token_act(act) || builtin::decoding_finding(act, rules).is_some() {
            return None;
        }
        // A transfer of zero counts too: a rule that allows a payee any amount up to a bound allows it.
        let own = |moved: &&Activity| {
            moved.kind == ActivityKind::Move
                && moved.role == (Role::Effect { of: index })
                && moved.from == rules.address
        };
        let here = self.all.iter().skip(index).take_while(|other| other.tx == act.tx);
        let mut by = None;
        for moved in here.filter(own) {
            let mut normal =
                rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal && rule.kind == ActivityKind::Move);
            by = Some(normal.find(|rule| rule_result::is_rule_match(rule, moved, rules, &self.windows))?.name.clone());
        }
        by
    }

    /// Returns whether an event that a finding explains is a finding of its own. It is if something leaves the subject
    /// inside of a call that nothing vouches for, so that the report names what moves; or if it changes something
    /// elsewhere and the call pages no responder. An event that a rule vouches for is part of the call.
    fn stands_alone(&self, event: &Activity, cause: &Activity, found: &Abnormal, rules: &WatchRules) -> bool {
        if !matches!(event.fate, Fate::Executed | Fate::Waiting) {
            return false;
        }
        if event.kind != ActivityKind::Act || cause.kind != ActivityKind::Call {
            return false;
        }
        let silent = found.is_noise() || found.observe && !rules.observe;
        // The cost of an operation belongs to the operation, as long as the operation itself is reported.
        let prefund = event.notes.contains(&Note::Prefund);
        let alone = if silent { reaches_out(event, rules) } else { !prefund && goes_out(event, rules) };
        let mut normal = rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal);
        alone && !normal.any(|rule| rule_result::is_rule_match(rule, event, rules, &self.windows))
    }

    /// Adds to an unexplained movement the act of the subject inside of which it happened, and the rule that vouched
    /// for that act.
    pub(super) fn named_cause(&self, moved: &Activity, verdict: Verdict) -> Verdict {
        if moved.kind != ActivityKind::Move {
            return verdict;
        }
        let Some(calls) = moved.enclosing_calls() else { return verdict };
        // The innermost call made by the subject, or otherwise the innermost call made to it.
        let own = calls
            .iter()
            .find(|call| call.from == moved.from)
            .or_else(|| calls.iter().find(|call| call.to == Some(moved.from)));
        let Some(call) = own else { return verdict };
        let act = self.all.iter().position(|other| {
            let is = (other.from, other.to, other.deed.selector) == (call.from, call.to, call.selector);
            other.tx == moved.tx && other.watch == moved.watch && is && other.kind != ActivityKind::Move
        });
        let vouched = match act.and_then(|at| self.verdicts.get(at)?.as_ref()) {
            Some(Verdict::Normal { by: Voucher::Rule(name) }) => format!(", which `{name}` vouches for"),
            Some(Verdict::Normal { by }) => format!(", which is normal by {by}"),
            _ => String::new(),
        };
        let whose = call.to.map_or_else(String::new, |to| format!(" of {to}"));
        prepend_reason(verdict, || {
            format!(
                "it happened inside {}{whose}{vouched}: a rule for `move` may say so with `via = {{ call = … }}`",
                call.function
            )
        })
    }
}

/// Returns whether the rule is about `*`, and `event` is one that a rule has to name.
fn is_unnamed(rule: &Rule, event: &Activity, rules: &WatchRules) -> bool {
    rule.deed == CallMatch::Any && builtin::needs_a_name(event, rules).is_some()
}

/// Returns whether something could not be read completely, so that no verdict on the enclosing call covers it.
///
/// Calls that a contract makes while it is called are part of its code and need not be readable. A part that was not
/// examined at all is unread.
fn is_unread(event: &Activity, rules: &WatchRules) -> bool {
    match event.kind {
        ActivityKind::Act => event.notes.iter().any(|note| matches!(note, Note::BudgetReached(_))),
        _ => builtin::decoding_finding(event, rules).is_some(),
    }
}

/// Adds a reason to a finding that is not reported elsewhere, before those of rules.
fn prepend_reason(verdict: Verdict, why: impl FnOnce() -> String) -> Verdict {
    match verdict {
        Verdict::Abnormal(abnormal) if abnormal.repeats.is_none() && !abnormal.is_noise() => {
            Verdict::Abnormal(abnormal.with_reason(why()))
        }
        verdict => verdict,
    }
}
