//! Recording of a running watch. Errors of the tape never stop the watch.

use super::App;
use crate::pipeline::Committed;
use crate::source::Priority;
use crate::tape::{Backpressure, Head, Recorder, Rotation, Taken};
use crate::watchlist::{ChainBook, Config};
use anyhow::Context as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tracing::error;

/// File that a watch is recorded to, and the size that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) file: PathBuf,
    /// Maximum number of bytes of the current tape and the previous one.
    pub(crate) bytes_max: u64,
    pub(crate) traces: bool,
}

impl App {
    /// Records each chain's watch from now on.
    pub(crate) fn with_recording(mut self, recording: Option<Recording>) -> Self {
        self.recording = recording;
        self
    }

    /// Returns the recorder of this chain, if there is one.
    pub(super) fn open_recorder(&self, chain: &ChainBook) -> anyhow::Result<Option<Recorder>> {
        let Some(recording) = &self.recording else { return Ok(None) };
        let file = file_of(&recording.file, &self.book, chain);
        let note = format!("what `watchfire run` saw of {}", chain.info.name);
        let head = Head { chain: chain.info.id, note, began: Some(self.clock.now()) };
        let reel = match Rotation::with_rotation(&file, head, recording.bytes_max) {
            Ok(reel) => reel,
            // A full disk is no reason to stop the watch; an invalid file name is one.
            Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                error!("failed to write the recording {} ({error}); watching continues without it", file.display());
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("failed to record to {}", file.display())),
        };
        // Tracing takes long and must not delay the source: it has a priority, and connections, of its own.
        let tracing = match recording.traces {
            true => self.pool(chain)?.with_priority(Priority::Recorder).nodes().collect(),
            false => Vec::new(),
        };
        Recorder::start_recording(reel, tracing, Backpressure::LeavesOut).context("failed to start to record").map(Some)
    }
}

/// Ends the tape of a watch. Errors are logged and have no other effect.
pub(super) async fn finish_recording(recorder: Option<Recorder>) {
    let Some(recorder) = recorder else { return };
    if let Err(failure) = recorder.finish().await {
        error!("recording is incomplete: {failure}");
    }
}

/// Writes a committed step to the tape, with the answers that were read for it.
pub(super) async fn record_step(recorder: &Recorder, taken: Taken, committed: &Committed) -> anyhow::Result<()> {
    let reads =
        committed.answers.iter().map(|told| told.iter().map(|(read, answer)| (read.clone(), answer.clone())).collect());
    recorder.record_step(taken, reads.collect()).await.context("failed to write to the tape")
}

/// Returns the path of a chain's tape, one for each chain: if there are several chains, the chain's name is inserted
/// before the first dot of the file's name.
fn file_of(file: &Path, book: &Config, chain: &ChainBook) -> PathBuf {
    let Some(name) = file.file_name().and_then(|name| name.to_str()).filter(|_| book.chains.len() > 1) else {
        return file.to_owned();
    };
    let (stem, ends) = name.split_at(name.find('.').unwrap_or(name.len()));
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let chain: String = chain.info.name.chars().map(safe).collect();
    file.with_file_name(format!("{stem}-{chain}{ends}"))
}
