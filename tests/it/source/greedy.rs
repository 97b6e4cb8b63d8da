//! Nodes that send far more than they were asked for: what is taken of it, and what the process holds.

use crate::support::chain::Chain;
use crate::support::fake_node::{FakeNode, patient};
use crate::support::follow::{Follow, at};
use alloy_primitives::B256;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use watchfire::model::{BlindnessKind, ChainId};
use watchfire::runtime::{Stop, SystemClock};
use watchfire::source::{Endpoint, Event, Node, NodeError, Options, Pool, RawText, Source, Window};

/// What the liar sends for one question, if it is let.
const ENDLESS: usize = 500 << 20;
/// Most of an answer that anybody takes.
const CEILING: usize = 64 << 20;

/// What the system's buffers between the two ends of a connection may hold: both grow up to what this machine allows.
fn in_transit() -> usize {
    let largest = |setting: &str| {
        let sizes = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{setting}")).expect("Linux says it");
        sizes
            .split_whitespace()
            .last()
            .and_then(|size| size.parse::<usize>().ok())
            .expect("least, usual and most bytes")
    };
    largest("tcp_rmem") + largest("tcp_wmem") + (1 << 20)
}

/// A node that says which chain it serves, and sends 500 MB for everything else.
struct Liar {
    url: String,
    sent: Arc<AtomicUsize>,
    _dir: tempfile::TempDir,
}

/// How it says it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// HTTP that says how much it is going to be.
    Announced,
    /// HTTP that does not.
    Chunked,
    /// One frame of a WebSocket.
    Frame,
    /// Many.
    Fragments,
    /// A document on a socket of this machine.
    Local,
}

const WAYS: [Way; 5] = [Way::Announced, Way::Chunked, Way::Frame, Way::Fragments, Way::Local];

/// Reads and writes.
trait Stream: AsyncReadExt + AsyncWrite + Unpin + Send {}
impl<T: AsyncReadExt + AsyncWrite + Unpin + Send> Stream for T {}

impl Liar {
    async fn start(way: Way) -> Self {
        let (dir, sent) = (tempfile::tempdir().expect("a directory"), Arc::new(AtomicUsize::new(0)));
        let counted = sent.clone();
        let url = if way == Way::Local {
            let path = dir.path().join("node.ipc");
            let listener = UnixListener::bind(&path).expect("a socket");
            tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    tokio::spawn(lie(socket, way, counted.clone()));
                }
            });
            format!("ipc://{}", path.display())
        } else {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
            let port = listener.local_addr().expect("an address").port();
            tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    tokio::spawn(lie(socket, way, counted.clone()));
                }
            });
            let scheme = if matches!(way, Way::Frame | Way::Fragments) { "ws" } else { "http" };
            format!("{scheme}://127.0.0.1:{port}")
        };
        Self { url, sent, _dir: dir }
    }
}

async fn lie(mut socket: impl Stream, way: Way, sent: Arc<AtomicUsize>) {
    let mut heard = Vec::new();
    loop {
        if socket.read_buf(&mut heard).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&heard).into_owned();
        let done = match way {
            Way::Announced | Way::Chunked => text.contains("\r\n\r\n") && text.ends_with('}'),
            Way::Local => text.ends_with('\n'),
            Way::Frame | Way::Fragments if text.contains("Upgrade") || text.contains("upgrade") => {
                if text.contains("\r\n\r\n") {
                    heard.clear();
                    if upgrade(&mut socket, &text).await.is_err() {
                        return;
                    }
                }
                continue;
            }
            // A client's frame with a mask: unmasked below.
            Way::Frame | Way::Fragments => true,
        };
        if !done {
            continue;
        }
        let question = match way {
            Way::Frame | Way::Fragments => unmasked(&heard),
            _ => text,
        };
        heard.clear();
        let id = question.split("\"id\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("0").to_owned();
        let told = if question.contains("eth_chainId") {
            say(&mut socket, way, &format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"0x1\"}}")).await
        } else {
            flood(&mut socket, way, &id, &sent).await
        };
        if told.is_err() {
            return;
        }
    }
}

async fn upgrade(socket: &mut impl Stream, head: &str) -> std::io::Result<()> {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.unwrap_or_default().as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    socket.write_all(answer.as_bytes()).await
}

/// The text of one short frame of a client.
fn unmasked(frame: &[u8]) -> String {
    let at = if frame[1] & 127 == 126 { 4 } else { 2 };
    let mask = &frame[at..at + 4];
    frame[at + 4..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| char::from(byte ^ mask)).collect()
}

async fn say(socket: &mut impl Stream, way: Way, text: &str) -> std::io::Result<()> {
    let front = match way {
        Way::Announced | Way::Chunked => {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len()).into_bytes()
        }
        Way::Frame | Way::Fragments => vec![0x81, u8::try_from(text.len()).expect("a short one")],
        Way::Local => vec![],
    };
    socket.write_all(&[&front[..], text.as_bytes()].concat()).await
}

