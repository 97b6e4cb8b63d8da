//! Verification of the blocks of a tape against their own hashes, as for a live chain.

use super::Tape;
use crate::model::ChainId;
use crate::source::verify::{self, Gap};
use crate::source::{Checks, RawPair};
use crate::wire;

/// Number of contradicting blocks whose reason is kept: a tape with errors throughout need not be listed in full.
pub const REFUTED_MAX: usize = 1_000;

/// Blocks of a tape that contradict their own hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FalseBlock {
    /// Number of each block and the reason, in the order of the tape; at most [`REFUTED_MAX`].
    pub blocks: Vec<(u64, String)>,
    /// Number of further blocks.
    pub n_more: usize,
}

impl FalseBlock {
    /// Adds a block.
    pub(super) fn add(&mut self, number: u64, why: String) {
        if self.blocks.len() < REFUTED_MAX {
            self.blocks.push((number, why));
        } else {
            self.n_more += 1;
        }
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Returns the number of refuted blocks.
    #[must_use]
    pub fn count(&self) -> usize {
        self.blocks.len() + self.n_more
    }
}

impl Tape {
    /// Returns the blocks that contradict their own hash. Blocks whose text was not kept are not checked.
    #[must_use]
    pub fn refuted_blocks(&self) -> FalseBlock {
        let mut refuted = FalseBlock::default();
        for block in self.stretches.iter().flat_map(|stretch| &stretch.blocks) {
            if let Some(Err(why)) = block.raw.as_ref().map(verify_raw_block) {
                refuted.add(block.block.at.number, why);
            }
        }
        refuted
    }
}

/// Returns whether blocks of this chain can be verified against their hashes.
#[must_use]
pub fn is_provable(chain: ChainId) -> bool {
    Checks::for_chain(chain).verify
}

/// Verifies a block with its receipts against its own hash, except for senders. Returns the parts that the hash does
/// not cover.
///
/// # Errors
/// With how it contradicts itself.
pub(super) fn verify_raw_block(raw: &RawPair) -> Result<Vec<Gap>, String> {
    let sealed = wire::parse_sealed_block(raw.block.get(), raw.receipts.get()).map_err(|error| error.to_string())?;
    verify::verify_block(&sealed, &verify::Raw::default()).map_err(|flaw| flaw.to_string())
}
