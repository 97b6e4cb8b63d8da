//! Result of a run, and the exit code that it becomes.

use std::process::ExitCode;

/// Result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and no findings are active.
    Calm,
    /// There are findings.
    Findings,
    /// Undetermined.
    Unknown,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Calm => 0,
            Outcome::Findings => 1,
            Outcome::Unknown => 2,
        })
    }
}
