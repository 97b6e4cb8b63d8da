//! Types that match a node's JSON; `join` converts them.
//!
//! Fields that are judged are parsed strictly: a block in which one is garbled is rejected. Fields that only the hashes
//! cover are parsed leniently, because a future transaction type may give a known name another meaning.

mod join;

use super::hex;
use crate::wire::seal::Unknown;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
pub(super) use join::Lapses;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A block and its transactions as the node wrote them, before the receipts are joined. Deserialize it with serde.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct BlockWire(Noted<Vec<TxWire>>);

/// A block with the requested form of its transactions, and its unknown fields.
#[derive(Debug)]
pub(super) struct Noted<T> {
    pub(super) fields: BlockFields<T>,
    pub(super) unknown: Vec<Unknown>,
}

/// Receipts of a whole block as the node wrote them. Deserialize it with serde.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct ReceiptsWire(Vec<ReceiptWire>);

impl Default for ReceiptsWire {
    /// Returns the receipts of a block without transactions.
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
pub(super) struct BlockFields<T> {
    #[serde(deserialize_with = "hex::deserialize_u64")]
    number: u64,
    #[serde(deserialize_with = "hex::hash")]
    hash: B256,
    #[serde(deserialize_with = "hex::hash")]
    parent_hash: B256,
    #[serde(deserialize_with = "hex::deserialize_u64")]
    timestamp: u64,
    transactions: T,
    #[serde(default, rename = "sha3Uncles", deserialize_with = "hex::deserialize_lenient")]
    uncles_hash: Option<B256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    miner: Option<Address>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    state_root: Option<B256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    transactions_root: Option<B256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    receipts_root: Option<B256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    logs_bloom: Option<Box<Bloom>>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    difficulty: Option<U256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    gas_limit: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    gas_used: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    extra_data: Option<Bytes>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    mix_hash: Option<B256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    nonce: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    base_fee_per_gas: Option<u128>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    withdrawals_root: Option<B256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    blob_gas_used: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    excess_blob_gas: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    parent_beacon_block_root: Option<B256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    requests_hash: Option<B256>,
    // Kept as text: it is parsed only when the block is verified.
    withdrawals: Option<Box<RawValue>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TxWire {
    #[serde(deserialize_with = "hex::hash")]
    hash: B256,
    #[serde(default, deserialize_with = "hex::maybe_number")]
    transaction_index: Option<u64>,
    // Old nodes leave out the type of legacy transactions.
    #[serde(default, rename = "type", deserialize_with = "hex::maybe_number")]
    kind: Option<u64>,
    #[serde(deserialize_with = "hex::deserialize_address")]
    from: Address,
    #[serde(default, deserialize_with = "hex::maybe_address")]
    to: Option<Address>,
    #[serde(default, deserialize_with = "hex::deserialize_quantity")]
    value: U256,
    // Most nodes write `input`, a few `data`, some both. If both are missing, parsing fails: calldata must not be
    // guessed to be empty.
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    input: Option<Bytes>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    data: Option<Bytes>,
    #[serde(default, deserialize_with = "hex::deserialize_u64")]
    nonce: u64,
    // Celo (CIP-64): the token that the fee is paid in.
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    fee_currency: Option<Address>,
    authorization_list: Option<Vec<AuthorizationWire>>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    chain_id: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    gas: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    gas_price: Option<u128>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    max_fee_per_gas: Option<u128>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    max_priority_fee_per_gas: Option<u128>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    max_fee_per_blob_gas: Option<u128>,
    // Both are kept as text: their format depends on the transaction type.
    access_list: Option<Box<RawValue>>,
    blob_versioned_hashes: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    v: Option<u128>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    y_parity: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    r: Option<U256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    s: Option<U256>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationWire {
    #[serde(deserialize_with = "hex::deserialize_quantity")]
    chain_id: U256,
    #[serde(deserialize_with = "hex::deserialize_address")]
    address: Address,
    #[serde(deserialize_with = "hex::deserialize_u64")]
    nonce: u64,
    // EIP-7702 names it y_parity; nodes of the first months wrote `v`.
    #[serde(default, deserialize_with = "hex::maybe_number")]
    y_parity: Option<u64>,
    #[serde(default, deserialize_with = "hex::maybe_number")]
    v: Option<u64>,
    #[serde(deserialize_with = "hex::deserialize_quantity")]
    r: U256,
    #[serde(deserialize_with = "hex::deserialize_quantity")]
    s: U256,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessWire {
    #[serde(deserialize_with = "hex::deserialize_address")]
    address: Address,
    // Some vendors have written null for an empty list.
    storage_keys: Option<hex::Words>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithdrawalWire {
    #[serde(deserialize_with = "hex::deserialize_u64")]
    index: u64,
    #[serde(deserialize_with = "hex::deserialize_u64")]
    validator_index: u64,
    #[serde(deserialize_with = "hex::deserialize_address")]
    address: Address,
    #[serde(deserialize_with = "hex::deserialize_u64")]
    amount: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceiptWire {
    #[serde(deserialize_with = "hex::hash")]
    transaction_hash: B256,
    #[serde(default, deserialize_with = "hex::maybe_number")]
    transaction_index: Option<u64>,
    // Left out by some nodes, and by all for a transaction that is in no block.
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    block_hash: Option<B256>,
    // Absent before EIP-658; such receipts have a state root instead.
    #[serde(default, deserialize_with = "hex::maybe_number")]
    status: Option<u64>,
    #[serde(default, deserialize_with = "hex::maybe_address")]
    contract_address: Option<Address>,
    logs: Vec<LogWire>,
    #[serde(default, rename = "type", deserialize_with = "hex::deserialize_lenient")]
    kind: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    root: Option<B256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    cumulative_gas_used: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    gas_used: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    effective_gas_price: Option<u128>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    blob_gas_price: Option<u128>,
    // Fees that rollups charge in addition to gas.
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    l1_fee: Option<U256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    operator_fee_scalar: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    operator_fee_constant: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    token_ratio: Option<u64>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    logs_bloom: Option<Box<Bloom>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogWire {
    #[serde(deserialize_with = "hex::deserialize_address")]
    address: Address,
    #[serde(deserialize_with = "hex::deserialize_topics")]
    topics: Vec<B256>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    data: Option<Bytes>,
    #[serde(default, deserialize_with = "hex::deserialize_lenient")]
    log_index: Option<u64>,
    removed: Option<bool>,
}
