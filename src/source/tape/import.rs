//! Importing blocks that somebody else recorded: files of `{"block": …, "receipts": […]}`, gzip'd or plain.

use super::{TapeError, Writer};
use crate::model::{Link, parse};
use crate::source::RawPair;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Largest file, unpacked, in bytes.
const FILE_BYTES_MAX: u64 = super::LINE_BYTES_MAX as u64;

/// What an import brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Blocks written.
    pub n_blocks: usize,
    /// Stretches of blocks that build on each other.
    pub n_stretches: usize,
}

#[derive(Deserialize)]
struct Pair {
    block: Box<RawValue>,
    receipts: Box<RawValue>,
}

/// Writes the blocks in `files` to a tape, by number, whatever the order of the files. Two files with the same height are an
/// error, since only one of them can be the chain's.
pub fn import<W: Write>(files: &[PathBuf], to: &mut Writer<W>) -> Result<Imported, TapeError> {
    // Each file is read twice, so that no more than one of them is in memory.
    let mut found: Vec<(Link, &Path)> = Vec::with_capacity(files.len());
    for file in files {
        found.push((read(file)?.0, file));
    }
    found.sort_by_key(|(link, _)| link.at.number);
    for pair in found.windows(2) {
        if let [(a, first), (b, second)] = pair
            && a.at.number == b.at.number
        {
            let why = format!("block {} is in {} already", a.at.number, first.display());
            return Err(wrong(second, why));
        }
    }
    let mut imported = Imported { n_blocks: 0, n_stretches: 0 };
    let mut last: Option<Link> = None;
    for (link, file) in found {
        let (_, raw) = read(file)?;
        to.block(link, &raw, &[])?;
        imported.n_blocks += 1;
        imported.n_stretches += usize::from(last.is_none_or(|last| last.at.hash != link.parent));
        last = Some(link);
    }
    Ok(imported)
}

/// A file's block, checked as a live one is.
fn read(path: &Path) -> Result<(Link, RawPair), TapeError> {
    let failed = |error: std::io::Error| wrong(path, error.to_string());
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        MultiGzDecoder::new(bytes.as_slice()).take(FILE_BYTES_MAX + 1).read_to_end(&mut plain).map_err(failed)?;
        bytes = plain;
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(path, format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    let Pair { block, receipts } = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(path, format!("not of the shape {{\"block\": …, \"receipts\": […]}}: {error}")))?;
    let parsed = parse::block(block.get(), receipts.get()).map_err(|error| wrong(path, error.to_string()))?;
    Ok((parsed.link(), RawPair { block, receipts }))
}

fn wrong(file: &Path, why: String) -> TapeError {
    TapeError::Import { file: file.display().to_string(), why }
}
