//! Dead man's switches: external services that raise the alarm when our heartbeat stops, regardless of the cause.
//!
//! Comes in: the checks that every room maintains. Goes out: a heartbeat to each configured service, at its interval,
//! with success or the failing checks. Never here: a check of its own, a heartbeat with more content than the checks,
//! or the URL of a service, which acts as its password.
//!
//! A failing check is reported at once, without waiting for the next heartbeat. A heartbeat that does not arrive is
//! sent again, counted and logged. It stops nothing, because the missing heartbeat raises the alarm.
//!
//! A new kind of service is one file beside these and one line in [`HEARTBEATS`].

mod alertmanager;
mod beat;
mod healthchecks;

pub use beat::{Signs, run};

use crate::http::{Receipt, SendError, Success};
use crate::settings::{Problems, Table};
use crate::telemetry::health::Failing;
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Every kind of service, in the order in which documentation shows them.
pub static HEARTBEATS: &[&dyn HeartbeatKind] = &[&healthchecks::HealthchecksKind, &alertmanager::AlertmanagerKind];

/// Default interval between two heartbeats.
pub const EVERY: Duration = Duration::from_secs(60);
/// Shortest interval between two heartbeats. With the extra heartbeats sent when the result changes, this makes four in
/// a minute; Healthchecks drops the sixth.
pub const EVERY_MIN: Duration = Duration::from_secs(30);
/// Longest interval between two heartbeats: a switch that reports a dead process after an hour reports it too late.
pub const EVERY_MAX: Duration = Duration::from_secs(3_600);
/// Timeout of one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Number of reasons that are listed; the rest are counted.
const REASONS_MAX: usize = 25;

/// Health report of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// Time of the report, in wall-clock milliseconds.
    pub now_ms: u64,
    /// Period in the terms of the switch: time until the next heartbeat.
    pub every: Duration,
    /// Number of checks.
    pub n_checks: usize,
    /// Failing checks.
    pub failing: Vec<Failing>,
}

/// Service that expects heartbeats.
pub trait Heartbeat: Send + Sync {
    /// Reports that the process started and no check has passed yet. Some services have no such message.
    ///
    /// # Errors
    ///
    /// As [`Heartbeat::beat`].
    fn start<'a>(&'a self, vitals: &'a HealthReport) -> BoxFuture<'a, Result<Option<Receipt>, SendError>>;

    /// Reports the current state of the checks.
    ///
    /// # Errors
    ///
    /// [`SendError`] says whether to try again. No error holds a secret.
    fn beat<'a>(&'a self, vitals: &'a HealthReport) -> BoxFuture<'a, Result<Receipt, SendError>>;
}

/// Kind of service: its name in a configuration, and the parser of its table.
pub trait HeartbeatKind: Sync {
    /// Returns the value of `kind =` in the configuration.
    fn name(&self) -> &'static str;

    /// Returns an example of a valid table, used in the documentation and as test input.
    fn example(&self) -> &'static str;

    /// Returns the response by which the service confirms a heartbeat. Any other response is a failure.
    fn success(&self) -> Success;

    /// Reads the keys that are specific to this kind; `every` is read already.
    fn parse(&self, table: &mut Table<'_>, problems: &mut Problems) -> Option<Box<dyn Heartbeat>>;
}

/// Heartbeat target of a `[heartbeat.<name>]` table.
#[derive(Clone)]
pub struct HeartbeatTarget {
    /// Name in logs and metrics.
    pub name: String,
    /// Name of its kind.
    pub kind: &'static str,
    /// Interval between two heartbeats.
    pub every: Duration,
    /// Service that receives the heartbeats.
    pub heartbeat: Arc<dyn Heartbeat>,
}

impl fmt::Debug for HeartbeatTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heart").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl HealthReport {
    /// Returns whether every check passes.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.failing.is_empty()
    }

    /// Returns the failing checks, one line each, up to a limit; the rest is counted.
    fn failure_lines(&self) -> String {
        let listed = self.failing.iter().take(REASONS_MAX);
        let mut lines: Vec<String> =
            listed.map(|failing| format!("{}: {} (since {})", failing.name, failing.why, failing.since)).collect();
        let more = self.failing.len().saturating_sub(REASONS_MAX);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines.join("\n")
    }
}

