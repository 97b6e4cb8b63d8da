//! Which act explains a log: its emitter, parties and amounts must all agree, and each act explains each of its logs once.
//!
//! What nothing explains stands as an activity of its own and needs a rule of its own. That is how a token that leaves by an
//! allowance, or an owner added by foreign code, is found under an innocent transaction.

use super::deed::{address_at, uint_at};
use super::frames::{Frame, Shape};
use super::logs::{APPROVAL, TRANSFER, amount};
use super::{multisig, safe};
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Fate, Log, Operation, Tx, WatchId};
use alloy_primitives::{Address, B256, U256};
use std::collections::HashSet;

/// Joins logs to the frames that explain them.
pub(crate) struct Explainer<'a> {
    frames: &'a [Frame],
    tx: &'a Tx,
    acts: std::ops::Range<usize>,
    /// Effects already used up, by frame and by the watch that was told of them.
    spent: HashSet<(usize, WatchId, B256, u8)>,
}

impl<'a> Explainer<'a> {
    /// `first..end` are the activities made of `frames`.
    pub(crate) fn new(frames: &'a [Frame], tx: &'a Tx, first: usize, end: usize) -> Self {
        Self { frames, tx, acts: first..end, spent: HashSet::new() }
    }

    /// The activity of the same watch that explains `log`, if there is one; it is used up by that.
    pub(crate) fn explain(&mut self, told: &Activity, log: &Log, activities: &[Activity]) -> Option<usize> {
        let topic = log.topics.first().copied()?;
        for (index, frame) in self.frames.iter().enumerate() {
            // A failed, reverted or merely proposed call has no effects; an envelope logs its own failure, though.
            let lives = matches!(frame.fate, Fate::Executed) && frame.operation != Operation::Delegatecall;
            if !lives {
                continue;
            }
            let Some(act) =
                frame.acts.iter().copied().find(|at| {
                    self.acts.contains(at) && activities.get(*at).is_some_and(|act| act.watch == told.watch)
                })
            else {
                continue;
            };
            let Some(nth) = explains(frame, log, told, self.tx) else { continue };
            if self.spent.insert((index, told.watch, topic, nth)) {
                return Some(act);
            }
        }
        None
    }
}

/// Whether `frame`, having run, writes this log. The number tells apart several logs of one topic that one call writes.
fn explains(frame: &Frame, log: &Log, told: &Activity, tx: &Tx) -> Option<u8> {
    let target = frame.target?;
    let topic = *log.topics.first()?;
    if frame.shape.is_envelope() {
        return (envelope(frame, log, target, topic) || refund(frame, log, target, tx)).then_some(0);
    }
    if log.address != target {
        return None;
    }
    if matches!(topic, TRANSFER | APPROVAL) {
        return token(frame, log, topic);
    }
    if frame.deed.selector.is_none() {
        // Plain ether: `SafeReceived(sender, value)`, `Deposit(sender, value)`, WETH9 `Deposit(dst, wad)`.
        let told_of: Vec<&Value> = told.deed.args.iter().map(|arg| &arg.value).collect();
        return matches!(told_of.as_slice(), [Value::Address(who), Value::Uint(wei)] if *who == frame.caller && *wei == frame.value)
            .then_some(0);
    }
    agrees(frame, told, target).then_some(0)
}

/// What a wallet logs of carrying something out.
fn envelope(frame: &Frame, log: &Log, wallet: Address, topic: B256) -> bool {
    if log.address != wallet {
        return false;
    }
    let own = frame.confirmed_by == Some(log.ordinal);
    match &frame.shape {
        Shape::SafeExec(_) | Shape::ModuleExec if safe::is_execution(log) || is_module_log(topic) => own,
        // SafeL2 repeats the call in a log before it runs it; the words must be the same.
        Shape::SafeExec(_) => topic == safe::L2_MULTISIG && repeats_call(frame, log),
        Shape::ModuleExec => topic == safe::L2_MODULE && log.data.len() >= 32,
        Shape::Proposal { id, .. } => {
            let names = |word: Option<&B256>| id.is_some_and(|id| word == Some(&B256::from(id)));
            match topic {
                multisig::SUBMISSION | multisig::EXECUTION | multisig::EXECUTION_FAILURE => names(log.topics.get(1)),
                multisig::CONFIRMATION => {
                    names(log.topics.get(2)) && log.topics.get(1) == Some(&frame.caller.into_word())
                }
                _ => false,
            }
        }
        Shape::Plain | Shape::Batch => false,
    }
}

/// A token paid for the execution: to whom the fields say, and as much as the Safe's own log says.
///
/// Source: Safe.sol `handlePayment`: a zero receiver means the sender of the transaction.
fn refund(frame: &Frame, log: &Log, wallet: Address, tx: &Tx) -> bool {
    let Shape::SafeExec(exec) = &frame.shape else { return false };
    let Some(receiver) = exec.refund() else { return false };
    let receiver = if receiver.is_zero() { tx.from } else { receiver };
    let paid = frame.confirmed_by.and_then(|ordinal| tx.logs.get(ordinal as usize)).and_then(safe::logged_payment);
    log.address == exec.gas_token()
        && log.topics[..] == [TRANSFER, wallet.into_word(), receiver.into_word()]
        && paid == Some(amount(log))
}

