//! What leaves from inside of a call: by a payment that arrives, by a function that calls itself a view, by a call that a rule vouches for.

use super::{CaseChain, Row, calldata, vouch, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, OWNER_A, PAYER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::deploy;
use crate::support::kit::Version;
use crate::support::safe::{SafeTx, Signer};
use crate::support::tokens::{Token, approve, transfer};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;
use serde_json::json;
use watchfire::model::Severity::{Critical, High};
use watchfire::model::{ActivityKind, Verdict};

pub(super) const ROWS: &[&Row] = &[&W1, &W2, &W3, &W4, &W5, &W6, &W7, &W8, &W_SYSTEM, &W9];

/// What a Reactor is prepared to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Calls = 1,
    Delegates,
    Looks,
    Pays,
    Creates,
    Ends,
}

/// A Reactor that holds ether and 10,000 of a listed token, which has six decimals.
struct Scene {
    stage: CaseChain,
    reactor: Address,
    coin: Token,
}

impl Scene {
    async fn new() -> Self {
        let stage = CaseChain::new().await;
        let reactor = deploy(&stage.anvil, DEPLOYER.address, "Reactor", []).await;
        let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 6, DEPLOYER.address).await;
        coin.mint(&stage.anvil, DEPLOYER.address, reactor, coin.units(10_000)).await;
        stage.anvil.set_balance(reactor, U256::from(1_000_000)).await;
        Self { stage, reactor, coin }
    }

    /// The case begins when the contract is ready.
    async fn prepare(&mut self, way: Way, target: Address, data: impl Into<Bytes>) {
        let arguments = (U256::from(way as u8), target, data.into(), U256::from(5)).abi_encode_params();
        let call = calldata("prepare(uint8,address,bytes,uint256)", arguments);
        self.stage.send(DEPLOYER.address, self.reactor, call).await;
        self.stage.begin().await;
    }

    async fn ask(&self, function: &str) {
        self.stage.send(KEEPER.address, self.reactor, calldata(function, [])).await;
    }

    /// One wei arrives from a stranger.
    async fn drop_a_wei(&self) {
        self.stage.anvil.succeed(&Tx::pay(STRANGER.address, self.reactor, U256::ONE)).await;
    }

    /// A watch of the contract by the interface that calls `peek` a view.
    fn watched(&self, rules: &str) -> String {
        self.watched_as("contract", self.reactor, rules)
    }

    fn watched_as(&self, kind: &str, address: Address, rules: &str) -> String {
        let coin = self.coin.address;
        let token = format!("[token.COIN]\nchain = \"demo\"\naddress = \"{coin}\"\ndecimals = 6\n");
        token + &watch(kind, address, &format!("abi = \"abi/Lens.json\"\n{rules}"))
    }

    fn gives(&self, n: u64) -> Bytes {
        transfer(STRANGER.address, self.coin.units(n))
    }
}

const W1: Row = Row {
    id: "W1",
    finds: "one wei arrives, and from inside of it tokens or ether leave, or a contract is made",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "one wei that is only looked at",
};

#[tokio::test(flavor = "multi_thread")]
async fn one_wei_vouches_for_nothing_that_leaves() {
    let mut scene = Scene::new().await;
    let rules = scene.watched("");
    let (coin, gives) = (scene.coin.address, scene.gives(7));
    for (way, target) in [(Way::Calls, coin), (Way::Pays, GRANTEE.address)] {
        let data = if way == Way::Calls { gives.clone() } else { Bytes::new() };
        scene.prepare(way, target, data).await;
        scene.drop_a_wei().await;
        scene.stage.finds(&W1, &rules).await;
    }
    scene.prepare(Way::Creates, coin, []).await;
    scene.drop_a_wei().await;
    assert_eq!(scene.stage.seen(&rules).await.incidents, [High]);
    scene.prepare(Way::Looks, coin, calldata("balanceOf(address)", STRANGER.address.abi_encode())).await;
    scene.drop_a_wei().await;
    scene.stage.is_quiet(&W1, &rules).await;

    // An account whose code does the same.
    let code = scene.stage.anvil.code(scene.reactor).await;
    scene.stage.anvil.rpc("anvil_setCode", json!([PAYER.address, code])).await;
    scene.reactor = PAYER.address;
    scene.coin.mint(&scene.stage.anvil, DEPLOYER.address, PAYER.address, scene.coin.units(99)).await;
    scene.prepare(Way::Calls, coin, gives).await;
    scene.drop_a_wei().await;
    let account = scene.watched_as("eoa", PAYER.address, "");
    scene.stage.finds(&W1, &account).await;
}

