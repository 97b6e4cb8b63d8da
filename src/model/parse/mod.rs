//! A node's JSON becomes a [`Block`].
//!
//! In come the answers of `eth_getBlockByHash` (with whole transactions) and `eth_getBlockReceipts`; out goes a block whose
//! receipts are joined to its transactions, or the reason why the two do not fit together. What a future fork adds, a new
//! transaction type or an unknown field, is passed over. What never happens here: a panic, a guess about a missing
//! transaction, receipt or log, or an allocation beyond the order of the input.

mod header;
mod hex;
mod proof;
mod traces;
mod wire;

use super::block::{Block, BlockRef, Link, Tx};
use super::seal::{Header, Sealed, TxSeal};
use alloy_primitives::{B256, Bytes, U256};
pub use proof::{AccountProof, SlotProof, TrieNode, account_proof};
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
pub use traces::{CALLS_MAX, call_tree, call_trees, flat_traces};
pub use wire::{BlockWire, ReceiptsWire};
use wire::{Lapses, Noted};

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

/// The block that `block` and `receipts` describe together, both as raw JSON.
///
/// Checked: as many receipts as transactions, the same hashes in the same order, indices from 0 without a hole, every
/// receipt's block hash, logs numbered from 0 without a hole, no log marked as removed, at most four topics.
/// Not checked: that any of it is true.
pub fn block(block: &str, receipts: &str) -> Result<Block, ParseError> {
    join(json("block", block)?, json("receipts", receipts)?)
}

/// Like [`block`], with all that the block's hashes cover, so that it can be verified.
pub fn sealed(block: &str, receipts: &str) -> Result<Sealed, ParseError> {
    seal(json("block", block)?, json("receipts", receipts)?)
}

/// Joins receipts to the transactions they belong to; see [`block`] for what is checked.
pub fn join(block: BlockWire, receipts: ReceiptsWire) -> Result<Block, ParseError> {
    block.with(receipts, &mut Lapses::Strict)
}

/// Like [`join`], with all that the block's hashes cover. What a node leaves out or writes in a way of its own is forgiven where the
/// hashes settle it, and noted: see [`Sealed::lapse`].
pub fn seal(block: BlockWire, mut receipts: ReceiptsWire) -> Result<Sealed, ParseError> {
    let (txs, withdrawals, header) = (block.tx_seals(), block.withdrawals(), block.header());
    receipts.reorder(block.tx_hashes());
    let receipts_seal = receipts.take_seals();
    let mut lapses = Lapses::Settled(None);
    let block = block.with(receipts, &mut lapses)?;
    let lapse = if let Lapses::Settled(first) = lapses { first } else { None };
    Ok(Sealed { block, header, txs, receipts: receipts_seal, withdrawals, lapse })
}

/// A block's own text, to be joined with its receipts later.
pub fn read_block(text: &str) -> Result<BlockWire, ParseError> {
    json("block", text)
}

/// All receipts of a block, to be joined with it later.
pub fn read_receipts(text: &str) -> Result<ReceiptsWire, ParseError> {
    json("receipts", text)
}

/// One receipt of a block, as a list of one.
pub fn read_receipt(text: &str) -> Result<ReceiptsWire, ParseError> {
    json("receipt", text).map(ReceiptsWire::of_one)
}

/// A block without its receipts, with all that its hash covers: what is in it can be held against it before they are there.
pub fn seal_alone(block: &BlockWire) -> Result<Sealed, ParseError> {
    let (txs, withdrawals, header) = (block.tx_seals(), block.withdrawals(), block.header());
    Ok(Sealed { block: block.without_receipts()?, header, txs, receipts: Vec::new(), withdrawals, lapse: None })
}

/// Where a block stands, read from a block or a header (`newHeads`, `eth_getBlockBy*`), whose transactions are passed over.
pub fn header(header: &str) -> Result<Link, ParseError> {
    let wire: HeaderWire = json("header", header)?;
    Ok(Link { at: BlockRef { number: wire.number, hash: wire.hash }, parent: wire.parent_hash, time: wire.timestamp })
}

/// Like [`header()`], with all that the header's own hash covers.
pub fn sealed_header(header: &str) -> Result<(Link, Header), ParseError> {
    let wire: Noted<Option<IgnoredAny>> = json("header", header)?;
    Ok((wire.link(), wire.header()))
}

/// Hashes of a block's transactions, read from a block with whole transactions or with hashes alone.
pub fn tx_hashes(block: &str) -> Result<Vec<B256>, ParseError> {
    #[derive(Deserialize)]
    struct Hashes {
        transactions: Vec<TxHash>,
    }
    json::<Hashes>("block", block).map(|block| block.transactions.into_iter().map(|TxHash(hash)| hash).collect())
}

