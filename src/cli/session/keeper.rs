//! Store watchdog: failed writes are retried for ever, and people are paged without the store meanwhile.
//!
//! Every message is committed before it is sent, so a full disk would silence the program just when it must report the
//! failure. When the store rejects writes for some seconds, the watchdog sends directly to the first step of the path
//! `self`, without the outbox, and again every few minutes. Once the store accepts writes again, the incident is stored
//! as it was sent, and ends like any other, with a list of what was seen late because of it. Before that, little free
//! space on the disk is reported as a warning through the outbox.

use super::signs::Observability;
use super::supervisor::TaskName;
use super::tally::RunSummary;
use crate::cli::Printer;
use crate::deliver::{SendError, send_directly};
use crate::escalate;
use crate::model::incident::{ChangeSet, Delivery, Incident};
use crate::model::span::lasting;
use crate::model::{BlindnessKind, ChainId, HealthIssue, Severity};
use crate::runtime::{self, Backoff, Clock, Stop, SystemClock, error_chain, instant};
use crate::store::{Filter, Store, StoreError, WriteRefusal};
use crate::watchlist::Config;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{error, info, warn};

/// Time for which the store may reject writes before people are notified: a store that is busy or full for a moment
/// does not concern them.
const TELL_AFTER: Duration = Duration::from_secs(5);
/// Interval of reminders while the store rejects writes.
const REMIND: Duration = Duration::from_secs(5 * 60);
/// Interval at which the watchdog checks the store.
const LOOK: Duration = Duration::from_secs(1);
/// Interval of retries: of a direct message that did not arrive, and of writing the incident to the store.
const RETRY: Duration = Duration::from_secs(5);
/// Interval at which the free disk space is checked.
const ROOM_EVERY: Duration = Duration::from_secs(30);
/// Number of times that a job may fail for reasons that waiting does not resolve before the process exits and a
/// supervisor restarts it.
const TRIES_MAX: u32 = 5;
/// Delays between retries. The longest is short, so that free space on the disk is noticed soon.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));

/// Store watchdog; see the module documentation.
pub(crate) struct StoreWatchdog {
    book: Arc<Config>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) signs: Observability,
    pub(super) printer: Printer,
    pub(super) tally: RunSummary,
    told: tokio::sync::Mutex<ReportedFailure>,
    /// Chains with steps that the store rejected, or that have not caught up since.
    held: Mutex<BTreeSet<ChainId>>,
}

/// Notification state: what was sent, and what is left to do about it.
#[derive(Default)]
struct ReportedFailure {
    /// Incident of the store, as it was last sent.
    incident: Option<Incident>,
    /// True if the store holds only an earlier state of the incident, or none.
    unwritten: bool,
    /// The store rejects writes, or did so at the last check.
    refusing: bool,
    /// A warning about little free space was sent.
    warned: bool,
    /// Direct messages that were not delivered yet, with the number of attempts.
    waiting: Vec<Delivery>,
    attempt: u32,
    /// Destinations that will never take such a message.
    refused: Vec<String>,
    told_at: Option<Instant>,
    sent_at: Option<Instant>,
    wrote_at: Option<Instant>,
    looked_at: Option<Instant>,
}

