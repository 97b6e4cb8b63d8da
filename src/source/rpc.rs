//! Connection to a node, and the errors that can occur on it.
//!
//! Sockets are never reopened, because a reopened socket may lose notifications and repeat requests without notice. A
//! broken socket stays dead, and its users receive an error at once.

use super::envelope::{Message, Refusal, encode_request, read_messages, take_result};
use super::gauge::ByteBudget;
use super::intake::{ANNOUNCED_BYTES_MAX, BoundedText, IntakeBudget, Reservation, SizeLimitExceeded, method_bytes};
use super::ipc::IpcLink;
use super::node::Deadlines;
use super::socket::{Announced, Failure, Socket};
use super::transport::{RawHeads, Transport};
use super::verify::Flaw;
use super::websocket::{WebSocketLink, split_credentials};
use crate::model::{BlindnessKind, Evidence};
use crate::wire::{ParseError, WHY_MAX};
use alloy_primitives::B256;
use futures::StreamExt;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use url::Url;

/// Total bytes of the answers to the largest batch that is tried; each of them takes a few dozen bytes.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Bytes that an envelope adds to a result, including vendor extensions.
const ENVELOPE_BYTES_MAX: usize = 4 << 10;

/// Parameters of a request.
pub(super) trait Params: Serialize + Send + Sync {}

impl<T: Serialize + Send + Sync> Params for T {}

/// Request, and the limit of its answer.
pub(super) struct RpcRequest<P> {
    pub(super) method: &'static str,
    pub(super) params: P,
    /// Limit of the answer in bytes.
    pub(super) limit: usize,
}

