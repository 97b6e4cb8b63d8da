//! The configuration held against the chain: decimals and code of tokens, and what stands at the address of a watch.

use super::{CaseChain, Row, vouch, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, OWNER_A, PAYER};
use crate::support::contracts::deploy;
use crate::support::kit::Version;
use crate::support::tokens::{Token, transfer};
use alloy_primitives::{Address, U256, address};
use watchfire::model::Severity::{Critical, High, Warning};

pub(super) const ROWS: &[&Row] = &[&F1, &F1_BARE, &F1_UNSAID, &F2_BARE, &F2_UNLIKE, &F2_KEY];

/// Where nothing stands.
const NOWHERE: Address = address!("00000000000000000000000000000000000b0b0b");

fn token(address: Address, decimals: u8) -> String {
    format!("[token.COIN]\nchain = \"demo\"\naddress = \"{address}\"\ndecimals = {decimals}\n")
}

fn pays(amount: &str) -> String {
    let rule = format!(
        "[[watch.normal]]\nname = \"pay\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@COIN\"\n{amount}\n"
    );
    watch("eoa", PAYER.address, &rule)
}

const F1: Row = Row {
    id: "F1",
    finds: "a token says other decimals than the configuration, so that a rule would let millions of times more go",
    by: "builtin/drift",
    severity: Critical,
    incidents: 1,
    beside: "the decimals that the token says, with a payment within the rule",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_other_decimals() {
    let mut stage = CaseChain::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 6, DEPLOYER.address).await;
    coin.mint(&stage.anvil, DEPLOYER.address, PAYER.address, coin.units(20_000_000)).await;
    stage.begin().await;
    stage.send(PAYER.address, coin.address, transfer(GRANTEE.address, coin.units(10_000_000))).await;
    for amount in [
        "args = { amount = { max = \"50_000 COIN\" } }",
        "limit = { sum = \"amount\", max = \"50_000 COIN\", per = \"1d\" }",
        // By the token's own count these are exactly what is paid, and by the configuration's a millionth of a millionth.
        "args = { amount = \"0.00001 COIN\" }",
        "args = { amount = { in = [\"1 COIN\", \"0.00001 COIN\"] } }",
        "args = { amount = { not_in = [\"10_000_000 COIN\"] } }",
    ] {
        // The very first block that is seen holds the payment.
        let seen = stage.finds(&F1, &(token(coin.address, 18) + &pays(amount))).await;
        assert!(
            seen.findings.iter().any(|line| line.ends_with("transfer: high builtin/unvouched")),
            "{:#?}",
            seen.lines
        );
        assert!(seen.headlines.iter().any(|line| line.contains("has 6 decimals, and the configuration says 18")));
        if amount.contains("0.00001") {
            continue;
        }
        let whole = stage.seen(&(token(coin.address, 6) + &pays(amount))).await;
        assert_eq!(whole.incidents, [High], "ten millions are above fifty thousand: {:#?}", whole.lines);
    }
    // A rule that raises what is large does so whatever the amount is.
    let raises = "[[watch.abnormal]]\nname = \"large\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@COIN\"\n\
        args = { amount = { min = \"1_000_000 COIN\" } }\nseverity = \"critical\"\n";
    let rules = pays("args = { to = { not_in = \"@COIN\" } }") + raises;
    let seen = stage.seen(&(token(coin.address, 18) + &rules)).await;
    assert!(seen.findings.iter().any(|line| line.ends_with("transfer: critical large")), "{:#?}", seen.lines);
    stage.begin().await;
    stage.send(PAYER.address, coin.address, transfer(GRANTEE.address, coin.units(10))).await;
    stage.is_quiet(&F1, &(token(coin.address, 6) + &pays("args = { amount = { max = \"50_000 COIN\" } }"))).await;
}

const F1_BARE: Row = Row {
    id: "F1-bare",
    finds: "no code stands at the address of a token",
    by: "builtin/drift",
    severity: Critical,
    incidents: 1,
    beside: "the token itself, in whose unit no rule measures",
};

#[tokio::test(flavor = "multi_thread")]
async fn no_code_stands_at_a_token() {
    let mut stage = CaseChain::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 6, DEPLOYER.address).await;
    coin.mint(&stage.anvil, DEPLOYER.address, PAYER.address, coin.units(20)).await;
    stage.begin().await;
    stage.send(PAYER.address, coin.address, transfer(GRANTEE.address, U256::ONE)).await;
    let payer = watch("eoa", PAYER.address, &vouch("act", "transfer(address to, uint256 amount)", &[]));
    stage.finds(&F1_BARE, &(token(NOWHERE, 6) + &payer)).await;
    stage.is_quiet(&F1_BARE, &(token(coin.address, 6) + &payer)).await;
}

