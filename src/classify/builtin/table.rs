//! Tables of the functions and events of each kind of subject: one table per kind, and one for any contract.
//!
//! A new kind is a file with a [`Table`] and a line in [`TABLES`].

use super::{access, any, ens, erc20, governor, minime, multisig, ownable, parity, proxy, safe, timelock, vesting};
use crate::classify::rule::WatchRules;
use crate::model::{Activity, ActivityKind, Kind, Severity};

/// Tables of all kinds that have functions and events of their own. `contract` and `eoa` have none, because nothing is
/// known about them in advance.
pub(crate) static TABLES: &[&Table] = &[
    &safe::TABLE,
    &multisig::TABLE,
    &parity::TABLE,
    &timelock::TABLE,
    &governor::TABLE,
    &erc20::TABLE,
    &minime::TABLE,
    &proxy::TABLE,
    &ownable::TABLE,
    &access::TABLE,
    &vesting::TABLE,
    &ens::TABLE,
];

/// Table of one kind of subject.
pub(crate) struct Table {
    /// Kind that the table describes.
    pub(crate) kind: Kind,
    /// Severity of bytes that cannot be read, where the subject is the wallet or the token that everything depends on.
    pub(crate) unreadable: Severity,
    /// Functions of the subject that change control of it, called by itself or by others.
    pub(crate) functions: &'static [Row],
    /// Events of the subject that report such a change, where no judged call explains them.
    pub(crate) events: &'static [Row],
    /// Functions that anybody may call, and the events that follow; normal use of such a contract.
    pub(crate) public: &'static [&'static str],
    /// Functions that make the subject execute or record what others decided and that are restricted to authorized
    /// callers. A failed call of one is an attempt to take control.
    pub(crate) gates: &'static [&'static str],
    /// Check that depends on the arguments and not on the name alone; runs first.
    pub(crate) weigh: fn(&Activity, &WatchRules) -> Option<Found>,
}

/// Severity of a match, and its meaning in words.
pub(crate) type Found = (Severity, String);

/// Function or event of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Name of the function or event; all overloads have the same meaning.
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    /// Effect of the function, for the reason on a page; for an event, the change that it reports.
    pub(crate) what: &'static str,
}

pub(crate) const fn critical_row(name: &'static str, what: &'static str) -> Row {
    Row { name, severity: Severity::Critical, what }
}

pub(crate) const fn high_row(name: &'static str, what: &'static str) -> Row {
    Row { name, severity: Severity::High, what }
}

pub(crate) const fn warning_row(name: &'static str, what: &'static str) -> Row {
    Row { name, severity: Severity::Warning, what }
}

/// `weigh` of a table in which every name has one meaning.
pub(crate) fn names_say_all(_: &Activity, _: &WatchRules) -> Option<Found> {
    None
}

/// The table of a kind, if it has one.
pub(crate) fn table_for_kind(kind: Kind) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.kind == kind).copied()
}

/// Returns the severity and the meaning of a call or act that changes control: by the subject's own table if it is
/// about the subject, otherwise by the meaning of the name on any contract.
pub(crate) fn assess_function(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    let here = activity.to == Some(rules.address);
    let own = table_for_kind(rules.kind).filter(|_| here);
    if let Some(found) = own.and_then(|table| (table.weigh)(activity, rules)) {
        return Some(found);
    }
    activity.deed.selector?;
    let named_here = own.and_then(|table| named_in(table.functions, &activity.deed.name));
    let named = || named_in(any::FUNCTIONS, &activity.deed.name).filter(|_| any::is_meant(activity, rules));
    let elsewhere = || {
        let found = ELSEWHERE.iter().find_map(|table| named_in(table.functions, &activity.deed.name));
        found.filter(|(severity, _)| !here && activity.kind == ActivityKind::Act && *severity >= Severity::High)
    };
    named_here.or_else(|| any::assess_activity(activity, rules)).or_else(named).or_else(elsewhere)
}

/// Kinds whose functions mean the same wherever the subject calls them, watched or not.
static ELSEWHERE: &[&Table] = &[&ownable::TABLE, &access::TABLE, &proxy::TABLE, &timelock::TABLE, &governor::TABLE];

/// Returns whether any table has a function or an event of this name, or assesses it by its arguments.
pub(crate) fn is_anywhere(name: &str) -> bool {
    let of_kinds = TABLES.iter().flat_map(|table| [table.functions, table.events]);
    let by_arguments = ["grantRole", "revokeRole", "renounceRole", "RoleGranted", "RoleRevoked"].contains(&name);
    by_arguments || of_kinds.chain([any::FUNCTIONS, any::EVENTS]).flatten().any(|row| row.name == name)
}

/// Returns the severity and the meaning of an event that reports a change of control, or tokens minted or burned.
pub(crate) fn assess_event(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    table_for_kind(rules.kind)
        .and_then(|table| (table.weigh)(activity, rules))
        .or_else(|| assess_control_event(activity, rules))
}

/// Returns the severity and the meaning of an event that reports a change of control.
pub(crate) fn assess_control_event(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    let name = &*activity.deed.name;
    let named_here = table_for_kind(rules.kind).and_then(|table| named_in(table.events, name));
    let named = || named_in(any::EVENTS, name).filter(|_| any::is_meant(activity, rules));
    named_here.or_else(|| any::assess_activity(activity, rules)).or_else(named)
}

fn named_in(rows: &[Row], name: &str) -> Option<Found> {
    rows.iter().find(|row| row.name == name).map(|row| (row.severity, row.what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_but_the_two_of_which_nothing_is_known_has_one_table() {
        let tables: Vec<Kind> = TABLES.iter().map(|table| table.kind).collect();
        let blank = [Kind::Contract, Kind::Eoa];
        for kind in Kind::ALL {
            let n_tables = tables.iter().filter(|known| **known == kind).count();
            assert_eq!(n_tables, usize::from(!blank.contains(&kind)), "{kind}");
        }
    }

    #[test]
    fn no_table_says_two_things_of_one_name() {
        let lists = TABLES.iter().flat_map(|table| [table.functions, table.events]);
        for rows in lists.chain([any::FUNCTIONS, any::EVENTS]) {
            let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
            assert_eq!(names.len(), rows.len(), "{rows:?}");
        }
    }
}