/// Failure of a node to give a requested answer. No variant contains an address or a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The connection failed or broke.
    #[error("{0}")]
    Unreachable(String),
    /// The node is connected but did not answer within the deadline.
    #[error("no answer to {method} within {after:?}")]
    TimedOut {
        /// Requested method.
        method: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The node limits the rate of requests.
    #[error("asked too often: {why}")]
    Limited {
        /// Reason given by the node.
        why: String,
        /// Pause requested by the node, if it names one.
        after: Option<Duration>,
    },
    /// The node serves another chain.
    #[error("it serves chain {found}, not chain {expected} as the `id` of the chain says")]
    WrongChain {
        /// Chain in the configuration.
        expected: u64,
        /// Chain the node serves.
        found: u64,
    },
    /// The node serves a chain with the right id and another block 0.
    #[error("its chain begins with block {found}, not with {expected}")]
    WrongGenesis {
        /// Hash of block 0 in the configuration, or the well-known one.
        expected: B256,
        /// Hash of the node's block 0.
        found: B256,
    },
    /// The node returned a JSON-RPC error.
    #[error("refused: {message} (code {code})")]
    Refused {
        /// Error code.
        code: i64,
        /// Error message, shortened.
        message: String,
        /// True if the error carried return data, as for reverted calls.
        data: bool,
    },
    /// Answer that is larger than any valid one to this request, and was not read to its end.
    #[error("its answer to {method} is larger than {limit} bytes, which no honest one is")]
    TooLarge {
        /// Requested method.
        method: &'static str,
        /// Limit in bytes.
        limit: usize,
    },
    /// The node does not have the block: it lags, or the block left its chain.
    #[error("it does not know {0}")]
    Missing(String),
    /// The answer is malformed.
    #[error(transparent)]
    Bad(#[from] ParseError),
    /// The answer belongs to another request.
    #[error("asked for one block, it answered with another")]
    Another,
    /// The answer is false: the block contradicts its own hash.
    #[error("a false {}: {flaw}", evidence.asked)]
    Lie {
        /// Flaw of the answer.
        flaw: Flaw,
        /// The whole answer, as evidence for the operator of the node.
        evidence: Arc<Evidence>,
    },
}

/// Way to reach a node.
#[derive(Clone)]
pub(super) enum Route {
    /// A URL, which may contain a key.
    Url(Url),
    /// A transport supplied by the embedder.
    Own(Arc<dyn Transport>),
}

/// Open connection, with the URL that its errors must not repeat.
#[derive(Clone)]
pub(super) enum Connection {
    Socket(Socket, Url),
    Http(HttpConnection),
    Own(Arc<dyn Transport>, IntakeBudget),
}

/// HTTP connection for requests.
#[derive(Clone)]
pub(super) struct HttpConnection {
    client: reqwest::Client,
    /// URL as configured, which errors must leave out.
    url: Url,
    /// Without credentials.
    bare: Url,
    credentials: Option<HeaderValue>,
    intake: IntakeBudget,
}

/// Open subscription, usually to new heads. Dropping it closes its socket.
pub(super) enum Heads {
    Socket { announced: Arc<Announced>, _socket: Socket },
    Own(RawHeads),
}

impl Route {
    /// Returns whether the route supports subscriptions.
    pub(super) fn can_subscribe(&self) -> bool {
        match self {
            Self::Url(url) => matches!(url.scheme(), "ws" | "wss" | "ipc"),
            Self::Own(transport) => transport.can_subscribe(),
        }
    }
}

impl Connection {
    /// Opens a connection within the connection deadline. For HTTP the connection is opened with the first request.
    pub(super) async fn open_connection(
        route: &Route,
        deadlines: &Deadlines,
        intake: &IntakeBudget,
    ) -> Result<Self, NodeError> {
        let url = match route {
            Route::Url(url) => url,
            Route::Own(transport) => return Ok(Self::Own(transport.clone(), intake.clone())),
        };
        let allowance = ByteBudget::new(intake, ANNOUNCED_BYTES_MAX);
        let opened = match url.scheme() {
            "ws" | "wss" => {
                let opening = WebSocketLink::open_socket(url, allowance.clone());
                let opened = tokio::time::timeout(deadlines.connect, opening).await;
                opened.map(|link| match link {
                    Ok(link) => Ok(Socket::serve_link(link, allowance, Some(deadlines.keepalive))),
                    Err(error) => Err(NodeError::Unreachable(scrub_message(url, &error.to_string()))),
                })
            }
            "ipc" => {
                let opening = IpcLink::open_socket(url, allowance.clone());
                let opened = tokio::time::timeout(deadlines.connect, opening).await;
                opened.map(|link| match link {
                    Ok(link) => Ok(Socket::serve_link(link, allowance, None)),
                    Err(error) => Err(NodeError::Unreachable(scrub_message(url, &error.to_string()))),
                })
            }
            _ => {
                // A redirect would reveal our URL, including its key, to the next server.
                let redirects = reqwest::redirect::Policy::none();
                let client = reqwest::Client::builder().connect_timeout(deadlines.connect).redirect(redirects).build();
                let client = client.map_err(|error| unreachable_by(url, &error))?;
                let (bare, credentials) = split_credentials(url);
                let (url, intake) = (url.clone(), intake.clone());
                return Ok(Self::Http(HttpConnection { client, url, bare, credentials, intake }));
            }
        };
        match opened {
            Ok(socket) => {
                socket.map(|socket| Self::Socket(socket, url.clone())).map_err(|error| error_with_host(url, error))
            }
            Err(_) => Err(error_with_host(
                url,
                NodeError::Unreachable(format!("no connection within {:?}", deadlines.connect)),
            )),
        }
    }

    /// Sends a request without a deadline of its own.
    pub(super) async fn send_request<P: Params>(
        &self,
        id: u64,
        asking: RpcRequest<P>,
    ) -> Result<BoundedText, NodeError> {
        let RpcRequest { method, params, limit } = asking;
        let unwritable = |_| NodeError::Unreachable(format!("the parameters of {method} cannot be written"));
        let params = to_raw_value(&params).map_err(unwritable)?;
        let too_large = || NodeError::TooLarge { method, limit };
        match self {
            Self::Socket(socket, url) => {
                let answer = socket.send_request(id, encode_request(id, method, &params), limit).await;
                answer.map_err(|failure| match failure {
                    Failure::Refused(refusal) => rpc_error(url, &refusal),
                    Failure::TooLarge => too_large(),
                    Failure::Broken(why) => NodeError::Unreachable(why.to_owned()),
                })
            }
            Self::Http(http) => {
                http.send_request(id, &encode_request(id, method, &params), limit).await?.ok_or_else(too_large)
            }
            Self::Own(transport, intake) => {
                let answer = transport.ask(method, &params).await?;
                let mut room = intake.new_room();
                let grown = room.reserve_bytes(answer.get().len(), limit).await;
                grown.map(|()| BoundedText::new(answer, room)).map_err(|SizeLimitExceeded| too_large())
            }
        }
    }

    /// Returns the number of answers to `n` requests for the chain's id that are sent in one HTTP request. Returns
    /// `None` over a socket, where each request is sent alone.
    pub(super) async fn probe_batch(&self, n: usize) -> Option<Result<usize, NodeError>> {
        let Self::Http(http) = self else { return None };
        let questions: Vec<_> = (0..n)
            .map(|id| serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId", "params": [] }))
            .collect();
        let answered = async {
            let sent = http.post_body(&serde_json::Value::from(questions).to_string(), BATCH_BYTES_MAX).await?;
            let Some((status, answer, _)) = sent else {
                return Err(NodeError::TooLarge { method: "batch", limit: BATCH_BYTES_MAX });
            };
            let messages = read_messages(&answer).map_err(|_| unreadable_response(status))?;
            let mut ids = HashSet::new();
            let mut failed = None;
            for message in messages {
                match message {
                    Message::Answer(Some(id), Ok(_)) => drop(ids.insert(id)),
                    Message::Answer(_, Err(refusal)) => failed = Some(refusal),
                    _ => {}
                }
            }
            match failed {
                // The server returned one error for the whole batch.
                Some(refusal) if ids.is_empty() => Err(rpc_error(&http.url, &refusal)),
                _ => Ok(ids.len()),
            }
        };
        Some(answered.await)
    }

    /// Subscribes to new heads on this connection, which serves nothing else from then on.
    pub(super) async fn subscribe_to_heads(self, id: u64) -> Result<Heads, NodeError> {
        match &self {
            Self::Own(transport, _) => transport.subscribe().await.map(Heads::Own),
            _ => self.subscribe_to(id, ["newHeads"]).await,
        }
    }

    /// Subscribes to the events that `params` name, like [`Connection::subscribe_to_heads`]; this requires one of our own sockets.
    pub(super) async fn subscribe_to<P: Params>(self, id: u64, params: P) -> Result<Heads, NodeError> {
        let Self::Socket(socket, _) = &self else {
            let message = "subscriptions need a socket".to_owned();
            return Err(NodeError::Refused { code: -32_601, message, data: false });
        };
        // No other task uses this socket, so every announcement on it belongs to this subscription, even an early one.
        let (announced, socket) = (socket.announced_messages(), socket.clone());
        let limit = method_bytes("eth_subscribe");
        self.send_request(id, RpcRequest { method: "eth_subscribe", params, limit }).await?;
        Ok(Heads::Socket { announced, _socket: socket })
    }
}

impl Heads {
    /// Returns the next notification as received. An error of the channel means that some were dropped or that the
    /// socket is closed.
    pub(super) async fn next(&mut self) -> Result<Box<RawValue>, broadcast::error::RecvError> {
        match self {
            Self::Socket { announced, .. } => announced.next().await,
            Self::Own(heads) => heads.next().await.ok_or(broadcast::error::RecvError::Closed),
        }
    }
}

impl NodeError {
    /// Returns whether the connection is of no further use after this error.
    pub(super) fn breaks_the_wire(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::TimedOut { .. }
                | Self::TooLarge { .. }
                | Self::WrongChain { .. }
                | Self::WrongGenesis { .. }
        )
    }

    /// Returns whether the node answered with data that cannot be correct or is larger than accepted.
    pub(super) fn is_wrong(&self) -> bool {
        matches!(self, Self::Bad(_) | Self::Another | Self::Lie { .. } | Self::TooLarge { .. })
    }

    /// Returns the kind of outage if the node serves another chain.
    pub(super) fn serves_another(&self) -> Option<BlindnessKind> {
        match self {
            Self::WrongChain { .. } => Some(BlindnessKind::WrongChain),
            Self::WrongGenesis { .. } => Some(BlindnessKind::WrongGenesis),
            _ => None,
        }
    }

    /// Returns the pause that the node asks for.
    pub(super) fn asks_to_wait(&self) -> Duration {
        if let Self::Limited { after: Some(after), .. } = self { *after } else { Duration::ZERO }
    }

    /// Returns whether the failure concerns this request alone, so that others may be answered: a refusal, missing
    /// data, or an answer larger than accepted.
    pub(super) fn is_of_this_question(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Missing(_) | Self::TooLarge { .. })
    }

    /// Returns whether the node reports that it does not support this method, or not with these parameters.
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

impl HttpConnection {
    /// Sends one question in a request of its own. Returns `None` if the answer exceeds its limit.
    async fn send_request(&self, id: u64, body: &str, limit: usize) -> Result<Option<BoundedText>, NodeError> {
        let Some((status, answer, room)) = self.post_body(body, limit).await? else { return Ok(None) };
        let begins = answer.iter().find(|byte| !byte.is_ascii_whitespace());
        let message = match begins {
            Some(b'{') => take_result(answer),
            _ => read_messages(&answer).map(|mut messages| messages.swap_remove(0)),
        };
        match message {
            // An answer without an id belongs to the only open request.
            Ok(Message::Answer(of, answer)) if of.is_none_or(|of| of == id) => match answer {
                Ok(result) => Ok(Some(BoundedText::new(result, room))),
                Err(refusal) => Err(rpc_error(&self.url, &refusal)),
            },
            Ok(Message::Answer(..)) => Err(NodeError::Unreachable("the answer is to another question".to_owned())),
            _ => Err(unreadable_response(status)),
        }
    }

    /// Sends one POST and reads the answer as it arrives. Returns `None` if the answer exceeds its limit. The client
    /// library's errors and spans contain the whole address, so neither leaves this function.
    async fn post_body(
        &self,
        body: &str,
        limit: usize,
    ) -> Result<Option<(StatusCode, Vec<u8>, Reservation)>, NodeError> {
        // Room for the envelope around the result.
        let limit = limit.saturating_add(ENVELOPE_BYTES_MAX);
        let request = self.client.post(self.bare.clone()).header(CONTENT_TYPE, "application/json");
        let request = match &self.credentials {
            Some(header) => request.header(AUTHORIZATION, header),
            None => request,
        };
        let failed = |error: reqwest::Error| unreachable_by(&self.url, &error);
        let mut response = request.body(body.to_owned()).send().await.map_err(failed)?;
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if matches!(status.as_u16(), 429 | 503) {
            let after = retry_after.map(Duration::from_secs);
            return Err(NodeError::Limited { why: format!("HTTP {}", status.as_u16()), after });
        }
        if response.content_length().is_some_and(|n| n > limit as u64) {
            return Ok(None);
        }
        let (mut body, mut room) = (Vec::new(), self.intake.new_room());
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if room.reserve_bytes(chunk.len(), limit).await == Err(SizeLimitExceeded) {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some((status, body, room)))
    }
}

/// Returns the error for an answer that is not JSON-RPC. Many nodes send a JSON-RPC error with a status of 400 or 500,
/// and such an error is more informative than the status.
fn unreadable_response(status: StatusCode) -> NodeError {
    NodeError::Unreachable(match status.is_success() {
        true => "the answer is not JSON-RPC".to_owned(),
        false => format!("HTTP {}", status.as_u16()),
    })
}

fn rpc_error(url: &Url, error: &Refusal) -> NodeError {
    let message = scrub_message(url, &error.message);
    let lower = message.to_ascii_lowercase();
    let limited = ["rate limit", "too many requests", "request limit", "capacity exceeded", "compute units"];
    // 429 over JSON-RPC is used by Alchemy, -32005 is EIP-1474's "limit exceeded".
    if matches!(error.code, 429 | -32005) || limited.iter().any(|words| lower.contains(words)) {
        return NodeError::Limited { why: message, after: None };
    }
    NodeError::Refused { code: error.code, message, data: error.data }
}

fn unreachable_by(url: &Url, error: &reqwest::Error) -> NodeError {
    // The innermost cause describes the failure ("connection refused"); the outer layers repeat the URL.
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = if cause.is::<reqwest::Error>() { "the request failed".to_owned() } else { cause.to_string() };
    let unreachable = NodeError::Unreachable(scrub_message(url, &text));
    if error.is_connect() { error_with_host(url, unreachable) } else { unreachable }
}

/// Length from which a label of a host name counts as a key.
const KEY_LIKE_CHARS: usize = 20;

/// Adds the destination of a failed connection: host and port, and no part of the URL that may be a key.
fn error_with_host(url: &Url, error: NodeError) -> NodeError {
    let NodeError::Unreachable(why) = error else { return error };
    let Some((host, port)) = url.host_str().zip(url.port_or_known_default()) else {
        return NodeError::Unreachable(why);
    };
    let label = |label: &str| if label.len() >= KEY_LIKE_CHARS { "***".to_owned() } else { label.to_owned() };
    let host: Vec<String> = host.split('.').map(label).collect();
    NodeError::Unreachable(format!("{why} ({}, port {port})", host.join(".")))
}

/// Returns `text` from a server in a form that is safe to log: short, without control characters, and without any part
/// of `url` that could be a key.
pub(super) fn scrub_message(url: &Url, text: &str) -> String {
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
            let error = error_with_host(&Url::parse(url).expect("a URL"), NodeError::Unreachable("refused".to_owned()));
            assert_eq!(error.to_string(), told);
        }
    }

    #[test]
    fn a_strangers_words_are_repeated_without_the_key_and_without_control_characters() {
        let url = Url::parse("wss://alice:hunter22@node.example/v3/0123456789abcdef?token=sesame-open").expect("a URL");
        let said = "\x1b[31mkey 0123456789abcdef of alice:hunter22 at node.example (sesame-open) is over its quota\n";
        assert_eq!(scrub_message(&url, said), " [31mkey *** of alice:*** at *** (***) is over its quota ");
        assert_eq!(scrub_message(&url, &"é".repeat(1_000)).len(), WHY_MAX);
    }
}
