//! What all commands that judge and commit share: the store, the worker, the lookout for blindness, and the count of what was seen.

mod follow;
mod lookout;
mod reach;
mod tally;

pub(crate) use follow::stored;
pub(crate) use reach::node_of;

use super::{Outcome, Printer};
use crate::escalate;
use crate::model::incident::Plan;
use crate::pipeline::Committed;
use crate::runtime::{self, Clock, Stop, SystemClock};
use crate::store::Store;
use crate::watchlist::Book;
use anyhow::{Context as _, bail};
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use tokio::sync::Notify;
use tracing::error;

/// How long a clean end waits for what is on its way to be delivered.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// How often steps of paths that fell due are looked for.
const TICK: Duration = Duration::from_secs(1);

/// One start of the program.
pub(crate) struct Session {
    pub(crate) book: Arc<Book>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    printer: Printer,
    tally: Tally,
}

impl Session {
    pub(crate) fn new(book: Arc<Book>, store: Store, printer: Printer) -> Self {
        Self { book, store, clock: Arc::new(SystemClock), printer, tally: Tally::default() }
    }

    /// Follows every chain until told to stop, or until each has committed block `until`.
    pub(crate) async fn live(self, stop: &Stop, from: Option<u64>, until: Option<u64>) -> anyhow::Result<Outcome> {
        let worker = self.worker();
        let nudge = worker.nudge();
        // The worker outlives the chains, so that what their last blocks made due still goes out.
        let worker_stop = Stop::new();
        let mut delivering = tokio::spawn(worker.run(worker_stop.clone()));
        let ticking = tokio::spawn(tick(self.store.clone(), self.clock.clone(), nudge.clone(), worker_stop.clone()));
        let session = Arc::new(self);
        let mut chains = tokio::task::JoinSet::new();
        for chain in &session.book.chains {
            let (session, chain, nudge, stop) = (session.clone(), Arc::new(chain.clone()), nudge.clone(), stop.clone());
            chains.spawn(async move {
                let name = chain.info.name.clone();
                session.follow(chain, nudge, &stop, from, until).await.with_context(|| format!("watch {name}"))
            });
        }
        let (mut failed, mut mute) = (None, false);
        loop {
            let ended = tokio::select! {
                ended = chains.join_next() => match ended {
                    Some(ended) => ended.context("a chain's task ended by surprise").flatten(),
                    None => break,
                },
                // Nobody has told it to end.
                ended = &mut delivering, if !mute => {
                    mute = true;
                    let ended = ended.context("the delivery worker ended by surprise").flatten();
                    ended.context("deliver").and_then(|()| bail!("the delivery worker ended by itself"))
                }
            };
            if let Err(error) = ended {
                error!("{error:#}");
                failed.get_or_insert(error);
                // Half a watch is worse than none that says so: a supervisor restarts the whole.
                stop.cancel();
            }
        }
        if !mute {
            session.drain(&worker_stop, delivering).await?;
        }
        ticking.abort();
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(session.end())
    }

    /// Waits until nothing more is due, at most [`DRAIN_MAX`], then stops the worker.
    async fn drain(
        &self,
        worker_stop: &Stop,
        delivering: tokio::task::JoinHandle<anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let names: Vec<String> = self.book.destinations.keys().cloned().collect();
        let drained = async {
            loop {
                let due = self.store.next_due(names.clone()).await?;
                let now = runtime::millis(&*self.clock);
                // What has to be tried again later stays in the store and goes out after the next start.
                if due.is_none_or(|due| due > now + 1_000) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if let Ok(done) = tokio::time::timeout(DRAIN_MAX, drained).await {
            done?;
        }
        worker_stop.cancel();
        delivering.await.context("the delivery worker ended by surprise")?.context("deliver")
    }

    pub(crate) fn worker(&self) -> crate::deliver::Worker {
        let (printer, tally) = (self.printer.clone(), self.tally.clone());
        crate::deliver::Worker::new(
            self.store.clone(),
            Arc::new(self.book.destinations.clone()),
            self.book.roster.clone(),
            self.clock.clone(),
        )
        .listener(Arc::new(move |line| {
            tally.delivery(line);
            if printer.is_json() {
                printer.line(line);
            }
        }))
    }

    /// Prints what a committed step brought about, and counts it.
    pub(crate) fn tell(&self, committed: &Committed) {
        self.tally.blocks(committed.blocks.len());
        self.told(&committed.plan);
    }

    /// Prints what the passing of time or a blindness brought about.
    fn told(&self, plan: &Plan) {
        for line in &plan.lines {
            self.printer.line(line);
        }
        self.tally.plan(plan);
    }

    /// How many findings stand.
    pub(crate) fn found(&self) -> u64 {
        self.tally.summary().findings
    }

    /// Prints the summary and says how it went.
    pub(crate) fn end(&self) -> Outcome {
        self.printer.line(&crate::model::record::Line::Summary(self.tally.summary()));
        if self.tally.is_blind() {
            Outcome::Unknown
        } else if self.found() > 0 {
            Outcome::Findings
        } else {
            Outcome::Calm
        }
    }
}

/// Tells the next steps of paths as they fall due, and pages again where an acknowledgement ran out.
async fn tick(store: Store, clock: Arc<dyn Clock>, nudge: Arc<Notify>, stop: Stop) {
    while !stop.is_cancelled() {
        tokio::time::sleep(TICK).await;
        let now = runtime::millis(&*clock);
        match store.change(now, move |incidents| escalate::tick(incidents, now)).await {
            Ok(plan) if !plan.deliveries.is_empty() => nudge.notify_one(),
            Ok(_) => {}
            Err(error) => error!("escalation could not be carried on: {error}"),
        }
    }
}
