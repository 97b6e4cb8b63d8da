//! What could not be looked at, and what becomes of it: state that no node tells, a block that is not traced, and more watches touched
//! at once than there is room to ask about. A real node seen through glass that goes dark when it is told to.

use crate::rows;
use crate::support::accounts::{DEPLOYER, KEEPER, OWNER_A, OWNER_B, OWNER_C};
use crate::support::altered_node::Twisted;
use crate::support::anvil::{Anvil, Tx};
use crate::support::kit::{Kit, Version};
use crate::support::process::Process;
use crate::support::safe::Safe;
use crate::support::stored;
use crate::support::treasury::ether;
use crate::support::watch::Watch;
use alloy_primitives::{Address, B256, U256, keccak256};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A loaded machine takes its time; longer means that nothing comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Safe that is watched while its chain grows block by block.
struct UnreadableSafe {
    anvil: Anvil,
    safe: Safe,
    watch: Watch,
    process: Process,
    /// Nobody tells state.
    no_state: Arc<AtomicBool>,
    /// Nobody traces.
    no_traces: Arc<AtomicBool>,
}

impl UnreadableSafe {
    async fn new() -> Self {
        let anvil = Anvil::start().await;
        let kit = Kit::deploy(&anvil, DEPLOYER.address, Version::V1_4_1).await;
        let owners = [OWNER_A.address, OWNER_B.address, OWNER_C.address];
        let safe = Safe::create(&anvil, DEPLOYER.address, kit, &owners, 2, 1).await;
        let glass = Twisted::start(&anvil).await;
        let (no_state, no_traces) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let dark = (Arc::clone(&no_state), Arc::clone(&no_traces));
        glass.twist(move |method, _, response| {
            let is_trace = method.starts_with("trace_") || method.starts_with("debug_");
            let is_state = matches!(
                method,
                "eth_call"
                    | "eth_getStorageAt"
                    | "eth_getCode"
                    | "eth_getBalance"
                    | "eth_getTransactionCount"
                    | "eth_getProof"
            );
            if is_trace && dark.1.load(Ordering::SeqCst) || is_state && dark.0.load(Ordering::SeqCst) {
                let error = json!({ "code": -32000, "message": "missing trie node" });
                *response = json!({ "jsonrpc": "2.0", "id": response["id"], "error": error });
            }
        });
        let watch = Watch::empty();
        watch.write(
            "watchfire.toml",
            &format!(
                "store = \"watchfire.db\"\nwatchlists = [\"list.toml\"]\n\
                 [chain.local]\nid = 31337\nendpoint = \"{}\"\nclock = \"chain\"\nslot = \"1s\"\n\
                 [destination.console]\nkind = \"terminal\"\n\
                 [path.self]\nsteps = [{{ to = [\"console\"], ack_within = \"5m\" }}]\n\
                 [path.treasury]\nsteps = [{{ to = [\"console\"], ack_within = \"5m\" }}]\n",
                glass.url()
            ),
        );
        watch.write(
            "list.toml",
            &format!(
                "[[watch]]\nlabel = \"Safe\"\nchain = \"local\"\naddress = \"{}\"\nkind = \"safe\"\n\
                 purpose = \"Holds the reserve\"\npath = \"treasury\"\n",
                safe.address
            ),
        );
        let begun = (anvil.block_number().await + 1).to_string();
        let process = watch.start(&["run", "--from-block", &begun]);
        let stage = Self { anvil, safe, watch, process, no_state, no_traces };
        stage.touched().await;
        stage
    }

