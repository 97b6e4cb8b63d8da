//! The legacy MultiSigWallet.
//!
//! Source: MultiSigWallet.sol, MultiSigWalletWithDailyLimit.sol.

use super::table::{Found, Table, critical};
use crate::classify::rule::WatchRules;
use crate::model::{Activity, ActivityKind, Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::Multisig,
    unreadable: Severity::Critical,
    functions: &[
        critical("addOwner", "an owner is added"),
        critical("removeOwner", "an owner is removed"),
        critical("replaceOwner", "an owner is replaced"),
        critical("changeRequirement", "the number of confirmations required changes"),
        critical("changeDailyLimit", "the daily limit changes"),
    ],
    events: &[
        critical("OwnerAddition", "an owner was added"),
        critical("OwnerRemoval", "an owner was removed"),
        critical("RequirementChange", "the number of confirmations required changed"),
        critical("DailyLimitChange", "the daily limit changed"),
    ],
    public: &[],
    gates: GATES,
    weigh,
};

/// Functions that only owners can call. Source: MultiSigWallet.sol, `ownerExists`.
const GATES: &[&str] = &["submitTransaction", "confirmTransaction", "executeTransaction", "revokeConfirmation"];

/// Raises a call of the wallet to itself that the table does not list, since such a call changes the wallet.
fn weigh(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    let known = TABLE.functions.iter().any(|row| row.name == &*activity.deed.name);
    (activity.kind == ActivityKind::Act && activity.to == Some(rules.address) && !known)
        .then(|| (Severity::Critical, "the wallet calls itself".to_owned()))
}
