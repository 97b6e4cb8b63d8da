//! When each queue is looked at next: often while something happens in it or on chain, seldom otherwise, within the budget.

use super::budget::Budget;
use crate::runtime::Backoff;
use alloy_primitives::Address;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long after something happened a queue is looked at often: owners gather signatures within the hour.
const HOT_FOR: Duration = Duration::from_secs(30 * 60);
/// Waits after looks that failed.
const RETRY: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));

/// The queues of one service.
#[derive(Clone, Debug)]
pub struct Schedule {
    hot: Duration,
    cold: Duration,
    queues: BTreeMap<Address, Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    due: Instant,
    hot_until: Option<Instant>,
    failures: u32,
    seen: Instant,
}

impl Schedule {
    /// All of `safes` at once, and then each in its own time.
    #[must_use]
    pub fn new(
        safes: impl Iterator<Item = Address>,
        hot: Duration,
        cold: Duration,
        budget: &Budget,
        now: Instant,
    ) -> Self {
        let turn = Turn { due: now, hot_until: None, failures: 0, seen: now };
        let queues: BTreeMap<_, _> = safes.map(|safe| (safe, turn)).collect();
        let cold = cold.max(budget.sustains(queues.len()));
        Self { hot: hot.min(cold), cold, queues }
    }

    /// Time between two looks at a quiet queue: what was asked for, or more where the quota does not allow that.
    #[must_use]
    pub fn cold(&self) -> Duration {
        self.cold
    }

    /// The queue that has waited longest of those that are due and that the budget allows.
    #[must_use]
    pub fn due(&self, budget: &Budget, now: Instant) -> Option<Address> {
        let due = self.queues.iter().filter(|(_, turn)| turn.due <= now && budget.allows(self.is_busy(turn, now), now));
        due.min_by_key(|(_, turn)| turn.due).map(|(safe, _)| *safe)
    }

    /// A busy queue that has been waiting for as long as a quiet one would is looked at like one.
    fn is_busy(&self, turn: &Turn, now: Instant) -> bool {
        turn.hot_until.is_some_and(|until| now < until) && now < turn.seen + self.cold
    }

    /// Something happened to these on chain.
    pub fn stirred(&mut self, safes: &[Address], now: Instant) {
        for safe in safes {
            if let Some(turn) = self.queues.get_mut(safe) {
                turn.hot_until = Some(now + HOT_FOR);
                // One that fails is tried again in its own time.
                if turn.failures == 0 {
                    turn.due = turn.due.min(turn.seen + self.hot);
                }
            }
        }
    }

    /// The queue was looked at, and something in it had changed or is still unclear.
    pub fn looked(&mut self, safe: Address, changed: bool, now: Instant) {
        let (hot, cold) = (self.hot, self.cold);
        let Some(turn) = self.queues.get_mut(&safe) else { return };
        if changed {
            turn.hot_until = Some(now + HOT_FOR);
        }
        (turn.seen, turn.failures) = (now, 0);
        turn.due = now + if turn.hot_until.is_some_and(|until| now < until) { hot } else { cold };
    }

    /// It could not be looked at.
    pub fn failed(&mut self, safe: Address, now: Instant, rng: &mut fastrand::Rng) {
        let Some(turn) = self.queues.get_mut(&safe) else { return };
        turn.due = now + RETRY.wait(turn.failures, rng);
        turn.failures = turn.failures.saturating_add(1);
    }

    /// How long ago the queue was seen that was not seen for longest.
    #[must_use]
    pub fn oldest(&self, now: Instant) -> Duration {
        self.queues.values().map(|turn| now.saturating_duration_since(turn.seen)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOT: Duration = Duration::from_secs(60);
    const COLD: Duration = Duration::from_secs(900);
    const MONTH: Duration = Duration::from_secs(30 * 86_400);
    const SAFE: Address = Address::with_last_byte(1);

    fn schedule(now: Instant) -> (Schedule, Budget) {
        let budget = Budget::new(1_000_000, 1_000, MONTH, now);
        (Schedule::new([SAFE].into_iter(), HOT, COLD, &budget, now), budget)
    }

    #[test]
    fn a_quiet_queue_is_looked_at_seldom_and_a_busy_one_often_for_a_while() {
        let now = crate::runtime::instant();
        let (mut schedule, budget) = schedule(now);
        assert_eq!(schedule.due(&budget, now), Some(SAFE));
        schedule.looked(SAFE, false, now);
        assert_eq!(schedule.due(&budget, now + COLD - HOT), None);
        assert_eq!(schedule.due(&budget, now + COLD), Some(SAFE));
        schedule.stirred(&[SAFE], now + HOT);
        assert_eq!(schedule.due(&budget, now + HOT), Some(SAFE), "what happens on chain makes it due");
        schedule.looked(SAFE, false, now + HOT);
        assert_eq!(schedule.due(&budget, now + 2 * HOT), Some(SAFE));
        let quiet = now + HOT + HOT_FOR;
        schedule.looked(SAFE, false, quiet);
        assert_eq!(schedule.due(&budget, quiet + HOT), None, "and then it is quiet again");
    }

    #[test]
    fn a_quota_that_is_too_small_stretches_the_looks() {
        let now = crate::runtime::instant();
        let budget = Budget::new(5_000, 2, MONTH, now);
        let safes = (0..10).map(Address::with_last_byte);
        let schedule = Schedule::new(safes, HOT, COLD, &budget, now);
        assert_eq!(schedule.cold().as_secs(), 12_960);
    }

    #[test]
    fn what_fails_is_tried_again_and_never_more_often_than_the_backoff_lets_it() {
        let now = crate::runtime::instant();
        let (mut schedule, budget) = schedule(now);
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..20 {
            schedule.failed(SAFE, now, &mut rng);
            schedule.stirred(&[SAFE], now);
            assert_eq!(schedule.due(&budget, now), None);
        }
        assert_eq!(schedule.due(&budget, now + RETRY.cap), Some(SAFE));
        assert_eq!(schedule.oldest(now + COLD), COLD);
    }
}
