//! Noise, what is new and what does not come, by the program as it is run: told when, remembered over restarts, closed when over.

use crate::support::accounts::{DEPLOYER, GRANTEE, HOLDER, PAYER, STRANGER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::tokens::{Token, transfer, transfer_from};
use crate::support::watch::{Answers, Watch};
use alloy_primitives::{Address, U256};

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// Normal, whoever is paid.
const ANYBODY: &str = "[[watch.normal]]\nname = \"ether\"\nact = \"ether\"\n\
    [[watch.normal]]\nname = \"coins\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@COIN\"\n";

/// A chain with a token, an account that holds some of it, and the program that watches the account.
struct TokenHolder {
    anvil: Anvil,
    coin: Token,
    watch: Watch,
    first: u64,
}

impl TokenHolder {
    async fn new(rules: &str) -> Self {
        let anvil = Anvil::start().await;
        let coin = Token::deploy_coin(&anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
        coin.mint(&anvil, DEPLOYER.address, PAYER.address, coin.units(1_000)).await;
        let watch = Watch::empty();
        let (url, payer, grantee) = (anvil.ws_url(), PAYER.address, GRANTEE.address);
        let config = format!(
            "store = \"watchfire.db\"\n\
             [chain.demo]\nid = 31337\nendpoint = \"{url}\"\nclock = \"chain\"\n\
             [destination.pager]\nkind = \"terminal\"\n\
             [path.self]\nsteps = [{{ to = [\"pager\"], ack_within = \"5m\" }}]\n\
             [path.duty]\nnotify = [\"pager\"]\nsteps = [{{ to = [\"pager\"], ack_within = \"5m\" }}]\n\
             [set]\npayees = [\"{grantee}\"]\n\
             [token.COIN]\nchain = \"demo\"\naddress = \"{}\"\ndecimals = 18\n\
             [[watch]]\nlabel = \"Payer\"\nchain = \"demo\"\naddress = \"{payer}\"\nkind = \"eoa\"\n\
             purpose = \"Pays\"\npath = \"duty\"\n{rules}",
            coin.address
        );
        watch.write("watchfire.toml", &config);
        let first = anvil.block_number().await + 1;
        Self { anvil, coin, watch, first }
    }

    /// The payer pays so much ether.
    async fn pay(&self, to: Address, wei: u64) {
        self.anvil.succeed(&Tx::pay(PAYER.address, to, U256::from(wei))).await;
    }

    /// The payer pays so many coins, which it may not have.
    async fn coins(&self, to: Address, n: u64) {
        let data = transfer(to, self.coin.units(n));
        self.anvil.transact(&Tx::call(PAYER.address, self.coin.address, data)).await;
    }

    /// An empty block so many seconds after the newest.
    async fn pass(&self, seconds: u64) {
        self.anvil.set_next_timestamp(self.anvil.now().await + seconds).await;
        self.anvil.mine(1).await;
    }

    /// Watches from where it stopped, or from the beginning, up to the newest block.
    async fn seen(&self) -> Answers {
        let (from, until) = (self.first.to_string(), self.anvil.block_number().await.to_string());
        self.watch.run(&["run", "--from-block", &from, "--until-block", &until])
    }
}

fn twin(of: Address) -> Address {
    let mut twin = of;
    twin[9] ^= 0xff;
    twin
}

#[track_caller]
fn found(seen: &Answers, findings: &[&str], incidents: usize) {
    assert_eq!(seen.findings(), findings, "{}", seen.stderr);
    assert_eq!(seen.incidents().len(), incidents, "{}", seen.stderr);
}

const NONE: [&str; 0] = [];

#[tokio::test(flavor = "multi_thread")]
async fn transfers_of_nothing_by_a_stranger_are_counted_and_told_of_once_a_day() {
    let stage = TokenHolder::new(ANYBODY).await;
    // A real token lets anybody move nothing from anybody.
    for _ in 0..20 {
        let nothing = transfer_from(PAYER.address, twin(GRANTEE.address), U256::ZERO);
        stage.anvil.succeed(&Tx::call(STRANGER.address, stage.coin.address, nothing)).await;
    }
    stage.coins(GRANTEE.address, 5).await;
    let seen = stage.seen().await;
    found(&seen, &["Payer info builtin/poisoning transfer"; 20], 1);
    assert!(!seen.stderr.contains("NOISE"), "told of while the day lasts: {}", seen.stderr);
    // The day ends while the program does not run.
    stage.pass(DAY).await;
    stage.pass(DAY).await;
    let later = stage.seen().await;
    assert_eq!(later.stderr.matches("┏━ NOISE").count(), 1, "{}", later.stderr);
    assert!(later.stderr.contains("20 transfers of nothing"), "{}", later.stderr);
    assert_eq!(later.findings(), NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_is_new_once_also_over_a_restart() {
    let rule = "[[watch.abnormal]]\nname = \"new\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@COIN\"\n\
        first_seen = \"args.to\"\nseverity = \"warning\"\n";
    let stage = TokenHolder::new(&format!("{rule}{ANYBODY}")).await;
    for to in [GRANTEE.address, GRANTEE.address, HOLDER.address, GRANTEE.address] {
        stage.coins(to, 5).await;
    }
    found(&stage.seen().await, &["Payer warning new transfer"; 2], 1);
    // The program starts anew and remembers.
    stage.coins(HOLDER.address, 5).await;
    found(&stage.seen().await, &NONE, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payroll_that_does_not_come_is_found_after_a_restart_and_closes_when_it_comes() {
    let rule =
        "[[watch.absent]]\nname = \"payroll\"\nact = \"ether\"\nto = \"@payees\"\nevery = \"7d\"\ngrace = \"6h\"\n";
    let stage = TokenHolder::new(&format!("{rule}{ANYBODY}")).await;
    stage.pay(GRANTEE.address, 5).await;
    stage.pass(7 * DAY + 5 * HOUR).await;
    found(&stage.seen().await, &NONE, 0);
    stage.pass(HOUR + 60).await;
    stage.pass(60).await;
    let seen = stage.seen().await;
    found(&seen, &["Payer high payroll ether"], 1);
    let line = seen.of("verdict").find(|line| line["by"] == "payroll").unwrap();
    assert!(line["position"].as_str().unwrap().starts_with("due."), "{line:#}");
    assert!(line.get("tx").is_none() && line.get("origin").is_none(), "{line:#}");
    assert!(line["headline"].as_str().unwrap().starts_with("Payer: payroll did not come by 2026-11-"), "{line:#}");
    assert!(seen.stderr.contains("payroll did not come by"), "{}", seen.stderr);
    assert!(!seen.stderr.contains("0x0000000000000000"), "nobody sent it: {}", seen.stderr);

    stage.pass(2 * HOUR).await;
    stage.pay(GRANTEE.address, 5).await;
    let seen = stage.seen().await;
    assert_eq!(seen.findings(), NONE);
    let incident = seen.of("incident").last().unwrap();
    assert_eq!(incident["state"], "resolved", "{incident:#}");
    assert!(seen.stderr.contains("payroll came, 8 h 2 min late"), "{}", seen.stderr);
}
