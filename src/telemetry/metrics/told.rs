//! The way out: incidents, messages, the store, and signs of life.

use super::series::Services;
use super::{Metrics, SERVICE_OUTCOMES};
use crate::model::Severity;
use std::time::Duration;

/// Incidents and messages about them.
impl Metrics {
    /// How many live incidents of this severity are in this state.
    pub fn incidents_open(&self, severity: Severity, state: &'static str, n: usize) {
        self.0.incident.open.of([severity.as_str(), state]).set(n as f64);
    }

    /// An incident opened.
    pub fn incident_opened(&self, severity: Severity) {
        self.0.incident.opened.of([severity.as_str()]).inc();
    }

    /// A step of a path was told, from 1.
    pub fn escalated(&self, path: &str, step: u32) {
        self.0.incident.escalations.of([path, &step.to_string()]).inc();
    }

    /// An attempt at a message ended: `sent`, `retry` or `refused`.
    pub fn attempt(&self, destination: &str, outcome: &'static str, took: Duration) {
        self.0.delivery.attempts.of([destination, outcome]).inc();
        self.0.delivery.seconds.of([destination]).observe(took.as_secs_f64());
    }

    /// A message will not be tried again: `sent` or `dead`.
    pub fn delivered(&self, destination: &str, outcome: &'static str) {
        self.0.delivery.ended.of([destination, outcome]).inc();
    }

    /// A page was accepted, so long after the block it tells of, or after it was written where it tells of none.
    pub fn paged(&self, destination: &str, after: Duration) {
        self.0.delivery.page.of([destination]).observe(after.as_secs_f64());
    }

    /// How many attempts at this destination failed since the last that did not.
    pub fn destination_failing(&self, destination: &str, attempts: u64) {
        self.0.delivery.failing.of([destination]).set(attempts as f64);
    }

    /// How many messages wait for a destination, and how old the oldest is.
    pub fn outbox(&self, destination: &str, messages: u64, oldest: Duration) {
        self.0.delivery.pending.of([destination]).set(messages as f64);
        self.0.delivery.oldest.of([destination]).set(oldest.as_secs_f64());
    }

    /// How many messages were given up and not sent again.
    pub fn dead_letters(&self, n: u64) {
        self.0.delivery.dead.set(n as f64);
    }
}

/// The store.
impl Metrics {
    /// The store could not do a write.
    pub fn store_write_error(&self) {
        self.0.store.write_errors.inc();
    }

    /// Bytes that the store's file system has left for us, and bytes that the store's files take.
    pub fn store_space(&self, free: u64, size: u64) {
        self.0.store.free.set(free as f64);
        self.0.store.size.set(size as f64);
    }
}

/// Services that keep the queues of Safes.
impl Metrics {
    /// A service of a chain: its series exist from here on.
    pub fn service(&self, chain: &str, service: &str) {
        for outcome in SERVICE_OUTCOMES {
            self.0.service.requests.of([chain, service, outcome]);
        }
        // What it says itself has no series before it says so.
        let Services { quota, month, paused, seen_at, queued, .. } = &self.0.service;
        for level in [quota, month, paused, seen_at, queued] {
            level.of([chain, service]);
        }
    }

    /// A request to it ended. `outcome` is one of [`SERVICE_OUTCOMES`].
    pub fn service_request(&self, chain: &str, service: &str, outcome: &'static str) {
        debug_assert!(SERVICE_OUTCOMES.contains(&outcome), "`{outcome}` is no outcome");
        self.0.service.requests.of([chain, service, outcome]).inc();
    }

    /// So many requests may be sent to it at once, and so many in what is left of the month.
    pub fn service_quota(&self, chain: &str, service: &str, at_once: f64, of_month: f64) {
        self.0.service.quota.of([chain, service]).set(at_once);
        self.0.service.month.of([chain, service]).set(of_month);
    }

    /// It says that so many requests are left.
    pub fn service_says(&self, chain: &str, service: &str, left: u64) {
        self.0.service.says.of([chain, service]).set(left as f64);
    }

    /// It asked for a pause until then, Unix seconds.
    pub fn service_paused(&self, chain: &str, service: &str, until_s: f64) {
        self.0.service.paused.of([chain, service]).set(until_s);
    }

    /// A queue was seen in full, and so many transactions wait in all queues of the service. `now_s` is Unix seconds.
    pub fn queues(&self, chain: &str, service: &str, now_s: f64, waiting: usize) {
        self.0.service.seen_at.of([chain, service]).set(now_s);
        self.0.service.queued.of([chain, service]).set(waiting as f64);
    }
}

/// Checks and heartbeats.
impl Metrics {
    /// Whether a check fails.
    pub fn check(&self, check: &str, fails: bool) {
        self.0.signs.check.of([check]).set(f64::from(u8::from(fails)));
    }

    /// A check is no more.
    pub fn check_removed(&self, check: &str) {
        self.0.signs.check.forget([check]);
    }

    /// A heartbeat of the configuration: its series exist from here on.
    pub fn heartbeat_known(&self, heartbeat: &str, every: Duration) {
        self.0.signs.every.of([heartbeat]).set(every.as_secs_f64());
        self.0.signs.beat_at.of([heartbeat]);
        for outcome in ["ok", "fail", "error"] {
            self.0.signs.beats.of([heartbeat, outcome]);
        }
    }

    /// A heartbeat was sent: `ok` that all is well, `fail` that it is not, `error` that nobody took it.
    pub fn heartbeat(&self, heartbeat: &str, outcome: &'static str, now_s: f64) {
        self.0.signs.beats.of([heartbeat, outcome]).inc();
        if outcome == "ok" {
            self.0.signs.beat_at.of([heartbeat]).set(now_s);
        }
    }
}
