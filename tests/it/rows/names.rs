//! A name in ENS: found by its hash, whichever of its contracts writes it down.

use super::{Row, Stage, watch};
use crate::support::accounts::{DEPLOYER, KEEPER, STRANGER};
use crate::support::contracts::deploy;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, sol};
use watchfire::decode::Name;
use watchfire::model::Severity::{Critical, Warning};

pub(super) const ROWS: &[&Row] = &[&M1, &M2, &M3, &M4, &M5];

sol! {
    interface INames {
        function setOwner(bytes32 node, address owner);
        function setSubnodeOwner(bytes32 node, bytes32 label, address owner) returns (bytes32);
        function setAddr(bytes32 node, address a);
        function setContenthash(bytes32 node, bytes hash);
        function setText(bytes32 node, string key, string value);
        function renew(string name, uint256 duration);
        function safeTransferFrom(address from, address to, uint256 tokenId);
    }
}

fn ours() -> Name {
    Name::parse("treasury.eth").expect("a name")
}

/// A registry that is everything at once, and a second contract that writes down what it is asked to but counts for nothing.
async fn stage() -> (Stage, Address, Address) {
    let stage = Stage::new().await;
    let book = deploy(&stage.anvil, DEPLOYER.address, "NameBook", []).await;
    let forger = deploy(&stage.anvil, DEPLOYER.address, "NameBook", []).await;
    (stage, book, forger)
}

fn rules(book: Address, more: &str) -> String {
    watch("ens-name", book, &format!("node = \"treasury.eth\"\n{more}"))
}

const M1: Row = Row {
    id: "ens-1",
    finds: "the name is given to somebody else in the registry",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a renewal, which anybody may pay for; and the same log by a contract that is none of ENS's",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_name_changes_hands() {
    let (mut stage, book, forger) = stage().await;
    let give = INames::setOwnerCall { node: ours().node, owner: STRANGER.address }.abi_encode();
    stage.begin().await;
    let renew = INames::renewCall { name: "treasury".to_owned(), duration: U256::from(1) };
    stage.send(STRANGER.address, book, renew.abi_encode()).await;
    stage.send(STRANGER.address, forger, give.clone()).await;
    stage.is_quiet(&M1, &rules(book, "")).await;
    stage.begin().await;
    stage.send(STRANGER.address, book, give).await;
    stage.finds(&M1, &rules(book, "")).await;
}

const M2: Row = Row {
    id: "ens-2",
    finds: "the token of the name changes hands, which is the hash of its label",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the token of another name",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_the_name_changes_hands() {
    let (mut stage, book, _) = stage().await;
    let give = |label: &str| {
        let (from, to) = (KEEPER.address, STRANGER.address);
        INames::safeTransferFromCall { from, to, tokenId: U256::from_be_bytes(keccak256(label).0) }.abi_encode()
    };
    stage.begin().await;
    stage.send(STRANGER.address, book, give("treasurx")).await;
    let nothing = stage.seen(&rules(book, "")).await;
    assert!(nothing.lines.is_empty(), "another name is nobody's here: {:?}", nothing.lines);
    stage.begin().await;
    stage.send(STRANGER.address, book, give("treasury")).await;
    stage.finds(&M2, &rules(book, "")).await;
}

const M3: Row = Row {
    id: "ens-3",
    finds: "the address behind the name changes: payments follow it",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned change, by a rule about the log that names the address",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_address_changes() {
    let (mut stage, book, _) = stage().await;
    let set = |a: Address| INames::setAddrCall { node: ours().node, a }.abi_encode();
    let planned = format!(
        "[[watch.normal]]\nname = \"planned\"\nevent = \"AddrChanged\"\nargs = {{ \"#1\" = {{ eq = \"{}\" }} }}\n",
        KEEPER.address
    );
    stage.begin().await;
    stage.send(STRANGER.address, book, set(STRANGER.address)).await;
    stage.finds(&M3, &rules(book, &planned)).await;
    stage.begin().await;
    stage.send(STRANGER.address, book, set(KEEPER.address)).await;
    stage.is_quiet(&M3, &rules(book, &planned)).await;
}

const M4: Row = Row {
    id: "ens-4",
    finds: "the site behind the name changes, or a name below is given away",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a release of the site, by a rule about the log that names its content",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_site_changes() {
    let (mut stage, book, _) = stage().await;
    let set = |hash: Bytes| INames::setContenthashCall { node: ours().node, hash }.abi_encode();
    let release =
        "[[watch.normal]]\nname = \"release\"\nevent = \"ContenthashChanged\"\nargs = { hash = { eq = \"0xe301\" } }\n";
    stage.begin().await;
    stage.send(STRANGER.address, book, set(Bytes::from_static(&[0xe3, 0x02]))).await;
    let below = INames::setSubnodeOwnerCall { node: ours().node, label: B256::ZERO, owner: STRANGER.address };
    stage.send(STRANGER.address, book, below.abi_encode()).await;
    let seen = stage.finds(&M4, &rules(book, release)).await;
    assert_eq!(seen.findings.len(), 2, "{:#?}", seen.findings);
    stage.begin().await;
    stage.send(STRANGER.address, book, set(Bytes::from_static(&[0xe3, 0x01]))).await;
    stage.is_quiet(&M4, &rules(book, release)).await;
}

const M5: Row = Row {
    id: "ens-5",
    finds: "a text record of the name changes",
    by: "builtin/control",
    severity: Warning,
    incidents: 1,
    beside: "the avatar, by a rule about the log that names the record",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_text_changes() {
    let (mut stage, book, _) = stage().await;
    let set =
        |key: &str| INames::setTextCall { node: ours().node, key: key.to_owned(), value: "x".to_owned() }.abi_encode();
    let avatar = "[[watch.normal]]\nname = \"avatar\"\nevent = \"TextChanged(bytes32 indexed node, string indexed indexedKey, string key, string value)\"\n\
                  args = { key = { eq = \"avatar\" } }\n";
    stage.begin().await;
    stage.send(STRANGER.address, book, set("url")).await;
    stage.finds(&M5, &rules(book, avatar)).await;
    stage.begin().await;
    stage.send(STRANGER.address, book, set("avatar")).await;
    stage.is_quiet(&M5, &rules(book, avatar)).await;
}
