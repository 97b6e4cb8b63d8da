//! Parses a node's JSON into a [`Block`].
//!
//! Input: the responses to `eth_getBlockByHash` (with whole transactions) and `eth_getBlockReceipts`. Output: a block
//! whose receipts are joined to its transactions, or the reason why the two do not match. Additions of future forks,
//! such as a new transaction type or an unknown field, are skipped. Never here: a panic, a guess about a missing
//! transaction, receipt or log, or an allocation beyond the order of the input.

mod header;
mod hex;
mod proof;
pub mod seal;
mod shapes;
mod traces;

use crate::model::block::{Block, BlockRef, Link, Tx};
use alloy_primitives::{B256, Bytes, U256};
pub use proof::{AccountProof, SlotProof, TrieNode, account_proof};
pub use seal::Sealed;
use seal::{Header, TxSeal};
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
pub use shapes::{BlockWire, ReceiptsWire};
use shapes::{Lapses, Noted};
use std::fmt;
pub use traces::{CALLS_MAX, call_tree, call_trees, flat_traces};

/// Reason why a node's response is not a valid block.
///
/// None of these errors is permanent: the same node may return a valid response when asked again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The JSON does not have the expected form.
    #[error("the {what} cannot be read: {why}")]
    Json {
        /// `block`, `receipts`, `header`, `call answer`.
        what: &'static str,
        /// Position and reason, at most [`WHY_MAX`] bytes.
        why: String,
    },
    /// The number of receipts differs from the number of transactions. Load-balanced nodes that have not seen a block
    /// yet return no receipts.
    #[error("{n_txs} transactions came with {n_receipts} receipts")]
    Count {
        /// Number of transactions in the block.
        n_txs: usize,
        /// Number of receipts returned for it.
        n_receipts: usize,
    },
    /// A transaction or receipt does not match its index.
    #[error("transaction {index}: {what}")]
    Tx {
        /// Index in the block.
        index: usize,
        /// Description of the mismatch.
        what: &'static str,
    },
    /// The logs of a block are numbered consecutively, and one is missing or out of order.
    #[error("log {found} stands where log {expected} should be: logs are missing or out of order")]
    LogIndex {
        /// Expected index.
        expected: u64,
        /// Index that was found.
        found: u64,
    },
    /// A log is marked as removed.
    #[error("log {0} is marked as removed")]
    Removed(u64),
}

/// Maximum length of the explanation in a [`ParseError`], in bytes: the text comes from the node.
pub const WHY_MAX: usize = 200;

/// The block that `block` and `receipts` describe together, both as raw JSON.
///
/// Checked: as many receipts as transactions, the same hashes in the same order, indices from 0 without a gap, every
/// receipt's block hash, logs numbered from 0 without a gap, no log marked as removed, at most four topics. Not
/// checked: that any of the data is true.
pub fn parse_block(block: &str, receipts: &str) -> Result<Block, ParseError> {
    join_receipts(parse_json("block", block)?, parse_json("receipts", receipts)?)
}

/// Parses like [`parse_block`], and keeps all fields that the block's hashes cover, so that it can be verified.
pub fn parse_sealed_block(block: &str, receipts: &str) -> Result<Sealed, ParseError> {
    seal_block(parse_json("block", block)?, parse_json("receipts", receipts)?)
}

/// Joins receipts to their transactions; see [`parse_block`] for the checks.
pub fn join_receipts(block: BlockWire, receipts: ReceiptsWire) -> Result<Block, ParseError> {
    block.into_block(receipts, &mut Lapses::Strict)
}

/// Joins like [`join_receipts`], and keeps all fields that the block's hashes cover. A field that a node leaves out or writes in
/// a non-standard form is accepted where the hashes compensate for it, and recorded: see [`Sealed::lapse`].
pub fn seal_block(block: BlockWire, mut receipts: ReceiptsWire) -> Result<Sealed, ParseError> {
    let (txs, withdrawals, header) = (block.tx_seals(), block.withdrawals(), block.header());
    receipts.reorder_by_transactions(block.tx_hashes());
    let receipts_seal = receipts.take_seals();
    let mut lapses = Lapses::Settled(None);
    let block = block.into_block(receipts, &mut lapses)?;
    let lapse = if let Lapses::Settled(first) = lapses { first } else { None };
    Ok(Sealed { block, header, txs, receipts: receipts_seal, withdrawals, lapse })
}

