//! Calls that a wallet records in a log of its own: a whole call, when it is scheduled, proposed, or executed.
//!
//! A timelock is mostly called from inside a governor or another wallet, where the calldata is not visible. Its own log
//! still contains everything, and can only come from the wallet itself. The calls that it announces become frames like
//! those of an opened envelope; [`join_announcing_calls`] then finds the call that made the wallet write the log, where that call is
//! visible.
//!
//! Source: TimelockController.sol; Timelock.sol of Compound; Governor.sol and GovernorBravoDelegate.sol; Voting.sol of Aragon;
//! Delay.sol of Zodiac; Wallet.sol of EthDev and WalletLibrary of Parity.

use super::decoded_call::{address_at, bytes_at, uint_at};
use super::frames::{Claim, FRAMES_MAX, Frame, FrameKind, FrameOpener};
use super::{decoded_call, governor};
use crate::abi::Budget;
use crate::model::activity::Note;
use crate::model::value::Value;
use crate::model::{DecodedCall, Fate, Kind, Log, Operation, Position, Stage, Tx, Wrapper};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

/// Log that reports calls.
#[derive(Clone, Debug)]
pub(crate) struct Announcement {
    /// Index of the log in the transaction.
    pub(crate) ordinal: u32,
    pub(crate) verb: Verb,
    /// The operation or proposal, as numbered by the wallet.
    pub(crate) id: Option<B256>,
    /// Seconds until it may be executed, where the log contains them.
    pub(crate) delay: Option<u64>,
    pub(crate) calls: Vec<AnnouncedCall>,
    /// True if another contract makes the calls in the subject's name, such as a governor's timelock.
    pub(crate) by_others: bool,
}

/// Action that the log reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Announces that the calls are to be made later.
    Proposes,
    /// Reports that the calls were made.
    CarriesOut,
}

/// Call as a log reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnnouncedCall {
    /// Target of the call; `None` for a creation.
    pub(crate) to: Option<Address>,
    pub(crate) value: U256,
    pub(crate) data: Bytes,
}

/// Calls of a log, if they can be obtained.
pub(crate) enum AnnouncedPayload {
    Is(Vec<AnnouncedCall>),
    /// The node is being asked.
    Asked,
    /// The node could not answer.
    Unread(String),
}

impl Announcement {
    /// Returns the stage and fate of the calls that the log announces.
    pub(crate) fn calls_are(&self) -> (Stage, Fate) {
        match self.verb {
            Verb::Proposes => (Stage::Proposed, Fate::Waiting),
            Verb::CarriesOut => (Stage::Included, Fate::Executed),
        }
    }
}

/// Opens the calls announced in the logs of watched wallets, each log once.
///
/// The first run is before a trace is joined, so that each call that the trace shows too is recognized as the same call
/// and judged once. The last run is after it, for logs whose calls are in calldata that only the trace showed.
pub(super) fn open_announced_calls(opener: &mut FrameOpener<'_, '_, '_>, tx: &Tx, time: u64, last: bool) {
    if !tx.status.has_effects() {
        return;
    }
    let mut budget = Budget::default();
    for log in &tx.logs {
        let Some(kind) = opener.subjects.get(&log.address).map(|subject| subject.kind) else { continue };
        if !matches!(kind, Kind::Timelock | Kind::Governor | Kind::ParityMultisig) {
            continue;
        }
        let told = |frame: &Frame| matches!(&frame.shape, FrameKind::Told(saying) if saying.ordinal == log.ordinal);
        if last && opener.frames.iter().any(told) {
            continue;
        }
        let deed = decoded_call::of_log(opener.subjects, log, &mut budget);
        if let Some(saying) = of_log(kind, log, &deed, time) {
            append_announcement(opener, log.address, &deed, saying, None);
        } else if let Some((saying, unread)) = governor::announced_by_log(opener, kind, log, &deed)
            && (last || unread.is_none())
        {
            append_announcement(opener, log.address, &deed, saying, unread);
        }
    }
}

