//! What is counted and measured: one struct for the whole program, with a method for each thing that happens.
//!
//! Comes in: events from every room above rank 2; the pure rooms return numbers and their callers record them. Goes out: the
//! text that Prometheus scrapes. Never here: a label that the configuration did not name. A transaction, an address or an
//! error would make a new series each time, and a name from the chain would let a stranger fill our memory.
//!
//! Names begin with `watchfire_`, end in their base unit, and in `_total` where they only grow. Whatever is known at start has
//! its series from the start, at zero: an alert that looks for the first increase cannot see it otherwise.

mod series;
mod underway;
mod vector;

use crate::model::{BlindnessKind, Severity};
use alloy_primitives::B256;
use prometheus_client::registry::Registry;
use series::{Chain, Delivery, Endpoint, Incidents, Judging, Queue, Rpc, Services, Signs, Start, Stored};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use underway::Underway;
use vector::Book;

/// What a chain's source can be doing; the words of `watchfire_chain_phase`.
pub const PHASES: [&str; 7] = ["boot", "backfill", "catch-up", "live", "reconcile", "quarantine", "degraded"];

/// How requests to nodes end; the words of `watchfire_rpc_requests_total`.
pub const OUTCOMES: [&str; 4] = ["ok", "error", "timeout", "unreachable"];

/// What is wrong with a block that is refused; the words of `watchfire_blocks_refused_total`.
pub const REFUSALS: [&str; 7] = ["header", "root", "bloom", "transaction", "sender", "state", "nonsense"];

/// How requests to Safe services end; the words of `watchfire_safe_service_requests_total`.
pub const SERVICE_OUTCOMES: [&str; 4] = ["ok", "error", "limited", "nonsense"];

/// Watches with series of their own. The verdicts on any further ones are counted together, so that a watchlist of 100,000
/// does not make as many series here and in Prometheus.
pub const WATCHES_MAX: usize = 1_000;

/// Stands for all watches beyond [`WATCHES_MAX`].
const OTHERS: &str = "(others)";

/// See the module's head. Clones record into the same series.
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
    /// Metrics that nobody recorded anything in.
    #[must_use]
    pub fn new() -> Self {
        let mut book = Book::new();
        let (start, chain) = (Start::register(&mut book), Chain::register(&mut book));
        let (rpc, endpoint, queue) =
            (Rpc::register(&mut book), Endpoint::register(&mut book), Queue::register(&mut book));
        let (judging, incident) = (Judging::register(&mut book), Incidents::register(&mut book));
        let (delivery, store, signs) =
            (Delivery::register(&mut book), Stored::register(&mut book), Signs::register(&mut book));
        let service = Services::register(&mut book);
        let registry = book.close();
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

    /// Everything, as Prometheus reads it: text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        vector::render(&self.0.registry)
    }

    /// Series whose labels are words of ours.
    fn known_words(&self) {
        self.0.start.build.of([env!("CARGO_PKG_VERSION")]).set(1.0);
        for severity in Severity::ALL {
            self.0.incident.opened.of([severity.as_str()]);
        }
    }
}

/// The start of the program.
impl Metrics {
    /// A configuration was read and is in force. `hash` stands for its text, `watches` counts its watches, `now_s` is Unix seconds.
    pub fn configured(&self, hash: &str, watches: usize, now_s: f64) {
        let start = &self.0.start;
        start.config.of([hash]).set(1.0);
        start.config_loaded.set(1.0);
        start.config_loaded_at.set(now_s);
        start.started_at.set(now_s);
        start.watches.set(watches as f64);
    }

    /// A chain of the configuration, with the seconds between its blocks: its series exist from here on.
    pub fn chain(&self, chain: &str, slot_seconds: f64) {
        let (of, labels) = (&self.0.chain, [chain]);
        for level in [&of.head, &of.head_time, &of.processed, &of.processed_time, &of.safe, &of.finalized, &of.skew] {
            level.of(labels);
        }
        of.slot.of(labels).set(slot_seconds);
        self.phase(chain, "boot");
        for count in [&of.blocks, &of.reorgs, &of.unverified] {
            count.of(labels);
        }
        of.depth.of(labels);
        of.blind_seconds.of(labels);
        for kind in BlindnessKind::ALL {
            of.blind.of([chain, kind.name()]);
        }
        self.0.rpc.hedged.of(labels);
        self.0.rpc.disagreement.of(labels);
        let judging = &self.0.judging;
        judging.decode_failures.of(labels);
        let to_commit = [&judging.head_to_commit, &judging.block_to_commit];
        for histogram in [&judging.judge, &judging.detection, &judging.commit].into_iter().chain(to_commit) {
            histogram.of(labels);
        }
    }

