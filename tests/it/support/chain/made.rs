//! A block that every honest verifier accepts: its header hashes to its hash, its roots and its bloom are those of its contents,
//! and every transaction is signed. Computed by alloy, written in the JSON of a node.

use super::txs::{SENDERS, SignedTx, UNKNOWN_TYPE, VARIANTS, party, signed};
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_consensus::proofs::{calculate_withdrawals_root, ordered_trie_root_encoded};
use alloy_consensus::{Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction, TxType};
use alloy_eips::Encodable2718;
use alloy_eips::eip4895::Withdrawal;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, TxKind, U256, keccak256};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use watchfire::model::{Block, BlockRef, Link};

/// Gas of a blob, EIP-4844.
const GAS_PER_BLOB: u64 = 1 << 17;

/// A block in the shapes it is asked for in.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) link: Link,
    /// With whole transactions.
    pub(crate) block: Value,
    pub(crate) receipts: Value,
    /// What was put into it, for comparison with what came out at the other end.
    pub(crate) content: Vec<Happened>,
    /// Each transaction as it stands in the trie, and each receipt.
    pub(crate) raw: Vec<(Bytes, Bytes)>,
    /// Next nonce of each sender after it.
    nonces: [u64; SENDERS],
    texts: Arc<[OnceLock<Box<RawValue>>; 4]>,
}

/// A form that a block is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// With whole transactions.
    Whole,
    /// With hashes of transactions.
    Brief,
    /// As `newHeads` announces it.
    Head,
    /// Its receipts.
    Receipts,
}

/// What a block has that nobody has seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// Transactions of a type that nobody knows.
    TxType,
    /// A field in the header that nobody knows, and that its hash covers.
    HeaderField,
}

/// One transaction as everybody has to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happened {
    pub(crate) hash: B256,
    pub(crate) from: Address,
    pub(crate) to: Option<Address>,
    pub(crate) value: U256,
    pub(crate) input: Bytes,
    pub(crate) n_authorizations: usize,
    pub(crate) holds: bool,
    /// Emitter, topics and data.
    pub(crate) logs: Vec<(Address, Vec<B256>, Bytes)>,
}

/// What happened in a block that came out at the other end.
pub(crate) fn happened(block: &Block) -> Vec<Happened> {
    let tx = |tx: &watchfire::model::Tx| Happened {
        hash: tx.hash,
        from: tx.from,
        to: tx.to,
        value: tx.value,
        input: tx.input.clone(),
        n_authorizations: tx.authorizations.len(),
        holds: tx.status.has_effects(),
        logs: tx.logs.iter().map(|log| (log.address, log.topics.clone(), log.data.clone())).collect(),
    };
    block.txs.iter().map(tx).collect()
}

