//! The one writer: a thread that owns the connection and does one job after the other. What the outbox asks for waits while anything
//! else does, so that no receiver, however much is sent to it, delays a commit by more than one short job; and it waits for at most
//! [`IN_A_ROW_MAX`] jobs, so that chains that catch up delay no page either.

use super::write_health::{WriteHealth, WriteRefusal};
use super::{Result, StoreError};
use crate::telemetry::Metrics;
use rusqlite::Connection;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

/// Maximum number of jobs that wait for the writer; further callers block until there is room. Each job takes about a
/// quarter of a millisecond.
const JOBS_MAX: usize = 64;

/// Jobs that are done in a row while one of the outbox waits: a few milliseconds of work, so that several chains that catch up at once
/// hold up no page for longer.
const IN_A_ROW_MAX: usize = 16;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Handle that sends jobs to the writer's thread. The thread ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    jobs: mpsc::Sender<Job>,
    /// Jobs of the outbox, each of which is done when no other waits, or has waited for [`IN_A_ROW_MAX`] of them.
    later: mpsc::Sender<Job>,
    refusals: WriteHealth,
    /// Metrics that count failed writes.
    pub(super) metrics: Metrics,
}

impl Actor {
    /// Starts the thread and waits until `open` has opened the connection on it.
    pub(super) async fn start_thread(open: impl FnOnce() -> Result<Connection> + Send + 'static) -> Result<Self> {
        let (jobs, first) = mpsc::channel::<Job>(JOBS_MAX);
        let (later, then) = mpsc::channel::<Job>(JOBS_MAX);
        let (ready, is_ready) = oneshot::channel();
        let failed = |error| StoreError::Unknown(format!("cannot start the writer: {error}"));
        // The runtime only waits for two queues at once.
        let runtime = Builder::new_current_thread().build().map_err(failed)?;
        std::thread::Builder::new()
            .name("watchfire-store".to_owned())
            .spawn(move || match open() {
                Ok(db) => {
                    if ready.send(Ok(())).is_ok() {
                        run_jobs(&runtime, db, first, then);
                    }
                }
                // A closed receiver means that the caller no longer waits for this store.
                Err(error) => drop(ready.send(Err(error))),
            })
            .map_err(failed)?;
        is_ready.await.map_err(|_| StoreError::Closed)??;
        Ok(Self { jobs, later, refusals: WriteHealth::default(), metrics: Metrics::default() })
    }

    /// Returns the rejection that the store currently answers writes with, if any.
    pub(super) fn write_failure(&self) -> Option<WriteRefusal> {
        self.refusals.current_failure()
    }

    /// Runs a job that writes, like [`Actor::run_job`], and counts its failure. Errors caused by the caller are not
    /// counted.
    pub(super) async fn run_write<T, F>(&self, job: F) -> Result<T>
    where
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.count_failure(self.run_job(job).await)
    }

    /// As [`Actor::run_write`], for a job that lets up to [`IN_A_ROW_MAX`] others go first.
    pub(super) async fn run_write_later<T, F>(&self, job: F) -> Result<T>
    where
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.count_failure(self.submit_job(&self.later, job).await)
    }

    fn count_failure<T>(&self, outcome: Result<T>) -> Result<T> {
        if let Err(StoreError::Sqlite(_) | StoreError::Damaged { .. } | StoreError::Engine(_) | StoreError::Closed) =
            &outcome
        {
            self.metrics.store_write_error();
        }
        outcome
    }

    /// Returns the number of jobs that wait to be accepted or done, and the maximum.
    pub(super) fn queue_depth(&self) -> (usize, usize) {
        let waiting = |jobs: &mpsc::Sender<Job>| jobs.max_capacity() - jobs.capacity();
        (waiting(&self.jobs).max(waiting(&self.later)), JOBS_MAX)
    }

    /// Runs `job` on the writer's thread.
    ///
    /// A caller that stops waiting does not cancel its job: a job that was accepted runs to its end. A panic in a job
    /// is reported to the caller, the transaction rolls back while unwinding, and the thread continues.
    pub(super) async fn run_job<T, F>(&self, job: F) -> Result<T>
    where
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.submit_job(&self.jobs, job).await
    }

    async fn submit_job<T, F>(&self, jobs: &mpsc::Sender<Job>, job: F) -> Result<T>
    where
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let refusals = self.refusals.clone();
        let job: Job = Box::new(move |db| {
            let before = db.total_changes();
            let outcome = catch_unwind(AssertUnwindSafe(|| job(db)));
            let outcome = outcome.unwrap_or_else(|panic| Err(StoreError::Engine(panic_message(panic.as_ref()))));
            refusals.record_outcome(db.total_changes() != before, outcome.as_ref().err());
            drop(answer.send(outcome));
        });
        jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

fn run_jobs(runtime: &Runtime, mut db: Connection, mut first: mpsc::Receiver<Job>, mut then: mpsc::Receiver<Job>) {
    runtime.block_on(async {
        let mut in_a_row = 0;
        loop {
            if in_a_row >= IN_A_ROW_MAX {
                in_a_row = 0;
                if let Ok(job) = then.try_recv() {
                    job(&mut db);
                }
            }
            let job = tokio::select! {
                biased;
                Some(job) = first.recv() => {
                    in_a_row += 1;
                    job
                }
                Some(job) = then.recv() => {
                    in_a_row = 0;
                    job
                }
                else => return,
            };
            job(&mut db);
        }
    });
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn a_message_waits_behind_so_many_other_jobs_and_no_longer() {
        let actor = Actor::start_thread(schema::open_in_memory).await.unwrap();
        let (open, gate) = std::sync::mpsc::sync_channel::<()>(0);
        let done = Arc::new(Mutex::new(Vec::new()));
        let job = |what: usize| {
            let done = Arc::clone(&done);
            move |_: &mut Connection| {
                done.lock().unwrap().push(what);
                Ok(())
            }
        };
        // Busy with the first job, while as many as there is room for come in behind it, and a message last of all.
        let mut held = Box::pin(actor.run_job(move |_| gate.recv().map_err(|_| StoreError::Closed)));
        assert!(futures::poll!(&mut held).is_pending());
        let mut jobs: Vec<_> = (1..JOBS_MAX).map(|n| Box::pin(actor.run_job(job(n)))).collect();
        for job in &mut jobs {
            assert!(futures::poll!(job).is_pending());
        }
        let mut message = Box::pin(actor.run_write_later(job(0)));
        assert!(futures::poll!(&mut message).is_pending());
        open.send(()).unwrap();
        held.await.unwrap();
        message.await.unwrap();
        futures::future::try_join_all(jobs).await.unwrap();
        let done = done.lock().unwrap();
        let place = done.iter().position(|what| *what == 0).unwrap();
        assert!((1..=IN_A_ROW_MAX).contains(&place), "{place}");
        assert_eq!(done.len(), JOBS_MAX, "all are done");
        assert!(done.iter().filter(|what| **what > 0).is_sorted(), "in their order");
    }
}
