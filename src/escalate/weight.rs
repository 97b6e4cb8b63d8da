//! Lines of a page: their weights, and the merging of several findings of one transaction.
//!
//! The sender of a transaction decides how many findings it causes. Large outflows come before the small ones that may
//! hide them, and findings that differ only in the amount are one line with their sum.

use super::group::RaisedFinding;
use super::headline::activity_headline;
use super::routing::Routing;
use super::shown::{amount_positions, shown_content};
use crate::model::coverage::Shown;
use crate::model::holding::Said;
use crate::model::page::Evidence;
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Severity};
use alloy_primitives::{Address, B256, U256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A whole holding, in the unit of shares: millionths.
const WHOLE: u64 = 1_000_000;
/// Share below which an outflow is small: a hundredth of the holding.
const CRUMB: u64 = WHOLE / 100;
/// Maximum number of whole units that are distinguished: with the fields before them they fit into 53 bits, which every
/// JSON reader supports.
const UNITS_MAX: u64 = (1 << 31) - 1;

/// Returns how much a finding weighs among those of its severity, where `sums` are its amounts as in [`Shown::sums`].
///
/// The weight compares, in this order: whether the share is at least a hundredth, whether it is ether or a listed
/// token, which cannot be made up, the share of the holding, and the whole units. An unknown share counts as the whole
/// holding, and so does a finding without an amount. An allowance counts more than a small outflow and less than a
/// large one.
pub(super) fn finding_weight(raised: &RaisedFinding<'_>, sums: &[U256], roster: &Routing) -> u64 {
    let activity = &raised.judged.activity;
    let chain = raised.watch.chain.id;
    let token = match activity.kind {
        ActivityKind::Move => activity.deed.args.first().and_then(|arg| arg.value.as_address()),
        _ => activity.to,
    };
    let unit = |token: Option<Address>| token.and_then(|token| roster.tokens.get(&(chain, token)));
    let (ether, amount) = (sums.first().copied().unwrap_or_default(), sums.get(1).copied());
    let (listed, amount, decimals) = match (amount, unit(token)) {
        (Some(amount), Some(unit)) => (true, amount, unit.decimals),
        (Some(amount), None) => (false, amount, 18),
        (None, _) if !ether.is_zero() => (true, ether, 18),
        (None, _) => return pack_weight(true, WHOLE, UNITS_MAX),
    };
    let share = match activity.token_holding().map(|holding| &holding.said) {
        Some(Said::Balance { before, .. }) if !before.is_zero() => {
            clamp_to_u64(amount.saturating_mul(U256::from(WHOLE)) / *before).min(WHOLE)
        }
        _ if is_allowance(activity) => CRUMB,
        _ => WHOLE,
    };
    let whole = U256::from(10).checked_pow(U256::from(decimals)).unwrap_or(U256::MAX);
    pack_weight(listed, share, clamp_to_u64(amount / whole))
}

fn is_allowance(activity: &Activity) -> bool {
    let name = &*activity.deed.name;
    (activity.kind == ActivityKind::Move && name == "approval")
        || matches!(name, "approve" | "approveAndCall" | "increaseAllowance" | "increaseApproval")
}

fn pack_weight(listed: bool, share: u64, units: u64) -> u64 {
    (u64::from(share >= CRUMB) << 52) | (u64::from(listed) << 51) | (share.min(WHOLE) << 31) | units.min(UNITS_MAX)
}

fn clamp_to_u64(number: U256) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Lines of the incidents of one step that further findings of the same transaction may join.
#[derive(Default)]
pub(super) struct Lines(HashMap<Key, Line>);

/// Place of the incident, transaction, severity, and the act without its amounts.
type Key = (usize, B256, Severity, Shown);

struct Line {
    evidence: Evidence,
    sums: Vec<U256>,
}

impl Lines {
    /// Returns the line of a finding of the incident at `place`: its own, or the line of the first finding that differs
    /// only in amounts, with the sum of all.
    pub(super) fn join(
        &mut self,
        place: usize,
        raised: &RaisedFinding<'_>,
        evidence: Evidence,
        roster: &Routing,
    ) -> Evidence {
        let act = shown_content(raised, roster);
        let own = Evidence { weight: finding_weight(raised, &act.sums, roster), ..evidence };
        // Tokens with ids are listed one by one, and unreadable acts are never considered equal.
        let has_ids = raised.judged.activity.kind == ActivityKind::Move && act.sums.len() > 2;
        if !act.whole || has_ids || own.tx.is_zero() {
            return own;
        }
        let sums = act.sums.clone();
        match self.0.entry((place, own.tx, own.severity, Shown { sums: Vec::new(), ..act })) {
            Entry::Vacant(free) => free.insert(Line { evidence: own, sums }).evidence.clone(),
            Entry::Occupied(taken) if taken.get().evidence.finding == own.finding => own,
            Entry::Occupied(taken) => {
                let line = taken.into_mut();
                for (sum, more) in line.sums.iter_mut().zip(sums) {
                    *sum = sum.saturating_add(more);
                }
                line.evidence.alike += 1;
                line.evidence.headline = total_sentence(raised, &line.sums, line.evidence.alike + 1, roster);
                line.evidence.weight = finding_weight(raised, &line.sums, roster);
                line.evidence.clone()
            }
        }
    }
}

/// Returns the sentence of `n` findings with these sums: `200,000 USDC left Treasury for 0x…, in 41 parts`.
fn total_sentence(raised: &RaisedFinding<'_>, sums: &[U256], n: u64, roster: &Routing) -> String {
    let mut activity = raised.judged.activity.clone();
    let mut sums = sums.iter().copied();
    activity.value = sums.next().unwrap_or_default();
    let mut any = !activity.value.is_zero();
    for (place, sum) in amount_positions(raised, roster).into_iter().zip(sums) {
        if let Some(arg) = activity.deed.args.get_mut(place) {
            arg.value = Value::Uint(sum);
            any = true;
        }
    }
    let said = activity_headline(&activity, raised.watch, roster);
    if any { format!("{said}, in {n} parts") } else { format!("{said}, {n} times") }
}
