//! Writer of a tape, line by line.

use super::compression::Compressor;
use super::open_blocks::OpenBlocks;
use super::{
    FinalityRecord, Head, LINE_BYTES_MAX, RecordedIssue, TEXT_BYTES_MAX, TapeCompression, TapeError, TapeEvent, VERSION,
};
use crate::model::Link;
use crate::model::read::{Answer, Read};
use crate::source::RawPair;
use crate::source::trace::RawTraces;
use serde_json::{Value, json};
use std::io::Write;

/// Writes a tape and marks its gaps.
pub struct Writer<W: Write> {
    to: Compressor<W>,
    line: usize,
    standing: OpenBlocks,
}

impl<W: Write> Writer<W> {
    /// Writes the first line of a tape compressed with gzip.
    pub fn new(to: W, head: &Head) -> Result<Self, TapeError> {
        Self::with_compression(to, head, TapeCompression::Gzip)
    }

    /// Writes the first line of a tape with this compression.
    pub fn with_compression(to: W, head: &Head, packing: TapeCompression) -> Result<Self, TapeError> {
        let to = Compressor::new(to, packing).map_err(|source| TapeError::Io { line: 0, source })?;
        let mut writer = Self { to, line: 0, standing: OpenBlocks::default() };
        let mut line = json!({ "tape": VERSION, "chain": head.chain.0, "note": truncate_text(&head.note) });
        if let Some(began) = head.began {
            line["began"] = began.to_string().into();
        }
        writer.write_line(&line.to_string())?;
        Ok(writer)
    }

    /// Writes a block, preceded by the mark of a gap if it does not build on the newest block. Reads that the node
    /// could not answer are left out.
    pub fn write_block(&mut self, link: Link, raw: &RawPair, reads: &[(Read, Answer)]) -> Result<(), TapeError> {
        self.block_at(None, link, raw, reads, None).map(|_| ())
    }

    /// Writes a block as above, with its time of observation in milliseconds since the tape began, and with its traces.
    /// Returns false when the line would have been too long to be read again, and was left out.
    pub fn block_at(
        &mut self,
        at_ms: Option<u64>,
        link: Link,
        raw: &RawPair,
        reads: &[(Read, Answer)],
        traces: Option<&RawTraces>,
    ) -> Result<bool, TapeError> {
        let reads: Vec<Value> = reads.iter().filter_map(encode_read).collect();
        let (block, receipts) = (raw.block.get(), raw.receipts.get());
        let at = at_ms.map_or_else(String::new, |at| format!(r#""at":{at},"#));
        let mut line = format!(r#"{{{at}"block":{block},"receipts":{receipts}"#);
        if !reads.is_empty() {
            line.push_str(&format!(r#","reads":{}"#, json!(reads)));
        }
        if let Some(RawTraces { method, answer }) = traces {
            line.push_str(&format!(r#","traces":{{"method":"{}","answer":{answer}}}"#, method.name()));
        }
        line.push('}');
        if line.len() >= LINE_BYTES_MAX {
            return Ok(false);
        }
        if !self.standing.append_link(link) {
            self.write_gap()?;
            self.standing.append_link(link);
        }
        self.write_line(&line)?;
        Ok(true)
    }

    /// Writes a mark. A retraction of blocks that are not the newest on the tape, such as those before it began,
    /// becomes the mark of a gap.
    pub fn write_mark(&mut self, mark: &FinalityRecord) -> Result<(), TapeError> {
        let mut line = match &mark.what {
            TapeEvent::Caption(caption) => json!({ "caption": truncate_text(caption) }),
            TapeEvent::Note(note) => json!({ "note": truncate_text(note) }),
            TapeEvent::Promote(level, to) => json!({ "promote": level, "to": to }),
            TapeEvent::Trouble(RecordedIssue { kind, endpoint, why, over }) => {
                let mut line = json!({ "fault": truncate_text(kind) });
                if let Some(endpoint) = endpoint {
                    line["endpoint"] = truncate_text(endpoint).into();
                }
                if let Some(why) = why {
                    line["why"] = truncate_text(why).into();
                }
                if *over {
                    line["over"] = true.into();
                }
                line
            }
            TapeEvent::Retract(gone) => {
                if self.standing.retract_blocks(gone).is_err() {
                    return self.write_gap();
                }
                json!({ "retract": gone })
            }
        };
        if let (Some(at), Some(fields)) = (mark.at_ms, line.as_object_mut()) {
            fields.shift_insert(0, "at".to_owned(), at.into());
        }
        self.write_line(&line.to_string())
    }

    /// Writes a line for the viewer.
    pub fn write_caption(&mut self, caption: &str) -> Result<(), TapeError> {
        self.write_mark(&FinalityRecord { at_ms: None, what: TapeEvent::Caption(caption.to_owned()) })
    }

    /// Flushes buffered data, so that after a crash the tape is valid up to here.
    pub fn flush(&mut self) -> Result<(), TapeError> {
        self.to.flush().map_err(|source| TapeError::Io { line: self.line, source })
    }

    /// Writes buffered data and the end of the tape. Without this a reader finds the tape truncated.
    pub fn finish(self) -> Result<W, TapeError> {
        let line = self.line;
        self.to.finish().map_err(|source| TapeError::Io { line, source })
    }

    /// Ends the compressed stream without returning the underlying writer. No line can be written afterwards.
    pub(super) fn end_frame(&mut self) -> Result<(), TapeError> {
        self.to.end_frame().map_err(|source| TapeError::Io { line: self.line, source })
    }

    /// Returns the underlying writer.
    pub fn get_ref(&self) -> &W {
        self.to.get_ref()
    }

    fn write_gap(&mut self) -> Result<(), TapeError> {
        if self.standing.is_new() {
            return Ok(());
        }
        self.standing = OpenBlocks::default();
        self.write_line(r#"{"gap":true}"#)
    }

    fn write_line(&mut self, text: &str) -> Result<(), TapeError> {
        self.line += 1;
        // Within JSON a line break is only ever white space between tokens: in a string it has to be escaped.
        let written = text
            .split(['\n', '\r'])
            .try_for_each(|part| self.to.write_all(part.as_bytes()))
            .and_then(|()| self.to.write_all(b"\n"));
        written.map_err(|source| TapeError::Io { line: self.line, source })
    }
}

fn encode_read((read, answer): &(Read, Answer)) -> Option<Value> {
    let mut line = match read {
        Read::Call { to, data } => json!({ "to": to, "data": data }),
        Read::Before { parent, to, data } => json!({ "to": to, "data": data, "before": parent }),
        Read::Storage { of, slot } => json!({ "storage": of, "slot": slot }),
        Read::Code(of) => json!({ "code": of }),
        Read::Nonce(of) => json!({ "nonce": of }),
        Read::Balance(of) => json!({ "balance": of }),
        Read::Grants { by, since } => json!({ "grants": by, "since": since }),
        Read::Uses { token, by } => json!({ "uses": token, "by": by }),
        Read::UsedOf { tokens, by } => json!({ "used_of": tokens, "by": by }),
        // Traces are kept as the node wrote them.
        Read::Traces | Read::Trace(_) => return None,
    };
    match answer {
        Answer::Data(data) => line["answer"] = json!(data),
        Answer::Reverted => line["reverted"] = true.into(),
        Answer::Unavailable | Answer::Traces(_) => return None,
    }
    Some(line)
}

/// Truncates a text to the length that a reader accepts.
fn truncate_text(text: &str) -> &str {
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
