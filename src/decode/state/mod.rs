//! Turns state into activities: a watched value that changed, or that differs from the registry.
//!
//! In: a block's activities, the last known values, and the node's answers about the state at the block's hash. Out: an
//! activity for each change, joined to the act that explains it where there is one, and the [`WindowEntry`]s that record the
//! new values. Never here: a guess. A value that could not be read keeps its expected value, and is compared when it
//! can be read again.
//!
//! A subject is read after each block that touches it, and also on a slow schedule, which detects changes that no block
//! shows. Where the layout of a contract's storage is known, its slots are read rather than its views, since replaced
//! code can return any answer. A contract whose code is not of its kind can still return false values from its views.

mod causes;
mod misconfiguration;
mod reading;
mod registry_drift;
mod sums;

pub use misconfiguration::WEAKNESSES;
pub(super) use reading::IMPLEMENTATIONS;
pub(super) use registry_drift::bool_word;
pub use registry_drift::{Expected, activity_of, registry_differences};
pub use sums::{TOKENS_AT_ONCE, Tolerance};

use super::delegations::Delegation;
use super::prefund::Advance;
use super::{Questions, Subject, Subjects};
use crate::contracts::Property;
use crate::model::activity::Note;
use crate::model::state::{OWNER_DELEGATE, RELEASED_EARLY, Reading, Shape};
use crate::model::value::{Arg, Value};
use crate::model::{
    Activity, ActivityKind, Block, DecodedCall, Decoding, Fact, Fate, Item, Known, Operation, Position, Role, Stage,
    Tx, WatchId, WindowEntry,
};
use alloy_primitives::map::AddressHashSet;
use alloy_primitives::{Address, B256, U256};
use reading::Took;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Maximum number of watches whose complete state is read after one block while nothing is known of them yet. The
/// others follow on their schedule.
const INVENTORY_MAX: usize = 64;

/// Completeness of the node's answers about a watch's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateSight {
    /// Read in full.
    Read,
    /// Not read, although it could be read before.
    Lost,
    /// Read without the full list of members of a set: its owners, its modules, or the holders of a role.
    Unlisted,
}

/// Result of reading the state, beside activities.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// Facts to remember.
    pub(crate) deltas: Vec<WindowEntry>,
    /// Readability of the state of each watch whose turn it was.
    pub(crate) sights: Vec<(WatchId, StateSight)>,
}

/// Context for reading the state of one subject.
pub(super) struct Look<'a> {
    pub(super) block: &'a Block,
    pub(super) subjects: &'a Subjects,
    pub(super) known: &'a Known,
    /// The block's activities, except changes of state.
    pub(super) activities: &'a [Activity],
    /// Transactions whose traces were examined: ether that moves inside them is among the activities.
    pub(super) traced: &'a BTreeSet<u32>,
    /// Accounts that signed a delegation of their code in the block.
    pub(super) delegations: &'a [Delegation],
    /// Ether that accounts paid in advance for operations where no trace shows the payment.
    pub(super) advances: &'a [Advance],
    pub(super) subject: &'a Subject,
    pub(super) address: Address,
    /// True if every item is read; false if only the items that a block touching the subject may change are read.
    pub(super) whole: bool,
}

/// Reads the state of the subjects that are due, and appends the changes to `activities`.
pub(crate) fn observe_state(
    block: &Block,
    subjects: &Subjects,
    known: &Known,
    (traced, delegations, advances): (&BTreeSet<u32>, &[Delegation], &[Advance]),
    activities: &mut Vec<Activity>,
    questions: &mut Questions<'_>,
) -> Observed {
    let mut observed = Observed::default();
    if !subjects.looks_at_state() {
        return observed;
    }
    let mut found = Vec::new();
    for (address, whole) in subjects_due(block, subjects, known, activities, delegations) {
        let Some(subject) = subjects.get(&address) else { continue };
        let look = Look { block, subjects, known, activities, traced, delegations, advances, subject, address, whole };
        let took = reading::read_state(&look, questions);
        look.append_changes(&took, &mut found, &mut observed.deltas);
        match took.went {
            Reading::Whole => observed.sights.push((subject.watch, StateSight::Read)),
            Reading::Dark if took.is_endless => observed.sights.push((subject.watch, StateSight::Unlisted)),
            Reading::Dark if known.has_values(address) => observed.sights.push((subject.watch, StateSight::Lost)),
            Reading::Dark | Reading::Due => {}
        }
    }
    activities.append(&mut found);
    observed
}