/// Opens the calls that watched wallets will announce when the transaction runs: a schedule, a proposal, an execution.
///
/// The calls get the positions that they would have if the wallet were the only one to write logs. Calls to execute
/// that are in no calldata and cannot be read from the node are left to the block that includes them.
pub(super) fn open_expected_calls(opener: &mut FrameOpener<'_, '_, '_>) {
    let (mut index, mut ordinal) = (0, 0);
    while index < opener.frames.len() && opener.frames.len() < FRAMES_MAX {
        let frame = &opener.frames[index];
        index += 1;
        let Some(target) = frame.target.filter(|to| frame.operation == Operation::Call && *to != frame.caller) else {
            continue;
        };
        let Some(kind) = opener.subjects.get(&target).map(|subject| subject.kind) else { continue };
        let deed = frame.deed.clone();
        if kind == Kind::Governor {
            ordinal = expect_of_timelock(opener, target, &deed, ordinal);
        }
        let Some(ask) = Ask::from_call(kind, &deed) else { continue };
        let verb = ask.verb.unwrap_or(Verb::CarriesOut);
        let payload = match (ask.calls, ask.id) {
            (Some(calls), _) => AnnouncedPayload::Is(calls),
            (None, Some(id)) if kind == Kind::Governor => governor::requested_payload(opener, target, &deed, id.into()),
            (None, _) => {
                opener.frames[index - 1].hidden = true;
                continue;
            }
        };
        let (calls, unread) = match payload {
            AnnouncedPayload::Is(calls) => (calls, None),
            AnnouncedPayload::Asked => continue,
            AnnouncedPayload::Unread(why) => (vec![], Some(why)),
        };
        // A timelock writes a log for each call; the others write one log for all calls.
        let parts: Vec<Vec<AnnouncedCall>> = match kind {
            Kind::Timelock => calls.into_iter().map(|call| vec![call]).collect(),
            _ => vec![calls],
        };
        let by_others = kind == Kind::Governor && verb == Verb::CarriesOut;
        let event = DecodedCall::without_calldata(event_of(kind, verb), event_of(kind, verb), vec![]);
        for calls in parts {
            let saying = Announcement { ordinal, verb, id: ask.id, delay: None, calls, by_others };
            append_announcement(opener, target, &event, saying, unread.clone());
            ordinal += 1;
        }
    }
}

/// Opens the calls that a governor's call will make its timelock announce, where the timelock is watched: it schedules
/// a queued proposal and executes an executed one. Returns the position of the next log.
fn expect_of_timelock(opener: &mut FrameOpener<'_, '_, '_>, at: Address, deed: &DecodedCall, mut ordinal: u32) -> u32 {
    let verb = match &*deed.name {
        "queue" => Verb::Proposes,
        "execute" => Verb::CarriesOut,
        _ => return ordinal,
    };
    let Some(timelock) = governor::executing_timelock(opener, at) else { return ordinal };
    let payload = match &*deed.signature {
        "queue(address[],uint256[],bytes[],bytes32)" | "execute(address[],uint256[],bytes[],bytes32)" => {
            parallel_list_calls(deed, 0, 1, None, 2).map(AnnouncedPayload::Is)
        }
        "queue(uint256)" | "execute(uint256)" => {
            uint_at(deed, 0).map(|id| governor::requested_payload(opener, at, deed, id))
        }
        _ => None,
    };
    let (calls, unread) = match payload {
        Some(AnnouncedPayload::Is(calls)) => (calls.into_iter().map(|call| vec![call]).collect(), None),
        Some(AnnouncedPayload::Unread(why)) => (vec![vec![]], Some(why)),
        Some(AnnouncedPayload::Asked) | None => return ordinal,
    };
    let event = DecodedCall::without_calldata(event_of(Kind::Timelock, verb), event_of(Kind::Timelock, verb), vec![]);
    for calls in calls {
        let saying = Announcement { ordinal, verb, id: None, delay: None, calls, by_others: false };
        append_announcement(opener, timelock, &event, saying, unread.clone());
        ordinal += 1;
    }
    ordinal
}

