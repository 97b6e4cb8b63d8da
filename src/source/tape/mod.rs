//! Tapes: recorded stretches of a chain that can be played back as a node.
//!
//! Comes in: what a pipeline committed and heard, or blocks that somebody else recorded. Goes out: a file, and from a file a node
//! ([`TapeServer`]) that lives through the same blocks and reorgs again. What never happens here: an answer that is not on the
//! tape, an address of an endpoint on it, or a watch that waits for a tape.
//!
//! A tape is JSON lines, packed with gzip or zstd: readable with `zcat` or `zstdcat` and `jq`. The first line says what it is; each
//! further one is a block with what was asked at it, or the mark of something that happened between blocks:
//!
//! ```text
//! {"tape":2,"chain":1,"note":"an owner is added at night","began":"2026-11-03T03:00:00Z"}
//! {"caption":"Friday, 10:00: the usual grants"}
//! {"at":12,"block":{…},"receipts":[…],"reads":[{"to":"0x…","data":"0x…","answer":"0x…"},{"to":"0x…","data":"0x…","reverted":true}]}
//! {"at":12010,"block":{…},"receipts":[…],"traces":{"method":"debug_traceBlockByHash","answer":[…]}}
//! {"at":24020,"retract":[{"number":102,"hash":"0x…"},{"number":101,"hash":"0x…"}]}
//! {"at":24020,"block":{…},"receipts":[…]}
//! {"at":30000,"promote":"safe","to":{"number":98,"hash":"0x…"}}
//! {"at":36000,"fault":"unreachable","endpoint":"primary","why":"connection refused"}
//! {"at":40000,"fault":"unreachable","endpoint":"primary","over":true}
//! {"at":40001,"note":"2 steps could not be recorded: the tape was slower than the chain"}
//! {"gap":true}
//! {"block":{…},"receipts":[…]}
//! ```
//!
//! `at` is when it was seen, in milliseconds since the tape began, where somebody was there to see it. Blocks, receipts and traces
//! stand as the node wrote them. A block that does not build on the one before it needs what explains it between them: a
//! retraction, newest block first, or the mark of a gap, so that a hole is always something somebody meant. What lies between two
//! gaps is a [`Stretch`]; each is played and followed by itself, as a chain of its own, which keeps the follower free of any
//! notion of a gap.
//!
//! A recorder that crashed leaves a tape that is cut short. It is good up to its last whole line, and says so ([`Tape::cut`]).

mod import;
mod packing;
mod read;
mod record;
mod reel;
mod script;
mod serve;
mod standing;
mod survey;
mod truth;
mod write;

use super::RawPair;
use super::trace::RawTraces;
use crate::model::read::{Answer, Read};
use crate::model::{Block, BlockRef, ChainId, Finality};
pub use import::{Flaw, ImportError, Imported, import};
use jiff::Timestamp;
pub use packing::Packing;
pub use read::{Reader, open};
pub use record::{Patience, Recorder, Taken};
pub use reel::Reel;
pub use script::{Pace, Scene, Script};
pub use serve::{Fault, FaultKind, Playing, TapeServer};
use std::path::Path;
pub use survey::Survey;
pub use truth::{REFUTED_MAX, Refuted, is_provable};
pub use write::Writer;

/// Version of the format that is written; those before it are read too.
pub const VERSION: u32 = 2;
/// Longest line, in bytes: several times the largest block there is.
pub const LINE_BYTES_MAX: usize = 128 << 20;
/// Most bytes of lines that [`Tape::load`] takes into memory.
pub const LOADED_BYTES_MAX: usize = 2 << 30;
/// Longest caption, note or reason on a tape, in bytes: more than a page of a terminal.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Most blocks that one retraction takes back, as many as a follower remembers.
pub const RETRACT_MAX: usize = super::follow::WINDOW_MAX;

/// What the first line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Chain the blocks are of.
    pub chain: ChainId,
    /// What the tape shows, in a sentence; may be empty.
    pub note: String,
    /// When recording began, on the recorder's clock; absent for blocks that were put together later.
    pub began: Option<Timestamp>,
}

/// One line behind the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A block.
    Block(Box<TapeBlock>),
    /// The next block does not build on the one before.
    Gap,
    /// Something that happened between two blocks.
    Mark(Mark),
}

