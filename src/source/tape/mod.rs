//! Tapes: recorded stretches of a chain that can be played back as a node.
//!
//! A tape is gzip'd JSON lines, readable with `zcat` and `jq`. The first line says what it is; each further one is a block
//! with its receipts and the reads that were asked at it, a caption for whoever watches, or the mark of a gap:
//!
//! ```text
//! {"tape":1,"chain":1,"note":"an owner is added at night"}
//! {"caption":"Friday, 10:00: the usual grants"}
//! {"block":{…},"receipts":[…],"reads":[{"to":"0x…","data":"0x…","answer":"0x…"},{"to":"0x…","data":"0x…","reverted":true}]}
//! {"gap":true}
//! {"block":{…},"receipts":[…]}
//! ```
//!
//! Blocks and receipts stand as the node wrote them. A block that does not build on the one before it needs the mark of a gap
//! between them, so that a hole is always something somebody meant. What lies between two gaps is a [`Stretch`]; each is
//! played and followed by itself, as a chain of its own, which keeps the follower free of any notion of a gap.

mod import;
mod read;
mod serve;
mod write;

use super::RawPair;
use crate::model::read::{Answer, Read};
use crate::model::{Block, ChainId};
pub use import::{Imported, import};
pub use read::{Reader, blocks, open};
pub use serve::{Pace, TapeServer};
use std::path::Path;
pub use write::{Recorder, Writer};

/// Version of the format.
pub const VERSION: u32 = 1;
/// Longest line, in bytes: several times the largest block there is.
pub const LINE_BYTES_MAX: usize = 128 << 20;
/// Most bytes of blocks and receipts that [`Tape::load`] takes into memory.
pub const LOADED_BYTES_MAX: usize = 2 << 30;

/// What the first line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Chain the blocks are of.
    pub chain: ChainId,
    /// What the tape shows, in a sentence; may be empty.
    pub note: String,
}

/// One line behind the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A block.
    Block(Box<TapeBlock>),
    /// The next block does not build on the one before.
    Gap,
    /// A line for whoever watches, about what follows.
    Caption(String),
}

/// A recorded block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeBlock {
    /// The block with its receipts.
    pub block: Block,
    /// The node's own text, where the reader was asked to keep it.
    pub raw: Option<RawPair>,
    /// What was asked of the node at this block, and its answers.
    pub reads: Vec<(Read, Answer)>,
}

/// A tape in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tape {
    /// What the first line says.
    pub head: Head,
    /// In the order of the tape, none empty.
    pub stretches: Vec<Stretch>,
}

/// Blocks that build on each other, with the node's own text kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Oldest first.
    pub blocks: Vec<TapeBlock>,
    /// Captions, each with the number of blocks of this stretch that come before it.
    pub captions: Vec<(usize, String)>,
}

/// A tape is of no use, or not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The file.
    #[error("line {line}: {source}")]
    Io {
        /// Line reached, from 1.
        line: usize,
        /// What the system says.
        source: std::io::Error,
    },
    /// The first line is not a tape's.
    #[error("this is not a tape: its first line does not say so")]
    NotATape,
    /// A tape of another version.
    #[error("this is a tape of version {0}, and only version {VERSION} can be played")]
    Version(u32),
    /// A line that cannot be read.
    #[error("line {line}: {why}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A hole that nobody marked.
    #[error("line {line}: block {number} does not build on the block before it, and no gap is marked between them")]
    Disjoint {
        /// From 1.
        line: usize,
        /// Number of the block behind the hole.
        number: u64,
    },
    /// More than fits.
    #[error("the tape holds more than {LOADED_BYTES_MAX} bytes")]
    TooLarge,
    /// A file to import.
    #[error("{file}: {why}")]
    Import {
        /// Which.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Tape {
    /// Reads a whole tape, for playing it.
    pub fn load(path: &Path) -> Result<Self, TapeError> {
        Self::collect(open(path)?)
    }

    /// Reads all that `reader` has left, for playing it.
    pub fn collect<R: std::io::Read>(reader: Reader<R>) -> Result<Self, TapeError> {
        let reader = reader.keeping_raw();
        let head = reader.head().clone();
        let mut stretches = vec![Stretch::default()];
        let mut n_bytes = 0;
        for entry in reader {
            let Some(stretch) = stretches.last_mut() else { break };
            match entry? {
                Entry::Block(block) => {
                    n_bytes += block.raw.as_ref().map_or(0, |raw| raw.block.get().len() + raw.receipts.get().len());
                    if n_bytes > LOADED_BYTES_MAX {
                        return Err(TapeError::TooLarge);
                    }
                    stretch.blocks.push(*block);
                }
                Entry::Gap if stretch.blocks.is_empty() => {}
                Entry::Gap => stretches.push(Stretch::default()),
                Entry::Caption(caption) => stretch.captions.push((stretch.blocks.len(), caption)),
            }
        }
        stretches.retain(|stretch| !stretch.blocks.is_empty());
        Ok(Self { head, stretches })
    }
}

impl Stretch {
    /// Number of its first block: where to begin following it.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.blocks.first().map(|block| block.block.at.number)
    }

    /// Number of its last block.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.blocks.last().map(|block| block.block.at.number)
    }

    /// Captions that stand right before the block with this number, or behind the last block for the number after it.
    pub fn captions_before(&self, number: u64) -> impl Iterator<Item = &str> {
        let place = self.first().and_then(|first| number.checked_sub(first));
        self.captions.iter().filter(move |(at, _)| place == Some(*at as u64)).map(|(_, caption)| caption.as_str())
    }
}