/// Returns the event by which a wallet of this kind announces its calls.
fn event_of(kind: Kind, verb: Verb) -> &'static str {
    match (kind, verb) {
        (Kind::Timelock, Verb::Proposes) => "CallScheduled",
        (Kind::Timelock, Verb::CarriesOut) => "CallExecuted",
        (Kind::Governor, Verb::Proposes) => "ProposalCreated",
        (Kind::Governor, Verb::CarriesOut) => "ProposalExecuted",
        (_, Verb::Proposes) => "ConfirmationNeeded",
        (_, Verb::CarriesOut) => "SingleTransact",
    }
}

/// Returns the content of a log, read by itself.
fn of_log(kind: Kind, log: &Log, deed: &DecodedCall, time: u64) -> Option<Announcement> {
    let word = |index: usize| match &deed.args.get(index)?.value {
        Value::FixedBytes(word, 32) => Some(*word),
        Value::Uint(number) => Some(B256::from(*number)),
        _ => None,
    };
    let one = |to: usize, value: usize, data: usize| {
        Some(vec![AnnouncedCall {
            to: Some(address_at(deed, to)?),
            value: uint_at(deed, value)?,
            data: bytes_at(deed, data)?.clone(),
        }])
    };
    let seconds = |number: U256| u64::try_from(number).unwrap_or(u64::MAX);
    let (verb, id, delay, calls) = match (kind, &*deed.signature) {
        (Kind::Timelock, "CallScheduled(bytes32,uint256,address,uint256,bytes,bytes32,uint256)") => {
            (Verb::Proposes, word(0), uint_at(deed, 6).map(seconds), one(2, 3, 4)?)
        }
        (Kind::Timelock, "CallExecuted(bytes32,uint256,address,uint256,bytes)") => {
            (Verb::CarriesOut, word(0), None, one(2, 3, 4)?)
        }
        (Kind::Timelock, "QueueTransaction(bytes32,address,uint256,string,bytes,uint256)") => {
            let wait = uint_at(deed, 5).map(|eta| seconds(eta).saturating_sub(time));
            (Verb::Proposes, word(0), wait, call_from_signature(deed)?)
        }
        (Kind::Timelock, "ExecuteTransaction(bytes32,address,uint256,string,bytes,uint256)") => {
            (Verb::CarriesOut, word(0), None, call_from_signature(deed)?)
        }
        (
            Kind::Governor,
            "ProposalCreated(uint256,address,address[],uint256[],string[],bytes[],uint256,uint256,string)",
        ) => (Verb::Proposes, word(0), None, parallel_list_calls(deed, 2, 3, Some(4), 5)?),
        (Kind::Governor, "TransactionAdded(uint256,bytes32,address,uint256,bytes,uint8)") => {
            (Verb::Proposes, word(1), None, one(2, 3, 4)?)
        }
        (Kind::ParityMultisig, "ConfirmationNeeded(bytes32,address,uint256,address,bytes)") => {
            (Verb::Proposes, word(0), None, one(3, 2, 4)?)
        }
        (
            Kind::ParityMultisig,
            "SingleTransact(address,uint256,address,bytes)" | "SingleTransact(address,uint256,address,bytes,address)",
        ) => (Verb::CarriesOut, None, None, one(2, 1, 3)?),
        (
            Kind::ParityMultisig,
            "MultiTransact(address,bytes32,uint256,address,bytes)"
            | "MultiTransact(address,bytes32,uint256,address,bytes,address)",
        ) => (Verb::CarriesOut, word(1), None, one(3, 2, 4)?),
        _ => return None,
    };
    // The later Parity wallet creates a contract for a call to the zero address, and logs its address.
    let creates = kind == Kind::ParityMultisig && deed.args.last().is_some_and(|arg| &*arg.name == "created");
    let to_nobody = |call: AnnouncedCall| AnnouncedCall { to: call.to.filter(|to| !(creates && to.is_zero())), ..call };
    let calls = calls.into_iter().map(to_nobody).collect();
    Some(Announcement { ordinal: log.ordinal, verb, id, delay, calls, by_others: false })
}

