//! Transactions that nodes announce before a block holds them.
//!
//! Comes in: the endpoints of a chain, and a filter for the transactions of interest. Goes out: each such transaction,
//! once, with its hash verified against its fields and its sender recovered from its signature. Never here: a
//! guarantee. Announcements are free and unlimited, so everything is bounded; when there are too many, the oldest are
//! dropped and counted.
//!
//! The cheapest way that a node supports is used: a subscription to whole transactions, a subscription to hashes, or a
//! filter that is polled. A transaction announced by its hash is requested from the node that announced it.

use super::node::Node;
use super::pool::Pool;
use super::quorum::EndpointId;
use super::rpc::NodeError;
use super::verify;
use crate::model::Tx;
use crate::runtime::Stop;
use crate::wire;
use alloy_primitives::B256;
use futures::StreamExt as _;
use serde_json::value::RawValue;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::DropGuard;
use tracing::{debug, info, warn};

/// Number of announcements that may wait: a few minutes of mainnet, which announces about twenty a second.
pub const BACKLOG_MAX: usize = 4_096;
/// Total bytes of the whole transactions among them. Nodes accept transactions of up to 128 KiB, and few exceed one.
pub const BACKLOG_BYTES_MAX: usize = 64 << 20;
/// Number of hashes remembered to recognize repeated announcements: about an hour of mainnet, 2 MiB.
const KNOWN_MAX: usize = 65_536;
/// Number of transactions that may wait for evaluation; beyond that, announcements wait in the backlog.
const FOUND_MAX: usize = 64;
/// Number of announcements processed at the same time, for nodes that announce hashes.
const LOOKS_AT_ONCE: usize = 4;
/// Interval between polls of a filter.
const POLL: Duration = Duration::from_secs(1);
/// Pause before a node that announces nothing is asked again: an upgrade or another plan takes effect without notice.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// Returns whether a transaction is worth evaluating. At this point the sender is the one that the node reports.
pub type Interest = Arc<dyn Fn(&Tx) -> bool + Send + Sync>;

/// Transactions announced by the endpoints of a chain. Dropping it ends its subscriptions.
pub struct Mempool {
    found: mpsc::Receiver<Tx>,
    backlog: Arc<Backlog>,
    _stop: DropGuard,
}

/// Announcements that are not processed yet.
#[derive(Default)]
struct Backlog {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    line: VecDeque<Announced>,
    bytes: usize,
    known: HashSet<B256>,
    /// The same hashes, oldest first.
    order: VecDeque<B256>,
    dropped: u64,
}

/// Announced transaction.
#[derive(Debug)]
struct Announced {
    by: EndpointId,
    hash: B256,
    /// Whole transaction; absent if only the hash was announced.
    whole: Option<Box<RawValue>>,
}

impl Mempool {
    /// Subscribes to all endpoints of `pool` until `stop`, or until it is dropped.
    #[must_use]
    pub fn spawn_listeners(pool: &Pool, interest: &Interest, stop: &Stop) -> Self {
        let stop = stop.child_token();
        let backlog = Arc::new(Backlog::default());
        let (tell, found) = mpsc::channel(FOUND_MAX);
        for (voice, node) in pool.nodes().enumerate() {
            tokio::spawn(listen_to_node(voice, node, backlog.clone(), stop.clone()));
        }
        tokio::spawn(look_through(pool.clone(), backlog.clone(), interest.clone(), tell, stop.clone()));
        Self { found, backlog, _stop: stop.drop_guard() }
    }

    /// Returns transactions of interest, at least one and at most `n`; none once it has stopped. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self, n: usize) -> Vec<Tx> {
        let mut found = Vec::new();
        self.found.recv_many(&mut found, n).await;
        found
    }

    /// Returns the number of announcements that wait, and the most that may wait.
    #[must_use]
    pub fn queue_depth(&self) -> (usize, usize) {
        (self.backlog.lock_waiting().line.len(), BACKLOG_MAX)
    }

    /// Returns the number of announcements dropped so far, because there were too many or because a node's subscription
    /// lagged.
    #[must_use]
    pub fn dropped_count(&self) -> u64 {
        self.backlog.lock_waiting().dropped
    }
}

