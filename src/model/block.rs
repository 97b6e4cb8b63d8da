//! A block in our own model: small, and tolerant of fields it does not know.
//!
//! A transaction type or a field that did not exist when this was written must not cause an outage. Therefore a type is
//! a number, unknown fields are skipped, and fields that a type does not have are absent.

use super::fees::Fee;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Reference to a block: its number for people, and its hash, which identifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Header hash.
    pub hash: B256,
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

/// A block's position in the chain: its number and hash, and its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Number and hash.
    pub at: BlockRef,
    /// Hash of the parent block.
    pub parent: B256,
    /// Header timestamp, seconds since the Unix epoch.
    pub time: u64,
}

/// Finality of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finality {
    /// Included in the chain as currently known.
    Included,
    /// The chain's `safe` tag has reached it, or it is as deep as the configuration requires.
    Safe,
    /// The chain's `finalized` tag has reached it: it is never undone silently.
    Finalized,
}

impl Finality {
    /// Returns its name as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Included => "included",
            Self::Safe => "safe",
            Self::Finalized => "finalized",
        }
    }
}

/// A block with its receipts joined to its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Number and hash.
    pub at: BlockRef,
    /// Hash of the parent block.
    pub parent: B256,
    /// Header timestamp, seconds since the Unix epoch.
    pub time: u64,
    /// In execution order.
    pub txs: Vec<Tx>,
    /// Ether from the consensus layer (EIP-4895): recipient and amount in wei.
    pub withdrawals: Vec<(Address, U256)>,
}

impl Block {
    /// Returns the block's link in the chain.
    #[must_use]
    pub fn link(&self) -> Link {
        Link { at: self.at, parent: self.parent, time: self.time }
    }

    /// Returns its approximate size in memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let log = |log: &Log| size_of::<Log>() + log.topics.len() * size_of::<B256>() + log.data.len();
        let tx = |tx: &Tx| {
            let authorizations = tx.authorizations.len() * size_of::<Authorization>();
            size_of::<Tx>() + tx.input.len() + authorizations + tx.logs.iter().map(log).sum::<usize>()
        };
        let withdrawals = self.withdrawals.len() * size_of::<(Address, U256)>();
        size_of::<Self>() + withdrawals + self.txs.iter().map(tx).sum::<usize>()
    }
}

/// Outcome of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Receipt status 1.
    Success,
    /// Receipt status 0: all its effects are undone, only the attempt is recorded.
    Reverted,
    /// A receipt from before EIP-658 has a state root instead of a status: the transaction is treated as a success.
    Unknown,
}

impl Status {
    /// Returns true if the transaction's effects persist.
    #[must_use]
    pub fn has_effects(self) -> bool {
        self != Self::Reverted
    }
}

/// A transaction with its receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tx {
    /// Transaction hash.
    pub hash: B256,
    /// Place in the block, from 0.
    pub index: u32,
    /// EIP-2718 type; any number.
    pub kind: u64,
    /// Sender, as reported by the node.
    pub from: Address,
    /// Absent for a contract creation.
    pub to: Option<Address>,
    /// Wei sent along.
    pub value: U256,
    /// Calldata, or init code of a creation.
    pub input: Bytes,
    /// The sender's nonce.
    pub nonce: u64,
    /// EIP-7702 authorizations; empty for other types.
    pub authorizations: Vec<Authorization>,
    /// Receipt status.
    pub status: Status,
    /// Address of the created contract, from the receipt.
    pub created: Option<Address>,
    /// Logs in order; empty when reverted.
    pub logs: Vec<Log>,
    /// Fee paid by the sender, in wei: gas, blobs, and the charges that a rollup adds. Absent while no block contains
    /// the transaction.
    pub fee: Option<Fee>,
    /// Share of the fee offered to the block producer; absent where the block or the receipt does not give it.
    pub tip: Option<Tip>,
    /// Maximum price that the sender pays for a unit of gas, in wei: a transaction that replaces another with the same
    /// nonce in a pool must offer more. Absent where the transaction does not state it.
    pub bid: Option<u128>,
}

/// Payment for inclusion, beside the burned part of the fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Wei for each unit of gas.
    pub per_gas: u128,
    /// Total in wei.
    pub paid: U256,
    /// Gas that the transaction used.
    pub gas_used: u64,
    /// Amount that its block burns for each unit of gas, in wei (EIP-1559).
    pub base_fee: u128,
}

/// An EIP-7702 authorization tuple. Its authority is not part of it and is recovered from the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Chain for which it is valid; 0 means any.
    pub chain_id: U256,
    /// Code the authority delegates to; zero clears the delegation.
    pub address: Address,
    /// The authority's nonce.
    pub nonce: u64,
    /// Signature parity, r and s.
    pub y_parity: bool,
    /// Signature r.
    pub r: U256,
    /// Signature s.
    pub s: U256,
}

/// A log, numbered within its transaction: a reorg may change its index in the block, but never its ordinal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Emitter.
    pub address: Address,
    /// Zero to four.
    pub topics: Vec<B256>,
    /// All fields that are not indexed.
    pub data: Bytes,
    /// Place among the transaction's logs, from 0.
    pub ordinal: u32,
}
