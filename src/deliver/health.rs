//! How each destination fares: what is on its way there, what it asked us to wait for, and what went wrong last.
//!
//! The worker writes, others read while it runs; each entry is locked for a moment and never across a wait.

use dashmap::DashMap;

/// All destinations that were sent to, by name.
#[derive(Debug, Default)]
pub struct Health(DashMap<String, Condition>);

/// How one destination fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Lanes on their way, each with one message or several in a row.
    pub in_flight: usize,
    /// Nothing is sent before this, wall-clock milliseconds.
    pub not_before_ms: u64,
    /// Attempts that failed since the last that did not.
    pub failures: u64,
    /// What the last failed attempt met; absent once one succeeds. Holds no secret.
    pub last_error: Option<String>,
}

impl Health {
    /// How `name` fares; as new when nothing was ever sent there.
    #[must_use]
    pub fn of(&self, name: &str) -> Condition {
        self.0.get(name).map(|condition| condition.clone()).unwrap_or_default()
    }

    /// Every destination that was sent to, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Condition)> {
        self.0.iter().map(|entry| (entry.key().clone(), entry.value().clone())).collect()
    }

    pub(super) fn not_before_ms(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |condition| condition.not_before_ms)
    }

    /// Holds messages back until `until_ms`, unless they are held back longer already.
    pub(super) fn pause(&self, name: &str, until_ms: u64) {
        let mut condition = self.0.entry(name.to_owned()).or_default();
        condition.not_before_ms = condition.not_before_ms.max(until_ms);
    }

    pub(super) fn departed(&self, name: &str) {
        self.0.entry(name.to_owned()).or_default().in_flight += 1;
    }

    pub(super) fn returned(&self, name: &str) {
        let mut condition = self.0.entry(name.to_owned()).or_default();
        condition.in_flight = condition.in_flight.saturating_sub(1);
    }

    /// One attempt ended, with this error if any.
    pub(super) fn landed(&self, name: &str, error: Option<&str>) {
        let mut condition = self.0.entry(name.to_owned()).or_default();
        condition.failures = error.map_or(0, |_| condition.failures + 1);
        condition.last_error = error.map(str::to_owned);
    }
}
