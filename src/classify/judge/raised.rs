//! Abnormal rules combined with the other results for an activity. Only normal rules lower the severity of an activity,
//! by vouching for it.
//!
//! An activity is first judged without abnormal rules, then by the abnormal rule with the highest severity that holds.
//! A rule on trial adds a reason to a finding and removes none.

use super::Evaluator;
use crate::classify::rule::{Polarity, Rule, WatchRules};
use crate::classify::rule_result;
use crate::model::{Abnormal, Activity, Severity, Verdict};

/// Activity that is normal but for an abnormal rule.
pub(super) struct Unraised {
    /// Verdict without that rule.
    pub(super) verdict: Verdict,
    /// True if the rule is on trial.
    pub(super) on_trial: bool,
}

impl Evaluator<'_> {
    /// Returns the verdict on an activity without abnormal rules. Its effects are judged by that verdict, so that a rule which raises the
    /// activity makes no outflow quieter.
    pub(super) fn plain(&self, at: usize) -> Option<&Verdict> {
        let settled = self.verdicts.get(at)?.as_ref();
        self.plain.get(&at).map(|unraised| &unraised.verdict).or(settled)
    }

    /// Returns the verdict of `judge`, or that of an abnormal rule with at least the same severity.
    pub(super) fn judge_with_raising_rules(
        &mut self,
        activity: &Activity,
        rules: &WatchRules,
        judge: impl FnOnce(&mut Self) -> Verdict,
    ) -> Verdict {
        let abnormal = rules.rules.iter().filter(|rule| rule.polarity == Polarity::Abnormal);
        let holding: Vec<&Rule> =
            abnormal.filter(|rule| rule_result::is_rule_match(rule, activity, rules, &self.windows)).collect();
        let loudest = |observe: bool| {
            let these = holding.iter().copied().filter(|rule| rule.observe == observe);
            these.rev().max_by_key(|rule| finding_severity(rule))
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
            (Some(rule), _) => keep_louder_finding(verdict, rule, rules),
            (None, Some(rule)) => add_trial_reason(verdict, rule, rules),
            (None, None) => verdict,
        }
    }
}

fn finding_severity(rule: &Rule) -> Severity {
    rule.severity.unwrap_or(Severity::High)
}

/// Returns the rule's own finding, unless `verdict` is a finding with a higher severity.
fn keep_louder_finding(verdict: Verdict, rule: &Rule, rules: &WatchRules) -> Verdict {
    let why = raising_reason(rule);
    match verdict {
        Verdict::Abnormal(own) if is_told_finding(&own, rules) && own.severity > finding_severity(rule) => {
            Verdict::Abnormal(own.with_reason(why))
        }
        _ => raised_finding(rule, why, rules),
    }
}

/// Returns an existing finding with a reason of the rule on trial, or otherwise the rule's own finding, which is
/// observed.
fn add_trial_reason(verdict: Verdict, rule: &Rule, rules: &WatchRules) -> Verdict {
    match verdict {
        Verdict::Abnormal(own) => {
            Verdict::Abnormal(own.with_reason(format!("{}; the rule is on trial", raising_reason(rule))))
        }
        Verdict::Normal { .. } => raised_finding(rule, raising_reason(rule), rules),
    }
}

fn raising_reason(rule: &Rule) -> String {
    format!("{}: this is what the rule raises", rule.name)
}

/// Returns whether a finding is separate and is reported, as far as the watch allows reports.
fn is_told_finding(own: &Abnormal, rules: &WatchRules) -> bool {
    own.repeats.is_none() && (!own.observe || rules.observe)
}

fn raised_finding(rule: &Rule, why: String, rules: &WatchRules) -> Verdict {
    Verdict::Abnormal(Abnormal {
        rule: rule.name.clone(),
        severity: finding_severity(rule),
        reasons: vec![why],
        near: 1,
        observe: rules.observe || rule.observe,
        hushed: false,
        repeats: None,
    })
}
