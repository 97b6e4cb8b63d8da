//! The source: one chain, block by block, without gaps, duplicates or reordering.
//!
//! Comes in: an endpoint, and the [`Window`] of the blocks that the store has committed. Goes out: [`Event`]s, of which
//! only a [`Step`] changes the chain. Never here: a block that does not build on the one before it, a step based on a
//! subscription alone, or a log or error with more of an endpoint's address than host and port.
//!
//! Heads are hints, hashes are the proof, and the store sets the pace. A subscription or a poll only reports that a new
//! head may exist, and [`follow`] walks parent hashes from there to the last committed block. The best of several
//! endpoints is asked first ([`pool`]). A single endpoint cannot cause the retraction of a block that the others
//! confirm. A block that contradicts its own hash is rejected, whichever endpoint sent it ([`verify`]).

mod bulk_failures;
pub mod capabilities;
mod check;
mod envelope;
mod fetch;
mod finality;
pub mod follow;
mod gauge;
mod head_poller;
mod health_issues;
mod intake;
mod ipc;
pub mod mempool;
mod meter;
pub mod node;
mod pinned;
pub mod pool;
mod probe;
mod probes;
mod proof;
mod quorum;
mod rate_limit;
mod role_members;
pub mod rpc;
mod socket;
mod sync;
pub mod trace;
mod trace_prefetch;
mod transport;
mod uses;
pub mod verify;
mod watch;
mod websocket;

use crate::model::read::{Answer, Read};
use crate::model::{BlindnessKind, Block, BlockRef, ChainId, Finality, HealthIssue, Link, Provenance};
use crate::runtime::{Clock, Stop};
use alloy_primitives::B256;
pub use capabilities::{Capabilities, Capability, Support};
pub use check::{Checks, Matters, Senders};
pub use finality::FinalityRule;
use follow::Follower;
pub use follow::{Conflict, Linked, Window};
use intake::Held;
use jiff::Timestamp;
pub use mempool::Mempool;
pub use meter::SourceMetrics;
pub use node::{BadEndpoint, Deadlines, Endpoint, Identity, Node, parse_endpoint_url};
pub use pool::Pool;
pub use probe::probe_node;
pub use rate_limit::Priority;
pub use rpc::NodeError;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use sync::{Sync, SyncChannels, SyncOrder};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;
use trace_prefetch::TracePrefetch;
pub use transport::{RawHeads, Transport};
use verify::Gap;

/// Number of steps that may wait for the pipeline, about 13 minutes of mainnet; when the queue is full, the source
/// waits.
pub const ADVANCES_MAX: usize = 64;
/// Number of orders that may wait; they come from a person, one at a time.
const ORDERS_MAX: usize = 4;

/// Blocks that leave the chain and blocks that join it.
pub type Step = follow::Step<Fetched>;

/// Source of the blocks and events of one chain.
///
/// ```no_run
/// # use watchfire::model::ChainId;
/// # use watchfire::runtime::{Stop, SystemClock};
/// # use watchfire::source::{Deadlines, Endpoint, Event, Node, Options, Source, Window};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let chain = ChainId(1);
/// let endpoint = Endpoint { name: "primary".into(), url: "wss://node.example/key".to_owned().into() };
/// let node = Node::new(&endpoint, chain, Deadlines::default())?;
/// // The first block of interest is written down before anything is fetched; a restart gives the stored window instead.
/// let first = node.fetch_head().await?.map_or(0, |head| head.at.number);
/// let window = Window { first, links: Vec::new() };
/// let mut source = Source::follow_chain(node.into(), window, Options::for_chain(chain), SystemClock, &Stop::new());
/// while let Ok(event) = source.next().await {
///     if let Event::Step(step) = event {
///         println!("{} blocks leave, {} join", step.retract.len(), step.append.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Source {
    pool: Pool,
    ahead: Arc<TracePrefetch>,
    behind: Arc<AtomicU64>,
    orders: mpsc::Sender<SyncOrder>,
    events: mpsc::Receiver<Told>,
    /// Room for the blocks of the last step. The next call of `next` releases it, since the caller has then processed
    /// the step.
    held: Option<Held>,
    ended: Option<SourceError>,
    _stop: DropGuard,
}

/// Use of the node's own text of a block after it was parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawText {
    /// Kept beside the block, for a recorder: twice the memory.
    Kept,
    /// Dropped, except for the beginning that the evidence of an invalid response quotes.
    Dropped,
}

