//! Store watchdog: failed writes are retried for ever, and people are paged without the store meanwhile.
//!
//! Every message is committed before it is sent, so a full disk would silence the program just when it must report the
//! failure. When the store rejects writes for some seconds, the watchdog sends directly to the first step of the path
//! `self`, without the outbox, and again every few minutes. Once the store accepts writes again, the incident is stored
//! as it was sent, and ends like any other, with a list of what was seen late because of it. Before that, little free
//! space on the disk is reported as a warning through the outbox.

use super::observability::Observability;
use super::reporter::Reporter;
use super::summary::RunSummary;
use super::supervisor::TaskName;
use crate::deliver::{SendError, send_directly};
use crate::escalate;
use crate::model::incident::{ChangeSet, Delivery, Incident};
use crate::model::span::format_duration;
use crate::model::{BlindnessKind, ChainId, HealthIssue, IncidentScope, Origin, Severity};
use crate::runtime::{self, Backoff, Clock, Stop, SystemClock, error_chain, monotonic_now};
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
    pub(super) printer: Arc<dyn Reporter>,
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
    pub(super) fn new(book: Arc<Config>, printer: Arc<dyn Reporter>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let signs = Observability::new(clock.clone());
        let (tally, told, held) = Default::default();
        Self { book, clock, signs, printer, tally, told, held }
    }

    /// Records that the store rejects a step of a chain.
    fn hold_chain(&self, chain: ChainId) {
        self.held_chains().insert(chain);
    }

    /// Records that a chain is at its head with everything committed.
    pub(super) fn release_chain(&self, chain: ChainId) {
        self.held_chains().remove(&chain);
    }

    fn held_chains(&self) -> MutexGuard<'_, BTreeSet<ChainId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches `store` until a stop is requested.
    pub(super) async fn watch_store(&self, store: &Store, nudge: &Notify, stop: &Stop) {
        self.restore_outage(store).await;
        let check = TaskName::StoreWatchdog.check();
        while !stop.is_cancelled() {
            self.signs.checks.renew(&check);
            match store.write_failure() {
                Some(refusal) => self.record_write_failure(Some(store), &refusal, nudge).await,
                None => self.record_write_success(store, nudge).await,
            }
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(LOOK) => {} }
        }
    }

    /// Sends directly that the store cannot be opened, while there is no store to use.
    pub(crate) async fn cannot_open(&self, since: Instant, why: &StoreError) {
        let refusal = WriteRefusal { since, why: why.to_string(), ways: why.recovery_commands() };
        self.record_write_failure(None, &refusal, &Notify::new()).await;
    }

    /// Loads the incident about the store that an earlier process recorded and that is still open.
    async fn restore_outage(&self, store: &Store) {
        let known = store
            .list_incidents(Filter { scope: Some(IncidentScope::Program), ..Filter::live_only() })
            .await
            .unwrap_or_default();
        let Some(incident) = known.into_iter().find(|incident| is_of_store(incident) && escalate::is_dark(incident))
        else {
            return;
        };
        let mut told = self.told.lock().await;
        if incident.severity < Severity::High {
            told.warned = true;
        } else if told.incident.is_none() {
            // Every chain may have been delayed.
            self.held_chains().extend(self.book.chains.iter().map(|chain| chain.info.id));
            told.incident = Some(incident);
        }
    }

    /// Handles a store that rejects writes.
    async fn record_write_failure(&self, store: Option<&Store>, refusal: &WriteRefusal, nudge: &Notify) {
        let lasts = monotonic_now().duration_since(refusal.since);
        let mut told = self.told.lock().await;
        if lasts < TELL_AFTER && !told.refusing {
            return;
        }
        let now = self.clock.now();
        let now_ms = runtime::steady_millis(&*self.clock);
        if !told.refusing {
            let since = now.checked_sub(lasts).unwrap_or(now);
            error!("store rejects writes since {since}: {}", refusal.why);
            if let Some(store) = store.filter(|store| store.is_gone()) {
                self.rescue_unlinked_store(store).await;
            }
            self.tally.set_outage(IncidentScope::Program, true);
            let ways = refusal.ways.clone();
            let trouble = HealthIssue { ways, ..store_issue(Severity::High, since, refusal.why.clone()) };
            let known = match store {
                Some(store) => self.known_incidents(store).await,
                None => Vec::new(),
            };
            let plan = escalate::open_outage(&trouble, None, None, &known, &self.book.roster, now_ms);
            (told.refusing, told.unwritten) = (true, true);
            self.announce_change_set(&mut told, plan);
        } else if told.told_at.is_some_and(|at| monotonic_now().duration_since(at) >= REMIND)
            && let Some(incident) = &told.incident
        {
            let what =
                format!("Nothing has been written down for {}: {}", format_duration(lasts.as_secs()), refusal.why);
            error!("{what}");
            let plan = escalate::remind_first_step(incident, &what, now_ms);
            told.unwritten = true;
            self.announce_change_set(&mut told, plan);
        }
        self.send_undelivered(&mut told, now_ms).await;
        if let Some(store) = store
            && told.wrote_at.is_none_or(|at| monotonic_now().duration_since(at) >= RETRY)
        {
            told.wrote_at = Some(monotonic_now());
            let _ = self.write_incident(&mut told, store, nudge).await;
        }
    }

    /// Copies a store whose file was moved or deleted to a path beside the original one.
    pub(super) async fn rescue_unlinked_store(&self, store: &Store) {
        match store.rescue_copy().await {
            Ok(copy) => {
                self.printer.progress(&format!("what was committed so far is in {}", copy.display()));
            }
            Err(error) => error!("failed to copy a store that is gone from its place: {error}"),
        }
    }

    /// Handles a store that accepts writes.
    async fn record_write_success(&self, store: &Store, nudge: &Notify) {
        let mut told = self.told.lock().await;
        if told.incident.is_some() {
            let now_ms = runtime::steady_millis(&*self.clock);
            self.send_undelivered(&mut told, now_ms).await;
            let written = self.write_incident(&mut told, store, nudge).await.is_ok();
            // The incident ends when all delayed steps are committed, not when the first one is.
            if written && self.held_chains().is_empty() && self.end_outage(store, nudge).await {
                info!("store accepts writes again");
                self.tally.set_outage(IncidentScope::Program, false);
                *told = ReportedFailure::default();
            }
            return;
        }
        told.refusing = false;
        if told.looked_at.is_none_or(|at| monotonic_now().duration_since(at) >= ROOM_EVERY) {
            told.looked_at = Some(monotonic_now());
            self.look_for_room(&mut told, store, nudge).await;
        }
    }

    /// Stores the incident as it was sent, if it was sent directly. Must run before delayed steps are retried, so that
    /// their blocks count as late.
    pub(super) async fn persist_incident(&self, store: &Store, nudge: &Notify) -> Result<(), StoreError> {
        let mut told = self.told.lock().await;
        self.write_incident(&mut told, store, nudge).await
    }

    async fn write_incident(
        &self,
        told: &mut ReportedFailure,
        store: &Store,
        nudge: &Notify,
    ) -> Result<(), StoreError> {
        let Some(incident) = told.incident.clone().filter(|_| told.unwritten) else { return Ok(()) };
        let now_ms = runtime::steady_millis(&*self.clock);
        store.commit_change(now_ms, move |_| escalate::record_direct_incident(&incident, now_ms)).await?;
        told.unwritten = false;
        nudge.notify_one();
        Ok(())
    }

    /// Reports the end through the outbox, and returns whether that could be stored.
    async fn end_outage(&self, store: &Store, nudge: &Notify) -> bool {
        let (now, now_ms) = (self.clock.now(), runtime::steady_millis(&*self.clock));
        match store
            .commit_visibility(IncidentScope::Program, now_ms, move |known| {
                escalate::complete_catch_up(None, now, known, now_ms)
            })
            .await
        {
            Ok(plan) => {
                self.print_change_set(&plan);
                nudge.notify_one();
                true
            }
            Err(error) => {
                warn!("failed to record that the store accepts writes: {error}");
                false
            }
        }
    }

    /// Reports little free space through the outbox, while the store still works.
    async fn look_for_room(&self, told: &mut ReportedFailure, store: &Store, nudge: &Notify) {
        let Some(room) = store.disk_space() else { return };
        let now_ms = runtime::steady_millis(&*self.clock);
        let now = self.clock.now();
        let plan = if room.is_little() && !told.warned {
            let why = format!("{} are left on the store's disk", format_mebibytes(room.free));
            warn!("{why}");
            let (trouble, roster) = (store_issue(Severity::Warning, now, why), self.book.roster.clone());
            store
                .commit_visibility(IncidentScope::Program, now_ms, move |known| {
                    escalate::open_outage(&trouble, None, None, known, &roster, now_ms)
                })
                .await
        } else if told.warned && room.is_enough() {
            store
                .commit_visibility(IncidentScope::Program, now_ms, move |known| {
                    escalate::complete_catch_up(None, now, known, now_ms)
                })
                .await
        } else {
            return;
        };
        // The loop that checks for rejected writes handles this failure.
        if let Ok(plan) = plan {
            told.warned = room.is_little();
            self.print_change_set(&plan);
            nudge.notify_one();
        }
    }

    /// Returns incidents that the new one may continue. Reads work on a full disk.
    async fn known_incidents(&self, store: &Store) -> Vec<Incident> {
        let of_store = Filter { scope: Some(IncidentScope::Program), limit: Some(64), ..Filter::default() };
        let mut known = store.list_incidents(Filter::live_only()).await.unwrap_or_default();
        let closed = store.list_incidents(of_store).await.unwrap_or_default();
        known.extend(closed.into_iter().filter(|incident| !incident.state.is_live()));
        known
    }

    /// Takes over a plan whose messages are to be sent directly.
    fn announce_change_set(&self, told: &mut ReportedFailure, plan: ChangeSet) {
        self.print_change_set(&plan);
        told.incident = plan.incidents.into_iter().find(is_of_store).or(told.incident.take());
        told.waiting = plan.deliveries;
        told.attempt = 0;
        (told.told_at, told.sent_at) = (Some(monotonic_now()), None);
    }

    /// Sends the undelivered messages again at intervals.
    async fn send_undelivered(&self, told: &mut ReportedFailure, now_ms: u64) {
        let due = told.sent_at.is_none_or(|at| monotonic_now().duration_since(at) >= RETRY);
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
                    info!(destination = %name, "delivered the store failure to {name}, past the store");
                    is_told = true;
                }
                Err(SendError::Refused(why)) => {
                    error!(destination = %name, "failed to deliver the store failure to {name}, past the store: {why}");
                    if !told.refused.contains(name) {
                        told.refused.push(name.clone());
                    }
                    refused = Some(message);
                }
                Err(why) => {
                    warn!(destination = %name, "failed to deliver the store failure to {name}, past the store, retrying in {RETRY:?}: {why}");
                    left.push(message);
                }
            }
        }
        told.sent_at = Some(monotonic_now());
        // No escalation comes to the others while nothing can be written down.
        if let (Some(message), Some(incident), false, true) = (refused, &mut told.incident, is_told, left.is_empty()) {
            left = escalate::pass_on(incident, &message, &told.refused, &self.book.roster);
            (told.unwritten, told.sent_at) = (true, None);
        }
        told.waiting = left;
    }

    fn print_change_set(&self, plan: &ChangeSet) {
        for line in &plan.lines {
            self.printer.line(line);
        }
        self.signs.record_change_set(plan);
        self.tally.count_change_set(plan);
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
            self.keeper.hold_chain(self.chain);
            self.refusals = self.refusals.saturating_add(1);
            self.refusals
        } else {
            self.failures += 1;
            if self.failures > TRIES_MAX {
                return Err(error);
            }
            self.failures
        };
        let pause = BACKOFF.jittered_delay(attempt, &mut self.rng);
        warn!("store operation failed, retrying in {pause:?}: {}", error_chain(&error));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(false),
            () = tokio::time::sleep(pause) => {}
        }
        if refused {
            // A failure here is covered by the retry that follows.
            let _ = self.keeper.persist_incident(self.store, self.nudge).await;
        }
        Ok(true)
    }
}

fn store_issue(severity: Severity, since: Timestamp, why: String) -> HealthIssue {
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
    matches!(incident.origin, Origin::StoreFailure { .. })
}

fn format_mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
