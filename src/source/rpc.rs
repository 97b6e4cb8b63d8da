//! One connection to a node, and what can go wrong on it.
//!
//! A socket is served by alloy's frontend, but never reopened by it: its own reconnection loses notifications and repeats
//! requests without saying so, so here a socket that breaks is dead, and whoever used it hears that at once.

use super::ipc::IpcConnect;
use super::node::Deadlines;
use super::transport::{RawHeads, Transport};
use super::verify::Flaw;
use crate::model::parse::{ParseError, WHY_MAX};
use crate::model::{BlindnessKind, Evidence};
use alloy_json_rpc::{ErrorPayload, Request, Response, ResponsePayload, RpcError, RpcSend};
use alloy_primitives::{B256, U256};
use alloy_pubsub::{ConnectionHandle, PubSubConnect, PubSubFrontend, RawSubscription};
use alloy_transport::{TransportError, TransportErrorKind, TransportResult};
use alloy_transport_ws::{WebSocketConfig, WsBackend, WsConnect};
use futures::StreamExt;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use url::Url;

/// Largest answer taken, in bytes. The transport's own limit of 16 MiB a frame is below what full nodes send.
pub const ANSWER_BYTES_MAX: usize = 512 << 20;
/// Notifications a subscription may be behind before the oldest are dropped, which is a reason to poll, not a loss.
const NOTIFICATIONS_MAX: usize = 1_024;

