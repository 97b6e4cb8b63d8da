//! OpenZeppelin TimelockController and Compound Timelock.
//!
//! Source: TimelockController.sol 5.x; Timelock.sol of Compound. Every act of either on itself changes permissions or
//! the delay before execution.

use super::control::{Control, Found, WatchedContract, critical_row, warning_row};
use super::kind::Property::{CarriesOut, Delays, OpenExecutor, Proxy, RestrictedCancel, Roles, Wallet};
use super::kind::{ALLOWANCES_UNREAD, ContractKind, UNLOGGED_BY_WALLETS};
use crate::abi::bundled;
use crate::model::{Activity, ActivityKind, Severity};

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "timelock",
    about: "OpenZeppelin TimelockController, Compound Timelock",
    abis: &[bundled::timelock],
    properties: &[Wallet, CarriesOut, Proxy, Delays, OpenExecutor, Roles, RestrictedCancel],
    entry_points: &["schedule", "scheduleBatch", "execute", "executeBatch", "queueTransaction", "executeTransaction"],
    essentials: &[("delay", false)],
    unlogged: UNLOGGED_BY_WALLETS,
    unread: Some(ALLOWANCES_UNREAD),
    control: Control {
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
        gates: GATES,
        weigh: assess_activity,
        elsewhere: true,
        ..Control::BASE
    },
    ..ContractKind::BASE
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
fn assess_activity(activity: &Activity, own: &WatchedContract) -> Option<Found> {
    let known = CONTRACT.control.functions.iter().any(|row| row.name == &*activity.deed.name);
    (activity.kind == ActivityKind::Act && activity.to == Some(own.address) && !known)
        .then(|| (Severity::Critical, "the timelock changes itself".to_owned()))
}
