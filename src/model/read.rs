//! Questions that a block alone cannot answer, asked of the node at that block's hash.

use alloy_primitives::{Address, Bytes};
use std::collections::HashMap;

/// One `eth_call`, pinned to the hash of the block being decoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    /// Contract asked.
    pub to: Address,
    /// Calldata.
    pub data: Bytes,
}

/// What the node said, or why it could not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Return data.
    Data(Bytes),
    /// The call reverted: the contract has no such function, or refuses.
    Reverted,
    /// The node could not say (pruned state, an error, the budget of reads reached).
    Unavailable,
}

/// Answers so far, for one block.
pub type Answers = HashMap<Read, Answer>;

/// Most reads asked for one block; more are answered [`Answer::Unavailable`], and the decoder says so.
pub const READS_MAX: usize = 256;