/// Options of a source.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time for which a node must name an older block of ours as its head before we go back to it. `None`, never, is
    /// right for every chain that cannot be rewound by hand: on such a chain, a lower head means a lagging node.
    pub rollback_after: Option<Duration>,
    /// Use of the node's own text of each block: kept for a recorder.
    pub raw_text: RawText,
    /// Random number generator for jitter.
    pub rng: fastrand::Rng,
    /// Finality rule of the chain.
    pub finality: FinalityRule,
    /// Newest block that was final when an earlier process ended: it is not retracted without a person's permission.
    pub finalized: Option<BlockRef>,
    /// Blocks that were retracted and contested when an earlier process ended.
    pub contested: Vec<BlockRef>,
    /// Interval between probes of the endpoints' abilities, the first of which runs at once; `None` disables probes.
    pub probe_every: Option<Duration>,
    /// True if transactions that endpoints announce before a block holds them are needed; see [`Mempool`].
    pub pending: bool,
    /// True if the traces of a block are requested in advance, while the blocks before it are judged.
    pub traces: bool,
    /// Metrics of this source.
    pub meter: SourceMetrics,
}

/// Event in the queue, with the room that it takes.
struct Told {
    what: Result<Event, SourceError>,
    held: Option<Held>,
}

/// Event emitted by a source.
#[derive(Debug)]
pub enum Event {
    /// The chain changed. Commit the step before requesting the next event.
    Step(Box<Step>),
    /// Blocks up to this one, which was part of an earlier step, have reached this finality.
    Promoted {
        /// Level of finality.
        level: Finality,
        /// The newest block with this finality.
        at: BlockRef,
    },
    /// Number of endpoints that also have a block of an earlier step on their chain.
    Confirmed {
        /// The block; the blocks before it are confirmed too.
        at: BlockRef,
        /// Number of endpoints, including the one from which it was fetched.
        sources: u32,
    },
    /// All retracted blocks that endpoints still hold, each with the names of these endpoints. Sent before the step
    /// that retracts a block, and after every change.
    Contested(Vec<(BlockRef, Vec<Arc<str>>)>),
    /// Change of the source's phase.
    Phase(Phase),
    /// Completed probe of an endpoint's abilities.
    Probed {
        /// Name of the endpoint.
        endpoint: Arc<str>,
        /// Abilities of the endpoint; an ability that could not be tested this time keeps its previous state.
        abilities: Box<Capabilities>,
    },
    /// An outage or another problem of the source began or became more severe.
    Troubled(HealthIssue),
    /// The problem is over.
    Cleared {
        /// Kind of outage.
        kind: BlindnessKind,
        /// Endpoint that it concerned.
        endpoint: Option<Arc<str>>,
        /// Start of the outage.
        since: Timestamp,
        /// End of the outage.
        until: Timestamp,
    },
}

/// Phase of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The endpoints are asked for their chain.
    Boot,
    /// Far behind: blocks come by number, several at a time.
    Backfill,
    /// Some blocks behind: the path from the head back to the last committed block is known, or being walked.
    CatchUp,
    /// At the newest head.
    Live,
    /// The newest head does not build on the last committed block: the source searches for the fork.
    Reconcile,
    /// The chain of the endpoints does not contain a block that was final. No block is retracted until a person permits
    /// it.
    Quarantine,
    /// No endpoint can be followed.
    Degraded,
}

/// A block as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The block with its receipts.
    pub block: Block,
    /// Confidence in the block: its sources and its proof.
    pub sight: Provenance,
    /// Gaps in the proof by the block's header; empty if the header covers everything, or if no proof was requested.
    pub gaps: Vec<Gap>,
    /// Text of the node, for a recorder that asked for it.
    pub raw: Option<RawPair>,
}

/// JSON of a block, exactly as the node wrote it.
#[derive(Clone)]
pub struct RawPair {
    /// Answer of `eth_getBlockByHash` with whole transactions.
    pub block: Box<RawValue>,
    /// Answer of `eth_getBlockReceipts`.
    pub receipts: Box<RawValue>,
}

/// Reason why a source ended permanently.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The source was told to stop.
    #[error("the source has stopped")]
    Stopped,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 7] =
        [Self::Boot, Self::Backfill, Self::CatchUp, Self::Live, Self::Reconcile, Self::Quarantine, Self::Degraded];

    /// Returns the name used in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Backfill => "backfill",
            Self::CatchUp => "catch-up",
            Self::Live => "live",
            Self::Reconcile => "reconcile",
            Self::Quarantine => "quarantine",
            Self::Degraded => "degraded",
        }
    }
}

