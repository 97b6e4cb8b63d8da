//! The legacy MultiSigWallet.
//!
//! Source: MultiSigWallet.sol, MultiSigWalletWithDailyLimit.sol.

use super::table::{Found, Table, critical_row};
use crate::classify::rule::WatchRules;
use crate::model::{Activity, ActivityKind, Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::Multisig,
    unreadable: Severity::Critical,
    functions: &[
        critical_row("addOwner", "an owner is added"),
        critical_row("removeOwner", "an owner is removed"),
        critical_row("replaceOwner", "an owner is replaced"),
        critical_row("changeRequirement", "the number of confirmations required changes"),
        critical_row("changeDailyLimit", "the daily limit changes"),
    ],
    events: &[
        critical_row("OwnerAddition", "an owner was added"),
        critical_row("OwnerRemoval", "an owner was removed"),
        critical_row("RequirementChange", "the number of confirmations required changed"),
        critical_row("DailyLimitChange", "the daily limit changed"),
    ],
    public: &[],
    gates: GATES,
    weigh: assess_activity,
};

/// Functions that only owners can call. Source: MultiSigWallet.sol, `ownerExists`.
const GATES: &[&str] = &["submitTransaction", "confirmTransaction", "executeTransaction", "revokeConfirmation"];

/// Raises a call of the wallet to itself that the table does not list, since such a call changes the wallet.
fn assess_activity(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    let known = TABLE.functions.iter().any(|row| row.name == &*activity.deed.name);
    (activity.kind == ActivityKind::Act && activity.to == Some(rules.address) && !known)
        .then(|| (Severity::Critical, "the wallet calls itself".to_owned()))
}
