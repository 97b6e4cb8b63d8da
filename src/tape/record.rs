//! Recorder of a live chain: the committed steps of a pipeline are written to a tape, without ever delaying the watch.
//!
//! A separate thread compresses and writes. A bounded queue lies between it and the watch; steps that find no room are
//! left out, and the tape notes that. A tape that cannot be written is reported once, and the watch continues.

use super::{FinalityRecord, RecordedIssue, Rotation, TapeError, TapeEvent};
use crate::model::read::{Answer, Read};
use crate::model::{BlockRef, Link};
use crate::runtime::monotonic_now;
use crate::source::trace::{RawTraces, TraceMethod, Traced};
use crate::source::{Event, Linked, Node, RawPair, Step};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::time::Instant;
use tracing::{error, warn};

/// Steps that may wait to be written, about 13 minutes of mainnet.
const QUEUE_MAX: usize = 64;
/// Number of bytes of blocks and receipts that may wait to be written: about a hundred blocks of mainnet.
const QUEUE_BYTES_MAX: usize = 256 << 20;
/// Longest time that a stopping watch waits for the tape.
const FINISH_MAX: Duration = Duration::from_secs(20);

/// Behavior when the tape is slower than the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backpressure {
    /// Waits for room on the tape: recording is the purpose.
    Waits,
    /// Leaves out data for which there is no room: watching is the purpose.
    LeavesOut,
}

/// Records the steps that a pipeline commits, in the order of observation.
#[derive(Debug)]
pub struct Recorder {
    jobs: mpsc::Sender<Job>,
    state: Arc<State>,
    patience: Backpressure,
    thread: JoinHandle<Result<(), TapeError>>,
}

/// Data of a step that goes to the tape. Taken before the step is judged, since nothing else needs the node's text.
#[derive(Debug)]
pub struct Taken {
    retract: Vec<BlockRef>,
    blocks: Vec<TakenBlock>,
    seen: Instant,
}

#[derive(Debug)]
struct TakenBlock {
    link: Link,
    of: Traced,
    raw: Option<RawPair>,
}

#[derive(Debug)]
enum Job {
    Step { taken: Taken, reads: Vec<Vec<(Read, Answer)>>, missed: u64 },
    Mark { seen: Instant, what: TapeEvent },
}

#[derive(Debug, Default)]
struct State {
    failed: OnceLock<String>,
    queued_bytes: AtomicUsize,
    /// Number of steps left out since the last one that found room.
    missed: AtomicU64,
    /// Set during shutdown: optional parts are then skipped.
    hurry: AtomicBool,
}

/// State of the recorder's thread.
struct TapeWriter {
    reel: Rotation,
    tracer: Option<Tracer>,
    state: Arc<State>,
}

/// Fetches traces, on a separate connection.
struct Tracer {
    /// Nodes that may support tracing; the first is asked first.
    nodes: VecDeque<Node>,
    runtime: Handle,
    /// Methods of the first node that may still work, the best first; `None` before its methods were requested.
    methods: Option<Vec<TraceMethod>>,
}

impl Taken {
    /// Takes the recorded parts from `step`. The source has to keep the node's text
    /// ([`crate::source::Options::raw_text`]).
    #[must_use]
    pub fn from_step(step: &mut Step) -> Self {
        let blocks = step.append.iter_mut().map(|fetched| TakenBlock {
            link: fetched.link(),
            of: Traced::from_block(&fetched.block),
            raw: fetched.raw.take(),
        });
        Self { blocks: blocks.collect(), retract: step.retract.clone(), seen: monotonic_now() }
    }

    fn n_bytes(&self) -> usize {
        let raw = self.blocks.iter().filter_map(|block| block.raw.as_ref());
        raw.map(|raw| raw.block.get().len() + raw.receipts.get().len()).sum()
    }
}

