//! What a block's hashes cover, beyond what is judged.
//!
//! A header's hash covers the header, and through three roots every transaction, receipt and withdrawal. Most of it concerns
//! nobody, gas prices for instance; it is carried so that the hashes can be recomputed. Everything is optional: a node may leave
//! out or garble whatever it likes, and what is missing shows when the block is verified, not when it is parsed.

use super::block::Block;
use super::parse::ParseError;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};

/// A block together with all that its hashes cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// What is judged.
    pub block: Block,
    /// The rest of the header.
    pub header: Header,
    /// The rest of each transaction, in the order of the block's.
    pub txs: Vec<TxSeal>,
    /// The rest of each receipt, in the same order.
    pub receipts: Vec<ReceiptSeal>,
    /// Absent where the node gave none, or none that can be read.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// The first thing that the node left out or wrote in a way of its own, though parsing needs it. A proof of the whole block settles
    /// it; without one the block is not to be used.
    pub lapse: Option<ParseError>,
}

/// The fields of a header that [`Block`] does not carry. Source: the Yellow Paper, 4.3; the EIPs named below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Hash of the list of uncles.
    pub uncles_hash: Option<B256>,
    /// Who is paid the fees.
    pub miner: Option<Address>,
    /// Root of the state after the block.
    pub state_root: Option<B256>,
    /// Root of the transactions.
    pub transactions_root: Option<B256>,
    /// Root of the receipts.
    pub receipts_root: Option<B256>,
    /// Every address that logged, and every topic.
    pub logs_bloom: Option<Box<Bloom>>,
    /// Zero since proof of stake.
    pub difficulty: Option<U256>,
    /// Most gas the block may use.
    pub gas_limit: Option<u64>,
    /// Gas it used.
    pub gas_used: Option<u64>,
    /// Whatever its maker wrote there.
    pub extra_data: Option<Bytes>,
    /// Proof of work, or randomness since proof of stake (EIP-4399). Some chains have none and mean zero.
    pub mix_hash: Option<B256>,
    /// Proof of work, as a number; eight bytes in the header.
    pub nonce: Option<u64>,
    /// EIP-1559.
    pub base_fee: Option<u128>,
    /// EIP-4895.
    pub withdrawals_root: Option<B256>,
    /// EIP-4844.
    pub blob_gas_used: Option<u64>,
    /// EIP-4844.
    pub excess_blob_gas: Option<u64>,
    /// EIP-4788.
    pub parent_beacon_root: Option<B256>,
    /// EIP-7685.
    pub requests_hash: Option<B256>,
    /// Fields that were not known when this was written, in the node's order; at most [`UNKNOWN_MAX`].
    pub unknown: Vec<Unknown>,
}

/// Most unknown header fields that are kept: a fork adds one or two, so whoever sends more sends noise.
pub const UNKNOWN_MAX: usize = 8;
/// Longest name of an unknown field that is kept, in characters.
pub const UNKNOWN_NAME_MAX: usize = 40;

/// A header field of the future, or of another chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its name, in letters, digits and underscores; whatever else the node wrote is a `?`.
    pub name: String,
    /// What it would be in the encoded header: the bytes of a word or of a number without leading zeros. Absent for anything
    /// longer than 32 bytes or of another shape.
    pub value: Option<Bytes>,
}

/// The fields of a transaction that [`Tx`](super::block::Tx) does not carry. Which of them a type has is up to the type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxSeal {
    /// Absent in transactions from before EIP-155.
    pub chain_id: Option<u64>,
    /// Most gas it may use.
    pub gas: Option<u64>,
    /// Wei for each gas, in types 0 and 1. Nodes write what was paid in the end for the others, which no hash covers.
    pub gas_price: Option<u128>,
    /// EIP-1559.
    pub max_fee: Option<u128>,
    /// EIP-1559.
    pub max_priority_fee: Option<u128>,
    /// EIP-4844.
    pub max_blob_fee: Option<u128>,
    /// EIP-2930.
    pub access_list: Option<Vec<Access>>,
    /// EIP-4844.
    pub blob_hashes: Option<Vec<B256>>,
    /// Parity of each EIP-7702 authorization as it was signed: a number that is neither 0 nor 1 makes an authorization void, but
    /// not the transaction.
    pub authorization_parities: Vec<u64>,
    /// Signature: its parity, in a way that depends on the type.
    pub v: Option<u128>,
    /// Signature: its parity, 0 or 1; absent from type 0.
    pub y_parity: Option<u64>,
    /// Signature.
    pub r: Option<U256>,
    /// Signature.
    pub s: Option<U256>,
}

/// One entry of an access list, EIP-2930.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Account.
    pub address: Address,
    /// Slots of its storage.
    pub keys: Vec<B256>,
}

/// The fields of a receipt that [`Tx`](super::block::Tx) does not carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptSeal {
    /// EIP-2718 type, where the node wrote it.
    pub kind: Option<u64>,
    /// State root, in receipts from before EIP-658.
    pub root: Option<B256>,
    /// Gas used by the block up to and with this transaction.
    pub cumulative_gas: Option<u64>,
    /// Follows from the logs; most nodes write it.
    pub bloom: Option<Box<Bloom>>,
}

/// Ether that comes from the consensus layer, EIP-4895.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Counted through all withdrawals there ever were.
    pub index: u64,
    /// Which validator.
    pub validator: u64,
    /// Who receives it.
    pub address: Address,
    /// Gwei, not wei.
    pub amount: u64,
}
