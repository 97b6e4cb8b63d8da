//! A block becomes activities: everything that touches a watched address, down to the effective call.
//!
//! In: a [`Block`], whom to look out for ([`Subjects`]) and what the node answered so far ([`Answers`]). Out: [`Activity`]s in
//! transaction order, and the questions still open. Never here: a verdict, a socket, a clock, or trust in a byte of the chain.
//!
//! One transaction goes through four stations: `frames` opens the call and whatever it wraps into a tree, and `inside` joins to it what
//! a trace shows, where the node has any, and `told` what watched wallets write down in logs of their own; `fate` reads from the logs which of those claims came true; `activities` says whom each frame touches; `logs` adds what the logs
//! say and `effects` decides which act explains it.

mod activities;
mod code;
mod controller;
mod deed;
mod effects;
mod fate;
mod frames;
mod governor;
mod inside;
mod logs;
mod multisig;
mod names;
mod ops;
pub mod pending;
pub mod queued;
mod safe;
mod subjects;
mod supply;
mod told;

pub use names::Name;
pub use subjects::{KNOWN_LIBRARIES, Library, Subject, Subjects};

use crate::model::read::{Answer, Answers, READS_MAX, Read};
use crate::model::{Activity, Block, Tx, TxTrace};
use alloy_primitives::B256;
use std::collections::HashSet;

/// What decoding a block gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// In transaction order; indexes in [`crate::model::Role`] refer to this list.
    pub activities: Vec<Activity>,
    /// Questions to ask at this block's hash before decoding again. Empty when nothing more can be learned.
    pub wanted: Vec<Read>,
    /// Transactions whose trace contradicts what the block holds of them, and how. They were decoded as if there were none.
    pub false_traces: Vec<(B256, &'static str)>,
}

/// Every touch of a watched address in `block`.
///
/// Pure: the same block, subjects and answers give the same activities. When [`Decoded::wanted`] is not empty, the caller reads
/// those and decodes again; every question is asked once, and at most [`READS_MAX`] for a block. What stays unanswered is noted
/// on the activities it leaves in the dark.
///
/// ```
/// use watchfire::decode::{Subjects, decode};
/// use watchfire::model::{Block, BlockRef, ChainId};
///
/// let at = BlockRef { number: 1, hash: Default::default() };
/// let empty = Block { at, parent: Default::default(), time: 0, txs: vec![] };
/// assert!(decode(&empty, &Subjects::new(ChainId(1)), &Default::default()).activities.is_empty());
/// ```
#[must_use]
pub fn decode(block: &Block, subjects: &Subjects, answers: &Answers) -> Decoded {
    let mut questions = Questions::new(answers);
    let mut activities = Vec::new();
    let traces = inside::traces(block, subjects, &mut questions);
    let mut false_traces = Vec::new();
    for (at, tx) in block.txs.iter().enumerate() {
        let mut trace = traces.and_then(|traces| traces.get(at)).or_else(|| questions.trace_of(tx));
        if let Some(why) = trace.and_then(|trace| inside::contradiction(trace, tx)) {
            false_traces.push((tx.hash, why));
            trace = None;
        }
        if !touches(tx, subjects) && !trace.is_some_and(|trace| inside::concerns(trace, subjects)) {
            continue;
        }
        let mut frames = frames::open(tx, block.time, trace, subjects, &mut questions);
        fate::settle(&mut frames, tx);
        safe::sign(&mut frames, block, tx, subjects, &mut questions);
        let first = activities.len();
        activities::from_frames(&mut frames, tx, subjects, &mut activities);
        activities::unopened(&frames, tx, subjects, first, &mut activities);
        logs::read(&frames, tx, subjects, &mut activities);
        supply::weigh(&mut activities[first..], &mut questions);
        controller::recognize(&mut activities[first..], subjects, &mut questions);
        code::look_up(&mut activities[first..], subjects, &mut questions);
        if trace.is_none() && subjects.looks_inside() && inside::begs_for_a_trace(&activities[first..], subjects) {
            questions.ask(Read::Trace(tx.hash));
        }
    }
    Decoded { activities, wanted: questions.wanted, false_traces }
}

/// Places of the transactions whose sender has to be known for certain, since they may concern somebody. Where an account with a
/// key is watched these are all of them: a transaction of its own shows by nothing but its sender.
#[must_use]
pub fn senders_that_matter(block: &Block, subjects: &Subjects) -> Vec<u32> {
    let matters = |tx: &&Tx| subjects.has_accounts() || touches(tx, subjects);
    block.txs.iter().filter(matters).map(|tx| tx.index).collect()
}

/// Whether it can concern anybody: a few hash probes, since most transactions concern nobody.
///
/// Wrappers that lead to a subject without a log that names it are found by opening the calldata, so a selector that opens as a
/// wrapper counts as well.
fn touches(tx: &Tx, subjects: &Subjects) -> bool {
    subjects.get(&tx.from).is_some()
        || tx.to.is_some_and(|to| subjects.get(&to).is_some())
        || frames::may_wrap(tx, subjects)
        || tx.logs.iter().any(|log| logs::concerns(log, subjects))
        || tx.authorizations.iter().any(|_| !subjects.is_empty())
}

/// Answers so far, and what is still to be asked.
pub(crate) struct Questions<'a> {
    answers: &'a Answers,
    wanted: Vec<Read>,
    seen: HashSet<Read>,
}

impl<'a> Questions<'a> {
    fn new(answers: &'a Answers) -> Self {
        Self { answers, wanted: Vec::new(), seen: HashSet::new() }
    }

    /// The trace of this one transaction, if it was asked for and came.
    fn trace_of(&self, tx: &Tx) -> Option<&'a TxTrace> {
        match self.answers.get(&Read::Trace(tx.hash))? {
            Answer::Traces(traces) => traces.first(),
            _ => None,
        }
    }

    /// The answer, if there is one; otherwise it is asked for, once and within the bound.
    fn ask(&mut self, read: Read) -> Option<&'a Answer> {
        if let Some(answer) = self.answers.get(&read) {
            return Some(answer);
        }
        if self.seen.contains(&read) {
            return None;
        }
        if self.answers.len() + self.wanted.len() >= READS_MAX {
            // Beyond the bound nothing is asked, and the dark is told as such rather than passed over.
            return Some(&Answer::Unavailable);
        }
        self.seen.insert(read.clone());
        self.wanted.push(read);
        None
    }
}