impl StoreWatchdog {
    /// Creates a watchdog that uses the machine's clock.
    pub(super) fn new(book: Arc<Config>, printer: Printer) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let signs = Observability::new(clock.clone());
        let (tally, told, held) = Default::default();
        Self { book, clock, signs, printer, tally, told, held }
    }

    /// Records that the store rejects a step of a chain.
    fn hold(&self, chain: ChainId) {
        self.held().insert(chain);
    }

    /// Records that a chain is at its head with everything committed.
    pub(super) fn release(&self, chain: ChainId) {
        self.held().remove(&chain);
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<ChainId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches `store` until a stop is requested.
    pub(super) async fn watch(&self, store: &Store, nudge: &Notify, stop: &Stop) {
        self.remember(store).await;
        let check = TaskName::StoreWatchdog.check();
        while !stop.is_cancelled() {
            self.signs.checks.renew(&check);
            match store.refusal() {
                Some(refusal) => self.refused(Some(store), &refusal, nudge).await,
                None => self.works(store, nudge).await,
            }
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(LOOK) => {} }
        }
    }

    /// Sends directly that the store cannot be opened, while there is no store to use.
    pub(crate) async fn cannot_open(&self, since: Instant, why: &StoreError) {
        let refusal = WriteRefusal { since, why: why.to_string(), ways: why.ways() };
        self.refused(None, &refusal, &Notify::new()).await;
    }

    /// Loads the incident about the store that an earlier process recorded and that is still open.
    async fn remember(&self, store: &Store) {
        let known = store.incidents(Filter { chain: Some(ChainId(0)), ..Filter::live() }).await.unwrap_or_default();
        let Some(incident) = known.into_iter().find(|incident| is_of_store(incident) && escalate::is_dark(incident))
        else {
            return;
        };
        let mut told = self.told.lock().await;
        if incident.severity < Severity::High {
            told.warned = true;
        } else if told.incident.is_none() {
            // Every chain may have been delayed.
            self.held().extend(self.book.chains.iter().map(|chain| chain.info.id));
            told.incident = Some(incident);
        }
    }

    /// Handles a store that rejects writes.
    async fn refused(&self, store: Option<&Store>, refusal: &WriteRefusal, nudge: &Notify) {
        let lasts = instant().duration_since(refusal.since);
        let mut told = self.told.lock().await;
        if lasts < TELL_AFTER && !told.refusing {
            return;
        }
        let now = self.clock.now();
        let now_ms = runtime::millis(&*self.clock);
        if !told.refusing {
            let since = now.checked_sub(lasts).unwrap_or(now);
            error!("the store refuses since {since}: {}", refusal.why);
            if let Some(store) = store.filter(|store| store.is_gone()) {
                self.rescue(store).await;
            }
            self.tally.blind(ChainId(0), true);
            let ways = refusal.ways.clone();
            let trouble = HealthIssue { ways, ..trouble(Severity::High, since, refusal.why.clone()) };
            let known = match store {
                Some(store) => self.known(store).await,
                None => Vec::new(),
            };
            let plan = escalate::blind(&trouble, None, None, &known, &self.book.roster, now_ms);
            (told.refusing, told.unwritten) = (true, true);
            self.say(&mut told, plan);
        } else if told.told_at.is_some_and(|at| instant().duration_since(at) >= REMIND)
            && let Some(incident) = &told.incident
        {
            let what = format!("Nothing has been written down for {}: {}", lasting(lasts.as_secs()), refusal.why);
            error!("{what}");
            let plan = escalate::remind(incident, &what, now_ms);
            told.unwritten = true;
            self.say(&mut told, plan);
        }
        self.send(&mut told, now_ms).await;
        if let Some(store) = store
            && told.wrote_at.is_none_or(|at| instant().duration_since(at) >= RETRY)
        {
            told.wrote_at = Some(instant());
            let _ = self.write(&mut told, store, nudge).await;
        }
    }

    /// Copies a store whose file was moved or deleted to a path beside the original one.
    pub(super) async fn rescue(&self, store: &Store) {
        match store.rescue().await {
            Ok(copy) => {
                self.printer.progress(&format!("what was committed so far is in {}", copy.display()));
            }
            Err(error) => error!("failed to copy a store that is gone from its place: {error}"),
        }
    }

    /// Handles a store that accepts writes.
    async fn works(&self, store: &Store, nudge: &Notify) {
        let mut told = self.told.lock().await;
        if told.incident.is_some() {
            let now_ms = runtime::millis(&*self.clock);
            self.send(&mut told, now_ms).await;
            let written = self.write(&mut told, store, nudge).await.is_ok();
            // The incident ends when all delayed steps are committed, not when the first one is.
            if written && self.held().is_empty() && self.end(store, nudge).await {
                info!("the store takes writes again");
                self.tally.blind(ChainId(0), false);
                *told = ReportedFailure::default();
            }
            return;
        }
        told.refusing = false;
        if told.looked_at.is_none_or(|at| instant().duration_since(at) >= ROOM_EVERY) {
            told.looked_at = Some(instant());
            self.look_for_room(&mut told, store, nudge).await;
        }
    }

    /// Stores the incident as it was sent, if it was sent directly. Must run before delayed steps are retried, so that
    /// their blocks count as late.
    pub(super) async fn record(&self, store: &Store, nudge: &Notify) -> Result<(), StoreError> {
        let mut told = self.told.lock().await;
        self.write(&mut told, store, nudge).await
    }

    async fn write(&self, told: &mut ReportedFailure, store: &Store, nudge: &Notify) -> Result<(), StoreError> {
        let Some(incident) = told.incident.clone().filter(|_| told.unwritten) else { return Ok(()) };
        let now_ms = runtime::millis(&*self.clock);
        store.change(now_ms, move |_| escalate::record(&incident, now_ms)).await?;
        told.unwritten = false;
        nudge.notify_one();
        Ok(())
    }

    /// Reports the end through the outbox, and returns whether that could be stored.
    async fn end(&self, store: &Store, nudge: &Notify) -> bool {
        let (now, now_ms) = (self.clock.now(), runtime::millis(&*self.clock));
        match store.sight(ChainId(0), now_ms, move |known| escalate::sighted(None, now, known, now_ms)).await {
            Ok(plan) => {
                self.print(&plan);
                nudge.notify_one();
                true
            }
            Err(error) => {
                warn!("cannot write down that the store works: {error}");
                false
            }
        }
    }

    /// Reports little free space through the outbox, while the store still works.
    async fn look_for_room(&self, told: &mut ReportedFailure, store: &Store, nudge: &Notify) {
        let Some(room) = store.space() else { return };
        let now_ms = runtime::millis(&*self.clock);
        let now = self.clock.now();
        let plan = if room.is_little() && !told.warned {
            let why = format!("{} are left on the store's disk", megabytes(room.free));
            warn!("{why}");
            let (trouble, roster) = (trouble(Severity::Warning, now, why), self.book.roster.clone());
            store
                .sight(ChainId(0), now_ms, move |known| escalate::blind(&trouble, None, None, known, &roster, now_ms))
                .await
        } else if told.warned && room.is_enough() {
            store.sight(ChainId(0), now_ms, move |known| escalate::sighted(None, now, known, now_ms)).await
        } else {
            return;
        };
        // The loop that checks for rejected writes handles this failure.
        if let Ok(plan) = plan {
            told.warned = room.is_little();
            self.print(&plan);
            nudge.notify_one();
        }
    }

    /// Returns incidents that the new one may continue. Reads work on a full disk.
    async fn known(&self, store: &Store) -> Vec<Incident> {
        let of_store = Filter { chain: Some(ChainId(0)), limit: Some(64), ..Filter::default() };
        let mut known = store.incidents(Filter::live()).await.unwrap_or_default();
        let closed = store.incidents(of_store).await.unwrap_or_default();
        known.extend(closed.into_iter().filter(|incident| !incident.state.is_live()));
        known
    }

    /// Takes over a plan whose messages are to be sent directly.
    fn say(&self, told: &mut ReportedFailure, plan: ChangeSet) {
        self.print(&plan);
        told.incident = plan.incidents.into_iter().find(is_of_store).or(told.incident.take());
        told.waiting = plan.deliveries;
        told.attempt = 0;
        (told.told_at, told.sent_at) = (Some(instant()), None);
    }

    /// Sends the undelivered messages again at intervals.
    async fn send(&self, told: &mut ReportedFailure, now_ms: u64) {
        let due = told.sent_at.is_none_or(|at| instant().duration_since(at) >= RETRY);
        if told.waiting.is_empty() || !due {
            return;
        }
        told.attempt += 1;
        let sent = send_directly(&self.book.destinations, &told.waiting, told.attempt, now_ms).await;
        let (mut left, mut refused, mut is_told) = (Vec::new(), None, false);
        for (message, sent) in std::mem::take(&mut told.waiting).into_iter().zip(sent) {
            let name = &message.destination;
            match sent {
                Ok(()) => {
                    info!(destination = %name, "told {name} directly that the store refuses");
                    is_told = true;
                }
                Err(SendError::Refused(why)) => {
                    error!(destination = %name, "{name} cannot be told directly: {why}");
                    if !told.refused.contains(name) {
                        told.refused.push(name.clone());
                    }
                    refused = Some(message);
                }
                Err(why) => {
                    warn!(destination = %name, "{name} was not told directly, next try in {RETRY:?}: {why}");
                    left.push(message);
                }
            }
        }
        told.sent_at = Some(instant());
        // No escalation comes to the others while nothing can be written down.
        if let (Some(message), Some(incident), false, true) = (refused, &mut told.incident, is_told, left.is_empty()) {
            left = escalate::pass_on(incident, &message, &told.refused, &self.book.roster);
            (told.unwritten, told.sent_at) = (true, None);
        }
        told.waiting = left;
    }

    fn print(&self, plan: &ChangeSet) {
        for line in &plan.lines {
            self.printer.line(line);
        }
        self.signs.plan(plan);
        self.tally.plan(plan);
    }
}