const W_SYSTEM: Row = Row {
    id: "W-system",
    finds: "one wei arrives, and from inside of it a contract of the chain at one of the lowest addresses is asked for something",
    by: "builtin/undecodable",
    severity: High,
    incidents: 1,
    beside: "a contract of the protocol that only computes, at any such address",
};

#[tokio::test(flavor = "multi_thread")]
async fn one_wei_vouches_for_nothing_that_a_contract_of_the_chain_is_asked() {
    let mut scene = Scene::new().await;
    let rules = scene.watched("");
    let at = |n: u64| Address::from_word(U256::from(n).into());
    let foreign = deploy(&scene.stage.anvil, DEPLOYER.address, "Foreign", []).await;
    let code = scene.stage.anvil.code(foreign).await;
    let message = calldata("sendTxToL1(address,bytes)", (STRANGER.address, Bytes::new()).abi_encode_params());
    // Where Arbitrum has its messages and its owners, and one that no chain is known to use.
    for system in [0x64, 0x70, 0x1ff] {
        scene.stage.anvil.rpc("anvil_setCode", json!([at(system), code])).await;
        scene.prepare(Way::Calls, at(system), message.clone()).await;
        scene.drop_a_wei().await;
        scene.stage.finds(&W_SYSTEM, &rules).await;
    }
    for computing in [0x02, 0x04] {
        scene.prepare(Way::Calls, at(computing), message.clone()).await;
        scene.drop_a_wei().await;
        scene.stage.is_quiet(&W_SYSTEM, &rules).await;
    }
}

const W2: Row = Row {
    id: "W2",
    finds: "one wei arrives, and from inside of it an allowance without limit is given, or every token of a collection allowed",
    by: "builtin/approval",
    severity: Critical,
    incidents: 1,
    beside: "an allowance that is taken back",
};

#[tokio::test(flavor = "multi_thread")]
async fn one_wei_vouches_for_no_allowance() {
    let mut scene = Scene::new().await;
    let rules = scene.watched("");
    let coin = scene.coin.address;
    scene.prepare(Way::Calls, coin, approve(STRANGER.address, U256::MAX)).await;
    scene.drop_a_wei().await;
    scene.stage.finds(&W2, &rules).await;
    let rule = "[[watch.normal]]\nname = \"arrives\"\ncall = \"ether\"\n";
    scene.prepare(Way::Calls, coin, approve(STRANGER.address, U256::ZERO)).await;
    scene.drop_a_wei().await;
    scene.stage.is_quiet(&W2, &scene.watched(rule)).await;
    // Where nobody traces, the token's own log says so.
    scene.prepare(Way::Calls, coin, approve(STRANGER.address, U256::MAX)).await;
    scene.drop_a_wei().await;
    scene.stage.without_traces();
    scene.stage.finds(&W2, &rules).await;
}

const W3: Row = Row {
    id: "W3",
    finds: "one wei arrives, and from inside of it somebody else's code runs, also where it is handed on as a proxy would",
    by: "builtin/delegatecall",
    severity: Critical,
    incidents: 1,
    beside: "the same code, where a rule lets it be run",
};

