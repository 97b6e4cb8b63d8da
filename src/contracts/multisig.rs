//! The legacy MultiSigWallet.
//!
//! Source: MultiSigWallet.sol, MultiSigWalletWithDailyLimit.sol.

use super::control::{Control, Found, WatchedContract, critical_row};
use super::kind::Property::{CarriesOut, EtherLogsAddUp, OwnersKnownByRegistry, RestrictedCancel, Wallet};
use super::kind::{ContractKind, UNLOGGED_BY_WALLETS, WALLET_EXECUTION_LOGS};
use crate::abi::bundled;
use crate::model::{Activity, ActivityKind, Severity};

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "multisig",
    about: "the legacy MultiSigWallet, with or without daily limit",
    abis: &[bundled::multisig_wallet],
    properties: &[Wallet, CarriesOut, EtherLogsAddUp, RestrictedCancel, OwnersKnownByRegistry],
    entry_points: &["submitTransaction", "confirmTransaction", "executeTransaction"],
    essentials: &[("required", true)],
    ether_logs: &["Deposit(address,uint256)"],
    execution_logs: WALLET_EXECUTION_LOGS,
    threshold_item: "required",
    unlogged: UNLOGGED_BY_WALLETS,
    unread: Some("what a confirmation executes and who confirmed it"),
    control: Control {
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
        gates: GATES,
        weigh: assess_activity,
        ..Control::BASE
    },
    ..ContractKind::BASE
};

/// Functions that only owners can call. Source: MultiSigWallet.sol, `ownerExists`.
const GATES: &[&str] = &["submitTransaction", "confirmTransaction", "executeTransaction", "revokeConfirmation"];

/// Raises a call of the wallet to itself that the table does not list, since such a call changes the wallet.
fn assess_activity(activity: &Activity, own: &WatchedContract) -> Option<Found> {
    let known = CONTRACT.control.functions.iter().any(|row| row.name == &*activity.deed.name);
    (activity.kind == ActivityKind::Act && activity.to == Some(own.address) && !known)
        .then(|| (Severity::Critical, "the wallet calls itself".to_owned()))
}
