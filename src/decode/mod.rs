//! Turns a block into activities: everything that touches a watched address, down to the effective call.
//!
//! In: a [`Block`], the watched addresses ([`Subjects`]), the known facts about their state ([`Known`]) and the node's
//! answers so far ([`Answers`]). Out: [`Activity`]s in transaction order, and the questions still open. Never here: a
//! verdict, a socket, a clock, or trust in any byte of the chain.
//!
//! Each transaction passes these steps: `frames` opens the call and the calls that it wraps into a tree; `traces` joins
//! to it the calls that a trace shows, where the node has one, and `announced_calls` joins the calls that watched wallets announce
//! in their own logs; `versions` decodes calls to proxies by the ABI of the code that ran; `own` decides which code
//! belongs to a subject; `stillness` finds the calls that changed nothing; `named` finds the addresses in calldata that
//! cannot be decoded; `outcome` reads from the logs which of those claims came true; `activities` finds the watched
//! addresses that each frame touches; `logs` adds the events and `effects` decides which act explains each of them.
//! After all transactions, `allowances` joins a remaining allowance to the transfer that used it, and `state` adds the
//! changes that no transaction accounts for.

mod activities;
mod allowance;
mod allowances;
mod announced_calls;
mod around;
mod code;
mod decoded_call;
mod delegations;
mod effects;
mod ens;
mod erc4337;
mod frames;
mod holdings;
mod logs;
mod minime;
mod movement;
mod multisig;
mod named;
mod outcome;
mod own;
pub mod pending;
mod prefund;
mod priority_fee;
pub mod queued;
mod reality;
mod safe;
mod state;
mod stillness;
mod stored_calls;
mod subjects;
mod traces;
mod versions;
mod voting_power;

pub use ens::Name;
pub use state::{Expected, StateSight, TOKENS_AT_ONCE, Tolerance, WEAKNESSES, activity_of, registry_differences};
pub use subjects::{Counted, KNOWN_LIBRARIES, Library, Subject, Subjects};
pub use versions::{Version, Versions};

use crate::model::read::{Answer, Answers, HOLDING_READS_MAX, READS_MAX, Read, STATE_READS_MAX};
use crate::model::{Activity, ActivityKind, Block, Known, Role, Tx, TxTrace, WatchId, WindowEntry};
use alloy_primitives::B256;
use std::collections::{BTreeSet, HashSet};

/// Result of decoding a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// In transaction order; indexes in [`crate::model::Role`] refer to this list.
    pub activities: Vec<Activity>,
    /// Questions to ask at this block's hash before decoding again. Empty when nothing more can be learned.
    pub wanted: Vec<Read>,
    /// Facts about the subjects' state to remember once the block stands.
    pub facts: Vec<WindowEntry>,
    /// Readability of the state of each watch whose turn it was. Values that the node did not return are compared when
    /// they can be read again.
    pub sights: Vec<(WatchId, StateSight)>,
    /// Transactions whose trace contradicts the block, with the contradiction. They were decoded as if they had no
    /// trace.
    pub false_traces: Vec<(B256, &'static str)>,
}

