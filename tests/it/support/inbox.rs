//! A webhook receiver: a real HTTP/1.1 server on loopback that records what it is sent and answers as it is told.
//! Checking signatures is the test's business; the inbox only remembers bytes.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A request that does not end within this many bytes is cut off.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// Long enough for a loaded machine; a wait this long means that nothing comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// One recorded request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) path: String,
    /// In the order sent, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// When all of it was here.
    pub(crate) at: Instant,
}

impl Received {
    /// The first header of that name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The `webhook-id`, which a receiver knows repetitions by.
    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id").expect("a webhook has an id")
    }

    /// The body, which has to be JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// How the inbox answers a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// 200 with an empty body.
    Ok,
    /// Any status with this body, as JSON.
    Body(u16, String),
    /// A bare status: 410 for a receiver that is gone, 500 for one in trouble.
    Status(u16),
    /// A bare status with one header line, such as `location: http://...`.
    Header(u16, String),
    /// 429 with `Retry-After`, in seconds.
    TooMany(u64),
    /// 200 after a while.
    Late(Duration),
    /// The request is read and never answered; the connection stays open.
    Hang,
    /// The request is read and the connection closed without a word.
    Close,
}

#[derive(Debug, Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    /// Places in `received` of requests whose answer is not written yet.
    held: Mutex<BTreeSet<usize>>,
    script: Mutex<VecDeque<Answer>>,
    /// After the script; 200 when absent.
    otherwise: Mutex<Option<Answer>>,
    news: Notify,
}

/// A running receiver. Dropped or stopped, its port refuses connections.
#[derive(Debug)]
pub(crate) struct Inbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<AbortHandle>,
}

impl Inbox {
    /// Listens on a free port and answers 200 until told otherwise.
    pub(crate) async fn start() -> Self {
        let mut inbox = Self { address: ([127, 0, 0, 1], 0).into(), shared: Arc::default(), server: None };
        inbox.resume().await;
        inbox
    }

    /// `http://127.0.0.1:port` followed by `path`, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next requests with these, one each; afterwards 200 again.
    pub(crate) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.script.lock().unwrap().extend(answers);
    }

    /// Answers every request behind the script with this from now on.
    pub(crate) fn otherwise(&self, answer: Answer) {
        *self.shared.otherwise.lock().unwrap() = Some(answer);
    }

    /// Looks at what was received so far, and at the places of those requests that are not answered yet.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[Received], &BTreeSet<usize>) -> T) -> T {
        let received = self.shared.received.lock().unwrap();
        look(&received, &self.shared.held.lock().unwrap())
    }

    /// How many requests came.
    pub(crate) fn count(&self) -> usize {
        self.look(|received, _| received.len())
    }

    /// Everything received so far, in order of arrival.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Waits until at least `n` requests came and returns all of them.
    pub(crate) async fn wait_for(&self, n: usize) -> Vec<Received> {
        self.wait_until(&format!("{n} requests"), |received| received.len() >= n).await
    }

    /// Waits until what came satisfies `enough`; `what` says in the panic what was missing.
    pub(crate) async fn wait_until(&self, what: &str, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let wait = async {
            loop {
                // Registered before looking, so that nothing slips in between.
                let news = self.shared.news.notified();
                let received = self.received();
                if enough(&received) {
                    return received;
                }
                news.await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(received) => received,
            Err(_) => panic!("waited in vain for {what}; so far: {:#?}", self.received()),
        }
    }

    /// Goes down: open connections break, new ones are refused.
    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }

    /// Comes up again, on the same port as before.
    pub(crate) async fn resume(&mut self) {
        self.stop();
        let listener = bind(self.address).await;
        self.address = listener.local_addr().expect("a bound socket has an address");
        self.server = Some(tokio::spawn(serve(listener, self.shared.clone())).abort_handle());
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(super) async fn bind(address: SocketAddr) -> TcpListener {
    // An aborted server lets go of its port when its task is next polled, so the first attempts may fail.
    for _ in 0..500 {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{address} does not become free");
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Owned by this task, so that they end with it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers requests on one connection until either side has enough.
async fn converse(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await {
        let answer = shared.script.lock().unwrap().pop_front();
        let answer = answer.or_else(|| shared.otherwise.lock().unwrap().clone()).unwrap_or(Answer::Ok);
        let place = {
            let mut received = shared.received.lock().unwrap();
            received.push(request);
            shared.held.lock().unwrap().insert(received.len() - 1);
            received.len() - 1
        };
        shared.news.notify_waiters();
        let (status, extra, body) = match answer {
            Answer::Ok => (200, String::new(), String::new()),
            Answer::Status(status) => (status, String::new(), String::new()),
            Answer::Body(status, body) => (status, "content-type: application/json\r\n".to_owned(), body),
            Answer::Header(status, line) => (status, format!("{line}\r\n"), String::new()),
            Answer::TooMany(seconds) => (429, format!("retry-after: {seconds}\r\n"), String::new()),
            Answer::Late(pause) => {
                tokio::time::sleep(pause).await;
                (200, String::new(), String::new())
            }
            Answer::Hang => return std::future::pending().await,
            Answer::Close => return,
        };
        let length = body.len();
        let response = format!("HTTP/1.1 {status} Scripted\r\n{extra}content-length: {length}\r\n\r\n{body}");
        let written = stream.write_all(response.as_bytes()).await;
        shared.held.lock().unwrap().remove(&place);
        if written.is_err() {
            return;
        }
    }
}

/// Reads one request with a `Content-Length` body; what follows it stays in `buffer`. `None` when the peer is done.
pub(super) async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Received> {
    loop {
        if let Some((request, used)) = parse(buffer) {
            buffer.drain(..used);
            return Some(request);
        }
        if buffer.len() > REQUEST_BYTES_MAX || stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// The request at the start of `bytes` and its length, if it is complete.
#[expect(clippy::disallowed_methods, reason = "when a request comes is what a receiver sees of pauses and retries")]
fn parse(bytes: &[u8]) -> Option<(Received, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).expect("an HTTP request") else { return None };
    let headers: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().expect("a length"));
    let body = bytes.get(head..head + length)?.to_vec();
    let method = request.method.unwrap_or_default().to_owned();
    let path = request.path.unwrap_or_default().to_owned();
    Some((Received { method, path, headers, body, at: Instant::now() }, head + length))
}
