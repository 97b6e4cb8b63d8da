//! Accounts with code: operations that a bundler submits to an EntryPoint, and the calls that an account is asked to
//! make.
//!
//! Source: ERC-4337, EntryPoint.sol 0.6 to 0.8; SimpleAccount.sol and EIP-7702 accounts with its functions.

use super::Subjects;
use super::decoded_call::{self, address_at, bytes_at, uint_at};
use super::frames::{Frame, FrameKind};
use crate::abi::{Budget, bundled};
use crate::contracts::parallel_list_calls;
use crate::model::value::{Arg, Value};
use crate::model::{CallHow, DecodedCall, Operation, TracedCall, Tx};
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, Bytes, U256, address, b256};

/// EntryPoint 0.6, 0.7 and 0.8: at the same addresses on every chain. Source: their published deployments.
pub(super) const ENTRY_POINTS: [Address; 3] = [
    address!("5FF137D4b0FDCD49DcA30c7CF57E578a026d2789"),
    address!("0000000071727De22E5E9d8BAf0edAc6f37da032"),
    address!("4337084D9E255Ff0702461CF8895CE9E3b5Ff108"),
];
/// `handleOps`, with the operations of 0.6, and with packed operations from 0.7 on.
const HANDLE_OPS: [[u8; 4]; 2] = [[0x1f, 0xad, 0x94, 0x8c], [0x76, 0x5e, 0x82, 0x7f]];
/// `UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)`: hash, sender and paymaster are indexed.
pub(super) const USER_OPERATION: B256 = b256!("49628fd1471006c1482da88028e9ce4dbb080b815c9b0344d39e5a8e6ec1419f");

/// `validateUserOp` of an account, with the operation of 0.6, and with a packed operation from 0.7 on. Source:
/// IAccount.sol.
const VALIDATE: [[u8; 4]; 2] = [[0x3a, 0x87, 0x1c, 0xdd], [0x19, 0x82, 0x2f, 0x7c]];

/// Returns whether the call brings operations to an EntryPoint.
pub(super) fn is_handle_ops(target: Address, selector: [u8; 4]) -> bool {
    ENTRY_POINTS.contains(&target) && HANDLE_OPS.contains(&selector)
}

/// Returns whether a word of the calldata contains a watched address, since most bundles concern no subject.
pub(super) fn may_concern(input: &Bytes, subjects: &Subjects) -> bool {
    let words = input.get(4..).unwrap_or_default().chunks_exact(32);
    let mut addresses = words.filter(|word| word[..12] == [0; 12]).map(|word| Address::from_slice(&word[12..]));
    addresses.any(|address| subjects.get(&address).is_some())
}

/// Operation of a bundle.
pub(super) struct UserOperation {
    /// Account that executes it.
    pub(super) account: Address,
    /// Calldata of the call that the EntryPoint makes to the account.
    pub(super) call: Bytes,
    /// Maximum ether that the account pays the EntryPoint for it in advance, in wei, as signed by the account: zero
    /// where a paymaster pays.
    pub(super) prefund: U256,
}

/// Returns the operations in a bundle, in their order.
pub(super) fn bundled_operations(deed: &DecodedCall) -> Vec<UserOperation> {
    let list = deed.args.first().and_then(|arg| arg.value.as_array()).unwrap_or_default();
    let one = |fields: &[Arg]| {
        let (account, call) = (fields.first()?.value.as_address()?, fields.get(3)?.value.as_bytes()?.clone());
        Some(UserOperation { account, call, prefund: required_prefund(fields).unwrap_or_default() })
    };
    list.iter().filter_map(|operation| one(operation.as_tuple()?)).collect()
}

/// Returns the ether that an EntryPoint requires in advance for an operation: all the gas that it may use, at the
/// highest price that it offers.
///
/// Source: EntryPoint.sol 0.6 to 0.8, `_getRequiredPrefund`; UserOperationLib.sol 0.7 for how numbers share a word.
fn required_prefund(fields: &[Arg]) -> Option<U256> {
    let uint = |at: usize| fields.get(at)?.value.as_uint();
    let halves = |at: usize| match fields.get(at)?.value {
        Value::FixedBytes(word, 32) => Some((U256::from_be_slice(&word[..16]), U256::from_be_slice(&word[16..]))),
        _ => None,
    };
    let (gas, price, sponsor) = match fields.len() {
        11 => ([uint(4)?, uint(5)?, uint(6)?], uint(7)?, 9),
        9 => {
            let ((verification, call), (_, price)) = (halves(4)?, halves(6)?);
            ([verification, call, uint(5)?], price, 7)
        }
        _ => return None,
    };
    if !fields.get(sponsor)?.value.as_bytes()?.is_empty() {
        return Some(U256::ZERO);
    }
    let gas = gas.iter().fold(U256::ZERO, |sum, part| sum.saturating_add(*part));
    Some(gas.saturating_mul(price))
}

