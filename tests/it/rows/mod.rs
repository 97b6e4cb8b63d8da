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
mod standards;
mod state;
mod table;
mod timelock;
mod tokens;
mod upgrades;
mod within;

pub(crate) use crate::support::case_chain::{CaseChain, Row, Seen, book, calldata, pays, vouch, watch};
