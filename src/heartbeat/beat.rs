//! Heartbeat loop: one task for each heartbeat, which reads the checks every second.

use super::{HealthReport, HeartbeatTarget};
use crate::http::SendError;
use crate::runtime::{self, Clock, Stop};
use crate::telemetry::{Checks, Metrics, SignOfLife};
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info, warn};

/// Interval at which the checks are evaluated.
const LOOK: Duration = Duration::from_secs(1);
/// Pause before a rejected heartbeat is sent again, unless the service asks for a longer one.
const RETRY: Duration = Duration::from_secs(10);

/// Health that a heartbeat reports, and the metrics and the sign of life of its own task.
#[derive(Clone, Debug)]
pub struct Signs {
    /// Checks that the heartbeat reports.
    pub checks: Checks,
    /// Metrics that count heartbeats.
    pub metrics: Metrics,
    /// Sign of life of the task that sends them.
    pub alive: SignOfLife,
}

/// Sends heartbeats until `stop`. No final heartbeat is sent at shutdown: the dead man's switch exists to report a
/// stopped process.
pub async fn run(heart: HeartbeatTarget, signs: Signs, clock: Arc<dyn Clock>, stop: Stop) {
    let Signs { checks, metrics, alive } = signs;
    metrics.heartbeat_known(&heart.name, heart.every);
    let rhythm = BeatSchedule::new(heart.every);
    let mut beat = BeatLoop { heart, checks, metrics, alive, clock, rhythm };
    tokio::select! {
        () = stop.cancelled() => {}
        () = beat.run() => {}
    }
}

struct BeatLoop {
    heart: HeartbeatTarget,
    checks: Checks,
    metrics: Metrics,
    alive: SignOfLife,
    clock: Arc<dyn Clock>,
    rhythm: BeatSchedule,
}

/// Schedule of heartbeats. Owns no clock: times are counted from the start.
#[derive(Clone, Debug)]
struct BeatSchedule {
    every: Duration,
    /// Time of the next heartbeat.
    due: Duration,
    /// Last state delivered: true if all checks passed.
    told: Option<bool>,
    /// True if a change was delivered since the last scheduled heartbeat. One change is enough: a flapping check would
    /// otherwise use up the number of requests that the service accepts.
    changed: bool,
    /// Number of consecutive heartbeats that were not accepted.
    lost: u32,
}

/// Reason for sending a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// A heartbeat is due.
    Due,
    /// Change of health; the next heartbeat keeps its scheduled time.
    Changed,
}

impl BeatLoop {
    async fn run(&mut self) {
        let began = runtime::monotonic_now();
        if let Err(error) = self.heart.heartbeat.start(&self.health_report()).await {
            self.record_failure(&error, Duration::ZERO);
        }
        loop {
            let vitals = self.health_report();
            if let Some(turn) = self.rhythm.next_turn(began.elapsed(), vitals.is_healthy()) {
                match self.heart.heartbeat.beat(&vitals).await {
                    Ok(receipt) => self.record_success(turn, began.elapsed(), &vitals, &receipt.detail),
                    Err(error) => self.record_failure(&error, began.elapsed()),
                }
            }
            self.alive.renew();
            tokio::time::sleep(LOOK).await;
        }
    }

    fn record_success(&mut self, turn: Turn, now: Duration, vitals: &HealthReport, answer: &str) {
        let (name, outcome) = (&self.heart.name, if vitals.is_healthy() { "ok" } else { "fail" });
        self.metrics.record_heartbeat(name, outcome, self.clock.now().as_millisecond() as f64 / 1_000.0);
        debug!(heartbeat = %name, outcome, "heartbeat {name}: {outcome}, answered {answer}");
        if self.rhythm.record_success(turn, now, vitals.is_healthy()) {
            info!(heartbeat = %name, "heartbeat {name} is accepted again");
        }
    }

