//! Health checks: named conditions that must hold while the program is healthy.
//!
//! Input: reports from other modules, such as "`chain/mainnet/head` holds" or "`store/writes` fails, the disk is full".
//! Output: the failing checks with reason and start time; for `/readyz`, for heartbeats, for metrics. Never here: a
//! check that tests a condition by itself, or a reason with a secret in it.

use super::Metrics;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Maximum number of characters of a reason that are kept: it is shown beside many others.
const REASON_CHARS_MAX: usize = 300;
/// Maximum number of checks. Their names come from the configuration, so a larger number is a bug, which must not
/// exhaust memory.
pub const CHECKS_MAX: usize = 10_000;
/// Periods without a renewal after which a check fails: one alone may be missed on a busy machine.
const PERIODS_MAX: u32 = 2;

/// Health checks; see the module documentation. Clones share their checks.
#[derive(Clone)]
pub struct Checks(Arc<Inner>);

struct Inner {
    all: Mutex<BTreeMap<String, Check>>,
    metrics: Metrics,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// Handle by which a task shows that it goes on; see [`Checks::sign_of_life`]. The default renews nothing.
#[derive(Clone, Debug, Default)]
pub struct SignOfLife(Option<(Checks, String)>);

/// Last report on a check.
#[derive(Debug, Default)]
struct Check {
    /// The failure that was reported; `None` while the check holds.
    failing: Option<Failing>,
    /// The reports that are due, where the check has a period.
    renewal: Option<Renewal>,
}

/// The duty to report on a check again and again.
#[derive(Clone, Copy, Debug)]
struct Renewal {
    /// Longest time between two reports.
    period: Duration,
    /// Time of the last report.
    at: Timestamp,
}

/// A failing check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Name of the check: `chain/mainnet/head`.
    pub name: String,
    /// Reason, in words, without a secret and without an address of an endpoint.
    pub why: String,
    /// Time at which it began to fail. A change of the reason does not reset it.
    pub since: Timestamp,
}

impl Checks {
    /// Creates an empty set of checks, which are also reported in `metrics`. `now` is called when a check begins to
    /// fail.
    #[must_use]
    pub fn new(metrics: Metrics, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { all: Mutex::default(), metrics, now: Box::new(now) }))
    }

    /// Requires a report on `name` every `period` from now on. The check fails once two periods have passed without one: whoever
    /// reports on it is stuck. [`Checks::remove_check`] ends the duty.
    pub fn require_renewal(&self, name: &str, period: Duration) {
        let at = (self.0.now)();
        if let Some(check) = self.entry(&mut self.lock_all(), name) {
            check.renewal = Some(Renewal { period, at });
            self.0.metrics.record_check(name, check.failing.is_some());
        }
    }

    /// Reports that whoever looks after `name` goes on, whether or not it holds. Nothing where there is no such check.
    pub fn renew(&self, name: &str) {
        let now = (self.0.now)();
        if let Some(check) = self.lock_all().get_mut(name) {
            check.renew(now);
        }
    }

    /// Returns a handle that renews `name`, for a task that does not know the name of its check.
    #[must_use]
    pub fn sign_of_life(&self, name: &str) -> SignOfLife {
        SignOfLife(Some((self.clone(), name.to_owned())))
    }

    /// Records that `name` holds.
    pub fn mark_passing(&self, name: &str) {
        let now = (self.0.now)();
        let mut all = self.lock_all();
        let Some(check) = self.entry(&mut all, name) else { return };
        check.failing = None;
        check.renew(now);
        self.0.metrics.record_check(name, false);
    }

    /// Records that `name` fails. If it failed already, the time since when it fails is kept.
    pub fn mark_failing(&self, name: &str, why: &str) {
        let now = (self.0.now)();
        let mut all = self.lock_all();
        let Some(check) = self.entry(&mut all, name) else { return };
        let why: String = why.chars().take(REASON_CHARS_MAX).collect();
        match &mut check.failing {
            Some(failing) => failing.why = why,
            failing => *failing = Some(Failing { name: name.to_owned(), why, since: now }),
        }
        check.renew(now);
        self.0.metrics.record_check(name, true);
    }

    /// Records that `name` holds or fails, according to `result`.
    pub fn set_result<E: fmt::Display>(&self, name: &str, result: Result<(), E>) {
        match result {
            Ok(()) => self.mark_passing(name),
            Err(why) => self.mark_failing(name, &why.to_string()),
        }
    }

    /// Removes the check `name`.
    pub fn remove_check(&self, name: &str) {
        if self.lock_all().remove(name).is_some() {
            self.0.metrics.check_removed(name);
        }
    }

    /// Returns the checks that fail, by name, those without a report for two of their periods among them; empty when all is well.
    /// The series of the metrics are brought up to date with the latter.
    #[must_use]
    pub fn failing_checks(&self) -> Vec<Failing> {
        let now = (self.0.now)();
        let mut failing = Vec::new();
        for (name, check) in self.lock_all().iter() {
            let stale = check.renewal.and_then(|renewal| renewal.overdue(name, now));
            if check.renewal.is_some() {
                self.0.metrics.record_check(name, check.failing.is_some() || stale.is_some());
            }
            failing.extend(check.failing.clone().or(stale));
        }
        failing
    }

    /// Returns the names of all checks, holding and failing.
    #[must_use]
    pub fn check_names(&self) -> Vec<String> {
        self.lock_all().keys().cloned().collect()
    }

    /// Returns the check called `name`, made where it is missing; `None` where there are too many.
    fn entry<'a>(&self, all: &'a mut BTreeMap<String, Check>, name: &str) -> Option<&'a mut Check> {
        if !all.contains_key(name) && all.len() >= CHECKS_MAX {
            return None;
        }
        Some(all.entry(name.to_owned()).or_default())
    }

    fn lock_all(&self) -> MutexGuard<'_, BTreeMap<String, Check>> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SignOfLife {
    /// Reports that the task goes on.
    pub fn renew(&self) {
        if let Some((checks, name)) = &self.0 {
            checks.renew(name);
        }
    }
}

