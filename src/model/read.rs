//! Questions that a block alone cannot answer, asked of the node at that block's hash.

use super::trace::TxTrace;
use alloy_primitives::{Address, B256, Bytes, U256, b256};
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
    /// `eth_call` at the block before, which the question names: how things stood before the block.
    Before {
        /// Hash of the block's parent.
        parent: B256,
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
    /// Whom a contract's logs up to the block leave with a role (`eth_getLogs`): see [`holders`].
    Grants {
        /// Whose logs.
        by: Address,
        /// The first block that is searched.
        since: u64,
    },
    /// Whether an account ever sent, approved or obtained a token in a transaction that it sent or that was sent to it, up to the block
    /// (`eth_getLogs`, `eth_getTransactionByHash`): 32 bytes, 1 or 0.
    Uses {
        /// The token.
        token: Address,
        /// The account.
        by: Address,
    },
    /// Which of several tokens an account used so, in one question (`eth_getLogs`, `eth_getTransactionByHash`): addresses of 20 bytes each,
    /// in any order.
    UsedOf {
        /// The tokens.
        tokens: Box<[Address]>,
        /// The account.
        by: Address,
    },
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

/// `RoleGranted(bytes32,address,address)`. Source: IAccessControl.sol of OpenZeppelin.
pub const ROLE_GRANTED: B256 = b256!("2f8788117e7eff1d82e926ec794901d17c78024a50270940304540a733656f0d");
/// `RoleRevoked(bytes32,address,address)`. Source: the same.
pub const ROLE_REVOKED: B256 = b256!("f6391f5c32d9c69d2a47ea670b442974b53935d1edc7fd64eb21e047a839171b");

/// Bytes of a role and of who holds it.
const HOLDER_BYTES: usize = 32 + 20;

/// Roles and who holds them, as an answer to [`Read::Grants`] has them: 32 bytes and 20, again and again.
pub fn holders(data: &[u8]) -> impl Iterator<Item = (B256, Address)> + '_ {
    data.chunks_exact(HOLDER_BYTES).map(|pair| {
        let (role, who) = pair.split_at(32);
        (B256::from_slice(role), Address::from_slice(who))
    })
}

/// The same the other way round.
pub fn holder_bytes(holders: impl IntoIterator<Item = (B256, Address)>) -> Bytes {
    holders.into_iter().flat_map(|(role, who)| [role.as_slice(), who.as_slice()].concat()).collect::<Vec<u8>>().into()
}

/// Answers so far, for one block.
pub type Answers = HashMap<Read, Answer>;

/// Most reads asked for one block; more are answered [`Answer::Unavailable`], and the decoder says so.
pub const READS_MAX: usize = 256;

/// Most reads of watched state asked for one block, beside those: sixteen watches of thirty questions each. What does not fit is read
/// after the next block, so that nobody's block waits long for somebody else's state.
pub const STATE_READS_MAX: usize = 512;

/// Most reads asked for one block of what tokens say that subjects hold, beside those: 64 tokens before and after, half as many
/// more for those that count by id, and 32 allowances that were used. Tokens beyond it are told as unread.
pub const HOLDING_READS_MAX: usize = 224;

impl Answer {
    /// The first 32 bytes of what was returned.
    #[must_use]
    pub fn word(&self) -> Option<B256> {
        match self {
            Self::Data(data) => data.first_chunk::<32>().map(B256::from),
            _ => None,
        }
    }

    /// The addresses of 20 bytes each that the answer to [`Read::UsedOf`] consists of.
    #[must_use]
    pub fn addresses(&self) -> Option<Vec<Address>> {
        match self {
            Self::Data(data) => Some(data.chunks_exact(20).map(Address::from_slice).collect()),
            _ => None,
        }
    }

    /// The first 32 bytes as a number.
    #[must_use]
    pub fn number(&self) -> Option<U256> {
        self.word().map(|word| U256::from_be_bytes(word.0))
    }
}
