//! The source: one chain, block by block, with nothing missing, nothing twice and nothing out of order.
//!
//! Comes in: an endpoint, and the [`Window`] of what the store has committed. Goes out: [`Event`]s, of which a [`Step`] is
//! the only one that changes the chain. What never happens here: a block that does not build on the one before it, a step
//! that rests on a subscription alone, or more of an endpoint's address than host and port in a log or an error.
//!
//! Heads are hints, hashes are truth, the store is the clock: a subscription and a poll only say that there is something to
//! look at, and [`follow`] walks parent hashes from there to what is committed. Of several endpoints the best is asked first
//! ([`pool`]), and none of them alone can talk us out of a block that the others stand by. A block that contradicts its own hash is
//! refused, whoever gave it ([`verify`]).

pub mod abilities;
mod ahead;
mod check;
mod council;
mod drive;
mod ears;
mod envelope;
mod fetch;
mod finality;
pub mod follow;
mod gauge;
mod grants;
mod intake;
mod ipc;
mod lapses;
pub mod mempool;
mod meter;
pub mod node;
mod pinned;
pub mod pool;
mod probe;
mod probes;
mod proof;
pub mod rpc;
mod socket;
pub mod tape;
pub mod trace;
mod transport;
mod troubles;
mod uses;
pub mod verify;
mod watch;
mod web;

use crate::model::read::{Answer, Read};
use crate::model::{BlindnessKind, Block, BlockRef, ChainId, Finality, Link, Sight, Trouble};
use crate::runtime::{Clock, Stop};
pub use abilities::{Abilities, Ability, Can};
use ahead::Ahead;
use alloy_primitives::B256;
pub use check::{Checks, Matters, Senders};
use drive::{Driver, Order, Wires};
pub use finality::FinalityRule;
use follow::Follower;
pub use follow::{Conflict, Linked, Window};
use intake::Held;
use jiff::Timestamp;
pub use mempool::Mempool;
pub use meter::Meter;
pub use node::{BadEndpoint, Deadlines, Endpoint, Identity, Node, address};
pub use pool::Pool;
pub use probe::probe;
pub use rpc::NodeError;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;
pub use transport::{RawHeads, Transport};
use verify::Gap;

/// Steps that may wait for the pipeline, about 13 minutes of mainnet; when they are as many, the source waits.
pub const ADVANCES_MAX: usize = 64;
/// Orders that may wait to be heard; they come from a person, one at a time.
const ORDERS_MAX: usize = 4;

/// Blocks that leave the chain and blocks that join it.
pub type Step = follow::Step<Fetched>;

/// One chain, followed.
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
/// let first = node.head().await?.map_or(0, |head| head.at.number);
/// let window = Window { first, links: Vec::new() };
/// let mut source = Source::follow(node.into(), window, Options::for_chain(chain), SystemClock, &Stop::new());
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
    ahead: Arc<Ahead>,
    behind: Arc<AtomicU64>,
    orders: mpsc::Sender<Order>,
    events: mpsc::Receiver<Told>,
    /// Room for the blocks of the step that was passed on last: whoever asks for the next event is done with it.
    held: Option<Held>,
    ended: Option<SourceError>,
    _stop: DropGuard,
}

/// How to follow.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a node has to name an older block of ours as its head before we go back to it. `None`, never, is right for
    /// every chain that nobody can rewind by hand: there, a lower head is a lagging node.
    pub rollback_after: Option<Duration>,
    /// Whether to keep the node's own text of each block, for a recorder.
    pub keep_raw: bool,
    /// Where jitter comes from.
    pub rng: fastrand::Rng,
    /// How the chain says that a block stays.
    pub finality: FinalityRule,
    /// The newest block that was final when an earlier process ended: it is not undone by itself.
    pub finalized: Option<BlockRef>,
    /// Blocks that were taken back and contested when an earlier process ended.
    pub contested: Vec<BlockRef>,
    /// How often it is tried out what the endpoints can do, for the first time at once; never, if it is absent.
    pub probe_every: Option<Duration>,
    /// Whether it matters that endpoints announce transactions before a block holds them; see [`Mempool`].
    pub pending: bool,
    /// Whether the traces of a block are asked for before anybody reads them, while the blocks before it are judged.
    pub traces: bool,
    /// Where it is recorded how the source does.
    pub meter: Meter,
}

/// An event on its way, with the room that it takes.
struct Told {
    what: Result<Event, SourceError>,
    held: Option<Held>,
}

/// What a source has to say.
#[derive(Debug)]
pub enum Event {
    /// The chain moved. Commit it before asking for the next event.
    Step(Box<Step>),
    /// Blocks up to this one, which was in a step before, have become so final.
    Promoted {
        /// How final.
        level: Finality,
        /// The newest block that is.
        at: BlockRef,
    },
    /// How many endpoints say of a block that was in a step before that it is theirs too.
    Confirmed {
        /// The block; those before it are theirs with it.
        at: BlockRef,
        /// Endpoints, the one it came from included.
        sources: u32,
    },
    /// All blocks that were taken back and that endpoints still hold, each with their names; comes before the step that takes a block
    /// back, and whenever that has changed.
    Contested(Vec<(BlockRef, Vec<Arc<str>>)>),
    /// Where the source stands has changed.
    Phase(Phase),
    /// What an endpoint can do was tried out.
    Probed {
        /// Its name.
        endpoint: Arc<str>,
        /// What it can do; what could not be tried this time is as it was before.
        abilities: Box<Abilities>,
    },
    /// Something keeps us from seeing, or has grown louder.
    Troubled(Trouble),
    /// That trouble is over.
    Cleared {
        /// What it was.
        kind: BlindnessKind,
        /// Which endpoint it was about.
        endpoint: Option<Arc<str>>,
        /// When it began.
        since: Timestamp,
        /// When it ended.
        until: Timestamp,
    },
}

