//! Counters and measurements: one struct for the whole program, with a method for each kind of event.
//!
//! Input: events from every module above rank 2; the pure modules return numbers, which their callers record. Output:
//! the text that Prometheus scrapes. Never here: a label value that is not from the configuration. A transaction, an
//! address or an error would create a new series each time, and a name from the chain would let a stranger exhaust our
//! memory.
//!
//! Names begin with `watchfire_` and end in their base unit, or in `_total` for counters. Series that are known at
//! start exist from the start, at zero: otherwise an alert on the first increase would miss it.

mod family;
mod seen;
mod series;
mod told;
mod underway;

use crate::model::{BlindnessKind, Severity};
use family::MetricsRegistry;
use prometheus_client::registry::Registry;
use series::{Chain, Delivery, Endpoint, Incidents, Judging, Queue, Rpc, Services, Signs, Start, Stored};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use underway::Underway;

/// Phases of a chain's source; label values of `watchfire_chain_phase`.
pub const PHASES: [&str; 7] = ["boot", "backfill", "catch-up", "live", "reconcile", "quarantine", "degraded"];

/// Outcomes of requests to nodes; label values of `watchfire_rpc_requests_total`.
pub const OUTCOMES: [&str; 4] = ["ok", "error", "timeout", "unreachable"];

/// Reasons for refusing a block; label values of `watchfire_blocks_refused_total`.
pub const REFUSALS: [&str; 7] = ["header", "root", "bloom", "transaction", "sender", "state", "nonsense"];

/// Outcomes of requests to Safe services; label values of `watchfire_safe_service_requests_total`.
pub const SERVICE_OUTCOMES: [&str; 5] = ["ok", "error", "limited", "refused", "nonsense"];

/// Maximum number of watches with series of their own. The verdicts on further watches are counted together, so that a
/// watchlist of 100,000 does not create as many series here and in Prometheus.
pub const WATCHES_MAX: usize = 1_000;

/// Label for all watches beyond [`WATCHES_MAX`].
const OTHERS: &str = "(others)";

/// Metrics of the program; see the module documentation. Clones record into the same series.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    start: Start,
    chain: Chain,
    rpc: Rpc,
    endpoint: Endpoint,
    queue: Queue,
    judging: Judging,
    incident: Incidents,
    delivery: Delivery,
    store: Stored,
    service: Services,
    signs: Signs,
    underway: Mutex<Underway>,
    watches: Mutex<BTreeSet<String>>,
    blind: Mutex<BTreeSet<(String, String)>>,
}

impl Metrics {
    /// Creates metrics without any recorded values.
    #[must_use]
    pub fn new() -> Self {
        let mut book = MetricsRegistry::new();
        let (start, chain) = (Start::register(&mut book), Chain::register(&mut book));
        let (rpc, endpoint, queue) =
            (Rpc::register(&mut book), Endpoint::register(&mut book), Queue::register(&mut book));
        let (judging, incident) = (Judging::register(&mut book), Incidents::register(&mut book));
        let (delivery, store, signs) =
            (Delivery::register(&mut book), Stored::register(&mut book), Signs::register(&mut book));
        let service = Services::register(&mut book);
        let registry = book.into_registry();
        let (underway, watches, blind) = Default::default();
        let inner = Inner {
            registry,
            start,
            chain,
            rpc,
            endpoint,
            queue,
            judging,
            incident,
            delivery,
            store,
            service,
            signs,
            underway,
            watches,
            blind,
        };
        let metrics = Self(Arc::new(inner));
        metrics.known_words();
        metrics
    }

    /// Returns all metrics in the Prometheus text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        family::render_prometheus_text(&self.0.registry)
    }

    /// Creates the series whose labels are fixed words.
    fn known_words(&self) {
        self.0.start.build.with_labels([env!("CARGO_PKG_VERSION")]).set(1.0);
        for severity in Severity::ALL {
            self.0.incident.opened.with_labels([severity.as_str()]);
        }
    }
}

/// Metrics of the program's start.
impl Metrics {
    /// Records that a configuration was read and is in use. `hash` identifies its text, `watches` is the number of its
    /// watches, `now_s` is Unix seconds.
    pub fn record_config(&self, hash: &str, watches: usize, now_s: f64) {
        let start = &self.0.start;
        start.config.with_labels([hash]).set(1.0);
        start.config_loaded.set(1.0);
        start.config_loaded_at.set(now_s);
        start.started_at.set(now_s);
        start.watches.set(watches as f64);
    }

    /// Creates the series of a chain in the configuration, and records the seconds between its blocks.
    pub fn register_chain(&self, chain: &str, slot_seconds: f64) {
        let (of, labels) = (&self.0.chain, [chain]);
        for level in [&of.head, &of.head_time, &of.processed, &of.processed_time, &of.safe, &of.finalized, &of.skew] {
            level.with_labels(labels);
        }
        of.slot.with_labels(labels).set(slot_seconds);
        self.record_phase(chain, "boot");
        for count in [&of.blocks, &of.reorgs, &of.unverified] {
            count.with_labels(labels);
        }
        of.depth.with_labels(labels);
        of.blind_seconds.with_labels(labels);
        for kind in BlindnessKind::ALL {
            of.blind.with_labels([chain, kind.name()]);
        }
        self.0.rpc.hedged.with_labels(labels);
        self.0.rpc.disagreement.with_labels(labels);
        let judging = &self.0.judging;
        judging.decode_failures.with_labels(labels);
        let to_commit = [&judging.head_to_commit, &judging.block_to_commit];
        for histogram in [&judging.judge, &judging.detection, &judging.commit].into_iter().chain(to_commit) {
            histogram.with_labels(labels);
        }
    }