/// Returns every activity of a watched address in `block`.
///
/// The function is pure: the same block, subjects, knowledge and answers give the same activities. When
/// [`Decoded::wanted`] is not empty, the caller reads those values and decodes again; every question is asked once, and
/// at most [`READS_MAX`] for a block. Unanswered questions are noted on the activities that depend on them.
///
/// ```
/// use watchfire::decode::{Subjects, decode_block};
/// use watchfire::model::{Block, BlockRef, ChainId};
///
/// let at = BlockRef { number: 1, hash: Default::default() };
/// let empty = Block { at, parent: Default::default(), time: 0, txs: vec![], withdrawals: vec![] };
/// assert!(decode_block(&empty, &Subjects::new(ChainId(1)), &Default::default(), &Default::default()).activities.is_empty());
/// ```
#[must_use]
pub fn decode_block(block: &Block, subjects: &Subjects, known: &Known, answers: &Answers) -> Decoded {
    let mut questions = Questions::new(answers);
    let mut activities = Vec::new();
    let traces = traces::block_traces(block, subjects, &mut questions);
    let mut false_traces = Vec::new();
    let mut traced = BTreeSet::new();
    let mut codes = versions::Codes::new(&block.txs, subjects, known);
    let delegations = delegations::recover_delegations(&block.txs, subjects);
    let mut claims = Vec::new();
    for (at, tx) in block.txs.iter().enumerate() {
        let mut trace = traces.and_then(|traces| traces.get(at)).or_else(|| questions.trace_of(tx));
        if let Some(why) = trace.and_then(|trace| traces::trace_contradiction(trace, tx)) {
            false_traces.push((tx.hash, why));
            trace = None;
        }
        if trace.is_some() {
            traced.insert(tx.index);
        }
        if !is_tx_relevant(tx, subjects) && !trace.is_some_and(|trace| traces::is_trace_relevant(trace, subjects)) {
            continue;
        }
        let sight =
            frames::DecodeContext { time: block.time, trace, known: Some(known).filter(|_| subjects.looks_at_state()) };
        let mut frames = frames::build_call_tree(tx, sight, subjects, &mut questions);
        codes.read_calls(&mut frames, tx, &mut questions);
        outcome::set_outcomes(&mut frames, tx);
        safe::recover_safe_signers(&mut frames, block, tx, subjects, &mut questions);
        let first = activities.len();
        activities::from_frames(&mut frames, tx, subjects, &mut activities);
        delegations::append_delegations(&delegations, tx, subjects, &mut activities);
        activities::append_unopened_subjects(&frames, tx, subjects, first, &mut activities);
        logs::append_log_activities(&frames, tx, subjects, &codes, &mut activities);
        codes.note_implementations(&frames, tx, first, &mut activities);
        around::note_outer_calls(&frames, tx, trace, subjects, &mut activities);
        allowance::note_oversized_allowances(&mut activities[first..], &mut questions);
        minime::note_controller_transfers(&mut activities[first..], subjects, &mut questions);
        minime::recognize_issuer(&mut activities[first..], subjects, &mut questions);
        voting_power::note_recent_voting_power(&mut activities[first..], subjects, &mut questions);
        reality::append_oracle_answers(tx, subjects, known, &mut questions, &mut activities);
        code::look_up(&mut activities[first..], subjects, &mut questions);
        priority_fee::note_priority_fees(tx, &block.txs, subjects, &mut activities[first..]);
        priority_fee::weigh_operations(tx, &block.txs, first, &mut activities);
        if trace.is_none() && subjects.looks_at_state() {
            claims.extend(prefund::claimed_operations(&frames, tx, subjects));
        }
        if trace.is_none() && subjects.looks_inside() && traces::begs_for_a_trace(&activities[first..], subjects) {
            questions.ask(Read::Trace(tx.hash));
        }
    }
    allowances::explain_used_allowances(block, subjects, &mut activities, &mut questions);
    let used = holdings::note_token_balances(block, subjects, known, &mut activities, &mut questions);
    let asked = reality::question_facts(&activities, subjects, known);
    let advances = prefund::bound_advances(block, &claims, &activities, &mut questions);
    let around = (&traced, &*delegations, &*advances);
    let state::Observed { mut deltas, sights } =
        state::observe_state(block, subjects, known, around, &mut activities, &mut questions);
    deltas.extend(asked);
    deltas.extend(used);
    if subjects.looks_inside() {
        // An inner call may explain a change that is otherwise unexplained.
        let unexplained =
            activities.iter().filter(|activity| activity.kind == ActivityKind::State && activity.role == Role::Leaf);
        let untraced = unexplained.filter(|own| !traced.contains(&own.tx_index) && own.tx != block.at.hash);
        for tx in untraced.map(|own| own.tx) {
            questions.ask(Read::Trace(tx));
        }
    }
    // The list grows by doubling, and lives as long as the block is judged.
    activities.shrink_to_fit();
    Decoded { activities, wanted: questions.wanted, facts: deltas, sights, false_traces }
}

