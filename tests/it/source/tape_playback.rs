//! Tapes of chains as they were lived: reorgs, finality and traces are played as they were recorded, faults as they are asked for; a
//! recorder is never in the way, and a tape that was cut short is good up to there.

use super::tape::{fetched, load, raw, reads, writer};
use crate::support::chain::{Chain, Made};
use crate::support::follow::Follow;
use alloy_primitives::{B256, keccak256};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use watchfire::model::{BlockRef, ChainId, Finality};
use watchfire::source::Step;
use watchfire::source::trace::{RawTraces, TraceMethod, Traced};
use watchfire::tape::{
    Backpressure, Entry, FinalityRecord, Head, ImportError, Inspection, Pace, Playing, Reader, RecordedIssue, Recorder,
    Rotation, Stretch, Taken, Tape, TapeCompression, TapeEvent, TapeServer, Writer, import_files,
};

fn at(made: &Made) -> BlockRef {
    made.link.at
}

fn mark(at_ms: u64, what: TapeEvent) -> FinalityRecord {
    FinalityRecord { at_ms: Some(at_ms), what }
}

/// The traces that geth would give of a block.
fn traces(made: &Made) -> RawTraces {
    let txs = Traced::from_block(&fetched(made).block).txs;
    let results =
        txs.iter().map(|tx| json!({ "txHash": tx, "result": { "type": "CALL", "from": "0x01", "gas": "0x5" } }));
    RawTraces { method: TraceMethod::CallTracer, answer: to_raw_value(&Value::from_iter(results)).expect("JSON") }
}

/// Blocks 1 to 9 of a chain a second apart, with traces; then its newest two are replaced by three others. The chain as it is in the
/// end, and the block that was the newest before.
fn lived() -> (Stretch, Chain, BlockRef) {
    let mut chain = Chain::new(10);
    let mut writer = writer();
    let mut write = |chain: &Chain, number: u64, at_ms: u64| {
        let made = chain.numbered(number).expect("a canonical block");
        let traces = traces(made);
        let whole = writer.block_at(Some(at_ms), made.link, &raw(made), &reads(), Some(&traces));
        assert!(whole.expect("memory is writable"));
        if number == 5 {
            let safe = at(chain.numbered(3).expect("a canonical block"));
            writer.write_mark(&mark(at_ms + 1, TapeEvent::Promote(Finality::Safe, safe))).expect("memory is writable");
        }
        if number == 9 && at_ms == 9_000 {
            let gone = [9, 8].map(|number| at(chain.numbered(number).expect("a canonical block")));
            writer.write_mark(&mark(10_000, TapeEvent::Retract(gone.to_vec()))).expect("memory is writable");
        }
    };
    (1..10).for_each(|number| write(&chain, number, number * 1_000));
    let old = at(chain.head());
    chain.reorg(2, 3);
    (8..11).for_each(|number| write(&chain, number, 10_000));
    let mut tape = load(&writer.finish().expect("memory is writable")).expect("a good tape");
    assert_eq!(tape.stretches.len(), 1);
    (tape.stretches.remove(0), chain, old)
}

/// One question over HTTP: the result, or the error's message.
async fn ask(server: &TapeServer, method: &str, params: Value) -> Result<Value, String> {
    let request = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let mut answer = post(server, &request).await;
    assert_eq!(answer["id"], 7);
    match answer["error"]["message"].as_str() {
        Some(message) => Err(message.to_owned()),
        None => Ok(answer["result"].take()),
    }
}

async fn post(server: &TapeServer, request: &Value) -> Value {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = server.url().replace("ws://", "http://");
    let sent = reqwest::Client::new().post(url).json(request).send().await.expect("it listens");
    sent.json().await.expect("JSON")
}

async fn played(stretch: Stretch, pace: Pace, faults: &[&str]) -> TapeServer {
    let faults = faults.iter().map(|fault| fault.parse().expect("a fault")).collect();
    TapeServer::start(ChainId(1), stretch, Playing { pace, port: 0, faults }).await.expect("a free port")
}

