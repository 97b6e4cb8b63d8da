//! Displaced transactions: another transaction of the same sender with the same nonce and a different content.
//!
//! Input: the verdict on an announced transaction, and the vouched transaction that it would displace. Output: the
//! verdict to report. Never here: a block. Once one of the two is in a block, nothing can be displaced any more.

use super::builtin::{self, DefaultFinding};
use super::finding::abnormal_verdict;
use super::history::History;
use super::rule::{Polarity, Rules};
use super::rule_result::{self, Windows};
use crate::model::{Judged, Severity, Verdict};
use alloy_primitives::B256;

/// Replaces the normal verdict of `judged`, at `now`, with a finding, because it displaces `first`, which has the same
/// `nonce` and was vouched for.
///
/// A rule with `replaces = true` vouches for transactions that may displace another one. A verdict that is already a
/// finding stays as it is.
pub fn judge_displacement(judged: &mut Judged, first: B256, nonce: u64, rules: &Rules, history: &History, now: u64) {
    let activity = &judged.activity;
    let Some(rules) = rules.watches.get(activity.watch.index()) else { return };
    let off = rules.builtins_off.contains(builtin::REPLACED);
    if off || !matches!(judged.verdict, Verdict::Normal { .. }) {
        return;
    }
    let windows = Windows::new(history, now);
    let mut meant = rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal && rule.replaces);
    if meant.any(|rule| rule_result::is_rule_match(rule, activity, rules, &windows)) {
        return;
    }
    let why = format!(
        "it takes nonce {nonce} of {} from {first}, which does something else and was vouched for",
        activity.origin
    );
    let cost = DefaultFinding { name: builtin::REPLACED, severity: Severity::High, reason: Some(why) };
    judged.verdict = abnormal_verdict(&cost, &[], rules);
}
