//! View functions compared with the changes of their transaction: the name alone does not vouch for a call.

use super::Evaluator;
use crate::classify::outward::goes_out;
use crate::classify::rule::Rules;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Role};
use alloy_primitives::B256;
use std::collections::HashMap;

/// Changes of a block, by the calls that may have caused them. Indexes refer to the block's activities.
#[derive(Default)]
pub(super) struct Changes {
    /// Change by the call that explains it.
    explained: HashMap<usize, usize>,
    /// Unexplained log of the subject or movement out of it, by watch and transaction.
    told: HashMap<(u32, B256), usize>,
    /// Unexplained change of its state, by watch and transaction.
    state: HashMap<(u32, B256), usize>,
}

impl Changes {
    /// Collects changes, only if the block has a call that its name could vouch for.
    pub(super) fn from_activities(all: &[Activity], rules: &Rules) -> Self {
        let left = |one: &Activity, rules: &Rules| {
            rules.watches.get(one.watch.index()).is_some_and(|rules| goes_out(one, rules))
        };
        let mut changes = Self::default();
        if !all.iter().any(|one| one.kind == ActivityKind::Call && !one.deed.mutates) {
            return changes;
        }
        for (at, one) in all.iter().enumerate() {
            let place = (one.watch.0, one.tx);
            match (&one.role, one.kind) {
                (Role::Effect { of }, ActivityKind::Event | ActivityKind::Move | ActivityKind::State) => {
                    changes.explained.entry(*of).or_insert(at);
                }
                (Role::Leaf, ActivityKind::State) => {
                    changes.state.entry(place).or_insert(at);
                }
                (Role::Leaf, ActivityKind::Event) => {
                    changes.told.entry(place).or_insert(at);
                }
                (Role::Leaf, ActivityKind::Move) if left(one, rules) => {
                    changes.told.entry(place).or_insert(at);
                }
                _ => {}
            }
        }
        changes
    }
}

impl Evaluator<'_> {
    /// Describes the change made by a function that should change nothing, in a few words; `None` if nothing shows a
    /// change.
    ///
    /// With a trace and logs, changes inside of the call count. Without them, every log or loss of the subject in the
    /// transaction that nothing else explains counts.
    pub(super) fn changed_by(&self, index: usize, activity: &Activity) -> Option<String> {
        if let Some(what) = activity.notes.iter().find_map(|note| match note {
            Note::Changes(what) => Some(what.clone()),
            _ => None,
        }) {
            return Some(what);
        }
        let place = (activity.watch.0, activity.tx);
        let told = || self.changes.told.get(&place).filter(|_| !activity.notes.contains(&Note::Still));
        let at = self.changes.explained.get(&index).or_else(|| self.changes.state.get(&place)).or_else(told)?;
        let change = self.all.get(*at)?;
        Some(match change.kind {
            ActivityKind::State => format!("{} changed", change.deed.signature),
            ActivityKind::Move => "tokens or an allowance went out".to_owned(),
            _ => format!("{} was logged", change.deed.name),
        })
    }
}
