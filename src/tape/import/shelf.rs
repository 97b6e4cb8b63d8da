//! The files of an import, of which only a few are in memory at a time.

use super::Flaw;
use crate::tape::compression::decompress_reader;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum size of a decompressed file in bytes: about a hundred blocks of mainnet.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// Number of texts kept in memory, so that blocks, receipts and traces may be in three files, each with many of them.
const TEXTS_MAX: usize = 3;
/// Deepest level of directories searched.
const DEPTH_MAX: usize = 8;
/// File name suffixes that are read from a directory; a compressed file has `.gz` or `.zst` after them.
const ENDS: [&str; 3] = [".json", ".jsonl", ".ndjson"];

/// Location of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: usize,
    start: usize,
    len: usize,
}

pub(super) struct Shelf {
    files: Vec<PathBuf>,
    texts: VecDeque<(usize, Arc<str>)>,
}

/// Returns the files to read: those in directories selected by name, files given directly as they are.
pub(super) fn expand_paths(from: &[PathBuf], flaws: &mut Vec<Flaw>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in from {
        if path.is_dir() {
            let before = files.len();
            collect_files(path, DEPTH_MAX, &mut files, flaws);
            if files.len() == before {
                flaws.push(import_flaw(
                    path,
                    None,
                    format!("no file in it ends in {}, packed or not", ENDS.join(" or ")),
                ));
            }
        } else {
            files.push(path.clone());
        }
    }
    files
}

fn collect_files(directory: &Path, depth: usize, files: &mut Vec<PathBuf>, flaws: &mut Vec<Flaw>) {
    let listed = std::fs::read_dir(directory).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut paths: Vec<PathBuf> = match listed {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(error) => return flaws.push(import_flaw(directory, None, error.to_string())),
    };
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if let Some(depth) = depth.checked_sub(1) {
                collect_files(&path, depth, files, flaws);
            }
        } else if is_meant(&path) {
            files.push(path);
        }
    }
}

fn is_meant(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    !name.starts_with('.') && ENDS.iter().any(|end| name.ends_with(end))
}

fn import_flaw(file: &Path, line: Option<usize>, why: String) -> Flaw {
    Flaw { file: file.display().to_string(), line, why }
}

impl Shelf {
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        Self { files, texts: VecDeque::new() }
    }

    pub(super) fn n_files(&self) -> usize {
        self.files.len()
    }

    /// Returns the decompressed text of a file.
    pub(super) fn file_text(&mut self, file: usize) -> Result<Arc<str>, String> {
        if let Some((_, text)) = self.texts.iter().find(|(it, _)| *it == file) {
            return Ok(text.clone());
        }
        let path = self.files.get(file).ok_or("no such file")?;
        let (_, unpacked) = File::open(path).and_then(decompress_reader).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        unpacked.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
        }
        let text: Arc<str> = String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?.into();
        self.texts.push_front((file, text.clone()));
        self.texts.truncate(TEXTS_MAX);
        Ok(text)
    }

    /// Reads the value at a place.
    pub(super) fn raw_json(&mut self, place: &Place) -> Result<Box<RawValue>, String> {
        let text = self.file_text(place.file)?;
        let value = text.get(place.start..place.start + place.len).unwrap_or_default();
        serde_json::from_str(value).map_err(|_| "the file has changed meanwhile".to_owned())
    }

    pub(super) fn flaw_in_file(&self, file: usize, line: Option<usize>, why: String) -> Flaw {
        import_flaw(self.files.get(file).map_or(Path::new("?"), PathBuf::as_path), line, why)
    }

    pub(super) fn flaw_at(&self, place: &Place, why: String) -> Flaw {
        self.flaw_in_file(place.file, Some(place.line), why)
    }

    /// `file:line` of a place.
    pub(super) fn format_place(&self, place: &Place) -> String {
        let path = self.files.get(place.file).map_or_else(String::new, |path| path.display().to_string());
        format!("{path}:{}", place.line)
    }
}

impl Place {
    /// Returns the location of `raw`, which is a part of `text`.
    pub(super) fn from_raw(file: usize, line: usize, text: &str, raw: &RawValue) -> Self {
        let start = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        Self { file, line, start, len: raw.get().len() }
    }
}
