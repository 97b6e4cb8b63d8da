//! Turns logs into activities: the events of a subject, and the events of tokens about it.

use super::frames::{Frame, FrameKind};
use super::movement::{self, Movement};
use super::versions::Codes;
use super::{Subject, Subjects, activities, announced_calls, decoded_call, effects};
use crate::abi::Budget;
use crate::abi::budget::{BYTES_MAX, DEPTH_MAX, NODES_MAX};
use crate::contracts::Property;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, DecodedCall, Fate, Log, Operation, Position, Role, Stage, Tx, WatchId};
use alloy_primitives::map::HashMap;
use alloy_primitives::{B256, U256};

/// Returns whether a log is by a subject, or a transfer or approval that names one.
pub(crate) fn is_log_relevant(log: &Log, subjects: &Subjects) -> bool {
    subjects.get(&log.address).is_some()
        || !subjects.names_of(log).is_empty()
        || movement::movement_parties(log)
            .is_some_and(|(a, b)| subjects.get(&a).is_some() || subjects.get(&b).is_some())
}

/// Maximum number of arguments of an ordinary event.
const NODES_OF_A_LOG: usize = 8;

/// Appends an activity per log and subject, and joins it to the act that explains it.
///
/// A subject that emits a log gets it once, as its own event, even where the log names the subject too.
pub(crate) fn append_log_activities(
    frames: &[Frame],
    tx: &Tx,
    subjects: &Subjects,
    codes: &Codes<'_>,
    out: &mut Vec<Activity>,
) {
    // An airdrop writes thousands of honest logs: each has room for its arguments, within a total that the size of the
    // data bounds.
    let nodes = NODES_MAX.saturating_add(u32::try_from(tx.logs.len() * NODES_OF_A_LOG).unwrap_or(u32::MAX));
    let mut budget = Budget::new(nodes, DEPTH_MAX, BYTES_MAX);
    let mut explainer = effects::Explainer::new(frames, tx, out);
    let mut spoken: Vec<(usize, usize)> = Vec::new();
    let of_log = |(index, frame): (usize, &Frame)| match &frame.shape {
        FrameKind::Told(saying) => Some((saying.ordinal, index)),
        _ => None,
    };
    let telling: HashMap<u32, usize> = frames.iter().enumerate().filter_map(of_log).collect();
    for log in &tx.logs {
        if !is_log_relevant(log, subjects) {
            continue;
        }
        if let Some(subject) = subjects.get(&log.address) {
            let ran = codes.at_log(&log.address, tx, log.ordinal);
            let deed = match ran.and_then(|ran| ran.abi()) {
                Some(abi) => decoded_call::of_log_by(abi, subject, log, &mut budget),
                None => decoded_call::of_log(subjects, log, &mut budget),
            };
            let mut event = from_log(subject.watch, ActivityKind::Event, log, tx, deed);
            event.from = log.address;
            let said = telling.get(&log.ordinal).copied();
            if let Some(of) = explainer.explain_log(&event, log) {
                event.role = Role::Effect { of };
            } else if let Some(said) = said {
                // The call that made the wallet write the log cannot be seen, so the log itself carries the calls that
                // it announces.
                event.role =
                    Role::Envelope { carries: activities::carried_activities(frames, said, subject.watch, out) };
                event.notes.clone_from(&frames[said].notes);
                spoken.push((said, out.len()));
            } else if let Some(of) = companion_log(&spoken, frames, &event) {
                event.role = Role::Effect { of };
            } else if let Some(of) = emitting_call(subject, log, frames, out) {
                event.role = Role::Effect { of };
                event.notes.push(Note::Logged);
            }
            out.push(event);
        }
        for name in subjects.names_of(log) {
            let Some(subject) = subjects.get(&name) else { continue };
            let deed = decoded_call::of_log(subjects, log, &mut budget);
            out.push(from_log(subject.watch, ActivityKind::Event, log, tx, deed));
        }
        let Some(movement) = Movement::repeated_by_log(tx, log) else { continue };
        let mut told: Option<WatchId> = None;
        for party in [movement.from, movement.to] {
            let Some(subject) = subjects.get(&party).filter(|_| party != log.address) else { continue };
            if told == Some(subject.watch) {
                continue;
            }
            told = Some(subject.watch);
            let mut moved = from_log(
                subject.watch,
                ActivityKind::Move,
                log,
                tx,
                decoded_call::token_movement(movement.token, &movement),
            );
            moved.from = movement.from;
            moved.to = Some(movement.to);
            if party == movement.from
                && let Some(of) = explainer.explain_log(&moved, log)
            {
                moved.role = Role::Effect { of };
            }
            out.push(moved);
        }
    }
}

/// Returns the call to a contract in which the contract must have written its log: the transaction's own call, or,
/// where a trace shows every call, the first of them.
///
/// For wallets, tokens, and contracts that govern others, every log has to be explained by its content.
fn emitting_call(subject: &Subject, log: &Log, frames: &[Frame], out: &[Activity]) -> Option<usize> {
    if !subject.contract().has(Property::LogsFollowCalls) {
        return None;
    }
    let called = |frame: &&Frame| {
        let own = frame.target == Some(log.address) && frame.caller != log.address;
        own && frame.operation == Operation::Call && frame.fate == Fate::Executed
    };
    let is_traced = frames.first().is_some_and(|frame| frame.seen.is_some());
    let mut seen = frames.iter().take(if is_traced { frames.len() } else { 1 });
    activities::call_activity(seen.find(called)?, out)
}

/// Returns the log of the same operation to which this log belongs.
fn companion_log(spoken: &[(usize, usize)], frames: &[Frame], event: &Activity) -> Option<usize> {
    let belongs = |said: usize| match &frames[said].shape {
        FrameKind::Told(saying) => {
            frames[said].target == Some(event.from) && announced_calls::goes_with(saying, &event.deed)
        }
        _ => false,
    };
    spoken.iter().find(|(said, _)| belongs(*said)).map(|(_, of)| *of)
}

pub(crate) fn from_log(watch: WatchId, kind: ActivityKind, log: &Log, tx: &Tx, deed: DecodedCall) -> Activity {
    Activity {
        watch,
        kind,
        stage: Stage::Included,
        fate: Fate::Executed,
        tx: tx.hash,
        tx_index: tx.index,
        position: Position::Log(log.ordinal),
        from: log.address,
        origin: tx.from,
        to: None,
        value: U256::ZERO,
        deed,
        operation: Operation::Call,
        signers: None,
        via: vec![],
        role: Role::Leaf,
        notes: vec![],
    }
}

/// The `nth` argument of a log whose indexed arguments come first.
pub(crate) fn log_argument(log: &Log, nth: usize) -> B256 {
    let indexed = log.topics.len().saturating_sub(1);
    log.topics.get(nth + 1).copied().unwrap_or_else(|| data_word(log, nth.saturating_sub(indexed)))
}

pub(crate) fn data_word(log: &Log, nth: usize) -> B256 {
    let rest = log.data.get(nth * 32..).unwrap_or_default();
    B256::right_padding_from(&rest[..rest.len().min(32)])
}