#[tokio::test(flavor = "multi_thread")]
async fn one_wei_vouches_for_no_foreign_code() {
    let mut scene = Scene::new().await;
    let foreign = deploy(&scene.stage.anvil, DEPLOYER.address, "Foreign", []).await;
    let lets = format!(
        "[[watch.normal]]\nname = \"library\"\nact = \"*\"\noperation = \"delegatecall\"\nto = [\"{foreign}\"]\n"
    );
    for data in [Bytes::new(), Bytes::from_static(&[0xde, 0xad, 0xbe, 0xef])] {
        scene.prepare(Way::Delegates, foreign, data).await;
        scene.drop_a_wei().await;
        scene.stage.finds(&W3, &scene.watched("")).await;
        scene.stage.is_quiet(&W3, &scene.watched(&lets)).await;
    }
}

const W4: Row = Row {
    id: "W4",
    finds: "one wei arrives, and from inside of it the owner of another contract is changed, also by calldata with twenty bytes more",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the same by a call that says `effects = \"any\"`",
};

#[tokio::test(flavor = "multi_thread")]
async fn one_wei_vouches_for_no_change_elsewhere() {
    let mut scene = Scene::new().await;
    let estate = deploy(&scene.stage.anvil, DEPLOYER.address, "Estate", []).await;
    let seize = calldata("transferOwnership(address)", STRANGER.address.abi_encode());
    scene.prepare(Way::Calls, estate, seize.clone()).await;
    scene.drop_a_wei().await;
    scene.stage.finds(&W4, &scene.watched("")).await;
    // Twenty bytes: a selector and what is left of an argument. A Safe hands on calls with as many more; nobody else does.
    scene
        .prepare(Way::Calls, deploy(&scene.stage.anvil, DEPLOYER.address, "Foreign", []).await, seize[..20].to_vec())
        .await;
    scene.drop_a_wei().await;
    assert_eq!(scene.stage.seen(&scene.watched("")).await.findings.len(), 1, "it leaves a line, and a finding");
    scene.prepare(Way::Calls, estate, seize).await;
    scene.ask("harvest()").await;
    let any = vouch("call", "harvest()", &[]) + "effects = \"any\"\n";
    scene.stage.is_quiet(&W4, &scene.watched(&any)).await;
    let call = vouch("call", "harvest()", &[]);
    scene.stage.finds(&W4, &scene.watched(&call)).await;
}

const W5: Row = Row {
    id: "W5",
    finds: "a function that the ABI calls a view moves tokens",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same function while it moves nothing",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_view_by_its_name_moves_tokens() {
    let mut scene = Scene::new().await;
    let rules = scene.watched("");
    let (coin, data) = (scene.coin.address, scene.gives(7));
    scene.prepare(Way::Looks, coin, calldata("balanceOf(address)", STRANGER.address.abi_encode())).await;
    scene.ask("peek()").await;
    scene.stage.is_quiet(&W5, &rules).await;
    scene.prepare(Way::Calls, coin, data).await;
    scene.ask("peek()").await;
    let seen = scene.stage.finds(&W5, &rules).await;
    let why = seen.judged.iter().find_map(|one| match &one.verdict {
        Verdict::Abnormal(abnormal) if abnormal.repeats.is_none() => Some(abnormal.reasons.clone()),
        _ => None,
    });
    let why = why.expect("a finding");
    assert!(why[0].starts_with("its ABI says that it changes nothing, and it calls somebody"), "{why:?}");
    scene.stage.without_traces();
    let blind = scene.stage.seen(&rules).await;
    assert_eq!(blind.findings.len(), 2, "the view, and what left: {:#?}", blind.lines);
}

