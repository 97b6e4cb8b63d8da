//! What a session shows of itself: series that have to be looked at rather than told, and the checks that no other room holds.

use crate::model::incident::{Body, DeliveryKind, Incident, Plan, State};
use crate::model::record::Line;
use crate::model::{BlindnessKind, Severity};
use crate::runtime::{self, Clock};
use crate::store::{Store, StoreError};
use crate::telemetry::outlet::LINES_MAX;
use crate::telemetry::{Checks, Metrics, Outlet};
use crate::watchlist::{Book, ChainClock};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The check that holds while the store can be written.
const WRITES: &str = "store/writes";
/// The check that holds while the store has room to grow.
const SPACE: &str = "store/space";
/// The check that holds while messages go out in time.
const OUTBOX: &str = "delivery/outbox";

/// Room below which the store is about to fail: some hours of a busy chain.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// Age of a waiting message that no ordinary pause explains: a destination may ask for fifteen minutes.
const WAITING_MAX: Duration = Duration::from_secs(20 * 60);

/// Shared by all tasks of a session.
#[derive(Clone)]
pub(crate) struct Signs {
    pub(crate) metrics: Metrics,
    pub(crate) checks: Checks,
    clock: Arc<dyn Clock>,
    outlets: Arc<Mutex<Vec<(&'static str, Outlet)>>>,
}

impl Signs {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let metrics = Metrics::new();
        let now = clock.clone();
        let checks = Checks::new(metrics.clone(), move || now.now());
        Self { metrics, checks, clock, outlets: Arc::default() }
    }

    /// Shows how many lines wait for whoever reads `outlet`.
    pub(crate) fn outlet(&self, queue: &'static str, outlet: Outlet) {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner).push((queue, outlet));
    }

    /// Lets everything that the book names have its series, at zero, and its checks. A chain that ought to move fails its check
    /// until it does: nobody knows yet that it can be seen.
    pub(super) fn introduce(&self, book: &Book) {
        let now_s = runtime::millis(&*self.clock) as f64 / 1_000.0;
        self.metrics.configured(&book.hash, book.watches.len(), now_s);
        for chain in &book.chains {
            let name = &*chain.info.name;
            self.metrics.chain(name, chain.slot.as_secs_f64());
            for endpoint in &chain.endpoints {
                self.metrics.endpoint(name, &endpoint.name);
            }
            match chain.clock {
                ChainClock::Wall => self.checks.fails(&head(name), "no block was committed since the start"),
                // Its blocks come when somebody makes one.
                ChainClock::Chain => self.checks.ok(&head(name)),
            }
        }
        for name in book.destinations.keys() {
            self.metrics.destination(name);
        }
        for path in book.roster.paths.values() {
            self.metrics.path(&path.name, path.steps.len());
        }
    }

    /// A block was committed.
    pub(super) fn block(&self, chain: &str) {
        self.checks.ok(&head(chain));
    }

    /// A kind of blindness began, or its reason changed. One that wakes somebody fails a check of its name.
    pub(super) fn troubled(&self, chain: &str, kind: BlindnessKind, severity: Severity, why: &str) {
        self.metrics.blind(chain, kind.name(), true);
        if severity >= Severity::High {
            self.checks.fails(&blindness(chain, kind), why);
        }
    }

    /// The last trouble of this kind is over.
    pub(super) fn cleared(&self, chain: &str, kind: BlindnessKind) {
        self.metrics.blind(chain, kind.name(), false);
        self.checks.remove(&blindness(chain, kind));
    }

    /// Counts what a plan brought about.
    pub(super) fn plan(&self, plan: &Plan) {
        // One that is written again without a word, since blocks were counted as late because of it, has no line.
        let named = |incident: &Incident| {
            plan.lines
                .iter()
                .any(|line| matches!(line, Line::Incident(line) if line.incident_id == incident.id.as_str()))
        };
        for incident in plan.incidents.iter().filter(|incident| incident.revision <= 1 && named(incident)) {
            self.metrics.incident_opened(incident.severity);
        }
        let mut told = BTreeSet::new();
        for delivery in plan.deliveries.iter().filter(|delivery| delivery.kind == DeliveryKind::Trigger) {
            if let Body::Page(page) = &delivery.body
                && told.insert((&page.incident, page.cycle, page.step))
            {
                self.metrics.escalated(&page.path, page.step);
            }
        }
    }

    /// So much time has passed since the last time, and this came of writing to the store just now.
    pub(super) fn tick(&self, passed: Duration, written: Result<(), String>) {
        self.metrics.passed(passed);
        self.checks.set(WRITES, written);
        for (queue, outlet) in self.outlets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.metrics.queue("", queue, outlet.waiting(), LINES_MAX);
            self.metrics.dropped("", queue, outlet.dropped());
        }
    }

    /// Looks at the store: how much waits, and how much room is left.
    pub(super) async fn look(&self, store: &Store, book: &Book) -> Result<(), StoreError> {
        let (waiting, room) = store.waiting();
        self.metrics.queue("", "store", waiting, room);
        if let Some(space) = store.space() {
            self.metrics.store_space(space.free, space.size);
            let mib = space.free >> 20;
            let enough = space.free >= FREE_BYTES_MIN;
            self.checks
                .set(SPACE, if enough { Ok(()) } else { Err(format!("{mib} MiB are left on the store's disk")) });
        }
        let unfinished = store.unfinished().await?;
        self.metrics.dead_letters(unfinished.dead);
        let now_ms = runtime::millis(&*self.clock);
        let mut late = None;
        for name in book.destinations.keys() {
            let (messages, oldest) = unfinished.waiting.get(name).map_or((0, Duration::ZERO), |waiting| {
                (waiting.messages, Duration::from_millis(now_ms.saturating_sub(waiting.oldest_ms)))
            });
            self.metrics.outbox(name, messages, oldest);
            if oldest > WAITING_MAX {
                late.get_or_insert(format!(
                    "delivery: a message to {name} waits for {} minutes",
                    oldest.as_secs() / 60
                ));
            }
        }
        self.checks.set(OUTBOX, late.map_or(Ok(()), Err));
        Ok(())
    }
}

/// Counts live incidents by severity and state.
pub(super) fn count(metrics: &Metrics, live: &[Incident]) {
    for severity in Severity::ALL {
        for state in [State::Open, State::Acknowledged] {
            let n = live.iter().filter(|incident| incident.severity == severity && incident.state == state).count();
            metrics.incidents_open(severity, state.as_str(), n);
        }
    }
}

/// The check that holds while blocks of a chain are committed.
fn head(chain: &str) -> String {
    format!("chain/{chain}/head")
}

/// The check that fails while this keeps us from seeing a chain; there is none otherwise.
fn blindness(chain: &str, kind: BlindnessKind) -> String {
    format!("chain/{chain}/{kind}")
}
