//! Values that a node omitted and the block's hash determines, filled in before the block is checked against its hash.
//!
//! Each value here is derived from the rest of the block, or is the one value that nodes mean when they leave the field
//! out. A wrong guess changes the hash, so it cannot make a block pass.

use super::receipt::{Receipt, logs_bloom};
use super::tx::{encode_transaction, is_known};
use crate::model::Status;
use crate::wire::Sealed;
use alloy_primitives::{B256, Bloom, Bytes, U256, b256};
use alloy_trie::root::ordered_trie_root_encoded;

/// Hash of an empty list of uncles: keccak-256 of the byte 0xc0.
const NO_UNCLES: B256 = b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

/// Fills in the missing parts of a block of this chain, and returns the name of the first missing header field.
pub fn fill_in(sealed: &mut Sealed, chain: u64) -> Option<&'static str> {
    for (tx, seal) in sealed.block.txs.iter_mut().zip(&mut sealed.txs) {
        // In a legacy transaction the signature determines whether it names a chain.
        if tx.kind != 0 {
            seal.chain_id.get_or_insert(chain);
        }
        // For later types the derivation of the contract's address is unknown.
        let creates = tx.to.is_none() && tx.created.is_none() && tx.status == Status::Success;
        if creates && is_known(tx.kind) {
            tx.created = Some(tx.from.create(tx.nonce));
        }
    }
    let mut missing = None;
    let header = &mut sealed.header;
    fill_missing(&mut header.uncles_hash, "sha3Uncles", &mut missing, || Some(NO_UNCLES));
    fill_missing(&mut header.difficulty, "difficulty", &mut missing, || Some(U256::ZERO));
    fill_missing(&mut header.extra_data, "extraData", &mut missing, || Some(Bytes::new()));
    let (txs, seals, receipts) = (&sealed.block.txs, &sealed.txs, &sealed.receipts);
    fill_missing(&mut header.gas_used, "gasUsed", &mut missing, || {
        receipts.last().map_or(Some(0), |receipt| receipt.cumulative_gas)
    });
    fill_missing(&mut header.logs_bloom, "logsBloom", &mut missing, || {
        let all = txs.iter().map(|tx| logs_bloom(&tx.logs)).fold(Bloom::ZERO, |all, one| all | one);
        Some(Box::new(all))
    });
    fill_missing(&mut header.transactions_root, "transactionsRoot", &mut missing, || {
        let encoded = txs.iter().zip(seals).map(|(tx, seal)| encode_transaction(tx, seal).ok());
        encoded.collect::<Option<Vec<_>>>().map(|all| ordered_trie_root_encoded(&all))
    });
    fill_missing(&mut header.receipts_root, "receiptsRoot", &mut missing, || {
        let encoded = txs.iter().zip(receipts).map(|(tx, seal)| Receipt::new(tx, seal).encode().ok());
        encoded.collect::<Option<Vec<_>>>().map(|all| ordered_trie_root_encoded(&all))
    });
    missing
}

fn fill_missing<T>(
    field: &mut Option<T>,
    name: &'static str,
    missing: &mut Option<&'static str>,
    value: impl FnOnce() -> Option<T>,
) {
    if field.is_none() {
        missing.get_or_insert(name);
        *field = value();
    }
}