    /// An endpoint of a chain: its series exist from here on. It is not up until something says so.
    pub fn endpoint(&self, chain: &str, endpoint: &str) {
        let (of, labels) = (&self.0.endpoint, [chain, endpoint]);
        for level in [&of.up, &of.lag, &of.quarantined] {
            level.of(labels);
        }
        of.strikes.of(labels);
        for reason in REFUSALS {
            self.0.chain.refused.of([chain, endpoint, reason]);
        }
    }

    /// A destination of the configuration: its series exist from here on.
    pub fn destination(&self, destination: &str) {
        let of = &self.0.delivery;
        for level in [&of.failing, &of.pending, &of.oldest] {
            level.of([destination]);
        }
        for outcome in ["sent", "dead"] {
            of.ended.of([destination, outcome]);
        }
        for outcome in ["sent", "retry", "refused"] {
            of.attempts.of([destination, outcome]);
        }
        for histogram in [&of.seconds, &of.page] {
            histogram.of([destination]);
        }
    }

    /// A path of the configuration with so many steps.
    pub fn path(&self, path: &str, n_steps: usize) {
        for step in 1..=n_steps {
            self.0.incident.escalations.of([path, &step.to_string()]);
        }
    }
}

/// A chain and what its source sees of it.
impl Metrics {
    /// The newest block that any endpoint named. `time_s` is its own time, Unix seconds.
    pub fn head(&self, chain: &str, number: u64, time_s: u64) {
        self.0.chain.head.of([chain]).set(number as f64);
        self.0.chain.head_time.of([chain]).set(time_s as f64);
    }

    /// The newest block that was judged and committed, with `n_blocks` of them in this step.
    pub fn processed(&self, chain: &str, number: u64, time_s: u64, n_blocks: usize) {
        self.0.chain.processed.of([chain]).set(number as f64);
        self.0.chain.processed_time.of([chain]).set(time_s as f64);
        self.0.chain.blocks.of([chain]).inc_by(n_blocks as u64);
    }

    /// The newest safe block.
    pub fn safe(&self, chain: &str, number: u64) {
        self.0.chain.safe.of([chain]).set(number as f64);
    }

    /// The newest finalized block.
    pub fn finalized(&self, chain: &str, number: u64) {
        self.0.chain.finalized.of([chain]).set(number as f64);
    }

    /// How far the newest block's time lies ahead of our clock; zero when it does not.
    pub fn clock_skew(&self, chain: &str, ahead: Duration) {
        self.0.chain.skew.of([chain]).set(ahead.as_secs_f64());
    }

    /// What the source is doing: one of [`PHASES`].
    pub fn phase(&self, chain: &str, phase: &str) {
        debug_assert!(PHASES.contains(&phase), "`{phase}` is no phase");
        for known in PHASES {
            self.0.chain.phase.of([chain, known]).set(f64::from(u8::from(known == phase)));
        }
    }

    /// A reorg undid so many blocks.
    pub fn reorg(&self, chain: &str, depth: usize) {
        self.0.chain.reorgs.of([chain]).inc();
        self.0.chain.depth.of([chain]).observe(depth as f64);
    }

    /// A block of this endpoint was refused. `reason` is one of [`REFUSALS`].
    pub fn refused(&self, chain: &str, endpoint: &str, reason: &'static str) {
        debug_assert!(REFUSALS.contains(&reason), "`{reason}` is no reason");
        self.0.chain.refused.of([chain, endpoint, reason]).inc();
    }

    /// A block was judged without being verified.
    pub fn unverified(&self, chain: &str) {
        self.0.chain.unverified.of([chain]).inc();
    }

    /// A kind of blindness began or ended. `kind` is one of a few words.
    pub fn blind(&self, chain: &str, kind: &'static str, blind: bool) {
        self.0.chain.blind.of([chain, kind]).set(f64::from(u8::from(blind)));
        let mut all = self.0.blind.lock().unwrap_or_else(PoisonError::into_inner);
        let known = (chain.to_owned(), kind.to_owned());
        if blind {
            all.insert(known)
        } else {
            all.remove(&known)
        };
    }

