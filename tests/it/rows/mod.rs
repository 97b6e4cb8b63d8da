//! What Watchfire finds without being told to, row by row: the attack on a real chain with real bytecode, and beside it the
//! harmless thing that looks like it, silent under the rule that vouches for it.
//!
//! Each family is a file with its rows and a test for each, which holds what was found against its own row. docs/detections.md is
//! written from the same rows.

mod allowances;
mod attempts;
mod authority;
mod behavior;
mod control;
mod ether;
mod fits;
mod governor;
mod inner;
mod keys;
mod multisig;
mod names;
mod old;
mod operations;
mod outflows;
mod pending;
mod posture;
mod queue;
mod roles;
mod safe;
mod stage;
mod standards;
mod state;
mod table;
mod timelock;
mod tokens;
mod upgrades;
mod within;

pub(crate) use stage::{Seen, Stage, book, calldata, pays, vouch, watch};

use watchfire::model::Severity;

/// One line of the table.
pub(crate) struct Row {
    /// What the table calls it.
    pub(crate) id: &'static str,
    /// What happens, in one line.
    pub(crate) finds: &'static str,
    /// The built-in that raises it, or the rule.
    pub(crate) by: &'static str,
    /// How loud the incident is.
    pub(crate) severity: Severity,
    /// How many incidents it makes, however many transactions it takes.
    pub(crate) incidents: usize,
    /// The harmless thing that looks like it, and what vouches for that.
    pub(crate) beside: &'static str,
}
