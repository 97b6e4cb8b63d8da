//! What stands around an answer, as servers differ in it: the same over HTTP, over a WebSocket and over a node's own socket.

use crate::support::chain::Chain;
use crate::support::fake_node::{Dress, FakeNode, deadlines};
use crate::support::follow::{Follow, at};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// How an answer is written, and whether in binary frames where there are frames.
const DRESSES: &[(&str, Dress, bool)] = &[
    ("as it is", |message| message.to_string(), false),
    ("in binary frames", |message| message.to_string(), true),
    ("an error that is null", |message| with(message, "error", Value::Null), false),
    ("a result that is null beside an error", |message| with(message, "result", Value::Null), false),
    ("a number as text", |message| renumbered(message, |id| id.to_string().into()), false),
    ("a number with a fraction", |message| renumbered(message, |id| json!(id as f64)), false),
    (
        "without a version",
        |mut message| {
            message.as_object_mut().map(|message| message.remove("jsonrpc"));
            message.to_string()
        },
        false,
    ),
    ("with more to say", |message| with(message, "usage", json!({ "result": [{}], "id": 0 })), false),
    (
        "the result first",
        |message| {
            let key = if message["error"].is_null() { "result" } else { "error" };
            format!(r#"{{"{key}":{},"id":{},"jsonrpc":"2.0"}}"#, message[key], message["id"])
        },
        false,
    ),
    ("white space all around", |message| format!(" \r\n\t{message:#}\r\n\n"), false),
    ("as a batch of one", |message| format!("[{message}]"), false),
];

/// As it was, with this member where it is not there yet.
fn with(mut message: Value, member: &str, value: Value) -> String {
    if message.get(member).is_none() {
        message[member] = value;
    }
    message.to_string()
}

fn renumbered(mut message: Value, number: fn(u64) -> Value) -> String {
    if let Some(id) = message["id"].as_u64() {
        message["id"] = number(id);
    }
    message.to_string()
}

#[tokio::test]
async fn answers_are_read_alike_over_every_transport_however_they_are_written() {
    for (name, dress, binary) in DRESSES {
        for scheme in ["http", "ws", "ipc"] {
            let node = FakeNode::of(Chain::new(4));
            node.dress(*dress, *binary);
            let (_dir, url) = match scheme {
                "ipc" => node.serve_on_this_machine(),
                _ => (tempfile::tempdir().expect("a directory"), node.serve().await.url(scheme)),
            };
            let mut follow = Follow::within(&url, 1, deadlines());
            let all = tokio::time::timeout(crate::support::follow::PATIENCE, follow.expect_all_of(&node.tree)).await;
            assert!(all.is_ok(), "{name} over {scheme}: {:?}", follow.told);
            node.grow(|chain| chain.extend(2));
            follow.expect_all_of(&node.tree).await;
            assert!(follow.told.is_empty(), "{name} over {scheme}: {:?}", follow.told);
        }
    }
}

#[tokio::test]
async fn credentials_of_an_address_are_the_same_header_over_http_and_websocket() {
    for scheme in ["http", "ws"] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let node = at(&format!("{scheme}://us%40er:p%3A%25ss@127.0.0.1:{port}/v3"), deadlines());
        let heard = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a client");
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                socket.read_buf(&mut head).await.expect("a request");
            }
            let _ = socket.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
            String::from_utf8_lossy(&head).into_owned()
        });
        let error = node.fetch_head().await.expect_err("nobody is let in").to_string();
        let head = heard.await.expect("it was heard");
        // base64 of `us@er:p:%ss`
        assert!(head.to_ascii_lowercase().contains("authorization: basic dxnazxi6cdolc3m="), "{scheme}: {head}");
        assert!(!head.contains("p%3A") && !error.contains("p%3A"), "{scheme}: {head} {error}");
    }
}
