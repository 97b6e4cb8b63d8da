//! Calls that a wallet records in a log of its own: a whole call, when it is scheduled, proposed, or executed.
//!
//! A timelock is mostly called from inside a governor or another wallet, where the calldata is not visible. Its own log
//! still contains everything, and can only come from the wallet itself. The calls that it announces become frames like
//! those of an opened envelope; [`join_announcing_calls`] then finds the call that made the wallet write the log, where that call is
//! visible.
//!
//! Source: TimelockController.sol; Timelock.sol of Compound; Governor.sol and GovernorBravoDelegate.sol; Voting.sol of Aragon;
//! Delay.sol of Zodiac; Wallet.sol of EthDev and WalletLibrary of Parity.

use super::decoded_call;
use super::frames::{Claim, FRAMES_MAX, Frame, FrameKind, FrameOpener};
use super::stored_calls::{AnnouncedPayload, stored_payload};
use crate::abi::Budget;
use crate::contracts::{
    AnnouncedCall, Announces, CONTRACTS, CallSource, ContractKind, GovernorTimelock, Property, RequestedCalls, Verb,
    word_at,
};
use crate::model::activity::Note;
use crate::model::read::Read;
use crate::model::{DecodedCall, Fate, Operation, Position, Stage, Tx, Wrapper};
use alloy_primitives::{Address, B256, Bytes, U256};

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
        let subject = opener.subjects.get(&log.address);
        let Some(announces) = subject.and_then(|subject| subject.contract().announces) else { continue };
        let told = |frame: &Frame| matches!(&frame.shape, FrameKind::Told(saying) if saying.ordinal == log.ordinal);
        if last && opener.frames.iter().any(told) {
            continue;
        }
        let deed = decoded_call::of_log(opener.subjects, log, &mut budget);
        let Some(logged) = (announces.by_log)(&deed, time) else { continue };
        let Some((calls, unread)) = source_calls(opener, log.address, logged.calls) else { continue };
        if !last && unread.is_some() {
            continue;
        }
        let (verb, id, delay) = (logged.verb, logged.id, logged.delay);
        let by_others = announces.by_others && verb == Verb::CarriesOut;
        let saying = Announcement { ordinal: log.ordinal, verb, id, delay, calls, by_others };
        append_announcement(opener, log.address, &deed, saying, unread);
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
        let subject = opener.subjects.get(&target);
        let Some(announces) = subject.and_then(|subject| subject.contract().announces) else { continue };
        let deed = frame.deed.clone();
        if let Some(timelock) = announces.timelock {
            ordinal = expect_of_timelock(opener, target, timelock, &deed, ordinal);
        }
        let Some(ask) = (announces.by_call)(&deed) else { continue };
        let verb = ask.verb.unwrap_or(Verb::CarriesOut);
        let source = match (ask.calls, ask.stored, ask.id) {
            (Some(calls), ..) => CallSource::Listed(calls),
            (None, Some(stored), Some(id)) => CallSource::Stored(stored, id.into()),
            (None, ..) => {
                opener.frames[index - 1].hidden = true;
                continue;
            }
        };
        let Some((calls, unread)) = source_calls(opener, target, source) else { continue };
        let parts: Vec<Vec<AnnouncedCall>> =
            if announces.log_per_call { calls.into_iter().map(|call| vec![call]).collect() } else { vec![calls] };
        let by_others = announces.by_others && verb == Verb::CarriesOut;
        let event = announcing_event(announces, verb);
        for calls in parts {
            let saying = Announcement { ordinal, verb, id: ask.id, delay: None, calls, by_others };
            append_announcement(opener, target, &event, saying, unread.clone());
            ordinal += 1;
        }
    }
}

