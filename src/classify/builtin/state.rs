//! What a change of state costs, and what of it nobody minds.

use super::names::{DRIFT, OUTFLOW, POSTURE, STATE};
use super::{Cost, because};
use crate::model::activity::Note;
use crate::model::amount::Unit;
use crate::model::state::{DECIMALS, KIND, NAME_EXPIRY, RELEASED_EARLY, UNSAID};
use crate::model::value::Value;
use crate::model::{Activity, Severity};
use alloy_primitives::U256;

/// Items whose change is less than somebody taking over.
const HIGH: &[&str] =
    &["kind", "nonce", "transfers-enabled", "pending-ownership", "pending-admin", "owner-delegate", "open-executor"];

/// Whether it is a balance that is larger than what was seen to move.
pub(super) fn is_surplus(activity: &Activity) -> bool {
    let positive = |name| sum(activity, name).is_some_and(|amount| !amount.is_zero());
    &*activity.deed.name == "balance" && positive("surplus") && !positive("missing")
}

/// What a change that nothing explains costs, or a value that the registry does not know.
pub(super) fn cost(activity: &Activity) -> Cost {
    let name = &*activity.deed.name;
    if activity.notes.contains(&Note::Drift) {
        let why = match name {
            KIND => "`kind`, `address` or `chain` of the watch is wrong: its rules may match nothing",
            DECIMALS => "the configuration says otherwise",
            _ => "the registry says otherwise",
        };
        return because(DRIFT, severity(activity), why.to_owned());
    }
    if activity.notes.contains(&Note::Posture) && name == RELEASED_EARLY {
        let why = "more was released than its own schedule says is vested";
        return because(STATE, Severity::Critical, why.to_owned());
    }
    if activity.notes.contains(&Note::Posture) {
        return because(POSTURE, Severity::Warning, weakness(name).to_owned());
    }
    if name == "balance" && !is_surplus(activity) {
        let why =
            format!("there is less than what was seen to move leaves, and no judged act explains it{}", when(activity));
        let fee = activity.notes.iter().find_map(|note| match note {
            Note::FeeBound { lacks, allowed } => Some(format!(
                "; the node does not say {lacks}, and {} were allowed for it",
                Unit::ether().show(*allowed)
            )),
            _ => None,
        });
        return because(OUTFLOW, Severity::Critical, format!("{why}{}", fee.unwrap_or_default()));
    }
    because(STATE, severity(activity), format!("it changed, and no judged act explains it{}", when(activity)))
}

/// In which blocks it may have happened, where that is not the one it was seen in for certain.
fn when(activity: &Activity) -> String {
    let within =
        activity.notes.iter().find_map(|note| if let Note::Within(blocks) = note { Some(*blocks) } else { None });
    match within.filter(|blocks| *blocks > 1) {
        Some(blocks) => format!("; it happened in this block, or in one of the {} before it", blocks - 1),
        None => String::new(),
    }
}

/// Why it is weak, and what says that it is meant.
fn weakness(name: &str) -> &'static str {
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

fn severity(activity: &Activity) -> Severity {
    let name = &*activity.deed.name;
    let after = arg(activity, "after");
    let lower = || arg(activity, "before").and_then(Value::as_uint) > after.and_then(Value::as_uint);
    match name {
        // More signatures than before, or a module less, protects rather than harms.
        "threshold" | "required" if !lower() => Severity::High,
        "module" if after.and_then(Value::as_bool) == Some(false) => Severity::High,
        "balance" if is_surplus(activity) => Severity::Info,
        // Whoever wrote the configuration may well know better than the token says.
        DECIMALS if after.and_then(Value::as_uint) == Some(UNSAID.into()) => Severity::Warning,
        _ if HIGH.contains(&name) => Severity::High,
        _ => Severity::Critical,
    }
}

fn sum(activity: &Activity, name: &str) -> Option<U256> {
    arg(activity, name)?.as_uint()
}

fn arg<'a>(activity: &'a Activity, name: &str) -> Option<&'a Value> {
    activity.deed.args.iter().find(|arg| &*arg.name == name).map(|arg| &arg.value)
}
