//! Sentences for a change of state, with the old and the new value.

use super::phrases::{format_token_amount, format_value};
use super::routing::Routing;
use crate::model::activity::Note;
use crate::model::amount::Unit;
use crate::model::roles;
use crate::model::state::{
    BARE, CODE_AT_KEY, DECIMALS, KIND, NAME_EXPIRY, NO_CODE, RELEASED_EARLY, Shape, UNLIKE, UNSAID,
};
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Item, Position, WatchInfo};
use alloy_primitives::{Address, B256, U256};

/// Returns the watch's own name of a role, else the common name.
fn role_name(role: B256, watch: &WatchInfo) -> String {
    let named = watch.roles.iter().flat_map(|roles| roles.iter()).find(|(known, _)| *known == role);
    let known = || roles::name_of(role).map_or_else(|| format!("the role {role}"), str::to_owned);
    named.map_or_else(known, |(_, name)| name.to_string())
}

/// Returns a sentence such as `the threshold of Treasury Safe changed from 2 to 1`.
pub(super) fn state_sentence(activity: &Activity, watch: &WatchInfo, roster: &Routing) -> String {
    let Position::State(item) = &activity.position else { return watch.label.to_string() };
    debug_assert_eq!(activity.kind, ActivityKind::State);
    let (kind, label, chain) = (item.kind(), &watch.label, watch.chain.id);
    let value = |name: &str| activity.deed.args.iter().find(|arg| &*arg.name == name).map(|arg| &arg.value);
    let (before, after) = (value("before"), value("after"));
    let is_in = after.and_then(Value::as_bool) == Some(true);
    let drifts = activity.notes.contains(&Note::Drift);
    let show = |value: Option<&Value>| match value {
        Some(Value::Address(Address::ZERO)) => "nobody".to_owned(),
        Some(value) => format_value(value, chain, roster),
        None => "nothing".to_owned(),
    };
    if let (DECIMALS, Some(token)) = (item.name(), item.of) {
        return decimals_sentence(token, before, after, watch, roster);
    }
    if item.name() == KIND {
        return kind_mismatch_sentence(after, watch);
    }
    if activity.notes.contains(&Note::Posture) && item.name() == RELEASED_EARLY {
        let early = after.and_then(Value::as_uint).unwrap_or_default();
        let token = value("token").and_then(Value::as_address).filter(|token| !token.is_zero());
        let early = if token.is_some() {
            format_token_amount(early, token, chain, roster)
        } else {
            Unit::ether().format_amount(early)
        };
        return format!("{early} more than the schedule says were released from {label}");
    }
    if activity.notes.contains(&Note::Posture) && item.name() == NAME_EXPIRY {
        return format!("{label} is registered until {} and no longer", format_day(after.and_then(Value::as_uint)));
    }
    if activity.notes.contains(&Note::Posture) {
        return misconfiguration_sentence(item, value("who").and_then(Value::as_address), &show(after), watch, roster);
    }
    match (kind.shape, value("who").and_then(Value::as_address)) {
        (Shape::Member, Some(who)) => {
            let who = roster.names.display_name(chain, who);
            match (drifts, is_in) {
                (true, true) => format!("{who} is {} of {label}, and the registry does not say so", kind.about),
                (true, false) => format!("{who} is not {} of {label}, and the registry says so", kind.about),
                (false, true) => format!("{who} became {} of {label}", kind.about),
                (false, false) => format!("{who} is no longer {} of {label}", kind.about),
            }
        }
        (Shape::Holder, Some(who)) => {
            let (who, role) = (roster.names.display_name(chain, who), role_name(item.role.unwrap_or_default(), watch));
            match (drifts, is_in) {
                (true, true) => format!("{who} holds {role} of {label}, and the registry does not say so"),
                (true, false) => format!("{who} does not hold {role} of {label}, and the registry says so"),
                (false, true) => format!("{who} was given {role} of {label}"),
                (false, false) => format!("{who} lost {role} of {label}"),
            }
        }
        // The only item with an address that exists for each owner.
        (Shape::Address, Some(who)) => {
            let who = roster.names.display_name(chain, who);
            format!("{who}, an owner of {label}, runs the code of {} (EIP-7702) from now on", show(after))
        }
        (Shape::Sum, _) if !drifts && value("missing").is_some() => {
            let token = value("token").and_then(Value::as_address).filter(|token| !token.is_zero());
            let worth = |value: Option<&Value>| {
                let number = value.and_then(Value::as_uint).unwrap_or_default();
                if token.is_some() {
                    format_token_amount(number, token, chain, roster)
                } else {
                    Unit::ether().format_amount(number)
                }
            };
            let some = |name: &str| value(name).filter(|value| value.as_uint() != Some(U256::ZERO));
            let (what, change) = (kind.about, format!("from {} to {}", worth(before), worth(after)));
            match (some("missing"), some("surplus")) {
                (Some(missing), _) => {
                    format!("{} left {label} unseen: {what} went {change}", worth(Some(missing)))
                }
                (None, Some(surplus)) => {
                    format!("{label} received {} unseen: {what} went {change}", worth(Some(surplus)))
                }
                (None, None) => format!("{what} of {label} went {change}"),
            }
        }
        _ if drifts => {
            format!("{} of {label} is {}; the registry says {}", kind.about, show(after), show(before))
        }
        _ => format!("{} of {label} changed from {} to {}", kind.about, show(before), show(after)),
    }
}

