//! Questions that a block alone cannot answer, asked of the node at that block's hash.

use super::trace::TxTrace;
use alloy_primitives::{Address, B256, Bytes, U256};
use std::collections::HashMap;
use std::sync::Arc;

/// One question, pinned to the hash of the block being decoded: how things stand after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    /// `eth_call`.
    Call {
        /// Contract asked.
        to: Address,
        /// Calldata.
        data: Bytes,
    },
    /// `eth_getStorageAt`: 32 bytes.
    Storage {
        /// Whose.
        of: Address,
        /// Where.
        slot: B256,
    },
    /// `eth_getCode`: any number of bytes.
    Code(Address),
    /// `eth_getTransactionCount`: 32 bytes.
    Nonce(Address),
    /// `eth_getBalance` in wei: 32 bytes.
    Balance(Address),
    /// What ran inside each transaction of the block.
    Traces,
    /// What ran inside this one.
    Trace(B256),
}

/// What the node said, or why it could not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Return data, or whatever else was asked for.
    Data(Bytes),
    /// The traces of each transaction, in order; of the one that was asked for.
    Traces(Arc<[TxTrace]>),
    /// The call reverted: the contract has no such function, or refuses.
    Reverted,
    /// The node could not say (pruned state, an error, the budget of reads reached).
    Unavailable,
}

/// Answers so far, for one block.
pub type Answers = HashMap<Read, Answer>;

/// Most reads asked for one block; more are answered [`Answer::Unavailable`], and the decoder says so.
pub const READS_MAX: usize = 256;

/// Most reads of watched state asked for one block, beside those: sixteen watches of thirty questions each. What does not fit is read
/// after the next block, so that nobody's block waits long for somebody else's state.
pub const STATE_READS_MAX: usize = 512;

impl Answer {
    /// The first 32 bytes of what was returned.
    #[must_use]
    pub fn word(&self) -> Option<B256> {
        match self {
            Self::Data(data) => data.first_chunk::<32>().map(B256::from),
            _ => None,
        }
    }

    /// The same as a number.
    #[must_use]
    pub fn number(&self) -> Option<U256> {
        self.word().map(|word| U256::from_be_bytes(word.0))
    }
}
