//! Client of one node, with a deadline on every request.
//!
//! Comes in: an endpoint and the chain that it should serve. Goes out: answers, or a [`NodeError`]. Never here: a
//! request without a deadline, an answer from a node that serves another chain, or a retry that the caller did not
//! request.

use super::bulk_failures::BulkFailures;
use super::check::Checks;
use super::intake::{BoundedText, IntakeBudget, method_bytes};
use super::meter::SourceMetrics;
use super::proof::StateRoots;
use super::rate_limit::{Priority, RateLimit};
use super::rpc::{Connection, Heads, NodeError, Params, Route, RpcRequest};
use super::trace::TraceMethod;
use super::transport::Transport;
use crate::model::ChainId;
use crate::runtime::{Backoff, install_tls, monotonic_now};
use crate::wire;
use alloy_primitives::B256;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

/// Time limits for connections and requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Deadline for a connection, including the TLS and WebSocket handshakes.
    pub connect: Duration,
    /// Deadline for the answer to a subscription request.
    pub subscribe: Duration,
    /// Silence after which a subscription is rebuilt: a slot and a half, plus some seconds of grace.
    pub silence: Duration,
    /// Silence after which a socket is pinged.
    pub keepalive: Duration,
    /// Deadline for a head, or the chain id.
    pub head: Duration,
    /// Deadline for a block, or its receipts.
    pub block: Duration,
    /// Answer to a single read call.
    pub call: Duration,
    /// Deadline for the traces of a block. Tracing runs the block again, which takes seconds even on a good node. The
    /// block waits for its traces, so the deadline is at most two slots.
    pub trace: Duration,
    /// Minimum and maximum time between two polls of the head; within these bounds it is half the chain's block
    /// interval.
    pub poll: (Duration, Duration),
    /// Pause before a head that contradicts our tip is asked for again.
    pub confirm: Duration,
    /// Pauses after failures.
    pub backoff: Backoff,
    /// Longest time without visibility of the chain before it counts as an outage: three slots.
    pub blind: Duration,
}

/// Name, which may be shown, and URL, which may not.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Display name of the endpoint.
    pub name: Arc<str>,
    /// URL in a form that [`parse_endpoint_url`] accepts; it usually contains a key.
    pub url: SecretString,
}

/// Identity of the expected chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// EIP-155 chain ID.
    pub chain: ChainId,
    /// Hash of block 0, if known; a fork or a copy of a chain often has the same chain id.
    pub genesis: Option<B256>,
}

impl From<ChainId> for Identity {
    fn from(chain: ChainId) -> Self {
        Self { chain, genesis: None }
    }
}

/// Error for an invalid endpoint URL. It does not repeat the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// The text is not a URL.
    #[error("the address is not a URL: write it with its scheme, as in ws://127.0.0.1:8546 or https://node.example")]
    NotAUrl,
    /// The URL has an unsupported scheme.
    #[error("the address has to begin with ws://, wss://, http://, https:// or ipc://")]
    Scheme,
    /// The local socket has no absolute path.
    #[error("a socket has to be named by its absolute path, as in ipc:///run/geth/geth.ipc")]
    Socket,
}

/// An endpoint's address: a `ws`, `wss`, `http` or `https` URL, `ipc://` and the absolute path of a node's socket, or that path alone
/// where it ends in `.ipc`.
pub fn parse_endpoint_url(text: &str) -> Result<Url, BadEndpoint> {
    let text = text.trim();
    if text.starts_with('/') {
        let path = Url::from_file_path(text).ok().filter(|_| text.ends_with(".ipc")).ok_or(BadEndpoint::Socket)?;
        return Url::parse(&format!("ipc://{}", path.path())).map_err(|_| BadEndpoint::Socket);
    }
    let url = Url::parse(text).map_err(|_| BadEndpoint::NotAUrl)?;
    match url.scheme() {
        "ws" | "wss" | "http" | "https" if url.has_host() => Ok(url),
        "ipc" if !url.has_host() && url.path().len() > 1 && url.path().starts_with('/') => Ok(url),
        "ipc" => Err(BadEndpoint::Socket),
        _ => Err(BadEndpoint::Scheme),
    }
}

/// Client of one node. Cloned freely; clones share a rate limit, and a connection for each priority.
#[derive(Clone)]
pub struct Node(Arc<Inner>, Purpose);

