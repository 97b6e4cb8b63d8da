//! A difference between a value on chain and the configuration, as long as it lasts.

use super::activity::Position;
use super::ids::{ChainId, FindingId};
use super::incident::Finding;
use super::state::Item;
use alloy_primitives::{Address, B256};

/// The built-in that raises a finding for such a value.
pub const DRIFT: &str = "builtin/drift";

/// An item that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The watched address.
    pub watch: Address,
    /// Item of the state that differs.
    pub item: Item,
    /// Value in the configuration.
    pub should: B256,
    /// Value last read from the chain.
    pub is: B256,
    /// The same values as the finding's arguments, in the same order: part of the finding's identity.
    pub values: Vec<String>,
}

impl Difference {
    /// Checks whether `finding` is the one that reported this difference.
    #[must_use]
    pub fn was_told_by(&self, chain: ChainId, finding: &Finding) -> bool {
        let position = Position::State(self.item);
        // Where no transaction caused the change, the block's hash is used instead.
        let is_of = |tx: B256| FindingId::of_state(chain, self.watch, tx, &position, &self.values, DRIFT) == finding.id;
        finding.watch == self.watch
            && finding.rule == DRIFT
            && (is_of(finding.tx) || finding.anchor.block().is_some_and(|block| is_of(block.hash)))
    }
}
