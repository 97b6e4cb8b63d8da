//! A block made up with the measures of a mainnet one: 300 transactions, 773 logs, about 1.2 MB of JSON; the same on every run. Its
//! hashes are true, so that it can be verified; its signatures are nobody's.

use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy_consensus::{
    EthereumTxEnvelope, Header, Receipt, ReceiptEnvelope, SignableTransaction, TxEip1559, TxEip4844,
};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, Signature, TxKind, U256, b256};

pub(crate) const N_TXS: usize = 300;
pub(crate) const N_LOGS: usize = 773;

const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
const APPROVAL: B256 = b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");

type Tx = EthereumTxEnvelope<TxEip4844>;

/// Block and receipts as a node writes them. Of ten logs six are transfers, one is an allowance, and three are something else;
/// every third transaction is a token transfer, and some have long calldata.
pub(crate) fn block_and_receipts() -> (String, String) {
    block_and_receipts_by(1)
}

/// Another such block for each `seed`.
pub(crate) fn block_and_receipts_by(seed: u64) -> (String, String) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let txs: Vec<Tx> = (0..N_TXS).map(|index| tx(&mut rng, index)).collect();
    let receipts: Vec<ReceiptEnvelope> = (0..N_TXS).map(|index| receipt(&mut rng, index)).collect();
    let header = Header {
        parent_hash: word(&mut rng),
        number: 0x0128_89af,
        timestamp: 0x65f3_0cc3,
        gas_used: 0x00c2_b389,
        extra_data: Bytes::from_static(b"be"),
        logs_bloom: receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom()),
        transactions_root: calculate_transaction_root(&txs),
        receipts_root: calculate_receipt_root(&receipts),
        base_fee_per_gas: Some(0x000f_a390_4ef0),
        ..Header::default()
    };
    let hash = header.hash_slow();
    let mut block = serde_json::to_value(&header).expect("a header is JSON");
    block["hash"] = serde_json::json!(hash);
    block["uncles"] = serde_json::json!([]);
    block["withdrawals"] = serde_json::json!([]);
    let written: Vec<String> = txs.iter().enumerate().map(|(index, tx)| tx_json(tx, index, hash)).collect();
    let block = block.to_string();
    let block = format!(r#"{},"transactions":[{}]}}"#, &block[..block.len() - 1], written.join(","));
    let mut n_logs = 0;
    let written: Vec<String> = (txs.iter().zip(&receipts).enumerate())
        .map(|(index, (tx, receipt))| receipt_json(receipt, *tx.tx_hash(), index, hash, &mut n_logs))
        .collect();
    (block, format!("[{}]", written.join(",")))
}

fn tx(rng: &mut fastrand::Rng, index: usize) -> Tx {
    let tx = TxEip1559 {
        chain_id: 1,
        nonce: index as u64,
        gas_limit: 21_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(address(rng)),
        value: U256::from(10u64.pow(18)),
        input: calldata(rng, index),
        ..TxEip1559::default()
    };
    tx.into_signed(Signature::new(word(rng).into(), word(rng).into(), true)).into()
}

fn receipt(rng: &mut fastrand::Rng, index: usize) -> ReceiptEnvelope {
    let (from, due) = (N_LOGS * index / N_TXS, N_LOGS * (index + 1) / N_TXS);
    let log = |log: usize| {
        let topic0 = match log % 10 {
            0..=5 => TRANSFER,
            6 => APPROVAL,
            _ => word(rng),
        };
        let topics = vec![topic0, address(rng).into_word(), address(rng).into_word()];
        Log::new_unchecked(address(rng), topics, word(rng).into())
    };
    let logs = (from..due).map(log).collect();
    let receipt = Receipt { status: true.into(), cumulative_gas_used: 0x0005_3efe * (index as u64 + 1), logs };
    ReceiptEnvelope::Eip1559(receipt.with_bloom())
}

fn tx_json(tx: &Tx, index: usize, block: B256) -> String {
    let mut json = serde_json::to_value(tx).expect("a transaction is JSON");
    for (name, value) in [
        ("blockHash", block.to_string()),
        ("blockNumber", "0x12889af".to_owned()),
        ("transactionIndex", format!("{index:#x}")),
        ("from", Address::repeat_byte(index as u8).to_string().to_lowercase()),
        ("gasPrice", "0x77359400".to_owned()),
    ] {
        json[name] = value.into();
    }
    json.to_string()
}

fn receipt_json(receipt: &ReceiptEnvelope, tx: B256, index: usize, block: B256, n_logs: &mut usize) -> String {
    let mut json = serde_json::to_value(receipt).expect("a receipt is JSON");
    let place = [
        ("transactionHash", tx.to_string()),
        ("transactionIndex", format!("{index:#x}")),
        ("blockHash", block.to_string()),
        ("blockNumber", "0x12889af".to_owned()),
    ];
    for log in json["logs"].as_array_mut().expect("a list") {
        for (name, value) in &place {
            log[name] = value.as_str().into();
        }
        log["blockTimestamp"] = "0x65f30cc3".into();
        log["logIndex"] = format!("{n_logs:#x}").into();
        log["removed"] = false.into();
        *n_logs += 1;
    }
    for (name, value) in place {
        json[name] = value.into();
    }
    let party = Address::repeat_byte(index as u8).to_string().to_lowercase();
    for (name, value) in [("gasUsed", "0x53efe"), ("effectiveGasPrice", "0x77359400"), ("from", &party), ("to", &party)]
    {
        json[name] = value.into();
    }
    json["contractAddress"] = serde_json::Value::Null;
    json.to_string()
}

/// The `n`-th of as many addresses as anybody wants, none of which is in the block.
#[allow(dead_code, reason = "not every benchmark watches anybody")]
pub(crate) fn stranger(n: u32) -> Address {
    Address::from_word(alloy_primitives::keccak256(U256::from(n).to_be_bytes::<32>()))
}

/// Mostly short, sometimes long, half of it zeros.
fn calldata(rng: &mut fastrand::Rng, index: usize) -> Bytes {
    let mut data = if index.is_multiple_of(3) { vec![0xa9, 0x05, 0x9c, 0xbb] } else { word(rng)[..4].to_vec() };
    let n_words = if index.is_multiple_of(10) { 40 } else { 2 + index % 7 };
    for _ in 0..n_words {
        let n_zeros = if rng.bool() { 28 } else { 0 };
        let mut word = word(rng);
        word[..n_zeros].fill(0);
        data.extend_from_slice(word.as_slice());
    }
    data.into()
}

fn address(rng: &mut fastrand::Rng) -> Address {
    Address::from_word(word(rng))
}

fn word(rng: &mut fastrand::Rng) -> B256 {
    B256::from(std::array::from_fn(|_| rng.u8(..)))
}
