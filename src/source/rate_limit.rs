//! Limit on the requests to one endpoint, shared by everything that uses the endpoint.
//!
//! Input: requests with a priority. Output: the moment at which each may be sent. A request that finds the bucket empty
//! waits; when there is a token again, the waiting request with the highest priority goes first. Never here: a request
//! that waits for ever. A lower priority is a head start for the others of a fixed length, after which the order is that
//! of arrival.

use crate::runtime::monotonic_now;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
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
    /// Signal that the first in the line has left it.
    moved: Notify,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
    /// Waiting requests, the next one first.
    line: BTreeSet<Place>,
    n_arrived: u64,
}

/// Place in the line: the time of arrival with the head start, and a number that makes it unique.
type Place = (Instant, u64);

/// Place of a waiting request, which leaves the line when it is dropped.
struct Ticket<'a> {
    limit: &'a RateLimit,
    place: Place,
}

/// Answer to a request that asks for its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The tokens were taken.
    Now,
    /// The request is the next one; its tokens are there after this time.
    After(Duration),
    /// Another request goes first.
    Later,
}

impl RateLimit {
    /// Creates a limit with a full bucket.
    pub(super) fn new(per_second: f64, now: Instant) -> Self {
        let per_second = per_second.max(0.01);
        let bucket = Bucket { tokens: burst_size(per_second), at: now, line: BTreeSet::new(), n_arrived: 0 };
        Self { per_second, bucket: Mutex::new(bucket), moved: Notify::new() }
    }

    /// Waits until `cost` requests of this priority may be sent, and returns how long that took.
    pub(super) async fn wait_for_turn(&self, cost: f64, priority: Priority) -> Duration {
        let began = monotonic_now();
        let ticket = self.join_line(priority, began);
        loop {
            let moved = self.moved.notified();
            match self.try_take(ticket.place, cost, monotonic_now()) {
                Turn::Now => return began.elapsed(),
                // A request that arrives later may go first.
                Turn::After(wait) => {
                    tokio::select! { () = tokio::time::sleep(wait) => {}, () = moved => {} }
                }
                Turn::Later => moved.await,
            }
        }
    }

    fn join_line(&self, priority: Priority, now: Instant) -> Ticket<'_> {
        let mut bucket = self.lock_bucket();
        bucket.n_arrived += 1;
        let place = (now + priority.head_start(), bucket.n_arrived);
        bucket.line.insert(place);
        Ticket { limit: self, place }
    }

    fn try_take(&self, place: Place, cost: f64, now: Instant) -> Turn {
        let mut bucket = self.lock_bucket();
        let earned = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.tokens = (bucket.tokens + earned).min(burst_size(self.per_second));
        bucket.at = bucket.at.max(now);
        if bucket.line.first() != Some(&place) {
            return Turn::Later;
        }
        // A request that costs more than a full bucket takes the rest on credit.
        let lacking = cost.min(burst_size(self.per_second)) - bucket.tokens;
        // A wait is rounded to nanoseconds, and a token that is almost there counts.
        if lacking > 1e-6 {
            return Turn::After(Duration::from_secs_f64(lacking / self.per_second));
        }
        bucket.tokens -= cost;
        Turn::Now
    }

    fn lock_bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let was_first = {
            let mut bucket = self.limit.lock_bucket();
            let was_first = bucket.line.first() == Some(&self.place);
            bucket.line.remove(&self.place);
            was_first
        };
        if was_first {
            self.limit.moved.notify_waiters();
        }
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
        let late = limit.join_line(Priority::Blocks, monotonic_now() + Priority::Probe.head_start() * 2);
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
}
