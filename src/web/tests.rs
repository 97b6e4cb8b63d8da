//! Tests with real sockets on loopback.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Bench {
    address: SocketAddr,
    metrics: Metrics,
    checks: Checks,
    _stop: tokio_util::sync::DropGuard,
}

impl Bench {
    async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// Starts a console whose `ConnectionLimits`, its time limits for clients, is modified by `change`.
    async fn with(change: impl FnOnce(&mut ConnectionLimits)) -> Self {
        let metrics = Metrics::default();
        let checks = Checks::new(metrics.clone(), || jiff::Timestamp::UNIX_EPOCH);
        let mut console = Console::bind(([127, 0, 0, 1], 0).into(), metrics.clone(), checks.clone()).await.unwrap();
        change(&mut console.patience);
        let (address, stop) = (console.listen_address(), Stop::new());
        tokio::spawn(console.run(stop.clone()));
        Self { address, metrics, checks, _stop: stop.drop_guard() }
    }

    /// Sends `bytes` and returns everything received until the connection ends.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The console may close the connection before everything was sent.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Status and body.
    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.say(format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n").as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, body.to_owned())
    }
}

#[tokio::test]
async fn readiness_names_the_checks_that_fail() {
    let bench = Bench::start().await;
    bench.checks.mark_passing("chain/mainnet/head");
    let (status, body) = bench.get("/readyz").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, body), (200, json!({ "ready": true, "failing": [], "checks": ["chain/mainnet/head"] })));
    bench.checks.mark_failing("store/writes", "the disk is full");
    let (status, body) = bench.get("/readyz").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 503);
    let failing = json!([{ "check": "store/writes", "why": "the disk is full", "since": "1970-01-01T00:00:00Z" }]);
    assert_eq!(body["failing"], failing);
    // The process is alive even though a check fails.
    assert_eq!(bench.get("/healthz").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn metrics_are_scraped_and_everything_else_is_refused() {
    let bench = Bench::start().await;
    bench.metrics.register_chain("mainnet", 12.0);
    let (status, body) = bench.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(body.contains("\nwatchfire_chain_head_number{chain=\"mainnet\"} 0.0\n"), "{body}");
    assert_eq!(bench.get("/metrics?name=x").await.0, 200);
    for path in ["/", "/metrics/", "/../etc/passwd", "/readyz/x", "/%6detrics"] {
        assert_eq!(bench.get(path).await.0, 404, "{path}");
    }
    let answer = bench.say(b"POST /metrics HTTP/1.1\r\nhost: here\r\ncontent-length: 3\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET,HEAD\r\n"), "{answer}");
    let answer = bench.say(b"HEAD /metrics HTTP/1.1\r\nhost: here\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn heads_without_bounds_are_cut_off() {
    let bench = Bench::start().await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: here\r\n\r\n", "x".repeat(2 * HEAD_BYTES_MAX));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
    for hostile in [long.as_bytes(), many.as_bytes(), b"\0\0\0\0\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"] {
        let answer = bench.say(hostile).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    assert_eq!(bench.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn clients_that_say_nothing_are_cut_off() {
    let bench = Bench::with(|patience| patience.head = Duration::from_millis(50)).await;
    let mut silent = TcpStream::connect(bench.address).await.unwrap();
    silent.write_all(b"GET /healthz HTT").await.unwrap();
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

/// Sets timeouts longer than any test: a test that waits for them fails.
fn for_ever(patience: &mut ConnectionLimits) {
    *patience = ConnectionLimits { head: Duration::from_secs(86_400), connection: Duration::from_secs(86_400) };
}

/// Connects from `127.0.0.<host>`, and sends half a request.
async fn slow(bench: &Bench, host: u8) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    let mut stream = socket.connect(bench.address).await.unwrap();
    // It may be closed already.
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: h").await;
    stream
}

#[tokio::test]
async fn slow_clients_keep_nobody_from_health() {
    let bench = Bench::with(for_ever).await;
    let mut clients = Vec::new();
    for n in 0..300 {
        clients.push(slow(&bench, 1).await);
        if n % 50 == 0 {
            assert_eq!(bench.get("/healthz").await, (200, "ok\n".to_owned()), "after {n} slow clients");
        }
    }
    for path in ["/healthz", "/readyz", "/metrics", "/healthz"] {
        assert_eq!(bench.get(path).await.0, 200, "{path}");
    }
    // The oldest connection was closed to make room.
    let mut rest = Vec::new();
    let _ = clients[0].read_to_end(&mut rest).await;
}

#[tokio::test]
async fn readers_that_stop_reading_keep_nobody_from_health() {
    let bench = Bench::with(for_ever).await;
    for n in 0..40 {
        bench.metrics.register_chain(&format!("chain-with-a-long-name-{n}"), 12.0);
    }
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS_MAX + 10 {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: here\r\n\r\n").await;
        clients.push(stream);
    }
    assert_eq!(bench.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn one_client_s_flood_closes_no_connection_of_another() {
    let bench = Bench::with(for_ever).await;
    let mut other = slow(&bench, 2).await;
    let mut clients = Vec::new();
    for _ in 0..2 * CONNECTIONS_MAX {
        clients.push(slow(&bench, 1).await);
    }
    assert_eq!(bench.get("/healthz").await.0, 200);
    other.write_all(b"ere\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = Console::bind(address, Metrics::default(), Checks::default()).await.unwrap_err();
    let error = format!("{error:#}");
    assert!(error.starts_with(&format!("failed to listen on {address} as `[console]` says: ")), "{error}");
}
