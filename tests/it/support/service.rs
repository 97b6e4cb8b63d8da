//! A Safe Transaction Service: a real HTTP server on loopback that lists what tests propose, with the signatures they give it, and
//! goes wrong as it is told. It believes whatever it is given, as far as the program under test can see.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::anvil::Anvil;
use super::inbox::{Received, bind, read_request};
use super::safe::{Safe, SafeTx, Signer};

/// How a request is answered instead of as it should be.
#[derive(Clone, Debug, Default)]
pub(crate) enum Fault {
    /// As it should be.
    #[default]
    None,
    /// A bare status.
    Status(u16),
    /// 429 with `Retry-After`, in seconds.
    TooMany(u64),
    /// With these header lines, each ended by CRLF; as it should be where the status is 200.
    Said(u16, String),
    /// Half of what it should be, as if that were all.
    Half,
    /// Half of what was announced, and then the connection ends.
    Cut,
    /// 200, and these bytes, said to be compressed by gzip.
    Gzip(Vec<u8>),
    /// 200, and a page for people.
    Garbage,
    /// 200, and so many bytes.
    Huge(usize),
    /// Nothing, for so long.
    Hang(Duration),
    /// The connection ends without a word.
    Close,
    /// Lists of every Safe are those of this one.
    AnotherSafe(Address),
}

/// What the service says of a transaction.
#[derive(Clone, Debug)]
struct Item {
    safe: Address,
    nonce: u64,
    hash: B256,
    trusted: bool,
    executed: bool,
    json: Value,
}

#[derive(Debug, Default)]
struct Shared {
    items: Mutex<Vec<Item>>,
    /// Nonce and owners by Safe; one that is not here is not known.
    accounts: Mutex<BTreeMap<Address, (u64, Vec<Address>)>>,
    fault: Mutex<Fault>,
    /// Where pages say that the next one is.
    next: Mutex<String>,
    received: Mutex<Vec<Received>>,
}

/// A running service. Dropped, its port refuses connections.
#[derive(Debug)]
pub(crate) struct Service {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: AbortHandle,
}

/// Something to be listed, put together step by step.
#[derive(Debug)]
pub(crate) struct Proposal<'a> {
    service: &'a Service,
    safe: &'a Safe,
    tx: &'a SafeTx,
    nonce: u64,
    claimed: B256,
    proposer: Option<Address>,
    trusted: bool,
    beside: bool,
    submitted: String,
    confirmations: Vec<(Address, Bytes)>,
}

impl Service {
    /// Listens on a free port and knows nothing.
    pub(crate) async fn start() -> Self {
        let listener = bind(([127, 0, 0, 1], 0).into()).await;
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared: Arc<Shared> = Arc::default();
        let server = tokio::spawn(serve(listener, shared.clone())).abort_handle();
        Self { address, shared, server }
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/tx-service/dev", self.address)
    }

    /// Goes wrong, or right again, from now on.
    pub(crate) fn fault(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
    }

    /// Knows this Safe, which has no owners yet.
    pub(crate) fn knows(&self, safe: Address) {
        self.shared.accounts.lock().unwrap().insert(safe, (0, vec![]));
    }

    /// Pages name this as the address of the next one.
    pub(crate) fn leads_to(&self, next: &str) {
        next.clone_into(&mut self.shared.next.lock().unwrap());
    }

    /// How many requests came.
    pub(crate) fn count(&self) -> usize {
        self.shared.received.lock().unwrap().len()
    }

    /// Everything received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Follows the chain as far as it is: nonces, owners, and which of its transactions were executed.
    pub(crate) async fn follow(&self, anvil: &Anvil, safes: &[&Safe]) {
        for safe in safes {
            let (nonce, owners) = (safe.nonce(anvil).await, safe.owners(anvil).await);
            self.shared.accounts.lock().unwrap().insert(safe.address, (nonce, owners));
            let mut items = self.shared.items.lock().unwrap();
            for item in items.iter_mut().filter(|item| item.safe == safe.address && item.nonce < nonce) {
                item.executed = true;
            }
        }
    }

