//! `watchfire probe`, and what `run` says of its endpoints at the start.

use crate::support::accounts;
use crate::support::altered_node::Twisted;
use crate::support::anvil::{Anvil, Options, Tx};
use crate::support::watch::Watch;
use alloy_primitives::U256;
use serde_json::{Value, json};
use std::process::{Command, Output};
use std::time::Duration;

/// In every address here, and in nothing that is ever said.
const KEY: &str = "0123456789abcdef";
/// Longest wait for a line that has to come.
const PATIENCE: Duration = Duration::from_secs(60);

async fn lively() -> (Anvil, Twisted) {
    let anvil = Anvil::start_with(Options { slots_in_an_epoch: Some(2), ..Options::default() }).await;
    anvil.mine(5).await;
    anvil.succeed(&Tx::pay(accounts::PAYER.address, accounts::GRANTEE.address, U256::from(1))).await;
    let glass = Twisted::start(&anvil).await;
    (anvil, glass)
}

/// A chain with a node of its own and one seen through glass.
fn watched(anvil: &Anvil, glass: &Twisted) -> Watch {
    watched_through(anvil, glass, "")
}

/// The same with more words about the chain.
fn watched_through(anvil: &Anvil, glass: &Twisted, chain: &str) -> Watch {
    let payee = |label: &str, address: alloy_primitives::Address, purpose: &str| {
        format!(
            "[[watch]]\nlabel = \"{label}\"\nchain = \"local\"\naddress = \"{address}\"\nkind = \"eoa\"\n\
             purpose = \"{purpose}\"\npath = \"treasury\"\n"
        )
    };
    let list =
        [payee("Payer", accounts::PAYER.address, "Pays"), payee("Grantee", accounts::GRANTEE.address, "Is paid")];
    let own = anvil.ws_url();
    let endpoints =
        format!("[{{ name = \"own\", url = \"{own}\" }}, {{ name = \"vendor\", url = {{ env = \"GLASS\" }} }}]");
    let mut watch = Watch::local(&endpoints, &format!("finality = \"tags\"\n{chain}"), &list.concat());
    watch.set("GLASS", &glass.url());
    watch
}

/// A node that has no state any more.
fn pruned(glass: &Twisted) {
    glass.twist(|method, _, response| {
        if method == "eth_call" || method.starts_with("debug_trace") || method.starts_with("trace_") {
            let error = json!({ "code": -32000, "message": "missing trie node" });
            *response = json!({ "jsonrpc": "2.0", "id": response["id"], "error": error });
        }
    });
}

/// How a command ends, and all that it says.
fn said(mut command: Command) -> (i32, String) {
    let Output { status, stdout, stderr } =
        tokio::task::block_in_place(|| command.output().expect("the program starts"));
    let all = String::from_utf8_lossy(&[stdout.as_slice(), &stderr].concat()).into_owned();
    assert!(!all.contains(KEY), "{all}");
    (status.code().unwrap_or(-1), all)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_probed_and_never_repeated() {
    let (_anvil, glass) = lively().await;
    let text = |urls: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(["--log", "trace", "probe"]).args(urls);
        said(command)
    };
    let (code, shown) = text(&[&glass.url()]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("chain 31337 at block 6"), "{shown}");
    assert!(shown.contains("yes  state-reads") && shown.contains("yes  batches           of 100"), "{shown}");
    assert!(shown.contains("no   subscriptions     plain HTTP announces nothing"), "{shown}");
    pruned(&glass);
    let (code, shown) = text(&[&glass.url()]);
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("no   state-reads       missing trie node"), "{shown}");
    assert!(shown.contains("lacks what a watch needs: state-reads"), "{shown}");
    // Nobody there, no address at all, and one of a kind that is not known.
    let bad = [format!("ws://127.0.0.1:1/{KEY}"), KEY.to_owned(), format!("gopher://{KEY}")];
    let (code, shown) = text(&bad.each_ref().map(String::as_str));
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("endpoint-2: the address is not a URL"), "{shown}");
    assert_eq!(text(&["--chain", "local", &glass.url()]).0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_of_a_chain_is_probed_and_what_none_can_do_is_told_of_each_watch() {
    let (anvil, glass) = lively().await;
    pruned(&glass);
    let watch = watched(&anvil, &glass);
    let (code, answers) = said(watch.command(&["probe", "--chain", "local"]));
    let lines: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(code, 2, "one of them reads no state");
    let [own, vendor] = &lines[..] else { panic!("the state is read by the other one: {lines:#?}") };
    assert_eq!((&own["endpoint"], &own["chain"], &own["chain_id"]), (&json!("own"), &json!("local"), &json!(31_337)));
    assert_eq!((&own["abilities"]["state-reads"], &own["abilities"]["batches"]), (&json!(true), &json!(null)));
    assert_eq!((&vendor["abilities"]["state-reads"], &vendor["batch_max"]), (&json!(false), &json!(100)));
    assert_eq!(vendor["why"]["state-reads"], "missing trie node");
    glass.twist(|_, _, _| {});
    assert_eq!(said(watch.command(&["probe"])).0, 0);
    let watch = watched_through(&anvil, &glass, "traces = false\n");
    let (_, answers) = said(watch.command(&["probe", "--chain", "local"]));
    let blind: Value = serde_json::from_str(answers.lines().last().expect("lines")).expect("JSON");
    assert_eq!(blind["watches"], json!(["Payer", "Grantee"]));
    assert_eq!(blind["blind_to"], json!(["ether that other contracts pay to it: `traces = false`"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_at_its_start_what_its_endpoints_can_do_and_what_it_does_not_see() {
    let (anvil, glass) = lively().await;
    let watch = watched_through(&anvil, &glass, "traces = false\n");
    let process = watch.start(&["run"]);
    let told = async {
        while !watch.log().contains("not seen of") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("it says what it does not see");
    process.end().await;
    let log = watch.log();
    assert!(log.contains("own of local (anvil/"), "{log}");
    assert!(log.contains("cannot: raw-receipts, subscriptions"), "{log}");
    assert!(log.contains("not seen of Payer, Grantee: ether that other contracts pay to it"), "{log}");
    assert!(!log.contains(KEY), "{log}");
}