    /// So much time has passed: chains that are blind were blind meanwhile.
    pub fn passed(&self, time: Duration) {
        let all = self.0.blind.lock().unwrap_or_else(PoisonError::into_inner);
        let chains: BTreeSet<&str> = all.iter().map(|(chain, _)| &**chain).collect();
        for chain in chains {
            self.0.chain.blind_seconds.of([chain]).inc_by(time.as_secs_f64());
        }
    }
}

/// Endpoints and requests to them.
impl Metrics {
    /// A request ended. `method` is the node's word for it, `outcome` one of [`OUTCOMES`].
    pub fn rpc(&self, chain: &str, endpoint: &str, method: &'static str, outcome: &'static str, took: Duration) {
        self.0.rpc.requests.of([chain, endpoint, method, outcome]).inc();
        self.0.rpc.seconds.of([chain, endpoint, method]).observe(took.as_secs_f64());
    }

    /// A request was sent to a second endpoint, since the first took long.
    pub fn hedged(&self, chain: &str) {
        self.0.rpc.hedged.of([chain]).inc();
    }

    /// Endpoints named different blocks at one height.
    pub fn disagreement(&self, chain: &str) {
        self.0.rpc.disagreement.of([chain]).inc();
    }

    /// Whether the endpoint answers.
    pub fn endpoint_up(&self, chain: &str, endpoint: &str, up: bool) {
        self.0.endpoint.up.of([chain, endpoint]).set(f64::from(u8::from(up)));
    }

    /// How many blocks it is behind the newest that any endpoint named.
    pub fn endpoint_lag(&self, chain: &str, endpoint: &str, blocks: u64) {
        self.0.endpoint.lag.of([chain, endpoint]).set(blocks as f64);
    }

    /// Whether nothing it says is let through.
    pub fn endpoint_quarantined(&self, chain: &str, endpoint: &str, quarantined: bool) {
        self.0.endpoint.quarantined.of([chain, endpoint]).set(f64::from(u8::from(quarantined)));
    }

    /// It said something that cannot be true.
    pub fn endpoint_strike(&self, chain: &str, endpoint: &str) {
        self.0.endpoint.strikes.of([chain, endpoint]).inc();
    }

    /// Whether it can do this. `ability` is one of a few words.
    pub fn endpoint_ability(&self, chain: &str, endpoint: &str, ability: &'static str, able: bool) {
        self.0.endpoint.ability.of([chain, endpoint, ability]).set(f64::from(u8::from(able)));
    }
}

/// Queues: each has a bound, and shows how near to it it is.
impl Metrics {
    /// How many wait in a queue, of how many that may. `chain` is empty for a queue that all chains share.
    pub fn queue(&self, chain: &str, queue: &'static str, length: usize, room: usize) {
        self.0.queue.length.of([chain, queue]).set(length as f64);
        self.0.queue.room.of([chain, queue]).set(room as f64);
        self.0.queue.dropped.of([chain, queue]);
    }

    /// So many were dropped from a full queue since the start.
    pub fn dropped(&self, chain: &str, queue: &'static str, in_all: u64) {
        let dropped = self.0.queue.dropped.of([chain, queue]);
        dropped.inc_by(in_all.saturating_sub(dropped.get()));
    }
}

/// Judging and committing.
impl Metrics {
    /// An activity of this watch was judged. A severity says that it is abnormal.
    pub fn verdict(&self, watch: &str, severity: Option<Severity>) {
        let verdict = if severity.is_some() { "abnormal" } else { "normal" };
        let labels = [self.watch(watch), verdict, severity.map_or("", Severity::as_str)];
        self.0.judging.verdicts.of(labels).inc();
    }

    /// An activity could not be decoded to its last byte.
    pub fn decode_failure(&self, chain: &str) {
        self.0.judging.decode_failures.of([chain]).inc();
    }

    /// A block was decoded and judged in this time, questions to the node included.
    pub fn judged(&self, chain: &str, took: Duration) {
        self.0.judging.judge.of([chain]).observe(took.as_secs_f64());
    }

    /// A step was committed in this time.
    pub fn committed(&self, chain: &str, took: Duration) {
        self.0.judging.commit.of([chain]).observe(took.as_secs_f64());
    }

    /// An endpoint named this block as its newest. Only the first time counts.
    pub fn block_named(&self, hash: B256, now: Instant) {
        self.underway(|underway| underway.named(hash, now));
    }

