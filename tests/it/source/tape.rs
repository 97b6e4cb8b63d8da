//! Tapes: what is written is read back, what is damaged is told by line, and a played tape is a node like any other.

use crate::support::chain::{Chain, Made};
use crate::support::fake_node::deadlines;
use crate::support::follow::Follow;
use alloy_primitives::{Address, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use serde_json::value::to_raw_value;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use watchfire::model::read::{Answer, Read};
use watchfire::model::{ChainId, Provenance};
use watchfire::source::{Endpoint, Event, Fetched, Node, RawPair, RawText};
use watchfire::tape::{Entry, Head, Pace, Reader, Tape, TapeServer, Writer, import_files};
use watchfire::wire;

pub(super) fn raw(made: &Made) -> RawPair {
    RawPair { block: to_raw_value(&made.block).expect("JSON"), receipts: to_raw_value(&made.receipts).expect("JSON") }
}

pub(super) fn fetched(made: &Made) -> Fetched {
    let raw = raw(made);
    let block = wire::parse_block(raw.block.get(), raw.receipts.get()).expect("a good block");
    Fetched { block, sight: Provenance::default(), gaps: vec![], raw: Some(raw) }
}

pub(super) fn reads() -> Vec<(Read, Answer)> {
    let read = |byte: u8| Read::Call { to: Address::repeat_byte(byte), data: Bytes::from(vec![byte]) };
    vec![
        (read(1), Answer::Data(Bytes::from_static(b"\x07"))),
        (read(2), Answer::Reverted),
        (read(3), Answer::Unavailable),
        (Read::Grants { by: Address::repeat_byte(4), since: 0 }, Answer::Data([[6; 52], [7; 52]].concat().into())),
    ]
}

/// Those, and questions that a played tape does not answer.
fn all_reads() -> Vec<(Read, Answer)> {
    let (tokens, by) = ([5, 6].map(Address::repeat_byte), Address::repeat_byte(4));
    let more = [
        (Read::Uses { token: tokens[0], by }, Answer::Data(Bytes::from_static(&[0; 32]))),
        (Read::UsedOf { tokens: tokens.into(), by }, Answer::Data(Bytes::from_static(&[6; 20]))),
    ];
    reads().into_iter().chain(more).collect()
}

pub(super) fn writer() -> Writer<Vec<u8>> {
    Writer::new(Vec::new(), &Head::new(ChainId(1), "a calm day")).expect("memory is writable")
}

/// A tape of these canonical blocks, the reads asked at each.
fn tape_of(chain: &Chain, numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut writer = writer();
    for number in numbers {
        let made = chain.numbered(number).expect("a canonical block");
        writer.write_block(made.link, &raw(made), &reads()).expect("memory is writable");
    }
    writer.finish().expect("memory is writable")
}

pub(super) fn load(bytes: &[u8]) -> Result<Tape, String> {
    Reader::new(bytes).and_then(Tape::from_reader).map_err(|error| error.to_string())
}

fn lines(lines: &[&str]) -> Vec<u8> {
    lines.join("\n").into_bytes()
}

#[test]
fn what_is_written_is_read_back() {
    let chain = Chain::new(4);
    let mut writer = writer();
    for number in 1..4 {
        writer.write_caption(&format!("block {number}\nfollows")).expect("memory is writable");
        let made = chain.numbered(number).expect("a canonical block");
        writer.write_block(made.link, &raw(made), &all_reads()).expect("memory is writable");
    }
    writer.write_caption("the end").expect("memory is writable");
    let tape = load(&writer.finish().expect("memory is writable")).expect("a good tape");
    assert_eq!(tape.head, Head::new(ChainId(1), "a calm day"));
    let [stretch] = tape.stretches.as_slice() else { panic!("one stretch") };
    assert_eq!(stretch.first_number(), Some(1));
    let captions: Vec<_> = stretch.captions().collect();
    assert_eq!(captions, [(0, "block 1\nfollows"), (1, "block 2\nfollows"), (2, "block 3\nfollows"), (3, "the end")]);
    for (block, number) in stretch.blocks.iter().zip(1..) {
        let made = chain.numbered(number).expect("a canonical block");
        assert_eq!(block.block, fetched(made).block);
        assert_eq!(block.raw, Some(raw(made)), "as the node wrote it");
        let answered = |(_, answer): &(Read, Answer)| *answer != Answer::Unavailable;
        let answered: Vec<_> = all_reads().into_iter().filter(answered).collect();
        assert_eq!((block.reads.len(), &block.reads), (5, &answered), "an answer that never came is not on the tape");
    }
}

#[test]
fn the_writer_marks_a_gap_and_the_reader_divides_there() {
    let tape = load(&tape_of(&Chain::new(9), [1, 2, 5, 6, 8])).expect("a good tape");
    assert_eq!(tape.stretches.iter().map(|stretch| stretch.blocks.len()).collect::<Vec<_>>(), [2, 2, 1]);
}

#[test]
fn a_hole_that_nobody_marked_is_an_error() {
    let chain = Chain::new(4);
    let line = |number| {
        let made = chain.numbered(number).expect("a canonical block");
        json!({ "block": made.block, "receipts": made.receipts }).to_string()
    };
    let holed = lines(&[r#"{"tape":1,"chain":1}"#, &line(1), "", &line(3)]);
    assert_eq!(
        load(&holed).expect_err("a hole"),
        "line 4: block 3 does not build on the block before it, and no gap is marked between them"
    );
    let marked = lines(&[r#"{"tape":1,"chain":1}"#, &line(1), r#"{"gap":true}"#, &line(3)]);
    assert_eq!(load(&marked).expect("plain text is a tape too").stretches.len(), 2);
}

#[test]
fn what_is_damaged_is_told_by_its_line() {
    let refusal = |bytes: &[u8]| load(bytes).expect_err("it is damaged");
    assert_eq!(refusal(b""), "this is not a tape: its first line does not say so");
    assert_eq!(refusal(b"\x1f\x8bnonsense").split(':').next(), Some("line 1"));
    assert_eq!(refusal(br#"{"block":{}}"#), "this is not a tape: its first line does not say so");
    assert_eq!(
        refusal(br#"{"tape":9,"chain":1}"#),
        "this is a tape of version 9, and only versions up to 2 can be played"
    );
    let unknown = refusal(&lines(&[r#"{"tape":1,"chain":1}"#, r#"{"caption":"a"}"#, r#"{"captoin":"b"}"#]));
    assert!(unknown.starts_with("line 3: unknown field `captoin`"), "{unknown}");
    let lonely = refusal(&lines(&[r#"{"tape":1,"chain":1}"#, r#"{"gap":true,"caption":"b"}"#]));
    assert_eq!(lonely, "line 2: neither a block with its receipts, nor a caption, nor another mark");

    let whole = tape_of(&Chain::new(40), 1..40);
    let half = whole.len() / 2;
    let broken = [&whole[..half], &[0x55; 64], &whole[half..]].concat();
    assert!(refusal(&broken).starts_with("line "), "a tape that is broken in the middle is no shorter tape");
    let spoilt = {
        let chain = Chain::new(4);
        let mut writer = writer();
        for number in 1..4 {
            let made = chain.numbered(number).expect("a canonical block");
            let receipts = if number == 2 { to_raw_value(&json!([])).expect("JSON") } else { raw(made).receipts };
            writer.write_block(made.link, &RawPair { receipts, ..raw(made) }, &[]).expect("memory is writable");
        }
        writer.finish().expect("memory is writable")
    };
    assert_eq!(refusal(&spoilt), "line 3: 3 transactions came with 0 receipts");
}

#[test]
fn reading_ends_at_the_first_error() {
    let mut reader = Reader::new(
        &br#"{"tape":1,"chain":1}
        {"caption":"a"}
        nonsense
        {"caption":"b"}"#[..],
    )
    .expect("a tape");
    assert!(matches!(reader.next(), Some(Ok(Entry::Mark(_)))));
    assert!(matches!(reader.next(), Some(Err(_))));
    assert!(reader.next().is_none());
}

#[test]
fn files_are_imported_by_number_whatever_their_order_and_spelling() {
    let dir = tempfile::tempdir().expect("a directory");
    let chain = Chain::new(9);
    let file = |name: &str, number: u64, gzip: bool, pretty: bool| -> PathBuf {
        let made = chain.numbered(number).expect("a canonical block");
        let pair = json!({ "block": made.block, "receipts": made.receipts });
        let text = if pretty { format!("{pair:#}") } else { pair.to_string() };
        let path = dir.path().join(name);
        let bytes = if gzip {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(text.as_bytes()).expect("memory is writable");
            packed.finish().expect("memory is writable")
        } else {
            text.into_bytes()
        };
        std::fs::write(&path, bytes).expect("the directory is writable");
        path
    };
    let files = [file("b.json", 7, false, true), file("a.json.gz", 2, true, false), file("c", 3, true, true)];
    let mut to = writer();
    let imported = import_files(&files, &mut to, true).expect("good files");
    assert_eq!((imported.n_blocks, imported.n_stretches), (3, 2));
    let tape = load(&to.finish().expect("memory is writable")).expect("a good tape");
    assert_eq!(tape.stretches.iter().map(|stretch| stretch.first_number()).collect::<Vec<_>>(), [Some(2), Some(7)]);

    let twice = import_files(&[files[0].clone(), file("d", 7, false, false)], &mut writer(), true)
        .expect_err("twice the same height");
    assert!(twice.to_string().contains("block 7 is in"), "{twice}");
    let absent = import_files(&[dir.path().join("absent")], &mut writer(), true).expect_err("no such file");
    assert!(absent.to_string().contains("absent: "), "{absent}");
}

#[tokio::test]
async fn a_played_tape_is_followed_like_any_node() {
    let chain = Chain::new(120);
    let tape = load(&tape_of(&chain, 5..120)).expect("a good tape");
    let stretch = tape.stretches[0].clone();
    let server = TapeServer::start(tape.head.chain, stretch.clone(), Pace::AtOnce).await.expect("a free port");
    let mut follow = Follow::at(server.url(), 5);
    let mut blocks = Vec::new();
    while blocks.len() < stretch.blocks.len() {
        if let Event::Step(step) = follow.next().await.expect("the source goes on") {
            assert!(step.retract.is_empty());
            blocks.extend(step.append.into_iter().map(|body| body.block));
        }
    }
    assert!(blocks.iter().eq(stretch.blocks.iter().map(|block| &block.block)), "the same blocks as on the tape");

    let asked: Vec<Read> = reads().into_iter().map(|(read, _)| read).collect();
    let answers = follow.source.answer_reads(blocks[0].at, &asked).await;
    assert_eq!(answers, reads().into_iter().map(|(_, answer)| answer).collect::<Vec<_>>());
    let tx = blocks.iter().flat_map(|block| &block.txs).next().expect("some transaction");
    let block = follow.source.pool().block_of(tx.hash).await.expect("a receipt");
    assert!(blocks.iter().any(|it| Some(it.at.hash) == block && it.txs.contains(tx)));
}

#[tokio::test]
async fn a_tape_shows_no_more_than_was_revealed() {
    let chain = Chain::new(10);
    let tape = load(&tape_of(&chain, 1..10)).expect("a good tape");
    let server = TapeServer::start(ChainId(1), tape.stretches[0].clone(), Pace::ByHand).await.expect("a free port");
    let endpoint = Endpoint { name: "tape".into(), url: server.url().to_owned().into() };
    let node = Node::new(&endpoint, ChainId(1), deadlines()).expect("a good address");
    assert_eq!(node.fetch_head().await.expect("an answer"), None);
    let mut follow = Follow::at(server.url(), 1);
    for n in [1, 3, 9] {
        server.reveal_scenes(n);
        server.reveal_scenes(1);
        assert_eq!(server.revealed_count(), n);
        follow.until(chain.canonical[n]).await;
        let hidden = chain.canonical.get(n + 1).copied().unwrap_or_default();
        assert!(node.fetch_block(hidden, RawText::Dropped).await.is_err());
    }
}

#[tokio::test]
async fn a_tape_can_be_played_at_a_pace() {
    let chain = Chain::new(6);
    let tape = load(&tape_of(&chain, 1..6)).expect("a good tape");
    let pace = Pace::Every(Duration::from_millis(5));
    let server = TapeServer::start(ChainId(1), tape.stretches[0].clone(), pace).await.expect("a free port");
    let mut follow = Follow::at(server.url(), 1);
    follow.until(chain.canonical[5]).await;
    assert_eq!(follow.links.len(), 5);
}
