//! What all commands that judge and commit share: the store, the worker, the lookout for blindness, and the count of what was seen.

mod exposure;
mod finality;
mod follow;
mod keeper;
mod lookout;
mod pace;
mod pending;
mod progress;
mod queues;
mod reach;
mod record;
mod roll;
mod signs;
mod steps;
mod tally;

pub(crate) use exposure::exposures;
pub(crate) use follow::{checks_of, pool_of, stored};
pub(crate) use record::Recording;
pub(crate) use signs::Signs;

use super::{Outcome, Printer};
use crate::escalate;
use crate::model::incident::{Incident, Plan, Standing};
use crate::model::span::lasting;
use crate::model::{ChainId, Evidence, Trouble};
use crate::pipeline::Committed;
use crate::pulse;
use crate::runtime::{self, Clock, Moment, Stop, error_chain, instant};
use crate::store::{Drawer, Store, StoreError, StoreLock};
use crate::watchlist::Book;
use anyhow::{Context as _, bail};
use keeper::{Keeper, Patience};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tracing::{error, warn};

/// How long a clean end waits for what is on its way to be delivered.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// How often steps of paths that fell due are looked for.
const TICK: Duration = Duration::from_secs(1);
/// How often a store that cannot be opened is tried again.
const OPEN_RETRY: Duration = Duration::from_secs(2);
/// How often the store is looked at for what waits and how much room is left.
const LOOK: Duration = Duration::from_secs(5);

/// One start of the program.
pub(crate) struct Session {
    pub(crate) book: Arc<Book>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signs: Signs,
    printer: Printer,
    tally: Tally,
    keeper: Keeper,
    /// Where evidence is kept; a store that nobody keeps has none.
    drawer: Option<Drawer>,
    /// Held as long as the session lives, for the configuration's own store.
    _lock: Option<StoreLock>,
    recording: Option<Recording>,
}

impl Session {
    pub(crate) fn new(book: Arc<Book>, store: Store, printer: Printer) -> Self {
        Self::with(book.clone(), store, Keeper::new(book, printer), None)
    }

    fn with(book: Arc<Book>, store: Store, keeper: Keeper, drawer: Option<Drawer>) -> Self {
        let (clock, signs) = (keeper.clock.clone(), keeper.signs.clone());
        let store = store.measured(signs.metrics.clone());
        let (printer, tally) = (keeper.printer.clone(), keeper.tally.clone());
        Self { book, store, clock, signs, printer, tally, keeper, drawer, _lock: None, recording: None }
    }

