//! The source: one chain, block by block, with nothing missing, nothing twice and nothing out of order.
//!
//! Comes in: an endpoint, and the [`Window`] of what the store has committed. Goes out: [`Event`]s, of which a [`Step`] is
//! the only one that changes the chain. What never happens here: a block that does not build on the one before it, a step
//! that rests on a subscription alone, or an address of an endpoint in a log or an error.
//!
//! Heads are hints, hashes are truth, the store is the clock: a subscription and a poll only say that there is something to
//! look at, and [`follow`] walks parent hashes from there to what is committed.

mod drive;
mod fetch;
pub mod follow;
pub mod node;
pub mod rpc;
mod sight;
pub mod tape;
mod watch;

use crate::model::read::{Answer, Read};
use crate::model::{BlindnessKind, Block, BlockRef, ChainId, Finality, Link, Sight, Trouble};
use crate::runtime::{Clock, Stop};
use drive::Driver;
use follow::Follower;
pub use follow::{Linked, TooDeep, Window};
use jiff::Timestamp;
pub use node::{BadEndpoint, Deadlines, Endpoint, Node};
pub use rpc::NodeError;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

/// Steps that may wait for the pipeline, about 13 minutes of mainnet; when they are as many, the source waits.
pub const ADVANCES_MAX: usize = 64;

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
/// let mut source = Source::follow(node, window, Options::for_chain(chain), SystemClock, &Stop::new());
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
    node: Node,
    events: mpsc::Receiver<Result<Event, SourceError>>,
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
    /// Where the source stands has changed.
    Phase(Phase),
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
    /// The chain left us below everything we remember.
    #[error(transparent)]
    TooDeep(#[from] TooDeep),
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
        let rollback_after = (chain == ChainId(31_337)).then_some(Duration::from_secs(1));
        Self { rollback_after, keep_raw: false, rng: fastrand::Rng::new() }
    }
}

impl Source {
    /// Goes on where `window` ends, until `stop` or until it is dropped.
    #[must_use]
    pub fn follow(node: Node, window: Window, options: Options, clock: impl Clock + 'static, stop: &Stop) -> Self {
        let Options { rollback_after, keep_raw, mut rng } = options;
        let stop = stop.child_token();
        let (hints, heard) = mpsc::channel(watch::HINTS_MAX);
        let (tell, events) = mpsc::channel(ADVANCES_MAX);
        if node.has_socket() {
            tokio::spawn(watch::watch(node.clone(), hints, stop.clone(), rng.fork()));
        }
        let follower = Follower::new(window, rollback_after);
        let driver = Driver::new(node.clone(), follower, keep_raw, Arc::new(clock), rng, heard, tell, stop.clone());
        tokio::spawn(driver.run());
        Self { node, events, ended: None, _stop: stop.drop_guard() }
    }

    /// The next event. Dropping the future loses nothing. After an error there is no other answer than that error.
    pub async fn next(&mut self) -> Result<Event, SourceError> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        let event = self.events.recv().await.unwrap_or(Err(SourceError::Stopped));
        event.inspect_err(|error| self.ended = Some(error.clone()))
    }

    /// Answers to `reads` in their order, each asked at the hash of block `at` and nowhere else.
    pub async fn read(&self, at: BlockRef, reads: &[Read]) -> Vec<Answer> {
        self.node.read(at, reads).await
    }

    /// The node that is followed.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }
}

impl Linked for Fetched {
    fn link(&self) -> Link {
        self.block.link()
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