    /// Creates the series of a chain's endpoint. It counts as down until it is reported as up.
    pub fn register_endpoint(&self, chain: &str, endpoint: &str) {
        let (of, labels) = (&self.0.endpoint, [chain, endpoint]);
        for level in [&of.up, &of.lag, &of.quarantined] {
            level.with_labels(labels);
        }
        of.strikes.with_labels(labels);
        for reason in REFUSALS {
            self.0.chain.refused.with_labels([chain, endpoint, reason]);
        }
    }

    /// Creates the series of a destination in the configuration.
    pub fn register_destination(&self, destination: &str) {
        let of = &self.0.delivery;
        for level in [&of.failing, &of.pending, &of.oldest] {
            level.with_labels([destination]);
        }
        for outcome in ["sent", "dead"] {
            of.ended.with_labels([destination, outcome]);
        }
        for outcome in ["sent", "retry", "refused"] {
            of.attempts.with_labels([destination, outcome]);
        }
        for histogram in [&of.seconds, &of.page] {
            histogram.with_labels([destination]);
        }
    }

    /// Creates the series of a path in the configuration with `n_steps` steps.
    pub fn register_path(&self, path: &str, n_steps: usize) {
        for step in 1..=n_steps {
            self.0.incident.escalations.with_labels([path, &step.to_string()]);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn counters_are_named_as_they_are_scraped_and_values_are_escaped() {
        let metrics = Metrics::default();
        metrics.record_rpc_request("main\"net", "primary", "eth_call", "ok", Duration::from_millis(3));
        metrics.record_rpc_request("main\"net", "primary", "eth_call", "ok", Duration::from_millis(3));
        let text = metrics.render();
        for line in [
            "# HELP watchfire_rpc_requests_total Requests to nodes.",
            "# TYPE watchfire_rpc_requests_total counter",
            "watchfire_rpc_requests_total{chain=\"main\\\"net\",endpoint=\"primary\",method=\"eth_call\",outcome=\"ok\"} 2",
            "# TYPE watchfire_rpc_request_duration_seconds histogram",
            "# TYPE watchfire_dead_letters gauge",
            "watchfire_store_write_errors_total 0",
        ] {
            assert!(text.lines().any(|written| written == line), "no line `{line}` in\n{text}");
        }
        assert!(!text.contains("# EOF"), "that is no part of the format");
    }

    #[test]
    fn only_one_phase_of_a_chain_holds() {
        let metrics = Metrics::default();
        metrics.register_chain("mainnet", 12.0);
        metrics.record_phase("mainnet", "live");
        let text = metrics.render();
        let holding: Vec<&str> =
            text.lines().filter(|line| line.starts_with("watchfire_chain_phase") && line.ends_with(" 1.0")).collect();
        assert_eq!(holding, ["watchfire_chain_phase{chain=\"mainnet\",phase=\"live\"} 1.0"]);
    }

    #[test]
    fn watches_beyond_the_bound_share_one_series() {
        let metrics = Metrics::default();
        for n in 0..WATCHES_MAX + 50 {
            metrics.record_verdict(&format!("watch {n}"), Some(Severity::High));
        }
        metrics.record_verdict("watch 7", None);
        let text = metrics.render();
        let series = text.lines().filter(|line| line.starts_with("watchfire_verdicts_total{")).count();
        assert_eq!(series, WATCHES_MAX + 2);
        let others = "watchfire_verdicts_total{watch=\"(others)\",verdict=\"abnormal\",severity=\"high\"} 50";
        assert!(text.lines().any(|line| line == others), "{text}");
    }

    #[test]
    fn time_counts_as_blind_once_however_many_reasons_there_are() {
        let metrics = Metrics::default();
        metrics.record_outage("mainnet", "stale-head", true);
        metrics.record_outage("mainnet", "unreachable", true);
        metrics.record_elapsed_time(Duration::from_secs(2));
        metrics.record_outage("mainnet", "stale-head", false);
        metrics.record_elapsed_time(Duration::from_secs(1));
        metrics.record_outage("mainnet", "unreachable", false);
        metrics.record_elapsed_time(Duration::from_secs(4));
        let text = metrics.render();
        assert!(text.contains("watchfire_blind_seconds_total{chain=\"mainnet\"} 3.0\n"), "{text}");
        assert!(text.contains("watchfire_blind{chain=\"mainnet\",kind=\"stale-head\"} 0.0\n"), "{text}");
    }

    #[test]
    fn what_was_dropped_in_all_is_counted_once() {
        let metrics = Metrics::default();
        metrics.record_dropped("", "answers", 5);
        metrics.record_dropped("", "answers", 5);
        metrics.record_dropped("", "answers", 7);
        assert!(metrics.render().contains("watchfire_queue_dropped_total{chain=\"\",queue=\"answers\"} 7\n"));
    }
}
