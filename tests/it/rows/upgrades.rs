//! What a call to a proxy means depends on the code that it runs: before an upgrade what the old version says, behind it what the new
//! one says, and nothing that anybody vouched for where nobody listed the code.

use super::{CaseChain, Row, watch};
use crate::support::abi::{IPuppet, IUpgrades};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, STRANGER};
use crate::support::anvil::{Tx, world_dir};
use crate::support::case_chain::book;
use crate::support::contracts::deploy;
use alloy_primitives::{Address, Bytes, U256, hex, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tokio::sync::Notify;
use watchfire::model::Severity::{self, Critical, High};
use watchfire::model::{BlockRef, ChainId, Judged, Verdict};
use watchfire::pipeline::Watcher;
use watchfire::runtime::SystemClock;
use watchfire::source::Step;
use watchfire::store::Store;

pub(super) const ROWS: &[&Row] = &[&C1, &C2, &C3, &C4, &C5, &C6, &C7];

/// How a proxy is told to run other code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Uups,
    Transparent,
    Beacon,
}

/// A proxy, three versions of its code, and whom to ask for another.
struct Machine {
    sort: Sort,
    proxy: Address,
    /// The ProxyAdmin or the beacon; the proxy itself where it is asked.
    asked: Address,
    first: Address,
    next: Address,
    hijacked: Address,
}

impl Machine {
    async fn new(stage: &CaseChain, sort: Sort) -> Self {
        let (anvil, from) = (&stage.anvil, DEPLOYER.address);
        let first = deploy(anvil, from, "Engine", []).await;
        let next = deploy(anvil, from, "NextEngine", []).await;
        let hijacked = deploy(anvil, from, "HijackedEngine", []).await;
        let initialize = Bytes::from(IUpgrades::initializeCall {}.abi_encode());
        let (proxy, asked) = match sort {
            Sort::Uups => {
                let proxy = deploy(anvil, from, "ERC1967Proxy", (first, initialize).abi_encode_params()).await;
                (proxy, proxy)
            }
            Sort::Transparent => {
                let arguments = (first, KEEPER.address, initialize).abi_encode_params();
                let proxy = deploy(anvil, from, "TransparentUpgradeableProxy", arguments).await;
                let slot = U256::from_be_bytes(keccak256("eip1967.proxy.admin").0) - U256::ONE;
                (proxy, Address::from_word(anvil.storage(proxy, slot).await))
            }
            Sort::Beacon => {
                let arguments = (first, KEEPER.address).abi_encode_params();
                let beacon = deploy(anvil, from, "UpgradeableBeacon", arguments).await;
                (deploy(anvil, from, "BeaconProxy", (beacon, initialize).abi_encode_params()).await, beacon)
            }
        };
        Self { sort, proxy, asked, first, next, hijacked }
    }

    /// The call that makes it run other code.
    fn upgrade(&self, to: Address) -> (Address, Vec<u8>) {
        let data = match self.sort {
            Sort::Uups => IUpgrades::upgradeToAndCallCall { newImplementation: to, data: Bytes::new() }.abi_encode(),
            Sort::Transparent => {
                let proxy = self.proxy;
                IUpgrades::upgradeAndCallCall { proxy, implementation: to, data: Bytes::new() }.abi_encode()
            }
            Sort::Beacon => IUpgrades::upgradeToCall { newImplementation: to }.abi_encode(),
        };
        (self.asked, data)
    }

    fn run(&self, n: u64) -> (Address, Vec<u8>) {
        (self.proxy, IUpgrades::runCall { speed: U256::from(n) }.abi_encode())
    }

    fn drive(&self) -> (Address, Vec<u8>) {
        let by = GRANTEE.address;
        (self.proxy, IUpgrades::driveCall { by, miles: U256::from(7) }.abi_encode())
    }

    /// A watch that lists two versions, each with its ABI, and vouches for what they do.
    fn watchlist(&self) -> String {
        self.watchlist_with("")
    }