/// Why a node did not give what it was asked for. None of them carries an address or a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// Connected, and no answer within the deadline.
    #[error("no answer to {method} within {after:?}")]
    TimedOut {
        /// What was asked.
        method: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// Asked too often.
    #[error("asked too often: {why}")]
    Limited {
        /// What the node said.
        why: String,
        /// How long it asks to be left alone, where it says so.
        after: Option<Duration>,
    },
    /// Another chain.
    #[error("it serves chain {found}, not chain {expected} as the `id` of the chain says")]
    WrongChain {
        /// Chain the configuration names.
        expected: u64,
        /// Chain the node serves.
        found: u64,
    },
    /// A chain with the right id that began otherwise.
    #[error("its chain begins with block {found}, not with {expected}")]
    WrongGenesis {
        /// Block 0 as the configuration, or everybody, knows it.
        expected: B256,
        /// Block 0 of the node.
        found: B256,
    },
    /// An error of JSON-RPC.
    #[error("refused: {message} (code {code})")]
    Refused {
        /// Its code.
        code: i64,
        /// Its message, shortened.
        message: String,
        /// Whether it carried return data, as reverted calls do.
        data: bool,
    },
    /// It sent more than any honest answer to this question holds, and was not read to its end.
    #[error("its answer to {method} is larger than {limit} bytes, which no honest one is")]
    TooLarge {
        /// What was asked.
        method: &'static str,
        /// Bytes that were let through.
        limit: usize,
    },
    /// The node does not know the block: it lags, or the block left its chain.
    #[error("it does not know {0}")]
    Missing(String),
    /// The answer makes no sense.
    #[error(transparent)]
    Bad(#[from] ParseError),
    /// The answer is about something else.
    #[error("asked for one block, it answered with another")]
    Another,
    /// The answer is false: the block contradicts its own hash.
    #[error("a false {}: {flaw}", evidence.asked)]
    Lie {
        /// What is wrong with it.
        flaw: Flaw,
        /// All that it said, for whoever has to talk to the node's owner.
        evidence: Arc<Evidence>,
    },
}

/// How a node is reached.
#[derive(Clone)]
pub(super) enum Route {
    /// By an address, which may carry a key.
    Url(Url),
    /// By whatever the embedder gave us.
    Own(Arc<dyn Transport>),
}

/// An open connection, with the address that its errors must not repeat.
#[derive(Clone)]
pub(super) enum Wire {
    Socket(PubSubFrontend, Url),
    Http(reqwest::Client, Url),
    Own(Arc<dyn Transport>),
}

/// A live subscription, to new heads for the most part. Dropping it closes its socket.
pub(super) enum Heads {
    Socket { subscription: RawSubscription, _socket: PubSubFrontend },
    Own(RawHeads),
}

/// A WebSocket on which each question to a remote node leaves at once. The library's own way lets one wait until the node has heard of
/// the one before it (Nagle), which for a block and its receipts, asked for together, is a way there and back. On this machine that
/// way is short, and the other way round it is longer: anvil holds its answers back likewise, and questions that come together are
/// answered together.
struct PromptSocket {
    how: WsConnect,
    keepalive: Duration,
}

impl PubSubConnect for PromptSocket {
    fn is_local(&self) -> bool {
        self.how.is_local()
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        let request = self.how.clone().into_client_request().map_err(TransportErrorKind::custom)?;
        let (config, at_once) = (self.how.config().copied(), !self.is_local());
        let opened = tokio_tungstenite::connect_async_with_config(request, config, at_once).await;
        let (socket, _) = opened.map_err(TransportErrorKind::custom)?;
        let (handle, interface) = ConnectionHandle::new();
        WsBackend::from_socket(socket, interface, self.keepalive).spawn();
        Ok(handle.with_max_retries(0))
    }
}

/// Opens one socket and never another.
pub(super) struct Once<C>(pub(super) C);

impl<C: PubSubConnect> PubSubConnect for Once<C> {
    fn is_local(&self) -> bool {
        self.0.is_local()
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        self.0.connect().await
    }

    async fn try_reconnect(&self) -> TransportResult<ConnectionHandle> {
        Err(TransportErrorKind::non_retryable_str("the socket broke"))
    }
}

impl Route {
    /// Whether it leads to something that can be subscribed to.
    pub(super) fn can_subscribe(&self) -> bool {
        match self {
            Self::Url(url) => matches!(url.scheme(), "ws" | "wss" | "ipc"),
            Self::Own(transport) => transport.can_subscribe(),
        }
    }
}

impl Wire {
    /// Opens a connection within the deadline for connecting. For HTTP nothing is opened until something is asked.
    pub(super) async fn open(route: &Route, deadlines: &Deadlines) -> Result<Self, NodeError> {
        let url = match route {
            Route::Url(url) => url,
            Route::Own(transport) => return Ok(Self::Own(transport.clone())),
        };
        let opened = match url.scheme() {
            "ws" | "wss" => {
                let connect = Once(web_socket(url, deadlines)).into_service();
                tokio::time::timeout(deadlines.connect, connect).await
            }
            "ipc" => {
                let connect = IpcConnect::new(url, ANSWER_BYTES_MAX).map_err(|error| failed(url, error))?;
                tokio::time::timeout(deadlines.connect, Once(connect).into_service()).await
            }
            _ => {
                // A redirect would tell the next server where we came from, key and all.
                let redirects = reqwest::redirect::Policy::none();
                let client = reqwest::Client::builder().connect_timeout(deadlines.connect).redirect(redirects).build();
                return client
                    .map(|client| Self::Http(client, url.clone()))
                    .map_err(|error| unreachable_by(url, &error));
            }
        };
        match opened {
            Ok(socket) => {
                socket.map(|socket| Self::Socket(socket, url.clone())).map_err(|error| located(url, failed(url, error)))
            }
            Err(_) => {
                Err(located(url, NodeError::Unreachable(format!("no connection within {:?}", deadlines.connect))))
            }
        }
    }

    /// Asks, without a deadline of its own.
    pub(super) async fn ask<P: RpcSend>(
        &self,
        id: u64,
        method: &'static str,
        params: P,
    ) -> Result<Box<RawValue>, NodeError> {
        let unwritable = |_| NodeError::Unreachable(format!("the parameters of {method} cannot be written"));
        let (url, response) = match self {
            Self::Socket(socket, url) => {
                let request = Request::new(method, id.into(), params).serialize().map_err(unwritable)?;
                (url, socket.send(request).await.map_err(|error| failed(url, error))?)
            }
            Self::Http(client, url) => {
                let request = Request::new(method, id.into(), params).serialize().map_err(unwritable)?;
                (url, post(client, url, request.serialized().get()).await?)
            }
            Self::Own(transport) => {
                let params = to_raw_value(&params).map_err(unwritable)?;
                return transport.ask(method, &params).await;
            }
        };
        match response.payload {
            ResponsePayload::Success(answer) => Ok(answer),
            ResponsePayload::Failure(error) => Err(refused(url, &error)),
        }
    }

    /// How many of `n` questions for the chain's id are answered that go out in one request. `None` over a socket, where each question
    /// goes alone.
    pub(super) async fn batch(&self, n: usize) -> Option<Result<usize, NodeError>> {
        let Self::Http(client, url) = self else { return None };
        let questions: Vec<_> = (0..n)
            .map(|id| serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId", "params": [] }))
            .collect();
        let answered = async {
            let (status, answer) = send(client, url, &serde_json::Value::from(questions).to_string()).await?;
            if let Ok(answers) = serde_json::from_slice::<Vec<Response>>(&answer) {
                let ids: HashSet<_> =
                    answers.iter().filter(|answer| answer.is_success()).map(|answer| &answer.id).collect();
                return Ok(ids.len());
            }
            // One error for all of them, or something else altogether.
            match serde_json::from_slice::<Response>(&answer).map(|response| response.payload) {
                Ok(ResponsePayload::Failure(error)) => Err(refused(url, &error)),
                _ => Err(unreadable(status)),
            }
        };
        Some(answered.await)
    }

    /// Subscribes to new heads on this connection, which from then on serves nothing else.
    pub(super) async fn subscribe(self, id: u64) -> Result<Heads, NodeError> {
        match &self {
            Self::Own(transport) => transport.subscribe().await.map(Heads::Own),
            _ => self.subscribe_to(id, ["newHeads"]).await,
        }
    }

    /// Subscribes to whatever `params` name, as [`Wire::subscribe`]; only a socket of ours can do that.
    pub(super) async fn subscribe_to<P: RpcSend>(self, id: u64, params: P) -> Result<Heads, NodeError> {
        if !matches!(self, Self::Socket(..)) {
            let message = "subscriptions need a socket".to_owned();
            return Err(NodeError::Refused { code: -32_601, message, data: false });
        }
        let answer = self.ask(id, "eth_subscribe", params).await?;
        let Self::Socket(socket, url) = self else {
            return Err(NodeError::Unreachable("subscriptions need a socket".to_owned()));
        };
        // The transport answers with a name of its own for the subscription, a 256-bit number.
        let local: U256 = serde_json::from_str(answer.get())
            .map_err(|_| NodeError::Unreachable("the subscription has no id".to_owned()))?;
        let subscription = socket.get_subscription(B256::from(local)).await.map_err(|error| failed(&url, error))?;
        Ok(Heads::Socket { subscription, _socket: socket })
    }

    /// Makes room for bursts of notifications. Has to precede [`Wire::subscribe`].
    pub(super) fn widen(&self) {
        if let Self::Socket(socket, _) = self {
            socket.set_channel_size(NOTIFICATIONS_MAX);
        }
    }
}

impl Heads {
    /// The next notification as it stands; an error of the channel says that some were dropped or that the socket is gone.
    pub(super) async fn next(&mut self) -> Result<Box<RawValue>, broadcast::error::RecvError> {
        match self {
            Self::Socket { subscription, .. } => subscription.recv().await,
            Self::Own(heads) => heads.next().await.ok_or(broadcast::error::RecvError::Closed),
        }
    }
}

impl NodeError {
    /// Whether the connection is of no further use after this.
    pub(super) fn breaks_the_wire(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::TimedOut { .. } | Self::WrongChain { .. } | Self::WrongGenesis { .. }
        )
    }

    /// Whether the node answered, and the answer cannot be right.
    pub(super) fn is_wrong(&self) -> bool {
        matches!(self, Self::Bad(_) | Self::Another | Self::Lie { .. })
    }

    /// What kind of other chain the node serves, if it does.
    pub(super) fn serves_another(&self) -> Option<BlindnessKind> {
        match self {
            Self::WrongChain { .. } => Some(BlindnessKind::WrongChain),
            Self::WrongGenesis { .. } => Some(BlindnessKind::WrongGenesis),
            _ => None,
        }
    }

    /// How long the node asks to be left alone.
    pub(super) fn asks_to_wait(&self) -> Duration {
        if let Self::Limited { after: Some(after), .. } = self { *after } else { Duration::ZERO }
    }

    /// Whether the failure is one of this question, so that others may be answered: a refusal, nothing where something should be, more than
    /// anybody takes.
    pub(super) fn is_of_this_question(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Missing(_) | Self::TooLarge { .. })
    }

    /// Whether the node says that it does not have this method, or not with these parameters.
    pub(super) fn lacks_the_method(&self) -> bool {
        let Self::Refused { code, message, .. } = self else { return false };
        let message = message.to_ascii_lowercase();
        // -32601 and -32602 are JSON-RPC's, -32004 is EIP-1474's; several vendors use codes of their own and say it in words.
        matches!(code, -32601 | -32602 | -32004)
            || ["method not found", "not supported", "unsupported method", "does not exist", "not available"]
                .iter()
                .any(|words| message.contains(words))
    }
}

