//! Limits on the number of requests to a service, per month and per second.
//!
//! The remaining requests of a month are spread over its remaining time, independent of earlier spending, so that a
//! month never ends with a period in which no request is allowed. The caller, which has a clock, handles calendar
//! months: this module only knows the time until the month ends.

use std::time::Duration;
use tokio::time::Instant;

/// Length of a month used for planning; the actual start of a month is reported through [`Budget::begin_month`].
const MONTH: Duration = Duration::from_secs(30 * 86_400);
/// Divisor of a month's requests that gives the number available at once after a rest: a day's share. It suffices for a
/// busy afternoon and stops a broken loop.
const BURST: u32 = 30;
/// Share of that burst reserved for polls that are due; polls of busy proposal lists wait when less is left.
const RESERVE: f64 = 0.2;
/// Fraction kept back from looks at queues in which something waits and nothing happens, so that enough is left for
/// active queues.
const RESERVE_OF_WAITING: f64 = 0.35;
/// Fraction kept back from looks after a failure: keeping requests for the time after the recovery matters more than
/// noticing the recovery early.
const RESERVE_OF_RETRY: f64 = 0.5;
/// Maximum period for which a quota reported by a service is assumed to last.
const GRANT_MAX: Duration = Duration::from_secs(31 * 86_400);
/// Minimum number of requests for one look: one for trusted transactions and one for the others.
pub(super) const LOOK_COST: f64 = 2.0;

/// Reason for a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollDecision {
    /// The regular turn of the Safe.
    Due,
    /// The queue is active, and its turn is later.
    Busy,
    /// Transactions wait in the queue, and its turn is later.
    Waiting,
    /// The last look failed, and its turn is later.
    Retry,
}

/// A bucket of requests that may be overdrawn and is refilled as the month passes.
#[derive(Clone, Debug)]
pub struct Budget {
    per_month: f64,
    /// Number of this month's requests that are spent.
    spent: f64,
    /// End of the month, as last reported to the budget.
    ends: Instant,
    left: f64,
    at: Instant,
    gap: Duration,
    next: Instant,
    paused: Option<Instant>,
    /// Number of requests that the service says are left, and the time until which it applies.
    granted: Option<(f64, Instant)>,
}

impl Budget {
    /// Creates a full bucket, for a month that ends after `rest`.
    #[must_use]
    pub fn new(per_month: u32, per_second: u32, rest: Duration, now: Instant) -> Self {
        let per_month = f64::from(per_month.max(1));
        let gap = Duration::from_secs(1) / per_second.max(1);
        let left = burst_size(per_month).min(per_month);
        Self { per_month, spent: 0.0, ends: now + rest, left, at: now, gap, next: now, paused: None, granted: None }
    }

    /// Continues from an earlier process, which spent `spent` requests of this month. `last` is the number of requests
    /// that were available at once, and the time since then.
    pub fn resume_month(&mut self, spent: u64, last: Option<(f64, Duration)>, now: Instant) {
        self.refill_and_expire_grant(now);
        self.spent = spent as f64;
        if let Some((left, ago)) = last.filter(|(left, _)| left.is_finite()) {
            self.left = left.min(burst_size(self.per_month));
            self.left += self.refill_rate(now) * ago.as_secs_f64();
        }
        self.cap_balance();
    }

    /// Begins a month with no requests spent, which ends after `rest`.
    pub fn begin_month(&mut self, rest: Duration, now: Instant) {
        self.refill_and_expire_grant(now);
        (self.spent, self.ends) = (0.0, now + rest);
        // The overdraft of the last month ends with that month.
        self.left = self.left.max(0.0);
        self.cap_balance();
    }

    /// Returns the number of requests that can be spent at once.
    #[must_use]
    pub fn available_requests(&self, now: Instant) -> f64 {
        let mut settled = self.clone();
        settled.refill_and_expire_grant(now);
        settled.left
    }

    /// Returns the number of requests left in the month.
    #[must_use]
    pub fn of_month(&self) -> f64 {
        (self.per_month - self.spent).max(0.0)
    }

