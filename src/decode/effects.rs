//! Finds the act that explains a log: emitter, parties and amounts must all agree, and each act explains each of its
//! logs once.
//!
//! An unexplained log becomes an activity of its own and needs its own rule. This detects a token that leaves by an
//! allowance, or an owner added by foreign code, under a harmless-looking transaction.

use super::announced_calls::goes_with;
use super::decoded_call::{address_at, uint_at};
use super::frames::{Frame, FrameKind};
use super::movement::{Movement, Piece, Views};
use super::{multisig, safe};
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, DecodedCall, Decoding, Fate, Log, Operation, Tx, WatchId};
use alloy_primitives::map::{HashMap, HashSet};
use alloy_primitives::{Address, B256, U256, keccak256};
use std::cell::OnceCell;

/// Joins logs to the frames that explain them.
pub(crate) struct Explainer<'a> {
    frames: &'a [Frame],
    tx: &'a Tx,
    /// By watch: the frames that ran, in order, each with the activity it is to that watch.
    ran: HashMap<WatchId, Vec<(usize, usize)>>,
    /// Values that each frame's call gave, gathered on first use: a batch of thousands is queried thousands of times.
    given: Vec<OnceCell<Given>>,
    /// Effects already used up, by frame and by the watch that they were reported to.
    spent: HashSet<(usize, WatchId, B256, u32)>,
}

impl<'a> Explainer<'a> {
    /// `activities` holds those made of `frames`, under the indexes that the frames know.
    pub(crate) fn new(frames: &'a [Frame], tx: &'a Tx, activities: &[Activity]) -> Self {
        let mut ran: HashMap<WatchId, Vec<(usize, usize)>> = HashMap::default();
        for (index, frame) in frames.iter().enumerate() {
            // A failed, reverted or merely proposed call has no effects. An envelope, however, logs its own failure.
            if frame.fate != Fate::Executed || frame.operation == Operation::Delegatecall {
                continue;
            }
            for at in &frame.acts {
                let Some(activity) = activities.get(*at) else { continue };
                let acts = ran.entry(activity.watch).or_default();
                if acts.last().is_none_or(|(last, _)| *last != index) {
                    acts.push((index, *at));
                }
            }
        }
        Self { frames, tx, ran, given: vec![OnceCell::new(); frames.len()], spent: HashSet::default() }
    }

    /// Returns the activity of the same watch that explains `log`, if any, and uses it up.
    pub(crate) fn explain_log(&mut self, told: &Activity, log: &Log) -> Option<usize> {
        let topic = log.topics.first().copied()?;
        let movement = Movement::from_log(log);
        let heard = event_values(told);
        for (index, act) in self.ran.get(&told.watch)? {
            // One call normally writes one log per topic. Only tokens write several, and a timelock writes one for each
            // call of a batch.
            let several = matches!(self.frames[*index].shape, FrameKind::Carrier(_));
            if movement.is_none() && !several && self.spent.contains(&(*index, told.watch, topic, 0)) {
                continue;
            }
            let Some(nth) = self.match_frame_to_log(*index, log, movement.as_ref(), told, heard.as_ref()) else {
                continue;
            };
            if self.spent.insert((*index, told.watch, topic, nth)) {
                return Some(*act);
            }
        }
        None
    }

    /// Returns a number if the frame, having run, writes this log. The number distinguishes several logs of one topic
    /// that one call writes.
    fn match_frame_to_log(
        &self,
        index: usize,
        log: &Log,
        movement: Option<&Movement>,
        told: &Activity,
        heard: Option<&HashSet<Value>>,
    ) -> Option<u32> {
        let frame = &self.frames[index];
        let target = frame.target?;
        let topic = *log.topics.first()?;
        if let FrameKind::Carrier(said) = &frame.shape {
            if let Some(told_here) = self.match_carried_call(said, log, target, told) {
                return Some(told_here);
            }
        } else if frame.shape.is_envelope() && !matches!(frame.shape, FrameKind::Account) {
            return (is_envelope_log(frame, log, target, topic) || is_refund_log(frame, log, target, self.tx))
                .then_some(0);
        }
        if log.address != target {
            return None;
        }
        if let Some(movement) = movement {
            return match_token_log(frame, movement);
        }
        if frame.deed.selector.is_none() {
            // Plain ether: `SafeReceived(sender, value)`, `Deposit(sender, value)`, WETH9 `Deposit(dst, wad)`.
            let told_of: Vec<&Value> = told.deed.args.iter().map(|arg| &arg.value).collect();
            return matches!(told_of.as_slice(), [Value::Address(who), Value::Uint(wei)] if *who == frame.caller && *wei == frame.value)
                .then_some(0);
        }
        if !may_tell(&frame.deed.name, &told.deed.name) {
            return None;
        }
        let given = self.given[index].get_or_init(|| given_values(frame, target, self.tx.from));
        (is_event_of_call(frame, told, heard?, given) || asked_for(frame, told, heard?)).then_some(0)
    }
}