impl Recorder {
    /// Starts recording to `reel`. If `traces` contains nodes, traces are recorded too, from the first node that
    /// supports tracing. Must be called within a runtime.
    pub fn start_recording(reel: Rotation, traces: Vec<Node>, patience: Backpressure) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let (jobs, waiting) = mpsc::channel(QUEUE_MAX);
        let tracer =
            (!traces.is_empty()).then(|| Tracer { nodes: traces.into(), runtime: Handle::current(), methods: None });
        let scribe = TapeWriter { reel, tracer, state: state.clone() };
        let thread = std::thread::Builder::new().name("tape".to_owned()).spawn(move || scribe.run(waiting))?;
        Ok(Self { jobs, state, patience, thread })
    }

    /// Records a committed step, with the reads made at its blocks, in their order.
    ///
    /// # Errors
    /// When the tape cannot be written any more, and whoever records waits for it.
    pub async fn record_step(&self, taken: Taken, reads: Vec<Vec<(Read, Answer)>>) -> Result<(), TapeError> {
        let n_bytes = taken.n_bytes();
        if self.patience == Backpressure::LeavesOut
            && self.state.queued_bytes.load(Ordering::Relaxed).saturating_add(n_bytes) > QUEUE_BYTES_MAX
        {
            self.state.missed.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let missed = self.state.missed.swap(0, Ordering::Relaxed);
        self.state.queued_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        let sent = self.send_job(Job::Step { taken, reads, missed }).await;
        if !sent {
            self.state.missed.fetch_add(missed + 1, Ordering::Relaxed);
            self.state.queued_bytes.fetch_sub(n_bytes, Ordering::Relaxed);
        }
        match self.state.failed.get() {
            Some(why) if self.patience == Backpressure::Waits => {
                Err(TapeError::Io { line: 0, source: std::io::Error::other(why.clone()) })
            }
            _ => Ok(()),
        }
    }

    /// Records an event of the source other than a step.
    pub async fn record_event(&self, event: &Event) {
        let trouble = |kind: &crate::model::BlindnessKind, endpoint: &Option<Arc<str>>, why: Option<&str>, over| {
            TapeEvent::Trouble(RecordedIssue {
                kind: kind.name().to_owned(),
                endpoint: endpoint.as_deref().map(str::to_owned),
                why: why.map(str::to_owned),
                over,
            })
        };
        let what = match event {
            Event::Promoted { level, at } => TapeEvent::Promote(*level, *at),
            Event::Troubled(told) => trouble(&told.kind, &told.endpoint, Some(&told.why), false),
            Event::Cleared { kind, endpoint, .. } => trouble(kind, endpoint, None, true),
            Event::Step(_) | Event::Confirmed { .. } | Event::Contested(_) | Event::Phase(_) | Event::Probed { .. } => {
                return;
            }
        };
        // A lost mark is less important than a lost block: its content is also in the store.
        self.send_job(Job::Mark { seen: monotonic_now(), what }).await;
    }

    /// Ends the tape after the queued steps are written.
    ///
    /// # Errors
    /// When not all of it could be written.
    pub async fn finish(self) -> Result<(), TapeError> {
        let Self { jobs, state, patience, thread } = self;
        drop(jobs);
        state.hurry.store(patience == Backpressure::LeavesOut, Ordering::Relaxed);
        let joined = tokio::task::spawn_blocking(move || thread.join());
        let late = || std::io::Error::other("the tape was not written in time");
        let joined = match patience {
            Backpressure::Waits => joined.await,
            Backpressure::LeavesOut => match tokio::time::timeout(FINISH_MAX, joined).await {
                Ok(joined) => joined,
                Err(_) => return Err(TapeError::Io { line: 0, source: late() }),
            },
        };
        let died = || TapeError::Io { line: 0, source: std::io::Error::other("the recorder ended by surprise") };
        joined.map_err(|_| died())?.map_err(|_| died())?
    }

    /// Queues a job. Returns whether there was room.
    async fn send_job(&self, job: Job) -> bool {
        match self.patience {
            Backpressure::Waits => self.jobs.send(job).await.is_ok(),
            Backpressure::LeavesOut => match self.jobs.try_send(job) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => false,
            },
        }
    }
}

impl TapeWriter {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> Result<(), TapeError> {
        let written = self.write_all(&mut jobs);
        if let Err(failure) = &written {
            error!("failed to write the tape {} ({failure}); it is complete up to here", self.reel.path().display());
            let _ = self.state.failed.set(failure.to_string());
            return written;
        }
        self.reel.finish()
    }

