//! Limit on the requests to one endpoint, shared by everything that uses the endpoint.
//!
//! Input: requests with a priority. Output: the moment at which each may be sent. A request that finds the bucket empty
//! waits; when there is a token again, the waiting request with the highest priority goes first. Never here: a request
//! that waits for ever. A lower priority is a head start for the others of a fixed length, after which the order is that
//! of arrival.

use crate::runtime::monotonic_now;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Burst size, in seconds of the endpoint's rate, after an idle time.
const BURST_SECONDS: f64 = 2.0;

/// Purpose of a request, by its urgency. Each has connections of its own, so that a slow answer to one purpose delays no
/// other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Heads, blocks, and the state that judging them needs: pages wait for these.
    #[default]
    Blocks,
    /// State for the proposals of Safes.
    Proposals,
    /// Announcements of pending transactions, and the state to judge them.
    Mempool,
    /// Traces for a tape.
    Recorder,
    /// Tests of an endpoint's capabilities, and surveys that nothing waits for.
    Probe,
}

impl Priority {
    /// Number of priorities.
    pub(super) const COUNT: usize = 5;

    /// Returns the head start that more urgent requests have over one of this priority.
    const fn head_start(self) -> Duration {
        match self {
            Self::Blocks => Duration::ZERO,
            Self::Proposals => Duration::from_secs(5),
            Self::Mempool => Duration::from_secs(10),
            Self::Recorder => Duration::from_secs(20),
            Self::Probe => Duration::from_secs(30),
        }
    }
}

/// Token bucket of one endpoint; see the module documentation.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: f64,
    bucket: Mutex<Bucket>,
    /// Signal that a request left the line, or gave tokens back: another may be due sooner.
    moved: Notify,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
    /// Waiting requests, the next one first.
    line: BTreeMap<Place, Waiter>,
    n_arrived: u64,
}

/// Place in the line: the time of arrival with the head start, and a number that makes it unique.
type Place = (Instant, u64);

/// Waiting request.
#[derive(Debug)]
struct Waiter {
    cost: f64,
    granted: oneshot::Sender<()>,
}

/// Place of a request, which leaves the line when it is dropped and gives back tokens that it was granted and did not
/// use.
struct Ticket<'a> {
    limit: &'a RateLimit,
    place: Place,
    cost: f64,
    is_used: bool,
}

impl RateLimit {
    /// Creates a limit with a full bucket.
    pub(super) fn new(per_second: f64, now: Instant) -> Self {
        let per_second = per_second.max(0.01);
        let bucket = Bucket { tokens: burst_size(per_second), at: now, line: BTreeMap::new(), n_arrived: 0 };
        Self { per_second, bucket: Mutex::new(bucket), moved: Notify::new() }
    }