/// Reads a call whose function Compound's contracts store separately from its arguments.
fn call_from_signature(deed: &DecodedCall) -> Option<Vec<AnnouncedCall>> {
    let Value::String(signature) = &deed.args.get(3)?.value else { return None };
    let data = calldata_from_signature(signature, bytes_at(deed, 4)?);
    Some(vec![AnnouncedCall { to: Some(address_at(deed, 1)?), value: uint_at(deed, 2)?, data }])
}

fn calldata_from_signature(signature: &Bytes, data: &Bytes) -> Bytes {
    if signature.is_empty() { data.clone() } else { [&keccak256(signature)[..4], data].concat().into() }
}

/// Reads calls whose parts are in parallel lists. Lists of different lengths contain no calls.
pub(super) fn parallel_list_calls(
    deed: &DecodedCall,
    targets: usize,
    values: usize,
    signatures: Option<usize>,
    payloads: usize,
) -> Option<Vec<AnnouncedCall>> {
    let list = |index: usize| deed.args.get(index)?.value.as_array();
    let (targets, values, payloads) = (list(targets)?, list(values)?, list(payloads)?);
    let signatures = signatures.map(list);
    if values.len() != targets.len() || payloads.len() != targets.len() {
        return None;
    }
    let parts = targets.iter().zip(values).zip(payloads).enumerate();
    parts
        .map(|(at, ((to, value), data))| {
            let signature = signatures.flatten().and_then(|list| list.get(at));
            let data = match signature {
                Some(Value::String(signature)) => calldata_from_signature(signature, data.as_bytes()?),
                _ => data.as_bytes()?.clone(),
            };
            Some(AnnouncedCall { to: Some(to.as_address()?), value: value.as_uint()?, data })
        })
        .collect()
}

/// Appends a frame for the log, followed by one for each call that it announces.
fn append_announcement(
    opener: &mut FrameOpener<'_, '_, '_>,
    at: Address,
    deed: &DecodedCall,
    saying: Announcement,
    unread: Option<String>,
) {
    let index = opener.frames.len();
    let ordinal = saying.ordinal;
    let (stage, _) = saying.calls_are();
    let note = saying.id.map(|id| Note::Operation { id, delay: saying.delay });
    let calls = saying.calls.clone();
    opener.frames.push(Frame {
        parent: None,
        position: Position::Log(ordinal),
        caller: at,
        target: Some(at),
        value: U256::ZERO,
        operation: Operation::Call,
        via: vec![],
        certain: true,
        deed: deed.clone(),
        shape: FrameKind::Told(Box::new(saying)),
        stage: Stage::Included,
        fate: Fate::Executed,
        signers: None,
        confirmed_by: Some(ordinal),
        notes: vec![],
        input: Bytes::new(),
        seen: None,
        inner: false,
        traced: None,
        code: None,
        made: None,
        hidden: false,
        acts: vec![],
    });
    let via = vec![Wrapper { at, function: deed.name.clone() }];
    let claim = |place: u16, call: AnnouncedCall| Claim {
        parent: Some(index),
        position: Position::Told { log: ordinal, path: vec![place] },
        caller: at,
        target: call.to,
        value: call.value,
        input: call.data,
        operation: if call.to.is_some() { Operation::Call } else { Operation::Create },
        via: via.clone(),
        stage,
    };
    for (place, call) in calls.into_iter().enumerate() {
        let (Ok(place), true) = (u16::try_from(place), opener.frames.len() < FRAMES_MAX) else {
            let why = format!("More calls are told of than are opened in one transaction ({FRAMES_MAX}).");
            opener.frames[index].notes.push(Note::BudgetReached(why));
            break;
        };
        let child = opener.frames.len();
        opener.open_call(claim(place, call));
        opener.frames[child].notes.extend(note.clone());
    }
    if let Some(why) = unread {
        let child = opener.frames.len();
        let nothing = AnnouncedCall { to: None, value: U256::ZERO, data: Bytes::new() };
        opener.open_call(Claim { operation: Operation::Call, ..claim(0, nothing) });
        let frame = &mut opener.frames[child];
        frame.deed = decoded_call::unknown_call(&why);
        frame.notes = vec![Note::Unread(why)];
    }
}

