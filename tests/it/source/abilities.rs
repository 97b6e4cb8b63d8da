//! Who a node is and what it can do, asked of nodes that say so and of nodes that pretend.

use crate::support::accounts;
use crate::support::altered_node::Twisted;
use crate::support::anvil::{Anvil, Options, Tx};
use crate::support::chain::Chain;
use crate::support::fake_node::{FakeNode, Served, deadlines};
use alloy_primitives::{B256, U256};
use serde_json::json;
use watchfire::model::ChainId;
use watchfire::source::{
    Capabilities, Capability, Deadlines, Endpoint, Identity, Node, NodeError, Support, probe_node,
};

fn node(served: &Served, scheme: &str, genesis: Option<B256>) -> Node {
    let endpoint = Endpoint { name: "primary".into(), url: served.url(scheme).into() };
    Node::new(&endpoint, Identity { chain: ChainId(1), genesis }, deadlines()).expect("a good address")
}

#[tokio::test]
async fn a_chain_that_began_otherwise_is_another_chain_whatever_its_id() {
    let fake = FakeNode::of(Chain::new(5));
    let served = fake.serve().await;
    let first = fake.tree.with(|chain| chain.canonical[0]);
    for scheme in ["ws", "http"] {
        let head = node(&served, scheme, Some(first)).fetch_head().await.expect("the right chain");
        assert_eq!(head.map(|head| head.at.number), Some(4));
        let expected = B256::repeat_byte(1);
        let refused = node(&served, scheme, Some(expected)).fetch_head().await;
        assert_eq!(refused, Err(NodeError::WrongGenesis { expected, found: first }));
    }
}

/// A node with something to try things on, and blocks enough for its tags.
async fn lively(extra: &[&str]) -> Anvil {
    let extra = extra.iter().map(|argument| (*argument).to_owned()).collect();
    let anvil = Anvil::start_with(Options { slots_in_an_epoch: Some(2), extra, ..Options::default() }).await;
    anvil.mine(5).await;
    anvil.succeed(&Tx::pay(accounts::PAYER.address, accounts::GRANTEE.address, U256::from(1))).await;
    anvil.mine(3).await;
    anvil
}

async fn probed(url: &str) -> Capabilities {
    let endpoint = Endpoint { name: "primary".into(), url: url.to_owned().into() };
    let node = Node::discover_chain(&endpoint, Deadlines::default()).await.expect("it answers");
    probe_node(&node).await.expect("it can be asked")
}

