//! What is announced before a block holds it: a real node whose pool fills up and whose blocks come when they are told to, and the
//! program as it is run.

use crate::support::abi::ISafe;
use crate::support::accounts::{GRANTEE, PAYER, RELAYER, STRANGER};
use crate::support::anvil::Anvil;
use crate::support::pending_chain::PendingChain;
use crate::support::safe::SafeTx;
use crate::support::tokens::transfer;
use crate::support::treasury::{SIGNERS, Treasury};
use crate::support::tx::Tx;
use crate::support::watch::Watch;
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use watchfire::model::ChainId;
use watchfire::model::incident_state::State;
use watchfire::pipeline::{EXPIRES_MS, PendingWatcher};
use watchfire::runtime::{ManualClock, Stop};
use watchfire::settings::Secrets;
use watchfire::source::{Deadlines, Endpoint, Mempool, Node, Pool};
use watchfire::store::{Filter, Store};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_pending_is_one_incident_with_its_inclusion_and_pages_once() {
    let stage = PendingChain::new("").await;
    let process = stage.start().await;
    stage.pays(STRANGER.address, 0, 10).await;
    stage.tells("trigger chat").await;
    assert_eq!(stage.told(), ["high builtin/unvouched pending", "trigger chat"]);
    stage.anvil.mine(1).await;
    stage.tells("trigger pager").await;
    stage.tells("update chat").await;
    let found: Vec<Value> = stage.of("verdict").into_iter().filter(|line| line["finding_id"].is_string()).collect();
    let [pending, included] = &found[..] else { panic!("two revisions: {found:#?}") };
    assert_eq!(pending["finding_id"], included["finding_id"]);
    assert_eq!(
        (&pending["stage"], &pending["fate"], &pending["revision"]),
        (&json!("pending"), &json!("waiting"), &json!(1))
    );
    assert_eq!((&included["stage"], &included["revision"]), (&json!("included"), &json!(2)));
    assert_eq!(pending["headline"], "Payer is about to send 0.000000000000000001 ETH to 0xa0Ee…9720 (pending)");
    assert_eq!(stage.incidents().len(), 1);
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
    assert_eq!(stage.told().iter().filter(|told| *told == "trigger pager").count(), 1, "{:#?}", stage.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_another_replaces_is_taken_back_and_its_incident_closes() {
    let stage = PendingChain::new("").await;
    let process = stage.start().await;
    stage.pays(STRANGER.address, 0, 10).await;
    stage.tells("high builtin/unvouched pending").await;
    let grant = stage.pays(GRANTEE.address, 0, 20).await;
    stage.tells("replaced").await;
    stage.tells("resolve chat").await;
    assert_eq!(stage.of("retraction")[0]["replaced_by"], grant.to_string());
    assert_eq!(stage.state(), "resolved");
    stage.anvil.mine(1).await;
    let paid = |line: &Value| line["tx"] == grant.to_string() && line["stage"] == "included" && line["by"] == "grants";
    stage.until("the other is included", || stage.of("verdict").iter().any(paid)).await;
    assert_eq!(process.end().await, 0, "{}", stage.watch.log());
    assert!(!stage.told().contains(&"trigger pager".to_owned()), "{:#?}", stage.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_included_and_reverts_is_taken_back_and_told_as_the_attempt_that_it_was() {
    let stage = PendingChain::new("").await;
    // A contract that reverts, whatever it is asked.
    let wall = Address::repeat_byte(0x77);
    stage.anvil.rpc("anvil_setCode", json!([wall, "0x60006000fd"])).await;
    let process = stage.start().await;
    stage.anvil.send(&Tx::call(PAYER.address, wall, [0xde, 0xad, 0xbe, 0xef])).await;
    stage.until("it is found", || stage.told().iter().any(|told| told.ends_with(" pending"))).await;
    stage.anvil.mine(1).await;
    stage.tells("info builtin/attempt reverted").await;
    stage.tells("included").await;
    assert_eq!((stage.incidents().len(), &*stage.state()), (1, "open"), "the attempt stands");
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
    assert!(!stage.told().contains(&"trigger pager".to_owned()), "{:#?}", stage.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_for_one_nonce_are_told_of_each_other() {
    let stage = PendingChain::new("").await;
    let process = stage.start().await;
    let first = stage.pays(STRANGER.address, 0, 10).await;
    stage.tells("high builtin/unvouched pending").await;
    let second = stage.pays(RELAYER.address, 0, 20).await;
    stage.tells("replaced").await;
    let of_second = |line: &Value| line["tx"] == second.to_string();
    stage.until("the second is found", || stage.of("verdict").iter().any(of_second)).await;
    let found = stage.of("verdict").into_iter().find(of_second).expect("it was found");
    let why = format!("it takes nonce 0 of {} from {first}, which is pending too", PAYER.address);
    assert_eq!(found["reasons"][0], why);
    assert_eq!((stage.incidents().len(), &*stage.state()), (1, "open"));
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_remembered_and_a_nonce_that_was_used_unseen_ends_it() {
    let stage = PendingChain::new("").await;
    let process = stage.start().await;
    stage.pays(STRANGER.address, 0, 10).await;
    stage.tells("high builtin/unvouched pending").await;
    process.kill();
    stage.pays(GRANTEE.address, 0, 20).await;
    stage.anvil.mine(1).await;
    let process = stage.start().await;
    stage.tells("replaced").await;
    stage.tells("resolve chat").await;
    assert_eq!(stage.state(), "resolved");
    process.end().await;
    assert!(!stage.told().contains(&"trigger pager".to_owned()), "{:#?}", stage.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_asks_for_it_pages_before_a_block_holds_it() {
    let stage = PendingChain::new("pending = \"page\"").await;
    let process = stage.start().await;
    stage.pays(STRANGER.address, 0, 10).await;
    stage.tells("trigger pager").await;
    assert_eq!(stage.told(), ["high builtin/unvouched pending", "trigger pager"]);
    stage.anvil.mine(1).await;
    // What could still be stopped has happened.
    let pages = || stage.told().iter().filter(|told| *told == "trigger pager").count();
    stage.until("its inclusion pages", || pages() == 2).await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
    assert_eq!(pages(), 2, "{:#?}", stage.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_vouch_for_is_silent_while_it_is_pending_too() {
    let anvil = Anvil::start().await;
    let treasury = Treasury::deploy(&anvil).await;
    let watch = Watch::treasury(&anvil.ws_url(), "[destination.pager]\nkind = \"terminal\"");
    let main = std::fs::read_to_string(watch.path("watchfire.toml")).expect("it was written");
    watch.write("watchfire.toml", &main.replace("clock = \"chain\"", "clock = \"chain\"\npending = true"));
    let mut stage = PendingChain { anvil, watch };
    stage.watch.set("WATCHFIRE_LOG", "info");
    let process = stage.start().await;
    stage.anvil.set_automine(false).await;
    let (grants, coin) = (&treasury.grants, &treasury.coin);
    let nonce = grants.nonce(&stage.anvil).await;
    let grant = SafeTx::call(coin.address, transfer(GRANTEE.address, coin.units(1_000)));
    let relay = |data: Vec<u8>| Tx::call(RELAYER.address, grants.address, data);
    // Signed by two owners, as the rule asks: the signers are recovered although nothing ran yet.
    stage.anvil.send(&relay(grants.exec_calldata(&grant, nonce, &SIGNERS).to_vec())).await;
    stage.anvil.mine(1).await;
    let paid =
        |line: &Value| line["stage"] == "included" && line["watch"] == "Grants Safe" && line["activity"] == "act";
    stage.until("it is included", || stage.of("verdict").iter().any(paid)).await;
    assert_eq!(stage.told(), [""; 0]);
    // Foreign code, and a change of owners inside a batch: found while they are announced.
    let takeover = SafeTx::delegate(treasury.slot_thief, transfer(grants.kit.singleton, U256::ZERO));
    stage.anvil.send(&relay(grants.exec_calldata(&takeover, nonce + 1, &SIGNERS).to_vec())).await;
    stage.tells("critical builtin/delegatecall pending").await;
    let admin = ISafe::addOwnerWithThresholdCall { owner: STRANGER.address, threshold: U256::ONE };
    let ops = &treasury.ops;
    let batch = ops.batch(&[SafeTx::call(ops.address, admin.abi_encode())]);
    let data = ops.exec_calldata(&batch, ops.nonce(&stage.anvil).await, &SIGNERS);
    stage.anvil.send(&Tx::call(RELAYER.address, ops.address, data)).await;
    stage.tells("critical builtin/control pending").await;
    stage.anvil.mine(1).await;
    stage.tells("critical builtin/delegatecall included").await;
    stage.tells("critical builtin/control included").await;
    assert_eq!(stage.incidents().len(), 2, "{:#?}", stage.told());
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_no_block_takes_ends_after_half_an_hour() {
    let stage = PendingChain::new("").await;
    let ran = tokio::task::block_in_place(|| stage.watch.run(&["run", "--from-block", "1", "--until-block", "1"]));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let path = stage.watch.path("watchfire.toml");
    let book = watchfire::watchlist::load_config(&path, Secrets::NamesOnly).expect("it compiles");
    let (chain, clock) = (Arc::new(book.chains[0].clone()), ManualClock::new(Timestamp::UNIX_EPOCH));
    let store = Store::open(&book.store).await.expect("the program left it");
    let endpoint = Endpoint { name: "local".into(), url: stage.anvil.ws_url().into() };
    let pool: Pool = Node::new(&endpoint, ChainId(31_337), Deadlines::default()).expect("an address").into();
    let (book, shared) = (Arc::new(book), Arc::new(clock.clone()));
    let opened = PendingWatcher::resume_from_store(book, chain, store.clone(), shared, Arc::default()).await;
    let (mut watcher, stop) = (opened.expect("it opens"), Stop::new());
    let mut mempool = Mempool::spawn_listeners(&pool, &watcher.mempool_interest(), &stop);
    // Whatever is sent before it listens is not heard of.
    let mut nonce = 0;
    let heard = loop {
        stage.pays(STRANGER.address, nonce, 10).await;
        nonce += 1;
        if let Ok(heard) = tokio::time::timeout(Duration::from_secs(1), mempool.next(1)).await {
            break heard;
        }
    };
    watcher.judge_announced(&heard, &pool).await.expect("it is committed");
    assert_eq!(watcher.pending_count(), 1);
    stage.anvil.rpc("anvil_dropTransaction", json!([heard[0].hash])).await;
    clock.advance(SignedDuration::from_millis(EXPIRES_MS as i64 - 1));
    assert!(watcher.update_pending(&pool).await.expect("it looks").lines.is_empty());
    clock.advance(SignedDuration::from_millis(1));
    let plan = watcher.update_pending(&pool).await.expect("it looks");
    let told: Vec<&str> = plan.deliveries.iter().map(|delivery| delivery.kind.as_str()).collect();
    assert_eq!((told, watcher.pending_count()), (vec!["retract", "resolve"], 0));
    let incidents = store.list_incidents(Filter::default()).await.expect("the store is read");
    assert_eq!(incidents.len(), 1);
    assert_eq!((incidents[0].state.kind(), incidents[0].state.close_reason()), (State::Resolved, Some("expired")));
    // Announced once more, it is the same that ended.
    let again = watcher.judge_announced(&heard, &pool).await.expect("it is committed");
    assert!(again.lines.is_empty() && watcher.pending_count() == 0);
}

/// Announced by one account for one nonce, each offering more than the one before: a payment, the same once more, and something else.
async fn bids(
    stage: &PendingChain,
    pool: &Pool,
    interest: &watchfire::source::mempool::Interest,
) -> Vec<watchfire::model::Tx> {
    let mut mempool = Mempool::spawn_listeners(pool, interest, &Stop::new());
    // Whatever is sent before it listens is not heard of.
    let mut nonce = 0;
    loop {
        stage.pays(GRANTEE.address, nonce, 10).await;
        nonce += 1;
        if tokio::time::timeout(Duration::from_secs(1), mempool.next(1)).await.is_ok() {
            break;
        }
    }
    let mut heard = Vec::new();
    for (to, gwei) in [(GRANTEE.address, 10), (GRANTEE.address, 20), (PAYER.address, 40)] {
        stage.pays(to, nonce, gwei).await;
        heard.extend(mempool.next(1).await);
    }
    assert_eq!(heard.iter().map(|tx| tx.nonce).collect::<Vec<_>>(), [nonce; 3]);
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn in_whatever_order_bids_are_heard_the_highest_displaces_the_others() {
    let back = format!("[[watch.normal]]\nname = \"back\"\nact = \"ether\"\nto = [\"{}\"]\n", PAYER.address);
    for (rule, expected) in [(format!("{back}replaces = true\n"), 0), (back, 1)] {
        let stage = PendingChain::new(&rule).await;
        let ran = tokio::task::block_in_place(|| stage.watch.run(&["run", "--from-block", "1", "--until-block", "1"]));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let book = watchfire::watchlist::load_config(&stage.watch.path("watchfire.toml"), Secrets::NamesOnly);
        let book = Arc::new(book.expect("it compiles"));
        let chain = Arc::new(book.chains[0].clone());
        let endpoint = Endpoint { name: "local".into(), url: stage.anvil.ws_url().into() };
        let pool: Pool = Node::new(&endpoint, ChainId(31_337), Deadlines::default()).expect("an address").into();
        let interest: watchfire::source::mempool::Interest = Arc::new(|_| true);
        let bids = bids(&stage, &pool, &interest).await;
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let store = stage.watch.path(&format!("{order:?}.db"));
            let backup = ["store", "backup", store.to_str().expect("a name")];
            let copied = tokio::task::block_in_place(|| stage.watch.run(&backup));
            assert_eq!(copied.code, 0, "a log beside the store may hold what it is about: {}", copied.stderr);
            let store = Store::open(&store).await.expect("a store");
            let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
            let opened =
                PendingWatcher::resume_from_store(book.clone(), chain.clone(), store, clock, Arc::default()).await;
            let mut watcher = opened.expect("it opens");
            let mut found = BTreeSet::new();
            for at in order {
                let plan = watcher.judge_announced(&bids[at..=at], &pool).await.expect("it is committed");
                found.extend(plan.findings.iter().map(|finding| (finding.tx, finding.severity.to_string())));
            }
            let highest = (bids[2].hash, "high".to_owned());
            let wanted: BTreeSet<_> = std::iter::repeat_n(highest, expected).collect();
            assert_eq!(found, wanted, "heard as {order:?}");
        }
    }
}
