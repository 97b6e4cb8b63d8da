//! Health of each destination: its messages in flight, the pause that it requested, and its last error.
//!
//! The worker writes while others read; each entry is locked briefly and never across an await.

use dashmap::DashMap;

/// All destinations that messages were sent to, by name.
#[derive(Debug, Default)]
pub struct Health(DashMap<String, Condition>);

/// Health of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Number of lanes in flight, each with one message or several in a row.
    pub in_flight: usize,
    /// Time before which nothing is sent, in wall-clock milliseconds.
    pub not_before_ms: u64,
    /// Number of failed attempts since the last success.
    pub failures: u64,
    /// Error of the last failed attempt; absent once an attempt succeeds. Contains no secret.
    pub last_error: Option<String>,
}

impl Health {
    /// Returns the health of `name`; the initial value if nothing was ever sent there.
    #[must_use]
    pub fn condition_of(&self, name: &str) -> Condition {
        self.0.get(name).map(|condition| condition.clone()).unwrap_or_default()
    }

    /// Returns every destination that messages were sent to, in no particular order.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Condition)> {
        self.0.iter().map(|entry| (entry.key().clone(), entry.value().clone())).collect()
    }

    pub(super) fn not_before_ms(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |condition| condition.not_before_ms)
    }

    /// Holds messages back until `until_ms`, unless they are held back longer already.
    pub(super) fn hold_until(&self, name: &str, until_ms: u64) {
        let mut condition = self.0.entry(name.to_owned()).or_default();
        condition.not_before_ms = condition.not_before_ms.max(until_ms);
    }

    pub(super) fn record_dispatch(&self, name: &str) {
        self.0.entry(name.to_owned()).or_default().in_flight += 1;
    }

    pub(super) fn record_completion(&self, name: &str) {
        let mut condition = self.0.entry(name.to_owned()).or_default();
        condition.in_flight = condition.in_flight.saturating_sub(1);
    }

    /// Records the end of one attempt, with its error if any.
    pub(super) fn record_attempt(&self, name: &str, error: Option<&str>) {
        let mut condition = self.0.entry(name.to_owned()).or_default();
        condition.failures = error.map_or(0, |_| condition.failures + 1);
        condition.last_error = error.map(str::to_owned);
    }
}
