//! Requests that one endpoint cannot answer in the usual way and that are made in another way.
//!
//! A single block may break one method permanently, such as receipts in bulk or traces. A failure for a block is
//! remembered for that block alone, and the next attempt requests the parts. A field that the node's receipts always
//! omit is reported once.

use alloy_primitives::B256;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Number of blocks remembered: more than are fetched at the same time.
const BLOCKS_MAX: usize = 64;

/// Data of a whole block fetched in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BulkMethod {
    /// Transactions of the block.
    Txs,
    /// Receipts of the block.
    Receipts,
    /// Traces of the block.
    Traces,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct BulkFailures {
    blocks: Mutex<VecDeque<(BulkMethod, B256)>>,
    unsaid: Mutex<Option<&'static str>>,
}

impl BulkFailures {
    /// Records that this bulk request for this block failed: the next attempt requests its parts.
    pub(super) fn record_lapse(&self, bulk: BulkMethod, block: B256) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.contains(&(bulk, block)) {
            return;
        }
        if blocks.len() == BLOCKS_MAX {
            blocks.pop_front();
        }
        blocks.push_back((bulk, block));
    }

    /// Forgets a failed request because its parts are not available either: the next attempt requests the whole again.
    pub(super) fn clear_lapse(&self, bulk: BulkMethod, block: B256) {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).retain(|lapse| *lapse != (bulk, block));
    }

    /// Returns whether this request for this block failed before.
    pub(super) fn has_lapse(&self, bulk: BulkMethod, block: B256) -> bool {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).contains(&(bulk, block))
    }

    /// Records that the endpoint's receipts omit this part of a fee. Returns true if that was not known.
    pub(super) fn leaves_out(&self, part: &'static str) -> bool {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner).replace(part) != Some(part)
    }
}
