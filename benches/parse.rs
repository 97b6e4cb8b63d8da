//! What a node's JSON costs before anything is judged, as a multiple of merely skipping the same bytes.
//!
//! The block is made up, with the measures of a mainnet one: 300 transactions, 773 logs, about 1.2 MB of JSON.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::hint::black_box;
use watchfire::model::ChainId;
use watchfire::model::parse;
use watchfire::source::RawPair;
use watchfire::source::tape::{Head, Reader, Writer};

const N_TXS: usize = 300;
const N_LOGS: usize = 773;

fn bench(c: &mut Criterion) {
    let (block, receipts) = synthesized();
    let mut group = c.benchmark_group("block");
    group.throughput(Throughput::Bytes((block.len() + receipts.len()) as u64));
    group.bench_function("skip (baseline)", |b| {
        b.iter(|| {
            let block: IgnoredAny = serde_json::from_str(black_box(&block)).expect("JSON");
            let receipts: IgnoredAny = serde_json::from_str(black_box(&receipts)).expect("JSON");
            (block, receipts)
        });
    });
    group.bench_function("parse", |b| {
        b.iter(|| parse::block(black_box(&block), black_box(&receipts)).expect("a good block"));
    });
    group.bench_function("header", |b| b.iter(|| parse::header(black_box(&block)).expect("a good header")));
    group.finish();

    let raw = RawPair {
        block: RawValue::from_string(block).expect("JSON"),
        receipts: RawValue::from_string(receipts).expect("JSON"),
    };
    let link = parse::header(raw.block.get()).expect("a good header");
    let mut writer = Writer::new(Vec::new(), &Head { chain: ChainId(1), note: String::new() }).expect("memory");
    writer.block(link, &raw, &[]).expect("memory");
    let packed = writer.finish().expect("memory");
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(packed.as_slice()), &mut plain).expect("gzip");
    let mut group = c.benchmark_group("tape");
    group.bench_function("one block, plain", |b| b.iter(|| Reader::new(plain.as_slice()).expect("a tape").count()));
    group.bench_function("one block, gzip", |b| b.iter(|| Reader::new(packed.as_slice()).expect("a tape").count()));
    group.bench_function("inflate (baseline)", |b| {
        b.iter(|| {
            let mut plain = Vec::with_capacity(2 << 20);
            let mut from = flate2::read::MultiGzDecoder::new(packed.as_slice());
            std::io::Read::read_to_end(&mut from, &mut plain).expect("gzip")
        });
    });
    group.finish();
}

/// The same block on every run.
fn synthesized() -> (String, String) {
    let mut rng = fastrand::Rng::with_seed(1);
    let hash = hex(&mut rng, 32);
    let (mut txs, mut receipts, mut n_logs) = (Vec::new(), Vec::new(), 0);
    for index in 0..N_TXS {
        let tx = hex(&mut rng, 32);
        let (from, to) = (hex(&mut rng, 20), hex(&mut rng, 20));
        // Calldata is mostly short, sometimes long, and half zeros.
        let n_words = if index % 10 == 0 { 40 } else { 2 + index % 7 };
        let words: String = (0..n_words)
            .map(|_| {
                let n_bytes = if rng.bool() { 4 } else { 32 };
                format!("{:0>64}", &hex(&mut rng, n_bytes)[2..])
            })
            .collect();
        txs.push(format!(
            r#"{{"type":"0x2","chainId":"0x1","nonce":"0x{index:x}","gas":"0x5208","maxFeePerGas":"0x77359400","maxPriorityFeePerGas":"0x3b9aca00","to":"{to}","value":"0xde0b6b3a7640000","accessList":[],"input":"0xa9059cbb{words}","r":"{}","s":"{}","yParity":"0x1","v":"0x1","hash":"{tx}","blockHash":"{hash}","blockNumber":"0x12889af","transactionIndex":"0x{index:x}","from":"{from}","gasPrice":"0x77359400"}}"#,
            hex(&mut rng, 32),
            hex(&mut rng, 32),
        ));
        let due = N_LOGS * (index + 1) / N_TXS;
        let logs: Vec<String> = (n_logs..due)
            .map(|log| {
                format!(
                    r#"{{"address":"{}","topics":["{}","{}","{}"],"data":"{}","blockHash":"{hash}","blockNumber":"0x12889af","blockTimestamp":"0x65f30cc3","transactionHash":"{tx}","transactionIndex":"0x{index:x}","logIndex":"0x{log:x}","removed":false}}"#,
                    hex(&mut rng, 20),
                    hex(&mut rng, 32),
                    hex(&mut rng, 32),
                    hex(&mut rng, 32),
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

fn hex(rng: &mut fastrand::Rng, n_bytes: usize) -> String {
    let bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(n_bytes).collect();
    const_hex::encode_prefixed(bytes)
}

criterion_group!(benches, bench);
criterion_main!(benches);