#[test]
fn what_happened_between_blocks_is_read_back() {
    let chain = Chain::new(4);
    let made = chain.numbered(1).expect("a canonical block");
    let trouble = RecordedIssue {
        kind: "unreachable".to_owned(),
        endpoint: Some("primary".to_owned()),
        why: Some("connection refused".to_owned()),
        over: false,
    };
    let marks = [
        mark(1, TapeEvent::Promote(Finality::Finalized, at(made))),
        mark(2, TapeEvent::Trouble(trouble.clone())),
        mark(3, TapeEvent::Trouble(RecordedIssue { why: None, over: true, ..trouble })),
        mark(4, TapeEvent::Note("what was said".to_owned())),
        FinalityRecord { at_ms: None, what: TapeEvent::Caption("a caption\nof two lines".to_owned()) },
        mark(5, TapeEvent::Retract(vec![at(made)])),
    ];
    let began = "2026-11-03T03:00:00Z".parse().ok();
    let head = Head { began, ..Head::new(ChainId(1), "a hard day") };
    for packing in [TapeCompression::Gzip, TapeCompression::Zstd, TapeCompression::Plain] {
        let mut writer = Writer::with_compression(Vec::new(), &head, packing).expect("memory is writable");
        writer.block_at(Some(0), made.link, &raw(made), &reads(), Some(&traces(made))).expect("memory is writable");
        for mark in &marks {
            writer.write_mark(mark).expect("memory is writable");
        }
        let bytes = writer.finish().expect("memory is writable");
        let mut reader = Reader::new(bytes.as_slice()).expect("a tape");
        assert_eq!((reader.head(), reader.compression_format(), reader.format_version()), (&head, packing, 2));
        let Some(Ok(Entry::Block(block))) = reader.next() else { panic!("the block comes first") };
        assert_eq!((block.at_ms, block.traces), (Some(0), Some(traces(made))));
        let read: Vec<Entry> = reader.by_ref().collect::<Result<_, _>>().expect("good lines");
        assert_eq!(read, marks.clone().map(Entry::Mark));
        assert_eq!(reader.truncated_after(), None);
    }
}

