//! Who holds a role, which a contract tells of anybody and lists for nobody: from the start, by its logs, and silently.

use super::{CaseChain, Row, calldata, vouch, watch};
use crate::support::abi::IAccess;
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, STRANGER};
use crate::support::contracts::deploy;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use serde_json::json;
use watchfire::model::Severity::Critical;

pub(super) const ROWS: &[&Row] = &[&INVENTORY, &MISSING, &SILENT];

fn minter() -> B256 {
    keccak256("MINTER_ROLE")
}

/// A contract of the keeper's with a minter, who has been there for long.
async fn offices(minting: Address) -> (CaseChain, Address) {
    let stage = CaseChain::new().await;
    let offices = deploy(&stage.anvil, DEPLOYER.address, "Offices", KEEPER.address.abi_encode()).await;
    let grant = |account: Address| IAccess::grantRoleCall { role: minter(), account }.abi_encode();
    let revoke = IAccess::revokeRoleCall { role: minter(), account: DEPLOYER.address }.abi_encode();
    for call in [grant(DEPLOYER.address), grant(minting), revoke] {
        stage.send(KEEPER.address, offices, call).await;
    }
    stage.anvil.mine(2).await;
    (stage, offices)
}

/// Nothing happens but what anybody may do: the contract is looked at.
async fn looked_at(stage: &mut CaseChain, offices: Address) {
    stage.begin().await;
    stage.anvil.mine(2).await;
    stage.send(STRANGER.address, offices, asks()).await;
}

/// A question that anybody may ask.
fn asks() -> Vec<u8> {
    calldata("hasRole(bytes32,address)", (minter(), KEEPER.address).abi_encode())
}

const QUESTIONS: &str = "[[watch.normal]]\nname = \"questions\"\ncall = \"hasRole\"\n";

fn registered(offices: Address, roles: &str) -> String {
    watch("access-control", offices, &format!("registry.roles = {{ {roles} }}\n{QUESTIONS}"))
}

fn roles(minting: &[Address]) -> String {
    let minting: Vec<String> = minting.iter().map(|who| format!("\"{who}\"")).collect();
    format!("DEFAULT_ADMIN_ROLE = [\"{}\"], MINTER_ROLE = [{}]", KEEPER.address, minting.join(", "))
}

const INVENTORY: Row = Row {
    id: "access-control-6",
    finds: "somebody holds a role from long before the contract was watched, and the registry does not know him",
    by: "builtin/drift",
    severity: Critical,
    incidents: 1,
    beside: "the same contract whose registry lists him; who lost a role before is no part of it",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_holds_a_role_from_the_start() {
    let (mut stage, offices) = offices(STRANGER.address).await;
    looked_at(&mut stage, offices).await;
    let seen = stage.finds(&INVENTORY, &registered(offices, &roles(&[]))).await;
    let told = format!("holds MINTER_ROLE of The access-control {offices}, and the registry does not say so");
    assert!(seen.headlines[0].ends_with(&told), "{:#?}", seen.headlines);
    stage.is_quiet(&INVENTORY, &registered(offices, &roles(&[STRANGER.address]))).await;
    // A role that the registry does not name is held by nobody, whatever it is called.
    let only_admin = format!("DEFAULT_ADMIN_ROLE = [\"{}\"]", KEEPER.address);
    stage.finds(&INVENTORY, &registered(offices, &only_admin)).await;
    // Without a registry there is nothing to hold it against.
    stage.is_quiet(&INVENTORY, &watch("access-control", offices, QUESTIONS)).await;
}

const MISSING: Row = Row {
    id: "access-control-7",
    finds: "somebody does not hold the role that the registry gives him",
    by: "builtin/drift",
    severity: Critical,
    incidents: 1,
    beside: "the same contract whose registry says what is there",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_lacks_a_role_from_the_start() {
    let (mut stage, offices) = offices(GRANTEE.address).await;
    looked_at(&mut stage, offices).await;
    let seen = stage.finds(&MISSING, &registered(offices, &roles(&[GRANTEE.address, STRANGER.address]))).await;
    let told = format!("does not hold MINTER_ROLE of The access-control {offices}, and the registry says so");
    assert!(seen.headlines[0].ends_with(&told), "{:#?}", seen.headlines);
    stage.is_quiet(&MISSING, &registered(offices, &roles(&[GRANTEE.address]))).await;
}

const SILENT: Row = Row {
    id: "access-control-state",
    finds: "somebody loses a role, and no log and no call that could be seen made it so",
    by: "builtin/state",
    severity: Critical,
    incidents: 1,
    beside: "a role that is taken by a call which a rule vouches for",
};

/// Nobody holds the role any more, and the contract says nothing.
async fn take_silently(stage: &CaseChain, offices: Address, who: Address) {
    // The node keeps a block's state when it makes the next one.
    stage.anvil.mine(1).await;
    // `_roles[MINTER_ROLE].hasRole[account]`; `_roles` stands in the first slot. Source: AccessControl.sol 5.x.
    let role = keccak256((minter(), U256::ZERO).abi_encode());
    let slot = keccak256((who, role).abi_encode());
    stage.anvil.rpc("anvil_setStorageAt", json!([offices, slot, B256::ZERO])).await;
    stage.send(STRANGER.address, offices, asks()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_loses_a_role_silently() {
    let (mut stage, offices) = offices(GRANTEE.address).await;
    stage.begin().await;
    stage.anvil.mine(2).await;
    take_silently(&stage, offices, GRANTEE.address).await;
    let seen = stage.finds(&SILENT, &watch("access-control", offices, QUESTIONS)).await;
    let told = format!("lost MINTER_ROLE of The access-control {offices}");
    assert!(seen.headlines[0].ends_with(&told), "{:#?}", seen.headlines);
    // Whoever was given it while we watched is known as well.
    stage.begin().await;
    stage.anvil.mine(2).await;
    let given = IAccess::grantRoleCall { role: minter(), account: STRANGER.address }.abi_encode();
    stage.send(KEEPER.address, offices, given).await;
    take_silently(&stage, offices, STRANGER.address).await;
    let planned = |call: &str, who: Address| vouch("call", call, &[("account", &who)]);
    let rules = format!("{QUESTIONS}{}", planned("grantRole", STRANGER.address));
    stage.finds(&SILENT, &watch("access-control", offices, &rules)).await;

    let (mut stage, offices) = self::offices(GRANTEE.address).await;
    stage.begin().await;
    stage.anvil.mine(2).await;
    let revoke = IAccess::revokeRoleCall { role: minter(), account: GRANTEE.address }.abi_encode();
    stage.send(KEEPER.address, offices, revoke).await;
    stage.is_quiet(&SILENT, &watch("access-control", offices, &planned("revokeRole", GRANTEE.address))).await;
}
