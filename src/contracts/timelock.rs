//! OpenZeppelin TimelockController and Compound Timelock.
//!
//! Source: TimelockController.sol 5.x; Timelock.sol of Compound. Every act of either on itself changes permissions or
//! the delay before execution.

use super::announced::{
    AnnouncedCall, Announces, CallSource, LoggedCalls, RequestedCalls, Verb, address_at, bytes_at,
    calldata_from_signature, parallel_list_calls, single_call, uint_at, word_at,
};
use super::control::{Control, Found, WatchedContract, critical_row, warning_row};
use super::kind::Property::{
    ActsForGovernors, CarriesOut, Delays, OpenExecutor, Proxy, RestrictedCancel, Roles, Wallet,
};
use super::kind::{ALLOWANCES_UNREAD, ContractKind, UNLOGGED_BY_WALLETS};
use super::shared_state::{FITS, HOLDINGS, OWNER_VIEWS, PROXIED_CODE, PROXY_SLOTS, ROLE_HOLDERS};
use super::state::ItemChange::Becomes;
use super::state::StatedValue::{Anything, Arg, Caller};
use super::state::{ReadMethod, StateGroup, cause_row, state_line};
use crate::abi::bundled;
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, DecodedCall, Severity};
use alloy_primitives::{B256, U256, b256};

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "timelock",
    about: "OpenZeppelin TimelockController, Compound Timelock",
    abis: &[bundled::timelock],
    properties: &[Wallet, CarriesOut, Proxy, Delays, OpenExecutor, ActsForGovernors, Roles, RestrictedCancel],
    entry_points: &["schedule", "scheduleBatch", "execute", "executeBatch", "queueTransaction", "executeTransaction"],
    essentials: &[("delay", false)],
    unlogged: UNLOGGED_BY_WALLETS,
    unread: Some(ALLOWANCES_UNREAD),
    state: &[PROXY_SLOTS, OWNER_VIEWS, ADMIN, ROLE_HOLDERS, EXECUTORS, HOLDINGS, PROXIED_CODE, FITS],
    announces: Some(&Announces {
        proposes: "CallScheduled",
        carries_out: "CallExecuted",
        by_log: calls_in_log,
        by_call: requested_calls,
        companions: &[("CallSalt(bytes32,bytes32)", 0)],
        log_per_call: true,
        by_others: false,
        timelock: None,
    }),
    control: Control {
        unreadable: Severity::Critical,
        functions: &[
            critical_row("updateDelay", "the delay changes"),
            critical_row("setDelay", "the delay changes"),
            critical_row("setPendingAdmin", "the administrator is to change"),
            critical_row("acceptAdmin", "the administrator changes"),
            warning_row("cancel", "a scheduled operation is cancelled"),
            warning_row("cancelTransaction", "a queued transaction is cancelled"),
        ],
        events: &[
            critical_row("MinDelayChange", "the delay changed"),
            critical_row("NewDelay", "the delay changed"),
            critical_row("NewAdmin", "the administrator changed"),
            critical_row("NewPendingAdmin", "the administrator is to change"),
            warning_row("Cancelled", "a scheduled operation was cancelled"),
            warning_row("CancelTransaction", "a queued transaction was cancelled"),
        ],
        gates: GATES,
        weigh: assess_activity,
        elsewhere: true,
        ..Control::BASE
    },
    ..ContractKind::BASE
};

/// `admin()`
const GET_ADMIN: [u8; 4] = [0xf8, 0x51, 0xa4, 0x40];
/// keccak256("EXECUTOR_ROLE"). A holder may execute operations that are due; where the zero address holds the role, any
/// account may. Source: TimelockController.sol, `onlyRoleOrOpenRole`.
const EXECUTOR_ROLE: B256 = b256!("d8aa0f3194971a2a116679f7c2090f6939c8d4e01a2a8d7e41d55e5351469e63");

/// Administrator of Compound's timelock, read after the slot of proxies, which is zero where the contract is not a proxy.
const ADMIN: &StateGroup = &StateGroup {
    lines: &[state_line("timelock-admin", ReadMethod::View(GET_ADMIN))],
    causes: &[cause_row("timelock-admin", Becomes, &[("acceptAdmin", Caller), ("NewAdmin", Arg(0))])],
};

