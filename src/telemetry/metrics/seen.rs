//! Metrics of the input: chains, their endpoints, and the judging of blocks.

use super::{Metrics, OTHERS, PHASES, REFUSALS, Underway, WATCHES_MAX};
use crate::model::Severity;
use alloy_primitives::B256;
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// Metrics of a chain and of its source's view of it.
impl Metrics {
    /// Records the newest block reported by any endpoint. `time_s` is the block's own time, Unix seconds.
    pub fn record_head(&self, chain: &str, number: u64, time_s: u64) {
        self.0.chain.head.with_labels([chain]).set(number as f64);
        self.0.chain.head_time.with_labels([chain]).set(time_s as f64);
    }

    /// Records the newest block that was judged and committed; this step had `n_blocks` of them.
    pub fn record_processed_block(&self, chain: &str, number: u64, time_s: u64, n_blocks: usize) {
        self.0.chain.processed.with_labels([chain]).set(number as f64);
        self.0.chain.processed_time.with_labels([chain]).set(time_s as f64);
        self.0.chain.blocks.with_labels([chain]).inc_by(n_blocks as u64);
    }

    /// Records the newest safe block.
    pub fn record_safe_block(&self, chain: &str, number: u64) {
        self.0.chain.safe.with_labels([chain]).set(number as f64);
    }

    /// Records the newest finalized block.
    pub fn record_finalized_block(&self, chain: &str, number: u64) {
        self.0.chain.finalized.with_labels([chain]).set(number as f64);
    }

    /// Records how far the newest block's time is ahead of our clock; zero if it is not ahead.
    pub fn clock_skew(&self, chain: &str, ahead: Duration) {
        self.0.chain.skew.with_labels([chain]).set(ahead.as_secs_f64());
    }

    /// Records the phase of the source: one of [`PHASES`].
    pub fn record_phase(&self, chain: &str, phase: &str) {
        debug_assert!(PHASES.contains(&phase), "`{phase}` is no phase");
        for known in PHASES {
            self.0.chain.phase.with_labels([chain, known]).set(f64::from(u8::from(known == phase)));
        }
    }

    /// Records a reorg that undid `depth` blocks.
    pub fn record_reorg(&self, chain: &str, depth: usize) {
        self.0.chain.reorgs.with_labels([chain]).inc();
        self.0.chain.depth.with_labels([chain]).observe(depth as f64);
    }

    /// Counts a block of this endpoint that was rejected. `reason` is one of [`REFUSALS`].
    pub fn record_refused_block(&self, chain: &str, endpoint: &str, reason: &'static str) {
        debug_assert!(REFUSALS.contains(&reason), "`{reason}` is no reason");
        self.0.chain.refused.with_labels([chain, endpoint, reason]).inc();
    }

    /// Counts a block that was judged without being verified.
    pub fn record_unverified_block(&self, chain: &str) {
        self.0.chain.unverified.with_labels([chain]).inc();
    }

    /// Records that a kind of outage began or ended. `kind` is one of a few fixed words.
    pub fn record_outage(&self, chain: &str, kind: &'static str, blind: bool) {
        self.0.chain.blind.with_labels([chain, kind]).set(f64::from(u8::from(blind)));
        let mut all = self.0.blind.lock().unwrap_or_else(PoisonError::into_inner);
        let known = (chain.to_owned(), kind.to_owned());
        if blind {
            all.insert(known)
        } else {
            all.remove(&known)
        };
    }

    /// Adds `time` to the outage duration of every chain that has an outage now.
    pub fn record_elapsed_time(&self, time: Duration) {
        let all = self.0.blind.lock().unwrap_or_else(PoisonError::into_inner);
        let chains: BTreeSet<&str> = all.iter().map(|(chain, _)| &**chain).collect();
        for chain in chains {
            self.0.chain.blind_seconds.with_labels([chain]).inc_by(time.as_secs_f64());
        }
    }
}

/// Metrics of endpoints and requests to them.
impl Metrics {
    /// Records a completed request. `method` is the RPC method's name, `outcome` one of [`OUTCOMES`](super::OUTCOMES).
    pub fn record_rpc_request(
        &self,
        chain: &str,
        endpoint: &str,
        method: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        self.0.rpc.requests.with_labels([chain, endpoint, method, outcome]).inc();
        self.0.rpc.seconds.with_labels([chain, endpoint, method]).observe(took.as_secs_f64());
    }

    /// Counts a request that was also sent to a second endpoint, because the first took long.
    pub fn record_hedged_request(&self, chain: &str) {
        self.0.rpc.hedged.with_labels([chain]).inc();
    }

    /// Counts a case where endpoints reported different blocks at one height.
    pub fn record_disagreement(&self, chain: &str) {
        self.0.rpc.disagreement.with_labels([chain]).inc();
    }

