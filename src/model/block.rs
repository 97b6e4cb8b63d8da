//! A block as we need it: lean, and deaf to what it does not know.
//!
//! A transaction type or a field that did not exist when this was written must never blind us, so a type is a number,
//! unknown fields are passed over, and what a type does not carry is absent.

use super::fees::Fee;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a block stands: its number is for people, its hash is the truth.
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

/// A block's place in the chain: what it is, and what it builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Number and hash.
    pub at: BlockRef,
    /// Hash of the block it builds on.
    pub parent: B256,
    /// Header timestamp, seconds since the Unix epoch.
    pub time: u64,
}

/// How far a block is from being undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finality {
    /// It stands in the chain as we know it.
    Included,
    /// The chain's `safe` tag has reached it, or it is as deep as the configuration asks for.
    Safe,
    /// The chain's `finalized` tag has reached it: it is never undone silently.
    Finalized,
}

impl Finality {
    /// The word for it.
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
    /// Hash of the block it builds on.
    pub parent: B256,
    /// Header timestamp, seconds since the Unix epoch.
    pub time: u64,
    /// In execution order.
    pub txs: Vec<Tx>,
    /// Ether that came from the consensus layer (EIP-4895): to whom, and how much, in wei.
    pub withdrawals: Vec<(Address, U256)>,
}

impl Block {
    /// Its place in the chain.
    #[must_use]
    pub fn link(&self) -> Link {
        Link { at: self.at, parent: self.parent, time: self.time }
    }

    /// Returns about how many bytes of memory it takes.
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

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Receipt status 1.
    Success,
    /// Receipt status 0: everything it did is undone, only the attempt is on record.
    Reverted,
    /// A receipt from before EIP-658 carries a state root instead: it is treated as a success.
    Unknown,
}

impl Status {
    /// Whether its effects hold.
    #[must_use]
    pub fn holds(self) -> bool {
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
    /// Sender, as the node says.
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
    /// Address of the contract a creation made, from the receipt.
    pub created: Option<Address>,
    /// Logs in order; empty when reverted.
    pub logs: Vec<Log>,
    /// What the sender paid for it, in wei: gas, blobs, and what a rollup adds. Absent while no block holds it.
    pub fee: Option<Fee>,
    /// What of that was offered to whoever makes the block; absent where the block or the receipt does not say.
    pub tip: Option<Tip>,
    /// The most that its sender pays for a unit of gas, in wei: who takes another's nonce in a pool has to offer more. Absent where the
    /// transaction does not say.
    pub bid: Option<u128>,
}

/// What is paid for being included, beside what is burned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Wei for each unit of gas.
    pub per_gas: u128,
    /// Wei in all.
    pub paid: U256,
    /// Gas that the transaction used.
    pub gas_used: u64,
    /// Wei that its block burns for each unit of gas (EIP-1559).
    pub base_fee: u128,
}

/// One EIP-7702 authorization tuple. Its authority is recovered from the signature, not carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Chain it is valid on; 0 means any.
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

/// A log, counted within its transaction: a reorg moves its index in the block, never its ordinal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Emitter.
    pub address: Address,
    /// Zero to four.
    pub topics: Vec<B256>,
    /// Everything not indexed.
    pub data: Bytes,
    /// Place among the transaction's logs, from 0.
    pub ordinal: u32,
}
