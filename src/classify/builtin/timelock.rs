//! OpenZeppelin TimelockController and Compound Timelock.
//!
//! Source: TimelockController.sol 5.x; Timelock.sol of Compound. Every act of either on itself changes permissions or
//! the delay before execution.

use super::table::{Found, Table, critical_row, warning_row};
use crate::classify::rule::WatchRules;
use crate::model::{Activity, ActivityKind, Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::Timelock,
    unreadable: Severity::Critical,
    functions: &[
        critical_row("updateDelay", "the delay changes"),
        critical_row("setDelay", "the delay changes"),
        critical_row("setPendingAdmin", "the administrator is to change"),
        critical_row("acceptAdmin", "the administrator changes"),
        warning_row("cancel", "a scheduled operation is cancelled"),
        warning_row("cancelTransaction", "a queued transaction is cancelled"),
    ],
    events: &[
        critical_row("MinDelayChange", "the delay changed"),
        critical_row("NewDelay", "the delay changed"),
        critical_row("NewAdmin", "the administrator changed"),
        critical_row("NewPendingAdmin", "the administrator is to change"),
        warning_row("Cancelled", "a scheduled operation was cancelled"),
        warning_row("CancelTransaction", "a queued transaction was cancelled"),
    ],
    public: &[],
    gates: GATES,
    weigh: assess_activity,
};

/// Functions guarded by roles or administrators. Source: TimelockController.sol 5.x; Timelock.sol of Compound.
const GATES: &[&str] = &[
    "schedule",
    "scheduleBatch",
    "execute",
    "executeBatch",
    "cancel",
    "queueTransaction",
    "executeTransaction",
    "cancelTransaction",
];

/// Weighs acts of a timelock on itself. Every such act without a row in the table is critical, roles included.
fn assess_activity(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    let known = TABLE.functions.iter().any(|row| row.name == &*activity.deed.name);
    (activity.kind == ActivityKind::Act && activity.to == Some(rules.address) && !known)
        .then(|| (Severity::Critical, "the timelock changes itself".to_owned()))
}
