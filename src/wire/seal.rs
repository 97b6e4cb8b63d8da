//! Data that a block's hashes cover beyond the judged fields.
//!
//! A header's hash covers the header, and through three roots every transaction, receipt and withdrawal. Most of these
//! fields, such as gas prices, are not used otherwise; they are kept so that the hashes can be recomputed. All fields
//! are optional: a node may leave out or garble any of them, and a missing field is noticed when the block is verified,
//! not when it is parsed.

use super::ParseError;
use crate::model::block::Block;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};

/// A block together with all fields that its hashes cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Block to be judged.
    pub block: Block,
    /// Remaining fields of the header.
    pub header: Header,
    /// Remaining fields of each transaction, in the order of the block's transactions.
    pub txs: Vec<TxSeal>,
    /// Remaining fields of each receipt, in the same order.
    pub receipts: Vec<ReceiptSeal>,
    /// Absent where the node returned none, or none that can be parsed.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// The first field that parsing needs, but that the node left out or wrote in a non-standard form. A proof of the
    /// whole block compensates for it; without a proof the block must not be used.
    pub lapse: Option<ParseError>,
}

/// The fields of a header that [`Block`] does not carry. Source: the Yellow Paper, 4.3; the EIPs named below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Hash of the list of uncles.
    pub uncles_hash: Option<B256>,
    /// Recipient of the fees.
    pub miner: Option<Address>,
    /// Root of the state after the block.
    pub state_root: Option<B256>,
    /// Root of the transactions.
    pub transactions_root: Option<B256>,
    /// Root of the receipts.
    pub receipts_root: Option<B256>,
    /// Bloom filter of every address that logged, and of every topic.
    pub logs_bloom: Option<Box<Bloom>>,
    /// Zero since proof of stake.
    pub difficulty: Option<U256>,
    /// Maximum gas that the block may use.
    pub gas_limit: Option<u64>,
    /// Gas used by the block.
    pub gas_used: Option<u64>,
    /// Data written by the block's producer.
    pub extra_data: Option<Bytes>,
    /// Proof of work, or randomness since proof of stake (EIP-4399). Some chains have no such field, which means zero.
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

/// Maximum number of unknown header fields that are kept: a fork adds one or two, so a larger number is noise.
pub const UNKNOWN_MAX: usize = 8;
/// Maximum length of an unknown field's name that is kept, in characters.
pub const UNKNOWN_NAME_MAX: usize = 40;

/// A header field of a future fork, or of another chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Name of the field, in letters, digits and underscores; any other character from the node is replaced by `?`.
    pub name: String,
    /// Value in the encoded header: the bytes of a word, or of a number without leading zeros. Absent for anything
    /// longer than 32 bytes or of another shape.
    pub value: Option<Bytes>,
}

/// The fields of a transaction that [`Tx`](crate::model::block::Tx) does not carry. The transaction type determines which of
/// them exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxSeal {
    /// Absent in transactions from before EIP-155.
    pub chain_id: Option<u64>,
    /// Most gas it may use.
    pub gas: Option<u64>,
    /// Price in wei for each unit of gas, in types 0 and 1. For other types nodes write the price that was finally
    /// paid, which no hash covers.
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
    /// Parity of each EIP-7702 authorization as signed: a number other than 0 or 1 makes an authorization void, but not
    /// the transaction.
    pub authorization_parities: Vec<u64>,
    /// Signature: its parity, encoded depending on the type.
    pub v: Option<u128>,
    /// Signature: its parity, 0 or 1; absent from type 0.
    pub y_parity: Option<u64>,
    /// Signature, r.
    pub r: Option<U256>,
    /// Signature, s.
    pub s: Option<U256>,
}

/// An entry of an access list, EIP-2930.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Account.
    pub address: Address,
    /// Slots of its storage.
    pub keys: Vec<B256>,
}

/// The fields of a receipt that [`Tx`](crate::model::block::Tx) does not carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptSeal {
    /// EIP-2718 type, where the node included it.
    pub kind: Option<u64>,
    /// State root, in receipts from before EIP-658.
    pub root: Option<B256>,
    /// Gas used by the block up to and including this transaction.
    pub cumulative_gas: Option<u64>,
    /// Can be derived from the logs; most nodes include it.
    pub bloom: Option<Box<Bloom>>,
}

/// Ether that comes from the consensus layer, EIP-4895.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Index, counted over all withdrawals of the chain.
    pub index: u64,
    /// Index of the validator.
    pub validator: u64,
    /// Recipient of the withdrawal.
    pub address: Address,
    /// Gwei, not wei.
    pub amount: u64,
}
