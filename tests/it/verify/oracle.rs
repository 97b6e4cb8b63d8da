//! Blocks made up by the oracle: every transaction type, every header since London, encoded, hashed and signed by a library that
//! shares no code with ours beyond RLP and keccak. In: a seed. Out: the JSON a node would write, and the oracle's bytes.

use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root};
use alloy_consensus::transaction::{RlpEcdsaEncodableTx, SignerRecoverable};
use alloy_consensus::{
    EthereumTxEnvelope, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, SignableTransaction, Signed, Transaction,
    TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip4895::Withdrawal;
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, Signature, TxKind, U256, keccak256};
use fastrand::Rng;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

/// A block as a node would give it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) block: Value,
    pub(crate) receipts: Value,
    /// Each transaction's own bytes.
    pub(crate) raw_txs: Vec<Bytes>,
    /// Each receipt's own bytes.
    pub(crate) raw_receipts: Vec<Bytes>,
}

/// The forks whose headers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fork {
    Berlin,
    London,
    Shanghai,
    Cancun,
    Prague,
    /// One after all that is known here, with two more fields.
    Next,
}

pub(crate) const FORKS: [Fork; 6] =
    [Fork::Berlin, Fork::London, Fork::Shanghai, Fork::Cancun, Fork::Prague, Fork::Next];

type Tx = EthereumTxEnvelope<TxEip4844>;

/// A block of `n_txs` transactions of random types, in a header of this fork.
pub(crate) fn block(seed: u64, fork: Fork, n_txs: usize) -> Made {
    let rng = &mut Rng::with_seed(seed);
    let txs: Vec<Tx> = (0..n_txs).map(|_| tx(rng)).collect();
    made(rng, fork, &txs)
}

fn made(rng: &mut Rng, fork: Fork, txs: &[Tx]) -> Made {
    let mut gas = 0;
    let receipts: Vec<ReceiptEnvelope> = txs
        .iter()
        .map(|tx| {
            gas += rng.u64(21_000..1_000_000);
            receipt(rng, tx, gas)
        })
        .collect();
    let withdrawals: Vec<Withdrawal> = (0..rng.usize(0..20)).map(|_| withdrawal(rng)).collect();
    let mut header = header(rng, fork);
    header.gas_used = gas;
    header.transactions_root = calculate_transaction_root(txs);
    header.receipts_root = calculate_receipt_root(&receipts);
    header.logs_bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
    header.withdrawals_root = (fork >= Fork::Shanghai).then(|| calculate_withdrawals_root(&withdrawals));
    written(&header, txs, &receipts, &withdrawals)
}

/// What a node writes.
fn written(header: &Header, txs: &[Tx], receipts: &[ReceiptEnvelope], withdrawals: &[Withdrawal]) -> Made {
    let hash = header.hash_slow();
    let mut block = serde_json::to_value(header).expect("a header is JSON");
    block["hash"] = json!(hash);
    block["size"] = json!("0x400");
    block["totalDifficulty"] = json!("0x1");
    block["uncles"] = json!([]);
    if header.withdrawals_root.is_some() {
        block["withdrawals"] = json!(withdrawals);
    }
    let mut n_logs = 0;
    let (written_txs, written_receipts): (Vec<Value>, Vec<Value>) = txs
        .iter()
        .zip(receipts)
        .zip(0..)
        .map(|((tx, receipt), index)| {
            (tx_json(tx, hash, header.number, index), receipt_json(tx, receipt, hash, index, &mut n_logs))
        })
        .unzip();
    block["transactions"] = written_txs.into();
    Made {
        block,
        receipts: written_receipts.into(),
        raw_txs: txs.iter().map(|tx| tx.encoded_2718().into()).collect(),
        raw_receipts: receipts.iter().map(|receipt| receipt.encoded_2718().into()).collect(),
    }
}

