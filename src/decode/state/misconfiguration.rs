//! Misconfiguration: state that is weak although no change made it so. It is reported once while it lasts, unless the
//! registry accepts it.
//!
//! A change that creates a misconfiguration is judged as a change, and is not reported again as a misconfiguration.

use super::reading::Took;
use super::{Change, Look, Place, causes};
use crate::model::activity::Note;
use crate::model::state::{NAME_EXPIRY, OWNER_DELEGATE, RELEASED_EARLY};
use crate::model::{Activity, Fact, Item, Role, WindowEntry};
use alloy_primitives::{B256, U256, keccak256};

/// Remaining registration time below which a name should be renewed: 60 days.
const EXPIRES_SOON: u64 = 60 * 86_400;

/// Items of which some values are weak.
pub const WEAKNESSES: &[&str] =
    &["threshold", "required", "module", OWNER_DELEGATE, "open-executor", NAME_EXPIRY, RELEASED_EARLY];

/// Appends weak values that are not accepted and were not reported yet.
pub(super) fn append_misconfigurations(
    look: &Look<'_>,
    took: &Took,
    changes: &[Change],
    found: &mut Vec<Activity>,
    deltas: &mut Vec<WindowEntry>,
) {
    let expected = look.subjects.expected_of(&look.address);
    // Items that the registry lists are compared with the registry instead.
    let accepted = |item: Item| expected.is_some_and(|expected| expected.accepted.contains(&item.containing_set()));
    for (item, is) in took.values.iter().filter(|(item, _)| may_be_weak(*item) && !accepted(*item)) {
        let told = look.known.get(look.address, Fact::Told(*item)).unwrap_or_default();
        // This digest differs from that of a registry drift, so a reported weakness does not count as a reported drift.
        let now = if is_weak(*item, *is, look.block.time) { keccak256(keccak256(is)) } else { B256::ZERO };
        if told == now {
            continue;
        }
        deltas.push(Fact::Told(*item).window_entry(look.address, now));
        let changed = changes.iter().any(|change| change.item == *item);
        if now.is_zero() || changed || causes::find_cause(look, *item, B256::ZERO, *is).is_some() {
            continue;
        }
        let place = Place { since: None, ..look.no_place() };
        found.push(look.change_activity(
            &place,
            *item,
            look.change_arguments(*item, *is, *is),
            Role::Leaf,
            vec![Note::Posture],
        ));
    }
}

/// Returns whether an item may be weak. The number of modules never is, since each module is judged by itself.
fn may_be_weak(item: Item) -> bool {
    WEAKNESSES.contains(&item.name()) && (item.name() != "module" || item.of.is_some())
}

/// Returns whether a value is weak: one key is enough, unchosen code acts for an owner or for the Safe, anybody
/// executes due operations, a name expires soon, or more was paid than is vested. `now` is the block's time.
fn is_weak(item: Item, is: B256, now: u64) -> bool {
    match item.name() {
        "threshold" | "required" => is == B256::with_last_byte(1),
        NAME_EXPIRY => U256::from_be_bytes(is.0) < U256::from(now.saturating_add(EXPIRES_SOON)),
        _ => !is.is_zero(),
    }
}
