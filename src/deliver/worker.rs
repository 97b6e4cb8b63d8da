//! Delivery worker: leases due messages, sends them and records the results.
//!
//! The worker wakes on a signal, when a message becomes due, or at a regular interval, and has no other input: the
//! messages are in the store. A crash at any point repeats messages under the same keys once their leases expire, and
//! loses none.

use super::health::Health;
use super::in_flight::{DeliveryResult, send_in_order};
use super::slots::{FLIGHTS_MAX, Slots};
use super::{FEED_GIVE_UP, Outgoing, PAGE_GIVE_UP, SendError, TIMEOUT, Target, Targets};
use crate::escalate::{self, Routing};
use crate::model::DeliveryKey;
use crate::model::incident::{Body, Budget, DeliveryKind};
use crate::model::record::{DeliveryLine, Line};
use crate::runtime::{self, Backoff, Clock, Stop, error_chain};
use crate::store::{FeedGap, Leased, Store};
use crate::telemetry::{Checks, Metrics, SignOfLife};
use anyhow::{Context, anyhow};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument as _, debug, error, info, info_span, warn};

/// Delays between attempts at a page: short, because a person is waiting for it.
const PAGE_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// Delays between attempts at a feed line.
const FEED_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5 * 60));
/// Polling interval: other processes write to the same store and cannot wake this worker.
const BEAT: Duration = Duration::from_secs(1);
/// Delays between attempts at a store that fails. They continue forever, since only this worker can send the messages
/// in it.
const STORE_BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
/// Interval between searches for messages to destinations that are no longer configured, and for lines of the feed that
/// were left out.
const TIDY_EVERY_MS: u64 = 10_000;
/// Retention of sent messages: thirty days, in milliseconds.
pub const SENT_KEPT_MS: u64 = 30 * 86_400_000;
/// Maximum number of messages to a removed destination that become dead letters between two checks of the other
/// messages: about one second of work.
const STRAYS_MAX: usize = 1_000;
/// Maximum pause that [`Worker::drain`] waits for.
const DRAIN_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Number of consecutive failed attempts after which a destination's check fails: one or two failures are normal on a
/// network.
const FAILURES_MAX: u64 = 3;
/// Name of the check that passes while messages are taken from the outbox.
const WORKER: &str = "delivery/worker";

/// Callback for each attempt, and for the consequences of dead letters.
pub type Listener = Arc<dyn Fn(&Line) + Send + Sync>;

/// Sends due messages.
pub struct Worker {
    store: Store,
    targets: Arc<Targets>,
    roster: Arc<Routing>,
    clock: Arc<dyn Clock>,
    nudge: Arc<Notify>,
    health: Arc<Health>,
    metrics: Metrics,
    checks: Checks,
    alive: SignOfLife,
    listener: Listener,
    flights: JoinSet<DeliveryResult>,
    aboard: HashMap<Id, InFlight>,
    rooms: Slots,
    /// Ends flights after the message that is being sent.
    halt: Stop,
    rng: fastrand::Rng,
    tidied_ms: Option<u64>,
}

/// Messages of one lane in flight.
struct InFlight {
    row: VecDeque<Leased>,
    target: Target,
    budget: Budget,
    departed: Instant,
}

/// A completed flight: its task's id, and its result.
type Landed = Result<(Id, DeliveryResult), JoinError>;

