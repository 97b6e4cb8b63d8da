//! Tapes: recorded stretches of a chain that can be played back as a node.
//!
//! Comes in: the committed steps and the events of a pipeline, or blocks recorded by another program. Goes out: a file,
//! and from a file a node ([`TapeServer`]) that replays the same blocks and reorgs. Never here: an answer that is not
//! on the tape, the URL of an endpoint on it, or a watch that waits for a tape.
//!
//! A tape is JSON lines, compressed with gzip or zstd: readable with `zcat` or `zstdcat` and `jq`. The first line
//! describes the tape; each further line is a block with the reads made at it, or the mark of an event between blocks:
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
//! `at` is the time of observation in milliseconds since the tape began; it is absent where that is unknown. Blocks,
//! receipts and traces are kept as the node wrote them. A block that does not build on the one before it must be
//! preceded by an explanation: a retraction, newest block first, or the mark of a gap. A hole is therefore always
//! intended. The blocks between two gaps form a [`Stretch`]; each stretch is played and followed separately, as a chain
//! of its own, so the follower needs no support for gaps.
//!
//! A recorder that crashed leaves a truncated tape. The tape is valid up to its last whole line, and reports the
//! truncation ([`Tape::cut`]).

mod compression;
mod import;
mod inspect;
mod open_blocks;
mod read;
mod record;
mod rotation;
mod script;
mod serve;
mod truth;
mod write;

use crate::model::read::{Answer, Read};
use crate::model::{Block, BlockRef, ChainId, Finality};
use crate::source::RawPair;
use crate::source::trace::RawTraces;
pub use compression::TapeCompression;
pub use import::{Flaw, ImportError, Imported, import_files};
pub use inspect::Inspection;
use jiff::Timestamp;
pub use read::{Reader, open_tape};
pub use record::{Backpressure, Recorder, Taken};
pub use rotation::Rotation;
pub use script::{Pace, Scene, Script};
pub use serve::{Fault, FaultKind, Playing, TapeServer};
use std::path::Path;
pub use truth::{FalseBlock, REFUTED_MAX, is_provable};
pub use write::Writer;

/// Version of the format that is written; earlier versions can be read too.
pub const VERSION: u32 = 2;
/// Maximum length of a line in bytes: several times the largest known block.
pub const LINE_BYTES_MAX: usize = 128 << 20;
/// Maximum number of bytes of lines that [`Tape::load_file`] reads into memory.
pub const LOADED_BYTES_MAX: usize = 2 << 30;
/// Longest caption, note or reason on a tape, in bytes: more than a page of a terminal.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Maximum number of blocks in one retraction, as many as a follower remembers.
pub const RETRACT_MAX: usize = crate::source::follow::WINDOW_MAX;

/// First line of a tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Chain the blocks are of.
    pub chain: ChainId,
    /// Subject of the tape, in a sentence; may be empty.
    pub note: String,
    /// Start of the recording, on the recorder's clock; absent for blocks that were assembled later.
    pub began: Option<Timestamp>,
}

/// Line after the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A block.
    Block(Box<TapeBlock>),
    /// Gap: the next block does not build on the one before.
    Gap,
    /// Mark of an event between two blocks.
    Mark(FinalityRecord),
}

/// A recorded block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeBlock {
    /// Time at which the block was seen, in milliseconds since the tape began.
    pub at_ms: Option<u64>,
    /// The block with its receipts.
    pub block: Block,
    /// Text as the node wrote it, if the reader was asked to keep it.
    pub raw: Option<RawPair>,
    /// Requests to the node at this block, with its answers.
    pub reads: Vec<(Read, Answer)>,
    /// Traces of the block as the node wrote them. They are not checked against the block: see [`RawTraces::check_against`].
    pub traces: Option<RawTraces>,
}

/// Event between two blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalityRecord {
    /// Time of the event, in milliseconds since the tape began.
    pub at_ms: Option<u64>,
    /// Event itself.
    pub what: TapeEvent,
}