    /// Counts a heartbeat that was not accepted, and logs the first of several.
    fn record_failure(&mut self, error: &SendError, now: Duration) {
        let name = &self.heart.name;
        self.metrics.record_heartbeat(name, "error", 0.0);
        let pause = match error {
            SendError::Wait(pause) => RETRY.max(*pause),
            SendError::Retry(_) => RETRY,
            // Further heartbeats would be refused too, until the settings are corrected.
            SendError::Refused(_) => self.heart.every,
        };
        if self.rhythm.record_failure(now, pause) {
            warn!(heartbeat = %name, "failed to send the heartbeat {name}: {error}");
        }
    }

    fn health_report(&self) -> HealthReport {
        HealthReport {
            now_ms: runtime::wall_millis(&*self.clock),
            every: self.heart.every,
            n_checks: self.checks.check_names().len(),
            failing: self.checks.failing_checks(),
        }
    }
}

impl BeatSchedule {
    fn new(every: Duration) -> Self {
        Self { every, due: Duration::ZERO, told: None, changed: false, lost: 0 }
    }

    /// Returns the reason to send a heartbeat now, if there is one.
    fn next_turn(&self, now: Duration, well: bool) -> Option<Turn> {
        // After a start no check has passed yet; this becomes a failure only when it lasts.
        if self.told.is_none() && !well && now < self.every {
            return None;
        }
        if now >= self.due {
            return Some(Turn::Due);
        }
        let news = self.told.is_some_and(|told| told != well);
        (news && !self.changed && self.lost == 0).then_some(Turn::Changed)
    }

    /// Records that a heartbeat was delivered. Returns true if the one before was not.
    fn record_success(&mut self, turn: Turn, now: Duration, well: bool) -> bool {
        self.told = Some(well);
        self.changed = turn == Turn::Changed;
        if turn == Turn::Due {
            self.due = now + self.every;
        }
        std::mem::take(&mut self.lost) > 0
    }

    /// Records that a heartbeat was not delivered. Returns true if the one before was delivered.
    fn record_failure(&mut self, now: Duration, pause: Duration) -> bool {
        self.due = now + pause;
        self.lost = self.lost.saturating_add(1);
        self.lost == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the heartbeats that a service receives within 200 seconds. `well` and `there` state for each second
    /// whether all checks pass and whether the service is reachable.
    fn heard(well: impl Fn(u64) -> bool, there: impl Fn(u64) -> bool) -> Vec<String> {
        let mut rhythm = BeatSchedule::new(Duration::from_secs(60));
        let mut heard = Vec::new();
        for second in 0..200 {
            let now = Duration::from_secs(second);
            let Some(turn) = rhythm.next_turn(now, well(second)) else { continue };
            let word = if well(second) { "well" } else { "fail" };
            if there(second) {
                rhythm.record_success(turn, now, well(second));
                heard.push(format!("{second} {word}"));
            } else {
                rhythm.record_failure(now, RETRY);
                heard.push(format!("{second} lost"));
            }
        }
        heard
    }

    #[test]
    fn it_beats_while_all_is_well_and_tells_at_once_what_is_not() {
        assert_eq!(heard(|_| true, |_| true), ["0 well", "60 well", "120 well", "180 well"]);
        let disturbed = heard(|second| !(90..130).contains(&second), |_| true);
        assert_eq!(disturbed, ["0 well", "60 well", "90 fail", "120 fail", "130 well", "180 well"]);
    }

    #[test]
    fn a_start_is_no_failure_until_it_lasts() {
        assert_eq!(heard(|second| second >= 13, |_| true)[..2], ["13 well", "73 well"]);
        assert_eq!(heard(|_| false, |_| true), ["60 fail", "120 fail", "180 fail"]);
    }

    #[test]
    fn a_check_that_comes_and_goes_does_not_use_up_the_service_s_patience() {
        let flapping = heard(|second| second % 2 == 0, |_| true);
        assert_eq!(
            flapping,
            ["0 well", "1 fail", "60 well", "61 fail", "120 well", "121 fail", "180 well", "181 fail"]
        );
    }

    #[test]
    fn a_heartbeat_that_is_not_heard_is_sent_again_and_says_how_we_are_then() {
        let away = heard(|second| second < 65, |second| !(60..80).contains(&second));
        assert_eq!(away, ["0 well", "60 lost", "70 lost", "80 fail", "140 fail"]);
    }
}
