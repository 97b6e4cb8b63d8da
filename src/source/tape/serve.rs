//! A stretch of tape played back as a node: JSON-RPC over WebSocket on loopback.
//!
//! Its heads appear one after another, at the caller's pace, and nothing behind the newest of them can be seen. It answers what
//! is on the tape and refuses everything else; it never makes an answer up.

use super::{Stretch, TapeBlock};
use crate::model::ChainId;
use crate::model::read::{Answer, Read};
use crate::source::RawPair;
use alloy_primitives::{Address, B256, Bytes};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Connections served at once; further ones wait.
const CONNECTIONS_MAX: usize = 32;
/// Longest request, in bytes.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// When heads appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// All of them before the first connection.
    AtOnce,
    /// The first at once, then one after each of these pauses.
    Every(Duration),
    /// When [`TapeServer::reveal`] says so.
    ByHand,
}

/// A node that plays a tape. Dropping it closes its port.
#[derive(Debug)]
pub struct TapeServer {
    url: String,
    n_blocks: usize,
    revealed: Arc<watch::Sender<usize>>,
    _stop: DropGuard,
}

/// What is served.
struct Shelf {
    chain: ChainId,
    blocks: Vec<Shelved>,
    by_hash: HashMap<B256, usize>,
    by_tx: HashMap<B256, (usize, usize)>,
}

/// One block in all the shapes it is asked for in.
struct Shelved {
    number: u64,
    raw: RawPair,
    /// With hashes in place of transactions.
    brief: Box<RawValue>,
    /// Without transactions, as a subscription tells it.
    header: Box<RawValue>,
    receipts: Vec<Box<RawValue>>,
    reads: HashMap<Read, Answer>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(default)]
    params: Vec<Value>,
}

/// An error of JSON-RPC: code and message.
type Refusal = (i64, String);

impl TapeServer {
    /// Plays `stretch` on a free port of the loopback interface. A block whose text was not kept is an error.
    pub async fn start(chain: ChainId, stretch: Stretch, pace: Pace) -> io::Result<Self> {
        let shelf = Arc::new(Shelf::new(chain, stretch)?);
        let n_blocks = shelf.blocks.len();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("ws://{}", listener.local_addr()?);
        let begin = match pace {
            Pace::AtOnce => n_blocks,
            Pace::Every(_) => n_blocks.min(1),
            Pace::ByHand => 0,
        };
        let revealed = Arc::new(watch::Sender::new(begin));
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, shelf, revealed.clone())));
        if let Pace::Every(pause) = pace {
            tokio::spawn(stop.clone().run_until_cancelled_owned(reveal_all(revealed.clone(), n_blocks, pause)));
        }
        Ok(Self { url, n_blocks, revealed, _stop: stop.drop_guard() })
    }

    /// Where it is: `ws://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes the first `n` blocks visible; what is visible stays so.
    pub fn reveal(&self, n: usize) {
        let n = n.min(self.n_blocks);
        self.revealed.send_if_modified(|revealed| n > std::mem::replace(revealed, n.max(*revealed)));
    }

    /// Blocks visible now.
    #[must_use]
    pub fn revealed(&self) -> usize {
        *self.revealed.borrow()
    }
}

async fn reveal_all(revealed: Arc<watch::Sender<usize>>, n_blocks: usize, pause: Duration) {
    for n in 2..=n_blocks {
        tokio::time::sleep(pause).await;
        revealed.send_replace(n);
    }
}

