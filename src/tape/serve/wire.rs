//! Connections of a played tape: WebSocket and HTTP on one port, distinguished by the first byte.

use super::PlayedTape;
use super::block_index::to_raw_json;
use super::faults::Conduct;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Number of connections served at the same time; further ones wait.
const CONNECTIONS_MAX: usize = 32;
/// Maximum length of a request in bytes.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Maximum length of the head of an HTTP request in bytes, as in most servers.
const HTTP_HEAD_BYTES_MAX: usize = 16 << 10;
/// Header lines of an HTTP request; curl sends five.
const HTTP_HEADERS_MAX: usize = 64;
/// Longest time that a connection may stay open without a request.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Requests in one batch.
const BATCH_MAX: usize = 100;
/// Subscriptions of one socket.
const SUBSCRIPTIONS_MAX: usize = 16;
/// Maximum number of delayed answers on one socket.
const LATE_MAX: usize = 1_024;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(default)]
    params: Vec<Value>,
}

/// Reply to a request.
enum Reply {
    Now(String),
    After(Duration, String),
    Never,
    HangUp,
}

/// Subscriptions of one socket.
#[derive(Default)]
struct Subscriptions {
    ids: Vec<u64>,
    n_ever: u64,
}

/// Serves all connections until cancelled.
pub(super) async fn accept_connections(listener: TcpListener, stage: Arc<PlayedTape>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Connections die with this future, which a server's end cancels.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                let stage = stage.clone();
                connections.spawn(async move {
                    serve_connection(socket, stage).await;
                    drop(place);
                });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(socket: TcpStream, stage: Arc<PlayedTape>) {
    // Without this option an answer waits for the acknowledgement of the one before it, which takes forty milliseconds.
    // If the option cannot be set, answers are only slower.
    let _ = socket.set_nodelay(true);
    let mut first = [0];
    match tokio::time::timeout(IDLE_MAX, socket.peek(&mut first)).await {
        // An upgrade to WebSocket is a GET, a request over HTTP a POST.
        Ok(Ok(1)) if first == *b"G" => serve_socket(socket, &stage).await,
        Ok(Ok(1)) => serve_http(socket, stage).await,
        _ => {}
    }
}

/// Serves one WebSocket until it ends or sends an invalid message.
async fn serve_socket(socket: TcpStream, stage: &PlayedTape) {
    let config =
        WebSocketConfig::default().max_message_size(Some(REQUEST_BYTES_MAX)).max_frame_size(Some(REQUEST_BYTES_MAX));
    let mut shown = stage.shown.subscribe();
    let Ok(mut socket) = tokio_tungstenite::accept_async_with_config(socket, Some(config)).await else { return };
    let mut subscriptions = Subscriptions::default();
    let mut seen = *shown.borrow_and_update();
    let mut told = stage.lagged_scene_count(seen);
    let mut late: FuturesUnordered<BoxFuture<'static, String>> = FuturesUnordered::new();
    loop {
        let replies = tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => match reply_to_request(stage, *shown.borrow(), &text, Some(&mut subscriptions)) {
                    Reply::Now(text) => vec![text],
                    Reply::After(wait, text) if late.len() < LATE_MAX => {
                        late.push(tokio::time::sleep(wait).map(|()| text).boxed());
                        continue;
                    }
                    Reply::Never => continue,
                    Reply::After(..) | Reply::HangUp => return,
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return,
            },
            Some(text) = late.next() => vec![text],
            changed = shown.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = *shown.borrow_and_update();
                let moved = stage.head_number(now) != stage.head_number(std::mem::replace(&mut seen, now));
                let conduct = if moved { stage.faults.conduct_at(stage.head_number(now)) } else { Conduct::Answer };
                let from = std::mem::replace(&mut told, stage.lagged_scene_count(now));
                match conduct {
                    Conduct::HangUp => return,
                    Conduct::Silence => continue,
                    _ => {}
                }
                let news = stage.shelf.subscription_news(from, told);
                news.into_iter().flat_map(|header| subscriptions.ids.iter().map(|id| subscription_notification(*id, header))).collect()
            }
        };
        for text in replies {
            if socket.send(Message::text(text)).await.is_err() {
                return;
            }
        }
    }
}

/// Serves one HTTP/1.1 connection: all its requests, one after another.
async fn serve_http(socket: TcpStream, stage: Arc<PlayedTape>) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let stage = stage.clone();
        async move { answer_http(request.into_body(), &stage).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_MAX)
        .max_headers(HTTP_HEADERS_MAX)
        .max_buf_size(HTTP_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service);
    // Fails when the client goes away, sends no HTTP, or is hung up on.
    let _ = connection.await;
}

