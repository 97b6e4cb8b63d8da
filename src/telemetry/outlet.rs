//! A writer that never blocks: a reader may stall, for example a terminal that a user paused with a key, but the
//! program continues.
//!
//! Input: lines. Output: the same lines, in order, written by a thread that does all the waiting. Never here: a line
//! that blocks its writer. Lines that do not fit are dropped and counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Maximum number of lines that wait for a reader: about an hour of verdicts of a busy watchlist.
pub const LINES_MAX: usize = 10_000;
/// Maximum number of bytes in the waiting lines: a line that shows hostile calldata is long.
pub const BYTES_MAX: usize = 16 << 20;

/// Interval at which [`Outlet::finish_within`] checks for room.
const LOOK: Duration = Duration::from_millis(10);

/// A non-blocking writer; see the module documentation. Clones write to the same thread.
#[derive(Debug)]
pub struct Outlet {
    jobs: SyncSender<Job>,
    waiting: Arc<Waiting>,
    dropped: Arc<AtomicU64>,
    failure: Arc<OnceLock<io::Error>>,
    /// The line that has not ended yet.
    line: Vec<u8>,
}

/// Lines and bytes that are not written yet.
#[derive(Debug, Default)]
struct Waiting {
    lines: AtomicUsize,
    bytes: AtomicUsize,
}

enum Job {
    Line(Vec<u8>),
    /// Signals that all earlier lines are written.
    Done(SyncSender<()>),
}

impl Outlet {
    /// An outlet to `out`.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn new(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel(LINES_MAX);
        let waiting = Arc::<Waiting>::default();
        let (written, failure) = (waiting.clone(), Arc::<OnceLock<io::Error>>::default());
        let failed = failure.clone();
        let write = move || write_lines(out, &inbox, &written, &failed);
        std::thread::Builder::new().name("watchfire-outlet".to_owned()).spawn(write)?;
        Ok(Self { jobs, waiting, dropped: Arc::default(), failure, line: Vec::new() })
    }

    /// Returns the number of lines waiting for the reader.
    #[must_use]
    pub fn waiting_lines(&self) -> usize {
        self.waiting.lines.load(Ordering::Relaxed)
    }

    /// Returns the number of lines dropped for lack of room.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns the error of a failed write, such as a full disk. A closed reader is not a failure.
    #[must_use]
    pub fn write_failure(&self) -> Option<&io::Error> {
        self.failure.get()
    }

    /// Waits until all lines are written, at most about as long as `patience`, and returns whether they are.
    #[must_use]
    pub fn finish_within(&self, patience: Duration) -> bool {
        let (done, is_done) = sync_channel(1);
        let mut job = Job::Done(done);
        for _ in 0..=patience.as_millis() / LOOK.as_millis() {
            match self.jobs.try_send(job) {
                Ok(()) => return is_done.recv_timeout(patience).is_ok(),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => job = back,
            }
            std::thread::sleep(LOOK);
        }
        false
    }

    fn hand_over(&self, line: Vec<u8>) {
        let size = line.len();
        let fits = self.waiting.add(size) <= BYTES_MAX;
        if !fits || self.jobs.try_send(Job::Line(line)).is_err() {
            self.waiting.remove_line(size);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Waiting {
    /// Adds a line of `size` bytes, and returns the number of waiting bytes including it.
    fn add(&self, size: usize) -> usize {
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed) + size
    }

    fn remove_line(&self, size: usize) {
        self.lines.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }
}

impl Clone for Outlet {
    fn clone(&self) -> Self {
        let (jobs, waiting, dropped) = (self.jobs.clone(), self.waiting.clone(), self.dropped.clone());
        Self { jobs, waiting, dropped, failure: self.failure.clone(), line: Vec::new() }
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if self.line.ends_with(b"\n") {
            let line = std::mem::take(&mut self.line);
            self.hand_over(line);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(mut out: impl Write, jobs: &Receiver<Job>, waiting: &Waiting, failure: &OnceLock<io::Error>) {
    for job in jobs {
        match job {
            Job::Line(line) => {
                // A closed reader is not an error.
                if let Err(error) = out.write_all(&line).and_then(|()| out.flush())
                    && error.kind() != io::ErrorKind::BrokenPipe
                {
                    let _ = failure.set(error);
                }
                waiting.remove_line(line.len());
            }
            Job::Done(done) => drop(done.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const SOON: Duration = Duration::from_secs(30);

    /// A writer that accepts nothing while the lock is held.
    struct Stalling(Arc<Mutex<Vec<u8>>>);

    impl Write for Stalling {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_holds_nobody_up_and_gets_every_line_that_found_room() {
        let read = Arc::new(Mutex::new(Vec::new()));
        let mut outlet = Outlet::new(Stalling(read.clone())).unwrap();
        let stalled = read.lock().unwrap();
        let n_lines = LINES_MAX + 50;
        for n in 0..n_lines {
            write!(outlet, "line ").unwrap();
            writeln!(outlet, "{n}").unwrap();
        }
        assert!(!outlet.finish_within(LOOK), "nothing is written while the reader stalls");
        let dropped = usize::try_from(outlet.dropped_lines()).unwrap();
        // The thread may already have taken one line from the queue.
        assert!((49..=50).contains(&dropped), "{dropped}");
        assert_eq!(outlet.waiting_lines(), n_lines - dropped);
        drop(stalled);
        assert!(outlet.finish_within(SOON));
        assert_eq!(outlet.waiting_lines(), 0);
        let text = String::from_utf8(read.lock().unwrap().clone()).unwrap();
        let expected: Vec<String> = (0..n_lines - dropped).map(|n| format!("line {n}")).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn long_lines_are_bounded_by_their_bytes() {
        let read = Arc::new(Mutex::new(Vec::new()));
        let mut outlet = Outlet::new(Stalling(read.clone())).unwrap();
        let stalled = read.lock().unwrap();
        let line = format!("{}\n", "x".repeat((1 << 20) - 1));
        for _ in 0..20 {
            outlet.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(outlet.dropped_lines(), 4);
        drop(stalled);
        assert!(outlet.finish_within(SOON));
        outlet.write_all(line.as_bytes()).unwrap();
        assert_eq!(outlet.dropped_lines(), 4, "there is room again");
    }
}
