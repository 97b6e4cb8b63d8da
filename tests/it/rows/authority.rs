//! Who rules a contract under the names that DappHub, Curve, Aragon and the slots of a proxy give it, and who names those who do.

use super::{CaseChain, Row, calldata, vouch, watch};
use crate::support::abi::IPuppet;
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, STRANGER};
use crate::support::contracts::deploy;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use watchfire::model::Severity::{Critical, High};

pub(super) const ROWS: &[&Row] = &[&D1, &D2, &D3, &C1, &A1, &P2A, &P3B, &R3, &R4, &R5, &N6, &N5];

/// A contract of the keeper's.
async fn kept(name: &str) -> (CaseChain, Address) {
    let stage = CaseChain::new().await;
    let contract = deploy(&stage.anvil, DEPLOYER.address, name, KEEPER.address.abi_encode()).await;
    (stage, contract)
}

/// A contract that a puppet rules, from inside of whose calls nothing but logs tells.
async fn unseen(name: &str) -> (CaseChain, Address, Address) {
    let mut stage = CaseChain::new().await;
    stage.without_traces();
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let contract = deploy(&stage.anvil, DEPLOYER.address, name, puppet.abi_encode()).await;
    (stage, puppet, contract)
}

fn make(to: Address, data: Vec<u8>) -> Vec<u8> {
    IPuppet::makeCall { to, data: data.into() }.abi_encode()
}

/// The same function with a stranger and with the grantee.
fn two(signature: &str) -> [Vec<u8>; 2] {
    [STRANGER, GRANTEE].map(|who| calldata(signature, who.address.abi_encode()))
}

