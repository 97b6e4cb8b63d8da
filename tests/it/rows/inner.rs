//! What leaves inside of a call that nobody vouches for, and contracts that come to stand at a watched address.

use super::{CaseChain, Row, pays, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::{artifact, deploy};
use crate::support::tokens::{Token, transfer};
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_sol_types::SolValue;
use watchfire::model::Severity::{Critical, High};

pub(super) const ROWS: &[&Row] = &[&T9_INSIDE, &T9_INSIDE_PART, &U20, &U20_PLAIN];

/// Makes a contract by `CREATE2` of the code behind a salt, on every chain. Source: deterministic-deployment-proxy by Arachnid.
const FACTORY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

fn call(signature: &str, arguments: impl AsRef<[u8]>) -> Bytes {
    [&keccak256(signature)[..4], arguments.as_ref()].concat().into()
}

const T9_INSIDE: Row = Row {
    id: "T9-inside",
    finds: "most of a token, or of the ether, leaves inside of a call that no rule vouches for",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "the same, by a rule about the act",
};

const T9_INSIDE_PART: Row = Row {
    id: "T9-inside-part",
    finds: "a part of it leaves so",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same, by a rule about the act",
};

/// A contract that holds a thousand wei and a hundred coins, and gives away what was prepared whenever it is called.
async fn purse() -> (CaseChain, Token, Address) {
    let stage = CaseChain::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    let reactor = deploy(&stage.anvil, DEPLOYER.address, "Reactor", []).await;
    (stage, coin, reactor)
}

#[tokio::test(flavor = "multi_thread")]
async fn most_of_a_holding_that_leaves_inside_of_a_call_is_critical_and_a_part_of_it_high() {
    let (mut stage, coin, reactor) = purse().await;
    let way = |n: u8, target: Address, data: Bytes, wei: u64| {
        call("prepare(uint8,address,bytes,uint256)", (U256::from(n), target, data, U256::from(wei)).abi_encode_params())
    };
    let token = |n: u64| way(1, coin.address, transfer(STRANGER.address, coin.units(n)), 0);
    let ether = |wei: u64| way(4, STRANGER.address, Bytes::new(), wei);
    let lets = "[[watch.normal]]\nname = \"pays\"\nact = \"ether\"\n[[watch.normal]]\nname = \"sends\"\nact = \"transfer(address to, uint256 amount)\"\n";
    let harvest = "[[watch.normal]]\nname = \"harvests\"\ncall = \"harvest()\"\n";
    let listed = format!("[token.COIN]\nchain = \"demo\"\naddress = \"{}\"\ndecimals = 18\n", coin.address);
    for (prepared, mostly) in [(token(40), false), (token(60), true), (ether(400), false), (ether(600), true)] {
        for asked in [call("harvest()", []), call("nest()", [])] {
            stage.anvil.set_balance(reactor, U256::from(1_000)).await;
            let held = coin.balance(&stage.anvil, reactor).await;
            coin.mint(&stage.anvil, DEPLOYER.address, reactor, coin.units(100) - held).await;
            stage.send(DEPLOYER.address, reactor, prepared.clone()).await;
            // What the contract holds is known before anything happens.
            stage.begin().await;
            stage.anvil.mine(2).await;
            stage.send(KEEPER.address, reactor, asked.clone()).await;
            for list in [String::new(), listed.clone()] {
                // Whoever vouches for the call vouches for nothing that goes out in it.
                for rules in ["", harvest] {
                    let list = list.clone() + &watch("contract", reactor, rules);
                    if mostly {
                        stage.finds(&T9_INSIDE, &list).await;
                    } else {
                        stage.finds(&T9_INSIDE_PART, &list).await;
                    }
                }
                let vouched = list
                    + &watch(
                        "contract",
                        reactor,
                        &format!("{lets}{harvest}[[watch.normal]]\nname = \"nests\"\ncall = \"nest()\"\n"),
                    );
                stage.is_quiet(&T9_INSIDE, &vouched).await;
            }
        }
    }
    // Without traces the balance says it: as loud, and louder where a part of the ether is gone.
    for (prepared, severity) in [(token(60), Critical), (ether(600), Critical), (ether(400), Critical)] {
        stage.anvil.set_balance(reactor, U256::from(1_000)).await;
        let held = coin.balance(&stage.anvil, reactor).await;
        coin.mint(&stage.anvil, DEPLOYER.address, reactor, coin.units(100) - held).await;
        stage.send(DEPLOYER.address, reactor, prepared).await;
        stage.begin().await;
        stage.anvil.mine(2).await;
        stage.send(KEEPER.address, reactor, call("harvest()", [])).await;
        stage.trace(false);
        let seen = stage.seen(&(listed.clone() + &watch("contract", reactor, harvest))).await;
        stage.trace(true);
        assert_eq!(seen.incidents.iter().max(), Some(&severity), "{:#?}", seen.lines);
    }
}

const U20: Row = Row {
    id: "U20",
    finds: "a contract is made at the watched address, by another contract (CREATE2)",
    by: "builtin/creation",
    severity: Critical,
    incidents: 1,
    beside: "the same, by a rule that names the factory",
};

const U20_PLAIN: Row = Row {
    id: "U20-plain",
    finds: "a contract is made at the watched address by a transaction of its own, where no node traces",
    by: "builtin/creation",
    severity: Critical,
    incidents: 1,
    beside: "the same, by a rule that names who may",
};

fn made_by(who: Address) -> String {
    format!("{}[[watch.normal]]\nname = \"founded\"\ncall = \"creation\"\nfrom = [\"{who}\"]\n", pays(GRANTEE.address))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_is_made_at_a_watched_address_is_told_in_its_own_block() {
    let mut stage = CaseChain::new().await;
    let code = artifact("Reactor").bytecode;
    let salt = B256::repeat_byte(7);
    let own = FACTORY.create2_from_code(salt, &code);
    let found = Bytes::from([salt.as_slice(), &code].concat());
    stage.when(STRANGER.address, FACTORY, found).await;
    assert!(!stage.anvil.code(own).await.is_empty(), "it stands there");
    let seen = stage.finds(&U20, &watch("contract", own, "")).await;
    assert!(seen.headlines.iter().any(|line| line.contains("created a contract at")), "{:#?}", seen.headlines);
    stage.finds(&U20, &watch("contract", own, &made_by(STRANGER.address))).await;
    stage.is_quiet(&U20, &watch("contract", own, &made_by(FACTORY))).await;
    stage.without_traces();
    stage.begin().await;
    let own = deploy(&stage.anvil, KEEPER.address, "Reactor", []).await;
    stage.finds(&U20_PLAIN, &watch("contract", own, "")).await;
    stage.finds(&U20_PLAIN, &watch("contract", own, &made_by(STRANGER.address))).await;
    stage.is_quiet(&U20_PLAIN, &watch("contract", own, &made_by(KEEPER.address))).await;
    // One that reverts makes nothing.
    stage.begin().await;
    let nonce = stage.anvil.sent_by(KEEPER.address, stage.anvil.block_number().await).await;
    let failing = Tx { to: None, ..Tx::call(KEEPER.address, own, [0xfd]) };
    assert!(!stage.anvil.transact(&failing).await.succeeded());
    let nothing = stage.seen(&watch("contract", KEEPER.address.create(nonce), "")).await;
    assert!(!nothing.findings.iter().any(|line| line.contains("creation")), "{:#?}", nothing.findings);
}