#[test]
fn only_the_newest_blocks_are_taken_back() {
    let chain = Chain::new(5);
    let block = |number| {
        let made = chain.numbered(number).expect("a canonical block");
        json!({ "block": made.block, "receipts": made.receipts }).to_string()
    };
    let retract = |numbers: &[u64]| {
        let gone: Vec<_> = numbers.iter().map(|n| at(chain.numbered(*n).expect("a canonical block"))).collect();
        json!({ "retract": gone }).to_string()
    };
    let tape = |lines: &[String]| load([&[r#"{"tape":2,"chain":1}"#.to_owned()], lines].concat().join("\n").as_bytes());
    let refused = |lines: &[String]| tape(lines).expect_err("nobody could live that");
    assert!(tape(&[block(1), block(2), retract(&[2]), block(2)]).is_ok());
    assert!(tape(&[block(1), retract(&[1]), block(1)]).is_ok(), "all of it");
    let older = refused(&[block(1), block(2), retract(&[1])]);
    assert_eq!(older, "line 4: block 1 is taken back, which is not the newest that stands");
    assert!(refused(&[block(1), retract(&[1, 1])]).starts_with("line 3: block 1 is taken back"));
    assert!(refused(&[block(1), retract(&[])]).starts_with("line 3: no block is taken back"));
    assert!(refused(&[block(1), block(2), retract(&[2]), block(3)]).starts_with("line 5: block 3 does not build"));
    assert!(refused(&[block(1), json!({ "note": "x".repeat(5_000) }).to_string()]).contains("longer than 4096 bytes"));
}

#[test]
fn a_retraction_of_what_is_not_on_the_tape_is_a_gap() {
    let mut chain = Chain::new(9);
    let mut writer = writer();
    let write = |writer: &mut Writer<Vec<u8>>, chain: &Chain, number| {
        let made: &Made = chain.numbered(number).expect("a canonical block");
        writer.write_block(made.link, &raw(made), &[]).expect("memory is writable");
    };
    write(&mut writer, &chain, 7);
    let gone = [7, 6].map(|number| at(chain.numbered(number).expect("a canonical block"))).to_vec();
    writer.write_mark(&mark(1, TapeEvent::Retract(gone))).expect("memory is writable");
    chain.reorg(3, 3);
    write(&mut writer, &chain, 6);
    let tape = load(&writer.finish().expect("memory is writable")).expect("a good tape");
    assert_eq!(tape.stretches.iter().map(Stretch::first_number).collect::<Vec<_>>(), [Some(7), Some(6)]);
}

#[test]
fn a_tape_that_ends_too_early_is_good_up_to_its_last_whole_line() {
    let chain = Chain::new(7);
    for packing in [TapeCompression::Gzip, TapeCompression::Zstd, TapeCompression::Plain] {
        let head = Head::new(ChainId(1), "");
        let mut writer = Writer::with_compression(Vec::new(), &head, packing).expect("memory is writable");
        writer.flush().expect("memory is writable");
        let begun = writer.get_ref().len();
        let mut good = Vec::new();
        for number in 1..7 {
            let made = chain.numbered(number).expect("a canonical block");
            writer.write_block(made.link, &raw(made), &reads()).expect("memory is writable");
            writer.flush().expect("memory is writable");
            good.push(writer.get_ref().len());
        }
        let whole = writer.finish().expect("memory is writable");
        for end in (begun..whole.len()).step_by(211).chain(good.iter().copied()) {
            let tape = load(&whole[..end]).unwrap_or_else(|why| panic!("{packing:?} up to {end}: {why}"));
            let n_blocks = tape.stretches.first().map_or(0, |stretch| stretch.blocks.len());
            let flushed = good.iter().filter(|good| **good <= end).count();
            assert!(n_blocks == flushed || n_blocks == flushed + 1, "{packing:?} up to {end}: {n_blocks} of {flushed}");
            match packing {
                // A text that ends with a line does not say that there were more.
                TapeCompression::Plain => assert!(tape.cut.is_none_or(|line| line == 1 + n_blocks)),
                _ => assert_eq!(tape.cut, Some(1 + n_blocks), "{packing:?} up to {end}"),
            }
        }
        assert_eq!(load(&whole).expect("a good tape").cut, None);
    }
}

#[tokio::test]
async fn a_reorg_is_lived_through_again() {
    let (stretch, chain, old) = lived();
    let server = played(stretch, Pace::ByHand, &[]).await;
    let script = server.script();
    let reorg = script.scenes.iter().position(|scene| !scene.retract.is_empty()).expect("there was a reorg");
    assert_eq!((script.calm_until(0), script.calm_until(reorg)), (reorg, script.scenes.len()));
    assert_eq!(script.scenes.len(), reorg + 1, "the new branch comes in one go");
    let mut follow = Follow::at(server.url(), 1);
    server.reveal_scenes(reorg);
    follow.until(old.hash).await;
    server.reveal_scenes(script.scenes.len());
    follow.until(at(chain.head()).hash).await;
    let ours: Vec<B256> = follow.links.iter().map(|link| link.at.hash).collect();
    assert_eq!(ours, chain.canonical[1..]);
}

#[tokio::test]
async fn a_tape_is_played_as_fast_as_it_was_recorded_and_faster() {
    let (stretch, chain, _) = lived();
    let script = watchfire::tape::Script::from_stretch(&stretch);
    let pauses = |pace| -> Vec<u128> { (0..12).map(|place| script.pause_before(place, pace).as_millis()).collect() };
    // Block by block, between them that a block became safe, and in the end the reorg.
    assert_eq!(pauses(Pace::Recorded(1.0)), [0, 1000, 1000, 1000, 1000, 1, 999, 1000, 1000, 1000, 1000, 0]);
    assert_eq!(pauses(Pace::Recorded(10.0))[..3], [0, 100, 100]);
    let every = pauses(Pace::Every(Duration::from_millis(7)));
    assert_eq!(every, [0, 7, 7, 7, 7, 0, 7, 7, 7, 7, 7, 0]);
    let server = played(stretch, Pace::Recorded(200.0), &[]).await;
    let mut follow = Follow::at(server.url(), 1);
    follow.until(at(chain.head()).hash).await;
    assert_eq!(follow.links.len(), 10);
}

#[tokio::test]
async fn what_is_final_is_what_was_recorded_as_final() {
    let (stretch, chain, _) = lived();
    let server = played(stretch, Pace::ByHand, &[]).await;
    server.reveal_scenes(5);
    let tag = |tag: &'static str| ask(&server, "eth_getBlockByNumber", json!([tag, false]));
    assert_eq!(tag("latest").await.expect("a block")["number"], "0x5");
    assert_eq!(tag("safe").await, Err("safe block not found".to_owned()), "it was not yet");
    server.reveal_scenes(6);
    assert_eq!(tag("safe").await.expect("a block")["hash"], json!(chain.canonical[3]));
    assert_eq!(tag("finalized").await, Err("finalized block not found".to_owned()), "it never was");
}

#[tokio::test]
async fn a_block_that_left_the_chain_is_known_by_its_hash_alone() {
    let (stretch, chain, old) = lived();
    let gone_tx = stretch.blocks.iter().find(|block| block.block.at == old).and_then(|block| block.block.txs.first());
    let gone_tx = gone_tx.map(|tx| tx.hash);
    let server = played(stretch, Pace::AtOnce, &[]).await;
    let by_hash = ask(&server, "eth_getBlockByHash", json!([old.hash, false])).await.expect("nodes go on knowing it");
    assert_eq!(by_hash["hash"], json!(old.hash));
    let by_number = ask(&server, "eth_getBlockByNumber", json!(["0x9", false])).await.expect("a block");
    assert_eq!(by_number["hash"], json!(chain.canonical[9]));
    let strict = json!([{ "blockHash": old.hash, "requireCanonical": true }]);
    assert_eq!(ask(&server, "eth_getBlockReceipts", strict).await, Ok(Value::Null));
    if let Some(tx) = gone_tx {
        assert_eq!(ask(&server, "eth_getTransactionReceipt", json!([tx])).await, Ok(Value::Null));
    }
}

#[tokio::test]
async fn traces_are_served_as_they_were_recorded_and_no_others() {
    let (stretch, chain, _) = lived();
    let mut canonical = (1..11).filter_map(|n| chain.numbered(n));
    let tx = |made: &Made| fetched(made).block.txs.first().map(|tx| tx.hash);
    let (made, tx) = canonical.find_map(|made| Some((made, tx(made)?))).expect("some transaction");
    let server = played(stretch, Pace::AtOnce, &[]).await;
    let tracer = json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } });
    let block = ask(&server, "debug_traceBlockByHash", json!([at(made).hash, tracer])).await.expect("traces");
    assert_eq!(block.to_string(), traces(made).answer.get());
    let one = ask(&server, "debug_traceTransaction", json!([tx, tracer])).await.expect("a trace");
    assert_eq!(one, block[0]["result"]);
    let other = ask(&server, "debug_traceBlockByHash", json!([at(made).hash, { "tracer": "prestateTracer" }])).await;
    assert!(other.expect_err("it was not recorded").contains("nothing of other tracers"));
    let flat = ask(&server, "trace_block", json!([at(made).hash])).await;
    assert!(flat.expect_err("it was not recorded").contains("not on this tape"));
}

