//! An abnormal verdict in the words of whoever raised it: how loud, why, and the nearest rule first.

use super::builtin::{self, Cost};
use super::rule::{Rule, WatchRules};
use super::trial::Trial;
use crate::model::{Abnormal, Severity, Verdict};
use std::sync::Arc;

/// Every activity is a leaf, an envelope or an effect, and each gets its verdict above; were one forgotten, it is a finding.
pub(crate) fn unjudged() -> Verdict {
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

/// The same finding, told of what it explains or wraps.
pub(crate) fn repeat(verdict: &Verdict, of: usize) -> Verdict {
    match verdict {
        Verdict::Abnormal(abnormal) => {
            Verdict::Abnormal(Abnormal { repeats: Some(abnormal.repeats.unwrap_or(of)), ..abnormal.clone() })
        }
        normal @ Verdict::Normal { .. } => normal.clone(),
    }
}

/// A finding, with every rule's refusal, nearest first: rules about this function with the fewest conditions against it.
///
/// What a built-in recognized comes before them, since it says more than a rule that was never meant for this. For the same reason
/// the nearest rule may make it louder and never quieter: who says that a transfer above the limit is a warning has not said so
/// of foreign code that calls itself a transfer. A finding is observed where all rules about it are: one that is on trial does not
/// silence what the others refuse.
pub(crate) fn finding(cost: &Cost, trials: &[(&Rule, Trial)], rules: &WatchRules) -> Verdict {
    let refused = trials.iter().filter(|(_, trial)| !trial.holds());
    let (mut about, others): (Vec<_>, Vec<_>) = refused.partition(|(_, trial)| trial.is_about());
    about.sort_by_key(|(_, trial)| trial.refusals.len());
    let nearest = about.first().map(|(rule, _)| *rule);
    let mut reasons: Vec<String> = cost.reason.iter().cloned().collect();
    if nearest.is_none() && cost.reason.is_none() {
        reasons.push("no rule is about this".to_owned());
    }
    reasons.extend(about.iter().flat_map(|(_, trial)| trial.sentences()));
    let near = reasons.len();
    reasons.extend(others.iter().flat_map(|(_, trial)| trial.sentences()));
    let written = nearest.and_then(|rule| rule.severity);
    let severity = match cost.name {
        builtin::UNVOUCHED => written.unwrap_or(cost.severity),
        // How loud an attempt is depends on how many there were.
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
