//! The legacy MultiSigWallet.
//!
//! Source: MultiSigWallet.sol, MultiSigWalletWithDailyLimit.sol.

use super::control::{Control, Found, WatchedContract, critical_row};
use super::kind::Property::{CarriesOut, EtherLogsAddUp, OwnersKnownByRegistry, RestrictedCancel, Wallet};
use super::kind::{ContractKind, Envelope, UNLOGGED_BY_WALLETS, WALLET_EXECUTION_LOGS};
use super::safe::GET_OWNERS;
use super::shared_state::{CODE, FITS, HOLDINGS};
use super::state::ItemChange::{Becomes, Joins, Leaves};
use super::state::StatedValue::Arg;
use super::state::{ReadMethod, StateGroup, cause_row, slow_line, state_line};
use crate::abi::bundled;
use crate::model::state::OWNER_DELEGATE;
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
    state: &[OWN_STATE, HOLDINGS, CODE, OWNER_CODE, FITS],
    envelope: Some(Envelope::Submission),
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

/// `required()`
const REQUIRED: [u8; 4] = [0xdc, 0x84, 0x52, 0xcd];
/// `dailyLimit()`
const DAILY_LIMIT: [u8; 4] = [0x67, 0xee, 0xba, 0x0c];

/// Owners and limits. Source: MultiSigWallet.sol, MultiSigWalletWithDailyLimit.sol.
const OWN_STATE: &StateGroup = &StateGroup {
    lines: &[
        state_line("owner", ReadMethod::List(GET_OWNERS)),
        state_line("required", ReadMethod::View(REQUIRED)),
        state_line("daily-limit", ReadMethod::View(DAILY_LIMIT)),
    ],
    causes: &[
        cause_row("owner", Joins, &[("addOwner", Arg(0)), ("replaceOwner", Arg(1)), ("OwnerAddition", Arg(0))]),
        cause_row("owner", Leaves, &[("removeOwner", Arg(0)), ("replaceOwner", Arg(0)), ("OwnerRemoval", Arg(0))]),
        cause_row("required", Becomes, &[("changeRequirement", Arg(0)), ("RequirementChange", Arg(0))]),
        cause_row("daily-limit", Becomes, &[("changeDailyLimit", Arg(0)), ("DailyLimitChange", Arg(0))]),
    ],
};

/// Code that its owners run.
const OWNER_CODE: &StateGroup =
    &StateGroup { lines: &[slow_line(OWNER_DELEGATE, ReadMethod::Delegates { of: "owner" })], causes: &[] };

/// Functions that only owners can call. Source: MultiSigWallet.sol, `ownerExists`.
const GATES: &[&str] = &["submitTransaction", "confirmTransaction", "executeTransaction", "revokeConfirmation"];

/// Raises a call of the wallet to itself that the table does not list, since such a call changes the wallet.
fn assess_activity(activity: &Activity, own: &WatchedContract) -> Option<Found> {
    let known = CONTRACT.control.functions.iter().any(|row| row.name == &*activity.deed.name);
    (activity.kind == ActivityKind::Act && activity.to == Some(own.address) && !known)
        .then(|| (Severity::Critical, "the wallet calls itself".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn selectors_are_those_of_their_names() {
        assert_eq!(keccak256("required()")[..4], REQUIRED);
        assert_eq!(keccak256("dailyLimit()")[..4], DAILY_LIMIT);
    }
}