    /// Records whether the endpoint answers.
    pub fn endpoint_up(&self, chain: &str, endpoint: &str, up: bool) {
        self.0.endpoint.up.with_labels([chain, endpoint]).set(f64::from(u8::from(up)));
    }

    /// Records the number of blocks by which the endpoint is behind the newest block that any endpoint named.
    pub fn endpoint_lag(&self, chain: &str, endpoint: &str, blocks: u64) {
        self.0.endpoint.lag.with_labels([chain, endpoint]).set(blocks as f64);
    }

    /// Records whether the endpoint is quarantined, so that all its responses are rejected.
    pub fn endpoint_quarantined(&self, chain: &str, endpoint: &str, quarantined: bool) {
        self.0.endpoint.quarantined.with_labels([chain, endpoint]).set(f64::from(u8::from(quarantined)));
    }

    /// Counts a response of the endpoint that cannot be true.
    pub fn endpoint_strike(&self, chain: &str, endpoint: &str) {
        self.0.endpoint.strikes.with_labels([chain, endpoint]).inc();
    }

    /// Records whether the endpoint has this ability. `ability` is one of a few words.
    pub fn endpoint_ability(&self, chain: &str, endpoint: &str, ability: &'static str, able: bool) {
        self.0.endpoint.ability.with_labels([chain, endpoint, ability]).set(f64::from(u8::from(able)));
    }
}

/// Metrics of queues: each has a capacity, and the metrics show how full it is.
impl Metrics {
    /// Records the length of a queue and its maximum length. `chain` is empty for a queue that all chains share.
    pub fn record_queue_depth(&self, chain: &str, queue: &'static str, length: usize, room: usize) {
        self.0.queue.length.with_labels([chain, queue]).set(length as f64);
        self.0.queue.room.with_labels([chain, queue]).set(room as f64);
        self.0.queue.dropped.with_labels([chain, queue]);
    }

    /// Records the total number of items dropped from a full queue since the start.
    pub fn record_dropped(&self, chain: &str, queue: &'static str, in_all: u64) {
        let dropped = self.0.queue.dropped.with_labels([chain, queue]);
        dropped.inc_by(in_all.saturating_sub(dropped.get()));
    }
}

/// Metrics of judging and committing.
impl Metrics {
    /// Counts a judged activity of this watch. A severity marks it as abnormal.
    pub fn record_verdict(&self, watch: &str, severity: Option<Severity>) {
        let verdict = if severity.is_some() { "abnormal" } else { "normal" };
        let labels = [self.watch_label(watch), verdict, severity.map_or("", Severity::as_str)];
        self.0.judging.verdicts.with_labels(labels).inc();
    }

    /// Counts an activity that could not be decoded completely.
    pub fn decode_failure(&self, chain: &str) {
        self.0.judging.decode_failures.with_labels([chain]).inc();
    }

    /// Records the time taken to decode and judge a block, questions to the node included.
    pub fn record_judging_time(&self, chain: &str, took: Duration) {
        self.0.judging.judge.with_labels([chain]).observe(took.as_secs_f64());
    }

    /// Records the time taken to commit a step.
    pub fn record_commit_time(&self, chain: &str, took: Duration) {
        self.0.judging.commit.with_labels([chain]).observe(took.as_secs_f64());
    }

    /// Records when an endpoint reported this block as its newest. Only the first report counts.
    pub fn block_named(&self, hash: B256, now: Instant) {
        self.update_block_timings(|underway| underway.record_named(hash, now));
    }

    /// Records when this block was fetched and checked.
    pub fn block_had(&self, hash: B256, now: Instant) {
        self.update_block_timings(|underway| underway.record_fetched(hash, now));
    }

    /// Records the commit of this block: the time since it was first reported, and the time since it was fetched.
    pub fn block_committed(&self, chain: &str, hash: B256, now: Instant) {
        let took = self.update_block_timings(|underway| underway.record_committed(hash, now));
        let judging = &self.0.judging;
        for (of, took) in [(&judging.head_to_commit, took.from_named), (&judging.block_to_commit, took.from_had)] {
            if let Some(took) = took {
                of.with_labels([chain]).observe(took.as_secs_f64());
            }
        }
    }

    fn update_block_timings<T>(&self, change: impl FnOnce(&mut Underway) -> T) -> T {
        change(&mut self.0.underway.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records the time between a block's own time and its verdicts.
    pub fn record_detection_delay(&self, chain: &str, after: Duration) {
        self.0.judging.detection.with_labels([chain]).observe(after.as_secs_f64());
    }

    /// Returns the label for the watch: its own, unless there are too many watches.
    fn watch_label<'w>(&self, watch: &'w str) -> &'w str {
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
