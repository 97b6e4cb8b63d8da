//! Who holds a role stands in logs alone: searched all the way back, in pieces where a node gives no more, and at every endpoint, since
//! nothing shows that one was left out.

use crate::support::abi::IAccess;
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, STRANGER};
use crate::support::altered_node::Twisted;
use crate::support::anvil::{Anvil, Tx};
use crate::support::contracts::deploy;
use crate::support::watch::{Answers, Watch};
use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use watchfire::model::read::{Answer, Read, parse_role_members};
use watchfire::model::{BlockRef, ChainId};
use watchfire::source::{Deadlines, Endpoint, Node, Pool};

/// A contract of the keeper's, in whose 300 blocks one minter comes and goes and comes back, one goes, and one stays.
struct RoleHistory {
    anvil: Anvil,
    glass: Twisted,
    offices: Address,
    born: u64,
    at: BlockRef,
}

fn minter() -> B256 {
    keccak256("MINTER_ROLE")
}

fn grant(account: Address) -> Vec<u8> {
    IAccess::grantRoleCall { role: minter(), account }.abi_encode()
}

fn revoke(account: Address) -> Vec<u8> {
    IAccess::revokeRoleCall { role: minter(), account }.abi_encode()
}

impl RoleHistory {
    async fn new() -> Self {
        let anvil = Anvil::start().await;
        anvil.mine(40).await;
        let born = anvil.block_number().await + 1;
        let offices = deploy(&anvil, DEPLOYER.address, "Offices", KEEPER.address.abi_encode()).await;
        let steps = [
            grant(STRANGER.address),
            grant(DEPLOYER.address),
            revoke(STRANGER.address),
            grant(GRANTEE.address),
            revoke(DEPLOYER.address),
            grant(STRANGER.address),
        ];
        for step in steps {
            anvil.mine(40).await;
            anvil.succeed(&Tx::call(KEEPER.address, offices, step)).await;
        }
        let hash = serde_json::from_value(anvil.block("latest").await["hash"].clone()).expect("a hash");
        let at = BlockRef { number: anvil.block_number().await, hash };
        // What comes later is no part of it.
        anvil.succeed(&Tx::call(KEEPER.address, offices, revoke(GRANTEE.address))).await;
        let glass = Twisted::start(&anvil).await;
        Self { anvil, glass, offices, born, at }
    }

    fn pool(&self, with_honest: bool) -> Pool {
        let urls = [("glass", self.glass.url()), ("honest", self.anvil.http_url())];
        let node = |(name, url): (&str, String)| {
            let endpoint = Endpoint { name: name.into(), url: url.into() };
            Node::new(&endpoint, ChainId(self.anvil.chain_id()), Deadlines::default()).expect("a URL")
        };
        let nodes = urls.into_iter().take(1 + usize::from(with_honest)).map(|url| (node(url), None));
        Pool::new(nodes.collect()).expect("nodes of one chain")
    }

    /// Who holds a role, as the endpoints tell it; `None` where they cannot.
    async fn found(&self, with_honest: bool, since: u64) -> Option<Vec<(B256, Address)>> {
        let read = Read::Grants { by: self.offices, since };
        match self.pool(with_honest).answer_reads(self.at, &[read]).await.pop() {
            Some(Answer::Data(data)) => Some(parse_role_members(&data).collect()),
            _ => None,
        }
    }

    fn truth(&self) -> Vec<(B256, Address)> {
        let mut all = vec![(B256::ZERO, KEEPER.address), (minter(), STRANGER.address), (minter(), GRANTEE.address)];
        all.sort_unstable();
        all
    }

    /// The glass refuses, as this vendor does, more than so many blocks at once; what it was asked for is noted.
    fn limit(&self, blocks: u64, code: i64, message: &'static str) -> Arc<Mutex<Vec<u64>>> {
        let asked: Arc<Mutex<Vec<u64>>> = Arc::default();
        let heard = asked.clone();
        self.glass.twist(move |method, params, response| {
            if method == "eth_getLogs" {
                let number = |key: &str| {
                    let digits = params[0][key].as_str()?.trim_start_matches("0x");
                    u64::from_str_radix(digits, 16).ok()
                };
                let range = number("toBlock").zip(number("fromBlock"));
                let span = range.map_or(1, |(to, from)| to - from + 1);
                heard.lock().expect("no test panics in there").push(span);
                if span > blocks {
                    refuse(response, code, message);
                }
            }
        });
        asked
    }
}

