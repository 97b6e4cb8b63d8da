//! Vesting wallets and token locks.
//!
//! Source: VestingWallet.sol of OpenZeppelin 5, whose owner is its beneficiary; TokenVesting.sol of OpenZeppelin 2.
//! Anybody may call `release`: the released tokens go to the beneficiary.

use super::table::{Table, critical, names_say_all};
use crate::model::{Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::Vesting,
    unreadable: Severity::High,
    functions: &[
        critical("revoke", "what is not yet vested is taken back"),
        critical("emergencyRevoke", "what is not yet vested is taken back"),
        critical("setBeneficiary", "who is paid changes"),
        critical("changeBeneficiary", "who is paid changes"),
        critical("transferOwnership", "the owner changes, who is paid"),
        critical("init", "a live contract is initialized again"),
        critical("initialize", "a live contract is initialized again"),
        critical("emergencyExit", "everything is taken out at once"),
        critical("emergencyWithdraw", "everything is taken out at once"),
    ],
    events: &[
        critical("TokenVestingRevoked", "what was not yet vested was taken back"),
        critical("Revoked", "what was not yet vested was taken back"),
        critical("BeneficiaryUpdated", "who is paid changed"),
        critical("Initialized", "a live contract was initialized again"),
        critical("OwnershipTransferred", "the owner changed, who is paid"),
    ],
    public: &["release", "ERC20Released", "EtherReleased", "TokensReleased", "Released"],
    gates: &[],
    weigh: names_say_all,
};
