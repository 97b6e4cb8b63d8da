//! The one who carries messages out: takes a lease on what is due, sends it, writes down what became of it.
//!
//! It wakes on a nudge, when something falls due, or on a slow beat, and takes no other input: what to send stands in the
//! store. A crash at any point repeats a message under the same key once its lease runs out, and loses none.

use super::health::Health;
use super::{FEED_GIVE_UP, Outgoing, PAGE_GIVE_UP, Receipt, SendError, TIMEOUT, Target, Targets};
use crate::escalate::{self, Roster};
use crate::model::incident::{Body, DeliveryKind};
use crate::model::record::{DeliveryLine, Line};
use crate::runtime::{self, Backoff, Clock, Stop};
use crate::store::{Leased, Store};
use crate::telemetry::{Checks, Metrics};
use anyhow::{Context, anyhow};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument as _, debug, error, info, info_span, warn};

/// Most messages on their way at once, over all destinations.
const FLIGHTS_MAX: usize = 128;
/// Most messages on their way to one destination: one that hangs holds up itself, not the others. New ones leave when half
/// of these have landed, since each look into a long outbox costs more than a message.
const FLIGHTS_TO_ONE_MAX: usize = 16;
/// Waits between attempts at a page: somebody is waiting for it.
const PAGE_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// Waits between attempts at a line of the feed.
const FEED_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5 * 60));
/// The slow beat: other processes write to the same store and cannot nudge.
const BEAT: Duration = Duration::from_secs(1);
/// Waits between tries at a store that fails: for ever, since what it holds can be sent by nobody else.
const STORE_BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
/// How often it looks for messages to destinations that are no longer configured.
const STRAYS_EVERY_MS: u64 = 60_000;
/// The longest pause that [`Worker::drain`] sits out.
const DRAIN_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Attempts that fail one after the other before a destination's check does: once or twice is the network's ordinary weather.
const FAILURES_MAX: u64 = 3;
/// The check that holds while messages are taken from the outbox.
const WORKER: &str = "delivery/worker";

/// Whoever hears of each attempt, and of what dead letters bring about.
pub type Listener = Arc<dyn Fn(&Line) + Send + Sync>;

/// Sends what is due.
pub struct Worker {
    store: Store,
    targets: Arc<Targets>,
    roster: Arc<Roster>,
    clock: Arc<dyn Clock>,
    nudge: Arc<Notify>,
    health: Arc<Health>,
    metrics: Metrics,
    checks: Checks,
    listener: Listener,
    flights: JoinSet<Result<Receipt, SendError>>,
    aboard: HashMap<Id, Aboard>,
    rng: fastrand::Rng,
    strays_seen_ms: Option<u64>,
}

/// A message on its way.
struct Aboard {
    leased: Leased,
    target: Target,
    departed: Instant,
}

