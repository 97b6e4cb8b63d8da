//! When each endpoint is asked for its newest head, and since when it fails to say.

use super::council::Voice;
use super::drive::LEFT_ALONE_MAX;
use super::rpc::NodeError;
use crate::runtime::Backoff;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// One for each endpoint.
#[derive(Debug)]
pub(super) struct Ears(Vec<Ear>);

#[derive(Debug)]
struct Ear {
    polling: bool,
    /// Asked to look while a poll was under way, whose answer may be older than the reason to look.
    look_again: bool,
    polled_at: Instant,
    next_poll: Instant,
    /// Failures are answered with patience: nothing is asked before this.
    paused_until: Instant,
    failures: u32,
    failing: Option<Failing>,
    /// When it answered last, or when we began.
    heard_at: Timestamp,
    ever_heard: bool,
}

/// An endpoint that does not say what its head is.
#[derive(Clone, Debug)]
pub(super) struct Failing {
    pub(super) began: Instant,
    /// When it answered last.
    pub(super) since: Timestamp,
    pub(super) error: NodeError,
}

impl Ears {
    pub(super) fn new(n: usize, now: Instant, wall: Timestamp) -> Self {
        let ear = || Ear {
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

    /// Endpoints that are to be asked now; they count as being asked.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Voice> {
        let mut due = Vec::new();
        for (voice, ear) in self.0.iter_mut().enumerate() {
            if !ear.polling && now >= ear.next_poll.max(ear.paused_until) {
                ear.polling = true;
                due.push(voice);
            }
        }
        due
    }

    /// When the next is to be asked.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().filter(|ear| !ear.polling).map(|ear| ear.next_poll.max(ear.paused_until)).min()
    }

    /// Asks for the newest head as soon as failures allow.
    pub(super) fn look(&mut self, voice: Voice, now: Instant) {
        if let Some(ear) = self.0.get_mut(voice) {
            ear.look_again = ear.polling;
            ear.next_poll = now;
        }
    }

    pub(super) fn look_all(&mut self, now: Instant) {
        for voice in 0..self.0.len() {
            self.look(voice, now);
        }
    }

    /// Asks again `after` the last answer, to hear the same twice.
    pub(super) fn confirm(&mut self, voice: Voice, after: Duration) {
        if let Some(ear) = self.0.get_mut(voice) {
            ear.next_poll = ear.next_poll.min(ear.polled_at + after);
        }
    }

    /// It answered, and is asked again after `interval`.
    pub(super) fn works(&mut self, voice: Voice, now: Instant, wall: Timestamp, interval: Duration) {
        let Some(ear) = self.0.get_mut(voice) else { return };
        let again = std::mem::take(&mut ear.look_again);
        ear.answered(now, if again { now } else { now + interval });
        (ear.failures, ear.failing, ear.heard_at, ear.ever_heard) = (0, None, wall, true);
    }

    /// It did not answer, and is due again as soon as the pause after the failure is over.
    pub(super) fn failed(
        &mut self,
        voice: Voice,
        now: Instant,
        error: NodeError,
        backoff: &Backoff,
        rng: &mut fastrand::Rng,
    ) {
        let Some(ear) = self.0.get_mut(voice) else { return };
        ear.answered(now, now);
        ear.look_again = false;
        ear.paused_until = now + backoff.wait(ear.failures, rng).max(error.asks_to_wait().min(LEFT_ALONE_MAX));
        ear.failures = ear.failures.saturating_add(1);
        match &mut ear.failing {
            Some(failing) => failing.error = error,
            None => ear.failing = Some(Failing { began: now, since: ear.heard_at, error }),
        }
    }

    pub(super) fn failing(&self, voice: Voice) -> Option<&Failing> {
        self.0.get(voice)?.failing.as_ref()
    }

    pub(super) fn fails(&self, voice: Voice) -> bool {
        self.failing(voice).is_some()
    }

    /// Whether anybody ever said what their head is.
    pub(super) fn any_heard(&self) -> bool {
        self.0.iter().any(|ear| ear.ever_heard)
    }
}

impl Ear {
    fn answered(&mut self, now: Instant, next: Instant) {
        (self.polling, self.polled_at, self.next_poll) = (false, now, next);
    }
}
