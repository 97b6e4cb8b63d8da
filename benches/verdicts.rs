//! From a node's JSON to verdicts: a block that concerns nobody, a Safe that pays ten people, a tape.
//!
//! Read everything as a multiple of `skip (baseline)` in the same run: what serde needs to merely pass over the same bytes.

mod support;

use alloy_primitives::{Address, B256, Bytes, U256};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use watchfire::abi::{Function, bundled, multisend};
use watchfire::classify::rule::{Rules, WatchRules};
use watchfire::classify::{History, Moment, judge_activities};
use watchfire::contracts::kind_named;
use watchfire::decode::{Subject, Subjects, decode_block};
use watchfire::model::read::{Answer, Answers, Read};
use watchfire::model::value::Value;
use watchfire::model::{Block, BlockRef, ChainId, Judged, Known, Log, Status, Tx, Verdict, Voucher, WatchId};
use watchfire::settings::Secrets;
use watchfire::source::RawPair;
use watchfire::source::verify::{Raw, verify_block};
use watchfire::tape::{self, Entry, Head, Reader, TapeCompression, Writer};
use watchfire::watchlist::{Memory, compile_config};
use watchfire::wire;

criterion_group!(benches, blocks, one_safe, tapes);
criterion_main!(benches);

fn blocks(c: &mut Criterion) {
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
    group.bench_function("JSON to block", |b| {
        b.iter(|| wire::parse_block(black_box(&block), black_box(&receipts)).expect("a good block"));
    });
    let parsed = wire::parse_block(&block, &receipts).expect("a good block");
    for n_watches in [10, 100_000] {
        let (subjects, rules) = watches(n_watches);
        group.bench_function(format!("JSON to verdicts, {n_watches} watches"), |b| {
            b.iter(|| {
                let parsed = wire::parse_block(black_box(&block), black_box(&receipts)).expect("a good block");
                verdicts(&parsed, &subjects, &rules, &Answers::new())
            });
        });
        group.bench_function(format!("JSON to proof to verdicts, {n_watches} watches"), |b| {
            b.iter(|| {
                let sealed = wire::parse_sealed_block(black_box(&block), black_box(&receipts)).expect("a good block");
                assert_eq!(verify_block(&sealed, &Raw::default()), Ok(vec![]));
                verdicts(&sealed.block, &subjects, &rules, &Answers::new())
            });
        });
        group.bench_function(format!("block to verdicts, {n_watches} watches"), |b| {
            b.iter(|| verdicts(black_box(&parsed), &subjects, &rules, &Answers::new()));
        });
    }
    group.finish();
}

fn one_safe(c: &mut Criterion) {
    let mut group = c.benchmark_group("Safe, multiSend, 10 transfers");
    for n_rules in [1, 100] {
        let (subjects, rules) = safe(n_rules);
        let (answers, known) = (answers(), Known::default());
        let block = payday(approved());
        let judged = verdicts(&block, &subjects, &rules, &answers);
        assert_eq!((judged.len(), judged.iter().filter(|one| by_rule(one)).count()), (22, 10));
        group.bench_function(format!("{n_rules} rules"), |b| {
            b.iter(|| verdicts(black_box(&block), &subjects, &rules, &answers));
        });
        group.bench_function(format!("decode alone, {n_rules} rules"), |b| {
            b.iter(|| decode_block(black_box(&block), &subjects, &known, &answers));
        });
    }
    let (subjects, rules) = safe(1);
    let (block, answers) = (payday([[7u8; 64].as_slice(), &[27]].concat().repeat(2)), answers());
    group.bench_function("1 rule, two signatures to recover", |b| {
        b.iter(|| verdicts(black_box(&block), &subjects, &rules, &answers));
    });
    group.finish();
}

