//! The running application: the store, the chains, delivery, the detection of outages, and the summary of a run.
//!
//! Input: a compiled configuration, a store, and a `Reporter` that takes what is reported. Output: committed blocks, delivered
//! messages, an [`Outcome`]. Never here: an argument of the command line, or a line on stdout.

mod capabilities;
mod clock_steps;
mod commands;
mod coverage;
pub(crate) mod endpoint_gaps;
mod exposure;
mod finality;
mod follow;
mod mempool;
mod observability;
mod outcome;
mod pace;
mod progress;
mod proposals;
mod record;
mod reporter;
mod store_watchdog;
mod summary;
mod supervisor;
mod visibility;

pub use commands::{CommandError, Commands, IncidentResponse, Resolution, Responded, TestPage};
pub(crate) use exposure::find_exposures;
pub(crate) use follow::{checks_of, pool_of, stored_window};
pub(crate) use observability::Observability;
pub use outcome::Outcome;
pub(crate) use record::Recording;
pub(crate) use reporter::Reporter;

use crate::escalate;
use crate::heartbeat;
use crate::model::incident::{ChangeSet, Incident, OpenState};
use crate::model::span::format_duration;
use crate::model::{ChainId, DeliveryKey, Evidence, HealthIssue, IncidentScope};
use crate::pipeline::Committed;
use crate::runtime::{self, Clock, Moment, Stop, monotonic_now};
use crate::source::Pool;
use crate::store::{EvidenceStore, Store, StoreError, StoreLock, Unsent};
use crate::watchlist::{ChainBook, Config};
use crate::web::Console;
use anyhow::Context as _;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store_watchdog::{Retry, StoreWatchdog};
use summary::RunSummary;
use supervisor::{Supervisor, TaskName};
use tokio::sync::Notify;
use tracing::{error, warn};

/// Maximum time that a clean shutdown waits for messages in flight.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// Interval at which path steps that fell due are looked up.
const TICK: Duration = Duration::from_secs(1);
/// Interval at which opening the store is retried.
const OPEN_RETRY: Duration = Duration::from_secs(2);
/// Interval at which the store is checked for waiting messages and free space.
const LOOK: Duration = Duration::from_secs(5);

/// Interval at which [`App::send_once`] checks which messages were sent.
const SENT_CHECK_EVERY: Duration = Duration::from_millis(500);
/// Maximum number of those checks: a minute, the longest timeout of a destination.
const SENT_CHECKS_MAX: u32 = 120;

/// A run of the program, from start to end.
pub(crate) struct App {
    pub(crate) book: Arc<Config>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signs: Observability,
    printer: Arc<dyn Reporter>,
    tally: RunSummary,
    keeper: StoreWatchdog,
    /// Storage for evidence; absent for a store that is not kept.
    drawer: Option<EvidenceStore>,
    /// Lock held for the lifetime of the session, for the configuration's own store.
    _lock: Option<StoreLock>,
    recording: Option<Recording>,
    /// Wakes the delivery worker.
    wake: Arc<Notify>,
    /// The one pool of each chain's endpoints, once something needs it.
    pools: Mutex<HashMap<ChainId, Pool>>,
}

impl App {
    pub(crate) fn new(book: Arc<Config>, store: Store, printer: Arc<dyn Reporter>) -> Self {
        Self::with_store(book.clone(), store, StoreWatchdog::new(book, printer), None)
    }

    fn with_store(book: Arc<Config>, store: Store, keeper: StoreWatchdog, drawer: Option<EvidenceStore>) -> Self {
        let (clock, signs) = (keeper.clock.clone(), keeper.signs.clone());
        let store = store.with_metrics(signs.metrics.clone());
        let (printer, tally) = (keeper.printer.clone(), keeper.tally.clone());
        let (wake, pools) = Default::default();
        Self { book, store, clock, signs, printer, tally, keeper, drawer, _lock: None, recording: None, wake, pools }
    }

