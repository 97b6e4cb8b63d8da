//! A block made up with the measures of a mainnet one: 300 transactions, 773 logs, about 1.2 MB of JSON; the same on every run.

use alloy_primitives::{Address, U256};
use std::fmt::Write as _;

pub(crate) const N_TXS: usize = 300;
pub(crate) const N_LOGS: usize = 773;

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const APPROVAL: &str = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925";

/// Block and receipts as a node writes them. Of ten logs six are transfers, one is an allowance, and three are something else;
/// every third transaction is a token transfer, and some have long calldata.
pub(crate) fn block_and_receipts() -> (String, String) {
    block_and_receipts_by(1)
}

/// Another such block for each `seed`.
pub(crate) fn block_and_receipts_by(seed: u64) -> (String, String) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let hash = hex(&mut rng, 32);
    let (mut txs, mut receipts, mut n_logs) = (Vec::new(), Vec::new(), 0);
    for index in 0..N_TXS {
        let tx = hex(&mut rng, 32);
        let (from, to) = (hex(&mut rng, 20), hex(&mut rng, 20));
        let input = calldata(&mut rng, index);
        txs.push(format!(
            r#"{{"type":"0x2","chainId":"0x1","nonce":"0x{index:x}","gas":"0x5208","maxFeePerGas":"0x77359400","maxPriorityFeePerGas":"0x3b9aca00","to":"{to}","value":"0xde0b6b3a7640000","accessList":[],"input":"{input}","r":"{}","s":"{}","yParity":"0x1","v":"0x1","hash":"{tx}","blockHash":"{hash}","blockNumber":"0x12889af","transactionIndex":"0x{index:x}","from":"{from}","gasPrice":"0x77359400"}}"#,
            hex(&mut rng, 32),
            hex(&mut rng, 32),
        ));
        let due = N_LOGS * (index + 1) / N_TXS;
        let logs: Vec<String> = (n_logs..due)
            .map(|log| {
                let topic0 = match log % 10 {
                    0..=5 => TRANSFER.to_owned(),
                    6 => APPROVAL.to_owned(),
                    _ => hex(&mut rng, 32),
                };
                format!(
                    r#"{{"address":"{}","topics":["{topic0}","{}","{}"],"data":"{}","blockHash":"{hash}","blockNumber":"0x12889af","blockTimestamp":"0x65f30cc3","transactionHash":"{tx}","transactionIndex":"0x{index:x}","logIndex":"0x{log:x}","removed":false}}"#,
                    hex(&mut rng, 20),
                    party(&mut rng),
                    party(&mut rng),
                    hex(&mut rng, 32),
                )
            })
            .collect();
        n_logs = due;
        receipts.push(format!(
            r#"{{"type":"0x2","status":"0x1","cumulativeGasUsed":"0x53efe","logs":[{}],"logsBloom":"{}","transactionHash":"{tx}","transactionIndex":"0x{index:x}","blockHash":"{hash}","blockNumber":"0x12889af","gasUsed":"0x53efe","effectiveGasPrice":"0x77359400","from":"{from}","to":"{to}","contractAddress":null}}"#,
            logs.join(","),
            hex(&mut rng, 256),
        ));
    }
    let block = format!(
        r#"{{"hash":"{hash}","parentHash":"{}","number":"0x12889af","timestamp":"0x65f30cc3","logsBloom":"{}","gasUsed":"0xc2b389","extraData":"0x6265","transactions":[{}],"uncles":[],"withdrawals":[]}}"#,
        hex(&mut rng, 32),
        hex(&mut rng, 256),
        txs.join(","),
    );
    (block, format!("[{}]", receipts.join(",")))
}

/// The `n`-th of as many addresses as anybody wants, none of which is in the block.
#[allow(dead_code, reason = "not every benchmark watches anybody")]
pub(crate) fn stranger(n: u32) -> Address {
    Address::from_word(alloy_primitives::keccak256(U256::from(n).to_be_bytes::<32>()))
}

/// Mostly short, sometimes long, half of it zeros.
fn calldata(rng: &mut fastrand::Rng, index: usize) -> String {
    let selector = if index.is_multiple_of(3) { "0xa9059cbb".to_owned() } else { hex(rng, 4) };
    let n_words = if index.is_multiple_of(10) { 40 } else { 2 + index % 7 };
    (0..n_words).fold(selector, |mut data, _| {
        let n_bytes = if rng.bool() { 4 } else { 32 };
        write!(data, "{:0>64}", &hex(rng, n_bytes)[2..]).expect("a string takes it");
        data
    })
}

/// An address as a topic.
fn party(rng: &mut fastrand::Rng) -> String {
    format!("0x{:0>64}", &hex(rng, 20)[2..])
}

fn hex(rng: &mut fastrand::Rng, n_bytes: usize) -> String {
    let bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(n_bytes).collect();
    const_hex::encode_prefixed(bytes)
}
