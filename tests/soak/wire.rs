//! An endpoint between the program and a live node, in our hands: it shows its own view of the node's chain, breaks as told, and
//! lies as told. In: a node's port, and what goes wrong. Out: a WebSocket, and a record of every lie that was said.

use super::fork::Fork;
use alloy_primitives::B256;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

/// Size of a block's JSON that no transport takes with its usual limit of 16 MiB a frame.
const HUGE_BYTES: usize = 17 << 20;
/// Longest that the node is waited for; after that the question stays unanswered.
const NODE_PATIENCE: Duration = Duration::from_secs(20);
/// Heads and answers that may wait for a slow client.
const WAITING_MAX: usize = 1_024;

/// One endpoint. Cloned freely; clones are the same.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Inner>);

struct Inner {
    name: &'static str,
    port: u16,
    node: u16,
    http: reqwest::Client,
    state: Mutex<State>,
    /// Counts up when all connections are cut, or fall silent.
    cuts: watch::Sender<u32>,
    stalls: watch::Sender<u32>,
    /// Questions whose answer is not written yet.
    open: AtomicUsize,
    heads: broadcast::Sender<String>,
}

#[derive(Default)]
struct State {
    view: View,
    refuses: bool,
    /// The next question is never answered, nor is anything after it on any connection.
    stalls_when_asked: bool,
    /// Subscriptions that are still to be refused.
    refusals: u32,
    lies: VecDeque<Lie>,
    slips: VecDeque<Slip>,
    said: Vec<Said>,
    slipped: Vec<Slip>,
}

/// What the endpoint takes for the canonical chain.
#[derive(Default)]
enum View {
    #[default]
    Node,
    /// The node's, without the newest blocks.
    Behind(u64),
    /// Another branch, which grows with the node's.
    Fork(Fork),
}

/// Something false. A root or a hash contradicts each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lie {
    EmptyReceipts,
    LogRemoved,
    LogAltered,
    StatusSwapped,
    ValueAltered,
    TxRemoved,
    /// An account has another balance than its proof shows.
    StateAltered,
}

/// Something that goes wrong with one answer, and that nobody could believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slip {
    WithoutId,
    NullNull,
    Limited,
    Unanswered,
    Slow,
    Huge,
}

/// A lie as it was said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) lie: Lie,
    /// Hash of the block it was about.
    pub(crate) about: B256,
}