/// Purpose of the requests that a client sends.
#[derive(Clone, Default)]
struct Purpose {
    priority: Priority,
    /// Nanoseconds for which the rate limit has delayed its requests.
    limited: Arc<AtomicU64>,
}

struct Inner {
    name: Arc<str>,
    route: Route,
    identity: Identity,
    deadlines: Deadlines,
    intake: IntakeBudget,
    // A tokio lock, held while connecting: concurrent requests wait for that connection and do not open a second one.
    /// Connections by priority: a deadline that passes closes its connection, and must not end requests for blocks.
    wires: [Mutex<Option<(u64, Connection)>>; Priority::COUNT],
    limit: OnceLock<RateLimit>,
    next_id: AtomicU64,
    lacks_block_receipts: AtomicBool,
    lacks_proofs: AtomicBool,
    lacks_pinning: AtomicBool,
    has_proven: AtomicBool,
    roots: StateRoots,
    /// True if a block with transactions has ever matched its hash.
    has_verified: AtomicBool,
    lapses: BulkFailures,
    trace_methods: std::sync::Mutex<Option<Vec<TraceMethod>>>,
    meter: OnceLock<SourceMetrics>,
    checks: OnceLock<Checks>,
}

impl Default for Deadlines {
    /// Returns deadlines for a chain with a block every 12 seconds.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            subscribe: Duration::from_secs(3),
            silence: Duration::from_secs(22),
            keepalive: Duration::from_secs(10),
            head: Duration::from_secs(3),
            block: Duration::from_secs(5),
            call: Duration::from_secs(5),
            trace: Duration::from_secs(20),
            poll: (Duration::from_millis(500), Duration::from_secs(6)),
            confirm: Duration::from_millis(250),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            blind: Duration::from_secs(36),
        }
    }
}

impl Deadlines {
    /// Returns deadlines for a chain with a block every `slot`: those that depend on the block interval are measured in
    /// slots.
    #[must_use]
    pub fn for_slot(slot: Duration) -> Self {
        let fixed = Self::default();
        Self {
            silence: slot.mul_f64(1.5) + Duration::from_secs(4),
            poll: (fixed.poll.0.min(slot), (slot / 2).max(fixed.poll.0.min(slot))),
            trace: (slot * 2).clamp(Duration::from_secs(5), fixed.trace),
            blind: (slot * 3).max(Duration::from_secs(10)),
            ..fixed
        }
    }
}

impl Node {
    /// A node at `endpoint` that should serve a chain. Nothing is connected yet.
    pub fn new(endpoint: &Endpoint, chain: impl Into<Identity>, deadlines: Deadlines) -> Result<Self, BadEndpoint> {
        install_tls();
        let url = parse_endpoint_url(endpoint.url.expose_secret())?;
        Ok(Self::from_route(Route::Url(url), endpoint.name.clone(), chain.into(), deadlines))
    }

    /// Creates a node called `name` that should serve `chain`, reached through `transport` instead of our own socket.
    /// The deadlines apply, and its chain id is checked as for every node.
    #[must_use]
    pub fn with_transport(
        name: &str,
        chain: impl Into<Identity>,
        deadlines: Deadlines,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self::from_route(Route::Own(transport), name.into(), chain.into(), deadlines)
    }

    fn from_route(route: Route, name: Arc<str>, identity: Identity, deadlines: Deadlines) -> Self {
        let inner = Inner {
            name,
            route,
            identity,
            deadlines,
            intake: IntakeBudget::default(),
            wires: Default::default(),
            limit: OnceLock::new(),
            next_id: AtomicU64::new(1),
            lacks_block_receipts: AtomicBool::new(false),
            lacks_proofs: AtomicBool::new(false),
            lacks_pinning: AtomicBool::new(false),
            has_proven: AtomicBool::new(false),
            roots: StateRoots::default(),
            has_verified: AtomicBool::new(false),
            lapses: BulkFailures::default(),
            trace_methods: std::sync::Mutex::new(None),
            meter: OnceLock::new(),
            checks: OnceLock::new(),
        };
        Self(Arc::new(inner), Purpose::default())
    }

    /// Measures every request from now on; only the first meter is kept.
    #[must_use]
    pub fn with_meter(self, meter: SourceMetrics) -> Self {
        self.0.meter.get_or_init(|| meter);
        self
    }

