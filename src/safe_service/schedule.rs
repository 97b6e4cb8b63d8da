//! Schedule of the next poll of each Safe's proposals: frequent while something happens in them or on chain, less
//! frequent while proposals are only pending, rare otherwise, within the budget.
//!
//! Each queue has its turn, as often as the quota sustains for all queues. Further looks, because of activity or after
//! a failure, are paid from the surplus. Therefore no queue starves, independent of the activity and failures of the
//! others.

use super::budget::{Budget, PollDecision};
use crate::runtime::Backoff;
use alloy_primitives::Address;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Time after an event during which proposals are polled often: owners gather signatures within the hour.
const HOT_FOR: Duration = Duration::from_secs(30 * 60);
/// Delays after failed looks.
const RETRY: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));

/// The queues of one service.
#[derive(Clone, Debug)]
pub struct Schedule {
    hot: Duration,
    cold: Duration,
    queues: BTreeMap<Address, QueueTurn>,
    /// Number of looks that failed since the last success, at any queue, and the time before which none is tried.
    failures: u32,
    resumes: Instant,
}

#[derive(Clone, Copy, Debug)]
struct QueueTurn {
    due: Instant,
    hot_until: Option<Instant>,
    /// True if any proposal is pending.
    waits: bool,
    failures: u32,
    seen: Instant,
    /// Time of the next regular poll, made however quiet the Safe is; absent, meaning at once, until the first try.
    turn_at: Option<Instant>,
}

impl Schedule {
    /// Schedules all of `safes` immediately, and then each at its own interval.
    #[must_use]
    pub fn new(
        safes: impl Iterator<Item = Address>,
        hot: Duration,
        cold: Duration,
        budget: &Budget,
        now: Instant,
    ) -> Self {
        let turn = QueueTurn { due: now, hot_until: None, waits: false, failures: 0, seen: now, turn_at: None };
        let queues: BTreeMap<_, _> = safes.map(|safe| (safe, turn)).collect();
        let cold = cold.max(budget.sustainable_interval(queues.len()));
        Self { hot: hot.min(cold), cold, queues, failures: 0, resumes: now }
    }

    /// Returns the time between two looks at a quiet queue: the configured interval, or more where the quota requires
    /// it.
    #[must_use]
    pub fn idle_interval(&self) -> Duration {
        self.cold
    }

    /// Returns the time that a Safe's proposals may go without a poll before this is reported, where `patience` is the
    /// failure time tolerated of a service: a quarter more than the period, since turns wait for each other, and never
    /// less than the period plus twice the patience.
    #[must_use]
    pub fn overdue_after(&self, patience: Duration) -> Duration {
        self.cold + (self.cold / 4).max(2 * patience)
    }

    /// Returns the time between two looks at a queue in which something waits and nothing happens: the geometric mean
    /// of the intervals for active and quiet queues.
    fn active_interval(&self) -> Duration {
        Duration::from_secs_f64((self.hot.as_secs_f64() * self.cold.as_secs_f64()).sqrt())
    }

    /// Returns the queue that has been due for longest among those that the budget allows.
    #[must_use]
    pub fn next_due(&self, budget: &Budget, now: Instant) -> Option<Address> {
        if now < self.resumes || now < budget.ready_at() {
            return None;
        }
        let all = [PollDecision::Due, PollDecision::Busy, PollDecision::Waiting, PollDecision::Retry];
        let allowed: Vec<PollDecision> = all.into_iter().filter(|look| budget.allows_poll(*look, now)).collect();
        let due =
            self.queues.iter().filter(|(_, turn)| turn.due <= now && allowed.contains(&self.poll_kind(turn, now)));
        due.min_by_key(|(_, turn)| turn.due).map(|(safe, _)| *safe)
    }

    /// Returns the reason for a look. A queue whose turn has come is treated like all others, independent of its
    /// activity and failures.
    fn poll_kind(&self, turn: &QueueTurn, now: Instant) -> PollDecision {
        match turn.turn_at {
            Some(at) if now < at && turn.failures > 0 => PollDecision::Retry,
            Some(at) if now < at && turn.is_hot(now) => PollDecision::Busy,
            Some(at) if now < at && turn.waits => PollDecision::Waiting,
            _ => PollDecision::Due,
        }
    }

    /// Returns the next turn of a Safe that is tried now. The first tries come all at once. After that, turns are
    /// spread over the period, since Safes that come due together wait for each other.
    fn next_turn(&self, safe: Address, now: Instant) -> Instant {
        let is_first = self.queues.get(&safe).is_some_and(|turn| turn.turn_at.is_none());
        let n_tried = self.queues.values().filter(|turn| turn.turn_at.is_some()).count();
        let share = (n_tried + 1) as f64 / self.queues.len().max(1) as f64;
        now + if is_first { self.cold.mul_f64(share.min(1.0)) } else { self.cold }
    }