    /// Opens a session on the configuration's own store as its only sender, waiting for the disk as long as needed.
    /// Returns `None` if a stop was requested before the store could be opened.
    pub(crate) async fn open(
        book: Arc<Config>,
        printer: Arc<dyn Reporter>,
        stop: &Stop,
    ) -> anyhow::Result<Option<Self>> {
        let keeper = StoreWatchdog::new(book.clone(), printer);
        let began = monotonic_now();
        let (store, lock) = loop {
            let error = match open_store(&book.store, &*keeper.clock).await {
                Ok(opened) => break opened,
                Err(error) => error,
            };
            if !error.is_refusal() {
                return Err(error).with_context(|| format!("failed to open the store {}", book.store.display()));
            }
            warn!("failed to open the store {}, retrying in {OPEN_RETRY:?}: {error}", book.store.display());
            keeper.cannot_open(began, &error).await;
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(OPEN_RETRY) => {}
            }
        };
        let drawer = Some(EvidenceStore::for_store(&book.store));
        Ok(Some(Self { _lock: Some(lock), ..Self::with_store(book, store, keeper, drawer) }))
    }

    /// Patience with the store, for one job of a task of a chain.
    fn retry_for<'a>(&'a self, of: (ChainId, &TaskName), nudge: &'a Notify, stop: &'a Stop) -> Retry<'a> {
        Retry::new(&self.keeper, &self.store, nudge, of, stop)
    }

    /// Stores the changes that `engine` makes to the outage incidents of a chain, however long the store rejects
    /// writes. Stores nothing if a stop was requested first.
    async fn write_outage_changes<F>(
        &self,
        chain: ChainId,
        (nudge, stop): (&Notify, &Stop),
        what: &'static str,
        engine: F,
    ) -> anyhow::Result<()>
    where
        F: Fn(&[Incident], u64) -> ChangeSet + Clone + Send + 'static,
    {
        let name = self.book.chains.iter().find(|known| known.info.id == chain).map(|chain| chain.info.name.clone());
        let task = TaskName::Chain(name.unwrap_or_else(|| "".into()));
        let mut patience = self.retry_for((chain, &task), nudge, stop);
        loop {
            let (now_ms, engine) = (runtime::steady_millis(&*self.clock), engine.clone());
            let written = self
                .store
                .commit_visibility(IncidentScope::Chain(chain), now_ms, move |known| engine(known, now_ms))
                .await;
            match written.context(what) {
                Ok(plan) => {
                    self.report_change_set(&plan);
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

    /// Stores an endpoint's response as evidence, and returns the file's name as people look for it.
    async fn keep_evidence(&self, chain: &str, trouble: &HealthIssue, evidence: &Arc<Evidence>) -> Option<String> {
        let drawer = self.drawer.clone()?;
        let endpoint = trouble.endpoint.as_deref().unwrap_or("unknown").to_owned();
        let (chain, evidence, now) = (chain.to_owned(), evidence.clone(), self.clock.now());
        let keep = move || drawer.save_evidence(now, &chain, &endpoint, &evidence);
        match tokio::task::spawn_blocking(keep).await.map_err(std::io::Error::other).flatten() {
            Ok(path) => Some(path.display().to_string()),
            Err(error) => {
                warn!("failed to keep evidence of an endpoint: {error}");
                None
            }
        }
    }

    /// Follows every chain until a stop is requested, or until each chain has committed block `until`.
    pub(crate) async fn follow_chains(
        self,
        console: Option<Console>,
        stop: &Stop,
        from: Option<u64>,
        until: Option<u64>,
    ) -> anyhow::Result<Outcome> {
        let worker = self.delivery_worker();
        let nudge = self.wake.clone();
        let session = Arc::new(self);
        session.signs.register_config(&session.book);
        let mut supervisor = Supervisor::new(session.signs.checks.clone(), stop);
        let worker = worker.with_sign_of_life(supervisor.sign_of_life(&TaskName::Delivery));
        supervisor.spawn(TaskName::Delivery, |stop| worker.run(stop));
        session.spawn_beside(&mut supervisor, &nudge, console);
        for chain in &session.book.chains {
            let (session, chain, nudge) = (session.clone(), Arc::new(chain.clone()), nudge.clone());
            let name = chain.info.name.clone();
            supervisor.spawn(TaskName::Chain(name.clone()), |stop| async move {
                Box::pin(session.follow_chain(chain, nudge, &stop, from, until))
                    .await
                    .with_context(|| format!("failed to watch {name}"))
            });
        }
        let watched = supervisor.run(stop).await;
        let ended = supervisor.end_watching().await;
        let drained = if supervisor.delivers() { session.drain_deliveries().await } else { Ok(()) };
        let delivered = drained.and(supervisor.end_delivery().await);
        if session.store.is_gone() {
            session.keeper.rescue_unlinked_store(&session.store).await;
        }
        watched.and(ended).and(delivered).map(|()| session.print_summary())
    }

    /// Starts every task that is neither delivery nor a chain's.
    fn spawn_beside(self: &Arc<Self>, supervisor: &mut Supervisor, nudge: &Arc<Notify>, console: Option<Console>) {
        let (session, wake) = (self.clone(), nudge.clone());
        supervisor.spawn(TaskName::EscalationClock, |stop| async move {
            session.run_escalation_timers(wake, stop).await;
            Ok(())
        });
        let (session, wake) = (self.clone(), nudge.clone());
        supervisor.spawn(TaskName::StoreWatchdog, |stop| async move {
            session.keeper.watch_store(&session.store, &wake, &stop).await;
            Ok(())
        });
        if let Some(console) = console {
            let console = console.with_sign_of_life(supervisor.sign_of_life(&TaskName::Console));
            supervisor.spawn(TaskName::Console, |stop| async move {
                console.run(stop).await;
                Ok(())
            });
        }
        for heart in &self.book.heartbeats {
            let name = TaskName::Heartbeat(heart.name.as_str().into());
            let (checks, metrics) = (self.signs.checks.clone(), self.signs.metrics.clone());
            let signs = heartbeat::Signs { checks, metrics, alive: supervisor.sign_of_life(&name) };
            let (heart, clock) = (heart.clone(), self.clock.clone());
            supervisor.spawn(name, |stop| async move {
                heartbeat::run(heart, signs, clock, stop).await;
                Ok(())
            });
        }
        for chain in self.book.chains.iter().filter(|chain| chain.pending) {
            let (session, chain, wake) = (self.clone(), Arc::new(chain.clone()), nudge.clone());
            let name = chain.info.name.clone();
            supervisor.spawn(TaskName::Mempool(name.clone()), |stop| async move {
                let listening = session.watch_pending(chain, wake, stop);
                listening.await.with_context(|| format!("listen to pending transactions of {name}"))
            });
        }
        for book in &self.book.queues {
            let Some(chain) = self.book.chain(&book.chain.name) else { continue };
            let (session, chain, wake) = (self.clone(), Arc::new(chain.clone()), nudge.clone());
            let (name, book) = (book.service.name.clone(), book.clone());
            supervisor.spawn(TaskName::Proposals(name.clone()), |stop| async move {
                session
                    .watch_proposals(book, chain, wake, stop)
                    .await
                    .with_context(|| format!("poll {name} for proposals"))
            });
        }
    }

    /// Waits until nothing more is due, at most [`DRAIN_MAX`].
    async fn drain_deliveries(&self) -> anyhow::Result<()> {
        let names: Vec<String> = self.book.destinations.keys().cloned().collect();
        let drained = async {
            loop {
                let due = self.store.next_due(names.clone()).await?;
                let now = runtime::steady_millis(&*self.clock);
                // Messages to be retried later stay in the store and are sent after the next start.
                if due.is_none_or(|due| due > now + 1_000) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(DRAIN_MAX, drained).await.unwrap_or(Ok(()))
    }

    pub(crate) fn delivery_worker(&self) -> crate::deliver::Worker {
        let (printer, tally) = (self.printer.clone(), self.tally.clone());
        crate::deliver::Worker::new(
            self.store.clone(),
            Arc::new(self.book.destinations.clone()),
            self.book.roster.clone(),
            self.clock.clone(),
        )
        .with_metrics(self.signs.metrics.clone(), self.signs.checks.clone())
        .with_wake_handle(self.wake.clone())
        .with_listener(Arc::new(move |line| {
            tally.count_delivery(line);
            if printer.is_json() {
                printer.line(line);
            }
        }))
    }

    /// Returns a handle of the one pool of a chain's endpoints, which is made when it is first asked for.
    pub(crate) fn pool(&self, chain: &ChainBook) -> anyhow::Result<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&chain.info.id) {
            return Ok(pool.clone());
        }
        let pool = pool_of(chain, &self.signs.metrics)?;
        pools.insert(chain.info.id, pool.clone());
        Ok(pool)
    }

    /// Returns the commands that people give, on the store of this session.
    pub(crate) fn commands(&self) -> Commands {
        let commands = Commands::new(self.store.clone(), self.book.roster.clone());
        commands.with_clock(self.clock.clone()).with_wake_handle(self.wake.clone())
    }

    /// Sends these messages and returns those that failed at the first attempt. A run on the same store may be sending
    /// some of them; the function waits for them as long as one attempt may take.
    pub(crate) async fn send_once(&self, messages: &[DeliveryKey]) -> anyhow::Result<Vec<Unsent>> {
        let mut worker = self.delivery_worker();
        for _ in 0..SENT_CHECKS_MAX {
            worker.drain().await.context("failed to deliver")?;
            let unsent =
                self.store.unsent_messages(messages.to_vec()).await.context("failed to read unsent messages")?;
            if unsent.iter().all(|letter| letter.error.is_some()) {
                return Ok(unsent);
            }
            tokio::time::sleep(SENT_CHECK_EVERY).await;
        }
        self.store.unsent_messages(messages.to_vec()).await.context("failed to read unsent messages")
    }

    /// Prints the results of a committed step, and counts them.
    pub(crate) fn report_committed(&self, committed: &Committed) {
        self.tally.count_blocks(committed.blocks.len());
        self.report_change_set(&committed.plan);
        self.report_change_set(&committed.reopened);
    }

    /// Prints the changes made by a timer or an outage.
    fn report_change_set(&self, plan: &ChangeSet) {
        for line in &plan.lines {
            self.printer.line(line);
        }
        self.signs.record_change_set(plan);
        self.tally.count_change_set(plan);
    }

    /// Returns the number of active findings.
    pub(crate) fn finding_count(&self) -> u64 {
        self.tally.summary().findings
    }

    /// Prints the summary and returns the outcome.
    pub(crate) fn print_summary(&self) -> Outcome {
        let summary = self.tally.summary();
        for unseen in &summary.unseen {
            self.printer.progress(&format!("not seen: {unseen}"));
        }
        self.printer.line(&crate::model::record::Line::Summary(summary));
        if self.tally.is_blind() {
            Outcome::Unknown
        } else if self.finding_count() > 0 {
            Outcome::Findings
        } else {
            Outcome::Calm
        }
    }

    /// Notifies the next steps of paths when they are due, and pages again when an acknowledgement expires.
    async fn run_escalation_timers(self: Arc<Self>, nudge: Arc<Notify>, stop: Stop) {
        let (mut last, mut looked, mut fails) = (monotonic_now(), None, false);
        let mut steps = clock_steps::ClockSteps::default();
        let check = TaskName::EscalationClock.check();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
            }
            self.signs.checks.renew(&check);
            let now = runtime::steady_millis(&*self.clock);
            let metrics = self.signs.metrics.clone();
            let engine = move |standing: &OpenState| {
                observability::count_live_incidents(&metrics, &standing.incidents);
                escalate::advance_timers(standing, now)
            };
            let written = self.store.commit_change(now, engine).await;
            // A tick without a change writes nothing and therefore succeeds on a full disk.
            let refusal = self.store.write_failure().map(|refusal| refusal.why);
            self.signs.record_tick(
                last.elapsed(),
                refusal.map_or_else(|| written.as_ref().map(|_| ()).map_err(ToString::to_string), Err),
            );
            last = monotonic_now();
            let failed = written.is_err();
            match written {
                Ok(plan) => {
                    self.report_change_set(&plan);
                    if !plan.deliveries.is_empty() {
                        nudge.notify_one();
                    }
                }
                // Log it once and not once a second; the watchdog reports it if it lasts.
                Err(error) if !fails => error!("failed to advance escalations: {error}"),
                Err(_) => {}
            }
            fails = failed;
            // A store that rejects writes is reported elsewhere, and the clocks are compared again at the next tick.
            let _ = self.watch_clock(&mut steps, &nudge).await;
            if looked.is_none_or(|looked: tokio::time::Instant| looked.elapsed() >= LOOK) {
                looked = Some(last);
                if let Err(error) = self.signs.measure_store(&self.store, &self.book).await {
                    warn!("failed to count waiting messages: {error}");
                }
            }
        }
    }
}

/// Opens the store and takes over the messages in flight of an earlier process.
async fn open_store(path: &Path, clock: &dyn Clock) -> Result<(Store, StoreLock), StoreError> {
    // Check the store before its lock: a lock without a store means that there was one.
    if Store::is_first_start(path) {
        Store::open(path).await?;
    }
    let lock = StoreLock::acquire_lock(path)?;
    let store = Store::open(path).await?;
    if let Some(moved_ms) = store.rebase_deadlines(Moment::now()).await? {
        let way = if moved_ms < 0 { "back" } else { "forward" };
        let moved = format_duration(moved_ms.unsigned_abs() / 1_000);
        warn!("wall clock was set {way} by {moved} since the last start: moved all deadlines with it");
    }
    store.end_leases(runtime::steady_millis(clock)).await?;
    Ok((store, lock))
}
