//! Defines the order of processing: source, decode, classify, escalate, store, deliver.
//!
//! `run`, `explain`, `demo` and `tape play` go through [`examine_block`]; everything that is committed goes through
//! [`Watcher::apply_step`]. The proposals in a Safe's queue are processed in the same order through [`Queues`], and pending
//! transactions through [`PendingWatcher`].

mod differences;
mod pending;
mod proposals;

pub use differences::{REOPEN_EVERY_MS, Reopening, Survey, Told, detect_registry_drift};
pub use pending::{EXPIRES_MS, PendingWatcher, WAITING_MAX};
pub use proposals::{Answered, Concluded, Prepared, Queues};

use crate::classify::{self, History, Moment};
use crate::decode::{self, Decoded, StateSight};
use crate::deliver::SENT_KEPT_MS;
use crate::escalate;
use crate::model::difference::DRIFT;
use crate::model::incident::ChangeSet;
use crate::model::read::{Answer, Answers, Read};
use crate::model::state::{DECIMALS, TOKEN};
use crate::model::{
    Activity, Block, BlockRef, Decoding, Fact, Judged, JudgedBlock, Provenance, Verdict, WatchId, WindowEntry,
};
use crate::runtime::{self, Clock};
use crate::source::Step;
use crate::store::{OwnedStepJudged, Store};
use crate::telemetry::Metrics;
use crate::watchlist::{ChainBook, ChainClock, Config};
use alloy_primitives::{Address, B256};
use anyhow::Context as _;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{Instrument as _, debug, info_span, warn};

/// Maximum rounds of questions for one block or transaction. A confirmation within a confirmation within a confirmation
/// is resolved in the third round.
const READ_ROUNDS_MAX: usize = 5;

/// Number of blocks between two clean-ups.
const TIDY_EVERY: u64 = 1_024;
/// Additional time for which entries of rolling windows are kept beyond the longest window of any rule, in seconds: a
/// day, so that a rule's window can be widened.
const WINDOW_MARGIN: u64 = 86_400;

/// Source of answers about a block's state: the source, a tape, or none.
pub trait Reader: Sync {
    /// Returns one answer for each question, asked at the hash of `at`.
    fn read<'a>(&'a self, at: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>>;

    /// Checks whether `at` is still part of the chain. Questions about a block that a reorg removed stay unanswered.
    /// Such gaps are not an outage: the next step retracts the block. The default returns true, for readers whose
    /// blocks are never retracted.
    fn is_canonical(&self, at: BlockRef) -> BoxFuture<'_, bool> {
        let _ = at;
        Box::pin(std::future::ready(true))
    }
}

/// Result of tracing a block's transactions, with the reason when they were not traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traced {
    /// All transactions were traced.
    Seen,
    /// No endpoint returned traces.
    Missing(String),
    /// The traces do not belong to this block.
    False(String),
}

/// A judged block.
pub struct Examined {
    /// Every activity with its verdict.
    pub judged: JudgedBlock,
    /// Answers read from the node for the block.
    pub answers: Answers,
    /// Result of tracing its transactions; absent where traces were not requested.
    pub traced: Option<Traced>,
    /// Result of reading the state of each watch that was due in this block.
    pub sights: Vec<(WatchId, StateSight)>,
}

/// Decodes and judges one block, asking `reader` for facts that the block does not contain.
///
/// The confirmations of the block are not known here: the block counts as reported by a single endpoint until the
/// caller says otherwise. Nothing is committed and `history` is not changed: the caller adds the block's deltas once
/// the block is committed.
pub async fn examine_block(
    block: &Block,
    chain: &ChainBook,
    book: &Config,
    history: &History,
    reader: &dyn Reader,
) -> Examined {
    let decode = |answers: &Answers| decode::decode_block(block, &chain.subjects, history.known_state(), answers);
    let (mut decoded, answers) = ask_through(block.at, reader, |_| true, decode).await;
    let (mut traced, mut sights) =
        (trace_status(block, &answers, &decoded.false_traces), std::mem::take(&mut decoded.sights));
    let is_missed = traced.as_ref().is_some_and(|traced| *traced != Traced::Seen)
        || sights.iter().any(|(_, sight)| *sight != StateSight::Read);
    if is_missed && !reader.is_canonical(block.at).await {
        traced = None;
        sights.retain(|(_, sight)| *sight == StateSight::Read);
    }
    let at = Moment { time: block.time };
    let (absent, mut deltas) = classify::find_missed_expectations(&book.rules, chain.info.id, history, at);
    // The decimals of a token must be known before any amount is measured in its unit.
    let decimals = decoded
        .facts
        .iter()
        .filter(|delta| matches!(Fact::of_rule(&delta.rule), Some(Fact::Value(item)) if item.name() == DECIMALS));
    let before: Vec<WindowEntry> = deltas.iter().chain(decimals).cloned().collect();
    let (mut judged, more) = classify::judge_after(decoded.activities, &book.rules, history, &before, at);
    judged.extend(absent);
    deltas.extend(more);
    deltas.append(&mut decoded.facts);
    let judged = JudgedBlock {
        chain: chain.info.id,
        anchor: block.at.into(),
        parent: block.parent,
        time: block.time,
        judged,
        deltas,
        sight: Provenance::default(),
    };
    Examined { judged, answers, traced, sights }
}

