//! The multi-owned wallet of Parity and EthDev.
//!
//! Source: Wallet.sol (EthDev, 2015) and WalletLibrary in enhanced-wallet.sol (Parity, 2016). Its owners and limits
//! change by confirmed operations of its own functions. Calls of `init…` emptied and calls of `kill` froze the wallets
//! of 2017.

use super::announced::{AnnouncedCall, Announces, CallSource, LoggedCalls, RequestedCalls, Verb, single_call, word_at};
use super::control::{Control, critical_row, warning_row};
use super::kind::Property::{CarriesOut, RestrictedCancel, Wallet};
use super::kind::{ALLOWANCES_UNREAD, ContractKind, UNLOGGED_BY_WALLETS};
use super::shared_state::{CODE, FITS, HOLDINGS};
use super::state::ItemChange::Becomes;
use super::state::StatedValue::{Anything, Arg};
use super::state::{ReadMethod, StateGroup, cause_row, state_line};
use crate::abi::bundled;
use crate::model::{DecodedCall, Severity};

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
    state: &[OWN_STATE, HOLDINGS, CODE, FITS],
    announces: Some(&Announces {
        proposes: "ConfirmationNeeded",
        carries_out: "SingleTransact",
        by_log: calls_in_log,
        by_call: requested_calls,
        companions: &[("Confirmation(address,bytes32)", 1)],
        log_per_call: false,
        by_others: false,
        timelock: None,
    }),
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

/// `m_numOwners()`
const N_OWNERS: [u8; 4] = [0x41, 0x23, 0xcb, 0x6b];
/// `m_required()`
const REQUIRED: [u8; 4] = [0x74, 0x6c, 0x91, 0x71];
/// `m_dailyLimit()`
const DAILY_LIMIT: [u8; 4] = [0xf1, 0x73, 0x6d, 0x86];

/// Number of owners, and limits. Source: Wallet.sol of Parity.
const OWN_STATE: &StateGroup = &StateGroup {
    lines: &[
        state_line("owners", ReadMethod::View(N_OWNERS)),
        state_line("required", ReadMethod::View(REQUIRED)),
        state_line("daily-limit", ReadMethod::View(DAILY_LIMIT)),
    ],
    causes: &[
        cause_row(
            "owners",
            Becomes,
            &[("addOwner", Anything), ("removeOwner", Anything), ("OwnerAdded", Anything), ("OwnerRemoved", Anything)],
        ),
        cause_row("required", Becomes, &[("changeRequirement", Arg(0)), ("RequirementChanged", Arg(0))]),
        cause_row("daily-limit", Becomes, &[("setDailyLimit", Arg(0))]),
    ],
};

/// Reads the call in a log.
fn calls_in_log(deed: &DecodedCall, _: u64) -> Option<LoggedCalls> {
    let (verb, id, calls) = match &*deed.signature {
        "ConfirmationNeeded(bytes32,address,uint256,address,bytes)" => {
            (Verb::Proposes, word_at(deed, 0), single_call(deed, 3, 2, 4)?)
        }
        "SingleTransact(address,uint256,address,bytes)" | "SingleTransact(address,uint256,address,bytes,address)" => {
            (Verb::CarriesOut, None, single_call(deed, 2, 1, 3)?)
        }
        "MultiTransact(address,bytes32,uint256,address,bytes)"
        | "MultiTransact(address,bytes32,uint256,address,bytes,address)" => {
            (Verb::CarriesOut, word_at(deed, 1), single_call(deed, 3, 2, 4)?)
        }
        _ => return None,
    };
    // The later wallet creates a contract for a call to the zero address, and logs its address.
    let creates = deed.args.last().is_some_and(|arg| &*arg.name == "created");
    let to_nobody = |call: AnnouncedCall| AnnouncedCall { to: call.to.filter(|to| !(creates && to.is_zero())), ..call };
    let calls = CallSource::Listed(calls.into_iter().map(to_nobody).collect());
    Some(LoggedCalls { verb, id, delay: None, calls })
}

/// Reads the call that a call requests or confirms.
fn requested_calls(deed: &DecodedCall) -> Option<RequestedCalls> {
    match &*deed.signature {
        "execute(address,uint256,bytes)" => {
            Some(RequestedCalls { verb: None, ..RequestedCalls::new(Verb::CarriesOut, single_call(deed, 0, 1, 2)) })
        }
        // The last of several confirmations executes the operation; those before it are only counted.
        "confirm(bytes32)" => {
            Some(RequestedCalls { id: word_at(deed, 0), must: false, ..RequestedCalls::new(Verb::CarriesOut, None) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn selectors_are_those_of_their_names() {
        assert_eq!(keccak256("m_numOwners()")[..4], N_OWNERS);
        assert_eq!(keccak256("m_required()")[..4], REQUIRED);
        assert_eq!(keccak256("m_dailyLimit()")[..4], DAILY_LIMIT);
    }
}