/// Hash of a pending transaction as it is announced: alone, or with the whole transaction.
pub fn announced(announcement: &str) -> Result<B256, ParseError> {
    json::<TxHash>("announcement", announcement).map(|TxHash(hash)| hash)
}

/// A transaction that is in no block, with all that its hash covers. `None` where the node does not have it, or a block does.
///
/// Not checked: that any of it is true.
pub fn pending(tx: &str) -> Result<Option<(Tx, TxSeal)>, ParseError> {
    json::<Option<wire::TxWire>>("transaction", tx)?.map_or(Ok(None), wire::TxWire::pending)
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

/// A log as `eth_getLogs` tells it, without its data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundLog {
    /// Who wrote it.
    #[serde(deserialize_with = "hex::address")]
    pub address: alloy_primitives::Address,
    /// At most four.
    #[serde(deserialize_with = "hex::topics")]
    pub topics: Vec<B256>,
    /// Where it stands.
    #[serde(deserialize_with = "hex::number")]
    pub block_number: u64,
    /// Its place among the logs of that block.
    #[serde(deserialize_with = "hex::number")]
    pub log_index: u64,
}

/// The answer of `eth_getLogs`. Not checked: that they are what was asked for.
pub fn logs(answer: &str) -> Result<Vec<FoundLog>, ParseError> {
    json("logs", answer)
}

/// Hashes of the transactions that wrote the logs which `eth_getLogs` tells, in their order, each once in a row.
pub fn log_transactions(answer: &str) -> Result<Vec<B256>, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        #[serde(deserialize_with = "hex::hash")]
        transaction_hash: B256,
    }
    let mut hashes: Vec<B256> =
        json::<Vec<Written>>("logs", answer)?.into_iter().map(|log| log.transaction_hash).collect();
    hashes.dedup();
    Ok(hashes)
}

/// Contracts that wrote the logs which `eth_getLogs` tells, each with the hash of the transaction, in their order.
pub fn log_writers(answer: &str) -> Result<Vec<(alloy_primitives::Address, B256)>, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        address: alloy_primitives::Address,
        #[serde(deserialize_with = "hex::hash")]
        transaction_hash: B256,
    }
    Ok(json::<Vec<Written>>("logs", answer)?.into_iter().map(|log| (log.address, log.transaction_hash)).collect())
}

/// Who sent a transaction and to whom, as `eth_getTransactionByHash` tells it; `None` where the node does not have it.
pub fn parties(tx: &str) -> Result<Option<(alloy_primitives::Address, Option<alloy_primitives::Address>)>, ParseError> {
    #[derive(Deserialize)]
    struct Parties {
        from: alloy_primitives::Address,
        to: Option<alloy_primitives::Address>,
    }
    json::<Option<Parties>>("transaction", tx).map(|parties| parties.map(|Parties { from, to }| (from, to)))
}

/// A quantity such as `"0x1f"`, below 2^64.
pub fn number(text: &str) -> Result<u64, ParseError> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "hex::number")] u64);
    json("number", text).map(|Number(number)| number)
}

/// A quantity below 2^256.
pub fn quantity(text: &str) -> Result<U256, ParseError> {
    #[derive(Deserialize)]
    struct Quantity(#[serde(deserialize_with = "hex::quantity")] U256);
    json("quantity", text).map(|Quantity(quantity)| quantity)
}

/// Return data of a call, such as `"0x00ff"`.
pub fn return_data(text: &str) -> Result<Bytes, ParseError> {
    #[derive(Deserialize)]
    struct Data(#[serde(deserialize_with = "hex::bytes")] Bytes);
    json("call answer", text).map(|Data(data)| data)
}

/// A list of at most `n` byte strings.
pub fn byte_strings(text: &str, n: usize) -> Result<Vec<Bytes>, ParseError> {
    struct Few(usize);
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<Bytes>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {} byte strings", self.0)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Bytes>, A::Error> {
            #[derive(Deserialize)]
            struct One(#[serde(deserialize_with = "hex::bytes")] Bytes);
            let mut all = Vec::new();
            while let Some(One(bytes)) = seq.next_element()? {
                if all.len() == self.0 {
                    return Err(A::Error::invalid_length(self.0 + 1, &self));
                }
                all.push(bytes);
            }
            Ok(all)
        }
    }
    let unreadable = |error: serde_json::Error| ParseError::Json { what: "bytes", why: shortened(error.to_string()) };
    serde_json::Deserializer::from_str(text).deserialize_seq(Few(n)).map_err(unreadable)
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
    serde_json::from_str(text).map_err(|error| ParseError::Json { what, why: shortened(error.to_string()) })
}

fn shortened(mut why: String) -> String {
    let end = (0..=WHY_MAX.min(why.len())).rev().find(|end| why.is_char_boundary(*end)).unwrap_or(0);
    why.truncate(end);
    why
}

#[cfg(test)]
mod tests;