/// Returns the subjects that are due, each once, and whether all of its items are read.
///
/// Subjects that had to wait come first, starting at a position that an attacker cannot choose, so that filling blocks
/// with touches of many watches delays none of them forever. They are followed by the subjects that the block touches,
/// new subjects, and scheduled ones.
fn subjects_due(
    block: &Block,
    subjects: &Subjects,
    known: &Known,
    activities: &[Activity],
    delegations: &[Delegation],
) -> Vec<(Address, bool)> {
    let mut seen = AddressHashSet::default();
    let mut turns = Vec::new();
    let mut add = |address: Address, whole: bool| {
        if seen.insert(address) {
            turns.push((address, whole));
        }
    };
    let beat: BTreeSet<Address> = subjects.due_at_block(block.at.number).collect();
    let pivot = Address::from_word(block.at.hash);
    let (before, after): (Vec<Address>, Vec<Address>) = known.due_watches().partition(|address| *address < pivot);
    after.into_iter().chain(before).for_each(|address| add(address, true));
    let touched = activities.iter().filter_map(|activity| subjects.address_of(activity));
    let paid = block.withdrawals.iter().map(|(to, _)| *to).filter(|to| subjects.get(to).is_some());
    // A beacon's log means new code for every proxy that uses it, although none of the proxies writes a log.
    let beacons: AddressHashSet = super::versions::upgraded_proxies(block).collect();
    if !beacons.is_empty() {
        let beacon = |address: &Address| known.last_value(*address, Item::of_table("beacon")).map(Address::from_word);
        let behind = |address: &Address| beacon(address).is_some_and(|beacon| beacons.contains(&beacon));
        subjects.addresses().filter(behind).for_each(|address| add(address, true));
    }
    // An owner's delegation touches none of the wallets that it owns, but is reported for all of them in its own block.
    let owned: Vec<Address> = if delegations.is_empty() {
        vec![]
    } else {
        let signed = |owner: Address| delegations.iter().any(|delegation| delegation.authority == owner);
        subjects.addresses().filter(|address| known.set_members(*address, "owner").any(signed)).collect()
    };
    for address in touched.chain(paid).chain(owned) {
        let whole = beat.contains(&address) || known.last_reading(address) != Some(Reading::Whole);
        add(address, whole);
    }
    if known.len() < subjects.len() {
        let new = subjects.addresses().filter(|address| known.last_reading(*address).is_none());
        new.take(INVENTORY_MAX).for_each(|address| add(address, true));
    }
    beat.into_iter().for_each(|address| add(address, true));
    turns
}

/// Item that was read with a value other than the previous one.
struct Change {
    item: Item,
    before: B256,
    after: B256,
    /// Index of the activity that explains it.
    cause: Option<usize>,
}

