//! The way in: chains, their endpoints, and what is made of blocks.

use super::{Metrics, OTHERS, PHASES, REFUSALS, Underway, WATCHES_MAX};
use crate::model::Severity;
use alloy_primitives::B256;
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

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
    /// A request ended. `method` is the node's word for it, `outcome` one of [`OUTCOMES`](super::OUTCOMES).
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
