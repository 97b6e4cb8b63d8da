//! What people were shown on pages: the set that decides whether a finding is more of the same or has to page anew.

use super::activity::{ActivityKind, Operation};
use super::ids::IncidentId;
use super::severity::Severity;
use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

/// Acts that one incident remembers as shown. The oldest is forgotten first, and whatever is forgotten pages anew: a stranger who
/// rotates his addresses costs a page, and never gains silence.
pub const SHOWN_MAX: usize = 64;
/// Addresses, signers and amounts of one act that are compared; an act with more of them is covered by nothing.
pub const PARTS_MAX: usize = 32;
/// Failed attempts of strangers at one watch page once in this time: an hour.
pub const TRIED_EVERY_MS: u64 = 3_600_000;

/// On whose behalf something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doer {
    /// Anybody: a call to the subject, a log, an inbound move.
    Stranger,
    /// Nobody the block names: the subject's state changed, or something expected did not come.
    Nobody,
    /// Value left the subject, or somebody may take it.
    Outflow,
    /// The subject itself.
    Subject,
}

/// How far an act came. A later one is news to whoever saw an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// It was tried and undone.
    Tried,
    /// It is written down and can still be stopped.
    Proposed,
    /// It is announced and in no block yet.
    Pending,
    /// A wrapper claims it.
    Claimed,
    /// It happened.
    Executed,
}

impl Reach {
    /// Whether people may still stop it.
    #[must_use]
    pub const fn is_stoppable(self) -> bool {
        matches!(self, Self::Proposed | Self::Pending)
    }
}

/// One act as a page shows it: who, what, where to, how much, at which stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shown {
    /// The watched address.
    pub watch: Address,
    /// Rule or built-in.
    pub rule: String,
    /// On whose behalf.
    pub doer: Doer,
    /// Who acts, who sent the transaction, and the module it went through: each once, sorted.
    pub actors: Vec<Address>,
    /// Who approved it, sorted; absent where that is not known.
    pub signers: Option<Vec<Address>>,
    /// What sort of touch.
    pub kind: ActivityKind,
    /// How it is executed.
    pub operation: Operation,
    /// Canonical signature, or the selector or topic in hex where there is none; of a state change its item.
    pub function: String,
    /// The token whose function, event or movement it is, or the called contract.
    pub target: Option<Address>,
    /// Every address among the arguments, in their order.
    pub parties: Vec<Address>,
    /// Digest of the arguments that have to be the same, each in its place: all but amounts of tokens. Bytes and strings only of the
    /// subject's own acts. Absent where there are none.
    pub exact: Option<B256>,
    /// Ether sent along, then the amounts of tokens among the arguments, in their order.
    pub sums: Vec<U256>,
    /// What acts that this one contains came to since a page showed it, in the order of `sums`: acts of the subject's own and outflows,
    /// since somebody acknowledged. Empty for nothing.
    #[serde(default)]
    pub since: Vec<U256>,
    /// How far it came.
    pub reach: Reach,
    /// Whether the fields above say all there is. Calldata that nobody can read, or more of anything than [`PARTS_MAX`], is
    /// covered by nothing.
    pub whole: bool,
}

impl Shown {
    /// Whether it is a stranger's act that came to nothing.
    #[must_use]
    pub fn is_attempt(&self) -> bool {
        self.doer == Doer::Stranger && self.reach == Reach::Tried
    }

    /// Whether people who were shown this were shown `other`: the same act, at no later stage, and each amount no larger.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
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

    /// Whether `other`, together with what came since, is no more than what people were shown.
    #[must_use]
    pub fn has_room(&self, other: &Self) -> bool {
        let came = self.since.iter().copied().chain(std::iter::repeat(U256::ZERO));
        let mut sums = self.sums.iter().zip(&other.sums).zip(came);
        !other.adds_up() || sums.all(|((seen, new), came)| came.saturating_add(*new) <= *seen)
    }

    /// Whether the sums of several such acts add up: value that the subject gives, or that leaves it. What strangers call costs the
    /// subject nothing.
    fn adds_up(&self) -> bool {
        matches!(self.doer, Doer::Subject | Doer::Outflow)
    }
}

