//! The one file that knows the order: source, decode, classify, escalate, store, deliver.
//!
//! `run`, `explain`, `demo` and `tape play` go through [`examine`]; what is committed goes through [`Watcher::apply`]. What waits in
//! the queue of a Safe takes the same way beside the chain, through [`Queues`], and what is only announced through [`Pendings`].

mod differences;
mod pending;
mod queue;

pub use differences::{REOPEN_EVERY_MS, Reopening, Survey, Told, survey};
pub use pending::{EXPIRES_MS, Pendings, WAITING_MAX};
pub use queue::{Answered, Concluded, Prepared, Queues};

use crate::classify::{self, History, Moment};
use crate::decode::{self, Decoded, StateSight};
use crate::deliver::SENT_KEPT_MS;
use crate::escalate;
use crate::model::difference::DRIFT;
use crate::model::incident::Plan;
use crate::model::read::{Answer, Answers, Read};
use crate::model::state::{DECIMALS, TOKEN};
use crate::model::{Activity, Block, BlockRef, Decoding, Delta, Fact, Judged, JudgedBlock, Sight, Verdict, WatchId};
use crate::runtime::{self, Clock};
use crate::source::Step;
use crate::store::{OwnedStepJudged, Store};
use crate::telemetry::Metrics;
use crate::watchlist::{Book, ChainBook, ChainClock};
use alloy_primitives::{Address, B256};
use anyhow::Context as _;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{Instrument as _, debug, info_span, warn};

/// Rounds of questions for one block or transaction: a confirmation inside a confirmation inside a confirmation is told at the third.
const READ_ROUNDS_MAX: usize = 5;

/// How many blocks lie between two clean-ups.
const TIDY_EVERY: u64 = 1_024;
/// Entries of rolling windows are kept this much longer than any rule looks back, in seconds: a day, for rules that are widened.
const WINDOW_MARGIN: u64 = 86_400;

/// Where answers about a block's state come from: the source, a tape, or nobody.
pub trait Reader: Sync {
    /// One answer for each question, asked at the hash of `at`.
    fn read<'a>(&'a self, at: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>>;

    /// Whether `at` is of the chain still. What was asked of a block that a reorg took away is answered by nobody, and that is no
    /// blindness: the step that follows takes it back. Where no block is ever taken back, all stand.
    fn stands(&self, at: BlockRef) -> BoxFuture<'_, bool> {
        let _ = at;
        Box::pin(std::future::ready(true))
    }
}

/// Whether what ran inside a block's transactions was seen, or why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traced {
    /// It was.
    Seen,
    /// Nobody told.
    Missing(String),
    /// What was told is not of this block.
    False(String),
}

/// A block, judged.
pub struct Examined {
    /// Every activity with its verdict.
    pub judged: JudgedBlock,
    /// What was read from the node for it.
    pub answers: Answers,
    /// Whether it could be looked inside of its transactions; absent where that was not asked for.
    pub traced: Option<Traced>,
    /// How the state of each watch could be read whose turn it was.
    pub sights: Vec<(WatchId, StateSight)>,
}

/// Decodes and judges one block, asking `reader` what the block alone cannot tell.
///
/// How well the block was seen is not known here: it is taken at one endpoint's word until the caller says more.
/// Nothing is committed and `history` is not changed: the caller adds the block's deltas once the block stands.
pub async fn examine(
    block: &Block,
    chain: &ChainBook,
    book: &Book,
    history: &History,
    reader: &dyn Reader,
) -> Examined {
    let decode = |answers: &Answers| decode::decode(block, &chain.subjects, history.known(), answers);
    let (mut decoded, answers) = ask_through(block.at, reader, |_| true, decode).await;
    let (mut traced, mut sights) =
        (traced(block, &answers, &decoded.false_traces), std::mem::take(&mut decoded.sights));
    let is_missed = traced.as_ref().is_some_and(|traced| *traced != Traced::Seen)
        || sights.iter().any(|(_, sight)| *sight != StateSight::Read);
    if is_missed && !reader.stands(block.at).await {
        traced = None;
        sights.retain(|(_, sight)| *sight == StateSight::Read);
    }
    let at = Moment { time: block.time };
    let (absent, mut deltas) = classify::absences(&book.rules, chain.info.id, history, at);
    // How many decimals a token has is known before anything is measured in its unit.
    let decimals = decoded
        .facts
        .iter()
        .filter(|delta| matches!(Fact::of_rule(&delta.rule), Some(Fact::Value(item)) if item.name() == DECIMALS));
    let before: Vec<Delta> = deltas.iter().chain(decimals).cloned().collect();
    let (mut judged, more) = classify::judge_after(decoded.activities, &book.rules, history, &before, at);
    judged.extend(absent);
    deltas.extend(more);
    deltas.append(&mut decoded.facts);
    let judged = JudgedBlock {
        chain: chain.info.id,
        at: block.at,
        parent: block.parent,
        time: block.time,
        judged,
        deltas,
        sight: Sight::default(),
    };
    Examined { judged, answers, traced, sights }
}