    /// This block is fetched and checked.
    pub fn block_had(&self, hash: B256, now: Instant) {
        self.underway(|underway| underway.had(hash, now));
    }

    /// This block is committed: the time that it took since it was named, and since it was at hand, is recorded.
    pub fn block_committed(&self, chain: &str, hash: B256, now: Instant) {
        let took = self.underway(|underway| underway.committed(hash, now));
        let judging = &self.0.judging;
        for (of, took) in [(&judging.head_to_commit, took.from_named), (&judging.block_to_commit, took.from_had)] {
            if let Some(took) = took {
                of.of([chain]).observe(took.as_secs_f64());
            }
        }
    }

    fn underway<T>(&self, change: impl FnOnce(&mut Underway) -> T) -> T {
        change(&mut self.0.underway.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The verdicts of a block stand, so long after its block time.
    pub fn detected(&self, chain: &str, after: Duration) {
        self.0.judging.detection.of([chain]).observe(after.as_secs_f64());
    }

    /// The watch as it is labelled: itself, unless there are too many.
    fn watch<'w>(&self, watch: &'w str) -> &'w str {
        let mut known = self.0.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(watch) {
            return watch;
        }
        if known.len() >= WATCHES_MAX {
            return OTHERS;
        }
        known.insert(watch.to_owned());
        watch
    }
}

/// Incidents and messages about them.
impl Metrics {
    /// How many live incidents of this severity are in this state.
    pub fn incidents_open(&self, severity: Severity, state: &'static str, n: usize) {
        self.0.incident.open.of([severity.as_str(), state]).set(n as f64);
    }

    /// An incident opened.
    pub fn incident_opened(&self, severity: Severity) {
        self.0.incident.opened.of([severity.as_str()]).inc();
    }

    /// A step of a path was told, from 1.
    pub fn escalated(&self, path: &str, step: u32) {
        self.0.incident.escalations.of([path, &step.to_string()]).inc();
    }

    /// An attempt at a message ended: `sent`, `retry` or `refused`.
    pub fn attempt(&self, destination: &str, outcome: &'static str, took: Duration) {
        self.0.delivery.attempts.of([destination, outcome]).inc();
        self.0.delivery.seconds.of([destination]).observe(took.as_secs_f64());
    }

    /// A message will not be tried again: `sent` or `dead`.
    pub fn delivered(&self, destination: &str, outcome: &'static str) {
        self.0.delivery.ended.of([destination, outcome]).inc();
    }

    /// A page was accepted, so long after the block it tells of, or after it was written where it tells of none.
    pub fn paged(&self, destination: &str, after: Duration) {
        self.0.delivery.page.of([destination]).observe(after.as_secs_f64());
    }

    /// How many attempts at this destination failed since the last that did not.
    pub fn destination_failing(&self, destination: &str, attempts: u64) {
        self.0.delivery.failing.of([destination]).set(attempts as f64);
    }

    /// How many messages wait for a destination, and how old the oldest is.
    pub fn outbox(&self, destination: &str, messages: u64, oldest: Duration) {
        self.0.delivery.pending.of([destination]).set(messages as f64);
        self.0.delivery.oldest.of([destination]).set(oldest.as_secs_f64());
    }

    /// How many messages were given up and not sent again.
    pub fn dead_letters(&self, n: u64) {
        self.0.delivery.dead.set(n as f64);
    }
}

/// The store.
impl Metrics {
    /// The store could not do a write.
    pub fn store_write_error(&self) {
        self.0.store.write_errors.inc();
    }

    /// Bytes that the store's file system has left for us, and bytes that the store's files take.
    pub fn store_space(&self, free: u64, size: u64) {
        self.0.store.free.set(free as f64);
        self.0.store.size.set(size as f64);
    }
}

/// Services that keep the queues of Safes.
impl Metrics {
    /// A service of a chain: its series exist from here on.
    pub fn service(&self, chain: &str, service: &str) {
        for outcome in SERVICE_OUTCOMES {
            self.0.service.requests.of([chain, service, outcome]);
        }
        for level in [&self.0.service.quota, &self.0.service.seen_at, &self.0.service.queued] {
            level.of([chain, service]);
        }
    }

    /// A request to it ended. `outcome` is one of [`SERVICE_OUTCOMES`].
    pub fn service_request(&self, chain: &str, service: &str, outcome: &'static str) {
        debug_assert!(SERVICE_OUTCOMES.contains(&outcome), "`{outcome}` is no outcome");
        self.0.service.requests.of([chain, service, outcome]).inc();
    }