/// The calls that an account is asked to make: target, value, calldata.
pub(super) fn requested_calls(deed: &DecodedCall) -> Option<Vec<(Address, U256, Bytes)>> {
    match &*deed.signature {
        "execute(address,uint256,bytes)" => {
            Some(vec![(address_at(deed, 0)?, uint_at(deed, 1)?, bytes_at(deed, 2)?.clone())])
        }
        "executeBatch(address[],uint256[],bytes[])" => {
            let calls = parallel_list_calls(deed, 0, 1, None, 2)?;
            calls.into_iter().map(|call| Some((call.to?, call.value, call.data))).collect()
        }
        "executeBatch(address[],bytes[])" => {
            let (targets, payloads) = (deed.args.first()?.value.as_array()?, deed.args.get(1)?.value.as_array()?);
            let pairs = targets.iter().zip(payloads).filter(|_| targets.len() == payloads.len());
            pairs.map(|(to, data)| Some((to.as_address()?, U256::ZERO, data.as_bytes()?.clone()))).collect()
        }
        "executeBatch((address,uint256,bytes)[])" => {
            let one = |call: &[Arg]| {
                let (to, value) = (call.first()?.value.as_address()?, call.get(1)?.value.as_uint()?);
                Some((to, value, call.get(2)?.value.as_bytes()?.clone()))
            };
            deed.args.first()?.value.as_array()?.iter().map(|call| one(call.as_tuple()?)).collect()
        }
        _ => None,
    }
}

/// Outcome of each operation, as the EntryPoint logs it: the events of one account are in the order of its operations.
#[derive(Default)]
pub(super) struct OperationOutcomes {
    told: HashMap<(Address, Address), usize>,
}

impl OperationOutcomes {
    /// Returns whether the next operation of the account that `frame` calls succeeded; `None` where no log reports it.
    pub(super) fn next(&mut self, frame: &Frame, tx: &Tx) -> Option<bool> {
        let (at, account) = (frame.caller, frame.target?);
        let nth = self.told.entry((at, account)).or_default();
        let is_about = |log: &&crate::model::Log| {
            log.address == at
                && log.topics.first() == Some(&USER_OPERATION)
                && log.topics.get(2) == Some(&account.into_word())
        };
        let log = tx.logs.iter().filter(is_about).nth(*nth)?;
        *nth += 1;
        let success = log.data.get(32..)?.first_chunk::<32>()?;
        Some(!U256::from_be_bytes(*success).is_zero())
    }
}

/// Returns whether the frame is an operation that the account itself pays for: the EntryPoint logs it and names no
/// paymaster.
///
/// Source: IEntryPoint.sol 0.6 to 0.8, `UserOperationEvent`.
pub(super) fn is_charged(frames: &[Frame], index: usize, tx: &Tx) -> bool {
    let frame = &frames[index];
    let Some(account) = frame.target.filter(|_| is_operation(frames, index)) else { return false };
    let pays = |log: &crate::model::Log| {
        let cost = log.data.get(64..).and_then(|rest| rest.first_chunk::<32>());
        log.address == frame.caller
            && matches!(log.topics.as_slice(), [USER_OPERATION, _, whose, B256::ZERO] if *whose == account.into_word())
            && cost.is_none_or(|cost| *cost != [0; 32])
    };
    tx.logs.iter().any(pays)
}

/// Returns whether the frame is an operation that a bundle requests.
pub(super) fn is_operation(frames: &[Frame], index: usize) -> bool {
    frames[index].parent.is_some_and(|parent| matches!(frames[parent].shape, FrameKind::Operations))
}

/// Returns the deed of a call by which an EntryPoint has an account validate an operation, independent of the ABI of
/// its watch.
pub(super) fn validation_call(call: &TracedCall) -> Option<DecodedCall> {
    let selector = call.input.first_chunk::<4>()?;
    let validates = ENTRY_POINTS.contains(&call.from) && VALIDATE.contains(selector) && call.how == CallHow::Call;
    validates.then(|| decoded_call::of_call_by(bundled::smart_account(), &call.input, &mut Budget::default()))
}

/// Returns the frame of the operation that the account validates in this frame, where the caller is an EntryPoint that
/// received the operation.
pub(super) fn validated_operation(frames: &[Frame], index: usize) -> Option<usize> {
    let frame = &frames[index];
    let account = frame.target.filter(|_| is_validation(frame))?;
    let is_bundle =
        |at: &usize| matches!(frames[*at].shape, FrameKind::Operations) && frames[*at].target == Some(frame.caller);
    let mut around = frame.parent;
    while let Some(at) = around.filter(|at| !is_bundle(at)) {
        around = frames[at].parent;
    }
    let bundle = around?;
    // An EntryPoint validates all operations, in their order, before it executes any.
    let before = frames[..index].iter().filter(|other| other.target == Some(account) && is_validation(other)).count();
    let own = |at: &usize| {
        let other = &frames[*at];
        other.parent == Some(bundle) && other.target == Some(account) && !other.inner
    };
    (bundle + 1..frames.len()).filter(own).nth(before)
}

/// Returns the operation for which the account pays in this frame, with the amount that the EntryPoint requested.
pub(super) fn prefunded_operation(frames: &[Frame], index: usize) -> Option<usize> {
    let frame = &frames[index];
    let around = frame.parent.filter(|_| frame.inner)?;
    let validation = &frames[around];
    let pays = frame.input.is_empty()
        && frame.operation == Operation::Call
        && frame.target == Some(validation.caller)
        && Some(frame.caller) == validation.target
        && uint_at(&validation.deed, 2) == Some(frame.value);
    validated_operation(frames, around).filter(|_| pays)
}

fn is_validation(frame: &Frame) -> bool {
    let selector = frame.input.first_chunk::<4>();
    frame.inner && ENTRY_POINTS.contains(&frame.caller) && selector.is_some_and(|selector| VALIDATE.contains(selector))
}
