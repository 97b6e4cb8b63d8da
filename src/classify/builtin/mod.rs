//! Judgement without a rule: the few activities that are normal by themselves, and the default findings for all others.
//!
//! Input: an activity that no rule vouches for. Output: the built-in that vouches for it, or a [`DefaultFinding`]. Never here:
//! the contents of a watchlist, except its registry.
//!
//! The functions and events that change control of a subject come from the list of its kind, `contracts::CONTRACTS`.
//! They are recognized by name, since a control function is one on any contract.

mod control;
mod names;
mod state;
mod trouble;
mod value;

pub(crate) use names::*;
pub use names::{BUILTINS, Builtin};
pub use trouble::decoding_finding;
pub(crate) use trouble::{suffix_words, undecodable_finding};

use super::rule::WatchRules;
use crate::contracts::{Found, NormalAct, Property};
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Decoding, Fate, Operation, Severity};
use alloy_primitives::Address;

/// Prefix of the names of the functions by which a module makes a Safe act. Source: ModuleManager.sol, Safe 1.1.1 to
/// 1.5.0.
const FROM_MODULE: &str = "execTransactionFromModule";

/// Default finding for an activity that no rule vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultFinding {
    /// The built-in that raises it.
    pub name: &'static str,
    /// Severity of the finding.
    pub severity: Severity,
    /// Reason, where the built-in recognized something; empty for `builtin/unvouched`.
    pub reason: Option<String>,
}

/// The built-in that vouches for `activity`, if one does.
#[must_use]
pub fn vouching_builtin(activity: &Activity, rules: &WatchRules) -> Option<&'static str> {
    let name = candidate_builtin(activity, rules)?;
    (!rules.builtins_off.contains(name)).then_some(name)
}

fn candidate_builtin(activity: &Activity, rules: &WatchRules) -> Option<&'static str> {
    let deed = &activity.deed;
    let contract = rules.contract();
    let public = || contract.control.public.contains(&&*deed.name).then_some(PUBLIC);
    match activity.kind {
        ActivityKind::Call if activity.operation == Operation::Create => None,
        // The account pays for it, whatever it does, and its key signed it.
        ActivityKind::Call if activity.notes.contains(&Note::Charged) => None,
        ActivityKind::Call if deed.decoding == Decoding::Ether => (!rules.judge_inbound).then_some(INBOUND),
        ActivityKind::Call => {
            let bare = deed.decoding == Decoding::Clean && activity.value.is_zero();
            let listed = || is_listed_code(activity, rules).then_some(IMPLEMENTATION);
            bare.then(|| if deed.mutates { public().or_else(listed) } else { Some(VIEW) }).flatten()
        }
        ActivityKind::Move => {
            let received =
                &*deed.name == "transfer" && activity.to == Some(rules.address) && activity.from != rules.address;
            // An allowance that another address gives the subject moves none of the subject's value.
            let allowed = &*deed.name == "approval" && activity.from != rules.address;
            let honest = !value::is_denied_arrival(activity) || rules.builtins_off.contains(POISONING);
            ((received || allowed) && honest && !rules.judge_inbound).then_some(INBOUND)
        }
        ActivityKind::Act => {
            let empty = deed.decoding == Decoding::Ether && activity.value.is_zero();
            let own = activity.to == Some(activity.from) && activity.operation == Operation::Call;
            match contract.normal_act {
                Some(NormalAct::Rejection) if empty && own => Some(REJECTION),
                Some(NormalAct::TextProposal) if empty => Some(TEXT),
                _ => None,
            }
        }
        ActivityKind::Event => {
            // Ether sent from inside another call appears only in the wallet's own log.
            if contract.ether_logs.contains(&&*deed.signature) {
                return (!rules.judge_inbound).then_some(INBOUND);
            }
            // A single vote is normal, unless its power was acquired for this vote.
            if activity.notes.contains(&Note::FreshVotes) && !rules.builtins_off.contains(FRESH_VOTES) {
                return None;
            }
            if is_text_proposal(activity, rules) {
                return Some(TEXT);
            }
            public().or_else(|| is_listed_code(activity, rules).then_some(IMPLEMENTATION))
        }
        // A balance above the observed movements comes from ether sent inside another call or from a block reward. The
        // subject loses nothing.
        ActivityKind::State => {
            if is_listed_beacon_code(activity, rules) {
                return Some(IMPLEMENTATION);
            }
            let received = state::is_surplus(activity) && !activity.notes.contains(&Note::Drift);
            (received && !rules.judge_inbound).then_some(INBOUND)
        }
    }
}