    fn watchlist_with(&self, more: &str) -> String {
        let listed = format!(
            "registry = {{ implementations = [{{ address = \"{}\", abi = \"abi/Engine.json\" }}, {{ address = \"{}\", abi = \"abi/NextEngine.json\" }}] }}\n",
            self.first, self.next
        );
        let rules = "[[watch.normal]]\nname = \"runs\"\ncall = \"run(uint256)\"\n\
                     [[watch.normal]]\nname = \"drives\"\ncall = \"drive\"\nargs = { by = { eq = \"@BY\" } }\n\
                     [[watch.normal]]\nname = \"says-so\"\nevent = \"Driven\"\n";
        let rules = rules.replace("@BY", &GRANTEE.address.to_string());
        // Keys of the watch stand before its rules.
        let (keys, more) = if more.starts_with('[') { ("", more) } else { (more, "") };
        watch("proxy", self.proxy, &format!("{listed}{keys}{rules}{more}"))
    }
}

/// `run(limit_): 7 NextEngine` for each call and log: the names of the arguments, and by which ABI they were read.
fn readings(machine: &Machine, judged: &[Judged]) -> Vec<String> {
    let own = judged.iter().filter(|judged| {
        let name = &*judged.activity.deed.name;
        matches!(name, "run" | "drive" | "Driven") || name.starts_with("0x")
    });
    let read = |judged: &Judged| {
        let (deed, runs) = (&judged.activity.deed, judged.activity.executed_code());
        let args: Vec<&str> = deed.args.iter().map(|arg| &*arg.name).collect();
        let code = runs.map_or("nobody knows", |(code, _)| match code {
            code if code == machine.first => "first",
            code if code == machine.next => "next",
            code if code == machine.hijacked => "hijacked",
            _ => "another",
        });
        let abi = runs.and_then(|(_, abi)| abi.cloned()).map_or(String::new(), |abi| format!(" by {abi}"));
        format!("{}({}) of {code}{abi}", deed.name, args.join(","))
    };
    own.map(read).collect()
}

/// How loud each finding is, and what raised it, each once.
fn raised(judged: &[Judged]) -> Vec<(Severity, String)> {
    let mut raised: Vec<(Severity, String)> = judged
        .iter()
        .filter_map(|judged| match &judged.verdict {
            Verdict::Abnormal(abnormal) => Some((abnormal.severity, abnormal.rule.to_string())),
            Verdict::Normal { .. } => None,
        })
        .collect();
    raised.sort();
    raised.dedup();
    raised
}

// === Rows ===

const C1: Row = Row {
    id: "code-1",
    finds: "a UUPS proxy that runs code which nobody listed is called for something ordinary that a rule vouches for",
    by: "builtin/foreign-implementation",
    severity: High,
    incidents: 1,
    beside: "the listed release in the middle of a block, with calls before and behind it, each read by its version's ABI",
};

const C2: Row = Row {
    id: "code-2",
    finds: "the same of a transparent proxy, whose ProxyAdmin put the code in",
    by: "builtin/foreign-implementation",
    severity: High,
    incidents: 1,
    beside: "the listed release in the middle of a block, through the ProxyAdmin",
};

const C3: Row = Row {
    id: "code-3",
    finds: "the same of a proxy behind a beacon, none of whose own logs says that its code changed",
    by: "builtin/foreign-implementation",
    severity: High,
    incidents: 1,
    beside: "the listed release of the beacon in the middle of a block",
};