#[tokio::test]
async fn http_is_answered_one_by_one_and_in_batches() {
    let (stretch, _, _) = lived();
    let server = played(stretch, Pace::AtOnce, &[]).await;
    assert_eq!(ask(&server, "eth_blockNumber", json!([])).await, Ok(json!("0xa")));
    assert!(ask(&server, "eth_subscribe", json!(["newHeads"])).await.expect_err("no socket").contains("WebSocket"));
    let request = |id: u64, method: &str| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": [] });
    let batch = post(&server, &json!([request(1, "eth_chainId"), request(2, "eth_mining")])).await;
    assert_eq!((&batch[0]["result"], &batch[1]["error"]["code"]), (&json!("0x1"), &json!(-32601)));
    let many = post(&server, &Value::from_iter((0..101).map(|id| request(id, "eth_chainId")))).await;
    assert_eq!(many["error"]["code"], -32600);
    assert_eq!(post(&server, &json!("nonsense")).await["error"]["code"], -32600);
    let mut follow = Follow::at(server.url(), 1);
    follow.next().await.expect("the same port speaks WebSocket");
}

#[tokio::test]
async fn faults_spoil_what_they_are_asked_to_and_nothing_else() {
    let (stretch, chain, _) = lived();
    let has_logs = |made: &Made| fetched(made).block.txs.iter().any(|tx| !tx.logs.is_empty());
    let logged = (1..8).find(|n| chain.numbered(*n).is_some_and(has_logs));
    let logged = logged.expect("some block has logs");
    let made = chain.numbered(logged).expect("a canonical block").clone();
    let drop_log = format!("drop-log@block={logged},times=1");
    let faults = ["lag=3", "null@block=2,times=1,method=eth_getBlockByNumber", &drop_log, "error@method=eth_call"];
    let server = played(stretch, Pace::AtOnce, &faults).await;
    assert_eq!(ask(&server, "eth_blockNumber", json!([])).await, Ok(json!("0x7")));
    let second = || ask(&server, "eth_getBlockByNumber", json!(["0x2", false]));
    assert_eq!(second().await, Ok(Value::Null));
    assert_eq!(second().await.expect("once was asked for")["number"], "0x2");
    let receipts = || ask(&server, "eth_getBlockReceipts", json!([at(&made).hash]));
    let n_logs = |receipts: &Value| -> usize {
        receipts.as_array().into_iter().flatten().map(|receipt| receipt["logs"].as_array().map_or(0, Vec::len)).sum()
    };
    let spoilt = receipts().await.expect("receipts");
    assert_eq!(n_logs(&spoilt), n_logs(&made.receipts) - 1);
    assert_eq!(receipts().await.expect("receipts"), made.receipts);
    assert_eq!(ask(&server, "eth_call", json!([])).await, Err("internal error".to_owned()));
}