impl Made {
    /// A block with `n_txs` transactions on top of `parent`; `salt` decides which, and tells it from its siblings.
    pub(crate) fn on(parent: Option<&Self>, time: u64, n_txs: usize, salt: B256, odd: Option<Odd>) -> Self {
        let mut rng = fastrand::Rng::with_seed(u64::from_be_bytes(salt[..8].try_into().expect("eight bytes")));
        let mut nonces = parent.map_or([0; SENDERS], |parent| parent.nonces);
        let txs: Vec<Arc<SignedTx>> = (0..n_txs)
            .map(|_| {
                let sender = rng.usize(..SENDERS);
                nonces[sender] += 1;
                let tx = signed(sender, nonces[sender] - 1, rng.u64(..VARIANTS));
                if odd == Some(Odd::TxType) { Arc::new(tx.of_unknown_type()) } else { tx }
            })
            .collect();
        let mut gas_used = 0;
        let receipts: Vec<ReceiptEnvelope> = txs
            .iter()
            .map(|signed| {
                let receipt = execute(signed, salt, &mut gas_used);
                let bloom = receipt.logs.iter().fold(Bloom::ZERO, |mut bloom, log| {
                    bloom.accrue_log(log);
                    bloom
                });
                enveloped(signed.tx.tx_type(), ReceiptWithBloom::new(receipt, bloom))
            })
            .collect();
        let raw =
            txs.iter().zip(&receipts).map(|(tx, receipt)| (tx.raw.clone(), raw_receipt(tx.kind, receipt))).collect();
        let raw: Vec<(Bytes, Bytes)> = raw;
        let withdrawals: Vec<Withdrawal> = (0..rng.u64(..3))
            .map(|n| Withdrawal {
                index: rng.u64(..1 << 40),
                validator_index: rng.u64(..1 << 20),
                address: party(n as usize),
                amount: rng.u64(1..40_000_000),
            })
            .collect();
        let header = Header {
            parent_hash: parent.map_or(B256::ZERO, |parent| parent.link.at.hash),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: party(99),
            state_root: keccak256(salt),
            transactions_root: ordered_trie_root_encoded(&raw.iter().map(|(tx, _)| tx).collect::<Vec<_>>()),
            receipts_root: ordered_trie_root_encoded(&raw.iter().map(|(_, receipt)| receipt).collect::<Vec<_>>()),
            logs_bloom: receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom()),
            number: parent.map_or(0, |parent| parent.link.at.number + 1),
            gas_limit: 30_000_000,
            gas_used,
            timestamp: time,
            extra_data: Bytes::copy_from_slice(&salt[..rng.usize(..=32)]),
            mix_hash: salt,
            ..Header::default()
        };
        // The genesis block is from before every fork that added a field.
        let header = match parent {
            None => header,
            Some(_) => Header {
                base_fee_per_gas: Some(rng.u64(1..30_000_000_000)),
                withdrawals_root: Some(calculate_withdrawals_root(&withdrawals)),
                blob_gas_used: Some(txs.iter().map(|signed| blob_gas(signed)).sum()),
                excess_blob_gas: Some(0),
                parent_beacon_block_root: Some(keccak256(keccak256(salt))),
                requests_hash: Some(EMPTY_REQUESTS_HASH),
                ..header
            },
        };
        let future = (odd == Some(Odd::HeaderField)).then(|| keccak256(header.state_root));
        let at = BlockRef { number: header.number, hash: header_hash(&header, future) };
        let content = txs.iter().zip(&receipts).map(|(signed, receipt)| seen(signed, receipt)).collect();
        let mut block = block_json(&header, at, &txs, &withdrawals);
        if let Some(future) = future {
            block["futureRoot"] = json!(future);
        }
        Self {
            link: Link { at, parent: header.parent_hash, time },
            block,
            receipts: receipts_json(at, &txs, &receipts, &header),
            content,
            raw,
            nonces,
            texts: Arc::default(),
        }
    }

    /// With transaction hashes alone, or without transactions at all.
    pub(crate) fn brief(&self, hashes: bool) -> Value {
        let mut brief = self.block.clone();
        let txs = brief["transactions"].take();
        let list = txs.as_array().into_iter().flatten().map(|tx| tx["hash"].clone()).collect();
        let fields = brief.as_object_mut().expect("a block is an object");
        fields.remove("transactions");
        if hashes {
            fields.insert("transactions".to_owned(), Value::Array(list));
        }
        brief
    }

    /// In the node's own words. Written once, since it is asked for again and again.
    pub(crate) fn text(&self, form: Form) -> &RawValue {
        let write = |value: &Value| to_raw_value(value).expect("JSON");
        self.texts[form as usize].get_or_init(|| match form {
            Form::Whole => write(&self.block),
            Form::Brief => write(&self.brief(true)),
            Form::Head => write(&self.brief(false)),
            Form::Receipts => write(&self.receipts),
        })
    }
}

/// What a transaction did: nothing, or some logs. The same one does other things in another block.
fn execute(signed: &SignedTx, salt: B256, gas_used: &mut u64) -> Receipt<Log> {
    let fate = keccak256([signed.hash.as_slice(), salt.as_slice()].concat());
    let status = fate[0] % 8 != 0;
    let log = |n: u8| {
        let topics = (0..fate[1] % 5).map(|topic| fate ^ B256::repeat_byte(topic)).collect();
        let data = Bytes::copy_from_slice(&fate.repeat(3)[..usize::from(fate[2]) % 80]);
        Log::new_unchecked(party(usize::from(n ^ fate[3])), topics, data)
    };
    let n_logs = if status { fate[4] % 3 } else { 0 };
    *gas_used += 21_000 + 1_000 * u64::from(n_logs);
    Receipt { status: status.into(), cumulative_gas_used: *gas_used, logs: (0..n_logs).map(log).collect() }
}

fn enveloped(kind: TxType, receipt: ReceiptWithBloom<Receipt<Log>>) -> ReceiptEnvelope {
    match kind {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    }
}

/// As it stands in the trie. One of an unknown type is encoded as all have been since EIP-2718.
fn raw_receipt(kind: u8, receipt: &ReceiptEnvelope) -> Bytes {
    let mut raw = receipt.encoded_2718();
    if kind == UNKNOWN_TYPE {
        if receipt.tx_type() != TxType::Legacy {
            raw.remove(0);
        }
        raw.insert(0, kind);
    }
    raw.into()
}