/// Finds the calls that made wallets write their logs, and turns them into envelopes of the announced calls.
///
/// A schedule, a proposal or an execution that was certainly called, but whose wallet wrote no matching log, stays an
/// unconfirmed envelope.
pub(super) fn join_announcing_calls(frames: &mut [Frame], kind_of: impl Fn(&Address) -> Option<Kind>) {
    let mut heard = vec![false; frames.len()];
    for index in 0..frames.len() {
        let frame = &frames[index];
        let Some(target) = frame.target.filter(|_| frame.operation == Operation::Call) else { continue };
        if matches!(frame.shape, FrameKind::Told(_)) || frame.caller == target {
            continue;
        }
        let Some(ask) = kind_of(&target).and_then(|kind| Ask::from_call(kind, &frame.deed)) else { continue };
        let said = ask.answering_logs(target, frames, &heard);
        if said.is_empty() && !ask.must {
            continue;
        }
        for at in &said {
            heard[*at] = true;
        }
        let last = said.last().and_then(|at| frames[*at].confirmed_by);
        frames[index].confirmed_by = last;
        frames[index].shape = FrameKind::Carrier(said);
    }
}

/// Log that a call requests from a wallet.
struct Ask {
    verb: Option<Verb>,
    calls: Option<Vec<AnnouncedCall>>,
    id: Option<B256>,
    /// True if the wallet has to write the log when the call succeeds.
    must: bool,
}

