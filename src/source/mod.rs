//! The source: one chain, block by block, with nothing missing, nothing twice and nothing out of order.
//!
//! Comes in: an endpoint, and the [`Window`] of what the store has committed. Goes out: [`Event`]s, of which a [`Step`] is
//! the only one that changes the chain. What never happens here: a block that does not build on the one before it, a step
//! that rests on a subscription alone, or an address of an endpoint in a log or an error.
//!
//! Heads are hints, hashes are truth, the store is the clock: a subscription and a poll only say that there is something to
//! look at, and [`follow`] walks parent hashes from there to what is committed.

pub mod follow;

use crate::model::{Block, Link};
pub use follow::{Linked, TooDeep, Want, Window};
use jiff::Timestamp;
use serde_json::value::RawValue;

/// Steps that may wait for the pipeline, about 13 minutes of mainnet; when they are as many, the source waits.
pub const ADVANCES_MAX: usize = 64;

/// Blocks that leave the chain and blocks that join it.
pub type Step = follow::Step<Fetched>;

/// What a source has to say.
#[derive(Debug)]
pub enum Event {
    /// The chain moved. Commit it before asking for the next event.
    Step(Box<Step>),
    /// Nothing can be seen.
    Blind {
        /// When something was seen last.
        since: Timestamp,
        /// What stands in the way.
        why: Blindness,
    },
    /// The blindness is over; the blocks missed meanwhile follow.
    Sighted {
        /// When it began.
        since: Timestamp,
        /// When it ended.
        until: Timestamp,
    },
}

/// Why nothing can be seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blindness {
    /// The endpoint does not answer.
    #[error("the endpoint does not answer: {0}")]
    Unreachable(String),
    /// The endpoint serves another chain. Nothing of it is let through.
    #[error("the endpoint serves chain {found}, not chain {expected}")]
    WrongChain {
        /// Chain the configuration names.
        expected: u64,
        /// Chain the endpoint serves.
        found: u64,
    },
    /// The endpoint answers, but not with the block that is next.
    #[error("the next block cannot be had: {0}")]
    NoBlock(String),
}

/// A block as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The block with its receipts.
    pub block: Block,
    /// What the node wrote, for a recorder that asked for it.
    pub raw: Option<RawPair>,
}

/// A block's JSON as the node wrote it.
#[derive(Clone, Debug)]
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

impl Linked for Fetched {
    fn link(&self) -> Link {
        self.block.link()
    }
}

impl PartialEq for RawPair {
    fn eq(&self, other: &Self) -> bool {
        self.block.get() == other.block.get() && self.receipts.get() == other.receipts.get()
    }
}

impl Eq for RawPair {}
