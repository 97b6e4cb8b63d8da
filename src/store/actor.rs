//! The one writer: a thread that owns the connection and does one job after the other.

use super::refusal::{Refusal, Refusals};
use super::{Result, StoreError};
use crate::telemetry::Metrics;
use rusqlite::Connection;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait for the writer; who comes later waits to be let in. Each takes about a quarter of a millisecond.
const JOBS_MAX: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Hands jobs to the writer's thread, which ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    jobs: mpsc::Sender<Job>,
    refusals: Refusals,
    /// Where writes that cannot be done are counted.
    pub(super) metrics: Metrics,
}

impl Actor {
    /// Starts the thread and waits until `open` has opened the connection on it.
    pub(super) async fn start(open: impl FnOnce() -> Result<Connection> + Send + 'static) -> Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>(JOBS_MAX);
        let (ready, is_ready) = oneshot::channel();
        std::thread::Builder::new()
            .name("watchfire-store".to_owned())
            .spawn(move || match open() {
                Ok(db) => {
                    if ready.send(Ok(())).is_ok() {
                        work(db, inbox);
                    }
                }
                // Nobody to tell means that nobody waits for this store any more.
                Err(error) => drop(ready.send(Err(error))),
            })
            .map_err(|error| StoreError::Unknown(format!("cannot start the writer: {error}")))?;
        is_ready.await.map_err(|_| StoreError::Closed)??;
        Ok(Self { jobs, refusals: Refusals::default(), metrics: Metrics::default() })
    }

    /// Whether the store refuses what it is given.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusals.now()
    }

    /// As [`Actor::call`], for a job that changes something: that it cannot is counted. What the caller got wrong is not.
    pub(super) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let outcome = self.call(job).await;
        if let Err(StoreError::Sqlite(_) | StoreError::Damaged { .. } | StoreError::Engine(_) | StoreError::Closed) =
            &outcome
        {
            self.metrics.store_write_error();
        }
        outcome
    }

    /// How many jobs wait to be let in or done, of how many that may.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.jobs.max_capacity() - self.jobs.capacity(), self.jobs.max_capacity())
    }

    /// Does `job` on the writer's thread.
    ///
    /// A caller that stops waiting does not undo it: a job that was let in runs to its end. A panic in it is reported to the
    /// caller, its transaction rolls back while unwinding, and the thread lives on.
    pub(super) async fn call<T, F>(&self, job: F) -> Result<T>
    where
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let refusals = self.refusals.clone();
        let job: Job = Box::new(move |db| {
            let before = db.total_changes();
            let outcome = catch_unwind(AssertUnwindSafe(|| job(db)));
            let outcome = outcome.unwrap_or_else(|panic| Err(StoreError::Engine(message(panic.as_ref()))));
            refusals.seen(db.total_changes() != before, outcome.as_ref().err());
            drop(answer.send(outcome));
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

fn work(mut db: Connection, mut inbox: mpsc::Receiver<Job>) {
    while let Some(job) = inbox.blocking_recv() {
        job(&mut db);
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
