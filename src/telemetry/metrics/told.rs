//! Metrics of the output: incidents, messages, the store, and health.

use super::series::Services;
use super::{Metrics, SERVICE_OUTCOMES};
use crate::model::Severity;
use std::time::Duration;

/// Metrics of incidents and messages about them.
impl Metrics {
    /// Records the number of live incidents of this severity in this state.
    pub fn incidents_open(&self, severity: Severity, state: &'static str, n: usize) {
        self.0.incident.open.with_labels([severity.as_str(), state]).set(n as f64);
    }

    /// Counts an opened incident.
    pub fn incident_opened(&self, severity: Severity) {
        self.0.incident.opened.with_labels([severity.as_str()]).inc();
    }

    /// Counts a notified step of a path, from 1.
    pub fn record_escalation(&self, path: &str, step: u32) {
        self.0.incident.escalations.with_labels([path, &step.to_string()]).inc();
    }

    /// Records a completed delivery attempt: `sent`, `retry` or `refused`.
    pub fn record_delivery_attempt(&self, destination: &str, outcome: &'static str, took: Duration) {
        self.0.delivery.attempts.with_labels([destination, outcome]).inc();
        self.0.delivery.seconds.with_labels([destination]).observe(took.as_secs_f64());
    }

    /// Counts a message that will not be tried again: `sent` or `dead`.
    pub fn record_delivery(&self, destination: &str, outcome: &'static str) {
        self.0.delivery.ended.with_labels([destination, outcome]).inc();
    }

    /// Records an accepted page, with the time since the block it reports, or since it was written if it reports none.
    pub fn record_page_delay(&self, destination: &str, after: Duration) {
        self.0.delivery.page.with_labels([destination]).observe(after.as_secs_f64());
    }

    /// Records the number of failed attempts at this destination since the last successful one.
    pub fn destination_failing(&self, destination: &str, attempts: u64) {
        self.0.delivery.failing.with_labels([destination]).set(attempts as f64);
    }

    /// Records the number of messages waiting for a destination, and the age of the oldest.
    pub fn record_outbox(&self, destination: &str, messages: u64, oldest: Duration) {
        self.0.delivery.pending.with_labels([destination]).set(messages as f64);
        self.0.delivery.oldest.with_labels([destination]).set(oldest.as_secs_f64());
    }

    /// Records the number of dead letters that have not been sent again.
    pub fn dead_letters(&self, n: u64) {
        self.0.delivery.dead.set(n as f64);
    }
}

/// Metrics of the store.
impl Metrics {
    /// Counts a failed write of the store.
    pub fn store_write_error(&self) {
        self.0.store.write_errors.inc();
    }

    /// Records the bytes that the store's file system has available to us, and the bytes that the store's files take.
    pub fn store_space(&self, free: u64, size: u64) {
        self.0.store.free.set(free as f64);
        self.0.store.size.set(size as f64);
    }
}

/// Metrics of the services that keep the queues of Safes.
impl Metrics {
    /// Creates the series of a chain's service.
    pub fn register_service(&self, chain: &str, service: &str) {
        for outcome in SERVICE_OUTCOMES {
            self.0.service.requests.with_labels([chain, service, outcome]);
        }
        // Values that the service itself reports have no series before the first report.
        let Services { quota, month, paused, seen_at, queued, .. } = &self.0.service;
        for level in [quota, month, paused, seen_at, queued] {
            level.with_labels([chain, service]);
        }
    }

    /// Records a completed request to the service. `outcome` is one of [`SERVICE_OUTCOMES`].
    pub fn service_request(&self, chain: &str, service: &str, outcome: &'static str) {
        debug_assert!(SERVICE_OUTCOMES.contains(&outcome), "`{outcome}` is no outcome");
        self.0.service.requests.with_labels([chain, service, outcome]).inc();
    }

    /// Records how many requests may be sent to the service at once, and how many in the rest of the month.
    pub fn service_quota(&self, chain: &str, service: &str, at_once: f64, of_month: f64) {
        self.0.service.quota.with_labels([chain, service]).set(at_once);
        self.0.service.month.with_labels([chain, service]).set(of_month);
    }

    /// Records the number of requests left, as the service reports it.
    pub fn service_says(&self, chain: &str, service: &str, left: u64) {
        self.0.service.says.with_labels([chain, service]).set(left as f64);
    }

    /// Records a pause that the service requested, by its end in Unix seconds.
    pub fn service_paused(&self, chain: &str, service: &str, until_s: f64) {
        self.0.service.paused.with_labels([chain, service]).set(until_s);
    }

    /// Records that a queue was read in full, and the number of proposals in all queues of the service. `now_s` is Unix
    /// seconds.
    pub fn record_service_poll(&self, chain: &str, service: &str, now_s: f64, waiting: usize) {
        self.0.service.seen_at.with_labels([chain, service]).set(now_s);
        self.0.service.queued.with_labels([chain, service]).set(waiting as f64);
    }
}

/// Metrics of checks and heartbeats.
impl Metrics {
    /// Records whether a check fails.
    pub fn record_check(&self, check: &str, fails: bool) {
        self.0.signs.check.with_labels([check]).set(f64::from(u8::from(fails)));
    }

    /// Removes the series of a check that no longer exists.
    pub fn check_removed(&self, check: &str) {
        self.0.signs.check.remove_labels([check]);
    }

    /// Creates the series of a heartbeat in the configuration.
    pub fn heartbeat_known(&self, heartbeat: &str, every: Duration) {
        self.0.signs.every.with_labels([heartbeat]).set(every.as_secs_f64());
        self.0.signs.beat_at.with_labels([heartbeat]);
        for outcome in ["ok", "fail", "error"] {
            self.0.signs.beats.with_labels([heartbeat, outcome]);
        }
    }

    /// Records a heartbeat: `ok` if the program is healthy, `fail` if it is not, `error` if the heartbeat was not
    /// accepted.
    pub fn record_heartbeat(&self, heartbeat: &str, outcome: &'static str, now_s: f64) {
        self.0.signs.beats.with_labels([heartbeat, outcome]).inc();
        if outcome == "ok" {
            self.0.signs.beat_at.with_labels([heartbeat]).set(now_s);
        }
    }
}
