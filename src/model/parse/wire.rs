//! The shapes a node writes, and how they become ours.
//!
//! What is judged is read strictly: a block in which it is garbled is no block. What only the hashes cover is read leniently,
//! since a transaction type of the future may give a known name another meaning.

use super::{ParseError, hex};
use crate::model::block::{Authorization, Block, BlockRef, Link, Log, Status, Tip, Tx};
use crate::model::seal::{Access, Header, ReceiptSeal, TxSeal, Unknown, Withdrawal};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::mem::take;

/// A block and its transactions as the node wrote them, before the receipts are joined. Read it with serde.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct BlockWire(Noted<Vec<TxWire>>);

/// A block with whatever is wanted of its transactions, and the fields that nobody knows.
#[derive(Debug)]
pub(super) struct Noted<T> {
    pub(super) fields: BlockFields<T>,
    pub(super) unknown: Vec<Unknown>,
}

/// Receipts of a whole block as the node wrote them. Read it with serde.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct ReceiptsWire(Vec<ReceiptWire>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
pub(super) struct BlockFields<T> {
    #[serde(deserialize_with = "hex::number")]
    number: u64,
    #[serde(deserialize_with = "hex::hash")]
    hash: B256,
    #[serde(deserialize_with = "hex::hash")]
    parent_hash: B256,
    #[serde(deserialize_with = "hex::number")]
    timestamp: u64,
    transactions: T,
    #[serde(default, rename = "sha3Uncles", deserialize_with = "hex::lenient")]
    uncles_hash: Option<B256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    miner: Option<Address>,
    #[serde(default, deserialize_with = "hex::lenient")]
    state_root: Option<B256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    transactions_root: Option<B256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    receipts_root: Option<B256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    logs_bloom: Option<Box<Bloom>>,
    #[serde(default, deserialize_with = "hex::lenient")]
    difficulty: Option<U256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    gas_limit: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    gas_used: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    extra_data: Option<Bytes>,
    #[serde(default, deserialize_with = "hex::lenient")]
    mix_hash: Option<B256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    nonce: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    base_fee_per_gas: Option<u128>,
    #[serde(default, deserialize_with = "hex::lenient")]
    withdrawals_root: Option<B256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    blob_gas_used: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    excess_blob_gas: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    parent_beacon_block_root: Option<B256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    requests_hash: Option<B256>,
    // Kept as text: nobody looks into it unless the block is verified.
    withdrawals: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TxWire {
    #[serde(deserialize_with = "hex::hash")]
    hash: B256,
    #[serde(default, deserialize_with = "hex::maybe_number")]
    transaction_index: Option<u64>,
    // Old nodes leave the type out of what they call legacy transactions.
    #[serde(default, rename = "type", deserialize_with = "hex::maybe_number")]
    kind: Option<u64>,
    #[serde(deserialize_with = "hex::address")]
    from: Address,
    #[serde(default, deserialize_with = "hex::maybe_address")]
    to: Option<Address>,
    #[serde(default, deserialize_with = "hex::quantity")]
    value: U256,
    // Most nodes write `input`, a few `data`, some both. Neither is an error: calldata must not be guessed to be empty.
    #[serde(default, deserialize_with = "hex::some_bytes")]
    input: Option<Bytes>,
    #[serde(default, deserialize_with = "hex::some_bytes")]
    data: Option<Bytes>,
    #[serde(default, deserialize_with = "hex::number")]
    nonce: u64,
    authorization_list: Option<Vec<AuthorizationWire>>,
    #[serde(default, deserialize_with = "hex::lenient")]
    chain_id: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    gas: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    gas_price: Option<u128>,
    #[serde(default, deserialize_with = "hex::lenient")]
    max_fee_per_gas: Option<u128>,
    #[serde(default, deserialize_with = "hex::lenient")]
    max_priority_fee_per_gas: Option<u128>,
    #[serde(default, deserialize_with = "hex::lenient")]
    max_fee_per_blob_gas: Option<u128>,
    // These two as text: their shape is up to the type.
    access_list: Option<Box<RawValue>>,
    blob_versioned_hashes: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "hex::lenient")]
    v: Option<u128>,
    #[serde(default, deserialize_with = "hex::lenient")]
    y_parity: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    r: Option<U256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    s: Option<U256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationWire {
    #[serde(deserialize_with = "hex::quantity")]
    chain_id: U256,
    #[serde(deserialize_with = "hex::address")]
    address: Address,
    #[serde(deserialize_with = "hex::number")]
    nonce: u64,
    // EIP-7702 calls it y_parity; nodes of the first months wrote `v`.
    #[serde(default, deserialize_with = "hex::maybe_number")]
    y_parity: Option<u64>,
    #[serde(default, deserialize_with = "hex::maybe_number")]
    v: Option<u64>,
    #[serde(deserialize_with = "hex::quantity")]
    r: U256,
    #[serde(deserialize_with = "hex::quantity")]
    s: U256,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessWire {
    #[serde(deserialize_with = "hex::address")]
    address: Address,
    // Vendors have written null for none.
    storage_keys: Option<hex::Words>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithdrawalWire {
    #[serde(deserialize_with = "hex::number")]
    index: u64,
    #[serde(deserialize_with = "hex::number")]
    validator_index: u64,
    #[serde(deserialize_with = "hex::address")]
    address: Address,
    #[serde(deserialize_with = "hex::number")]
    amount: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptWire {
    #[serde(deserialize_with = "hex::hash")]
    transaction_hash: B256,
    #[serde(default, deserialize_with = "hex::maybe_number")]
    transaction_index: Option<u64>,
    #[serde(deserialize_with = "hex::hash")]
    block_hash: B256,
    // Absent before EIP-658, where a state root stands instead.
    #[serde(default, deserialize_with = "hex::maybe_number")]
    status: Option<u64>,
    #[serde(default, deserialize_with = "hex::maybe_address")]
    contract_address: Option<Address>,
    logs: Vec<LogWire>,
    #[serde(default, rename = "type", deserialize_with = "hex::lenient")]
    kind: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    root: Option<B256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    cumulative_gas_used: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    gas_used: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    effective_gas_price: Option<u128>,
    #[serde(default, deserialize_with = "hex::lenient")]
    blob_gas_used: Option<u64>,
    #[serde(default, deserialize_with = "hex::lenient")]
    blob_gas_price: Option<u128>,
    // What a rollup charges for the data, beside the gas.
    #[serde(default, deserialize_with = "hex::lenient")]
    l1_fee: Option<U256>,
    #[serde(default, deserialize_with = "hex::lenient")]
    logs_bloom: Option<Box<Bloom>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogWire {
    #[serde(deserialize_with = "hex::address")]
    address: Address,
    #[serde(deserialize_with = "hex::topics")]
    topics: Vec<B256>,
    #[serde(deserialize_with = "hex::bytes")]
    data: Bytes,
    #[serde(deserialize_with = "hex::number")]
    log_index: u64,
    removed: Option<bool>,
}

impl BlockWire {
    /// The block, once its receipts are there.
    pub(super) fn with(self, ReceiptsWire(receipts): ReceiptsWire) -> Result<Block, ParseError> {
        let block = self.0.fields;
        if block.transactions.len() != receipts.len() {
            return Err(ParseError::Count { n_txs: block.transactions.len(), n_receipts: receipts.len() });
        }
        let (mut next_log, hash, base_fee) = (0, block.hash, block.base_fee_per_gas);
        let txs = (block.transactions.into_iter().zip(receipts).enumerate())
            .map(|(index, (tx, receipt))| tx.with(receipt, index, hash, base_fee, &mut next_log))
            .collect::<Result<_, _>>()?;
        let at = BlockRef { number: block.number, hash: block.hash };
        let withdrawals: Vec<WithdrawalWire> = raw(block.withdrawals.as_deref()).unwrap_or_default();
        let gwei = U256::from(1_000_000_000u64);
        let withdrawals = withdrawals.iter().map(|one| (one.address, U256::from(one.amount) * gwei)).collect();
        Ok(Block { at, parent: block.parent_hash, time: block.timestamp, txs, withdrawals })
    }

    /// Leaves nothing of it behind.
    pub(super) fn take_header(&mut self) -> Header {
        self.0.take_header()
    }

    pub(super) fn tx_seals(&self) -> Vec<TxSeal> {
        self.0.fields.transactions.iter().map(TxWire::seal).collect()
    }

    /// None where there are none, and where they cannot be read.
    pub(super) fn withdrawals(&self) -> Option<Vec<Withdrawal>> {
        let list: Vec<WithdrawalWire> = raw(self.0.fields.withdrawals.as_deref())?;
        Some(list.into_iter().map(Into::into).collect())
    }
}

impl<T> Noted<T> {
    pub(super) fn link(&self) -> Link {
        let fields = &self.fields;
        let at = BlockRef { number: fields.number, hash: fields.hash };
        Link { at, parent: fields.parent_hash, time: fields.timestamp }
    }

    /// Leaves nothing of it behind.
    pub(super) fn take_header(&mut self) -> Header {
        let fields = &mut self.fields;
        Header {
            uncles_hash: fields.uncles_hash,
            miner: fields.miner,
            state_root: fields.state_root,
            transactions_root: fields.transactions_root,
            receipts_root: fields.receipts_root,
            logs_bloom: fields.logs_bloom.take(),
            difficulty: fields.difficulty,
            gas_limit: fields.gas_limit,
            gas_used: fields.gas_used,
            extra_data: fields.extra_data.take(),
            mix_hash: fields.mix_hash,
            nonce: fields.nonce,
            base_fee: fields.base_fee_per_gas,
            withdrawals_root: fields.withdrawals_root,
            blob_gas_used: fields.blob_gas_used,
            excess_blob_gas: fields.excess_blob_gas,
            parent_beacon_root: fields.parent_beacon_block_root,
            requests_hash: fields.requests_hash,
            unknown: take(&mut self.unknown),
        }
    }
}

impl ReceiptWire {
    /// What the sender paid: gas, blobs (EIP-4844), and what a rollup adds for its data.
    fn fee(&self) -> Option<U256> {
        let paid = |gas: u64, price: u128| U256::from(gas).saturating_mul(U256::from(price));
        let blobs = paid(self.blob_gas_used.unwrap_or_default(), self.blob_gas_price.unwrap_or_default());
        let gas = paid(self.gas_used?, self.effective_gas_price?);
        Some(gas.saturating_add(blobs).saturating_add(self.l1_fee.unwrap_or_default()))
    }
}

impl ReceiptsWire {
    /// Leaves nothing of them behind.
    pub(super) fn take_seals(&mut self) -> Vec<ReceiptSeal> {
        let seal = |receipt: &mut ReceiptWire| ReceiptSeal {
            kind: receipt.kind,
            root: receipt.root,
            cumulative_gas: receipt.cumulative_gas_used,
            bloom: receipt.logs_bloom.take(),
        };
        self.0.iter_mut().map(seal).collect()
    }
}

impl TxWire {
    fn with(
        self,
        receipt: ReceiptWire,
        index: usize,
        block: B256,
        base_fee: Option<u128>,
        next_log: &mut u64,
    ) -> Result<Tx, ParseError> {
        let wrong = |what| ParseError::Tx { index, what };
        let place = u32::try_from(index).map_err(|_| wrong("a block cannot have so many"))?;
        if self.transaction_index.is_some_and(|found| found != u64::from(place)) {
            return Err(wrong("its index is not its place in the block"));
        }
        if receipt.transaction_hash != self.hash {
            return Err(wrong("its receipt is of another transaction"));
        }
        if receipt.transaction_index.is_some_and(|found| found != u64::from(place)) {
            return Err(wrong("its receipt has another index"));
        }
        if receipt.block_hash != block {
            return Err(wrong("its receipt is of another block"));
        }
        let status = match receipt.status {
            Some(1) => Status::Success,
            Some(0) => Status::Reverted,
            None => Status::Unknown,
            Some(_) => return Err(wrong("its receipt has a status that is neither 0 nor 1")),
        };
        let fee = receipt.fee();
        let tip = self.tip(base_fee, receipt.gas_used);
        let logs = receipt.logs.into_iter().zip(0..).map(|(log, ordinal)| log.numbered(ordinal, next_log));
        let logs = logs.collect::<Result<_, _>>()?;
        Ok(Tx { index: place, status, created: receipt.contract_address, logs, fee, tip, ..self.alone(index)? })
    }

    /// By what its sender signed and not by what the receipt says of the price, which no hash covers. Source: EIP-1559.
    fn tip(&self, base_fee: Option<u128>, gas_used: Option<u64>) -> Option<Tip> {
        let base_fee = base_fee?;
        let per_gas = match (self.max_fee_per_gas, self.max_priority_fee_per_gas) {
            (Some(most), Some(tip)) => tip.min(most.saturating_sub(base_fee)),
            _ => self.gas_price?.saturating_sub(base_fee),
        };
        Some(Tip { per_gas, paid: U256::from(per_gas).saturating_mul(U256::from(gas_used?)) })
    }

    /// What it says by itself, without a receipt.
    fn alone(self, index: usize) -> Result<Tx, ParseError> {
        Ok(Tx {
            hash: self.hash,
            index: 0,
            kind: self.kind.unwrap_or_default(),
            from: self.from,
            to: self.to,
            value: self.value,
            input: self.input.or(self.data).ok_or(ParseError::Tx { index, what: "it has no input" })?,
            nonce: self.nonce,
            authorizations: self.authorization_list.into_iter().flatten().map(Into::into).collect(),
            status: Status::Unknown,
            created: None,
            logs: Vec::new(),
            fee: None,
            tip: None,
        })
    }

    /// The same with what its hash covers; nothing where a block holds it already.
    pub(super) fn pending(self) -> Result<Option<(Tx, TxSeal)>, ParseError> {
        if self.transaction_index.is_some() {
            return Ok(None);
        }
        let seal = self.seal();
        self.alone(0).map(|tx| Some((tx, seal)))
    }

    fn seal(&self) -> TxSeal {
        let access = |list: Vec<AccessWire>| list.into_iter().map(Into::into).collect();
        TxSeal {
            chain_id: self.chain_id,
            gas: self.gas,
            gas_price: self.gas_price,
            max_fee: self.max_fee_per_gas,
            max_priority_fee: self.max_priority_fee_per_gas,
            max_blob_fee: self.max_fee_per_blob_gas,
            access_list: raw(self.access_list.as_deref()).map(access),
            blob_hashes: raw(self.blob_versioned_hashes.as_deref()).map(|hex::Words(hashes)| hashes),
            authorization_parities: self.authorization_list.iter().flatten().map(AuthorizationWire::parity).collect(),
            v: self.v,
            y_parity: self.y_parity,
            r: self.r,
            s: self.s,
        }
    }
}

impl AuthorizationWire {
    /// As it was signed: `v` of the first months is 27 or 28, and means 0 or 1.
    fn parity(&self) -> u64 {
        match (self.y_parity, self.v) {
            (Some(parity), _) => parity,
            (None, Some(v @ (27 | 28))) => v - 27,
            (None, v) => v.unwrap_or_default(),
        }
    }
}

impl LogWire {
    fn numbered(self, ordinal: u32, next: &mut u64) -> Result<Log, ParseError> {
        if self.log_index != *next {
            return Err(ParseError::LogIndex { expected: *next, found: self.log_index });
        }
        if self.removed == Some(true) {
            return Err(ParseError::Removed(self.log_index));
        }
        *next += 1;
        Ok(Log { address: self.address, topics: self.topics, data: self.data, ordinal })
    }
}

impl From<AuthorizationWire> for Authorization {
    fn from(wire: AuthorizationWire) -> Self {
        Self {
            chain_id: wire.chain_id,
            address: wire.address,
            nonce: wire.nonce,
            y_parity: matches!(wire.y_parity.or(wire.v), Some(1 | 28)),
            r: wire.r,
            s: wire.s,
        }
    }
}

impl From<AccessWire> for Access {
    fn from(wire: AccessWire) -> Self {
        let hex::Words(keys) = wire.storage_keys.unwrap_or_default();
        Self { address: wire.address, keys }
    }
}

impl From<WithdrawalWire> for Withdrawal {
    fn from(wire: WithdrawalWire) -> Self {
        Self { index: wire.index, validator: wire.validator_index, address: wire.address, amount: wire.amount }
    }
}

/// What the text says, if it is there and can be read.
fn raw<'a, T: Deserialize<'a>>(text: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(text?.get()).ok()
}
