//! Default findings for changes of state, and the changes that are harmless.

use super::names::{DRIFT, OUTFLOW, POSTURE, STATE};
use super::{DefaultFinding, finding_with_reason};
use crate::model::activity::Note;
use crate::model::amount::Unit;
use crate::model::state::{DECIMALS, KIND, NAME_EXPIRY, RELEASED_EARLY, UNSAID};
use crate::model::value::Value;
use crate::model::{Activity, Severity};
use alloy_primitives::U256;

/// Items whose change does not give control to another party.
const HIGH: &[&str] =
    &["kind", "nonce", "transfers-enabled", "pending-ownership", "pending-admin", "owner-delegate", "open-executor"];

/// Returns whether it is a balance larger than the observed movements explain.
pub(super) fn is_surplus(activity: &Activity) -> bool {
    let positive = |name| uint_argument(activity, name).is_some_and(|amount| !amount.is_zero());
    &*activity.deed.name == "balance" && positive("surplus") && !positive("missing")
}

/// Returns the default finding for a change that nothing explains, or for a value that the registry does not list.
pub(super) fn state_change_finding(activity: &Activity) -> DefaultFinding {
    let name = &*activity.deed.name;
    if activity.notes.contains(&Note::Drift) {
        let why = match name {
            KIND => "`kind`, `address` or `chain` of the watch is wrong: its rules may match nothing",
            DECIMALS => "the configuration says otherwise",
            _ => "the registry says otherwise",
        };
        return finding_with_reason(DRIFT, state_change_severity(activity), why.to_owned());
    }
    if activity.notes.contains(&Note::Posture) && name == RELEASED_EARLY {
        let why = "more was released than its own schedule says is vested";
        return finding_with_reason(STATE, Severity::Critical, why.to_owned());
    }
    if activity.notes.contains(&Note::Posture) {
        return finding_with_reason(POSTURE, Severity::Warning, describe_misconfiguration(name).to_owned());
    }
    if name == "balance" && !is_surplus(activity) {
        let why = format!(
            "there is less than what was seen to move leaves, and no judged act explains it{}",
            describe_block_range(activity)
        );
        let fee = activity.notes.iter().find_map(|note| match note {
            Note::FeeBound { lacks, allowed } => Some(format!(
                "; the node does not say {lacks}, and {} were allowed for it",
                Unit::ether().format_amount(*allowed)
            )),
            _ => None,
        });
        return finding_with_reason(OUTFLOW, Severity::Critical, format!("{why}{}", fee.unwrap_or_default()));
    }
    finding_with_reason(
        STATE,
        state_change_severity(activity),
        format!("it changed, and no judged act explains it{}", describe_block_range(activity)),
    )
}

/// Returns the range of blocks in which the change may have happened, if it may have been before the block that showed
/// it.
fn describe_block_range(activity: &Activity) -> String {
    let within =
        activity.notes.iter().find_map(|note| if let Note::Within(blocks) = note { Some(*blocks) } else { None });
    match within.filter(|blocks| *blocks > 1) {
        Some(blocks) => format!("; it happened in this block, or in one of the {} before it", blocks - 1),
        None => String::new(),
    }
}

/// Returns the reason why the item is weak, and the setting that accepts it.
fn describe_misconfiguration(name: &str) -> &'static str {
    match name {
        "threshold" | "required" => {
            "whoever has one key has everything, unless registry.threshold says that this is meant"
        }
        "owner-delegate" => "whoever drives that code acts as the owner, unless a rule about this state vouches for it",
        "open-executor" => {
            "what is due is carried out at a moment that anybody chooses, unless registry.open_executor says that this is meant"
        }
        "module" => "a module moves everything without signatures, and there is no registry.modules that lists it",
        NAME_EXPIRY => "whoever registers it next owns all that trusts the name: renew it, which anybody may pay for",
        _ => "the registry does not say that this is meant",
    }
}

fn state_change_severity(activity: &Activity) -> Severity {
    let name = &*activity.deed.name;
    let after = argument_by_name(activity, "after");
    let lower = || argument_by_name(activity, "before").and_then(Value::as_uint) > after.and_then(Value::as_uint);
    match name {
        // More signatures or one module fewer protects rather than harms.
        "threshold" | "required" if !lower() => Severity::High,
        "module" if after.and_then(Value::as_bool) == Some(false) => Severity::High,
        "balance" if is_surplus(activity) => Severity::Info,
        // The author of the configuration may know the decimals of a token that does not report them.
        DECIMALS if after.and_then(Value::as_uint) == Some(UNSAID.into()) => Severity::Warning,
        _ if HIGH.contains(&name) => Severity::High,
        _ => Severity::Critical,
    }
}

fn uint_argument(activity: &Activity, name: &str) -> Option<U256> {
    argument_by_name(activity, name)?.as_uint()
}

fn argument_by_name<'a>(activity: &'a Activity, name: &str) -> Option<&'a Value> {
    activity.deed.args.iter().find(|arg| &*arg.name == name).map(|arg| &arg.value)
}
