//! A name in ENS: found by its hash, whichever of its contracts writes it down.

use super::{CaseChain, Row, calldata, vouch, watch};
use crate::support::accounts::{DEPLOYER, KEEPER, STRANGER};
use crate::support::contracts::deploy;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use watchfire::decode::Name;
use watchfire::model::Severity::{Critical, High, Warning};

pub(super) const ROWS: &[&Row] = &[&M1, &M2, &M3, &M4, &M5, &M6, &M7, &M8, &M9, &M10];

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
async fn stage() -> (CaseChain, Address, Address) {
    let stage = CaseChain::new().await;
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
    let renew = INames::renewCall { name: "treasury".to_owned(), duration: U256::from(31_536_000) };
    stage.send(STRANGER.address, book, renew.abi_encode()).await;
    stage.send(STRANGER.address, forger, give.clone()).await;
    stage.is_quiet(&M1, &rules(book, "")).await;
    stage.when(STRANGER.address, book, give).await.finds(&M1, &rules(book, "")).await;
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
    stage.when(STRANGER.address, book, give("treasurx")).await;
    let nothing = stage.seen(&rules(book, "")).await;
    assert!(nothing.lines.is_empty(), "another name is nobody's here: {:?}", nothing.lines);
    stage.when(STRANGER.address, book, give("treasury")).await.finds(&M2, &rules(book, "")).await;
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
    let rules = rules(book, &planned);
    let both = [set(STRANGER.address), set(KEEPER.address)];
    stage.tells_apart(&M3, &rules, [STRANGER.address, book], both).await;
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
    stage.when(STRANGER.address, book, set(Bytes::from_static(&[0xe3, 0x02]))).await;
    let below = INames::setSubnodeOwnerCall { node: ours().node, label: B256::ZERO, owner: STRANGER.address };
    stage.send(STRANGER.address, book, below.abi_encode()).await;
    let seen = stage.finds(&M4, &rules(book, release)).await;
    assert_eq!(seen.findings.len(), 2, "{:#?}", seen.findings);
    stage.when(STRANGER.address, book, set(Bytes::from_static(&[0xe3, 0x01]))).await;
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
    stage.tells_apart(&M5, &rules(book, avatar), [STRANGER.address, book], [set("url"), set("avatar")]).await;
}

const M6: Row = Row {
    id: "ens-6",
    finds: "the name is looked up elsewhere: whoever has the resolver has every record",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the announced resolver, by a rule about the log that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_resolver_changes() {
    let (mut stage, book, _) = stage().await;
    let set = |to: Address| calldata("setResolver(bytes32,address)", (ours().node, to).abi_encode());
    let rules = rules(book, &vouch("event", "NewResolver", &[("resolver", &KEEPER.address)]));
    let both = [STRANGER, KEEPER].map(|to| set(to.address));
    stage.tells_apart(&M6, &rules, [STRANGER.address, book], both).await;
}

const M7: Row = Row {
    id: "ens-7",
    finds: "the name is wrapped, and what may be done with it from then on is limited",
    by: "builtin/control",
    severity: High,
    incidents: 1,
    beside: "the announced limits, by rules about both logs; and another name",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_name_is_wrapped() {
    let (mut stage, book, _) = stage().await;
    let wrap = |label: &str| {
        let labels =
            [label, "eth"].map(|label| [&[u8::try_from(label.len()).expect("short")], label.as_bytes()].concat());
        let name = Bytes::from([labels.concat(), vec![0]].concat());
        calldata("wrap(bytes,address,address)", (name, KEEPER.address, Address::ZERO).abi_encode_params())
    };
    let burn = |fuses: u16| calldata("setFuses(bytes32,uint16)", (ours().node, fuses).abi_encode());
    let announced =
        [vouch("event", "NameWrapped", &[("owner", &KEEPER.address)]), vouch("event", "FusesSet", &[("fuses", &1)])];
    stage.when(KEEPER.address, book, wrap("treasury")).await;
    stage.send(KEEPER.address, book, burn(1)).await;
    let seen = stage.finds(&M7, &rules(book, "")).await;
    assert_eq!(seen.findings.len(), 2, "{:#?}", seen.findings);
    stage.send(STRANGER.address, book, wrap("treasurx")).await;
    stage.is_quiet(&M7, &rules(book, &announced.concat())).await;
    stage.when(STRANGER.address, book, burn(17)).await.finds(&M7, &rules(book, &announced.concat())).await;
}

const M8: Row = Row {
    id: "ens-8",
    finds: "the account that owns names makes somebody an operator of all of them",
    by: "builtin/approval",
    severity: Critical,
    incidents: 1,
    beside: "an operator that is taken away, by a rule that lets that be done",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_all_names_is_made() {
    let (mut stage, book, _) = stage().await;
    let set = |on: bool| calldata("setApprovalForAll(address,bool)", (STRANGER.address, on).abi_encode());
    let taken = vouch("act", "setApprovalForAll(address operator, bool approved)", &[("approved", &false)]);
    let rules = watch("eoa", KEEPER.address, &taken);
    stage.tells_apart(&M8, &rules, [KEEPER.address, book], [set(true), set(false)]).await;
}

const M9: Row = Row {
    id: "ens-9",
    finds: "somebody may register names from now on, and take those that ran out: of every name below `eth`",
    by: "builtin/control",
    severity: High,
    incidents: 1,
    beside: "the announced controller, by a rule about the log that names it; and the same log by a contract that is none of ENS's",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_may_register_names() {
    let (mut stage, book, forger) = stage().await;
    let add = |who: Address| calldata("addController(address)", who.abi_encode());
    stage.when(STRANGER.address, forger, add(STRANGER.address)).await;
    let nothing = stage.seen(&rules(book, "")).await;
    assert!(nothing.lines.is_empty(), "anybody says that of himself: {:?}", nothing.lines);
    let rules = rules(book, &vouch("event", "ControllerAdded", &[("#0", &KEEPER.address)]));
    let both = [STRANGER, KEEPER].map(|who| add(who.address));
    stage.tells_apart(&M9, &rules, [STRANGER.address, book], both).await;
}

const M10: Row = Row {
    id: "ens-10",
    finds: "the name is registered for less than sixty days",
    by: "builtin/posture",
    severity: Warning,
    incidents: 1,
    beside: "the same name, renewed for a year by whomever; and one that the registrar does not know",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_name_runs_out() {
    let (mut stage, book, _) = stage().await;
    let renew =
        |days: u64| INames::renewCall { name: "treasury".to_owned(), duration: U256::from(days * 86_400) }.abi_encode();
    stage.begin().await;
    // Nothing touches a name as it runs out: it is looked at every fifty blocks.
    stage.anvil.mine(51).await;
    let nothing = stage.seen(&rules(book, "")).await;
    assert!(nothing.lines.is_empty(), "it is not registered here: {:?}", nothing.lines);
    stage.send(STRANGER.address, book, renew(365)).await;
    stage.anvil.mine(51).await;
    stage.is_quiet(&M10, &rules(book, "")).await;
    stage.anvil.set_next_timestamp(stage.anvil.now().await + 306 * 86_400).await;
    stage.anvil.mine(51).await;
    let seen = stage.finds(&M10, &rules(book, "")).await;
    assert!(seen.headlines[0].contains("is registered until 20"), "{:?}", seen.headlines);
    stage.send(STRANGER.address, book, renew(365)).await;
    stage.anvil.mine(51).await;
    assert_eq!(stage.seen(&rules(book, "")).await.findings.len(), 1, "it is told once");
}
