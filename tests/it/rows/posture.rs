//! Safes: what hides deep inside of a batch, who decides, and what is not as it should be from the first look on.

use super::keys::sponsored;
use super::{CaseChain, Row, calldata, pays, vouch, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, OWNER_A, OWNER_B, OWNER_C, RELAYER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::deploy;
use crate::support::kit::{Kit, Version};
use crate::support::safe::{Safe, SafeTx, Signer, module_payment};
use crate::support::tokens::{Token, transfer};
use crate::support::treasury::{SIGNERS, ether};
use alloy_primitives::{Address, U256, address, keccak256};
use alloy_sol_types::SolValue;
use watchfire::model::Severity::{Critical, High, Warning};
use watchfire::model::Verdict;

pub(super) const ROWS: &[&Row] =
    &[&S1S, &S2N, &S4L, &S4S, &S4N, &S5N, &S6M, &S8L, &S9T, &S17M, &S17G, &S17T, &S17U, &S17D, &S17S];

const OWNERS: [Address; 3] = [OWNER_A.address, OWNER_B.address, OWNER_C.address];

async fn stage() -> (CaseChain, Safe) {
    CaseChain::with_safe(Version::V1_4_1, &OWNERS, 2).await
}

async fn run(stage: &CaseChain, safe: &Safe, tx: SafeTx) {
    safe.exec(&stage.anvil, RELAYER, &tx, &SIGNERS).await;
}

fn pay() -> SafeTx {
    SafeTx::pay(GRANTEE.address, ether(1))
}

/// Where the library of 1.4.1 stands on every chain.
const SIGN_MESSAGE_LIB: Address = address!("d53cd0aB83D845Ac265BE939c57F53AD838012c9");

const S1S: Row = Row {
    id: "S1-message",
    finds: "a message is signed in the Safe's name, by the library for that",
    by: "builtin/delegatecall",
    severity: Critical,
    incidents: 1,
    beside: "the announced message, by rules that name it and the hash that is logged",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_signed() {
    let (mut stage, safe) = stage().await;
    let library = deploy(&stage.anvil, DEPLOYER.address, "SignMessageLib-1.4.1", []).await;
    let code = stage.anvil.code(library).await;
    stage.anvil.rpc("anvil_setCode", serde_json::json!([SIGN_MESSAGE_LIB, code])).await;
    let sign = |message: u8| {
        let data = calldata("signMessage(bytes)", (alloy_primitives::Bytes::from(vec![message]),).abi_encode_params());
        SafeTx::delegate(SIGN_MESSAGE_LIB, data)
    };
    stage.begin().await;
    let signed = safe.exec(&stage.anvil, RELAYER, &sign(1), &SIGNERS).await;
    let log = signed.log(safe.address, keccak256("SignMsg(bytes32)")).expect("the Safe logs what it signs");
    let announced = vouch("act", "signMessage(bytes data)", &[("data", &"0x01")]);
    let announced = format!("{announced}to = [\"{SIGN_MESSAGE_LIB}\"]\noperation = \"delegatecall\"\n");
    let logged = vouch("event", "SignMsg", &[("#0", &log.topics[1])]);
    let rules = watch("safe", safe.address, &[announced, logged].concat());
    stage.is_quiet(&S1S, &rules).await;
    stage.begin().await;
    run(&stage, &safe, sign(2)).await;
    stage.finds(&S1S, &rules).await;
}

const S2N: Row = Row {
    id: "S2-nested",
    finds: "a batch inside of a batch hides a delegatecall among its payments",
    by: "builtin/delegatecall",
    severity: Critical,
    incidents: 1,
    beside: "the same batches with payments alone, each by the rule about payments",
};

#[tokio::test(flavor = "multi_thread")]
async fn foreign_code_two_batches_deep() {
    let (mut stage, safe) = stage().await;
    let thief = deploy(&stage.anvil, DEPLOYER.address, "SlotThief", []).await;
    let rules = watch("safe", safe.address, &pays(GRANTEE.address));
    let deep = |last: SafeTx| safe.batch(&[pay(), safe.batch(&[pay(), last])]);
    stage.begin().await;
    run(&stage, &safe, deep(pay())).await;
    stage.is_quiet(&S2N, &rules).await;
    stage.without_traces();
    stage.is_quiet(&S2N, &rules).await;
    stage.begin().await;
    run(&stage, &safe, deep(SafeTx::delegate(thief, transfer(STRANGER.address, U256::ZERO)))).await;
    stage.finds(&S2N, &rules).await;
}

/// The Safe does this to itself.
async fn change(stage: &mut CaseChain, safe: &Safe, signature: &str, arguments: Vec<u8>) {
    stage.begin().await;
    run(stage, safe, SafeTx::call(safe.address, calldata(signature, arguments))).await;
}

/// A rule about a change that the Safe makes to itself.
fn planned(safe: &Safe, function: &str, argument: (&str, &dyn std::fmt::Display)) -> String {
    let rule = format!("{}to = [\"{}\"]\n", vouch("act", function, &[argument]), safe.address);
    watch("safe", safe.address, &rule)
}

const S4L: Row = Row {
    id: "S4-threshold",
    finds: "one signature is to be enough",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned number of signatures, by a rule that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn one_signature_is_to_be_enough() {
    let (mut stage, safe) = stage().await;
    let rules = planned(&safe, "changeThreshold(uint256 threshold)", ("threshold", &2));
    for (threshold, silent) in [(1_u64, false), (2, true)] {
        change(&mut stage, &safe, "changeThreshold(uint256)", U256::from(threshold).abi_encode()).await;
        stage.judged(&S4L, &rules, silent).await;
    }
}

const S4S: Row = Row {
    id: "S4-swap",
    finds: "an owner is replaced",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned rotation, by a rule that names the new owner",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_swapped() {
    let (mut stage, safe) = stage().await;
    let rules = planned(
        &safe,
        "swapOwner(address prevOwner, address oldOwner, address newOwner)",
        ("newOwner", &GRANTEE.address),
    );
    let (mut last, before) = (OWNER_C.address, OWNER_B.address);
    for (next, silent) in [(STRANGER.address, false), (GRANTEE.address, true)] {
        change(&mut stage, &safe, "swapOwner(address,address,address)", (before, last, next).abi_encode()).await;
        stage.judged(&S4S, &rules, silent).await;
        last = next;
    }
}

const S4N: Row = Row {
    id: "S4-nested",
    finds: "an owner is added to a Safe by the Safe that owns it, which is not watched",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned owner, by a rule that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_added_through_the_parent() {
    let (mut stage, parent) = stage().await;
    let child = Safe::create(&stage.anvil, DEPLOYER.address, parent.kit, &[parent.address], 1, 2).await;
    let add = "addOwnerWithThreshold(address owner, uint256 threshold)";
    let rules = planned(&child, add, ("owner", &GRANTEE.address));
    for (owner, silent) in [(STRANGER.address, false), (GRANTEE.address, true)] {
        let call = calldata("addOwnerWithThreshold(address,uint256)", (owner, U256::ONE).abi_encode());
        let nonce = child.nonce(&stage.anvil).await;
        let signers = [Signer::Approved(parent.address)];
        let inner = child.exec_calldata(&SafeTx::call(child.address, call), nonce, &signers);
        stage.begin().await;
        run(&stage, &parent, SafeTx::call(child.address, inner)).await;
        stage.judged(&S4N, &rules, silent).await;
    }
}

const S8L: Row = Row {
    id: "S8-listed",
    finds: "a module that `registry.modules` lists pays somebody who is not listed",
    by: "builtin/module",
    severity: Critical,
    incidents: 1,
    beside: "the same module, paying a listed payee",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_module_pays_somebody_unlisted() {
    let (mut stage, safe) = stage().await;
    let module = deploy(&stage.anvil, DEPLOYER.address, "PayModule", KEEPER.address.abi_encode()).await;
    safe.enable_module(&stage.anvil, module, &[OWNER_A, OWNER_B]).await;
    let registry = format!("registry = {{ modules = [\"{module}\"] }}\n");
    let rules = watch("safe", safe.address, &format!("{registry}{}", pays(GRANTEE.address)));
    let both = [STRANGER, GRANTEE].map(|to| module_payment(safe.address, Address::ZERO, to.address, ether(1)).to_vec());
    stage.tells_apart(&S8L, &rules, [KEEPER.address, module], both).await;
}

const S9T: Row = Row {
    id: "S9-tokens",
    finds: "tokens leave for somebody who is not listed",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "as many for a listed payee; the log of it is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_for_somebody_unlisted() {
    let (mut stage, safe) = stage().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    coin.mint(&stage.anvil, DEPLOYER.address, safe.address, coin.units(10)).await;
    let token = format!("[token.COIN]\nchain = \"demo\"\naddress = \"{}\"\ndecimals = 18\n", coin.address);
    let listed = vouch("act", "transfer(address to, uint256 amount)", &[("to", &GRANTEE.address)]);
    let rules = format!("{token}{}", watch("safe", safe.address, &format!("{listed}to = \"@COIN\"\n")));
    for (to, silent) in [(STRANGER.address, false), (GRANTEE.address, true)] {
        stage.begin().await;
        run(&stage, &safe, SafeTx::call(coin.address, transfer(to, coin.units(1)))).await;
        stage.judged(&S9T, &rules, silent).await;
    }
}

const S5N: Row = Row {
    id: "S5-net",
    finds: "a module is enabled and disabled again in one transaction, and nothing of it is left behind",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the same module, by rules that name it for both",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_comes_and_goes() {
    let (mut stage, safe) = stage().await;
    let rule = |function: &str, place: &str| {
        let rule = vouch("act", function, &[(place, &KEEPER.address)]);
        format!("{rule}to = [\"{}\"]\n", safe.address)
    };
    let rules = watch("safe", safe.address, &[rule("enableModule", "#0"), rule("disableModule", "#1")].concat());
    for (module, silent) in [(KEEPER.address, true), (STRANGER.address, false)] {
        let enable = calldata("enableModule(address)", module.abi_encode());
        let disable = calldata("disableModule(address,address)", (Address::with_last_byte(1), module).abi_encode());
        let both = [enable, disable].map(|data| SafeTx::call(safe.address, data));
        stage.begin().await;
        run(&stage, &safe, safe.batch(&both)).await;
        stage.judged(&S5N, &rules, silent).await;
    }
}

const S6M: Row = Row {
    id: "S6-module-guard",
    finds: "the guard of a Safe's modules is taken away",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the same, by a rule that names the guard to be set",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_module_guard_is_taken_away() {
    let (mut stage, safe) = CaseChain::with_safe(Version::V1_5_0, &OWNERS, 2).await;
    let rules = |guard: Address| planned(&safe, "setModuleGuard", ("#0", &guard));
    change(&mut stage, &safe, "setModuleGuard(address)", Address::ZERO.abi_encode()).await;
    stage.finds(&S6M, &rules(STRANGER.address)).await;
    stage.is_quiet(&S6M, &rules(Address::ZERO)).await;
}

const S17M: Row = Row {
    id: "S17-module",
    finds: "a module is enabled from the start that the registry does not list",
    by: "builtin/drift",
    severity: Critical,
    incidents: 1,
    beside: "the same Safe whose registry lists it",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_there_from_the_start() {
    let (mut stage, safe) = stage().await;
    safe.enable_module(&stage.anvil, STRANGER.address, &[OWNER_A, OWNER_B]).await;
    watched(&mut stage, &safe).await;
    let rules = |modules: &str| watch("safe", safe.address, &format!("registry = {{ modules = [{modules}] }}\n"));
    stage.finds(&S17M, &rules("")).await;
    stage.is_quiet(&S17M, &rules(&format!("\"{}\"", STRANGER.address))).await;
}

const S17G: Row = Row {
    id: "S17-guard",
    finds: "there is no guard from the start where the registry names one",
    by: "builtin/drift",
    severity: Critical,
    incidents: 1,
    beside: "the same Safe whose registry says that it has none",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_is_missing_from_the_start() {
    let (mut stage, safe) = stage().await;
    watched(&mut stage, &safe).await;
    let rules = |guard: &str| watch("safe", safe.address, &format!("registry = {{ guard = \"{guard}\" }}\n"));
    stage.finds(&S17G, &rules(&STRANGER.address.to_string())).await;
    stage.is_quiet(&S17G, &rules("none")).await;
}

const S17T: Row = Row {
    id: "S17-threshold",
    finds: "one signature is enough from the start, and nobody said that it should be",
    by: "builtin/posture",
    severity: Warning,
    incidents: 1,
    beside: "the same Safe whose registry says so",
};

#[tokio::test(flavor = "multi_thread")]
async fn one_signature_is_enough_from_the_start() {
    let (mut stage, safe) = CaseChain::with_safe(Version::V1_4_1, &OWNERS, 1).await;
    watched(&mut stage, &safe).await;
    stage.anvil.succeed(&Tx::pay(STRANGER.address, safe.address, ether(1))).await;
    stage.finds(&S17T, &watch("safe", safe.address, "")).await;
    stage.is_quiet(&S17T, &watch("safe", safe.address, "registry = { threshold = 1 }\n")).await;
}

const S17U: Row = Row {
    id: "S17-unlisted",
    finds: "a module is enabled from the start, and there is no list of modules",
    by: "builtin/posture",
    severity: Warning,
    incidents: 1,
    beside: "the same Safe whose registry lists it",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_there_that_nobody_speaks_of() {
    let (mut stage, safe) = stage().await;
    safe.enable_module(&stage.anvil, STRANGER.address, &[OWNER_A, OWNER_B]).await;
    watched(&mut stage, &safe).await;
    stage.anvil.succeed(&Tx::pay(STRANGER.address, safe.address, ether(1))).await;
    stage.finds(&S17U, &watch("safe", safe.address, "")).await;
    let listed = format!("registry = {{ modules = [\"{}\"] }}\n", STRANGER.address);
    stage.is_quiet(&S17U, &watch("safe", safe.address, &listed)).await;
}

const S17D: Row = Row {
    id: "S17-delegated",
    finds: "an owner, who is not watched, runs foreign code from the start (EIP-7702)",
    by: "builtin/posture",
    severity: Warning,
    incidents: 1,
    beside: "the same owner, by a rule that names the code; and a contract that is an owner",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_runs_foreign_code() {
    let stage = CaseChain::new().await;
    let council = deploy(&stage.anvil, DEPLOYER.address, "Drain", []).await;
    let kit = Kit::deploy(&stage.anvil, DEPLOYER.address, Version::V1_4_1).await;
    let owners = [OWNER_A.address, OWNER_B.address, council];
    let safe = Safe::create(&stage.anvil, DEPLOYER.address, kit, &owners, 2, 1).await;
    let mut stage = stage;
    let account = deploy(&stage.anvil, DEPLOYER.address, "Drain", []).await;
    assert!(sponsored(&stage, RELAYER, STRANGER.address, vec![], account, 0).await);
    watched(&mut stage, &safe).await;
    stage.anvil.succeed(&Tx::pay(STRANGER.address, safe.address, ether(1))).await;
    let announced = vouch("state", "owner-delegate", &[("who", &OWNER_A.address), ("after", &account)]);
    let seen = stage.finds(&S17D, &watch("safe", safe.address, "")).await;
    assert!(seen.headlines[0].contains("runs the code of"), "{:?}", seen.headlines);
    stage.is_quiet(&S17D, &watch("safe", safe.address, &announced)).await;
}

const S17S: Row = Row {
    id: "S17-signed",
    finds: "an owner of two Safes, who is not watched, delegates his code to a stranger's contract (EIP-7702): found in that very block",
    by: "builtin/state",
    severity: High,
    incidents: 1,
    beside: "the same by rules of both Safes that name the code; and the beat on which all owners are looked at",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_of_two_safes_delegates_his_code() {
    let mut stage = CaseChain::new().await;
    let from = DEPLOYER.address;
    let kit = Kit::deploy(&stage.anvil, from, Version::V1_4_1).await;
    let owners = [OWNER_A.address, OWNER_B.address];
    let safes = [
        Safe::create(&stage.anvil, from, kit, &owners, 2, 1).await,
        Safe::create(&stage.anvil, from, kit, &owners, 2, 2).await,
    ];
    let code = deploy(&stage.anvil, from, "Drain", []).await;
    let list = |rules: &str| safes.iter().map(|safe| watch("safe", safe.address, rules)).collect::<String>();
    stage.begin().await;
    stage.anvil.mine(2).await;
    assert!(sponsored(&stage, RELAYER, STRANGER.address, vec![], code, 0).await);
    let signed = stage.anvil.whole_block(stage.anvil.block_number().await).await["transactions"][0]["hash"].clone();
    stage.anvil.mine(60).await;
    let seen = stage.finds(&S17S, &list("")).await;
    let told = seen.judged.iter().filter(|one| matches!(one.verdict, Verdict::Abnormal(_)));
    let told: Vec<String> = told.map(|one| one.activity.tx.to_string()).collect();
    assert_eq!(told, [signed.as_str().expect("a hash"); 2], "{:#?}", seen.lines);
    let announced = vouch("state", "owner-delegate", &[("who", &OWNER_A.address), ("after", &code)]);
    stage.is_quiet(&S17S, &list(&announced)).await;
}

/// Begins, and lets ether arrive, so that there is something to look at.
async fn watched(stage: &mut CaseChain, safe: &Safe) {
    stage.begin().await;
    stage.anvil.mine(2).await;
    stage.anvil.succeed(&Tx::pay(STRANGER.address, safe.address, ether(1))).await;
}
