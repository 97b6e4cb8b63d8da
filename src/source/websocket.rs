//! WebSocket to a node, and the credentials in its URL, which HTTP uses too.

use super::gauge::{BudgetedReader, ByteBudget};
use super::intake::{ANNOUNCED_BYTES_MAX, ANSWER_BYTES_MAX};
use super::socket::Link;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use std::collections::VecDeque;
use std::io;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use url::{Host, Url};

type Stream = WebSocketStream<MaybeTlsStream<BudgetedReader<TcpStream>>>;

/// See the module documentation.
pub(super) struct WebSocketLink {
    to: SplitSink<Stream, Message>,
    from: SplitStream<Stream>,
    /// Set while written data may not have been flushed.
    unflushed: bool,
    ping: bool,
    allowance: ByteBudget,
}

/// Returns the URL without user name and password, and the authorization header with the same credentials.
pub(super) fn split_credentials(url: &Url) -> (Url, Option<HeaderValue>) {
    let mut bare = url.clone();
    if url.username().is_empty() && url.password().is_none() {
        return (bare, None);
    }
    let decoded = |text: &str| -> Vec<u8> {
        let mut bytes = text.bytes();
        let mut out = Vec::new();
        while let Some(byte) = bytes.next() {
            let ahead: Vec<u8> = bytes.clone().take(2).collect();
            let hex = std::str::from_utf8(&ahead).ok().filter(|hex| byte == b'%' && hex.len() == 2);
            match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(escaped) => {
                    out.push(escaped);
                    bytes.nth(1);
                }
                None => out.push(byte),
            }
        }
        out
    };
    // Source: RFC 7617.
    let pair = [&decoded(url.username())[..], b":", &decoded(url.password().unwrap_or_default())].concat();
    let header = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair))).ok();
    let header = header.map(|mut header| {
        header.set_sensitive(true);
        header
    });
    // This cannot fail: a URL with credentials has a host.
    let _ = bare.set_username("").and_then(|()| bare.set_password(None));
    (bare, header)
}

impl WebSocketLink {
    /// Opens a WebSocket. On a connection to a remote node each request is sent at once (no delay). By default the
    /// system holds a request back until the one before it is acknowledged (Nagle); for a block and its receipts, which
    /// are requested together, that costs one round trip. On this machine a round trip is short and the default is
    /// faster: anvil delays its answers likewise, and requests that arrive together are answered together.
    pub(super) async fn open_socket(url: &Url, allowance: ByteBudget) -> Result<Self, Error> {
        let (bare, header) = split_credentials(url);
        let mut request = bare.as_str().into_client_request()?;
        if let Some(header) = header {
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        let port = url.port_or_known_default().unwrap_or(80);
        let (tcp, is_local) = match url.host() {
            Some(Host::Domain(name)) => (TcpStream::connect((name, port)).await?, name == "localhost"),
            Some(Host::Ipv4(ip)) => (TcpStream::connect((ip, port)).await?, ip.is_loopback()),
            Some(Host::Ipv6(ip)) => (TcpStream::connect((ip, port)).await?, ip.is_loopback()),
            None => return Err(Error::Io(io::Error::other("the address names no host"))),
        };
        tcp.set_nodelay(!is_local)?;
        let limit = Some(ANSWER_BYTES_MAX + ANNOUNCED_BYTES_MAX);
        let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
        let stream = BudgetedReader::new(tcp, allowance.clone());
        let opened = tokio_tungstenite::client_async_tls_with_config(request, stream, Some(config), None).await;
        drop(allowance.take_room());
        let (to, from) = opened?.0.split();
        Ok(Self { to, from, unflushed: false, ping: false, allowance })
    }
}

impl Link for WebSocketLink {
    async fn step(&mut self, out: &mut VecDeque<String>) -> Result<Option<Vec<u8>>, ()> {
        loop {
            while self.ping || !out.is_empty() {
                std::future::poll_fn(|cx| self.to.poll_ready_unpin(cx)).await.map_err(|_| ())?;
                let message = match out.pop_front() {
                    Some(text) => Message::text(text),
                    None => {
                        self.ping = false;
                        Message::Ping(Bytes::new())
                    }
                };
                self.to.start_send_unpin(message).map_err(|_| ())?;
                self.unflushed = true;
            }
            tokio::select! {
                flushed = self.to.flush(), if self.unflushed => {
                    flushed.map_err(|_| ())?;
                    self.unflushed = false;
                }
                came = self.from.next() => return match came {
                    Some(Ok(Message::Text(text))) => Ok(Some(Bytes::from(text).into())),
                    // JSON is UTF-8 in every kind of frame.
                    Some(Ok(Message::Binary(bytes))) => Ok(Some(bytes.into())),
                    // The automatic answer of the protocol is sent with the next flush.
                    Some(Ok(Message::Ping(_))) => {
                        self.unflushed = true;
                        Ok(None)
                    }
                    Some(Ok(Message::Pong(_) | Message::Frame(_))) => Ok(None),
                    Some(Err(Error::Capacity(_))) => {
                        self.allowance.mark_oversized();
                        Err(())
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(()),
                },
            }
        }
    }

    fn send_ping(&mut self) {
        self.ping = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_address_and_mean_what_they_say() {
        let of = |text: &str| {
            let (bare, header) = split_credentials(&Url::parse(text).expect("a URL"));
            let header = header.map(|header| header.to_str().expect("ASCII").to_owned());
            (bare.to_string(), header)
        };
        assert_eq!(of("wss://node.example/key"), ("wss://node.example/key".to_owned(), None));
        // The example of RFC 7617, and one with escaped user name and password.
        let basic = |pair: &str| Some(format!("Basic {}", BASE64_STANDARD.encode(pair)));
        assert_eq!(
            of("http://Aladdin:open%20sesame@node.example/"),
            ("http://node.example/".to_owned(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned()))
        );
        assert_eq!(of("ws://us%40er:p%3A%25s@node.example/").1, basic("us@er:p:%s"));
        assert_eq!(of("ws://:pass@node.example/").1, basic(":pass"));
    }
}