impl Worker {
    /// Creates a worker for these destinations. `roster` gives the recipients of reports about messages that cannot be
    /// delivered.
    #[must_use]
    pub fn new(store: Store, targets: Arc<Targets>, roster: Arc<Routing>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            targets,
            roster,
            clock,
            nudge: Arc::default(),
            health: Arc::default(),
            metrics: Metrics::default(),
            checks: Checks::default(),
            alive: SignOfLife::default(),
            listener: Arc::new(|_| ()),
            flights: JoinSet::new(),
            aboard: HashMap::new(),
            rooms: Slots::default(),
            halt: Stop::new(),
            rng: fastrand::Rng::new(),
            tidied_ms: None,
        }
    }

    /// Calls `listener` with a line for each attempt, and with the lines of incidents that dead letters open.
    #[must_use]
    pub fn with_listener(mut self, listener: Listener) -> Self {
        self.listener = listener;
        self
    }

    /// Records the worker's operation in `metrics`, and its progress in `checks`: `delivery/worker`, and
    /// `deliver/<name>` for each destination.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics, checks: Checks) -> Self {
        self.metrics = metrics;
        self.checks = checks;
        self.targets.keys().for_each(|name| self.checks.mark_passing(&destination_check_name(name)));
        self
    }

    /// Shows by `alive` that the worker goes on.
    #[must_use]
    pub fn with_sign_of_life(mut self, alive: SignOfLife) -> Self {
        self.alive = alive;
        self
    }

    /// Wakes the worker by `wake` from now on, instead of a handle of its own.
    #[must_use]
    pub fn with_wake_handle(mut self, wake: Arc<Notify>) -> Self {
        self.nudge = wake;
        self
    }

    /// Returns the handle that wakes the worker: call `notify_one` after a commit.
    #[must_use]
    pub fn wake_handle(&self) -> Arc<Notify> {
        Arc::clone(&self.nudge)
    }

    /// Returns the health of each destination, for others to read while the worker runs.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Sends due messages until told to stop, then waits for the messages in flight and starts no new ones.
    ///
    /// A store that rejects writes delays messages but never stops the worker, however long it lasts.
    ///
    /// # Errors
    ///
    /// Returns an error when the results of the last messages could not be recorded. They are then sent again later,
    /// under the same keys.
    pub async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        let nudge = self.wake_handle();
        let mut failures = 0;
        while !stop.is_cancelled() {
            self.alive.renew();
            match self.run_once(&nudge, &stop).await {
                Ok(()) => {
                    failures = 0;
                    self.checks.mark_passing(WORKER);
                }
                Err(error) => {
                    self.checks.mark_failing(WORKER, &format!("messages are held up: {}", error_chain(&error)));
                    let pause = STORE_BACKOFF.jittered_delay(failures, &mut self.rng);
                    failures = failures.saturating_add(1);
                    error!("failed to lease messages, retrying in {pause:?}: {}", error_chain(&error));
                    tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(pause) => {} }
                }
            }
        }
        self.halt.cancel();
        while let Some(landed) = self.flights.join_next_with_id().await {
            self.complete(vec![landed]).await?;
        }
        Ok(())
    }

    /// Sends due messages, then waits for the next work.
    async fn run_once(&mut self, nudge: &Notify, stop: &Stop) -> anyhow::Result<()> {
        let pause = self.send_due().await?;
        let mut landed = Vec::new();
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Some(first) = self.flights.join_next_with_id() => landed.push(first),
            () = nudge.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        while let Some(next) = self.flights.try_join_next_with_id() {
            landed.push(next);
        }
        self.complete(landed).await
    }

    /// Sends all messages that are due now and returns; later retries are left for later.
    ///
    /// # Errors
    ///
    /// Like [`Worker::run`].
    pub async fn drain(&mut self) -> anyhow::Result<()> {
        loop {
            let pause = self.send_due().await?;
            if let Some(landed) = self.flights.join_next_with_id().await {
                self.complete(vec![landed]).await?;
                continue;
            }
            // Due messages that were not sent wait for a destination's pause; a short pause is waited for here.
            let now_ms = self.now_ms();
            let soon_ms = now_ms.saturating_add(duration_millis(DRAIN_PAUSE_MAX));
            let opens_ms = |name: &str| self.health.not_before_ms(name).max(self.rooms.opens_ms(name));
            let soon = self.targets.keys().filter(|name| opens_ms(name) <= soon_ms);
            let due_ms =
                self.store.next_due(soon.cloned().collect()).await.context("failed to look for due messages")?;
            if due_ms.is_none_or(|due_ms| due_ms > now_ms) {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            // A clock that tests advance by hand does not end the pause.
            if self.now_ms() == now_ms {
                return Ok(());
            }
        }
    }

    /// Sends due messages for which there is capacity, and returns the time until the next possible event.
    async fn send_due(&mut self) -> anyhow::Result<Duration> {
        let now_ms = self.now_ms();
        let aboard = Budget::ALL.map(|budget| self.rooms.in_flight(budget)).into_iter().sum();
        self.metrics.record_queue_depth("", "flights", aboard, FLIGHTS_MAX * Budget::ALL.len());
        self.tidy_outbox(now_ms).await?;
        let not_before = self.targets.keys().map(|name| self.health.not_before_ms(name));
        let mut wake_ms = not_before.filter(|at_ms| *at_ms > now_ms).min();
        let open = |name: &str| self.health.not_before_ms(name) <= now_ms;
        let (asks, _) = self.rooms.lease_requests(&self.targets, open, now_ms);
        if !asks.is_empty() {
            let asked: Vec<_> = asks.iter().map(|(ask, _)| (ask.destination.clone(), ask.budget)).collect();
            let due = self.store.lease_due(now_ms, asks).await.context("failed to lease due messages")?;
            for (at, row) in due.rows {
                let Some((name, budget)) = asked.get(at) else { continue };
                let Some(target) = self.targets.get(name).cloned() else { continue };
                self.dispatch(row, target, *budget, now_ms);
            }
            wake_ms = wake_ms.into_iter().chain(due.next_ms).min();
        }
        // A paced destination that just accepted a message opens again before the next poll.
        let open = |name: &str| self.health.not_before_ms(name) <= now_ms;
        wake_ms = wake_ms.into_iter().chain(self.rooms.lease_requests(&self.targets, open, now_ms).1).min();
        let pause = wake_ms.map_or(BEAT, |wake_ms| Duration::from_millis(wake_ms.saturating_sub(now_ms)));
        Ok(pause.clamp(Duration::from_millis(1), BEAT))
    }

    fn dispatch(&mut self, row: Vec<Leased>, target: Target, budget: Budget, now_ms: u64) {
        let message = |leased: &Leased| Outgoing {
            key: leased.delivery.key.clone(),
            kind: leased.delivery.kind,
            attempt: leased.attempt,
            now_ms: runtime::wall_millis(&*self.clock),
            severity: leased.delivery.severity,
            body: leased.delivery.body.clone(),
        };
        let messages: Vec<Outgoing> = row.iter().map(message).collect();
        let Some(first) = messages.first() else { return };
        self.rooms.record_dispatch(&target, budget, now_ms);
        self.health.record_dispatch(&target.name);
        let span =
            info_span!("delivery", delivery.key = %first.key, destination = %target.name, attempt = first.attempt);
        let (to, halt) = (target.clone(), self.halt.clone());
        let flight = async move { send_in_order(&to, &messages, &halt).await };
        let flight = self.flights.spawn(flight.instrument(span));
        self.aboard
            .insert(flight.id(), InFlight { row: row.into(), target, budget, departed: runtime::monotonic_now() });
    }

    /// Records the results of messages: first all accepted ones, in one transaction.
    async fn complete(&mut self, landed: Vec<Landed>) -> anyhow::Result<()> {
        let now_ms = self.now_ms();
        let (mut taken, mut rest) = (Vec::new(), Vec::new());
        for landed in landed {
            let (id, landing) = match landed {
                Ok((id, landing)) => (id, landing),
                // A message that makes a destination's code panic must neither stop the worker nor be lost: it is
                // retried until it expires.
                Err(panic) => {
                    let error = Some(SendError::Retry(anyhow!("the destination's code panicked")));
                    (panic.id(), DeliveryResult { error, ..DeliveryResult::default() })
                }
            };
            let Some(InFlight { mut row, target, budget, departed }) = self.aboard.remove(&id) else { continue };
            self.rooms.record_completion(&target.name, budget);
            self.health.record_completion(&target.name);
            let each = departed.elapsed() / u32::try_from(landing.taken.len().max(1)).unwrap_or(u32::MAX);
            for receipt in landing.taken {
                let Some(leased) = row.pop_front() else { break };
                self.metrics.record_delivery_attempt(&target.name, "sent", each);
                taken.push((target.name.clone(), leased, receipt));
            }
            if !row.is_empty() {
                rest.push((target, row, landing.error, departed.elapsed()));
            }
        }
        if !taken.is_empty() {
            let keys = taken.iter().map(|(_, leased, _)| leased.delivery.key.clone()).collect();
            self.store.all_sent(keys, now_ms).await.context("failed to record sent messages")?;
        }
        for (name, leased, receipt) in taken {
            self.record_sent(&name, &leased, &receipt.detail, now_ms);
        }
        for (target, row, error, took) in rest {
            self.left_over(&target, row, error, took, now_ms).await?;
        }
        Ok(())
    }

    fn record_sent(&self, name: &str, leased: &Leased, answer: &str, now_ms: u64) {
        self.record_health(name, None, false);
        let (key, attempt) = (&leased.delivery.key, leased.attempt);
        info!(delivery.key = %key, destination = %name, attempt, "delivered {key} to {name}: {answer}");
        self.metrics.record_delivery(name, "sent");
        if leased.delivery.kind == DeliveryKind::Trigger {
            self.metrics.record_page_delay(name, Duration::from_millis(now_ms.saturating_sub(happened_ms(leased))));
        }
        self.report_attempt(leased, "sent", None);
    }

    /// Handles the messages of a lane that were not accepted: the first got `error`, the others wait for it.
    async fn left_over(
        &mut self,
        target: &Target,
        mut row: VecDeque<Leased>,
        error: Option<SendError>,
        took: Duration,
        now_ms: u64,
    ) -> anyhow::Result<()> {
        if let Some(error) = error
            && let Some(first) = row.pop_front()
        {
            self.not_sent(target, &first, error, took, now_ms).await?;
        }
        if !row.is_empty() {
            let keys: Vec<DeliveryKey> = row.into_iter().map(|leased| leased.delivery.key).collect();
            self.store
                .release_leases(keys, now_ms)
                .await
                .context("failed to give back messages that were not tried")?;
        }
        Ok(())
    }

    async fn not_sent(
        &mut self,
        target: &Target,
        leased: &Leased,
        error: SendError,
        took: Duration,
        now_ms: u64,
    ) -> anyhow::Result<()> {
        let (name, attempt) = (&target.name, leased.attempt);
        let outcome = if matches!(error, SendError::Refused(_)) { "refused" } else { "retry" };
        self.metrics.record_delivery_attempt(name, outcome, took);
        match error {
            SendError::Refused(why) => {
                self.record_health(name, Some(&why), true);
                self.dead_letter(leased, &why, now_ms).await
            }
            SendError::Wait(pause) => {
                self.health.hold_until(name, now_ms.saturating_add(duration_millis(pause)));
                let why = SendError::Wait(pause).to_string();
                self.schedule_retry(leased, target, pause, &why, now_ms).await
            }
            SendError::Retry(why) => {
                let backoff = if leased.delivery.kind == DeliveryKind::Feed { FEED_BACKOFF } else { PAGE_BACKOFF };
                let pause = backoff.jittered_delay(attempt.saturating_sub(1), &mut self.rng);
                self.schedule_retry(leased, target, pause, &format!("{why:#}"), now_ms).await
            }
        }
    }

    async fn schedule_retry(
        &mut self,
        leased: &Leased,
        target: &Target,
        pause: Duration,
        why: &str,
        now_ms: u64,
    ) -> anyhow::Result<()> {
        let (name, key, attempt) = (&target.name, &leased.delivery.key, leased.attempt);
        self.record_health(name, Some(why), false);
        let feed = leased.delivery.kind == DeliveryKind::Feed;
        let horizon = target.give_up_after.unwrap_or(if feed { FEED_GIVE_UP } else { PAGE_GIVE_UP });
        if now_ms.saturating_sub(leased.created_at_ms) >= duration_millis(horizon) {
            return self
                .dead_letter(leased, &format!("given up after {attempt} attempts, the last of which {why}"), now_ms)
                .await;
        }
        let next_ms = now_ms.saturating_add(duration_millis(pause));
        self.store.schedule_retry(key, now_ms, next_ms, why).await.context("failed to record a failed attempt")?;
        warn!(
            delivery.key = %key, destination = %name, attempt,
            "failed to deliver {key} to {name}, retrying in {pause:?}: {why}"
        );
        self.report_attempt(leased, "retry", Some(why));
        Ok(())
    }

    /// Turns the message into a dead letter, and opens an incident about that, which is sent by another path.
    async fn dead_letter(&mut self, leased: &Leased, why: &str, now_ms: u64) -> anyhow::Result<()> {
        let (key, name) = (&leased.delivery.key, &leased.delivery.destination);
        error!(delivery.key = %key, destination = %name, "gave up delivering {key} to {name}: {why}");
        let (roster, reason) = (Arc::clone(&self.roster), why.to_owned());
        let engine = move |letter: &_, standing: &_| escalate::dead_letter(letter, &reason, standing, &roster, now_ms);
        let plan =
            self.store.mark_dead_letter(key, now_ms, why, engine).await.context("failed to record a dead letter")?;
        if self.targets.contains_key(name) {
            self.metrics.record_delivery(name, "dead");
        }
        for opened in plan.incidents.iter().filter(|incident| incident.revision <= 1) {
            self.metrics.incident_opened(opened.severity);
        }
        self.report_attempt(leased, "dead", Some(why));
        for line in &plan.lines {
            (self.listener)(line);
        }
        Ok(())
    }

    /// Checks at intervals for messages that no flight would ever take.
    async fn tidy_outbox(&mut self, now_ms: u64) -> anyhow::Result<()> {
        if self.tidied_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < TIDY_EVERY_MS) {
            return Ok(());
        }
        self.tidied_ms = Some(now_ms);
        self.bury_strays(now_ms).await?;
        let before_ms = now_ms.saturating_sub(SENT_KEPT_MS);
        self.store.forget_sent(before_ms).await.context("failed to forget messages that were sent long ago")?;
        for gap in
            self.store.list_feed_gaps().await.context("failed to look for lines of the feed that were left out")?
        {
            self.tell_gap(gap, now_ms).await?;
        }
        Ok(())
    }

    /// Turns messages to destinations that the configuration no longer has into dead letters. An incident keeps the
    /// path with which it began, and a message without a destination would otherwise wait silently forever.
    async fn bury_strays(&mut self, now_ms: u64) -> anyhow::Result<()> {
        let waiting = self.store.unfinished_messages().await.context("failed to count waiting messages")?.waiting;
        let strays: Vec<String> = waiting.into_keys().filter(|name| !self.targets.contains_key(name)).collect();
        for name in strays {
            // A dead letter may create new messages, and there may be many: the rest is handled in the next run.
            let mut buried = 0;
            while buried < STRAYS_MAX {
                let names = vec![name.clone()];
                let batch = self
                    .store
                    .lease_any_budget(now_ms, FLIGHTS_MAX, duration_millis(TIMEOUT), names)
                    .await
                    .context("failed to lease strays")?;
                if batch.is_empty() {
                    break;
                }
                buried += batch.len();
                for stray in batch {
                    self.dead_letter(&stray, &format!("no destination is called `{name}` any more"), now_ms).await?;
                }
            }
        }
        Ok(())
    }

    /// Records the dead letter for a range of feed lines that were dropped for lack of space, and states their number.
    async fn tell_gap(&mut self, gap: FeedGap, now_ms: u64) -> anyhow::Result<()> {
        if gap.told && gap.ended_ms.is_none() {
            return Ok(());
        }
        let (name, key, lines) = (&gap.destination, &gap.key, gap.lines);
        let when = |ms: u64| escalate::format_rfc3339(ms / 1_000);
        let why = match gap.ended_ms {
            None => format!(
                "too many lines of the feed wait for {name}: this one and those after it are left out until there is room"
            ),
            Some(ended_ms) => format!(
                "too many lines of the feed waited for {name}: {lines} lines from {} to {} were left out, this one first",
                when(gap.began_ms),
                when(ended_ms)
            ),
        };
        if !gap.told {
            error!(delivery.key = %key, destination = %name, "dropped lines of the feed: {why}");
            let (roster, reason) = (Arc::clone(&self.roster), why.clone());
            let engine =
                move |letter: &_, standing: &_| escalate::dead_letter(letter, &reason, standing, &roster, now_ms);
            let plan = self
                .store
                .mark_dead_letter(key, now_ms, &why, engine)
                .await
                .context("failed to record a dead letter")?;
            plan.lines.iter().for_each(|line| (self.listener)(line));
        }
        self.store.gap_told(gap, why).await.context("failed to record lines of the feed that were left out")
    }

    /// Records the health of a destination. A rejected message will not succeed later, so it fails the check
    /// immediately.
    fn record_health(&self, name: &str, error: Option<&str>, refused: bool) {
        self.health.record_attempt(name, error);
        let failures = self.health.condition_of(name).failures;
        self.metrics.destination_failing(name, failures);
        match error {
            None => self.checks.mark_passing(&destination_check_name(name)),
            Some(why) if refused || failures >= FAILURES_MAX => {
                self.checks.mark_failing(&destination_check_name(name), why);
            }
            Some(_) => {}
        }
    }

    fn report_attempt(&self, leased: &Leased, outcome: &str, error: Option<&str>) {
        let delivery = &leased.delivery;
        debug!(delivery.key = %delivery.key, outcome, "delivery attempt {} at {}", leased.attempt, delivery.key);
        (self.listener)(&Line::Delivery(DeliveryLine {
            key: delivery.key.to_string(),
            destination: delivery.destination.clone(),
            kind: delivery.kind.as_str().to_owned(),
            attempt: leased.attempt,
            outcome: outcome.to_owned(),
            error: error.map(str::to_owned),
        }));
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0)
    }
}

/// Returns the name of a destination's check.
fn destination_check_name(name: &str) -> String {
    format!("deliver/{name}")
}

/// Returns the time of the event that a message reports, in wall-clock milliseconds: the newest block among its
/// evidence, or else the time at which the message was written.
fn happened_ms(leased: &Leased) -> u64 {
    let Body::Page(page) = &leased.delivery.body else { return leased.created_at_ms };
    let newest = page.evidence.iter().map(|evidence| evidence.time).max();
    newest.map_or(leased.created_at_ms, |time_s| time_s.saturating_mul(1_000))
}

/// Returns the time limit after which one attempt is aborted, whatever the destination's own timeouts: resolving
/// several cycles takes several requests.
pub(super) fn attempt_deadline(target: &Target) -> Duration {
    target.timeout.saturating_mul(2) + Duration::from_secs(5)
}

pub(super) fn duration_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
