//! Importing blocks that somebody else recorded, in the shapes they are commonly kept in.
//!
//! A file holds one JSON document, several, or one a line (`.jsonl`, `.ndjson`), packed or not. A document is
//! `{"block": …, "receipts": […], "traces": …}`, an answer of JSON-RPC (`{"result": …}`), or what such an answer holds: a block with its
//! transactions, the receipts of a block, the traces of a block, or a list of any of these. Receipts and traces may stand in files
//! of their own and find their block by its hash. Every block is checked as a live one is; whatever is amiss is told together, each
//! with its file and line.

mod find;
mod shelf;

use super::truth::{REFUTED_MAX, prove};
use super::{TapeError, Writer};
use crate::model::{Link, parse};
use crate::source::RawPair;
use crate::source::trace::{RawTraces, TraceMethod, Traced};
use alloy_primitives::B256;
use find::{Found, find};
use serde_json::value::RawValue;
use shelf::{Place, Shelf};
use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;

/// Flaws that are told one by one.
const FLAWS_MAX: usize = REFUTED_MAX;

/// What an import brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Blocks written.
    pub n_blocks: usize,
    /// Stretches of blocks that build on each other.
    pub n_stretches: usize,
    /// Blocks that came with their traces.
    pub n_traced: usize,
}

/// Something amiss in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Which file.
    pub file: String,
    /// Line, from 1; absent when it is about the file.
    pub line: Option<usize>,
    /// What is wrong.
    pub why: String,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// What is amiss in the files, all of it.
    #[error("{}", all_of(.0))]
    Flaws(Vec<Flaw>),
    /// The tape.
    #[error(transparent)]
    Tape(#[from] TapeError),
}

/// A block that was found, and where what belongs to it stands.
struct Part {
    link: Link,
    of: Traced,
    block: Place,
    receipts: Option<Place>,
    traces: Option<(TraceMethod, Place)>,
}

/// What was found, and what is amiss with it.
#[derive(Default)]
struct Findings {
    parts: Vec<Part>,
    receipts: HashMap<B256, Place>,
    traces: Vec<(TraceMethod, B256, Place)>,
    flaws: Vec<Flaw>,
}

/// Writes the blocks in `from`, files and directories of them, to a tape, by number, whatever the order of the files. Two blocks of
/// the same height are a flaw, since only one of them can be the chain's. With `proven` so is a block that contradicts its own hash.
///
/// # Errors
/// When anything is amiss: then what was written to the tape is only a part of it.
pub fn import<W: Write>(from: &[PathBuf], to: &mut Writer<W>, proven: bool) -> Result<Imported, ImportError> {
    let mut flaws = Vec::new();
    let mut shelf = Shelf::new(shelf::expand(from, &mut flaws));
    let mut findings = Findings { flaws, ..Findings::default() };
    for file in 0..shelf.n_files() {
        findings.gather(&mut shelf, file);
    }
    findings.join(&shelf);
    let imported = findings.write(&mut shelf, to, proven)?;
    let Findings { parts, mut flaws, .. } = findings;
    if parts.is_empty() && flaws.is_empty() {
        flaws.push(Flaw { file: "the files".to_owned(), line: None, why: "there is no block in them".to_owned() });
    }
    if flaws.is_empty() { Ok(imported) } else { Err(ImportError::Flaws(flaws)) }
}

impl Findings {
    /// Looks for blocks, receipts and traces in one file.
    fn gather(&mut self, shelf: &mut Shelf, file: usize) {
        let text = match shelf.text(file) {
            Ok(text) => text,
            Err(why) => return self.flaws.push(shelf.flaw(file, None, why)),
        };
        for found in find(&text) {
            let (line, found) = match found {
                Ok(found) => found,
                Err((line, why)) => {
                    self.flaws.push(shelf.flaw(file, Some(line), why));
                    continue;
                }
            };
            let place = |raw: &RawValue| Place::of(file, line, &text, raw);
            let told = match found {
                Found::Block { block, receipts, traces } => self.block(block, receipts, traces, place),
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
                self.flaws.push(shelf.flaw(file, Some(line), why));
            }
        }
    }

    fn block(
        &mut self,
        block: &RawValue,
        receipts: Option<&RawValue>,
        traces: Option<(TraceMethod, &RawValue)>,
        place: impl Fn(&RawValue) -> Place,
    ) -> Result<(), String> {
        let link = parse::header(block.get()).map_err(|error| error.to_string())?;
        let txs = parse::tx_hashes(block.get()).map_err(|error| error.to_string())?;
        self.parts.push(Part {
            link,
            of: Traced { at: link.at, txs },
            block: place(block),
            receipts: receipts.map(&place),
            traces: traces.map(|(method, raw)| (method, place(raw))),
        });
        Ok(())
    }

    /// Gives every block the receipts and traces that stand apart from it.
    fn join(&mut self, shelf: &Shelf) {
        self.parts.sort_by_key(|part| part.link.at.number);
        for pair in self.parts.windows(2) {
            if let [first, second] = pair
                && first.link.at.number == second.link.at.number
            {
                let why = format!("block {} is in {} already", second.link.at.number, shelf.show(&first.block));
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

    /// Checks every block as a live one, and writes them as long as nothing is amiss.
    fn write<W: Write>(&mut self, shelf: &mut Shelf, to: &mut Writer<W>, proven: bool) -> Result<Imported, TapeError> {
        let mut imported = Imported::default();
        let mut last: Option<Link> = None;
        for part in &self.parts {
            let (raw, traces) = match part.whole(shelf, proven) {
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
    /// The block with all that belongs to it, checked.
    fn whole(&self, shelf: &mut Shelf, proven: bool) -> Result<(RawPair, Option<RawTraces>), String> {
        let block = shelf.raw(&self.block)?;
        let receipts = match &self.receipts {
            Some(place) => shelf.raw(place)?,
            // Nothing is made up: a block without transactions has no receipts.
            None if self.of.txs.is_empty() => {
                RawValue::from_string("[]".to_owned()).map_err(|error| error.to_string())?
            }
            None => return Err("its receipts are in none of the files".to_owned()),
        };
        parse::block(block.get(), receipts.get()).map_err(|error| error.to_string())?;
        let traces = match &self.traces {
            Some((method, place)) => {
                let traces = RawTraces { method: *method, answer: shelf.raw(place)? };
                traces.check(&self.of)?;
                Some(traces)
            }
            None => None,
        };
        let raw = RawPair { block, receipts };
        if proven {
            prove(&raw)?;
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
