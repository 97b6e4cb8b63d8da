//! The console: plain HTTP endpoints on a configured address, through which machines and people query the running
//! program.
//!
//! Comes in: requests, any of which may be hostile. Goes out: `/metrics` for Prometheus, `/healthz` (the process is
//! alive) and `/readyz` (all checks pass, or a JSON list of those that fail). Never here: a change of anything, a
//! secret, or a client that can block another client: connections, headers and time are bounded, and no connection is
//! kept open for a second request. A new connection is always accepted: when there are too many, the oldest connection
//! of the client with the most connections is closed.

use crate::runtime::Stop;
use crate::telemetry::{Checks, Metrics, SignOfLife};
use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tracing::{debug, warn};

/// Maximum number of concurrent connections: Prometheus uses one, a person a handful, and each takes some kilobytes. A
/// client that has sent its request is answered before this many further connections are accepted.
const CONNECTIONS_MAX: usize = 128;
/// Maximum size of a request's head, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Maximum number of headers in a request.
const HEADERS_MAX: usize = 64;
/// Time limit for a client to send the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for a connection. Prometheus gives up after ten seconds by default.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after the system failed to accept a connection, for example because it ran out of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Time between two signs of life while nobody connects.
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// A listener that is bound but does not answer requests yet.
#[derive(Debug)]
pub struct Console {
    listener: TcpListener,
    address: SocketAddr,
    signs: WebState,
    patience: ConnectionLimits,
    alive: SignOfLife,
}

/// Time limits for a client.
#[derive(Clone, Copy, Debug)]
struct ConnectionLimits {
    /// Time limit for a client to send its request's head.
    head: Duration,
    /// Time limit for the whole connection.
    connection: Duration,
}

/// Open connections, oldest first.
#[derive(Debug, Default)]
struct OpenConnections(VecDeque<(IpAddr, AbortHandle)>);

/// Data that the console serves.
#[derive(Clone, Debug)]
struct WebState {
    metrics: Metrics,
    checks: Checks,
}

impl Console {
    /// Listens on `address`. Port 0 selects any free port.
    ///
    /// # Errors
    /// When it cannot be listened on, such as another program's port.
    pub async fn bind(address: SocketAddr, metrics: Metrics, checks: Checks) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("failed to listen on {address} as `[console]` says: choose another `listen`, or free it")
        })?;
        let address = listener.local_addr().context("failed to ask where we listen")?;
        let patience = ConnectionLimits { head: HEAD_TIMEOUT, connection: CONNECTION_TIMEOUT };
        let alive = SignOfLife::default();
        Ok(Self { listener, address, signs: WebState { metrics, checks }, patience, alive })
    }

    /// Returns the address on which the console listens.
    #[must_use]
    pub fn listen_address(&self) -> SocketAddr {
        self.address
    }

    /// Shows by `alive` that the console goes on.
    #[must_use]
    pub fn with_sign_of_life(self, alive: SignOfLife) -> Self {
        Self { alive, ..self }
    }

    /// Serves requests until told to stop.
    pub async fn run(self, stop: Stop) {
        let mut guests = OpenConnections::default();
        let routes = console_routes(self.signs.clone());
        loop {
            self.alive.renew();
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
                () = tokio::time::sleep(ALIVE_EVERY) => continue,
            };
            match accepted {
                Ok((stream, client)) => {
                    guests.make_room(CONNECTIONS_MAX);
                    let talk = serve_connection(stream, routes.clone(), self.patience, stop.clone());
                    guests.0.push_back((client.ip(), tokio::spawn(talk).abort_handle()));
                    // Let the task of the accepted connection run before another connection can replace it.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    warn!("failed to accept a connection to the console: {error}");
                    // The usual cause is that no file handle is left, and open connections hold some.
                    guests.make_room(guests.0.len());
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl OpenConnections {
    /// Closes connections until fewer than `n_max` remain. Each time, the oldest connection of the client with the most
    /// connections is closed, so that many slow connections of one client block neither another client nor that
    /// client's own next request.
    fn make_room(&mut self, n_max: usize) {
        self.0.retain(|(_, task)| !task.is_finished());
        while self.0.len() >= n_max.max(1) {
            let mut counts = HashMap::<IpAddr, usize>::new();
            for (client, _) in &self.0 {
                *counts.entry(*client).or_default() += 1;
            }
            let most = counts.values().copied().max();
            let Some(place) = self.0.iter().position(|(client, _)| counts.get(client).copied() == most) else { return };
            if let Some((client, task)) = self.0.remove(place) {
                debug!("closed the oldest connection of {client} to the console: there are too many");
                task.abort();
            }
        }
    }
}

/// Answers one request, within bounds.
async fn serve_connection(stream: TcpStream, routes: Router, patience: ConnectionLimits, stop: Stop) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        // A connection kept open for another request takes a slot that another client needs.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::select! {
        () = stop.cancelled() => {}
        ended = tokio::time::timeout(patience.connection, connection) => match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!("closed a connection to the console: {error}"),
            Err(_) => debug!("closed a connection to the console: it took too long"),
        }
    }
}

/// Returns the routes of the console. `HEAD` is answered wherever `GET` is.
fn console_routes(signs: WebState) -> Router {
    Router::new()
        .route("/metrics", get(scrape_metrics))
        .route("/healthz", get(async || plain_text(StatusCode::OK, "ok\n")))
        .route("/readyz", get(async |State(signs): State<WebState>| readiness_response(&signs.checks)))
        .fallback(async || plain_text(StatusCode::NOT_FOUND, "here are /metrics, /healthz and /readyz\n"))
        .method_not_allowed_fallback(async || {
            plain_text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n")
        })
        .with_state(signs)
}

/// Headers of every response: nothing is cached, and no browser guesses a type.
const COMMON_HEADERS: [(HeaderName, &str); 2] = [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];

fn plain_text(status: StatusCode, body: &'static str) -> Response {
    (status, COMMON_HEADERS, [(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

async fn scrape_metrics(State(signs): State<WebState>) -> Response {
    // Brings the series of checks that nobody renews up to date.
    let _ = signs.checks.failing_checks();
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (COMMON_HEADERS, kind, signs.metrics.render()).into_response()
}

/// Returns the readiness of all checks, and the checks that fail.
fn readiness_response(checks: &Checks) -> Response {
    let failing = checks.failing_checks();
    let listed = failing
        .iter()
        .map(|failing| json!({ "check": failing.name, "why": failing.why, "since": failing.since.to_string() }));
    let body = json!({
        "ready": failing.is_empty(),
        "failing": listed.collect::<Vec<_>>(),
        "checks": checks.check_names(),
    });
    let status = if failing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, COMMON_HEADERS, [(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests;