impl Explainer<'_> {
    /// Returns whether the log is one that the call made the wallet write, or belongs to one of those.
    fn match_carried_call(&self, said: &[usize], log: &Log, wallet: Address, told: &Activity) -> Option<u32> {
        if log.address != wallet {
            return None;
        }
        let belongs = said.iter().any(|at| match &self.frames[*at].shape {
            FrameKind::Told(saying) => saying.ordinal == log.ordinal || goes_with(saying, &told.deed),
            _ => false,
        });
        belongs.then_some(log.ordinal.saturating_add(1))
    }
}

/// Returns whether the log is one that a wallet writes when it executes the envelope.
fn is_envelope_log(frame: &Frame, log: &Log, wallet: Address, topic: B256) -> bool {
    if log.address != wallet {
        return false;
    }
    let own = frame.confirmed_by == Some(log.ordinal);
    match &frame.shape {
        FrameKind::SafeExec(_) | FrameKind::ModuleExec if safe::is_execution(log) || is_module_log(topic) => own,
        // SafeL2 logs the call before it runs it; the words must be the same.
        FrameKind::SafeExec(_) => topic == safe::L2_MULTISIG && repeats_call(frame, log),
        FrameKind::ModuleExec => topic == safe::L2_MODULE && log.data.len() >= 32,
        FrameKind::Proposal { id, .. } => {
            let names = |word: Option<&B256>| id.is_some_and(|id| word == Some(&B256::from(id)));
            match topic {
                multisig::SUBMISSION | multisig::EXECUTION | multisig::EXECUTION_FAILURE => names(log.topics.get(1)),
                multisig::CONFIRMATION => {
                    names(log.topics.get(2)) && log.topics.get(1) == Some(&frame.caller.into_word())
                }
                _ => false,
            }
        }
        FrameKind::Plain
        | FrameKind::Batch
        | FrameKind::Operations
        | FrameKind::Account
        | FrameKind::Told(_)
        | FrameKind::Carrier(_) => false,
    }
}

/// Returns whether the token transfer is the refund for the execution: to the receiver given in the fields, with the
/// amount from the Safe's own log.
///
/// Source: Safe.sol `handlePayment`: a zero receiver means the sender of the transaction.
fn is_refund_log(frame: &Frame, log: &Log, wallet: Address, tx: &Tx) -> bool {
    let FrameKind::SafeExec(exec) = &frame.shape else { return false };
    let Some(receiver) = exec.effective_refund_receiver() else { return false };
    let receiver = if receiver.is_zero() { tx.from } else { receiver };
    let paid = frame.confirmed_by.and_then(|ordinal| tx.logs.get(ordinal as usize)).and_then(safe::logged_payment);
    log.address == exec.gas_token()
        && Movement::from_log(log).is_some_and(|movement| {
            !movement.approval
                && movement.from == wallet
                && movement.to == receiver
                && movement.pieces.is_empty()
                && paid == Some(movement.amount)
        })
}

fn is_module_log(topic: B256) -> bool {
    matches!(topic, safe::MODULE_SUCCESS | safe::MODULE_FAILURE)
}

/// `SafeMultiSigTransaction(to, value, data, operation, ...)`: target and value are the first two words.
fn repeats_call(frame: &Frame, log: &Log) -> bool {
    let (Some(to), Some(value)) = (address_at(&frame.deed, 0), uint_at(&frame.deed, 1)) else { return false };
    let words = log.data.first_chunk::<64>();
    words.is_some_and(|words| words[..32] == to.into_word()[..] && words[32..] == value.to_be_bytes::<32>())
}

