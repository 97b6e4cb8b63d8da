//! Import of blocks that other programs recorded, in the common formats.
//!
//! A file holds one JSON document, several, or one a line (`.jsonl`, `.ndjson`), compressed or not. A document is
//! `{"block": …, "receipts": […], "traces": …}`, a JSON-RPC answer (`{"result": …}`), or the content of such an answer:
//! a block with its transactions, the receipts of a block, the traces of a block, or a list of any of these. Receipts
//! and traces may be in separate files and are matched to their block by its hash. Every block is checked like a live
//! one; all errors are reported together, each with its file and line.

mod find;
mod shelf;

use super::truth::{REFUTED_MAX, verify_raw_block};
use super::{TapeError, Writer};
use crate::model::Link;
use crate::source::RawPair;
use crate::source::trace::{RawTraces, TraceMethod, Traced};
use crate::wire;
use alloy_primitives::B256;
use find::{Found, find_parts};
use serde_json::value::RawValue;
use shelf::{Place, Shelf};
use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;

/// Number of flaws that are listed one by one.
const FLAWS_MAX: usize = REFUTED_MAX;

/// Result of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Blocks written.
    pub n_blocks: usize,
    /// Stretches of blocks that build on each other.
    pub n_stretches: usize,
    /// Number of blocks with traces.
    pub n_traced: usize,
}

/// Error in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Name of the file.
    pub file: String,
    /// Line, from 1; absent when the error concerns the whole file.
    pub line: Option<usize>,
    /// Description of the flaw.
    pub why: String,
}

/// Reason for a failed import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Flaws in the files, all of them.
    #[error("{}", all_of(.0))]
    Flaws(Vec<Flaw>),
    /// The tape could not be written.
    #[error(transparent)]
    Tape(#[from] TapeError),
}

/// Block that was found, and the positions of its receipts and traces.
struct Part {
    link: Link,
    of: Traced,
    block: Place,
    receipts: Option<Place>,
    traces: Option<(TraceMethod, Place)>,
}

/// Parts found in the files, and their flaws.
#[derive(Default)]
struct Findings {
    parts: Vec<Part>,
    receipts: HashMap<B256, Place>,
    traces: Vec<(TraceMethod, B256, Place)>,
    flaws: Vec<Flaw>,
}

/// Writes the blocks in `from`, a list of files and directories, to a tape, by number and independent of the order of
/// the files. Two blocks of the same height are a flaw, since only one of them can be on the chain. With `proven` a
/// block that contradicts its own hash is a flaw too.
///
/// # Errors
/// When anything is amiss: then what was written to the tape is only a part of it.
pub fn import_files<W: Write>(from: &[PathBuf], to: &mut Writer<W>, proven: bool) -> Result<Imported, ImportError> {
    let mut flaws = Vec::new();
    let mut shelf = Shelf::new(shelf::expand_paths(from, &mut flaws));
    let mut findings = Findings { flaws, ..Findings::default() };
    for file in 0..shelf.n_files() {
        findings.gather_file(&mut shelf, file);
    }
    findings.join_parts(&shelf);
    let imported = findings.write_blocks(&mut shelf, to, proven)?;
    let Findings { parts, mut flaws, .. } = findings;
    if parts.is_empty() && flaws.is_empty() {
        flaws.push(Flaw { file: "the files".to_owned(), line: None, why: "there is no block in them".to_owned() });
    }
    if flaws.is_empty() { Ok(imported) } else { Err(ImportError::Flaws(flaws)) }
}

impl Findings {
    /// Searches one file for blocks, receipts and traces.
    fn gather_file(&mut self, shelf: &mut Shelf, file: usize) {
        let text = match shelf.file_text(file) {
            Ok(text) => text,
            Err(why) => return self.flaws.push(shelf.flaw_in_file(file, None, why)),
        };
        for found in find_parts(&text) {
            let (line, found) = match found {
                Ok(found) => found,
                Err((line, why)) => {
                    self.flaws.push(shelf.flaw_in_file(file, Some(line), why));
                    continue;
                }
            };
            let place = |raw: &RawValue| Place::from_raw(file, line, &text, raw);
            let told = match found {
                Found::Block { block, receipts, traces } => self.add_block(block, receipts, traces, place),
                Found::Receipts(list) => match first_hash(list, "blockHash") {
                    Some(block) => {
                        self.receipts.insert(block, place(list));
                        Ok(())
                    }
                    None => Err("receipts that name no block".to_owned()),
                },
                Found::Traces(method, list) => {
                    let field = if method == TraceMethod::CallTracer { "txHash" } else { "blockHash" };
                    let of =
                        first_hash(list, field).ok_or_else(|| "traces that do not say what they are of".to_owned());
                    of.map(|hash| self.traces.push((method, hash, place(list))))
                }
            };
            if let Err(why) = told {
                self.flaws.push(shelf.flaw_in_file(file, Some(line), why));
            }
        }
    }

