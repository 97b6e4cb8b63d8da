//! The multi-owned wallet of Parity and EthDev.
//!
//! Source: Wallet.sol (EthDev, 2015) and WalletLibrary in enhanced-wallet.sol (Parity, 2016). Its owners and limits
//! change by confirmed operations of its own functions. Calls of `init…` emptied and calls of `kill` froze the wallets
//! of 2017.

use super::table::{Table, critical, names_say_all, warning};
use crate::model::{Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::ParityMultisig,
    unreadable: Severity::Critical,
    functions: &[
        critical("initWallet", "a live wallet is initialized again: whoever does it owns it"),
        critical("initMultiowned", "a live wallet's owners are set anew"),
        critical("initDaylimit", "a live wallet's daily limit is set anew"),
        critical("kill", "the wallet is destroyed and its ether sent away"),
        critical("changeOwner", "an owner is replaced"),
        critical("addOwner", "an owner is added"),
        critical("removeOwner", "an owner is removed"),
        critical("changeRequirement", "the number of confirmations required changes"),
        critical("setDailyLimit", "the daily limit changes"),
        critical("resetSpentToday", "what was spent today is forgotten"),
        warning("revoke", "a confirmation is taken back"),
    ],
    events: &[
        critical("OwnerChanged", "an owner was replaced"),
        critical("OwnerAdded", "an owner was added"),
        critical("OwnerRemoved", "an owner was removed"),
        critical("RequirementChanged", "the number of confirmations required changed"),
        warning("Revoke", "a confirmation was taken back"),
    ],
    public: &[],
    gates: &[],
    weigh: names_say_all,
};
