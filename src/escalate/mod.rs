//! From verdicts to people: what becomes an incident, who is told of it and when, and what is taken back.
//!
//! In: judged blocks, the incidents and findings that already stand, the roster of paths and names, and the time as a
//! value. Out: a [`Plan`], everything that must be committed and told. The same input gives the same plan on any machine.
//!
//! Never here: a clock, a socket, a file, a lock, a logger. Nothing is told from here; the store commits a plan, and only
//! then do messages leave.

mod roster;

pub use roster::{Names, Roster, Sight, StepJudged, short};

use crate::model::incident::{Delivery, Incident, Plan, Standing, State};
use crate::model::path::Path;

/// What a step of the chain changes: new findings, incidents opened, joined or closed, messages and feed lines.
///
/// `now_ms` is wall-clock milliseconds since the Unix epoch.
#[must_use]
pub fn plan(step: &StepJudged<'_>, standing: &Standing, roster: &Roster, now_ms: u64) -> Plan {
    let _ = (step, standing, roster, now_ms);
    Plan::default()
}

/// What falls due by the passing of time: next steps of paths, and acknowledgements that no longer hold.
#[must_use]
pub fn tick(incidents: &[Incident], now_ms: u64) -> Plan {
    let _ = (incidents, now_ms);
    Plan::default()
}

/// Why somebody's answer changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody was faster; the escalation already rests.
    #[error("already acknowledged by {0}")]
    Acknowledged(String),
    /// It is over.
    #[error("already closed as {}", .0.as_str())]
    Closed(State),
}

/// Somebody takes the incident: escalation rests until the acknowledgement expires.
pub fn acknowledge(incident: &Incident, who: &str, now_ms: u64) -> Result<Plan, Refusal> {
    let _ = (incident, who, now_ms);
    Ok(Plan::default())
}

/// Somebody says it is dealt with.
pub fn resolve(incident: &Incident, who: &str, now_ms: u64) -> Result<Plan, Refusal> {
    let _ = (incident, who, now_ms);
    Ok(Plan::default())
}

/// Somebody says it was nothing.
pub fn false_alarm(incident: &Incident, who: &str, now_ms: u64) -> Result<Plan, Refusal> {
    let _ = (incident, who, now_ms);
    Ok(Plan::default())
}

/// A page marked `TEST` down a path, which escalates and can be acknowledged as any other.
#[must_use]
pub fn test_page(path: &Path, roster: &Roster, now_ms: u64) -> Plan {
    let _ = (path, roster, now_ms);
    Plan::default()
}

/// A message that cannot be delivered is an incident by another road. `live` are the live incidents.
#[must_use]
pub fn dead_letter(letter: &Delivery, error: &str, live: &[Incident], roster: &Roster, now_ms: u64) -> Plan {
    let _ = (letter, error, live, roster, now_ms);
    Plan::default()
}
