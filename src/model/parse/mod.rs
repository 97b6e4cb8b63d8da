//! A node's JSON becomes a [`Block`].
//!
//! In come the answers of `eth_getBlockByHash` (with whole transactions) and `eth_getBlockReceipts`; out goes a block whose
//! receipts are joined to its transactions, or the reason why the two do not fit together. What a future fork adds, a new
//! transaction type or an unknown field, is passed over. What never happens here: a panic, a guess about a missing
//! transaction, receipt or log, or an allocation beyond the order of the input.

mod hex;

use super::block::{Authorization, Block, BlockRef, Link, Log, Status, Tx};
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Deserializer};

/// Why a node's answer is not a block.
///
/// None of it is final: a node that answered so may answer better when asked again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not the JSON that was expected.
    #[error("the {what} cannot be read: {why}")]
    Json {
        /// `block`, `receipts`, `header`, `call answer`.
        what: &'static str,
        /// Where and why, at most [`WHY_MAX`] bytes.
        why: String,
    },
    /// A block of so many transactions came with so many receipts. Load-balanced nodes that have not seen a block yet
    /// answer with none at all.
    #[error("{n_txs} transactions came with {n_receipts} receipts")]
    Count {
        /// Transactions of the block.
        n_txs: usize,
        /// Receipts beside it.
        n_receipts: usize,
    },
    /// A transaction or receipt is not what its place says.
    #[error("transaction {index}: {what}")]
    Tx {
        /// Place in the block.
        index: usize,
        /// What does not fit.
        what: &'static str,
    },
    /// The logs of a block are numbered through, and one is missing or out of order.
    #[error("log {found} stands where log {expected} should be: logs are missing or out of order")]
    LogIndex {
        /// Index that should stand here.
        expected: u64,
        /// Index that stands here.
        found: u64,
    },
    /// A log is marked as taken back.
    #[error("log {0} is marked as removed")]
    Removed(u64),
}

/// Longest explanation carried in a [`ParseError`], in bytes: the text comes from the node.
pub const WHY_MAX: usize = 200;

/// A block and its transactions as the node wrote them, before the receipts are joined. Read it with serde.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockWire {
    #[serde(deserialize_with = "hex::number")]
    number: u64,
    #[serde(deserialize_with = "hex::hash")]
    hash: B256,
    #[serde(deserialize_with = "hex::hash")]
    parent_hash: B256,
    #[serde(deserialize_with = "hex::number")]
    timestamp: u64,
    transactions: Vec<TxWire>,
}

/// Receipts of a whole block as the node wrote them. Read it with serde.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct ReceiptsWire(Vec<ReceiptWire>);

/// The block that `block` and `receipts` describe together, both as raw JSON.
///
/// Checked: as many receipts as transactions, the same hashes in the same order, indices from 0 without a hole, every
/// receipt's block hash, logs numbered from 0 without a hole, no log marked as removed, at most four topics.
/// Not checked: that any of it is true.
pub fn block(block: &str, receipts: &str) -> Result<Block, ParseError> {
    let block: BlockWire = json("block", block)?;
    let receipts: ReceiptsWire = json("receipts", receipts)?;
    join(block, receipts)
}

/// Joins receipts to the transactions they belong to; see [`block`] for what is checked.
pub fn join(block: BlockWire, receipts: ReceiptsWire) -> Result<Block, ParseError> {
    let ReceiptsWire(receipts) = receipts;
    if block.transactions.len() != receipts.len() {
        return Err(ParseError::Count { n_txs: block.transactions.len(), n_receipts: receipts.len() });
    }
    let mut next_log = 0;
    let txs = (block.transactions.into_iter().zip(receipts).enumerate())
        .map(|(index, (tx, receipt))| tx.with(receipt, index, block.hash, &mut next_log))
        .collect::<Result<_, _>>()?;
    let at = BlockRef { number: block.number, hash: block.hash };
    Ok(Block { at, parent: block.parent_hash, time: block.timestamp, txs })
}

/// Where a block stands, read from a block or a header (`newHeads`, `eth_getBlockBy*`), whose transactions are passed over.
pub fn header(header: &str) -> Result<Link, ParseError> {
    let wire: HeaderWire = json("header", header)?;
    Ok(Link { at: BlockRef { number: wire.number, hash: wire.hash }, parent: wire.parent_hash, time: wire.timestamp })
}

/// Hashes of a block's transactions, read from a block with whole transactions or with hashes alone.
pub fn tx_hashes(block: &str) -> Result<Vec<B256>, ParseError> {
    #[derive(Deserialize)]
    struct Hashes {
        transactions: Vec<TxHash>,
    }
    json::<Hashes>("block", block).map(|block| block.transactions.into_iter().map(|TxHash(hash)| hash).collect())
}

/// Hash of the block that a receipt names.
pub fn block_hash(receipt: &str) -> Result<B256, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Included {
        #[serde(deserialize_with = "hex::hash")]
        block_hash: B256,
    }
    json::<Included>("receipt", receipt).map(|included| included.block_hash)
}

/// A quantity such as `"0x1f"`, below 2^64.
pub fn number(text: &str) -> Result<u64, ParseError> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "hex::number")] u64);
    json("number", text).map(|Number(number)| number)
}

/// Return data of a call, such as `"0x00ff"`.
pub fn return_data(text: &str) -> Result<Bytes, ParseError> {
    #[derive(Deserialize)]
    struct Data(#[serde(deserialize_with = "hex::bytes")] Bytes);
    json("call answer", text).map(|Data(data)| data)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderWire {
    #[serde(deserialize_with = "hex::number")]
    number: u64,
    #[serde(deserialize_with = "hex::hash")]
    hash: B256,
    #[serde(deserialize_with = "hex::hash")]
    parent_hash: B256,
    #[serde(deserialize_with = "hex::number")]
    timestamp: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TxWire {
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

impl TxWire {
    fn with(self, receipt: ReceiptWire, index: usize, block: B256, next_log: &mut u64) -> Result<Tx, ParseError> {
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
        let logs = receipt.logs.into_iter().zip(0..).map(|(log, ordinal)| log.numbered(ordinal, next_log));
        Ok(Tx {
            hash: self.hash,
            index: place,
            kind: self.kind.unwrap_or_default(),
            from: self.from,
            to: self.to,
            value: self.value,
            input: self.input.or(self.data).ok_or_else(|| wrong("it has no input"))?,
            nonce: self.nonce,
            authorizations: self.authorization_list.into_iter().flatten().map(Into::into).collect(),
            status,
            created: receipt.contract_address,
            logs: logs.collect::<Result<_, _>>()?,
        })
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

/// A transaction's hash, whether the node wrote the hash alone or the whole transaction.
struct TxHash(B256);

impl<'de> Deserialize<'de> for TxHash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Alone(#[serde(deserialize_with = "hex::hash")] B256),
            Whole {
                #[serde(deserialize_with = "hex::hash")]
                hash: B256,
            },
        }
        Either::deserialize(from).map(|either| match either {
            Either::Alone(hash) | Either::Whole { hash } => Self(hash),
        })
    }
}

fn json<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, ParseError> {
    serde_json::from_str(text).map_err(|error| {
        let mut why = error.to_string();
        let end = (0..=WHY_MAX.min(why.len())).rev().find(|end| why.is_char_boundary(*end)).unwrap_or(0);
        why.truncate(end);
        ParseError::Json { what, why }
    })
}

#[cfg(test)]
mod tests;
