//! Terms in which the follower is asked and answers: its window, its steps, what it wants fetched, and how heads stand to it.

use crate::model::{BlockRef, Link};
use alloy_primitives::B256;

/// What has been emitted so far, oldest first, each the parent of the next. It is what a store keeps and gives back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Number of the first block ever wanted. A reorg that reaches below it replaces everything from here on, since nothing
    /// before it was of interest.
    pub first: u64,
    /// The newest blocks, at least the last 1,024 where there are as many; empty before the first block.
    pub links: Vec<Link>,
}

/// Blocks that leave the chain, then blocks that join it. Never both empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<B> {
    /// Newest first; the first is the tip that was.
    pub retract: Vec<BlockRef>,
    /// Oldest first; the first builds on what is left.
    pub append: Vec<B>,
}

/// Something to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// The newest head, again: the last one contradicts our tip, and once is not enough to take blocks back.
    Latest,
    /// The header with this hash.
    Header(B256),
    /// The whole block with this hash.
    Block(B256),
    /// The whole block with this number.
    Numbered(u64),
}

/// The nodes' chain is not one that ours may silently become. Nothing is taken back until a person says so, or until the nodes
/// come back to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// It leaves ours below a block that was final.
    #[error("the chain that leads to block {head} does not contain block {finalized}, which was final")]
    Finalized {
        /// The head that would undo it.
        head: BlockRef,
        /// The block that would be undone.
        finalized: BlockRef,
    },
    /// It leaves ours below the oldest block we remember, so that what to take back cannot be told.
    #[error("the chain that leads to block {head} does not join ours, which is remembered from block {oldest} on")]
    Forgotten {
        /// The head that does not join.
        head: BlockRef,
        /// The oldest block remembered.
        oldest: BlockRef,
    },
}

/// How a head that a node names stands to what is emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is one of our blocks.
    Ours,
    /// It builds on our tip.
    Extends,
    /// It builds on a block of ours below the tip: this one is the first of ours that is not on its chain.
    Forks(BlockRef),
    /// Not told yet: this header is missing on the way.
    Unknown(B256),
    /// Too far ahead to walk back from it.
    Far,
    /// Older than everything we remember, or made up.
    Nowhere,
}

/// Anything that knows its place in the chain.
pub trait Linked {
    /// That place.
    fn link(&self) -> Link;

    /// About how many bytes of memory it takes; nothing that matters, unless it says.
    fn size(&self) -> usize {
        0
    }
}
