//! Owners, roles and code: whoever changes them has the contract.

use super::{CaseChain, Row, vouch, watch};
use crate::support::abi::{FacetCut, IAccess, IDiamond, IPuppet, IUpgrades};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, STRANGER};
use crate::support::contracts::deploy;
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use watchfire::model::Severity::{Critical, High};

pub(super) const ROWS: &[&Row] = &[&O1, &O2, &O3, &R1, &R2, &P1, &P1B, &P2, &P3, &P4, &P7, &P8];

// === Owners (3.5) ===

const O1: Row = Row {
    id: "ownable-1",
    finds: "ownership changes hands",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned handover, by a rule that names the next owner; and a new contract that calls itself owned elsewhere",
};

#[tokio::test(flavor = "multi_thread")]
async fn ownership_changes_hands() {
    let mut stage = CaseChain::new().await;
    let office = deploy(&stage.anvil, DEPLOYER.address, "Office", KEEPER.address.abi_encode()).await;
    let hand = |to: Address| IAccess::transferOwnershipCall { newOwner: to }.abi_encode();
    let next = vouch("call", "transferOwnership", &[("newOwner", &GRANTEE.address)]);
    let watchlist = watch("ownable", office, &next);
    stage.when(KEEPER.address, office, hand(STRANGER.address)).await.finds(&O1, &watchlist).await;
    stage.when(STRANGER.address, office, hand(GRANTEE.address)).await;
    deploy(&stage.anvil, DEPLOYER.address, "Office", KEEPER.address.abi_encode()).await;
    stage.is_quiet(&O1, &watchlist).await;
}

const O2: Row = Row {
    id: "ownable-2",
    finds: "ownership is handed over from inside another contract's call: where no node traces, its log tells",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned handover, by a rule about the log that names the next owner",
};

#[tokio::test(flavor = "multi_thread")]
async fn ownership_changes_hands_from_inside() {
    let mut stage = CaseChain::new().await;
    stage.without_traces();
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let make = |to: Address, next: Address| {
        let data = IAccess::transferOwnershipCall { newOwner: next }.abi_encode();
        IPuppet::makeCall { to, data: data.into() }.abi_encode()
    };
    let next = vouch(
        "event",
        "OwnershipTransferred(address indexed previousOwner, address indexed newOwner)",
        &[("newOwner", &GRANTEE.address)],
    );
    for (owner, expected) in [(STRANGER.address, false), (GRANTEE.address, true)] {
        let office = deploy(&stage.anvil, DEPLOYER.address, "Office", puppet.abi_encode()).await;
        stage.when(KEEPER.address, puppet, make(office, owner)).await;
        stage.judged(&O2, &watch("ownable", office, &next), expected).await;
    }
}

const O3: Row = Row {
    id: "ownable-3",
    finds: "ownership is to change hands in two steps, and is told at the first",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "both steps of the planned handover, by rules that name the next owner",
};

#[tokio::test(flavor = "multi_thread")]
async fn ownership_changes_hands_in_two_steps() {
    let mut stage = CaseChain::new().await;
    let office = deploy(&stage.anvil, DEPLOYER.address, "CarefulOffice", KEEPER.address.abi_encode()).await;
    let hand = |to: Address| IAccess::transferOwnershipCall { newOwner: to }.abi_encode();
    let accepts =
        format!("[[watch.normal]]\nname = \"accepts\"\ncall = \"acceptOwnership\"\nfrom = [\"{}\"]\n", GRANTEE.address);
    let next = vouch("call", "transferOwnership", &[("newOwner", &GRANTEE.address)]);
    let watchlist = watch("ownable", office, &format!("{next}{accepts}"));
    stage.when(KEEPER.address, office, hand(STRANGER.address)).await.finds(&O3, &watchlist).await;
    stage.send(STRANGER.address, office, IAccess::acceptOwnershipCall {}.abi_encode()).await;
    stage.finds(&O3, &watchlist).await;
    stage.when(STRANGER.address, office, hand(GRANTEE.address)).await;
    stage.send(GRANTEE.address, office, IAccess::acceptOwnershipCall {}.abi_encode()).await;
    stage.is_quiet(&O3, &watchlist).await;
}

// === Roles (3.6) ===

const R1: Row = Row {
    id: "access-control-1",
    finds: "a role is granted that is as good as the contract",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a keeper's rotation, by a rule that names the role and the account",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_ruling_role_is_granted() {
    let mut stage = CaseChain::new().await;
    let offices = deploy(&stage.anvil, DEPLOYER.address, "Offices", KEEPER.address.abi_encode()).await;
    let grant = |role: B256, account: Address| IAccess::grantRoleCall { role, account }.abi_encode();
    let keeper = keccak256("KEEPER_ROLE");
    let rotation = format!(
        "[[watch.normal]]\nname = \"rotation\"\ncall = \"grantRole\"\nargs = {{ role = {{ eq = \"{keeper}\" }}, account = {{ eq = \"{}\" }} }}\n",
        GRANTEE.address
    );
    let watchlist = watch("access-control", offices, &rotation);
    let both = [grant(keccak256("MINTER_ROLE"), STRANGER.address), grant(keeper, GRANTEE.address)];
    stage.tells_apart(&R1, &watchlist, [KEEPER.address, offices], both).await;
}

