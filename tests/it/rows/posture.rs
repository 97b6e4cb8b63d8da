//! Safes that are not as they should be from the first look on, and what hides deep inside of a batch.

use super::{Row, Stage, pays, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, OWNER_A, OWNER_B, OWNER_C, RELAYER, STRANGER};
use crate::support::contracts::deploy;
use crate::support::kit::Version;
use crate::support::safe::{Safe, SafeTx};
use crate::support::tokens::transfer;
use crate::support::treasury::{SIGNERS, ether};
use alloy_primitives::{Address, U256};
use watchfire::model::Severity::Critical;

pub(super) const ROWS: &[&Row] = &[&S2N, &S17M, &S17G];

const OWNERS: [Address; 3] = [OWNER_A.address, OWNER_B.address, OWNER_C.address];

async fn stage() -> (Stage, Safe) {
    Stage::with_safe(Version::V1_4_1, &OWNERS, 2).await
}

async fn run(stage: &Stage, safe: &Safe, tx: SafeTx) {
    safe.exec(&stage.anvil, RELAYER, &tx, &SIGNERS).await;
}

fn pay() -> SafeTx {
    SafeTx::pay(GRANTEE.address, ether(1))
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

/// Begins, and lets ether arrive, so that there is something to look at.
async fn watched(stage: &mut Stage, safe: &Safe) {
    stage.begin().await;
    stage.anvil.mine(2).await;
    stage.anvil.succeed(&crate::support::anvil::Tx::pay(STRANGER.address, safe.address, ether(1))).await;
}
