//! Writing a tape, and recording one from a live chain.

use super::{Head, TapeError, VERSION};
use crate::model::read::{Answer, Read};
use crate::model::{BlockRef, Link};
use crate::source::{Fetched, Linked, RawPair};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::collections::VecDeque;
use std::io::Write;

/// Blocks a [`Recorder`] holds back, since a reorg may still take them from the chain.
const HELD_BACK_MAX: usize = 64;

/// Writes a tape; marks gaps by itself.
pub struct Writer<W: Write> {
    to: GzEncoder<W>,
    line: usize,
    last: Option<Link>,
}

/// Records what a pipeline commits. A block is written once 64 others build on it, or at the end.
pub struct Recorder<W: Write> {
    writer: Writer<W>,
    held_back: VecDeque<(Fetched, Vec<(Read, Answer)>)>,
}

impl<W: Write> Writer<W> {
    /// Writes the first line.
    pub fn new(to: W, head: &Head) -> Result<Self, TapeError> {
        let mut writer = Self { to: GzEncoder::new(to, Compression::default()), line: 0, last: None };
        writer.write(&json!({ "tape": VERSION, "chain": head.chain.0, "note": head.note }).to_string())?;
        Ok(writer)
    }

    /// Writes a block, behind the mark of a gap if it does not build on the block before. Reads that the node could not
    /// answer are left out.
    pub fn block(&mut self, link: Link, raw: &RawPair, reads: &[(Read, Answer)]) -> Result<(), TapeError> {
        let joins = |last: Link| last.at.hash == link.parent && last.at.number.checked_add(1) == Some(link.at.number);
        if !self.last.is_none_or(joins) {
            self.write(r#"{"gap":true}"#)?;
        }
        self.last = Some(link);
        let reads: Vec<_> = reads
            .iter()
            .filter_map(|(read, answer)| match answer {
                Answer::Data(data) => Some(json!({ "to": read.to, "data": read.data, "answer": data })),
                Answer::Reverted => Some(json!({ "to": read.to, "data": read.data, "reverted": true })),
                Answer::Unavailable => None,
            })
            .collect();
        let (block, receipts) = (raw.block.get(), raw.receipts.get());
        let line = if reads.is_empty() {
            format!(r#"{{"block":{block},"receipts":{receipts}}}"#)
        } else {
            format!(r#"{{"block":{block},"receipts":{receipts},"reads":{}}}"#, json!(reads))
        };
        self.write(&line)
    }

    /// Writes a line for whoever watches.
    pub fn caption(&mut self, caption: &str) -> Result<(), TapeError> {
        self.write(&json!({ "caption": caption }).to_string())
    }

    /// Writes what is still in memory. Without it the tape ends in the middle.
    pub fn finish(self) -> Result<W, TapeError> {
        let line = self.line;
        let done = self.to.finish().and_then(|mut to| to.flush().map(|()| to));
        done.map_err(|source| TapeError::Io { line, source })
    }

    fn write(&mut self, text: &str) -> Result<(), TapeError> {
        self.line += 1;
        // Within JSON a line break is only ever white space between tokens: in a string it has to be escaped.
        let written = text
            .split(['\n', '\r'])
            .try_for_each(|part| self.to.write_all(part.as_bytes()))
            .and_then(|()| self.to.write_all(b"\n"));
        written.map_err(|source| TapeError::Io { line: self.line, source })
    }
}

impl<W: Write> Recorder<W> {
    /// Records to `writer`.
    pub fn new(writer: Writer<W>) -> Self {
        Self { writer, held_back: VecDeque::new() }
    }

    /// A block was committed; these reads were asked at it. A block whose text was not kept cannot be recorded and is left
    /// out, which marks a gap.
    pub fn append(&mut self, block: Fetched, reads: Vec<(Read, Answer)>) -> Result<(), TapeError> {
        self.held_back.push_back((block, reads));
        while self.held_back.len() > HELD_BACK_MAX {
            self.write_oldest()?;
        }
        Ok(())
    }

    /// Blocks left the chain, newest first. One that is written already stays, and a gap is marked behind it.
    pub fn retract(&mut self, gone: &[BlockRef]) {
        for at in gone {
            if self.held_back.back().is_some_and(|(block, _)| block.link().at == *at) {
                self.held_back.pop_back();
            }
        }
    }

    /// Writes what was held back.
    pub fn finish(mut self) -> Result<W, TapeError> {
        while !self.held_back.is_empty() {
            self.write_oldest()?;
        }
        self.writer.finish()
    }

    fn write_oldest(&mut self) -> Result<(), TapeError> {
        let Some((block, reads)) = self.held_back.pop_front() else { return Ok(()) };
        match &block.raw {
            Some(raw) => self.writer.block(block.link(), raw, &reads),
            None => Ok(()),
        }
    }
}
