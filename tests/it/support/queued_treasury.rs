//! The treasury with a service for its Safes, and the program that watches both.

use std::collections::BTreeSet;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use serde_json::Value;

use crate::support::abi::ISafe;
use crate::support::accounts::{GRANTEE, RELAYER, STRANGER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::process::Process;
use crate::support::safe::{Safe, SafeTx};
use crate::support::service::Service;
use crate::support::tokens::transfer;
use crate::support::treasury::{SIGNERS, Treasury};
use crate::support::watch::Watch;

/// How often it is looked whether what is waited for is there.
const LOOK: Duration = Duration::from_millis(50);
/// A minute: long enough for a loaded machine; a wait this long means that nothing comes.
const LOOKS_MAX: usize = 1_200;
/// As often as a test looks.
pub(crate) const SOON: &str = "hot = \"250ms\"\ncold = \"250ms\"\npatience = \"1s\"";

/// The treasury, a service for its Safes, and the program pointed at both.
pub(crate) struct QueuedTreasury {
    pub(crate) anvil: Anvil,
    pub(crate) treasury: Treasury,
    pub(crate) service: Service,
    pub(crate) watch: Watch,
}

impl QueuedTreasury {
    pub(crate) async fn new() -> Self {
        Self::with(SOON).await
    }

    /// The treasury's Safes, their service asked as `settings` say, and as often as they do where they say nothing of a quota.
    pub(crate) async fn with(settings: &str) -> Self {
        let anvil = Anvil::start().await;
        let url = anvil.ws_url();
        Self::through(anvil, &url, settings).await
    }

    /// The same, where the program sees the chain through this URL.
    pub(crate) async fn through(anvil: Anvil, url: &str, settings: &str) -> Self {
        let treasury = Treasury::deploy(&anvil).await;
        let service = Service::start().await;
        let quota = if settings.contains("requests_per_month") { "" } else { "requests_per_month = 1_000_000_000" };
        let destinations = format!(
            "[destination.pager]\nkind = \"terminal\"\n\n[safe-service.own]\nchain = \"demo\"\nurl = \"{}\"\n{settings}\n\
             {quota}\nrequests_per_second = 1_000\n",
            service.url()
        );
        let watch = Watch::treasury(url, &destinations);
        let stage = Self { anvil, treasury, service, watch };
        stage.follow().await;
        stage
    }

    /// Starts, and waits until every queue was seen once.
    pub(crate) async fn start(&self) -> Process {
        let process = self.watch.start(&["run"]);
        self.looked(3).await;
        process
    }

    pub(crate) fn safes(&self) -> [&Safe; 6] {
        let Treasury { ops, grants, council, vault, old_safe, new_safe, .. } = &self.treasury;
        [ops, grants, council, vault, old_safe, new_safe]
    }

    /// The service catches up with the chain.
    pub(crate) async fn follow(&self) {
        self.service.follow(&self.anvil, &self.safes()).await;
    }

    /// Waits for so many further looks at the grants Safe; whatever stood in its queue before is committed then, from two on.
    pub(crate) async fn looked(&self, n: usize) {
        let at = format!("{}/multisig-transactions/?", self.treasury.grants.address.to_checksum(None));
        let looks = || {
            let asked = self.service.received();
            asked.iter().filter(|one| one.path.contains(&at) && one.path.contains("trusted=false")).count()
        };
        let before = looks();
        self.until("the service is asked", || looks() >= before + n).await;
    }

    pub(crate) async fn until(&self, what: &str, enough: impl Fn() -> bool) {
        for _ in 0..LOOKS_MAX {
            if enough() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        let (findings, blind) = (self.findings(), self.blind());
        panic!("waited in vain until {what}; findings: {findings:#?}; blind: {blind:?}\nlog: {}", self.watch.log());
    }

    /// Findings of their own so far, as `watch severity by stage`.
    pub(crate) fn findings(&self) -> BTreeSet<String> {
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
        let lines = self.verdicts().into_iter().filter(|line| line["finding_id"].is_string());
        lines
            .map(|line| {
                format!(
                    "{} {} {} {}",
                    text(&line, "watch"),
                    text(&line, "severity"),
                    text(&line, "by"),
                    text(&line, "stage")
                )
            })
            .collect()
    }

    pub(crate) fn verdicts(&self) -> Vec<Value> {
        self.watch.answers().into_iter().filter(|line| line["type"] == "verdict").collect()
    }

    pub(crate) fn incidents(&self) -> BTreeSet<String> {
        self.verdicts().iter().filter_map(|line| line["incident_id"].as_str().map(str::to_owned)).collect()
    }

    pub(crate) async fn finds(&self, finding: &str) {
        self.until(&format!("`{finding}` is found"), || self.findings().contains(finding)).await;
    }

    /// Kinds of blindness that stand, as they were told, with their severities.
    pub(crate) fn blind(&self) -> BTreeSet<String> {
        let mut blind = BTreeSet::new();
        for line in self.watch.answers().iter().filter(|line| line["type"] == "blindness") {
            let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            blind.retain(|known: &String| !known.starts_with(&text("kind")));
            if line["until"].is_null() {
                blind.insert(format!("{} {} {}", text("kind"), text("severity"), text("endpoint")));
            }
        }
        blind
    }

    pub(crate) async fn is_blind(&self, blindness: &str) {
        let is_told = || self.blind().iter().any(|told| told.starts_with(blindness));
        self.until(&format!("`{blindness}` is told"), is_told).await;
    }

    pub(crate) async fn sees(&self) {
        self.until("all is seen again", || self.blind().is_empty()).await;
    }

    /// A grant that the rules vouch for.
    pub(crate) fn grant(&self) -> SafeTx {
        SafeTx::call(self.treasury.coin.address, transfer(GRANTEE.address, self.treasury.coin.units(1_000)))
    }

    /// Coins for somebody nobody listed.
    pub(crate) fn theft(&self) -> SafeTx {
        SafeTx::call(self.treasury.coin.address, transfer(STRANGER.address, self.treasury.coin.units(1_000)))
    }

    /// A smaller one, which the rules of every Safe with coins vouch for.
    pub(crate) fn small_grant(&self) -> SafeTx {
        SafeTx::call(self.treasury.coin.address, transfer(GRANTEE.address, self.treasury.coin.units(10)))
    }

    /// Lets this address propose for the grants Safe.
    pub(crate) fn delegate(&self, who: Address) {
        let list = std::fs::read_to_string(self.watch.path("treasury.toml")).expect("a watchlist");
        let registry = "modules = [\"@module\"], guard";
        assert!(list.contains(registry), "the grants Safe has a registry");
        self.watch.write(
            "treasury.toml",
            &list.replace(registry, &format!("modules = [\"@module\"], delegates = [\"{who}\"], guard")),
        );
    }

    /// Foreign code run as the Safe. It leaves its slot 0 as it was, so that the Safe can still be asked.
    pub(crate) fn takeover(&self) -> SafeTx {
        let data = transfer(self.treasury.grants.kit.singleton, U256::ZERO);
        SafeTx::delegate(self.treasury.slot_thief, data)
    }

    pub(crate) async fn nonce(&self, safe: &Safe) -> u64 {
        safe.nonce(&self.anvil).await
    }

    pub(crate) async fn execute(&self, safe: &Safe, tx: &SafeTx, nonce: u64) -> B256 {
        let data = safe.exec_calldata(tx, nonce, &SIGNERS);
        self.anvil.succeed(&Tx::call(RELAYER.address, safe.address, data)).await.transaction_hash
    }

    pub(crate) async fn approve(&self, safe: &Safe, owner: Address, hash: B256) {
        let call = ISafe::approveHashCall { hashToApprove: hash };
        self.anvil.succeed(&Tx::call(owner, safe.address, call.abi_encode())).await;
    }
}

impl QueuedTreasury {
    /// The incident that the transaction with this hash is in.
    pub(crate) fn incident_of(&self, hash: B256) -> String {
        let lines = self.verdicts();
        let line = lines.iter().find(|line| line["tx"] == hash.to_string() && line["incident_id"].is_string());
        line.and_then(|line| line["incident_id"].as_str()).expect("an incident").to_owned()
    }
}
