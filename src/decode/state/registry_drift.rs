//! Registry drift: the registry of a watch compared with the state on chain, reported once for each value that differs.

use super::reading::{IMPLEMENTATIONS, Took};
use super::{Change, Look, Place, causes, plain_args, state_activity};
use crate::decode::Subjects;
use crate::model::activity::Note;
use crate::model::state::{BARE, DECIMALS, FITS, KIND};
use crate::model::{Activity, BlockRef, Difference, Fact, Item, Known, Role, WatchId, WindowEntry};
use alloy_primitives::{Address, B256, keccak256};
use std::collections::BTreeSet;

/// Expected state of a watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Single values.
    pub values: Vec<(Item, B256)>,
    /// Values that the kind alone implies, unless the configuration says otherwise. They are compared when an item is
    /// first seen, since a later difference is a change, and judged as one.
    pub assumed: Vec<(Item, B256)>,
    /// Implementations that a proxy may run, compared with the actual one when it is first seen, like assumed values.
    pub code: Option<BTreeSet<Address>>,
    /// Complete sets.
    pub sets: Vec<(Item, BTreeSet<Address>)>,
    /// Holders of each role, in full.
    pub roles: Option<BTreeSet<(B256, Address)>>,
    /// Number of the first block from which the logs contain roles; zero for the first.
    pub roles_since: u64,
    /// Tokens whose units the rules use, with their configured decimals.
    pub decimals: Vec<(Address, u8)>,
    /// True if the contract at the address is compared with the kind.
    pub kind: bool,
    /// Items that may be weak, because the configuration mentions them with any value.
    pub accepted: BTreeSet<Item>,
}

/// Appends the differences that were not reported yet.
pub(super) fn append_registry_drift(
    look: &Look<'_>,
    took: &Took,
    changes: &[Change],
    found: &mut Vec<Activity>,
    deltas: &mut Vec<WindowEntry>,
) {
    for (item, is, should) in registry_expectations(look, took) {
        // A contract that is about to be created has no code yet. It counts as missing if it is still missing at the
        // next read.
        let is_first = look.known.last_value(look.address, item).is_none();
        if is_first && item.name() == KIND && is == BARE {
            continue;
        }
        let told = look.known.get(look.address, Fact::Told(item)).unwrap_or_default();
        if is == should {
            if !told.is_zero() {
                deltas.push(Fact::Told(item).window_entry(look.address, B256::ZERO));
            }
            continue;
        }
        let now = keccak256(is);
        if told == now {
            continue;
        }
        deltas.push(Fact::Told(item).window_entry(look.address, now));
        let change = changes.iter().find(|change| change.item == item);
        // An unexplained change is already reported as a change, which contains the difference.
        if change.is_some_and(|change| change.cause.is_none()) {
            continue;
        }
        let cause = change.and_then(|change| change.cause);
        let role = cause.map_or(Role::Leaf, |of| Role::Effect { of });
        // A difference that existed when the item was first read may be years old.
        let place = match change {
            Some(_) => look.change_place(item, cause),
            None => Place { since: None, ..look.no_place() },
        };
        found.push(look.change_activity(
            &place,
            item,
            look.change_arguments(item, should, is),
            role,
            vec![Note::Drift],
        ));
    }
}

