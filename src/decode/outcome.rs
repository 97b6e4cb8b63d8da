//! Decides which claims came true: a wrapper confirms its execution in a log of its own, otherwise it did not happen.
//!
//! Calldata that looks like `execTransaction` proves nothing, since anyone can deploy a contract that accepts it and
//! does something else. A Safe from 1.1.1 on logs every execution, so a claim without its log is unconfirmed, and a log
//! without a claim is later reported as unexplained.

use super::erc4337;
use super::frames::{Frame, FrameKind};
use super::multisig::{self, Verb};
use super::safe;
use crate::model::activity::Note;
use crate::model::{Fate, Log, Stage, Tx};
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, U256};

/// Sets stage and fate of every frame from the transaction's status and logs.
pub(crate) fn set_outcomes(frames: &mut [Frame], tx: &Tx) {
    if !tx.status.has_effects() {
        for frame in frames {
            frame.stage = Stage::Reverted;
            frame.fate = Fate::Reverted;
        }
        return;
    }
    match_claims_to_logs(frames, tx);
    hand_down(frames, tx);
}

/// Joins each wrapper's claims to its logs, in the order in which they must have been written: inner before outer.
///
/// Claims that pass through a stranger's contract come last, so that they cannot take the log of a wrapper that
/// certainly ran.
fn match_claims_to_logs(frames: &mut [Frame], tx: &Tx) {
    let mut heard: HashMap<(Address, RevertFormat), std::vec::IntoIter<u32>> = HashMap::default();
    let (sure, claimed): (Vec<usize>, Vec<usize>) =
        inner_first(frames).into_iter().partition(|index| frames[*index].certain);
    for index in sure.into_iter().chain(claimed) {
        let Some(at) = frames[index].target else { continue };
        if let FrameKind::Proposal { id: Some(id), verb: Verb::Confirm } = frames[index].shape {
            // A submission logs a confirmation too, so a confirmation is found by its id and sender.
            let topics = [multisig::CONFIRMATION, frames[index].caller.into_word(), B256::from(id)];
            frames[index].confirmed_by =
                tx.logs.iter().find(|log| log.address == at && log.topics == topics).map(|log| log.ordinal);
            continue;
        }
        let Some(tongue) = RevertFormat::from_frame(&frames[index]) else { continue };
        let logs = heard.entry((at, tongue)).or_insert_with(|| {
            let spoken: Vec<u32> = tx
                .logs
                .iter()
                .filter(|log| log.address == at && tongue.is_result_log(log))
                .map(|log| log.ordinal)
                .collect();
            spoken.into_iter()
        });
        frames[index].confirmed_by = logs.next();
        learn_id(&mut frames[index], tx);
    }
}

/// Reads the id of a submission from its log.
fn learn_id(frame: &mut Frame, tx: &Tx) {
    let log = frame.confirmed_by.and_then(|ordinal| tx.logs.get(ordinal as usize));
    if let (FrameKind::Proposal { id: id @ None, verb: Verb::Submit }, Some([_, number])) =
        (&mut frame.shape, log.map(|l| &l.topics[..]))
    {
        let number = U256::from_be_bytes(number.0);
        *id = Some(number);
        frame.notes.push(Note::Submission(number));
    }
}

/// Passes the fate of each frame on to the frames inside it; parents precede children in the list.
fn hand_down(frames: &mut [Frame], tx: &Tx) {
    let mut outcomes = erc4337::OperationOutcomes::default();
    for index in 0..frames.len() {
        if frames[index].seen.is_none() && erc4337::is_operation(frames, index) && frames[index].certain {
            frames[index].seen = outcomes.next(&frames[index], tx);
        }
        let inherited = frames[index].parent.map(|parent| inner_outcome(&frames[parent], tx));
        let (stage, fate) = inherited.unwrap_or((Stage::Included, Fate::Executed));
        let frame = &mut frames[index];
        let (stage, fate) = match frame.seen {
            // A call that the trace shows to have run needs no other confirmation.
            Some(true) => (Stage::Included, Fate::Executed),
            // Reverted inside a transaction that succeeded: for a wallet's own call that is a failure, for any other
            // call an attempt.
            Some(false) if frame.inner => (Stage::Reverted, Fate::Reverted),
            Some(false) => (Stage::Included, Fate::Failed),
            None => (stage, fate),
        };
        frame.stage = stage;
        frame.fate = fate;
        // A wrapper without the log that it must write did not run. Where only known contracts surround it, the call
        // itself certainly ran; only its content did not, or its target is not the kind of contract that it seems to
        // be.
        if fate == Fate::Executed
            && frame.shape.is_envelope()
            && frame.confirmed_by.is_none()
            // An account does not log its calls.
            && !matches!(frame.shape, FrameKind::Account)
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

/// Returns whether the frame is `executeTransaction(id)`. On a submission that is not confirmed it does nothing and
/// logs nothing, which is normal.
fn is_bare_execute(frame: &Frame) -> bool {
    matches!(frame.shape, FrameKind::Proposal { verb: Verb::Execute, .. })
}

/// Returns the stage and fate of the content of `frame`.
fn inner_outcome(frame: &Frame, tx: &Tx) -> (Stage, Fate) {
    if frame.fate != Fate::Executed {
        return (frame.stage, frame.fate);
    }
    let spoken =
        frame.confirmed_by.and_then(|ordinal| tx.logs.get(ordinal as usize)).and_then(|log| log.topics.first());
    match &frame.shape {
        FrameKind::Plain | FrameKind::Batch | FrameKind::Operations | FrameKind::Account | FrameKind::Carrier(_) => {
            (frame.stage, frame.fate)
        }
        FrameKind::Told(saying) => saying.calls_are(),
        FrameKind::SafeExec(_) => match spoken {
            Some(&safe::EXECUTION_SUCCESS) => (frame.stage, Fate::Executed),
            Some(_) => (frame.stage, Fate::Failed),
            None => (frame.stage, Fate::Unconfirmed),
        },
        FrameKind::ModuleExec => match spoken {
            Some(&safe::MODULE_SUCCESS) => (frame.stage, Fate::Executed),
            Some(_) => (frame.stage, Fate::Failed),
            None => (frame.stage, Fate::Unconfirmed),
        },
        FrameKind::Proposal { id, .. } => {
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

/// Kinds of logs by which a kind of wrapper confirms its execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RevertFormat {
    Safe,
    /// The logs about this module.
    Module(Address),
    Submission,
}

impl RevertFormat {
    fn from_frame(frame: &Frame) -> Option<Self> {
        match &frame.shape {
            FrameKind::SafeExec(_) => Some(Self::Safe),
            FrameKind::ModuleExec => Some(Self::Module(frame.caller)),
            FrameKind::Proposal { verb: Verb::Submit, .. } => Some(Self::Submission),
            FrameKind::Proposal { .. }
            | FrameKind::Plain
            | FrameKind::Batch
            | FrameKind::Told(_)
            | FrameKind::Carrier(_) => None,
            FrameKind::Operations | FrameKind::Account => None,
        }
    }

    fn is_result_log(self, log: &Log) -> bool {
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

/// Returns the indexes of the frames, every inner one before its wrapper, otherwise in order of execution.
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