async fn accept(listener: TcpListener, shelf: Arc<Shelf>, revealed: Arc<watch::Sender<usize>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Connections die with this future, which a server's end cancels.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                let (shelf, revealed) = (shelf.clone(), revealed.subscribe());
                connections.spawn(async move {
                    serve(socket, &shelf, revealed).await;
                    drop(place);
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until it ends or misbehaves.
async fn serve(socket: TcpStream, shelf: &Shelf, mut revealed: watch::Receiver<usize>) {
    let config =
        WebSocketConfig::default().max_message_size(Some(REQUEST_BYTES_MAX)).max_frame_size(Some(REQUEST_BYTES_MAX));
    let Ok(mut socket) = tokio_tungstenite::accept_async_with_config(socket, Some(config)).await else { return };
    let mut subscriptions: Vec<u64> = Vec::new();
    let mut n_subscribed = 0;
    let mut told = *revealed.borrow_and_update();
    loop {
        let replies = tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let visible = *revealed.borrow();
                    vec![reply(shelf, visible, &text, &mut subscriptions, &mut n_subscribed)]
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return,
            },
            changed = revealed.changed() => {
                if changed.is_err() {
                    return;
                }
                let visible = *revealed.borrow_and_update();
                let news = shelf.blocks.get(told..visible).unwrap_or_default();
                told = visible;
                news.iter().flat_map(|block| subscriptions.iter().map(|id| notification(*id, block))).collect()
            }
        };
        for text in replies {
            if socket.send(Message::text(text)).await.is_err() {
                return;
            }
        }
    }
}

fn notification(id: u64, block: &Shelved) -> String {
    let header = block.header.get();
    format!(
        r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{id:#x}","result":{header}}}}}"#
    )
}

fn reply(shelf: &Shelf, visible: usize, text: &str, subscriptions: &mut Vec<u64>, n_subscribed: &mut u64) -> String {
    let request: Request<'_> = match serde_json::from_str(text) {
        Ok(request) => request,
        Err(_) => return failure("null", -32600, "one request at a time, please"),
    };
    let id = request.id.map_or("null", RawValue::get);
    let answer = match request.method.as_str() {
        "eth_subscribe" if request.params.first().and_then(Value::as_str) == Some("newHeads") => {
            *n_subscribed += 1;
            subscriptions.push(*n_subscribed);
            Ok(raw(&format!("{:#x}", *n_subscribed)))
        }
        "eth_unsubscribe" => {
            let asked = request.params.first().and_then(Value::as_str).map(ToOwned::to_owned);
            let before = subscriptions.len();
            subscriptions.retain(|id| Some(format!("{id:#x}")) != asked);
            Ok(raw(&(subscriptions.len() < before)))
        }
        method => shelf.answer(visible, method, &request.params),
    };
    match answer {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, result.get()),
        Err((code, message)) => failure(id, code, &message),
    }
}

fn failure(id: &str, code: i64, message: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, json!({ "code": code, "message": message }))
}

impl Shelf {
    fn new(chain: ChainId, stretch: Stretch) -> io::Result<Self> {
        let mut shelf = Self { chain, blocks: Vec::new(), by_hash: HashMap::new(), by_tx: HashMap::new() };
        for block in stretch.blocks {
            let place = shelf.blocks.len();
            shelf.by_hash.insert(block.block.at.hash, place);
            shelf.by_tx.extend(block.block.txs.iter().enumerate().map(|(index, tx)| (tx.hash, (place, index))));
            shelf.blocks.push(Shelved::new(block)?);
        }
        Ok(shelf)
    }

    fn answer(&self, visible: usize, method: &str, params: &[Value]) -> Result<Box<RawValue>, Refusal> {
        let null = || RawValue::NULL.to_owned();
        let param = |n: usize| params.get(n).unwrap_or(&Value::Null);
        let whole = param(1).as_bool().unwrap_or(false);
        let shape = |block: &Shelved| if whole { block.raw.block.clone() } else { block.brief.clone() };
        match method {
            "eth_chainId" => Ok(raw(&format!("{:#x}", self.chain.0))),
            "net_version" => Ok(raw(&self.chain.0.to_string())),
            "web3_clientVersion" => Ok(raw(&concat!("watchfire-tape/", env!("CARGO_PKG_VERSION")))),
            "eth_blockNumber" => {
                let newest = self.newest(visible).map_or(0, |block| block.number);
                Ok(raw(&format!("{newest:#x}")))
            }
            "eth_getBlockByHash" | "eth_getBlockByNumber" => Ok(self.find(visible, param(0))?.map_or_else(null, shape)),
            "eth_getBlockReceipts" => {
                Ok(self.find(visible, param(0))?.map_or_else(null, |block| block.raw.receipts.clone()))
            }
            "eth_getTransactionReceipt" => {
                let hash: B256 = parsed(param(0))?;
                let place = self.by_tx.get(&hash).filter(|(place, _)| *place < visible);
                let receipt = place.and_then(|(place, index)| self.blocks.get(*place)?.receipts.get(*index));
                Ok(receipt.map_or_else(null, Clone::clone))
            }
            "eth_call" => self.call(visible, param(0), param(1)),
            _ => Err((-32601, format!("the method {method} does not exist on a tape"))),
        }
    }