fn tx_json(tx: &Tx, block: B256, number: u64, index: u64) -> Value {
    let mut json = serde_json::to_value(tx).expect("a transaction is JSON");
    json["hash"] = json!(tx.trie_hash());
    json["from"] = json!(tx.recover_signer().expect("it is signed"));
    json["blockHash"] = json!(block);
    json["blockNumber"] = json!(format!("{number:#x}"));
    json["transactionIndex"] = json!(format!("{index:#x}"));
    if json.get("gasPrice").is_none() {
        json["gasPrice"] = json!("0x77359400");
    }
    json
}

fn receipt_json(tx: &Tx, receipt: &ReceiptEnvelope, block: B256, index: u64, n_logs: &mut u64) -> Value {
    let mut json = serde_json::to_value(receipt).expect("a receipt is JSON");
    for log in json["logs"].as_array_mut().expect("a list") {
        log["logIndex"] = json!(format!("{n_logs:#x}"));
        log["blockHash"] = json!(block);
        log["removed"] = json!(false);
        *n_logs += 1;
    }
    json["transactionHash"] = json!(tx.trie_hash());
    json["transactionIndex"] = json!(format!("{index:#x}"));
    json["blockHash"] = json!(block);
    json["gasUsed"] = json!("0x5208");
    json["effectiveGasPrice"] = json!("0x1");
    json["contractAddress"] = match tx.kind() {
        TxKind::Create => {
            let from = tx.recover_signer().expect("it is signed");
            json!(from.create(tx.nonce()))
        }
        TxKind::Call(_) => Value::Null,
    };
    json
}

fn header(rng: &mut Rng, fork: Fork) -> Header {
    let since = |first| fork >= first;
    Header {
        parent_hash: word(rng),
        ommers_hash: word(rng),
        beneficiary: address(rng),
        state_root: word(rng),
        difficulty: U256::from(if since(Fork::Shanghai) { 0 } else { rng.u64(..) }),
        number: rng.u64(..1 << 40),
        gas_limit: rng.u64(..),
        timestamp: rng.u64(..1 << 40),
        extra_data: bytes(rng, 32),
        mix_hash: word(rng),
        nonce: rng.u64(..).into(),
        base_fee_per_gas: since(Fork::London).then(|| rng.u64(..)),
        blob_gas_used: since(Fork::Cancun).then(|| small(rng)),
        excess_blob_gas: since(Fork::Cancun).then(|| small(rng)),
        parent_beacon_block_root: since(Fork::Cancun).then(|| word(rng)),
        requests_hash: since(Fork::Prague).then(|| word(rng)),
        block_access_list_hash: since(Fork::Next).then(|| word(rng)),
        slot_number: since(Fork::Next).then(|| small(rng)),
        ..Header::default()
    }
}

fn tx(rng: &mut Rng) -> Tx {
    let (chain_id, nonce, gas_limit) = (1, small(rng), rng.u64(21_000..30_000_000));
    let (max_fee_per_gas, max_priority_fee_per_gas) = (amount(rng), amount(rng));
    let (to, value, input) = (address(rng), U256::from(amount(rng)), calldata(rng));
    let kind = if rng.u8(..5) == 0 { TxKind::Create } else { TxKind::Call(to) };
    match rng.u8(..6) {
        0 => signed(
            rng,
            TxLegacy { chain_id: None, nonce, gas_price: max_fee_per_gas, gas_limit, to: kind, value, input },
        ),
        1 => {
            let chain_id = Some(chain_id);
            signed(rng, TxLegacy { chain_id, nonce, gas_price: max_fee_per_gas, gas_limit, to: kind, value, input })
        }
        2 => {
            let access_list = accesses(rng);
            let gas_price = max_fee_per_gas;
            signed(rng, TxEip2930 { chain_id, nonce, gas_price, gas_limit, to: kind, value, access_list, input })
        }
        3 => {
            let access_list = accesses(rng);
            signed(
                rng,
                TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to: kind,
                    value,
                    access_list,
                    input,
                },
            )
        }
        4 => {
            let access_list = accesses(rng);
            let blob_versioned_hashes = (0..rng.usize(1..7)).map(|_| word(rng)).collect();
            let max_fee_per_blob_gas = amount(rng);
            signed(
                rng,
                TxEip4844 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list,
                    blob_versioned_hashes,
                    max_fee_per_blob_gas,
                    input,
                },
            )
        }
        _ => {
            let access_list = accesses(rng);
            let authorization_list = (0..rng.usize(1..4)).map(|_| authorization(rng)).collect();
            signed(
                rng,
                TxEip7702 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list,
                    authorization_list,
                    input,
                },
            )
        }
    }
}

