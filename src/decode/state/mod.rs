//! State becomes activities: a watched value that is no longer what it was, or not what the registry says.
//!
//! In: a block's activities, the last known values, and what the node answered of the state at the block's hash. Out: an activity for
//! each change, joined to the act that explains it where there is one, and the [`Delta`]s by which the new values are remembered.
//! Never here: a guess. What could not be read is left as it was expected to be, and is compared when it can be read again.
//!
//! A subject is read after each block that touches it, and on a slow beat besides: what changes it without a trace in any block is
//! found by that. Where the layout of a contract's storage is known, its slots are read rather than its views, since code that was
//! exchanged can answer whatever it likes. A contract with other code than its kind says can still lie about what its views tell.

mod causes;
mod drift;
mod lines;
mod posture;
mod reading;
mod sums;

pub use drift::{Expected, activity_of, differences};
pub use lines::HAS_ROLE;
pub(super) use lines::{BEACON, GET_IMPLEMENTATION, IMPLEMENTATION, PROXIABLE, ZOS_IMPLEMENTATION};
pub use posture::WEAKNESSES;
pub(super) use reading::IMPLEMENTATIONS;
pub use sums::{TOKENS_AT_ONCE, Tolerance};

use super::delegations::Delegation;
use super::prefund::Advance;
use super::{Questions, Subject, Subjects};
use crate::model::activity::Note;
use crate::model::state::{OWNER_DELEGATE, RELEASED_EARLY, Reading, Shape};
use crate::model::value::{Arg, Value};
use crate::model::{
    Activity, ActivityKind, Block, Decoding, Deed, Delta, Fact, Fate, Item, Kind, Known, Operation, Position, Role,
    Stage, Tx, WatchId,
};
use alloy_primitives::map::AddressHashSet;
use alloy_primitives::{Address, B256, U256};
use reading::Took;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whether a subject of this kind may be a proxy, so that the code it runs stands in one of its slots.
#[must_use]
pub fn may_be_a_proxy(kind: Kind) -> bool {
    lines::PROXIES.contains(&kind)
}

/// Watches whose inventory is taken after one block, when nothing is known of them yet. The rest follow on their beat.
const INVENTORY_MAX: usize = 64;

/// Whether the node told all of a watch's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateSight {
    /// It did.
    Read,
    /// It did not, though it could be read before.
    Lost,
    /// It did not say who all is in one of its sets: its owners, its modules, or who holds a role.
    Unlisted,
}

/// What looking at the state gave, beside activities.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// What is to be remembered.
    pub(crate) deltas: Vec<Delta>,
    /// How each watch could be read whose turn it was.
    pub(crate) sights: Vec<(WatchId, StateSight)>,
}

/// What a look at one subject needs to know.
pub(super) struct Look<'a> {
    pub(super) block: &'a Block,
    pub(super) subjects: &'a Subjects,
    pub(super) known: &'a Known,
    /// The block's activities that are no changes of state.
    pub(super) activities: &'a [Activity],
    /// Transactions whose traces were looked at: ether that moves inside of them is among the activities.
    pub(super) traced: &'a BTreeSet<u32>,
    /// Accounts that signed a delegation of their code in the block.
    pub(super) delegations: &'a [Delegation],
    /// Ether that accounts paid in advance for operations where no trace shows it.
    pub(super) advances: &'a [Advance],
    pub(super) subject: &'a Subject,
    pub(super) address: Address,
    /// Whether everything is read, or only what a block that touches the subject may change.
    pub(super) whole: bool,
}

