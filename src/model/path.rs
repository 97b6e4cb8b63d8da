//! Who is told, in which order, and how long each has to acknowledge.

use super::severity::Severity;
use serde::{Deserialize, Serialize};

/// Name of the path on which Watchfire tells of itself: that it is blind, or cannot write down what it sees.
pub const SELF_PATH: &str = "self";

/// A path as it stands in an incident: a copy, so that a changed configuration cannot break a running escalation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// The name a watch gives.
    pub name: String,
    /// First to last; the last repeats until somebody acknowledges. Never empty in a compiled book.
    pub steps: Vec<PathStep>,
    /// Findings from this severity on page; default [`Severity::High`].
    pub page_at: Severity,
    /// Destinations told of findings below `page_at`.
    pub notify: Vec<String>,
    /// Seconds an acknowledgement holds before the incident pages again.
    pub ack_expires: u64,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStep {
    /// Names of destinations, all told at once.
    pub to: Vec<String>,
    /// Seconds until the next step is told as well.
    pub ack_within: u64,
}

/// What a feed destination wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feed {
    /// One message per finding and revision.
    Findings,
    /// One message per verdict, normal ones too.
    Verdicts,
}