#[tokio::test]
async fn a_tape_that_goes_wrong_is_followed_to_its_end() {
    let (stretch, chain, _) = lived();
    let faults = [
        "drop-socket@block=3",
        "empty-receipts@block=4,times=2",
        "error@from=5,times=3",
        "null@block=6,times=2",
        "mute@from=7,for=300ms",
        "lag=2@block=8",
        "delay=20ms@from=9",
    ];
    let server = played(stretch, Pace::Every(Duration::from_millis(50)), &faults).await;
    let mut follow = Follow::at(server.url(), 1);
    follow.until(at(chain.head()).hash).await;
    let ours: Vec<B256> = follow.links.iter().map(|link| link.at.hash).collect();
    assert_eq!(ours, chain.canonical[1..]);
}

// === Recording ===

fn step(retract: Vec<BlockRef>, append: &[&Made]) -> Step {
    Step { retract, append: append.iter().map(|made| fetched(made)).collect() }
}

fn reel(path: &Path) -> Rotation {
    Rotation::new(path, Head::new(ChainId(1), "")).expect("the directory is writable")
}

async fn record(recorder: &Recorder, mut step: Step) -> Result<(), String> {
    let n = step.append.len();
    recorder.record_step(Taken::from_step(&mut step), vec![reads(); n]).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_a_recorder_saw_is_on_the_tape_as_it_was_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("lived.tape.zst");
    let mut chain = Chain::new(9);
    let recorder = Recorder::start_recording(reel(&path), Vec::new(), Backpressure::Waits).expect("a thread");
    let made = |chain: &Chain, number| chain.numbered(number).expect("a canonical block").clone();
    for number in 1..9 {
        record(&recorder, step(Vec::new(), &[&made(&chain, number)])).await.expect("it is written");
    }
    let gone: Vec<_> = [8, 7].map(|number| at(&made(&chain, number))).to_vec();
    chain.reorg(2, 3);
    let branch: Vec<_> = (7..10).map(|number| made(&chain, number)).collect();
    record(&recorder, step(gone, &branch.iter().collect::<Vec<_>>())).await.expect("it is written");
    recorder.finish().await.expect("it is written");
    assert!(Rotation::new(&path, Head::new(ChainId(1), "")).is_err(), "what was recorded is not written over");
    let tape = Tape::load_file(&path).expect("a good tape");
    let survey = Inspection::from_reader(watchfire::tape::open_tape(&path).expect("a tape"));
    assert_eq!(
        (survey.packing, survey.n_blocks, survey.n_reorgs, survey.n_retracted),
        (TapeCompression::Zstd, 11, 1, 2)
    );
    assert!(survey.is_whole() && survey.lasted.is_some());
    let [stretch] = tape.stretches.as_slice() else { panic!("one stretch") };
    let hashes: Vec<B256> = stretch.blocks[8..].iter().map(|block| block.block.at.hash).collect();
    assert_eq!(hashes, chain.canonical[7..]);
    let unheard = watchfire::model::read::Answer::Unavailable;
    let answered: Vec<_> = reads().into_iter().filter(|(_, answer)| *answer != unheard).collect();
    assert_eq!(stretch.blocks[0].reads, answered);
}