    /// Takes over the number of requests that the service reports as left until its own quota is refilled, after
    /// `reset`. They are spread over that time, unless our own limit is lower.
    pub fn apply_service_limit(&mut self, requests: u64, reset: Duration, now: Instant) {
        self.refill_and_expire_grant(now);
        self.granted = Some((requests as f64, now + reset.min(GRANT_MAX)));
        self.cap_balance();
    }

    /// Returns the time from which the next request may be sent, considering the limit per second and any requested
    /// pause.
    #[must_use]
    pub fn ready_at(&self) -> Instant {
        self.paused.map_or(self.next, |until| until.max(self.next))
    }

    /// Returns whether such a poll may begin. A poll before its turn must leave requests for the others.
    #[must_use]
    pub fn allows_poll(&self, look: PollDecision, now: Instant) -> bool {
        let kept = match look {
            PollDecision::Due => 0.0,
            PollDecision::Busy => RESERVE,
            PollDecision::Waiting => RESERVE_OF_WAITING,
            PollDecision::Retry => RESERVE_OF_RETRY,
        };
        now >= self.ready_at() && self.available_requests(now) >= LOOK_COST + kept * burst_size(self.per_month)
    }

    /// Returns true if the month's remaining requests are too few for a poll.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.of_month() < LOOK_COST
    }

    /// Records that a request is sent.
    pub fn spend_request(&mut self, now: Instant) {
        self.refill_and_expire_grant(now);
        (self.left, self.spent) = (self.left - 1.0, self.spent + 1.0);
        if let Some((left, _)) = &mut self.granted {
            *left -= 1.0;
        }
        self.next = self.next.max(now) + self.gap;
    }

    /// Records the number of this month's requests spent by all processes, which may exceed our own count.
    pub fn set_spent_this_month(&mut self, spent: u64) {
        self.spent = self.spent.max(spent as f64);
        self.cap_balance();
    }

    /// Sends nothing before `until`: the service asked for a pause, or reported that its quota is used up until then.
    pub fn pause_until(&mut self, until: Instant) {
        self.paused = self.paused.max(Some(until));
    }

    /// Returns the same as [`sustainable_interval`], for this quota.
    #[must_use]
    pub fn sustainable_interval(&self, queues: usize) -> Duration {
        interval_for_budget(self.per_month, queues)
    }

    /// Returns the number of requests added per second. Together with the requests that can be spent at once, they add
    /// up to all that the month has left, which neither spending nor time changes. Requests that a full bucket could
    /// not take are spread anew.
    fn refill_rate(&self, now: Instant) -> f64 {
        let spread = |requests: f64, until: Instant| {
            let rest = until.saturating_duration_since(now).as_secs_f64();
            (requests - self.left).max(0.0) / rest.max(1.0)
        };
        let ours = spread(self.per_month - self.spent, self.ends);
        self.granted.map_or(ours, |(requests, until)| ours.min(spread(requests, until)))
    }

    fn refill_and_expire_grant(&mut self, now: Instant) {
        if let Some((_, until)) = self.granted.filter(|(_, until)| *until <= now) {
            self.refill_until(until);
            self.granted = None;
        }
        self.refill_until(now);
    }

    fn refill_until(&mut self, now: Instant) {
        let passed = now.min(self.ends).saturating_duration_since(self.at).as_secs_f64();
        self.left += passed * self.refill_rate(self.at);
        self.at = self.at.max(now);
        self.cap_balance();
    }

    fn cap_balance(&mut self) {
        self.left = self.left.min(burst_size(self.per_month)).min(self.per_month - self.spent);
        if let Some((requests, _)) = self.granted {
            self.left = self.left.min(requests);
        }
    }
}

/// Requests that may be spent at once after a rest.
fn burst_size(per_month: f64) -> f64 {
    (per_month / f64::from(BURST)).max(10.0 * LOOK_COST)
}