impl Ask {
    fn from_call(kind: Kind, deed: &DecodedCall) -> Option<Self> {
        let one = |to: usize, value: usize, data: usize| {
            let (to, value, data) = (address_at(deed, to)?, uint_at(deed, value)?, bytes_at(deed, data)?.clone());
            Some(vec![AnnouncedCall { to: Some(to), value, data }])
        };
        let number = |index: usize| match &deed.args.get(index)?.value {
            Value::FixedBytes(word, 32) => Some(*word),
            Value::Uint(number) => Some(B256::from(*number)),
            _ => None,
        };
        let calls = |verb, calls| Some(Self { verb: Some(verb), calls, id: None, must: true });
        let spelled_out = || {
            let Value::String(signature) = &deed.args.get(2)?.value else { return None };
            let data = calldata_from_signature(signature, bytes_at(deed, 3)?);
            Some(vec![AnnouncedCall { to: Some(address_at(deed, 0)?), value: uint_at(deed, 1)?, data }])
        };
        match (kind, &*deed.signature) {
            (Kind::Timelock, "schedule(address,uint256,bytes,bytes32,bytes32,uint256)") => {
                calls(Verb::Proposes, one(0, 1, 2))
            }
            (Kind::Timelock, "scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)") => {
                calls(Verb::Proposes, parallel_list_calls(deed, 0, 1, None, 2))
            }
            (Kind::Timelock, "execute(address,uint256,bytes,bytes32,bytes32)") => calls(Verb::CarriesOut, one(0, 1, 2)),
            (Kind::Timelock, "executeBatch(address[],uint256[],bytes[],bytes32,bytes32)") => {
                calls(Verb::CarriesOut, parallel_list_calls(deed, 0, 1, None, 2))
            }
            (Kind::Timelock, "queueTransaction(address,uint256,string,bytes,uint256)") => {
                calls(Verb::Proposes, spelled_out())
            }
            (Kind::Timelock, "executeTransaction(address,uint256,string,bytes,uint256)") => {
                calls(Verb::CarriesOut, spelled_out())
            }
            (Kind::Governor, "propose(address[],uint256[],bytes[],string)") => {
                calls(Verb::Proposes, parallel_list_calls(deed, 0, 1, None, 2))
            }
            (Kind::Governor, "propose(address[],uint256[],string[],bytes[],string)") => {
                calls(Verb::Proposes, parallel_list_calls(deed, 0, 1, Some(2), 3))
            }
            (Kind::Governor, "execute(address[],uint256[],bytes[],bytes32)") => {
                calls(Verb::CarriesOut, parallel_list_calls(deed, 0, 1, None, 2))
            }
            (Kind::Governor, "execute(uint256)" | "executeVote(uint256)") => {
                Some(Self { verb: Some(Verb::CarriesOut), calls: None, id: number(0), must: true })
            }
            (Kind::Governor, "newVote(bytes,string)" | "newVote(bytes,string,bool,bool)" | "forward(bytes)") => {
                let calls = governor::parse_evm_script(bytes_at(deed, 0)?);
                Some(Self { verb: Some(Verb::Proposes), calls: Some(calls?), id: None, must: false })
            }
            (Kind::Governor, "execTransactionFromModule(address,uint256,bytes,uint8)") => {
                Some(Self { verb: Some(Verb::Proposes), calls: one(0, 1, 2), id: None, must: false })
            }
            (Kind::ParityMultisig, "execute(address,uint256,bytes)") => {
                Some(Self { verb: None, calls: one(0, 1, 2), id: None, must: true })
            }
            // The last of several confirmations executes the operation; those before it are only counted.
            (Kind::ParityMultisig, "confirm(bytes32)") => {
                Some(Self { verb: Some(Verb::CarriesOut), calls: None, id: number(0), must: false })
            }
            _ => None,
        }
    }

    /// Returns the logs of `wallet` that match, each for one call only.
    fn answering_logs(&self, wallet: Address, frames: &[Frame], heard: &[bool]) -> Vec<usize> {
        let mut rest = self.calls.as_deref();
        let mut said = Vec::new();
        for (at, frame) in frames.iter().enumerate() {
            let FrameKind::Told(saying) = &frame.shape else { continue };
            let open = frame.target == Some(wallet) && !heard[at];
            if !open || self.verb.is_some_and(|verb| verb != saying.verb) {
                continue;
            }
            match &mut rest {
                None if self.id.is_some() && self.id == saying.id => return vec![at],
                None => {}
                Some(calls) => {
                    let Some(left) = calls.strip_prefix(&saying.calls[..]) else { continue };
                    *calls = left;
                    said.push(at);
                    if left.is_empty() {
                        return said;
                    }
                }
            }
        }
        Vec::new()
    }
}

/// Returns whether a log beside it belongs to the same operation: the salt of a schedule, or the confirmation that
/// completes it.
pub(super) fn goes_with(saying: &Announcement, told: &DecodedCall) -> bool {
    let Some(id) = saying.id else { return false };
    let names = |index: usize| match told.args.get(index).map(|arg| &arg.value) {
        Some(Value::FixedBytes(word, 32)) => *word == id,
        Some(Value::Uint(number)) => B256::from(*number) == id,
        _ => false,
    };
    match &*told.signature {
        "CallSalt(bytes32,bytes32)" | "ProposalQueued(uint256,uint256)" => names(0),
        "Confirmation(address,bytes32)" => names(1),
        _ => false,
    }
}
