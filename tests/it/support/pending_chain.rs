//! A chain whose pool fills up and whose blocks come when they are told to, and the program that watches an account on it.

use crate::support::accounts::{GRANTEE, PAYER};
use crate::support::anvil::{Anvil, Options};
use crate::support::process::Process;
use crate::support::watch::Watch;
use alloy_primitives::{Address, B256, U256};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use watchfire::runtime::monotonic_now;

/// Long enough for a loaded machine; a wait this long means that nothing comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// A node that mines nothing by itself, and the program.
pub(crate) struct PendingChain {
    pub(crate) anvil: Anvil,
    pub(crate) watch: Watch,
}

impl PendingChain {
    /// A watched account that may pay the grantee, on a chain that is heard of before its blocks. `more` goes into its watch.
    pub(crate) async fn new(more: &str) -> Self {
        let anvil = Anvil::start_with(Options { no_mining: true, ..Options::default() }).await;
        anvil.mine(1).await;
        let mut watch = Watch::empty();
        watch.set("WATCHFIRE_LOG", "info");
        watch.write(
            "watchfire.toml",
            &format!(
                r#"
watchlists = ["list.toml"]
[chain.local]
id = 31337
endpoint = "{}"
pending = true
[destination.pager]
kind = "terminal"
[destination.chat]
kind = "terminal"
[path.self]
steps = [{{ to = ["pager"], ack_within = "5m" }}]
[path.treasury]
notify = ["chat"]
steps = [{{ to = ["pager"], ack_within = "5m" }}]
"#,
                anvil.ws_url()
            ),
        );
        watch.write(
            "list.toml",
            &format!(
                r#"
[[watch]]
label = "Payer"
chain = "local"
address = "{}"
kind = "eoa"
purpose = "Pays grants"
path = "treasury"
{more}
  [[watch.normal]]
  name = "grants"
  act = "ether"
  to = ["{}"]
"#,
                PAYER.address, GRANTEE.address
            ),
        );
        Self { anvil, watch }
    }

    /// Starts, and waits until it listens.
    pub(crate) async fn start(&self) -> Process {
        let before = self.listens();
        let process = self.watch.start(&["run"]);
        self.until("it listens", || self.listens() > before).await;
        process
    }

    pub(crate) fn listens(&self) -> usize {
        self.watch.log().matches("listening to pending transactions of").count()
    }

    pub(crate) async fn until(&self, what: &str, enough: impl Fn() -> bool) {
        let deadline = monotonic_now() + PATIENCE;
        while !enough() {
            let (told, log) = (self.told(), self.watch.log());
            assert!(monotonic_now() < deadline, "waited in vain until {what}; told: {told:#?}\nlog: {log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn of(&self, kind: &str) -> Vec<Value> {
        self.watch.answers().into_iter().filter(|line| line["type"] == kind).collect()
    }

    /// What was told so far, in order: findings as `severity by stage`, ends by their reason, messages as `kind to`.
    pub(crate) fn told(&self) -> Vec<String> {
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
        let lines = self.watch.answers().into_iter().filter_map(|line| match line["type"].as_str()? {
            "verdict" if line["finding_id"].is_string() => {
                Some(format!("{} {} {}", text(&line, "severity"), text(&line, "by"), text(&line, "stage")))
            }
            "retraction" => Some(text(&line, "reason")),
            "delivery" => Some(format!("{} {}", text(&line, "kind"), text(&line, "destination"))),
            _ => None,
        });
        lines.collect()
    }

    pub(crate) async fn tells(&self, what: &str) {
        self.until(&format!("`{what}` is told"), || self.told().iter().any(|told| told == what)).await;
    }

    pub(crate) fn incidents(&self) -> BTreeSet<String> {
        self.of("verdict").iter().filter_map(|line| line["incident_id"].as_str().map(str::to_owned)).collect()
    }

    /// The state in which the only incident was told last.
    pub(crate) fn state(&self) -> String {
        assert!(self.incidents().len() <= 1, "{:#?}", self.told());
        self.of("incident").last().and_then(|line| line["state"].as_str()).unwrap_or("none").to_owned()
    }

    /// The payer's transaction with this nonce: a payment, for so many gwei of fees.
    pub(crate) async fn pays(&self, to: Address, nonce: u64, gwei: u64) -> B256 {
        let fee = U256::from(gwei) * U256::from(1_000_000_000);
        let tx = json!({
            "from": PAYER.address, "to": to, "value": "0x1", "gas": "0x5208", "nonce": U256::from(nonce),
            "maxFeePerGas": fee, "maxPriorityFeePerGas": fee,
        });
        serde_json::from_value(self.anvil.rpc("eth_sendTransaction", json!([tx])).await).expect("a hash")
    }
}
