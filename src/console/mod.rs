//! The console: what machines and people ask the running program, over plain HTTP on an address of the operator's choice.
//!
//! Comes in: requests, each as hostile as its sender. Goes out: `/metrics` for Prometheus, `/healthz` (the process lives) and
//! `/readyz` (every check holds, or which do not, as JSON). Never here: a change of anything, a secret, or a client that can
//! hold up another: connections, headers and time are bounded, and no connection is kept for a second request.

use crate::runtime::Stop;
use crate::telemetry::{Checks, Metrics};
use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, warn};

/// Connections at once; further ones wait in the system's queue. Prometheus uses one, a person a handful.
const CONNECTIONS_MAX: usize = 32;
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection lasts in all. Prometheus gives up after ten seconds unless told otherwise.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after the system refused a connection, which it does when it is out of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A listener, bound and not yet answering.
#[derive(Debug)]
pub struct Console {
    listener: TcpListener,
    address: SocketAddr,
    signs: Signs,
}

/// What is shown.
#[derive(Clone, Debug)]
struct Signs {
    metrics: Metrics,
    checks: Checks,
}

impl Console {
    /// Listens on `address`. Port 0 takes any free one.
    ///
    /// # Errors
    /// When it cannot be listened on, such as another program's port.
    pub async fn bind(address: SocketAddr, metrics: Metrics, checks: Checks) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listen on {address} as `[console]` says: choose another `listen`, or free it"))?;
        let address = listener.local_addr().context("ask where we listen")?;
        Ok(Self { listener, address, signs: Signs { metrics, checks } })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until told to stop.
    pub async fn run(self, stop: Stop) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = async {
                // The semaphore is never closed.
                let permit = room.clone().acquire_owned().await.ok()?;
                Some((self.listener.accept().await, permit))
            };
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = accepted => accepted,
            };
            match accepted {
                Some((Ok((stream, _)), permit)) => {
                    tokio::spawn(converse(stream, permit, self.signs.clone(), stop.clone()));
                }
                Some((Err(error), _)) => {
                    warn!("the console cannot take a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                None => return,
            }
        }
    }
}

/// One request and its answer, within bounds.
async fn converse(stream: TcpStream, permit: OwnedSemaphorePermit, signs: Signs, stop: Stop) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &signs);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        // A connection that stays open for the next request is room that somebody else lacks.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        ended = tokio::time::timeout(CONNECTION_TIMEOUT, connection) => match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!("a client of the console was cut off: {error}"),
            Err(_) => debug!("a client of the console was cut off: it took too long"),
        }
    }
    drop(permit);
}

fn answer(request: &Request<Incoming>, signs: &Signs) -> Response<Full<Bytes>> {
    let text = "text/plain; charset=utf-8";
    let (status, kind, body) = match request.uri().path() {
        _ if request.method() != Method::GET && request.method() != Method::HEAD => {
            (StatusCode::METHOD_NOT_ALLOWED, text, "only GET and HEAD are answered\n".to_owned())
        }
        "/metrics" => (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", signs.metrics.render()),
        "/healthz" => (StatusCode::OK, text, "ok\n".to_owned()),
        "/readyz" => ready(&signs.checks),
        _ => (StatusCode::NOT_FOUND, text, "here are /metrics, /healthz and /readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// Whether every check holds, and which do not.
fn ready(checks: &Checks) -> (StatusCode, &'static str, String) {
    let failing = checks.failing();
    let listed = failing
        .iter()
        .map(|failing| json!({ "check": failing.name, "why": failing.why, "since": failing.since.to_string() }));
    let body = json!({
        "ready": failing.is_empty(),
        "failing": listed.collect::<Vec<_>>(),
        "checks": checks.names(),
    });
    let status = if failing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, "application/json", format!("{body}\n"))
}

#[cfg(test)]
mod tests;
