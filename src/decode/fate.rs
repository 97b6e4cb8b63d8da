//! Which claims came true: a wrapper says so in a log of its own, or it did not happen.
//!
//! Calldata that looks like `execTransaction` proves nothing, since anyone can deploy a contract that takes it and does
//! something else. A Safe from 1.1.1 on logs every execution, so a claim without its log is unconfirmed, and a log without a claim is
//! found later as one that nothing explains.

use super::frames::{Frame, Shape};
use super::multisig::{self, Verb};
use super::ops;
use super::safe;
use crate::model::activity::Note;
use crate::model::{Fate, Log, Stage, Tx};
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, U256};

/// Sets stage and fate of every frame from the transaction's status and logs.
pub(crate) fn settle(frames: &mut [Frame], tx: &Tx) {
    if !tx.status.holds() {
        for frame in frames {
            frame.stage = Stage::Reverted;
            frame.fate = Fate::Reverted;
        }
        return;
    }
    confirm(frames, tx);
    hand_down(frames, tx);
}

/// Joins each wrapper's claims to its logs, in the order in which they must have been written: inner before outer.
///
/// Claims that pass through a stranger's contract come last, so that they cannot take the log of one that surely ran.
fn confirm(frames: &mut [Frame], tx: &Tx) {
    let mut heard: HashMap<(Address, Tongue), std::vec::IntoIter<u32>> = HashMap::default();
    let (sure, claimed): (Vec<usize>, Vec<usize>) =
        inner_first(frames).into_iter().partition(|index| frames[*index].certain);
    for index in sure.into_iter().chain(claimed) {
        let Some(at) = frames[index].target else { continue };
        if let Shape::Proposal { id: Some(id), verb: Verb::Confirm } = frames[index].shape {
            // A submission logs a confirmation too, so a confirmation is found by its id and sender.
            let topics = [multisig::CONFIRMATION, frames[index].caller.into_word(), B256::from(id)];
            frames[index].confirmed_by =
                tx.logs.iter().find(|log| log.address == at && log.topics == topics).map(|log| log.ordinal);
            continue;
        }
        let Some(tongue) = Tongue::of(&frames[index]) else { continue };
        let logs = heard.entry((at, tongue)).or_insert_with(|| {
            let spoken: Vec<u32> =
                tx.logs.iter().filter(|log| log.address == at && tongue.hears(log)).map(|log| log.ordinal).collect();
            spoken.into_iter()
        });
        frames[index].confirmed_by = logs.next();
        learn_id(&mut frames[index], tx);
    }
}

/// The id of a submission is in its log.
fn learn_id(frame: &mut Frame, tx: &Tx) {
    let log = frame.confirmed_by.and_then(|ordinal| tx.logs.get(ordinal as usize));
    if let (Shape::Proposal { id: id @ None, verb: Verb::Submit }, Some([_, number])) =
        (&mut frame.shape, log.map(|l| &l.topics[..]))
    {
        let number = U256::from_be_bytes(number.0);
        *id = Some(number);
        frame.notes.push(Note::Submission(number));
    }
}

/// A frame's own fate decides those inside it; parents come before children in the list.
fn hand_down(frames: &mut [Frame], tx: &Tx) {
    let mut outcomes = ops::Outcomes::default();
    for index in 0..frames.len() {
        if frames[index].seen.is_none() && ops::is_operation(frames, index) && frames[index].certain {
            frames[index].seen = outcomes.next(&frames[index], tx);
        }
        let inherited = frames[index].parent.map(|parent| inside(&frames[parent], tx));
        let (stage, fate) = inherited.unwrap_or((Stage::Included, Fate::Executed));
        let frame = &mut frames[index];
        let (stage, fate) = match frame.seen {
            // What was seen to run needs nobody's word for it.
            Some(true) => (Stage::Included, Fate::Executed),
            // Undone inside a transaction that went through: of a wallet's own call that is a failure, of anybody else's an attempt.
            Some(false) if frame.inner => (Stage::Reverted, Fate::Reverted),
            Some(false) => (Stage::Included, Fate::Failed),
            None => (stage, fate),
        };
        frame.stage = stage;
        frame.fate = fate;
        // A wrapper that should have logged and did not was never run, whoever claims it. Where nothing but known contracts stands
        // around it, the call itself surely ran; only what it wraps did not, or its target is not what it seems.
        if fate == Fate::Executed
            && frame.shape.is_envelope()
            && frame.confirmed_by.is_none()
            // An account logs nothing of what it does.
            && !matches!(frame.shape, Shape::Account)
            && !is_bare_execute(frame)
        {
            if frame.certain {
                frame.notes.push(Note::Unlogged);
            } else {
                frame.fate = Fate::Unconfirmed;
            }
        }
    }
}

