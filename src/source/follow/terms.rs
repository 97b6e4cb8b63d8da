//! Types of the follower's interface: its window, its steps, its wants, and the relation of heads to our chain.

use crate::model::{BlockRef, Link};
use alloy_primitives::B256;

/// Blocks emitted so far, oldest first, each the parent of the next. A store keeps this window and gives it back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Number of the first block ever wanted. A reorg that reaches below it replaces everything from here on, since
    /// earlier blocks were never wanted.
    pub first: u64,
    /// The newest blocks, at least the last 1,024 where there are as many; empty before the first block.
    pub links: Vec<Link>,
}

/// Blocks to retract, then blocks to append. At least one of the lists is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<B> {
    /// Newest first; the first is the tip that was.
    pub retract: Vec<BlockRef>,
    /// Oldest first; the first builds on the last block that stays.
    pub append: Vec<B>,
}

/// Block or header to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// The newest head, again: the last one contradicts our tip, and one report is not enough to retract blocks.
    Latest,
    /// The header with this hash.
    Header(B256),
    /// The whole block with this hash.
    Block(B256),
    /// The whole block with this number.
    Numbered(u64),
}

/// Conflict with the chain of the nodes that needs a person's decision. No block is retracted until a person permits
/// it, or until the nodes return to our chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Branch that leaves ours below a block that was final.
    #[error("the chain that leads to block {head} does not contain block {finalized}, which was final")]
    Finalized {
        /// The head that would undo it.
        head: BlockRef,
        /// The block that would be undone.
        finalized: BlockRef,
    },
    /// Branch that leaves ours below the oldest block remembered, so that the blocks to retract are unknown.
    #[error("the chain that leads to block {head} does not join ours, which is remembered from block {oldest} on")]
    Forgotten {
        /// The head that does not join.
        head: BlockRef,
        /// The oldest remembered block.
        oldest: BlockRef,
    },
}

/// Relation of a head named by a node to the emitted blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Head that is one of our blocks.
    Ours,
    /// Head that builds on our tip.
    Extends,
    /// Head that builds on a block of ours below the tip; carries the first of our blocks that is not on its chain.
    Forks(BlockRef),
    /// The relation is not known yet: this header is missing on the path.
    Unknown(B256),
    /// Too far ahead to walk back from it.
    Far,
    /// Older than every remembered block, or invented.
    Nowhere,
}

/// Block-like type with a position in the chain.
pub trait Linked {
    /// Returns that position.
    fn link(&self) -> Link;

    /// Returns its approximate size in bytes; without an implementation the size counts as negligible.
    fn size(&self) -> usize {
        0
    }
}
