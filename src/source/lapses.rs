//! What one endpoint cannot answer in the usual way, so that it is asked in another.
//!
//! One block may break one method for good: its receipts in bulk, its traces. What failed for a block is remembered for that block
//! alone, and the next try asks for the parts. What the node's receipts never say is told once.

use alloy_primitives::B256;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Blocks remembered: more than are fetched at once.
const BLOCKS_MAX: usize = 64;

/// What is asked of a whole block in one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    /// Its transactions.
    Txs,
    /// Its receipts.
    Receipts,
    /// What ran inside of it.
    Traces,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Lapses {
    blocks: Mutex<VecDeque<(Bulk, B256)>>,
    unsaid: Mutex<Option<&'static str>>,
}

impl Lapses {
    /// This question about this block failed: next time its parts are asked for.
    pub(super) fn note(&self, bulk: Bulk, block: B256) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.contains(&(bulk, block)) {
            return;
        }
        if blocks.len() == BLOCKS_MAX {
            blocks.pop_front();
        }
        blocks.push_back((bulk, block));
    }

    /// Its parts cannot be had either: next time the question is asked as a whole again.
    pub(super) fn forget(&self, bulk: Bulk, block: B256) {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).retain(|lapse| *lapse != (bulk, block));
    }

    /// Whether this question about this block failed before.
    pub(super) fn has(&self, bulk: Bulk, block: B256) -> bool {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).contains(&(bulk, block))
    }

    /// Its receipts do not say this part of a fee. True when that was not known.
    pub(super) fn leaves_out(&self, part: &'static str) -> bool {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner).replace(part) != Some(part)
    }
}