fn is_module_log(topic: B256) -> bool {
    matches!(topic, safe::MODULE_SUCCESS | safe::MODULE_FAILURE)
}

/// `SafeMultiSigTransaction(to, value, data, operation, ...)`: target and value stand in the first two words.
fn repeats_call(frame: &Frame, log: &Log) -> bool {
    let (Some(to), Some(value)) = (address_at(&frame.deed, 0), uint_at(&frame.deed, 1)) else { return false };
    let words = log.data.first_chunk::<64>();
    words.is_some_and(|words| words[..32] == to.into_word()[..] && words[32..] == value.to_be_bytes::<32>())
}

/// ERC-20, WETH9 and MiniMe: which transfer or approval a call to the token makes.
///
/// Source: EIP-20; MiniMeToken.sol `generateTokens`, `destroyTokens`, `approveAndCall`; OpenZeppelin ERC20 4.x also logs the
/// allowance that `transferFrom` leaves.
fn token(frame: &Frame, log: &Log, topic: B256) -> Option<u8> {
    let [_, one, other, ..] = log.topics.as_slice() else { return None };
    let (one, other) = (Address::from_word(*one), Address::from_word(*other));
    let deed = &frame.deed;
    let caller = frame.caller;
    let sum = amount(log);
    let is = |from: Option<Address>, to: Option<Address>, value: Option<U256>| {
        (from == Some(one) && to == Some(other) && value == Some(sum)).then_some(0)
    };
    let zero = Some(Address::ZERO);
    match (&*deed.signature, topic) {
        ("transfer(address,uint256)", TRANSFER) => is(Some(caller), address_at(deed, 0), uint_at(deed, 1)),
        ("transferFrom(address,address,uint256)" | "safeTransferFrom(address,address,uint256)", TRANSFER) => {
            is(address_at(deed, 0), address_at(deed, 1), uint_at(deed, 2))
        }
        // What is left of the allowance; its amount is not in the call.
        ("transferFrom(address,address,uint256)", APPROVAL) => {
            (address_at(deed, 0) == Some(one) && other == caller).then_some(1)
        }
        ("approve(address,uint256)" | "approveAndCall(address,uint256,bytes)", APPROVAL) => {
            is(Some(caller), address_at(deed, 0), uint_at(deed, 1))
        }
        ("increaseAllowance(address,uint256)" | "decreaseAllowance(address,uint256)", APPROVAL) => {
            (one == caller && address_at(deed, 0) == Some(other)).then_some(0)
        }
        ("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", APPROVAL) => {
            is(address_at(deed, 0), address_at(deed, 1), uint_at(deed, 2))
        }
        ("generateTokens(address,uint256)" | "mint(address,uint256)", TRANSFER) => {
            is(zero, address_at(deed, 0), uint_at(deed, 1))
        }
        ("destroyTokens(address,uint256)" | "burnFrom(address,uint256)", TRANSFER) => {
            is(address_at(deed, 0), zero, uint_at(deed, 1))
        }
        ("burn(uint256)", TRANSFER) => is(Some(caller), zero, uint_at(deed, 0)),
        _ => None,
    }
}

/// Any other event of the contract that was called: every address, number and word it tells must be one that the call gave, the
/// caller, the contract itself, zero, or the ether sent along. An event that tells something else came from elsewhere.
fn agrees(frame: &Frame, told: &Activity, target: Address) -> bool {
    if told.kind != ActivityKind::Event || told.deed.args.is_empty() && told.deed.topic0.is_none() {
        return false;
    }
    if matches!(told.deed.decoding, crate::model::Decoding::Opaque(_) | crate::model::Decoding::Ambiguous(_)) {
        return false;
    }
    let mut given: HashSet<Value> = HashSet::new();
    for arg in &frame.deed.args {
        flatten(&arg.value, &mut given);
    }
    for party in [frame.caller, told.origin, target, Address::ZERO] {
        given.insert(Value::Address(party));
    }
    given.insert(Value::Uint(frame.value));
    let mut heard = HashSet::new();
    for arg in &told.deed.args {
        flatten(&arg.value, &mut heard);
    }
    // An event that bears another name than the function, and says nothing, is explained by nothing.
    (!heard.is_empty() || akin(&frame.deed.name, &told.deed.name)) && heard.is_subset(&given)
}

/// `pause` and `Paused`, `unpause` and `Unpause`: whether the event's name is a form of the function's.
fn akin(function: &str, event: &str) -> bool {
    let stem = function.trim_end_matches('e').to_ascii_lowercase();
    !stem.is_empty() && event.to_ascii_lowercase().starts_with(&stem)
}

fn flatten(value: &Value, into: &mut HashSet<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, into)),
        Value::Tuple(fields) => fields.iter().for_each(|field| flatten(&field.value, into)),
        leaf => {
            into.insert(leaf.clone());
        }
    }
}