#[tokio::test]
async fn a_flight_recorder_keeps_what_was_last() {
    const BYTES_MAX: u64 = 100_000;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("flight.tape.gz");
    let chain = Chain::new(160);
    let reel = Rotation::with_rotation(&path, Head::new(ChainId(1), ""), BYTES_MAX).expect("the directory is writable");
    let recorder = Recorder::start_recording(reel, Vec::new(), Backpressure::Waits).expect("a thread");
    for number in 1..160 {
        let made = chain.numbered(number).expect("a canonical block");
        record(&recorder, step(Vec::new(), &[made])).await.expect("it is written");
    }
    recorder.finish().await.expect("it is written");
    let older = dir.path().join("flight.tape.gz.1");
    let tapes = [&older, &path].map(|path| Tape::load_file(path).expect("a good tape"));
    let sizes = [&older, &path].map(|path| std::fs::metadata(path).expect("it is there").len());
    // What is packed and not yet written comes on top.
    assert!(sizes.iter().sum::<u64>() < 2 * BYTES_MAX, "{sizes:?}");
    let numbers: Vec<u64> =
        tapes.iter().flat_map(|tape| &tape.stretches[0].blocks).map(|block| block.block.at.number).collect();
    assert_eq!(numbers.last(), Some(&159));
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "nothing is lost between them");
    assert!(tapes.iter().all(|tape| tape.cut.is_none()));
    // Another run does not write over what this one saw.
    drop(Rotation::with_rotation(&path, Head::new(ChainId(1), ""), BYTES_MAX).expect("the directory is writable"));
    assert_eq!(Tape::load_file(&older).expect("a good tape").stretches, tapes[1].stretches);
    std::fs::write(&path, "somebody's letters").expect("the directory is writable");
    let refused =
        Rotation::with_rotation(&path, Head::new(ChainId(1), ""), BYTES_MAX).err().map(|error| error.to_string());
    assert!(refused.is_some_and(|why| why.contains("is there, and is no tape")), "nor over what is no tape");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tape_that_is_slower_than_the_chain_is_in_nobodys_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is everywhere").success());
    // Somebody has it open and does not read.
    let mut reader = std::fs::File::options().read(true).write(true).open(&path).expect("a pipe");
    let reel = Rotation::with_rotation(&path, Head::new(ChainId(1), ""), 1 << 30).expect("a pipe can be written");
    let recorder = Recorder::start_recording(reel, Vec::new(), Backpressure::LeavesOut).expect("a thread");
    let chain = Chain::new(250);
    for number in 1..250 {
        let made = chain.numbered(number).expect("a canonical block");
        record(&recorder, step(Vec::new(), &[made])).await.expect("it never waits");
    }
    let read = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4_096];
        loop {
            let n = std::io::Read::read(&mut reader, &mut chunk).expect("a pipe");
            bytes.extend_from_slice(&chunk[..n]);
            // The tape's own end, since the pipe has none while it is open here.
            if load(&bytes).is_ok_and(|tape| tape.cut.is_none()) {
                return bytes;
            }
        }
    });
    recorder.finish().await.expect("it is read by now");
    let bytes = read.join().expect("it is read to its end");
    let survey = Inspection::from_reader(Reader::new(bytes.as_slice()).expect("a tape"));
    assert!(survey.n_blocks < 249, "some found no room");
    assert!(survey.notes.iter().any(|note| note.contains("could not be recorded")), "{:?}", survey.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tape_that_breaks_is_told_to_whom_records_and_keeps_no_watch() {
    let dir = tempfile::tempdir().expect("a directory");
    let chain = Chain::new(250);
    for patience in [Backpressure::Waits, Backpressure::LeavesOut] {
        let path = dir.path().join(format!("{patience:?}"));
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is everywhere").success());
        let reader = std::fs::File::options().read(true).write(true).open(&path).expect("a pipe");
        let reel = Rotation::with_rotation(&path, Head::new(ChainId(1), ""), 1 << 30).expect("a pipe can be written");
        let recorder = Recorder::start_recording(reel, Vec::new(), patience).expect("a thread");
        // Nobody reads any more: every write fails from here on.
        drop(reader);
        let mut told = Ok(());
        for number in 1..250 {
            let made = chain.numbered(number).expect("a canonical block");
            told = told.and(record(&recorder, step(Vec::new(), &[made])).await);
        }
        assert_eq!(told.is_err(), patience == Backpressure::Waits, "{told:?}");
        assert!(recorder.finish().await.is_err());
    }
}

// === Importing ===

#[test]
fn blocks_are_imported_in_the_shapes_they_are_kept_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let chain = Chain::new(9);
    let made = |number| chain.numbered(number).expect("a canonical block");
    let answer = |result: &Value| json!({ "jsonrpc": "2.0", "id": 1, "result": result });
    let write = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("it is writable");
        std::fs::write(path, text).expect("it is writable");
    };
    let pair = json!({ "block": answer(&made(1).block), "receipts": answer(&made(1).receipts) });
    write("1.json", format!("{pair:#}"));
    write("more/batch.json", json!([answer(&made(2).block), answer(&made(2).receipts)]).to_string());
    let lines = [&made(3).block, &made(3).receipts, &made(4).block, &made(4).receipts];
    write("more/lines.jsonl", lines.map(|line| format!("{line}\n")).concat());
    write("blocks/5.json", made(5).block.to_string());
    write("receipts/5.json", answer(&made(5).receipts).to_string());
    write("traces/5.json", traces(made(5)).answer.get().to_owned());
    write("README.md", "not a block".to_owned());
    let mut to = writer();
    let imported = import_files(&[dir.path().to_owned()], &mut to, true).expect("good files");
    assert_eq!((imported.n_blocks, imported.n_stretches, imported.n_traced), (5, 1, 1));
    let tape = load(&to.finish().expect("memory is writable")).expect("a good tape");
    let read: Vec<_> = tape.stretches[0].blocks.iter().map(|block| block.block.at.hash).collect();
    assert_eq!(read, chain.canonical[1..6]);
    assert_eq!(tape.stretches[0].blocks[4].traces, Some(traces(made(5))));
}