/// Reads a whole `[heartbeat.<name>]` table and reports every problem in it, including unknown keys.
pub fn parse_heartbeat(name: &str, mut table: Table<'_>, problems: &mut Problems) -> Option<HeartbeatTarget> {
    let every = table.duration("every", problems).map(|every| {
        if every.value < EVERY_MIN || every.value > EVERY_MAX {
            problems.push(every.problem("`every` must be from 30s to 1h"));
        }
        every.value
    });
    let kinds: Vec<_> = HEARTBEATS.iter().map(|kind| (kind.name(), *kind)).collect();
    // The kind determines which keys are valid.
    let kind = table.require_key("kind", problems, |table, key, problems| table.choice(key, &kinds, problems))?;
    let heartbeat = kind.parse(&mut table, problems);
    table.report_unknown_keys(problems);
    Some(HeartbeatTarget {
        name: name.to_owned(),
        kind: kind.name(),
        every: every.unwrap_or(EVERY),
        heartbeat: heartbeat?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Document, Secrets, SourceFile};
    use jiff::Timestamp;

    fn read(text: &str) -> (Vec<Option<HeartbeatTarget>>, Problems) {
        let file = SourceFile::new("watchfire.toml", text);
        let mut problems = Problems::new();
        let document = Document::parse(&file, Secrets::NamesOnly, &mut problems);
        let all = document.root_table().table("heartbeat", &mut problems).expect("a heartbeat");
        let entries = all.into_entries();
        let hearts = entries
            .iter()
            .map(|(name, value)| parse_heartbeat(name, value.table(&mut problems).expect("a table"), &mut problems))
            .collect();
        (hearts, problems)
    }

    #[test]
    fn every_example_parses() {
        for kind in HEARTBEATS {
            let (hearts, problems) = read(kind.example());
            assert!(problems.is_empty(), "{}:\n{}", kind.name(), problems.render(false));
            assert!(!hearts.is_empty() && hearts.iter().all(Option::is_some), "{}", kind.name());
        }
    }

    #[test]
    fn every_problem_of_a_heartbeat_is_told_at_once() {
        let (_, problems) = read(
            "[heartbeat.switch]\nkind = \"healthchecks\"\nurl = \"https://hc.example/ping/id\"\nevry = \"1m\"\n\
             [heartbeat.peer]\nkind = \"alertmanger\"\n[heartbeat.am]\nkind = \"alertmanager\"\nevery = \"5s\"\n\
             url = \"http://am.example\"\ninstance = \"\"\n[heartbeat.bare]\nkind = \"healthchecks\"\n",
        );
        let expected = [
            "watchfire.toml:3:7: `url` is a secret and must not stand in the file",
            "watchfire.toml:4:1: unknown key `evry`",
            "watchfire.toml:6:8: `kind` cannot be \"alertmanger\"",
            "watchfire.toml:9:9: `every` must be from 30s to 1h",
            "watchfire.toml:10:7: `url` is plain http to another machine",
            "watchfire.toml:11:12: this says nothing",
            "watchfire.toml:12:1: `url` is missing",
        ];
        assert_eq!(problems.to_lines(), expected);
        let hints = problems.render(false);
        assert!(hints.contains("did you mean `every`?") && hints.contains("did you mean \"alertmanager\"?"), "{hints}");
    }

    #[test]
    fn a_flood_of_reasons_is_counted() {
        let failing = |n| Failing { name: format!("check {n}"), why: "no".to_owned(), since: Timestamp::UNIX_EPOCH };
        let failing = (0..REASONS_MAX + 3).map(failing).collect();
        let vitals = HealthReport { now_ms: 0, every: EVERY, n_checks: 100, failing };
        let reasons = vitals.failure_lines();
        assert_eq!(reasons.lines().count(), REASONS_MAX + 1);
        assert!(reasons.starts_with("check 0: no (since 1970-01-01T00:00:00Z)\n"), "{reasons}");
        assert!(reasons.ends_with("\nand 3 more"), "{reasons}");
    }
}
