//! A node that misbehaves as told, over real sockets: WebSocket and HTTP on one port of the loopback interface.

use super::chain::{Chain, Made};
use alloy_primitives::B256;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio_tungstenite::tungstenite::Message;

/// What goes wrong. A count says how many more times.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    pub(crate) chain_id: u64,
    /// New connections are closed at once.
    pub(crate) refuses: bool,
    /// New connections are taken and never spoken to.
    pub(crate) stalls: bool,
    /// Nothing is sent any more, on any connection, and nothing is closed: a half-open socket.
    pub(crate) mute: bool,
    /// Subscribers hear nothing.
    pub(crate) silent: bool,
    pub(crate) subscribe_errors: u32,
    pub(crate) nulls_by_hash: u32,
    pub(crate) empty_receipts: u32,
    pub(crate) malformed: u32,
    pub(crate) without_id: u32,
    pub(crate) limited: u32,
    pub(crate) html: u32,
    pub(crate) unanswered: u32,
    pub(crate) other_block: u32,
    pub(crate) failing_polls: u32,
    /// Bytes added to every whole block.
    pub(crate) padding: usize,
    pub(crate) lacks_block_receipts: bool,
    /// Blocks by which the answer to `latest` is behind.
    pub(crate) lags: usize,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            chain_id: 1,
            refuses: false,
            stalls: false,
            mute: false,
            silent: false,
            subscribe_errors: 0,
            nulls_by_hash: 0,
            empty_receipts: 0,
            malformed: 0,
            without_id: 0,
            limited: 0,
            html: 0,
            unanswered: 0,
            other_block: 0,
            failing_polls: 0,
            padding: 0,
            lacks_block_receipts: false,
            lags: 0,
        }
    }
}

/// Cloned freely; clones are the same node.
#[derive(Clone)]
pub(crate) struct FakeNode {
    port: u16,
    state: Arc<Mutex<State>>,
    heads: broadcast::Sender<String>,
    /// Counts up when all connections are to be cut.
    cuts: Arc<watch::Sender<u32>>,
}

pub(crate) struct State {
    pub(crate) chain: Chain,
    pub(crate) faults: Faults,
    /// Methods asked, oldest first.
    pub(crate) asked: Vec<String>,
}

enum Reply {
    Text(String),
    Nothing,
}