    /// Records activity of these Safes on chain.
    pub fn mark_touched(&mut self, safes: &[Address], now: Instant) {
        for safe in safes {
            if let Some(turn) = self.queues.get_mut(safe) {
                turn.hot_until = Some(now + HOT_FOR);
                // A failing queue keeps its own retry time.
                if turn.failures == 0 {
                    turn.due = turn.due.min(turn.seen + self.hot);
                }
            }
        }
    }

    /// Records a look at the queue: whether something in it changed or is still unclear, and whether anything waits in
    /// it.
    pub fn record_success(&mut self, safe: Address, changed: bool, waits: bool, now: Instant) {
        let (hot, warm, turn_at) = (self.hot, self.active_interval(), self.next_turn(safe, now));
        let Some(turn) = self.queues.get_mut(&safe) else { return };
        if changed {
            turn.hot_until = Some(now + HOT_FOR);
        }
        (turn.seen, turn.failures, turn.waits, turn.turn_at) = (now, 0, waits, Some(turn_at));
        turn.due = match waits {
            _ if turn.is_hot(now) => turn_at.min(now + hot),
            true => turn_at.min(now + warm),
            false => turn_at,
        };
        (self.failures, self.resumes) = (0, now);
    }

    /// Records a poll that failed before the service was asked. It spent no request, so the queue keeps its turn, which a
    /// small quota grants again only after weeks.
    pub fn record_unasked(&mut self, safe: Address, now: Instant, rng: &mut fastrand::Rng) {
        let Some(turn) = self.queues.get_mut(&safe) else { return };
        turn.due = now + RETRY.jittered_delay(turn.failures, rng);
        turn.failures = turn.failures.saturating_add(1);
    }

    /// Records a failed poll whose cause is not the service.
    pub fn record_failure(&mut self, safe: Address, now: Instant, rng: &mut fastrand::Rng) {
        let turn_at = self.next_turn(safe, now);
        let Some(turn) = self.queues.get_mut(&safe) else { return };
        turn.due = now + RETRY.jittered_delay(turn.failures, rng);
        (turn.failures, turn.turn_at) = (turn.failures.saturating_add(1), Some(turn_at));
    }

    /// Records that the service failed. Until a look succeeds, all queues together are tried as often as a single one:
    /// otherwise fifty queues would spend the quota on fifty failures of the same service.
    pub fn record_service_failure(&mut self, safe: Address, now: Instant, rng: &mut fastrand::Rng) {
        self.record_failure(safe, now, rng);
        self.resumes = now + RETRY.jittered_delay(self.failures, rng);
        self.failures = self.failures.saturating_add(1);
    }

    /// Returns the time since the last poll of the Safe that has waited longest.
    #[must_use]
    pub fn oldest_poll_age(&self, now: Instant) -> Duration {
        self.queues.values().map(|turn| now.saturating_duration_since(turn.seen)).max().unwrap_or_default()
    }
}

