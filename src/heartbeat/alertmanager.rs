//! Prometheus' Alertmanager as a dead man's switch: the alert `Watchdog` fires for as long as it is sent, and its
//! receiver raises the alarm when it stops. Source: Alertmanager's API v2; modelled on Prometheus' own `Watchdog` rule.
//!
//! The watchdog proves only that this process runs and reaches Alertmanager. It also fires while checks fail, because
//! it tests the route to Alertmanager. Failing checks are reported in a separate alert, `WatchfireUnwell`, which ends
//! when all checks pass again.

use super::{HealthReport, Heartbeat, HeartbeatKind, TIMEOUT};
use crate::http::{Answer, Endpoint, Letter, Receipt, SendError, Success, UrlIs};
use crate::settings::{Problems, Table};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Number of heartbeats that may be lost before an alert expires, as in Prometheus.
const BEATS_LOST_MAX: u32 = 4;
/// Default value of `instance`.
const INSTANCE: &str = "watchfire";

const SUCCESS: Success = Success {
    is: "200 with an empty body",
    source: "https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (postAlerts)",
    reads_body: true,
    judge: |status, body| Answer::taken_if(status.as_u16() == 200 && body.trim().is_empty()),
};

/// See the module documentation.
pub(super) struct AlertmanagerKind;

struct Alertmanager {
    endpoint: Endpoint,
    /// Label that distinguishes several Watchfires, which would otherwise keep each other's alerts alive.
    instance: String,
}

impl HeartbeatKind for AlertmanagerKind {
    fn name(&self) -> &'static str {
        "alertmanager"
    }

    fn example(&self) -> &'static str {
        r#"[heartbeat.alertmanager]
kind     = "alertmanager"
url      = "http://127.0.0.1:9093"
instance = "treasury-watch"
every    = "1m"
"#
    }

    fn success(&self) -> Success {
        SUCCESS
    }

    fn parse(&self, table: &mut Table<'_>, problems: &mut Problems) -> Option<Box<dyn Heartbeat>> {
        let instance = table.string("instance", problems);
        if let Some(instance) = instance.as_ref().filter(|instance| instance.trim().is_empty()) {
            problems.push(instance.problem("this says nothing"));
        }
        let instance = instance.map_or(INSTANCE, |instance| instance.value).to_owned();
        let endpoint = Endpoint::from_table(table, UrlIs::SecretOrPlain, TIMEOUT, problems)?;
        Some(Box::new(Alertmanager { endpoint, instance }))
    }
}

impl Heartbeat for Alertmanager {
    fn start<'a>(&'a self, _: &'a HealthReport) -> BoxFuture<'a, Result<Option<Receipt>, SendError>> {
        futures::future::ready(Ok(None)).boxed()
    }

    fn beat<'a>(&'a self, vitals: &'a HealthReport) -> BoxFuture<'a, Result<Receipt, SendError>> {
        let alerts = heartbeat_alerts(&self.instance, vitals);
        async move {
            let body = serde_json::to_vec(&alerts).map_err(|error| SendError::Refused(error.to_string()))?;
            let letter = Letter::new("application/json", body).with_path_segments(&["api", "v2", "alerts"]);
            self.endpoint.post(letter, &SUCCESS, vitals.now_ms).await
        }
        .boxed()
    }
}

/// Returns the two alerts. Alertmanager identifies an alert by its labels, so the labels contain only constant values.
fn heartbeat_alerts(instance: &str, vitals: &HealthReport) -> Json {
    let at =
        |ms: u64| i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(|at| at.to_string());
    let lasts = duration_millis(vitals.every.saturating_mul(BEATS_LOST_MAX));
    let ends = at(vitals.now_ms.saturating_add(lasts));
    let labels = |name: &str, severity: &str| json!({ "alertname": name, "severity": severity, "job": "watchfire", "instance": instance });
    let watchdog = json!({
        "labels": labels("Watchdog", "none"),
        "annotations": {
            "summary": "Watchfire works and reaches this Alertmanager",
            "description": "This alert always fires. Route it to whoever raises the alarm when it stops.",
        },
        "endsAt": ends,
    });
    let unwell = json!({
        "labels": labels("WatchfireUnwell", "critical"),
        "annotations": {
            "summary": format!("{} of {} checks of Watchfire fail", vitals.failing.len(), vitals.n_checks),
            "description": vitals.failure_lines(),
        },
        // An alert whose `endsAt` is now counts as resolved. An Alertmanager that does not know it ignores it.
        "endsAt": if vitals.is_healthy() { at(vitals.now_ms) } else { ends },
    });
    json!([watchdog, unwell])
}

fn duration_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::health::Failing;

    #[test]
    fn the_watchdog_fires_whether_or_not_all_is_well() {
        let every = Duration::from_secs(60);
        let well = HealthReport { now_ms: 1_000_000, every, n_checks: 3, failing: Vec::new() };
        let failing = Failing { name: "store/writes".into(), why: "full".into(), since: Timestamp::UNIX_EPOCH };
        let unwell = HealthReport { now_ms: 1_000_000, every, n_checks: 3, failing: vec![failing] };
        for vitals in [&well, &unwell] {
            let alerts = heartbeat_alerts("here", vitals);
            let labels = json!({ "alertname": "Watchdog", "severity": "none", "job": "watchfire", "instance": "here" });
            assert_eq!(alerts[0]["labels"], labels);
            assert_eq!(alerts[0]["endsAt"], "1970-01-01T00:20:40Z");
        }
        assert_eq!(heartbeat_alerts("here", &well)[1]["endsAt"], "1970-01-01T00:16:40Z", "over now");
        let told = &heartbeat_alerts("here", &unwell)[1];
        assert_eq!(told["endsAt"], "1970-01-01T00:20:40Z");
        assert_eq!(told["annotations"]["description"], "store/writes: full (since 1970-01-01T00:00:00Z)");
    }
}