impl Backlog {
    /// Queues an announcement, unless it was announced before; when there are too many, the oldest are dropped.
    fn push_announcement(&self, by: EndpointId, announcement: &RawValue) -> Result<(), wire::ParseError> {
        let hash = wire::parse_announced_hash(announcement.get())?;
        // A hash in quotes has 68 characters.
        let whole = (announcement.get().len() > 68).then(|| announcement.to_owned());
        self.lock_waiting().push(Announced { by, hash, whole });
        self.more.notify_one();
        Ok(())
    }

    async fn next(&self) -> Announced {
        loop {
            let more = self.more.notified();
            if let Some(next) = self.lock_waiting().pop() {
                // Other waiting tasks continue with the rest.
                self.more.notify_one();
                return next;
            }
            more.await;
        }
    }

    fn add_dropped(&self, n: u64) {
        self.lock_waiting().dropped += n;
    }

    fn lock_waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, announced: Announced) {
        if !self.known.insert(announced.hash) {
            return;
        }
        self.order.push_back(announced.hash);
        if self.order.len() > KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.bytes += announced.byte_size();
        self.line.push_back(announced);
        while self.line.len() > BACKLOG_MAX || self.bytes > BACKLOG_BYTES_MAX {
            if self.pop().is_some() {
                self.dropped += 1;
            }
        }
    }

    fn pop(&mut self) -> Option<Announced> {
        let next = self.line.pop_front()?;
        self.bytes -= next.byte_size();
        Some(next)
    }
}

impl Announced {
    fn byte_size(&self) -> usize {
        self.whole.as_ref().map_or(0, |whole| whole.get().len())
    }
}

/// Ways in which a node announces pending transactions, the best one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnnouncementKind {
    Whole,
    Hashes,
    Filter,
}

impl AnnouncementKind {
    /// Returns the way to try next at a node that refused this one.
    const fn next(self) -> Option<Self> {
        match self {
            Self::Whole => Some(Self::Hashes),
            Self::Hashes => Some(Self::Filter),
            Self::Filter => None,
        }
    }
}