    /// A session on the configuration's own store, as the only one that sends from it, however long the disk refuses. `None` when
    /// told to stop before it could be opened.
    pub(crate) async fn open(book: Arc<Book>, printer: Printer, stop: &Stop) -> anyhow::Result<Option<Self>> {
        let keeper = Keeper::new(book.clone(), printer);
        let began = instant();
        let (store, lock) = loop {
            let error = match opened(&book.store, &*keeper.clock).await {
                Ok(opened) => break opened,
                Err(error) => error,
            };
            if !error.is_refusal() {
                return Err(error).with_context(|| format!("failed to open the store {}", book.store.display()));
            }
            warn!("the store {} cannot be opened, next try in {OPEN_RETRY:?}: {error}", book.store.display());
            keeper.cannot_open(began, &error).await;
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(OPEN_RETRY) => {}
            }
        };
        let drawer = Some(Drawer::beside(&book.store));
        Ok(Some(Self { _lock: Some(lock), ..Self::with(book, store, keeper, drawer) }))
    }

    /// Patience with the store, for one job of a chain.
    fn patience<'a>(&'a self, chain: ChainId, nudge: &'a Notify, stop: &'a Stop) -> Patience<'a> {
        Patience::new(&self.keeper, &self.store, nudge, chain, stop)
    }

    /// Writes what `engine` makes of the incidents about our sight of a chain, however long the store refuses; or nothing, when told to stop first.
    async fn sight<F>(
        &self,
        chain: ChainId,
        (nudge, stop): (&Notify, &Stop),
        what: &'static str,
        engine: F,
    ) -> anyhow::Result<()>
    where
        F: Fn(&[Incident], u64) -> Plan + Clone + Send + 'static,
    {
        let mut patience = self.patience(chain, nudge, stop);
        loop {
            let (now_ms, engine) = (runtime::millis(&*self.clock), engine.clone());
            let written = self.store.sight(chain, now_ms, move |known| engine(known, now_ms)).await;
            match written.context(what) {
                Ok(plan) => {
                    self.told(&plan);
                    nudge.notify_one();
                    return Ok(());
                }
                Err(error) => {
                    if !patience.wait(error).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Keeps what an endpoint gave, and returns the file's name as a person looks for it.
    async fn keep_evidence(&self, chain: &str, trouble: &Trouble, evidence: &Arc<Evidence>) -> Option<String> {
        let drawer = self.drawer.clone()?;
        let endpoint = trouble.endpoint.as_deref().unwrap_or("unknown").to_owned();
        let (chain, evidence, now) = (chain.to_owned(), evidence.clone(), self.clock.now());
        let keep = move || drawer.keep(now, &chain, &endpoint, &evidence);
        match tokio::task::spawn_blocking(keep).await.map_err(std::io::Error::other).flatten() {
            Ok(path) => Some(path.display().to_string()),
            Err(error) => {
                warn!("what the endpoint gave could not be kept: {error}");
                None
            }
        }
    }

    /// Follows every chain until told to stop, or until each has committed block `until`.
    pub(crate) async fn live(self, stop: &Stop, from: Option<u64>, until: Option<u64>) -> anyhow::Result<Outcome> {
        let worker = self.worker();
        let nudge = worker.nudge();
        // The worker outlives the chains, so that what their last blocks made due still goes out.
        let worker_stop = Stop::new();
        let delivering = tokio::spawn(worker.run(worker_stop.clone()));
        let session = Arc::new(self);
        session.signs.introduce(&session.book);
        // What lasts until everything is delivered.
        let mut lasting = JoinSet::new();
        let ticking = session.clone().tick(nudge.clone(), worker_stop.clone());
        lasting.spawn(async move {
            ticking.await;
            bail!("escalations are no longer advanced")
        });
        let (keeper, told, stopped) = (session.clone(), nudge.clone(), worker_stop.clone());
        lasting.spawn(async move {
            keeper.keeper.watch(&keeper.store, &told, &stopped).await;
            bail!("nothing looks after the store any more")
        });
        for heart in &session.book.heartbeats {
            let (checks, metrics) = (session.signs.checks.clone(), session.signs.metrics.clone());
            tokio::spawn(pulse::run(heart.clone(), checks, metrics, session.clock.clone(), stop.child_token()));
        }
        let mut chains = JoinSet::new();
        for chain in &session.book.chains {
            let (session, chain, nudge, stop) = (session.clone(), Arc::new(chain.clone()), nudge.clone(), stop.clone());
            chains.spawn(async move {
                let name = chain.info.name.clone();
                Box::pin(session.follow(chain, nudge, &stop, from, until))
                    .await
                    .with_context(|| format!("failed to watch {name}"))
            });
        }
        // What is seen beside the chains ends with them.
        let mut beside = JoinSet::new();
        for chain in session.book.chains.iter().filter(|chain| chain.pending) {
            let (chain, nudge, stop) = (Arc::new(chain.clone()), nudge.clone(), worker_stop.child_token());
            let name = chain.info.name.clone();
            let listening = session.clone().pending(chain, nudge, stop);
            beside.spawn(async move {
                listening.await.with_context(|| format!("failed to hear what is pending on {name}"))
            });
        }
        for book in &session.book.queues {
            let Some(chain) = session.book.chain(&book.chain.name) else { continue };
            let (chain, nudge, stop) = (Arc::new(chain.clone()), nudge.clone(), worker_stop.child_token());
            let name = book.service.name.clone();
            let looked_after = session.clone().queues(book.clone(), chain, nudge, stop);
            beside.spawn(async move {
                looked_after.await.with_context(|| format!("failed to look after the queues of {name}"))
            });
        }
        let mut tasks = Tasks { chains, beside, lasting, delivering: Some(delivering) };
        let failed = tasks.until_done(stop).await;
        tasks.beside.shutdown().await;
        if let Some(delivering) = tasks.delivering {
            session.drain(&worker_stop, delivering).await?;
        }
        tasks.lasting.shutdown().await;
        if session.store.is_gone() {
            session.keeper.rescue(&session.store).await;
        }
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(session.end())
    }

    /// Waits until nothing more is due, at most [`DRAIN_MAX`], then stops the worker.
    async fn drain(&self, worker_stop: &Stop, delivering: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
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
        delivering.await.context("the delivery worker ended by surprise")?.context("failed to deliver")
    }

    pub(crate) fn worker(&self) -> crate::deliver::Worker {
        let (printer, tally) = (self.printer.clone(), self.tally.clone());
        crate::deliver::Worker::new(
            self.store.clone(),
            Arc::new(self.book.destinations.clone()),
            self.book.roster.clone(),
            self.clock.clone(),
        )
        .measured(self.signs.metrics.clone(), self.signs.checks.clone())
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
        self.told(&committed.reopened);
    }

    /// Prints what the passing of time or a blindness brought about.
    fn told(&self, plan: &Plan) {
        for line in &plan.lines {
            self.printer.line(line);
        }
        self.signs.plan(plan);
        self.tally.plan(plan);
    }

    /// How many findings stand.
    pub(crate) fn found(&self) -> u64 {
        self.tally.summary().findings
    }

    /// Prints the summary and says how it went.
    pub(crate) fn end(&self) -> Outcome {
        let summary = self.tally.summary();
        for unseen in &summary.unseen {
            self.printer.progress(&format!("not seen: {unseen}"));
        }
        self.printer.line(&crate::model::record::Line::Summary(summary));
        if self.tally.is_blind() {
            Outcome::Unknown
        } else if self.found() > 0 {
            Outcome::Findings
        } else {
            Outcome::Calm
        }
    }

    /// Tells the next steps of paths as they fall due, and pages again where an acknowledgement ran out.
    async fn tick(self: Arc<Self>, nudge: Arc<Notify>, stop: Stop) {
        let (mut last, mut looked, mut fails) = (instant(), None, false);
        let mut steps = steps::Steps::default();
        while !stop.is_cancelled() {
            tokio::time::sleep(TICK).await;
            let now = runtime::millis(&*self.clock);
            let metrics = self.signs.metrics.clone();
            let engine = move |standing: &Standing| {
                signs::count(&metrics, &standing.incidents);
                escalate::tick(standing, now)
            };
            let written = self.store.change(now, engine).await;
            // Time that passes without a change writes nothing, and goes well on a full disk.
            let refusal = self.store.refusal().map(|refusal| refusal.why);
            self.signs.tick(
                last.elapsed(),
                refusal.map_or_else(|| written.as_ref().map(|_| ()).map_err(ToString::to_string), Err),
            );
            last = instant();
            let failed = written.is_err();
            match written {
                Ok(plan) if !plan.deliveries.is_empty() => {
                    self.signs.plan(&plan);
                    nudge.notify_one();
                }
                Ok(_) => {}
                // Once, not once a second: the keeper tells it louder when it lasts.
                Err(error) if !fails => error!("failed to advance escalations: {error}"),
                Err(_) => {}
            }
            fails = failed;
            // A store that refuses is told elsewhere, and the clocks are compared again.
            let _ = self.watch_clock(&mut steps, &nudge).await;
            if looked.is_none_or(|looked: tokio::time::Instant| looked.elapsed() >= LOOK) {
                looked = Some(last);
                if let Err(error) = self.signs.look(&self.store, &self.book).await {
                    warn!("what waits could not be counted: {error}");
                }
            }
        }
    }
}

/// Tasks of a session, each of which ends only when it is told to.
struct Tasks {
    /// One for each chain; the session is done when all of them are.
    chains: JoinSet<anyhow::Result<()>>,
    /// Queues, and what is pending: they end with the chains.
    beside: JoinSet<anyhow::Result<()>>,
    /// Escalations, and whoever looks after the store: they end after the last message.
    lasting: JoinSet<anyhow::Result<()>>,
    /// The delivery worker, until it ends by itself.
    delivering: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Tasks {
    /// Waits until all chains are done. A task that fails, panics or ends although nobody told it to stops all of them, since a partial
    /// watch would go unnoticed: a supervisor restarts the whole. Returns the first such failure.
    async fn until_done(&mut self, stop: &Stop) -> Option<anyhow::Error> {
        let mut failed = None;
        loop {
            let ended = tokio::select! {
                ended = self.chains.join_next() => match ended {
                    Some(ended) => ended.context("a chain's task ended by surprise").flatten(),
                    None => return failed,
                },
                Some(ended) = self.beside.join_next() => ended.context("a task beside the chains ended by surprise").flatten(),
                Some(ended) = self.lasting.join_next() => ended.context("a task that lasts ended by surprise").flatten(),
                ended = delivered(&mut self.delivering) => {
                    self.delivering = None;
                    let ended = ended.context("the delivery worker ended by surprise").flatten();
                    ended.context("failed to deliver").and_then(|()| bail!("the delivery worker ended by itself"))
                }
            };
            if let Err(error) = ended {
                error!("{}", error_chain(&error));
                failed.get_or_insert(error);
                stop.cancel();
            }
        }
    }
}

/// The end of the worker; never, once it has ended.
async fn delivered(delivering: &mut Option<JoinHandle<anyhow::Result<()>>>) -> Result<anyhow::Result<()>, JoinError> {
    match delivering {
        Some(delivering) => delivering.await,
        None => std::future::pending().await,
    }
}

/// Opens the store and takes over what an earlier process was sending.
async fn opened(path: &Path, clock: &dyn Clock) -> Result<(Store, StoreLock), StoreError> {
    // The store before its lock: a lock without a store says that there was one.
    if Store::is_first_start(path) {
        Store::open(path).await?;
    }
    let lock = StoreLock::take(path)?;
    let store = Store::open(path).await?;
    if let Some(moved_ms) = store.rebase(Moment::now()).await? {
        let way = if moved_ms < 0 { "back" } else { "forward" };
        let moved = lasting(moved_ms.unsigned_abs() / 1_000);
        warn!("the wall clock was set {way} by {moved} since the last start: deadlines were moved with it");
    }
    store.end_leases(runtime::millis(clock)).await?;
    Ok((store, lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tasks of a session that does nothing until it is stopped, and `odd` among those at `place`.
    fn tasks(place: usize, odd: impl Future<Output = anyhow::Result<()>> + Send + 'static, stop: &Stop) -> Tasks {
        let mut sets = [JoinSet::new(), JoinSet::new(), JoinSet::new()];
        for set in &mut sets {
            let stop = stop.clone();
            set.spawn(async move {
                stop.cancelled().await;
                Ok(())
            });
        }
        let delivering = if place == sets.len() {
            tokio::spawn(odd)
        } else {
            sets[place].spawn(odd);
            tokio::spawn(std::future::pending())
        };
        let [chains, beside, lasting] = sets;
        Tasks { chains, beside, lasting, delivering: Some(delivering) }
    }

    #[tokio::test(start_paused = true)]
    async fn no_task_of_a_session_dies_in_silence() {
        for place in 0..4 {
            for panics in [true, false] {
                let stop = Stop::new();
                let odd = async move {
                    assert!(!panics, "a bug");
                    bail!("it failed")
                };
                let mut tasks = tasks(place, odd, &stop);
                // The clock moves only when nothing else can happen.
                let failed = tokio::time::timeout(Duration::from_secs(1), tasks.until_done(&stop)).await;
                let Ok(Some(error)) = failed else { panic!("task {place} ended and nobody noticed: {failed:?}") };
                assert!(stop.is_cancelled());
                assert!(panics || format!("{error:#}").contains("it failed"), "{error:#}");
            }
        }
    }
}
