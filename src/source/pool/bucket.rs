//! Token bucket that limits the request rate of an endpoint.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Burst size, in seconds of the endpoint's rate, after an idle time.
const BURST_SECONDS: f64 = 2.0;

/// See the module documentation. Shared by all callers of one endpoint.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(per_second: f64, now: Instant) -> Self {
        let per_second = per_second.max(0.01);
        Self { per_second, state: Mutex::new((Self::burst_size(per_second), now)) }
    }

    /// Takes `cost` tokens, on credit if there are too few, and returns the time that the caller must wait.
    pub(super) fn take_tokens(&self, cost: f64, now: Instant) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, at) = *state;
        let earned = now.saturating_duration_since(at).as_secs_f64() * self.per_second;
        let left = (tokens + earned).min(Self::burst_size(self.per_second)) - cost;
        *state = (left, now.max(at));
        Duration::from_secs_f64((-left / self.per_second).max(0.0))
    }

    fn burst_size(per_second: f64) -> f64 {
        (per_second * BURST_SECONDS).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let now = crate::runtime::monotonic_now();
        let bucket = Bucket::new(10.0, now);
        for _ in 0..20 {
            assert_eq!(bucket.take_tokens(1.0, now), Duration::ZERO);
        }
        assert_eq!(bucket.take_tokens(1.0, now), Duration::from_millis(100));
        assert_eq!(bucket.take_tokens(1.0, now), Duration::from_millis(200), "whoever comes next waits longer");
        assert_eq!(bucket.take_tokens(1.0, now + Duration::from_secs(10)), Duration::ZERO);
    }
}