impl Look<'_> {
    /// Appends the activities to report and the deltas to record.
    fn append_changes(&self, took: &Took, found: &mut Vec<Activity>, deltas: &mut Vec<WindowEntry>) {
        let mut changes: Vec<Change> = Vec::new();
        for (item, after) in &took.values {
            let before = self.known_value(*item);
            if before == Some(*after) {
                continue;
            }
            deltas.push(Fact::Value(*item).window_entry(self.address, *after));
            if let Some(before) = before
                && !reading::is_silent(*item)
                && !sums::is_change_explained(self, *item, before, *after)
                && !self.is_implied_change(*item, took)
            {
                let cause = causes::find_cause(self, *item, before, *after);
                changes.push(Change { item: *item, before, after: *after, cause });
            }
        }
        // An item that could not be read gets the value that follows from the block's acts, until it can be read again.
        for item in &took.dark {
            for member in causes::added_members(self, *item) {
                deltas.push(Fact::Value(member).window_entry(self.address, B256::with_last_byte(1)));
            }
            let Some(before) = self.known.last_value(self.address, *item) else { continue };
            let expected = sums::expected_sum(self, *item, before).or_else(|| causes::expected_value(self, *item));
            if let Some(expected) = expected.filter(|expected| *expected != before) {
                deltas.push(Fact::Value(*item).window_entry(self.address, expected));
            }
        }
        for change in &changes {
            let role = change.cause.map_or(Role::Leaf, |of| Role::Effect { of });
            let args = self.change_arguments(change.item, change.before, change.after);
            let place = self.change_place(change.item, change.cause);
            let fee = sums::unreported_fee(self, change.item);
            let notes = fee.map(|(lacks, allowed)| Note::FeeBound { lacks, allowed }).into_iter().collect();
            found.push(self.change_activity(&place, change.item, args, role, notes));
        }
        registry_drift::append_registry_drift(self, took, &changes, found, deltas);
        misconfiguration::append_misconfigurations(self, took, &changes, found, deltas);
        if self.known.last_reading(self.address) != Some(took.went) || self.known.is_due(self.address) {
            deltas.push(Fact::Reading.window_entry(self.address, took.went.to_word()));
        }
    }

    /// Returns the last known value. An address that is not known as a member of a set that was read before was not a
    /// member.
    fn known_value(&self, item: Item) -> Option<B256> {
        let known = self.known.last_value(self.address, item);
        let is_in_a_set = matches!(item.kind().shape, Shape::Member | Shape::Holder);
        let absent = || is_in_a_set && self.known.last_value(self.address, item.containing_set()).is_some();
        known.or_else(|| (item.of.is_some() && absent()).then_some(B256::ZERO))
    }

    /// Returns whether an item only follows from another item that changed as well: new code behind a new
    /// implementation.
    fn is_implied_change(&self, item: Item, took: &Took) -> bool {
        let behind: &[&str] = match item.name() {
            "implementation-code" => IMPLEMENTATIONS,
            "admin-owner" => &["admin"],
            "beacon-implementation" => &["beacon"],
            _ => &[],
        };
        behind.iter().any(|name| {
            took.values.iter().any(|(other, value)| {
                other.name() == *name
                    && self.known.last_value(self.address, *other).is_some_and(|before| before != *value)
            })
        })
    }

    /// Returns the transaction to which an activity belongs.
    fn place_of(&self, activity: &Activity) -> Place {
        Place { tx: activity.tx, index: activity.tx_index, origin: activity.origin, since: None }
    }

    /// Returns a place without a transaction: the state is so after this block, and may have been so for some blocks.
    fn no_place(&self) -> Place {
        let index = u32::try_from(self.block.txs.len()).unwrap_or(u32::MAX);
        // A subject that could not be read for a while may have changed at any time since.
        let since =
            (self.known.last_reading(self.address) == Some(Reading::Whole)).then(|| self.subjects.cycle_blocks());
        Place { tx: self.block.at.hash, index, origin: Address::ZERO, since }
    }

    /// Returns the transaction to which a change belongs: that of the act that explains it; for a delegation, that of
    /// the owner's authorization; otherwise the single transaction that made the subject run code, where only that can
    /// change the item. A transaction that only names the subject changed nothing in it, and an item that is read on
    /// the slow schedule may have changed before this block.
    fn change_place(&self, item: Item, cause: Option<usize>) -> Place {
        if let Some(cause) = cause.and_then(|at| self.activities.get(at)) {
            return self.place_of(cause);
        }
        if item.name() == OWNER_DELEGATE {
            let signed = self.delegations.iter().rfind(|delegation| Some(delegation.authority) == item.of);
            let tx = signed.and_then(|signed| self.block.txs.iter().find(|tx| tx.index == signed.tx));
            let by = |tx: &Tx| Place { tx: tx.hash, index: tx.index, origin: tx.from, since: None };
            return tx.map_or_else(|| self.no_place(), by);
        }
        // A balance also changes by transactions that only name the subject, except for ether that arrives at an
        // account.
        let adds_up = item.kind().shape == Shape::Sum;
        let takes = |own: &Activity| {
            adds_up && (own.kind != ActivityKind::Call || !self.subject.contract().has(Property::Account))
        };
        let may = |own: &&Activity| own.watch == self.subject.watch && (takes(own) || made_it_run(own));
        let mut ran: Vec<&Activity> = self.activities.iter().filter(may).collect();
        ran.dedup_by_key(|own| own.tx);
        match ran.as_slice() {
            [one] if !self.subject.contract().is_slow(item.name()) => {
                Place { since: self.no_place().since, ..self.place_of(one) }
            }
            _ => self.no_place(),
        }
    }

    fn change_activity(&self, place: &Place, item: Item, args: Vec<Arg>, role: Role, notes: Vec<Note>) -> Activity {
        let notes = notes.into_iter().chain(place.since.map(Note::Within)).collect();
        Activity { role, notes, ..state_activity(self.subject.watch, self.address, place, item, args) }
    }

    /// Returns the arguments of a change: its values before and after, and for a member or a sum the further values
    /// that belong to it.
    fn change_arguments(&self, item: Item, before: B256, after: B256) -> Vec<Arg> {
        let kind = item.kind();
        let value = |word: B256| read_as(kind.shape, word);
        match (kind.shape, item.of) {
            (_, token) if kind.name == RELEASED_EARLY => vec![
                named_argument("token", "address", Value::Address(token.unwrap_or_default())),
                named_argument("before", "uint256", value(before)),
                named_argument("after", "uint256", value(after)),
            ],
            (Shape::Sum, token) if kind.name != "daily-limit" => {
                let (missing, surplus) = sums::shortfall_and_surplus(self, item, before, after);
                let token = if kind.name == "supply" { Some(self.address) } else { token };
                vec![
                    named_argument("token", "address", Value::Address(token.unwrap_or_default())),
                    named_argument("before", "uint256", value(before)),
                    named_argument("after", "uint256", value(after)),
                    named_argument("missing", "uint256", Value::Uint(missing)),
                    named_argument("surplus", "uint256", Value::Uint(surplus)),
                ]
            }
            _ => plain_args(item, before, after),
        }
    }
}