    /// Waits until `cost` requests of this priority may be sent, and returns how long that took.
    ///
    /// Every waiting request grants what is due to all of them, in their order. A request whose future is not polled for
    /// a while therefore takes its tokens and holds up nobody.
    pub(super) async fn wait_for_turn(&self, cost: f64, priority: Priority) -> Duration {
        let began = monotonic_now();
        let (mut ticket, mut granted) = self.join_line(cost, priority, began);
        loop {
            let moved = self.moved.notified();
            // Our own turn may be granted here, or by another request while this one sleeps.
            let next = self.grant_due(monotonic_now()).unwrap_or_default();
            tokio::select! {
                biased;
                _ = &mut granted => {
                    ticket.is_used = true;
                    return began.elapsed();
                }
                () = moved => {}
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    fn join_line(&self, cost: f64, priority: Priority, now: Instant) -> (Ticket<'_>, oneshot::Receiver<()>) {
        let (granted, receiver) = oneshot::channel();
        let mut bucket = self.lock_bucket();
        bucket.n_arrived += 1;
        let place = (now + priority.head_start(), bucket.n_arrived);
        bucket.line.insert(place, Waiter { cost, granted });
        (Ticket { limit: self, place, cost, is_used: false }, receiver)
    }

    /// Grants their tokens to the first requests in the line, as far as the bucket reaches. Returns the time until the
    /// next one is due; `None` when none waits.
    fn grant_due(&self, now: Instant) -> Option<Duration> {
        let mut guard = self.lock_bucket();
        let bucket = &mut *guard;
        let burst = burst_size(self.per_second);
        let earned = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.tokens = (bucket.tokens + earned).min(burst);
        bucket.at = bucket.at.max(now);
        while let Some(first) = bucket.line.first_entry() {
            // A request that costs more than a full bucket takes the rest on credit.
            let lacking = first.get().cost.min(burst) - bucket.tokens;
            // A wait is rounded to nanoseconds, and a token that is almost there counts.
            if lacking > 1e-6 {
                return Some(Duration::from_secs_f64(lacking / self.per_second));
            }
            let Waiter { cost, granted } = first.remove();
            bucket.tokens -= cost;
            // Fails only for a request that is being dropped, whose ticket gives the tokens back.
            let _ = granted.send(());
        }
        None
    }

    fn lock_bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.is_used {
            return;
        }
        let mut bucket = self.limit.lock_bucket();
        if bucket.line.remove(&self.place).is_none() {
            bucket.tokens = (bucket.tokens + self.cost).min(burst_size(self.limit.per_second));
        }
        drop(bucket);
        self.limit.moved.notify_waiters();
    }
}

fn burst_size(per_second: f64) -> f64 {
    (per_second * BURST_SECONDS).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    /// Sends requests of these priorities to a limit of ten a second whose bucket is empty, all at once, and returns
    /// each with the milliseconds that it waited, in the order in which they were sent.
    async fn sent(priorities: &[Priority]) -> Vec<(Priority, u128)> {
        let limit = RateLimit::new(10.0, monotonic_now());
        for _ in 0..20 {
            assert_eq!(limit.wait_for_turn(1.0, Priority::Probe).await, Duration::ZERO, "a burst passes");
        }
        let order = Mutex::new(Vec::new());
        join_all(priorities.iter().map(|priority| {
            let (limit, order) = (&limit, &order);
            async move {
                let waited = limit.wait_for_turn(1.0, *priority).await;
                order.lock().unwrap().push((*priority, waited.as_millis()));
            }
        }))
        .await;
        order.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn blocks_go_first_when_the_bucket_is_empty_and_all_together_keep_the_rate() {
        use Priority::{Blocks, Mempool, Probe, Proposals, Recorder};
        let order = sent(&[Probe, Recorder, Mempool, Proposals, Blocks, Probe, Blocks]).await;
        let priorities: Vec<Priority> = order.iter().map(|(priority, _)| *priority).collect();
        assert_eq!(priorities, [Blocks, Blocks, Proposals, Mempool, Recorder, Probe, Probe]);
        for (nth, (_, waited)) in (1..).zip(order) {
            assert!((100 * nth..100 * nth + 10).contains(&waited), "the {nth}th was sent after {waited} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_blocks_delays_a_probe_by_its_head_start_and_not_for_ever() {
        let order = sent(&[&[Priority::Probe][..], &[Priority::Blocks; 20]].concat()).await;
        assert_eq!(order.last().map(|(priority, _)| *priority), Some(Priority::Probe));
        let limit = RateLimit::new(10.0, monotonic_now());
        let late = limit.join_line(1.0, Priority::Blocks, monotonic_now() + Priority::Probe.head_start() * 2);
        let probe = limit.wait_for_turn(1.0, Priority::Probe).await;
        assert_eq!(probe, Duration::ZERO, "blocks that come a minute later wait behind it");
        drop(late);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_given_up_holds_nobody_up() {
        let limit = RateLimit::new(10.0, monotonic_now());
        limit.wait_for_turn(20.0, Priority::Blocks).await;
        let given_up = tokio::time::timeout(Duration::from_millis(10), limit.wait_for_turn(20.0, Priority::Blocks));
        let (given_up, waited) = futures::join!(given_up, limit.wait_for_turn(1.0, Priority::Probe));
        assert!(given_up.is_err());
        assert!(waited <= Duration::from_millis(110), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_nobody_polls_holds_nobody_up() {
        let limit = RateLimit::new(10.0, monotonic_now());
        limit.wait_for_turn(20.0, Priority::Blocks).await;
        let mut survey = std::pin::pin!(limit.wait_for_turn(20.0, Priority::Probe));
        assert!(futures::poll!(survey.as_mut()).is_pending());
        // Its head start is over, so it is the first in the line; its owner is busy with something else.
        tokio::time::advance(Priority::Probe.head_start() * 2).await;
        let blocks = tokio::time::timeout(Duration::from_secs(10), limit.wait_for_turn(1.0, Priority::Blocks)).await;
        let waited = blocks.expect("the survey has its tokens and is out of the way").as_millis();
        assert!((100..110).contains(&waited), "{waited} ms");
        assert!(futures::poll!(survey.as_mut()).is_ready());
        // What was granted and is given up goes back.
        limit.wait_for_turn(20.0, Priority::Blocks).await;
        let (ticket, granted) = limit.join_line(20.0, Priority::Blocks, monotonic_now());
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(limit.grant_due(monotonic_now()), None);
        drop((ticket, granted));
        assert_eq!(limit.wait_for_turn(20.0, Priority::Blocks).await, Duration::ZERO);
    }
}
