//! User operations (ERC-4337) through the published EntryPoints, on a node that traces and on one that does not.

use super::{CaseChain, Row, pays, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, RELAYER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::deploy;
use crate::support::operations::{Desk, ENTRY_POINTS, GWEI, IAccount, IEntryPoint07, packed, priced};
use crate::support::treasury::ether;
use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use serde_json::json;
use watchfire::model::Severity::{Critical, High, Warning};
use watchfire::model::{Abnormal, Judged, Verdict};

pub(super) const ROWS: &[&Row] = &[&O1, &O2, &O3, &O4, &O5, &O6];

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
    let mut stage = CaseChain::new().await;
    for (entry, traces) in ENTRY_POINTS.into_iter().flat_map(|entry| [(entry, true), (entry, false)]) {
        stage.trace(traces);
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
    pays_while_it_validates(&O2, true).await;
}

/// The account pays the thief one ether beside what the EntryPoint asks for.
async fn pays_while_it_validates(row: &Row, traces: bool) {
    let mut stage = CaseChain::new().await;
    stage.trace(traces);
    let mut desk = Desk::open(&stage.anvil, ENTRY_POINTS[1]).await;
    let thief = STRANGER.address;
    let account = deploy(&stage.anvil, DEPLOYER.address, "Turncoat", thief.abi_encode()).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, account, ether(9))).await;
    let calm = desk.pays(&stage.anvil, GRANTEE.address).await;
    stage.when(RELAYER.address, desk.entry, calm).await.is_quiet(row, &rules(&desk)).await;
    let call = IAccount::executeCall { dest: GRANTEE.address, value: ether(1), func: Bytes::new() }.abi_encode();
    // With what the account has at the EntryPoint already, what that logs would hide the theft; what was paid does not.
    let ops = vec![priced(packed(account, 0, call), 2_000 * GWEI)];
    let bundle = IEntryPoint07::handleOpsCall { ops, beneficiary: RELAYER.address }.abi_encode();
    desk.account = account;
    // The block holds nothing else, and so high a price is a tip.
    let watchlist = format!("{}tip = \"2 ether\"\n", rules(&desk));
    let deposit = IEntryPoint07::depositToCall { account }.abi_encode();
    stage.anvil.succeed(&Tx { value: ether(1), ..Tx::call(DEPLOYER.address, desk.entry, deposit) }).await;
    stage.begin().await;
    stage.anvil.mine(50).await;
    stage.send(RELAYER.address, desk.entry, bundle).await;
    let seen = stage.finds(row, &watchlist).await;
    assert_eq!(seen.findings.len(), 1, "{:#?}", seen.findings);
}

