//! Accounts with a key, with or without delegated code.
//!
//! Source: EIP-7702; BaseAccount.sol of ERC-4337 for the calls that an EntryPoint or the key requests.

use super::kind::Property::{Account, Open, SmartAccount};
use super::kind::{ALLOWANCES_UNREAD, ContractKind};
use super::shared_state::{FITS, HOLDINGS};
use super::state::ItemChange::Becomes;
use super::state::StatedValue::{Arg, Nobody};
use super::state::{ReadMethod, StateGroup, cause_row, state_line};
use crate::abi::bundled;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "eoa",
    about: "an account with a key",
    abis: &[bundled::smart_account],
    properties: &[Open, Account, SmartAccount],
    unlogged: "ether that other contracts pay to it",
    unread: Some(ALLOWANCES_UNREAD),
    state: &[OWN_STATE, HOLDINGS, FITS],
    ..ContractKind::BASE
};

/// Delegation of its code, and the number of its transactions. Source: EIP-7702.
const OWN_STATE: &StateGroup = &StateGroup {
    lines: &[state_line("delegate", ReadMethod::Account), state_line("nonce", ReadMethod::Nonce)],
    causes: &[cause_row("delegate", Becomes, &[("delegate code", Arg(0)), ("clear delegation", Nobody)])],
};
