//! A watch that is recorded while it runs. Whatever becomes of the tape, the watch goes on.

use super::{Session, pool_of};
use crate::pipeline::Committed;
use crate::source::tape::{Head, Patience, Recorder, Reel, Taken};
use crate::watchlist::{Book, ChainBook};
use anyhow::Context as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tracing::error;

/// Where a watch is recorded, and how much of it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) file: PathBuf,
    /// Bytes of the tape and the one before it.
    pub(crate) bytes_max: u64,
    pub(crate) traces: bool,
}

impl Session {
    /// Records each chain's watch from now on.
    pub(crate) fn recorded(mut self, recording: Option<Recording>) -> Self {
        self.recording = recording;
        self
    }

    /// What records this chain, if anything does.
    pub(super) fn recorder(&self, chain: &ChainBook) -> anyhow::Result<Option<Recorder>> {
        let Some(recording) = &self.recording else { return Ok(None) };
        let file = file_of(&recording.file, &self.book, chain);
        let note = format!("what `watchfire run` saw of {}", chain.info.name);
        let head = Head { chain: chain.info.id, note, began: Some(self.clock.now()) };
        let reel = match Reel::rolling(&file, head, recording.bytes_max) {
            Ok(reel) => reel,
            // A full disk is no reason not to watch; a name that cannot be is one to stop and ask.
            Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                error!("{} cannot be written ({error}); watching goes on without it", file.display());
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("failed to record to {}", file.display())),
        };
        // Tracing takes long, and must not stand in the way of what is followed: it gets connections of its own.
        let tracing = match recording.traces {
            true => pool_of(chain, &self.signs.metrics)?.nodes().cloned().collect(),
            false => Vec::new(),
        };
        Recorder::start(reel, tracing, Patience::LeavesOut).context("failed to start to record").map(Some)
    }
}

/// Ends the tape of a watch. What went wrong with it is told, and changes nothing else.
pub(super) async fn finish(recorder: Option<Recorder>) {
    let Some(recorder) = recorder else { return };
    if let Err(failure) = recorder.finish().await {
        error!("the tape is not whole: {failure}");
    }
}

/// A step was committed: to the tape with it, and with what was read for it.
pub(super) async fn keep(recorder: &Recorder, taken: Taken, committed: &Committed) -> anyhow::Result<()> {
    let reads =
        committed.answers.iter().map(|told| told.iter().map(|(read, answer)| (read.clone(), answer.clone())).collect());
    recorder.step(taken, reads.collect()).await.context("failed to write to the tape")
}

/// One tape for each chain: where there are several, the chain's name goes before the first dot of the file's name.
fn file_of(file: &Path, book: &Book, chain: &ChainBook) -> PathBuf {
    let Some(name) = file.file_name().and_then(|name| name.to_str()).filter(|_| book.chains.len() > 1) else {
        return file.to_owned();
    };
    let (stem, ends) = name.split_at(name.find('.').unwrap_or(name.len()));
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let chain: String = chain.info.name.chars().map(safe).collect();
    file.with_file_name(format!("{stem}-{chain}{ends}"))
}
