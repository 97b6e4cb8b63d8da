//! Tokens: supply, control, and what MiniMe's controller can do.

use super::{CaseChain, Row, calldata, vouch, watch};
use crate::support::abi::{IMiniMe, IToken};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, STRANGER};
use crate::support::contracts::deploy;
use crate::support::tokens::{Token, approve};
use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, SolValue};
use watchfire::model::Severity::{Critical, Warning};

pub(super) const ROWS: &[&Row] =
    &[&T1, &T1_BURN, &T6, &T6_BLOCKED, &T6_ISSUE, &T6_REDEEM, &N1, &N2, &N2_BURN, &N5, &N5_CLAIM];

/// Exactly this function with exactly this first argument.
fn planned(kind: &str, token: &Token, function: &str, value: Address) -> String {
    let rule = format!(
        "[[watch.normal]]\nname = \"planned\"\ncall = \"{function}\"\nargs = {{ \"#0\" = {{ eq = \"{value}\" }} }}\n"
    );
    watch(kind, token.address, &rule)
}

const T1: Row = Row {
    id: "T1",
    finds: "tokens are minted for somebody who is not listed",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the mint of a bridge or a vesting plan, by a rule that names its receiver",
};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_minted() {
    let mut stage = CaseChain::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    let watchlist = planned("erc20", &coin, "mint(address to, uint256 amount)", GRANTEE.address);
    stage.begin().await;
    coin.mint(&stage.anvil, DEPLOYER.address, STRANGER.address, coin.units(1)).await;
    stage.finds(&T1, &watchlist).await;
    stage.begin().await;
    coin.mint(&stage.anvil, DEPLOYER.address, GRANTEE.address, coin.units(1)).await;
    stage.is_quiet(&T1, &watchlist).await;
}

