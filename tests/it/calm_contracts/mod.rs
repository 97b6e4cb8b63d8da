//! A week of ordinary life of contracts: six kinds of them, each watched by the rules that docs/contracts.md gives for it, with traces and
//! without, and nothing is found; and the thefts of an eighth day, each found in both modes.

mod abi;
mod account;
mod beside;
mod governance;
mod life;
mod staking;
mod token;
mod vault;
mod vesting;

use account::Account;
use governance::Governance;
use life::{Life, Town};
use staking::Pool;
use token::Voice;
use vault::Vault;
use vesting::Vesting;

use crate::support::anvil::{Anvil, GENESIS_TIME, world_dir};
use crate::support::watch::{Answers, Watch};
use alloy_primitives::{Address, B256};
use std::collections::HashSet;
use std::path::Path;
use watchfire::settings::Secrets;
use watchfire::watchlist::{self, Memory};

const DAY: u64 = 86_400;
/// When the week begins. All of it was deployed more than a day before: for how long a voter has had his power is asked for so far back.
const BEGINS: u64 = GENESIS_TIME + 2 * DAY;
/// The last day of the working week.
const FRIDAY: u64 = 4;
/// Transactions of the week that have to concern a watch, as far as they can be seen without traces.
const SEEN_MIN: usize = 300;
/// Rules that one contract takes at most.
const RULES_MAX: usize = 3;
/// ABIs that the documentation speaks of, by the contract that each is of.
const ABIS: [(&str, &str); 4] = [
    ("abi/vault.json", "YieldVault"),
    ("abi/voice.json", "Voice"),
    ("abi/pool.json", "ProxiedPool"),
    ("abi/account.json", "ModularAccount"),
];
const LABELS: [&str; 7] = ["Yield vault", "Voice", "Staking pool", "Vesting", "Smart account", "Governor", "Timelock"];

/// The watchlist of docs/contracts.md.
fn documented() -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/contracts.md")).unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.collect::<Vec<_>>().join("\n")
}

fn abi_of(contract: &str) -> String {
    std::fs::read_to_string(world_dir().join(format!("artifacts/{contract}.json"))).unwrap()
}

#[test]
fn the_watchlist_of_the_documentation_compiles_and_passes_its_own_tests() {
    let main = "watchlists = [\"list.toml\"]\n[chain.mainnet]\nendpoint = \"ws://127.0.0.1:8546\"\n\
        [destination.screen]\nkind = \"terminal\"\n[path.self]\nsteps = [{ to = [\"screen\"], ack_within = \"5m\" }]\n\
        [path.treasury]\nsteps = [{ to = [\"screen\"], ack_within = \"5m\" }]\n";
    let files = [("main.toml", main.to_owned()), ("list.toml", documented())];
    let files = files.into_iter().chain(ABIS.map(|(file, contract)| (file, abi_of(contract))));
    let book = watchlist::compile_config(Path::new("main.toml"), &Memory::new(files), Secrets::NamesOnly);
    let book = book.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let outcomes = watchlist::check::run_tests(&book);
    assert!(outcomes.len() >= 10, "{}", outcomes.len());
    for outcome in outcomes {
        assert!(outcome.has_passed(), "{}: {:?}", outcome.name, outcome.failures);
    }
    let labels: Vec<&str> = book.watches.iter().map(|watch| &*watch.label).collect();
    assert_eq!(labels, ["Yield vault", "Voice", "Staking pool", "Vesting", "Smart account", "Governor", "Timelock"]);
    for rules in &book.rules.watches {
        assert!(rules.rules.len() <= RULES_MAX, "{}: {} rules", labels[rules.watch.index()], rules.rules.len());
        assert!(rules.rules.iter().all(|rule| !rule.effects), "no rule vouches for whatever happens");
    }
}

struct Week {
    life: Life,
    town: Town,
    vault: Vault,
    voice: Voice,
    pool: Pool,
    vesting: Vesting,
    account: Account,
    governance: Governance,
    begun: u64,
}

