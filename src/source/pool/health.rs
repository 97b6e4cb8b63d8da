//! Health of an endpoint, derived from the outcome of its requests.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Number of response times remembered for each kind of work, to find the slowest of twenty.
const TIMES_MAX: usize = 64;
/// Failures in a row after which an endpoint counts as down.
const FAILURES_DOWN: u32 = 3;
/// Time during which an endpoint that gave a false answer is asked only if no other can answer.
pub const QUARANTINE: Duration = Duration::from_secs(600);
/// Number of malformed answers that are tolerated, because a node that does not have a block yet sends them too. One
/// more, each within [`PATIENCE`] of the one before, counts as a lie.
const SLIPS_MAX: u32 = 3;
/// Malformed answers within this time count as one: the same request is repeated within moments.
const SLIP: Duration = Duration::from_secs(2);
/// Time during which a nonsensical answer counts against an endpoint.
const PATIENCE: Duration = Duration::from_secs(60);
/// Wait for an answer before another endpoint is asked as well, while there are too few measurements.
const HEDGE_FIRST: Duration = Duration::from_secs(1);
/// Shortest wait before another endpoint is asked as well.
const HEDGE_LEAST: Duration = Duration::from_millis(50);

/// Kind of request, by its cost to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A head, a header, a tag.
    Head,
    /// A block with its receipts.
    Block,
    /// A read of state.
    Call,
    /// A trace: the node runs a block again.
    Trace,
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct Health {
    times: [VecDeque<Duration>; 4],
    /// Share of requests that failed lately, 0 to 1.
    errors: f64,
    failures_in_a_row: u32,
    worked_at: Option<Instant>,
    slips: u32,
    slipped_at: Option<Instant>,
    quarantined_until: Option<Instant>,
    strikes: u64,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            times: Default::default(),
            errors: 0.0,
            failures_in_a_row: 0,
            worked_at: None,
            slips: 0,
            slipped_at: None,
            quarantined_until: None,
            strikes: 0,
        }
    }

    pub(super) fn record_success(&mut self, work: Work, took: Duration, now: Instant) {
        self.worked_at = Some(now);
        let times = &mut self.times[work as usize];
        if times.len() == TIMES_MAX {
            times.pop_front();
        }
        times.push_back(took);
        self.failures_in_a_row = 0;
        self.errors *= 0.9;
    }

    pub(super) fn record_failure(&mut self) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.errors = self.errors * 0.9 + 0.1;
    }

    /// Records a nonsensical answer. Returns true if that was one too many.
    pub(super) fn record_malformed_response(&mut self, now: Instant) -> bool {
        let since = self.slipped_at.map(|at| now.duration_since(at));
        if since.is_some_and(|since| since < SLIP) {
            return false;
        }
        if since.is_none_or(|since| since > PATIENCE) {
            self.slips = 0;
        }
        self.slips += 1;
        self.slipped_at = Some(now);
        let lies = self.slips > SLIPS_MAX;
        if lies {
            self.start_quarantine(now);
        }
        lies
    }

    /// Quarantines the endpoint for an answer that is proven wrong.
    pub(super) fn start_quarantine(&mut self, now: Instant) {
        self.quarantined_until = Some(now + QUARANTINE);
        self.strikes += 1;
        self.slips = 0;
    }

    /// Returns the end of the quarantine. Until then the endpoint is asked only when no other endpoint can answer.
    #[must_use]
    pub fn quarantined_until(&self, now: Instant) -> Option<Instant> {
        self.quarantined_until.filter(|until| *until > now)
    }

    /// Returns whether the endpoint failed several times in a row.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.failures_in_a_row >= FAILURES_DOWN
    }

    /// Returns whether the endpoint went down within the last `time`, and may therefore be back soon.
    #[must_use]
    pub fn went_down_within(&self, time: Duration, now: Instant) -> bool {
        self.is_down() && self.worked_at.is_some_and(|at| now.duration_since(at) < time)
    }

    /// Returns whether the endpoint has answered any request after `since`.
    #[must_use]
    pub fn worked_since(&self, since: Instant) -> bool {
        self.worked_at.is_some_and(|at| at > since)
    }

    /// Returns the number of times that the endpoint was caught with a false answer.
    #[must_use]
    pub fn strike_count(&self) -> u64 {
        self.strikes
    }

    /// Returns the time within which nineteen of twenty answers came; a slower request is sent to another endpoint too.
    #[must_use]
    pub fn hedge_after(&self, work: Work) -> Duration {
        let times = &self.times[work as usize];
        if times.len() < 8 {
            return HEDGE_FIRST;
        }
        let mut sorted: Vec<Duration> = times.iter().copied().collect();
        sorted.sort_unstable();
        sorted[(sorted.len() * 95 / 100).min(sorted.len() - 1)].max(HEDGE_LEAST)
    }

    /// Returns the sort key, best first: trust, availability, error rate in tenths, and response time in powers of two,
    /// so that a small difference does not move requests back and forth.
    #[must_use]
    pub fn rank_key(&self, work: Work, now: Instant) -> (bool, bool, u32, u32) {
        let times = &self.times[work as usize];
        let n = u32::try_from(times.len()).unwrap_or(u32::MAX).max(1);
        let mean = times.iter().sum::<Duration>() / n;
        let errors = if self.errors < 0.05 { 0 } else { (self.errors * 10.0) as u32 + 1 };
        let millis = u64::try_from(mean.as_millis()).unwrap_or(u64::MAX);
        (self.quarantined_until(now).is_some(), self.is_down(), errors, u64::BITS - (millis / 25).leading_zeros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hedge_waits_as_long_as_nineteen_of_twenty_answers_take() {
        let mut health = Health::new();
        assert_eq!(health.hedge_after(Work::Block), HEDGE_FIRST);
        for n in 1..=20 {
            health.record_success(Work::Block, Duration::from_millis(100 * n), crate::runtime::monotonic_now());
        }
        assert_eq!(health.hedge_after(Work::Block), Duration::from_secs(2));
        assert_eq!(health.hedge_after(Work::Head), HEDGE_FIRST, "each kind of work for itself");
        for _ in 0..64 {
            health.record_success(Work::Block, Duration::from_millis(1), crate::runtime::monotonic_now());
        }
        assert_eq!(health.hedge_after(Work::Block), HEDGE_LEAST);
    }

    #[test]
    fn trust_comes_before_life_and_life_before_speed() {
        let now = crate::runtime::monotonic_now();
        let (mut quick, mut slow) = (Health::new(), Health::new());
        quick.record_success(Work::Block, Duration::from_millis(10), crate::runtime::monotonic_now());
        slow.record_success(Work::Block, Duration::from_secs(2), crate::runtime::monotonic_now());
        assert!(quick.rank_key(Work::Block, now) < slow.rank_key(Work::Block, now));
        for _ in 0..FAILURES_DOWN {
            quick.record_failure();
        }
        assert!(slow.rank_key(Work::Block, now) < quick.rank_key(Work::Block, now), "quick is down");
        slow.start_quarantine(now);
        assert!(quick.rank_key(Work::Block, now) < slow.rank_key(Work::Block, now), "slow lied");
        let later = now + QUARANTINE;
        assert!(slow.rank_key(Work::Block, later) < quick.rank_key(Work::Block, later), "slow has served its time");
    }

    #[test]
    fn answers_without_sense_are_forgiven_until_they_come_in_a_row() {
        let now = crate::runtime::monotonic_now();
        let mut health = Health::new();
        for n in 0..10 {
            assert!(
                !health.record_malformed_response(now + (PATIENCE + Duration::from_secs(1)) * n),
                "one a minute is a lagging node"
            );
        }
        let now = now + PATIENCE * 100;
        let verdicts: Vec<bool> = (0..=SLIPS_MAX)
            .map(|n| {
                health.record_malformed_response(now + SLIP * n)
                    | health.record_malformed_response(now + SLIP * n + SLIP / 2)
            })
            .collect();
        assert_eq!(verdicts, [false, false, false, true]);
        assert!(health.quarantined_until(now + SLIP * SLIPS_MAX).is_some());
    }
}
