//! What a queued transaction means and who agreed to it depends on how the chain stands: on its storage, whatever a node says of it, and
//! on the code that a proxy runs by now.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_sol_types::{SolCall, SolValue};
use serde_json::{Value, json};

use crate::support::abi::IUpgrades;
use crate::support::accounts::{DEPLOYER, KEEPER, OWNER_A, STRANGER};
use crate::support::altered_node::Twisted;
use crate::support::anvil::{Anvil, Tx, world_dir};
use crate::support::contracts::deploy;
use crate::support::queued_treasury::{QueuedTreasury, SOON};
use crate::support::safe::{SafeTx, Signer};

#[tokio::test(flavor = "multi_thread")]
async fn whose_signatures_count_is_not_for_one_node_to_say() {
    let anvil = Anvil::start().await;
    let glass = Twisted::start(&anvil).await;
    // Asked, it says that the stranger is the one owner, that one is enough, that nothing was ever executed and that all is approved.
    glass.twist(|method, params, response| {
        let data = params[0]["data"].as_str().or_else(|| params[0]["input"].as_str()).unwrap_or_default();
        let word = |n: u64| format!("{n:064x}");
        let lie = match data.get(..10) {
            Some("0xa0e67e2b") => format!("{}{}{}", word(32), word(1), hex::encode(STRANGER.address.into_word())),
            Some("0xe75235b8" | "0x7d832974") => word(1),
            Some("0xaffed0e0") => word(0),
            _ => return,
        };
        if method == "eth_call" {
            *response = json!({ "jsonrpc": "2.0", "id": response["id"], "result": format!("0x{lie}") });
        }
    });
    let stage = QueuedTreasury::through(anvil, &glass.url(), SOON).await;
    let process = stage.start().await;
    let grants = &stage.treasury.grants;
    let (grant, nonce) = (stage.grant(), stage.nonce(grants).await);
    let signed = stage.service.propose(grants, &grant, nonce, OWNER_A.address).signed(Signer::Key(OWNER_A));
    let hash = signed.list();
    let told = |text: &str| {
        let of_it = |line: &Value| line["tx"] == hash.to_string();
        let says = |line: &Value| line["headline"].as_str().is_some_and(|headline| headline.contains(text));
        stage.verdicts().iter().any(|line| of_it(line) && says(line))
    };
    let true_words = format!("queued at nonce {nonce}, 1 of 2 confirmed");
    stage.until("it is told where the Safe stands", || told(&true_words)).await;
    stage.looked(2).await;
    // The service and the chain agree; what a busy machine was too slow for is over.
    stage.sees().await;
    // Nobody approved this one.
    let approved = Signer::Approved(OWNER_A.address);
    stage.service.propose(grants, &grant, nonce + 1, OWNER_A.address).signed(approved).list();
    stage.finds("Grants Safe critical builtin/queue-signature proposed").await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

impl QueuedTreasury {
    /// Watches a proxy whose two releases are listed, each with its ABI, and vouches for what both call `run`.
    fn watch_engine(&self, proxy: Address, releases: [(Address, &str); 2]) {
        let listed = releases.map(|(address, name)| {
            let artifact = world_dir().join("artifacts").join(format!("{name}.json"));
            self.watch.write(&format!("{name}.json"), &std::fs::read_to_string(artifact).expect("an artifact"));
            format!("{{ address = \"{address}\", abi = \"{name}.json\" }}")
        });
        let list = std::fs::read_to_string(self.watch.path("treasury.toml")).expect("a watchlist");
        let engine = format!(
            "\n[[watch]]\nlabel = \"The engine\"\nchain = \"demo\"\naddress = \"{proxy}\"\nkind = \"proxy\"\npurpose = \"Runs\"\n\
             path = \"treasury\"\nregistry = {{ implementations = [{}] }}\n[[watch.normal]]\nname = \"runs\"\ncall = \"run(uint256)\"\n",
            listed.join(", ")
        );
        self.watch.write("treasury.toml", &(list + &engine));
    }

    /// What was last made of a call of the engine that is queued under this hash: by whom, and what the argument is called.
    fn of_engine(&self, hash: B256) -> Option<(String, String)> {
        let queued =
            |line: &Value| line["watch"] == "The engine" && line["stage"] == "proposed" && line["activity"] == "call";
        let line = self.verdicts().into_iter().rfind(|line| queued(line) && line["tx"] == hash.to_string())?;
        let names = line["args"].as_object().map(|args| args.keys().cloned().collect::<Vec<_>>().join(","));
        Some((line["by"].as_str()?.to_owned(), names.unwrap_or_default()))
    }

    async fn engine_reads(&self, hashes: &[B256], by: &str, argument: &str) {
        let is_read =
            |hash: &B256| self.of_engine(*hash).is_some_and(|read| read == (by.to_owned(), argument.to_owned()));
        self.until(&format!("all is read as `{argument}` by {by}"), || hashes.iter().all(is_read)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_call_of_a_proxy_is_read_by_the_code_that_runs_now() {
    let stage = QueuedTreasury::new().await;
    let (anvil, from) = (&stage.anvil, DEPLOYER.address);
    let first = deploy(anvil, from, "Engine", []).await;
    let next = deploy(anvil, from, "NextEngine", []).await;
    let hijacked = deploy(anvil, from, "HijackedEngine", []).await;
    let initialize = Bytes::from(IUpgrades::initializeCall {}.abi_encode());
    let proxy = deploy(anvil, from, "ERC1967Proxy", (first, initialize).abi_encode_params()).await;
    stage.watch_engine(proxy, [(first, "Engine"), (next, "NextEngine")]);
    let process = stage.start().await;
    let grants = &stage.treasury.grants;
    let nonce = stage.nonce(grants).await;
    let run = SafeTx::call(proxy, IUpgrades::runCall { speed: U256::from(7) }.abi_encode());
    let upgrade = async |to: Address| {
        let data = IUpgrades::upgradeToAndCallCall { newImplementation: to, data: Bytes::new() }.abi_encode();
        anvil.succeed(&Tx::call(KEEPER.address, proxy, data)).await;
    };
    let propose = |n: u64| stage.service.propose(grants, &run, nonce + n, OWNER_A.address).list();
    let one = propose(0);
    stage.engine_reads(&[one], "runs", "speed_").await;
    // What waits already means something else from here on.
    upgrade(next).await;
    stage.engine_reads(&[one], "runs", "limit_").await;
    let two = propose(1);
    stage.engine_reads(&[one, two], "runs", "limit_").await;
    upgrade(hijacked).await;
    let three = propose(2);
    let foreign = "builtin/foreign-implementation";
    let is_foreign = |hash: &B256| stage.of_engine(*hash).is_some_and(|(by, _)| by == foreign);
    stage.until("all three are known to run foreign code", || [one, two, three].iter().all(is_foreign)).await;
    // And back: what nobody touched is judged once, and then left alone.
    upgrade(next).await;
    stage.engine_reads(&[one, two, three], "runs", "limit_").await;
    let n_lines = stage.verdicts().len();
    stage.looked(3).await;
    assert_eq!(stage.verdicts().len(), n_lines, "nothing is told twice");
    stage.finds("The engine high builtin/foreign-implementation proposed").await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}