impl Week {
    /// All of it deployed.
    async fn begun() -> Self {
        let mut life = Life::new(Anvil::start().await);
        let town = Town::build(&life).await;
        let vault = Vault::open(&mut life, &town).await;
        let voice = Voice::open(&mut life, &town).await;
        let pool = Pool::open(&mut life, &town).await;
        let vesting = Vesting::open(&mut life, &town).await;
        let account = Account::open(&mut life, &town).await;
        let governance = Governance::open(&mut life, &town, &voice).await;
        life.n_txs = 0;
        let begun = life.anvil.block_number().await + 1;
        Self { life, town, vault, voice, pool, vesting, account, governance, begun }
    }

    async fn morning(&self, day: u64) {
        self.life.anvil.set_next_timestamp(BEGINS + day * DAY).await;
    }

    async fn day(&mut self, day: u64) {
        self.morning(day).await;
        let subjects = self.subjects();
        let Self { life, town, vault, voice, pool, vesting, account, governance, .. } = self;
        if day <= FRIDAY {
            governance.day(life, day).await;
        }
        // On every second day it is so busy that one block holds all of it.
        if !day.is_multiple_of(2) {
            life.gather().await;
        }
        if day <= FRIDAY {
            vault.day(life, town).await;
            voice.day(life, town, day).await;
        }
        pool.day(life, town, day).await;
        vesting.day(life, town).await;
        if !day.is_multiple_of(2) {
            life.disperse().await;
        }
        account.day(life).await;
        let subject = subjects[day as usize % subjects.len()];
        town.noise_about(life, subject).await;
    }

    fn subjects(&self) -> [Address; LABELS.len()] {
        let (governance, account, vesting) = (&self.governance, self.account.address, self.vesting.address);
        let (governor, timelock) = (governance.governor, governance.timelock);
        [self.vault.address, self.voice.address, self.pool.address, vesting, account, governor, timelock]
    }

    /// Another ordinary day, and after each contract's own business what is stolen from it. By label: the transactions.
    async fn stolen_day(&mut self, day: u64) -> Vec<(&'static str, Vec<B256>)> {
        self.morning(day).await;
        let Self { life, town, vault, voice, pool, vesting, account, governance, .. } = self;
        let mut thefts = Vec::new();
        governance.day(life, day).await;
        thefts.push(("Timelock", governance.theft(life).await));
        vault.day(life, town).await;
        thefts.push(("Yield vault", vault.theft(life).await));
        voice.day(life, town, day).await;
        thefts.push(("Voice", voice.theft(life).await));
        pool.day(life, town, day).await;
        thefts.push(("Staking pool", pool.theft(life).await));
        vesting.day(life, town).await;
        thefts.push(("Vesting", vesting.theft(life).await));
        account.day(life).await;
        thefts.push(("Smart account", account.theft(life, town).await));
        thefts
    }

    /// The documentation's watchlist for these contracts, with or without traces.
    fn watched(&self, traces: bool) -> Watcher {
        // Addresses as the documentation has them.
        let places: [(&str, Address); 10] = [
            ("0x5FbDB2315678afecb367f032d93F642f64180aa3", self.town.dollar.address),
            ("0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512", self.town.share.address),
            ("0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0", self.town.reward.address),
            ("0xCf7Ed3AccA5a467e9e704C703E8D87F634fB0Fc9", self.voice.address),
            ("0xDc64a140Aa3E981100a9becA4E685f962f0cF6C9", self.vault.address),
            ("0x5FC8d32690cc91D4c39d9d3abcBD16989F875707", self.pool.address),
            ("0x0165878A594ca255338adfa4d48449f69242Eb8F", self.vesting.address),
            ("0xa513E6E4b8f2a923D98304ec87F64353C4D5C853", self.account.address),
            ("0x2279B7A0a67DB372996a5FaB50D91eAA73d2eBe6", self.governance.governor),
            ("0x8A791620dd6260079BF849Dc5567aDC3F2FdC318", self.governance.timelock),
        ];
        let mut list = documented().replace("\"mainnet\"", "\"local\"");
        // In two steps, since an address here may be another one's there.
        for (n, (written, _)) in places.iter().enumerate() {
            assert!(list.contains(written), "{written}");
            list = list.replace(written, &format!("<{n}>"));
        }
        for (n, (_, deployed)) in places.iter().enumerate() {
            list = list.replace(&format!("<{n}>"), &deployed.to_string());
        }
        let keys = format!("clock = \"chain\"\ntraces = {traces}");
        let watch = Watch::local(&format!("\"{}\"", self.life.anvil.ws_url()), &keys, &list);
        std::fs::create_dir(watch.path("abi")).unwrap();
        for (file, contract) in ABIS {
            watch.write(file, &abi_of(contract));
        }
        Watcher { watch, from: self.begun.to_string() }
    }
}