/// Hash of the header, with one more field behind the others if there is one.
fn header_hash(header: &Header, future: Option<B256>) -> B256 {
    let Some(future) = future else { return header.hash_slow() };
    let encoded = alloy_rlp::encode(header);
    let fields = alloy_rlp::Header::decode_bytes(&mut encoded.as_slice(), true).expect("a list");
    let fields = [fields, &alloy_rlp::encode(future)].concat();
    let mut longer = Vec::new();
    alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut longer);
    longer.extend(fields);
    keccak256(longer)
}

fn blob_gas(signed: &SignedTx) -> u64 {
    if signed.kind == UNKNOWN_TYPE {
        return 0;
    }
    signed.tx.blob_versioned_hashes().map_or(0, |hashes| hashes.len() as u64 * GAS_PER_BLOB)
}

fn seen(signed: &SignedTx, receipt: &ReceiptEnvelope) -> Happened {
    let log = |log: &Log| (log.address, log.topics().to_vec(), log.data.data.clone());
    Happened {
        hash: signed.hash,
        from: signed.from,
        to: signed.tx.to(),
        value: signed.tx.value(),
        input: signed.tx.input().clone(),
        n_authorizations: match signed.kind {
            UNKNOWN_TYPE => 0,
            _ => signed.tx.authorization_count().unwrap_or(0) as usize,
        },
        holds: receipt.is_success(),
        logs: receipt.logs().iter().map(log).collect(),
    }
}

fn hex(n: u64) -> Value {
    format!("{n:#x}").into()
}

fn block_json(header: &Header, at: BlockRef, txs: &[Arc<SignedTx>], withdrawals: &[Withdrawal]) -> Value {
    let mut block = serde_json::to_value(header).expect("a header is JSON");
    let included = |(signed, index): (&Arc<SignedTx>, u64)| {
        let mut tx = signed.json.clone();
        tx["from"] = json!(signed.from);
        tx["blockHash"] = json!(at.hash);
        tx["blockNumber"] = hex(at.number);
        tx["transactionIndex"] = hex(index);
        // Nodes say what was paid in the end; of a signed transaction alone it cannot be known.
        if tx.get("gasPrice").is_none() {
            tx["gasPrice"] = json!(U256::from(signed.tx.effective_gas_price(header.base_fee_per_gas)));
        }
        tx
    };
    block["hash"] = json!(at.hash);
    block["transactions"] = txs.iter().zip(0..).map(included).collect();
    block["uncles"] = json!([]);
    block["size"] = hex(1_000);
    if header.withdrawals_root.is_some() {
        block["withdrawals"] = json!(withdrawals);
    }
    block
}

fn receipts_json(at: BlockRef, txs: &[Arc<SignedTx>], receipts: &[ReceiptEnvelope], header: &Header) -> Value {
    let (mut next_log, mut gas_before) = (0, 0);
    let receipt = |((signed, receipt), index): ((&Arc<SignedTx>, &ReceiptEnvelope), u64)| {
        let place = json!({
            "transactionHash": signed.hash, "transactionIndex": hex(index),
            "blockHash": at.hash, "blockNumber": hex(at.number),
        });
        let logs = receipt.logs().iter().map(|log| {
            let mut json = place.clone();
            json["address"] = json!(log.address);
            json["topics"] = json!(log.topics());
            json["data"] = json!(log.data.data);
            json["logIndex"] = hex(next_log);
            json["removed"] = false.into();
            next_log += 1;
            json
        });
        let logs: Vec<Value> = logs.collect();
        let gas = receipt.cumulative_gas_used();
        let created = match signed.tx.kind() {
            TxKind::Create => json!(signed.from.create(signed.tx.nonce())),
            TxKind::Call(_) => Value::Null,
        };
        let mut json = place;
        json["type"] = hex(signed.kind.into());
        json["status"] = hex(receipt.is_success().into());
        json["from"] = json!(signed.from);
        json["to"] = json!(signed.tx.to());
        json["contractAddress"] = created;
        json["cumulativeGasUsed"] = hex(gas);
        json["gasUsed"] = hex(gas - std::mem::replace(&mut gas_before, gas));
        json["effectiveGasPrice"] = json!(U256::from(signed.tx.effective_gas_price(header.base_fee_per_gas)));
        json["logs"] = logs.into();
        json["logsBloom"] = json!(receipt.logs_bloom());
        if signed.kind == TxType::Eip4844 as u8 {
            json["blobGasUsed"] = hex(blob_gas(signed));
            json["blobGasPrice"] = hex(1);
        }
        json
    };
    txs.iter().zip(receipts).zip(0..).map(receipt).collect()
}
