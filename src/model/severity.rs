//! Severity of a finding.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Severities in ascending order, so that the `max()` of a batch is its highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Informational: a line in the feed.
    Info,
    /// To be checked during working hours.
    Warning,
    /// Requires attention now.
    High,
    /// Funds or control may be leaving: page a responder at any hour.
    Critical,
}

impl Severity {
    /// All severities, in ascending order.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::High, Self::Critical];

    /// Returns the word used in watchlists and on pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Returns the next higher severity; critical stays critical.
    #[must_use]
    pub const fn one_level_up(self) -> Self {
        match self {
            Self::Info => Self::Warning,
            Self::Warning => Self::High,
            Self::High | Self::Critical => Self::Critical,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a severity: info, warning, high or critical"))
    }
}