/// Returns whether a proposal has no targets. With targets, its log is an envelope of the calls that it proposes.
fn is_text_proposal(activity: &Activity, rules: &WatchRules) -> bool {
    let targets = activity.deed.args.get(2).and_then(|arg| arg.value.as_array());
    rules.contract().normal_act == Some(NormalAct::TextProposal)
        && &*activity.deed.name == "ProposalCreated"
        && targets.is_some_and(<[crate::model::value::Value]>::is_empty)
}

/// Returns whether an upgrade names code, or a beacon, that the registry lists. A call of the new code in the same step
/// is not covered.
fn is_listed_code(activity: &Activity, rules: &WatchRules) -> bool {
    let deed = &activity.deed;
    let code = deed.args.first().and_then(|arg| arg.value.as_address());
    let does_nothing = || deed.args.get(1).and_then(|arg| arg.value.as_bytes()).is_some_and(|data| data.is_empty());
    let asks = match &*deed.signature {
        "Upgraded(address)" | "BeaconUpgraded(address)" | "upgradeTo(address)" => true,
        "upgradeToAndCall(address,bytes)" => does_nothing(),
        _ => false,
    };
    asks && rules.implementations.as_ref().zip(code).is_some_and(|(listed, code)| listed.members.contains(&code))
}

/// Returns whether the proxy's beacon now names listed code. The beacon logs the change, and the proxy logs nothing.
fn is_listed_beacon_code(activity: &Activity, rules: &WatchRules) -> bool {
    let after = activity.deed.args.iter().find(|arg| &*arg.name == "after").and_then(|arg| arg.value.as_address());
    let listed = rules.implementations.as_ref().zip(after).is_some_and(|(listed, code)| listed.members.contains(&code));
    &*activity.deed.name == "beacon-implementation" && listed && !activity.notes.contains(&Note::Drift)
}

/// Returns whether a contract logs that its code, or the source of its code, was replaced.
pub(crate) fn is_upgrade(activity: &Activity) -> bool {
    activity.kind == ActivityKind::Event && matches!(&*activity.deed.name, "Upgraded" | "BeaconUpgraded" | "DiamondCut")
}

/// Returns the default finding for `activity` when no rule vouches for it: that of the first built-in that recognizes
/// it and is not switched off.
#[must_use]
pub fn default_finding(activity: &Activity, rules: &WatchRules) -> DefaultFinding {
    let recognized = match activity.kind {
        ActivityKind::Act => act_findings(activity, rules),
        ActivityKind::Call => call_findings(activity, rules),
        ActivityKind::Event => event_findings(activity, rules),
        ActivityKind::Move => value::movement_findings(activity, rules, false),
        ActivityKind::State => vec![state::state_change_finding(activity)],
    };
    first_enabled_finding(recognized, activity, rules)
}

/// Returns the default finding for a movement of a token that the subject is remembered to use.
#[must_use]
pub(crate) fn cost_of_used_token(activity: &Activity, rules: &WatchRules) -> DefaultFinding {
    first_enabled_finding(value::movement_findings(activity, rules, true), activity, rules)
}

/// Returns the first of `recognized` that is not switched off. Findings about unreadable data take precedence.
fn first_enabled_finding(recognized: Vec<DefaultFinding>, activity: &Activity, rules: &WatchRules) -> DefaultFinding {
    let on = |cost: &DefaultFinding| !rules.builtins_off.contains(cost.name);
    let is_quiet = activity.kind == ActivityKind::Call && rules.contract().quiet_calls.contains(&&*activity.deed.name);
    let severity = if is_quiet { Severity::Warning } else { Severity::High };
    let unvouched = DefaultFinding { name: UNVOUCHED, severity, reason: None };
    decoding_finding(activity, rules).into_iter().chain(recognized).find(on).unwrap_or(unvouched)
}

/// Returns whether `activity` is judged as an attempt: it reverted, or it is only claimed.
pub(crate) fn is_attempt(activity: &Activity, rules: &WatchRules) -> bool {
    match activity.fate {
        Fate::Reverted => !rules.builtins_off.contains(ATTEMPT),
        Fate::Unconfirmed => !rules.builtins_off.contains(UNCONFIRMED),
        Fate::Executed | Fate::Failed | Fate::Waiting => false,
    }
}

