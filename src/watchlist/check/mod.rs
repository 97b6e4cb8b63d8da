//! What a watchlist does before it watches anything: its own tests, and what would happen to every function.
//!
//! Comes in: a compiled [`Book`]. Goes out: an outcome for each `[[watch.test]]` and a row for each function. Both go
//! through the same judge as the chain does. Never here: words on a terminal, which are the command line's.

mod coverage;
mod outcomes;

pub use coverage::{CoverageRow, Otherwise, coverage};
pub use outcomes::{TestOutcome, run_tests};

#[cfg(doc)]
use super::Book;