/// Decodes, asks the wanted questions and decodes again, until no question is left. Questions that are still open after
/// [`READ_ROUNDS_MAX`] rounds, which no honest nesting needs, or that `may_ask` does not allow, are answered as
/// unavailable, and the result says so.
async fn ask_through(
    at: BlockRef,
    reader: &dyn Reader,
    mut may_ask: impl FnMut(usize) -> bool,
    decode: impl Fn(&Answers) -> Decoded,
) -> (Decoded, Answers) {
    let mut answers = Answers::new();
    let mut decoded = decode(&answers);
    for round in 0..=READ_ROUNDS_MAX {
        if decoded.wanted.is_empty() {
            break;
        }
        let wanted = std::mem::take(&mut decoded.wanted);
        let n = wanted.len();
        let told = if round < READ_ROUNDS_MAX && may_ask(n) {
            debug!(block = at.number, questions = n, "read {n} answers from the node at block {}", at.number);
            reader.read(at, &wanted).await
        } else {
            Vec::new()
        };
        let mut told = told.into_iter();
        for read in wanted {
            answers.insert(read, told.next().unwrap_or(Answer::Unavailable));
        }
        decoded = decode(&answers);
    }
    (decoded, answers)
}

/// Returns whether the block's transactions were traced; `None` where traces were not requested.
fn trace_status(block: &Block, answers: &Answers, false_traces: &[(B256, &'static str)]) -> Option<Traced> {
    let answer = answers.get(&Read::Traces)?;
    let Answer::Traces(traces) = answer else {
        return Some(Traced::Missing(format!("no endpoint traced block {}", block.at.number)));
    };
    let (n_traces, n_txs) = (traces.len(), block.txs.len());
    Some(match false_traces.first() {
        _ if n_traces != n_txs => {
            Traced::False(format!("block {} has {n_txs} transactions and came with {n_traces} traces", block.at.number))
        }
        Some((tx, why)) => Traced::False(format!("the trace of {tx} in block {} is not of it: {why}", block.at.number)),
        None => Traced::Seen,
    })
}

/// Judges the proposals of a Safe's queue by the rules and by the windows at the time when each was first seen.
/// Proposals do not count towards a window, because they have not been executed.
fn examine_queued(activities: Vec<Activity>, book: &Config, history: &History, time: u64) -> Vec<Judged> {
    classify::judge_activities(activities, &book.rules, history, Moment { time }).0
}

/// Follows one chain: judges each step, commits it as a whole, and wakes the delivery task.
pub struct Watcher {
    book: Arc<Config>,
    chain: Arc<ChainBook>,
    store: Store,
    history: History,
    clock: Arc<dyn Clock>,
    nudge: Arc<Notify>,
    metrics: Metrics,
    n_blocks: u64,
    undo: Option<B256>,
    /// The windows contain entries that were not committed, and must be read again.
    stale: bool,
    reopening: Reopening,
}

/// Result of a committed step.
pub struct Committed {
    /// Changes that the escalation engine made for it.
    pub plan: ChangeSet,
    /// The blocks that the step appended, judged.
    pub blocks: Vec<JudgedBlock>,
    /// Answers read from the node for each of them, for a recorder.
    pub answers: Vec<Answers>,
    /// Trace result of the last block for which traces were requested.
    pub traced: Option<Traced>,
    /// Results of reading the state of watches, in the order of the blocks.
    pub sights: Vec<(WatchId, StateSight)>,
    /// Time spent in each part of the step.
    pub took: Took,
    /// Closed incidents that were opened again because the chain still differs from the configuration.
    pub reopened: ChangeSet,
}

/// Time spent in each part of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// Time spent waiting for reads from the node.
    pub reading: Duration,
    /// Time spent decoding and judging.
    pub judging: Duration,
    /// Time spent committing.
    pub committing: Duration,
}

/// A reader that measures the time until it is answered.
struct Timed<'a> {
    reader: &'a dyn Reader,
    /// Total waiting time, in milliseconds.
    took: AtomicU64,
}

