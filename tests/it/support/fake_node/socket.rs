//! The node over real sockets: WebSocket and HTTP on one port of the loopback interface.

use super::answers::Reply;
use super::{FakeNode, Fault};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_tungstenite::tungstenite::Message;

/// Where a node is served.
pub(crate) struct Served {
    port: u16,
}

impl Served {
    /// Carries a key, as real ones do.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}/v3/0123456789abcdef", self.port)
    }
}

impl FakeNode {
    /// Serves this node until the runtime ends.
    pub(crate) async fn serve(&self) -> Served {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let node = self.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (node, mut cut) = (node.clone(), node.cuts());
                tokio::spawn(async move {
                    tokio::select! { () = node.converse(socket) => {}, _ = cut.changed() => {} }
                });
            }
        });
        Served { port }
    }

    /// Serves this node on a socket of this machine, in a directory that is to be kept, until the runtime ends.
    pub(crate) fn serve_on_this_machine(&self) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("node.ipc");
        let listener = UnixListener::bind(&path).expect("a socket");
        let node = self.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let node = node.clone();
                tokio::spawn(async move { node.serve_local(socket).await });
            }
        });
        (dir, format!("ipc://{}", path.display()))
    }

    async fn serve_local(&self, socket: UnixStream) {
        let (from, mut to) = socket.into_split();
        let (mut lines, mut heads) = (BufReader::new(from).lines(), self.state(|state, _| state.heads.subscribe()));
        let mut subscribed = false;
        loop {
            let text = tokio::select! {
                line = lines.next_line() => {
                    let Ok(Some(line)) = line else { return };
                    let question: Value = serde_json::from_str(&line).expect("the client writes JSON");
                    let Some(frame) = self.frame(&question).await else { continue };
                    subscribed |= question["method"] == "eth_subscribe";
                    self.dressed(frame).0
                }
                head = heads.recv() => match head {
                    Ok(head) if subscribed => format!(
                        r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"0x1","result":{head}}}}}"#
                    ),
                    _ => continue,
                }
            };
            if to.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn converse(&self, socket: TcpStream) {
        let (refuses, stalls) =
            self.state(|state, _| (state.script.take(&Fault::Refuses), state.script.take(&Fault::Stalls)));
        if refuses {
            return;
        }
        if stalls {
            std::future::pending::<()>().await;
        }
        self.until_thawed().await;
        let mut first = [0; 4];
        while socket.peek(&mut first).await.unwrap_or(4) < 4 {}
        if &first == b"POST" { self.serve_http(socket).await } else { self.serve_socket(socket).await }
    }

    async fn serve_socket(&self, socket: TcpStream) {
        let Ok(mut socket) = tokio_tungstenite::accept_async(socket).await else { return };
        let mut heads = self.state(|state, _| state.heads.subscribe());
        let mut subscribed = false;
        loop {
            let text = tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let question: Value = serde_json::from_str(&text).expect("the client writes JSON");
                        match self.frame(&question).await {
                            Some(frame) => {
                                subscribed |= question["method"] == "eth_subscribe" && !frame.contains("\"error\"");
                                frame
                            }
                            None => continue,
                        }
                    }
                    Some(Ok(_)) => continue,
                    _ => return,
                },
                head = heads.recv() => match head {
                    Ok(head) if subscribed => format!(
                        r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"0x1","result":{head}}}}}"#
                    ),
                    _ => continue,
                }
            };
            self.until_thawed().await;
            if self.is_mute() {
                // Half open: we stop reading as well, so that pings go unanswered.
                std::future::pending::<()>().await;
            }
            let message = match self.dressed(text) {
                (text, true) => Message::binary(text.into_bytes()),
                (text, false) => Message::text(text),
            };
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }

    /// What goes back over a WebSocket; nothing, if the question is never answered.
    async fn frame(&self, question: &Value) -> Option<String> {
        if let Some(questions) = question.as_array() {
            let mut frames = Vec::new();
            for question in questions {
                frames.push(Box::pin(self.frame(question)).await?);
            }
            return Some(format!("[{}]", frames.join(",")));
        }
        let id = &question["id"];
        let (reply, slow) = self.reply(question["method"].as_str().unwrap_or_default(), &question["params"]);
        tokio::time::sleep(slow).await;
        match reply {
            Reply::Limited(_) => Some(error(id, -32005, "daily request count exceeded, request rate limited")),
            Reply::Garbled(Fault::WithoutId) => Some(WITHOUT_ID.to_owned()),
            Reply::Garbled(Fault::Unpaid) => Some(error(id, -32003, "payment required")),
            Reply::Garbled(Fault::Html) => Some("<html>maintenance</html>".to_owned()),
            Reply::Garbled(Fault::BadGzip) => Some("\u{1f}\u{8b}garbage".to_owned()),
            reply => json_rpc(id, reply),
        }
    }

    async fn serve_http(&self, socket: TcpStream) {
        let mut socket = BufReader::new(socket);
        while let Some(body) = request(&mut socket).await {
            self.until_thawed().await;
            let question: Value = serde_json::from_slice(&body).expect("the client writes JSON");
            let (status, body) = if question.is_array() {
                ("200 OK", self.frame(&question).await)
            } else {
                let (reply, slow) = self.reply(question["method"].as_str().unwrap_or_default(), &question["params"]);
                tokio::time::sleep(slow).await;
                match reply {
                    Reply::Limited(after) => {
                        let status = format!("429 Too Many Requests\r\nRetry-After: {after}");
                        if respond(&mut socket, &status, "slow down").await.is_err() {
                            return;
                        }
                        continue;
                    }
                    Reply::Garbled(Fault::WithoutId) => ("200 OK", Some(WITHOUT_ID.to_owned())),
                    Reply::Garbled(Fault::Unpaid) => {
                        ("402 Payment Required", Some("the day's credit is spent".to_owned()))
                    }
                    Reply::Garbled(Fault::Html) => ("200 OK", Some("<html>maintenance</html>".to_owned())),
                    Reply::Garbled(Fault::BadGzip) => ("200 OK\r\nContent-Encoding: gzip", Some("garbage".to_owned())),
                    reply => ("200 OK", json_rpc(&question["id"], reply)),
                }
            };
            self.until_thawed().await;
            let Some(body) = body else { return std::future::pending().await };
            let (body, _) = self.dressed(body);
            if respond(&mut socket, status, &body).await.is_err() {
                return;
            }
        }
    }
}

/// An error that does not say to which question.
const WITHOUT_ID: &str = r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse error"}}"#;

/// The body of one POST; `None` when the client has gone.
async fn request(socket: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let (mut length, mut line) = (0, String::new());
    while line != "\r\n" {
        line.clear();
        if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(body)
}

async fn respond(socket: &mut BufReader<TcpStream>, status: &str, body: &str) -> std::io::Result<()> {
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    socket.write_all(response.as_bytes()).await
}

/// What is said the same way over any socket.
fn json_rpc(id: &Value, reply: Reply) -> Option<String> {
    match reply {
        Reply::Result(result) => Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)),
        Reply::Refused(code, message) => Some(error(id, code, &message)),
        Reply::Garbled(_) => Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":nullnull}}"#)),
        Reply::Limited(_) | Reply::Nothing => None,
    }
}

fn error(id: &Value, code: i64, message: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string()
}
