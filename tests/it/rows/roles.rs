//! Who holds a role, which a contract tells of anybody and lists for nobody: from the start, by its logs, and silently.

use super::{Row, Stage, calldata, watch};
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
async fn offices(minting: Address) -> (Stage, Address) {
    let stage = Stage::new().await;
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
async fn looked_at(stage: &mut Stage, offices: Address) {
    stage.begin().await;
    stage.anvil.mine(2).await;
    stage
        .send(STRANGER.address, offices, calldata("hasRole(bytes32,address)", (minter(), KEEPER.address).abi_encode()))
        .await;
}

fn registered(offices: Address, roles: &str) -> String {
    let asked = "[[watch.normal]]\nname = \"questions\"\ncall = \"hasRole\"\n";
    watch("access-control", offices, &format!("registry.roles = {{ {roles} }}\n{asked}"))
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
    let questions = "[[watch.normal]]\nname = \"questions\"\ncall = \"hasRole\"\n";
    stage.is_quiet(&INVENTORY, &watch("access-control", offices, questions)).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn somebody_loses_a_role_silently() {
    let (mut stage, offices) = offices(GRANTEE.address).await;
    stage.begin().await;
    stage.anvil.mine(2).await;
    // `_roles[MINTER_ROLE].hasRole[account]`; `_roles` stands in the first slot. Source: AccessControl.sol 5.x.
    let role = keccak256((minter(), U256::ZERO).abi_encode());
    let slot = keccak256((GRANTEE.address, role).abi_encode());
    stage.anvil.rpc("anvil_setStorageAt", json!([offices, slot, B256::ZERO])).await;
    stage
        .send(STRANGER.address, offices, calldata("hasRole(bytes32,address)", (minter(), KEEPER.address).abi_encode()))
        .await;
    let questions = "[[watch.normal]]\nname = \"questions\"\ncall = \"hasRole\"\n";
    let seen = stage.finds(&SILENT, &watch("access-control", offices, questions)).await;
    let told = format!("lost MINTER_ROLE of The access-control {offices}");
    assert!(seen.headlines[0].ends_with(&told), "{:#?}", seen.headlines);
    let (mut stage, offices) = self::offices(GRANTEE.address).await;
    stage.begin().await;
    stage.anvil.mine(2).await;
    let revoke = IAccess::revokeRoleCall { role: minter(), account: GRANTEE.address }.abi_encode();
    stage.send(KEEPER.address, offices, revoke).await;
    let planned = format!(
        "[[watch.normal]]\nname = \"planned\"\ncall = \"revokeRole\"\nargs = {{ account = {{ eq = \"{}\" }} }}\n",
        GRANTEE.address
    );
    stage.is_quiet(&SILENT, &watch("access-control", offices, &planned)).await;
}
