//! Calls from inside of others: what shows by no log and in no calldata, on a real node that traces.

use crate::support::accounts::{KEEPER, OWNER_A, STRANGER};
use crate::support::altered_node::Twisted;
use crate::support::anvil::Anvil;
use crate::support::contracts::deploy;
use crate::support::kit::{Kit, Version};
use crate::support::multisig::Multisig;
use crate::support::safe::{Safe, module_payment};
use crate::support::tokens::Token;
use crate::support::tx::Tx;
use crate::support::watch::{Answers, Watch};
use alloy_primitives::{Address, Bytes, U256, hex, keccak256};
use alloy_sol_types::SolValue;

fn call(signature: &str, arguments: impl AsRef<[u8]>) -> Bytes {
    [&keccak256(signature)[..4], arguments.as_ref()].concat().into()
}

/// `pass(to, value, data)` of a Relay.
fn pass(to: Address, value: U256, data: &Bytes) -> Bytes {
    call("pass(address,uint256,bytes)", (to, value, data.clone()).abi_encode_params())
}

/// A node, what is watched on it, and a configuration that vouches for nothing more than it says.
struct NestedCalls {
    anvil: Anvil,
    watch: Watch,
    begun: u64,
}

impl NestedCalls {
    /// `watches` is a watchlist, `chain` more keys of the chain.
    async fn new(anvil: Anvil, chain: &str, watches: &str) -> Self {
        let watch = Watch::local(&format!("\"{}\"", anvil.ws_url()), chain, watches);
        let begun = anvil.block_number().await + 1;
        Self { anvil, watch, begun }
    }

    /// All that was judged since.
    async fn judged(&self) -> Answers {
        let (from, until) = (self.begun.to_string(), self.anvil.block_number().await.to_string());
        tokio::task::block_in_place(|| self.watch.run(&["run", "--from-block", &from, "--until-block", &until]))
    }
}

