//! What it costs to look inside of transactions and at state: requests to the node per block, by method, and the time from the word of
//! a block to its committed verdicts. Ten Safes, of which one or all act in each block; with both on, and with both off, one after the
//! other within one run, so that the machine's own pace is in both.

use super::Args;
use crate::support::accounts::{DEPLOYER, GRANTEE, OWNER_A, OWNER_B, OWNER_C, RELAYER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::contracts::deploy;
use crate::support::kit::{Kit, Version};
use crate::support::process::Process;
use crate::support::safe::{Safe, SafeTx, Signer};
use crate::support::stored;
use crate::support::treasury::ether;
use crate::support::watch::Watch;
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolValue;
use std::collections::BTreeMap;
use std::time::Duration;

/// Safes that are watched.
const SAFES: u64 = 10;
/// Blocks before anything is measured: the inventory is taken, connections stand, windows are warm.
const WARM_UP: u64 = 5;
/// A loaded machine takes its time; longer means that nothing comes.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is compared: keys of the chain.
const MODES: [(&str, &str); 2] = [("on", ""), ("off", "traces = false\nstate = false\n")];

/// A program at work, and where its numbers are.
struct Program {
    watch: Watch,
    _process: Process,
    console: String,
    http: reqwest::Client,
}

/// What one stretch of blocks cost.
struct Cost {
    /// Requests per block, by method.
    requests: BTreeMap<String, f64>,
    /// Seconds from the first word of a block to its committed verdicts, on the average.
    latency: f64,
}

pub(crate) async fn run(args: &Args) {
    let blocks = args.blocks.unwrap_or(100);
    let anvil = Anvil::start().await;
    let safes = safes(&anvil).await;
    println!("{SAFES} Safes 1.4.1 of 3 owners and 1 module; {blocks} blocks each; requests are per block");
    for touched in [1, SAFES as usize] {
        let mut costs = Vec::new();
        for (mode, keys) in MODES {
            let program = Program::start(&anvil, &safes, keys).await;
            for _ in 0..WARM_UP {
                program.block(&anvil, &safes).await;
            }
            let before = program.numbers().await;
            for _ in 0..blocks {
                program.block(&anvil, &safes[..touched]).await;
            }
            let cost = Cost::between(&before, &program.numbers().await, blocks);
            println!("\n{touched} of {SAFES} act in each block, traces and state {mode}:");
            cost.show();
            costs.push(cost);
        }
        let [on, off] = costs.as_slice() else { return };
        println!(
            "\non against off, {touched} of {SAFES}: {:.1} times the requests, {:.1} times the time from head to commit",
            on.all() / off.all(),
            on.latency / off.latency
        );
    }
}

/// Safes with money, owners and a module; then the chain grows only when told.
async fn safes(anvil: &Anvil) -> Vec<Safe> {
    let from = DEPLOYER.address;
    let kit = Kit::deploy(anvil, from, Version::V1_4_1).await;
    let module = deploy(anvil, from, "PayModule", RELAYER.address.abi_encode()).await;
    let owners = [OWNER_A.address, OWNER_B.address, OWNER_C.address];
    let mut safes = Vec::new();
    for salt in 0..SAFES {
        let safe = Safe::create(anvil, from, kit, &owners, 1, salt).await;
        safe.enable_module(anvil, module, &[OWNER_A]).await;
        anvil.succeed(&Tx::pay(from, safe.address, ether(5))).await;
        safes.push(safe);
    }
    anvil.set_automine(false).await;
    safes
}

impl Program {
    async fn start(anvil: &Anvil, safes: &[Safe], keys: &str) -> Self {
        let watch = Watch::empty();
        watch.write(
            "watchfire.toml",
            &format!(
                "store = \"watchfire.db\"\nwatchlists = [\"list.toml\"]\n\
                 [chain.local]\nid = 31337\nendpoint = \"{}\"\nclock = \"chain\"\nslot = \"1s\"\n{keys}\
                 [console]\nlisten = \"127.0.0.1:0\"\n\
                 [destination.screen]\nkind = \"terminal\"\n\
                 [path.self]\nsteps = [{{ to = [\"screen\"], ack_within = \"5m\" }}]\n\
                 [path.treasury]\nsteps = [{{ to = [\"screen\"], ack_within = \"5m\" }}]\n",
                anvil.ws_url()
            ),
        );
        watch.write("list.toml", &safes.iter().map(|safe| watched(safe.address)).collect::<String>());
        let begun = (anvil.block_number().await + 1).to_string();
        let process = watch.start(&["run", "--from-block", &begun]);
        let console = || {
            let log = watch.log();
            log.lines().find_map(|line| line.strip_prefix("metrics and readiness at ")).map(str::to_owned)
        };
        until("the console answers", || console().is_some()).await;
        let console = console().unwrap_or_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { watch, _process: process, console, http }
    }

    /// One block in which each of these pays somebody, judged and committed.
    async fn block(&self, anvil: &Anvil, safes: &[Safe]) {
        for safe in safes {
            let pay = SafeTx::pay(GRANTEE.address, U256::from(1));
            let data = safe.exec_calldata(&pay, safe.nonce(anvil).await, &[Signer::Key(OWNER_A)]);
            anvil.send(&Tx::call(RELAYER.address, safe.address, data)).await;
        }
        anvil.mine(1).await;
        let head = anvil.block("latest").await["hash"].clone();
        let store = self.watch.path("watchfire.db");
        until("the newest block is committed", || {
            stored::progress(&store).is_some_and(|(tip, _)| head == tip.as_str())
        })
        .await;
    }

    /// Every series of requests and of the time to the commit, as it stands.
    async fn numbers(&self) -> BTreeMap<String, f64> {
        let answer = self.http.get(format!("{}/metrics", self.console)).send().await.expect("the console answers");
        let text = answer.text().await.expect("text");
        let series = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            let wanted = ["watchfire_rpc_requests_total", "watchfire_head_to_commit_seconds_"];
            let is_one = wanted.iter().any(|wanted| name.starts_with(wanted)) && !name.contains("_bucket");
            is_one.then_some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(series).collect()
    }
}

impl Cost {
    fn between(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, blocks: u64) -> Self {
        let grown = |name: &str| after.get(name).unwrap_or(&0.0) - before.get(name).unwrap_or(&0.0);
        let sum =
            |start: &str| after.keys().filter(|name| name.starts_with(start)).map(|name| grown(name)).sum::<f64>();
        let mut requests: BTreeMap<String, f64> = BTreeMap::new();
        for name in after.keys().filter(|name| name.starts_with("watchfire_rpc_requests_total")) {
            let method = name.split("method=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("?");
            *requests.entry(method.to_owned()).or_default() += grown(name) / blocks as f64;
        }
        requests.retain(|_, n| *n > 0.0);
        let latency = sum("watchfire_head_to_commit_seconds_sum") / sum("watchfire_head_to_commit_seconds_count");
        Self { requests, latency }
    }

    fn all(&self) -> f64 {
        self.requests.values().sum()
    }

    fn show(&self) {
        for (method, n) in &self.requests {
            println!("  {method:<28} {n:>7.2}");
        }
        println!("  {:<28} {:>7.2}", "in all", self.all());
        println!("  head to commit {:.1} ms on the average", self.latency * 1_000.0);
    }
}

fn watched(safe: Address) -> String {
    format!(
        "[[watch]]\nlabel = \"{safe}\"\nchain = \"local\"\naddress = \"{safe}\"\nkind = \"safe\"\npurpose = \"Pays\"\n\
         path = \"treasury\"\n[[watch.normal]]\nname = \"grants\"\nact = \"ether\"\nto = [\"{}\"]\nvalue = {{ max = \"1 ether\" }}\n",
        GRANTEE.address
    )
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited in vain until {what}");
}