async fn flood(socket: &mut impl Stream, way: Way, id: &str, sent: &AtomicUsize) -> std::io::Result<()> {
    let piece = vec![b'0'; 64 << 10];
    let begin = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"0x");
    match way {
        Way::Announced => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n{begin}");
            socket.write_all(head.as_bytes()).await?;
        }
        Way::Chunked => {
            let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{begin}\r\n", begin.len());
            socket.write_all(head.as_bytes()).await?;
        }
        Way::Frame => {
            let length = (ENDLESS as u64).to_be_bytes();
            socket.write_all(&[&[0x81, 127][..], &length, begin.as_bytes()].concat()).await?;
        }
        Way::Fragments => {
            socket
                .write_all(&[&[0x01, u8::try_from(begin.len()).expect("short")][..], begin.as_bytes()].concat())
                .await?;
        }
        Way::Local => socket.write_all(begin.as_bytes()).await?,
    }
    for _ in 0..ENDLESS / piece.len() {
        match way {
            Way::Chunked => socket.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?,
            Way::Fragments => {
                socket.write_all(&[&[0x00, 127][..], &(piece.len() as u64).to_be_bytes()].concat()).await?;
            }
            _ => {}
        }
        socket.write_all(&piece).await?;
        if way == Way::Chunked {
            socket.write_all(b"\r\n").await?;
        }
        sent.fetch_add(piece.len(), Ordering::Relaxed);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_taken_than_an_answer_can_be_over_any_transport() {
    for way in WAYS {
        let liar = Liar::start(way).await;
        let header = at(&liar.url, patient()).fetch_head().await;
        assert!(
            matches!(header, Err(NodeError::TooLarge { method: "eth_getBlockByNumber", .. })),
            "{way:?}: {header:?}"
        );
        let sent = liar.sent.swap(0, Ordering::Relaxed);
        assert!(sent < in_transit(), "a header, {way:?}: {sent}");
        let block = at(&liar.url, patient()).fetch_block(B256::repeat_byte(7), RawText::Dropped).await;
        assert!(block.is_err(), "{way:?}");
        // The block, and its receipts beside it; then a header for the hashes of its transactions.
        let sent = liar.sent.load(Ordering::Relaxed);
        assert!(sent < 3 * (CEILING + in_transit()), "a block, {way:?}: {sent}");
    }
}

/// What a node adds to each block here, in a field that nobody knows: a recorder keeps it.
const PADDING: usize = 2 << 20;
/// Blocks of this size that may be asked for and wait: 48 MB on their way to the pipeline, 16 MB ahead of what is next, the fetches under
/// way, and what is handed over.
const PADDED_MAX: usize = (48 + 16) / 2 + 16 + 4;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parsed_and_waits_is_bounded_by_its_bytes_and_none_of_it_is_lost() {
    let node = FakeNode::of(Chain::new(120));
    let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = asked.clone();
    node.bend(move |method, params, result| {
        if method.starts_with("eth_getBlockBy") && params[1] == true && result.is_object() {
            seen.lock().expect("nobody panics").insert(params[0].to_string());
            result["padding"] = "x".repeat(PADDING).into();
        }
        Ok(())
    });
    let pool = at(&node.serve().await.url("http"), patient()).into();
    let options = Options { raw_text: RawText::Kept, ..Options::for_chain(ChainId(1)) };
    let mut source = Source::follow_chain(pool, Window { first: 0, links: vec![] }, options, SystemClock, &Stop::new());
    // Nobody takes anything. On a slow machine fewer are asked for meanwhile, never more.
    let mut most = 0;
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        most = asked.lock().expect("nobody panics").len();
        assert!(most <= PADDED_MAX, "{most} blocks of {PADDING} bytes");
    }
    println!("{most} blocks of {PADDING} bytes were asked for while nobody took any");
    let mut numbers = Vec::new();
    while numbers.len() < node.tree.with(|chain| chain.canonical.len()) {
        if let Event::Step(step) = source.next().await.expect("it goes on") {
            assert!(step.retract.is_empty());
            numbers.extend(step.append.iter().map(|fetched| fetched.block.at.number));
        }
    }
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
}

/// Most that this process ever held, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("kilobytes") << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_of_endless_answers_beside_an_honest_endpoint_costs_no_block_and_little_room() {
    for way in WAYS {
        let (liar, honest) = (Liar::start(way).await, FakeNode::of(Chain::new(3)));
        let node = |name: &str, url: String| {
            let endpoint = Endpoint { name: name.into(), url: url.into() };
            (Node::new(&endpoint, ChainId(1), patient()).expect("a good address"), None)
        };
        let pool = Pool::new(vec![node("liar", liar.url.clone()), node("honest", honest.serve().await.url("http"))]);
        let mut follow = Follow::on(pool.expect("two nodes"), 1);
        follow.expect_all_of(&honest.tree).await;
        for _ in 0..5 {
            honest.grow(|chain| chain.extend(2));
            follow.expect_all_of(&honest.tree).await;
        }
        if !follow.told.iter().any(|told| told.endpoint.as_deref() == Some("liar")) {
            follow
                .until_event(|event| matches!(event, Event::Troubled(told) if told.endpoint.as_deref() == Some("liar")))
                .await;
        }
        let told = follow.told.iter().find(|told| told.endpoint.as_deref() == Some("liar")).expect("it was told");
        assert!(matches!(told.kind, BlindnessKind::RefusedBlock | BlindnessKind::EndpointDown), "{way:?}: {told:?}");
        assert!(told.why.contains("larger than"), "{way:?}: {told:?}");
    }
    // This program, its tests and the nodes together.
    assert!(peak() < 256 << 20, "{} MB", peak() >> 20);
}