const T1_BURN: Row = Row {
    id: "T1-burn",
    finds: "somebody burns what a holder allowed him",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a bridge that burns what goes over it, by a rule that names who burns; the log of it is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_burns_a_holder_s_tokens() {
    let mut stage = CaseChain::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    coin.mint(&stage.anvil, DEPLOYER.address, KEEPER.address, coin.units(10)).await;
    for spender in [STRANGER, GRANTEE] {
        stage.send(KEEPER.address, coin.address, approve(spender.address, coin.units(5))).await;
    }
    let bridge = vouch("call", "burnFrom(address account, uint256 amount)", &[]);
    let rules = watch("erc20", coin.address, &format!("{bridge}from = [\"{}\"]\n", GRANTEE.address));
    let burn = calldata("burnFrom(address,uint256)", (KEEPER.address, coin.units(1)).abi_encode());
    stage.when(STRANGER.address, coin.address, burn.clone()).await.finds(&T1_BURN, &rules).await;
    stage.when(GRANTEE.address, coin.address, burn).await.is_quiet(&T1_BURN, &rules).await;
}

const T6: Row = Row {
    id: "T6",
    finds: "the token is paused",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a drill, by a rule that names who pauses",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_paused() {
    let mut stage = CaseChain::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    stage.when(DEPLOYER.address, coin.address, IToken::pauseCall {}.abi_encode()).await;
    stage.finds(&T6, &watch("erc20", coin.address, "")).await;
    let drill = format!("[[watch.normal]]\nname = \"drill\"\ncall = \"pause\"\nfrom = [\"{}\"]\n", DEPLOYER.address);
    stage.is_quiet(&T6, &watch("erc20", coin.address, &drill)).await;
}

const T6_BLOCKED: Row = Row {
    id: "T6-blocked",
    finds: "an account is put on the list of those whose tokens do not move",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "an order that was announced, by a rule that names the account; the log of it is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_blocked() {
    let mut stage = CaseChain::new().await;
    let coin = Token::deploy_old_coin(&stage.anvil, DEPLOYER.address, DEPLOYER.address).await.address;
    let rules = watch("erc20", coin, &vouch("call", "addBlackList", &[("#0", &STRANGER.address)]));
    let both = [KEEPER, STRANGER].map(|who| calldata("addBlackList(address)", who.address.abi_encode()));
    stage.tells_apart(&T6_BLOCKED, &rules, [DEPLOYER.address, coin], both).await;
}

const T6_ISSUE: Row = Row {
    id: "T6-issue",
    finds: "the issuer makes tokens for itself",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the announced amount, by a rule that names it; the log of it is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_issued() {
    let mut stage = CaseChain::new().await;
    let coin = Token::deploy_old_coin(&stage.anvil, DEPLOYER.address, DEPLOYER.address).await.address;
    let rules = watch("erc20", coin, &vouch("call", "issue", &[("#0", &1_000)]));
    let both = [9_999_u64, 1_000].map(|amount| calldata("issue(uint256)", U256::from(amount).abi_encode()));
    stage.tells_apart(&T6_ISSUE, &rules, [DEPLOYER.address, coin], both).await;
}

const T6_REDEEM: Row = Row {
    id: "T6-redeem",
    finds: "an issuer takes tokens out of the supply of a token that is not watched, and names the issuer as its owner",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the announced amount, by a rule that names it; a withdrawal from a lending pool by a function of that name is no such thing",
};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_taken_out_of_supply() {
    let mut stage = CaseChain::new().await;
    let issuer = KEEPER.address;
    let coin = deploy(&stage.anvil, DEPLOYER.address, "RedeemedCoin", issuer.abi_encode()).await;
    stage.send(issuer, coin, calldata("issue(uint256)", U256::from(10_000).abi_encode())).await;
    let redeem = |amount: u64| calldata("redeem(uint256)", U256::from(amount).abi_encode());
    let rules = watch("eoa", issuer, &vouch("act", "redeem(uint256 amount)", &[("amount", &1_000)]));
    stage.tells_apart(&T6_REDEEM, &rules, [issuer, coin], [redeem(2_000), redeem(1_000)]).await;
    // Everybody's withdrawal from a lending pool: a finding, since no rule is about it, and nobody's issue.
    let pool = deploy(&stage.anvil, DEPLOYER.address, "LendingPool", []).await;
    let lend = crate::support::anvil::Tx::call(issuer, pool, calldata("mint()", [])).with_value(U256::from(50));
    stage.anvil.succeed(&lend).await;
    let seen = stage.when(issuer, pool, redeem(7)).await.seen(&rules).await;
    assert!(seen.findings.len() == 1 && seen.findings[0].ends_with("high builtin/unvouched"), "{:#?}", seen.lines);
    // Of a token that is watched it is its supply, whoever does it, and so it is of the watched pool's own.
    for (kind, contract, more) in [("erc20", coin, ""), ("contract", pool, "abi = \"erc20-control\"\n")] {
        let seen = stage.when(issuer, contract, redeem(7)).await.seen(&watch(kind, contract, more)).await;
        assert!(seen.findings.iter().any(|line| line.ends_with("critical builtin/control")), "{:#?}", seen.lines);
    }
}

const N1: Row = Row {
    id: "N1",
    finds: "the token's controller is replaced, which logs nothing",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned change, by a rule that names the next controller",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_is_replaced() {
    let mut stage = CaseChain::new().await;
    let token = Token::deploy_minime(&stage.anvil, DEPLOYER.address, "NET").await;
    let watchlist = planned("minime", &token, "changeController", KEEPER.address);
    let change = |to| IMiniMe::changeControllerCall { newController: to }.abi_encode();
    stage.when(DEPLOYER.address, token.address, change(STRANGER.address)).await.finds(&N1, &watchlist).await;
    stage.when(STRANGER.address, token.address, change(KEEPER.address)).await.is_quiet(&N1, &watchlist).await;
}

const N2: Row = Row {
    id: "N2",
    finds: "the controller makes tokens for somebody who is not listed",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a grant, by a rule that names its receiver",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_makes_tokens() {
    let mut stage = CaseChain::new().await;
    let token = Token::deploy_minime(&stage.anvil, DEPLOYER.address, "NET").await;
    let watchlist = planned("minime", &token, "generateTokens", GRANTEE.address);
    stage.begin().await;
    token.generate(&stage.anvil, DEPLOYER.address, STRANGER.address, token.units(1)).await;
    stage.finds(&N2, &watchlist).await;
    stage.begin().await;
    token.generate(&stage.anvil, DEPLOYER.address, GRANTEE.address, token.units(1)).await;
    stage.is_quiet(&N2, &watchlist).await;
}

const N2_BURN: Row = Row {
    id: "N2-burn",
    finds: "the controller destroys a holder's tokens",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "what is taken back by agreement, by a rule that names the holder; the log of it is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_destroys_tokens() {
    let mut stage = CaseChain::new().await;
    let token = Token::deploy_minime(&stage.anvil, DEPLOYER.address, "NET").await;
    for holder in [KEEPER, GRANTEE] {
        token.generate(&stage.anvil, DEPLOYER.address, holder.address, token.units(10)).await;
    }
    let rules = planned("minime", &token, "destroyTokens", GRANTEE.address);
    let both = [KEEPER, GRANTEE]
        .map(|holder| calldata("destroyTokens(address,uint256)", (holder.address, token.units(1)).abi_encode()));
    stage.tells_apart(&N2_BURN, &rules, [DEPLOYER.address, token.address], both).await;
}

const N5_CLAIM: Row = Row {
    id: "N5-claim",
    finds: "the controller takes what lies in the token contract, all of it",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "tokens that were sent there by mistake, by a rule that names their contract; the log of it is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_takes_what_lies_there() {
    let mut stage = CaseChain::new().await;
    let token = Token::deploy_minime(&stage.anvil, DEPLOYER.address, "NET").await;
    let mut coins = Vec::new();
    for symbol in ["ONE", "TWO"] {
        let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, symbol, 18, DEPLOYER.address).await;
        coin.mint(&stage.anvil, DEPLOYER.address, token.address, coin.units(5)).await;
        coins.push(coin.address);
    }
    let rules = planned("minime", &token, "claimTokens", coins[1]) + "effects = \"any\"\n";
    let both = [coins[0], coins[1]].map(|coin| calldata("claimTokens(address)", coin.abi_encode()));
    stage.tells_apart(&N5_CLAIM, &rules, [DEPLOYER.address, token.address], both).await;
}

const N5: Row = Row {
    id: "N5",
    finds: "a clone of the token is created, with the same holders",
    by: "builtin/control",
    severity: Warning,
    incidents: 1,
    beside: "a clone for a vote, by rules that name who makes it and the log it leaves",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_is_created() {
    let mut stage = CaseChain::new().await;
    let token = Token::deploy_minime(&stage.anvil, DEPLOYER.address, "NET").await;
    let arguments = ("Net token".to_owned(), U256::from(18), "NET".to_owned(), U256::ZERO, true).abi_encode_params();
    stage.when(STRANGER.address, token.address, [&[0x66, 0x38, 0xc0, 0x87][..], &arguments].concat()).await;
    stage.finds(&N5, &watch("minime", token.address, "")).await;
    let vote = format!(
        "[[watch.normal]]\nname = \"vote\"\ncall = \"createCloneToken\"\nfrom = [\"{}\"]\n\
         [[watch.normal]]\nname = \"its-log\"\nevent = \"NewCloneToken\"\n",
        STRANGER.address
    );
    stage.is_quiet(&N5, &watch("minime", token.address, &vote)).await;
}