    /// One block more in which somebody pays the Safe, judged.
    async fn touched(&self) {
        self.anvil.succeed(&Tx::pay(KEEPER.address, self.safe.address, U256::ONE)).await;
        let head = self.anvil.block("latest").await["hash"].clone();
        let store = self.watch.path("watchfire.db");
        self.until("the newest block is committed", || {
            stored::progress(&store).is_some_and(|(tip, _)| head == tip.as_str())
        })
        .await;
    }

    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let wait = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "waited in vain until {what}: {}", self.watch.log());
    }

    /// What was told of this blindness so far: how loud, or that it is over.
    fn told(&self, kind: &str) -> Vec<String> {
        let lines = self.watch.answers();
        let about = lines.iter().filter(|line| line["type"] == "blindness" && line["kind"] == kind);
        let word = |line: &Value| match line["until"].is_string() {
            true => "over".to_owned(),
            false => line["severity"].as_str().unwrap_or("?").to_owned(),
        };
        about.map(word).collect()
    }

    async fn tells(&self, kind: &str, words: &[&str]) {
        self.until(&format!("{kind} is told {words:?} and not {:?}", self.told(kind)), || self.told(kind) == words)
            .await;
    }

    fn findings(&self) -> Vec<String> {
        let lines = self.watch.answers();
        let found = lines.iter().filter(|line| line["type"] == "verdict" && line["finding_id"].is_string());
        found.map(|line| format!("{} {} {}", line["severity"], line["by"], line["function"]).replace('"', "")).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_nobody_tells_is_a_blindness_and_what_changed_meanwhile_is_found_afterwards() {
    let stage = UnreadableSafe::new().await;
    stage.no_state.store(true, Ordering::SeqCst);
    stage.touched().await;
    stage.tells("state-unread", &["warning"]).await;
    // The threshold, overwritten without a trace: it stands in slot 4 (SafeStorage.sol).
    let (slot, one) = (B256::with_last_byte(4), B256::with_last_byte(1));
    stage.anvil.rpc("anvil_setStorageAt", json!([stage.safe.address, slot, one])).await;
    stage.touched().await;
    stage.tells("state-unread", &["warning"]).await;
    stage.touched().await;
    stage.tells("state-unread", &["warning", "high"]).await;
    assert_eq!(stage.findings(), [""; 0], "nothing that was not seen is held against anybody");

    stage.no_state.store(false, Ordering::SeqCst);
    stage.touched().await;
    stage.tells("state-unread", &["warning", "high", "over"]).await;
    stage.until("the change is found", || !stage.findings().is_empty()).await;
    assert_eq!(stage.findings(), ["critical builtin/state threshold"], "{}", stage.watch.log());
    assert_eq!(stage.process.end().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_not_traced_is_told_at_once_and_over_with_the_next_that_is() {
    let stage = UnreadableSafe::new().await;
    stage.no_traces.store(true, Ordering::SeqCst);
    stage.touched().await;
    stage.tells("ability-lost", &["warning"]).await;
    stage.no_traces.store(false, Ordering::SeqCst);
    stage.touched().await;
    stage.tells("ability-lost", &["warning", "over"]).await;
    assert_eq!(stage.findings(), [""; 0]);
    assert_eq!(stage.process.end().await, 0, "{}", stage.watch.log());
}

/// Accounts that are paid in one block: three questions about each are more than a block has room for.
const CROWD: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_after_one_block_is_read_after_the_next() {
    let mut stage = rows::CaseChain::new().await;
    let crowd: Vec<Address> = (0..CROWD).map(|n| Address::from_word(keccak256(format!("account {n}")))).collect();
    let watchlist: String = crowd.iter().map(|account| rows::watch("eoa", *account, "")).collect();
    for account in &crowd {
        stage.anvil.set_balance(*account, ether(2)).await;
    }
    stage.begin().await;
    // An inventory of them takes a few blocks.
    stage.anvil.mine(8).await;
    assert!(stage.seen(&watchlist).await.findings.is_empty(), "nothing happened");

    // One ether of each is gone when somebody pays all of them.
    stage.anvil.set_automine(false).await;
    for account in &crowd {
        stage.anvil.set_balance(*account, ether(1)).await;
        stage.anvil.send(&Tx::pay(KEEPER.address, *account, U256::ONE)).await;
    }
    stage.anvil.mine(1).await;
    let at_once = stage.seen(&watchlist).await.findings;
    assert!(!at_once.is_empty() && at_once.len() < CROWD, "{} of {CROWD}", at_once.len());
    stage.anvil.mine(1).await;
    let in_all = stage.seen(&watchlist).await.findings;
    assert_eq!(in_all.len(), CROWD, "each is found, once");
    assert!(in_all.iter().all(|line| line.ends_with("builtin/outflow")), "{in_all:#?}");
}