impl Reader for Timed<'_> {
    fn read<'a>(&'a self, at: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(async move {
            let began = runtime::monotonic_now();
            let answers = self.reader.read(at, reads).await;
            self.took.fetch_add(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            answers
        })
    }

    fn is_canonical(&self, at: BlockRef) -> BoxFuture<'_, bool> {
        self.reader.is_canonical(at)
    }
}

impl Watcher {
    /// Continues a chain from the state in the store: the rolling windows are rebuilt from committed entries.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn resume_from_store(
        book: Arc<Config>,
        chain: Arc<ChainBook>,
        store: Store,
        clock: Arc<dyn Clock>,
        nudge: Arc<Notify>,
    ) -> anyhow::Result<Self> {
        let history = load_history(&store, &chain).await?;
        let metrics = Metrics::default();
        let reopening = Reopening::default();
        Ok(Self {
            book,
            chain,
            store,
            history,
            clock,
            nudge,
            metrics,
            n_blocks: 0,
            undo: None,
            stale: false,
            reopening,
        })
    }

    /// Records this watcher's metrics in `metrics`.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Records that an operator allows finalized blocks to be undone in favor of the branch with this block. The step
    /// that switches to that branch may then do so; the store makes sure that this happens only once.
    pub fn allow_reorg(&mut self, block: B256) {
        self.undo = Some(block);
    }

    /// Judges and commits one step: the retracted blocks of a reorg, and the blocks that replace them. When this
    /// returns, either the whole step is on disk or none of it.
    ///
    /// # Errors
    /// When the store refuses. The same step can be tried again; the windows are read from the store first.
    pub async fn apply_step(&mut self, step: Step, reader: &dyn Reader) -> anyhow::Result<Committed> {
        if self.stale {
            self.history = load_history(&self.store, &self.chain).await?;
        }
        let now = runtime::steady_millis(&*self.clock);
        self.reopening.schedule_state_reads(&self.chain.subjects, &mut self.history, now);
        self.stale = true;
        for gone in &step.retract {
            self.history.rewind_block(gone.hash);
        }
        let (mut blocks, mut answers, mut traced) = (Vec::new(), Vec::new(), None);
        let mut sights = Vec::new();
        let (timed, started) = (Timed { reader, took: AtomicU64::new(0) }, runtime::monotonic_now());
        for fetched in &step.append {
            let span = info_span!("block", chain = %self.chain.info.name, number = fetched.block.at.number);
            let began = runtime::monotonic_now();
            let examined = examine_block(&fetched.block, &self.chain, &self.book, &self.history, &timed);
            let Examined { mut judged, answers: told, traced: inside, sights: seen } = examined.instrument(span).await;
            traced = inside.or(traced);
            sights.extend(seen);
            judged.sight = fetched.sight;
            self.metrics.record_judging_time(&self.chain.info.name, began.elapsed());
            add_to_history(&mut self.history, fetched.block.at, judged.time, &judged.deltas);
            blocks.push(judged);
            answers.push(told);
        }
        let owned = OwnedStepJudged {
            chain: self.chain.info.clone(),
            watches: self.book.watches.clone(),
            retract: step.retract,
            blocks: blocks.clone(),
            undo: self.undo,
        };
        let (now, began) = (runtime::steady_millis(&*self.clock), runtime::monotonic_now());
        let reading = Duration::from_millis(timed.took.load(Ordering::Relaxed));
        let judging = began.duration_since(started).saturating_sub(reading);
        let n_retracted = owned.retract.len();
        let roster = self.book.roster.clone();
        let committed = self
            .store
            .commit_step(owned, now, move |step, standing| escalate::step_change_set(step, standing, &roster, now))
            .await;
        match committed {
            Ok(plan) => {
                self.stale = false;
                self.nudge.notify_one();
                let committing = began.elapsed();
                self.metrics.record_commit_time(&self.chain.info.name, committing);
                self.record_step_metrics(n_retracted, &blocks);
                self.prune_expired(&blocks, now).await;
                let reopened = self.reopen_registry_drift(now).await;
                let took = Took { reading, judging, committing };
                Ok(Committed { plan, blocks, answers, traced, sights, took, reopened })
            }
            Err(error) => Err(error).context("failed to commit block"),
        }
    }

    /// Opens closed incidents again if their differences were read and still exist. A failure only causes a delay: the
    /// next block tries again.
    async fn reopen_registry_drift(&mut self, now_ms: u64) -> ChangeSet {
        let standing = self.reopening.remaining_drift(&self.chain.subjects, &self.history);
        if standing.is_empty() {
            return ChangeSet::default();
        }
        let (chain, watches) = (self.chain.info.id, standing.iter().map(|one| one.watch).collect::<Vec<_>>());
        let engine = move |closed: &[_]| escalate::reopen_standing(chain, &standing, closed, now_ms);
        match self.store.commit_reopening(chain, DRIFT, now_ms, engine).await {
            Ok(plan) => {
                self.nudge.notify_one();
                plan
            }
            Err(error) => {
                warn!("failed to reopen incidents of standing differences: {error}");
                self.reopening.try_again(watches);
                ChangeSet::default()
            }
        }
    }

    /// Tokens that watches were seen to use, by the watch's address.
    #[must_use]
    pub fn used_tokens(&self) -> HashMap<Address, Vec<Address>> {
        let used = |watch: Address| (watch, self.history.known_state().set_members(watch, TOKEN).collect::<Vec<_>>());
        self.chain.subjects.addresses().map(used).filter(|(_, tokens)| !tokens.is_empty()).collect()
    }

    /// Counts the contents of a committed step in the metrics.
    fn record_step_metrics(&self, n_retracted: usize, blocks: &[JudgedBlock]) {
        let (chain, metrics) = (&*self.chain.info.name, &self.metrics);
        if n_retracted > 0 {
            metrics.record_reorg(chain, n_retracted);
        }
        if let Some(tip) = blocks.last() {
            metrics.record_processed_block(chain, tip.anchor.number(), tip.time, blocks.len());
        }
        let now_ms = runtime::wall_millis(&*self.clock);
        for block in blocks {
            if let Some(at) = block.anchor.block() {
                metrics.block_committed(chain, at.hash, runtime::monotonic_now());
            }
            let time_ms = block.time.saturating_mul(1_000);
            if self.chain.clock == ChainClock::Wall {
                metrics.record_detection_delay(chain, Duration::from_millis(now_ms.saturating_sub(time_ms)));
                metrics.clock_skew(chain, Duration::from_millis(time_ms.saturating_sub(now_ms)));
            }
            for judged in &block.judged {
                let severity = match &judged.verdict {
                    Verdict::Normal { .. } => None,
                    Verdict::Abnormal(abnormal) => Some(abnormal.severity),
                };
                let watch = self.book.watch(judged.activity.watch);
                metrics.record_verdict(watch.map_or("", |watch| &watch.label), severity);
                if matches!(judged.activity.deed.decoding, Decoding::Opaque(_) | Decoding::Ambiguous(_)) {
                    metrics.decode_failure(chain);
                }
            }
        }
    }

    /// Deletes, from time to time, entries that no rule can use any more. A failure costs only disk space.
    async fn prune_expired(&mut self, blocks: &[JudgedBlock], now_ms: u64) {
        let before = self.n_blocks;
        self.n_blocks += blocks.len() as u64;
        let Some(time) = blocks.last().map(|block| block.time) else { return };
        if before / TIDY_EVERY == self.n_blocks / TIDY_EVERY {
            return;
        }
        let oldest = time.saturating_sub(self.book.rules.longest_window() + WINDOW_MARGIN);
        self.history.prune(oldest);
        let sent_before = now_ms.saturating_sub(SENT_KEPT_MS);
        if let Err(error) = self.store.prune_expired(self.chain.info.id, oldest, sent_before).await {
            warn!("failed to prune old entries: {error}");
        }
    }
}

/// The rolling windows of a chain, as committed.
///
/// # Errors
/// When the store cannot be read.
pub async fn load_history(store: &Store, chain: &ChainBook) -> anyhow::Result<History> {
    let mut history = History::default();
    for past in store.window_entries_since(chain.info.id, 0).await.context("failed to read rolling windows")? {
        history.add(past.at.hash, past.time, &past.delta);
    }
    Ok(history)
}

fn add_to_history(history: &mut History, at: BlockRef, time: u64, deltas: &[WindowEntry]) {
    for delta in deltas {
        history.add(at.hash, time, delta);
    }
}