    /// So many requests may be sent to it at once.
    pub fn service_quota(&self, chain: &str, service: &str, left: f64) {
        self.0.service.quota.of([chain, service]).set(left);
    }

    /// A queue was seen in full, and so many transactions wait in all queues of the service. `now_s` is Unix seconds.
    pub fn queues(&self, chain: &str, service: &str, now_s: f64, waiting: usize) {
        self.0.service.seen_at.of([chain, service]).set(now_s);
        self.0.service.queued.of([chain, service]).set(waiting as f64);
    }
}

/// Checks and heartbeats.
impl Metrics {
    /// Whether a check fails.
    pub fn check(&self, check: &str, fails: bool) {
        self.0.signs.check.of([check]).set(f64::from(u8::from(fails)));
    }

    /// A check is no more.
    pub fn check_removed(&self, check: &str) {
        self.0.signs.check.forget([check]);
    }

    /// A heartbeat of the configuration: its series exist from here on.
    pub fn heartbeat_known(&self, heartbeat: &str, every: Duration) {
        self.0.signs.every.of([heartbeat]).set(every.as_secs_f64());
        self.0.signs.beat_at.of([heartbeat]);
        for outcome in ["ok", "fail", "error"] {
            self.0.signs.beats.of([heartbeat, outcome]);
        }
    }

    /// A heartbeat was sent: `ok` that all is well, `fail` that it is not, `error` that nobody took it.
    pub fn heartbeat(&self, heartbeat: &str, outcome: &'static str, now_s: f64) {
        self.0.signs.beats.of([heartbeat, outcome]).inc();
        if outcome == "ok" {
            self.0.signs.beat_at.of([heartbeat]).set(now_s);
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

    #[test]
    fn counters_are_named_as_they_are_scraped_and_values_are_escaped() {
        let metrics = Metrics::default();
        metrics.rpc("main\"net", "primary", "eth_call", "ok", Duration::from_millis(3));
        metrics.rpc("main\"net", "primary", "eth_call", "ok", Duration::from_millis(3));
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
        metrics.chain("mainnet", 12.0);
        metrics.phase("mainnet", "live");
        let text = metrics.render();
        let holding: Vec<&str> =
            text.lines().filter(|line| line.starts_with("watchfire_chain_phase") && line.ends_with(" 1.0")).collect();
        assert_eq!(holding, ["watchfire_chain_phase{chain=\"mainnet\",phase=\"live\"} 1.0"]);
    }

    #[test]
    fn watches_beyond_the_bound_share_one_series() {
        let metrics = Metrics::default();
        for n in 0..WATCHES_MAX + 50 {
            metrics.verdict(&format!("watch {n}"), Some(Severity::High));
        }
        metrics.verdict("watch 7", None);
        let text = metrics.render();
        let series = text.lines().filter(|line| line.starts_with("watchfire_verdicts_total{")).count();
        assert_eq!(series, WATCHES_MAX + 2);
        let others = "watchfire_verdicts_total{watch=\"(others)\",verdict=\"abnormal\",severity=\"high\"} 50";
        assert!(text.lines().any(|line| line == others), "{text}");
    }

    #[test]
    fn time_counts_as_blind_once_however_many_reasons_there_are() {
        let metrics = Metrics::default();
        metrics.blind("mainnet", "stale-head", true);
        metrics.blind("mainnet", "unreachable", true);
        metrics.passed(Duration::from_secs(2));
        metrics.blind("mainnet", "stale-head", false);
        metrics.passed(Duration::from_secs(1));
        metrics.blind("mainnet", "unreachable", false);
        metrics.passed(Duration::from_secs(4));
        let text = metrics.render();
        assert!(text.contains("watchfire_blind_seconds_total{chain=\"mainnet\"} 3.0\n"), "{text}");
        assert!(text.contains("watchfire_blind{chain=\"mainnet\",kind=\"stale-head\"} 0.0\n"), "{text}");
    }

    #[test]
    fn what_was_dropped_in_all_is_counted_once() {
        let metrics = Metrics::default();
        metrics.dropped("", "answers", 5);
        metrics.dropped("", "answers", 5);
        metrics.dropped("", "answers", 7);
        assert!(metrics.render().contains("watchfire_queue_dropped_total{chain=\"\",queue=\"answers\"} 7\n"));
    }
}