fn with(abilities: &Capabilities, fits: fn(&Support) -> bool) -> Vec<&'static str> {
    abilities.iter().filter(|(_, can)| fits(can)).map(|(ability, _)| ability.name()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_node_is_asked_what_it_can_do_over_each_kind_of_wire() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("anvil.ipc").display().to_string();
    let anvil = lively(&["--ipc", &path]).await;
    for url in [anvil.ws_url(), path] {
        let found = probed(&url).await;
        assert_eq!(with(&found, |can| matches!(can, Support::No(_))), ["raw-receipts"], "{found:#?}");
        assert_eq!(with(&found, |can| matches!(can, Support::Unknown(_))), ["batches"], "{found:#?}");
        assert!(found.missing_capabilities(true).is_empty());
    }
    let found = probed(&anvil.http_url()).await;
    assert_eq!(with(&found, |can| !can.is_yes()), ["raw-receipts", "subscriptions"], "{found:#?}");
    assert_eq!((found.batch_max, found.chain), (100, ChainId(31_337)));
    assert!(found.client.is_some_and(|client| client.starts_with("anvil/")));
    let genesis = anvil.block("0x0").await["hash"].clone();
    assert_eq!((serde_json::json!(found.genesis), found.head.at.number), (genesis, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_tried_for_want_of_a_transaction_is_not_known() {
    let anvil = Anvil::start().await;
    anvil.mine(40).await;
    let found = probed(&anvil.http_url()).await;
    let unknown = with(&found, |can| matches!(can, Support::Unknown(_)));
    assert_eq!(
        unknown,
        ["block-receipts", "receipts", "call-tracer", "trace-block", "raw-transactions", "raw-receipts"]
    );
    assert_eq!(found.missing_capabilities(false), [Capability::BlockReceipts], "not seen is not had");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_pretends_is_not_believed() {
    let anvil = lively(&[]).await;
    let glass = Twisted::start(&anvil).await;
    let before = probed(&glass.url()).await;
    let struct_logs = json!({ "gas": 21000, "failed": false, "returnValue": "", "structLogs": [] });
    // What it pretends, which ability it therefore has not, and what is said of that.
    let cases = [
        ("debug_traceTransaction", json!({}), Capability::CallTracer, "a trace without a call in it"),
        ("debug_traceTransaction", struct_logs, Capability::CallTracer, "a trace without a call in it"),
        ("debug_traceTransaction", json!(null), Capability::CallTracer, "it answered null"),
        ("trace_block", json!([]), Capability::TraceBlock, "traces without what the block's transaction did"),
        ("trace_block", json!({}), Capability::TraceBlock, "it answered {}"),
        ("eth_getBlockReceipts", json!([]), Capability::BlockReceipts, "0 receipts for a block of 1 transactions"),
        ("eth_getBlockReceipts", json!(null), Capability::BlockReceipts, "it answered null"),
        ("eth_getTransactionReceipt", json!({}), Capability::Receipts, "it answered {}"),
        ("eth_call", json!("0x"), Capability::StateReads, "a call whose result is certain gave another"),
        ("eth_getProof", json!({}), Capability::Proofs, "it answered {}"),
        ("eth_getProof", json!({ "accountProof": ["0xc0"] }), Capability::Proofs, "the proof does not begin at"),
        ("eth_getRawTransactionByHash", json!("0x02c0"), Capability::RawTransactions, "the bytes do not hash"),
        ("eth_getLogs", json!(null), Capability::Logs, "it answered null"),
        ("eth_getLogs", json!({}), Capability::Logs, "the logs cannot be read"),
        ("debug_getRawReceipts", json!([]), Capability::RawReceipts, "0 receipts for a block of 1 transactions"),
    ];
    for (method, pretended, ability, expected) in cases {
        let shown = pretended.to_string();
        glass.twist(move |asked, _, response| {
            if asked == method {
                *response = json!({ "jsonrpc": "2.0", "id": response["id"], "result": pretended });
            }
        });
        let found = probed(&glass.url()).await;
        let Support::No(why) = found.capability_status(ability) else {
            panic!("{method} {shown}: {:?}", found.capability_status(ability))
        };
        assert!(why.starts_with(expected), "{method} {shown}: {why}");
        let lost = found.lost_since(&before);
        assert_eq!(lost, if ability == Capability::RawReceipts { vec![] } else { vec![ability] }, "and nothing else");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_reads_the_newest_state_for_whatever_hash_does_not_read_state_at_a_hash() {
    let anvil = lively(&[]).await;
    let glass = Twisted::start(&anvil).await;
    glass.twist(|asked, params, response| {
        if asked == "eth_call" {
            *response = json!({ "jsonrpc": "2.0", "id": response["id"], "result": params[0]["data"] });
        }
    });
    let found = probed(&glass.url()).await;
    let Support::No(why) = found.capability_status(Capability::StateReads) else { panic!("{found:#?}") };
    assert!(why.contains("does not look at the hash"), "{why}");
    assert_eq!(found.missing_capabilities(true), [Capability::StateReads]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_no_loss_a_small_batch_is_one_and_a_name_is_only_text() {
    let anvil = lively(&[]).await;
    let glass = Twisted::start(&anvil).await;
    let before = probed(&glass.url()).await;
    glass.twist(|asked, params, response| {
        let error = |code: i64, message: &str| json!({ "code": code, "message": message });
        let id = response["id"].clone();
        match asked {
            "batch" if response.as_array().is_some_and(|answers| answers.len() > 10) => {
                *response = json!({ "jsonrpc": "2.0", "id": null, "error": error(-32600, "batch too large") });
            }
            "eth_call" => *response = json!({ "jsonrpc": "2.0", "id": id, "error": error(429, "too many requests") }),
            "trace_block" => {
                *response = json!({ "jsonrpc": "2.0", "id": id, "error": error(-32601, "no trace_block for 0123456789abcdef") });
            }
            "eth_getBlockByNumber" if params[0] == "safe" => response["result"] = json!(null),
            "web3_clientVersion" => response["result"] = json!("Geth\u{1b}[2J/v1\u{202e}"),
            _ => {}
        }
    });
    let found = probed(&glass.url()).await;
    assert_eq!(found.batch_max, 10);
    assert!(
        matches!(found.capability_status(Capability::StateReads), Support::Unknown(_)),
        "{:?}",
        found.capability_status(Capability::StateReads)
    );
    assert_eq!(
        found.capability_status(Capability::TraceBlock),
        &Support::No("no trace_block for ***".to_owned()),
        "the key is not repeated"
    );
    assert_eq!(found.lost_since(&before), [Capability::TraceBlock, Capability::SafeTag]);
    assert_eq!(found.client.as_deref(), Some(r"Geth\u{1b}[2J/v1\u{202e}"));
}
