//! Functions that should change nothing, held against what happened: the name alone vouches for nothing.

use super::Court;
use crate::classify::outward::goes_out;
use crate::classify::rule::Rules;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Role};
use alloy_primitives::B256;
use std::collections::HashMap;

/// Changes of a block, by the calls that they may be the doing of. Indexes are those of the block's activities.
#[derive(Default)]
pub(super) struct Changes {
    /// By the call that explains it.
    explained: HashMap<usize, usize>,
    /// By watch and transaction: a log of the subject, or a movement out of it, that nothing explains.
    told: HashMap<(u32, B256), usize>,
    /// The same of its state.
    state: HashMap<(u32, B256), usize>,
}

impl Changes {
    /// Gathered only where a call could be vouched for by its name.
    pub(super) fn of(all: &[Activity], rules: &Rules) -> Self {
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

impl Court<'_> {
    /// What a function changed that should change nothing, in a few words; none where nothing shows a change.
    ///
    /// With a trace and its logs that is what happened inside of the call; without one, whatever the subject logged or lost in the
    /// transaction and nothing else explains.
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
