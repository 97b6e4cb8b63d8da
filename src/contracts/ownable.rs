//! Single owner of a contract, under its various names.
//!
//! Source: Ownable.sol and Ownable2Step.sol of OpenZeppelin, Owned.sol and Auth.sol of DappHub, Solmate and Solady, the administrators of
//! Compound, the two-step owners of Curve.

use super::control::{Control, critical_row, high_row};
use super::kind::ContractKind;
use super::kind::Property::{LogsFollowCalls, Open, Proxy};
use crate::abi::bundled;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "ownable",
    about: "one owner, under any of the usual names",
    abis: &[bundled::ownable],
    properties: &[Open, Proxy, LogsFollowCalls],
    control: Control {
        functions: &[
            critical_row("claimOwnership", "ownership changes hands"),
            critical_row("nominateNewOwner", "ownership is to change hands"),
            critical_row("setAdmin", "the administrator changes"),
            critical_row("_setPendingAdmin", "the administrator is to change"),
            critical_row("_acceptAdmin", "the administrator changes"),
            critical_row("commit_transfer_ownership", "ownership is to change hands"),
            critical_row("apply_transfer_ownership", "ownership changes hands"),
            critical_row("accept_transfer_ownership", "ownership changes hands"),
            critical_row("setGovernance", "the governance changes"),
            critical_row("setPendingGovernance", "the governance is to change"),
            critical_row("acceptGovernance", "the governance changes"),
            critical_row("completeOwnershipHandover", "ownership changes hands"),
            high_row("requestOwnershipHandover", "somebody asks for the ownership"),
            critical_row("hope", "an account is given authority"),
            critical_row("nope", "an account loses authority"),
        ],
        events: &[
            high_row("OwnershipTransferRequested", "ownership is to change hands"),
            high_row("OwnershipHandoverRequested", "somebody asks for the ownership"),
            high_row("OwnerNominated", "ownership is to change hands"),
            high_row("CommitOwnership", "ownership is to change hands"),
            critical_row("ApplyOwnership", "ownership changed hands"),
            critical_row("AuthorityUpdated", "the authority changed"),
        ],
        elsewhere: true,
        ..Control::BASE
    },
    ..ContractKind::BASE
};