/// Parses a block, to be joined with its receipts later.
pub fn read_block(text: &str) -> Result<BlockWire, ParseError> {
    parse_json("block", text)
}

/// All receipts of a block, to be joined with it later.
pub fn read_receipts(text: &str) -> Result<ReceiptsWire, ParseError> {
    parse_json("receipts", text)
}

/// Reads one receipt of a block, as a list of one.
pub fn read_receipt(text: &str) -> Result<ReceiptsWire, ParseError> {
    parse_json("receipt", text).map(ReceiptsWire::of_one)
}

/// Returns a block without its receipts, with all fields that its hash covers: its contents can be verified before the
/// receipts arrive.
pub fn seal_alone(block: &BlockWire) -> Result<Sealed, ParseError> {
    let (txs, withdrawals, header) = (block.tx_seals(), block.withdrawals(), block.header());
    Ok(Sealed { block: block.without_receipts()?, header, txs, receipts: Vec::new(), withdrawals, lapse: None })
}

/// Reads a block's number, hash, parent and time from a block or a header (`newHeads`, `eth_getBlockBy*`), ignoring its
/// transactions.
pub fn parse_header(header: &str) -> Result<Link, ParseError> {
    let wire: HeaderWire = parse_json("header", header)?;
    Ok(Link { at: BlockRef { number: wire.number, hash: wire.hash }, parent: wire.parent_hash, time: wire.timestamp })
}

/// Parses like [`parse_header()`], and keeps all fields that the header's own hash covers.
pub fn sealed_header(header: &str) -> Result<(Link, Header), ParseError> {
    let wire: Noted<Option<IgnoredAny>> = parse_json("header", header)?;
    Ok((wire.link(), wire.header()))
}

/// Returns the hashes of a block's transactions, from a block with whole transactions or with hashes only.
pub fn tx_hashes(block: &str) -> Result<Vec<B256>, ParseError> {
    #[derive(Deserialize)]
    struct Hashes {
        transactions: Vec<TxHash>,
    }
    parse_json::<Hashes>("block", block).map(|block| block.transactions.into_iter().map(|TxHash(hash)| hash).collect())
}

/// Returns the hash of an announced pending transaction, from a hash or from the whole transaction.
pub fn parse_announced_hash(announcement: &str) -> Result<B256, ParseError> {
    parse_json::<TxHash>("announcement", announcement).map(|TxHash(hash)| hash)
}

/// Returns a transaction that is in no block, with all fields that its hash covers. `None` where the node does not have
/// it, or where a block includes it.
///
/// Not checked: that any of the data is true.
pub fn parse_pending_transaction(tx: &str) -> Result<Option<(Tx, TxSeal)>, ParseError> {
    parse_json::<Option<shapes::TxWire>>("transaction", tx)?.map_or(Ok(None), shapes::TxWire::into_pending_tx)
}

/// Returns the block hash in a receipt.
pub fn block_hash(receipt: &str) -> Result<B256, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Included {
        #[serde(deserialize_with = "hex::hash")]
        block_hash: B256,
    }
    parse_json::<Included>("receipt", receipt).map(|included| included.block_hash)
}

/// A log as returned by `eth_getLogs`, without its data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundLog {
    /// Emitter of the log.
    #[serde(deserialize_with = "hex::deserialize_address")]
    pub address: alloy_primitives::Address,
    /// Topics, at most four.
    #[serde(deserialize_with = "hex::deserialize_topics")]
    pub topics: Vec<B256>,
    /// Number of its block.
    #[serde(deserialize_with = "hex::deserialize_u64")]
    pub block_number: u64,
    /// Index among the logs of that block.
    #[serde(deserialize_with = "hex::deserialize_u64")]
    pub log_index: u64,
}

