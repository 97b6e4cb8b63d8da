//! Questions that cannot be answered from a block alone. They are asked of the node at that block's hash.

use super::trace::TxTrace;
use alloy_primitives::{Address, B256, Bytes, U256, b256};
use std::collections::HashMap;
use std::sync::Arc;

/// A question about the state after the block being decoded, pinned to that block's hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    /// `eth_call`.
    Call {
        /// Contract to call.
        to: Address,
        /// Calldata.
        data: Bytes,
    },
    /// `eth_call` at the parent block, which the question names: the state before the block.
    Before {
        /// Hash of the block's parent.
        parent: B256,
        /// Contract to call.
        to: Address,
        /// Calldata.
        data: Bytes,
    },
    /// `eth_getStorageAt`: 32 bytes.
    Storage {
        /// Account to read.
        of: Address,
        /// Storage slot.
        slot: B256,
    },
    /// `eth_getCode`: any number of bytes.
    Code(Address),
    /// `eth_getTransactionCount`: 32 bytes.
    Nonce(Address),
    /// `eth_getBalance` in wei: 32 bytes.
    Balance(Address),
    /// Holders of roles according to a contract's logs up to the block (`eth_getLogs`): see [`parse_role_members`].
    Grants {
        /// Contract whose logs are searched.
        by: Address,
        /// The first block that is searched.
        since: u64,
    },
    /// Use of a token by an account: 32 bytes, 1 if the account ever sent, approved or obtained the token in a
    /// transaction that it sent or that was sent to it, up to the block, else 0 (`eth_getLogs`,
    /// `eth_getTransactionByHash`).
    Uses {
        /// The token.
        token: Address,
        /// The account.
        by: Address,
    },
    /// Tokens among `tokens` that an account used in this way, in one question (`eth_getLogs`,
    /// `eth_getTransactionByHash`): addresses of 20 bytes each, in any order.
    UsedOf {
        /// The tokens.
        tokens: Box<[Address]>,
        /// The account.
        by: Address,
    },
    /// Traces of all transactions of the block.
    Traces,
    /// Trace of this transaction.
    Trace(B256),
}

/// Answer of the node, or the reason why it could not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Return data, or the other data that was requested.
    Data(Bytes),
    /// Traces of each transaction, in order, or of the requested transaction.
    Traces(Arc<[TxTrace]>),
    /// The call reverted: the contract lacks the function, or rejects the call.
    Reverted,
    /// The node could not answer (pruned state, an error, the budget of reads was reached).
    Unavailable,
}

/// `RoleGranted(bytes32,address,address)`. Source: IAccessControl.sol of OpenZeppelin.
pub const ROLE_GRANTED: B256 = b256!("2f8788117e7eff1d82e926ec794901d17c78024a50270940304540a733656f0d");
/// `RoleRevoked(bytes32,address,address)`. Source: the same.
pub const ROLE_REVOKED: B256 = b256!("f6391f5c32d9c69d2a47ea670b442974b53935d1edc7fd64eb21e047a839171b");

/// Length of a role and its holder in bytes.
const HOLDER_BYTES: usize = 32 + 20;

/// Returns roles and their holders from an answer to [`Read::Grants`]: 32 bytes and 20 bytes, repeated.
pub fn parse_role_members(data: &[u8]) -> impl Iterator<Item = (B256, Address)> + '_ {
    data.chunks_exact(HOLDER_BYTES).map(|pair| {
        let (role, who) = pair.split_at(32);
        (B256::from_slice(role), Address::from_slice(who))
    })
}

/// Encodes roles and their holders in the same format.
pub fn holder_bytes(holders: impl IntoIterator<Item = (B256, Address)>) -> Bytes {
    holders.into_iter().flat_map(|(role, who)| [role.as_slice(), who.as_slice()].concat()).collect::<Vec<u8>>().into()
}

/// Answers so far, for one block.
pub type Answers = HashMap<Read, Answer>;

/// Maximum number of reads for one block; further reads are answered [`Answer::Unavailable`], and the decoder reports
/// this.
pub const READS_MAX: usize = 256;

/// Maximum number of additional reads of watched state for one block: sixteen watches of thirty questions each. Further
/// reads are made after the next block, so that reading the state of many watches does not delay a block.
pub const STATE_READS_MAX: usize = 512;

/// Maximum number of additional reads of subjects' token holdings for one block: 64 tokens before and after, half as
/// many more for tokens with ids, and 32 used allowances. Further tokens are reported as unread.
pub const HOLDING_READS_MAX: usize = 224;

impl Answer {
    /// Returns the first 32 bytes of the returned data.
    #[must_use]
    pub fn first_word(&self) -> Option<B256> {
        match self {
            Self::Data(data) => data.first_chunk::<32>().map(B256::from),
            _ => None,
        }
    }

    /// Returns the addresses of 20 bytes each in the answer to [`Read::UsedOf`].
    #[must_use]
    pub fn addresses(&self) -> Option<Vec<Address>> {
        match self {
            Self::Data(data) => Some(data.chunks_exact(20).map(Address::from_slice).collect()),
            _ => None,
        }
    }

    /// The first 32 bytes as a number.
    #[must_use]
    pub fn as_number(&self) -> Option<U256> {
        self.first_word().map(|word| U256::from_be_bytes(word.0))
    }
}