    fn write_all(&mut self, jobs: &mut mpsc::Receiver<Job>) -> Result<(), TapeError> {
        loop {
            let job = match jobs.try_recv() {
                Ok(job) => job,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    // The queue is empty, so there is time to flush: a crash loses nothing that is on the tape by now.
                    self.reel.writer().flush()?;
                    match jobs.blocking_recv() {
                        Some(job) => job,
                        None => break,
                    }
                }
            };
            match job {
                Job::Step { taken, reads, missed } => {
                    let n_bytes = taken.n_bytes();
                    self.say_missed(missed, taken.seen)?;
                    let behind = jobs.len() > QUEUE_MAX / 2;
                    self.write_step(taken, reads, behind)?;
                    self.state.queued_bytes.fetch_sub(n_bytes, Ordering::Relaxed);
                }
                Job::Mark { seen, what } => self.write_mark(seen, what)?,
            }
        }
        let missed = self.state.missed.swap(0, Ordering::Relaxed);
        self.say_missed(missed, monotonic_now())
    }

    fn write_step(&mut self, taken: Taken, reads: Vec<Vec<(Read, Answer)>>, behind: bool) -> Result<(), TapeError> {
        let Taken { retract, blocks, seen } = taken;
        self.reel.turn_if_full(seen)?;
        if !retract.is_empty() {
            self.write_mark(seen, TapeEvent::Retract(retract))?;
        }
        let mut reads = reads.into_iter();
        for TakenBlock { link, of, raw } in blocks {
            let reads = reads.next().unwrap_or_default();
            // Without the node's text the block cannot be written; the next block then marks a gap.
            let Some(raw) = raw else { continue };
            let traces = match self.fetch_traces(&of, behind) {
                Ok(traces) => traces,
                Err(why) => {
                    let note = format!("block {}: its traces are missing: {why}", link.at.number);
                    self.write_mark(seen, TapeEvent::Note(note))?;
                    None
                }
            };
            let at_ms = Some(self.reel.at_ms(seen));
            let writer = self.reel.writer();
            if writer.block_at(at_ms, link, &raw, &reads, traces.as_ref())? {
                continue;
            }
            let short = writer.block_at(at_ms, link, &raw, &reads, None)?;
            let what = if short { "its traces are" } else { "it is" };
            let note = format!("block {}: {what} too large for a line of a tape", link.at.number);
            self.write_mark(seen, TapeEvent::Note(note))?;
        }
        Ok(())
    }

    /// Returns the traces of a block; `None` if no traces are recorded or the block has no transactions.
    fn fetch_traces(&mut self, of: &Traced, behind: bool) -> Result<Option<RawTraces>, String> {
        let Some(tracer) = &mut self.tracer else { return Ok(None) };
        if of.txs.is_empty() {
            return Ok(None);
        }
        if behind || self.state.hurry.load(Ordering::Relaxed) {
            return Err("there was no time for them".to_owned());
        }
        let traces = tracer.fetch_traces(of);
        if tracer.nodes.is_empty() {
            warn!("tape {} has no traces: no node can trace a block", self.reel.path().display());
            self.tracer = None;
        }
        traces.map(Some)
    }

    fn write_mark(&mut self, seen: Instant, what: TapeEvent) -> Result<(), TapeError> {
        let at_ms = Some(self.reel.at_ms(seen));
        self.reel.writer().write_mark(&FinalityRecord { at_ms, what })
    }

    fn say_missed(&mut self, missed: u64, seen: Instant) -> Result<(), TapeError> {
        if missed == 0 {
            return Ok(());
        }
        let steps = if missed == 1 { "1 step".to_owned() } else { format!("{missed} steps") };
        warn!("tape {} lacks {steps}: writing was slower than the chain", self.reel.path().display());
        self.write_mark(
            seen,
            TapeEvent::Note(format!("{steps} could not be recorded: the tape was slower than the chain")),
        )
    }
}

impl Tracer {
    fn fetch_traces(&mut self, of: &Traced) -> Result<RawTraces, String> {
        while let Some(node) = self.nodes.front() {
            let methods = match &mut self.methods {
                Some(methods) => methods,
                None => {
                    let told = self.runtime.block_on(node.trace_methods()).map_err(|error| error.to_string())?;
                    self.methods.insert(told.to_vec())
                }
            };
            while let Some(method) = methods.first() {
                match self.runtime.block_on(node.fetch_traces(of, *method)) {
                    Ok(Some(traces)) => return Ok(traces),
                    Ok(None) => drop(methods.remove(0)),
                    Err(error) => return Err(error.to_string()),
                }
            }
            self.methods = None;
            self.nodes.pop_front();
        }
        Err("no node has a way of tracing a block".to_owned())
    }
}