/// Waiting state of one caller of the store.
pub(super) struct Retry<'a> {
    keeper: &'a StoreWatchdog,
    store: &'a Store,
    nudge: &'a Notify,
    chain: ChainId,
    /// The check of the task that waits, which goes on while it does.
    check: String,
    stop: &'a Stop,
    refusals: u32,
    failures: u32,
    rng: fastrand::Rng,
}

impl<'a> Retry<'a> {
    /// Patience of `task` with `store`, which holds up `chain`.
    pub(super) fn new(
        keeper: &'a StoreWatchdog,
        store: &'a Store,
        nudge: &'a Notify,
        (chain, task): (ChainId, &TaskName),
        stop: &'a Stop,
    ) -> Self {
        let (check, rng) = (task.check(), fastrand::Rng::new());
        Self { keeper, store, nudge, chain, check, stop, refusals: 0, failures: 0, rng }
    }

    /// Waits before a retry and returns false if a stop was requested. Waits without limit while the store rejects
    /// writes.
    ///
    /// # Errors
    /// With `error` itself, when it is none that waiting mends and has come too often.
    pub(super) async fn wait(&mut self, error: anyhow::Error) -> anyhow::Result<bool> {
        self.keeper.signs.checks.renew(&self.check);
        let refused = error.downcast_ref::<StoreError>().is_some_and(StoreError::is_refusal);
        let attempt = if refused {
            self.keeper.hold(self.chain);
            self.refusals = self.refusals.saturating_add(1);
            self.refusals
        } else {
            self.failures += 1;
            if self.failures > TRIES_MAX {
                return Err(error);
            }
            self.failures
        };
        let pause = BACKOFF.wait(attempt, &mut self.rng);
        warn!("{}; trying again in {pause:?}", error_chain(&error));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(false),
            () = tokio::time::sleep(pause) => {}
        }
        if refused {
            // A failure here is covered by the retry that follows.
            let _ = self.keeper.record(self.store, self.nudge).await;
        }
        Ok(true)
    }
}

fn trouble(severity: Severity, since: Timestamp, why: String) -> HealthIssue {
    HealthIssue {
        kind: BlindnessKind::StoreRefuses,
        endpoint: None,
        severity,
        since,
        why,
        evidence: None,
        ways: Vec::new(),
    }
}

fn is_of_store(incident: &Incident) -> bool {
    incident.blindness.as_ref().is_some_and(|blindness| blindness.kind == BlindnessKind::StoreRefuses)
}

fn megabytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