/// A recorded block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeBlock {
    /// When it was seen, in milliseconds since the tape began.
    pub at_ms: Option<u64>,
    /// The block with its receipts.
    pub block: Block,
    /// The node's own text, where the reader was asked to keep it.
    pub raw: Option<RawPair>,
    /// What was asked of the node at this block, and its answers.
    pub reads: Vec<(Read, Answer)>,
    /// Its traces as the node wrote them. Nothing says that they fit the block: see [`RawTraces::check`].
    pub traces: Option<RawTraces>,
}

/// Something that happened between two blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When, in milliseconds since the tape began.
    pub at_ms: Option<u64>,
    /// What.
    pub what: Happening,
}

/// What may happen between two blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A line for whoever watches, about what follows.
    Caption(String),
    /// These blocks, the newest ones, left the chain; newest first.
    Retract(Vec<BlockRef>),
    /// Blocks up to this one became so final.
    Promote(Finality, BlockRef),
    /// Something began or ceased to keep the recorder from seeing.
    Trouble(Trouble),
    /// Something about the recording itself.
    Note(String),
}

/// What kept a recorder from seeing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Name of the blindness, such as `unreachable`.
    pub kind: String,
    /// Name of the endpoint it is about, never its address; absent when it is about the chain.
    pub endpoint: Option<String>,
    /// What stood in the way.
    pub why: Option<String>,
    /// Whether this is its end.
    pub over: bool,
}

/// A tape in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tape {
    /// What the first line says.
    pub head: Head,
    /// In the order of the tape, none empty.
    pub stretches: Vec<Stretch>,
    /// The last whole line, where the tape is cut short behind it.
    pub cut: Option<usize>,
}

/// Blocks as they were seen, with the node's own text kept: each builds on what stood when it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// In the order they came, those that were taken back later included.
    pub blocks: Vec<TapeBlock>,
    /// What happened between them, each with the number of blocks of this stretch that come before it.
    pub marks: Vec<(usize, Mark)>,
}

/// A tape is of no use, or not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The file.
    #[error("{}{source}", if *line == 0 { String::new() } else { format!("line {line}: ") })]
    Io {
        /// Line reached, from 1; 0 where it is not about a line.
        line: usize,
        /// What the system says.
        source: std::io::Error,
    },
    /// The first line is not a tape's.
    #[error("this is not a tape: its first line does not say so")]
    NotATape,
    /// A tape of another version.
    #[error("this is a tape of version {0}, and only versions up to {VERSION} can be played")]
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
}

impl Tape {
    /// Reads a whole tape, for playing it.
    pub fn load(path: &Path) -> Result<Self, TapeError> {
        Self::collect(open(path)?)
    }

    /// Reads all that `reader` has left, for playing it.
    pub fn collect(reader: Reader<'_>) -> Result<Self, TapeError> {
        let mut reader = reader.keeping_raw();
        let mut stretches = vec![Stretch::default()];
        while let Some(entry) = reader.next() {
            if reader.n_bytes() > LOADED_BYTES_MAX as u64 {
                return Err(TapeError::TooLarge);
            }
            let Some(stretch) = stretches.last_mut() else { break };
            match entry? {
                Entry::Block(block) => stretch.blocks.push(*block),
                Entry::Gap if stretch.blocks.is_empty() => {}
                Entry::Gap => stretches.push(Stretch::default()),
                Entry::Mark(mark) => stretch.marks.push((stretch.blocks.len(), mark)),
            }
        }
        stretches.retain(|stretch| !stretch.blocks.is_empty());
        Ok(Self { head: reader.head().clone(), stretches, cut: reader.cut() })
    }
}

impl Tape {
    /// Puts all stretches behind one another, for a node that shows them all: nothing but their numbers joins them.
    #[must_use]
    pub fn joined(self) -> Stretch {
        let mut all = Stretch::default();
        for stretch in self.stretches {
            let before = all.blocks.len();
            all.marks.extend(stretch.marks.into_iter().map(|(place, mark)| (before + place, mark)));
            all.blocks.extend(stretch.blocks);
        }
        all
    }
}

impl Stretch {
    /// Number of its first block: where to begin following it.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.blocks.first().map(|block| block.block.at.number)
    }

    /// Captions, each with the number of blocks that come before it.
    pub fn captions(&self) -> impl Iterator<Item = (usize, &str)> {
        self.marks.iter().filter_map(|(before, mark)| match &mark.what {
            Happening::Caption(caption) => Some((*before, caption.as_str())),
            _ => None,
        })
    }
}

impl Head {
    /// The first line of a tape that was put together, not recorded.
    #[must_use]
    pub fn new(chain: ChainId, note: impl Into<String>) -> Self {
        Self { chain, note: note.into(), began: None }
    }
}
