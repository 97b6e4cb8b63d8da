//! A real Ethereum node (anvil) as a child process. In: how it should run and what to do to it. Out: what it answered.
//! The binary itself is spawned, never the npm wrapper, which would leave the node running after a kill.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) use super::tx::{Receipt, Tx};

/// A receipt is asked for this often before the test gives up.
const RECEIPT_POLLS_MAX: usize = 1_000;

/// Monday, 2026-11-02 09:00:00 UTC: when every chain here begins, so that hours and weekdays in rules are known.
pub(crate) const GENESIS_TIME: u64 = 1_793_610_000;
/// Seconds from one block to the next unless a test sets a time, as on mainnet.
pub(crate) const BLOCK_INTERVAL_S: u64 = 12;

/// How a node is started.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// 31337 unless said.
    pub(crate) chain_id: u64,
    /// Unix seconds of the genesis block.
    pub(crate) genesis_time: u64,
    /// Seconds between blocks mined by a clock; `None` mines a block for each transaction.
    pub(crate) block_time_s: Option<u64>,
    /// No block by itself at all: only `mine` makes one.
    pub(crate) no_mining: bool,
    /// Accounts of the test mnemonic whose keys it has.
    pub(crate) accounts: usize,
    /// `k` makes `safe` the block k, and `finalized` the block 2k below the head.
    pub(crate) slots_in_an_epoch: Option<u64>,
    /// File that a graceful stop writes and a start reads.
    pub(crate) state: Option<PathBuf>,
    /// 0 takes any free port.
    pub(crate) port: u16,
    /// More arguments, as they stand.
    pub(crate) extra: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chain_id: 31337,
            genesis_time: GENESIS_TIME,
            block_time_s: None,
            no_mining: false,
            accounts: super::accounts::ALL.len(),
            slots_in_an_epoch: None,
            state: None,
            port: 0,
            extra: Vec::new(),
        }
    }
}

/// A running node. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Anvil {
    child: Child,
    options: Options,
    http: reqwest::Client,
    next_id: AtomicU64,
}