const W6: Row = Row {
    id: "W6",
    finds: "a getter of a proxy moves tokens, after the proxy was given other code",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the getter before",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_getter_of_a_hijacked_proxy_moves_tokens() {
    let mut scene = Scene::new().await;
    let lens = deploy(&scene.stage.anvil, DEPLOYER.address, "Lens", []).await;
    let arguments = (lens, Bytes::from(calldata("harvest()", []))).abi_encode_params();
    let proxy = deploy(&scene.stage.anvil, DEPLOYER.address, "ERC1967Proxy", arguments).await;
    let hijacked = std::mem::replace(&mut scene.reactor, proxy);
    scene.coin.mint(&scene.stage.anvil, DEPLOYER.address, proxy, scene.coin.units(99)).await;
    let rules = scene.watched("");
    scene.stage.begin().await;
    scene.ask("peek()").await;
    scene.stage.is_quiet(&W6, &rules).await;
    let slot = U256::from_be_bytes(keccak256("eip1967.proxy.implementation").0) - U256::ONE;
    let word = json!([proxy, B256::from(slot), hijacked.into_word()]);
    scene.stage.anvil.rpc("anvil_setStorageAt", word).await;
    let (coin, data) = (scene.coin.address, scene.gives(7));
    scene.prepare(Way::Calls, coin, data).await;
    scene.ask("peek()").await;
    scene.stage.finds(&W6, &rules).await;
}

const W7: Row = Row {
    id: "W7",
    finds: "more leaves inside of a vouched call than the rule for what leaves lets go, also two calls of its own deep",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "as much as it lets go: by a rule about `act`, or about `move` with traces and without, or by `effects = \"any\"`",
};

#[tokio::test(flavor = "multi_thread")]
async fn more_leaves_inside_of_a_vouched_call() {
    let mut scene = Scene::new().await;
    let (coin, few, many) = (scene.coin.address, scene.gives(5), scene.gives(900));
    let calls = vouch("call", "harvest()", &[]) + &vouch("call", "nest()", &[]);
    let bound = "args = { amount = { max = \"5 COIN\" } }\n";
    let act = format!(
        "{calls}[[watch.normal]]\nname = \"pays\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@COIN\"\n{bound}"
    );
    let moved = format!("{calls}[[watch.normal]]\nname = \"moves\"\nmove = \"out\"\n{bound}");
    let moved = moved.replace("{ amount", &format!("{{ token = \"{coin}\", amount"));
    let (act, moved) = (scene.watched(&act), scene.watched(&moved));
    let any = scene.watched(&(vouch("call", "harvest()", &[]) + "effects = \"any\"\n"));
    scene.prepare(Way::Calls, coin, many.clone()).await;
    scene.ask("harvest()").await;
    scene.stage.is_quiet(&W7, &any).await;
    for rules in [&act, &moved, &scene.watched(&calls)] {
        scene.stage.finds(&W7, rules).await;
    }
    scene.stage.begin().await;
    scene.ask("nest()").await;
    scene.stage.finds(&W7, &act).await;
    scene.prepare(Way::Calls, coin, few).await;
    scene.ask("harvest()").await;
    scene.ask("nest()").await;
    scene.stage.is_quiet(&W7, &act).await;
    scene.stage.is_quiet(&W7, &moved).await;
    scene.stage.without_traces();
    scene.stage.is_quiet(&W7, &moved).await;
    // That a contract ends itself is vouched for by no call, whatever it says of effects.
    let mut scene = Scene::new().await;
    scene.prepare(Way::Ends, GRANTEE.address, []).await;
    scene.ask("harvest()").await;
    let any = scene.watched(&(vouch("call", "harvest()", &[]) + "effects = \"any\"\n"));
    assert_eq!(scene.stage.seen(&any).await.incidents, [Critical]);
}

