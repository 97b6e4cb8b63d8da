//! Checks of a watchlist before it watches anything: its own tests, the coverage of every function, and notes.
//!
//! Comes in: a compiled [`Config`]. Goes out: an outcome for each `[[watch.test]]` and a row for each function, both
//! judged by the same code as the chain's activities; and a note for each chain whose visibility could be better. Never
//! here: terminal output, which belongs to the command line.

mod coverage;
mod notes;
mod outcomes;

pub use coverage::{CoverageRow, Otherwise, coverage_rows};
pub use notes::{Note, config_notes, format_note};
pub use outcomes::{TestOutcome, run_tests};

#[cfg(doc)]
use super::Config;