/// An activity about an item of the state of `own`.
fn state_activity(watch: WatchId, own: Address, place: &Place, item: Item, args: Vec<Arg>) -> Activity {
    Activity {
        watch,
        kind: ActivityKind::State,
        stage: Stage::Included,
        fate: Fate::Executed,
        tx: place.tx,
        tx_index: place.index,
        position: Position::State(item),
        from: own,
        origin: place.origin,
        to: None,
        value: U256::ZERO,
        deed: DecodedCall::without_calldata(item.name(), item.to_string(), args),
        operation: Operation::Call,
        signers: None,
        via: vec![],
        role: Role::Leaf,
        notes: vec![],
    }
}

/// Returns the same for items other than sums.
fn plain_args(item: Item, before: B256, after: B256) -> Vec<Arg> {
    let (shape, who) = (item.kind().shape, item.of);
    let ty = type_of(shape);
    let role = item.role.map(|role| named_argument("role", "bytes32", Value::FixedBytes(role, 32)));
    let about = role.into_iter().chain(who.map(|who| named_argument("who", "address", Value::Address(who))));
    about
        .chain([
            named_argument("before", ty, read_as(shape, before)),
            named_argument("after", ty, read_as(shape, after)),
        ])
        .collect()
}

/// Returns whether the activity ran code of the subject, or code in its name.
fn made_it_run(activity: &Activity) -> bool {
    let ran = match activity.kind {
        ActivityKind::Act | ActivityKind::Event => true,
        ActivityKind::Call => activity.deed.decoding != Decoding::Ether,
        ActivityKind::Move | ActivityKind::State => false,
    };
    ran && activity.fate != Fate::Waiting
}

/// Place to which a change is attributed.
struct Place {
    tx: B256,
    index: u32,
    origin: Address,
    /// Number of blocks up to this one in which it may have happened, where the block is not known exactly.
    since: Option<u64>,
}

fn named_argument(name: &str, ty: &str, value: Value) -> Arg {
    Arg { name: Arc::from(name), ty: Arc::from(ty), value, span: None }
}

/// Returns the ABI type of a shape.
const fn type_of(shape: Shape) -> &'static str {
    match shape {
        Shape::Address => "address",
        Shape::Number | Shape::Sum => "uint256",
        Shape::Flag | Shape::Member | Shape::Holder => "bool",
        Shape::Hash => "bytes32",
    }
}

/// Returns a word as the value that it represents. A slot that should hold an address and holds more is shown
/// completely.
fn read_as(shape: Shape, word: B256) -> Value {
    match shape {
        Shape::Address if word[..12].iter().all(|byte| *byte == 0) => Value::Address(Address::from_word(word)),
        Shape::Address | Shape::Hash => Value::FixedBytes(word, 32),
        Shape::Number | Shape::Sum => Value::Uint(U256::from_be_bytes(word.0)),
        Shape::Flag | Shape::Member | Shape::Holder => Value::Bool(!word.is_zero()),
    }
}
