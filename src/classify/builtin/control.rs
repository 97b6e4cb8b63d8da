//! Assessment of functions and events that change control: by the table of the subject's kind, and by names that mean the
//! same on any contract.

use crate::classify::rule::WatchRules;
use crate::contracts::{
    CONTRACTS, ControlRow, EVENTS, FUNCTIONS, Found, assess_any_contract, is_assessed_by_arguments, is_meant,
};
use crate::model::{Activity, ActivityKind, Severity};

/// Returns the severity and the meaning of a call or act that changes control: by the subject's own table if it is
/// about the subject, otherwise by the meaning of the name on any contract.
pub(crate) fn assess_function(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    let here = activity.to == Some(rules.address);
    let own = here.then(|| &rules.contract().control);
    if let Some(found) = own.and_then(|control| (control.weigh)(activity, &rules.watched_contract())) {
        return Some(found);
    }
    activity.deed.selector?;
    let named_here = own.and_then(|control| named_in(control.functions, &activity.deed.name));
    let meant = |_: &Found| is_meant(activity, &rules.watched_contract());
    let named = || named_in(FUNCTIONS, &activity.deed.name).filter(meant);
    let elsewhere = || {
        let mut controls = CONTRACTS.iter().map(|contract| &contract.control).filter(|control| control.elsewhere);
        let found = controls.find_map(|control| named_in(control.functions, &activity.deed.name));
        found.filter(|(severity, _)| !here && activity.kind == ActivityKind::Act && *severity >= Severity::High)
    };
    named_here.or_else(|| assess_any_contract(activity)).or_else(named).or_else(elsewhere)
}

/// Returns whether any table has a function or an event of this name, or assesses it by its arguments.
pub(crate) fn is_anywhere(name: &str) -> bool {
    let of_kinds = CONTRACTS.iter().flat_map(|contract| [contract.control.functions, contract.control.events]);
    is_assessed_by_arguments(name) || of_kinds.chain([FUNCTIONS, EVENTS]).flatten().any(|row| row.name == name)
}

/// Returns the severity and the meaning of an event that reports a change of control, or tokens minted or burned.
pub(crate) fn assess_event(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    (rules.contract().control.weigh)(activity, &rules.watched_contract())
        .or_else(|| assess_control_event(activity, rules))
}

/// Returns the severity and the meaning of an event that reports a change of control.
pub(crate) fn assess_control_event(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    let name = &*activity.deed.name;
    let named_here = named_in(rules.contract().control.events, name);
    let named = || named_in(EVENTS, name).filter(|_| is_meant(activity, &rules.watched_contract()));
    named_here.or_else(|| assess_any_contract(activity)).or_else(named)
}

fn named_in(rows: &[ControlRow], name: &str) -> Option<Found> {
    rows.iter().find(|row| row.name == name).map(|row| (row.severity, row.what.to_owned()))
}
