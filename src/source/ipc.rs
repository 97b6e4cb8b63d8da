//! Unix socket of a node on this machine: a file instead of a port, which carries JSON documents one after the other.
//!
//! Nodes differ in the separator between two documents (geth and reth write a line break, others nothing), so a
//! document ends where its outermost bracket closes. Each byte is examined once, wherever the socket splits the stream.
//! A document that exceeds the largest answer, or that is not JSON, ends the connection, because the start of the next
//! document is then unknown.

use super::gauge::{BudgetedReader, ByteBudget};
use super::socket::Link;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use url::Url;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Buffer size that is kept between two documents; the extra memory of a large answer is released.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// Longest time that a node may accept no byte of a request. Waiting longer would not bring an answer sooner.
const WRITE_STALL_MAX: Duration = Duration::from_secs(10);

/// See the module documentation. Reading continues while a request is written, because a node may stop reading until
/// its own output is read.
pub(super) struct IpcLink {
    from: ReadHalf<BudgetedReader<UnixStream>>,
    to: WriteHalf<BudgetedReader<UnixStream>>,
    documents: JsonDocuments,
    /// Request being written, and the number of its bytes already sent.
    request: Vec<u8>,
    written: usize,
}

/// Splitter of a byte stream into documents.
#[derive(Debug, Default)]
struct JsonDocuments {
    bytes: Vec<u8>,
    /// Start of the document being read.
    start: usize,
    /// Index of the first byte that was not examined.
    at: usize,
    depth: usize,
    quoted: bool,
    escaped: bool,
}

/// Input that is not JSON-RPC.
#[derive(Debug, PartialEq, Eq)]
struct GarbledStream;

impl IpcLink {
    /// Opens the socket that an `ipc:` address names.
    pub(super) async fn open_socket(url: &Url, allowance: ByteBudget) -> io::Result<Self> {
        let path = url.to_file_path().map_err(|()| io::Error::other("no path of this machine"))?;
        let stream = UnixStream::connect(path).await?;
        let (from, to) = tokio::io::split(BudgetedReader::new(stream, allowance));
        Ok(Self { from, to, documents: JsonDocuments::default(), request: Vec::new(), written: 0 })
    }
}

impl Link for IpcLink {
    async fn step(&mut self, out: &mut VecDeque<String>) -> Result<Option<Vec<u8>>, ()> {
        loop {
            if let Some(document) = self.documents.next().map_err(|GarbledStream| ())? {
                return Ok(Some(document.to_vec()));
            }
            if self.request.is_empty()
                && let Some(text) = out.pop_front()
            {
                (self.request, self.written) = (text.into_bytes(), 0);
                self.request.push(b'\n');
            }
            self.documents.bytes.reserve(READ_BYTES);
            let write = tokio::time::timeout(WRITE_STALL_MAX, self.to.write(&self.request[self.written..]));
            tokio::select! {
                wrote = write, if !self.request.is_empty() => match wrote {
                    Ok(Ok(n)) if n > 0 => {
                        self.written += n;
                        if self.written == self.request.len() {
                            (self.request, self.written) = (Vec::new(), 0);
                        }
                    }
                    _ => return Err(()),
                },
                read = self.from.read_buf(&mut self.documents.bytes) => match read {
                    Ok(n) if n > 0 => {}
                    _ => return Err(()),
                },
            }
        }
    }
}

impl JsonDocuments {
    /// Returns the next complete document.
    fn next(&mut self) -> Result<Option<&[u8]>, GarbledStream> {
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
                _ => return Err(GarbledStream),
            }
        }
        self.discard_taken();
        Ok(None)
    }

    /// Drops the documents that were taken.
    fn discard_taken(&mut self) {
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
    use crate::source::intake::IntakeBudget;
    use crate::source::socket::Socket;
    use std::path::Path;
    use tokio::net::UnixListener;

    /// Returns the documents found in `text` when it arrives in pieces of `size` bytes.
    fn cut(text: &str, size: usize) -> Result<Vec<String>, GarbledStream> {
        let mut documents = JsonDocuments::default();
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
            assert_eq!(cut(text, 1), Err(GarbledStream), "{text}");
        }
    }

    #[test]
    fn a_large_answer_leaves_no_room_behind() {
        let mut documents = JsonDocuments::default();
        documents.bytes.extend_from_slice(format!("[\"{}\"]", "x".repeat(8 * KEPT_BYTES_MAX)).as_bytes());
        assert!(documents.next().expect("JSON").is_some());
        assert_eq!(documents.next(), Ok(None));
        assert!(documents.bytes.capacity() <= KEPT_BYTES_MAX, "{}", documents.bytes.capacity());
    }

    /// Room for the largest answer below, not for the endless one.
    const BYTES_MAX: usize = 5 << 20;

    /// Starts a node that reads one request and then runs `answer`, and returns a client of it.
    async fn node<F>(answer: impl FnOnce(UnixStream) -> F + Send + 'static) -> (tempfile::TempDir, Socket)
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
        (dir, connect(&path).await)
    }

    async fn connect(path: &Path) -> Socket {
        let url = Url::parse(&format!("ipc://{}", path.display())).expect("a URL");
        let allowance = ByteBudget::new(&IntakeBudget::default(), BYTES_MAX);
        let link = IpcLink::open_socket(&url, allowance.clone()).await.expect("it listens");
        Socket::serve_link(link, allowance, None)
    }

    async fn ask(client: &Socket) -> Option<String> {
        let text = r#"{"jsonrpc":"2.0","id":7,"method":"eth_chainId","params":[]}"#;
        client.send_request(7, text.to_owned(), BYTES_MAX).await.ok().map(|answer| answer.get().to_owned())
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
        let without_all = "{\"jsonrpc\":\"2.0\"}";
        for text in
            ["nullnull", "{\"id\":7,\"result\":nullnull}", without_all, "[]", &deep, &endless].map(str::to_owned)
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
        // The node reads a small part of the request, and the rest only after its answer is read in full.
        let (_dir, client) = node(|mut stream| async move {
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"{}\"}}", "0".repeat(4 << 20));
            let _ = stream.write_all(answer.as_bytes()).await;
            std::future::pending::<()>().await;
        })
        .await;
        let request = format!(r#"{{"id":7,"method":"eth_call","params":["{}"]}}"#, "1".repeat(4 << 20));
        let answer = client.send_request(7, request, BYTES_MAX).await.expect("an answer");
        assert_eq!(answer.get().len(), (4 << 20) + 2);
    }
}
