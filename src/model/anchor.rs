//! Place of an activity relative to the chain.

use super::block::BlockRef;
use serde::{Deserialize, Serialize};

/// Place of an activity relative to the chain: the block that contains it, or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Anchor {
    /// Contained in this block.
    Block(BlockRef),
    /// Proposed to a wallet, and in no block.
    Proposed {
        /// Number of the newest block when it was first seen.
        since: u64,
    },
    /// Announced by a node, and in no block.
    Pending {
        /// Number of the newest block when it was first seen.
        since: u64,
    },
    /// An expected action that did not come by its due time: it is in no block, and was missed at one.
    Due {
        /// The first block after the due time.
        block: BlockRef,
        /// Due time in Unix seconds.
        due: u64,
    },
}

impl Anchor {
    /// Returns its name, as in the store's column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block(_) => "block",
            Self::Proposed { .. } => "proposed",
            Self::Pending { .. } => "pending",
            Self::Due { .. } => "due",
        }
    }

    /// Returns the block whose retraction takes the activity back; absent for what is in no block yet.
    #[must_use]
    pub const fn block(self) -> Option<BlockRef> {
        match self {
            Self::Block(block) | Self::Due { block, .. } => Some(block),
            Self::Proposed { .. } | Self::Pending { .. } => None,
        }
    }

    /// Returns the number of that block, or of the newest block when the activity was first seen.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Block(block) | Self::Due { block, .. } => block.number,
            Self::Proposed { since } | Self::Pending { since } => since,
        }
    }

    /// Returns the hash of that block in lower case, as records show it; absent for what is in no block yet.
    #[must_use]
    pub fn block_hash(self) -> Option<String> {
        self.block().map(|block| format!("{:#x}", block.hash))
    }
}

impl From<BlockRef> for Anchor {
    fn from(block: BlockRef) -> Self {
        Self::Block(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn an_anchor_has_one_name_wherever_it_is_written_and_a_hash_only_where_there_is_a_block() {
        let block = BlockRef { number: 7, hash: B256::repeat_byte(7) };
        for (anchor, hash) in [
            (Anchor::Block(block), true),
            (Anchor::Due { block, due: 9 }, true),
            (Anchor::Proposed { since: 7 }, false),
            (Anchor::Pending { since: 7 }, false),
        ] {
            let written = serde_json::to_value(anchor).unwrap();
            assert_eq!((written["kind"].as_str(), anchor.number()), (Some(anchor.as_str()), 7));
            assert_eq!((written.to_string().contains("0x07"), anchor.block_hash().is_some()), (hash, hash));
            assert_eq!(serde_json::from_value::<Anchor>(written).unwrap(), anchor);
        }
    }
}