/// Matches the transfer or approval made by a call to a token, for every supported standard.
///
/// Source: EIP-20; EIP-721; EIP-1155; EIP-6909; EIP-777; EIP-223; ERC-677; EIP-1363; EIP-3009; AllowanceTransfer.sol of Permit2; MiniMeToken.sol `generateTokens`, `destroyTokens`, `approveAndCall`; OpenZeppelin ERC20 4.x
/// also logs the allowance that `transferFrom` leaves.
fn match_token_log(frame: &Frame, movement: &Movement) -> Option<u32> {
    let deed = &frame.deed;
    let caller = frame.caller;
    let parties = |from: Option<Address>, to: Option<Address>| from == Some(movement.from) && to == Some(movement.to);
    // The number is an amount for a token without ids, and an id for a token with unique ids: the call does not tell
    // which.
    let is = |from: Option<Address>, to: Option<Address>, number: Option<U256>| {
        let logged = match movement.pieces.as_slice() {
            [] => Some(movement.amount),
            [Piece { id, .. }] if movement.views == Views::Plain => Some(*id),
            _ => None,
        };
        (parties(from, to) && number.is_some() && number == logged).then_some(0)
    };
    let is_each = |from: Option<Address>, to: Option<Address>, ids: &[U256], amounts: &[U256]| {
        let pieces = movement.pieces.iter();
        let same = ids.len() == amounts.len()
            && pieces.map(|piece| (piece.id, piece.amount)).eq(ids.iter().copied().zip(amounts.iter().copied()));
        (parties(from, to) && !ids.is_empty() && same).then_some(0)
    };
    let (number, numbers) = (|at| uint_at(deed, at).into_iter().collect::<Vec<_>>(), |at| uints_at(deed, at));
    let zero = Some(Address::ZERO);
    match (&*deed.signature, movement.approval) {
        (
            "transfer(address,uint256)"
            | "transfer(address,uint256,bytes)"
            | "transferAndCall(address,uint256)"
            | "transferAndCall(address,uint256,bytes)"
            | "send(address,uint256,bytes)",
            false,
        ) => is(Some(caller), address_at(deed, 0), uint_at(deed, 1)),
        (
            "transferFrom(address,address,uint256)"
            | "transferFromAndCall(address,address,uint256)"
            | "transferFromAndCall(address,address,uint256,bytes)"
            | "operatorSend(address,address,uint256,bytes,bytes)"
            | "safeTransferFrom(address,address,uint256)"
            | "safeTransferFrom(address,address,uint256,bytes)"
            | "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
            | "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)"
            | "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
            | "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            false,
        ) => is(address_at(deed, 0), address_at(deed, 1), uint_at(deed, 2)),
        ("safeTransferFrom(address,address,uint256,uint256,bytes)", false) => {
            is_each(address_at(deed, 0), address_at(deed, 1), &number(2), &number(3))
        }
        ("safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", false) => {
            is_each(address_at(deed, 0), address_at(deed, 1), &numbers(2), &numbers(3))
        }
        ("transfer(address,uint256,uint256)", false) => {
            is_each(Some(caller), address_at(deed, 0), &number(1), &number(2))
        }
        ("transferFrom(address,address,uint256,uint256)", false) => {
            is_each(address_at(deed, 0), address_at(deed, 1), &number(2), &number(3))
        }
        ("approve(address,uint256,uint256)", true) => {
            is_each(Some(caller), address_at(deed, 0), &number(1), &number(2))
        }
        ("burn(address,uint256,uint256)", false) => is_each(address_at(deed, 0), zero, &number(1), &number(2)),
        ("burnBatch(address,uint256[],uint256[])", false) => {
            is_each(address_at(deed, 0), zero, &numbers(1), &numbers(2))
        }
        // OpenZeppelin ERC721 up to 4.x logs the end of the allowance for a token when the token moves.
        (
            "transferFrom(address,address,uint256)"
            | "safeTransferFrom(address,address,uint256)"
            | "safeTransferFrom(address,address,uint256,bytes)",
            true,
        ) if movement.to.is_zero() => is(address_at(deed, 0), zero, uint_at(deed, 2)).map(|_| 1),
        // The log holds the remaining allowance, an amount that is not in the call.
        (
            "transferFrom(address,address,uint256)"
            | "transferFromAndCall(address,address,uint256)"
            | "transferFromAndCall(address,address,uint256,bytes)",
            true,
        ) => (address_at(deed, 0) == Some(movement.from) && movement.to == caller).then_some(1),
        (
            "approve(address,uint256)" | "approveAndCall(address,uint256)" | "approveAndCall(address,uint256,bytes)",
            true,
        ) => is(Some(caller), address_at(deed, 0), uint_at(deed, 1)),
        ("approve(address,address,uint160,uint48)", true) if address_at(deed, 0) == Some(movement.token) => {
            is(Some(caller), address_at(deed, 1), uint_at(deed, 2))
        }
        ("authorizeOperator(address)", true) => is(Some(caller), address_at(deed, 0), Some(U256::MAX)),
        ("revokeOperator(address)", true) => is(Some(caller), address_at(deed, 0), Some(U256::ZERO)),
        ("setApprovalForAll(address,bool)" | "setOperator(address,bool)", true) => {
            let all = deed.args.get(1)?.value.as_bool()?;
            is(Some(caller), address_at(deed, 0), Some(if all { U256::MAX } else { U256::ZERO }))
        }
        ("increaseAllowance(address,uint256)" | "decreaseAllowance(address,uint256)", true) => {
            (movement.from == caller && address_at(deed, 0) == Some(movement.to)).then_some(0)
        }
        ("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", true) => {
            is(address_at(deed, 0), address_at(deed, 1), uint_at(deed, 2))
        }
        ("generateTokens(address,uint256)" | "mint(address,uint256)", false) => {
            is(zero, address_at(deed, 0), uint_at(deed, 1))
        }
        ("destroyTokens(address,uint256)" | "burnFrom(address,uint256)", false) => {
            is(address_at(deed, 0), zero, uint_at(deed, 1))
        }
        ("burn(uint256)" | "burn(uint256,bytes)", false) => is(Some(caller), zero, uint_at(deed, 0)),
        ("operatorBurn(address,uint256,bytes,bytes)", false) => is(address_at(deed, 0), zero, uint_at(deed, 1)),
        _ => None,
    }
}

