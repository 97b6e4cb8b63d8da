//! Reader of a tape, line by line.

use super::compression::{decompress_reader, unpack_ahead};
use super::open_blocks::OpenBlocks;
use super::{
    Entry, FinalityRecord, Head, LINE_BYTES_MAX, RecordedIssue, TEXT_BYTES_MAX, TapeBlock, TapeError, TapeEvent,
};
use super::{TapeCompression, VERSION};
use crate::model::read::{Answer, Read as ReadCall};
use crate::model::{BlockRef, ChainId, Finality};
use crate::source::RawPair;
use crate::source::trace::{RawTraces, TraceMethod};
use crate::wire::{self, BlockWire, ReceiptsWire};
use alloy_primitives::{Address, B256, Bytes};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Iterator over the lines of a tape after the first; it ends at the first error.
pub struct Reader<'a> {
    from: BufReader<Box<dyn Read + 'a>>,
    packing: TapeCompression,
    head: Head,
    version: u32,
    keep_raw: bool,
    buffer: Vec<u8>,
    line: usize,
    n_bytes: u64,
    standing: OpenBlocks,
    cut: Option<usize>,
    ended: bool,
}

/// Opens the tape at `path`, in any supported compression. It is decompressed on a separate thread.
pub fn open_tape(path: &Path) -> Result<Reader<'static>, TapeError> {
    let failed = |source| TapeError::Io { line: 0, source };
    let (packing, from) = File::open(path).and_then(unpack_ahead).map_err(failed)?;
    Reader::read_head(packing, from)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    tape: u32,
    chain: u64,
    #[serde(default)]
    note: String,
    began: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    at: Option<u64>,
    block: Option<BlockWire>,
    receipts: Option<ReceiptsWire>,
    #[serde(default)]
    reads: Vec<ReadLine>,
    #[serde(borrow)]
    traces: Option<TracesLine<'a>>,
    gap: Option<bool>,
    caption: Option<String>,
    retract: Option<Vec<BlockRef>>,
    promote: Option<Finality>,
    to: Option<BlockRef>,
    fault: Option<String>,
    endpoint: Option<String>,
    why: Option<String>,
    #[serde(default)]
    over: bool,
    note: Option<String>,
}

#[derive(Deserialize)]
struct RawLine<'a> {
    #[serde(borrow)]
    block: &'a RawValue,
    #[serde(borrow)]
    receipts: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadLine {
    to: Option<Address>,
    data: Option<Bytes>,
    /// Hash of the parent, for a read of the state before the block.
    before: Option<B256>,
    storage: Option<Address>,
    slot: Option<B256>,
    code: Option<Address>,
    nonce: Option<Address>,
    balance: Option<Address>,
    grants: Option<Address>,
    since: Option<u64>,
    uses: Option<Address>,
    used_of: Option<Vec<Address>>,
    by: Option<Address>,
    answer: Option<Bytes>,
    #[serde(default)]
    reverted: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TracesLine<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    answer: &'a RawValue,
}

impl<'a> Reader<'a> {
    /// Reads the first line of a tape, in any supported compression.
    pub fn new(from: impl Read + 'a) -> Result<Self, TapeError> {
        let (packing, from) = decompress_reader(from).map_err(|source| TapeError::Io { line: 1, source })?;
        Self::read_head(packing, from)
    }

    fn read_head(packing: TapeCompression, from: Box<dyn Read + 'a>) -> Result<Self, TapeError> {
        let mut reader = Self {
            from: BufReader::with_capacity(1 << 17, from),
            packing,
            head: Head::new(ChainId(0), ""),
            version: VERSION,
            keep_raw: false,
            buffer: Vec::new(),
            line: 0,
            n_bytes: 0,
            standing: OpenBlocks::default(),
            cut: None,
            ended: false,
        };
        if !reader.next_line()? {
            return Err(TapeError::NotATape);
        }
        let line: HeadLine = serde_json::from_slice(&reader.buffer).map_err(|_| TapeError::NotATape)?;
        if !(1..=VERSION).contains(&line.tape) {
            return Err(TapeError::Version(line.tape));
        }
        reader.version = line.tape;
        reader.head = Head { chain: ChainId(line.chain), note: line.note, began: line.began };
        Ok(reader)
    }