impl Options {
    /// Returns the options for this chain: a development chain (31337) can be rewound by hand, no other can.
    #[must_use]
    pub fn for_chain(chain: ChainId) -> Self {
        let development = chain == ChainId(31_337);
        Self {
            rollback_after: development.then_some(Duration::from_secs(1)),
            raw_text: RawText::Dropped,
            rng: fastrand::Rng::new(),
            finality: if development { FinalityRule::Never } else { FinalityRule::Tags },
            finalized: None,
            contested: Vec::new(),
            probe_every: None,
            pending: false,
            traces: false,
            meter: SourceMetrics::default(),
        }
    }
}

impl Source {
    /// Continues at the end of `window`, until `stop` or until it is dropped.
    #[must_use]
    pub fn follow_chain(
        pool: Pool,
        window: Window,
        mut options: Options,
        clock: impl Clock + 'static,
        stop: &Stop,
    ) -> Self {
        let stop = stop.child_token();
        let (hints, heard) = mpsc::channel(watch::HINTS_MAX);
        let (tell, events) = mpsc::channel(ADVANCES_MAX);
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        for (voice, node) in pool.nodes().enumerate().filter(|(_, node)| node.has_socket()) {
            tokio::spawn(watch::watch_heads(voice, node, hints.clone(), stop.clone(), options.rng.fork()));
        }
        let behind = Arc::new(AtomicU64::new(0));
        let follower = Follower::new(window, options.rollback_after);
        let wires = SyncChannels { hints: heard, orders: ordered, events: tell, behind: behind.clone() };
        let ahead = Arc::new(TracePrefetch::new(pool.clone()));
        let driver = Sync::new(pool.clone(), ahead.clone(), follower, options, Arc::new(clock), wires, stop.clone());
        tokio::spawn(driver.run());
        Self { pool, ahead, behind, orders, events, held: None, ended: None, _stop: stop.drop_guard() }
    }

    /// Returns the next event. Dropping the future loses nothing. After an error every further call returns that error.
    pub async fn next(&mut self) -> Result<Event, SourceError> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        self.held = None;
        let told = self.events.recv().await.unwrap_or(Told { what: Err(SourceError::Stopped), held: None });
        self.held = told.held;
        told.what.inspect_err(|error| self.ended = Some(error.clone()))
    }

    /// Returns answers to `reads` in their order, each requested only by the hash of block `at`.
    pub async fn answer_reads(&self, at: BlockRef, reads: &[Read]) -> Vec<Answer> {
        let traces = reads.iter().position(|read| *read == Read::Traces);
        let Some((n, asked)) = traces.and_then(|n| Some((n, self.ahead.take_traces(at.hash)?))) else {
            return self.pool.answer_reads(at, reads).await;
        };
        let rest: Vec<Read> = reads.iter().filter(|read| **read != Read::Traces).cloned().collect();
        let (early, mut answers) = futures::join!(asked, self.pool.answer_reads(at, &rest));
        let traces = match early.ok().flatten() {
            Some((traces, _held)) => traces,
            None => self.pool.answer_reads(at, &[Read::Traces]).await.pop().unwrap_or(Answer::Unavailable),
        };
        answers.insert(n, traces);
        answers
    }

    /// The endpoints that are followed.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Returns the number of blocks between the newest block passed on and the newest head.
    #[must_use]
    pub fn blocks_behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    /// Allows the branch with this block to undo final blocks, on a person's order.
    pub async fn allow_reorg(&self, branch: B256) {
        // A closed channel means that the source has ended, which the next event reports.
        let _ = self.orders.send(SyncOrder::Allow(branch)).await;
    }
}

impl Fetched {
    /// Returns its approximate size in bytes.
    fn size(&self) -> usize {
        let raw = self.raw.as_ref().map_or(0, |raw| raw.block.get().len() + raw.receipts.get().len());
        self.block.size().saturating_add(raw)
    }
}

impl Linked for Fetched {
    fn link(&self) -> Link {
        self.block.link()
    }

    fn size(&self) -> usize {
        Self::size(self)
    }
}

impl fmt::Debug for RawPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawPair({} + {} bytes)", self.block.get().len(), self.receipts.get().len())
    }
}

impl PartialEq for RawPair {
    fn eq(&self, other: &Self) -> bool {
        self.block.get() == other.block.get() && self.receipts.get() == other.receipts.get()
    }
}

impl Eq for RawPair {}
