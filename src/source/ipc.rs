//! A node's own socket on this machine: a file instead of a port, and JSON documents one after the other on it.
//!
//! Nodes differ in what stands between two documents (geth and reth write a line break, others nothing), so a document ends
//! where its outermost bracket closes. Each byte is looked at once, however the socket cuts them, and a document that grows
//! beyond the largest answer, or that is none, ends the connection: what follows it could not be told apart any more.
//! alloy's transport does most of this, but reads without a bound, and does not read while it writes.

use alloy_json_rpc::PubSubItem;
use alloy_pubsub::{ConnectionHandle, ConnectionInterface, PubSubConnect};
use alloy_transport::{TransportErrorKind, TransportResult};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use url::Url;

/// How much is read at once.
const READ_BYTES: usize = 64 << 10;
/// Room for documents that is kept between two of them; a large answer leaves no more behind.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// How long a node may take no byte of a request. It would answer no sooner.
const WRITE_STALL_MAX: Duration = Duration::from_secs(10);

/// Opens a node's socket.
#[derive(Clone, Debug)]
pub(super) struct IpcConnect {
    path: PathBuf,
    /// Largest document taken, in bytes.
    bytes_max: usize,
}

/// Documents out of a stream of bytes.
#[derive(Debug, Default)]
struct Documents {
    bytes: Vec<u8>,
    /// Where the document begins that is being read.
    start: usize,
    /// The first byte that was not looked at.
    at: usize,
    depth: usize,
    quoted: bool,
    escaped: bool,
}

/// What came is no JSON-RPC.
#[derive(Debug, PartialEq, Eq)]
struct Garbled;

impl IpcConnect {
    /// The socket that an `ipc:` address names.
    pub(super) fn new(url: &Url, bytes_max: usize) -> TransportResult<Self> {
        let path = url.to_file_path().map_err(|()| TransportErrorKind::non_retryable_str("no path of this machine"))?;
        Ok(Self { path, bytes_max })
    }
}

impl PubSubConnect for IpcConnect {
    fn is_local(&self) -> bool {
        true
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        let stream = UnixStream::connect(&self.path).await.map_err(TransportErrorKind::custom)?;
        let (handle, interface) = ConnectionHandle::new();
        tokio::spawn(carry(stream, interface, self.bytes_max));
        Ok(handle)
    }
}

/// Carries requests out and documents in until either side has enough. Reading goes on while a request is written, since a
/// node may take nothing more before it could say what it has to say.
async fn carry(stream: UnixStream, mut interface: ConnectionInterface, bytes_max: usize) {
    let (mut from, mut to) = stream.into_split();
    let mut documents = Documents::default();
    let (mut request, mut written) = (Vec::new(), 0);
    loop {
        documents.bytes.reserve(READ_BYTES);
        tokio::select! {
            next = interface.recv_from_frontend(), if request.is_empty() => match next {
                Some(next) => {
                    request.extend_from_slice(next.get().as_bytes());
                    request.push(b'\n');
                }
                // Nobody is left to answer to.
                None => return,
            },
            wrote = tokio::time::timeout(WRITE_STALL_MAX, to.write(&request[written..])), if !request.is_empty() => match wrote {
                Ok(Ok(n)) if n > 0 => {
                    written += n;
                    if written == request.len() {
                        (request, written) = (Vec::new(), 0);
                    }
                }
                _ => return interface.close_with_error(),
            },
            read = from.read_buf(&mut documents.bytes) => {
                let more = matches!(read, Ok(n) if n > 0);
                if !more || hand_over(&mut documents, &interface, bytes_max).is_err() {
                    return interface.close_with_error();
                }
            }
        }
    }
}

/// Passes on every document that is complete.
fn hand_over(documents: &mut Documents, interface: &ConnectionInterface, bytes_max: usize) -> Result<(), Garbled> {
    while let Some(document) = documents.next()? {
        let item: PubSubItem = serde_json::from_slice(document).map_err(|_| Garbled)?;
        interface.send_to_frontend(item).map_err(|_| Garbled)?;
    }
    if documents.bytes.len() > bytes_max { Err(Garbled) } else { Ok(()) }
}