fn web_socket(url: &Url, deadlines: &Deadlines) -> PromptSocket {
    let limit = Some(ANSWER_BYTES_MAX);
    let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
    PromptSocket { how: WsConnect::new(url.as_str()).with_config(config), keepalive: deadlines.keepalive }
}

/// One question in one request.
async fn post(client: &reqwest::Client, url: &Url, body: &str) -> Result<Response, NodeError> {
    let (status, answer) = send(client, url, body).await?;
    serde_json::from_slice(&answer).map_err(|_| unreadable(status))
}

/// One POST. The client library's errors and spans carry the whole address, so neither leaves this function.
async fn send(client: &reqwest::Client, url: &Url, body: &str) -> Result<(StatusCode, Vec<u8>), NodeError> {
    let sent = client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body.to_owned()).send().await;
    let mut response = sent.map_err(|error| unreachable_by(url, &error))?;
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable_by(url, &error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(NodeError::Unreachable(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    if matches!(status.as_u16(), 429 | 503) {
        let after = retry_after.map(Duration::from_secs);
        return Err(NodeError::Limited { why: format!("HTTP {}", status.as_u16()), after });
    }
    Ok((status, body))
}

/// What an answer says that is no JSON-RPC. Many nodes put a JSON-RPC error under a status of 400 or 500, and that says more than
/// the status.
fn unreadable(status: StatusCode) -> NodeError {
    NodeError::Unreachable(match status.is_success() {
        true => "the answer is not JSON-RPC".to_owned(),
        false => format!("HTTP {}", status.as_u16()),
    })
}

fn failed(url: &Url, error: TransportError) -> NodeError {
    match error {
        RpcError::ErrorResp(error) => refused(url, &error),
        RpcError::Transport(TransportErrorKind::BackendGone) => NodeError::Unreachable("the socket broke".to_owned()),
        RpcError::Transport(kind) => NodeError::Unreachable(scrubbed(url, &kind.to_string())),
        RpcError::DeserError { .. } => NodeError::Unreachable("the answer is not JSON-RPC".to_owned()),
        other => NodeError::Unreachable(scrubbed(url, &other.to_string())),
    }
}

fn refused(url: &Url, error: &ErrorPayload) -> NodeError {
    let message = scrubbed(url, &error.message);
    let lower = message.to_ascii_lowercase();
    let limited = ["rate limit", "too many requests", "request limit", "capacity exceeded", "compute units"];
    // 429 over JSON-RPC is Alchemy's, -32005 is EIP-1474's "limit exceeded".
    if matches!(error.code, 429 | -32005) || limited.iter().any(|words| lower.contains(words)) {
        return NodeError::Limited { why: message, after: None };
    }
    NodeError::Refused { code: error.code, message, data: error.data.is_some() }
}

fn unreachable_by(url: &Url, error: &reqwest::Error) -> NodeError {
    // The cause at the bottom says what happened ("connection refused"); the layers above it repeat the address.
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = if cause.is::<reqwest::Error>() { "the request failed".to_owned() } else { cause.to_string() };
    let unreachable = NodeError::Unreachable(scrubbed(url, &text));
    if error.is_connect() { located(url, unreachable) } else { unreachable }
}

/// A label of a host's name from this length on is a key rather than a name.
const KEY_LIKE_CHARS: usize = 20;

/// Adds to a connection that failed where it was to lead: host and port, and nothing of the address that may be a key.
fn located(url: &Url, error: NodeError) -> NodeError {
    let NodeError::Unreachable(why) = error else { return error };
    let Some((host, port)) = url.host_str().zip(url.port_or_known_default()) else {
        return NodeError::Unreachable(why);
    };
    let label = |label: &str| if label.len() >= KEY_LIKE_CHARS { "***".to_owned() } else { label.to_owned() };
    let host: Vec<String> = host.split('.').map(label).collect();
    NodeError::Unreachable(format!("{why} ({}, port {port})", host.join(".")))
}

/// `text` from a stranger, safe to log: short, without control characters, and without any part of `url` that could be a key.
pub(super) fn scrubbed(url: &Url, text: &str) -> String {
    let mut out: String = text.chars().take(4 * WHY_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let segments = url.path_segments().into_iter().flatten();
    let values = url.query_pairs().map(|(_, value)| value.into_owned()).collect::<Vec<_>>();
    let parts = segments.chain(values.iter().map(String::as_str)).chain(url.password()).chain([url.username()]);
    let mut parts: Vec<&str> = parts.filter(|part| part.len() >= 6).chain(url.host_str()).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    for part in parts {
        out = out.replace(part, "***");
    }
    let end = (0..=WHY_MAX.min(out.len())).rev().find(|end| out.is_char_boundary(*end)).unwrap_or(0);
    out.truncate(end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_fails_names_host_and_port_and_no_key() {
        let cases = [
            ("ws://127.0.0.1:8546/0123456789abcdef", "refused (127.0.0.1, port 8546)"),
            ("wss://alice:hunter22@node.example/v3/key?token=sesame", "refused (node.example, port 443)"),
            ("https://0123456789abcdef01234567.node.example/", "refused (***.node.example, port 443)"),
            ("http://[::1]:8545/", "refused ([::1], port 8545)"),
        ];
        for (url, told) in cases {
            let error = located(&Url::parse(url).expect("a URL"), NodeError::Unreachable("refused".to_owned()));
            assert_eq!(error.to_string(), told);
        }
    }

    #[test]
    fn a_strangers_words_are_repeated_without_the_key_and_without_control_characters() {
        let url = Url::parse("wss://alice:hunter22@node.example/v3/0123456789abcdef?token=sesame-open").expect("a URL");
        let said = "\x1b[31mkey 0123456789abcdef of alice:hunter22 at node.example (sesame-open) is over its quota\n";
        assert_eq!(scrubbed(&url, said), " [31mkey *** of alice:*** at *** (***) is over its quota ");
        assert_eq!(scrubbed(&url, &"é".repeat(1_000)).len(), WHY_MAX);
    }
}
