//! Abnormal rules combined with the other results for an activity. Only normal rules lower the severity of an activity,
//! by vouching for it.
//!
//! An activity is first judged without abnormal rules, then by the abnormal rule with the highest severity that holds.
//! A rule on trial adds a reason to a finding and removes none.

use super::Evaluator;
use crate::classify::rule::{Polarity, Rule, WatchRules};
use crate::classify::trial;
use crate::model::{Abnormal, Activity, Severity, Verdict};

/// What is normal but for an abnormal rule.
pub(super) struct Unraised {
    /// What is said of it without that rule.
    pub(super) verdict: Verdict,
    /// Whether the rule is on trial.
    pub(super) on_trial: bool,
}

impl Evaluator<'_> {
    /// What is said of an activity where no abnormal rule is asked: what it explains is judged by that, so that a rule which raises it makes
    /// nothing quieter that leaves by it.
    pub(super) fn plain(&self, at: usize) -> Option<&Verdict> {
        let settled = self.verdicts.get(at)?.as_ref();
        self.plain.get(&at).map(|unraised| &unraised.verdict).or(settled)
    }

    /// Returns the verdict of `judge`, or that of an abnormal rule with at least the same severity.
    pub(super) fn raised(
        &mut self,
        activity: &Activity,
        rules: &WatchRules,
        judge: impl FnOnce(&mut Self) -> Verdict,
    ) -> Verdict {
        let abnormal = rules.rules.iter().filter(|rule| rule.polarity == Polarity::Abnormal);
        let holding: Vec<&Rule> = abnormal.filter(|rule| trial::holds(rule, activity, rules, &self.windows)).collect();
        let loudest = |observe: bool| {
            let these = holding.iter().copied().filter(|rule| rule.observe == observe);
            these.rev().max_by_key(|rule| loudness(rule))
        };
        let (raising, on_trial) = (loudest(false), loudest(true));
        // An activity that an abnormal rule raises adds nothing to the windows of a rule that would have vouched for
        // it.
        self.is_raised = raising.is_some();
        let verdict = judge(self);
        self.is_raised = false;
        if let (Verdict::Normal { .. }, true) = (&verdict, raising.or(on_trial).is_some()) {
            self.unraised = Some(Unraised { verdict: verdict.clone(), on_trial: raising.is_none() });
        }
        match (raising, on_trial) {
            (Some(rule), _) => louder(verdict, rule, rules),
            (None, Some(rule)) => beside(verdict, rule, rules),
            (None, None) => verdict,
        }
    }
}

fn loudness(rule: &Rule) -> Severity {
    rule.severity.unwrap_or(Severity::High)
}

/// Returns the rule's own finding, unless `verdict` is a finding with a higher severity.
fn louder(verdict: Verdict, rule: &Rule, rules: &WatchRules) -> Verdict {
    let why = raises(rule);
    match verdict {
        Verdict::Abnormal(own) if tells(&own, rules) && own.severity > loudness(rule) => {
            Verdict::Abnormal(own.with_reason(why))
        }
        _ => found(rule, why, rules),
    }
}

/// Returns an existing finding with a reason of the rule on trial, or otherwise the rule's own finding, which is
/// observed.
fn beside(verdict: Verdict, rule: &Rule, rules: &WatchRules) -> Verdict {
    match verdict {
        Verdict::Abnormal(own) => Verdict::Abnormal(own.with_reason(format!("{}; the rule is on trial", raises(rule)))),
        Verdict::Normal { .. } => found(rule, raises(rule), rules),
    }
}

fn raises(rule: &Rule) -> String {
    format!("{}: this is what the rule raises", rule.name)
}

/// Returns whether a finding is separate and is reported, as far as the watch allows reports.
fn tells(own: &Abnormal, rules: &WatchRules) -> bool {
    own.repeats.is_none() && (!own.observe || rules.observe)
}

fn found(rule: &Rule, why: String, rules: &WatchRules) -> Verdict {
    Verdict::Abnormal(Abnormal {
        rule: rule.name.clone(),
        severity: loudness(rule),
        reasons: vec![why],
        near: 1,
        observe: rules.observe || rule.observe,
        hushed: false,
        repeats: None,
    })
}
