//! The wire between the program and its node, in our hands: a WebSocket proxy that can cut, stall, refuse and delay, and
//! that counts what was asked and not answered yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

/// Cloned freely; clones are the same proxy.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    node: u16,
    weather: Mutex<Weather>,
    /// Counts up when all connections are to be cut, or to fall silent.
    cuts: watch::Sender<u32>,
    stalls: watch::Sender<u32>,
    traffic: Mutex<Traffic>,
    next: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    refuses: bool,
    delay: Duration,
}

/// What was asked about blocks.
#[derive(Debug, Default)]
struct Traffic {
    /// Questions without an answer, by connection and id.
    open: HashMap<(u64, Value), Question>,
    /// Whole blocks and receipts that were answered, by the block's hash.
    answered: HashMap<String, Handed>,
}

#[derive(Clone, Debug)]
enum Question {
    Block,
    Receipts(String),
    Other,
}

#[derive(Clone, Copy, Debug, Default)]
struct Handed {
    number: Option<u64>,
    receipts: bool,
}

impl Proxy {
    /// A proxy before the node at `port` of this machine.
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let shared = Arc::new(Shared {
            node: port,
            weather: Mutex::default(),
            cuts: watch::Sender::new(0),
            stalls: watch::Sender::new(0),
            traffic: Mutex::default(),
            next: AtomicU64::new(0),
        });
        let proxy = Self { port: listener.local_addr().expect("an address").port(), shared: shared.clone() };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if !shared.weather().refuses {
                    tokio::spawn(connection(shared.clone(), near));
                }
            }
        });
        proxy
    }

    /// `ws://127.0.0.1:port` followed by `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    // === Faults ===

    /// Cuts every connection there is.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|n| *n += 1);
    }

    /// Lets every connection there is fall silent without closing it, as when the other end lost its power. New ones work.
    pub(crate) fn stall(&self) {
        self.shared.stalls.send_modify(|n| *n += 1);
    }

    /// Whether new connections are closed at once.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.shared.weather.lock().unwrap().refuses = refuses;
    }

    /// How long each answer of the node is held back.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.weather.lock().unwrap().delay = delay;
    }

    // === What is seen ===

    /// Forgets the traffic so far.
    pub(crate) fn forget(&self) {
        *self.shared.traffic.lock().unwrap() = Traffic::default();
    }

    /// How many questions about blocks are asked and not answered; a poll of the newest head is none.
    pub(crate) fn asking(&self) -> usize {
        let traffic = self.shared.traffic.lock().unwrap();
        traffic.open.values().filter(|question| !matches!(question, Question::Other)).count()
    }

    /// The highest block that was handed over whole, with its receipts.
    pub(crate) fn handed_over(&self) -> Option<u64> {
        let traffic = self.shared.traffic.lock().unwrap();
        traffic.answered.values().filter(|handed| handed.receipts).filter_map(|handed| handed.number).max()
    }
}

impl Shared {
    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap()
    }

    fn asked(&self, connection: u64, message: &Message) {
        let Some(request) = json(message) else { return };
        let params = &request["params"];
        let question = match request["method"].as_str().unwrap_or_default() {
            "eth_getBlockByHash" => Question::Block,
            "eth_getBlockByNumber" if params[0] != "latest" => Question::Block,
            "eth_getBlockReceipts" => Question::Receipts(params[0].as_str().unwrap_or_default().to_owned()),
            _ => Question::Other,
        };
        self.traffic.lock().unwrap().open.insert((connection, request["id"].clone()), question);
    }

    fn answered(&self, connection: u64, message: &Message) {
        let Some(answer) = json(message) else { return };
        let traffic = &mut *self.traffic.lock().unwrap();
        match traffic.open.remove(&(connection, answer["id"].clone())) {
            Some(Question::Block) => {
                let block = &answer["result"];
                let whole = block["transactions"].as_array().is_some_and(|txs| txs.iter().all(Value::is_object));
                if let (true, Some(hash), Some(number)) = (whole, block["hash"].as_str(), number(&block["number"])) {
                    traffic.answered.entry(hash.to_owned()).or_default().number = Some(number);
                }
            }
            Some(Question::Receipts(hash)) if answer["result"].is_array() => {
                traffic.answered.entry(hash).or_default().receipts = true;
            }
            _ => {}
        }
    }
}

/// Carries one connection until either side has enough of it.
async fn connection(shared: Arc<Shared>, near: TcpStream) {
    let id = shared.next.fetch_add(1, Ordering::Relaxed);
    let (mut cut, mut stall) = (shared.cuts.subscribe(), shared.stalls.subscribe());
    cut.mark_unchanged();
    stall.mark_unchanged();
    {
        let carried = carry(&shared, id, near);
        tokio::pin!(carried);
        tokio::select! {
            () = &mut carried => {}
            _ = cut.changed() => {}
            _ = stall.changed() => {
                // The sockets live on inside `carried`, and nobody reads or writes them.
                let _ = cut.changed().await;
            }
        }
    }
    shared.traffic.lock().unwrap().open.retain(|(connection, _), _| *connection != id);
}

async fn carry(shared: &Shared, id: u64, near: TcpStream) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", shared.node)).await else { return };
    let url = format!("ws://127.0.0.1:{}/", shared.node);
    let Ok((far, _)) = tokio_tungstenite::client_async(url, far).await else { return };
    let Ok(near) = tokio_tungstenite::accept_async(near).await else { return };
    let ((mut to_near, mut from_near), (mut to_far, mut from_far)) = (near.split(), far.split());
    let up = async {
        while let Some(Ok(message)) = from_near.next().await {
            shared.asked(id, &message);
            if to_far.send(message).await.is_err() {
                return;
            }
        }
    };
    let down = async {
        while let Some(Ok(message)) = from_far.next().await {
            tokio::time::sleep(shared.weather().delay).await;
            if to_near.send(message.clone()).await.is_err() {
                return;
            }
            shared.answered(id, &message);
        }
    };
    tokio::select! { () = up => {}, () = down => {} }
}

fn json(message: &Message) -> Option<Value> {
    let Message::Text(text) = message else { return None };
    serde_json::from_str(text).ok()
}

fn number(hex: &Value) -> Option<u64> {
    u64::from_str_radix(hex.as_str()?.strip_prefix("0x")?, 16).ok()
}