    /// Begins a proposal by `proposer`, without a signature.
    pub(crate) fn propose<'a>(&'a self, safe: &'a Safe, tx: &'a SafeTx, nonce: u64, proposer: Address) -> Proposal<'a> {
        Proposal {
            service: self,
            safe,
            tx,
            nonce,
            claimed: safe.hash(tx, nonce),
            proposer: Some(proposer),
            trusted: true,
            beside: false,
            submitted: "2026-11-02T10:00:00.000000Z".to_owned(),
            confirmations: Vec::new(),
        }
    }

    /// Lists this transaction no more, and knows it still: as it does once it has seen its nonce used.
    pub(crate) fn unlist(&self, hash: B256) {
        let mut items = self.shared.items.lock().unwrap();
        items.iter_mut().filter(|item| item.hash == hash).for_each(|item| item.executed = true);
    }

    /// Forgets a transaction, as an owner may ask it to.
    pub(crate) fn withdraw(&self, hash: B256) {
        self.shared.items.lock().unwrap().retain(|item| item.hash != hash);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proposal<'_> {
    /// With the signature that this signer gives for it.
    pub(crate) fn signed(self, signer: Signer<'_>) -> Self {
        let signature = self.safe.signatures(self.tx, self.nonce, &[signer]);
        self.with(signer.address(), signature)
    }

    /// With what this signer gave for another transaction.
    pub(crate) fn signed_instead(self, signer: Signer<'_>, other: &SafeTx) -> Self {
        let signature = self.safe.signatures(other, self.nonce, &[signer]);
        self.with(signer.address(), signature)
    }

    /// With these bytes as the signature of `owner`.
    pub(crate) fn with(mut self, owner: Address, signature: Bytes) -> Self {
        self.confirmations.push((owner, signature));
        self
    }

    /// Not among what the service trusts.
    pub(crate) fn untrusted(self) -> Self {
        Self { trusted: false, ..self }
    }

    /// Under another hash than its own.
    pub(crate) fn under(self, claimed: B256) -> Self {
        Self { claimed, ..self }
    }

    /// Listed beside whatever stands under the same hash, and not in its place.
    pub(crate) fn beside(self) -> Self {
        Self { beside: true, ..self }
    }

    /// Submitted then, as the service says: RFC 3339.
    pub(crate) fn submitted(self, when: &str) -> Self {
        Self { submitted: when.to_owned(), ..self }
    }

    /// Lists it, in place of what it said of the same hash before, and returns the hash that its owners sign.
    pub(crate) fn list(self) -> B256 {
        let Self { safe, tx, nonce, claimed, .. } = self;
        let confirmations: Vec<Value> = self
            .confirmations
            .iter()
            .map(|(owner, signature)| json!({ "owner": owner.to_checksum(None), "signature": signature.to_string(), "signatureType": "EOA" }))
            .collect();
        let json = json!({
            "safe": safe.address.to_checksum(None),
            "to": tx.to.to_checksum(None),
            "value": tx.value.to_string(),
            "data": if tx.data.is_empty() { Value::Null } else { tx.data.to_string().into() },
            "operation": u8::from(tx.delegate),
            "gasToken": tx.gas_token.to_checksum(None),
            "safeTxGas": tx.safe_tx_gas.to_string(),
            "baseGas": tx.base_gas.to_string(),
            "gasPrice": tx.gas_price.to_string(),
            "refundReceiver": tx.refund_receiver.to_checksum(None),
            "nonce": nonce.to_string(),
            "safeTxHash": claimed.to_string(),
            "proposer": self.proposer.map(|proposer| proposer.to_checksum(None)),
            "proposedByDelegate": null,
            "submissionDate": self.submitted,
            "isExecuted": false,
            "confirmationsRequired": 2,
            "confirmations": confirmations,
            "trusted": self.trusted,
            // What a service decoded is for people, and may say anything.
            "dataDecoded": { "method": "transfer", "parameters": [] },
        });
        let item = Item { safe: safe.address, nonce, hash: claimed, trusted: self.trusted, executed: false, json };
        let mut items = self.service.shared.items.lock().unwrap();
        items.retain(|known| self.beside || known.hash != claimed);
        items.push(item);
        safe.hash(tx, nonce)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await {
        let fault = shared.fault.lock().unwrap().clone();
        let path = request.path.clone();
        shared.received.lock().unwrap().push(request);
        let (status, extra, mut body) = match &fault {
            Fault::None | Fault::Half | Fault::Cut => plain(shared.answer(&path, None)),
            Fault::AnotherSafe(other) => plain(shared.answer(&path, Some(*other))),
            Fault::Status(status) => (*status, String::new(), Vec::new()),
            Fault::TooMany(seconds) => (429, format!("retry-after: {seconds}\r\n"), Vec::new()),
            Fault::Said(200, headers) => {
                let (status, _, body) = plain(shared.answer(&path, None));
                (status, headers.clone(), body)
            }
            Fault::Said(status, headers) => (*status, headers.clone(), b"<b>no</b>".to_vec()),
            Fault::Garbage => (200, String::new(), b"<html>Please log in</html>".to_vec()),
            Fault::Huge(bytes) => (200, String::new(), format!("[{}", " ".repeat(*bytes)).into_bytes()),
            Fault::Gzip(bytes) => (200, "content-encoding: gzip\r\n".to_owned(), bytes.clone()),
            Fault::Hang(pause) => {
                tokio::time::sleep(*pause).await;
                return;
            }
            Fault::Close => return,
        };
        let half = body.len() / 2;
        if matches!(fault, Fault::Half) {
            body.truncate(half);
        }
        let length = body.len();
        if matches!(fault, Fault::Cut) {
            body.truncate(half);
        }
        let head = format!(
            "HTTP/1.1 {status} Answer\r\n{extra}content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        if stream.write_all(&[head.as_bytes(), &body].concat()).await.is_err() || matches!(fault, Fault::Cut) {
            return;
        }
    }
}

fn plain(answer: Option<Value>) -> (u16, String, Vec<u8>) {
    match answer {
        Some(json) => (200, String::new(), json.to_string().into_bytes()),
        None => (404, String::new(), br#"{"detail":"No MultisigTransaction matches the given query."}"#.to_vec()),
    }
}

impl Shared {
    /// What lies at `path`, below the base; lists are those of `instead` where that is given.
    fn answer(&self, path: &str, instead: Option<Address>) -> Option<Value> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.strip_prefix("/tx-service/dev/api/")?.trim_end_matches('/').split('/').collect();
        let items = self.items.lock().unwrap();
        match parts.as_slice() {
            ["v1", "safes", safe] => {
                let safe: Address = safe.parse().ok()?;
                let (nonce, owners) = self.accounts.lock().unwrap().get(&safe)?.clone();
                let owners: Vec<String> = owners.iter().map(|owner| owner.to_checksum(None)).collect();
                Some(json!({
                    "address": safe.to_checksum(None), "nonce": nonce.to_string(), "threshold": 2, "owners": owners, "version": "9.9.9",
                }))
            }
            ["v2", "safes", safe, "multisig-transactions"] => {
                let safe: Address = instead.or_else(|| safe.parse().ok())?;
                let value = |key: &str| {
                    query
                        .split('&')
                        .filter_map(|pair| pair.split_once('='))
                        .find(|(name, _)| *name == key)
                        .map(|(_, value)| value)
                };
                let number = |key: &str| value(key).and_then(|value| value.parse::<usize>().ok());
                let (from, trusted) = (number("nonce__gte").unwrap_or(0), value("trusted") != Some("false"));
                let mut listed: Vec<&Item> = items
                    .iter()
                    .filter(|item| {
                        item.safe == safe && item.trusted == trusted && !item.executed && item.nonce >= from as u64
                    })
                    .collect();
                listed.sort_by_key(|item| item.nonce);
                let (offset, limit) = (number("offset").unwrap_or(0), number("limit").unwrap_or(20));
                let next = (offset + limit < listed.len()).then(|| self.next.lock().unwrap().clone());
                let results: Vec<&Value> = listed.iter().skip(offset).take(limit).map(|item| &item.json).collect();
                Some(json!({ "count": listed.len(), "next": next, "previous": null, "results": results }))
            }
            ["v2", "multisig-transactions", hash] => {
                let hash: B256 = hash.parse().ok()?;
                items.iter().find(|item| item.hash == hash).map(|item| item.json.clone())
            }
            _ => None,
        }
    }
}