/// The program, which goes on where it stopped.
struct Watcher {
    watch: Watch,
    from: String,
}

impl Watcher {
    async fn judges(&self, anvil: &Anvil) -> Answers {
        let until = anvil.block_number().await.to_string();
        let run = ["run", "--from-block", &self.from, "--until-block", &until];
        tokio::task::block_in_place(|| self.watch.run(&run))
    }
}

/// A finding, as far as a person needs it to see what is wrong.
#[derive(Debug, PartialEq)]
struct Found {
    watch: String,
    tx: String,
    what: String,
}

/// What was found, but for what anybody can make a chain hold.
fn found(answers: &Answers, noise: &[B256]) -> Vec<Found> {
    let is_noise = |line: &serde_json::Value| {
        let by_stranger = noise.iter().any(|hash| line["tx"] == hash.to_string());
        by_stranger && line["by"] == "builtin/poisoning" && line["severity"] == "info"
    };
    let findings = answers.of("verdict").filter(|line| line["finding_id"].is_string() && !is_noise(line));
    let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    findings
        .map(|line| Found {
            watch: text(line, "watch"),
            tx: text(line, "tx"),
            what: format!("{} {}: {} {}", line["severity"], line["by"], line["headline"], line["reasons"]),
        })
        .collect()
}

/// A week without a finding, and an eighth day on which each theft is one, while a node traces or does not.
async fn passes(traces: bool) {
    let mut week = Week::begun().await;
    for day in 0..7 {
        week.day(day).await;
    }
    assert!(week.life.n_txs >= 300, "{}", week.life.n_txs);
    let watcher = week.watched(traces);
    let calm = watcher.judges(&week.life.anvil).await;
    assert_eq!(found(&calm, &week.life.noise), [], "{}", calm.stderr);
    assert_eq!(calm.of("blindness").count(), 0, "{}", calm.stderr);
    let watches: HashSet<&str> = calm.of("verdict").filter_map(|line| line["watch"].as_str()).collect();
    assert_eq!(watches.len(), LABELS.len(), "something of each: {watches:?}");
    let txs: HashSet<&str> = calm.of("verdict").filter_map(|line| line["tx"].as_str()).collect();
    assert!(txs.len() >= SEEN_MIN, "{} of {} transactions concern a watch", txs.len(), week.life.n_txs);

    let thefts = week.stolen_day(7).await;
    let seen = watcher.judges(&week.life.anvil).await;
    let mut found = found(&seen, &week.life.noise);
    for (label, txs) in &thefts {
        let is_of = |one: &Found| txs.iter().any(|tx| one.tx == tx.to_string());
        assert!(found.iter().any(|one| one.watch == *label && is_of(one)), "{label}: {found:#?}");
        found.retain(|one| !is_of(one));
    }
    assert_eq!(found, [], "and nothing but the thefts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_contracts_is_silent_and_every_theft_is_found_with_traces() {
    passes(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_contracts_is_silent_and_every_theft_is_found_without_traces() {
    passes(false).await;
}
