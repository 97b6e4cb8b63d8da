//! The file that a recording goes to, and the next one when it is full.

use super::{Head, Packing, Reader, TapeError, Writer};
use crate::runtime::instant;
use jiff::SignedDuration;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// A tape file being recorded, by itself or with the one before it, as a flight recorder keeps them.
pub struct Reel {
    path: PathBuf,
    head: Head,
    /// Most bytes of this file and the one before it together; `None` for one file without end.
    bytes_max: Option<u64>,
    began: Instant,
    writer: Writer<BufWriter<Counted>>,
}

/// A file that knows how much was written to it.
#[derive(Debug)]
pub(super) struct Counted {
    file: File,
    n_bytes: u64,
}

impl Reel {
    /// Begins a new tape at `path`. What is there already is an error.
    pub fn new(path: &Path, head: Head) -> io::Result<Self> {
        let file = File::create_new(path)?;
        Self::begin(path.to_owned(), file, head, None)
    }

    /// Begins a tape at `path` that keeps what was seen last, in at most about `bytes_max` bytes: once it is half of that, it becomes
    /// `path.1`, and the one that was there is gone. What an earlier run left at `path` becomes `path.1` as well.
    pub fn rolling(path: &Path, head: Head, bytes_max: u64) -> io::Result<Self> {
        let file = renew(path)?;
        Self::begin(path.to_owned(), file, head, Some(bytes_max))
    }

    fn begin(path: PathBuf, file: File, head: Head, bytes_max: Option<u64>) -> io::Result<Self> {
        let writer = write_to(&path, file, &head).map_err(|error| match error {
            TapeError::Io { source, .. } => source,
            other => io::Error::other(other),
        })?;
        Ok(Self { path, head, bytes_max, began: instant(), writer })
    }

    /// Where it is.
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

    /// Goes on in a new file if this one has its half of what is allowed. `seen` is when what comes next was seen.
    pub(super) fn turn_if_full(&mut self, seen: Instant) -> Result<(), TapeError> {
        let n_bytes = self.writer.get_ref().get_ref().n_bytes;
        if self.bytes_max.is_none_or(|bytes_max| n_bytes < bytes_max / 2) {
            return Ok(());
        }
        let failed = |source| TapeError::Io { line: 0, source };
        let since = SignedDuration::try_from(seen.saturating_duration_since(self.began)).unwrap_or_default();
        let head =
            Head { began: self.head.began.map(|began| began.checked_add(since).unwrap_or(began)), ..self.head.clone() };
        // The full one is ended before its name is taken, so that whatever happens in between leaves two whole tapes.
        self.writer.end()?;
        let next = write_to(&self.path, renew(&self.path).map_err(failed)?, &head)?;
        (self.writer, self.head, self.began) = (next, head, seen.max(self.began));
        Ok(())
    }

    /// Ends the tape, on the disk.
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
    let mut writer = Writer::packed(BufWriter::new(Counted { file, n_bytes: 0 }), head, Packing::of(path))?;
    writer.flush()?;
    Ok(writer)
}

/// An empty file at `path`; the tape that was there gets `.1` behind its name. What is no ordinary file, such as a pipe, is taken as
/// it is. A file that is no tape is somebody's, and stays.
fn renew(path: &Path) -> io::Result<File> {
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

/// Whether nothing is lost with this file but a tape; a crash may have left it without a whole first line.
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
