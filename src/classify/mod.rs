//! Turns activities into verdicts: the first rule that vouches wins, and an activity that nothing vouches for is a
//! finding.
//!
//! Input: a block's activities, the compiled [`rule`]s and the rolling windows of [`history`]. Output: one verdict for
//! each activity and the entries that the block adds to the windows. Never here: a clock (rules see block time), an
//! address book, a store.
//!
//! An abnormal rule that holds raises. Otherwise the first normal rule that holds in full vouches, then a [`builtin`];
//! anything else is a finding with the mismatches of every rule, nearest first. Leaves are judged first, then the
//! envelopes that carry them, then the effects that they explain. An effect takes the verdict of its cause, unless it
//! moves value or rights out of the subject.

pub mod address_poisoning;
mod baseline;
pub mod builtin;
mod condition;
mod displaced;
mod expected;
mod finding;
mod first_seen;
pub mod history;
mod judge;
mod noise;
mod outward;
pub mod proposals;
pub mod rule;
mod rule_result;
mod via;

pub use displaced::judge_displacement;
pub use expected::{absences_of, arrival_entry, find_missed_expectations, keeps_time};
pub use history::History;
pub use judge::{Moment, judge_activities, judge_after};
pub use rule_result::{Mismatch, RuleResult, evaluate_rules};
