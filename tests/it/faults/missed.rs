//! Blocks that are made while the program is down: all of them are judged, in their order, and it shows how it gets on.

use crate::support::anvil::Tx;
use crate::support::bill_payers::{SHOPS, clerk, theft};
use crate::support::stored;
use crate::support::watched_proxy::WatchedProxy;
use alloy_primitives::U256;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked how far the program has come.
#[allow(dead_code, reason = "for the long run, which shares this file")]
const LOOK: Duration = Duration::from_millis(10);

/// How a chain was caught up with.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "for the long run, which shares this file")]
pub(super) struct CaughtUp {
    pub(super) blocks: u64,
    /// From the start of the process to its first commit, and from there to its last.
    pub(super) before: Duration,
    pub(super) took: Duration,
}

/// `n` blocks, of which every other holds small bills of some clerks, and now and then a theft.
pub(super) async fn make(stage: &WatchedProxy, n: u64, rng: &mut fastrand::Rng) {
    let mut nonces: BTreeMap<usize, u64> = BTreeMap::new();
    for made in 0..n {
        let mut txs = Vec::new();
        for _ in 0..if made % 2 == 0 { rng.usize(1..4) } else { 0 } {
            let n = rng.usize(..crate::support::watched_proxy::CLERKS);
            if let Entry::Vacant(vacant) = nonces.entry(n) {
                vacant.insert(stage.nonce(n).await);
            }
            let nonce = nonces.get_mut(&n).expect("just put there");
            let bill =
                Tx { gas: 21_000, ..Tx::pay(clerk(n), SHOPS[rng.usize(..2)], U256::from(rng.u64(1..1_000_000))) };
            txs.push(if rng.u8(..50) == 0 { theft(n, *nonce) } else { bill.numbered(*nonce) });
            *nonce += 1;
        }
        stage.mine(&txs).await;
    }
}

/// Waits until a program that was started just now has committed the newest block.
#[allow(dead_code, reason = "for the long run, which shares this file")]
pub(super) async fn watch(stage: &WatchedProxy, started: Instant) -> CaughtUp {
    let tip = || stored::progress(&stage.store()).and_then(|_| committed(stage));
    let (from, head) = (tip().unwrap_or(stage.first - 1), stage.anvil.block_number().await);
    let mut first = None;
    loop {
        let now = tip().unwrap_or(from);
        if now > from {
            first.get_or_insert_with(Instant::now);
        }
        if now == head {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let first = first.unwrap_or(started);
    CaughtUp { blocks: head - from, before: first - started, took: first.elapsed() }
}

/// Number of the last committed block.
#[allow(dead_code, reason = "for the long run, which shares this file")]
fn committed(stage: &WatchedProxy) -> Option<u64> {
    u64::try_from(stored::number(&stage.store(), "SELECT coalesce(max(number), 0) FROM blocks")).ok()
}

/// Blocks of the verdicts among these answers, as they were printed.
pub(super) fn order(answers: &[Value]) -> Vec<u64> {
    answers.iter().filter(|line| line["type"] == "verdict").filter_map(|line| line["block"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_missed_while_it_was_down_are_judged_in_order_and_its_progress_is_shown() {
    let mut rng = super::random("missed");
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    make(&stage, 3, &mut rng).await;
    stage.settle().await;
    process.kill();
    let before = stage.watch.answers().len();
    make(&stage, 300, &mut rng).await;
    let process = stage.start();
    stage.settle().await;
    let abnormal = stage.reckon().await;
    let (ours, _) = stage.check(&abnormal).await;
    assert_ne!(process.end().await, 2, "{}", stage.watch.log());
    let order = order(&stage.watch.answers()[before..]);
    assert!(order.is_sorted(), "out of order: {order:?}");
    assert!(order.len() >= 150 && ours.blocks.len() >= 303, "{} verdicts on {} blocks", order.len(), ours.blocks.len());
    let log = stage.watch.log();
    for word in ["blocks behind, catching up", "caught up: "] {
        assert!(log.contains(word), "no `{word}` in\n{log}");
    }
}
