//! Summary of the contents of a tape.

use super::truth::{FalseBlock, is_provable, verify_raw_block};
use super::{Entry, Head, Reader, TapeBlock, TapeCompression, TapeError, TapeEvent};
use crate::source::trace::TraceMethod;
use std::collections::BTreeMap;
use std::time::Duration;

/// Summary of a tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// First line of the tape.
    pub head: Head,
    /// Version of the format.
    pub version: u32,
    /// Compression of the tape.
    pub packing: TapeCompression,
    /// Number of stretches that are not connected.
    pub n_stretches: usize,
    /// Number of blocks, including those that were retracted.
    pub n_blocks: usize,
    /// Lowest and highest block.
    pub numbers: Option<(u64, u64)>,
    /// Earliest and latest block time, in seconds since the Unix epoch.
    pub times: Option<(u64, u64)>,
    /// Transactions of all blocks.
    pub n_txs: usize,
    /// Logs of all transactions.
    pub n_logs: usize,
    /// Number of reorgs.
    pub n_reorgs: usize,
    /// Number of retracted blocks.
    pub n_retracted: usize,
    /// Number of blocks that are proven by their own hash, except for senders.
    pub n_verified: usize,
    /// Number of blocks that are only partly proven by their hash, because they are newer than this program.
    pub n_unproven: usize,
    /// Blocks that contradict their own hash, and the reasons.
    pub refused: FalseBlock,
    /// Number of answers to reads.
    pub n_reads: usize,
    /// Number of blocks with traces, by method.
    pub traces: BTreeMap<TraceMethod, usize>,
    /// Captions.
    pub n_captions: usize,
    /// Times that blocks became final.
    pub n_promotions: usize,
    /// Number of outages of the recorder, by kind.
    pub troubles: BTreeMap<String, usize>,
    /// Notes of the recorder about the recording.
    pub notes: Vec<String>,
    /// Notes beyond those.
    pub n_more_notes: usize,
    /// Time from the first to the last entry with a recorded time.
    pub lasted: Option<Duration>,
    /// Number of decompressed bytes.
    pub n_bytes: u64,
    /// Number of the last whole line, if the tape is truncated after it.
    pub cut: Option<usize>,
    /// Reason why the tape cannot be read to its end.
    pub broken: Option<String>,
}

/// Number of notes that are kept in full, and of outage kinds that are counted separately: more would not be read.
const TOLD_MAX: usize = 20;

impl Inspection {
    /// Counts the rest of `reader`. A tape that cannot be read to its end is counted up to the error.
    #[must_use]
    pub fn from_reader(reader: Reader<'_>) -> Self {
        let mut reader = reader.keeping_raw();
        let mut survey = Self {
            head: reader.head().clone(),
            version: reader.format_version(),
            packing: reader.compression_format(),
            n_stretches: 0,
            n_blocks: 0,
            numbers: None,
            times: None,
            n_txs: 0,
            n_logs: 0,
            n_reorgs: 0,
            n_retracted: 0,
            n_verified: 0,
            n_unproven: 0,
            refused: FalseBlock::default(),
            n_reads: 0,
            traces: BTreeMap::new(),
            n_captions: 0,
            n_promotions: 0,
            troubles: BTreeMap::new(),
            notes: Vec::new(),
            n_more_notes: 0,
            lasted: None,
            n_bytes: 0,
            cut: None,
            broken: None,
        };
        let (mut joined, mut began_ms) = (false, None);
        for entry in reader.by_ref() {
            if let Err(why) = entry.map(|entry| survey.count_entry(entry, &mut joined, &mut began_ms)) {
                survey.broken = Some(TapeError::to_string(&why));
            }
        }
        (survey.n_bytes, survey.cut) = (reader.n_bytes(), reader.truncated_after());
        survey
    }

    /// Returns whether the tape ends as a recorder ends it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.cut.is_none() && self.broken.is_none()
    }

    /// Verifies a block against its own hash, on chains where that is possible.
    fn verify_block(&mut self, block: &TapeBlock) {
        let Some(raw) = block.raw.as_ref().filter(|_| is_provable(self.head.chain)) else { return };
        match verify_raw_block(raw) {
            Ok(gaps) if gaps.is_empty() => self.n_verified += 1,
            Ok(_) => self.n_unproven += 1,
            Err(why) => self.refused.add(block.block.at.number, why),
        }
    }

    fn count_entry(&mut self, entry: Entry, joined: &mut bool, began_ms: &mut Option<u64>) {
        let at_ms = match entry {
            Entry::Gap => {
                *joined = false;
                None
            }
            Entry::Block(block) => {
                self.n_stretches += usize::from(!std::mem::replace(joined, true));
                self.n_blocks += 1;
                self.numbers = widen_range(self.numbers, block.block.at.number);
                self.times = widen_range(self.times, block.block.time);
                self.n_txs += block.block.txs.len();
                self.n_logs += block.block.txs.iter().map(|tx| tx.logs.len()).sum::<usize>();
                self.n_reads += block.reads.len();
                self.verify_block(&block);
                if let Some(traces) = &block.traces {
                    *self.traces.entry(traces.method).or_default() += 1;
                }
                block.at_ms
            }
            Entry::Mark(mark) => {
                match mark.what {
                    TapeEvent::Caption(_) => self.n_captions += 1,
                    TapeEvent::Retract(gone) => {
                        self.n_reorgs += 1;
                        self.n_retracted += gone.len();
                    }
                    TapeEvent::Promote(..) => self.n_promotions += 1,
                    TapeEvent::Trouble(trouble) if trouble.over => {}
                    TapeEvent::Trouble(trouble) => {
                        let known = self.troubles.len() < TOLD_MAX || self.troubles.contains_key(&trouble.kind);
                        let kind = if known { trouble.kind } else { "other".to_owned() };
                        *self.troubles.entry(kind).or_default() += 1;
                    }
                    TapeEvent::Note(note) if self.notes.len() < TOLD_MAX => self.notes.push(note),
                    TapeEvent::Note(_) => self.n_more_notes += 1,
                }
                mark.at_ms
            }
        };
        if let Some(at_ms) = at_ms {
            let since = at_ms.saturating_sub(*began_ms.get_or_insert(at_ms));
            self.lasted = self.lasted.max(Some(Duration::from_millis(since)));
        }
    }
}

fn widen_range(range: Option<(u64, u64)>, to: u64) -> Option<(u64, u64)> {
    range.map_or(Some((to, to)), |(low, high)| Some((low.min(to), high.max(to))))
}
