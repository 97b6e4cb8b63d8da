//! Rolling windows over block time, with entries of vouched activities, and the last known values of watched state.
//!
//! The windows are part of the committed state. Each entry carries the block that made it, so that a reorg removes it.

use crate::model::{Fact, Known, WindowEntry};
use alloy_primitives::{Address, B256, U256};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Prefix of the names of windows that hold the time of a submission. They are never pruned, because a confirmation may
/// come years later.
pub const SUBMISSIONS: &str = "submission#";
/// Prefix of the names of windows that hold the addresses and functions that were met. They are never pruned by age;
/// each is limited by [`MET_MAX`] instead. No rule can have such a name.
pub const LASTING: &str = "builtin/lasting/";
/// Maximum number of entries in one lasting window: more callers, payees or functions than any treasury has, and 400 KB
/// for a watch that fills one. Entries beyond the limit are not remembered and count as new again, so that filling a
/// window causes more findings, not fewer.
pub const MET_MAX: usize = 4_096;

/// Returns whether a window outlives every rule that looks back.
#[must_use]
pub fn is_lasting(rule: &str) -> bool {
    rule.starts_with(SUBMISSIONS) || rule.starts_with(LASTING)
}

/// Windows of one chain, and the known state of its watches.
#[derive(Clone, Debug, Default)]
pub struct History {
    windows: HashMap<Key, Window>,
    known: Known,
}

type Key = (Address, Arc<str>);

/// Entries in the order of the chain.
#[derive(Clone, Debug, Default)]
struct Window {
    entries: VecDeque<Entry>,
    /// Block time at which each amount was first entered, for a lasting window. The lookup runs for every call of a
    /// block.
    since: HashMap<U256, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    time: u64,
    block: B256,
    amount: U256,
}

impl History {
    /// Adds an entry of a block with the given `time`. Blocks arrive in the order of the chain.
    pub fn add(&mut self, block: B256, time: u64, delta: &WindowEntry) {
        if let Some(fact) = Fact::of_rule(&delta.rule) {
            return self.known.record_value(block, delta.watch, fact, delta.amount.into());
        }
        let entry = Entry { time, block, amount: delta.amount };
        let window = self.windows.entry((delta.watch, delta.rule.clone())).or_default();
        window.entries.push_back(entry);
        if is_lasting(&delta.rule) {
            window.since.entry(delta.amount).or_insert(time);
        }
    }

    /// Removes everything that `block` added.
    pub fn rewind_block(&mut self, block: B256) {
        for window in self.windows.values_mut() {
            let before = window.entries.len();
            window.entries.retain(|entry| entry.block != block);
            if window.entries.len() < before && !window.since.is_empty() {
                window.since.clear();
                for entry in &window.entries {
                    window.since.entry(entry.amount).or_insert(entry.time);
                }
            }
        }
        self.known.rewind_block(block);
    }

    /// Makes the state of `watch` be read again with the next block, whatever that block holds.
    pub fn look_again(&mut self, watch: Address) {
        self.known.look_again(watch);
    }

    /// The last known values of watched state.
    #[must_use]
    pub fn known_state(&self) -> &Known {
        &self.known
    }

    /// Removes entries older than `before` (Unix seconds), except those of [`SUBMISSIONS`] and [`LASTING`] windows.
    /// Known state is never removed.
    pub fn prune(&mut self, before: u64) {
        self.windows.retain(|(_, rule), window| {
            if !is_lasting(rule) {
                while window.entries.front().is_some_and(|entry| entry.time < before) {
                    window.entries.pop_front();
                }
            }
            !window.entries.is_empty()
        });
    }

    /// Sum under `rule` of `watch` in the `per` seconds up to and including `now`, saturating.
    ///
    /// Zero for an empty window.
    #[must_use]
    pub fn sum_in_window(&self, watch: Address, rule: &Arc<str>, now: u64, per: u64) -> U256 {
        let since = now.saturating_sub(per);
        self.windows
            .get(&(watch, rule.clone()))
            .into_iter()
            .flat_map(|window| &window.entries)
            .rev()
            // Block times grow along a chain, so the first entry outside ends the window.
            .take_while(|entry| entry.time > since || per > now)
            .fold(U256::ZERO, |sum, entry| sum.saturating_add(entry.amount))
    }