impl FakeNode {
    pub(crate) async fn start(chain: Chain) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let node = Self {
            port: listener.local_addr().expect("an address").port(),
            state: Arc::new(Mutex::new(State { chain, faults: Faults::default(), asked: Vec::new() })),
            heads: broadcast::channel(4_096).0,
            cuts: Arc::new(watch::Sender::new(0)),
        };
        let served = node.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (refuses, stalls) = served.with(|state| (state.faults.refuses, state.faults.stalls));
                let (node, mut cut) = (served.clone(), served.cuts.subscribe());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    if refuses {
                        return;
                    }
                    let serving = async {
                        if stalls {
                            std::future::pending::<()>().await;
                        }
                        let mut first = [0; 4];
                        while socket.peek(&mut first).await.unwrap_or(4) < 4 {}
                        if &first == b"POST" { node.serve_http(socket).await } else { node.serve_socket(socket).await }
                    };
                    tokio::select! { () = serving => {}, _ = cut.changed() => {} }
                });
            }
        });
        node
    }

    /// Carries a key, as real ones do.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}/v3/0123456789abcdef", self.port)
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().expect("no test panics in there"))
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        self.with(|state| change(&mut state.faults));
    }

    /// Changes the chain and announces each new block, as a node would.
    pub(crate) fn grow(&self, change: impl FnOnce(&mut Chain)) {
        let heads = self.with(|state| {
            let before = state.chain.canonical.clone();
            change(&mut state.chain);
            let new = state.chain.canonical.iter().enumerate().filter(|(at, hash)| before.get(*at) != Some(*hash));
            let heads: Vec<String> = new.map(|(_, hash)| state.chain.blocks[hash].brief(false).to_string()).collect();
            if state.faults.silent { Vec::new() } else { heads }
        });
        for head in heads {
            let _ = self.heads.send(head);
        }
    }

    /// Waits until a client that subscribes knows its subscription: it then asks for the head a second time.
    pub(crate) async fn until_subscribed(&self) {
        let polls = |asked: &[String]| asked.iter().filter(|method| *method == "eth_getBlockByNumber").count();
        while self.with(|state| polls(&state.asked)) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn cut_all(&self) {
        self.cuts.send_modify(|n| *n += 1);
    }

    pub(crate) fn canonical(&self) -> Vec<B256> {
        self.with(|state| state.chain.canonical.clone())
    }

    async fn serve_socket(&self, socket: TcpStream) {
        let Ok(mut socket) = tokio_tungstenite::accept_async(socket).await else { return };
        let mut heads = self.heads.subscribe();
        let mut subscribed = false;
        loop {
            let reply = tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => match self.reply(&text, &mut subscribed) {
                        Reply::Text(reply) => reply,
                        Reply::Nothing => continue,
                    },
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
            if self.with(|state| state.faults.mute) {
                // Half open: we stop reading as well, so that pings go unanswered.
                std::future::pending::<()>().await;
            }
            if socket.send(Message::text(reply)).await.is_err() {
                return;
            }
        }
    }

    async fn serve_http(&self, socket: TcpStream) {
        let mut socket = BufReader::new(socket);
        loop {
            let mut length = 0;
            let mut line = String::new();
            loop {
                line.clear();
                if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            if socket.read_exact(&mut body).await.is_err() {
                return;
            }
            let (limited, html) = self.with(|state| (take(&mut state.faults.limited), take(&mut state.faults.html)));
            let (status, body) = if limited {
                ("429 Too Many Requests\r\nRetry-After: 0".to_owned(), "slow down".to_owned())
            } else if html {
                ("200 OK".to_owned(), "<html>maintenance</html>".to_owned())
            } else {
                match self.reply(&String::from_utf8_lossy(&body), &mut false) {
                    Reply::Text(reply) => ("200 OK".to_owned(), reply),
                    Reply::Nothing => std::future::pending().await,
                }
            };
            let response = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if socket.write_all(response.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn reply(&self, text: &str, subscribed: &mut bool) -> Reply {
        let request: Value = serde_json::from_str(text).expect("the client writes JSON");
        let (id, method) = (&request["id"], request["method"].as_str().unwrap_or_default());
        self.with(|state| {
            state.asked.push(method.to_owned());
            let faults = &mut state.faults;
            if faults.mute || take(&mut faults.unanswered) {
                return Reply::Nothing;
            }
            if method != "eth_chainId" {
                if take(&mut faults.malformed) {
                    return Reply::Text(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":nullnull}}"#));
                }
                if take(&mut faults.without_id) {
                    return Reply::Text(r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse error"}}"#.into());
                }
                if take(&mut faults.limited) {
                    return Reply::Text(error(id, -32005, "daily request count exceeded, request rate limited"));
                }
            }
            Reply::Text(match answer(state, method, &request["params"], subscribed) {
                Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string(),
                Err((code, message)) => error(id, code, &message),
            })
        })
    }
}

fn answer(state: &mut State, method: &str, params: &Value, subscribed: &mut bool) -> Result<Value, (i64, String)> {
    let State { chain, faults, .. } = state;
    let by_hash = |value: &Value| value.as_str().and_then(|hash| chain.blocks.get(&hash.parse::<B256>().ok()?));
    let shape = |made: &Made, whole: &Value, padding: usize| {
        if whole != &json!(true) {
            return made.brief(true);
        }
        let mut block = made.block.clone();
        block["extraData"] = format!("0x{}", "00".repeat(padding / 2)).into();
        block
    };
    match method {
        "eth_chainId" => Ok(format!("{:#x}", faults.chain_id).into()),
        "eth_subscribe" if take(&mut faults.subscribe_errors) => Err((-32000, "too many subscriptions".to_owned())),
        "eth_subscribe" => {
            *subscribed = true;
            Ok("0x1".into())
        }
        "eth_getBlockByNumber" if params[0] == "latest" && take(&mut faults.failing_polls) => {
            Err((-32000, "upstream timeout".to_owned()))
        }
        "eth_getBlockByNumber" if params[0] == "latest" => {
            let height = (chain.canonical.len() - 1).saturating_sub(faults.lags) as u64;
            Ok(chain.numbered(height).map_or(Value::Null, |made| shape(made, &params[1], 0)))
        }
        "eth_getBlockByNumber" if params[0] == "safe" || params[0] == "finalized" => Ok(Value::Null),
        "eth_getBlockByNumber" => {
            let digits = params[0].as_str().and_then(|text| text.strip_prefix("0x")).expect("hex");
            let number = u64::from_str_radix(digits, 16).expect("hex");
            Ok(chain.numbered(number).map_or(Value::Null, |made| shape(made, &params[1], faults.padding)))
        }
        "eth_getBlockByHash" if take(&mut faults.nulls_by_hash) => Ok(Value::Null),
        "eth_getBlockByHash" if take(&mut faults.other_block) => Ok(shape(chain.head(), &params[1], 0)),
        "eth_getBlockByHash" => {
            Ok(by_hash(&params[0]).map_or(Value::Null, |made| shape(made, &params[1], faults.padding)))
        }
        "eth_getBlockReceipts" if faults.lacks_block_receipts => {
            Err((-32601, "the method eth_getBlockReceipts does not exist".to_owned()))
        }
        "eth_getBlockReceipts" if take(&mut faults.empty_receipts) => Ok(json!([])),
        "eth_getBlockReceipts" => Ok(by_hash(&params[0]).map_or(Value::Null, |made| made.receipts.clone())),
        "eth_getTransactionReceipt" => {
            let receipts = chain.blocks.values().flat_map(|made| made.receipts.as_array().into_iter().flatten());
            Ok(receipts
                .into_iter()
                .find(|receipt| receipt["transactionHash"] == params[0])
                .cloned()
                .unwrap_or_default())
        }
        // What a call answers depends on its first byte; the block has to be named by its hash.
        "eth_call" => match (by_hash(&params[1]["blockHash"]), params[0]["data"].as_str()) {
            (None, _) => Err((-32000, "header not found".to_owned())),
            (_, Some("0x01")) => Err((3, "execution reverted".to_owned())),
            (_, Some("0x02")) => Err((-32000, "missing trie node".to_owned())),
            (Some(made), _) => Ok(json!(made.link.at.hash)),
        },
        _ => Err((-32601, format!("the method {method} does not exist"))),
    }
}

fn error(id: &Value, code: i64, message: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string()
}

fn take(count: &mut u32) -> bool {
    let some = *count > 0;
    *count = count.saturating_sub(1);
    some
}

/// Short, so that a test waits for a deadline in milliseconds.
pub(crate) fn deadlines() -> watchfire::source::Deadlines {
    let ms = Duration::from_millis;
    watchfire::source::Deadlines {
        connect: ms(300),
        subscribe: ms(300),
        silence: ms(400),
        keepalive: ms(200),
        head: ms(300),
        block: ms(2_000),
        call: ms(500),
        poll: (ms(20), ms(60)),
        confirm: ms(5),
        backoff: watchfire::runtime::Backoff::new(ms(5), ms(60)),
        blind: ms(300),
    }
}
