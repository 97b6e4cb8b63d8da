//! OpenZeppelin TimelockController and Compound Timelock.
//!
//! Source: TimelockController.sol 5.x; Timelock.sol of Compound. Every act of either on itself changes permissions or
//! the delay before execution.

use super::table::{Found, Table, critical, warning};
use crate::classify::rule::WatchRules;
use crate::model::{Activity, ActivityKind, Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::Timelock,
    unreadable: Severity::Critical,
    functions: &[
        critical("updateDelay", "the delay changes"),
        critical("setDelay", "the delay changes"),
        critical("setPendingAdmin", "the administrator is to change"),
        critical("acceptAdmin", "the administrator changes"),
        warning("cancel", "a scheduled operation is cancelled"),
        warning("cancelTransaction", "a queued transaction is cancelled"),
    ],
    events: &[
        critical("MinDelayChange", "the delay changed"),
        critical("NewDelay", "the delay changed"),
        critical("NewAdmin", "the administrator changed"),
        critical("NewPendingAdmin", "the administrator is to change"),
        warning("Cancelled", "a scheduled operation was cancelled"),
        warning("CancelTransaction", "a queued transaction was cancelled"),
    ],
    public: &[],
    gates: GATES,
    weigh,
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
fn weigh(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    let known = TABLE.functions.iter().any(|row| row.name == &*activity.deed.name);
    (activity.kind == ActivityKind::Act && activity.to == Some(rules.address) && !known)
        .then(|| (Severity::Critical, "the timelock changes itself".to_owned()))
}
