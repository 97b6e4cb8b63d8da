//! Accounts with a key, with or without delegated code.
//!
//! Source: EIP-7702; BaseAccount.sol of ERC-4337 for the calls that an EntryPoint or the key requests.

use super::kind::Property::{Account, Open, SmartAccount};
use super::kind::{ALLOWANCES_UNREAD, ContractKind};
use crate::abi::bundled;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "eoa",
    about: "an account with a key",
    abis: &[bundled::smart_account],
    properties: &[Open, Account, SmartAccount],
    unlogged: "ether that other contracts pay to it",
    unread: Some(ALLOWANCES_UNREAD),
    ..ContractKind::BASE
};
