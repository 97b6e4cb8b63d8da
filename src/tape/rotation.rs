//! The file of a recording, and its replacement when it is full.

use super::{Head, Reader, TapeCompression, TapeError, Writer};
use crate::runtime::monotonic_now;
use jiff::SignedDuration;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// Tape file in recording, alone or together with its predecessor, as in a flight recorder.
pub struct Rotation {
    path: PathBuf,
    head: Head,
    /// Maximum total size of this file and its predecessor in bytes; `None` for a single file without a limit.
    bytes_max: Option<u64>,
    began: Instant,
    writer: Writer<BufWriter<Counted>>,
}

/// File that counts the bytes written to it.
#[derive(Debug)]
pub(super) struct Counted {
    file: File,
    n_bytes: u64,
}

impl Rotation {
    /// Starts a new tape at `path`. An existing file is an error.
    pub fn new(path: &Path, head: Head) -> io::Result<Self> {
        let file = File::create_new(path)?;
        Self::begin_tape(path.to_owned(), file, head, None)
    }

    /// Starts a tape at `path` that keeps the newest blocks, in at most about `bytes_max` bytes. Once the file reaches
    /// half of that, it is renamed to `path.1` and replaces the older file of that name. A tape of an earlier run at
    /// `path` is renamed to `path.1` as well.
    pub fn with_rotation(path: &Path, head: Head, bytes_max: u64) -> io::Result<Self> {
        let file = rotate_file(path)?;
        Self::begin_tape(path.to_owned(), file, head, Some(bytes_max))
    }

    fn begin_tape(path: PathBuf, file: File, head: Head, bytes_max: Option<u64>) -> io::Result<Self> {
        let writer = write_to(&path, file, &head).map_err(|error| match error {
            TapeError::Io { source, .. } => source,
            other => io::Error::other(other),
        })?;
        Ok(Self { path, head, bytes_max, began: monotonic_now(), writer })
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn writer(&mut self) -> &mut Writer<BufWriter<Counted>> {
        &mut self.writer
    }

    /// Milliseconds since the tape began.
    pub(super) fn at_ms(&self, seen: Instant) -> u64 {
        u64::try_from(seen.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// Continues in a new file if this one has reached half of the limit. `seen` is the time of observation of the next
    /// step.
    pub(super) fn turn_if_full(&mut self, seen: Instant) -> Result<(), TapeError> {
        let n_bytes = self.writer.get_ref().get_ref().n_bytes;
        if self.bytes_max.is_none_or(|bytes_max| n_bytes < bytes_max / 2) {
            return Ok(());
        }
        let failed = |source| TapeError::Io { line: 0, source };
        let since = SignedDuration::try_from(seen.saturating_duration_since(self.began)).unwrap_or_default();
        let head =
            Head { began: self.head.began.map(|began| began.checked_add(since).unwrap_or(began)), ..self.head.clone() };
        // The full file is finished before it is renamed, so that a failure in between leaves two complete tapes.
        self.writer.end_frame()?;
        let next = write_to(&self.path, rotate_file(&self.path).map_err(failed)?, &head)?;
        (self.writer, self.head, self.began) = (next, head, seen.max(self.began));
        Ok(())
    }

    /// Ends the tape and syncs it to disk.
    pub(super) fn finish(self) -> Result<(), TapeError> {
        let to = self.writer.finish()?;
        let file = to.into_inner().map_err(|error| TapeError::Io { line: 0, source: error.into_error() })?.file;
        match file.sync_all() {
            // A pipe or a terminal has nothing to sync.
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(TapeError::Io { line: 0, source: error }),
            _ => Ok(()),
        }
    }
}

fn write_to(path: &Path, file: File, head: &Head) -> Result<Writer<BufWriter<Counted>>, TapeError> {
    let mut writer =
        Writer::with_compression(BufWriter::new(Counted { file, n_bytes: 0 }), head, TapeCompression::for_path(path))?;
    writer.flush()?;
    Ok(writer)
}

/// Creates an empty file at `path`; an existing tape is renamed with the suffix `.1`. A special file, such as a pipe,
/// is used as it is. A file that is not a tape is never replaced.
fn rotate_file(path: &Path) -> io::Result<File> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => return File::options().write(true).open(path),
        Ok(there) if there.len() > 0 => {
            let mut older = path.as_os_str().to_owned();
            older.push(".1");
            for there in [path, Path::new(&older)] {
                if !is_tape(there)? {
                    let why = format!("{} is there, and is no tape", there.display());
                    return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
                }
            }
            std::fs::rename(path, older)?;
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    File::create(path)
}

/// Returns whether nothing but a tape would be lost with this file; a crash may have left the tape without a whole
/// first line.
fn is_tape(path: &Path) -> io::Result<bool> {
    match File::open(path) {
        Ok(file) => Ok(match Reader::new(file) {
            Ok(_) | Err(TapeError::Version(_)) => true,
            Err(TapeError::Io { source, .. }) => source.kind() == io::ErrorKind::UnexpectedEof,
            Err(_) => false,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.n_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
