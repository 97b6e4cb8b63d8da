//! Raw bytes from a node for types that we cannot encode, and the comparison with its JSON.

use super::receipt::Receipt;
use super::rlp;
use crate::model::Tx;
use alloy_primitives::{B256, Bytes, U256};
use std::collections::{HashMap, HashSet};

/// Number of transactions whose bytes are requested, one by one; a block with more of unknown types stays unproven.
pub const RAW_TXS_MAX: usize = 256;

/// Raw bytes from a node, which are verified against the hashes like all other data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// Transactions by their place in the block, as `eth_getRawTransactionByHash` or `debug_getRawTransaction` gives them.
    pub txs: HashMap<u32, Bytes>,
    /// All receipts of the block, in order, as `debug_getRawReceipts` gives them.
    pub receipts: Option<Vec<Bytes>>,
}

/// Raw bytes that would help to prove a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Transactions to ask for, by index and hash; at most [`RAW_TXS_MAX`].
    pub txs: Vec<(u32, B256)>,
    /// All receipts.
    pub receipts: bool,
}

/// Returns whether the recipient, value, calldata and authorizations of a transaction occur in its bytes. This does not
/// show that they are in the right places, which cannot be known, but no value can be claimed that the bytes do not
/// contain.
pub(super) fn says_transaction(bytes: &[u8], tx: &Tx) -> bool {
    let Some(list) = bytes.get(1..).and_then(rlp::list_payload) else { return false };
    let mut items: HashSet<&[u8]> = HashSet::new();
    let is_list = rlp::each_item(list, &mut |item| {
        items.insert(item);
    });
    if !is_list {
        return false;
    }
    let has = |item: &[u8]| items.contains(item);
    let has_number = |number: U256| has(&number.to_be_bytes_trimmed_vec());
    // A creation has no recipient that could be searched for.
    tx.to.is_none_or(|to| has(to.as_slice()))
        && has_number(tx.value)
        && has(&tx.input)
        && tx.authorizations.iter().all(|one| has(one.address.as_slice()) && has_number(one.r) && has_number(one.s))
}

/// Returns whether the bytes have the type of the receipt and begin with the fields that every receipt has, as the
/// node's JSON gives them.
pub(super) fn says_receipt(bytes: &[u8], receipt: &Receipt<'_>) -> bool {
    let Some((kind, list)) = bytes.split_first() else { return false };
    let mut fields = Vec::new();
    u64::from(*kind) == receipt.tx.kind
        && receipt.encode_fields(&mut fields).is_ok()
        && rlp::list_payload(list).is_some_and(|payload| payload.starts_with(&fields))
}
