//! A transaction that takes the place of another: same sender, same nonce, something else.
//!
//! In: the verdict on what was announced, and which transaction that a rule vouched for it would displace. Out: the verdict that is told.
//! Never here: a block. Once one of the two is in a block there is nothing left to displace.

use super::builtin::{self, Cost};
use super::finding::finding;
use super::history::History;
use super::rule::{Polarity, Rules};
use super::trial::{self, Windows};
use crate::model::{Judged, Severity, Verdict};
use alloy_primitives::B256;

/// What `judged`, at `now`, comes to where it displaces `first`, which has the same `nonce` and was vouched for.
///
/// A rule that says `replaces = true` vouches for what may take the place of something else. What is a finding anyway stays the one it is.
pub fn displaced(judged: &mut Judged, first: B256, nonce: u64, rules: &Rules, history: &History, now: u64) {
    let activity = &judged.activity;
    let Some(rules) = rules.watches.get(activity.watch.index()) else { return };
    let off = rules.builtins_off.contains(builtin::REPLACED);
    if off || !matches!(judged.verdict, Verdict::Normal { .. }) {
        return;
    }
    let windows = Windows::new(history, now);
    let mut meant = rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal && rule.replaces);
    if meant.any(|rule| trial::holds(rule, activity, rules, &windows)) {
        return;
    }
    let why = format!(
        "it takes nonce {nonce} of {} from {first}, which does something else and was vouched for",
        activity.origin
    );
    let cost = Cost { name: builtin::REPLACED, severity: Severity::High, reason: Some(why) };
    judged.verdict = finding(&cost, &[], rules);
}
