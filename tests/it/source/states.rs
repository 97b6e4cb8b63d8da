//! State that is asked for at a block follows from that block's hash, wherever an endpoint has proofs: on a real node, whose answers
//! are changed on their way.

use crate::support::accounts::{DEPLOYER, KEEPER, STRANGER};
use crate::support::altered_node::Twisted;
use crate::support::anvil::{Anvil, Tx};
use crate::support::contracts::deploy;
use crate::support::follow::PATIENCE;
use crate::support::watch::Watch;
use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256};
use alloy_sol_types::SolValue;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watchfire::model::read::{Answer, Read};
use watchfire::model::{BlockRef, ChainId};
use watchfire::runtime::{Stop, SystemClock, monotonic_now};
use watchfire::source::{Deadlines, Endpoint, Node, Options, Pool, Priority, Source, Window};

const IMPLEMENTATION: B256 = b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");

/// A contract with something in its slots and nothing in others.
struct StateChain {
    anvil: Anvil,
    glass: Twisted,
    owned: Address,
    at: BlockRef,
}

impl StateChain {
    async fn new() -> Self {
        let anvil = Anvil::start().await;
        let owned = deploy(&anvil, DEPLOYER.address, "Box", KEEPER.address.abi_encode()).await;
        for n in 1..=20 {
            // Neighbors, so that the trie has branches and its proofs have a length.
            anvil.succeed(&Tx::pay(DEPLOYER.address, neighbor(n), U256::from(n))).await;
        }
        let block = anvil.block("latest").await;
        let hash = serde_json::from_value(block["hash"].clone()).expect("a hash");
        let at = BlockRef { number: anvil.block_number().await, hash };
        let glass = Twisted::start(&anvil).await;
        Self { anvil, glass, owned, at }
    }

    fn node(&self, name: &str, url: String) -> Node {
        let endpoint = Endpoint { name: name.into(), url: url.into() };
        Node::new(&endpoint, ChainId(self.anvil.chain_id()), Deadlines::default()).expect("a URL")
    }

    /// The glass alone, or with the node itself behind it.
    fn pool(&self, with_honest: bool) -> Pool {
        let mut nodes = vec![(self.node("glass", self.glass.url()), None)];
        if with_honest {
            nodes.push((self.node("honest", self.anvil.http_url()), None));
        }
        Pool::new(nodes).expect("nodes of one chain")
    }

    /// One question of each sort, and others whose answer is nothing.
    fn reads(&self) -> Vec<Read> {
        let slot = |slot: u8| Read::Storage { of: self.owned, slot: B256::with_last_byte(slot) };
        let nobody = Address::repeat_byte(0x77);
        vec![
            slot(0),
            slot(9),
            Read::Balance(neighbor(7)),
            Read::Code(self.owned),
            Read::Nonce(DEPLOYER.address),
            Read::Balance(nobody),
            Read::Nonce(nobody),
            Read::Code(nobody),
            Read::Storage { of: nobody, slot: B256::ZERO },
        ]
    }

    /// What the node itself says when it is asked without a proof.
    async fn truth(&self) -> Vec<Answer> {
        let pinned = json!({ "blockHash": self.at.hash });
        let mut truth = Vec::new();
        for read in self.reads() {
            let (method, params) = match read {
                Read::Storage { of, slot } => ("eth_getStorageAt", json!([of, slot, pinned])),
                Read::Code(of) => ("eth_getCode", json!([of, pinned])),
                Read::Nonce(of) => ("eth_getTransactionCount", json!([of, pinned])),
                Read::Balance(of) => ("eth_getBalance", json!([of, pinned])),
                _ => unreachable!("nothing else is asked here"),
            };
            let answer = self.anvil.rpc(method, params).await;
            truth.push(Answer::Data(if method == "eth_getCode" {
                serde_json::from_value(answer).expect("code")
            } else {
                let number: U256 = serde_json::from_value(answer).expect("a quantity");
                Bytes::from(number.to_be_bytes_vec())
            }));
        }
        truth
    }
}

fn neighbor(n: u8) -> Address {
    Address::repeat_byte(0xa0 + n)
}

