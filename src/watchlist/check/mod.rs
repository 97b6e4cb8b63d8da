//! What a watchlist does before it watches anything: its own tests, what would happen to every function, and what to know of it.
//!
//! Comes in: a compiled [`Book`]. Goes out: an outcome for each `[[watch.test]]` and a row for each function, both by way of the
//! same judge as the chain's; and a note for each chain that could see more. Never here: words on a terminal, which are the command line's.

mod coverage;
mod notes;
mod outcomes;

pub use coverage::{CoverageRow, Otherwise, coverage};
pub use notes::{Note, notes, told};
pub use outcomes::{TestOutcome, run_tests};

#[cfg(doc)]
use super::Book;