/// Receives the announcements of `node` until `stop`, in the best way that it supports.
async fn listen_to_node(voice: EndpointId, node: Node, backlog: Arc<Backlog>, stop: Stop) {
    let best = if node.has_socket() { AnnouncementKind::Whole } else { AnnouncementKind::Filter };
    let (mut way, mut attempt, mut told, mut rng) = (best, 0, false, fastrand::Rng::new());
    loop {
        let mut heard = false;
        let error = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            error = receive_announcements(voice, &node, way, &backlog, &mut heard) => error,
        };
        let name = node.name();
        attempt = if heard { 0 } else { attempt + 1 };
        let mut wait = node.deadlines().backoff.jittered_delay(attempt, &mut rng).max(error.asks_to_wait());
        match (matches!(error, NodeError::Refused { .. }), way.next()) {
            // It worked until now and only has to be reopened: nodes drop a filter that was not polled for long.
            (true, _) if heard => {}
            (true, Some(next)) => (way, wait) = (next, Duration::ZERO),
            (true, None) => {
                if !told {
                    warn!(endpoint = name, "failed to subscribe to pending transactions of {name}: {error}");
                }
                (way, wait, told) = (best, REFUSED_FOR, true);
            }
            (false, _) => debug!(endpoint = name, ?wait, "failed to listen to pending transactions of {name}: {error}"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Receives announcements in one way until that fails. `heard` becomes true once the subscription or filter is open.
async fn receive_announcements(
    voice: EndpointId,
    node: &Node,
    way: AnnouncementKind,
    backlog: &Backlog,
    heard: &mut bool,
) -> NodeError {
    let failed = match way {
        AnnouncementKind::Whole | AnnouncementKind::Hashes => {
            listen_by_subscription(voice, node, way == AnnouncementKind::Whole, backlog, heard).await
        }
        AnnouncementKind::Filter => listen_by_filter(voice, node, backlog, heard).await,
    };
    failed.err().unwrap_or_else(|| NodeError::Unreachable("the socket broke".to_owned()))
}

async fn listen_by_subscription(
    voice: EndpointId,
    node: &Node,
    whole: bool,
    backlog: &Backlog,
    heard: &mut bool,
) -> Result<(), NodeError> {
    let mut announcements = node.subscribe_to_pending(whole).await?;
    *heard = true;
    info!(endpoint = node.name(), whole, "listening to pending transactions of {}", node.name());
    loop {
        match announcements.next().await {
            Ok(announcement) => backlog.push_announcement(voice, &announcement)?,
            Err(RecvError::Lagged(n)) => backlog.add_dropped(n),
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

async fn listen_by_filter(
    voice: EndpointId,
    node: &Node,
    backlog: &Backlog,
    heard: &mut bool,
) -> Result<(), NodeError> {
    let after = node.deadlines().call;
    let filter = node.send_request("eth_newPendingTransactionFilter", [(); 0], after).await?;
    *heard = true;
    info!(endpoint = node.name(), "polling {} every {POLL:?} for pending transactions", node.name());
    loop {
        let answer = node.send_request("eth_getFilterChanges", [&*filter], after).await?;
        let announced: Vec<&RawValue> = serde_json::from_str(answer.get()).map_err(|_| NodeError::Another)?;
        announced.into_iter().try_for_each(|announcement| backlog.push_announcement(voice, announcement))?;
        tokio::time::sleep(POLL).await;
    }
}

/// Processes several announcements at a time, and passes on the transactions of interest in the order of announcement.
/// For two transactions with one nonce this order shows which one replaces the other.
async fn look_through(pool: Pool, backlog: Arc<Backlog>, interest: Interest, tell: mpsc::Sender<Tx>, stop: Stop) {
    let announced = futures::stream::unfold(backlog, |backlog| async {
        let next = backlog.next().await;
        Some((next, backlog))
    });
    let look = |announced: Announced| {
        let (pool, interest) = (&pool, &interest);
        async move {
            let hash = announced.hash;
            looked_at(pool, announced, interest).await.map_err(|why| (hash, why))
        }
    };
    let mut looked = std::pin::pin!(announced.map(look).buffered(LOOKS_AT_ONCE));
    let pass_on = async {
        while let Some(looked) = looked.next().await {
            match looked {
                Ok(Some(tx)) => {
                    if tell.send(tx).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err((hash, why)) => debug!("rejected pending transaction {hash}: {why}"),
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = pass_on => {}
    }
}

/// Returns the transaction, if it is of interest and its fields match its hash.
async fn looked_at(pool: &Pool, announced: Announced, interest: &Interest) -> Result<Option<Tx>, NodeError> {
    let Announced { by, hash, whole } = announced;
    let text = match whole {
        Some(whole) => whole,
        None => pool.fetch_transaction(by, hash).await?,
    };
    let Some((tx, mut seal)) = wire::parse_pending_transaction(text.get())? else { return Ok(None) };
    if tx.hash != hash {
        return Err(NodeError::Another);
    }
    if !interest(&tx) {
        return Ok(None);
    }
    // A chain id that the node left out is filled in, and the hash confirms it.
    if tx.kind != 0 {
        seal.chain_id.get_or_insert(pool.chain_id().0);
    }
    verify::by_itself(tx, &seal).map(Some).map_err(|why| NodeError::Unreachable(why.to_string()))
}

impl fmt::Debug for Mempool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiting, dropped) = (self.queue_depth().0, self.dropped_count());
        f.debug_struct("Mempool").field("waiting", &waiting).field("dropped", &dropped).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChainId;
    use crate::source::{Deadlines, RawHeads, Transport};
    use alloy_primitives::address;
    use futures::future::BoxFuture;

    fn announced(n: u64) -> Announced {
        Announced { by: 0, hash: B256::left_padding_from(&n.to_be_bytes()), whole: None }
    }

    #[test]
    fn a_flood_of_announcements_takes_no_more_room_than_there_is_and_what_it_costs_is_counted() {
        let mut waiting = Waiting::default();
        (0..100_000).for_each(|n| waiting.push(announced(n)));
        assert_eq!(waiting.line.len(), BACKLOG_MAX);
        assert_eq!(waiting.dropped, 100_000 - BACKLOG_MAX as u64);
        assert!(waiting.known.len() <= KNOWN_MAX && waiting.order.len() == waiting.known.len());
        let newest = waiting.line.back().map(|announced| announced.hash);
        assert_eq!(newest, Some(announced(99_999).hash), "the oldest went");
    }

    #[test]
    fn large_transactions_are_bounded_by_their_bytes() {
        let mut waiting = Waiting::default();
        let large = RawValue::from_string(format!("\"{}\"", "a".repeat(1 << 20))).expect("JSON");
        (0..100).for_each(|n| waiting.push(Announced { whole: Some(large.clone()), ..announced(n) }));
        assert!(waiting.bytes <= BACKLOG_BYTES_MAX && waiting.line.len() < 64);
        while waiting.pop().is_some() {}
        assert_eq!(waiting.bytes, 0);
    }

    /// The worked example of EIP-155, in the form that a node would use while it is pending.
    const EXAMPLE: &str = r#"{"hash":"0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788","type":"0x0","chainId":"0x1",
        "from":"0x00000000000000000000000000000000000000ff","to":"0x3535353535353535353535353535353535353535","nonce":"0x9",
        "gasPrice":"0x4a817c800","gas":"0x5208","value":"0xde0b6b3a7640000","input":"0x","v":"0x25",
        "r":"0x28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276",
        "s":"0x67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
        "blockHash":null,"blockNumber":null,"transactionIndex":null}"#;
    const EXAMPLE_HASH: &str = "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788";

    /// Node whose filter reports ten thousand transactions that it does not have, one whose fields do not match its
    /// hash, and the example.
    struct Flooded;

    const FORGED: u64 = 10_000;

    impl Transport for Flooded {
        fn ask<'a>(&'a self, method: &'a str, params: &'a RawValue) -> BoxFuture<'a, Result<Box<RawValue>, NodeError>> {
            let answer = match method {
                "eth_chainId" | "eth_newPendingTransactionFilter" => "\"0x1\"".to_owned(),
                "eth_getFilterChanges" => {
                    let hashes = (0..=FORGED).map(|n| format!("\"{}\"", announced(n).hash));
                    format!("[{},\"{EXAMPLE_HASH}\"]", hashes.collect::<Vec<_>>().join(","))
                }
                "eth_getTransactionByHash" if params.get().contains(EXAMPLE_HASH) => EXAMPLE.to_owned(),
                "eth_getTransactionByHash" if params.get().contains(&announced(FORGED).hash.to_string()) => {
                    EXAMPLE.replace(EXAMPLE_HASH, &announced(FORGED).hash.to_string())
                }
                _ => "null".to_owned(),
            };
            Box::pin(async move { RawValue::from_string(answer).map_err(|_| NodeError::Another) })
        }

        fn subscribe(&self) -> BoxFuture<'_, Result<RawHeads, NodeError>> {
            Box::pin(async { Err(NodeError::Another) })
        }

        fn can_subscribe(&self) -> bool {
            false
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_hides_nothing_that_comes_after_it_and_nobody_is_believed_about_a_sender() {
        let node = Node::with_transport("flooded", ChainId(1), Deadlines::default(), Arc::new(Flooded));
        let everything: Interest = Arc::new(|_| true);
        let mut mempool = Mempool::spawn_listeners(&node.into(), &everything, &Stop::new());
        let found = mempool.next(10).await;
        let [tx] = &found[..] else { panic!("one transaction is what it seems: {found:#?}") };
        assert_eq!(tx.hash.to_string(), EXAMPLE_HASH);
        assert_eq!(tx.from, address!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"), "whoever signed, not who is named");
        assert_eq!(mempool.dropped_count(), FORGED + 2 - BACKLOG_MAX as u64);
        // The filter repeats itself, and known transactions are not processed again.
        let again = tokio::time::timeout(POLL * 10, mempool.next(10)).await;
        assert!(again.is_err() && mempool.dropped_count() == FORGED + 2 - BACKLOG_MAX as u64);
    }

    #[test]
    fn what_several_nodes_announce_is_looked_at_once() {
        let mut waiting = Waiting::default();
        waiting.push(announced(7));
        waiting.push(Announced { by: 1, ..announced(7) });
        assert!(waiting.pop().is_some() && waiting.pop().is_none());
    }
}