/// Returns the reason why an attempt is an attempt to take control, if it is: it calls a function that changes control,
/// or an address that the configuration does not name calls a function that the subject reserves for those in charge.
pub(crate) fn control_attempt(activity: &Activity, rules: &WatchRules) -> Option<String> {
    if activity.fate != Fate::Reverted {
        return None;
    }
    if let Some((severity, what)) = control::assess_function(activity, rules)
        && severity >= Severity::High
    {
        return Some(format!("the transaction reverted, and was an attempt at this: {what}"));
    }
    let contract = rules.contract();
    let gated = activity.kind == ActivityKind::Call && contract.control.gates.contains(&&*activity.deed.name);
    let knows_owners = !contract.has(Property::OwnersKnownByRegistry) || rules.owners.is_some();
    (gated && knows_owners && !rules.familiar.is_named(&activity.from)).then(|| {
        format!(
            "the transaction reverted: {}, whom nothing here names, tried what is for those in charge",
            activity.from
        )
    })
}

/// Returns whether `activity` requests a change of control, on any contract.
///
/// Setting up a contract that was created in the same transaction takes control from no one.
pub(crate) fn changes_control(activity: &Activity, rules: &WatchRules) -> bool {
    !activity.notes.contains(&Note::Newborn) && control::assess_function(activity, rules).is_some()
}

/// Returns whether `event` reports a change of control that `act` does not request, although their arguments agree.
pub(crate) fn is_change_without_asking(event: &Activity, act: &Activity, rules: &WatchRules) -> bool {
    event.kind == ActivityKind::Event
        && control::assess_control_event(event, rules).is_some()
        && control::assess_function(act, rules).is_none()
        && name_stem(&event.deed.name) != name_stem(&act.deed.name)
}

/// Returns the description of `activity` if a rule has to name it, so that no rule about `*` vouches for it: a change of control, or
/// handing over the subject itself. A `*` means the ordinary acts of an address, not a change of who controls it.
pub(crate) fn needs_a_name(activity: &Activity, rules: &WatchRules) -> Option<String> {
    let loud = |(severity, what): Found| (severity >= Severity::High).then_some(what);
    match activity.kind {
        ActivityKind::Act | ActivityKind::Call if activity.deed.is_by_itself() => {
            Some("it hands over the account itself".to_owned())
        }
        ActivityKind::Act if activity.notes.contains(&Note::Newborn) => None,
        ActivityKind::Act => control::assess_function(activity, rules).and_then(loud),
        ActivityKind::Call => asked_change(activity, rules).and_then(loud),
        ActivityKind::Event => by_whom(control::assess_control_event(activity, rules), activity, rules).and_then(loud),
        ActivityKind::State => (state::state_change_finding(activity).severity >= Severity::High)
            .then(|| "it is a change of control".to_owned()),
        ActivityKind::Move => None,
    }
}

/// Returns whether something of this name is a change of control, on a contract of any kind.
pub(crate) fn may_change_control(name: &str) -> bool {
    control::is_anywhere(name)
}

/// Returns whether an event reports a change of control.
pub(crate) fn is_change(event: &Activity, rules: &WatchRules) -> bool {
    event.kind == ActivityKind::Event && control::assess_control_event(event, rules).is_some()
}

/// Returns the common stem of a name: `pause`, `Paused` and `Pause` have the same one.
fn name_stem(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_suffix("ed").or_else(|| name.strip_suffix('e')).unwrap_or(&name).to_owned()
}

pub(crate) fn finding_with_reason(name: &'static str, severity: Severity, reason: String) -> DefaultFinding {
    DefaultFinding { name, severity, reason: Some(reason) }
}

fn act_findings(activity: &Activity, rules: &WatchRules) -> Vec<DefaultFinding> {
    let to = activity.to.unwrap_or_default();
    let mut costs = Vec::new();
    if activity.notes.contains(&Note::Delegation) {
        let why = if to.is_zero() {
            "the account's delegated code is cleared".to_owned()
        } else {
            format!("from now on the account runs the code of {to}")
        };
        costs.push(finding_with_reason(DELEGATION, Severity::Critical, why));
    }
    if activity.operation == Operation::Delegatecall {
        let why = activity.notes.iter().find_map(|note| match note {
            Note::KnownLibrary(name) => {
                Some(format!("delegatecall to {name}, which is known and changes the Safe itself"))
            }
            _ => None,
        });
        let why = why.unwrap_or_else(|| {
            format!("delegatecall to {to}, which is no known library: it can do anything in the subject's name")
        });
        costs.push(finding_with_reason(DELEGATECALL, Severity::Critical, why));
    }
    if activity.notes.contains(&Note::Destroyed) {
        let why = format!("it destroys itself, and what it held goes to {to}");
        costs.push(finding_with_reason(CONTROL, Severity::Critical, why));
    }
    let changes = control::assess_function(activity, rules).filter(|_| !activity.notes.contains(&Note::Newborn));
    let (loud, quiet): (Vec<_>, Vec<_>) = changes
        .map(|(severity, why)| finding_with_reason(CONTROL, severity, why))
        .into_iter()
        .partition(|cost| cost.severity == Severity::Critical);
    costs.extend(loud);
    costs.extend(
        value::unlimited_allowance_reason(activity).map(|why| finding_with_reason(APPROVAL, Severity::Critical, why)),
    );
    costs.extend(value::drained(activity));
    if activity.operation == Operation::Create {
        costs.push(finding_with_reason(CREATION, Severity::High, "the account creates a contract".to_owned()));
    }
    costs.extend(quiet);
    // A call outside of any envelope also has no signature, but no module made it.
    let by_module =
        || activity.via.iter().any(|around| around.at == rules.address && around.function.starts_with(FROM_MODULE));
    // A transaction in a queue may have no signature yet.
    let unsigned = activity.signers.as_deref() == Some(&[]) && activity.proposal_progress().is_none();
    if rules.contract().has(Property::Modules) && unsigned && by_module() {
        let why = "a module has it done, without any signature, and no rule vouches for it".to_owned();
        costs.push(finding_with_reason(MODULE, Severity::Critical, why));
    }
    costs
}

