//! Poll times for the newest head of each endpoint, and the start of each endpoint's failure.

use super::quorum::EndpointId;
use super::rpc::NodeError;
use super::sync::LEFT_ALONE_MAX;
use crate::runtime::Backoff;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Poll states, with an entry for each endpoint.
#[derive(Debug)]
pub(super) struct HeadPollers(Vec<HeadPoller>);

#[derive(Debug)]
struct HeadPoller {
    polling: bool,
    /// Set when a new poll was requested while one was running, because the running one may return an older head.
    look_again: bool,
    polled_at: Instant,
    next_poll: Instant,
    /// After a failure no request is sent before this time.
    paused_until: Instant,
    failures: u32,
    failing: Option<FailingPoller>,
    /// Time of the last answer; before the first answer, the time of the start.
    heard_at: Timestamp,
    ever_heard: bool,
}

/// Endpoint that does not report its head.
#[derive(Clone, Debug)]
pub(super) struct FailingPoller {
    pub(super) began: Instant,
    /// Time of the last answer.
    pub(super) since: Timestamp,
    pub(super) error: NodeError,
}

impl HeadPollers {
    pub(super) fn new(n: usize, now: Instant, wall: Timestamp) -> Self {
        let ear = || HeadPoller {
            polling: false,
            look_again: false,
            polled_at: now,
            next_poll: now,
            paused_until: now,
            failures: 0,
            failing: None,
            heard_at: wall,
            ever_heard: false,
        };
        Self((0..n).map(|_| ear()).collect())
    }

    /// Returns the endpoints to poll now, and marks them as being polled.
    pub(super) fn due_endpoints(&mut self, now: Instant) -> Vec<EndpointId> {
        let mut due = Vec::new();
        for (voice, ear) in self.0.iter_mut().enumerate() {
            if !ear.polling && now >= ear.next_poll.max(ear.paused_until) {
                ear.polling = true;
                due.push(voice);
            }
        }
        due
    }

    /// Returns the time of the next poll.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().filter(|ear| !ear.polling).map(|ear| ear.next_poll.max(ear.paused_until)).min()
    }

    /// Requests the newest head as soon as the pause after failures allows it.
    pub(super) fn poll_soon(&mut self, voice: EndpointId, now: Instant) {
        if let Some(ear) = self.0.get_mut(voice) {
            ear.look_again = ear.polling;
            ear.next_poll = now;
        }
    }

    pub(super) fn look_all(&mut self, now: Instant) {
        for voice in 0..self.0.len() {
            self.poll_soon(voice, now);
        }
    }

    /// Polls again `after` the last poll, to get the same head a second time.
    pub(super) fn poll_again_after(&mut self, voice: EndpointId, after: Duration) {
        if let Some(ear) = self.0.get_mut(voice) {
            ear.next_poll = ear.next_poll.min(ear.polled_at + after);
        }
    }

    /// Records an answer, and schedules the next poll after `interval`.
    pub(super) fn record_success(&mut self, voice: EndpointId, now: Instant, wall: Timestamp, interval: Duration) {
        let Some(ear) = self.0.get_mut(voice) else { return };
        let again = std::mem::take(&mut ear.look_again);
        ear.schedule_next_poll(now, if again { now } else { now + interval });
        (ear.failures, ear.failing, ear.heard_at, ear.ever_heard) = (0, None, wall, true);
    }

    /// Records a failure. The next poll is due as soon as the pause after the failure is over.
    pub(super) fn record_failure(
        &mut self,
        voice: EndpointId,
        now: Instant,
        error: NodeError,
        backoff: &Backoff,
        rng: &mut fastrand::Rng,
    ) {
        let Some(ear) = self.0.get_mut(voice) else { return };
        ear.schedule_next_poll(now, now);
        ear.look_again = false;
        ear.paused_until =
            now + backoff.jittered_delay(ear.failures, rng).max(error.asks_to_wait().min(LEFT_ALONE_MAX));
        ear.failures = ear.failures.saturating_add(1);
        match &mut ear.failing {
            Some(failing) => failing.error = error,
            None => ear.failing = Some(FailingPoller { began: now, since: ear.heard_at, error }),
        }
    }

    pub(super) fn failure_of(&self, voice: EndpointId) -> Option<&FailingPoller> {
        self.0.get(voice)?.failing.as_ref()
    }

    pub(super) fn is_failing(&self, voice: EndpointId) -> bool {
        self.failure_of(voice).is_some()
    }

    /// Returns whether any endpoint has ever reported its head.
    pub(super) fn any_heard(&self) -> bool {
        self.0.iter().any(|ear| ear.ever_heard)
    }
}

impl HeadPoller {
    fn schedule_next_poll(&mut self, now: Instant, next: Instant) {
        (self.polling, self.polled_at, self.next_poll) = (false, now, next);
    }
}