/// Returns each item that the registry lists and that was read: its actual and its expected value.
fn registry_expectations(look: &Look<'_>, took: &Took) -> Vec<(Item, B256, B256)> {
    let Some(expected) = look.subjects.expected_of(&look.address) else { return vec![] };
    let mut wanted = Vec::new();
    for (item, should) in &expected.values {
        if let Some((_, is)) = took.values.iter().find(|(known, _)| known == item) {
            wanted.push((*item, *is, *should));
        }
    }
    for (item, is) in &took.values {
        let should = fixed_value(expected, *item);
        wanted.extend(should.map(|should| (*item, *is, should)));
    }
    for (item, should) in &expected.assumed {
        let first = look.known.last_value(look.address, *item).is_none();
        if let Some((_, is)) = took.values.iter().find(|(known, _)| known == item)
            && first
            && causes::find_cause(look, *item, *should, *is).is_none()
        {
            wanted.push((*item, *is, *should));
        }
    }
    if let Some(listed) = &expected.code {
        let names = IMPLEMENTATIONS.iter().filter_map(|name| Item::from_name(name));
        for item in names.filter(|item| look.known.last_value(look.address, *item).is_none()) {
            let is = took.values.iter().find(|(known, is)| *known == item && !is.is_zero()).map(|(_, is)| *is);
            if let Some(is) = is.filter(|is| !listed.contains(&Address::from_word(*is))) {
                // If several are listed, the first represents them.
                wanted.push((item, is, listed.first().map(|code| code.into_word()).unwrap_or_default()));
            }
        }
    }
    for (set, members) in &expected.sets {
        if !took.values.iter().any(|(known, _)| known == set) {
            continue;
        }
        let is_in = |who: Address| took.values.iter().any(|(item, is)| *item == set.for_address(who) && !is.is_zero());
        let read = took.values.iter().filter(|(item, _)| item.name() == set.name()).filter_map(|(item, _)| item.of);
        let all: BTreeSet<Address> = read.chain(members.iter().copied()).collect();
        wanted.extend(
            all.into_iter().map(|who| (set.for_address(who), bool_word(is_in(who)), bool_word(members.contains(&who)))),
        );
    }
    if let Some(listed) = &expected.roles {
        for (item, is) in &took.values {
            let Some(holder) = item.role.zip(item.of) else { continue };
            wanted.push((*item, *is, bool_word(listed.contains(&holder))));
        }
        // An account that never held a role is not among the values that were read.
        let was_read = |item: &Item| took.values.iter().any(|(known, _)| known == item) || took.dark.contains(item);
        let missing =
            listed.iter().map(|(role, who)| Item::role_membership(*role, *who)).filter(|item| !was_read(item));
        wanted.extend(missing.map(|item| (item, bool_word(false), bool_word(true))));
    }
    wanted
}

/// Returns the configured value of an item outside the registry: a token's decimals, or the kind.
fn fixed_value(expected: &Expected, item: Item) -> Option<B256> {
    match (item.name(), item.of) {
        (DECIMALS, Some(token)) => {
            let known = expected.decimals.iter().find(|(known, _)| *known == token);
            known.map(|(_, decimals)| B256::with_last_byte(*decimals))
        }
        (KIND, None) => expected.kind.then_some(FITS),
        _ => None,
    }
}

/// Returns the differences of the subject at `address`, by its known state: only those that were reported and still
/// exist.
#[must_use]
pub fn registry_differences(subjects: &Subjects, known: &Known, address: Address) -> Vec<Difference> {
    let Some(expected) = subjects.expected_of(&address) else { return vec![] };
    let differing = known.reported_items(address).filter_map(|(item, told)| {
        let is = known.last_value(address, item).unwrap_or_default();
        // Weaknesses are recorded under a different digest.
        let should = configured_value(expected, item).filter(|should| told == keccak256(is) && *should != is)?;
        let values = plain_args(item, should, is).iter().map(|arg| arg.value.to_string()).collect();
        Some(Difference { watch: address, item, should, is, values })
    });
    let mut differing: Vec<Difference> = differing.collect();
    differing.sort_by_key(|difference| difference.item);
    differing
}

/// Returns the activity that reports a difference, at `at`.
#[must_use]
pub fn activity_of(difference: &Difference, watch: WatchId, at: BlockRef) -> Activity {
    let Difference { watch: own, item, should, is, .. } = difference;
    let place = Place { tx: at.hash, index: 0, origin: Address::ZERO, since: None };
    let args = plain_args(*item, *should, *is);
    Activity { notes: vec![Note::Drift], ..state_activity(watch, *own, &place, *item, args) }
}

/// Returns the configured value of an item.
fn configured_value(expected: &Expected, item: Item) -> Option<B256> {
    let single = || {
        let mut values = expected.values.iter().chain(&expected.assumed);
        values.find(|(known, _)| *known == item).map(|(_, should)| *should)
    };
    let code = || {
        let listed = expected.code.as_ref().filter(|_| IMPLEMENTATIONS.contains(&item.name()))?;
        Some(listed.first().map(|code| code.into_word()).unwrap_or_default())
    };
    let member = || {
        let (_, members) = expected.sets.iter().find(|(set, _)| *set == item.containing_set())?;
        item.of.map(|who| bool_word(members.contains(&who)))
    };
    let holder = || {
        let listed = expected.roles.as_ref()?;
        item.role.zip(item.of).map(|holder| bool_word(listed.contains(&holder)))
    };
    fixed_value(expected, item).or_else(single).or_else(code).or_else(member).or_else(holder)
}

/// Returns the storage word of a truth value.
pub(in crate::decode) fn bool_word(truth: bool) -> B256 {
    B256::with_last_byte(u8::from(truth))
}
