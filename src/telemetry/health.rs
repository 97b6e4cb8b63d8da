//! Checks: what must hold for the program to be well, by name.
//!
//! Comes in: a word from whoever can tell, such as "`chain/mainnet/head` holds" or "`store/writes` fails, the disk is full". Goes
//! out: what fails, why and since when; for `/readyz`, for heartbeats, for metrics. Never here: a check that looks by itself,
//! or a reason with a secret in it.

use super::Metrics;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most characters of a reason that are kept: it is shown beside many others.
const REASON_CHARS_MAX: usize = 300;
/// Most checks. Their names come from the configuration, so more is a bug that must not fill the memory.
pub const CHECKS_MAX: usize = 10_000;

/// See the module's head. Clones share their checks.
#[derive(Clone)]
pub struct Checks(Arc<Inner>);

struct Inner {
    all: Mutex<BTreeMap<String, Option<Failing>>>,
    metrics: Metrics,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// A check that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Which one: `chain/mainnet/head`.
    pub name: String,
    /// Why, in words, without a secret and without an address of an endpoint.
    pub why: String,
    /// When it began to fail. It goes on failing for another reason as well.
    pub since: Timestamp,
}

impl Checks {
    /// No checks yet; they show in `metrics` too. `now` is asked when one begins to fail.
    #[must_use]
    pub fn new(metrics: Metrics, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { all: Mutex::default(), metrics, now: Box::new(now) }))
    }

    /// `name` holds.
    pub fn ok(&self, name: &str) {
        let mut all = self.all();
        if let Some(check) = all.get_mut(name) {
            *check = None;
        } else if all.len() < CHECKS_MAX {
            all.insert(name.to_owned(), None);
        } else {
            return;
        }
        self.0.metrics.check(name, false);
    }

    /// `name` does not hold, from now on unless it failed before.
    pub fn fails(&self, name: &str, why: &str) {
        let mut all = self.all();
        if !all.contains_key(name) && all.len() >= CHECKS_MAX {
            return;
        }
        let why: String = why.chars().take(REASON_CHARS_MAX).collect();
        match all.entry(name.to_owned()).or_default() {
            Some(failing) => failing.why = why,
            check => *check = Some(Failing { name: name.to_owned(), why, since: (self.0.now)() }),
        }
        self.0.metrics.check(name, true);
    }

    /// Holds or fails, as `result` says.
    pub fn set<E: fmt::Display>(&self, name: &str, result: Result<(), E>) {
        match result {
            Ok(()) => self.ok(name),
            Err(why) => self.fails(name, &why.to_string()),
        }
    }

    /// `name` is no check any more.
    pub fn remove(&self, name: &str) {
        if self.all().remove(name).is_some() {
            self.0.metrics.check_removed(name);
        }
    }

    /// What fails, by name; empty when all is well.
    #[must_use]
    pub fn failing(&self) -> Vec<Failing> {
        self.all().values().flatten().cloned().collect()
    }

    /// Every check, by name, whether it holds or not.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.all().keys().cloned().collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Option<Failing>>> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Checks {
    /// Checks without a clock: whatever fails has failed since 1970.
    fn default() -> Self {
        Self::new(Metrics::default(), || Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Checks").field(&self.failing()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[test]
    fn a_check_fails_since_it_began_to_whatever_the_reason_becomes() {
        let clock = Arc::new(AtomicI64::new(10));
        let hand = clock.clone();
        let now = move || Timestamp::from_second(hand.load(Ordering::Relaxed)).unwrap();
        let checks = Checks::new(Metrics::default(), now);
        let since = |second| Timestamp::from_second(second).unwrap();
        checks.ok("chain/mainnet/head");
        checks.fails("store/writes", "the disk is full");
        clock.store(20, Ordering::Relaxed);
        checks.fails("store/writes", "the disk is gone");
        let failing = checks.failing();
        assert_eq!(
            failing,
            [Failing { name: "store/writes".into(), why: "the disk is gone".into(), since: since(10) }]
        );
        checks.ok("store/writes");
        assert_eq!(checks.failing(), []);
        assert_eq!(checks.names(), ["chain/mainnet/head", "store/writes"]);
        checks.fails("store/writes", "full again");
        assert_eq!(checks.failing()[0].since, since(20));
    }

    #[test]
    fn checks_show_in_the_metrics_until_they_are_removed() {
        let metrics = Metrics::default();
        let checks = Checks::new(metrics.clone(), || Timestamp::UNIX_EPOCH);
        checks.fails("deliver/pager", "answered 500");
        assert!(metrics.render().contains("watchfire_check_failing{check=\"deliver/pager\"} 1.0\n"));
        checks.remove("deliver/pager");
        assert!(!metrics.render().contains("deliver/pager"));
    }

    #[test]
    fn long_reasons_are_cut_and_checks_are_bounded() {
        let checks = Checks::default();
        checks.fails("a", &"é".repeat(1_000));
        assert_eq!(checks.failing()[0].why.chars().count(), REASON_CHARS_MAX);
        (0..2 * CHECKS_MAX).for_each(|n| checks.ok(&format!("check {n}")));
        assert_eq!(checks.names().len(), CHECKS_MAX);
    }
}
