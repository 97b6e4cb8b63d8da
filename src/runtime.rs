//! Environment that the pure modules never touch: time, the request to stop, retry delays, the cipher suite of TLS, and
//! how this process was started.
//!
//! Input: none. Output: a [`Clock`] to pass around, a [`Stop`] that every task watches, delays between retries. Never
//! here: a clock, a random number or a signal that the caller did not ask for.

mod causes;
mod fault;
mod invocation;
mod steady;

pub use causes::error_chain;
pub use fault::ordered_fault;
pub use invocation::{command_line, name_places, quoted_path, quoted_word};
pub use steady::{Moment, carry_on};

use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Request to stop. Clones share it; every task that waits on it stops at the next point where no operation is half
/// done.
pub type Stop = CancellationToken;

/// Source of the current time.
pub trait Clock: Send + Sync {
    /// Returns the current time in UTC that never goes backwards: deadlines are measured by it. It does not follow
    /// steps of the machine's wall clock.
    fn now(&self) -> Timestamp;

    /// Returns the current time in UTC as the machine's wall clock shows it. Use it for values that others compare with
    /// their own clocks: the time of a block, of a signed request, of a `Retry-After`.
    fn wall_time(&self) -> Timestamp {
        self.now()
    }
}

/// Returns milliseconds like [`steady_millis`], by the wall clock.
#[must_use]
pub fn wall_millis(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.wall_time().as_millisecond()).unwrap_or(0)
}

/// Returns milliseconds of steady UTC since the Unix epoch, as the store counts them; zero before the epoch.
#[must_use]
pub fn steady_millis(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now().as_millisecond()).unwrap_or(0)
}

/// The machine's clocks. The steady clock is UTC at the start of the process plus the time since boot, see [`Moment`];
/// the other is the wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A clock that stands still until it is moved; all clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

/// Delays that double from `base` to `cap`, each drawn at random between zero and the full delay ("full jitter"), so
/// that many clients that lost the same server do not reconnect at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Longest wait after the first failure.
    pub base: Duration,
    /// Longest wait of any attempt.
    pub cap: Duration,
}

impl Backoff {
    /// Backoff between these two waits.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }

    /// Longest wait before try number `attempt`, counted from 0 for the first retry.
    #[must_use]
    pub fn max_delay(&self, attempt: u32) -> Duration {
        self.base.saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.cap)
    }

    /// Returns the wait before try number `attempt`, counted from 0 for the first retry: at most [`Backoff::max_delay`],
    /// and at least a tenth of `base`, so that a failing caller does not retry in a tight loop.
    #[must_use]
    pub fn jittered_delay(&self, attempt: u32, rng: &mut fastrand::Rng) -> Duration {
        self.max_delay(attempt).mul_f64(rng.f64()).max(self.base / 10)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        steady::steady_now()
    }

    fn wall_time(&self) -> Timestamp {
        steady::wall_now()
    }
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Sets the clock to `now`, which may be earlier than the time it shows.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Moves the clock by `by`; leaves it unchanged when the result cannot be represented.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns an instant of a monotonic clock, for deadlines and pauses; the clock stands still while a test pauses
/// tokio's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
pub fn monotonic_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Selects ring as the cipher suite of every TLS connection of this process. Must be called before the first
/// connection. A second call has no effect, and a provider that other code installed earlier stays in place.
pub fn install_tls() {
    // The error says that a provider is already installed, which is sufficient.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));

    #[test]
    fn waits_double_up_to_the_cap() {
        let ceilings: Vec<_> = (0..9).map(|attempt| BACKOFF.max_delay(attempt).as_millis()).collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(BACKOFF.max_delay(u32::MAX), BACKOFF.cap);
    }

    #[test]
    fn a_wait_is_random_within_its_bounds_and_the_same_for_the_same_seed() {
        let waits = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            (0..200).map(|attempt| BACKOFF.jittered_delay(attempt % 12, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
        for (attempt, wait) in waits(7).into_iter().enumerate() {
            assert!(wait >= BACKOFF.base / 10 && wait <= BACKOFF.max_delay(attempt as u32 % 12), "{attempt}: {wait:?}");
        }
    }

    #[test]
    fn a_manual_clock_moves_only_when_told_and_its_clones_agree() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let clone = clock.clone();
        clock.advance(SignedDuration::from_secs(12));
        assert_eq!(clone.now(), Timestamp::UNIX_EPOCH + SignedDuration::from_secs(12));
        clock.set(Timestamp::MAX);
        clock.advance(SignedDuration::from_secs(1));
        assert_eq!(clone.now(), Timestamp::MAX);
    }
}