fn refuse(response: &mut Value) {
    let error = json!({ "code": -32601, "message": "the method does not exist" });
    *response = json!({ "jsonrpc": "2.0", "id": response["id"], "error": error });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_proven_is_asked_with_a_proof_and_one_account_at_once() {
    let stage = StateChain::new().await;
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = asked.clone();
    stage.glass.twist(move |method, _, _| heard.lock().expect("no test panics in there").push(method.to_owned()));
    assert_eq!(stage.pool(false).answer_reads(stage.at, &stage.reads()).await, stage.truth().await);
    let mut asked = asked.lock().expect("no test panics in there").clone();
    asked.sort();
    asked.retain(|method| method != "eth_chainId" && method != "eth_getBlockByHash");
    let proofs = ["eth_getProof"; 4];
    assert_eq!(asked, [&["eth_getCode"; 2][..], &proofs].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_was_emptied_is_proven_to_be_zero() {
    let mut stage = StateChain::new().await;
    let office = deploy(&stage.anvil, DEPLOYER.address, "Office", KEEPER.address.abi_encode()).await;
    let renounce = keccak256("renounceOwnership()")[..4].to_vec();
    stage.anvil.succeed(&Tx::call(KEEPER.address, office, renounce)).await;
    let hash = serde_json::from_value(stage.anvil.block("latest").await["hash"].clone()).expect("a hash");
    stage.at = BlockRef { number: stage.anvil.block_number().await, hash };
    let owner = Read::Storage { of: office, slot: B256::ZERO };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    stage.glass.twist(move |method, _, _| heard.lock().expect("no panic").push(method.to_owned()));
    let answers = stage.pool(false).answer_reads(stage.at, &[owner]).await;
    assert_eq!(answers, [Answer::Data(B256::ZERO.into())]);
    let asked = asked.lock().expect("no panic").clone();
    assert!(!asked.contains(&"eth_getStorageAt".to_owned()), "the proof was believed: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_endpoint_has_proofs_state_is_taken_at_its_word() {
    let stage = StateChain::new().await;
    stage.glass.twist(|method, _, response| {
        if method == "eth_getProof" {
            refuse(response);
        }
    });
    assert_eq!(stage.pool(false).answer_reads(stage.at, &stage.reads()).await, stage.truth().await);
}

/// A change to an answer of `eth_getProof` or `eth_getCode`, and whose questions it spoils.
type Lie = (&'static str, fn(&str, &mut Value), fn(&Read, Address) -> bool);

fn of_owned(read: &Read, owned: Address) -> bool {
    matches!(read, Read::Storage { of, .. } | Read::Code(of) if *of == owned)
}

fn has_slots(result: &Value) -> bool {
    result["storageProof"].as_array().is_some_and(|slots| slots.len() == 2)
}

const LIES: [Lie; 8] = [
    (
        "a slot holds something else",
        |method, answer| {
            if method == "eth_getProof" && has_slots(answer) {
                answer["storageProof"][0]["value"] = "0x2a".into();
            }
        },
        of_owned,
    ),
    (
        "a slot that holds something holds nothing",
        |method, answer| {
            if method == "eth_getProof" && has_slots(answer) {
                answer["storageProof"][0]["value"] = "0x0".into();
                answer["storageProof"][0]["proof"] = json!([]);
            }
        },
        of_owned,
    ),
    (
        "a slot is left out",
        |method, answer| {
            if method == "eth_getProof" && has_slots(answer) {
                answer["storageProof"].as_array_mut().expect("slots").pop();
            }
        },
        of_owned,
    ),
    (
        "there is no storage at all",
        |method, answer| {
            if method == "eth_getProof" && has_slots(answer) {
                answer["storageHash"] = B256::ZERO.to_string().into();
                for slot in answer["storageProof"].as_array_mut().expect("slots") {
                    *slot = json!({ "key": "0x0", "value": "0x0", "proof": [] });
                }
            }
        },
        of_owned,
    ),
    (
        "another code",
        |method, answer| {
            if method == "eth_getCode" && *answer != json!("0x") {
                *answer = "0x6001".into();
            }
        },
        of_owned,
    ),
    (
        "no code",
        |method, answer| {
            if method == "eth_getCode" {
                *answer = "0x".into();
            }
        },
        of_owned,
    ),
    (
        "another balance",
        |method, answer| {
            if method == "eth_getProof" && answer["balance"] == "0x7" {
                answer["balance"] = "0x8".into();
            }
        },
        |read, _| *read == Read::Balance(neighbor(7)),
    ),
    (
        "a proof that ends early",
        |method, answer| {
            if method == "eth_getProof" && answer["balance"] == "0x7" {
                answer["accountProof"].as_array_mut().expect("nodes").pop();
            }
        },
        |read, _| *read == Read::Balance(neighbor(7)),
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn state_that_contradicts_the_block_is_believed_of_nobody_and_told_truly_by_another() {
    let stage = StateChain::new().await;
    let truth = stage.truth().await;
    for (lie, twist, spoils) in LIES {
        stage.glass.twist(move |method, _, response| twist(method, &mut response["result"]));
        let wanted = stage.reads().into_iter().zip(&truth).map(|(read, truth)| match spoils(&read, stage.owned) {
            true => Answer::Unavailable,
            false => truth.clone(),
        });
        let alone = stage.pool(false).answer_reads(stage.at, &stage.reads()).await;
        assert_eq!(alone, wanted.collect::<Vec<_>>(), "{lie}");
        assert_eq!(
            stage.pool(true).answer_reads(stage.at, &stage.reads()).await,
            truth,
            "{lie}, and somebody else knows"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_caught_by_one_user_of_the_pool_is_asked_by_no_other() {
    let stage = StateChain::new().await;
    let (truth, pool) = (stage.truth().await, stage.pool(true));
    stage.glass.twist(|method, _, response| {
        if method == "eth_getProof" && response["result"]["balance"] == "0x7" {
            response["result"]["balance"] = "0x8".into();
        }
    });
    let proposals = pool.with_priority(Priority::Proposals);
    assert_eq!(proposals.answer_reads(stage.at, &stage.reads()).await, truth, "the other endpoint knows");
    // Whoever follows the chain reads what was caught.
    let (window, stop) = (Window { first: stage.at.number + 1, links: Vec::new() }, Stop::new());
    let options = Options::for_chain(pool.chain_id());
    let mut source = Source::follow_chain(pool.clone(), window, options, SystemClock, &stop);
    let quarantined = async {
        while pool.endpoint_health()[0].quarantined_until(monotonic_now()).is_none() {
            source.next().await.expect("the chain is followed");
        }
    };
    tokio::time::timeout(PATIENCE, quarantined).await.expect("it is caught");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    stage.glass.twist(move |method, _, _| {
        counted.fetch_add(usize::from(method == "eth_getProof" || method == "eth_getCode"), Ordering::Relaxed);
    });
    for user in [Priority::Blocks, Priority::Mempool, Priority::Proposals] {
        assert_eq!(pool.with_priority(user).answer_reads(stage.at, &stage.reads()).await, truth, "{user:?}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0, "nobody asks it for state any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_another_block_proves_nothing() {
    let stage = StateChain::new().await;
    let truth = stage.truth().await;
    let known = stage.pool(false);
    assert_eq!(known.answer_reads(stage.at, &stage.reads()).await, truth, "it has proofs");
    let before = stage.anvil.rpc("eth_getProof", json!([stage.owned, [], "latest"])).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, STRANGER.address, U256::from(1))).await;
    let after = stage.anvil.rpc("eth_getProof", json!([stage.owned, [], "latest"])).await;
    assert_ne!(before["accountProof"][0], after["accountProof"][0]);
    stage.glass.twist(move |method, _, response| {
        if method == "eth_getProof" {
            response["result"]["accountProof"] = after["accountProof"].clone();
        }
    });
    let alone = known.answer_reads(stage.at, &stage.reads()).await;
    assert_eq!(alone, vec![Answer::Unavailable; truth.len()]);
    let stranger = stage.pool(false).answer_reads(stage.at, &stage.reads()).await;
    assert_eq!(stranger, truth, "whose proofs never fitted has none, as behind a local fork, and is taken at its word");
    assert_eq!(stage.pool(true).answer_reads(stage.at, &stage.reads()).await, truth);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_lies_about_state_is_told_with_what_it_said_and_hides_no_change() {
    let stage = StateChain::new().await;
    let owner = Bytes::copy_from_slice(&keccak256("owner()")[..4]);
    let proxy = deploy(&stage.anvil, DEPLOYER.address, "ERC1967Proxy", (stage.owned, owner).abi_encode_params()).await;
    // The other endpoint has no proofs, so that this one is asked for them, whichever is faster.
    let honest = Twisted::start(&stage.anvil).await;
    honest.twist(|method, _, response| {
        if method == "eth_getProof" {
            refuse(response);
        }
    });
    let list = format!(
        "[[watch]]\nlabel = \"Proxy\"\nchain = \"local\"\naddress = \"{proxy}\"\nkind = \"proxy\"\n\
         purpose = \"Stands here to be watched\"\npath = \"treasury\"\n"
    );
    let endpoints = [("glass", stage.glass.url()), ("honest", honest.url())]
        .map(|(name, url)| format!("{{ name = \"{name}\", url = \"{url}\" }}"));
    let watch = Watch::local(&format!("[{}]", endpoints.join(", ")), "", &list);
    let begun = stage.anvil.block_number().await + 1;
    stage.anvil.mine(2).await;
    // What the endpoint goes on saying of the slot: its old value.
    let old = stage.owned;
    stage.glass.twist(move |method, _, response| {
        if method == "eth_getProof" {
            for slot in response["result"]["storageProof"].as_array_mut().into_iter().flatten() {
                if slot["value"] != "0x0" {
                    slot["value"] = format!("{:#x}", U256::from_be_bytes(old.into_word().0)).into();
                }
            }
        }
    });
    let other = deploy(&stage.anvil, DEPLOYER.address, "Box", KEEPER.address.abi_encode()).await;
    stage.anvil.rpc("anvil_setStorageAt", json!([proxy, IMPLEMENTATION, other.into_word()])).await;
    stage.anvil.mine(60).await;
    let from = begun.to_string();
    let process = watch.start(&["run", "--from-block", &from]);
    let of = |kind: &str| watch.answers().into_iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    let lies = || of("blindness").into_iter().filter(|line| line["kind"] == "refused-block").collect::<Vec<_>>();
    let found = || of("verdict").into_iter().filter(|line| line["finding_id"].is_string()).collect::<Vec<_>>();
    let deadline = monotonic_now() + PATIENCE;
    while found().is_empty() || lies().is_empty() {
        assert!(monotonic_now() < deadline, "{:?} {:?}\n{}", found(), lies(), watch.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    process.end().await;
    let (found, blind) = (found(), lies());
    let said: Vec<_> = ["watch", "severity", "by"].iter().map(|key| found[0][key].as_str().unwrap_or("-")).collect();
    assert_eq!((said.join(" ").as_str(), found.len()), ("Proxy critical builtin/state", 1), "{}", watch.log());
    assert_eq!(found[0]["function"], "implementation");
    assert_eq!(blind.len(), 1, "{}", watch.log());
    assert_eq!(blind[0]["endpoint"], "glass");
    let why = blind[0]["why"].as_str().expect("it says why");
    assert!(why.starts_with("a false state of 0x") && why.contains("stateRoot"), "{why}");
}

/// What servers say that take a block's number and nothing else, each with its code.
const NUMBERS_ONLY: [(i64, &str); 4] = [
    (-32602, "invalid argument 1: json: cannot unmarshal object into Go value of type string"),
    (-32602, "Invalid params"),
    (-32000, "invalid type: map, expected a hex string"),
    (-32601, "the method is not supported with these parameters"),
];

/// Lets the glass refuse every question about state at a hash, in these words.
fn refuse_hashes(response: &mut Value, params: &Value, code: i64, message: &str) {
    if params.as_array().and_then(|params| params.last()).is_some_and(|last| last["blockHash"].is_string()) {
        *response = json!({ "jsonrpc": "2.0", "id": response["id"], "error": { "code": code, "message": message } });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_asked_by_number_of_whoever_takes_no_hash_and_only_while_the_block_is_there() {
    let stage = StateChain::new().await;
    let owner = Read::Call { to: stage.owned, data: Bytes::from_static(&[0x8d, 0xa5, 0xcb, 0x5b]) };
    let parent = stage.anvil.block(&format!("{:#x}", stage.at.number - 1)).await["hash"].clone();
    let parent: B256 = serde_json::from_value(parent).expect("a hash");
    let before = Read::Before { to: stage.owned, data: Bytes::from_static(&[0x8d, 0xa5, 0xcb, 0x5b]), parent };
    let mut reads = stage.reads();
    reads.extend([owner.clone(), before.clone()]);
    let truth = stage.pool(false).answer_reads(stage.at, &reads).await;
    assert!(truth.iter().all(|answer| matches!(answer, Answer::Data(_))), "{truth:?}");
    for (code, message) in NUMBERS_ONLY {
        stage.glass.twist(move |_, params, response| refuse_hashes(response, params, code, message));
        let pool = stage.pool(false);
        assert_eq!(pool.answer_reads(stage.at, &reads).await, truth, "{message}");
        assert_eq!(pool.answer_reads(stage.at, &reads).await, truth, "{message}, once it is known");
        // Another block has this number: what is there is no state of ours.
        let other = BlockRef { hash: B256::repeat_byte(9), ..stage.at };
        let answers = pool.answer_reads(other, &[owner.clone(), Read::Balance(neighbor(7))]).await;
        assert_eq!(answers, [Answer::Unavailable, Answer::Unavailable], "{message}");
    }
    // It was there before the question and is gone after it.
    let looks = AtomicUsize::new(0);
    stage.glass.twist(move |method, params, response| {
        refuse_hashes(response, params, -32602, "Invalid params");
        if method == "eth_getBlockByNumber" && looks.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            response["result"]["hash"] = json!(B256::repeat_byte(9));
        }
    });
    assert_eq!(stage.pool(false).answer_reads(stage.at, std::slice::from_ref(&owner)).await, [Answer::Unavailable]);
    // A contract that refuses does so either way, and a node that knows no such state is not asked again.
    let by_number: Arc<AtomicUsize> = Arc::default();
    let counted = by_number.clone();
    stage.glass.twist(move |method, params, response| {
        if method == "eth_call" {
            counted.fetch_add(usize::from(params[1].is_string()), Ordering::Relaxed);
            let error = json!({ "code": 3, "message": "execution reverted" });
            *response = json!({ "jsonrpc": "2.0", "id": response["id"], "error": error });
        }
    });
    assert_eq!(stage.pool(false).answer_reads(stage.at, &[owner]).await, [Answer::Reverted]);
    assert_eq!(by_number.load(Ordering::Relaxed), 0);
}
