//! Recipients of an incident, their order, and the time each has to acknowledge.

use super::severity::Severity;
use serde::{Deserialize, Serialize};

/// Name of the path for Watchfire's own problems: an outage, or a store that rejects writes.
pub const SELF_PATH: &str = "self";

/// A path as stored in an incident: a copy, so that a changed configuration cannot break a running escalation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Name that a watch refers to.
    pub name: String,
    /// First to last; the last repeats until a responder acknowledges. Never empty in a compiled book.
    pub steps: Vec<PathStep>,
    /// Lowest severity that pages; default [`Severity::High`].
    pub page_at: Severity,
    /// Destinations notified of findings below `page_at`.
    pub notify: Vec<String>,
    /// Validity of an acknowledgement in seconds, after which the incident pages again.
    pub ack_expires: u64,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStep {
    /// Names of destinations, all notified at the same time.
    pub to: Vec<String>,
    /// Seconds until the next step is notified as well.
    pub ack_within: u64,
}

/// Selection of lines sent to a feed destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feed {
    /// A message per finding and revision.
    Findings,
    /// A message per verdict, including normal ones.
    Verdicts,
}