/// Decodes, asks what is wanted and decodes again, until nothing more is. What is still wanted after [`READ_ROUNDS_MAX`] rounds, which
/// no honest nesting needs, or when `may_ask` refuses so many questions, stays in the dark, and is told so.
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
            debug!(block = at.number, questions = n, "asked the node {n} questions at block {}", at.number);
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

/// Whether what ran inside the block's transactions was seen; `None` where nobody asked.
fn traced(block: &Block, answers: &Answers, false_traces: &[(B256, &'static str)]) -> Option<Traced> {
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

/// Judges what waits in a queue by the rules and windows of the moment at which it was first seen. Nothing of it counts towards a
/// window: it has not happened.
fn examine_queued(activities: Vec<Activity>, book: &Book, history: &History, time: u64) -> Vec<Judged> {
    classify::judge(activities, &book.rules, history, Moment { time }).0
}

/// Follows one chain: judges each step, commits it whole, and wakes whoever delivers.
pub struct Watcher {
    book: Arc<Book>,
    chain: Arc<ChainBook>,
    store: Store,
    history: History,
    clock: Arc<dyn Clock>,
    nudge: Arc<Notify>,
    metrics: Metrics,
    n_blocks: u64,
    undo: Option<B256>,
    /// The windows hold what was not committed, and have to be read again.
    stale: bool,
    reopening: Reopening,
}

/// What a committed step was.
pub struct Committed {
    /// What the engine made of it.
    pub plan: Plan,
    /// The blocks it appended, judged.
    pub blocks: Vec<JudgedBlock>,
    /// What was read from the node for each of them, for a recorder.
    pub answers: Vec<Answers>,
    /// Whether the last block of those that were to be traced was.
    pub traced: Option<Traced>,
    /// How the state of watches could be read, in the order of the blocks.
    pub sights: Vec<(WatchId, StateSight)>,
    /// Where its time went.
    pub took: Took,
    /// Incidents that were closed and are open again, since the chain still differs from the configuration.
    pub reopened: Plan,
}

/// Where the time of a step went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// Waiting for what had to be read from the node.
    pub reading: Duration,
    /// Decoding and judging.
    pub judging: Duration,
    /// Committing.
    pub committing: Duration,
}

/// A reader whose answers are timed.
struct Timed<'a> {
    reader: &'a dyn Reader,
    /// Milliseconds.
    took: AtomicU64,
}

impl Reader for Timed<'_> {
    fn read<'a>(&'a self, at: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(async move {
            let began = runtime::instant();
            let answers = self.reader.read(at, reads).await;
            self.took.fetch_add(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            answers
        })
    }

    fn stands(&self, at: BlockRef) -> BoxFuture<'_, bool> {
        self.reader.stands(at)
    }
}