impl Worker {
    /// A worker for these destinations. `roster` says who is told of a message that cannot be delivered.
    #[must_use]
    pub fn new(store: Store, targets: Arc<Targets>, roster: Arc<Roster>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            targets,
            roster,
            clock,
            nudge: Arc::default(),
            health: Arc::default(),
            metrics: Metrics::default(),
            checks: Checks::default(),
            listener: Arc::new(|_| ()),
            flights: JoinSet::new(),
            aboard: HashMap::new(),
            rng: fastrand::Rng::new(),
            strays_seen_ms: None,
        }
    }

    /// Calls `listener` with a line for each attempt, and with the lines of incidents that dead letters open.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listener = listener;
        self
    }

    /// Records what it does in `metrics`, and in `checks` whether it gets on: `delivery/worker`, and `deliver/<name>` for each
    /// destination.
    #[must_use]
    pub fn measured(mut self, metrics: Metrics, checks: Checks) -> Self {
        self.metrics = metrics;
        self.checks = checks;
        self.targets.keys().for_each(|name| self.checks.ok(&check(name)));
        self
    }

    /// Wakes the worker: call `notify_one` after a commit.
    #[must_use]
    pub fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.nudge)
    }

    /// How each destination fares; to be read by others while the worker runs.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Sends what falls due until told to stop; then waits for what is on its way and takes up nothing new.
    ///
    /// A store that cannot be written holds messages up and ends nothing, however long it lasts.
    ///
    /// # Errors
    ///
    /// What became of the last messages could not be written down. They are then sent again later, under the same keys.
    pub async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        let nudge = self.nudge();
        let mut failures = 0;
        while !stop.is_cancelled() {
            match self.turn(&nudge, &stop).await {
                Ok(()) => {
                    failures = 0;
                    self.checks.ok(WORKER);
                }
                Err(error) => {
                    self.checks.fails(WORKER, &format!("messages are held up: {error:#}"));
                    let pause = STORE_BACKOFF.wait(failures, &mut self.rng);
                    failures = failures.saturating_add(1);
                    error!("messages are held up, next try in {pause:?}: {error:#}");
                    tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(pause) => {} }
                }
            }
        }
        while let Some(landed) = self.flights.join_next_with_id().await {
            self.land(landed).await?;
        }
        Ok(())
    }

    /// Sends what is due, then waits until there is something to do.
    async fn turn(&mut self, nudge: &Notify, stop: &Stop) -> anyhow::Result<()> {
        let pause = self.depart().await?;
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Some(landed) = self.flights.join_next_with_id() => self.land(landed).await?,
            () = nudge.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        while let Some(landed) = self.flights.try_join_next_with_id() {
            self.land(landed).await?;
        }
        Ok(())
    }

    /// Sends everything that is due now and returns; what must be tried again later stays for later.
    ///
    /// # Errors
    ///
    /// As [`Worker::run`].
    pub async fn drain(&mut self) -> anyhow::Result<()> {
        loop {
            let pause = self.depart().await?;
            if let Some(landed) = self.flights.join_next_with_id().await {
                self.land(landed).await?;
                continue;
            }
            // What is due and did not leave waits for a destination's pause; a short one is sat out.
            let now_ms = self.now_ms();
            let soon_ms = now_ms.saturating_add(millis(DRAIN_PAUSE_MAX));
            let soon = self.targets.keys().filter(|name| self.health.not_before_ms(name) <= soon_ms);
            let due_ms = self.store.next_due(soon.cloned().collect()).await.context("look for due messages")?;
            if due_ms.is_none_or(|due_ms| due_ms > now_ms) {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            // A clock that is moved by hand ends no pause.
            if self.now_ms() == now_ms {
                return Ok(());
            }
        }
    }

    /// Sends off what is due and has room, and says how long nothing more can happen by itself.
    async fn depart(&mut self) -> anyhow::Result<Duration> {
        let now_ms = self.now_ms();
        self.metrics.queue("", "flights", self.aboard.len(), FLIGHTS_MAX);
        self.bury_strays(now_ms).await?;
        let (ready, opens_ms) = self.ready(now_ms);
        let mut wake_ms = opens_ms;
        if !ready.is_empty() && self.aboard.len() < FLIGHTS_MAX {
            match self.store.next_due(ready.clone()).await.context("look for due messages")? {
                Some(due_ms) if due_ms <= now_ms => self.launch_due(ready, now_ms).await?,
                Some(due_ms) => wake_ms = Some(wake_ms.map_or(due_ms, |wake_ms| wake_ms.min(due_ms))),
                None => {}
            }
            // A paced destination that just took a message opens again before the beat.
            wake_ms = wake_ms.into_iter().chain(self.ready(now_ms).1).min();
        }
        let pause = wake_ms.map_or(BEAT, |wake_ms| Duration::from_millis(wake_ms.saturating_sub(now_ms)));
        Ok(pause.clamp(Duration::from_millis(1), BEAT))
    }

    /// Destinations with room that ask for no pause; and when the next pause ends.
    fn ready(&self, now_ms: u64) -> (Vec<String>, Option<u64>) {
        let mut ready = Vec::new();
        let mut opens_ms: Option<u64> = None;
        for name in self.targets.keys() {
            let not_before_ms = self.health.not_before_ms(name);
            if not_before_ms > now_ms {
                opens_ms = Some(opens_ms.map_or(not_before_ms, |opens_ms| opens_ms.min(not_before_ms)));
            } else if self.health.in_flight(name) <= FLIGHTS_TO_ONE_MAX / 2 {
                ready.push(name.clone());
            }
        }
        (ready, opens_ms)
    }

    async fn launch_due(&mut self, ready: Vec<String>, now_ms: u64) -> anyhow::Result<()> {
        for name in ready {
            let Some(target) = self.targets.get(&name).cloned() else { continue };
            let pace = target.destination.pace();
            let room = FLIGHTS_TO_ONE_MAX.saturating_sub(self.health.in_flight(&name));
            let room = if pace.is_zero() { room } else { room.min(1) };
            let n = room.min(FLIGHTS_MAX.saturating_sub(self.aboard.len()));
            let lease_ms = millis(deadline(&target)) + 10_000;
            let leased = self.store.lease(now_ms, n, lease_ms, vec![name]).await.context("lease due messages")?;
            for leased in leased {
                self.health.pause(&target.name, now_ms.saturating_add(millis(pace)));
                self.launch(leased, target.clone(), now_ms);
            }
        }
        Ok(())
    }

    fn launch(&mut self, leased: Leased, target: Target, now_ms: u64) {
        let message = Outgoing {
            key: leased.delivery.key.clone(),
            kind: leased.delivery.kind,
            attempt: leased.attempt,
            now_ms,
            severity: leased.delivery.severity,
            body: leased.delivery.body.clone(),
        };
        self.health.departed(&target.name);
        let (destination, deadline) = (Arc::clone(&target.destination), deadline(&target));
        let span =
            info_span!("delivery", delivery.key = %message.key, destination = %target.name, attempt = message.attempt);
        let flight = async move {
            // The lease outlasts this deadline, so no other worker sends the same message meanwhile.
            match tokio::time::timeout(deadline, destination.send(&message)).await {
                Ok(result) => result,
                Err(_) => Err(SendError::Retry(anyhow!("not done within {deadline:?}"))),
            }
        };
        let flight = self.flights.spawn(flight.instrument(span));
        self.aboard.insert(flight.id(), Aboard { leased, target, departed: runtime::instant() });
    }

    /// Writes down what became of a message.
    async fn land(&mut self, landed: Result<(Id, Result<Receipt, SendError>), JoinError>) -> anyhow::Result<()> {
        let (id, result) = match landed {
            Ok((id, result)) => (id, result),
            // One message that a destination cannot bear must not end the watch, nor be lost: it is tried until its time is up.
            Err(panic) => (panic.id(), Err(SendError::Retry(anyhow!("the destination's code panicked")))),
        };
        let Some(Aboard { leased, target, departed }) = self.aboard.remove(&id) else { return Ok(()) };
        let now_ms = self.now_ms();
        let outcome = match &result {
            Ok(_) => "sent",
            Err(SendError::Refused(_)) => "refused",
            Err(SendError::Wait(_) | SendError::Retry(_)) => "retry",
        };
        self.metrics.attempt(&target.name, outcome, departed.elapsed());
        let (name, key, attempt) = (&target.name, &leased.delivery.key, leased.attempt);
        match result {
            Ok(receipt) => {
                self.landed(name, None, false);
                self.store.sent(key, now_ms).await.context("record a sent message")?;
                info!(delivery.key = %key, destination = %name, attempt, "{key} told to {name}: {}", receipt.detail);
                self.metrics.delivered(name, "sent");
                if leased.delivery.kind == DeliveryKind::Trigger {
                    self.metrics.paged(name, Duration::from_millis(now_ms.saturating_sub(happened_ms(&leased))));
                }
                self.tell(&leased, "sent", None);
                Ok(())
            }
            Err(SendError::Refused(why)) => {
                self.landed(name, Some(&why), true);
                self.bury(&leased, &why, now_ms).await
            }
            Err(SendError::Wait(pause)) => {
                self.health.pause(name, now_ms.saturating_add(millis(pause)));
                let why = SendError::Wait(pause).to_string();
                self.again(&leased, &target, pause, &why, now_ms).await
            }
            Err(SendError::Retry(why)) => {
                let backoff = if leased.delivery.kind == DeliveryKind::Feed { FEED_BACKOFF } else { PAGE_BACKOFF };
                let pause = backoff.wait(attempt.saturating_sub(1), &mut self.rng);
                self.again(&leased, &target, pause, &format!("{why:#}"), now_ms).await
            }
        }
    }

    async fn again(
        &mut self,
        leased: &Leased,
        target: &Target,
        pause: Duration,
        why: &str,
        now_ms: u64,
    ) -> anyhow::Result<()> {
        let (name, key, attempt) = (&target.name, &leased.delivery.key, leased.attempt);
        self.landed(name, Some(why), false);
        let feed = leased.delivery.kind == DeliveryKind::Feed;
        let horizon = target.give_up_after.unwrap_or(if feed { FEED_GIVE_UP } else { PAGE_GIVE_UP });
        if now_ms.saturating_sub(leased.created_at_ms) >= millis(horizon) {
            return self
                .bury(leased, &format!("given up after {attempt} attempts, the last of which {why}"), now_ms)
                .await;
        }
        let next_ms = now_ms.saturating_add(millis(pause));
        self.store.retry(key, now_ms, next_ms, why).await.context("record a failed attempt")?;
        warn!(
            delivery.key = %key, destination = %name, attempt,
            "{key} not told to {name}, next try in {pause:?}: {why}"
        );
        self.tell(leased, "retry", Some(why));
        Ok(())
    }

    /// Makes a dead letter of the message, and an incident of that by another road.
    async fn bury(&mut self, leased: &Leased, why: &str, now_ms: u64) -> anyhow::Result<()> {
        let (key, name) = (&leased.delivery.key, &leased.delivery.destination);
        error!(delivery.key = %key, destination = %name, "{key} cannot be told to {name}: {why}");
        let (roster, reason) = (Arc::clone(&self.roster), why.to_owned());
        let engine = move |letter: &_, live: &[_]| escalate::dead_letter(letter, &reason, live, &roster, now_ms);
        let plan = self.store.dead(key, now_ms, why, engine).await.context("record a dead letter")?;
        if self.targets.contains_key(name) {
            self.metrics.delivered(name, "dead");
        }
        for opened in plan.incidents.iter().filter(|incident| incident.revision <= 1) {
            self.metrics.incident_opened(opened.severity);
        }
        self.tell(leased, "dead", Some(why));
        for line in &plan.lines {
            (self.listener)(line);
        }
        Ok(())
    }

    /// Messages to destinations that the configuration no longer has: an incident keeps the path it began with, and a
    /// message that nobody takes would wait in silence for ever.
    async fn bury_strays(&mut self, now_ms: u64) -> anyhow::Result<()> {
        if self.strays_seen_ms.is_some_and(|seen_ms| now_ms.saturating_sub(seen_ms) < STRAYS_EVERY_MS) {
            return Ok(());
        }
        self.strays_seen_ms = Some(now_ms);
        let waiting = self.store.counts().await.context("count waiting messages")?.waiting;
        let strays: Vec<String> = waiting.into_keys().filter(|name| !self.targets.contains_key(name)).collect();
        for name in strays {
            // Burying may write new messages. Only a full batch is followed by another, so that this ends.
            let mut full = true;
            while full {
                let names = vec![name.clone()];
                let batch =
                    self.store.lease(now_ms, FLIGHTS_MAX, millis(TIMEOUT), names).await.context("lease strays")?;
                full = batch.len() == FLIGHTS_MAX;
                for stray in batch {
                    self.bury(&stray, &format!("no destination is called `{name}` any more"), now_ms).await?;
                }
            }
        }
        Ok(())
    }

    /// Keeps in mind how a destination fares. What it refused will not get better by itself, so that fails its check at once.
    fn landed(&self, name: &str, error: Option<&str>, refused: bool) {
        self.health.landed(name, error);
        let failures = self.health.of(name).failures;
        self.metrics.destination_failing(name, failures);
        match error {
            None => self.checks.ok(&check(name)),
            Some(why) if refused || failures >= FAILURES_MAX => self.checks.fails(&check(name), why),
            Some(_) => {}
        }
    }

    fn tell(&self, leased: &Leased, outcome: &str, error: Option<&str>) {
        let delivery = &leased.delivery;
        debug!(delivery.key = %delivery.key, outcome, "attempt {} at {}", leased.attempt, delivery.key);
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

/// The check of a destination.
fn check(name: &str) -> String {
    format!("deliver/{name}")
}

/// When what a message tells of happened, wall-clock milliseconds: the newest block among its evidence, else when it was written.
fn happened_ms(leased: &Leased) -> u64 {
    let Body::Page(page) = &leased.delivery.body else { return leased.created_at_ms };
    let newest = page.evidence.iter().map(|evidence| evidence.time).max();
    newest.map_or(leased.created_at_ms, |time_s| time_s.saturating_mul(1_000))
}

/// When one attempt is broken off, whatever the destination's own timeouts do: resolving several cycles takes several requests.
pub(super) fn deadline(target: &Target) -> Duration {
    target.timeout.saturating_mul(2) + Duration::from_secs(5)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
