//! Tokens: supply, control, and what MiniMe's controller can do.

use super::{Row, Stage, watch};
use crate::support::abi::{IMiniMe, IToken};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, STRANGER};
use crate::support::tokens::Token;
use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, SolValue};
use watchfire::model::Severity::{Critical, Warning};

pub(super) const ROWS: &[&Row] = &[&T1, &T6, &N1, &N2, &N5];

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
    let mut stage = Stage::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    let watchlist = planned("erc20", &coin, "mint(address to, uint256 amount)", GRANTEE.address);
    stage.begin().await;
    coin.mint(&stage.anvil, DEPLOYER.address, STRANGER.address, coin.units(1)).await;
    stage.finds(&T1, &watchlist).await;
    stage.begin().await;
    coin.mint(&stage.anvil, DEPLOYER.address, GRANTEE.address, coin.units(1)).await;
    stage.is_quiet(&T1, &watchlist).await;
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
    let mut stage = Stage::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    stage.when(DEPLOYER.address, coin.address, IToken::pauseCall {}.abi_encode()).await;
    stage.finds(&T6, &watch("erc20", coin.address, "")).await;
    let drill = format!("[[watch.normal]]\nname = \"drill\"\ncall = \"pause\"\nfrom = [\"{}\"]\n", DEPLOYER.address);
    stage.is_quiet(&T6, &watch("erc20", coin.address, &drill)).await;
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
    let mut stage = Stage::new().await;
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
    let mut stage = Stage::new().await;
    let token = Token::deploy_minime(&stage.anvil, DEPLOYER.address, "NET").await;
    let watchlist = planned("minime", &token, "generateTokens", GRANTEE.address);
    stage.begin().await;
    token.generate(&stage.anvil, DEPLOYER.address, STRANGER.address, token.units(1)).await;
    stage.finds(&N2, &watchlist).await;
    stage.begin().await;
    token.generate(&stage.anvil, DEPLOYER.address, GRANTEE.address, token.units(1)).await;
    stage.is_quiet(&N2, &watchlist).await;
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
    let mut stage = Stage::new().await;
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