    fn add_block(
        &mut self,
        block: &RawValue,
        receipts: Option<&RawValue>,
        traces: Option<(TraceMethod, &RawValue)>,
        place: impl Fn(&RawValue) -> Place,
    ) -> Result<(), String> {
        let link = wire::parse_header(block.get()).map_err(|error| error.to_string())?;
        let txs = wire::tx_hashes(block.get()).map_err(|error| error.to_string())?;
        self.parts.push(Part {
            link,
            of: Traced { at: link.at, txs },
            block: place(block),
            receipts: receipts.map(&place),
            traces: traces.map(|(method, raw)| (method, place(raw))),
        });
        Ok(())
    }

    /// Assigns separate receipts and traces to their blocks.
    fn join_parts(&mut self, shelf: &Shelf) {
        self.parts.sort_by_key(|part| part.link.at.number);
        for pair in self.parts.windows(2) {
            if let [first, second] = pair
                && first.link.at.number == second.link.at.number
            {
                let why = format!("block {} is in {} already", second.link.at.number, shelf.format_place(&first.block));
                self.flaws.push(shelf.flaw_at(&second.block, why));
            }
        }
        let mut by_hash = HashMap::new();
        for (place, part) in self.parts.iter().enumerate() {
            by_hash.insert(part.link.at.hash, place);
            by_hash.extend(part.of.txs.first().map(|tx| (*tx, place)));
        }
        let mut strays = Vec::new();
        for (block, at) in self.receipts.drain() {
            match by_hash.get(&block).and_then(|place| self.parts.get_mut(*place)) {
                Some(part) if part.link.at.hash == block => part.receipts = part.receipts.or(Some(at)),
                _ => strays.push((at, format!("receipts of block {block}, which is in none of the files"))),
            }
        }
        for (method, of, at) in self.traces.drain(..) {
            match by_hash.get(&of).and_then(|place| self.parts.get_mut(*place)) {
                Some(part) => part.traces = part.traces.or(Some((method, at))),
                None => strays.push((at, format!("traces of {of}, whose block is in none of the files"))),
            }
        }
        strays.sort_by_key(|(at, _)| (at.file, at.line));
        self.flaws.extend(strays.into_iter().map(|(at, why)| shelf.flaw_at(&at, why)));
    }

    /// Checks every block like a live one, and writes the blocks while there are no flaws.
    fn write_blocks<W: Write>(
        &mut self,
        shelf: &mut Shelf,
        to: &mut Writer<W>,
        proven: bool,
    ) -> Result<Imported, TapeError> {
        let mut imported = Imported::default();
        let mut last: Option<Link> = None;
        for part in &self.parts {
            let (raw, traces) = match part.load_checked(shelf, proven) {
                Ok(whole) => whole,
                Err(why) => {
                    self.flaws.push(shelf.flaw_at(&part.block, format!("block {}: {why}", part.link.at.number)));
                    continue;
                }
            };
            if !self.flaws.is_empty() {
                continue;
            }
            to.block_at(None, part.link, &raw, &[], traces.as_ref())?;
            imported.n_blocks += 1;
            imported.n_traced += usize::from(traces.is_some());
            imported.n_stretches += usize::from(last.is_none_or(|last| last.at.hash != part.link.parent));
            last = Some(part.link);
        }
        Ok(imported)
    }
}

impl Part {
    /// Returns the checked block with its receipts and traces.
    fn load_checked(&self, shelf: &mut Shelf, proven: bool) -> Result<(RawPair, Option<RawTraces>), String> {
        let block = shelf.raw_json(&self.block)?;
        let receipts = match &self.receipts {
            Some(place) => shelf.raw_json(place)?,
            // This invents no data: a block without transactions has no receipts.
            None if self.of.txs.is_empty() => {
                RawValue::from_string("[]".to_owned()).map_err(|error| error.to_string())?
            }
            None => return Err("its receipts are in none of the files".to_owned()),
        };
        wire::parse_block(block.get(), receipts.get()).map_err(|error| error.to_string())?;
        let traces = match &self.traces {
            Some((method, place)) => {
                let traces = RawTraces { method: *method, answer: shelf.raw_json(place)? };
                traces.check_against(&self.of)?;
                Some(traces)
            }
            None => None,
        };
        let raw = RawPair { block, receipts };
        if proven {
            verify_raw_block(&raw)?;
        }
        Ok((raw, traces))
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.why),
            None => write!(f, "{}: {}", self.file, self.why),
        }
    }
}

fn all_of(flaws: &[Flaw]) -> String {
    let mut told: Vec<String> = flaws.iter().take(FLAWS_MAX).map(Flaw::to_string).collect();
    if let Some(more) = flaws.len().checked_sub(FLAWS_MAX).filter(|more| *more > 0) {
        told.push(format!("and {more} more"));
    }
    told.join("\n")
}

/// The hash in this field of a list's first object.
fn first_hash(list: &RawValue, field: &str) -> Option<B256> {
    let list: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    let fields: HashMap<String, &RawValue> = serde_json::from_str(list.first()?.get()).ok()?;
    serde_json::from_str(fields.get(field)?.get()).ok()
}