    /// Returns the first line.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Returns the version of its format.
    #[must_use]
    pub fn format_version(&self) -> u32 {
        self.version
    }

    /// Returns the compression of the tape.
    #[must_use]
    pub fn compression_format(&self) -> TapeCompression {
        self.packing
    }

    /// Returns the number of decompressed bytes read so far.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Returns the number of the last whole line, once the end was reached and the tape is truncated after that line.
    #[must_use]
    pub fn truncated_after(&self) -> Option<usize> {
        self.cut
    }

    /// Keeps the node's own text of each block from here on.
    #[must_use]
    pub fn keeping_raw(mut self) -> Self {
        self.keep_raw = true;
        self
    }

    /// Reads the next line that is not blank into the buffer; false at the end.
    fn next_line(&mut self) -> Result<bool, TapeError> {
        loop {
            self.buffer.clear();
            let mut bounded = self.from.by_ref().take(LINE_BYTES_MAX as u64 + 1);
            let read = bounded.read_until(b'\n', &mut self.buffer);
            self.n_bytes += self.buffer.len() as u64;
            match read {
                // A recorder that crashed left the last line and the compressed stream unfinished.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.line > 0 => {
                    self.cut = Some(self.line);
                    return Ok(false);
                }
                Err(source) => return Err(TapeError::Io { line: self.line + 1, source }),
                Ok(0) => return Ok(false),
                Ok(_) => self.line += 1,
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(self.line_error(format!("longer than {LINE_BYTES_MAX} bytes")));
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, TapeError> {
        if !self.next_line()? {
            return Ok(None);
        }
        // The parser borrows the buffer, and most values remain in place; then the buffer is taken back.
        let buffer = std::mem::take(&mut self.buffer);
        let entry = self.parse_entry(&buffer);
        self.buffer = buffer;
        match entry {
            Err(TapeError::Line { .. }) if self.line > 1 && is_half(&self.buffer) => {
                self.cut = Some(self.line - 1);
                Ok(None)
            }
            entry => entry.map(Some),
        }
    }

    fn parse_entry(&mut self, buffer: &[u8]) -> Result<Entry, TapeError> {
        // UTF-8 is checked once: parsing JSON from bytes would check every string separately.
        let text = std::str::from_utf8(buffer).map_err(|_| self.line_error("not UTF-8".to_owned()))?;
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| self.line_error(short_json_error(&error)))?;
        if !line.says_one_thing() {
            return Err(
                self.line_error("neither a block with its receipts, nor a caption, nor another mark".to_owned())
            );
        }
        if line.block.is_some() {
            return self.parse_block(line, text).map(|block| Entry::Block(Box::new(block)));
        }
        let at_ms = line.at;
        let what = match line {
            Line { gap: Some(true), .. } => {
                self.standing = OpenBlocks::default();
                return Ok(Entry::Gap);
            }
            Line { retract: Some(gone), .. } => {
                self.standing.retract_blocks(&gone).map_err(|stranger| {
                    let which = stranger.map_or_else(|| "no block".to_owned(), |at| format!("block {}", at.number));
                    self.line_error(format!("{which} is taken back, which is not the newest that stands"))
                })?;
                TapeEvent::Retract(gone)
            }
            Line { promote: Some(level), to: Some(to), .. } => TapeEvent::Promote(level, to),
            Line { caption: Some(caption), .. } => TapeEvent::Caption(self.require_short_text(caption)?),
            Line { note: Some(note), .. } => TapeEvent::Note(self.require_short_text(note)?),
            Line { fault: Some(kind), endpoint, why, over, .. } => {
                let short = |text: Option<String>| text.map(|text| self.require_short_text(text)).transpose();
                let (endpoint, why) = (short(endpoint)?, short(why)?);
                TapeEvent::Trouble(RecordedIssue { kind: self.require_short_text(kind)?, endpoint, why, over })
            }
            _ => return Err(self.line_error("a gap is marked by `true`".to_owned())),
        };
        Ok(Entry::Mark(FinalityRecord { at_ms, what }))
    }

    fn parse_block(&mut self, line: Line<'_>, text: &str) -> Result<TapeBlock, TapeError> {
        let Line { at: at_ms, block: Some(block), receipts: Some(receipts), reads, traces, .. } = line else {
            return Err(self.line_error("not a block".to_owned()));
        };
        let block = wire::join_receipts(block, receipts).map_err(|error| self.line_error(error.to_string()))?;
        if !self.standing.append_link(block.link()) {
            return Err(TapeError::Disjoint { line: self.line, number: block.at.number });
        }
        let raw = if self.keep_raw {
            let raw: RawLine<'_> =
                serde_json::from_str(text).map_err(|error| self.line_error(short_json_error(&error)))?;
            Some(RawPair { block: raw.block.to_owned(), receipts: raw.receipts.to_owned() })
        } else {
            None
        };
        let reads = reads.into_iter().map(|read| self.parse_read(read)).collect::<Result<_, _>>()?;
        let traces = match traces {
            Some(TracesLine { method, answer }) => {
                let method = TraceMethod::from_name(&method)
                    .ok_or_else(|| self.line_error("traces of a method that is not known".to_owned()))?;
                Some(RawTraces { method, answer: answer.to_owned() })
            }
            None => None,
        };
        Ok(TapeBlock { at_ms, block, raw, reads, traces })
    }

    fn parse_read(&self, line: ReadLine) -> Result<(ReadCall, Answer), TapeError> {
        let answer = match (line.answer, line.reverted) {
            (Some(data), false) => Answer::Data(data),
            (None, true) => Answer::Reverted,
            _ => return Err(self.line_error("a read has either an answer or `\"reverted\": true`".to_owned())),
        };
        let reads = [
            line.to.zip(line.data).map(|(to, data)| match line.before {
                Some(parent) => ReadCall::Before { parent, to, data },
                None => ReadCall::Call { to, data },
            }),
            line.storage.zip(line.slot).map(|(of, slot)| ReadCall::Storage { of, slot }),
            line.code.map(ReadCall::Code),
            line.nonce.map(ReadCall::Nonce),
            line.balance.map(ReadCall::Balance),
            line.grants.zip(line.since).map(|(by, since)| ReadCall::Grants { by, since }),
            line.uses.zip(line.by).map(|(token, by)| ReadCall::Uses { token, by }),
            line.used_of.zip(line.by).map(|(tokens, by)| ReadCall::UsedOf { tokens: tokens.into(), by }),
        ];
        let mut reads = reads.into_iter().flatten();
        match (reads.next(), reads.next()) {
            (Some(read), None) => Ok((read, answer)),
            _ => Err(self.line_error("a read asks for one thing".to_owned())),
        }
    }

    fn require_short_text(&self, text: String) -> Result<String, TapeError> {
        if text.len() <= TEXT_BYTES_MAX {
            return Ok(text);
        }
        Err(self.line_error(format!("a text longer than {TEXT_BYTES_MAX} bytes")))
    }

    fn line_error(&self, why: String) -> TapeError {
        TapeError::Line { line: self.line, why }
    }
}

impl Line<'_> {
    /// Returns whether the line holds exactly one complete entry, and no field of another.
    fn says_one_thing(&self) -> bool {
        let kinds = [
            self.block.is_some(),
            self.gap.is_some(),
            self.caption.is_some(),
            self.retract.is_some(),
            self.promote.is_some(),
            self.fault.is_some(),
            self.note.is_some(),
        ];
        let of_block = !self.reads.is_empty() || self.traces.is_some();
        let of_fault = self.endpoint.is_some() || self.why.is_some() || self.over;
        kinds.into_iter().filter(|there| *there).count() == 1
            && self.block.is_some() == self.receipts.is_some()
            && self.promote.is_some() == self.to.is_some()
            && (self.block.is_some() || !of_block)
            && (self.fault.is_some() || !of_fault)
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Entry, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.next_entry().transpose();
        self.ended = !matches!(entry, Some(Ok(_)));
        entry
    }
}

/// Returns whether a line of plain text is incomplete, as after a crash.
fn is_half(line: &[u8]) -> bool {
    !line.ends_with(b"\n") && serde_json::from_slice::<IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

/// Formats an error without its line number: serde_json counts lines within its input, which is one line here; only the
/// column helps.
pub(super) fn short_json_error(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" at line ") {
        text.truncate(at);
    }
    let text: String = text.chars().take(wire::WHY_MAX).collect();
    format!("{text} (column {})", error.column())
}
