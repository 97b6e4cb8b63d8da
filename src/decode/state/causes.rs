//! Search for the activity that accounts for a change of an item, by the table of the kind.
//!
//! Only judged activities explain a change: a call that ran, or a log, whose own values agree with the new value of the
//! item. Foreign code that the subject ran by delegatecall explains nothing, even under a known name, so that its
//! writes are reported on their own. The one exception is the known writes of a listed migration library.

use super::Look;
use crate::contracts::ItemChange::{Becomes, Joins, Leaves};
use crate::contracts::StatedValue::{self, Among, Anything, Arg, Begins, Caller, Holder, Nobody};
use crate::model::activity::Note;
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Decoding, Fate, Item, Operation, Stage};
use alloy_primitives::{Address, B256};

/// Items that a listed library of migrations writes. Source: SafeMigration.sol, SafeToL2Migration.sol.
const MIGRATED: &[&str] = &["singleton", "fallback-handler", "guard"];

/// Returns the activity that accounts for the change, if there is one: the last whose values agree, with calls
/// preferred to logs.
pub(super) fn find_cause(look: &Look<'_>, item: Item, before: B256, after: B256) -> Option<usize> {
    let does = match (item.of, before.is_zero(), after.is_zero()) {
        (Some(_), true, false) => Joins,
        (Some(_), false, true) => Leaves,
        _ => Becomes,
    };
    let explains = |(at, activity): (usize, &Activity)| {
        let is = is_safe_migration(activity, item)
            || is_effective_act(look, activity)
                && look
                    .subject
                    .contract()
                    .causes_of(item.name(), does, &activity.deed.name)
                    .any(|says| is_change_explained(activity, says, item, before, after));
        is.then_some((activity.kind != ActivityKind::Event, at))
    };
    look.activities.iter().enumerate().filter_map(explains).max().map(|(_, at)| at)
}

/// Returns the value of an unreadable item after the block's acts; `None` if they do not change it.
pub(super) fn expected_value(look: &Look<'_>, item: Item) -> Option<B256> {
    let member = item.of.is_some();
    let mut value = None;
    for activity in look.activities.iter().filter(|activity| is_effective_act(look, activity)) {
        for does in if member { [Joins, Leaves].as_slice() } else { &[Becomes] } {
            let said = |says| match (does, item.of) {
                (Becomes, _) => stated_value(activity, says),
                (_, Some(_)) => {
                    is_member_named(activity, says, item).then(|| B256::with_last_byte(u8::from(*does == Joins)))
                }
                _ => None,
            };
            value = look.subject.contract().causes_of(item.name(), *does, &activity.deed.name).find_map(said).or(value);
        }
    }
    value
}

/// Members that the block's acts add to a set that could not be read.
pub(super) fn added_members(look: &Look<'_>, item: Item) -> Vec<Item> {
    let own = look.activities.iter().filter(|activity| is_effective_act(look, activity));
    let said = own.flat_map(|activity| {
        look.subject.contract().causes_of(item.name(), Joins, &activity.deed.name).flat_map(|says| match says {
            Arg(at) => argument_at(activity, at)
                .and_then(Value::as_address)
                .map(|who| item.for_address(who))
                .into_iter()
                .collect(),
            Among(at) => address_list_at(activity, at).into_iter().map(|who| item.for_address(who)).collect(),
            Holder => {
                let holder = argument_at(activity, 0)
                    .and_then(storage_word)
                    .zip(argument_at(activity, 1).and_then(Value::as_address));
                holder.map(|(role, who)| Item::role_membership(role, who)).into_iter().collect()
            }
            _ => vec![],
        })
    });
    said.collect()
}

/// Returns whether the activity is the subject's, ran, could be read, and changes the subject itself.
fn is_effective_act(look: &Look<'_>, activity: &Activity) -> bool {
    let itself = match activity.kind {
        ActivityKind::Call | ActivityKind::Event => true,
        ActivityKind::Act => activity.to == Some(look.address) || activity.notes.contains(&Note::Delegation),
        ActivityKind::Move | ActivityKind::State => false,
    };
    activity.watch == look.subject.watch
        && itself
        && activity.fate == Fate::Executed
        && activity.stage == Stage::Included
        && activity.operation == Operation::Call
        && !matches!(activity.deed.decoding, Decoding::Opaque(_) | Decoding::Ambiguous(_))
}

fn is_safe_migration(activity: &Activity, item: Item) -> bool {
    activity.operation == Operation::Delegatecall
        && activity.fate == Fate::Executed
        && MIGRATED.contains(&item.name())
        && activity
            .notes
            .iter()
            .any(|note| matches!(note, Note::KnownLibrary(name) if name.starts_with("SafeMigration")))
}

fn is_change_explained(activity: &Activity, says: StatedValue, item: Item, before: B256, after: B256) -> bool {
    match item.of {
        Some(_) => is_member_named(activity, says, item),
        None if says == Begins => before.is_zero(),
        None => says == Anything || stated_value(activity, says) == Some(after),
    }
}

fn is_member_named(activity: &Activity, says: StatedValue, item: Item) -> bool {
    let Some(who) = item.of else { return false };
    let is_who = |at| argument_at(activity, at).and_then(Value::as_address) == Some(who);
    match says {
        Arg(at) => is_who(at),
        Among(at) => address_list_at(activity, at).contains(&who),
        Holder => is_who(1) && argument_at(activity, 0).and_then(storage_word) == item.role,
        Caller => activity.from == who,
        Nobody | Begins => false,
        Anything => true,
    }
}

fn stated_value(activity: &Activity, says: StatedValue) -> Option<B256> {
    match says {
        Arg(at) => storage_word(&activity.deed.args.get(at)?.value),
        Caller => Some(activity.from.into_word()),
        Nobody => Some(B256::ZERO),
        Among(_) | Holder | Anything | Begins => None,
    }
}

fn argument_at(activity: &Activity, at: usize) -> Option<&Value> {
    activity.deed.args.get(at).map(|arg| &arg.value)
}

fn address_list_at(activity: &Activity, at: usize) -> Vec<Address> {
    let list = activity.deed.args.get(at).and_then(|arg| arg.value.as_array());
    list.into_iter().flatten().filter_map(Value::as_address).collect()
}

/// Returns a value as it is stored.
fn storage_word(value: &Value) -> Option<B256> {
    match value {
        Value::Address(address) => Some(address.into_word()),
        Value::Uint(number) => Some(B256::from(*number)),
        Value::Bool(truth) => Some(B256::with_last_byte(u8::from(*truth))),
        Value::FixedBytes(word, 32) => Some(*word),
        _ => None,
    }
}