/// Returns the time between two looks at each of `queues` quiet queues at which `requests_per_month` requests still
/// leave a reserve for active queues.
#[must_use]
pub fn sustainable_interval(requests_per_month: u32, queues: usize) -> Duration {
    interval_for_budget(f64::from(requests_per_month), queues)
}

/// Returns the number of requests that `queues` quiet queues take in a month, with one look at each in every `cold`.
#[must_use]
pub fn monthly_requests(queues: usize, cold: Duration) -> u64 {
    (MONTH.as_secs_f64() / cold.as_secs_f64().max(1e-3) * LOOK_COST * queues as f64).ceil() as u64
}

fn interval_for_budget(per_month: f64, queues: usize) -> Duration {
    let looks = per_month / LOOK_COST * (1.0 - RESERVE);
    Duration::from_secs_f64((MONTH.as_secs_f64() * queues as f64 / looks.max(1.0)).ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn full(per_month: u32, now: Instant) -> Budget {
        Budget::new(per_month, 1_000, MONTH, now)
    }

    /// Spends all requests that are allowed now.
    fn drain(budget: &mut Budget, now: Instant) -> usize {
        let mut n = 0;
        while budget.available_requests(now) >= 1.0 {
            budget.spend_request(now);
            n += 1;
        }
        n
    }

    #[test]
    fn a_day_s_worth_is_spent_at_once_and_then_as_the_month_goes_by() {
        let now = crate::runtime::monotonic_now();
        let mut budget = full(3_000, now);
        for _ in 0..99 {
            assert!(budget.allows_poll(PollDecision::Due, now + Duration::from_secs(1)));
            budget.spend_request(now);
        }
        assert!(
            !budget.allows_poll(PollDecision::Due, now + Duration::from_secs(1)),
            "{}",
            budget.available_requests(now)
        );
        // 2,900 requests in the rest of the month allow one in 14 minutes and 54 seconds.
        assert!(!budget.allows_poll(PollDecision::Due, now + Duration::from_secs(893)));
        assert!(budget.allows_poll(PollDecision::Due, now + Duration::from_secs(894)));
    }

    #[test]
    fn whoever_spends_all_he_may_spends_the_month_and_not_one_more_and_has_something_every_day() {
        for (per_month, days) in [(3_000, 31), (3_000, 28), (50_000, 30), (10, 31)] {
            let mut now = crate::runtime::monotonic_now();
            let mut budget = Budget::new(per_month, 1_000, DAY * days, now);
            for month in 0..3 {
                let mut spent = 0;
                for day in 0..days {
                    let today = drain(&mut budget, now);
                    assert!(per_month < 100 || today > 0, "{per_month} a month: nothing on day {day} of month {month}");
                    spent += today;
                    now += DAY;
                }
                // Requests earned in the last days may be left over.
                let kept = 2 * burst_size(f64::from(per_month)) as usize;
                assert!(spent <= per_month as usize && spent + kept >= per_month as usize, "{spent} of {per_month}");
                budget.begin_month(DAY * days, now);
            }
        }
    }

    #[test]
    fn what_a_rest_left_over_is_spread_over_the_remaining_days() {
        let now = crate::runtime::monotonic_now();
        let mut budget = full(3_000, now);
        let later = now + DAY * 15;
        drain(&mut budget, later);
        // Only a day's share was spent in half a month, so the other half may have almost twice as much.
        let per_day = budget.refill_rate(later) * DAY.as_secs_f64();
        assert!(per_day > 190.0 && per_day < 195.0, "{per_day}");
    }

    #[test]
    fn a_restart_finds_what_was_spent_and_no_full_bucket() {
        let now = crate::runtime::monotonic_now();
        let mut before = full(3_000, now);
        drain(&mut before, now);
        let mut after = full(3_000, now);
        after.resume_month(100, Some((before.available_requests(now), Duration::ZERO)), now);
        assert_eq!((after.available_requests(now), after.of_month()), (before.available_requests(now), 2_900.0));
        after.resume_month(100, Some((0.0, DAY)), now);
        assert!(
            after.available_requests(now) > 90.0 && after.available_requests(now) <= 100.0,
            "what was earned meanwhile: {}",
            after.available_requests(now)
        );
        after.resume_month(2_999, Some((50.0, Duration::ZERO)), now);
        assert!(after.is_used_up() && !after.allows_poll(PollDecision::Due, now + DAY));
        after.resume_month(7_000, Some((f64::NAN, Duration::ZERO)), now);
        assert!(
            after.is_used_up() && !after.allows_poll(PollDecision::Due, now + DAY),
            "what is unlike any number of ours is none"
        );
        after.begin_month(MONTH, now + DAY);
        assert!(after.allows_poll(PollDecision::Due, now + 2 * DAY) && after.of_month() == 3_000.0);
    }

    #[test]
    fn what_others_spend_of_the_same_month_is_not_spent_again() {
        let now = crate::runtime::monotonic_now();
        let mut budget = full(3_000, now);
        budget.spend_request(now);
        budget.set_spent_this_month(2_999);
        assert!(budget.is_used_up() && !budget.allows_poll(PollDecision::Due, now + DAY));
    }

    #[test]
    fn what_a_service_says_is_left_is_spread_until_its_reset_and_then_forgotten() {
        let now = crate::runtime::monotonic_now();
        let mut budget = full(3_000_000, now);
        budget.apply_service_limit(10, DAY, now);
        assert_eq!(drain(&mut budget, now), 10);
        assert_eq!(drain(&mut budget, now + DAY / 2), 0, "nothing of it is left");
        budget.apply_service_limit(500, DAY, now + DAY / 2);
        let mut spent = 0;
        for hour in 12..36 {
            spent += drain(&mut budget, now + DAY / 24 * hour);
        }
        assert!(spent > 450 && spent <= 500, "{spent}");
        assert!(drain(&mut budget, now + 2 * DAY) > 10_000, "it is filled again");
        // A grant never raises our own limit.
        let mut small = full(3_000, now);
        small.apply_service_limit(1_000_000, DAY, now);
        assert_eq!(drain(&mut small, now), 100);
    }

    #[test]
    fn busy_queues_leave_something_for_the_others() {
        let now = crate::runtime::monotonic_now();
        let mut budget = full(3_000, now);
        (0..80).for_each(|_| budget.spend_request(now));
        let soon = now + Duration::from_secs(1);
        assert!(!budget.allows_poll(PollDecision::Busy, soon) && budget.allows_poll(PollDecision::Due, soon));
        let mut budget = full(3_000, now);
        (0..50).for_each(|_| budget.spend_request(now));
        assert!(!budget.allows_poll(PollDecision::Retry, soon) && budget.allows_poll(PollDecision::Busy, soon));
    }

    #[test]
    fn a_pause_is_kept_and_seconds_are() {
        let now = crate::runtime::monotonic_now();
        let mut budget = Budget::new(100_000, 2, MONTH, now);
        budget.spend_request(now);
        assert_eq!(budget.ready_at(), now + Duration::from_millis(500));
        budget.pause_until(now + Duration::from_secs(60));
        budget.pause_until(now + Duration::from_secs(10));
        assert!(
            !budget.allows_poll(PollDecision::Due, now + Duration::from_secs(59))
                && budget.allows_poll(PollDecision::Due, now + Duration::from_secs(60))
        );
    }

    #[test]
    fn five_thousand_a_month_sustain_a_look_every_twenty_two_minutes() {
        let budget = full(5_000, crate::runtime::monotonic_now());
        assert_eq!(budget.sustainable_interval(1).as_secs(), 1_296);
        assert_eq!(budget.sustainable_interval(10).as_secs(), 12_960);
        assert_eq!(monthly_requests(1, Duration::from_secs(900)), 5_760, "a quarter of an hour is too often for that");
        assert_eq!(
            (monthly_requests(40, Duration::from_secs(900)), monthly_requests(0, Duration::from_secs(900))),
            (230_400, 0)
        );
    }
}