/// Openness of the executor role to everybody.
const EXECUTORS: &StateGroup = &StateGroup {
    lines: &[state_line("open-executor", ReadMethod::OpenRole(EXECUTOR_ROLE))],
    causes: &[cause_row(
        "open-executor",
        Becomes,
        &[
            ("grantRole", Anything),
            ("revokeRole", Anything),
            ("renounceRole", Anything),
            ("RoleGranted", Anything),
            ("RoleRevoked", Anything),
        ],
    )],
};

/// Functions guarded by roles or administrators. Source: TimelockController.sol 5.x; Timelock.sol of Compound.
const GATES: &[&str] = &[
    "schedule",
    "scheduleBatch",
    "execute",
    "executeBatch",
    "cancel",
    "queueTransaction",
    "executeTransaction",
    "cancelTransaction",
];

/// Weighs acts of a timelock on itself. Every such act without a row in the table is critical, roles included.
fn assess_activity(activity: &Activity, own: &WatchedContract) -> Option<Found> {
    let known = CONTRACT.control.functions.iter().any(|row| row.name == &*activity.deed.name);
    (activity.kind == ActivityKind::Act && activity.to == Some(own.address) && !known)
        .then(|| (Severity::Critical, "the timelock changes itself".to_owned()))
}

/// Reads the calls in a log, and the delay until they may be made.
fn calls_in_log(deed: &DecodedCall, time: u64) -> Option<LoggedCalls> {
    let seconds = |number: U256| u64::try_from(number).unwrap_or(u64::MAX);
    let (verb, delay, calls) = match &*deed.signature {
        "CallScheduled(bytes32,uint256,address,uint256,bytes,bytes32,uint256)" => {
            (Verb::Proposes, uint_at(deed, 6).map(seconds), single_call(deed, 2, 3, 4)?)
        }
        "CallExecuted(bytes32,uint256,address,uint256,bytes)" => (Verb::CarriesOut, None, single_call(deed, 2, 3, 4)?),
        "QueueTransaction(bytes32,address,uint256,string,bytes,uint256)" => {
            let wait = uint_at(deed, 5).map(|eta| seconds(eta).saturating_sub(time));
            (Verb::Proposes, wait, call_by_signature(deed, 1)?)
        }
        "ExecuteTransaction(bytes32,address,uint256,string,bytes,uint256)" => {
            (Verb::CarriesOut, None, call_by_signature(deed, 1)?)
        }
        _ => return None,
    };
    Some(LoggedCalls { verb, id: word_at(deed, 0), delay, calls: CallSource::Listed(calls) })
}

/// Reads the calls that a call schedules, queues or executes.
fn requested_calls(deed: &DecodedCall) -> Option<RequestedCalls> {
    let (verb, calls) = match &*deed.signature {
        "schedule(address,uint256,bytes,bytes32,bytes32,uint256)" => (Verb::Proposes, single_call(deed, 0, 1, 2)),
        "scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)" => {
            (Verb::Proposes, parallel_list_calls(deed, 0, 1, None, 2))
        }
        "execute(address,uint256,bytes,bytes32,bytes32)" => (Verb::CarriesOut, single_call(deed, 0, 1, 2)),
        "executeBatch(address[],uint256[],bytes[],bytes32,bytes32)" => {
            (Verb::CarriesOut, parallel_list_calls(deed, 0, 1, None, 2))
        }
        "queueTransaction(address,uint256,string,bytes,uint256)" => (Verb::Proposes, call_by_signature(deed, 0)),
        "executeTransaction(address,uint256,string,bytes,uint256)" => (Verb::CarriesOut, call_by_signature(deed, 0)),
        _ => return None,
    };
    Some(RequestedCalls::new(verb, calls))
}

/// Reads the target, value, signature and arguments of a call of Compound's timelock, from the index of the target on.
fn call_by_signature(deed: &DecodedCall, first: usize) -> Option<Vec<AnnouncedCall>> {
    let Value::String(signature) = &deed.args.get(first + 2)?.value else { return None };
    let data = calldata_from_signature(signature, bytes_at(deed, first + 3)?);
    Some(vec![AnnouncedCall { to: Some(address_at(deed, first)?), value: uint_at(deed, first + 1)?, data }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn selectors_are_those_of_their_names() {
        assert_eq!(keccak256("admin()")[..4], GET_ADMIN);
        assert_eq!(keccak256("EXECUTOR_ROLE"), EXECUTOR_ROLE);
    }
}