/// Returns the list of numbers at this index; empty where there is none.
fn uints_at(deed: &DecodedCall, place: usize) -> Vec<U256> {
    let list = deed.args.get(place).and_then(|arg| arg.value.as_array());
    let Some(numbers) = list.map(|list| list.iter().map(Value::as_uint).collect::<Option<Vec<_>>>()) else {
        return vec![];
    };
    numbers.unwrap_or_default()
}

/// Values that a call gave the contract to log, sorted: a block may have thousands of these lists, and a set takes
/// twice the memory.
type Given = Box<[Value]>;

/// Returns the values that a call gave the contract to log: its arguments, the caller, the sender, the contract itself,
/// the zero address, and the ether sent along.
fn given_values(frame: &Frame, target: Address, origin: Address) -> Given {
    let mut given = HashSet::default();
    for arg in &frame.deed.args {
        flatten_values(&arg.value, &mut given);
    }
    given.extend([frame.caller, origin, target, Address::ZERO].map(Value::Address));
    given.insert(Value::Uint(frame.value));
    given.extend(proposal_id(frame).map(Value::Uint));
    let mut given: Given = given.into_iter().collect();
    given.sort_unstable();
    given
}

/// Returns the number of the proposal that a governor is asked to cancel: the hash of the proposal's content, which
/// only the log names.
///
/// Source: Governor.sol of OpenZeppelin 4 and 5, `hashProposal` and `cancel`.
fn proposal_id(frame: &Frame) -> Option<U256> {
    let arguments = frame.input.get(4..)?;
    let cancels = &*frame.deed.signature == "cancel(address[],uint256[],bytes[],bytes32)";
    cancels.then(|| U256::from_be_bytes(keccak256(arguments).0))
}

/// Returns every value in an event, if the activity is an event and could be decoded.
fn event_values(told: &Activity) -> Option<HashSet<Value>> {
    let unread = matches!(told.deed.decoding, Decoding::Opaque(_) | Decoding::Ambiguous(_));
    if told.kind != ActivityKind::Event || unread || told.deed.args.is_empty() && told.deed.topic0.is_none() {
        return None;
    }
    let mut heard = HashSet::default();
    for arg in &told.deed.args {
        flatten_values(&arg.value, &mut heard);
    }
    Some(heard)
}

/// Matches any other event of the called contract: every value in it must be one that the call gave. An event with
/// other values has another origin.
fn is_event_of_call(frame: &Frame, told: &Activity, heard: &HashSet<Value>, given: &[Value]) -> bool {
    // An event without values, whose name differs from the function's name, has no explanation.
    (!heard.is_empty() || is_name_related(&frame.deed.name, &told.deed.name))
        && heard.iter().all(|value| given.binary_search(value).is_ok())
}

/// Matches an event of a change that also contains the previous value, which no call gives: the values that the call
/// gave must be in the event, or the caller where it gave none.
fn asked_for(frame: &Frame, told: &Activity, heard: &HashSet<Value>) -> bool {
    let asks =
        CHANGES.iter().any(|(function, events)| *function == &*frame.deed.name && events.contains(&&*told.deed.name));
    if !asks {
        return false;
    }
    let mut asked = HashSet::default();
    frame.deed.args.iter().for_each(|arg| flatten_values(&arg.value, &mut asked));
    if asked.is_empty() { heard.contains(&Value::Address(frame.caller)) } else { asked.is_subset(heard) }
}