#[test]
fn everything_amiss_is_told_at_once_with_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let chain = Chain::new(30);
    // Blocks with transactions: one without needs no receipts.
    let busy = |made: &&Made| !fetched(made).block.txs.is_empty();
    let busy: Vec<&Made> = (1..30).filter_map(|n| chain.numbered(n)).filter(busy).collect();
    let pair = |made: &Made| json!({ "block": made.block, "receipts": made.receipts });
    let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).expect("it is writable");
    let error = json!({ "error": { "code": -32000 } });
    write("a.jsonl", format!("{}\n{{\"block\": 1,\n{error}\nnull\n", pair(busy[0])));
    let mut short = pair(busy[1]);
    short["receipts"] = json!([]);
    write("b.json", short.to_string());
    write("c.json", busy[2].block.to_string());
    let mut traced = pair(busy[3]);
    traced["traces"] = json!([{ "txHash": keccak256("another"), "result": {} }]);
    write("d.json", traced.to_string());
    write("e.json", pair(busy[0]).to_string());
    write("f.json", busy[4].receipts.to_string());
    let number = |place: usize| busy[place].link.at.number;
    let failed = import_files(&[dir.path().to_owned()], &mut writer(), true).expect_err("nothing is right with them");
    let ImportError::Flaws(flaws) = failed else { panic!("{failed}") };
    let told: Vec<String> =
        flaws.iter().map(|flaw| flaw.to_string().replace(&format!("{}/", dir.path().display()), "")).collect();
    for expected in [
        "a.jsonl:2: EOF while parsing an object".to_owned(),
        "a.jsonl:3: an error of the node stands where its answer should be".to_owned(),
        "a.jsonl:4: null: the node did not know what it was asked for".to_owned(),
        format!(
            "b.json:1: block {}: {} transactions came with 0 receipts",
            number(1),
            fetched(busy[1]).block.txs.len()
        ),
        format!("c.json:1: block {}: its receipts are in none of the files", number(2)),
        format!("d.json:1: block {}: ", number(3)),
        format!("e.json:1: block {} is in a.jsonl:1 already", number(0)),
        format!("f.json:1: receipts of block {}", busy[4].link.at.hash),
    ] {
        assert!(told.iter().any(|told| told.starts_with(&expected)), "{expected} is not in\n{}", told.join("\n"));
    }
}
