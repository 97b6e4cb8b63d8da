//! Safes.

use super::{CaseChain, Row, pays, watch};
use crate::support::abi::{IPayModule, ISafe};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, OWNER_A, OWNER_B, OWNER_C, RELAYER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::deploy;
use crate::support::kit::{Kit, Version};
use crate::support::safe::{Safe, SafeTx};
use crate::support::tokens::{Token, approve, transfer};
use crate::support::treasury::{SIGNERS, ether};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use watchfire::model::Severity::{Critical, High, Warning};

pub(super) const ROWS: &[&Row] =
    &[&S1, &S2, &S4, &S5, &S6, &S7, &S8, &S8B, &S9, &S10, &S11, &S12, &S13, &S14, &S16, &T2];

const OWNERS: [Address; 3] = [OWNER_A.address, OWNER_B.address, OWNER_C.address];

async fn stage() -> (CaseChain, Safe) {
    CaseChain::with_safe(Version::V1_4_1, &OWNERS, 2).await
}

async fn run(stage: &CaseChain, safe: &Safe, tx: SafeTx) {
    safe.exec(&stage.anvil, RELAYER, &tx, &SIGNERS).await;
}

/// Calls a function of the Safe itself, as its owners do to change it.
async fn change(stage: &CaseChain, safe: &Safe, call: impl SolCall) {
    run(stage, safe, SafeTx::call(safe.address, call.abi_encode())).await;
}

/// The watched Safe pays the grantee, and does what else `more` says.
fn rules(safe: &Safe, more: &str) -> String {
    let pays = pays(GRANTEE.address);
    watch("safe", safe.address, &format!("{pays}{more}"))
}

/// A change that was announced: exactly this function with exactly this argument.
fn planned(safe: &Safe, function: &str, argument: &str, value: Address) -> String {
    let rule = format!(
        "[[watch.normal]]\nname = \"planned\"\nact = \"{function}\"\nto = [\"{}\"]\nargs = {{ {argument} = {{ eq = \"{value}\" }} }}\n",
        safe.address
    );
    rules(safe, &rule)
}

const S1: Row = Row {
    id: "S1",
    finds: "foreign code runs as the Safe by delegatecall",
    by: "builtin/delegatecall",
    severity: Critical,
    incidents: 1,
    beside: "a batch through MultiSend, which is known by its address and stands for its items",
};

#[tokio::test(flavor = "multi_thread")]
async fn foreign_code_by_delegatecall() {
    let (mut stage, safe) = stage().await;
    let thief = deploy(&stage.anvil, DEPLOYER.address, "SlotThief", []).await;
    let pay = || SafeTx::pay(GRANTEE.address, ether(1));
    stage.begin().await;
    run(&stage, &safe, safe.batch(&[pay(), pay()])).await;
    stage.is_quiet(&S1, &rules(&safe, "")).await;
    stage.begin().await;
    run(&stage, &safe, SafeTx::delegate(thief, transfer(STRANGER.address, U256::ZERO))).await;
    stage.finds(&S1, &rules(&safe, "")).await;
}

const S2: Row = Row {
    id: "S2",
    finds: "a batch hides a delegatecall among its payments",
    by: "builtin/delegatecall",
    severity: Critical,
    incidents: 1,
    beside: "the same payments alone, each by the rule about payments",
};

#[tokio::test(flavor = "multi_thread")]
async fn foreign_code_inside_a_batch() {
    let (mut stage, safe) = stage().await;
    let thief = deploy(&stage.anvil, DEPLOYER.address, "SlotThief", []).await;
    let pay = || SafeTx::pay(GRANTEE.address, ether(1));
    stage.begin().await;
    run(&stage, &safe, safe.batch(&[pay(), pay()])).await;
    stage.is_quiet(&S2, &rules(&safe, "")).await;
    stage.begin().await;
    let hidden = SafeTx::delegate(thief, transfer(STRANGER.address, U256::ZERO));
    run(&stage, &safe, safe.batch(&[pay(), hidden])).await;
    stage.finds(&S2, &rules(&safe, "")).await;
}

const S4: Row = Row {
    id: "S4",
    finds: "an owner is added",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned rotation, by a rule that names the new owner",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_added() {
    let (mut stage, safe) = stage().await;
    stage.begin().await;
    change(&stage, &safe, ISafe::addOwnerWithThresholdCall { owner: STRANGER.address, threshold: U256::ONE }).await;
    stage.finds(&S4, &planned(&safe, "addOwnerWithThreshold", "owner", KEEPER.address)).await;
    stage.begin().await;
    change(&stage, &safe, ISafe::addOwnerWithThresholdCall { owner: KEEPER.address, threshold: U256::from(2) }).await;
    stage.is_quiet(&S4, &planned(&safe, "addOwnerWithThreshold", "owner", KEEPER.address)).await;
}