/// Functions, and the events that report the changes they make. Source: OpenZeppelin 4 and 5, Solady, Compound, MiniMe,
/// Aragon, Zodiac.
const CHANGES: &[(&str, &[&str])] = &[
    ("updateDelay", &["MinDelayChange"]),
    ("transferOwnership", &["OwnershipTransferred", "OwnershipTransferStarted"]),
    ("acceptOwnership", &["OwnershipTransferred"]),
    ("renounceOwnership", &["OwnershipTransferred"]),
    ("completeOwnershipHandover", &["OwnershipTransferred"]),
    ("acceptAdmin", &["NewAdmin", "NewPendingAdmin"]),
    ("_acceptAdmin", &["NewAdmin", "NewPendingAdmin"]),
    ("_setPendingAdmin", &["NewPendingAdmin"]),
    ("changeAdmin", &["AdminChanged"]),
    ("setRoleAdmin", &["RoleAdminChanged"]),
    ("claimTokens", &["ClaimedTokens"]),
    ("grantPermission", &["SetPermission"]),
    ("revokePermission", &["SetPermission"]),
    ("beginDefaultAdminTransfer", &["DefaultAdminTransferScheduled"]),
    ("acceptDefaultAdminTransfer", &["RoleRevoked", "RoleGranted"]),
    ("changeDefaultAdminDelay", &["DefaultAdminDelayChangeScheduled"]),
    ("setOwner", &["OwnerUpdated", "OwnerChanged"]),
    ("setVotingDelay", &["VotingDelaySet"]),
    ("setVotingPeriod", &["VotingPeriodSet"]),
    ("setProposalThreshold", &["ProposalThresholdSet"]),
    ("_setVotingDelay", &["VotingDelaySet"]),
    ("_setVotingPeriod", &["VotingPeriodSet"]),
    ("_setProposalThreshold", &["ProposalThresholdSet"]),
    ("_setImplementation", &["NewImplementation"]),
    ("updateQuorumNumerator", &["QuorumNumeratorUpdated"]),
    ("updateTimelock", &["TimelockChange"]),
    ("setAvatar", &["AvatarSet"]),
    ("setTarget", &["TargetSet"]),
];

/// Functions that make a wallet write one of its own events, where its source has no other such function. An address
/// named by one change may also be named by another: without this table, the log of a module enabled by foreign code
/// would pass for that of the fallback handler.
///
/// Source: OwnerManager.sol, ModuleManager.sol, GuardManager.sol, FallbackManager.sol, MasterCopy.sol and Safe.sol 1.1.1 to 1.5.0;
/// MultiSigWallet.sol and MultiSigWalletWithDailyLimit.sol.
const TOLD_BY: &[(&str, &[&str])] = &[
    ("AddedOwner", &["addOwnerWithThreshold", "swapOwner"]),
    ("RemovedOwner", &["removeOwner", "swapOwner"]),
    ("ChangedThreshold", &["changeThreshold", "addOwnerWithThreshold", "removeOwner"]),
    ("EnabledModule", &["enableModule"]),
    ("DisabledModule", &["disableModule"]),
    ("ChangedGuard", &["setGuard"]),
    ("ChangedModuleGuard", &["setModuleGuard"]),
    ("ChangedFallbackHandler", &["setFallbackHandler"]),
    ("ChangedMasterCopy", &["changeMasterCopy"]),
    ("SafeSetup", &["setup"]),
    ("OwnerAddition", &["addOwner", "replaceOwner"]),
    ("OwnerRemoval", &["removeOwner", "replaceOwner"]),
    ("RequirementChange", &["changeRequirement", "removeOwner"]),
    ("DailyLimitChange", &["changeDailyLimit"]),
];

/// Returns whether a call of `function` may cause `event`, by their names.
fn may_tell(function: &str, event: &str) -> bool {
    TOLD_BY.iter().find(|(known, _)| *known == event).is_none_or(|(_, functions)| functions.contains(&function))
}

/// Returns whether the event's name is a form of the function's name, as in `pause` and `Paused`, `unpause` and
/// `Unpause`.
fn is_name_related(function: &str, event: &str) -> bool {
    let stem = function.trim_end_matches('e').to_ascii_lowercase();
    !stem.is_empty() && event.to_ascii_lowercase().starts_with(&stem)
}

fn flatten_values(value: &Value, into: &mut HashSet<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten_values(item, into)),
        Value::Tuple(fields) => fields.iter().for_each(|field| flatten_values(&field.value, into)),
        leaf => {
            into.insert(leaf.clone());
        }
    }
}
