//! The multi-owned wallet of Parity and EthDev.
//!
//! Source: Wallet.sol (EthDev, 2015) and WalletLibrary in enhanced-wallet.sol (Parity, 2016). Its owners and limits
//! change by confirmed operations of its own functions. Calls of `init…` emptied and calls of `kill` froze the wallets
//! of 2017.

use super::control::{Control, critical_row, warning_row};
use super::kind::Property::{CarriesOut, RestrictedCancel, Wallet};
use super::kind::{ALLOWANCES_UNREAD, ContractKind, UNLOGGED_BY_WALLETS};
use crate::abi::bundled;
use crate::model::Severity;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "parity-multisig",
    about: "the multi-owned wallet of EthDev and Parity",
    abis: &[bundled::parity_multisig],
    properties: &[Wallet, CarriesOut, RestrictedCancel],
    entry_points: &["execute", "confirm"],
    ether_logs: &["Deposit(address,uint256)"],
    threshold_item: "required",
    unlogged: UNLOGGED_BY_WALLETS,
    unread: Some(ALLOWANCES_UNREAD),
    control: Control {
        unreadable: Severity::Critical,
        functions: &[
            critical_row("initWallet", "a live wallet is initialized again: whoever does it owns it"),
            critical_row("initMultiowned", "a live wallet's owners are set anew"),
            critical_row("initDaylimit", "a live wallet's daily limit is set anew"),
            critical_row("kill", "the wallet is destroyed and its ether sent away"),
            critical_row("changeOwner", "an owner is replaced"),
            critical_row("addOwner", "an owner is added"),
            critical_row("removeOwner", "an owner is removed"),
            critical_row("changeRequirement", "the number of confirmations required changes"),
            critical_row("setDailyLimit", "the daily limit changes"),
            critical_row("resetSpentToday", "what was spent today is forgotten"),
            warning_row("revoke", "a confirmation is taken back"),
        ],
        events: &[
            critical_row("OwnerChanged", "an owner was replaced"),
            critical_row("OwnerAdded", "an owner was added"),
            critical_row("OwnerRemoved", "an owner was removed"),
            critical_row("RequirementChanged", "the number of confirmations required changed"),
            warning_row("Revoke", "a confirmation was taken back"),
        ],
        ..Control::BASE
    },
    ..ContractKind::BASE
};
