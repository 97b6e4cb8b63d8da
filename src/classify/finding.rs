//! Abnormal verdicts: their severity and their reasons, those of the nearest rule first.

use super::builtin::{self, DefaultFinding};
use super::rule::{Rule, WatchRules};
use super::rule_result::RuleResult;
use crate::model::{Abnormal, Severity, Verdict};
use std::sync::Arc;

/// Returns a finding for an activity without a verdict. Every activity is a leaf, an envelope or an effect and gets its
/// verdict elsewhere, so this is only for one that was forgotten.
pub(crate) fn unjudged_verdict() -> Verdict {
    Verdict::Abnormal(Abnormal {
        rule: Arc::from(builtin::UNVOUCHED),
        severity: Severity::High,
        reasons: vec!["nothing judged it".to_owned()],
        near: 1,
        observe: false,
        hushed: false,
        repeats: None,
    })
}

/// Returns the same finding as the verdict of an activity that it explains or that wraps it.
pub(crate) fn repeated_verdict(verdict: &Verdict, of: usize) -> Verdict {
    match verdict {
        Verdict::Abnormal(abnormal) => {
            Verdict::Abnormal(Abnormal { repeats: Some(abnormal.repeats.unwrap_or(of)), ..abnormal.clone() })
        }
        normal @ Verdict::Normal { .. } => normal.clone(),
    }
}

/// Returns a finding with the mismatches of every rule, nearest rule first: rules about this function with the fewest
/// mismatches.
///
/// The reason of a built-in comes before them, since it says more than a rule that was not written for this activity.
/// For the same reason the nearest rule can raise the severity of such a finding but never lower it: a rule that makes
/// a transfer above the limit a warning was not written for foreign code that calls itself a transfer. A finding is
/// observed only where all rules about it are observed: a rule on trial does not silence the mismatches of other rules.
pub(crate) fn abnormal_verdict(cost: &DefaultFinding, trials: &[(&Rule, RuleResult)], rules: &WatchRules) -> Verdict {
    let refused = trials.iter().filter(|(_, trial)| !trial.holds());
    let (mut about, others): (Vec<_>, Vec<_>) = refused.partition(|(_, trial)| trial.is_about());
    about.sort_by_key(|(_, trial)| trial.refusals.len());
    let nearest = about.first().map(|(rule, _)| *rule);
    let mut reasons: Vec<String> = cost.reason.iter().cloned().collect();
    if nearest.is_none() && cost.reason.is_none() {
        reasons.push("no rule is about this".to_owned());
    }
    reasons.extend(about.iter().flat_map(|(_, trial)| trial.mismatch_sentences()));
    let near = reasons.len();
    reasons.extend(others.iter().flat_map(|(_, trial)| trial.mismatch_sentences()));
    let written = nearest.and_then(|rule| rule.severity);
    let severity = match cost.name {
        builtin::UNVOUCHED => written.unwrap_or(cost.severity),
        // The severity of an attempt depends on the number of attempts.
        builtin::ATTEMPT | builtin::UNCONFIRMED => cost.severity,
        _ => written.map_or(cost.severity, |written| written.max(cost.severity)),
    };
    let of_the_rule = matches!(cost.name, builtin::UNVOUCHED | builtin::ATTEMPT);
    Verdict::Abnormal(Abnormal {
        rule: Arc::from(cost.name),
        severity,
        reasons,
        near,
        observe: rules.observe || of_the_rule && nearest.is_some() && about.iter().all(|(rule, _)| rule.observe),
        hushed: false,
        repeats: None,
    })
}
