//! Nodes that write what is true in ways of their own, and blocks that break one method for good: over real sockets.

use crate::support::chain::{Chain, Odd};
use crate::support::fake_node::{FakeNode, Fault, patient};
use crate::support::follow::{Follow, at};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use watchfire::model::{BlindnessKind, BlockRef, ChainId, Verification};
use watchfire::source::{Checks, Event, Senders};

type Way = (&'static str, fn(&str, &mut Value));

/// Changes each object of a kind in the answer to `method`: the header, transactions, receipts or logs.
fn each(what: &str, method: &str, answer: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    let is_block = method.starts_with("eth_getBlockBy");
    let list = |value: &mut Value| value.as_array_mut().map(std::mem::take).unwrap_or_default();
    let mut receipts = match method {
        "eth_getBlockReceipts" => list(answer),
        "eth_getTransactionReceipt" => vec![answer.take()],
        _ => vec![],
    };
    match what {
        "header" if is_block => answer.as_object_mut().into_iter().for_each(change),
        "tx" if is_block => {
            let txs = answer["transactions"].as_array_mut().into_iter().flatten();
            txs.filter_map(Value::as_object_mut).for_each(change);
        }
        "receipt" => receipts.iter_mut().filter_map(Value::as_object_mut).for_each(change),
        "log" => {
            let logs = receipts.iter_mut().filter_map(|receipt| receipt["logs"].as_array_mut()).flatten();
            logs.filter_map(Value::as_object_mut).for_each(change);
        }
        _ => {}
    }
    match method {
        "eth_getBlockReceipts" => *answer = receipts.into(),
        "eth_getTransactionReceipt" => *answer = receipts.remove(0),
        _ => {}
    }
}

fn without(what: &str, field: &str, method: &str, answer: &mut Value) {
    each(what, method, answer, &|object| drop(object.remove(field)));
}

fn padded(value: &mut Value) {
    if let Some(digits) = value.as_str().and_then(|text| text.strip_prefix("0x")) {
        *value = format!("0X000{digits}").into();
    }
}

/// What nodes leave out or write differently, and the block's hash settles.
const WAYS: &[Way] = &[
    ("an access list that is null", |method, answer| {
        each("tx", method, answer, &|tx| {
            if tx.get("accessList") == Some(&json!([])) {
                tx.insert("accessList".to_owned(), Value::Null);
            }
        });
    }),
    ("no access list where it is empty", |method, answer| {
        each("tx", method, answer, &|tx| {
            if tx.get("accessList") == Some(&json!([])) {
                tx.remove("accessList");
            }
        });
    }),
    ("no chain id", |method, answer| without("tx", "chainId", method, answer)),
    ("a null type where the fields tell it", |method, answer| {
        each("tx", method, answer, &|tx| {
            if tx["type"] == "0x2" {
                tx.remove("type");
            }
        });
    }),
    ("parity as v alone", |method, answer| without("tx", "yParity", method, answer)),
    ("parity as EIP-155 writes it", |method, answer| {
        each("tx", method, answer, &|tx| {
            if let Some(parity) = tx.remove("yParity") {
                let odd = parity == "0x1";
                tx.insert("v".to_owned(), if odd { "0x26" } else { "0x25" }.into());
            }
        });
    }),
    ("no calldata where there is none", |method, answer| {
        each("tx", method, answer, &|tx| {
            if tx.get("input") == Some(&json!("0x")) {
                tx.insert("input".to_owned(), Value::Null);
            }
        });
    }),
    ("quantities with zeros in front", |method, answer| {
        each("tx", method, answer, &|tx| {
            ["nonce", "value", "gas", "maxFeePerGas", "r", "s"]
                .iter()
                .filter_map(|name| tx.get_mut(*name).map(padded))
                .count();
        });
        each("header", method, answer, &|header| {
            ["gasLimit", "gasUsed", "timestamp", "number"]
                .iter()
                .filter_map(|name| header.get_mut(*name).map(padded))
                .count();
        });
    }),
    ("no index of a transaction in its receipt", |method, answer| {
        without("receipt", "transactionIndex", method, answer);
    }),
    ("no block in a receipt", |method, answer| without("receipt", "blockHash", method, answer)),
    ("a contract of zeros in a receipt", |method, answer| {
        each("receipt", method, answer, &|receipt| {
            if receipt["contractAddress"].is_null() {
                receipt["contractAddress"] = format!("0x{}", "0".repeat(40)).into();
            }
        });
    }),
    ("no bloom in receipts", |method, answer| without("receipt", "logsBloom", method, answer)),
    ("no type in receipts", |method, answer| without("receipt", "type", method, answer)),
    ("receipts in another order", |method, answer| {
        if method == "eth_getBlockReceipts" {
            answer.as_array_mut().expect("a list").reverse();
        }
    }),
    ("logs numbered anew in each transaction", |method, answer| {
        if method == "eth_getBlockReceipts" {
            for logs in answer.as_array_mut().expect("a list").iter_mut().filter_map(|one| one["logs"].as_array_mut()) {
                logs.iter_mut().zip(0..).for_each(|(log, n)| log["logIndex"] = format!("{n:#x}").into());
            }
        }
    }),
    ("no numbers of logs", |method, answer| without("log", "logIndex", method, answer)),
    ("null for the data of a log without", |method, answer| {
        each("log", method, answer, &|log| {
            if log.get("data") == Some(&json!("0x")) {
                log.insert("data".to_owned(), Value::Null);
            }
        });
    }),
    ("no bloom in headers", |method, answer| without("header", "logsBloom", method, answer)),
    ("no roots in headers", |method, answer| {
        without("header", "transactionsRoot", method, answer);
        without("header", "receiptsRoot", method, answer);
    }),
    ("no uncles, no difficulty, no gas used in headers", |method, answer| {
        for field in ["sha3Uncles", "difficulty", "gasUsed", "mixHash", "nonce"] {
            each("header", method, answer, &|header| {
                // Proof of work had values that nothing else says.
                if header.get(field).and_then(Value::as_str).is_some_and(|text| {
                    field == "gasUsed" || field == "sha3Uncles" || text[2..].bytes().all(|digit| digit == b'0')
                }) {
                    header.remove(field);
                }
            });
        }
    }),
    ("a field of a later fork that the header does not have", |method, answer| {
        each("header", method, answer, &|header| {
            if !header.contains_key("requestsHash") && header.contains_key("parentBeaconBlockRoot") {
                header.insert("requestsHash".to_owned(), format!("0x{}", "0".repeat(64)).into());
            }
        });
    }),
];

#[tokio::test]
async fn whatever_a_node_leaves_out_or_writes_otherwise_is_read_where_the_hash_settles_it() {
    for (name, way) in WAYS {
        let node = FakeNode::of(Chain::new(3));
        node.grow(|chain| chain.extend(9));
        node.bend(move |method, _, answer| {
            way(method, answer);
            Ok(())
        });
        let checks = Checks::for_chain(ChainId(1)).with_senders(Senders::Everybody);
        let mut follow = Follow::on(at(&node.serve().await.url("http"), patient()).with_checks(checks).into(), 1);
        let head = node.tree.with(|chain| chain.head().link.at.hash);
        while follow.links.last().is_none_or(|tip| tip.at.hash != head) {
            let event = follow.next().await.expect("the source goes on");
            assert!(!matches!(event, Event::Troubled(_)), "{name}: {event:?}");
            if let Event::Step(step) = event {
                let unproven = step.append.iter().find(|body| body.sight.proof != Verification::Proven);
                assert_eq!(unproven.map(|body| &body.gaps), None, "{name}");
            }
        }
        node.tree.with(|chain| follow.compare(chain));
    }
}

/// What no hash settles is not forgiven: on a chain whose blocks are taken at the node's word, and behind a transaction type that
/// nobody knows.
#[tokio::test]
async fn a_lapse_that_nothing_settles_is_refused() {
    for (checks, odd) in [(Checks::NONE, false), (Checks::for_chain(ChainId(1)), true)] {
        let node = FakeNode::of(Chain::new(3));
        let mut follow = Follow::on(at(&node.serve().await.url("http"), patient()).with_checks(checks).into(), 1);
        follow.expect_all_of(&node.tree).await;
        node.fault(Fault::LacksRaw);
        node.bend(|method, _, answer| {
            without("receipt", "blockHash", method, answer);
            Ok(())
        });
        let before = node.tree.with(|chain| chain.head().link.at);
        node.grow(|chain| if odd { chain.extend_with(Odd::TxType) } else { chain.extend(3) });
        let trouble = follow.until_told(BlindnessKind::NoBlock).await;
        assert!(trouble.why.contains("of which block"), "{}", trouble.why);
        assert!(!odd || follow.links.last().is_some_and(|tip| tip.at == before), "{:?}", follow.links.last());
        node.bend(|_, _, _| Ok(()));
        follow.expect_all_of(&node.tree).await;
    }
}

/// One method that one block breaks for good, in every way that was seen of nodes.
#[tokio::test]
async fn a_block_that_breaks_one_method_for_good_is_had_in_another_way() {
    type Break = fn(&mut Value) -> Result<(), (i64, String)>;
    let breaks: [(&str, Break); 7] = [
        ("not there at all", |_| Err((-32601, "the method does not exist".to_owned()))),
        ("a mismatch", |_| Err((-32000, "receipts length mismatch: 1 vs 0".to_owned()))),
        ("a panic", |_| Err((-32603, "runtime error: index out of range [0] with length 0".to_owned()))),
        ("too big", |_| Err((-32008, "response is too big".to_owned()))),
        ("null", |answer| {
            *answer = Value::Null;
            Ok(())
        }),
        ("nothing in it", |answer| {
            *answer = json!([]);
            Ok(())
        }),
        ("nonsense", |answer| {
            *answer = json!({ "oops": true });
            Ok(())
        }),
    ];
    for method in ["eth_getBlockReceipts", "eth_getBlockByHash", "eth_getBlockByNumber"] {
        for (name, break_it) in &breaks {
            if method != "eth_getBlockReceipts"
                && matches!(*name, "null" | "nothing in it" | "nonsense" | "not there at all")
            {
                continue;
            }
            let node = FakeNode::of(Chain::new(3));
            node.grow(|chain| chain.extend(6));
            let broken = node.tree.with(|chain| chain.blocks[&chain.canonical[5]].link.at);
            let break_it = *break_it;
            node.bend(move |asked, params, answer| {
                if asked == method && is_of(params, broken) && params[1] != json!(false) {
                    break_it(answer)
                } else {
                    Ok(())
                }
            });
            let mut follow = Follow::at(&node.serve().await.url("http"), 1);
            let expected = format!("{method}: {name}");
            let all = tokio::time::timeout(crate::support::follow::PATIENCE, follow.expect_all_of(&node.tree)).await;
            assert!(all.is_ok(), "{expected}: {:?}", follow.told);
        }
    }
}

/// A failure of the moment, at a node that has no other way: the first way is tried again.
#[tokio::test]
async fn a_node_that_has_no_parts_is_asked_for_the_whole_again() {
    for method in ["eth_getBlockReceipts", "eth_getBlockByHash"] {
        let node = FakeNode::of(Chain::new(3));
        node.grow(|chain| chain.extend(6));
        let broken = node.tree.with(|chain| chain.blocks[&chain.canonical[5]].link.at);
        let left = AtomicUsize::new(3);
        node.bend(move |asked, params, _| {
            let fails = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
            match asked {
                "eth_getTransactionReceipt" | "eth_getTransactionByHash" => {
                    Err((-32601, "the method does not exist".to_owned()))
                }
                _ if asked == method && is_of(params, broken) && fails() => Err((-32603, "internal error".to_owned())),
                _ => Ok(()),
            }
        });
        let mut follow = Follow::at(&node.serve().await.url("http"), 1);
        follow.expect_all_of(&node.tree).await;
    }
}

/// Whether a question is about this block.
fn is_of(params: &Value, block: BlockRef) -> bool {
    params[0] == json!(block.hash) || params[0] == format!("{:#x}", block.number)
}

#[tokio::test]
async fn one_transaction_that_no_tracer_gets_through_hides_no_other() {
    let node = FakeNode::of(Chain::new(3));
    node.grow(|chain| chain.extend(8));
    let (at_block, txs) = node.tree.with(|chain| {
        let made = chain.canonical.iter().map(|hash| &chain.blocks[hash]).max_by_key(|made| made.content.len());
        let made = made.expect("a block");
        (made.link.at, made.content.iter().map(|tx| tx.hash).collect::<Vec<_>>())
    });
    assert!(txs.len() > 1, "a block with several transactions");
    let first = txs[0];
    node.bend(move |method, params, _| match method {
        "debug_traceBlockByHash" | "trace_block" => Err((-32000, "execution timeout".to_owned())),
        "debug_traceTransaction" if params[0] == json!(first) => Err((-32000, "tracer failed".to_owned())),
        _ => Ok(()),
    });
    let traced = at(&node.serve().await.url("http"), patient()).call_traces(at_block).await;
    let traced = traced.expect("an answer").expect("traces");
    assert_eq!(traced.iter().filter_map(|trace| trace.tx).collect::<Vec<_>>(), txs[1..]);
}

/// A chain that makes its hashes in a way of its own is told as that, with the key that lets it be watched.
#[tokio::test]
async fn a_chain_with_hashes_of_its_own_is_told_with_the_way_out_and_is_watchable() {
    let node = FakeNode::of(Chain::new(3));
    let zeros = json!(format!("0x{}", "0".repeat(64)));
    node.bend(move |method, _, answer| {
        each("header", method, answer, &|header| {
            for root in ["transactionsRoot", "receiptsRoot"] {
                header.insert(root.to_owned(), zeros.clone());
            }
            header.insert("l1BatchNumber".to_owned(), "0x7".into());
            header.insert("sealFields".to_owned(), json!([]));
        });
        Ok(())
    });
    let url = node.serve().await.url("http");
    let mut follow = Follow::at(&url, 1);
    let trouble = follow.until_told(BlindnessKind::RefusedBlock).await;
    assert!(trouble.why.contains("`verify = false`") && !trouble.why.contains("a false block"), "{}", trouble.why);
    follow.end();
    let mut follow = Follow::on(at(&url, patient()).with_checks(Checks::NONE).into(), 1);
    follow.expect_all_of(&node.tree).await;
    assert!(follow.told.is_empty(), "{:?}", follow.told);
}
