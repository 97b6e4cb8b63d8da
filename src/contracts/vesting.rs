//! Vesting wallets and token locks.
//!
//! Source: VestingWallet.sol of OpenZeppelin 5, whose owner is its beneficiary; TokenVesting.sol of OpenZeppelin 2.
//! Anybody may call `release`: the released tokens go to the beneficiary.

use super::control::{Control, critical_row};
use super::kind::ContractKind;
use super::kind::Property::{Open, Proxy};
use super::shared_state::{FITS, HOLDINGS, OWNER_VIEWS, PROXIED_CODE, PROXY_SLOTS, ROLE_HOLDERS};
use super::state::{ReadMethod, StateGroup, state_line};
use crate::abi::bundled;
use crate::model::state::RELEASED_EARLY;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "vesting",
    about: "vesting wallets and locks",
    abis: &[bundled::vesting, bundled::ownable],
    properties: &[Open, Proxy],
    state: &[PROXY_SLOTS, OWNER_VIEWS, ROLE_HOLDERS, SCHEDULE, HOLDINGS, PROXIED_CODE, FITS],
    control: Control {
        functions: &[
            critical_row("revoke", "what is not yet vested is taken back"),
            critical_row("emergencyRevoke", "what is not yet vested is taken back"),
            critical_row("setBeneficiary", "who is paid changes"),
            critical_row("changeBeneficiary", "who is paid changes"),
            critical_row("transferOwnership", "the owner changes, who is paid"),
            critical_row("init", "a live contract is initialized again"),
            critical_row("initialize", "a live contract is initialized again"),
            critical_row("emergencyExit", "everything is taken out at once"),
            critical_row("emergencyWithdraw", "everything is taken out at once"),
        ],
        events: &[
            critical_row("TokenVestingRevoked", "what was not yet vested was taken back"),
            critical_row("Revoked", "what was not yet vested was taken back"),
            critical_row("BeneficiaryUpdated", "who is paid changed"),
            critical_row("Initialized", "a live contract was initialized again"),
            critical_row("OwnershipTransferred", "the owner changed, who is paid"),
        ],
        public: &["release", "ERC20Released", "EtherReleased", "TokensReleased", "Released"],
        ..Control::BASE
    },
    ..ContractKind::BASE
};

/// Releases beyond the schedule. Source: VestingWallet.sol of OpenZeppelin 5, `vestedAmount` and `released`.
const SCHEDULE: &StateGroup = &StateGroup { lines: &[state_line(RELEASED_EARLY, ReadMethod::Schedule)], causes: &[] };
