//! A node that stops, freezes, drops the line, bursts, and changes its mind about the past.

use super::random;
use crate::support::accounts::STRANGER;
use crate::support::anvil::{Options, Tx};
use crate::support::bill_payers::{SHOPS, bill, clerk, theft};
use crate::support::process::Process;
use crate::support::stored::Stored;
use crate::support::watched_proxy::{CLERKS, WatchedProxy, state_name};
use alloy_primitives::{Address, U256};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

// === Making and unmaking blocks ===

/// One block of a few bills and thefts of different clerks, at random; sometimes an empty one.
pub(super) async fn some_block(stage: &WatchedProxy, rng: &mut fastrand::Rng) {
    let mut clerks: Vec<usize> = (0..CLERKS).collect();
    rng.shuffle(&mut clerks);
    let mut txs = Vec::new();
    for n in clerks.into_iter().take(rng.usize(..4)) {
        txs.push(some_tx(n, stage.nonce(n).await, rng));
    }
    stage.mine(&txs).await;
}

/// A bill, too large a bill, or a theft.
fn some_tx(n: usize, nonce: u64, rng: &mut fastrand::Rng) -> Tx {
    match rng.u8(..4) {
        0 => theft(n, nonce),
        _ => bill(n, SHOPS[rng.usize(..2)], rng.u64(1..4), nonce),
    }
}

/// Replaces the newest `depth` blocks, at most as many as are watched. Of each clerk's transactions in them some are moved to
/// another block, some replaced by others of the same number, some dropped; and other clerks join in.
pub(super) async fn some_reorg(stage: &WatchedProxy, depth: u64, rng: &mut fastrand::Rng) {
    let head = stage.anvil.block_number().await;
    let depth = depth.min((head + 1).saturating_sub(stage.first));
    if depth == 0 {
        return;
    }
    let mut orphans: BTreeMap<usize, Vec<Tx>> = BTreeMap::new();
    for number in head + 1 - depth..=head {
        let block = stage.anvil.whole_block(number).await;
        for tx in block["transactions"].as_array().into_iter().flatten() {
            if let Some((n, tx)) = by_clerk(tx) {
                orphans.entry(n).or_default().push(tx);
            }
        }
    }
    let mut placed: Vec<(Tx, u64)> = Vec::new();
    for (n, txs) in orphans {
        // One clerk's transactions keep their order, and none can follow one that is dropped.
        let mut at = 0;
        for tx in txs {
            at = rng.u64(at..depth);
            match rng.u8(..6) {
                0 => break,
                1 | 2 => placed.push((some_tx(n, tx.nonce.unwrap_or_default(), rng), at)),
                _ => placed.push((tx, at)),
            }
        }
    }
    let newcomer = rng.usize(..CLERKS);
    if placed.iter().all(|(tx, _)| tx.from != clerk(newcomer)) {
        let nonce = stage.anvil.sent_by(clerk(newcomer), head - depth).await;
        placed.push((some_tx(newcomer, nonce, rng), rng.u64(..depth)));
    }
    stage.anvil.reorg(depth, &placed).await;
}

/// The clerk who sent a transaction, and the transaction as it was sent.
fn by_clerk(tx: &Value) -> Option<(usize, Tx)> {
    let party = |key: &str| -> Address { serde_json::from_value(tx[key].clone()).unwrap_or_default() };
    let number = |key: &str| -> U256 { serde_json::from_value(tx[key].clone()).unwrap_or_default() };
    let n = (0..CLERKS).find(|n| clerk(*n) == party("from"))?;
    let ether = number("value") / U256::from(10).pow(U256::from(18));
    Some((n, bill(n, party("to"), ether.to(), number("nonce").to())))
}

/// Waits for the end of the story and compares everything.
async fn compare(stage: &WatchedProxy, process: Process) -> Stored {
    stage.settle().await;
    let abnormal = stage.reckon().await;
    let (ours, _) = stage.check(&abnormal).await;
    assert_ne!(process.end().await, 2, "{}", stage.watch.log());
    ours
}

fn orphaned(stored: &Stored) -> usize {
    stored.activities.iter().filter(|(orphaned, _)| *orphaned).count()
}