const O3: Row = Row {
    id: "E-4337-untraced",
    finds: "an account pays somebody while it validates an operation, and the node does not trace",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "what it pays the EntryPoint, as much as that says was deposited",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_pays_while_it_validates_where_nobody_traces() {
    pays_while_it_validates(&O3, false).await;
}

const O4: Row = Row {
    id: "E-4337-tip",
    finds: "an operation pays whoever brings it far more than the others of its block pay for being included",
    by: "builtin/tip",
    severity: Warning,
    incidents: 1,
    beside: "the same by a rule that says how much may be paid for it, and an operation at the price of its block",
};

/// A block of nine payments and a bundle whose operations offer so much for a unit of gas.
async fn in_a_block(stage: &CaseChain, desk: &Desk, bundle: Vec<u8>) {
    let tip = U256::from(GWEI);
    let send = |tx: serde_json::Value| stage.anvil.rpc("eth_sendTransaction", json!([tx]));
    stage.anvil.set_automine(false).await;
    let most = ether(1) / U256::from(10_000_000_u64);
    for _ in 0..9 {
        let (from, to) = (DEPLOYER.address, GRANTEE.address);
        send(json!({
            "from": from, "to": to, "value": "0x1", "gas": "0x5208", "type": "0x2", "maxPriorityFeePerGas": tip, "maxFeePerGas": most,
        }))
        .await;
    }
    send(json!({
        "from": RELAYER.address, "to": desk.entry, "data": Bytes::from(bundle), "gas": "0x1e8480", "type": "0x2",
        "maxPriorityFeePerGas": tip, "maxFeePerGas": most,
    }))
    .await;
    stage.anvil.mine(1).await;
    stage.anvil.set_automine(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_pays_for_being_fast() {
    for (entry, traces) in [(ENTRY_POINTS[0], false), (ENTRY_POINTS[1], true), (ENTRY_POINTS[2], false)] {
        let mut stage = CaseChain::new().await;
        stage.trace(traces);
        let mut desk = Desk::open(&stage.anvil, entry).await;
        let plain = rules(&desk);
        let meant = format!("{plain}tip = \"2 ether\"\n");
        stage.begin().await;
        let calm = desk.pays(&stage.anvil, GRANTEE.address).await;
        in_a_block(&stage, &desk, calm).await;
        stage.is_quiet(&O4, &plain).await;
        stage.begin().await;
        desk.fee = 3_000 * GWEI;
        let hurry = desk.pays(&stage.anvil, GRANTEE.address).await;
        in_a_block(&stage, &desk, hurry).await;
        stage.finds(&O4, &plain).await;
        stage.is_quiet(&O4, &meant).await;
        // The price is that of everybody, and the gas is what the account signed that it counts as used.
        stage.begin().await;
        (desk.fee, desk.counted) = (3 * GWEI, 300_000_000);
        let padded = desk.pays(&stage.anvil, GRANTEE.address).await;
        in_a_block(&stage, &desk, padded).await;
        stage.finds(&O4, &plain).await;
        stage.is_quiet(&O4, &meant).await;
    }
}

const O5: Row = Row {
    id: "E-4337-empty",
    finds: "an operation does nothing, and its account pays for it",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "an operation that a rule vouches for, and one without calldata by a rule of its own",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_does_nothing_and_costs() {
    for (entry, traces) in ENTRY_POINTS.into_iter().flat_map(|entry| [(entry, true), (entry, false)]) {
        let mut stage = CaseChain::new().await;
        stage.trace(traces);
        let mut desk = Desk::open(&stage.anvil, entry).await;
        let rules = rules(&desk);
        let lets = format!("{rules}\n[[watch.normal]]\nname = \"idle\"\ncall = \"ether\"\n");
        stage.begin().await;
        let calm = desk.pays(&stage.anvil, GRANTEE.address).await;
        stage.when(RELAYER.address, desk.entry, calm).await.is_quiet(&O5, &rules).await;
        let empty = desk.does(&stage.anvil, Vec::new()).await;
        stage.begin().await;
        stage.send(RELAYER.address, desk.entry, empty).await;
        stage.finds(&O5, &rules).await;
        stage.is_quiet(&O5, &lets).await;
    }
}

const O6: Row = Row {
    id: "E-4337-price",
    finds: "an operation that a rule vouches for pays whoever brings it an ether and more",
    by: "builtin/tip",
    severity: High,
    incidents: 1,
    beside: "the same by a rule that says how much may be paid for it",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_pays_a_fortune() {
    let mut stage = CaseChain::new().await;
    let mut desk = Desk::open(&stage.anvil, ENTRY_POINTS[1]).await;
    let plain = rules(&desk);
    let meant = format!("{plain}tip = \"5 ether\"\n");
    stage.begin().await;
    (desk.fee, desk.counted) = (3 * GWEI, 700_000_000);
    let padded = desk.pays(&stage.anvil, GRANTEE.address).await;
    in_a_block(&stage, &desk, padded).await;
    stage.finds(&O6, &plain).await;
    stage.is_quiet(&O6, &meant).await;
    // One that nothing vouches for says so too, whatever else is wrong with it.
    let empty = desk.does(&stage.anvil, Vec::new()).await;
    stage.begin().await;
    in_a_block(&stage, &desk, empty).await;
    let seen = stage.seen(&plain).await;
    let says = |own: &Abnormal| own.reasons.iter().any(|why| why.contains("for being included"));
    let loud = |one: &Judged| matches!(&one.verdict, Verdict::Abnormal(own) if own.severity == High && says(own));
    assert!(seen.judged.iter().any(loud), "{:#?}", seen.judged);
}
