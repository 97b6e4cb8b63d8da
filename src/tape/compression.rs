//! Compression of a tape, for writing and reading.

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::path::Path;
use std::sync::mpsc;

/// Number of decompressed bytes that the decompressing thread passes to the reading thread at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Number of chunks that may wait to be read: a block or two of mainnet, so that neither thread waits for each step of
/// the other.
const CHUNKS_MAX: usize = 8;
/// Fastest level of zstd: on blocks it compresses as well as the higher levels, because a block consists mostly of hex
/// that no level can predict.
const ZSTD_LEVEL: i32 = 1;

/// Compression of a tape. A reader recognizes it by the first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TapeCompression {
    /// Gzip: readable with `zcat`, on every machine.
    #[default]
    Gzip,
    /// Zstd: readable with `zstdcat`; a little smaller, and several times faster in both directions.
    Zstd,
    /// No compression.
    Plain,
}

/// Compressor of the written bytes.
pub(super) enum Compressor<W: Write> {
    Gzip(GzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Plain(W),
}

/// Data read ahead by another thread.
struct Peeked {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    chunk: Cursor<Vec<u8>>,
    ended: bool,
}

impl TapeCompression {
    /// Returns the compression for a file name: zstd for `.zst`, gzip otherwise.
    #[must_use]
    pub fn for_path(path: &Path) -> Self {
        if path.extension().is_some_and(|end| end == "zst") { Self::Zstd } else { Self::Gzip }
    }

    /// Returns the compression recognized from the first bytes. Four are enough.
    fn told_by(magic: &[u8]) -> Self {
        match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// Returns the name of the compression.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Plain => "plain",
        }
    }
}

/// Decompresses `from`, in any supported compression.
pub(super) fn decompress_reader<'a>(mut from: impl Read + 'a) -> io::Result<(TapeCompression, Box<dyn Read + 'a>)> {
    let mut magic = Vec::with_capacity(4);
    from.by_ref().take(4).read_to_end(&mut magic)?;
    let packing = TapeCompression::told_by(&magic);
    let whole = Cursor::new(magic).chain(from);
    let unpacked: Box<dyn Read + 'a> = match packing {
        TapeCompression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK_BYTES, whole))),
        TapeCompression::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
        TapeCompression::Plain => Box::new(whole),
    };
    Ok((packing, unpacked))
}

/// Decompresses `from` on a separate thread, so that decompression and reading run in parallel. The thread ends at the
/// end of the input, or when the reader is dropped.
pub(super) fn unpack_ahead(from: impl Read + Send + 'static) -> io::Result<(TapeCompression, Box<dyn Read>)> {
    let (tell, told) = mpsc::sync_channel(1);
    let (send, chunks) = mpsc::sync_channel(CHUNKS_MAX);
    std::thread::Builder::new().name("unpack".to_owned()).spawn(move || {
        let (packing, mut unpacked) = match decompress_reader(from) {
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
            // Bytes before an error are valid. An empty chunk marks the end.
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
    Ok((packing, Box::new(Peeked { chunks, chunk: Cursor::default(), ended: false })))
}

impl Read for Peeked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.chunk.read(into)?;
            if n > 0 || into.is_empty() || self.ended {
                return Ok(n);
            }
            // A dead thread must not look like the end of the tape.
            let died = |mpsc::RecvError| io::Error::other("what unpacks ended by surprise");
            let chunk = self.chunks.recv().map_err(died)??;
            self.ended = chunk.is_empty();
            self.chunk = Cursor::new(chunk);
        }
    }
}

impl<W: Write> Compressor<W> {
    pub(super) fn new(to: W, packing: TapeCompression) -> io::Result<Self> {
        Ok(match packing {
            TapeCompression::Gzip => Self::Gzip(GzEncoder::new(to, Compression::default())),
            TapeCompression::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(to, ZSTD_LEVEL)?),
            TapeCompression::Plain => Self::Plain(to),
        })
    }

    /// Returns the underlying writer.
    pub(super) fn get_ref(&self) -> &W {
        match self {
            Self::Gzip(packer) => packer.get_ref(),
            Self::Zstd(packer) => packer.get_ref(),
            Self::Plain(to) => to,
        }
    }

    /// Ends the compressed stream and keeps the underlying writer.
    pub(super) fn end_frame(&mut self) -> io::Result<()> {
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

    /// Ends the compressed stream. Without this a reader finds it truncated.
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

impl<W: Write> Write for Compressor<W> {
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