impl Check {
    fn renew(&mut self, now: Timestamp) {
        if let Some(renewal) = &mut self.renewal {
            renewal.at = now;
        }
    }
}

impl Renewal {
    /// Returns the failure of a check of this name that nobody has renewed in time.
    fn overdue(self, name: &str, now: Timestamp) -> Option<Failing> {
        let since = self.at.checked_add(self.period * PERIODS_MAX).ok().filter(|due| *due < now)?;
        let silent = now.duration_since(self.at).as_secs();
        let why =
            format!("no sign of life for {silent} s, one is due every {} s: the task is stuck", self.period.as_secs());
        Some(Failing { name: name.to_owned(), why, since })
    }
}

impl Default for Checks {
    /// Creates checks without a clock: every failure is dated to 1970.
    fn default() -> Self {
        Self::new(Metrics::default(), || Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Checks").field(&self.failing_checks()).finish()
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
        checks.mark_passing("chain/mainnet/head");
        checks.mark_failing("store/writes", "the disk is full");
        clock.store(20, Ordering::Relaxed);
        checks.mark_failing("store/writes", "the disk is gone");
        let failing = checks.failing_checks();
        assert_eq!(
            failing,
            [Failing { name: "store/writes".into(), why: "the disk is gone".into(), since: since(10) }]
        );
        checks.mark_passing("store/writes");
        assert_eq!(checks.failing_checks(), []);
        assert_eq!(checks.check_names(), ["chain/mainnet/head", "store/writes"]);
        checks.mark_failing("store/writes", "full again");
        assert_eq!(checks.failing_checks()[0].since, since(20));
    }

    #[test]
    fn a_check_that_nobody_renews_fails_after_two_periods_and_holds_again_with_the_next_report() {
        let clock = Arc::new(AtomicI64::new(10));
        let hand = clock.clone();
        let metrics = Metrics::default();
        let checks =
            Checks::new(metrics.clone(), move || Timestamp::from_second(hand.load(Ordering::Relaxed)).unwrap());
        let is_shown = |value: &str| {
            metrics.render().contains(&format!("watchfire_check_failing{{check=\"task/clock\"}} {value}\n"))
        };
        checks.require_renewal("task/clock", Duration::from_secs(5));
        clock.store(20, Ordering::Relaxed);
        assert_eq!(checks.failing_checks(), [], "one period may be missed");
        checks.mark_passing("task/clock");
        clock.store(31, Ordering::Relaxed);
        let failing = checks.failing_checks();
        assert_eq!(failing.len(), 1, "{failing:?}");
        assert_eq!(failing[0].why, "no sign of life for 11 s, one is due every 5 s: the task is stuck");
        assert_eq!(failing[0].since, Timestamp::from_second(30).unwrap());
        assert!(is_shown("1.0"));
        checks.mark_passing("task/clock");
        assert_eq!(checks.failing_checks(), []);
        assert!(is_shown("0.0"));
        clock.store(100, Ordering::Relaxed);
        checks.remove_check("task/clock");
        assert_eq!(checks.failing_checks(), [], "the duty ends with the check");
    }

    #[test]
    fn checks_show_in_the_metrics_until_they_are_removed() {
        let metrics = Metrics::default();
        let checks = Checks::new(metrics.clone(), || Timestamp::UNIX_EPOCH);
        checks.mark_failing("deliver/pager", "answered 500");
        assert!(metrics.render().contains("watchfire_check_failing{check=\"deliver/pager\"} 1.0\n"));
        checks.remove_check("deliver/pager");
        assert!(!metrics.render().contains("deliver/pager"));
    }

    #[test]
    fn long_reasons_are_cut_and_checks_are_bounded() {
        let checks = Checks::default();
        checks.mark_failing("a", &"é".repeat(1_000));
        assert_eq!(checks.failing_checks()[0].why.chars().count(), REASON_CHARS_MAX);
        (0..2 * CHECKS_MAX).for_each(|n| checks.mark_passing(&format!("check {n}")));
        assert_eq!(checks.check_names().len(), CHECKS_MAX);
    }
}