    fn call(&self, visible: usize, call: &Value, at: &Value) -> Result<Box<RawValue>, Refusal> {
        #[derive(Deserialize)]
        struct Call {
            to: Address,
            #[serde(alias = "input")]
            data: Bytes,
        }
        let Call { to, data } = parsed(call)?;
        let block = self.find(visible, at)?.ok_or((-32000, "header not found".to_owned()))?;
        match block.reads.get(&Read { to, data }) {
            Some(Answer::Data(data)) => Ok(raw(data)),
            Some(Answer::Reverted) => Err((3, "execution reverted".to_owned())),
            Some(Answer::Unavailable) | None => Err((-32000, "this read is not on the tape".to_owned())),
        }
    }

    /// The visible block that a hash, a number, a tag or `{"blockHash": …}` names.
    fn find(&self, visible: usize, name: &Value) -> Result<Option<&Shelved>, Refusal> {
        let text = match name {
            Value::Object(name) => name.get("blockHash").or_else(|| name.get("blockNumber")).and_then(Value::as_str),
            name => name.as_str(),
        };
        let Some(text) = text else { return Err((-32602, "which block?".to_owned())) };
        if text.len() == 66 {
            let hash: B256 = text.parse().map_err(|_| (-32602, "not a hash".to_owned()))?;
            return Ok(self.by_hash.get(&hash).filter(|place| **place < visible).and_then(|at| self.blocks.get(*at)));
        }
        Ok(match text {
            "latest" | "pending" | "safe" | "finalized" => self.newest(visible),
            "earliest" => self.blocks.first().filter(|_| visible > 0),
            number => {
                let digits = number.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
                let number = digits.ok_or((-32602, "not a number in hex".to_owned()))?;
                let first = self.blocks.first().map_or(0, |block| block.number);
                let place = number.checked_sub(first).and_then(|place| usize::try_from(place).ok());
                place.filter(|place| *place < visible).and_then(|place| self.blocks.get(place))
            }
        })
    }

    fn newest(&self, visible: usize) -> Option<&Shelved> {
        self.blocks.get(visible.checked_sub(1)?)
    }
}

impl Shelved {
    fn new(block: TapeBlock) -> io::Result<Self> {
        let raw_pair = block.raw.ok_or_else(|| io::Error::other("the text of a block was not kept"))?;
        let mut fields: BTreeMap<&str, &RawValue> = serde_json::from_str(raw_pair.block.get())?;
        let hashes = to_raw_value(&block.block.txs.iter().map(|tx| tx.hash).collect::<Vec<_>>())?;
        fields.insert("transactions", &hashes);
        let brief = to_raw_value(&fields)?;
        for unheard in ["transactions", "uncles", "withdrawals", "size"] {
            fields.remove(unheard);
        }
        Ok(Self {
            number: block.block.at.number,
            brief,
            header: to_raw_value(&fields)?,
            receipts: serde_json::from_str(raw_pair.receipts.get())?,
            reads: block.reads.into_iter().collect(),
            raw: raw_pair,
        })
    }
}

fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Refusal> {
    T::deserialize(value).map_err(|_| (-32602, "invalid parameters".to_owned()))
}

/// Strings, numbers and byte strings always become JSON; should one not, the caller hears `null`.
fn raw<T: serde::Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