const R2: Row = Row {
    id: "access-control-2",
    finds: "a defender loses a role from inside another contract's call: where no node traces, its log tells",
    by: "builtin/control",
    severity: High,
    incidents: 1,
    beside: "the same, by a rule about the log that names the account",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_revoked() {
    let mut stage = CaseChain::new().await;
    stage.without_traces();
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let offices = deploy(&stage.anvil, DEPLOYER.address, "Offices", puppet.abi_encode()).await;
    let pauser = keccak256("PAUSER_ROLE");
    let make = |data: Vec<u8>| IPuppet::makeCall { to: offices, data: data.into() }.abi_encode();
    let granted = IAccess::grantRoleCall { role: pauser, account: KEEPER.address }.abi_encode();
    stage.send(KEEPER.address, puppet, make(granted)).await;
    stage.begin().await;
    let revoked = IAccess::revokeRoleCall { role: pauser, account: KEEPER.address }.abi_encode();
    stage.send(STRANGER.address, puppet, make(revoked)).await;
    stage.finds(&R2, &watch("access-control", offices, "")).await;
    let told = vouch("event", "RoleRevoked", &[("account", &KEEPER.address)]);
    stage.is_quiet(&R2, &watch("access-control", offices, &told)).await;
}

// === Code (3.9) ===

/// A proxy whose code anybody may replace, its code, and two further versions of it.
async fn engine(stage: &CaseChain) -> (Address, [Address; 3]) {
    let from = DEPLOYER.address;
    let first = deploy(&stage.anvil, from, "Engine", []).await;
    let next = [first, deploy(&stage.anvil, from, "Engine", []).await, deploy(&stage.anvil, from, "Engine", []).await];
    let arguments = (first, Bytes::from(IUpgrades::initializeCall {}.abi_encode())).abi_encode_params();
    (deploy(&stage.anvil, from, "ERC1967Proxy", arguments).await, next)
}

fn upgrade(to: Address) -> Vec<u8> {
    IUpgrades::upgradeToAndCallCall { newImplementation: to, data: Bytes::new() }.abi_encode()
}

const P1: Row = Row {
    id: "P1",
    finds: "a proxy's code is replaced from inside another contract's call by code that is not listed",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the announced release, which `registry.implementations` lists",
};

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_not_listed() {
    let mut stage = CaseChain::new().await;
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let (proxy, next) = engine(&stage).await;
    let make = |to: Address| IPuppet::makeCall { to: proxy, data: upgrade(to).into() }.abi_encode();
    let listed = format!("registry = {{ implementations = [\"{}\", \"{}\"] }}\n", next[0], next[1]);
    let rules = watch("proxy", proxy, &listed);
    stage.when(STRANGER.address, puppet, make(next[2])).await.finds(&P1, &rules).await;
    stage.send(STRANGER.address, puppet, make(next[0])).await;
    stage.when(STRANGER.address, puppet, make(next[1])).await.is_quiet(&P1, &rules).await;
}

const P1B: Row = Row {
    id: "P1-twice",
    finds: "a proxy's code is replaced twice in one transaction, and ends as listed code",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the same two versions a block apart, both of them listed",
};

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_replaced_twice() {
    let mut stage = CaseChain::new().await;
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let (proxy, next) = engine(&stage).await;
    let make = |to: Address| IPuppet::makeCall { to: proxy, data: upgrade(to).into() }.abi_encode();
    let listed = next.map(|code| format!("\"{code}\"")).join(", ");
    let listed = format!("registry = {{ implementations = [{listed}] }}\n");
    stage.begin().await;
    stage.send(STRANGER.address, puppet, make(next[1])).await;
    stage.send(STRANGER.address, puppet, make(next[2])).await;
    stage.is_quiet(&P1B, &watch("proxy", proxy, &listed)).await;
    stage.begin().await;
    let (first, second) = (upgrade(next[0]).into(), upgrade(next[1]).into());
    stage.send(STRANGER.address, puppet, IPuppet::makeTwoCall { to: proxy, first, second }.abi_encode()).await;
    stage.finds(&P1B, &watch("proxy", proxy, &listed)).await;
}

const P2: Row = Row {
    id: "P2",
    finds: "a transparent proxy's code is replaced through its ProxyAdmin",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the announced release, which `registry.implementations` lists",
};

#[tokio::test(flavor = "multi_thread")]
async fn code_replaced_through_its_admin() {
    let mut stage = CaseChain::new().await;
    let from = DEPLOYER.address;
    let (first, next) =
        (deploy(&stage.anvil, from, "Engine", []).await, deploy(&stage.anvil, from, "Engine", []).await);
    let initialize = Bytes::from(IUpgrades::initializeCall {}.abi_encode());
    let arguments = (first, KEEPER.address, initialize).abi_encode_params();
    let proxy = deploy(&stage.anvil, from, "TransparentUpgradeableProxy", arguments).await;
    // EIP-1967: keccak256("eip1967.proxy.admin") - 1.
    let slot = U256::from_be_bytes(keccak256("eip1967.proxy.admin").0) - U256::ONE;
    let admin = Address::from_word(stage.anvil.storage(proxy, slot).await);
    let call = IUpgrades::upgradeAndCallCall { proxy, implementation: next, data: Bytes::new() }.abi_encode();
    stage.when(KEEPER.address, admin, call).await.finds(&P2, &watch("proxy", proxy, "")).await;
    let listed = format!("registry = {{ implementations = [\"{first}\", \"{next}\"] }}\n");
    stage.is_quiet(&P2, &watch("proxy", proxy, &listed)).await;
}

const P3: Row = Row {
    id: "P3",
    finds: "a beacon's code is replaced, and that of every proxy behind it",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the announced release, by a rule that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_beacon_changes() {
    let mut stage = CaseChain::new().await;
    let from = DEPLOYER.address;
    let (first, next) =
        (deploy(&stage.anvil, from, "Engine", []).await, deploy(&stage.anvil, from, "Engine", []).await);
    let beacon = deploy(&stage.anvil, from, "UpgradeableBeacon", (first, KEEPER.address).abi_encode_params()).await;
    stage.begin().await;
    let call = IUpgrades::upgradeToCall { newImplementation: next }.abi_encode();
    stage.send(KEEPER.address, beacon, call).await;
    stage.finds(&P3, &watch("proxy", beacon, "")).await;
    let release = vouch("call", "upgradeTo", &[("newImplementation", &next)]);
    stage.is_quiet(&P3, &watch("proxy", beacon, &release)).await;
}

const P4: Row = Row {
    id: "P4",
    finds: "a live proxy is initialized again",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the second step of a release, by rules that name its function and its log",
};

#[tokio::test(flavor = "multi_thread")]
async fn initialized_again() {
    let mut stage = CaseChain::new().await;
    let (proxy, _) = engine(&stage).await;
    let again = "[[watch.normal]]\nname = \"again\"\ncall = \"initializeAgain()\"\n";
    stage.when(STRANGER.address, proxy, IUpgrades::initializeAgainCall {}.abi_encode()).await;
    stage.finds(&P4, &watch("proxy", proxy, again)).await;
    let log = vouch("event", "Initialized(uint64 version)", &[("version", &2)]);
    stage.is_quiet(&P4, &watch("proxy", proxy, &format!("{again}{log}"))).await;
}

const P7: Row = Row {
    id: "P7",
    finds: "a diamond is cut",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the announced cut, by a rule that names its facet",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_diamond_is_cut() {
    let mut stage = CaseChain::new().await;
    let diamond = deploy(&stage.anvil, DEPLOYER.address, "Diamond", []).await;
    let cut = |facet: Address| {
        let selectors = vec![FixedBytes([1, 2, 3, 4])];
        let cut = vec![FacetCut { facetAddress: facet, action: 0, functionSelectors: selectors }];
        IDiamond::diamondCutCall { cut, init: Address::ZERO, data: Bytes::new() }.abi_encode()
    };
    let announced = vouch("call", "diamondCut", &[("#0[*].#0", &KEEPER.address)]);
    let rules = watch("proxy", diamond, &announced);
    let both = [cut(STRANGER.address), cut(KEEPER.address)];
    stage.tells_apart(&P7, &rules, [STRANGER.address, diamond], both).await;
}

const P8: Row = Row {
    id: "P8",
    finds: "the ProxyAdmin of a proxy gets another owner",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned handover, by a rule that names the next owner",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_s_admin_gets_another_owner() {
    let mut stage = CaseChain::new().await;
    let admin = deploy(&stage.anvil, DEPLOYER.address, "ProxyAdmin", KEEPER.address.abi_encode()).await;
    let hand = |to: Address| IAccess::transferOwnershipCall { newOwner: to }.abi_encode();
    let next = vouch("call", "transferOwnership", &[("newOwner", &GRANTEE.address)]);
    stage.when(KEEPER.address, admin, hand(STRANGER.address)).await.finds(&P8, &watch("proxy", admin, &next)).await;
    stage.when(STRANGER.address, admin, hand(GRANTEE.address)).await.is_quiet(&P8, &watch("proxy", admin, &next)).await;
}