fn refuse(response: &mut Value, code: i64, message: &str) {
    let error = json!({ "code": code, "message": message });
    *response = json!({ "jsonrpc": "2.0", "id": response["id"], "error": error });
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_logs_leave_with_a_role_is_found_with_one_question_where_a_node_takes_it() {
    let stage = RoleHistory::new().await;
    let asked = stage.limit(u64::MAX, 0, "");
    assert_eq!(stage.found(false, 0).await, Some(stage.truth()));
    assert_eq!(*asked.lock().expect("no panic"), [stage.at.number + 1], "all blocks at once");
    assert_eq!(stage.found(false, stage.born).await, Some(stage.truth()), "from where it was deployed");
    let later = stage.found(false, stage.born + 100).await.expect("logs");
    assert!(later.iter().all(|(role, _)| *role == minter()), "what came before is not searched: {later:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_searches_few_blocks_at_once_is_asked_for_pieces() {
    let stage = RoleHistory::new().await;
    for (code, message) in [
        (-32602, "eth_getLogs is limited to a 50 block range"),
        (-32005, "query returned more than 10000 results. Try with this block range [0x1, 0x2]."),
        (-32000, "exceed maximum block range: 50"),
        (-32614, "eth_getLogs is limited to 0 - 50 blocks range"),
    ] {
        let asked = stage.limit(50, code, message);
        assert_eq!(stage.found(false, 0).await, Some(stage.truth()), "{message}");
        let asked = asked.lock().expect("no panic").clone();
        assert!(asked.len() < 20, "{message}: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_search_is_no_witness() {
    let stage = RoleHistory::new().await;
    let asked = stage.limit(0, -32601, "the method eth_getLogs does not exist/is not available");
    assert_eq!(stage.found(false, 0).await, None);
    assert_eq!(asked.lock().expect("no panic").len(), 1, "it is not asked for less");
    assert_eq!(stage.found(true, 0).await, Some(stage.truth()), "and another is");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_one_endpoint_leaves_out_another_names() {
    let stage = RoleHistory::new().await;
    stage.glass.twist(|method, _, response| {
        if method == "eth_getLogs" {
            response["result"] = json!([]);
        }
    });
    assert_eq!(stage.found(false, 0).await, Some(vec![]), "nothing shows it");
    assert_eq!(stage.found(true, 0).await, Some(stage.truth()));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_logs_give_nobody_a_role() {
    let stage = RoleHistory::new().await;
    stage.glass.twist(|method, _, response| {
        if method == "eth_getLogs" {
            for log in response["result"].as_array_mut().into_iter().flatten() {
                log["address"] = json!(STRANGER.address);
            }
        }
    });
    assert_eq!(stage.found(false, 0).await, Some(vec![]));
}

/// The whole program over the glass, with a registry that knows nobody but the keeper.
fn watched(stage: &RoleHistory, from: u64) -> Answers {
    let list = format!(
        "[[watch]]\nlabel = \"Offices\"\nchain = \"local\"\naddress = \"{}\"\nkind = \"access-control\"\n\
         purpose = \"Stands here to be watched\"\npath = \"treasury\"\n\
         registry.roles = {{ DEFAULT_ADMIN_ROLE = [\"{}\"] }}\n",
        stage.offices, KEEPER.address
    );
    let watch = Watch::local(&format!("\"{}\"", stage.glass.url()), "", &list);
    let from = from.to_string();
    tokio::task::block_in_place(|| watch.run(&["run", "--from-block", &from, "--for", "5s"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_from_long_ago_are_found_and_a_node_that_cannot_tell_who_they_are_is_a_blindness() {
    let stage = RoleHistory::new().await;
    stage.anvil.mine(40).await;
    let from = stage.anvil.block_number().await;
    stage.anvil.mine(4).await;
    let seen = watched(&stage, from);
    let held = format!("Offices critical builtin/drift role:{}:{}", minter(), STRANGER.address);
    assert_eq!(seen.findings(), [held], "{}", seen.stderr);
    assert_eq!(seen.of("blindness").count(), 0, "{}", seen.stderr);
    stage.limit(0, -32601, "the method eth_getLogs does not exist/is not available");
    let seen = watched(&stage, from);
    assert_eq!(seen.findings(), [""; 0], "{}", seen.stderr);
    // A warning first, and louder as it lasts.
    assert!(seen.of("blindness").count() > 0 && seen.of("blindness").all(|line| line["kind"] == "state-unread"));
    assert!(seen.stderr.contains("no endpoint lists to its end who has a say in Offices"), "{}", seen.stderr);
}