impl Wire {
    /// An endpoint called `name` before the node at `node`, a port of this machine.
    pub(crate) async fn start(name: &'static str, node: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let wire = Self(Arc::new(Inner {
            name,
            port: listener.local_addr().expect("an address").port(),
            node,
            http: reqwest::Client::builder().no_proxy().timeout(NODE_PATIENCE).build().expect("a client"),
            state: Mutex::default(),
            cuts: watch::Sender::new(0),
            stalls: watch::Sender::new(0),
            open: AtomicUsize::new(0),
            heads: broadcast::channel(WAITING_MAX).0,
        }));
        tokio::spawn(wire.clone().announce());
        let server = wire.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                if !server.state(|state| state.refuses) {
                    tokio::spawn(server.clone().converse(socket));
                }
            }
        });
        wire
    }

    pub(crate) fn name(&self) -> &'static str {
        self.0.name
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.0.port)
    }

    // === The line ===

    /// Cuts every connection there is.
    pub(crate) fn cut(&self) {
        self.0.cuts.send_modify(|n| *n += 1);
    }

    /// Whether new connections are closed at once.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.state(|state| state.refuses = refuses);
    }

    /// Every connection falls silent without being closed, while no question is open on any, or after a while.
    pub(crate) async fn stall_idle(&self) {
        for _ in 0..200 {
            if self.0.open.load(Ordering::Relaxed) == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.0.stalls.send_modify(|n| *n += 1);
    }

    /// Every connection falls silent as soon as something is asked.
    pub(crate) fn stall_busy(&self) {
        self.state(|state| state.stalls_when_asked = true);
    }

    /// Cuts every connection, and refuses the next `n` subscriptions.
    pub(crate) fn refuse_subscriptions(&self, n: u32) {
        self.state(|state| state.refusals = n);
        self.cut();
    }

    // === Answers ===

    /// The next answer that this can be said in is false.
    pub(crate) fn lie(&self, lie: Lie) {
        self.state(|state| state.lies.push_back(lie));
    }

    /// The next answer about a block goes wrong.
    pub(crate) fn slip(&self, slip: Slip) {
        self.state(|state| state.slips.push_back(slip));
    }

    /// Stays so many blocks behind the node from now on.
    pub(crate) fn lag(&self, blocks: u64) {
        self.state(|state| state.view = View::Behind(blocks));
    }

    /// Takes another branch for the canonical one from now on.
    pub(crate) fn fork(&self, fork: Fork) {
        self.state(|state| state.view = View::Fork(fork));
    }

    /// Shows what the node shows.
    pub(crate) fn agree(&self) {
        self.state(|state| state.view = View::Node);
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        self.state(|state| {
            let (said, slipped) = (std::mem::take(&mut state.said), std::mem::take(&mut state.slipped));
            *state = State { said, slipped, ..State::default() };
        });
    }

    /// Lies that were said, oldest first.
    pub(crate) fn said(&self) -> Vec<Said> {
        self.state(|state| state.said.clone())
    }

    /// What else went wrong with answers.
    pub(crate) fn slipped(&self) -> Vec<Slip> {
        self.state(|state| state.slipped.clone())
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.state.lock().expect("nobody panics in there"))
    }

    // === Talking ===

    /// Carries one connection until either side has enough of it.
    async fn converse(self, socket: TcpStream) {
        let (mut cut, mut stall) = (self.0.cuts.subscribe(), self.0.stalls.subscribe());
        let Ok(socket) = tokio_tungstenite::accept_async(socket).await else { return };
        let (mut near, mut asked) = socket.split();
        let (tell, mut told) = mpsc::channel::<String>(WAITING_MAX);
        let mut heads = self.0.heads.subscribe();
        let mut subscribed = false;
        loop {
            let frame = tokio::select! {
                _ = cut.changed() => return,
                _ = stall.changed() => {
                    // The socket lives on, and nobody reads or writes it.
                    let _ = cut.changed().await;
                    return;
                }
                message = asked.next() => {
                    let text = match message {
                        Some(Ok(Message::Text(text))) => text,
                        Some(Ok(_)) => continue,
                        _ => return,
                    };
                    if self.state(|state| std::mem::take(&mut state.stalls_when_asked)) {
                        self.0.stalls.send_modify(|n| *n += 1);
                        continue;
                    }
                    let question: Value = serde_json::from_str(&text).expect("the program writes JSON");
                    if question["method"] == "eth_subscribe" {
                        match self.subscription(&question) {
                            Ok(frame) => {
                                subscribed = true;
                                frame
                            }
                            Err(frame) => frame,
                        }
                    } else {
                        let (wire, tell) = (self.clone(), tell.clone());
                        self.0.open.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(async move {
                            if let Some(frame) = wire.answer(&question).await {
                                let _ = tell.send(frame).await;
                            }
                            wire.0.open.fetch_sub(1, Ordering::Relaxed);
                        });
                        continue;
                    }
                }
                Some(frame) = told.recv() => frame,
                Ok(head) = heads.recv() => {
                    if !subscribed {
                        continue;
                    }
                    let params = format!(r#"{{"subscription":"0x1","result":{head}}}"#);
                    format!(r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{params}}}"#)
                }
            };
            if near.send(Message::text(frame)).await.is_err() {
                return;
            }
        }
    }

    fn subscription(&self, question: &Value) -> Result<String, String> {
        let refused = self.state(|state| state.refusals.checked_sub(1).map(|left| state.refusals = left)).is_some();
        let id = &question["id"];
        if refused { Err(error(id, -32_005, "too many subscriptions")) } else { Ok(result(id, &json!("0x1"))) }
    }

    /// The frame that answers a question; `None` for never.
    async fn answer(&self, question: &Value) -> Option<String> {
        let (id, method, params) = (&question["id"], question["method"].as_str()?, &question["params"]);
        let about_blocks = matches!(method, "eth_getBlockByHash" | "eth_getBlockReceipts" | "eth_getBlockByNumber");
        let whole = params[1] == true;
        let slip = self.state(|state| {
            let slip = *state.slips.front().filter(|slip| about_blocks && (**slip != Slip::Huge || whole))?;
            state.slips.pop_front();
            state.slipped.push(slip);
            Some(slip)
        });
        match slip {
            Some(Slip::WithoutId) => {
                return Some(r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse error"}}"#.to_owned());
            }
            Some(Slip::NullNull) => return Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":nullnull}}"#)),
            Some(Slip::Limited) => {
                return Some(error(id, -32_005, "daily request count exceeded, request rate limited"));
            }
            Some(Slip::Unanswered) => return None,
            Some(Slip::Slow) => tokio::time::sleep(Duration::from_millis(1_500)).await,
            Some(Slip::Huge) | None => {}
        }
        let mut answer = match self.seen(method, params).await? {
            Ok(answer) => answer,
            Err(refusal) => return Some(json!({ "jsonrpc": "2.0", "id": id, "error": refusal }).to_string()),
        };
        if slip == Some(Slip::Huge) && answer.is_object() {
            answer["padding"] = "0".repeat(HUGE_BYTES).into();
        }
        self.twist(method, params, &mut answer);
        Some(result(id, &answer))
    }

    /// What this endpoint's view of the chain answers: a result, or an error of JSON-RPC. `None` when the node says nothing.
    async fn seen(&self, method: &str, params: &Value) -> Option<Result<Value, Value>> {
        enum Shown {
            Node,
            UpTo(u64),
            This(Result<Value, Value>),
        }
        let behind = self.state(|state| if let View::Behind(blocks) = state.view { Some(blocks) } else { None });
        let shown = match behind {
            Some(blocks) => {
                let head = self.node("eth_blockNumber", &json!([])).await?.ok()?;
                Shown::UpTo(number(&head)?.saturating_sub(blocks))
            }
            None => self.state(|state| match &state.view {
                View::Fork(fork) => fork.answer(method, params).map_or(Shown::Node, Shown::This),
                _ => Shown::Node,
            }),
        };
        match shown {
            Shown::Node => self.node(method, params).await,
            Shown::This(answer) => Some(answer),
            Shown::UpTo(limit) => {
                let mut params = params.clone();
                if method == "eth_getBlockByNumber" && params[0] == "latest" {
                    params[0] = hex(limit);
                }
                let answer = self.node(method, &params).await?;
                let newer = match (method, &answer) {
                    ("eth_getBlockByNumber" | "eth_getBlockByHash", Ok(block)) => {
                        number(&block["number"]) > Some(limit)
                    }
                    ("eth_getBlockReceipts", Ok(receipts)) if receipts[0].is_object() => {
                        number(&receipts[0]["blockNumber"]) > Some(limit)
                    }
                    _ => false,
                };
                Some(if newer { Ok(Value::Null) } else { answer })
            }
        }
    }

    async fn node(&self, method: &str, params: &Value) -> Option<Result<Value, Value>> {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let asked = self.0.http.post(format!("http://127.0.0.1:{}", self.0.node)).json(&question).send().await;
        let mut answer: Value = asked.ok()?.json().await.ok()?;
        Some(match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["result"].take()),
        })
    }

    /// Says the next lie that fits into this answer.
    fn twist(&self, method: &str, params: &Value, answer: &mut Value) {
        let whole = params[1] == true;
        self.state(|state| {
            let Some(lie) = state.lies.front().copied() else { return };
            let about = match (method, lie) {
                ("eth_getBlockByHash" | "eth_getBlockByNumber", Lie::ValueAltered | Lie::TxRemoved) if whole => {
                    let about = answer["hash"].clone();
                    alter_block(answer, lie).then_some(about)
                }
                ("eth_getProof", Lie::StateAltered) if answer.is_object() => {
                    answer["balance"] = "0x2a2a2a".into();
                    Some(params[2]["blockHash"].clone())
                }
                ("eth_getBlockReceipts", Lie::ValueAltered | Lie::TxRemoved | Lie::StateAltered) => None,
                ("eth_getBlockReceipts", lie) => {
                    let about = answer[0]["blockHash"].clone();
                    alter_receipts(answer, lie).then_some(about)
                }
                _ => None,
            };
            if let Some(about) = about.and_then(|about| serde_json::from_value(about).ok()) {
                state.lies.pop_front();
                state.said.push(Said { lie, about });
            }
        });
    }

    // === New heads ===

    /// Announces every new head of this endpoint's view, for ever.
    async fn announce(self) {
        loop {
            let _ = self.announce_once().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn announce_once(&self) -> Option<()> {
        let (mut node, _) = tokio_tungstenite::connect_async(format!("ws://127.0.0.1:{}/", self.0.node)).await.ok()?;
        let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
        node.send(Message::text(subscribe)).await.ok()?;
        while let Some(Ok(message)) = node.next().await {
            let Message::Text(text) = message else { continue };
            let mut notice: Value = serde_json::from_str(&text).ok()?;
            if notice["method"] != "eth_subscription" {
                continue;
            }
            let head = notice["params"]["result"].take();
            let behind = self.state(|state| if let View::Behind(blocks) = state.view { Some(blocks) } else { None });
            let head = match behind {
                Some(blocks) => {
                    let older = hex(number(&head["number"])?.saturating_sub(blocks));
                    match self.node("eth_getBlockByNumber", &json!([older, false])).await {
                        Some(Ok(older)) => older,
                        _ => continue,
                    }
                }
                None => self.state(|state| match &mut state.view {
                    View::Fork(fork) => fork.grow(),
                    _ => head,
                }),
            };
            let _ = self.0.heads.send(head.to_string());
        }
        Some(())
    }
}

/// Changes whole transactions of a block. False where there is none to change.
fn alter_block(block: &mut Value, lie: Lie) -> bool {
    let Some(txs) = block["transactions"].as_array_mut().filter(|txs| !txs.is_empty()) else { return false };
    if lie == Lie::ValueAltered {
        txs[0]["value"] = "0x2a".into();
    } else {
        txs.pop();
    }
    true
}

/// Changes receipts so that their shape stays right. False where there is nothing to change.
fn alter_receipts(receipts: &mut Value, lie: Lie) -> bool {
    let Some(list) = receipts.as_array_mut().filter(|list| !list.is_empty()) else { return false };
    if lie == Lie::EmptyReceipts {
        list.clear();
        return true;
    }
    if lie == Lie::StatusSwapped {
        let status = &mut list[0]["status"];
        *status = if *status == "0x1" { "0x0" } else { "0x1" }.into();
        return true;
    }
    let logs = list.iter_mut().filter_map(|receipt| receipt["logs"].as_array_mut()).find(|logs| !logs.is_empty());
    let Some(logs) = logs else { return false };
    if lie == Lie::LogAltered {
        logs[0]["data"] = json!(B256::repeat_byte(0x42));
        return true;
    }
    logs.remove(0);
    let logs = list.iter_mut().filter_map(|receipt| receipt["logs"].as_array_mut()).flatten();
    for (log, index) in logs.zip(0u64..) {
        log["logIndex"] = hex(index);
    }
    true
}

fn result(id: &Value, answer: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{answer}}}"#)
}

fn error(id: &Value, code: i64, message: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string()
}

pub(crate) fn number(hex: &Value) -> Option<u64> {
    u64::from_str_radix(hex.as_str()?.strip_prefix("0x")?, 16).ok()
}

pub(crate) fn hex(n: u64) -> Value {
    format!("{n:#x}").into()
}