/// What the pages of one incident showed since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Coverage {
    /// Oldest first, at most [`SHOWN_MAX`].
    pub shown: Vec<Shown>,
    /// Whether an act of the subject's own was ever among them, forgotten ones too.
    pub own: bool,
    /// Whether an outflow was.
    pub outflow: bool,
    /// When a page last showed a stranger's failed attempt, wall-clock milliseconds.
    pub tried_ms: Option<u64>,
}

impl Coverage {
    /// Whether a page showed this, or more of the same than came since in all.
    #[must_use]
    pub fn covers(&self, act: &Shown) -> bool {
        self.shown.iter().any(|shown| shown.contains(act) && shown.has_room(act))
    }

    /// Counts an act that is covered, and that no page shows.
    pub fn count(&mut self, act: &Shown) {
        let Some(shown) = self.shown.iter_mut().find(|shown| shown.contains(act) && shown.has_room(act)) else {
            return;
        };
        if act.adds_up() {
            shown.since.resize(shown.sums.len(), U256::ZERO);
            for (came, new) in shown.since.iter_mut().zip(&act.sums) {
                *came = came.saturating_add(*new);
            }
        }
    }

    /// Whether a page within the last [`TRIED_EVERY_MS`] showed a failed attempt of a stranger, as this is one: they cost next to
    /// nothing, and whoever makes them is easily another each time.
    #[must_use]
    pub fn covers_attempt(&self, act: &Shown, now_ms: u64) -> bool {
        let lately = self.tried_ms.is_some_and(|at| at <= now_ms && now_ms - at < TRIED_EVERY_MS);
        act.is_attempt() && lately
    }

    /// Whether it would be the first act of the subject's own, or the first outflow, that a page shows.
    #[must_use]
    pub fn is_first_of_own(&self, act: &Shown) -> bool {
        match act.doer {
            Doer::Subject => !self.own,
            Doer::Outflow => !self.outflow,
            Doer::Stranger | Doer::Nobody => false,
        }
    }

    /// A page shows this.
    pub fn add(&mut self, act: Shown, now_ms: u64) {
        if act.is_attempt() {
            self.tried_ms = Some(now_ms);
        }
        self.own |= act.doer == Doer::Subject;
        self.outflow |= act.doer == Doer::Outflow;
        let mut known = self.shown.iter_mut().filter(|shown| shown.contains(&act)).peekable();
        if known.peek().is_some() {
            known.for_each(|shown| shown.since.clear());
            return;
        }
        self.shown.retain(|shown| !act.contains(shown));
        self.shown.push(act);
        let over = self.shown.len().saturating_sub(SHOWN_MAX);
        self.shown.drain(..over);
    }
}

/// A page that a path sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged {
    /// The path.
    pub path: String,
    /// How loud it was.
    pub severity: Severity,
    /// When, wall-clock milliseconds.
    pub at_ms: u64,
}

/// Findings that a path would have paged for and did not, since it had paged so often: the storm, listed in one incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storm {
    /// Incidents that were held back, loudest first, then the subject's own acts and outflows, then what weighs most; at most [`HELD_MAX`].
    pub held: Vec<Held>,
    /// How many more incidents there are.
    pub more: u64,
    /// How many findings were held back in all.
    pub findings: u64,
    /// When something was held back last, wall-clock milliseconds.
    pub last_ms: u64,
    /// When people were told of the storm last, wall-clock milliseconds.
    pub told_ms: u64,
    /// How many findings were held back since then.
    pub untold: u64,
}

/// Incidents that a storm lists; the rest is counted, and the store has all of them.
pub const HELD_MAX: usize = 48;

/// One incident that a storm held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The incident.
    pub incident: IncidentId,
    /// What it is about.
    pub label: String,
    /// The loudest of what was held back.
    pub severity: Severity,
    /// What weighs most of that, in one sentence; the last of several that weigh the same.
    pub headline: String,
    /// Whether it is the subject's own act, or value that leaves it.
    #[serde(default)]
    pub own: bool,
    /// How much it weighs, as [`super::page::Evidence::weight`].
    #[serde(default)]
    pub weight: u64,
    /// How many findings of it were held back.
    pub findings: u64,
}
