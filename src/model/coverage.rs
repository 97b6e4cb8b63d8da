//! Set of acts that pages have shown. It decides whether a finding repeats known evidence or has to page again.

use super::activity::{ActivityKind, Operation};
use super::ids::IncidentId;
use super::severity::Severity;
use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

/// Maximum number of acts that one incident remembers as shown. The oldest is forgotten first, and a forgotten act
/// pages again: a stranger who rotates addresses causes pages, but cannot suppress any.
pub const SHOWN_MAX: usize = 64;
/// Maximum number of addresses, signers and amounts of one act that are compared; an act with more is never covered.
pub const PARTS_MAX: usize = 32;
/// Minimum interval between pages for strangers' failed attempts at one watch: an hour.
pub const TRIED_EVERY_MS: u64 = 3_600_000;

/// Party on whose behalf an act happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doer {
    /// Any outside party: a call to the subject, a log, an inbound move.
    Stranger,
    /// No actor named in the block: the subject's state changed, or an expected event did not occur.
    Nobody,
    /// Value left the subject, or another party may now take it.
    Outflow,
    /// The subject itself.
    Subject,
}

/// Stage reached by an act. A later stage is news to a person who saw an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Attempted and reverted.
    Tried,
    /// Proposed; can still be stopped.
    Proposed,
    /// Pending, and in no block yet.
    Pending,
    /// A wrapper claims it.
    Claimed,
    /// Executed.
    Executed,
}

impl Reach {
    /// Returns true if people can still stop the act.
    #[must_use]
    pub const fn is_stoppable(self) -> bool {
        matches!(self, Self::Proposed | Self::Pending)
    }
}

/// An act as a page shows it: actors, action, target, amounts and stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shown {
    /// The watched address.
    pub watch: Address,
    /// Rule or built-in.
    pub rule: String,
    /// Party on whose behalf it happened.
    pub doer: Doer,
    /// Actor, sender of the transaction, and the module it went through: each once, sorted.
    pub actors: Vec<Address>,
    /// Approvers, sorted; absent where they are not known.
    pub signers: Option<Vec<Address>>,
    /// Kind of activity.
    pub kind: ActivityKind,
    /// Type of call by which it is executed.
    pub operation: Operation,
    /// Canonical signature, or the selector or topic in hex where there is none; of a state change its item.
    pub function: String,
    /// The token whose function, event or movement it is, or the called contract.
    pub target: Option<Address>,
    /// Every address among the arguments, in their order.
    pub parties: Vec<Address>,
    /// Digest of the arguments that must be identical, each in its position: all except token amounts. Bytes and
    /// strings are included only for the subject's own acts. Absent where there are no such arguments.
    pub exact: Option<B256>,
    /// Ether sent along, then the token amounts among the arguments, in their order.
    pub sums: Vec<U256>,
    /// Totals of the acts contained in this one since a page showed it, in the order of `sums`: acts of the subject's
    /// own and outflows, since somebody acknowledged. Empty for nothing.
    #[serde(default)]
    pub since: Vec<U256>,
    /// Stage reached.
    pub reach: Reach,
    /// True if the fields above describe the act completely. Undecodable calldata, or more than [`PARTS_MAX`] parts of
    /// any kind, make it false: such an act is never covered.
    pub whole: bool,
}

impl Shown {
    /// Returns true if it is a failed act of a stranger.
    #[must_use]
    pub fn is_attempt(&self) -> bool {
        self.doer == Doer::Stranger && self.reach == Reach::Tried
    }

    /// Checks whether `other` is the same act, at the same or an earlier stage, and with amounts that are no larger, so
    /// that people who were shown this act were also shown `other`.
    #[must_use]
    pub fn covers_act(&self, other: &Self) -> bool {
        let same = self.watch == other.watch
            && self.rule == other.rule
            && self.doer == other.doer
            && self.actors == other.actors
            && self.signers == other.signers
            && self.kind == other.kind
            && self.operation == other.operation
            && self.function == other.function
            && self.target == other.target
            && self.parties == other.parties
            && self.exact == other.exact
            && self.sums.len() == other.sums.len();
        let no_more = self.sums.iter().zip(&other.sums).all(|(seen, new)| new <= seen);
        self.whole && other.whole && same && no_more && other.reach <= self.reach
    }

    /// Checks whether `other`, together with the totals since then, stays within the amounts that people were shown.
    #[must_use]
    pub fn has_room(&self, other: &Self) -> bool {
        let came = self.since.iter().copied().chain(std::iter::repeat(U256::ZERO));
        let mut sums = self.sums.iter().zip(&other.sums).zip(came);
        !other.adds_up() || sums.all(|((seen, new), came)| came.saturating_add(*new) <= *seen)
    }