/// Reads the state of those subjects whose turn it is, and appends what changed to `activities`.
pub(crate) fn observe(
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
    for (address, whole) in turns(block, subjects, known, activities, delegations) {
        let Some(subject) = subjects.get(&address) else { continue };
        let look = Look { block, subjects, known, activities, traced, delegations, advances, subject, address, whole };
        let took = reading::take(&look, questions);
        look.tell(&took, &mut found, &mut observed.deltas);
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

/// Whose turn it is, each once, and whether everything of it is read.
///
/// Those that had to wait come first, from a place that nobody can choose, so that whoever fills blocks with touches of many watches
/// puts off none for ever. Then what the block touches, what is new, and whose beat it is.
fn turns(
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
    let beat: BTreeSet<Address> = subjects.beat(block.at.number).collect();
    let pivot = Address::from_word(block.at.hash);
    let (before, after): (Vec<Address>, Vec<Address>) = known.due().partition(|address| *address < pivot);
    after.into_iter().chain(before).for_each(|address| add(address, true));
    let touched = activities.iter().filter_map(|activity| subjects.address_of(activity));
    let paid = block.withdrawals.iter().map(|(to, _)| *to).filter(|to| subjects.get(to).is_some());
    // A beacon's word is new code for every proxy behind it, none of which says a word.
    let beacons: AddressHashSet = super::versions::replaced(block).collect();
    if !beacons.is_empty() {
        let beacon = |address: &Address| known.value(*address, Item::of_table("beacon")).map(Address::from_word);
        let behind = |address: &Address| beacon(address).is_some_and(|beacon| beacons.contains(&beacon));
        subjects.addresses().filter(behind).for_each(|address| add(address, true));
    }
    // An owner's delegation touches none of the wallets that it owns, and is told of all of them in its own block.
    let owned: Vec<Address> = if delegations.is_empty() {
        vec![]
    } else {
        let signed = |owner: Address| delegations.iter().any(|delegation| delegation.authority == owner);
        subjects.addresses().filter(|address| known.members(*address, "owner").any(signed)).collect()
    };
    for address in touched.chain(paid).chain(owned) {
        let whole = beat.contains(&address) || known.reading(address) != Some(Reading::Whole);
        add(address, whole);
    }
    if known.len() < subjects.len() {
        let new = subjects.addresses().filter(|address| known.reading(*address).is_none());
        new.take(INVENTORY_MAX).for_each(|address| add(address, true));
    }
    beat.into_iter().for_each(|address| add(address, true));
    turns
}

/// One item that was read and is not what it was.
struct Change {
    item: Item,
    before: B256,
    after: B256,
    /// Index of the activity that explains it.
    cause: Option<usize>,
}

impl Look<'_> {
    /// Appends what is to be told and what is to be remembered.
    fn tell(&self, took: &Took, found: &mut Vec<Activity>, deltas: &mut Vec<Delta>) {
        let mut changes: Vec<Change> = Vec::new();
        for (item, after) in &took.values {
            let before = self.before(*item);
            if before == Some(*after) {
                continue;
            }
            deltas.push(Fact::Value(*item).delta(self.address, *after));
            if let Some(before) = before
                && !reading::is_silent(*item)
                && !sums::explain(self, *item, before, *after)
                && !self.follows(*item, took)
            {
                let cause = causes::find(self, *item, before, *after);
                changes.push(Change { item: *item, before, after: *after, cause });
            }
        }
        // What could not be read is taken to be what the block's acts make of it, until it can be read again.
        for item in &took.dark {
            for member in causes::joined(self, *item) {
                deltas.push(Fact::Value(member).delta(self.address, B256::with_last_byte(1)));
            }
            let Some(before) = self.known.value(self.address, *item) else { continue };
            let expected = sums::expected(self, *item, before).or_else(|| causes::expected(self, *item));
            if let Some(expected) = expected.filter(|expected| *expected != before) {
                deltas.push(Fact::Value(*item).delta(self.address, expected));
            }
        }
        for change in &changes {
            let role = change.cause.map_or(Role::Leaf, |of| Role::Effect { of });
            let args = self.args(change.item, change.before, change.after);
            let place = self.place(change.item, change.cause);
            let fee = sums::allowed(self, change.item);
            let notes = fee.map(|(lacks, allowed)| Note::FeeBound { lacks, allowed }).into_iter().collect();
            found.push(self.activity(&place, change.item, args, role, notes));
        }
        drift::compare(self, took, &changes, found, deltas);
        posture::compare(self, took, &changes, found, deltas);
        if self.known.reading(self.address) != Some(took.went) || self.known.is_due(self.address) {
            deltas.push(Fact::Reading.delta(self.address, took.went.word()));
        }
    }

    /// The last known value. Whoever is not known to belong to a set that was read before did not belong to it.
    fn before(&self, item: Item) -> Option<B256> {
        let known = self.known.value(self.address, item);
        let is_in_a_set = matches!(item.kind().shape, Shape::Member | Shape::Holder);
        let absent = || is_in_a_set && self.known.value(self.address, item.whole()).is_some();
        known.or_else(|| (item.of.is_some() && absent()).then_some(B256::ZERO))
    }

    /// Whether an item only says what lies behind another that changed as well: new code behind a new implementation.
    fn follows(&self, item: Item, took: &Took) -> bool {
        let behind: &[&str] = match item.name() {
            "implementation-code" => IMPLEMENTATIONS,
            "admin-owner" => &["admin"],
            "beacon-implementation" => &["beacon"],
            _ => &[],
        };
        behind.iter().any(|name| {
            took.values.iter().any(|(other, value)| {
                other.name() == *name && self.known.value(self.address, *other).is_some_and(|before| before != *value)
            })
        })
    }

    /// The transaction that an activity belongs to.
    fn place_of(&self, activity: &Activity) -> Place {
        Place { tx: activity.tx, index: activity.tx_index, origin: activity.origin, since: None }
    }

    /// Nobody's transaction: it is so after this block, and may have been so for some blocks.
    fn no_place(&self) -> Place {
        let index = u32::try_from(self.block.txs.len()).unwrap_or(u32::MAX);
        // Whoever could not be read for a while may have changed at any time since.
        let since = (self.known.reading(self.address) == Some(Reading::Whole)).then(|| self.subjects.period());
        Place { tx: self.block.at.hash, index, origin: Address::ZERO, since }
    }

    /// To which transaction a change belongs: that of the act which explains it, of the owner's own word where it is a delegation, else
    /// the one transaction that made the subject run anything, where nothing but that can change the item. What only names the subject
    /// changed nothing of it, and on the slow beat a change may be older than the block.
    fn place(&self, item: Item, cause: Option<usize>) -> Place {
        if let Some(cause) = cause.and_then(|at| self.activities.get(at)) {
            return self.place_of(cause);
        }
        if item.name() == OWNER_DELEGATE {
            let signed = self.delegations.iter().rfind(|delegation| Some(delegation.authority) == item.of);
            let tx = signed.and_then(|signed| self.block.txs.iter().find(|tx| tx.index == signed.tx));
            let by = |tx: &Tx| Place { tx: tx.hash, index: tx.index, origin: tx.from, since: None };
            return tx.map_or_else(|| self.no_place(), by);
        }
        // A balance changes by whatever names the subject, too, but for ether that arrives at an account.
        let adds_up = item.kind().shape == Shape::Sum;
        let takes = |own: &Activity| adds_up && (own.kind != ActivityKind::Call || self.subject.kind != Kind::Eoa);
        let may = |own: &&Activity| own.watch == self.subject.watch && (takes(own) || made_it_run(own));
        let mut ran: Vec<&Activity> = self.activities.iter().filter(may).collect();
        ran.dedup_by_key(|own| own.tx);
        match ran.as_slice() {
            [one] if !lines::is_slow(self.subject.kind, item.name()) => {
                Place { since: self.no_place().since, ..self.place_of(one) }
            }
            _ => self.no_place(),
        }
    }

    fn activity(&self, place: &Place, item: Item, args: Vec<Arg>, role: Role, notes: Vec<Note>) -> Activity {
        let notes = notes.into_iter().chain(place.since.map(Note::Within)).collect();
        Activity { role, notes, ..state_activity(self.subject.watch, self.address, place, item, args) }
    }

    /// What a change says: before and after, and of a member or a sum what else belongs to it.
    fn args(&self, item: Item, before: B256, after: B256) -> Vec<Arg> {
        let kind = item.kind();
        let value = |word: B256| read_as(kind.shape, word);
        match (kind.shape, item.of) {
            (_, token) if kind.name == RELEASED_EARLY => vec![
                arg("token", "address", Value::Address(token.unwrap_or_default())),
                arg("before", "uint256", value(before)),
                arg("after", "uint256", value(after)),
            ],
            (Shape::Sum, token) if kind.name != "daily-limit" => {
                let (missing, surplus) = sums::gap(self, item, before, after);
                let token = if kind.name == "supply" { Some(self.address) } else { token };
                vec![
                    arg("token", "address", Value::Address(token.unwrap_or_default())),
                    arg("before", "uint256", value(before)),
                    arg("after", "uint256", value(after)),
                    arg("missing", "uint256", Value::Uint(missing)),
                    arg("surplus", "uint256", Value::Uint(surplus)),
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
        deed: Deed::told(item.name(), item.to_string(), args),
        operation: Operation::Call,
        signers: None,
        via: vec![],
        role: Role::Leaf,
        notes: vec![],
    }
}

/// The same of what does not add up.
fn plain_args(item: Item, before: B256, after: B256) -> Vec<Arg> {
    let (shape, who) = (item.kind().shape, item.of);
    let ty = type_of(shape);
    let role = item.role.map(|role| arg("role", "bytes32", Value::FixedBytes(role, 32)));
    let about = role.into_iter().chain(who.map(|who| arg("who", "address", Value::Address(who))));
    about.chain([arg("before", ty, read_as(shape, before)), arg("after", ty, read_as(shape, after))]).collect()
}

/// Whether code of the subject, or code in its name, ran for it.
fn made_it_run(activity: &Activity) -> bool {
    let ran = match activity.kind {
        ActivityKind::Act | ActivityKind::Event => true,
        ActivityKind::Call => activity.deed.decoding != Decoding::Ether,
        ActivityKind::Move | ActivityKind::State => false,
    };
    ran && activity.fate != Fate::Waiting
}

/// Where a change belongs.
struct Place {
    tx: B256,
    index: u32,
    origin: Address,
    /// In how many blocks up to this one it may have happened, where that is not known better.
    since: Option<u64>,
}

fn arg(name: &str, ty: &str, value: Value) -> Arg {
    Arg { name: Arc::from(name), ty: Arc::from(ty), value, span: None }
}

/// The ABI's word for a shape.
const fn type_of(shape: Shape) -> &'static str {
    match shape {
        Shape::Address => "address",
        Shape::Number | Shape::Sum => "uint256",
        Shape::Flag | Shape::Member | Shape::Holder => "bool",
        Shape::Hash => "bytes32",
    }
}

/// A word as what it stands for. A slot that should hold an address and holds more is shown whole.
fn read_as(shape: Shape, word: B256) -> Value {
    match shape {
        Shape::Address if word[..12].iter().all(|byte| *byte == 0) => Value::Address(Address::from_word(word)),
        Shape::Address | Shape::Hash => Value::FixedBytes(word, 32),
        Shape::Number | Shape::Sum => Value::Uint(U256::from_be_bytes(word.0)),
        Shape::Flag | Shape::Member | Shape::Holder => Value::Bool(!word.is_zero()),
    }
}
