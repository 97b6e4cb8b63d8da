//! The source on a real node. The oracle is a rescan of the node's own chain by number, from its raw answers.

use super::ipc::Relay;
use crate::support::accounts;
use crate::support::anvil::{Anvil, Options, Tx};
use crate::support::fake_node::deadlines;
use crate::support::follow::{Follow, PATIENCE};
use alloy_primitives::{B256, U256};
use serde_json::{Value, json};
use watchfire::model::ChainId;
use watchfire::source::{Deadlines, Endpoint, Node};

async fn follow(anvil: &Anvil, url: String) -> Follow {
    follow_within(anvil, url, deadlines()).await
}

async fn follow_within(anvil: &Anvil, url: String, deadlines: Deadlines) -> Follow {
    let endpoint = Endpoint { name: "anvil".into(), url: url.into() };
    let node = Node::new(&endpoint, ChainId(anvil.chain_id()), deadlines).expect("a good address");
    Follow::on(node.into(), 0)
}

/// A node that can be reached through a socket in `dir` too.
async fn with_socket(dir: &tempfile::TempDir) -> (Anvil, std::path::PathBuf) {
    let path = dir.path().join("anvil.ipc");
    let extra = vec!["--ipc".to_owned(), path.display().to_string()];
    let anvil = Anvil::start_with(Options { extra, ..Options::default() }).await;
    (anvil, path)
}

/// Every block of the node's chain: hash, and each transaction with its number of logs.
async fn rescan(anvil: &Anvil) -> Vec<(B256, Vec<(B256, usize)>)> {
    let mut blocks = Vec::new();
    for number in 0..=anvil.block_number().await {
        let block = anvil.block(&format!("{number:#x}")).await;
        let receipts = anvil.rpc("eth_getBlockReceipts", json!([block["hash"]])).await;
        let hash = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).expect("a hash");
        let receipts = receipts.as_array().expect("receipts").iter();
        let contents = receipts
            .map(|receipt| (hash(&receipt["transactionHash"]), receipt["logs"].as_array().map_or(0, Vec::len)))
            .collect();
        blocks.push((hash(&block["hash"]), contents));
    }
    blocks
}

async fn expect_all_of(follow: &mut Follow, anvil: &Anvil) {
    let chain = rescan(anvil).await;
    follow.until(chain.last().expect("there is a genesis").0).await;
    let blocks = follow.links.iter().map(|link| link.at.hash).zip(&follow.contents);
    let ours: Vec<_> =
        blocks.map(|(hash, txs)| (hash, txs.iter().map(|tx| (tx.hash, tx.logs.len())).collect::<Vec<_>>())).collect();
    assert_eq!(ours, chain);
}

fn payment(wei: u64) -> Tx {
    Tx::pay(accounts::PAYER.address, accounts::GRANTEE.address, U256::from(wei))
}

/// A contract that logs once while it is created: `PUSH1 0, PUSH1 0, LOG0, STOP`.
fn log() -> Tx {
    Tx::create(accounts::PAYER.address, vec![0x60, 0, 0x60, 0, 0xa0, 0])
}

async fn storm(anvil: Anvil, url: String) {
    let mut follow = follow(&anvil, url).await;
    anvil.mine(3).await;
    expect_all_of(&mut follow, &anvil).await;
    for n in 1..4 {
        anvil.succeed(&payment(n)).await;
        anvil.succeed(&log()).await;
    }
    expect_all_of(&mut follow, &anvil).await;
    // Blocks replaced at the same height, a transaction moved, and one that is gone for good.
    anvil.reorg(3, &[(log(), 0), (payment(7), 2)]).await;
    expect_all_of(&mut follow, &anvil).await;
    anvil.mine(150).await;
    anvil.reorg(70, &[]).await;
    expect_all_of(&mut follow, &anvil).await;
    // A rollback is announced by nobody.
    anvil.rollback(5).await;
    expect_all_of(&mut follow, &anvil).await;
    anvil.succeed(&payment(9)).await;
    anvil.reorg(1, &[]).await;
    anvil.mine(2).await;
    expect_all_of(&mut follow, &anvil).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_node_is_followed_through_reorgs_bursts_and_a_rollback() {
    let anvil = Anvil::start().await;
    let url = anvil.ws_url();
    storm(anvil, url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_node_is_followed_by_polling_alone() {
    let anvil = Anvil::start().await;
    let url = anvil.http_url();
    storm(anvil, url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_node_is_followed_through_its_socket() {
    let dir = tempfile::tempdir().expect("a directory");
    let (anvil, path) = with_socket(&dir).await;
    storm(anvil, path.display().to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_announced_through_a_socket_and_a_cut_loses_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let (anvil, path) = with_socket(&dir).await;
    let relay = Relay::start(&dir.path().join("relay.ipc"), &path);
    // So rarely polled that only the subscription, and its loss, can move it.
    let seldom = Deadlines { poll: (10 * PATIENCE, 10 * PATIENCE), silence: 10 * PATIENCE, ..deadlines() };
    let mut follow = follow_within(&anvil, relay.url(), seldom).await;
    for n in 1..4 {
        anvil.succeed(&payment(n)).await;
        expect_all_of(&mut follow, &anvil).await;
    }
    for n in 1..4 {
        relay.cut();
        anvil.succeed(&payment(n)).await;
        anvil.mine(n).await;
        expect_all_of(&mut follow, &anvil).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_is_taken_up_where_it_was_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { state: Some(dir.path().join("state.json")), ..Options::default() };
    let mut anvil = Anvil::start_with(options).await;
    let mut follow = follow(&anvil, anvil.ws_url()).await;
    anvil.succeed(&payment(1)).await;
    anvil.mine(5).await;
    expect_all_of(&mut follow, &anvil).await;
    // The chain changes, the node goes away and comes back, and only then do we.
    anvil.reorg(2, &[(log(), 1)]).await;
    anvil.mine(1).await;
    anvil.stop();
    follow.restart();
    anvil.revive().await;
    anvil.mine(2).await;
    expect_all_of(&mut follow, &anvil).await;
}
