//! Observability of a session: series that have to be polled rather than reported, and the checks that no other module
//! owns.

use crate::model::incident::{Body, ChangeSet, DeliveryKind, Incident, State};
use crate::model::record::Line;
use crate::model::{BlindnessKind, Severity};
use crate::runtime::{self, Clock};
use crate::store::{Store, StoreError};
use crate::telemetry::outlet::LINES_MAX;
use crate::telemetry::{Checks, Metrics, Outlet};
use crate::watchlist::{ChainClock, Config};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The check that holds while the store can be written.
const WRITES: &str = "store/writes";
/// The check that holds while the store has room to grow.
const SPACE: &str = "store/space";
/// The check that holds while messages go out in time.
const OUTBOX: &str = "delivery/outbox";

/// Free bytes below which the store is about to fail: some hours of a busy chain.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// Age of a waiting message that no ordinary pause explains: a destination may request a delay of fifteen minutes.
const WAITING_MAX: Duration = Duration::from_secs(20 * 60);

/// Shared by all tasks of a session.
#[derive(Clone)]
pub(crate) struct Observability {
    pub(crate) metrics: Metrics,
    pub(crate) checks: Checks,
    clock: Arc<dyn Clock>,
    outlets: Arc<Mutex<Vec<(&'static str, Outlet)>>>,
}

impl Observability {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let metrics = Metrics::new();
        let now = clock.clone();
        let checks = Checks::new(metrics.clone(), move || now.now());
        Self { metrics, checks, clock, outlets: Arc::default() }
    }

    /// Exports the number of lines that wait in `outlet`.
    pub(crate) fn outlet(&self, queue: &'static str, outlet: Outlet) {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner).push((queue, outlet));
    }

    /// Creates the series of everything that the book names, at zero, and its checks. A chain that should move fails
    /// its check until its first block, since it is not known yet whether it can be seen.
    pub(super) fn introduce(&self, book: &Config) {
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
                // Such a chain has no schedule: a block comes when one is made.
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

    /// Records that a block was committed.
    pub(super) fn block(&self, chain: &str) {
        self.checks.ok(&head(chain));
    }

    /// Records that a kind of outage began, or that its reason changed. An outage that pages fails a check of its name.
    pub(super) fn troubled(&self, chain: &str, kind: BlindnessKind, severity: Severity, why: &str) {
        self.metrics.blind(chain, kind.name(), true);
        if severity >= Severity::High {
            self.checks.fails(&blindness(chain, kind), why);
        }
    }

    /// Records that the last health issue of this kind is over.
    pub(super) fn cleared(&self, chain: &str, kind: BlindnessKind) {
        self.metrics.blind(chain, kind.name(), false);
        self.checks.remove(&blindness(chain, kind));
    }

    /// Counts the results of a plan.
    pub(super) fn plan(&self, plan: &ChangeSet) {
        // An incident that is stored again only because late blocks were counted has no line.
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

    /// Records that `passed` has elapsed since the last tick, with the result of a write to the store just now.
    pub(super) fn tick(&self, passed: Duration, written: Result<(), String>) {
        self.metrics.passed(passed);
        self.checks.set(WRITES, written);
        for (queue, outlet) in self.outlets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.metrics.queue("", queue, outlet.waiting(), LINES_MAX);
            self.metrics.dropped("", queue, outlet.dropped());
        }
    }

    /// Reads the number of waiting messages and the free space of the store.
    pub(super) async fn look(&self, store: &Store, book: &Config) -> Result<(), StoreError> {
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

/// Returns the name of the check that fails during an outage of this kind. The check exists only then.
fn blindness(chain: &str, kind: BlindnessKind) -> String {
    format!("chain/{chain}/{kind}")
}