fn tapes(c: &mut Criterion) {
    const N_BLOCKS: u64 = 20;
    let dir = tempfile::tempdir().expect("a directory");
    let (subjects, rules) = watches(100_000);
    let mut group = c.benchmark_group("tape to verdicts");
    group.throughput(Throughput::Elements(N_BLOCKS)).sample_size(20);
    for packing in [TapeCompression::Plain, TapeCompression::Gzip, TapeCompression::Zstd] {
        let mut writer = Writer::with_compression(Vec::new(), &Head::new(ChainId(1), ""), packing).expect("memory");
        // Each block is another, as on a chain; a packer that remembers the last one must not gain by it.
        for seed in 0..N_BLOCKS {
            let (block, receipts) = support::block_and_receipts_by(seed);
            let link = wire::parse_header(&block).expect("a good header");
            let json = |text| RawValue::from_string(text).expect("JSON");
            let raw = RawPair { block: json(block), receipts: json(receipts) };
            writer.write_block(link, &raw, &[]).expect("memory");
        }
        let packed = writer.finish().expect("memory");
        let path = dir.path().join(packing.name());
        std::fs::write(&path, &packed).expect("the directory is writable");
        let all = |entries: Reader<'_>| {
            let verdicts = entries.map(|entry| match entry.expect("a good line") {
                Entry::Block(block) => verdicts(&block.block, &subjects, &rules, &Answers::new()).len(),
                _ => 0,
            });
            verdicts.sum::<usize>()
        };
        group.bench_function(format!("{}, one thread", packing.name()), |b| {
            b.iter(|| all(Reader::new(black_box(packed.as_slice())).expect("a tape")));
        });
        group.bench_function(format!("{}, unpacked ahead", packing.name()), |b| {
            b.iter(|| all(tape::open_tape(black_box(&path)).expect("a tape")));
        });
        group.bench_function(format!("{}, proven", packing.name()), |b| {
            b.iter(|| {
                let entries = tape::open_tape(black_box(&path)).expect("a tape").keeping_raw();
                let verdicts = entries.map(|entry| match entry.expect("a good line") {
                    Entry::Block(block) => proven(&block.raw.expect("it was asked for"), &subjects, &rules),
                    _ => 0,
                });
                verdicts.sum::<usize>()
            });
        });
    }
    group.finish();
}

/// What a played tape goes through: its blocks come as a node's do.
fn proven(raw: &RawPair, subjects: &Subjects, rules: &Rules) -> usize {
    let sealed = wire::parse_sealed_block(raw.block.get(), raw.receipts.get()).expect("a good block");
    assert_eq!(verify_block(&sealed, &Raw::default()), Ok(vec![]));
    verdicts(&sealed.block, subjects, rules, &Answers::new()).len()
}

fn verdicts(block: &Block, subjects: &Subjects, rules: &Rules, answers: &Answers) -> Vec<Judged> {
    let decoded = decode_block(block, subjects, &Known::default(), answers);
    judge_activities(decoded.activities, rules, &History::default(), Moment { time: block.time }).0
}

fn by_rule(judged: &Judged) -> bool {
    matches!(judged.verdict, Verdict::Normal { by: Voucher::Rule(_) })
}

/// So many watched contracts, of which the block knows none.
fn watches(n: u32) -> (Subjects, Rules) {
    let abi = Arc::new(bundled::erc20().clone());
    let mut subjects = Subjects::new(ChainId(1));
    let template = compiled(&watchlist(1)).1.watches.remove(0);
    let mut rules = Rules::default();
    for n in 0..n {
        let (watch, address) = (WatchId(n), support::stranger(n));
        subjects.insert_subject(
            address,
            Subject {
                watch,
                kind: kind_named("erc20").expect("it is in the list"),
                abi: abi.clone(),
                rule_abi: Arc::default(),
            },
        );
        rules.watches.push(WatchRules { watch, address, ..template.clone() });
    }
    (subjects, rules)
}

const SAFE: Address = Address::repeat_byte(0x5a);
const TOKEN: Address = Address::repeat_byte(0x70);

/// A Safe with so many rules, the last of which is the one that holds.
fn safe(n_rules: usize) -> (Subjects, Rules) {
    let (subjects, rules) = compiled(&watchlist(n_rules));
    ((*subjects).clone(), rules)
}

fn watchlist(n_rules: usize) -> String {
    let mut list = format!(
        "[set]\npayees = [\"{}\"]\n[token.COIN]\nchain = \"mainnet\"\naddress = \"{TOKEN}\"\ndecimals = 0\n\
         [[watch]]\nlabel = \"Safe\"\nchain = \"mainnet\"\naddress = \"{SAFE}\"\nkind = \"safe\"\npurpose = \"x\"\npath = \"duty\"\n",
        payee()
    );
    for n in 0..n_rules {
        // Each about the same function, each but the last below the amount that is paid.
        let max = if n + 1 == n_rules { 1_000_000 } else { n };
        list += &format!(
            "[[watch.normal]]\nname = \"rule-{n}\"\nact = \"transfer(address to, uint256 amount)\"\nto = [\"@COIN\"]\n\
             args = {{ to = {{ in = \"@payees\" }}, amount = {{ max = \"{max} COIN\" }} }}\nsigners = {{ at_least = 2 }}\n\
             hours = \"Mon-Sun 00:00-24:00 Europe/Zurich\"\nlimit = {{ sum = \"amount\", max = \"1_000_000_000 COIN\", per = \"7d\" }}\n"
        );
    }
    list
}