impl QueueTurn {
    fn is_hot(&self, now: Instant) -> bool {
        self.hot_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::safe_service::sustainable_interval;

    const HOT: Duration = Duration::from_secs(60);
    const COLD: Duration = Duration::from_secs(900);
    const MONTH: Duration = Duration::from_secs(30 * 86_400);
    const SAFE: Address = Address::with_last_byte(1);

    fn schedule(now: Instant) -> (Schedule, Budget) {
        let budget = Budget::new(1_000_000, 1_000, MONTH, now);
        (Schedule::new([SAFE].into_iter(), HOT, COLD, &budget, now), budget)
    }

    #[test]
    fn a_look_that_asked_the_service_nothing_leaves_the_turn() {
        let (now, mut rng) = (crate::runtime::monotonic_now(), fastrand::Rng::with_seed(1));
        let budget = Budget::new(10, 1_000, MONTH, now);
        for (asked, next) in [(false, Some(SAFE)), (true, None)] {
            let mut schedule = Schedule::new([SAFE].into_iter(), HOT, COLD, &budget, now);
            if asked {
                schedule.record_failure(SAFE, now, &mut rng);
            } else {
                schedule.record_unasked(SAFE, now, &mut rng);
            }
            let mut spent = budget.clone();
            spent.set_spent_this_month(7);
            assert_eq!(schedule.next_due(&spent, now + RETRY.cap), next, "asked: {asked}");
        }
    }

    #[test]
    fn a_quiet_queue_is_looked_at_seldom_and_a_busy_one_often_for_a_while() {
        let now = crate::runtime::monotonic_now();
        let (mut schedule, budget) = schedule(now);
        assert_eq!(schedule.next_due(&budget, now), Some(SAFE));
        schedule.record_success(SAFE, false, false, now);
        assert_eq!(schedule.next_due(&budget, now + COLD - HOT), None);
        assert_eq!(schedule.next_due(&budget, now + COLD), Some(SAFE));
        schedule.mark_touched(&[SAFE], now + HOT);
        assert_eq!(schedule.next_due(&budget, now + HOT), Some(SAFE), "what happens on chain makes it due");
        schedule.record_success(SAFE, false, false, now + HOT);
        assert_eq!(schedule.next_due(&budget, now + 2 * HOT), Some(SAFE));
        let quiet = now + HOT + HOT_FOR;
        schedule.record_success(SAFE, false, false, quiet);
        assert_eq!(schedule.next_due(&budget, quiet + HOT), None, "and then it is quiet again");
    }

    #[test]
    fn a_quota_that_is_too_small_stretches_the_looks() {
        let now = crate::runtime::monotonic_now();
        let budget = Budget::new(5_000, 2, MONTH, now);
        let safes = (0..10).map(Address::with_last_byte);
        let schedule = Schedule::new(safes, HOT, COLD, &budget, now);
        assert_eq!(schedule.idle_interval().as_secs(), 12_960);
    }

    #[test]
    fn what_fails_is_tried_again_and_never_more_often_than_the_backoff_lets_it() {
        let now = crate::runtime::monotonic_now();
        let (mut schedule, budget) = schedule(now);
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..20 {
            schedule.record_failure(SAFE, now, &mut rng);
            schedule.mark_touched(&[SAFE], now);
            assert_eq!(schedule.next_due(&budget, now), None);
        }
        assert_eq!(schedule.next_due(&budget, now + RETRY.cap), Some(SAFE));
        assert_eq!(schedule.oldest_poll_age(now + COLD), COLD);
    }

    #[test]
    fn all_queues_together_are_tried_as_often_as_one_while_the_service_fails() {
        let now = crate::runtime::monotonic_now();
        let budget = Budget::new(1_000_000, 1_000, MONTH, now);
        let mut schedule = Schedule::new((0..50).map(Address::with_last_byte), HOT, COLD, &budget, now);
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut tried, mut n) = (std::collections::BTreeSet::new(), 0_u32);
        for second in 0..3_600 {
            let at = now + Duration::from_secs(second);
            while let Some(safe) = schedule.next_due(&budget, at) {
                schedule.record_service_failure(safe, at, &mut rng);
                tried.insert(safe);
                n += 1;
            }
        }
        // One request every thirty seconds on average, in addition to the first few.
        assert!(n < 200 && tried.len() == 50, "{n} requests for {} queues", tried.len());
        let at = now + Duration::from_secs(3_661);
        let back = schedule.next_due(&budget, at).expect("one is tried");
        schedule.record_success(back, false, false, at);
        for _ in 1..50 {
            let next = schedule.next_due(&budget, at).expect("all are tried at once when it is back");
            schedule.record_success(next, false, false, at);
        }
        assert_eq!(schedule.next_due(&budget, at), None);
    }

    fn schedule_of(per_month: u32, n: u8) -> Schedule {
        let now = crate::runtime::monotonic_now();
        let budget = Budget::new(per_month, 2, MONTH, now);
        Schedule::new((0..n).map(Address::with_last_byte), HOT, COLD, &budget, now)
    }

    /// Behavior of one Safe in a simulated month.
    #[derive(Clone, Copy, PartialEq)]
    enum Life {
        Quiet,
        /// Transactions wait, and nothing happens.
        Waiting,
        /// The queue is active all the time.
        Busy,
        /// The queue is active and takes seven pages.
        Long,
        /// Every look at it fails.
        Failing,
    }