/// Answers one request over HTTP. An error closes the connection without a response.
async fn answer_http(body: Incoming, stage: &PlayedTape) -> std::io::Result<Response> {
    let Ok(body) = tokio::time::timeout(IDLE_MAX, to_bytes(Body::new(body), REQUEST_BYTES_MAX)).await? else {
        return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
    };
    let shown = *stage.shown.borrow();
    let answer = match reply_to_request(stage, shown, &String::from_utf8_lossy(&body), None) {
        Reply::Now(text) => text,
        Reply::After(wait, text) => {
            tokio::time::sleep(wait).await;
            text
        }
        // This fault tests the client's timeout.
        Reply::Never => std::future::pending().await,
        Reply::HangUp => return Err(std::io::ErrorKind::ConnectionAborted.into()),
    };
    Ok(([(CONTENT_TYPE, "application/json")], answer).into_response())
}

/// Answers a request, or each request of a batch.
fn reply_to_request(
    stage: &PlayedTape,
    shown: usize,
    text: &str,
    mut subscriptions: Option<&mut Subscriptions>,
) -> Reply {
    let Ok(batch) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        return reply_one(stage, shown, text, subscriptions);
    };
    if batch.is_empty() || batch.len() > BATCH_MAX {
        return Reply::Now(error_response("null", -32600, "a batch of one to a hundred requests, please"));
    }
    let (mut answers, mut wait) = (Vec::new(), Duration::ZERO);
    for request in batch {
        match reply_one(stage, shown, request.get(), subscriptions.as_deref_mut()) {
            Reply::Now(answer) => answers.push(answer),
            Reply::After(late, answer) => {
                wait = wait.max(late);
                answers.push(answer);
            }
            never => return never,
        }
    }
    let answers = format!("[{}]", answers.join(","));
    if wait.is_zero() { Reply::Now(answers) } else { Reply::After(wait, answers) }
}

fn reply_one(stage: &PlayedTape, shown: usize, text: &str, subscriptions: Option<&mut Subscriptions>) -> Reply {
    let request: Request<'_> = match serde_json::from_str(text) {
        Ok(request) => request,
        Err(_) => return Reply::Now(error_response("null", -32600, "this is no request")),
    };
    let id = request.id.map_or("null", RawValue::get);
    let late = match stage.faults.request_conduct(stage.head_number(shown), &request.method) {
        Conduct::Answer => Duration::ZERO,
        Conduct::AnswerAfter(late) => late,
        Conduct::Refuse => return Reply::Now(error_response(id, -32603, "internal error")),
        Conduct::Silence => return Reply::Never,
        Conduct::HangUp => return Reply::HangUp,
    };
    let answer = match (request.method.as_str(), subscriptions) {
        ("eth_subscribe", Some(subscriptions))
            if request.params.first().and_then(Value::as_str) == Some("newHeads") =>
        {
            let opened = subscriptions.open().map(|id| to_raw_json(&format!("{id:#x}")));
            opened.ok_or((-32005, "too many subscriptions".to_owned()))
        }
        ("eth_subscribe", None) => Err((-32601, "notifications need a WebSocket".to_owned())),
        ("eth_unsubscribe", Some(subscriptions)) => {
            Ok(to_raw_json(&subscriptions.close(request.params.first().and_then(Value::as_str))))
        }
        (method, _) => {
            let (_, view) = stage.shelf.view_at(shown, stage.faults.head_lag(stage.head_number(shown)));
            stage.shelf.answer_request(&view, &stage.faults, method, &request.params)
        }
    };
    let text = match answer {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, result.get()),
        Err((code, message)) => error_response(id, code, &message),
    };
    if late.is_zero() { Reply::Now(text) } else { Reply::After(late, text) }
}

fn error_response(id: &str, code: i64, message: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, json!({ "code": code, "message": message }))
}

fn subscription_notification(id: u64, header: &RawValue) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{id:#x}","result":{}}}}}"#,
        header.get()
    )
}

impl Subscriptions {
    fn open(&mut self) -> Option<u64> {
        if self.ids.len() >= SUBSCRIPTIONS_MAX {
            return None;
        }
        self.n_ever += 1;
        self.ids.push(self.n_ever);
        Some(self.n_ever)
    }

    fn close(&mut self, id: Option<&str>) -> bool {
        let before = self.ids.len();
        self.ids.retain(|open| id != Some(&format!("{open:#x}")));
        self.ids.len() < before
    }
}

impl PlayedTape {
    /// Returns the number of the newest block after `shown` scenes.
    fn head_number(&self, shown: usize) -> Option<u64> {
        self.shelf.newest_number(&self.shelf.view_at(shown, 0).1)
    }

    /// Returns the number of scenes that a node has shown if it lags as the faults state.
    fn lagged_scene_count(&self, shown: usize) -> usize {
        self.shelf.view_at(shown, self.faults.head_lag(self.head_number(shown))).0
    }
}