fn compiled(list: &str) -> (Arc<Subjects>, Rules) {
    let main = "watchlists = [\"w.toml\"]\n[chain.mainnet]\nid = 1\nendpoint = \"ws://127.0.0.1:1\"\n\
                [destination.screen]\nkind = \"terminal\"\n[path.self]\nsteps = [{ to = [\"screen\"], ack_within = \"5m\" }]\n\
                [path.duty]\nsteps = [{ to = [\"screen\"], ack_within = \"5m\" }]\n";
    let files = Memory::new([("m.toml", main), ("w.toml", list)]);
    let book = compile_config(Path::new("m.toml"), &files, Secrets::NamesOnly);
    let mut book = book.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    (book.chains.remove(0).subjects, (*book.rules).clone())
}

fn payee() -> Address {
    Address::repeat_byte(0x99)
}

/// Two owners who approved on chain: nothing to recover.
fn approved() -> Vec<u8> {
    let owner = |byte| [Address::repeat_byte(byte).into_word().as_slice(), &[0; 32], &[1]].concat();
    [owner(1), owner(2)].concat()
}

/// One transaction: the Safe pays ten people in one batch.
fn payday(signatures: Vec<u8>) -> Block {
    let pay = Function::parse("transfer(address,uint256)").expect("ours");
    let transfers: Vec<Vec<u8>> = (1..=10u64)
        .map(|n| {
            pay.encode_calldata(&[Value::Address(payee()), Value::Uint(U256::from(1_000 + n))]).expect("of these types")
        })
        .collect();
    let list = multisend::encode_multisend(transfers.iter().map(|data| (0, TOKEN, U256::ZERO, &data[..])));
    let batch = bundled::multisend().functions_named("multiSend")[0]
        .encode_calldata(&[Value::Bytes(list.into())])
        .expect("one");
    let library = alloy_primitives::address!("38869bf66a61cF6bDB996A6aE40D5853Fd43B526");
    let zero = || Value::Uint(U256::ZERO);
    let nobody = || Value::Address(Address::ZERO);
    let exec = bundled::safe().functions_named("execTransaction")[0].encode_calldata(&[
        Value::Address(library),
        zero(),
        Value::Bytes(batch.into()),
        Value::Uint(U256::from(1)),
        zero(),
        zero(),
        zero(),
        nobody(),
        nobody(),
        Value::Bytes(signatures.into()),
    ]);
    let topic = |signature: &str| alloy_primitives::keccak256(signature);
    let mut logs: Vec<Log> = (1..=10u64)
        .map(|n| Log {
            address: TOKEN,
            topics: vec![topic("Transfer(address,address,uint256)"), SAFE.into_word(), payee().into_word()],
            data: U256::from(1_000 + n).to_be_bytes_vec().into(),
            ordinal: n as u32 - 1,
        })
        .collect();
    logs.push(Log {
        address: SAFE,
        topics: vec![topic("ExecutionSuccess(bytes32,uint256)")],
        data: vec![0; 64].into(),
        ordinal: 10,
    });
    let tx = Tx {
        hash: B256::repeat_byte(1),
        index: 0,
        kind: 2,
        from: Address::repeat_byte(3),
        to: Some(SAFE),
        value: U256::ZERO,
        input: exec.expect("of these types").into(),
        nonce: 0,
        authorizations: vec![],
        status: Status::Success,
        created: None,
        logs,
        fee: None,
        tip: None,
        bid: None,
    };
    let at = BlockRef { number: 1, hash: B256::repeat_byte(2) };
    Block { at, parent: B256::ZERO, time: 1_795_168_800, txs: vec![tx], withdrawals: vec![] }
}

/// The threshold; the nonce cannot be told, so that the logged hash is taken as it is.
fn answers() -> Answers {
    let threshold = Read::Call { to: SAFE, data: Bytes::from_static(&[0xe7, 0x52, 0x35, 0xb8]) };
    let nonce = Read::Call { to: SAFE, data: Bytes::from_static(&[0xaf, 0xfe, 0xd0, 0xe0]) };
    let two = U256::from(2).to_be_bytes_vec().into();
    [(threshold, Answer::Data(two)), (nonce, Answer::Unavailable)].into()
}
