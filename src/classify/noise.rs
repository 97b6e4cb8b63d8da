//! Noise, and the payment to a look-alike address that the noise is meant to cause.
//!
//! Anyone can make a chain log that nothing, or a worthless token, left a subject, and can send it dust from an address
//! that looks like one of its payees. Such findings are kept and counted and page no one. A payment to such an address
//! is critical.

use super::address_poisoning::lookalike_key;
use super::builtin::{self, DefaultFinding, LOOK_ALIKE, finding_with_reason};
use super::first_seen;
use super::rule::WatchRules;
use super::rule_result::Windows;
use crate::model::value::{Arg, Value};
use crate::model::verdict::POISONING;
use crate::model::{Activity, ActivityKind, Decoding, Fate, Severity};
use alloy_primitives::{Address, U256};
use std::sync::Arc;

/// Returns `cost`, or the cost for a token in use where memory shows that the subject called the token: a subject that
/// gave an allowance can lose the token through it.
pub(crate) fn adjust_for_token_use(
    cost: DefaultFinding,
    activity: &Activity,
    rules: &WatchRules,
    windows: &Windows<'_>,
) -> DefaultFinding {
    if cost.name != POISONING || activity.kind != ActivityKind::Move || movement_amount(activity).is_zero() {
        return cost;
    }
    let token = activity.deed.args.first().and_then(|arg| arg.value.as_address()).unwrap_or_default();
    let used = first_seen::has_called(token, rules, windows);
    if used { builtin::cost_of_used_token(activity, rules) } else { cost }
}

/// Returns `cost` if its only source is a token that the subject never used: noise, or a warning whose severity no rule
/// raises.
pub(crate) fn recognize_noise(cost: &DefaultFinding, activity: &Activity) -> Option<DefaultFinding> {
    let said = cost.name == POISONING && activity.kind == ActivityKind::Move;
    said.then(|| cost.clone())
}

/// Returns the cost of value from an address that looks like one the subject knows: it is sent so that the address is
/// copied.
pub(crate) fn poisoning_finding(
    activity: &Activity,
    rules: &WatchRules,
    windows: &Windows<'_>,
) -> Option<DefaultFinding> {
    let received = match activity.kind {
        ActivityKind::Move => &*activity.deed.name == "transfer" && activity.to == Some(rules.address),
        ActivityKind::Call => activity.deed.decoding == Decoding::Ether,
        ActivityKind::Act | ActivityKind::Event | ActivityKind::State => false,
    };
    if !received || activity.from == rules.address || rules.builtins_off.contains(POISONING) {
        return None;
    }
    let like = describe_lookalike(&activity.from, rules, windows)?;
    let why =
        format!("it comes from {}, which looks like {like} and is not: dust, to be copied by mistake", activity.from);
    Some(finding_with_reason(POISONING, Severity::Info, why))
}

/// Returns the cost of a payment, an allowance or any other act that names an address which only looks like one the
/// subject knows.
///
/// A rule that names the address makes it known. A reverted activity names no address.
pub(crate) fn look_alike(activity: &Activity, rules: &WatchRules, windows: &Windows<'_>) -> Option<DefaultFinding> {
    if matches!(activity.fate, Fate::Reverted | Fate::Unconfirmed) || rules.builtins_off.contains(LOOK_ALIKE) {
        return None;
    }
    let named = match activity.kind {
        ActivityKind::Act => mentioned_addresses(activity),
        ActivityKind::Move if is_known_token_outflow(activity, rules) => activity.to.into_iter().collect(),
        ActivityKind::Move | ActivityKind::Call | ActivityKind::Event | ActivityKind::State => return None,
    };
    named.iter().find_map(|address| {
        let like = describe_lookalike(address, rules, windows)?;
        let why =
            format!("{address} looks like {like} and is not: their first three and last four digits are the same");
        Some(finding_with_reason(LOOK_ALIKE, Severity::Critical, why))
    })
}

/// Returns whether a movement sends or allows something of worth: a non-zero amount of a token that the configuration
/// knows.
fn is_known_token_outflow(activity: &Activity, rules: &WatchRules) -> bool {
    let args = &activity.deed.args;
    let token = args.first().and_then(|arg| arg.value.as_address()).unwrap_or_default();
    activity.from == rules.address && rules.known_tokens.contains(&token) && movement_amount(activity) > U256::ZERO
}

/// Returns the amount of a movement.
fn movement_amount(activity: &Activity) -> U256 {
    activity.deed.args.get(3).and_then(|arg| arg.value.as_uint()).unwrap_or_default()
}

/// Returns the address that the configuration names, or that the subject paid under a rule, and that `address` looks
/// like.
fn describe_lookalike(address: &Address, rules: &WatchRules, windows: &Windows<'_>) -> Option<String> {
    if *address == rules.address || address.is_zero() {
        return None;
    }
    if let Some((twin, name)) = rules.familiar.find_lookalike(address) {
        return Some(format!("{twin} ({name})"));
    }
    if rules.familiar.is_named(address) {
        return None;
    }
    let alike = first_seen::vouched_payees(rules, windows)
        .filter(|paid| lookalike_key(paid) == lookalike_key(address))
        .collect::<Vec<_>>();
    let twin = alike.first().filter(|_| !alike.contains(address))?;
    Some(format!("{twin}, which was paid before"))
}

/// The target of an act and every address among its arguments. The decoder bounds how many there can be.
pub(crate) fn mentioned_addresses(activity: &Activity) -> Vec<Address> {
    let mut named: Vec<Address> = activity.to.into_iter().collect();
    let mut open: Vec<&Value> = activity.deed.args.iter().map(|arg: &Arg| &arg.value).collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Address(address) => named.push(*address),
            Value::Array(elements) => open.extend(elements),
            Value::Tuple(fields) => open.extend(fields.iter().map(|field| &field.value)),
            _ => {}
        }
    }
    named
}

/// An address as the amount of a lasting window's entry.
pub(crate) fn as_amount(address: &Address) -> U256 {
    address.into_word().into()
}

/// Back from [`as_amount`].
pub(crate) fn as_address(amount: U256) -> Address {
    Address::from_word(amount.into())
}

/// The name of a lasting window.
pub(crate) fn lasting_window_name(name: &str) -> Arc<str> {
    format!("{}{name}", super::history::LASTING).into()
}