/// Event that may occur between two blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapeEvent {
    /// Line for the viewer about the following blocks.
    Caption(String),
    /// Retraction of these blocks, the newest ones of the chain; newest first.
    Retract(Vec<BlockRef>),
    /// Finality reached by the blocks up to this one.
    Promote(Finality, BlockRef),
    /// Start or end of an outage of the recorder.
    Trouble(RecordedIssue),
    /// Note about the recording itself.
    Note(String),
}

/// Outage of a recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedIssue {
    /// Kind of the outage, such as `unreachable`.
    pub kind: String,
    /// Name of the endpoint that it concerns, never its URL; absent when it concerns the chain.
    pub endpoint: Option<String>,
    /// Cause of the outage.
    pub why: Option<String>,
    /// True if this is the end of the outage.
    pub over: bool,
}

/// A tape in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tape {
    /// First line of the tape.
    pub head: Head,
    /// Stretches in the order of the tape, none empty.
    pub stretches: Vec<Stretch>,
    /// Number of the last whole line, if the tape is truncated after it.
    pub cut: Option<usize>,
}

/// Blocks in the order of observation, with the text of the node. Each builds on the block that was newest when it
/// came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Blocks in the order of arrival, including those that were retracted later.
    pub blocks: Vec<TapeBlock>,
    /// Events between the blocks, each with the number of blocks of this stretch that come before it.
    pub marks: Vec<(usize, FinalityRecord)>,
}

/// Error for an invalid or inaccessible tape.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// Reading or writing the file failed.
    #[error("{}{source}", if *line == 0 { String::new() } else { format!("line {line}: ") })]
    Io {
        /// Line reached, from 1; 0 where it is not about a line.
        line: usize,
        /// Error reported by the system.
        source: std::io::Error,
    },
    /// The first line is not a tape's.
    #[error("this is not a tape: its first line does not say so")]
    NotATape,
    /// The tape has an unsupported version.
    #[error("this is a tape of version {0}, and only versions up to {VERSION} can be played")]
    Version(u32),
    /// A line is invalid.
    #[error("line {line}: {why}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// Description of the error.
        why: String,
    },
    /// A hole is not marked as a gap.
    #[error("line {line}: block {number} does not build on the block before it, and no gap is marked between them")]
    Disjoint {
        /// Number of the line, from 1.
        line: usize,
        /// Number of the block after the hole.
        number: u64,
    },
    /// The tape exceeds the size limit.
    #[error("the tape holds more than {LOADED_BYTES_MAX} bytes")]
    TooLarge,
}

impl Tape {
    /// Reads a whole tape, for playing it.
    pub fn load_file(path: &Path) -> Result<Self, TapeError> {
        Self::from_reader(open_tape(path)?)
    }

    /// Reads the rest of `reader` for playback.
    pub fn from_reader(reader: Reader<'_>) -> Result<Self, TapeError> {
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
        Ok(Self { head: reader.head().clone(), stretches, cut: reader.truncated_after() })
    }
}

impl Tape {
    /// Concatenates all stretches, for a node that shows them all; they are connected only by their block numbers.
    #[must_use]
    pub fn join_stretches(self) -> Stretch {
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
    /// Returns the number of its first block, where a follower should start.
    #[must_use]
    pub fn first_number(&self) -> Option<u64> {
        self.blocks.first().map(|block| block.block.at.number)
    }

    /// Captions, each with the number of blocks that come before it.
    pub fn captions(&self) -> impl Iterator<Item = (usize, &str)> {
        self.marks.iter().filter_map(|(before, mark)| match &mark.what {
            TapeEvent::Caption(caption) => Some((*before, caption.as_str())),
            _ => None,
        })
    }
}

impl Head {
    /// Creates the first line of a tape that was assembled, not recorded.
    #[must_use]
    pub fn new(chain: ChainId, note: impl Into<String>) -> Self {
        Self { chain, note: note.into(), began: None }
    }
}
