//! Reading a tape, a line at a time.

use super::{Entry, Head, LINE_BYTES_MAX, TapeBlock, TapeError, VERSION};
use crate::model::parse::{self, BlockWire, ReceiptsWire};
use crate::model::read::{Answer, Read as ReadCall};
use crate::model::{ChainId, Link};
use crate::source::RawPair;
use alloy_primitives::{Address, Bytes};
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

/// Yields the lines of a tape behind the first; ends at the first error.
pub struct Reader<R: Read> {
    from: BufReader<Unpacked<R>>,
    head: Head,
    keep_raw: bool,
    buffer: Vec<u8>,
    line: usize,
    last: Option<Link>,
    ended: bool,
}

/// The tape at `path`, gzip'd or plain.
pub fn open(path: &Path) -> Result<Reader<File>, TapeError> {
    let file = File::open(path).map_err(|source| TapeError::Io { line: 0, source })?;
    Reader::new(file)
}

/// The blocks of the tape at `path`, oldest first, without captions and without the node's own text. Where two of them do not
/// build on each other, the tape has a gap.
pub fn blocks(path: &Path) -> Result<impl Iterator<Item = Result<TapeBlock, TapeError>>, TapeError> {
    Ok(open(path)?.filter_map(|entry| match entry {
        Ok(Entry::Block(block)) => Some(Ok(*block)),
        Ok(Entry::Gap | Entry::Caption(_)) => None,
        Err(error) => Some(Err(error)),
    }))
}

type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

enum Unpacked<R: Read> {
    Plain(Peeked<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Peeked<R>>>>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    tape: u32,
    chain: u64,
    #[serde(default)]
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    block: Option<BlockWire>,
    receipts: Option<ReceiptsWire>,
    #[serde(default)]
    reads: Vec<ReadLine>,
    gap: Option<bool>,
    caption: Option<String>,
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
    to: Address,
    data: Bytes,
    answer: Option<Bytes>,
    #[serde(default)]
    reverted: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the first line of a tape, gzip'd or plain.
    pub fn new(mut from: R) -> Result<Self, TapeError> {
        let mut magic = Vec::with_capacity(2);
        from.by_ref().take(2).read_to_end(&mut magic).map_err(|source| TapeError::Io { line: 1, source })?;
        let gzip = magic == [0x1f, 0x8b];
        let whole = Cursor::new(magic).chain(from);
        let from = if gzip {
            Unpacked::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(whole))))
        } else {
            Unpacked::Plain(whole)
        };
        let head = Head { chain: ChainId(0), note: String::new() };
        let from = BufReader::with_capacity(1 << 17, from);
        let mut reader = Self { from, head, keep_raw: false, buffer: Vec::new(), line: 0, last: None, ended: false };
        if !reader.next_line()? {
            return Err(TapeError::NotATape);
        }
        let line: HeadLine = serde_json::from_slice(&reader.buffer).map_err(|_| TapeError::NotATape)?;
        if line.tape != VERSION {
            return Err(TapeError::Version(line.tape));
        }
        reader.head = Head { chain: ChainId(line.chain), note: line.note };
        Ok(reader)
    }

    /// What the first line says.
    pub fn head(&self) -> &Head {
        &self.head
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
            self.line += 1;
            self.buffer.clear();
            let mut bounded = self.from.by_ref().take(LINE_BYTES_MAX as u64 + 1);
            let n_read = bounded
                .read_until(b'\n', &mut self.buffer)
                .map_err(|source| TapeError::Io { line: self.line, source })?;
            if n_read > LINE_BYTES_MAX {
                return Err(self.wrong(format!("longer than {LINE_BYTES_MAX} bytes")));
            }
            if n_read == 0 || !self.buffer.trim_ascii().is_empty() {
                return Ok(n_read > 0);
            }
        }
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, TapeError> {
        if !self.next_line()? {
            return Ok(None);
        }
        let line: Line = serde_json::from_str(self.text()?).map_err(|error| self.wrong(shortened(&error)))?;
        let entry = match line {
            Line { block: Some(block), receipts: Some(receipts), reads, gap: None, caption: None } => {
                Entry::Block(Box::new(self.block(block, receipts, reads)?))
            }
            Line { block: None, receipts: None, gap: Some(true), caption: None, .. } => {
                self.last = None;
                Entry::Gap
            }
            Line { block: None, receipts: None, gap: None, caption: Some(caption), .. } => Entry::Caption(caption),
            _ => return Err(self.wrong("neither a block with its receipts, nor a caption, nor a gap".to_owned())),
        };
        Ok(Some(entry))
    }

    fn block(
        &mut self,
        block: BlockWire,
        receipts: ReceiptsWire,
        reads: Vec<ReadLine>,
    ) -> Result<TapeBlock, TapeError> {
        let block = parse::join(block, receipts).map_err(|error| self.wrong(error.to_string()))?;
        let joins = |last: Link| last.at.hash == block.parent && last.at.number.checked_add(1) == Some(block.at.number);
        if !self.last.is_none_or(joins) {
            return Err(TapeError::Disjoint { line: self.line, number: block.at.number });
        }
        self.last = Some(block.link());
        let raw = if self.keep_raw {
            let raw: RawLine<'_> = serde_json::from_str(self.text()?).map_err(|error| self.wrong(shortened(&error)))?;
            Some(RawPair { block: raw.block.to_owned(), receipts: raw.receipts.to_owned() })
        } else {
            None
        };
        let reads = reads.into_iter().map(|read| self.read(read)).collect::<Result<_, _>>()?;
        Ok(TapeBlock { block, raw, reads })
    }

    fn read(&self, line: ReadLine) -> Result<(ReadCall, Answer), TapeError> {
        let answer = match (line.answer, line.reverted) {
            (Some(data), false) => Answer::Data(data),
            (None, true) => Answer::Reverted,
            _ => return Err(self.wrong("a read has either an answer or `\"reverted\": true`".to_owned())),
        };
        Ok((ReadCall { to: line.to, data: line.data }, answer))
    }

    /// The line, checked once: JSON read from bytes would check every string by itself.
    fn text(&self) -> Result<&str, TapeError> {
        std::str::from_utf8(&self.buffer).map_err(|_| self.wrong("not UTF-8".to_owned()))
    }

    fn wrong(&self, why: String) -> TapeError {
        TapeError::Line { line: self.line, why }
    }
}

impl<R: Read> Iterator for Reader<R> {
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

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(from) => from.read(into),
            Self::Gzip(from) => from.read(into),
        }
    }
}

/// serde_json counts lines within what it was given, which is one line here; the column is what helps.
fn shortened(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" at line ") {
        text.truncate(at);
    }
    let text: String = text.chars().take(parse::WHY_MAX).collect();
    format!("{text} (column {})", error.column())
}