const D1: Row = Row {
    id: "ds-auth-1",
    finds: "a contract of DappHub's kind gets another owner",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned handover, by a rule that names the next owner; its log is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_set() {
    let (mut stage, ward) = kept("Ward").await;
    let rules = watch("ownable", ward, &vouch("call", "setOwner", &[("#0", &GRANTEE.address)]));
    let [found, silent] = two("setOwner(address)");
    // Whoever is a ward may set the owner again.
    stage.tells_apart(&D1, &rules, [KEEPER.address, ward], [found, silent]).await;
}

const D2: Row = Row {
    id: "ds-auth-2",
    finds: "the authority, which says who may call what, is replaced from inside another contract's call: where no node traces, its log tells",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned authority, by a rule about the log that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_set() {
    let (mut stage, puppet, ward) = unseen("Ward").await;
    let rules = watch("ownable", ward, &vouch("event", "LogSetAuthority", &[("authority", &GRANTEE.address)]));
    let calls = two("setAuthority(address)").map(|call| make(ward, call));
    stage.tells_apart(&D2, &rules, [STRANGER.address, puppet], calls).await;
}

const D3: Row = Row {
    id: "ds-auth-3",
    finds: "somebody becomes a ward from inside another contract's call, of which no log tells by name: the trace does",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned ward, by a rule that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_becomes_a_ward() {
    let (mut stage, ward) = kept("Ward").await;
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    stage.send(KEEPER.address, ward, calldata("rely(address)", puppet.abi_encode())).await;
    let rules = watch("ownable", ward, &vouch("call", "rely", &[("#0", &GRANTEE.address)]));
    let calls = two("rely(address)").map(|call| make(ward, call));
    stage.tells_apart(&D3, &rules, [STRANGER.address, puppet], calls).await;
}

const C1: Row = Row {
    id: "curve",
    finds: "an administrator is committed, who may be applied later",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "both steps of the planned handover, by rules that name the next administrator",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_is_committed() {
    let (mut stage, gauge) = kept("Gauge").await;
    let rules = [
        vouch("call", "commit_transfer_ownership", &[("#0", &GRANTEE.address)]),
        vouch("call", "apply_transfer_ownership", &[]),
        vouch("event", "ApplyOwnership", &[("#0", &GRANTEE.address)]),
    ];
    let rules = watch("ownable", gauge, &rules.concat());
    let [found, silent] = two("commit_transfer_ownership(address)");
    stage.when(KEEPER.address, gauge, found).await.finds(&C1, &rules).await;
    stage.when(KEEPER.address, gauge, silent).await;
    stage.send(KEEPER.address, gauge, calldata("apply_transfer_ownership()", [])).await;
    stage.is_quiet(&C1, &rules).await;
}

const A1: Row = Row {
    id: "solady",
    finds: "somebody asks for the ownership, which its owner may give from then on",
    by: "builtin/control",
    severity: High,
    incidents: 1,
    beside: "the planned handover, asked for and given, by rules that name who asks and who gets",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_asks_for_the_ownership() {
    let (mut stage, asked) = kept("AskedFor").await;
    let ask = || calldata("requestOwnershipHandover()", []);
    let asks = format!("{}from = [\"{}\"]\n", vouch("call", "requestOwnershipHandover", &[]), GRANTEE.address);
    let gives = vouch("call", "completeOwnershipHandover", &[("#0", &GRANTEE.address)]);
    let rules = watch("ownable", asked, &format!("{asks}{gives}"));
    stage.when(STRANGER.address, asked, ask()).await.finds(&A1, &rules).await;
    stage.when(GRANTEE.address, asked, ask()).await;
    let give = calldata("completeOwnershipHandover(address)", GRANTEE.address.abi_encode());
    stage.send(KEEPER.address, asked, give).await;
    stage.is_quiet(&A1, &rules).await;
}

const P2A: Row = Row {
    id: "P2-admin",
    finds: "who may replace a proxy's code changes from inside another contract's call: where no node traces, its log tells",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned administrator, by a rule about the log that names the next one",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_administrator_of_a_proxy_changes() {
    let (mut stage, puppet, gate) = unseen("Gate").await;
    let rules = watch("proxy", gate, &vouch("event", "AdminChanged", &[("#1", &GRANTEE.address)]));
    let calls = two("changeAdmin(address)").map(|call| make(gate, call));
    stage.tells_apart(&P2A, &rules, [STRANGER.address, puppet], calls).await;
}

const P3B: Row = Row {
    id: "P3-beacon",
    finds: "a proxy takes its code from another beacon from now on",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a beacon that `registry.implementations` lists, with code that it lists",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_gets_another_beacon() {
    let (mut stage, puppet, gate) = unseen("Gate").await;
    let from = DEPLOYER.address;
    let code = deploy(&stage.anvil, from, "Engine", []).await;
    let beacon = (code, KEEPER.address).abi_encode_params();
    let beacons = [
        deploy(&stage.anvil, from, "UpgradeableBeacon", beacon.clone()).await,
        deploy(&stage.anvil, from, "UpgradeableBeacon", beacon).await,
    ];
    let listed = format!("registry = {{ implementations = [\"{code}\", \"{}\"] }}\n", beacons[1]);
    let rules = watch("proxy", gate, &listed);
    let calls = beacons.map(|beacon| make(gate, calldata("changeBeacon(address)", beacon.abi_encode())));
    stage.tells_apart(&P3B, &rules, [STRANGER.address, puppet], calls).await;
}

const R3: Row = Row {
    id: "access-control-3",
    finds: "another role gives a role from now on",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned change, by a rule that names both roles; its log is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_a_role_changes() {
    let (mut stage, chancery) = kept("Chancery").await;
    let (minter, guardian) = (keccak256("MINTER_ROLE"), keccak256("GUARDIAN_ROLE"));
    let set = |admin: B256| calldata("setRoleAdmin(bytes32,bytes32)", (minter, admin).abi_encode());
    let planned = vouch("call", "setRoleAdmin", &[("role", &minter), ("adminRole", &guardian)]);
    let rules = watch("access-control", chancery, &planned);
    stage.tells_apart(&R3, &rules, [KEEPER.address, chancery], [set(minter), set(guardian)]).await;
}

const R4: Row = Row {
    id: "access-control-4",
    finds: "the default administrator is to change, with a delay to react, from inside another contract's call: where no node traces, its log tells",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "both steps of the planned change, by rules about the calls that name the next administrator; their logs are explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_default_administrator_is_to_change() {
    let (mut stage, puppet, chancery) = unseen("Chancery").await;
    let [found, silent] = two("beginDefaultAdminTransfer(address)");
    let accept = || calldata("acceptDefaultAdminTransfer()", []);
    let accepts = format!("{}from = [\"{}\"]\n", vouch("call", "acceptDefaultAdminTransfer", &[]), GRANTEE.address);
    let begins = vouch("call", "beginDefaultAdminTransfer", &[("newAdmin", &GRANTEE.address)]);
    let rules = |of: Address| watch("access-control", of, &format!("{begins}{accepts}"));
    stage.when(STRANGER.address, puppet, make(chancery, found)).await.finds(&R4, &rules(chancery)).await;
    let chancery = deploy(&stage.anvil, DEPLOYER.address, "Chancery", KEEPER.address.abi_encode()).await;
    stage.when(KEEPER.address, chancery, silent).await;
    stage.anvil.set_next_timestamp(stage.anvil.now().await + 90_000).await;
    stage.send(GRANTEE.address, chancery, accept()).await;
    stage.is_quiet(&R4, &rules(chancery)).await;
}

const R5: Row = Row {
    id: "access-control-5",
    finds: "how long a change of the default administrator takes is to change",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned delay, by a rule that names it; its log is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_administrator_s_delay_is_to_change() {
    let (mut stage, chancery) = kept("Chancery").await;
    let set = |seconds: u64| calldata("changeDefaultAdminDelay(uint48)", U256::from(seconds).abi_encode());
    let planned = vouch("call", "changeDefaultAdminDelay", &[("newDelay", &172_800)]);
    let rules = watch("access-control", chancery, &planned);
    stage.when(KEEPER.address, chancery, set(172_800)).await.is_quiet(&R5, &rules).await;
    stage.when(KEEPER.address, chancery, set(0)).await.finds(&R5, &rules).await;
}

const N6: Row = Row {
    id: "N6-permission",
    finds: "somebody is given a permission in an application of Aragon's",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned permission, by a rule that names who, where and for what; its log is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_is_given() {
    let (mut stage, book) = kept("PermissionBook").await;
    let (app, role) = (KEEPER.address, keccak256("MINT_ROLE"));
    let grant = |who: Address| calldata("grantPermission(address,address,bytes32)", (who, app, role).abi_encode());
    let planned = vouch("call", "grantPermission", &[("entity", &GRANTEE.address), ("app", &app), ("role", &role)]);
    let rules = watch("access-control", book, &planned);
    let calls = [STRANGER, GRANTEE].map(|who| grant(who.address));
    stage.tells_apart(&N6, &rules, [STRANGER.address, book], calls).await;
}

const N5: Row = Row {
    id: "N5-factory",
    finds: "a factory makes another kind of controllers from now on",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the announced controller, by a rule about the log that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_factory_makes_other_controllers() {
    let (mut stage, puppet, factory) = unseen("ControllerFactory").await;
    let rules = watch("ownable", factory, &vouch("event", "ControllerUpgraded", &[("#0", &GRANTEE.address)]));
    let calls = two("upgrade(address)").map(|call| make(factory, call));
    stage.tells_apart(&N5, &rules, [STRANGER.address, puppet], calls).await;
}
