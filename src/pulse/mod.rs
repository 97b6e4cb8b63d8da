//! Dead man's switches: whoever waits for our heartbeat raises the alarm when it stays away, in whichever way we died.
//!
//! Comes in: the checks, as every room keeps them. Goes out: to each service that the configuration names, on its beat, that
//! all is well, or what is not. Never here: a check of our own, a heartbeat that says more than the checks do, or the address
//! of a service, which is its password.
//!
//! What is not well is told at once and not with the next beat. A heartbeat that nobody hears is sent again, counted and
//! logged, and ends nothing: that it stays away is the alarm.
//!
//! A new kind of service is one file beside these and one line in [`HEARTBEATS`].

mod alertmanager;
mod beat;
mod healthchecks;

pub use beat::run;

use crate::post::{Receipt, SendError, Success};
use crate::settings::{Problems, Table};
use crate::telemetry::health::Failing;
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Every kind of service, in the order in which documentation shows them.
pub static HEARTBEATS: &[&dyn HeartbeatKind] = &[&healthchecks::HealthchecksKind, &alertmanager::AlertmanagerKind];

/// Time between two beats unless a table says otherwise.
pub const EVERY: Duration = Duration::from_secs(60);
/// The shortest time between two beats: with what is told out of turn that makes four in a minute, and Healthchecks drops the
/// sixth.
pub const EVERY_MIN: Duration = Duration::from_secs(30);
/// The longest: a switch that notices a death after an hour notices it too late.
pub const EVERY_MAX: Duration = Duration::from_secs(3_600);
/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Reasons that are told; the rest is counted.
const REASONS_MAX: usize = 25;

/// How we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// When it was asked, wall-clock milliseconds.
    pub now_ms: u64,
    /// What the switch calls the time until the next beat.
    pub every: Duration,
    /// How many checks there are.
    pub n_checks: usize,
    /// Those that fail.
    pub failing: Vec<Failing>,
}

/// A service that waits for us.
pub trait Heartbeat: Send + Sync {
    /// Says that we have started and know nothing yet. Not every service wants to hear of it.
    ///
    /// # Errors
    ///
    /// As [`Heartbeat::beat`].
    fn start<'a>(&'a self, vitals: &'a Vitals) -> BoxFuture<'a, Result<Option<Receipt>, SendError>>;

    /// Says how we are.
    ///
    /// # Errors
    ///
    /// [`SendError`] says whether to try again. No error holds a secret.
    fn beat<'a>(&'a self, vitals: &'a Vitals) -> BoxFuture<'a, Result<Receipt, SendError>>;
}

/// A kind of service: what a configuration calls it, and how its table reads.
pub trait HeartbeatKind: Sync {
    /// What stands behind `kind =`.
    fn name(&self) -> &'static str;

    /// A table that parses; documentation and test input at once.
    fn example(&self) -> &'static str;

    /// Returns the answer by which the service says that it heard a beat: nothing else counts.
    fn success(&self) -> Success;

    /// Reads what is particular to this kind; `every` is read already.
    fn parse(&self, table: &mut Table<'_>, problems: &mut Problems) -> Option<Box<dyn Heartbeat>>;
}

/// One `[heartbeat.<name>]`.
#[derive(Clone)]
pub struct Heart {
    /// What logs and metrics call it.
    pub name: String,
    /// Which kind it is.
    pub kind: &'static str,
    /// Time between two beats.
    pub every: Duration,
    /// Where it goes.
    pub heartbeat: Arc<dyn Heartbeat>,
}

impl fmt::Debug for Heart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heart").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Vitals {
    /// Whether every check holds.
    #[must_use]
    pub fn well(&self) -> bool {
        self.failing.is_empty()
    }

    /// What fails, one line each; the rest is counted.
    fn reasons(&self) -> String {
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

/// Reads one `[heartbeat.<name>]` table, all of it: every problem in it is reported, unknown keys too.
pub fn parse(name: &str, mut table: Table<'_>, problems: &mut Problems) -> Option<Heart> {
    let every = table.duration("every", problems).map(|every| {
        if every.value < EVERY_MIN || every.value > EVERY_MAX {
            problems.push(every.problem("`every` must be from 30s to 1h"));
        }
        every.value
    });
    let kinds: Vec<_> = HEARTBEATS.iter().map(|kind| (kind.name(), *kind)).collect();
    // Without its kind nobody knows which of its keys are right.
    let kind = table.require("kind", problems, |table, key, problems| table.choice(key, &kinds, problems))?;
    let heartbeat = kind.parse(&mut table, problems);
    table.finish(problems);
    Some(Heart {
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

    fn read(text: &str) -> (Vec<Option<Heart>>, Problems) {
        let file = SourceFile::new("watchfire.toml", text);
        let mut problems = Problems::new();
        let document = Document::parse(&file, Secrets::NamesOnly, &mut problems);
        let all = document.table().table("heartbeat", &mut problems).expect("a heartbeat");
        let entries = all.entries();
        let hearts = entries
            .iter()
            .map(|(name, value)| parse(name, value.table(&mut problems).expect("a table"), &mut problems))
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
        assert_eq!(problems.lines(), expected);
        let hints = problems.render(false);
        assert!(hints.contains("did you mean `every`?") && hints.contains("did you mean \"alertmanager\"?"), "{hints}");
    }

    #[test]
    fn a_flood_of_reasons_is_counted() {
        let failing = |n| Failing { name: format!("check {n}"), why: "no".to_owned(), since: Timestamp::UNIX_EPOCH };
        let failing = (0..REASONS_MAX + 3).map(failing).collect();
        let vitals = Vitals { now_ms: 0, every: EVERY, n_checks: 100, failing };
        let reasons = vitals.reasons();
        assert_eq!(reasons.lines().count(), REASONS_MAX + 1);
        assert!(reasons.starts_with("check 0: no (since 1970-01-01T00:00:00Z)\n"), "{reasons}");
        assert!(reasons.ends_with("\nand 3 more"), "{reasons}");
    }
}