fn watch(label: &str, address: Address, kind: &str, rules: &str) -> String {
    format!(
        r#"
[[watch]]
label = "{label}"
chain = "local"
address = "{address}"
kind = "{kind}"
purpose = "Stands here to be watched"
path = "treasury"
{rules}
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_change_of_controller_from_inside_an_unwatched_wallet_is_found() {
    let anvil = Anvil::start().await;
    let token = Token::deploy_minime(&anvil, KEEPER.address, "MIN").await;
    let wallet = Multisig::deploy(&anvil, KEEPER.address, &[OWNER_A.address], 1).await;
    let hand_over = call("changeController(address)", (wallet.address,).abi_encode());
    anvil.succeed(&Tx::call(KEEPER.address, token.address, hand_over)).await;
    let stage = NestedCalls::new(anvil, "", &watch("Token", token.address, "minime", "")).await;
    let seize = call("changeController(address)", (STRANGER.address,).abi_encode());
    wallet.submit(&stage.anvil, OWNER_A, token.address, U256::ZERO, seize).await;
    let seen = stage.judged().await;
    assert_eq!(seen.findings(), ["Token critical builtin/control changeController"], "{}", seen.stderr);
    assert_eq!(seen.incidents().len(), 1);
    let blind = NestedCalls { watch: rewritten(&stage, "traces = false"), ..stage };
    assert_eq!(blind.judged().await.findings(), [""; 0], "nothing but a trace shows it to who looks at calls and logs");
}

/// The same configuration with more keys of the chain, and nothing judged yet.
fn rewritten(stage: &NestedCalls, chain: &str) -> Watch {
    let watch = Watch::empty();
    let main = std::fs::read_to_string(stage.watch.path("watchfire.toml")).expect("it was written");
    watch.write("watchfire.toml", &main.replace("id = 31337\n", &format!("id = 31337\n{chain}\n")));
    let list = std::fs::read_to_string(stage.watch.path("list.toml")).expect("it was written");
    watch.write("list.toml", &list);
    watch
}

#[tokio::test(flavor = "multi_thread")]
async fn ether_that_leaves_two_calls_deep_is_found_however_normal_the_call_is() {
    let anvil = Anvil::start().await;
    let purse = deploy(&anvil, KEEPER.address, "Purse", []).await;
    anvil.succeed(&Tx::pay(KEEPER.address, purse, U256::from(1_000))).await;
    let abi = r#"[{"type":"function","name":"spend","inputs":[{"name":"to","type":"address"},{"name":"amount","type":"uint256"}],"outputs":[],"stateMutability":"nonpayable"},
        {"type":"function","name":"release","inputs":[{"name":"to","type":"address"},{"name":"amount","type":"uint256"}],"outputs":[],"stateMutability":"nonpayable"}]"#;
    let rules = r#"abi = "purse.json"
  [[watch.normal]]
  name = "spends"
  call = "spend(address to, uint256 amount)"
  [[watch.normal]]
  name = "releases"
  call = "release(address to, uint256 amount)"
  [[watch.normal]]
  name = "asks-its-hand"
  act = "give(address purse, address to, uint256 amount)"
  [[watch.normal]]
  name = "pays-keeper"
  act = "ether"
  to = ["KEEPER"]"#;
    let rules = rules.replace("KEEPER", &KEEPER.address.to_string());
    let stage = NestedCalls::new(anvil, "", &watch("Purse", purse, "contract", &rules)).await;
    stage.watch.write("purse.json", abi);
    let spend = |to: Address, amount: u64| {
        Tx::call(KEEPER.address, purse, call("spend(address,uint256)", (to, U256::from(amount)).abi_encode()))
    };
    stage.anvil.succeed(&spend(KEEPER.address, 1)).await;
    stage.anvil.succeed(&spend(STRANGER.address, 7)).await;
    let seen = stage.judged().await;
    assert_eq!(seen.findings(), ["Purse high builtin/unvouched ether"], "{:#?}", seen.lines);
    let found = seen.of("verdict").find(|line| line["finding_id"].is_string()).expect("a finding");
    assert_eq!((&found["value"], &found["position"]), (&"7".into(), &"trace.0.0.0".into()));
    assert_eq!(found["signers"], serde_json::json!([]), "whoever called the purse signed nothing of what it pays");
    // Without traces nothing shows but the balance: how much left, and not to whom.
    let blind = NestedCalls { watch: rewritten(&stage, "traces = false"), ..stage };
    blind.watch.write("purse.json", abi);
    let blind = blind.judged().await;
    assert_eq!(blind.findings(), ["Purse critical builtin/outflow balance"], "{:#?}", blind.lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn ether_that_comes_in_the_same_block_does_not_hide_ether_that_leaves() {
    let anvil = Anvil::start().await;
    let purse = deploy(&anvil, KEEPER.address, "Purse", []).await;
    anvil.succeed(&Tx::pay(KEEPER.address, purse, U256::from(1_000))).await;
    let abi = r#"[{"type":"function","name":"spend","inputs":[{"name":"to","type":"address"},{"name":"amount","type":"uint256"}],"outputs":[],"stateMutability":"nonpayable"},
        {"type":"function","name":"release","inputs":[{"name":"to","type":"address"},{"name":"amount","type":"uint256"}],"outputs":[],"stateMutability":"nonpayable"}]"#;
    let rules = "abi = \"purse.json\"\n[[watch.normal]]\nname = \"spends\"\ncall = \"spend(address to, uint256 amount)\"\n\
                 [[watch.normal]]\nname = \"releases\"\ncall = \"release(address to, uint256 amount)\"\n\
                 [[watch.normal]]\nname = \"asks-its-hand\"\nact = \"give(address purse, address to, uint256 amount)\"\n";
    let stage = NestedCalls::new(anvil, "", &watch("Purse", purse, "contract", rules)).await;
    stage.watch.write("purse.json", abi);
    // The balance is known before anything happens.
    stage.anvil.mine(2).await;
    let spend = |amount: u64| {
        let data = call("spend(address,uint256)", (STRANGER.address, U256::from(amount)).abi_encode());
        Tx::call(KEEPER.address, purse, data)
    };
    // PUSH20 purse SELFDESTRUCT: its value goes to the purse, and no code of the purse runs.
    let gift = |amount: u64| {
        let code: Bytes = [&[0x73], purse.as_slice(), &[0xff]].concat().into();
        Tx::create(OWNER_A.address, code).with_value(U256::from(amount))
    };
    // As much comes as goes; then the purse earns the block's tips beside it.
    stage.anvil.set_automine(false).await;
    stage.anvil.send(&spend(7)).await;
    stage.anvil.send(&gift(7)).await;
    stage.anvil.mine(1).await;
    let maker = stage.anvil.block("latest").await["miner"].clone();
    stage.anvil.rpc("anvil_setCoinbase", serde_json::json!([purse])).await;
    stage.anvil.send(&spend(9)).await;
    stage.anvil.mine(1).await;
    stage.anvil.rpc("anvil_setCoinbase", serde_json::json!([maker])).await;

    let seen = stage.judged().await;
    assert_eq!(seen.findings(), ["Purse high builtin/unvouched ether"; 2], "{:#?}", seen.lines);
    let found = seen.of("verdict").filter(|line| line["finding_id"].is_string());
    assert_eq!(found.map(|line| line["value"].clone()).collect::<Vec<_>>(), ["7", "9"]);
    let is_sum = |line: &&serde_json::Value| line["activity"] == "state" && line["function"] == "balance";
    let surplus: Vec<_> = seen.of("verdict").filter(is_sum).map(|line| line["by"].clone()).collect();
    assert!(!surplus.is_empty(), "tips are more than was seen to come: {:#?}", seen.lines);
    assert!(surplus.iter().all(|by| by == "builtin/inbound"), "{:#?}", seen.lines);

    // Where nobody traces there is but the sum, and it hides what leaves behind what comes: the documentation says so.
    let blind = NestedCalls { watch: rewritten(&stage, "traces = false"), ..stage };
    blind.watch.write("purse.json", abi);
    assert_eq!(blind.judged().await.findings(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_from_creations_and_swallowed_failures_are_seen() {
    let anvil = Anvil::start().await;
    let relay = deploy(&anvil, KEEPER.address, "Relay", []).await;
    let coin = Token::deploy_coin(&anvil, KEEPER.address, "COIN", 18, OWNER_A.address).await;
    let stage = NestedCalls::new(anvil, "", &watch("Coin", coin.address, "erc20", "")).await;
    let nothing = call("approve(address,uint256)", (STRANGER.address, U256::ZERO).abi_encode());
    let make = call("make(address,bytes)", (coin.address, nothing).abi_encode_params());
    stage.anvil.succeed(&Tx::call(STRANGER.address, relay, make)).await;
    let mint = call("mint(address,uint256)", (STRANGER.address, U256::from(1)).abi_encode());
    let attempt = call("attempt(address,bytes)", (coin.address, mint).abi_encode_params());
    stage.anvil.succeed(&Tx::call(STRANGER.address, relay, attempt)).await;
    let seen = stage.judged().await;
    let told: Vec<String> = seen
        .of("verdict")
        .filter(|line| line["activity"] == "call")
        .map(|line| {
            format!("{} {} {} {}", line["function"], line["stage"], line["verdict"], line["position"]).replace('"', "")
        })
        .collect();
    assert_eq!(
        told,
        ["approve(address,uint256) included abnormal trace.0.0", "mint(address,uint256) reverted abnormal trace.0"],
        "{:#?}",
        seen.lines
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_is_not_of_its_transaction_is_not_believed_and_told() {
    let anvil = Anvil::start().await;
    let glass = Twisted::start(&anvil).await;
    let relay = deploy(&anvil, KEEPER.address, "Relay", []).await;
    let stage = NestedCalls::new(anvil, "", &watch("Relay", relay, "contract", "inbound = \"judge\"")).await;
    let main = std::fs::read_to_string(stage.watch.path("watchfire.toml")).expect("it was written");
    stage.watch.write("watchfire.toml", &main.replace(&stage.anvil.ws_url(), &glass.url()));
    let begun = format!("0x{}", hex::encode(stage.begun.to_be_bytes()).trim_start_matches('0'));
    glass.twist(move |method, params, response| {
        // From the second block on, traces begin with another call than the transaction's.
        if method == "trace_block" && params[0] != begun.as_str() {
            let text = response.to_string().replace("\"traceAddress\":[],", "\"traceAddress\":[],\"subtraces\":0,");
            *response = serde_json::from_str(&text).expect("JSON");
            for trace in response["result"].as_array_mut().into_iter().flatten() {
                trace["action"]["value"] = "0x2a".into();
            }
        }
    });
    let pay = Tx::call(KEEPER.address, relay, pass(STRANGER.address, U256::ZERO, &Bytes::new()));
    stage.anvil.succeed(&pay).await;
    stage.anvil.succeed(&pay).await;
    let seen = stage.judged().await;
    let blind: Vec<_> = seen.of("blindness").collect();
    assert_eq!(blind.len(), 1, "{:#?}\n{}", seen.lines, seen.stderr);
    assert_eq!(blind[0]["kind"], "ability-lost");
    assert!(seen.stderr.contains("it begins with another call"), "{}", seen.stderr);
    assert_eq!(seen.code, 2, "blind at the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_blocks_are_not_traced_the_one_transaction_that_nothing_explains_is() {
    let anvil = Anvil::start().await;
    let glass = Twisted::start(&anvil).await;
    let owners = [OWNER_A.address];
    let kit = Kit::deploy(&anvil, KEEPER.address, Version::V1_4_1).await;
    let safe = Safe::create(&anvil, KEEPER.address, kit, &owners, 1, 1).await;
    let module = deploy(&anvil, KEEPER.address, "PayModule", KEEPER.address.abi_encode()).await;
    safe.enable_module(&anvil, module, &[OWNER_A]).await;
    anvil.succeed(&Tx::pay(KEEPER.address, safe.address, U256::from(1_000))).await;
    let rules = format!("registry = {{ threshold = 1, modules = [\"{module}\"] }}");
    let stage = NestedCalls::new(anvil, "", &watch("Safe", safe.address, "safe", &rules)).await;
    let main = std::fs::read_to_string(stage.watch.path("watchfire.toml")).expect("it was written");
    stage.watch.write("watchfire.toml", &main.replace(&stage.anvil.ws_url(), &glass.url()));
    glass.twist(|method, _, response| {
        if method == "trace_block" || method == "debug_traceBlockByHash" {
            let error = serde_json::json!({ "code": -32601, "message": "the method does not exist" });
            *response = serde_json::json!({ "jsonrpc": "2.0", "id": response["id"], "error": error });
        }
    });
    let pay = module_payment(safe.address, Address::ZERO, STRANGER.address, U256::from(5));
    stage.anvil.succeed(&Tx::call(KEEPER.address, module, pay)).await;
    let seen = stage.judged().await;
    assert_eq!(seen.findings(), ["Safe critical builtin/module ether"], "{:#?}", seen.lines);
    let paid = seen.of("verdict").find(|line| line["activity"] == "act").expect("the payment itself");
    assert_eq!((&paid["to"], &paid["value"]), (&STRANGER.address.to_string().into(), &"5".into()));
}

/// Ether leaves inside of a vouched call, and as much arrives in the same block by a call that nothing but a trace shows: the balance says
/// nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn where_blocks_are_not_traced_the_calls_of_a_contract_are() {
    let anvil = Anvil::start().await;
    let glass = Twisted::start(&anvil).await;
    let reactor = deploy(&anvil, KEEPER.address, "Reactor", []).await;
    let relay = deploy(&anvil, KEEPER.address, "Relay", []).await;
    anvil.set_balance(reactor, U256::from(1_000)).await;
    let five = U256::from(5);
    let prepared = (U256::from(4), STRANGER.address, Bytes::new(), five).abi_encode_params();
    anvil.succeed(&Tx::call(KEEPER.address, reactor, call("prepare(uint8,address,bytes,uint256)", prepared))).await;
    let rules = "[[watch.normal]]\nname = \"harvest\"\ncall = \"harvest()\"\n";
    let stage = NestedCalls::new(anvil, "", &watch("Vault", reactor, "contract", rules)).await;
    let main = std::fs::read_to_string(stage.watch.path("watchfire.toml")).expect("it was written");
    stage.watch.write("watchfire.toml", &main.replace(&stage.anvil.ws_url(), &glass.url()));
    glass.twist(|method, _, response| {
        if method == "trace_block" || method == "debug_traceBlockByHash" {
            let error = serde_json::json!({ "code": -32601, "message": "the method does not exist" });
            *response = serde_json::json!({ "jsonrpc": "2.0", "id": response["id"], "error": error });
        }
    });
    // Of ten that arrive five go on at once, and five are paid by the call.
    let ten = U256::from(10);
    let brings = pass(reactor, ten, &Bytes::new());
    stage.anvil.set_automine(false).await;
    stage.anvil.send(&Tx::call(OWNER_A.address, relay, brings).with_value(ten)).await;
    stage.anvil.send(&Tx::call(KEEPER.address, reactor, call("harvest()", []))).await;
    stage.anvil.mine(1).await;
    stage.anvil.set_automine(true).await;
    assert_eq!(stage.anvil.balance(reactor).await, U256::from(1_000), "the balance says nothing");
    let seen = stage.judged().await;
    assert_eq!(seen.findings(), ["Vault high builtin/unvouched ether"], "{:#?}\n{}", seen.lines, seen.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_destruct_is_critical_in_either_format_of_traces_and_whatever_it_leaves() {
    let end = |heir: Address| call("end(address)", heir.abi_encode());
    let rules = "[[watch.normal]]\nname = \"ends\"\ncall = \"end(address heir)\"\n\
                 [[watch.normal]]\nname = \"pays\"\nact = \"ether\"\n";
    for refused in ["trace_block", "debug_traceBlockByHash"] {
        let anvil = Anvil::start().await;
        let glass = Twisted::start(&anvil).await;
        let contracts =
            [deploy(&anvil, KEEPER.address, "Mortal", []).await, deploy(&anvil, KEEPER.address, "Mortal", []).await];
        anvil.succeed(&Tx::pay(KEEPER.address, contracts[1], U256::from(1_000))).await;
        let watches = [("Poor", contracts[0]), ("Rich", contracts[1])];
        let watches = watches.map(|(label, address)| watch(label, address, "contract", rules)).concat();
        let stage = NestedCalls::new(anvil, "", &watches).await;
        let main = std::fs::read_to_string(stage.watch.path("watchfire.toml")).expect("it was written");
        stage.watch.write("watchfire.toml", &main.replace(&stage.anvil.ws_url(), &glass.url()));
        glass.twist(move |method, _, response| {
            if method == refused {
                let error = serde_json::json!({ "code": -32601, "message": "the method does not exist" });
                *response = serde_json::json!({ "jsonrpc": "2.0", "id": response["id"], "error": error });
            }
        });
        for contract in contracts {
            stage.anvil.succeed(&Tx::call(STRANGER.address, contract, end(STRANGER.address))).await;
        }
        let seen = stage.judged().await;
        let all = ["Poor", "Rich"].map(|label| format!("{label} critical builtin/control self-destruct"));
        assert_eq!(seen.findings(), all, "without {refused}: {:#?}\n{}", seen.lines, seen.stderr);
    }
}