/// Returns the indices of transactions whose sender must be recovered, since they may concern a watched address. Where
/// an account with a key is watched, these are all transactions: only the sender shows that a transaction comes from
/// that account.
#[must_use]
pub fn senders_that_matter(block: &Block, subjects: &Subjects) -> Vec<u32> {
    let matters = |tx: &&Tx| subjects.has_accounts() || is_tx_relevant(tx, subjects);
    block.txs.iter().filter(matters).map(|tx| tx.index).collect()
}

/// Returns whether a transaction can concern a subject: a few hash probes, since most transactions concern none.
///
/// Some wrappers lead to a subject without a log that names it. They are found by opening the calldata, so a selector
/// that opens as a wrapper also counts.
fn is_tx_relevant(tx: &Tx, subjects: &Subjects) -> bool {
    subjects.get(&tx.from).is_some()
        || tx.to.is_some_and(|to| subjects.get(&to).is_some())
        || frames::may_wrap(tx, subjects)
        || frames::made_at(tx, subjects).is_some()
        || tx.logs.iter().any(|log| logs::is_log_relevant(log, subjects) || reality::may_concern(log, subjects))
        || tx.authorizations.iter().any(|_| !subjects.is_empty())
}

/// Answers so far, and questions still to be asked.
pub(crate) struct Questions<'a> {
    answers: &'a Answers,
    wanted: Vec<Read>,
    waiting: HashSet<Read>,
    /// Questions already asked about the block's activities, about watched state, and to tokens about the holdings of
    /// subjects.
    asked: [HashSet<Read>; 3],
}

impl<'a> Questions<'a> {
    fn new(answers: &'a Answers) -> Self {
        Self { answers, wanted: Vec::new(), waiting: HashSet::new(), asked: Default::default() }
    }

    /// Returns the trace of this transaction, if it was requested and received.
    fn trace_of(&self, tx: &Tx) -> Option<&'a TxTrace> {
        match self.answers.get(&Read::Trace(tx.hash))? {
            Answer::Traces(traces) => traces.first(),
            _ => None,
        }
    }

    /// Returns the answer, if there is one; otherwise adds the question, once and within the limit.
    fn ask(&mut self, read: Read) -> Option<&'a Answer> {
        if self.has_room(0, &read, READS_MAX) {
            return self.look_up(read);
        }
        // Beyond the limit nothing is asked, and the gap is reported instead of passed over.
        Some(&Answer::Unavailable)
    }

    /// Returns the same for watched state, which has its own limit. Beyond it nothing is asked or answered: the caller
    /// asks again after the next block.
    fn ask_state(&mut self, read: Read) -> Option<&'a Answer> {
        if self.has_room(1, &read, STATE_READS_MAX) { self.look_up(read) } else { None }
    }

    /// Returns the same for a token's data about a holding. These questions have their own limit, since anyone can
    /// create tokens.
    fn ask_holding(&mut self, read: Read) -> Option<&'a Answer> {
        if self.has_room(2, &read, HOLDING_READS_MAX) { self.look_up(read) } else { Some(&Answer::Unavailable) }
    }

    fn has_room(&mut self, whose: usize, read: &Read, max: usize) -> bool {
        let asked = &mut self.asked[whose];
        if asked.contains(read) {
            return true;
        }
        let room = asked.len() < max;
        if room {
            asked.insert(read.clone());
        }
        room
    }

    fn look_up(&mut self, read: Read) -> Option<&'a Answer> {
        let answer = self.answers.get(&read);
        if answer.is_none() && self.waiting.insert(read.clone()) {
            self.wanted.push(read);
        }
        answer
    }
}