    /// Returns true if the sums of several such acts add up: value that the subject gives, or that leaves it. Calls by
    /// strangers cost the subject nothing.
    fn adds_up(&self) -> bool {
        matches!(self.doer, Doer::Subject | Doer::Outflow)
    }
}

/// Acts that the pages of one incident have shown since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Coverage {
    /// Oldest first, at most [`SHOWN_MAX`].
    pub shown: Vec<Shown>,
    /// True if a page ever showed an act of the subject's own, including acts forgotten since.
    pub own: bool,
    /// True if a page ever showed an outflow.
    pub outflow: bool,
    /// Time at which a page last showed a stranger's failed attempt, wall-clock milliseconds.
    pub tried_ms: Option<u64>,
}

impl Coverage {
    /// Checks whether a page showed this act with amounts that cover both it and all such acts since then.
    #[must_use]
    pub fn covers_act(&self, act: &Shown) -> bool {
        self.shown.iter().any(|shown| shown.covers_act(act) && shown.has_room(act))
    }

    /// Counts an act that is covered and therefore not shown on a page.
    pub fn count(&mut self, act: &Shown) {
        let Some(shown) = self.shown.iter_mut().find(|shown| shown.covers_act(act) && shown.has_room(act)) else {
            return;
        };
        if act.adds_up() {
            shown.since.resize(shown.sums.len(), U256::ZERO);
            for (came, new) in shown.since.iter_mut().zip(&act.sums) {
                *came = came.saturating_add(*new);
            }
        }
    }

    /// Checks whether this act is a failed attempt of a stranger and a page showed such an attempt within the last
    /// [`TRIED_EVERY_MS`]. Failed attempts cost next to nothing, and a stranger can easily use a new address each time.
    #[must_use]
    pub fn covers_attempt(&self, act: &Shown, now_ms: u64) -> bool {
        let lately = self.tried_ms.is_some_and(|at| at <= now_ms && now_ms - at < TRIED_EVERY_MS);
        act.is_attempt() && lately
    }

    /// Checks whether it would be the first act of the subject's own, or the first outflow, that a page shows.
    #[must_use]
    pub fn is_first_of_own(&self, act: &Shown) -> bool {
        match act.doer {
            Doer::Subject => !self.own,
            Doer::Outflow => !self.outflow,
            Doer::Stranger | Doer::Nobody => false,
        }
    }

    /// Records that a page shows `act`.
    pub fn add(&mut self, act: Shown, now_ms: u64) {
        if act.is_attempt() {
            self.tried_ms = Some(now_ms);
        }
        self.own |= act.doer == Doer::Subject;
        self.outflow |= act.doer == Doer::Outflow;
        let mut known = self.shown.iter_mut().filter(|shown| shown.covers_act(&act)).peekable();
        if known.peek().is_some() {
            known.for_each(|shown| shown.since.clear());
            return;
        }
        self.shown.retain(|shown| !act.covers_act(shown));
        self.shown.push(act);
        let over = self.shown.len().saturating_sub(SHOWN_MAX);
        self.shown.drain(..over);
    }
}

/// A page that a path sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged {
    /// Name of the path.
    pub path: String,
    /// Severity of the page.
    pub severity: Severity,
    /// Time of the page, wall-clock milliseconds.
    pub at_ms: u64,
}

/// Findings that a path suppressed because it had already paged too often: the storm, listed in one incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storm {
    /// Incidents that were held back: the most severe first, then the subject's own acts and outflows, then those with
    /// the largest weight; at most [`HELD_MAX`].
    pub held: Vec<Held>,
    /// Number of further incidents.
    pub more: u64,
    /// Total number of findings held back.
    pub findings: u64,
    /// Time at which a finding was last held back, wall-clock milliseconds.
    pub last_ms: u64,
    /// Time of the last message about the storm, wall-clock milliseconds.
    pub told_ms: u64,
    /// Number of findings held back since that message.
    pub untold: u64,
}

/// Maximum number of incidents that a storm lists; the others are counted, and the store has all of them.
pub const HELD_MAX: usize = 48;

/// An incident that a storm held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The incident.
    pub incident: IncidentId,
    /// Label of the watch that the incident is about.
    pub label: String,
    /// Highest severity among the findings that were held back.
    pub severity: Severity,
    /// Headline of the weightiest of them, in one sentence; the last of several with the same weight.
    pub headline: String,
    /// True if it is the subject's own act, or value that leaves it.
    #[serde(default)]
    pub own: bool,
    /// Weight, as [`super::page::Evidence::weight`].
    #[serde(default)]
    pub weight: u64,
    /// Number of its findings that were held back.
    pub findings: u64,
}