impl Documents {
    /// The next document that is here in full.
    fn next(&mut self) -> Result<Option<&[u8]>, Garbled> {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            self.at += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' if self.depth > 0 => self.quoted = !self.quoted,
                _ if self.quoted => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth == 1 => {
                    self.depth = 0;
                    let from = std::mem::replace(&mut self.start, self.at);
                    return Ok(Some(&self.bytes[from..self.at]));
                }
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                byte if self.depth > 0 || byte.is_ascii_whitespace() => {}
                _ => return Err(Garbled),
            }
        }
        self.forget();
        Ok(None)
    }

    /// Lets go of the documents that were taken.
    fn forget(&mut self) {
        self.bytes.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        if self.bytes.len() < KEPT_BYTES_MAX && self.bytes.capacity() > 2 * KEPT_BYTES_MAX {
            self.bytes.shrink_to(KEPT_BYTES_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_json_rpc::Request;
    use alloy_pubsub::PubSubFrontend;
    use std::path::Path;
    use tokio::net::UnixListener;

    /// What comes out of `text` when it arrives in pieces of `size` bytes.
    fn cut(text: &str, size: usize) -> Result<Vec<String>, Garbled> {
        let mut documents = Documents::default();
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            documents.bytes.extend_from_slice(piece);
            while let Some(document) = documents.next()? {
                out.push(String::from_utf8_lossy(document).trim().to_owned());
            }
        }
        Ok(out)
    }

    #[test]
    fn documents_end_where_their_outermost_bracket_closes_however_they_are_cut() {
        let text = "{\"a\":[1,{\"b\":\"}]\\\"{\\\\\"}]}\n{}\r\n  [ {\"c\":\"é\\u005d\"} ]{\"d\":1}{\"unfinished\":";
        let expected = ["{\"a\":[1,{\"b\":\"}]\\\"{\\\\\"}]}", "{}", "[ {\"c\":\"é\\u005d\"} ]", "{\"d\":1}"];
        for size in 1..=text.len() {
            assert_eq!(cut(text, size).expect("all of it is JSON"), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn what_begins_with_no_bracket_is_no_document() {
        for text in ["null", "{} x", "}", "\"a\"", "HTTP/1.1 400 Bad Request\r\n", "\u{0}{}"] {
            assert_eq!(cut(text, 1), Err(Garbled), "{text}");
        }
    }

    #[test]
    fn a_large_answer_leaves_no_room_behind() {
        let mut documents = Documents::default();
        documents.bytes.extend_from_slice(format!("[\"{}\"]", "x".repeat(8 * KEPT_BYTES_MAX)).as_bytes());
        assert!(documents.next().expect("JSON").is_some());
        assert_eq!(documents.next(), Ok(None));
        assert!(documents.bytes.capacity() <= KEPT_BYTES_MAX, "{}", documents.bytes.capacity());
    }

    /// Room for the largest answer below, not for the endless one.
    const BYTES_MAX: usize = 5 << 20;

    /// A node that reads one request and then does as told, and a client of it.
    async fn node<F>(answer: impl FnOnce(UnixStream) -> F + Send + 'static) -> (tempfile::TempDir, PubSubFrontend)
    where
        F: Future<Output = ()> + Send,
    {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("node.ipc");
        let listener = UnixListener::bind(&path).expect("a socket");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = [0; 256];
            let _ = stream.read(&mut request).await;
            answer(stream).await;
        });
        (dir, connect(&path, BYTES_MAX).await)
    }

    async fn connect(path: &Path, bytes_max: usize) -> PubSubFrontend {
        let connect = IpcConnect { path: path.to_owned(), bytes_max };
        crate::source::rpc::Once(connect).into_service().await.expect("it listens")
    }

    async fn ask(client: &PubSubFrontend) -> Option<String> {
        let request = Request::new("eth_chainId", 7u64.into(), [(); 0]).serialize().expect("it can be written");
        let response = client.send(request).await.ok()?;
        response.payload.as_success().map(|answer| answer.get().to_owned())
    }

    #[tokio::test]
    async fn an_answer_that_drips_byte_by_byte_arrives() {
        let (_dir, client) = node(|mut stream| async move {
            for byte in b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"0x1\"}\n" {
                let _ = stream.write_all(&[*byte]).await;
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(ask(&client).await.as_deref(), Some("\"0x1\""));
    }

    #[tokio::test]
    async fn whatever_is_no_answer_ends_the_connection_at_once() {
        let endless = format!("{{\"result\":\"{}", "0".repeat(2 * BYTES_MAX));
        let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
        let without_id = "{\"error\":{\"code\":1,\"message\":\"no id\"}}";
        for text in ["nullnull", "{\"id\":7,\"result\":nullnull}", without_id, "[]", &deep, &endless].map(str::to_owned)
        {
            let (_dir, client) = node(move |mut stream| async move {
                let _ = stream.write_all(text.as_bytes()).await;
                std::future::pending::<()>().await;
            })
            .await;
            assert_eq!(ask(&client).await, None);
        }
    }

    #[tokio::test]
    async fn a_node_that_goes_away_is_noticed_at_once() {
        let (_dir, client) = node(|stream| async move { drop(stream) }).await;
        assert_eq!(ask(&client).await, None);
    }

    #[tokio::test]
    async fn answers_are_read_while_a_request_cannot_be_written() {
        // The node reads a little of the request, and nothing more before its answer is taken in full.
        let (_dir, client) = node(|mut stream| async move {
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"{}\"}}", "0".repeat(4 << 20));
            let _ = stream.write_all(answer.as_bytes()).await;
            std::future::pending::<()>().await;
        })
        .await;
        let request =
            Request::new("eth_call", 7u64.into(), ["1".repeat(4 << 20)]).serialize().expect("it can be written");
        let response = client.send(request).await.expect("an answer");
        assert_eq!(response.payload.as_success().map(|answer| answer.get().len()), Some((4 << 20) + 2));
    }
}
