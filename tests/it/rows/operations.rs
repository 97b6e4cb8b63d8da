//! User operations (ERC-4337) through the published EntryPoints, on a node that traces.

use super::{Row, Stage, pays, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, RELAYER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::deploy;
use crate::support::operations::{Desk, ENTRY_POINTS, IAccount, IEntryPoint07, packed};
use crate::support::treasury::ether;
use alloy_primitives::Bytes;
use alloy_sol_types::{SolCall, SolValue};
use watchfire::model::Severity::High;

pub(super) const ROWS: &[&Row] = &[&O1, &O2];

/// The account pays the grantee.
fn rules(desk: &Desk) -> String {
    watch("contract", desk.account, &format!("abi = \"smart-account\"\n{}", pays(GRANTEE.address)))
}

const O1: Row = Row {
    id: "E-4337-entry",
    finds: "an operation through EntryPoint 0.6, 0.7 or 0.8 pays somebody who is not listed",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same for a listed payee: its validation, and what the account pays the EntryPoint for it, belong to it",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_pays_somebody_unlisted() {
    let mut stage = Stage::new().await;
    for entry in ENTRY_POINTS {
        let mut desk = Desk::open(&stage.anvil, entry).await;
        let watchlist = rules(&desk);
        stage.begin().await;
        stage.anvil.mine(2).await;
        // The first pays for itself in full, the second from what was left of that.
        for _ in 0..2 {
            let calm = desk.pays(&stage.anvil, GRANTEE.address).await;
            stage.send(RELAYER.address, desk.entry, calm).await;
        }
        stage.anvil.mine(50).await;
        stage.is_quiet(&O1, &watchlist).await;
        let theft = desk.pays(&stage.anvil, STRANGER.address).await;
        stage.when(RELAYER.address, desk.entry, theft).await.finds(&O1, &watchlist).await;
    }
}

const O2: Row = Row {
    id: "E-4337-validation",
    finds: "an account pays somebody while it validates an operation that a rule vouches for",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "what it pays the EntryPoint, as much as that asked for",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_pays_while_it_validates() {
    let mut stage = Stage::new().await;
    let mut desk = Desk::open(&stage.anvil, ENTRY_POINTS[1]).await;
    let thief = STRANGER.address;
    let account = deploy(&stage.anvil, DEPLOYER.address, "Turncoat", thief.abi_encode()).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, account, ether(9))).await;
    let calm = desk.pays(&stage.anvil, GRANTEE.address).await;
    stage.when(RELAYER.address, desk.entry, calm).await.is_quiet(&O2, &rules(&desk)).await;
    let call = IAccount::executeCall { dest: GRANTEE.address, value: ether(1), func: Bytes::new() }.abi_encode();
    let ops = vec![packed(account, 0, call)];
    let bundle = IEntryPoint07::handleOpsCall { ops, beneficiary: RELAYER.address }.abi_encode();
    desk.account = account;
    stage.when(RELAYER.address, desk.entry, bundle).await.finds(&O2, &rules(&desk)).await;
}