const W8: Row = Row {
    id: "W8",
    finds: "a vouched deposit takes more by its allowance than the rule for it lets go; the act it happened in is named",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "what it lets go, by a rule that says inside of which call; with traces and without",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_takes_more_by_its_allowance() {
    let (mut stage, safe) = CaseChain::with_safe(Version::V1_4_1, &[OWNER_A.address], 1).await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 6, DEPLOYER.address).await;
    let pool = deploy(&stage.anvil, DEPLOYER.address, "Pool", coin.address.abi_encode()).await;
    coin.mint(&stage.anvil, DEPLOYER.address, safe.address, coin.units(1000)).await;
    let allow = SafeTx::call(coin.address, approve(pool, coin.units(1000)));
    safe.exec(&stage.anvil, OWNER_A, &allow, &[Signer::Key(OWNER_A)]).await;
    let rules = |via: &str| {
        let token = format!("[token.COIN]\nchain = \"demo\"\naddress = \"{}\"\ndecimals = 6\n", coin.address);
        let more = format!(
            "[[watch.normal]]\nname = \"deposits\"\nact = \"deposit(uint256 amount)\"\nto = [\"{pool}\"]\n\
             [[watch.normal]]\nname = \"pulled\"\nmove = \"out\"\nto = [\"{pool}\"]\n\
             args = {{ token = \"@COIN\", amount = {{ max = \"5 COIN\" }} }}\nvia = {via}\n"
        );
        token + &watch("safe", safe.address, &format!("registry = {{ threshold = 1 }}\n{more}"))
    };
    let right = rules(&format!("{{ call = \"deposit(uint256)\", of = \"{pool}\" }}"));
    let deposit = |n: u64| SafeTx::call(pool, calldata("deposit(uint256)", coin.units(n).abi_encode()));
    stage.begin().await;
    safe.exec(&stage.anvil, OWNER_A, &deposit(5), &[Signer::Key(OWNER_A)]).await;
    stage.is_quiet(&W8, &right).await;
    let wrong =
        stage.finds(&W8, &rules(&format!("{{ call = \"deposit(uint256)\", of = \"{}\" }}", GRANTEE.address))).await;
    let reasons = wrong.judged.iter().find_map(|one| match &one.verdict {
        Verdict::Abnormal(abnormal) if abnormal.repeats.is_none() => Some(abnormal.reasons.join("\n")),
        _ => None,
    });
    let reasons = reasons.expect("a finding");
    let named = format!("it happened inside deposit(uint256) of {pool}, which `deposits` vouches for");
    assert!(reasons.contains(&named), "{reasons}");
    stage.begin().await;
    safe.exec(&stage.anvil, OWNER_A, &deposit(900), &[Signer::Key(OWNER_A)]).await;
    stage.finds(&W8, &right).await;
    // Somebody else who makes the pool take it is in no deposit.
    stage.begin().await;
    stage
        .send(STRANGER.address, pool, calldata("take(address,uint256)", (safe.address, coin.units(5)).abi_encode()))
        .await;
    stage.finds(&W8, &right).await;
    stage.without_traces();
    stage.finds(&W8, &right).await;
    stage.begin().await;
    safe.exec(&stage.anvil, OWNER_A, &deposit(5), &[Signer::Key(OWNER_A)]).await;
    stage.is_quiet(&W8, &right).await;
}

const W9: Row = Row {
    id: "W9",
    finds: "a call that nothing vouches for sends tokens away: what it sends is a finding of its own, beside the call",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same by rules for the call and for what it sends",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_unvouched_call_sends_tokens_away() {
    let mut scene = Scene::new().await;
    let (coin, most) = (scene.coin.address, scene.gives(4_000));
    scene.prepare(Way::Calls, coin, most).await;
    scene.ask("harvest()").await;
    let nothing = scene.watched("");
    let seen = scene.stage.finds(&W9, &nothing).await;
    let told = |kind: ActivityKind| {
        seen.judged.iter().any(|one| {
            let own = matches!(&one.verdict, Verdict::Abnormal(abnormal) if abnormal.repeats.is_none());
            own && one.activity.kind == kind
        })
    };
    assert!(told(ActivityKind::Call) && told(ActivityKind::Act), "{:#?}", seen.lines);
    let pays = "[[watch.normal]]\nname = \"pays\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@COIN\"\n";
    let vouched = scene.watched(&(vouch("call", "harvest()", &[]) + pays));
    scene.stage.is_quiet(&W9, &vouched).await;
}