impl Watcher {
    /// Takes up a chain where the store left it: the rolling windows are rebuilt from what was committed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        book: Arc<Book>,
        chain: Arc<ChainBook>,
        store: Store,
        clock: Arc<dyn Clock>,
        nudge: Arc<Notify>,
    ) -> anyhow::Result<Self> {
        let history = remembered(&store, &chain).await?;
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

    /// Records what it does in `metrics`.
    #[must_use]
    pub fn measured(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// A person allowed that what is final is undone in favor of the branch with this block. The step that turns to it may do so
    /// from now on; the store sees to it that it happens once.
    pub fn allow(&mut self, block: B256) {
        self.undo = Some(block);
    }

    /// Judges and commits one step: what a reorg took away, and the blocks that stand now. Either all of it is on disk when this
    /// returns, or nothing is.
    ///
    /// # Errors
    /// When the store refuses. The same step can be tried again; the windows are read from the store first.
    pub async fn apply(&mut self, step: Step, reader: &dyn Reader) -> anyhow::Result<Committed> {
        if self.stale {
            self.history = remembered(&self.store, &self.chain).await?;
        }
        let now = runtime::millis(&*self.clock);
        self.reopening.begin(&self.chain.subjects, &mut self.history, now);
        self.stale = true;
        for gone in &step.retract {
            self.history.rewind(gone.hash);
        }
        let (mut blocks, mut answers, mut traced) = (Vec::new(), Vec::new(), None);
        let mut sights = Vec::new();
        let (timed, started) = (Timed { reader, took: AtomicU64::new(0) }, runtime::instant());
        for fetched in &step.append {
            let span = info_span!("block", chain = %self.chain.info.name, number = fetched.block.at.number);
            let began = runtime::instant();
            let examined = examine(&fetched.block, &self.chain, &self.book, &self.history, &timed);
            let Examined { mut judged, answers: told, traced: inside, sights: seen } = examined.instrument(span).await;
            traced = inside.or(traced);
            sights.extend(seen);
            judged.sight = fetched.sight;
            self.metrics.judged(&self.chain.info.name, began.elapsed());
            remember(&mut self.history, judged.at, judged.time, &judged.deltas);
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
        let (now, began) = (runtime::millis(&*self.clock), runtime::instant());
        let reading = Duration::from_millis(timed.took.load(Ordering::Relaxed));
        let judging = began.duration_since(started).saturating_sub(reading);
        let n_retracted = owned.retract.len();
        let roster = self.book.roster.clone();
        let committed = self
            .store
            .commit_step(owned, now, move |step, standing| escalate::plan(step, standing, &roster, now))
            .await;
        match committed {
            Ok(plan) => {
                self.stale = false;
                self.nudge.notify_one();
                let committing = began.elapsed();
                self.metrics.committed(&self.chain.info.name, committing);
                self.record(n_retracted, &blocks);
                self.tidy(&blocks, now).await;
                let reopened = self.reopen(now).await;
                let took = Took { reading, judging, committing };
                Ok(Committed { plan, blocks, answers, traced, sights, took, reopened })
            }
            Err(error) => Err(error).context("failed to commit block"),
        }
    }

    /// Opens closed incidents again whose differences were read and still stand. A failure costs time: the next block tries again.
    async fn reopen(&mut self, now_ms: u64) -> Plan {
        let standing = self.reopening.standing(&self.chain.subjects, &self.history);
        if standing.is_empty() {
            return Plan::default();
        }
        let (chain, watches) = (self.chain.info.id, standing.iter().map(|one| one.watch).collect::<Vec<_>>());
        let engine = move |closed: &[_]| escalate::reopen_standing(chain, &standing, closed, now_ms);
        match self.store.reopen(chain, DRIFT, now_ms, engine).await {
            Ok(plan) => {
                self.nudge.notify_one();
                plan
            }
            Err(error) => {
                warn!("failed to reopen incidents of standing differences: {error}");
                self.reopening.try_again(watches);
                Plan::default()
            }
        }
    }

    /// Tokens that watches were seen to use, by the watch's address.
    #[must_use]
    pub fn used_tokens(&self) -> HashMap<Address, Vec<Address>> {
        let used = |watch: Address| (watch, self.history.known().members(watch, TOKEN).collect::<Vec<_>>());
        self.chain.subjects.addresses().map(used).filter(|(_, tokens)| !tokens.is_empty()).collect()
    }

    /// Counts what a committed step held.
    fn record(&self, n_retracted: usize, blocks: &[JudgedBlock]) {
        let (chain, metrics) = (&*self.chain.info.name, &self.metrics);
        if n_retracted > 0 {
            metrics.reorg(chain, n_retracted);
        }
        if let Some(tip) = blocks.last() {
            metrics.processed(chain, tip.at.number, tip.time, blocks.len());
        }
        let now_ms = runtime::wall_millis(&*self.clock);
        for block in blocks {
            metrics.block_committed(chain, block.at.hash, runtime::instant());
            let time_ms = block.time.saturating_mul(1_000);
            if self.chain.clock == ChainClock::Wall {
                metrics.detected(chain, Duration::from_millis(now_ms.saturating_sub(time_ms)));
                metrics.clock_skew(chain, Duration::from_millis(time_ms.saturating_sub(now_ms)));
            }
            for judged in &block.judged {
                let severity = match &judged.verdict {
                    Verdict::Normal { .. } => None,
                    Verdict::Abnormal(abnormal) => Some(abnormal.severity),
                };
                let watch = self.book.watch(judged.activity.watch);
                metrics.verdict(watch.map_or("", |watch| &watch.label), severity);
                if matches!(judged.activity.deed.decoding, Decoding::Opaque(_) | Decoding::Ambiguous(_)) {
                    metrics.decode_failure(chain);
                }
            }
        }
    }

    /// Forgets now and then what no rule can ask for any more. A failure costs disk space and nothing else.
    async fn tidy(&mut self, blocks: &[JudgedBlock], now_ms: u64) {
        let before = self.n_blocks;
        self.n_blocks += blocks.len() as u64;
        let Some(time) = blocks.last().map(|block| block.time) else { return };
        if before / TIDY_EVERY == self.n_blocks / TIDY_EVERY {
            return;
        }
        let oldest = time.saturating_sub(self.book.rules.longest_window() + WINDOW_MARGIN);
        self.history.prune(oldest);
        let sent_before = now_ms.saturating_sub(SENT_KEPT_MS);
        if let Err(error) = self.store.prune(self.chain.info.id, oldest, sent_before).await {
            warn!("old entries could not be cleaned up: {error}");
        }
    }
}

/// The rolling windows of a chain, as committed.
///
/// # Errors
/// When the store cannot be read.
pub async fn remembered(store: &Store, chain: &ChainBook) -> anyhow::Result<History> {
    let mut history = History::default();
    for past in store.deltas(chain.info.id, 0).await.context("failed to read rolling windows")? {
        history.add(past.at.hash, past.time, &past.delta);
    }
    Ok(history)
}

fn remember(history: &mut History, at: BlockRef, time: u64, deltas: &[Delta]) {
    for delta in deltas {
        history.add(at.hash, time, delta);
    }
}
