//! Healthchecks, hosted or self-hosted, and compatible services: a URL that is posted to, with `/start` and `/fail`
//! appended. Source: the Pinging API of healthchecks.io.

use super::{HealthReport, Heartbeat, HeartbeatKind, TIMEOUT};
use crate::http::{Answer, Endpoint, Letter, Receipt, SendError, Success, UrlIs};
use crate::settings::{Problems, Table};
use futures::FutureExt as _;
use futures::future::BoxFuture;

/// Maximum size of a body in bytes. The service keeps 10,000 and cuts off the rest, even in the middle of a word.
const BODY_BYTES_MAX: usize = 9_000;

/// The service also reports failures in the body of a 200, such as `OK (not found)`.
const SUCCESS: Success = Success {
    is: "200 with the body `OK`, or 201 with `Created`",
    source: "https://healthchecks.io/docs/http_api/",
    reads_body: true,
    judge: |status, body| {
        Answer::taken_if(matches!((status.as_u16(), body.trim()), (200, "OK") | (201, "Created" | "OK")))
    },
};

/// See the module documentation.
pub(super) struct HealthchecksKind;

struct Healthchecks {
    endpoint: Endpoint,
}

impl HeartbeatKind for HealthchecksKind {
    fn name(&self) -> &'static str {
        "healthchecks"
    }

    fn example(&self) -> &'static str {
        r#"[heartbeat.switch]
kind  = "healthchecks"
url   = { env = "HEALTHCHECKS_URL" }
every = "1m"
"#
    }

    fn success(&self) -> Success {
        SUCCESS
    }

    fn parse(&self, table: &mut Table<'_>, problems: &mut Problems) -> Option<Box<dyn Heartbeat>> {
        Some(Box::new(Healthchecks { endpoint: Endpoint::from_table(table, UrlIs::Secret, TIMEOUT, problems)? }))
    }
}

impl Heartbeat for Healthchecks {
    fn start<'a>(&'a self, vitals: &'a HealthReport) -> BoxFuture<'a, Result<Option<Receipt>, SendError>> {
        let body = format!("watchfire {} has started", env!("CARGO_PKG_VERSION"));
        async move { self.send_ping(&["start"], body, vitals).await.map(Some) }.boxed()
    }

    fn beat<'a>(&'a self, vitals: &'a HealthReport) -> BoxFuture<'a, Result<Receipt, SendError>> {
        let (segments, body): (&[&'static str], _) = if vitals.is_healthy() {
            (&[], format!("all {} checks hold", vitals.n_checks))
        } else {
            (
                &["fail"],
                format!("{} of {} checks fail\n{}", vitals.failing.len(), vitals.n_checks, vitals.failure_lines()),
            )
        };
        self.send_ping(segments, body, vitals).boxed()
    }
}

impl Healthchecks {
    async fn send_ping(
        &self,
        segments: &[&'static str],
        mut body: String,
        vitals: &HealthReport,
    ) -> Result<Receipt, SendError> {
        body.truncate(body.floor_char_boundary(BODY_BYTES_MAX));
        let kind = "text/plain; charset=utf-8";
        let letter = Letter::new(kind, body.into_bytes()).with_path_segments(segments);
        self.endpoint.post(letter, &SUCCESS, vitals.now_ms).await
    }
}