// === The past changes ===

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorg_moves_replaces_and_drops_is_told_as_it_stands_in_the_end() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    for n in [1, 2, 3, 4] {
        stage.theft(n).await;
    }
    stage.bill(5).await;
    stage.settle().await;
    let txs = |stored: &Stored| stored.standing().count();
    assert_eq!(txs(&Stored::read(&stage.store())), 4);

    // Clerk 1's theft stays below the fork, clerk 2's moves up, clerk 3's becomes a bill, clerk 4's is gone, clerk 5's bill
    // becomes a theft.
    let placed = [(bill(3, SHOPS[1], 1, 0), 0), (theft(2, 0), 2), (bill(5, STRANGER.address, 2, 0), 3)];
    stage.anvil.reorg(4, &placed).await;
    let ours = compare(&stage, process).await;
    let by_watch = |n: usize| {
        let address = clerk(n).to_checksum(None).to_lowercase();
        let found = ours.findings.values().find(|finding| finding["watch"] == address.as_str());
        found.map(|finding| (finding["orphaned"] == true, finding["revision"].as_u64().unwrap_or(0)))
    };
    assert_eq!(by_watch(1), Some((false, 1)));
    assert_eq!(by_watch(2), Some((false, 2)), "moved: the same finding, its second revision");
    assert_eq!(by_watch(3), Some((true, 2)), "replaced: taken back");
    assert_eq!(by_watch(4), Some((true, 2)), "dropped: taken back");
    assert_eq!(by_watch(5), Some((false, 1)));
    let closed: Vec<&Value> =
        ours.incidents.values().filter(|incident| state_name(incident) == "false-alarm").collect();
    let mut labels: Vec<&str> = closed.iter().filter_map(|incident| incident["label"].as_str()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["Clerk 03", "Clerk 04"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_of_depth_one_to_five_while_it_runs() {
    let mut rng = random("reorgs while running");
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    for depth in [1, 2, 3, 4, 5, 5, 3, 1, 2, 4] {
        for _ in 0..6 {
            some_block(&stage, &mut rng).await;
        }
        // Every other time the program has not even seen what is taken away.
        if rng.bool() {
            stage.catch_up().await;
        }
        some_reorg(&stage, depth, &mut rng).await;
        if rng.bool() {
            stage.catch_up().await;
        }
    }
    let ours = compare(&stage, process).await;
    assert!(orphaned(&ours) > 0, "no reorg was noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_of_depth_one_to_five_while_it_is_down() {
    let mut rng = random("reorgs while down");
    let stage = WatchedProxy::new().await;
    for depth in 1..=5 {
        let process = stage.start();
        for _ in 0..6 {
            some_block(&stage, &mut rng).await;
        }
        stage.catch_up().await;
        if rng.bool() {
            process.kill();
        } else {
            process.end().await;
        }
        some_reorg(&stage, depth, &mut rng).await;
        for _ in 0..rng.u8(..3) {
            some_block(&stage, &mut rng).await;
        }
    }
    let ours = compare(&stage, stage.start()).await;
    assert!(orphaned(&ours) > 0, "no reorg was noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_rolled_back_and_grown_anew_running_and_down() {
    let mut rng = random("rollbacks");
    let stage = WatchedProxy::new().await;
    let mut process = Some(stage.start());
    for round in 0..4 {
        for _ in 0..5 {
            some_block(&stage, &mut rng).await;
        }
        stage.catch_up().await;
        let down = round % 2 == 1;
        if down {
            process.take().expect("it runs").kill();
            stage.anvil.rollback(3).await;
        } else {
            stage.anvil.rollback(3).await;
            // The node announces nothing; the program has to find out by itself that three blocks are gone.
            stage.catch_up().await;
        }
        for _ in 0..rng.u8(..5) {
            some_block(&stage, &mut rng).await;
        }
        if down {
            process = Some(stage.start());
        }
    }
    let ours = compare(&stage, process.expect("it runs")).await;
    assert!(orphaned(&ours) > 0, "no rollback was noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_of_eighty_blocks() {
    let mut rng = random("a deep reorg");
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    for _ in 0..90 {
        some_block(&stage, &mut rng).await;
    }
    stage.catch_up().await;
    some_reorg(&stage, 80, &mut rng).await;
    let ours = compare(&stage, process).await;
    assert!(orphaned(&ours) > 0, "the reorg was not noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_that_reaches_below_the_first_watched_block() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    for n in [1, 2, 3] {
        stage.theft(n).await;
    }
    stage.settle().await;
    // Two blocks of nobody's interest go as well. A theft below the first watched block is none of ours; one above is.
    let placed = [(theft(1, 0), 1), (theft(3, 0), 3), (theft(4, 0), 4)];
    stage.anvil.reorg(5, &placed).await;
    let ours = compare(&stage, process).await;
    let standing: Vec<u64> = ours.standing().filter_map(|(_, finding)| finding["revision"].as_u64()).collect();
    assert_eq!(standing.iter().sum::<u64>(), 3, "clerk 3's at its second revision, clerk 4's at its first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_that_goes_and_comes_back_opens_its_incident_again() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.bill(1).await;
    stage.theft(2).await;
    stage.settle().await;
    stage.anvil.reorg(1, &[]).await;
    stage.settle().await;
    let closed = Stored::read(&stage.store());
    assert_eq!(closed.incidents.values().next().map(state_name), Some("false-alarm"));
    stage.mine(&[theft(2, 0)]).await;
    let ours = compare(&stage, process).await;
    assert_eq!(ours.incidents.len(), 1, "{:#?}", ours.incidents);
    let incident = ours.incidents.values().next().expect("one");
    assert_eq!((state_name(incident), &incident["cycle"]), ("open", &1.into()));
    let kinds: Vec<String> = stage
        .pager
        .received()
        .iter()
        .map(|page| page.json()["type"].as_str().unwrap_or_default().replace("watchfire.incident.", ""))
        .collect();
    assert_eq!(kinds, ["trigger.v1", "retract.v1", "resolve.v1", "trigger.v1"]);
}

// === The line ===

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_cut_refused_and_slow_loses_nothing() {
    let mut rng = random("cuts");
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    for round in 0..12 {
        for _ in 0..rng.u8(1..4) {
            some_block(&stage, &mut rng).await;
        }
        stage.proxy.refuse(round % 3 == 2);
        stage.proxy.delay(Duration::from_millis(rng.u64(..60)));
        tokio::time::sleep(Duration::from_millis(rng.u64(..200))).await;
        stage.proxy.cut();
    }
    stage.proxy.refuse(false);
    some_reorg(&stage, 2, &mut rng).await;
    compare(&stage, process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_so_slow_that_answers_come_too_late_still_gets_there() {
    let stage = WatchedProxy::new().await;
    stage.proxy.delay(Duration::from_millis(600));
    for n in 0..6 {
        stage.theft(n).await;
    }
    let process = stage.start();
    compare(&stage, process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_can_only_be_polled_hides_no_reorg() {
    let mut rng = random("polling");
    let stage = WatchedProxy::new().await.polled();
    let mut process = stage.start();
    for depth in 1..=5 {
        for _ in 0..6 {
            some_block(&stage, &mut rng).await;
        }
        stage.catch_up().await;
        if depth == 3 {
            process.kill();
            process = stage.start();
        }
        some_reorg(&stage, depth, &mut rng).await;
    }
    stage.anvil.rollback(2).await;
    stage.catch_up().await;
    stage.anvil.mine(70).await;
    stage.theft(1).await;
    let ours = compare(&stage, process).await;
    assert!(orphaned(&ours) > 0, "no reorg was noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_line_is_noticed_and_replaced() {
    let mut rng = random("stalls");
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    some_block(&stage, &mut rng).await;
    stage.catch_up().await;
    for _ in 0..2 {
        stage.proxy.stall();
        for _ in 0..4 {
            some_block(&stage, &mut rng).await;
        }
        stage.theft(1).await;
        stage.catch_up().await;
    }
    compare(&stage, process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_a_hundred_blocks() {
    let mut rng = random("burst");
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.bill(1).await;
    stage.catch_up().await;
    stage.theft(2).await;
    stage.anvil.mine(100).await;
    stage.theft(3).await;
    stage.catch_up().await;
    for _ in 0..100 {
        some_block(&stage, &mut rng).await;
    }
    compare(&stage, process).await;
}

// === The node itself ===

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_freezes_is_a_blindness_that_ends_when_it_thaws() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.theft(1).await;
    stage.catch_up().await;
    stage.anvil.freeze();
    let blind = |until: bool| {
        stage.watch.answers().iter().any(|line| line["type"] == "blindness" && line["until"].is_string() == until)
    };
    stage.until("the blindness is told", || blind(false)).await;
    stage.anvil.thaw();
    stage.theft(2).await;
    stage.until("its end is told", || blind(true)).await;
    let told: Vec<_> = stage.watch.answers().into_iter().filter(|line| line["type"] == "blindness").collect();
    assert!(told.iter().all(|line| line["kind"] == "unreachable"), "one kind from its beginning to its end: {told:?}");
    assert!(told[0]["why"].is_string() && told[0]["blinds"][0].is_string(), "what for, and what is not seen: {told:?}");
    stage.theft(3).await;
    let ours = compare(&stage, process).await;
    assert_eq!(ours.findings.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blindness_that_outlives_the_program_ends_with_the_sight_of_the_next() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.theft(1).await;
    stage.settle().await;
    stage.anvil.freeze();
    let blind = || stage.watch.answers().iter().any(|line| line["type"] == "blindness");
    stage.until("the blindness is told", blind).await;
    process.kill();
    stage.anvil.thaw();
    let process = stage.start();
    stage.theft(2).await;
    let over = || stage.watch.answers().iter().any(|line| line["type"] == "blindness" && line["until"].is_string());
    stage.until("its end is told", over).await;
    let ours = compare(&stage, process).await;
    let sight = ours.incidents.values().find(|incident| incident["label"] == "Sight of demo").expect("it was told");
    let why = &sight["state"]["cause"]["itself"];
    assert_eq!((state_name(sight), why), ("resolved", &"sight returned".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_as_one_of_another_chain_is_not_believed() {
    let mut stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.theft(1).await;
    stage.settle().await;
    let before = Stored::read(&stage.store());
    stage.anvil.kill();
    stage.anvil.revive_as(31_338).await;
    stage.anvil.mine(20).await;
    let told = || stage.watch.log().contains("serves chain 31338");
    stage.until("the other chain is told", told).await;
    let after = Stored::read(&stage.store());
    assert_eq!((before.blocks, before.findings), (after.blocks, after.findings));
    assert_eq!(process.end().await, 2, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_stopped_killed_and_started_again() {
    let mut rng = random("node restarts");
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { state: Some(dir.path().join("state.json")), ..Options::default() };
    let mut stage = WatchedProxy::with(options, "", crate::support::watched_proxy::PATH).await;
    let process = stage.start();
    for round in 0..3 {
        for _ in 0..4 {
            some_block(&stage, &mut rng).await;
        }
        stage.catch_up().await;
        if round == 1 {
            // What it had mined since its last stop is gone with it, and others come in its place.
            stage.anvil.kill();
        } else {
            stage.anvil.stop();
        }
        stage.anvil.revive().await;
        stage.anvil.set_automine(false).await;
        stage.theft(round + 1).await;
    }
    let ours = compare(&stage, process).await;
    assert!(orphaned(&ours) > 0, "the node that forgot was not noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_forgot_everything_and_begins_again() {
    let mut rng = random("another genesis");
    let mut stage = WatchedProxy::new().await;
    let process = stage.start();
    for _ in 0..8 {
        some_block(&stage, &mut rng).await;
    }
    stage.theft(1).await;
    stage.settle().await;
    stage.anvil.kill();
    stage.anvil.revive().await;
    WatchedProxy::furnish(&stage.anvil).await;
    assert!(stage.anvil.block_number().await < stage.first);
    stage.theft(2).await;
    for _ in 0..4 {
        some_block(&stage, &mut rng).await;
    }
    let ours = compare(&stage, process).await;
    assert!(orphaned(&ours) > 0, "all that was seen of the former chain is taken back");
}
