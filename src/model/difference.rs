//! A value on chain that is not what the configuration says, for as long as that is so.

use super::activity::Position;
use super::ids::{ChainId, FindingId};
use super::incident::Finding;
use super::state::Item;
use alloy_primitives::{Address, B256};

/// The built-in that raises such a value.
pub const DRIFT: &str = "builtin/drift";

/// One item that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The watched address.
    pub watch: Address,
    /// What differs.
    pub item: Item,
    /// What the configuration says.
    pub should: B256,
    /// What the chain said last.
    pub is: B256,
    /// The same as the finding's arguments, in their order: part of the finding's identity.
    pub values: Vec<String>,
}

impl Difference {
    /// Whether `finding` is the one that told of it.
    #[must_use]
    pub fn was_told_by(&self, chain: ChainId, finding: &Finding) -> bool {
        let position = Position::State(self.item);
        // Where no transaction caused it, the block stands for one.
        let is_of = |tx: B256| FindingId::of_state(chain, self.watch, tx, &position, &self.values, DRIFT) == finding.id;
        finding.watch == self.watch && finding.rule == DRIFT && (is_of(finding.tx) || is_of(finding.at.hash))
    }
}