fn signed<T: SignableTransaction<Signature> + RlpEcdsaEncodableTx>(rng: &mut Rng, tx: T) -> Tx
where
    Tx: From<Signed<T>>,
{
    let signature = sign(rng, tx.signature_hash());
    Tx::from(tx.into_signed(signature))
}

fn sign(rng: &mut Rng, hash: B256) -> Signature {
    let key = SigningKey::from_slice(keccak256([rng.u8(..)]).as_slice()).expect("a key");
    let (signature, recovery) = key.sign_prehash_recoverable(hash.as_slice()).expect("a hash is signable");
    Signature::from_signature_and_parity(signature, recovery.is_y_odd())
}

/// Some are void: their parity is neither 0 nor 1, which their transaction does not mind.
fn authorization(rng: &mut Rng) -> SignedAuthorization {
    let inner = Authorization { chain_id: U256::from(rng.u8(..2)), address: address(rng), nonce: small(rng) };
    let (r, s) = (U256::from_be_bytes(word(rng).0), U256::from(small(rng)));
    SignedAuthorization::new_unchecked(inner, if rng.bool() { rng.u8(..2) } else { rng.u8(..) }, r, s)
}

fn receipt(rng: &mut Rng, tx: &Tx, cumulative_gas_used: u64) -> ReceiptEnvelope {
    let status = rng.u8(..5) != 0;
    let n_logs = if status { rng.usize(..4) } else { 0 };
    let logs = (0..n_logs).map(|_| log(rng)).collect();
    let receipt = Receipt { status: status.into(), cumulative_gas_used, logs };
    let receipt: ReceiptWithBloom<Receipt> = receipt.with_bloom();
    ReceiptEnvelope::from_typed(tx.tx_type(), receipt)
}

fn log(rng: &mut Rng) -> Log {
    let topics = (0..rng.usize(..5)).map(|_| word(rng)).collect();
    Log::new_unchecked(address(rng), topics, calldata(rng))
}

fn withdrawal(rng: &mut Rng) -> Withdrawal {
    Withdrawal { index: small(rng), validator_index: small(rng), address: address(rng), amount: rng.u64(..) }
}

fn accesses(rng: &mut Rng) -> AccessList {
    let item = |rng: &mut Rng| AccessListItem {
        address: address(rng),
        storage_keys: (0..rng.usize(..4)).map(|_| word(rng)).collect(),
    };
    AccessList((0..rng.usize(..3)).map(|_| item(rng)).collect())
}

/// Short and long forms, and everything around the edge between them.
fn calldata(rng: &mut Rng) -> Bytes {
    match rng.u8(..4) {
        0 => Bytes::new(),
        1 => bytes(rng, 2),
        2 => bytes(rng, 70),
        _ => bytes(rng, 2_000),
    }
}

fn bytes(rng: &mut Rng, max: usize) -> Bytes {
    (0..rng.usize(..=max)).map(|_| if rng.bool() { rng.u8(..) } else { 0 }).collect()
}

/// Numbers of every width, zero among them.
fn small(rng: &mut Rng) -> u64 {
    rng.u64(..) >> rng.u32(..64)
}

fn amount(rng: &mut Rng) -> u128 {
    rng.u128(..) >> rng.u32(8..128)
}

fn address(rng: &mut Rng) -> Address {
    Address::from_word(word(rng))
}

/// Sometimes with leading zeros, as one in 256 is.
fn word(rng: &mut Rng) -> B256 {
    let mut word = B256::from(std::array::from_fn(|_| rng.u8(..)));
    let n_zeros = if rng.bool() { 0 } else { rng.usize(..4) };
    word[..n_zeros].fill(0);
    word
}