/// What the node answered instead of a result.
#[derive(Clone, Debug, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl Anvil {
    /// A node with the usual options: one block for each transaction, twelve seconds apart.
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// A node as wished; returns when it answers.
    pub(crate) async fn start_with(options: Options) -> Self {
        // Another part of the test may have installed it already, and either is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (child, port) = spawn(&options);
        let options = Options { port, ..options };
        let anvil = Self { child, options, http: client(), next_id: AtomicU64::new(1) };
        anvil.settle().await;
        anvil
    }

    /// Makes block times a matter of counting instead of the machine's clock.
    async fn settle(&self) {
        if self.options.block_time_s.is_none() {
            self.rpc("anvil_setBlockTimestampInterval", json!([BLOCK_INTERVAL_S])).await;
        }
    }

    // === Where it is ===

    /// `http://127.0.0.1:port`
    pub(crate) fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.options.port)
    }

    /// `ws://127.0.0.1:port`
    pub(crate) fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.options.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.options.port
    }

    pub(crate) fn chain_id(&self) -> u64 {
        self.options.chain_id
    }

    // === The process ===

    /// Kills the node at once, as a crash would. Nothing is written; `revive` starts it again.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops the node politely and waits: with `Options::state` set, the chain is in that file afterwards.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        let _ = self.child.wait();
    }

    /// Starts the node again on the same port with the same options, after `kill` or `stop`.
    pub(crate) async fn revive(&mut self) {
        let (child, port) = spawn(&self.options);
        assert_eq!(port, self.options.port, "a revived node keeps its port");
        self.child = child;
        self.settle().await;
    }

    /// As [`Anvil::revive`], but as a node of another chain.
    pub(crate) async fn revive_as(&mut self, chain_id: u64) {
        self.options.chain_id = chain_id;
        self.revive().await;
    }

    /// Freezes the node (SIGSTOP): sockets stay open and nothing is answered.
    pub(crate) fn freeze(&self) {
        super::process::stop(self.child.id());
    }

    /// Lets a frozen node go on (SIGCONT).
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        super::process::signal(self.child.id(), name);
    }

    // === JSON-RPC ===

    /// One request; panics with the node's words when it refuses.
    pub(crate) async fn rpc(&self, method: &str, params: Value) -> Value {
        match self.try_rpc(method, params).await {
            Ok(result) => result,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// One request. Panics only when the node cannot be reached.
    pub(crate) async fn try_rpc(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let response = self.http.post(self.http_url()).json(&request).send().await.expect("the node is up");
        let mut answer: Value = response.json().await.expect("the node answers JSON");
        match answer.get_mut("error") {
            Some(error) => Err(serde_json::from_value(error.take()).expect("a JSON-RPC error")),
            None => Ok(answer["result"].take()),
        }
    }

    // === Transactions ===

    /// Hands a transaction to the node and returns its hash, mined or not.
    pub(crate) async fn send(&self, tx: &Tx) -> B256 {
        let hash = self.rpc("eth_sendTransaction", json!([tx.json()])).await;
        serde_json::from_value(hash).expect("a transaction hash")
    }

    /// Sends and waits until it is mined, whether it succeeds or reverts.
    pub(crate) async fn transact(&self, tx: &Tx) -> Receipt {
        let hash = self.send(tx).await;
        self.receipt(hash).await
    }

    /// Sends, waits and insists on status 1.
    pub(crate) async fn succeed(&self, tx: &Tx) -> Receipt {
        let receipt = self.transact(tx).await;
        assert!(receipt.succeeded(), "{tx:?} reverted: {}", self.why(tx).await);
        receipt
    }

    /// Why `tx` would revert now, in the node's words.
    async fn why(&self, tx: &Tx) -> String {
        match self.try_rpc("eth_call", json!([tx.json(), "latest"])).await {
            Ok(_) => "it would not now".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// The receipt of `hash`, waiting until there is one.
    pub(crate) async fn receipt(&self, hash: B256) -> Receipt {
        for _ in 0..RECEIPT_POLLS_MAX {
            let receipt = self.rpc("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return serde_json::from_value(receipt).expect("a receipt");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{hash} is not mined");
    }

    /// Runs a call against the newest block and returns its output; panics when it reverts.
    pub(crate) async fn call(&self, to: Address, data: impl Into<Bytes>) -> Bytes {
        let tx = json!({ "to": to, "data": data.into() });
        let output = self.rpc("eth_call", json!([tx, "latest"])).await;
        serde_json::from_value(output).expect("bytes")
    }

    /// Lets `address`, a contract for example, send transactions, and pays for their gas.
    pub(crate) async fn impersonate(&self, address: Address) {
        self.rpc("anvil_impersonateAccount", json!([address])).await;
        let balance = self.balance(address).await;
        self.set_balance(address, balance + U256::from(10).pow(U256::from(18))).await;
    }

    // === State ===

    /// Wei of `address` at the newest block.
    pub(crate) async fn balance(&self, address: Address) -> U256 {
        let balance = self.rpc("eth_getBalance", json!([address, "latest"])).await;
        serde_json::from_value(balance).expect("a number")
    }

    /// Gives `address` exactly `wei`, out of nowhere.
    pub(crate) async fn set_balance(&self, address: Address, wei: U256) {
        self.rpc("anvil_setBalance", json!([address, wei])).await;
    }

    /// The word in `slot` of `address` at the newest block.
    pub(crate) async fn storage(&self, address: Address, slot: U256) -> B256 {
        let word = self.rpc("eth_getStorageAt", json!([address, slot, "latest"])).await;
        serde_json::from_value(word).expect("a word")
    }

    /// The code of `address` at the newest block.
    pub(crate) async fn code(&self, address: Address) -> Bytes {
        let code = self.rpc("eth_getCode", json!([address, "latest"])).await;
        serde_json::from_value(code).expect("bytes")
    }

    // === Blocks and time ===

    /// Mines `n` blocks, empty unless something is pending.
    pub(crate) async fn mine(&self, n: u64) {
        self.rpc("anvil_mine", json!([U256::from(n)])).await;
    }

    /// Turns mining for each transaction on or off.
    pub(crate) async fn set_automine(&self, on: bool) {
        self.rpc("evm_setAutomine", json!([on])).await;
    }

    /// Unix seconds that the next block will carry; must be later than the newest block's.
    pub(crate) async fn set_next_timestamp(&self, at: u64) {
        self.rpc("evm_setNextBlockTimestamp", json!([at])).await;
    }

    /// Number of the newest block.
    pub(crate) async fn block_number(&self) -> u64 {
        let number: U256 = serde_json::from_value(self.rpc("eth_blockNumber", json!([])).await).expect("a number");
        number.to()
    }

    /// A block by tag or number (`"latest"`, `"0x1"`), transactions as hashes.
    pub(crate) async fn block(&self, which: &str) -> Value {
        self.rpc("eth_getBlockByNumber", json!([which, false])).await
    }

    /// A block by number, transactions whole.
    pub(crate) async fn whole_block(&self, number: u64) -> Value {
        self.rpc("eth_getBlockByNumber", json!([U256::from(number), true])).await
    }

    /// How many transactions `address` sent up to and including block `number`.
    pub(crate) async fn sent_by(&self, address: Address, number: u64) -> u64 {
        let count = self.rpc("eth_getTransactionCount", json!([address, U256::from(number)])).await;
        serde_json::from_value::<U256>(count).expect("a number").to()
    }

    /// Unix seconds of the newest block.
    pub(crate) async fn now(&self) -> u64 {
        let time: U256 = serde_json::from_value(self.block("latest").await["timestamp"].clone()).expect("a number");
        time.to()
    }

    /// Replaces the newest `depth` blocks by as many others; `txs` go into the new ones at the index given with each
    /// (0 is the lowest). Transactions of the old blocks do not come back by themselves.
    pub(crate) async fn reorg(&self, depth: u64, txs: &[(Tx, u64)]) {
        let txs: Vec<Value> = txs.iter().map(|(tx, index)| json!([tx.json(), index])).collect();
        self.rpc("anvil_reorg", json!([depth, txs])).await;
    }

    /// Takes the newest `depth` blocks away. The node announces nothing until the next block.
    pub(crate) async fn rollback(&self, depth: u64) {
        self.rpc("anvil_rollback", json!([depth])).await;
    }

    /// Remembers the chain as it is, for `restore`.
    pub(crate) async fn snapshot(&self) -> Value {
        self.rpc("evm_snapshot", json!([])).await
    }

    /// Goes back to a snapshot, which is used up by it.
    pub(crate) async fn restore(&self, snapshot: Value) {
        let went = self.rpc("evm_revert", json!([snapshot])).await;
        assert_eq!(went, json!(true), "the snapshot is known");
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // SIGKILL ends a frozen process too.
        self.kill();
    }
}

/// `<package>/target/world`, where the build script leaves what tests need.
pub(crate) fn world_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/world")
}

/// The node's binary: `WATCHFIRE_ANVIL` where no package fits the machine, else the one npm installed.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("WATCHFIRE_ANVIL") {
        return path.into();
    }
    let installed = "tests/world/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(installed);
    assert!(path.exists(), "{} is missing: run tests/run (or npm ci in tests/world) first", path.display());
    path
}

fn spawn(options: &Options) -> (Child, u16) {
    let mut command = Command::new(binary());
    command
        .args(["--host", "127.0.0.1", "--accounts", &options.accounts.to_string()])
        .args(["--port", &options.port.to_string()])
        .args(["--chain-id", &options.chain_id.to_string()])
        .args(["--timestamp", &options.genesis_time.to_string()])
        .args(&options.extra)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(seconds) = options.block_time_s {
        command.args(["--block-time", &seconds.to_string()]);
    }
    if options.no_mining {
        command.arg("--no-mining");
    }
    if let Some(slots) = options.slots_in_an_epoch {
        command.args(["--slots-in-an-epoch", &slots.to_string()]);
    }
    if let Some(path) = &options.state {
        // Without the history, a revived node answers nothing about blocks before its restart.
        command.arg("--state").arg(path).arg("--preserve-historical-states");
    }
    let mut child = command.spawn().expect("anvil starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let mut said = Vec::new();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let port = line.strip_prefix("Listening on 127.0.0.1:").and_then(|port| port.trim().parse().ok());
        said.push(line);
        port
    });
    // The node blocks once its pipe is full, so somebody has to read on.
    std::thread::spawn(move || for _ in lines.map_while(Result::ok) {});
    let port = port.unwrap_or_else(|| panic!("anvil ended before it listened:\n{}", said.join("\n")));
    (child, port)
}

fn client() -> reqwest::Client {
    // A proxy of the environment has no business between a test and its node.
    reqwest::Client::builder().no_proxy().build().expect("a client without TLS roots of its own")
}