const S5: Row = Row {
    id: "S5",
    finds: "a module is enabled, which moves everything without signatures",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned module, by a rule that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_enabled() {
    let (mut stage, safe) = stage().await;
    let watchlist = planned(&safe, "enableModule", "module", KEEPER.address);
    stage.begin().await;
    change(&stage, &safe, ISafe::enableModuleCall { module: KEEPER.address }).await;
    stage.is_quiet(&S5, &watchlist).await;
    stage.begin().await;
    change(&stage, &safe, ISafe::enableModuleCall { module: STRANGER.address }).await;
    stage.finds(&S5, &watchlist).await;
}

const S6: Row = Row {
    id: "S6",
    finds: "the guard is taken away",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the same, by a rule that names the guard to be set",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_is_taken_away() {
    let (mut stage, safe) = stage().await;
    stage.begin().await;
    change(&stage, &safe, ISafe::setGuardCall { guard: Address::ZERO }).await;
    stage.finds(&S6, &planned(&safe, "setGuard", "guard", KEEPER.address)).await;
    stage.is_quiet(&S6, &planned(&safe, "setGuard", "guard", Address::ZERO)).await;
}

const S7: Row = Row {
    id: "S7",
    finds: "the fallback handler changes",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "an upgrade of the handler, by a rule that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_fallback_handler_changes() {
    let (mut stage, safe) = stage().await;
    let set = |handler: Address| {
        let data = [&[0xf0, 0x8a, 0x03, 0x23][..], &handler.abi_encode()].concat();
        SafeTx::call(safe.address, data)
    };
    let watchlist = planned(&safe, "setFallbackHandler", "handler", safe.kit.fallback_handler);
    stage.begin().await;
    run(&stage, &safe, set(STRANGER.address)).await;
    stage.finds(&S7, &watchlist).await;
    stage.begin().await;
    run(&stage, &safe, set(safe.kit.fallback_handler)).await;
    stage.is_quiet(&S7, &watchlist).await;
}

const S8: Row = Row {
    id: "S8",
    finds: "a module takes ether from inside its own call",
    by: "builtin/module",
    severity: Critical,
    incidents: 1,
    beside: "the module that `registry.modules` lists, doing what a rule vouches for",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_acts() {
    let (mut stage, safe, module) = with_module().await;
    stage.when(KEEPER.address, module, paid_by(&safe)).await.finds(&S8, &rules(&safe, "")).await;
    let listed = format!("path = \"duty\"\nregistry = {{ modules = [\"{module}\"] }}\n");
    stage.is_quiet(&S8, &rules(&safe, "").replace("path = \"duty\"\n", &listed)).await;
}

const S8B: Row = Row {
    id: "S8-logs",
    finds: "the same where no node traces: the Safe's own log tells that a module acted",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "the listed module, by a rule about that log",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_acts_unseen() {
    let (mut stage, safe, module) = with_module().await;
    stage.without_traces();
    stage.when(KEEPER.address, module, paid_by(&safe)).await.finds(&S8B, &rules(&safe, "")).await;
    let listed = format!("path = \"duty\"\nregistry = {{ modules = [\"{module}\"] }}\n");
    let rules = |more| rules(&safe, more).replace("path = \"duty\"\n", &listed);
    let listed = format!(
        "[[watch.normal]]\nname = \"module\"\nevent = \"ExecutionFromModuleSuccess\"\nargs = {{ module = {{ eq = \"{module}\" }} }}\n"
    );
    stage.is_quiet(&S8B, &rules(&listed)).await;
}

/// A Safe with a module that the keeper may pay through.
async fn with_module() -> (CaseChain, Safe, Address) {
    let (stage, safe) = stage().await;
    let module = deploy(&stage.anvil, DEPLOYER.address, "PayModule", KEEPER.address.abi_encode()).await;
    safe.enable_module(&stage.anvil, module, &[OWNER_A, OWNER_B]).await;
    (stage, safe, module)
}

/// An ether for the grantee.
fn paid_by(safe: &Safe) -> Vec<u8> {
    let (token, to) = (Address::ZERO, GRANTEE.address);
    IPayModule::payCall { safe: safe.address, token, to, amount: ether(1) }.abi_encode()
}

const S9: Row = Row {
    id: "S9",
    finds: "ether leaves for somebody who is not listed",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same sum for a listed payee",
};

#[tokio::test(flavor = "multi_thread")]
async fn money_for_somebody_unlisted() {
    let (mut stage, safe) = stage().await;
    stage.begin().await;
    run(&stage, &safe, SafeTx::pay(STRANGER.address, ether(1))).await;
    stage.finds(&S9, &rules(&safe, "")).await;
    stage.begin().await;
    run(&stage, &safe, SafeTx::pay(GRANTEE.address, ether(1))).await;
    stage.is_quiet(&S9, &rules(&safe, "")).await;
}

const S10: Row = Row {
    id: "S10",
    finds: "the Safe refunds its execution to somebody who is not listed",
    by: "builtin/refund",
    severity: Critical,
    incidents: 1,
    beside: "a refund to the relayer that `refund_receivers` lists",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_to_somebody_unlisted() {
    let (mut stage, safe) = stage().await;
    let refunding = |receiver| SafeTx {
        base_gas: 10_000,
        gas_price: 1,
        refund_receiver: receiver,
        ..SafeTx::pay(GRANTEE.address, ether(1))
    };
    let watchlist = rules(&safe, "");
    let watchlist = watchlist
        .replace("path = \"duty\"\n", &format!("path = \"duty\"\nrefund_receivers = [\"{}\"]\n", RELAYER.address));
    stage.begin().await;
    run(&stage, &safe, refunding(STRANGER.address)).await;
    stage.finds(&S10, &watchlist).await;
    stage.begin().await;
    run(&stage, &safe, refunding(RELAYER.address)).await;
    stage.is_quiet(&S10, &watchlist).await;
}

const S11: Row = Row {
    id: "S11",
    finds: "a payment fails inside a transaction that succeeds",
    by: "builtin/inner-failure",
    severity: Warning,
    incidents: 1,
    beside: "the same payment when there is money for it",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_fails_inside() {
    let (mut stage, safe) = stage().await;
    let pay = |n| SafeTx::pay(GRANTEE.address, ether(n)).with_safe_tx_gas(50_000);
    stage.begin().await;
    run(&stage, &safe, pay(1_000)).await;
    stage.finds(&S11, &rules(&safe, "")).await;
    stage.begin().await;
    run(&stage, &safe, pay(1)).await;
    stage.is_quiet(&S11, &rules(&safe, "")).await;
}

const S12: Row = Row {
    id: "S12",
    finds: "a function is called that no Safe has",
    by: "builtin/undecodable",
    severity: Critical,
    incidents: 1,
    beside: "the callback of a token that arrives, which the handler answers and which changes nothing",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_no_safe_has() {
    let (mut stage, safe) = stage().await;
    // `onERC721Received(address,address,uint256,bytes)`, as a collection calls it.
    let arrival = (DEPLOYER.address, STRANGER.address, U256::ONE, Bytes::new()).abi_encode_params();
    stage.when(STRANGER.address, safe.address, [&[0x15, 0x0b, 0x7a, 0x02][..], &arrival].concat()).await;
    stage.is_quiet(&S12, &rules(&safe, "")).await;
    stage.begin().await;
    let tx =
        Tx::call(STRANGER.address, safe.address, [&[0x11, 0x63, 0xb2, 0xb0][..], &U256::ONE.abi_encode()].concat());
    if !stage.anvil.transact(&tx).await.succeeded() {
        // This version's handler refuses what it does not know: without one the Safe takes anything.
        let none = [&[0xf0, 0x8a, 0x03, 0x23][..], &Address::ZERO.abi_encode()].concat();
        run(&stage, &safe, SafeTx::call(safe.address, none)).await;
        stage.begin().await;
        assert!(stage.anvil.transact(&tx).await.succeeded(), "a Safe without a handler takes any call");
    }
    stage.finds(&S12, &rules(&safe, "")).await;
}

const S13: Row = Row {
    id: "S13",
    finds: "somebody unknown carries what the owners signed",
    by: "builtin/executor",
    severity: Warning,
    incidents: 1,
    beside: "the relayer that `executors` lists, and a module that the registry lists, which needs nobody's signature",
};

#[tokio::test(flavor = "multi_thread")]
async fn carried_by_somebody_unknown() {
    let (mut stage, safe) = stage().await;
    let watchlist = rules(&safe, "");
    let watchlist =
        watchlist.replace("path = \"duty\"\n", &format!("path = \"duty\"\nexecutors = [\"{}\"]\n", RELAYER.address));
    let pay = SafeTx::pay(GRANTEE.address, ether(1));
    stage.begin().await;
    safe.exec(&stage.anvil, STRANGER, &pay, &SIGNERS).await;
    stage.finds(&S13, &watchlist).await;
    stage.begin().await;
    safe.exec(&stage.anvil, RELAYER, &pay, &SIGNERS).await;
    stage.is_quiet(&S13, &watchlist).await;
    let module = deploy(&stage.anvil, DEPLOYER.address, "PayModule", KEEPER.address.abi_encode()).await;
    safe.enable_module(&stage.anvil, module, &[OWNER_A, OWNER_B]).await;
    let listed = format!("path = \"duty\"\nregistry = {{ modules = [\"{module}\"] }}\n");
    stage.when(KEEPER.address, module, paid_by(&safe)).await;
    stage.is_quiet(&S13, &watchlist.replace("path = \"duty\"\n", &listed)).await;
}

const S14: Row = Row {
    id: "S14-logs",
    finds: "an owner approves a hash on chain",
    by: "builtin/unvouched",
    severity: Warning,
    incidents: 1,
    beside: "an owner who always does so, by a rule that names him",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_is_approved() {
    let (mut stage, safe) = stage().await;
    let approve = || ISafe::approveHashCall { hashToApprove: alloy_primitives::B256::repeat_byte(5) }.abi_encode();
    let always =
        format!("[[watch.normal]]\nname = \"hardware\"\ncall = \"approveHash\"\nfrom = [\"{}\"]\n", OWNER_B.address);
    stage.when(OWNER_A.address, safe.address, approve()).await.finds(&S14, &rules(&safe, &always)).await;
    stage.when(OWNER_B.address, safe.address, approve()).await.is_quiet(&S14, &rules(&safe, &always)).await;
}

const S16: Row = Row {
    id: "S16",
    finds: "a Safe is set up at the watched address, where nothing was yet",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "our own deployment, by rules about the call and the log that name the owners",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_safe_is_set_up_at_a_watched_address() {
    let mut stage = CaseChain::new().await;
    let kit = Kit::deploy(&stage.anvil, DEPLOYER.address, Version::V1_4_1).await;
    stage.begin().await;
    let safe = Safe::create(&stage.anvil, DEPLOYER.address, kit, &[STRANGER.address], 1, 1).await;
    let own = format!(
        "[[watch.normal]]\nname = \"our-own\"\nevent = \"SafeSetup\"\nargs = {{ \"owners[*]\" = {{ eq = \"{0}\" }} }}\n\
         [[watch.normal]]\nname = \"our-creation\"\ncall = \"creation\"\n\
         [[watch.normal]]\nname = \"our-setup\"\ncall = \"setup\"\nargs = {{ \"owners[*]\" = {{ eq = \"{0}\" }} }}\n",
        OWNER_A.address
    );
    stage.finds(&S16, &rules(&safe, &own)).await;
    stage.begin().await;
    let safe = Safe::create(&stage.anvil, DEPLOYER.address, kit, &[OWNER_A.address], 1, 2).await;
    stage.is_quiet(&S16, &rules(&safe, &own)).await;
}

const T2: Row = Row {
    id: "T2",
    finds: "an allowance without limit",
    by: "builtin/approval",
    severity: Critical,
    incidents: 1,
    beside: "a bounded allowance for a listed spender",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_without_limit() {
    let (mut stage, safe) = stage().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    coin.mint(&stage.anvil, DEPLOYER.address, safe.address, coin.units(1_000)).await;
    let bounded = format!(
        "[[watch.normal]]\nname = \"spender\"\nact = \"approve(address spender, uint256 amount)\"\nto = [\"{}\"]\n\
         args = {{ spender = {{ eq = \"{}\" }}, amount = {{ max = \"100\" }} }}\n",
        coin.address, GRANTEE.address
    );
    stage.begin().await;
    run(&stage, &safe, SafeTx::call(coin.address, approve(GRANTEE.address, U256::MAX))).await;
    stage.finds(&T2, &rules(&safe, &bounded)).await;
    stage.begin().await;
    run(&stage, &safe, SafeTx::call(coin.address, approve(GRANTEE.address, U256::from(100)))).await;
    stage.is_quiet(&T2, &rules(&safe, &bounded)).await;
}