    /// Limits the requests to the node to so many a second, of all priorities together; only the first limit is kept.
    #[must_use]
    pub fn with_rate_limit(self, per_second: f64) -> Self {
        self.0.limit.get_or_init(|| RateLimit::new(per_second, monotonic_now()));
        self
    }

    /// Returns a client of the same node for requests of this priority.
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self(self.0.clone(), Purpose { priority, ..Purpose::default() })
    }

    /// Returns the time for which the rate limit has delayed the requests of this client and its clones.
    pub(super) fn limited_time(&self) -> Duration {
        Duration::from_nanos(self.1.limited.load(Ordering::Relaxed))
    }

    /// Waits until the rate limit permits `n` requests.
    pub(super) async fn wait_for_turn(&self, n: usize) {
        if let Some(limit) = self.0.limit.get() {
            let waited = limit.wait_for_turn(n as f64, self.1.priority).await;
            self.1.limited.fetch_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Sets the checks of its blocks, instead of the default for its chain; only the first call has an effect.
    #[must_use]
    pub fn with_checks(self, checks: Checks) -> Self {
        self.0.checks.get_or_init(|| checks);
        self
    }

    pub(super) fn checks(&self) -> &Checks {
        self.0.checks.get_or_init(|| Checks::for_chain(self.chain_id()))
    }

    /// Creates a node at `endpoint`, for the chain that it serves.
    ///
    /// # Errors
    ///
    /// When the node cannot be asked. An invalid address counts as an unreachable one.
    pub async fn discover_chain(endpoint: &Endpoint, deadlines: Deadlines) -> Result<Self, NodeError> {
        install_tls();
        let url =
            parse_endpoint_url(endpoint.url.expose_secret()).map_err(|bad| NodeError::Unreachable(bad.to_string()))?;
        let wire =
            Box::pin(Connection::open_connection(&Route::Url(url), &deadlines, &IntakeBudget::default())).await?;
        let asking = RpcRequest { method: "eth_chainId", params: [(); 0], limit: method_bytes("eth_chainId") };
        let asked = wire.send_request(1, asking);
        let answer = tokio::time::timeout(deadlines.head, asked).await;
        let answer = answer.map_err(|_| NodeError::TimedOut { method: "eth_chainId", after: deadlines.head })??;
        let chain = ChainId(wire::parse_number(answer.get())?);
        Self::new(endpoint, chain, deadlines).map_err(|bad| NodeError::Unreachable(bad.to_string()))
    }

    /// Returns the display name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        self.0.name.clone()
    }

    /// The chain it should serve.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        self.0.identity.chain
    }

    /// Returns the time limits for requests to the node.
    #[must_use]
    pub fn deadlines(&self) -> &Deadlines {
        &self.0.deadlines
    }

    /// Returns whether the node supports subscriptions.
    pub(super) fn has_socket(&self) -> bool {
        self.0.route.can_subscribe()
    }

    /// Sends a request and waits at most `deadline`. A connection on which a deadline passed is closed, because a
    /// request that is stuck on it stays stuck.
    pub(super) async fn send_request<P: Params>(
        &self,
        method: &'static str,
        params: P,
        deadline: Duration,
    ) -> Result<BoundedText, NodeError> {
        self.ask_for(RpcRequest { method, params, limit: method_bytes(method) }, deadline).await
    }

    /// Sends a request like [`Node::send_request`], with a limit that is more exact than that of the method.
    pub(super) async fn ask_for<P: Params>(
        &self,
        asking: RpcRequest<P>,
        deadline: Duration,
    ) -> Result<BoundedText, NodeError> {
        let (began, method) = (monotonic_now(), asking.method);
        let (generation, wire) = match self.current_connection().await {
            Ok(wire) => wire,
            Err(error) => return self.record_request(method, began, Err(error)),
        };
        let answer = self.record_request(method, began, self.asked_within(deadline, &wire, asking).await);
        if answer.as_ref().is_err_and(NodeError::breaks_the_wire) {
            let mut current = self.current_wire().lock().await;
            if current.as_ref().is_some_and(|(newest, _)| *newest == generation) {
                *current = None;
            }
        }
        answer
    }

    fn record_request<T>(
        &self,
        method: &'static str,
        began: Instant,
        answer: Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        if let Some(meter) = self.0.meter.get() {
            meter.record_request(&self.0.name, method, &answer, began.elapsed());
        }
        answer
    }

    /// A subscription to new heads, on a connection of its own.
    pub(super) async fn subscribe_to_heads(&self) -> Result<Heads, NodeError> {
        let wire = Box::pin(self.open_connection()).await?;
        self.wait_for_turn(1).await;
        let after = self.0.deadlines.subscribe;
        match tokio::time::timeout(after, wire.subscribe_to_heads(self.next_id())).await {
            Ok(heads) => heads,
            Err(_) => Err(NodeError::TimedOut { method: "eth_subscribe", after }),
        }
    }

    /// A subscription to pending transactions, on a connection of its own: `whole`, or their hashes alone.
    pub(super) async fn subscribe_to_pending(&self, whole: bool) -> Result<Heads, NodeError> {
        let wire = Box::pin(self.open_connection()).await?;
        self.wait_for_turn(1).await;
        let after = self.0.deadlines.subscribe;
        let id = self.next_id();
        let subscribed = async {
            match whole {
                true => wire.subscribe_to(id, ("newPendingTransactions", true)).await,
                false => wire.subscribe_to(id, ["newPendingTransactions"]).await,
            }
        };
        let timed_out = |_| NodeError::TimedOut { method: "eth_subscribe", after };
        tokio::time::timeout(after, subscribed).await.map_err(timed_out)?
    }

    /// Returns whether `eth_getBlockReceipts` was refused on the connection in use.
    pub(super) fn lacks_block_receipts(&self) -> bool {
        self.0.lacks_block_receipts.load(Ordering::Relaxed)
    }

    pub(super) fn note_lack_of_block_receipts(&self) {
        self.0.lacks_block_receipts.store(true, Ordering::Relaxed);
    }

    /// Returns whether state can only be requested by number on the connection in use.
    pub(super) fn lacks_pinning(&self) -> bool {
        self.0.lacks_pinning.load(Ordering::Relaxed)
    }

    pub(super) fn note_lack_of_pinning(&self) {
        self.0.lacks_pinning.store(true, Ordering::Relaxed);
    }

    /// Returns whether `eth_getProof` was refused on the connection in use.
    pub(super) fn lacks_proofs(&self) -> bool {
        self.0.lacks_proofs.load(Ordering::Relaxed)
    }

    pub(super) fn note_lack_of_proofs(&self) {
        self.0.lacks_proofs.store(true, Ordering::Relaxed);
    }

    /// Returns whether any proof from the node has begun at the state root of its block.
    pub(super) fn has_proven(&self) -> bool {
        self.0.has_proven.load(Ordering::Relaxed)
    }

    pub(super) fn note_a_proof(&self) {
        self.0.has_proven.store(true, Ordering::Relaxed);
    }

    /// Returns whether any block from the node with transactions has matched its hash.
    pub(super) fn has_verified(&self) -> bool {
        self.0.has_verified.load(Ordering::Relaxed)
    }

    pub(super) fn note_a_verified_block(&self) {
        self.0.has_verified.store(true, Ordering::Relaxed);
    }

    /// Returns the requests that the node could not answer, block by block.
    pub(super) fn lapses(&self) -> &BulkFailures {
        &self.0.lapses
    }

    /// Returns the state roots of the headers that it sent.
    pub(super) fn state_roots(&self) -> &StateRoots {
        &self.0.roots
    }

    /// Returns the trace methods that did not fail on the current connection, the best one first; empty when there is
    /// none.
    pub(super) fn known_trace_methods(&self) -> Option<Vec<TraceMethod>> {
        self.0.trace_methods.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note_trace_methods(&self, methods: Vec<TraceMethod>) {
        *self.0.trace_methods.lock().unwrap_or_else(PoisonError::into_inner) = Some(methods);
    }

    fn forget_what_it_lacks(&self) {
        self.0.lacks_block_receipts.store(false, Ordering::Relaxed);
        self.0.lacks_proofs.store(false, Ordering::Relaxed);
        self.0.lacks_pinning.store(false, Ordering::Relaxed);
        *self.0.trace_methods.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn current_wire(&self) -> &Mutex<Option<(u64, Connection)>> {
        &self.0.wires[self.1.priority as usize]
    }

    async fn current_connection(&self) -> Result<(u64, Connection), NodeError> {
        let mut current = self.current_wire().lock().await;
        if let Some((generation, wire)) = current.as_ref() {
            return Ok((*generation, wire.clone()));
        }
        // Boxed, since connecting is rare and its state is large; every question would carry it.
        let wire = Box::pin(self.open_connection()).await?;
        self.forget_what_it_lacks();
        let generation = self.next_id();
        *current = Some((generation, wire.clone()));
        Ok((generation, wire))
    }

    /// Opens a separate connection, and verifies that the node serves the right chain.
    pub(super) async fn open_connection(&self) -> Result<Connection, NodeError> {
        let wire = Connection::open_connection(&self.0.route, &self.0.deadlines, &self.0.intake).await?;
        let answer = self.send_request_within(self.0.deadlines.head, &wire, "eth_chainId", [(); 0]).await?;
        let (found, expected) = (wire::parse_number(answer.get())?, self.0.identity.chain.0);
        if found != expected {
            return Err(NodeError::WrongChain { expected, found });
        }
        if let Some(expected) = self.0.identity.genesis {
            self.begins_with(expected, &wire).await?;
        }
        Ok(wire)
    }

    /// Rejects a node whose block 0 is another. A node that does not have it, such as a light or a pruned node, is
    /// accepted: its chain id is right.
    async fn begins_with(&self, expected: B256, wire: &Connection) -> Result<(), NodeError> {
        match self.send_request_within(self.0.deadlines.head, wire, "eth_getBlockByNumber", ("0x0", false)).await {
            Ok(answer) if answer.get() == "null" => Ok(()),
            Ok(answer) => {
                let found = wire::parse_header(answer.get())?.at.hash;
                if found == expected { Ok(()) } else { Err(NodeError::WrongGenesis { expected, found }) }
            }
            Err(NodeError::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn send_request_within<P: Params>(
        &self,
        after: Duration,
        wire: &Connection,
        method: &'static str,
        params: P,
    ) -> Result<BoundedText, NodeError> {
        self.asked_within(after, wire, RpcRequest { method, params, limit: method_bytes(method) }).await
    }

    async fn asked_within<P: Params>(
        &self,
        after: Duration,
        wire: &Connection,
        asking: RpcRequest<P>,
    ) -> Result<BoundedText, NodeError> {
        self.wait_for_turn(1).await;
        let method = asking.method;
        match tokio::time::timeout(after, wire.send_request(self.next_id(), asking)).await {
            Ok(answer) => answer,
            Err(_) => Err(NodeError::TimedOut { method, after }),
        }
    }

    fn next_id(&self) -> u64 {
        self.0.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.0.name).field("chain", &self.chain_id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(url: &str) -> Result<Node, BadEndpoint> {
        let endpoint = Endpoint { name: "primary".into(), url: url.to_owned().into() };
        Node::new(&endpoint, ChainId(1), Deadlines::default())
    }

    #[test]
    fn an_address_of_another_kind_is_refused_without_repeating_it() {
        assert_eq!(node("key=0123").err(), Some(BadEndpoint::NotAUrl));
        assert_eq!(node("ftp://node.example/key").err(), Some(BadEndpoint::Scheme));
        assert!(node("wss://node.example/key").is_ok());
    }

    #[test]
    fn a_socket_of_this_machine_is_named_by_its_absolute_path() {
        let of = |text: &str| parse_endpoint_url(text).map(|url| url.to_string());
        assert_eq!(of("ipc:///run/geth/geth.ipc").as_deref(), Ok("ipc:///run/geth/geth.ipc"));
        assert_eq!(of("/run/geth/geth.ipc").as_deref(), Ok("ipc:///run/geth/geth.ipc"));
        assert_eq!(of("/run/my node/geth.ipc\n").as_deref(), Ok("ipc:///run/my%20node/geth.ipc"));
        for text in ["ipc://run/geth.ipc", "ipc:run/geth.ipc", "ipc://", "ipc:///", "/run/geth"] {
            assert_eq!(of(text), Err(BadEndpoint::Socket), "{text}");
        }
    }

    #[test]
    fn a_node_shows_its_name_and_never_its_address() {
        let shown = format!("{:?}", node("wss://node.example/0123456789abcdef").expect("a good address"));
        assert_eq!(shown, r#"Node { name: "primary", chain: ChainId(1), .. }"#);
    }
}