const F1_UNSAID: Row = Row {
    id: "F1-unsaid",
    finds: "a listed token does not say how many decimals it has",
    by: "builtin/drift",
    severity: Warning,
    incidents: 1,
    beside: "what rules vouch for meanwhile, by the decimals of the configuration; and a token that says them",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_say_its_decimals() {
    let mut stage = CaseChain::new().await;
    // It keeps balances, and says nothing of decimals.
    let pool = deploy(&stage.anvil, DEPLOYER.address, "LendingPool", []).await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 6, DEPLOYER.address).await;
    stage.begin().await;
    stage.anvil.succeed(&crate::support::anvil::Tx::pay(PAYER.address, GRANTEE.address, U256::ONE)).await;
    let ether = format!("[[watch.normal]]\nname = \"ether\"\nact = \"ether\"\nto = [\"{}\"]\n", GRANTEE.address);
    let measured = pays("args = { amount = { max = \"50_000 COIN\" } }") + &ether;
    let seen = stage.finds(&F1_UNSAID, &(token(pool, 6) + &measured)).await;
    assert_eq!(seen.findings.len(), 1, "{:#?}", seen.findings);
    assert!(seen.headlines[0].contains("does not say how many decimals it has"), "{:?}", seen.headlines);
    stage.is_quiet(&F1_UNSAID, &(token(coin.address, 6) + &measured)).await;
}

const F2_BARE: Row = Row {
    id: "F2-bare",
    finds: "a contract is watched at an address without code",
    by: "builtin/drift",
    severity: High,
    incidents: 1,
    beside: "an account with a key there",
};

const F2_UNLIKE: Row = Row {
    id: "F2-unlike",
    finds: "a Safe is watched at the address of a contract that is none",
    by: "builtin/drift",
    severity: High,
    incidents: 1,
    beside: "the same contract, watched as one of no certain kind",
};

const F2_KEY: Row = Row {
    id: "F2-key",
    finds: "an account with a key is watched at the address of a contract",
    by: "builtin/drift",
    severity: High,
    incidents: 1,
    beside: "the Safe that it is",
};

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_there_is_of_another_kind() {
    let (mut stage, safe) = CaseChain::with_safe(Version::V1_4_1, &[OWNER_A.address], 1).await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 6, DEPLOYER.address).await;
    let box_ =
        deploy(&stage.anvil, DEPLOYER.address, "Box", alloy_sol_types::SolValue::abi_encode(&KEEPER.address)).await;
    stage.begin().await;
    // What has no code at the first look may be made in the next block; at the second look it is missing.
    for to in [NOWHERE, NOWHERE, safe.address] {
        stage.anvil.succeed(&crate::support::anvil::Tx::pay(KEEPER.address, to, U256::ONE)).await;
    }
    stage.anvil.mine(2).await;
    for kind in ["safe", "erc20", "timelock", "contract", "multisig", "minime", "ownable"] {
        stage.finds(&F2_BARE, &watch(kind, NOWHERE, "")).await;
    }
    stage.is_quiet(&F2_BARE, &watch("eoa", NOWHERE, "")).await;
    for kind in ["safe", "erc20", "timelock", "multisig", "minime"] {
        let seen = stage.finds(&F2_UNLIKE, &(watch(kind, box_, "") + &watch("eoa", NOWHERE, ""))).await;
        assert!(seen.headlines[0].contains(&format!("watched as kind {kind}")), "{:?}", seen.headlines);
    }
    stage.is_quiet(&F2_UNLIKE, &(watch("contract", box_, "") + &watch("eoa", NOWHERE, ""))).await;
    stage.is_quiet(&F2_UNLIKE, &(watch("erc20", coin.address, "") + &watch("eoa", NOWHERE, ""))).await;
    let safe_rules = "registry = { threshold = 1 }\n";
    stage.is_quiet(&F2_KEY, &watch("safe", safe.address, safe_rules)).await;
    // A trace shows more: the Safe runs the code of its singleton, which an account with a key never does.
    stage.without_traces();
    stage.finds(&F2_KEY, &watch("eoa", safe.address, "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_is_made_behind_the_first_look_is_told_on_the_beat_and_not_before() {
    let mut stage = CaseChain::new().await;
    stage.begin().await;
    let nonce = stage.anvil.sent_by(DEPLOYER.address, stage.anvil.block_number().await).await;
    let made = DEPLOYER.address.create(nonce);
    stage.anvil.succeed(&crate::support::anvil::Tx::pay(KEEPER.address, made, U256::ONE)).await;
    let args = alloy_sol_types::SolValue::abi_encode(&KEEPER.address);
    assert_eq!(deploy(&stage.anvil, DEPLOYER.address, "Box", args).await, made);
    let of_state = |seen: &crate::support::case_chain::Seen| -> Vec<String> {
        seen.findings.iter().filter(|line| line.contains(" state ")).cloned().collect()
    };
    let seen = stage.seen(&watch("contract", made, "")).await;
    assert_eq!(of_state(&seen), [""; 0], "{:#?}", seen.lines);
    stage.anvil.mine(50).await;
    let seen = stage.seen(&watch("contract", made, "")).await;
    let told = of_state(&seen);
    assert!(told.len() == 1 && told[0].contains("code: critical"), "{:#?}", seen.lines);
}
