//! Escalation: turns verdicts into incidents, notifications and retractions.
//!
//! Input: judged blocks, the known incidents and findings, the roster of paths and names, and the time as a value.
//! Output: a [`ChangeSet`](crate::model::incident::ChangeSet) with everything to commit and to send. The same input gives the
//! same plan on any machine.
//!
//! Never here: a clock, a socket, a file, a lock, a logger. This module sends nothing: the store commits a plan, and
//! only then are messages sent.

mod catch_up_report;
mod engine;
mod feed;
mod group;
mod headline;
mod lifecycle;
mod lines;
mod news;
mod noise;
mod outage;
mod page;
mod phrases;
mod responses;
mod routing;
mod shown;
mod standing;
mod state;
mod storm;
mod system_incident;
mod weight;

pub use crate::model::incident_state::ResponseError;
pub use engine::{pending_change_set, proposal_change_set, step_change_set};
pub use headline::activity_headline;
pub use lines::{finding_line, format_rfc3339, incident_line, verdict_line};
pub use outage::{
    BLINDNESS, RETURNS_WITHIN_MS, complete_catch_up, is_dark, lift_outage, open_outage, record_direct_incident,
    remind_first_step,
};
pub use responses::{acknowledge_incident, advance_timers, false_alarm, open_again, resolve_incident, stay_open};
pub use routing::{AddressNames, Routing, StepJudged, shorten_address};
pub use standing::reopen_standing;
pub use storm::{AHEAD_MS, OWN_PAGES_MAX, PAGES_MAX, STORM, WINDOW_MS};
pub use system_incident::{UNDELIVERABLE, dead_letter, pass_on, test_page};

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