/// Returns the sentence for a token whose decimals differ from the configuration.
fn decimals_sentence(
    token: Address,
    before: Option<&Value>,
    after: Option<&Value>,
    watch: &WatchInfo,
    roster: &Routing,
) -> String {
    let name = roster.names.display_name(watch.chain.id, token);
    let number = |value: Option<&Value>| value.and_then(Value::as_uint).unwrap_or_default();
    if B256::from(number(after)) == NO_CODE {
        return format!(
            "no code stands at the token {name}; rules of {} that measure in it vouch for nothing",
            watch.label
        );
    }
    if B256::from(number(after)) == UNSAID {
        return format!(
            "the token {name} does not say how many decimals it has; rules of {} measure in it by the {} that the configuration says",
            watch.label,
            number(before)
        );
    }
    format!(
        "the token {name} has {} decimals, and the configuration says {}; rules of {} that measure in it vouch for nothing",
        number(after),
        number(before),
        watch.label
    )
}

/// Returns the sentence about an address whose contract is not of the watch's kind.
fn kind_mismatch_sentence(after: Option<&Value>, watch: &WatchInfo) -> String {
    let (label, kind, address) = (&watch.label, watch.kind.as_str(), watch.address);
    match B256::from(after.and_then(Value::as_uint).unwrap_or_default()) {
        BARE => format!("{label} is watched as kind {kind}, and no code stands at {address}"),
        CODE_AT_KEY => format!("{label} is watched as an account with a key, and a contract stands at {address}"),
        UNLIKE => {
            format!("{label} is watched as kind {kind}, and the contract at {address} lacks what each of that kind has")
        }
        _ => format!("{label} is of the kind {kind} again"),
    }
}

/// Returns the sentence about a misconfiguration.
fn misconfiguration_sentence(
    item: &Item,
    who: Option<Address>,
    is: &str,
    watch: &WatchInfo,
    roster: &Routing,
) -> String {
    let label = &watch.label;
    let who = who.map(|who| roster.names.display_name(watch.chain.id, who)).unwrap_or_default();
    match item.name() {
        "threshold" => format!("one signature is enough for {label}"),
        "required" => format!("one confirmation is enough for {label}"),
        "owner-delegate" => format!("{who}, an owner of {label}, runs the code of {is} (EIP-7702)"),
        "open-executor" => format!("anybody may carry out what is due at {label}"),
        "module" => format!("{who} is module of {label}, and no registry lists it"),
        _ => format!("{} of {label} is {is}", item.kind().about),
    }
}

/// The day of a time in Unix seconds, in UTC.
fn format_day(seconds: Option<U256>) -> String {
    let seconds = seconds.and_then(|seconds| i64::try_from(seconds).ok());
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "some day".to_owned(), |time| time.strftime("%F").to_string())
}