/// Opens the calls that a governor's call will make its timelock announce, where the timelock is watched: it schedules
/// a queued proposal and executes an executed one. Returns the position of the next log.
fn expect_of_timelock(
    opener: &mut FrameOpener<'_, '_, '_>,
    at: Address,
    governed: GovernorTimelock,
    deed: &DecodedCall,
    mut ordinal: u32,
) -> u32 {
    let Some((verb, source)) = (governed.by_call)(deed) else { return ordinal };
    let Some((timelock, announces)) = executing_timelock(opener, at, governed) else { return ordinal };
    let Some((calls, unread)) = source_calls(opener, at, source) else { return ordinal };
    let calls = if unread.is_some() { vec![vec![]] } else { calls.into_iter().map(|call| vec![call]).collect() };
    let event = announcing_event(announces, verb);
    for calls in calls {
        let saying = Announcement { ordinal, verb, id: None, delay: None, calls, by_others: false };
        append_announcement(opener, timelock, &event, saying, unread.clone());
        ordinal += 1;
    }
    ordinal
}

/// Returns the watched timelock through which a governor executes its proposals, and its announcements.
fn executing_timelock(
    opener: &mut FrameOpener<'_, '_, '_>,
    governor: Address,
    governed: GovernorTimelock,
) -> Option<(Address, &'static Announces)> {
    let subjects = opener.subjects;
    let announces = |at: &Address| {
        let contract = subjects.get(at)?.contract();
        contract.announces.filter(|_| contract.has(Property::ActsForGovernors))
    };
    subjects.addresses().find_map(|at| announces(&at))?;
    let answer = opener.ask_node(Read::Call { to: governor, data: Bytes::copy_from_slice(&governed.view) })?;
    let at = answer.first_word().map(Address::from_word)?;
    Some((at, announces(&at)?))
}

/// Returns the calls of a source, with the reason if they could not be read; `None` while the node is being asked.
fn source_calls(
    opener: &mut FrameOpener<'_, '_, '_>,
    at: Address,
    source: CallSource,
) -> Option<(Vec<AnnouncedCall>, Option<String>)> {
    let payload = match source {
        CallSource::Listed(calls) => AnnouncedPayload::Is(calls),
        CallSource::Stored(stored, id) => stored_payload(opener, at, stored, id),
    };
    match payload {
        AnnouncedPayload::Is(calls) => Some((calls, None)),
        AnnouncedPayload::Asked => None,
        AnnouncedPayload::Unread(why) => Some((vec![], Some(why))),
    }
}

/// Returns the event by which a wallet announces calls that are not yet in a block.
fn announcing_event(announces: &Announces, verb: Verb) -> DecodedCall {
    let name = match verb {
        Verb::Proposes => announces.proposes,
        Verb::CarriesOut => announces.carries_out,
    };
    DecodedCall::without_calldata(name, name, vec![])
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
pub(super) fn join_announcing_calls(
    frames: &mut [Frame],
    contract_of: impl Fn(&Address) -> Option<&'static ContractKind>,
) {
    let mut heard = vec![false; frames.len()];
    for index in 0..frames.len() {
        let frame = &frames[index];
        let Some(target) = frame.target.filter(|_| frame.operation == Operation::Call) else { continue };
        if matches!(frame.shape, FrameKind::Told(_)) || frame.caller == target {
            continue;
        }
        let announces = contract_of(&target).and_then(|contract| contract.announces);
        let Some(ask) = announces.and_then(|announces| (announces.by_call)(&frame.deed)) else { continue };
        let said = answering_logs(&ask, target, frames, &heard);
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

/// Returns the logs of `wallet` that match, each for one call only.
fn answering_logs(ask: &RequestedCalls, wallet: Address, frames: &[Frame], heard: &[bool]) -> Vec<usize> {
    let mut rest = ask.calls.as_deref();
    let mut said = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        let FrameKind::Told(saying) = &frame.shape else { continue };
        let open = frame.target == Some(wallet) && !heard[at];
        if !open || ask.verb.is_some_and(|verb| verb != saying.verb) {
            continue;
        }
        match &mut rest {
            None if ask.id.is_some() && ask.id == saying.id => return vec![at],
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

/// Returns whether a log beside it belongs to the same operation: the salt of a schedule, or the confirmation that
/// completes it.
pub(super) fn goes_with(saying: &Announcement, told: &DecodedCall) -> bool {
    let Some(id) = saying.id else { return false };
    let companions = CONTRACTS.iter().filter_map(|contract| contract.announces).flat_map(|kind| kind.companions);
    let mut named = companions.filter(|(signature, _)| *signature == &*told.signature);
    named.any(|(_, index)| word_at(told, *index) == Some(id))
}