    /// Block time of the first entry under `rule` of `watch`.
    #[must_use]
    pub fn first_entry_time(&self, watch: Address, rule: &Arc<str>) -> Option<u64> {
        self.windows.get(&(watch, rule.clone()))?.entries.front().map(|entry| entry.time)
    }

    /// Block time of the last entry under `rule` of `watch`.
    #[must_use]
    pub fn last_entry_time(&self, watch: Address, rule: &Arc<str>) -> Option<u64> {
        self.windows.get(&(watch, rule.clone()))?.entries.back().map(|entry| entry.time)
    }

    /// Block times and amounts under `rule` of `watch`, oldest first.
    pub fn entries(&self, watch: Address, rule: &Arc<str>) -> impl DoubleEndedIterator<Item = (u64, U256)> + '_ {
        let window = self.windows.get(&(watch, rule.clone()));
        window.into_iter().flat_map(|window| &window.entries).map(|entry| (entry.time, entry.amount))
    }

    /// Returns the block time at which exactly this amount was first entered under `rule` of `watch`, for a lasting
    /// window.
    #[must_use]
    pub fn entered_since(&self, watch: Address, rule: &Arc<str>, amount: U256) -> Option<u64> {
        self.windows.get(&(watch, rule.clone()))?.since.get(&amount).copied()
    }

    /// Returns the number of entries under `rule` of `watch`.
    #[must_use]
    pub fn len(&self, watch: Address, rule: &Arc<str>) -> usize {
        self.windows.get(&(watch, rule.clone())).map_or(0, |window| window.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(amount: u64) -> WindowEntry {
        WindowEntry { watch: Address::ZERO, rule: Arc::from("daily"), amount: U256::from(amount) }
    }

    fn sum(history: &History, now: u64) -> u64 {
        history.sum_in_window(Address::ZERO, &Arc::from("daily"), now, 100).to()
    }

    #[test]
    fn a_window_forgets_what_is_older_than_its_length() {
        let mut history = History::default();
        history.add(B256::with_last_byte(1), 1_000, &delta(5));
        history.add(B256::with_last_byte(2), 1_060, &delta(7));
        assert_eq!(sum(&history, 1_060), 12);
        assert_eq!(sum(&history, 1_099), 12);
        assert_eq!(sum(&history, 1_100), 7);
        assert_eq!(sum(&history, 1_200), 0);
    }

    #[test]
    fn what_was_met_is_never_forgotten_by_age_and_is_taken_back_by_a_reorg() {
        let met: Arc<str> = format!("{LASTING}caller").into();
        let mut history = History::default();
        for n in 1..=3u8 {
            let delta = WindowEntry { rule: Arc::clone(&met), ..delta(n.into()) };
            history.add(B256::with_last_byte(n), u64::from(n) * 1_000, &delta);
        }
        history.prune(1_000_000);
        history.rewind_block(B256::with_last_byte(3));
        let since = |amount: u64| history.entered_since(Address::ZERO, &met, U256::from(amount));
        assert_eq!([1, 2, 3].map(since), [Some(1_000), Some(2_000), None]);
        let left: Vec<_> = history.entries(Address::ZERO, &met).map(|(_, amount)| amount.to::<u64>()).collect();
        assert_eq!((left, history.last_entry_time(Address::ZERO, &met)), (vec![1, 2], Some(2_000)));
    }

    #[test]
    fn a_reorg_takes_back_what_its_block_contributed() {
        let mut history = History::default();
        history.add(B256::with_last_byte(1), 1_000, &delta(5));
        history.add(B256::with_last_byte(2), 1_010, &delta(7));
        history.rewind_block(B256::with_last_byte(2));
        assert_eq!(sum(&history, 1_020), 5);
    }
}