    /// Simulates `days` of Safes with these activities. Returns, for each Safe, the number of looks and the longest
    /// time without a look, and in addition the total number of requests.
    fn play(per_month: u32, days: u32, lives: &[Life], seed: u64) -> (Vec<(u32, Duration)>, u32) {
        const STEP: Duration = Duration::from_secs(60);
        let start = crate::runtime::monotonic_now();
        let end = start + Duration::from_secs(86_400) * days;
        let mut budget = Budget::new(per_month, 2, end - start, start);
        let safes: Vec<Address> = (0..lives.len()).map(|n| Address::left_padding_from(&n.to_be_bytes())).collect();
        let mut schedule = Schedule::new(safes.iter().copied(), HOT, COLD, &budget, start);
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut looks, mut spent, mut now) = (vec![(0, Duration::ZERO, start); lives.len()], 0, start);
        while now < end {
            let busy = safes.iter().zip(lives).filter(|(_, life)| matches!(life, Life::Busy | Life::Long));
            schedule.mark_touched(&busy.map(|(safe, _)| *safe).collect::<Vec<_>>(), now);
            let mut at = now;
            while at < now + STEP
                && let Some(safe) = schedule.next_due(&budget, at)
            {
                let n = safes.iter().position(|known| *known == safe).expect("one of ours");
                for _ in 0..if lives[n] == Life::Long { 7 } else { 2 } {
                    if budget.of_month() >= 1.0 {
                        budget.spend_request(at);
                        spent += 1;
                    }
                }
                let look = &mut looks[n];
                *look = (look.0 + 1, look.1.max(at - look.2), at);
                match lives[n] {
                    Life::Failing => schedule.record_service_failure(safe, at, &mut rng),
                    Life::Waiting => schedule.record_success(safe, false, true, at),
                    life => schedule.record_success(safe, life != Life::Quiet && rng.bool(), life != Life::Quiet, at),
                }
                at = budget.ready_at().max(at);
            }
            now += STEP;
        }
        (looks.iter().map(|(n, gap, last)| (*n, (*gap).max(end.saturating_duration_since(*last)))).collect(), spent)
    }

    #[test]
    fn no_queue_of_fifty_starves_whatever_the_others_do() {
        for (per_month, busy, long, failing) in [
            (5_000, 25, 0, 0),
            (5_000, 10, 1, 1),
            (5_000, 0, 0, 10),
            (5_000, 49, 0, 0),
            (50_000, 20, 2, 5),
            (1_000, 25, 0, 5),
        ] {
            let mut lives: Vec<Life> = (0..50).map(|n| if n % 2 == 0 { Life::Quiet } else { Life::Waiting }).collect();
            lives[..busy].fill(Life::Busy);
            lives[busy..busy + long].fill(Life::Long);
            lives[busy + long..busy + long + failing].fill(Life::Failing);
            fastrand::Rng::with_seed(u64::from(per_month)).shuffle(&mut lives);
            let (looks, spent) = play(per_month, 31, &lives, 7);
            let told = format!("{per_month} a month, {busy} busy, {long} long, {failing} failing");
            assert!(spent <= per_month, "{told}: {spent} requests");
            let turn = sustainable_interval(per_month, 50).max(COLD);
            let late = schedule_of(per_month, 50).overdue_after(Duration::from_secs(120));
            assert!(late >= turn + Duration::from_secs(240) && late <= turn + turn / 3, "{late:?} of {turn:?}");
            let (n, gap) = looks.iter().max_by_key(|(_, gap)| *gap).expect("fifty");
            assert!(*gap < late, "{told}: one was not looked at for {gap:?} of {turn:?}, {n} times in all");
        }
    }

    #[test]
    fn a_busy_queue_is_looked_at_more_often_than_a_quiet_one_and_one_that_fails_does_not_change_that() {
        let (looks, _) = play(50_000, 30, &[Life::Busy, Life::Quiet, Life::Quiet, Life::Quiet], 7);
        let (busy, quiet) = (looks[0].0, looks[1].0);
        assert!(busy > 5 * quiet, "{busy} and {quiet} looks");
        let (beside, _) = play(50_000, 30, &[Life::Busy, Life::Quiet, Life::Quiet, Life::Failing], 7);
        assert!(beside[0].0 * 5 > busy * 4, "{} looks beside one that fails, {busy} without", beside[0].0);
        // Even with so few requests, activity is seen sooner than a quiet queue.
        let mut lives = vec![Life::Quiet; 50];
        lives[7] = Life::Busy;
        let (looks, _) = play(5_000, 30, &lives, 7);
        assert!(looks[7].0 > 3 * looks[8].0, "{:?}", &looks[7..9]);
    }

    #[test]
    fn where_something_waits_is_looked_at_more_often_than_where_nothing_does_and_less_than_where_something_happens() {
        let (looks, _) = play(1_000_000, 30, &[Life::Busy, Life::Waiting, Life::Quiet], 7);
        let (busy, waiting, quiet) = (looks[0].0, looks[1].0, looks[2].0);
        assert!(busy > 3 * waiting && waiting > 3 * quiet, "{looks:?}");
        for (per_month, others) in [(50_000, 3), (5_000, 40)] {
            let lives = [[Life::Waiting].as_slice(), &vec![Life::Quiet; others]].concat();
            let (looks, spent) = play(per_month, 30, &lives, 7);
            assert!(spent <= per_month && looks[0].0 > 2 * looks[1].0, "{per_month}: {:?}", &looks[..2]);
        }
        // Where transactions wait in many queues all the time, activity is still seen first.
        let lives = [[Life::Busy].as_slice(), &[Life::Waiting; 49]].concat();
        let (looks, _) = play(5_000, 30, &lives, 7);
        assert!(looks[0].0 > 2 * looks[1].0, "{:?}", &looks[..2]);
    }
}