/// Parses the response to `eth_getLogs`. Not checked: that the logs match the request.
pub fn parse_logs(answer: &str) -> Result<Vec<FoundLog>, ParseError> {
    parse_json("logs", answer)
}

/// Returns the hashes of the transactions that wrote the logs returned by `eth_getLogs`, in their order; consecutive
/// duplicates are dropped.
pub fn log_transactions(answer: &str) -> Result<Vec<B256>, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        #[serde(deserialize_with = "hex::hash")]
        transaction_hash: B256,
    }
    let mut hashes: Vec<B256> =
        parse_json::<Vec<Written>>("logs", answer)?.into_iter().map(|log| log.transaction_hash).collect();
    hashes.dedup();
    Ok(hashes)
}

/// Returns the contracts that wrote the logs returned by `eth_getLogs`, each with the hash of the transaction, in their
/// order.
pub fn log_writers(answer: &str) -> Result<Vec<(alloy_primitives::Address, B256)>, ParseError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        address: alloy_primitives::Address,
        #[serde(deserialize_with = "hex::hash")]
        transaction_hash: B256,
    }
    Ok(parse_json::<Vec<Written>>("logs", answer)?.into_iter().map(|log| (log.address, log.transaction_hash)).collect())
}

/// Reads the sender and the recipient of a transaction from the response to `eth_getTransactionByHash`; `None` if the
/// node does not have it.
pub fn parse_sender_and_recipient(
    tx: &str,
) -> Result<Option<(alloy_primitives::Address, Option<alloy_primitives::Address>)>, ParseError> {
    #[derive(Deserialize)]
    struct Parties {
        from: alloy_primitives::Address,
        to: Option<alloy_primitives::Address>,
    }
    parse_json::<Option<Parties>>("transaction", tx).map(|parties| parties.map(|Parties { from, to }| (from, to)))
}

/// A quantity such as `"0x1f"`, below 2^64.
pub fn parse_number(text: &str) -> Result<u64, ParseError> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "hex::deserialize_u64")] u64);
    parse_json("number", text).map(|Number(number)| number)
}

/// A quantity below 2^256.
pub fn parse_quantity(text: &str) -> Result<U256, ParseError> {
    #[derive(Deserialize)]
    struct Quantity(#[serde(deserialize_with = "hex::deserialize_quantity")] U256);
    parse_json("quantity", text).map(|Quantity(quantity)| quantity)
}

/// Return data of a call, such as `"0x00ff"`.
pub fn return_data(text: &str) -> Result<Bytes, ParseError> {
    #[derive(Deserialize)]
    struct Data(#[serde(deserialize_with = "hex::deserialize_bytes")] Bytes);
    parse_json("call answer", text).map(|Data(data)| data)
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
            struct One(#[serde(deserialize_with = "hex::deserialize_bytes")] Bytes);
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
    let unreadable =
        |error: serde_json::Error| ParseError::Json { what: "bytes", why: truncate_reason(error.to_string()) };
    serde_json::Deserializer::from_str(text).deserialize_seq(Few(n)).map_err(unreadable)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderWire {
    #[serde(deserialize_with = "hex::deserialize_u64")]
    number: u64,
    #[serde(deserialize_with = "hex::hash")]
    hash: B256,
    #[serde(deserialize_with = "hex::hash")]
    parent_hash: B256,
    #[serde(deserialize_with = "hex::deserialize_u64")]
    timestamp: u64,
}

/// A transaction's hash, from a node that wrote either the hash alone or the whole transaction.
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

fn parse_json<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, ParseError> {
    serde_json::from_str(text).map_err(|error| ParseError::Json { what, why: truncate_reason(error.to_string()) })
}

fn truncate_reason(mut why: String) -> String {
    let end = (0..=WHY_MAX.min(why.len())).rev().find(|end| why.is_char_boundary(*end)).unwrap_or(0);
    why.truncate(end);
    why
}

#[cfg(test)]
mod tests;