/// `executeTransaction(id)` on a submission that is not confirmed does nothing and logs nothing: that is its ordinary life.
fn is_bare_execute(frame: &Frame) -> bool {
    matches!(frame.shape, Shape::Proposal { verb: Verb::Execute, .. })
}

/// Stage and fate of what `frame` wraps.
fn inside(frame: &Frame, tx: &Tx) -> (Stage, Fate) {
    if frame.fate != Fate::Executed {
        return (frame.stage, frame.fate);
    }
    let spoken =
        frame.confirmed_by.and_then(|ordinal| tx.logs.get(ordinal as usize)).and_then(|log| log.topics.first());
    match &frame.shape {
        Shape::Plain | Shape::Batch | Shape::Operations | Shape::Account | Shape::Carrier(_) => {
            (frame.stage, frame.fate)
        }
        Shape::Told(saying) => saying.calls_are(),
        Shape::SafeExec(_) => match spoken {
            Some(&safe::EXECUTION_SUCCESS) => (frame.stage, Fate::Executed),
            Some(_) => (frame.stage, Fate::Failed),
            None => (frame.stage, Fate::Unconfirmed),
        },
        Shape::ModuleExec => match spoken {
            Some(&safe::MODULE_SUCCESS) => (frame.stage, Fate::Executed),
            Some(_) => (frame.stage, Fate::Failed),
            None => (frame.stage, Fate::Unconfirmed),
        },
        Shape::Proposal { id, .. } => {
            if frame.notes.contains(&Note::Unlogged) {
                return (frame.stage, Fate::Unconfirmed);
            }
            let (Some(id), Some(wallet)) = (id, frame.target) else { return (Stage::Proposed, Fate::Waiting) };
            let id = B256::from(*id);
            let says = |topic: B256| {
                tx.logs.iter().any(|log| {
                    log.address == wallet && log.topics.first() == Some(&topic) && log.topics.get(1) == Some(&id)
                })
            };
            if says(multisig::EXECUTION) {
                (Stage::Included, Fate::Executed)
            } else if says(multisig::EXECUTION_FAILURE) {
                (Stage::Included, Fate::Failed)
            } else {
                (Stage::Proposed, Fate::Waiting)
            }
        }
    }
}

/// Which logs a kind of wrapper confirms itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Tongue {
    Safe,
    /// Of this module.
    Module(Address),
    Submission,
}

impl Tongue {
    fn of(frame: &Frame) -> Option<Self> {
        match &frame.shape {
            Shape::SafeExec(_) => Some(Self::Safe),
            Shape::ModuleExec => Some(Self::Module(frame.caller)),
            Shape::Proposal { verb: Verb::Submit, .. } => Some(Self::Submission),
            Shape::Proposal { .. } | Shape::Plain | Shape::Batch | Shape::Told(_) | Shape::Carrier(_) => None,
            Shape::Operations | Shape::Account => None,
        }
    }

    fn hears(self, log: &Log) -> bool {
        let topic = log.topics.first();
        match self {
            Self::Safe => safe::is_execution(log),
            Self::Module(module) => {
                matches!(topic, Some(&safe::MODULE_SUCCESS | &safe::MODULE_FAILURE))
                    && log.topics.get(1) == Some(&module.into_word())
            }
            Self::Submission => topic == Some(&multisig::SUBMISSION) && log.topics.len() == 2,
        }
    }
}

/// Indexes of the frames, every inner one before the one that wraps it, otherwise in order of execution.
fn inner_first(frames: &[Frame]) -> Vec<usize> {
    let mut order = Vec::with_capacity(frames.len());
    let mut open: Vec<usize> = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        while open.last().is_some_and(|last| Some(*last) != frame.parent) {
            order.extend(open.pop());
        }
        open.push(index);
    }
    order.extend(open.into_iter().rev());
    order
}
