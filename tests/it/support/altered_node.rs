//! A real node seen through glass of our making: every answer may be changed on its way.

use crate::support::anvil::Anvil;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Changes the answer to a question; a batch is a question called `batch`.
type Twist = Box<dyn Fn(&str, &Value, &mut Value) + Send>;

/// Speaks HTTP. Cloned freely; clones are the same.
#[derive(Clone)]
pub(crate) struct Twisted {
    port: u16,
    node: String,
    twist: Arc<Mutex<Twist>>,
}

impl Twisted {
    /// Before `anvil`, changing nothing yet.
    pub(crate) async fn start(anvil: &Anvil) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let twisted = Self { port, node: anvil.http_url(), twist: Arc::new(Mutex::new(Box::new(|_, _, _| {}))) };
        let served = twisted.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(served.clone().serve(socket));
            }
        });
        twisted
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v3/0123456789abcdef", self.port)
    }

    /// From now on `twist` changes the whole response to a method and its parameters.
    pub(crate) fn twist(&self, twist: impl Fn(&str, &Value, &mut Value) + Send + 'static) {
        *self.twist.lock().expect("no test panics in there") = Box::new(twist);
    }

    async fn serve(self, socket: TcpStream) {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut socket = BufReader::new(socket);
        loop {
            let (mut length, mut line) = (0, String::new());
            while line != "\r\n" {
                line.clear();
                if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
            }
            let mut body = vec![0; length];
            if socket.read_exact(&mut body).await.is_err() {
                return;
            }
            let question: Value = serde_json::from_slice(&body).expect("the client writes JSON");
            let Ok(response) = client.post(&self.node).json(&question).send().await else { return };
            let mut answer: Value = response.json().await.expect("the node writes JSON");
            let method = question["method"].as_str().unwrap_or("batch");
            self.twist.lock().expect("no test panics in there")(method, &question["params"], &mut answer);
            let body = answer.to_string();
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if socket.write_all(response.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
