//! Observability of a session: series that have to be polled rather than reported, and the checks that no other module
//! owns.

use crate::model::incident::{Body, ChangeSet, DeliveryKind, Incident};
use crate::model::incident_state::State;
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
    pub(crate) fn register_outlet(&self, queue: &'static str, outlet: Outlet) {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner).push((queue, outlet));
    }

    /// Creates the series of everything that the book names, at zero, and its checks. A chain that should move fails
    /// its check until its first block, since it is not known yet whether it can be seen.
    pub(super) fn register_config(&self, book: &Config) {
        let now_s = runtime::steady_millis(&*self.clock) as f64 / 1_000.0;
        self.metrics.record_config(&book.hash, book.watches.len(), now_s);
        for chain in &book.chains {
            let name = &*chain.info.name;
            self.metrics.register_chain(name, chain.slot.as_secs_f64());
            for endpoint in &chain.endpoints {
                self.metrics.register_endpoint(name, &endpoint.name);
            }
            match chain.clock {
                ChainClock::Wall => {
                    self.checks.mark_failing(&head_check_name(name), "no block was committed since the start");
                }
                // Such a chain has no schedule: a block comes when one is made.
                ChainClock::Chain => self.checks.mark_passing(&head_check_name(name)),
            }
        }
        for name in book.destinations.keys() {
            self.metrics.register_destination(name);
        }
        for path in book.roster.paths.values() {
            self.metrics.register_path(&path.name, path.steps.len());
        }
    }

    /// Records that a block was committed.
    pub(super) fn record_block(&self, chain: &str) {
        self.checks.mark_passing(&head_check_name(chain));
    }

    /// Records that a kind of outage began, or that its reason changed. An outage that pages fails a check of its name.
    pub(super) fn record_issue(&self, chain: &str, kind: BlindnessKind, severity: Severity, why: &str) {
        self.metrics.record_outage(chain, kind.name(), true);
        if severity >= Severity::High {
            self.checks.mark_failing(&outage_check_name(chain, kind), why);
        }
    }

    /// Records that the last health issue of this kind is over.
    pub(super) fn clear_issue(&self, chain: &str, kind: BlindnessKind) {
        self.metrics.record_outage(chain, kind.name(), false);
        self.checks.remove_check(&outage_check_name(chain, kind));
    }

    /// Counts the results of a plan.
    pub(super) fn record_change_set(&self, plan: &ChangeSet) {
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
                self.metrics.record_escalation(&page.path, page.step);
            }
        }
    }

    /// Records that `passed` has elapsed since the last tick, with the result of a write to the store just now.
    pub(super) fn record_tick(&self, passed: Duration, written: Result<(), String>) {
        self.metrics.record_elapsed_time(passed);
        self.checks.set_result(WRITES, written);
        for (queue, outlet) in self.outlets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.metrics.record_queue_depth("", queue, outlet.waiting_lines(), LINES_MAX);
            self.metrics.record_dropped("", queue, outlet.dropped_lines());
        }
    }

    /// Reads the number of waiting messages and the free space of the store.
    pub(super) async fn measure_store(&self, store: &Store, book: &Config) -> Result<(), StoreError> {
        let (waiting, room) = store.queue_depth();
        self.metrics.record_queue_depth("", "store", waiting, room);
        if let Some(space) = store.disk_space() {
            self.metrics.store_space(space.free, space.size);
            let mib = space.free >> 20;
            let enough = space.free >= FREE_BYTES_MIN;
            self.checks.set_result(
                SPACE,
                if enough { Ok(()) } else { Err(format!("{mib} MiB are left on the store's disk")) },
            );
        }
        let unfinished = store.unfinished_messages().await?;
        self.metrics.dead_letters(unfinished.dead);
        let now_ms = runtime::steady_millis(&*self.clock);
        let mut late = None;
        for name in book.destinations.keys() {
            let (messages, oldest) = unfinished.waiting.get(name).map_or((0, Duration::ZERO), |waiting| {
                (waiting.messages, Duration::from_millis(now_ms.saturating_sub(waiting.oldest_ms)))
            });
            self.metrics.record_outbox(name, messages, oldest);
            if oldest > WAITING_MAX {
                late.get_or_insert(format!(
                    "delivery: a message to {name} waits for {} minutes",
                    oldest.as_secs() / 60
                ));
            }
        }
        self.checks.set_result(OUTBOX, late.map_or(Ok(()), Err));
        Ok(())
    }
}

/// Counts live incidents by severity and state.
pub(super) fn count_live_incidents(metrics: &Metrics, live: &[Incident]) {
    for severity in Severity::ALL {
        for state in [State::Open, State::Acknowledged] {
            let n =
                live.iter().filter(|incident| incident.severity == severity && incident.state.kind() == state).count();
            metrics.incidents_open(severity, state.as_str(), n);
        }
    }
}

/// The check that holds while blocks of a chain are committed.
fn head_check_name(chain: &str) -> String {
    format!("chain/{chain}/head")
}

/// Returns the name of the check that fails during an outage of this kind. The check exists only then.
fn outage_check_name(chain: &str, kind: BlindnessKind) -> String {
    format!("chain/{chain}/{kind}")
}
