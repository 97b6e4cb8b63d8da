//! Ether that comes and goes: of an account that has a key, and from inside of calls, where no log tells of it.

use super::{CaseChain, Row, calldata, pays, vouch, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, PAYER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::deploy;
use crate::support::treasury::ether;
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolValue;
use serde_json::json;
use watchfire::model::Severity::{Critical, High, Info};
use watchfire::model::Verdict;

pub(super) const ROWS: &[&Row] = &[&E1, &E1B, &E9, &E10, &I1, &I1B, &I1C, &I3, &I3B];

/// Blocks after which a lone watch was looked at once, whatever happened.
const BEAT: u64 = 50;

async fn pay(stage: &CaseChain, from: Address, to: Address, wei: U256) {
    stage.anvil.succeed(&Tx::pay(from, to, wei)).await;
}

const E1: Row = Row {
    id: "E1",
    finds: "an account pays somebody who is not listed",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same sum for a listed payee",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_pays_somebody_unlisted() {
    let mut stage = CaseChain::new().await;
    let rules = watch("eoa", PAYER.address, &pays(GRANTEE.address));
    stage.begin().await;
    pay(&stage, PAYER.address, STRANGER.address, ether(1)).await;
    stage.finds(&E1, &rules).await;
    stage.begin().await;
    pay(&stage, PAYER.address, GRANTEE.address, ether(1)).await;
    stage.is_quiet(&E1, &rules).await;
}

const E1B: Row = Row {
    id: "E1-day",
    finds: "an account pays a listed payee more within a day than its rule lets go",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "as much over two days",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_pays_more_than_a_day_allows() {
    let mut stage = CaseChain::new().await;
    let limit = "limit = { sum = \"value\", max = \"2 ether\", per = \"1d\" }\n";
    let rules = watch("eoa", PAYER.address, &format!("{}{limit}", pays(GRANTEE.address)));
    for (between, silent) in [(90_000, true), (1, false)] {
        stage.begin().await;
        pay(&stage, PAYER.address, GRANTEE.address, ether(2)).await;
        stage.anvil.set_next_timestamp(stage.anvil.now().await + between).await;
        pay(&stage, PAYER.address, GRANTEE.address, ether(1)).await;
        stage.judged(&E1B, &rules, silent).await;
    }
}

const E9: Row = Row {
    id: "E9",
    finds: "a key is funded from a mixer that the configuration names, from inside of its call",
    by: "mixer",
    severity: Info,
    incidents: 1,
    beside: "ether from anybody else",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_funded_from_a_mixer() {
    let mut stage = CaseChain::new().await;
    let mixer = deploy(&stage.anvil, DEPLOYER.address, "Purse", []).await;
    let other = deploy(&stage.anvil, DEPLOYER.address, "Purse", []).await;
    for purse in [mixer, other] {
        pay(&stage, DEPLOYER.address, purse, ether(5)).await;
    }
    let listed = format!("[set]\nmixers = [\"{mixer}\"]\n");
    let rule =
        "[[watch.abnormal]]\nname = \"mixer\"\ncall = \"ether\"\nfrom = { in = \"@mixers\" }\nseverity = \"info\"\n";
    let rules = format!("{listed}{}", watch("eoa", PAYER.address, rule));
    let give = calldata("spend(address,uint256)", (PAYER.address, ether(1)).abi_encode());
    stage.when(STRANGER.address, mixer, give.clone()).await.finds(&E9, &rules).await;
    stage.when(STRANGER.address, other, give).await.is_quiet(&E9, &rules).await;
}

const E10: Row = Row {
    id: "E10",
    finds: "an account has less ether than its own transactions left it",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "ether that comes without a transaction: the tips of a block, what a contract leaves behind, a withdrawal",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_less_than_it_should() {
    let mut stage = CaseChain::new().await;
    let rules = watch("eoa", PAYER.address, &pays(GRANTEE.address));
    stage.begin().await;
    stage.anvil.mine(2).await;
    pay(&stage, PAYER.address, GRANTEE.address, ether(1)).await;
    stage.anvil.rpc("anvil_setCoinbase", json!([PAYER.address])).await;
    pay(&stage, DEPLOYER.address, STRANGER.address, ether(1)).await;
    deploy(&stage.anvil, DEPLOYER.address, "Bequest", PAYER.address.abi_encode()).await;
    let held = stage.anvil.balance(PAYER.address).await;
    stage.anvil.set_balance(PAYER.address, held + ether(32)).await;
    stage.anvil.mine(BEAT).await;
    stage.is_quiet(&E10, &rules).await;
    stage.anvil.set_balance(PAYER.address, held).await;
    // Whoever pays the account then took nothing from it.
    let paid = stage.anvil.succeed(&Tx::pay(DEPLOYER.address, PAYER.address, ether(1))).await.transaction_hash;
    stage.anvil.mine(BEAT).await;
    let seen = stage.finds(&E10, &rules).await;
    let found = seen.judged.iter().find_map(|one| match &one.verdict {
        Verdict::Abnormal(abnormal) => Some((one.activity.tx, abnormal.reasons.join("; "))),
        Verdict::Normal { .. } => None,
    });
    let (tx, why) = found.expect("it was found");
    assert_ne!(tx, paid, "{why}");
    assert!(why.contains("it happened in this block, or in one of the 49 before it"), "{why}");
}

const I1: Row = Row {
    id: "I1",
    finds: "ether leaves a contract from inside of a call, and no log tells of it",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same for a listed payee",
};

#[tokio::test(flavor = "multi_thread")]
async fn ether_leaves_from_inside_of_a_call() {
    let mut stage = CaseChain::new().await;
    let purse = deploy(&stage.anvil, DEPLOYER.address, "Purse", []).await;
    pay(&stage, DEPLOYER.address, purse, ether(5)).await;
    let calls = ["spend(address to, uint256 amount)", "release(address to, uint256 amount)"];
    let calls = calls.map(|call| vouch("call", call, &[])).concat();
    let rules = watch("contract", purse, &format!("{calls}{}", pays(GRANTEE.address)));
    let spend = |to: Address| calldata("spend(address,uint256)", (to, ether(1)).abi_encode());
    let both = [STRANGER, GRANTEE].map(|to| spend(to.address));
    stage.tells_apart(&I1, &rules, [KEEPER.address, purse], both).await;
}

const I1B: Row = Row {
    id: "I1-end",
    finds: "a contract ends itself, and what it held goes to somebody, by a call that a rule vouches for",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "what another contract leaves to it as it ends, whose code nobody asked",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_ends_itself() {
    let mut stage = CaseChain::new().await;
    let mortal = deploy(&stage.anvil, DEPLOYER.address, "Mortal", []).await;
    let other = deploy(&stage.anvil, DEPLOYER.address, "Mortal", []).await;
    for contract in [mortal, other] {
        pay(&stage, DEPLOYER.address, contract, ether(5)).await;
    }
    let rules = watch("contract", mortal, &vouch("call", "end(address heir)", &[]));
    let end = |heir: Address| calldata("end(address)", heir.abi_encode());
    stage.when(STRANGER.address, other, end(mortal)).await.is_quiet(&I1B, &rules).await;
    stage.when(STRANGER.address, mortal, end(STRANGER.address)).await.finds(&I1B, &rules).await;
}

const I1C: Row = Row {
    id: "I1-end-bare",
    finds: "a contract that holds nothing ends itself, by a call that a rule vouches for, beside a rule that lets ether go to anybody",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "another contract that ends itself for the same heir",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_holds_nothing_ends_itself() {
    let mut stage = CaseChain::new().await;
    let mortal = deploy(&stage.anvil, DEPLOYER.address, "Mortal", []).await;
    let other = deploy(&stage.anvil, DEPLOYER.address, "Mortal", []).await;
    let anything = "[[watch.normal]]\nname = \"pays\"\nact = \"ether\"\n";
    let rules = watch("contract", mortal, &format!("{}{anything}", vouch("call", "end(address heir)", &[])));
    for heir in [STRANGER.address, Address::ZERO, Address::with_last_byte(1)] {
        // What was destroyed is gone, and comes back for the next heir.
        let before = stage.anvil.snapshot().await;
        let end = calldata("end(address)", heir.abi_encode());
        stage.when(STRANGER.address, mortal, end).await;
        let seen = stage.finds(&I1C, &rules).await;
        assert!(seen.headlines.iter().any(|said| said.contains(" destroyed itself: ")), "{:#?}", seen.headlines);
        stage.anvil.restore(before).await;
    }
    stage.begin().await;
    pay(&stage, STRANGER.address, mortal, U256::ONE).await;
    stage.send(STRANGER.address, other, calldata("end(address)", mortal.abi_encode())).await;
    stage.is_quiet(&I1C, &rules).await;
}

/// A bridge that holds wrapped ether, and a watch of it by which it pays the grantee.
async fn bridge() -> (CaseChain, Address, String, impl Fn(Address) -> Vec<u8>) {
    let stage = CaseChain::new().await;
    let from = DEPLOYER.address;
    let wrapped = deploy(&stage.anvil, from, "WETH9", []).await;
    let bridge = deploy(&stage.anvil, from, "Bridge", []).await;
    let deposit = Tx { value: ether(9), ..Tx::call(from, wrapped, calldata("deposit()", [])) };
    stage.anvil.succeed(&deposit).await;
    let give = calldata("transfer(address,uint256)", (bridge, ether(9)).abi_encode());
    stage.send(from, wrapped, give).await;
    let token = format!("[token.WETH]\nchain = \"demo\"\naddress = \"{wrapped}\"\ndecimals = 18\n");
    let call = vouch("call", "pay(address wrapped, address to, uint256 wad)", &[]);
    let rules = format!("{token}{}", watch("contract", bridge, &format!("{call}{}", pays(GRANTEE.address))));
    let pay = move |to| calldata("pay(address,address,uint256)", (wrapped, to, ether(1)).abi_encode());
    (stage, bridge, rules, pay)
}

const I3: Row = Row {
    id: "I3",
    finds: "a contract unwraps ether and pays it out, and the one log of it is that something was unwrapped",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same for a listed payee: both balances add up",
};

#[tokio::test(flavor = "multi_thread")]
async fn unwrapped_ether_is_paid_out() {
    let (mut stage, bridge, rules, pay) = bridge().await;
    let both = [STRANGER, GRANTEE].map(|to| pay(to.address));
    stage.tells_apart(&I3, &rules, [KEEPER.address, bridge], both).await;
}

const I3B: Row = Row {
    id: "I3-state",
    finds: "the same where no node traces: wrapped ether became ether, and there is none of it",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "ether that arrives",
};

#[tokio::test(flavor = "multi_thread")]
async fn unwrapped_ether_is_gone() {
    let (mut stage, bridge, rules, to) = bridge().await;
    stage.without_traces();
    stage.begin().await;
    stage.anvil.mine(2).await;
    pay(&stage, KEEPER.address, bridge, ether(1)).await;
    stage.anvil.mine(BEAT).await;
    stage.is_quiet(&I3B, &rules).await;
    stage.send(KEEPER.address, bridge, to(STRANGER.address)).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&I3B, &rules).await;
}
