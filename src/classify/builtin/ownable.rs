//! Single owner of a contract, under its various names.
//!
//! Source: Ownable.sol and Ownable2Step.sol of OpenZeppelin, Owned.sol and Auth.sol of DappHub, Solmate and Solady, the administrators of
//! Compound, the two-step owners of Curve.

use super::table::{Table, critical, high, names_say_all};
use crate::model::{Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::Ownable,
    unreadable: Severity::High,
    functions: &[
        critical("claimOwnership", "ownership changes hands"),
        critical("nominateNewOwner", "ownership is to change hands"),
        critical("setAdmin", "the administrator changes"),
        critical("_setPendingAdmin", "the administrator is to change"),
        critical("_acceptAdmin", "the administrator changes"),
        critical("commit_transfer_ownership", "ownership is to change hands"),
        critical("apply_transfer_ownership", "ownership changes hands"),
        critical("accept_transfer_ownership", "ownership changes hands"),
        critical("setGovernance", "the governance changes"),
        critical("setPendingGovernance", "the governance is to change"),
        critical("acceptGovernance", "the governance changes"),
        critical("completeOwnershipHandover", "ownership changes hands"),
        high("requestOwnershipHandover", "somebody asks for the ownership"),
        critical("hope", "an account is given authority"),
        critical("nope", "an account loses authority"),
    ],
    events: &[
        high("OwnershipTransferRequested", "ownership is to change hands"),
        high("OwnershipHandoverRequested", "somebody asks for the ownership"),
        high("OwnerNominated", "ownership is to change hands"),
        high("CommitOwnership", "ownership is to change hands"),
        critical("ApplyOwnership", "ownership changed hands"),
        critical("AuthorityUpdated", "the authority changed"),
    ],
    public: &[],
    gates: &[],
    weigh: names_say_all,
};
