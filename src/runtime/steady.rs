//! A clock that steps of the wall clock do not affect: UTC at the start of the process, continued by the time since the
//! machine booted.
//!
//! Deadlines are points in this time. The store keeps them as UTC, together with one [`Moment`] at which both clocks
//! were read, so that the next process, and others that run at the same time, can determine how far the wall clock has
//! moved relative to it.

use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Readings of both clocks at the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Id of the boot, new with every start of the machine; empty where the system does not provide one.
    pub boot: String,
    /// Milliseconds since boot, suspended time included.
    pub since_boot_ms: u64,
    /// Steady UTC, milliseconds since the Unix epoch.
    pub utc_ms: u64,
}

impl Moment {
    /// Reads both clocks now.
    #[must_use]
    pub fn now() -> Self {
        let since_boot = since_boot();
        Self {
            boot: boot_id().to_owned(),
            since_boot_ms: u64::try_from(since_boot.as_millis()).unwrap_or(u64::MAX),
            utc_ms: u64::try_from(steady_time_at(since_boot).as_millisecond()).unwrap_or(0),
        }
    }

    /// Returns the steady UTC of `later`, continued from this moment, in milliseconds; `None` where the machine was
    /// restarted between them.
    #[must_use]
    pub fn carried_to(&self, later: &Self) -> Option<u64> {
        let same = !self.boot.is_empty() && self.boot == later.boot;
        let passed = later.since_boot_ms.checked_sub(self.since_boot_ms).filter(|_| same)?;
        Some(self.utc_ms.saturating_add(passed))
    }
}

/// UTC at the moment of boot, as used by this process.
static BOOTED: Mutex<Option<Timestamp>> = Mutex::new(None);

/// Makes this process use the same steady time as the one that recorded `moment`, if both belong to the same boot:
/// their deadlines are in one store.
pub fn carry_on(moment: &Moment) {
    let now = Moment::now();
    if let Some(utc_ms) = moment.carried_to(&now)
        && let Ok(utc) = Timestamp::from_millisecond(utc_ms.cast_signed())
    {
        let booted = utc.saturating_sub(SignedDuration::from_millis(now.since_boot_ms.cast_signed()));
        *BOOTED.lock().unwrap_or_else(PoisonError::into_inner) = booted.ok();
    }
}

/// Steady UTC.
pub(super) fn steady_now() -> Timestamp {
    steady_time_at(since_boot())
}

/// Returns the current time of the machine's wall clock.
#[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
pub(super) fn wall_now() -> Timestamp {
    Timestamp::now()
}

fn steady_time_at(since_boot: Duration) -> Timestamp {
    let since_boot = SignedDuration::try_from(since_boot).unwrap_or(SignedDuration::MAX);
    let mut booted = BOOTED.lock().unwrap_or_else(PoisonError::into_inner);
    let wall = || wall_now().checked_sub(since_boot).unwrap_or(Timestamp::UNIX_EPOCH);
    booted.get_or_insert_with(wall).checked_add(since_boot).unwrap_or(Timestamp::MAX)
}

/// Time since the machine booted, suspended time included.
fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let read = rustix::time::clock_gettime(clock);
    Duration::new(u64::try_from(read.tv_sec).unwrap_or(0), u32::try_from(read.tv_nsec).unwrap_or(0))
}

fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(boot: &str, since_boot_ms: u64, utc_ms: u64) -> Moment {
        Moment { boot: boot.to_owned(), since_boot_ms, utc_ms }
    }

    #[test]
    fn a_moment_is_carried_on_within_one_boot_alone() {
        let noted = moment("a", 1_000, 50_000);
        assert_eq!(noted.carried_to(&moment("a", 4_000, 0)), Some(53_000));
        assert_eq!(noted.carried_to(&moment("b", 4_000, 0)), None);
        assert_eq!(noted.carried_to(&moment("a", 500, 0)), None, "time since boot only grows");
        assert_eq!(moment("", 1, 1).carried_to(&moment("", 2, 2)), None, "where no boot has a name nothing is known");
    }

    #[test]
    fn steady_time_only_grows() {
        let first = steady_now();
        assert!(steady_now() >= first);
        assert!(Moment::now().carried_to(&Moment::now()).is_some());
    }
}