/// Where a source stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Endpoints are asked who they are.
    Boot,
    /// Far behind: blocks come by number, several at a time.
    Backfill,
    /// Some blocks behind: the way from the head back to what is committed is known, or being walked.
    CatchUp,
    /// At the newest head.
    Live,
    /// The newest head does not build on what is committed: the fork is looked for.
    Reconcile,
    /// The chain that is served does not contain what was final. Nothing is undone until a person says so.
    Quarantine,
    /// No endpoint can be followed.
    Degraded,
}

/// A block as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The block with its receipts.
    pub block: Block,
    /// How well it was seen.
    pub sight: Sight,
    /// Why its header cannot vouch for all of it; none where it can, and where nobody asked.
    pub gaps: Vec<Gap>,
    /// What the node wrote, for a recorder that asked for it.
    pub raw: Option<RawPair>,
}

/// A block's JSON as the node wrote it.
#[derive(Clone)]
pub struct RawPair {
    /// Answer of `eth_getBlockByHash` with whole transactions.
    pub block: Box<RawValue>,
    /// Answer of `eth_getBlockReceipts`.
    pub receipts: Box<RawValue>,
}

/// A source ended for good.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The source was told to stop.
    #[error("the source has stopped")]
    Stopped,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Boot, Self::Backfill, Self::CatchUp, Self::Live, Self::Reconcile, Self::Quarantine, Self::Degraded];

    /// What logs and metrics call it.
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
    /// Right for this chain: a development chain (31337) can be rewound by hand, no other can.
    #[must_use]
    pub fn for_chain(chain: ChainId) -> Self {
        let development = chain == ChainId(31_337);
        Self {
            rollback_after: development.then_some(Duration::from_secs(1)),
            keep_raw: false,
            rng: fastrand::Rng::new(),
            finality: if development { FinalityRule::Never } else { FinalityRule::Tags },
            finalized: None,
            contested: Vec::new(),
            probe_every: None,
            pending: false,
            traces: false,
            meter: Meter::default(),
        }
    }
}

impl Source {
    /// Goes on where `window` ends, until `stop` or until it is dropped.
    #[must_use]
    pub fn follow(pool: Pool, window: Window, mut options: Options, clock: impl Clock + 'static, stop: &Stop) -> Self {
        let stop = stop.child_token();
        let (hints, heard) = mpsc::channel(watch::HINTS_MAX);
        let (tell, events) = mpsc::channel(ADVANCES_MAX);
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        for (voice, node) in pool.nodes().enumerate().filter(|(_, node)| node.has_socket()) {
            tokio::spawn(watch::watch(voice, node.clone(), hints.clone(), stop.clone(), options.rng.fork()));
        }
        let behind = Arc::new(AtomicU64::new(0));
        let follower = Follower::new(window, options.rollback_after);
        let wires = Wires { hints: heard, orders: ordered, events: tell, behind: behind.clone() };
        let ahead = Arc::new(Ahead::new(pool.clone()));
        let driver = Driver::new(pool.clone(), ahead.clone(), follower, options, Arc::new(clock), wires, stop.clone());
        tokio::spawn(driver.run());
        Self { pool, ahead, behind, orders, events, held: None, ended: None, _stop: stop.drop_guard() }
    }

    /// The next event. Dropping the future loses nothing. After an error there is no other answer than that error.
    pub async fn next(&mut self) -> Result<Event, SourceError> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        self.held = None;
        let told = self.events.recv().await.unwrap_or(Told { what: Err(SourceError::Stopped), held: None });
        self.held = told.held;
        told.what.inspect_err(|error| self.ended = Some(error.clone()))
    }

    /// Answers to `reads` in their order, each asked at the hash of block `at` and nowhere else.
    pub async fn read(&self, at: BlockRef, reads: &[Read]) -> Vec<Answer> {
        let traces = reads.iter().position(|read| *read == Read::Traces);
        let Some((n, asked)) = traces.and_then(|n| Some((n, self.ahead.take(at.hash)?))) else {
            return self.pool.read(at, reads).await;
        };
        let rest: Vec<Read> = reads.iter().filter(|read| **read != Read::Traces).cloned().collect();
        let (early, mut answers) = futures::join!(asked, self.pool.read(at, &rest));
        let traces = match early.ok().flatten() {
            Some((traces, _held)) => traces,
            None => self.pool.read(at, &[Read::Traces]).await.pop().unwrap_or(Answer::Unavailable),
        };
        answers.insert(n, traces);
        answers
    }

    /// The endpoints that are followed.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How many blocks lie between the newest one passed on and the newest head.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    /// A person lets the branch with this block in it undo what was final.
    pub async fn allow(&self, branch: B256) {
        // Nobody to tell means that the source has ended, which the next event says.
        let _ = self.orders.send(Order::Allow(branch)).await;
    }
}

impl Fetched {
    /// Returns about how many bytes of memory it takes.
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