/// A change of who or what rules that a call asks for.
fn asked_change(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    by_whom(control::assess_function(activity, rules), activity, rules)
}

/// The same change, high at least where nothing in the configuration names whoever brings it about: the caller, or of a log the sender of the
/// transaction and whoever stands in the log.
fn by_whom(found: Option<Found>, activity: &Activity, rules: &WatchRules) -> Option<Found> {
    let (severity, what) = found?;
    let knows = |who: Address| who != rules.address && rules.familiar.is_named(&who);
    let mut named = activity.deed.args.iter().filter_map(|arg| arg.value.as_address());
    let (known, who) = match activity.kind {
        ActivityKind::Call => (knows(activity.from), activity.from),
        _ => (knows(activity.origin) || named.any(knows), activity.origin),
    };
    if known || severity >= Severity::High || !rules.contract().has(Property::RestrictedCancel) {
        return Some((severity, what));
    }
    Some((Severity::High, format!("{what}, and nothing here names {who}, who did it")))
}

fn call_findings(activity: &Activity, rules: &WatchRules) -> Vec<DefaultFinding> {
    let mut costs = Vec::new();
    if activity.notes.contains(&Note::Controller) {
        let why = "the token's controller moves somebody's tokens, and needs no allowance for it".to_owned();
        costs.push(finding_with_reason(CONTROL, Severity::Critical, why));
    }
    if activity.operation == Operation::Create {
        let why = "a contract is made at the watched address: from now on its code is what stands there".to_owned();
        costs.push(finding_with_reason(CREATION, Severity::Critical, why));
    }
    costs.extend(asked_change(activity, rules).map(|(severity, why)| finding_with_reason(CONTROL, severity, why)));
    if activity.notes.contains(&Note::Charged) && costs.is_empty() {
        let why = "the account pays for an operation, and no rule vouches for what that does".to_owned();
        costs.push(finding_with_reason(UNVOUCHED, Severity::High, why));
    }
    costs
}

fn event_findings(activity: &Activity, rules: &WatchRules) -> Vec<DefaultFinding> {
    let deed = &activity.deed;
    let told = by_whom(control::assess_event(activity, rules), activity, rules);
    let mut costs: Vec<DefaultFinding> = told
        .map(|(severity, what)| {
            finding_with_reason(
                CONTROL,
                severity,
                format!("{what}: {} is logged and no judged call explains it", deed.name),
            )
        })
        .into_iter()
        .collect();
    if activity.notes.contains(&Note::FreshVotes) {
        let why = "a vote by power that its voter did not have a day before the proposal's snapshot".to_owned();
        costs.push(finding_with_reason(FRESH_VOTES, Severity::Critical, why));
    }
    match &*deed.name {
        // A watched wallet executed, and no visible call asked for it.
        name if rules.contract().execution_logs.contains(&name) => {
            let why = format!("{} is logged and no call that could be seen explains it", deed.name);
            costs.push(finding_with_reason(OUTFLOW, Severity::Critical, why));
        }
        "ExecutionFailure" | "ExecutionFromModuleFailure" => {
            costs.push(finding_with_reason(INNER_FAILURE, Severity::Warning, format!("{} is logged", deed.name)));
        }
        "Submission" => {
            let why = "a submission arrived through a contract: what it would do could not be seen".to_owned();
            costs.push(finding_with_reason(UNREAD, Severity::Critical, why));
        }
        _ => {}
    }
    costs
}
