//! How a tape is packed, on the way out and on the way in.

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::path::Path;
use std::sync::mpsc;

/// Unpacked bytes that are handed over at once, from the thread that unpacks to the one that reads.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that may wait to be read: a block or two of mainnet, so that neither side waits for the other's every step.
const CHUNKS_MAX: usize = 8;
/// zstd at its fastest: on blocks it packs as tightly as its higher levels, since most of a block is hex that no level can guess.
const ZSTD_LEVEL: i32 = 1;

/// How a tape is packed. A reader tells by the first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// Readable with `zcat`, on every machine.
    #[default]
    Gzip,
    /// Readable with `zstdcat`; a little smaller, and several times faster either way.
    Zstd,
    /// Not at all.
    Plain,
}

/// Packs what is written to it.
pub(super) enum Packer<W: Write> {
    Gzip(GzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Plain(W),
}

/// What another thread reads ahead.
struct Ahead {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    chunk: Cursor<Vec<u8>>,
    ended: bool,
}

impl Packing {
    /// What the name of a file asks for: zstd for `.zst`, gzip otherwise.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|end| end == "zst") { Self::Zstd } else { Self::Gzip }
    }

    /// What these first bytes are of. Four are enough.
    fn told_by(magic: &[u8]) -> Self {
        match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Plain => "plain",
        }
    }
}

/// The bytes behind `from`, whatever they are packed with.
pub(super) fn unpack<'a>(mut from: impl Read + 'a) -> io::Result<(Packing, Box<dyn Read + 'a>)> {
    let mut magic = Vec::with_capacity(4);
    from.by_ref().take(4).read_to_end(&mut magic)?;
    let packing = Packing::told_by(&magic);
    let whole = Cursor::new(magic).chain(from);
    let unpacked: Box<dyn Read + 'a> = match packing {
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK_BYTES, whole))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
        Packing::Plain => Box::new(whole),
    };
    Ok((packing, unpacked))
}

/// The same on a thread of its own, so that unpacking and reading go on side by side. The thread ends with what is read, or when
/// nobody reads on.
pub(super) fn unpack_ahead(from: impl Read + Send + 'static) -> io::Result<(Packing, Box<dyn Read>)> {
    let (tell, told) = mpsc::sync_channel(1);
    let (send, chunks) = mpsc::sync_channel(CHUNKS_MAX);
    std::thread::Builder::new().name("unpack".to_owned()).spawn(move || {
        let (packing, mut unpacked) = match unpack(from) {
            Ok(unpacked) => unpacked,
            Err(error) => return drop(tell.send(Err(error))),
        };
        if tell.send(Ok(packing)).is_err() {
            return;
        }
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let read = unpacked.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
            let n = chunk.len();
            // What came before an error is as good as ever. An empty chunk is the end.
            if (n > 0 || read.is_ok()) && send.send(Ok(chunk)).is_err() {
                return;
            }
            match read {
                Ok(_) if n > 0 => {}
                Ok(_) => return,
                Err(error) => return drop(send.send(Err(error))),
            }
        }
    })?;
    let packing = told.recv().map_err(io::Error::other)??;
    Ok((packing, Box::new(Ahead { chunks, chunk: Cursor::default(), ended: false })))
}

impl Read for Ahead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.chunk.read(into)?;
            if n > 0 || into.is_empty() || self.ended {
                return Ok(n);
            }
            // Should the thread die, that must not look like the end of the tape.
            let died = |mpsc::RecvError| io::Error::other("what unpacks ended by surprise");
            let chunk = self.chunks.recv().map_err(died)??;
            self.ended = chunk.is_empty();
            self.chunk = Cursor::new(chunk);
        }
    }
}

impl<W: Write> Packer<W> {
    pub(super) fn new(to: W, packing: Packing) -> io::Result<Self> {
        Ok(match packing {
            Packing::Gzip => Self::Gzip(GzEncoder::new(to, Compression::default())),
            Packing::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(to, ZSTD_LEVEL)?),
            Packing::Plain => Self::Plain(to),
        })
    }

    /// What it writes to.
    pub(super) fn get_ref(&self) -> &W {
        match self {
            Self::Gzip(packer) => packer.get_ref(),
            Self::Zstd(packer) => packer.get_ref(),
            Self::Plain(to) => to,
        }
    }

    /// Ends what is packed, and keeps what it was written to.
    pub(super) fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(packer) => {
                packer.try_finish()?;
                packer.get_mut().flush()
            }
            Self::Zstd(packer) => {
                packer.do_finish()?;
                packer.get_mut().flush()
            }
            Self::Plain(to) => to.flush(),
        }
    }

    /// Ends what is packed. Without it the reader finds it cut short.
    pub(super) fn finish(self) -> io::Result<W> {
        let mut to = match self {
            Self::Gzip(packer) => packer.finish(),
            Self::Zstd(packer) => packer.finish(),
            Self::Plain(to) => Ok(to),
        }?;
        to.flush()?;
        Ok(to)
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(packer) => packer.write(bytes),
            Self::Zstd(packer) => packer.write(bytes),
            Self::Plain(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(packer) => packer.flush(),
            Self::Zstd(packer) => packer.flush(),
            Self::Plain(to) => to.flush(),
        }
    }
}
