//! How often a service may be asked: so many times a month, and so many a second.

use std::time::Duration;
use tokio::time::Instant;

/// What providers count by.
const MONTH: Duration = Duration::from_secs(30 * 86_400);
/// Of a month's requests so many may be spent at once after a rest: a day's. A busy afternoon fits, a broken loop does not.
const BURST: u32 = 30;
/// What is kept back of that for looks that are due anyway; looks at a busy queue wait when less is left.
const RESERVE: f64 = 0.2;
/// Requests that one look costs at least: what is trusted, and what is not.
pub(super) const LOOK_COST: f64 = 2.0;

/// A bucket of requests, spent on credit by whoever asks and filled again as the month goes by.
#[derive(Clone, Debug)]
pub struct Budget {
    per_month: f64,
    left: f64,
    at: Instant,
    gap: Duration,
    next: Instant,
    paused: Option<Instant>,
}

impl Budget {
    /// A full one.
    #[must_use]
    pub fn new(per_month: u32, per_second: u32, now: Instant) -> Self {
        let per_month = f64::from(per_month.max(1));
        let gap = Duration::from_secs(1) / per_second.max(1);
        Self { per_month, left: Self::room(per_month), at: now, gap, next: now, paused: None }
    }

    fn room(per_month: f64) -> f64 {
        (per_month / f64::from(BURST)).max(10.0 * LOOK_COST)
    }

    /// How many requests are left to be spent at once.
    #[must_use]
    pub fn left(&self, now: Instant) -> f64 {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.per_month / MONTH.as_secs_f64();
        (self.left + earned).min(Self::room(self.per_month))
    }

    /// When the next request may be sent, as far as seconds and a pause that was asked for go.
    #[must_use]
    pub fn ready_at(&self) -> Instant {
        self.paused.map_or(self.next, |until| until.max(self.next))
    }

    /// Whether a look may begin. One at a busy queue leaves something for the others.
    #[must_use]
    pub fn allows(&self, busy: bool, now: Instant) -> bool {
        let kept = if busy { RESERVE * Self::room(self.per_month) } else { 0.0 };
        now >= self.ready_at() && self.left(now) >= LOOK_COST + kept
    }

    /// A request was sent.
    pub fn spend(&mut self, now: Instant) {
        self.left = self.left(now) - 1.0;
        self.at = now;
        self.next = self.next.max(now) + self.gap;
    }

    /// The service asked for a pause, or said that nothing is left until then.
    pub fn pause(&mut self, until: Instant) {
        self.paused = self.paused.max(Some(until));
    }

    /// As [`sustains`], of this quota.
    #[must_use]
    pub fn sustains(&self, queues: usize) -> Duration {
        sustained(self.per_month, queues)
    }
}

/// Time between two looks at each of so many queues in which nothing happens, if so many requests a month are to leave something for
/// busy ones.
#[must_use]
pub fn sustains(requests_per_month: u32, queues: usize) -> Duration {
    sustained(f64::from(requests_per_month), queues)
}

fn sustained(per_month: f64, queues: usize) -> Duration {
    let looks = per_month / LOOK_COST * (1.0 - RESERVE);
    Duration::from_secs_f64((MONTH.as_secs_f64() * queues as f64 / looks.max(1.0)).ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_s_worth_is_spent_at_once_and_then_as_the_month_goes_by() {
        let now = crate::runtime::instant();
        let mut budget = Budget::new(3_000, 1_000, now);
        for _ in 0..99 {
            assert!(budget.allows(false, now + Duration::from_secs(1)));
            budget.spend(now);
        }
        assert!(!budget.allows(false, now + Duration::from_secs(1)), "{}", budget.left(now));
        // 3,000 a month are one in 14 minutes and 24 seconds.
        assert!(budget.allows(false, now + Duration::from_secs(864 + 1)));
    }

    #[test]
    fn busy_queues_leave_something_for_the_others() {
        let now = crate::runtime::instant();
        let mut budget = Budget::new(3_000, 1_000, now);
        (0..80).for_each(|_| budget.spend(now));
        let soon = now + Duration::from_secs(1);
        assert!(!budget.allows(true, soon) && budget.allows(false, soon));
    }

    #[test]
    fn a_pause_is_kept_and_seconds_are() {
        let now = crate::runtime::instant();
        let mut budget = Budget::new(100_000, 2, now);
        budget.spend(now);
        assert_eq!(budget.ready_at(), now + Duration::from_millis(500));
        budget.pause(now + Duration::from_secs(60));
        budget.pause(now + Duration::from_secs(10));
        assert!(
            !budget.allows(false, now + Duration::from_secs(59)) && budget.allows(false, now + Duration::from_secs(60))
        );
    }

    #[test]
    fn five_thousand_a_month_sustain_a_look_every_twenty_two_minutes() {
        let budget = Budget::new(5_000, 2, crate::runtime::instant());
        assert_eq!(budget.sustains(1).as_secs(), 1_296);
        assert_eq!(budget.sustains(10).as_secs(), 12_960);
    }
}
