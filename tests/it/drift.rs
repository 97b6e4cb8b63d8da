//! A difference between chain and registry that stands: closed by hand it is opened again at the next start and once a day, and whoever
//! asks is told how things are now.

use crate::rows::{self, watch};
use crate::support::accounts::{DEPLOYER, KEEPER, OWNER_A, OWNER_B, OWNER_C, RELAYER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::kit::{Kit, Version};
use crate::support::safe::{Safe, SafeTx, Signer};
use crate::support::watch::Watch;
use alloy_primitives::{Address, U256};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use watchfire::escalate;
use watchfire::model::ChainId;
use watchfire::model::incident_state::State;
use watchfire::pipeline::{Committed, Watcher};
use watchfire::runtime::{Clock, steady_millis};
use watchfire::source::Step;
use watchfire::store::{Filter, Store};
use watchfire::watchlist::Config;

/// A clock that stands until it is moved.
#[derive(Debug)]
struct Hands(Mutex<Timestamp>);

impl Hands {
    fn turn(&self, hours: i64) {
        let mut now = self.0.lock().expect("nobody panicked");
        *now = now.checked_add(SignedDuration::from_hours(hours)).expect("a time");
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("nobody panicked")
    }
}

/// A Safe with an owner whom its registry does not know, as one process after the other watches it.
struct Case {
    stage: rows::CaseChain,
    safe: Safe,
    book: Arc<Config>,
    store: Store,
    clock: Arc<Hands>,
    watcher: Watcher,
}

impl Case {
    async fn new() -> Self {
        let owners = [OWNER_A.address, OWNER_B.address];
        let (stage, safe) = rows::CaseChain::with_safe(Version::V1_4_1, &owners, 1).await;
        let registry = format!("registry = {{ owners = [\"{}\"], threshold = 1 }}\n", OWNER_A.address);
        let rules = "[[watch.normal]]\nname = \"owners\"\nact = \"removeOwner(address prevOwner, address owner, uint256 _threshold)\"\n\
            args = { owner = { not_in = \"@self\" } }\n";
        let book = Arc::new(rows::book(&watch("safe", safe.address, &(registry + rules)), true));
        let store = Store::in_memory().await.expect("a store");
        let first = stage.anvil.block_number().await + 1;
        store.begin_chain(ChainId(stage.anvil.chain_id()), first).await.expect("the store takes it");
        let clock = Arc::new(Hands(Mutex::new(Timestamp::from_second(2_000_000_000).expect("a time"))));
        let watcher = open(&book, &store, &clock).await;
        Self { stage, safe, book, store, clock, watcher }
    }

    async fn restart(&mut self) {
        self.watcher = open(&self.book, &self.store, &self.clock).await;
    }

    /// One block more, in which nothing happens to the Safe.
    async fn block(&mut self) -> Committed {
        self.stage.anvil.mine(1).await;
        self.newest().await
    }

    async fn newest(&mut self) -> Committed {
        let step = Step { retract: vec![], append: vec![self.stage.newest().await] };
        self.watcher.apply_step(step, self.stage.reader()).await.expect("it is committed")
    }

    /// Live incidents.
    async fn live(&self) -> usize {
        self.store.list_incidents(Filter::live_only()).await.expect("the store answers").len()
    }

    async fn close(&self) {
        let now = steady_millis(&*self.clock);
        for incident in self.store.list_incidents(Filter::live_only()).await.expect("the store answers") {
            let close = move |incident: &_| escalate::resolve_incident(incident, "somebody on duty", now);
            self.store
                .commit_response(incident.id, now, Some(u32::MAX), close)
                .await
                .expect("the store takes it")
                .expect("it is live");
        }
        assert_eq!(self.live().await, 0);
    }
}

async fn open(book: &Arc<Config>, store: &Store, clock: &Arc<Hands>) -> Watcher {
    let chain = Arc::new(book.chains[0].clone());
    Watcher::resume_from_store(book.clone(), chain, store.clone(), clock.clone(), Arc::new(Notify::new()))
        .await
        .expect("it opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_difference_is_opened_again_at_the_start_and_once_a_day_for_as_long_as_it_stands() {
    let mut case = Case::new().await;
    let first = case.block().await;
    assert_eq!((case.live().await, first.reopened.incidents.len()), (1, 0), "a foreign owner is told");
    let told = first.plan.deliveries.len();
    assert!(told > 0, "somebody is paged");

    // Open, it is not told a second time: not by the next block, not by a start, not by the next day.
    case.restart().await;
    case.clock.turn(30);
    assert!(case.block().await.reopened.deliveries.is_empty());
    case.close().await;
    assert!(case.block().await.reopened.incidents.is_empty(), "the day is not over");

    // The next start opens the same incident again and pages as before.
    case.restart().await;
    let again = case.block().await.reopened;
    assert_eq!((case.live().await, again.incidents.len(), again.deliveries.len()), (1, 1, told));
    let reopened = &again.incidents[0];
    assert_eq!((reopened.state.kind(), reopened.cycle, reopened.paging), (State::Open, 1, true));
    assert!(!reopened.page.evidence.is_empty(), "the page shows what is wrong");
    assert_eq!(first.plan.incidents[0].id, reopened.id);

    // And a day that passes, by the program's own clock, does the same; an hour does not.
    case.close().await;
    case.clock.turn(23);
    assert!(case.block().await.reopened.incidents.is_empty());
    case.clock.turn(2);
    assert_eq!(case.block().await.reopened.incidents.len(), 1);

    // A clock that is set back brings nothing forward.
    case.close().await;
    case.clock.turn(-48);
    assert!(case.block().await.reopened.incidents.is_empty());
    case.clock.turn(25);
    assert_eq!(case.block().await.reopened.incidents.len(), 1);

    // Once the chain is as the registry says, nothing is left to open.
    let remove = watchfire_remove(OWNER_A.address, OWNER_B.address);
    let tx = SafeTx::call(case.safe.address, remove);
    case.safe.exec(&case.stage.anvil, RELAYER, &tx, &[Signer::Key(OWNER_A)]).await;
    case.newest().await;
    case.close().await;
    case.restart().await;
    assert!(case.block().await.reopened.incidents.is_empty());
    case.clock.turn(25);
    assert!(case.block().await.reopened.incidents.is_empty());
    assert_eq!(case.live().await, 0);
}

/// `removeOwner(prevOwner, owner, threshold)`; Safes list their owners from the first on.
fn watchfire_remove(before: Address, owner: Address) -> Vec<u8> {
    use alloy_sol_types::SolValue;
    rows::calldata("removeOwner(address,address,uint256)", (before, owner, U256::ONE).abi_encode())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_told_at_once_that_no_code_stands_at_a_watch() {
    let anvil = Anvil::start().await;
    anvil.succeed(&Tx::pay(KEEPER.address, OWNER_B.address, U256::ONE)).await;
    for kind in ["safe", "timelock", "contract", "erc20"] {
        let watchlist = format!(
            "[[watch]]\nlabel = \"Reserve\"\nchain = \"local\"\naddress = \"{}\"\nkind = \"{kind}\"\n\
             purpose = \"Holds the reserve\"\npath = \"treasury\"\n",
            OWNER_A.address
        );
        let config = Watch::local(&format!("\"{}\"", anvil.http_url()), "clock = \"chain\"", &watchlist);
        let expected = format!("Reserve is watched as kind {kind}, and no code stands at {}", OWNER_A.address);
        for command in ["drift", "probe"] {
            let shown = config.shows(&[command]);
            assert_eq!(shown.matches(&expected).count(), 1, "{command}: {shown}");
            assert_eq!(config.run(&[command]).code, 1, "{command} of a {kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_told_how_chain_and_registry_differ_now() {
    let anvil = Anvil::start().await;
    let kit = Kit::deploy(&anvil, DEPLOYER.address, Version::V1_4_1).await;
    let safe = Safe::create(&anvil, DEPLOYER.address, kit, &[OWNER_A.address, OWNER_C.address], 1, 1).await;
    let watchlist = format!(
        "[[watch]]\nlabel = \"Reserve\"\nchain = \"local\"\naddress = \"{}\"\nkind = \"safe\"\npurpose = \"Holds the reserve\"\n\
         path = \"treasury\"\nregistry = {{ owners = [\"{}\"], threshold = 1 }}\n",
        safe.address, OWNER_A.address
    );
    let config = Watch::local(&format!("\"{}\"", anvil.http_url()), "clock = \"chain\"", &watchlist);
    let run = async |n: u64| {
        let begun = anvil.block_number().await + 1;
        anvil.succeed(&Tx::pay(KEEPER.address, safe.address, U256::ONE)).await;
        for _ in 1..n {
            anvil.mine(1).await;
        }
        let until = anvil.block_number().await.to_string();
        config.run(&["run", "--from-block", &begun.to_string(), "--until-block", &until])
    };
    let first = run(2).await;
    assert_eq!(first.code, 1, "{}", first.stderr);
    let incident = first.lines.iter().find(|line| line["type"] == "incident").expect("an incident");
    let id = incident["incident_id"].as_str().expect("an id").to_owned();

    let foreign = OWNER_C.address.to_string();
    let says = |text: &str| text.contains("is owner of Reserve, and the registry does not say so");
    assert!(says(&config.shows(&["drift"])), "{}", config.shows(&["drift"]));
    let asked = config.run(&["drift"]);
    assert_eq!((asked.code, asked.lines.len()), (1, 1), "{:?}", asked.lines);
    assert_eq!(asked.lines[0]["item"], format!("owner:{foreign}").as_str());
    assert!(says(&config.shows(&["incidents", "show", &id])), "{}", config.shows(&["incidents", "show", &id]));
    assert!(config.shows(&["incidents", "list"]).contains("the chain still differs"));

    // Closed, and opened again by the next start.
    assert_eq!(config.run(&["incidents", "resolve", &id, "--by", "duty"]).code, 0);
    assert!(config.shows(&["incidents", "list"]).contains("no live incidents"));
    let second = run(1).await;
    let opened = second.lines.iter().filter(|line| line["type"] == "incident" && line["state"] == "open");
    assert_eq!(opened.map(|line| line["incident_id"].as_str()).collect::<Vec<_>>(), [Some(&*id)], "{:?}", second.lines);

    let remove = watchfire_remove(OWNER_A.address, OWNER_C.address);
    safe.exec(&anvil, RELAYER, &SafeTx::call(safe.address, remove), &[Signer::Key(OWNER_A)]).await;
    assert!(config.shows(&["drift"]).contains("is as the configuration says"), "{}", config.shows(&["drift"]));
    assert_eq!(config.run(&["drift"]).code, 0);
}
