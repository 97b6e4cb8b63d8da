//! Checks of the data that came with a header against the header's roots.

use super::raw::{Raw, says_receipt, says_transaction};
use super::receipt::{self, Receipt};
use super::tx::{NoSender, encode_transaction, is_known};
use super::{Flaw, Gap, Root};
use crate::model::Tx;
use crate::wire::Sealed;
use alloy_primitives::{B256, Bloom, Bytes, keccak256};
use alloy_trie::root::ordered_trie_root_encoded;

/// Checks every transaction's hash and the transactions root.
pub(super) fn verify_transactions_root(sealed: &Sealed, raw: &Raw, gaps: &mut Vec<Gap>) -> Result<(), Flaw> {
    let mut encoded = Vec::with_capacity(sealed.block.txs.len());
    let mut unknown = Unknown::default();
    for (tx, seal) in sealed.block.txs.iter().zip(&sealed.txs) {
        let malformed = |what| Flaw::Malformed { index: tx.index, what };
        // Bytes with another hash prove nothing, not even that the node lies: some nodes add data that no hash covers.
        let own = raw.txs.get(&tx.index).filter(|bytes| keccak256(bytes) == tx.hash);
        let bytes = match (encode_transaction(tx, seal), own) {
            (Ok(_), _) if !created_what_it_says(tx) => {
                return Err(malformed("it did not create the contract that its receipt names"));
            }
            (Ok(bytes), _) => bytes,
            (Err(NoSender::Malformed(what)), _) => return Err(malformed(what)),
            (Err(NoSender::UnknownType(kind)), None) => {
                unknown.count_type(kind);
                continue;
            }
            (Err(NoSender::UnknownType(kind)), Some(bytes)) => {
                if bytes.first().map(|first| u64::from(*first)) != Some(kind) {
                    return Err(malformed("its bytes are not of its type"));
                }
                if !says_transaction(bytes, tx) {
                    gaps.push(Gap::Meaning { index: tx.index, kind });
                }
                bytes.clone()
            }
        };
        let found = keccak256(&bytes);
        if found != tx.hash {
            return Err(Flaw::Tx { index: tx.index, expected: tx.hash, found });
        }
        encoded.push(bytes);
    }
    if let Some((kind, n)) = unknown.0 {
        gaps.push(Gap::Transactions { kind, n });
        return Ok(());
    }
    let expected = sealed.header.transactions_root.ok_or(Flaw::Lacks("transactionsRoot"))?;
    expect_root(Root::Transactions, expected, ordered_trie_root_encoded(&encoded))
}

/// Checks the bloom and the root of all receipts. Receipts of unknown types are first assumed to have the common
/// encoding, since every type so far has it; then the node's raw bytes are tried.
pub(super) fn verify_receipts_root(sealed: &Sealed, raw: &Raw, gaps: &mut Vec<Gap>) -> Result<(), Flaw> {
    let of_txs = || sealed.block.txs.iter().zip(&sealed.receipts).map(|(tx, seal)| Receipt::new(tx, seal));
    let mut encoded = Vec::with_capacity(sealed.block.txs.len());
    let mut unknown = Unknown::default();
    let mut bloom = Bloom::ZERO;
    for receipt in of_txs() {
        let bytes = match receipt.encode() {
            Err(what) if is_known(receipt.tx.kind) => return Err(Flaw::Malformed { index: receipt.tx.index, what }),
            bytes => bytes.unwrap_or_default(),
        };
        if !is_known(receipt.tx.kind) {
            unknown.count_type(receipt.tx.kind);
        }
        bloom |= *receipt.bloom;
        encoded.push(Bytes::from(bytes));
    }
    if *sealed.header.logs_bloom.as_deref().ok_or(Flaw::Lacks("logsBloom"))? != bloom {
        return Err(Flaw::Bloom);
    }
    let expected = sealed.header.receipts_root.ok_or(Flaw::Lacks("receiptsRoot"))?;
    let found = ordered_trie_root_encoded(&encoded);
    let Some((kind, n)) = unknown.0.filter(|_| found != expected) else {
        return expect_root(Root::Receipts, expected, found);
    };
    let mut meanings = Vec::new();
    let given = raw.receipts.as_deref().filter(|given| given.len() == encoded.len()).unwrap_or_default();
    for ((receipt, ours), theirs) in of_txs().zip(&mut encoded).zip(given) {
        let tx = receipt.tx;
        if is_known(tx.kind) {
            continue;
        }
        if !says_receipt(theirs, &receipt) {
            meanings.push(Gap::Meaning { index: tx.index, kind: tx.kind });
        }
        *ours = theirs.clone();
    }
    // Receipts with another root prove nothing, as with transactions.
    if !given.is_empty() && ordered_trie_root_encoded(&encoded) == expected {
        gaps.append(&mut meanings);
    } else {
        gaps.push(Gap::Receipts { kind, n });
    }
    Ok(())
}

/// Checks the root of the withdrawals, if the node sent them: no rule uses them.
pub(super) fn verify_withdrawals_root(sealed: &Sealed) -> Result<(), Flaw> {
    let (Some(list), Some(expected)) = (&sealed.withdrawals, sealed.header.withdrawals_root) else { return Ok(()) };
    let encoded: Vec<Vec<u8>> = list.iter().map(receipt::encode_withdrawal).collect();
    expect_root(Root::Withdrawals, expected, ordered_trie_root_encoded(&encoded))
}

/// Checks the address of a created contract. No hash covers the address in a receipt; it follows from sender and nonce,
/// if the node reports one.
fn created_what_it_says(tx: &Tx) -> bool {
    tx.created.is_none_or(|created| tx.to.is_none() && created == tx.from.create(tx.nonce))
}

fn expect_root(root: Root, expected: B256, found: B256) -> Result<(), Flaw> {
    if expected == found { Ok(()) } else { Err(Flaw::Root { root, expected, found }) }
}

/// First unknown type, and the number of unknown items.
#[derive(Default)]
struct Unknown(Option<(u64, usize)>);

impl Unknown {
    fn count_type(&mut self, kind: u64) {
        self.0.get_or_insert((kind, 0)).1 += 1;
    }
}
