//! What a node's JSON costs before anything is judged, as a multiple of merely skipping the same bytes.
//!
//! The block is made up, see [`support`].

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::hint::black_box;
use watchfire::model::ChainId;
use watchfire::source::RawPair;
use watchfire::source::verify::{self, Raw};
use watchfire::tape::{Head, Reader, TapeCompression, Writer};
use watchfire::wire;

mod support;

fn bench(c: &mut Criterion) {
    let (block, receipts) = support::block_and_receipts();
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
        b.iter(|| wire::parse_block(black_box(&block), black_box(&receipts)).expect("a good block"));
    });
    group.bench_function("parse, with what the hashes cover", |b| {
        b.iter(|| wire::parse_sealed_block(black_box(&block), black_box(&receipts)).expect("a good block"));
    });
    group.bench_function("header", |b| b.iter(|| wire::parse_header(black_box(&block)).expect("a good header")));
    group.finish();

    let sealed = wire::parse_sealed_block(&block, &receipts).expect("a good block");
    let mut group = c.benchmark_group("proof");
    group.bench_function("header", |b| {
        b.iter(|| {
            verify::prove_header(black_box(sealed.block.link()), black_box(&sealed.header)).expect("a true header")
        });
    });
    group.bench_function("header, transactions, receipts", |b| {
        b.iter(|| assert_eq!(verify::verify_block(black_box(&sealed), &Raw::default()), Ok(vec![])));
    });
    let empty = {
        let mut sealed = sealed.clone();
        sealed.block.txs.iter_mut().for_each(|tx| tx.logs.clear());
        sealed
    };
    group.bench_function("one sender", |b| b.iter(|| verify::recover_sender(&empty.block.txs[0], &empty.txs[0])));
    group.finish();

    let raw = RawPair {
        block: RawValue::from_string(block).expect("JSON"),
        receipts: RawValue::from_string(receipts).expect("JSON"),
    };
    let link = wire::parse_header(raw.block.get()).expect("a good header");
    let mut group = c.benchmark_group("tape");
    for packing in [TapeCompression::Plain, TapeCompression::Gzip, TapeCompression::Zstd] {
        let packed = || {
            let mut writer = Writer::with_compression(Vec::new(), &Head::new(ChainId(1), ""), packing).expect("memory");
            writer.write_block(link, black_box(&raw), &[]).expect("memory");
            writer.finish().expect("memory")
        };
        group.bench_function(format!("write one block, {}", packing.name()), |b| b.iter(packed));
        let packed = packed();
        group.bench_function(format!("read one block, {}", packing.name()), |b| {
            b.iter(|| Reader::new(black_box(packed.as_slice())).expect("a tape").count());
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