/// Two ordinary calls while foreign code runs, and a listed release between two calls.
async fn plays(row: &Row, sort: Sort) {
    for traces in [true, false] {
        let mut stage = CaseChain::new().await;
        if !traces {
            stage.without_traces();
        }
        let machine = Machine::new(&stage, sort).await;
        let watchlist = machine.watchlist();
        stage.begin().await;
        stage.send_together(KEEPER.address, &[machine.run(1)]).await;
        stage
            .send_together(
                KEEPER.address,
                &[machine.run(2), machine.upgrade(machine.next), machine.run(3), machine.drive()],
            )
            .await;
        stage.is_quiet(row, &watchlist).await;
        let read = readings(&machine, &stage.seen(&watchlist).await.judged);
        let (old, new) = ("run(speed_) of first by abi/Engine.json", "run(limit_) of next by abi/NextEngine.json");
        let drives = "drive(by,miles) of next by abi/NextEngine.json";
        let says = "Driven(by,miles) of next by abi/NextEngine.json";
        assert_eq!(read, [old, old, new, drives, says], "traces: {traces}");
        let (to, data) = machine.upgrade(machine.hijacked);
        stage.send(KEEPER.address, to, data).await;
        stage.begin().await;
        stage.send_together(KEEPER.address, &[machine.run(4), machine.run(5)]).await;
        stage.send_together(KEEPER.address, &[machine.run(6)]).await;
        // That it ran foreign code when it was first seen is told by itself.
        let seen = stage.finds(row, &machine.watchlist_with("builtins = { off = [\"builtin/drift\"] }\n")).await;
        assert_eq!(seen.findings.len(), 2, "one stands for all of a block: {:#?}", seen.lines);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uups_proxy_runs_foreign_code() {
    plays(&C1, Sort::Uups).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transparent_proxy_runs_foreign_code() {
    plays(&C2, Sort::Transparent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beacon_s_proxy_runs_foreign_code() {
    plays(&C3, Sort::Beacon).await;
}

const C4: Row = Row {
    id: "code-4",
    finds: "code is replaced by foreign code in the middle of a block, and what follows looks like every day",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the same code, vouched for by a rule that names it: what follows is judged by its rules again",
};

#[tokio::test(flavor = "multi_thread")]
async fn foreign_code_in_the_middle_of_a_block() {
    for traces in [true, false] {
        let mut stage = CaseChain::new().await;
        if !traces {
            stage.without_traces();
        }
        let machine = Machine::new(&stage, Sort::Uups).await;
        stage.begin().await;
        stage.send_together(KEEPER.address, &[machine.run(1)]).await;
        // The new code says that it was replaced by the old one, which is a lie.
        let pretend = IUpgrades::pretendCall { implementation: machine.first }.abi_encode();
        let calls = [
            machine.run(2),
            machine.upgrade(machine.hijacked),
            machine.run(3),
            (machine.proxy, pretend),
            machine.run(4),
        ];
        stage.send_together(KEEPER.address, &calls).await;
        stage.send_together(KEEPER.address, &[machine.run(5)]).await;
        let seen = stage.finds(&C4, &machine.watchlist()).await;
        let foreign = "run(speed_) of hijacked";
        let old = "run(speed_) of first by abi/Engine.json";
        let read = readings(&machine, &seen.judged);
        let read: Vec<&str> = read.iter().map(|line| &**line).filter(|line| line.starts_with("run")).collect();
        assert_eq!(read, [old, old, foreign, foreign, foreign], "traces: {traces}");
        let vouched =
            |judged: &&Judged| matches!(judged.verdict, Verdict::Normal { .. }) && &*judged.activity.deed.name == "run";
        assert_eq!(seen.judged.iter().filter(vouched).count(), 2, "only what the old code did is vouched for");

        stage.begin().await;
        let known = format!(
            "[[watch.normal]]\nname = \"planned\"\ncall = \"upgradeToAndCall\"\nargs = {{ newImplementation = {{ eq = \"{}\" }} }}\n",
            machine.hijacked
        );
        let back = machine.upgrade(machine.first);
        stage.send_together(KEEPER.address, &[back]).await;
        stage.begin().await;
        stage.send_together(KEEPER.address, &[machine.run(6)]).await;
        stage.send_together(KEEPER.address, &[machine.upgrade(machine.hijacked), machine.run(7)]).await;
        stage.send_together(KEEPER.address, &[machine.run(8)]).await;
        stage.is_quiet(&C4, &machine.watchlist_with(&known)).await;
    }
}

const C5: Row = Row {
    id: "code-5",
    finds: "code is replaced by foreign code from inside another contract's call, and the next call of the same transaction is an ordinary one",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "two ordinary calls in one transaction",
};

#[tokio::test(flavor = "multi_thread")]
async fn foreign_code_in_the_middle_of_a_transaction() {
    let mut stage = CaseChain::new().await;
    let machine = Machine::new(&stage, Sort::Uups).await;
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let two = |first: Vec<u8>, second: Vec<u8>| {
        IPuppet::makeTwoCall { to: machine.proxy, first: first.into(), second: second.into() }.abi_encode()
    };
    stage.begin().await;
    stage.send(STRANGER.address, puppet, two(machine.run(1).1, machine.run(2).1)).await;
    stage.is_quiet(&C5, &machine.watchlist()).await;
    stage.begin().await;
    stage.send(STRANGER.address, puppet, two(machine.upgrade(machine.hijacked).1, machine.run(3).1)).await;
    let seen = stage.finds(&C5, &machine.watchlist()).await;
    let read = readings(&machine, &seen.judged);
    assert_eq!(read, ["run(speed_) of hijacked"], "{:#?}", seen.lines);
}

const C6: Row = Row {
    id: "code-6",
    finds: "a proxy runs code that nobody listed when it is first seen",
    by: "builtin/drift",
    severity: Critical,
    incidents: 1,
    beside: "the same proxy with its code listed",
};

#[tokio::test(flavor = "multi_thread")]
async fn foreign_code_at_the_start() {
    for sort in [Sort::Uups, Sort::Transparent, Sort::Beacon] {
        let mut stage = CaseChain::new().await;
        let machine = Machine::new(&stage, sort).await;
        stage.begin().await;
        stage.send_together(KEEPER.address, &[machine.run(1)]).await;
        stage.is_quiet(&C6, &machine.watchlist()).await;
        let (to, data) = machine.upgrade(machine.hijacked);
        stage.send(KEEPER.address, to, data).await;
        stage.begin().await;
        stage.anvil.mine(1).await;
        stage.finds(&C6, &machine.watchlist()).await;
    }
}

const C7: Row = Row {
    id: "code-7",
    finds: "a minimal proxy, whose code says for ever what it runs, runs code that nobody listed",
    by: "builtin/foreign-implementation",
    severity: High,
    incidents: 1,
    beside: "the same proxy with its code listed, its calls read by the ABI of that code",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_minimal_proxy_runs_foreign_code() {
    for traces in [true, false] {
        let mut stage = CaseChain::new().await;
        if !traces {
            stage.without_traces();
        }
        let mut machine = Machine::new(&stage, Sort::Uups).await;
        // Source: EIP-1167, and the usual ten bytes in front that return what follows.
        let code = [
            &hex!("3d602d80600a3d3981f3363d3d373d3d3d363d73")[..],
            machine.first.as_slice(),
            &hex!("5af43d82803e903d91602b57fd5bf3")[..],
        ];
        let receipt = stage.anvil.succeed(&Tx::create(DEPLOYER.address, code.concat())).await;
        machine.proxy = receipt.contract_address.expect("an address");
        stage.begin().await;
        stage.send_together(KEEPER.address, &[machine.run(1)]).await;
        stage.send_together(KEEPER.address, &[machine.run(2)]).await;
        stage.is_quiet(&C7, &machine.watchlist()).await;
        let read = readings(&machine, &stage.seen(&machine.watchlist()).await.judged);
        assert_eq!(read, ["run(speed_) of first by abi/Engine.json"; 2], "traces: {traces}");
        let nobody =
            "registry = { implementations = [] }\n[[watch.normal]]\nname = \"runs\"\ncall = \"run(uint256 speed)\"\n";
        stage.finds(&C7, &watch("proxy", machine.proxy, nobody)).await;
    }
}

// === Over a reorg and a restart ===

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_and_a_restart_bring_back_what_the_code_was() {
    let stage = CaseChain::new().await;
    let machine = Machine::new(&stage, Sort::Beacon).await;
    let book = Arc::new(book(&machine.watchlist(), true));
    let chain = Arc::new(book.chains[0].clone());
    let store = Store::in_memory().await.expect("a store");
    let open = || async {
        let (clock, nudge) = (Arc::new(SystemClock), Arc::new(Notify::new()));
        Watcher::resume_from_store(book.clone(), chain.clone(), store.clone(), clock, nudge)
            .await
            .expect("the store can be read")
    };
    let mut watcher = open().await;
    let first = stage.anvil.block_number().await + 1;
    store.begin_chain(ChainId(stage.anvil.chain_id()), first).await.expect("the store takes it");
    let judge = async |watcher: &mut Watcher, retract: Vec<BlockRef>| {
        let fetched = stage.newest().await;
        let at = fetched.block.at;
        let step = Step { retract, append: vec![fetched] };
        let mut committed = watcher.apply_step(step, stage.reader()).await.expect("it is committed");
        (at, committed.blocks.remove(0).judged)
    };
    stage.send_together(KEEPER.address, &[machine.run(1)]).await;
    let (_, calm) = judge(&mut watcher, vec![]).await;
    assert_eq!(raised(&calm), []);

    // The beacon names foreign code. None of the proxy's own logs says so, and nobody calls it in this block.
    let before = stage.anvil.snapshot().await;
    stage.send_together(KEEPER.address, &[machine.upgrade(machine.hijacked)]).await;
    let (gone, told) = judge(&mut watcher, vec![]).await;
    assert_eq!(raised(&told), [(Critical, "builtin/state".to_owned())]);
    drop(watcher);
    let mut watcher = open().await;
    stage.send_together(KEEPER.address, &[machine.run(2)]).await;
    let (above, told) = judge(&mut watcher, vec![]).await;
    assert!(raised(&told).contains(&(High, "builtin/foreign-implementation".to_owned())), "{:?}", raised(&told));

    // Another branch, in which the next version is released instead.
    stage.anvil.restore(before).await;
    stage.send_together(KEEPER.address, &[machine.run(3), machine.upgrade(machine.next), machine.run(4)]).await;
    let (_, told) = judge(&mut watcher, vec![above, gone]).await;
    assert_eq!(raised(&told), []);
    let (old, new) = ("run(speed_) of first by abi/Engine.json", "run(limit_) of next by abi/NextEngine.json");
    assert_eq!(readings(&machine, &told), [old, new]);
    let mut watcher = open().await;
    stage.send_together(KEEPER.address, &[machine.run(5)]).await;
    let (_, told) = judge(&mut watcher, vec![]).await;
    assert_eq!((raised(&told), readings(&machine, &told)), (vec![], vec![new.to_owned()]));
}

// === For whoever looks ===

/// What the program prints, run with these arguments in `dir`.
fn printed(dir: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_watchfire")).current_dir(dir).args(args).output().expect("it runs");
    String::from_utf8([output.stdout, output.stderr].concat()).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_explain_say_which_code_speaks_which_abi() {
    let stage = CaseChain::new().await;
    let machine = Machine::new(&stage, Sort::Transparent).await;
    stage.send_together(KEEPER.address, &[machine.run(1), machine.upgrade(machine.next), machine.run(2)]).await;
    let block = stage.newest().await.block;
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("it is written");
    write(
        "watchfire.toml",
        &format!(
            "store = \"w.db\"\nwatchlists = [\"w.toml\"]\n[chain.demo]\nid = 31337\nendpoint = \"{}\"\nclock = \"chain\"\n\
             [destination.screen]\nkind = \"terminal\"\n\
             [path.self]\nsteps = [{{ to = [\"screen\"], ack_within = \"5m\" }}]\n\
             [path.duty]\nsteps = [{{ to = [\"screen\"], ack_within = \"5m\" }}]\n",
            stage.anvil.http_url()
        ),
    );
    write("w.toml", &machine.watchlist());
    std::fs::create_dir(dir.path().join("abi")).expect("a directory");
    for name in ["Engine", "NextEngine"] {
        let artifact = world_dir().join("artifacts").join(format!("{name}.json"));
        std::fs::copy(artifact, dir.path().join(format!("abi/{name}.json"))).expect("an artifact");
    }
    let check = printed(dir.path(), &["check"]);
    for (code, abi) in [(machine.first, "abi/Engine.json"), (machine.next, "abi/NextEngine.json")] {
        assert!(check.contains(&format!("{code} is read by `{abi}`")), "{check}");
    }
    // Nothing is known of the past but the block itself: in front of the upgrade the trace alone says what ran.
    for (tx, name, code, abi) in
        [(0, "speed_", machine.first, "abi/Engine.json"), (2, "limit_", machine.next, "abi/NextEngine.json")]
    {
        let explained = printed(dir.path(), &["explain", &block.txs[tx].hash.to_string()]);
        assert!(explained.contains(name), "{explained}");
        assert!(explained.contains(&format!("runs the code of {code}, read by {abi}")), "{explained}");
        let line = printed(dir.path(), &["--format", "json", "explain", &block.txs[tx].hash.to_string()]);
        let line: serde_json::Value = serde_json::from_str(line.lines().next().expect("a line")).expect("JSON");
        assert_eq!((&line["implementation"], &line["abi"]), (&code.to_string().into(), &abi.into()), "{line}");
    }
}
