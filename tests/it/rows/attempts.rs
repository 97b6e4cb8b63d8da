//! Attempts that the contract refused: somebody tries what only those in charge may do.

use super::{CaseChain, Row, calldata, vouch, watch};
use crate::support::abi::{IAccess, ISafe, ITimelock, IToken};
use crate::support::accounts::{DEPLOYER, DEPUTY, GRANTEE, KEEPER, OWNER_A, OWNER_B, RELAYER, STRANGER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::contracts::deploy;
use crate::support::kit::Version;
use crate::support::multisig::Multisig;
use crate::support::safe::{SafeTx, Signer};
use crate::support::tokens::Token;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use watchfire::model::Severity::High;
use watchfire::model::{Judged, Verdict};

pub(super) const ROWS: &[&Row] = &[&X1, &X2];

const HOUR: u64 = 3_600;

/// A timelock whose proposer and executor is the keeper.
async fn timelock(anvil: &Anvil) -> Address {
    let keeper = vec![KEEPER.address];
    let arguments = (U256::from(2 * HOUR), keeper.clone(), keeper, Address::ZERO).abi_encode_params();
    deploy(anvil, DEPLOYER.address, "TimelockController", arguments).await
}

fn execute() -> Vec<u8> {
    let (target, value, payload) = (GRANTEE.address, U256::ONE, Bytes::new());
    ITimelock::executeCall { target, value, payload, predecessor: B256::ZERO, salt: B256::ZERO }.abi_encode()
}

/// A call that has to be refused.
async fn refused(stage: &CaseChain, from: Address, to: Address, data: impl Into<Bytes>) {
    let receipt = stage.anvil.transact(&Tx::call(from, to, data)).await;
    assert!(!receipt.succeeded(), "{to} lets {from} do it");
}

const X1: Row = Row {
    id: "attempt-gate",
    finds: "three strangers try to carry out what nobody scheduled, and to change the delay: each is refused",
    by: "builtin/attempt",
    severity: High,
    incidents: 1,
    beside: "the keeper who comes too early, by a rule about who carries out",
};

#[tokio::test(flavor = "multi_thread")]
async fn strangers_try_a_timelock() {
    let mut stage = CaseChain::new().await;
    let lock = timelock(&stage.anvil).await;
    let keeper = format!("{}from = [\"{}\"]\n", vouch("call", "execute", &[]), KEEPER.address);
    let rules = watch("timelock", lock, &format!("registry = {{ delay = \"2h\" }}\n{keeper}"));
    stage.begin().await;
    refused(&stage, KEEPER.address, lock, execute()).await;
    stage.is_quiet(&X1, &rules).await;
    stage.begin().await;
    let update = ITimelock::updateDelayCall { newDelay: U256::ONE }.abi_encode();
    for (from, data) in [(STRANGER, execute()), (DEPUTY, update.clone()), (RELAYER, execute()), (STRANGER, update)] {
        refused(&stage, from.address, lock, data).await;
    }
    let seen = stage.finds(&X1, &rules).await;
    let all = vec![format!("high {}", X1.by); 4];
    let told: Vec<&str> = seen.findings.iter().filter_map(|line| line.split_once(": ").map(|(_, how)| how)).collect();
    assert_eq!(told, all, "{:#?}", seen.lines);
    assert_eq!(loud(&seen.judged), 1, "of four within the hour one pages");
}

/// How many findings may page by themselves.
fn loud(judged: &[Judged]) -> usize {
    let own = |one: &&Judged| matches!(&one.verdict, Verdict::Abnormal(a) if a.repeats.is_none() && !a.hushed);
    judged.iter().filter(own).count()
}

const X2: Row = Row {
    id: "attempt-control",
    finds: "somebody tries a function that changes who rules, of any kind of contract, and is refused",
    by: "builtin/attempt",
    severity: High,
    incidents: 1,
    beside: "the same by somebody who is expected to try, by a rule about the call",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_control_is_tried() {
    let mut stage = CaseChain::new().await;
    for (kind, address, data) in guarded(&stage.anvil).await {
        stage.begin().await;
        refused(&stage, STRANGER.address, address, data.clone()).await;
        stage.finds(&X2, &watch(kind, address, "")).await;
        let seen = stage.seen(&watch(kind, address, "")).await;
        let signature = &seen.judged[0].activity.deed.signature;
        let expected = format!("{}from = [\"{}\"]\n", vouch("call", signature, &[]), STRANGER.address);
        stage.is_quiet(&X2, &watch(kind, address, &expected)).await;
    }
}

/// A contract of each kind that guards its functions, and a call by which a stranger would change who rules it.
async fn guarded(anvil: &Anvil) -> Vec<(&'static str, Address, Vec<u8>)> {
    let from = DEPLOYER.address;
    let coin = Token::deploy_coin(anvil, from, "COIN", 18, KEEPER.address).await;
    let minime = Token::deploy_minime(anvil, from, "NET").await;
    let wallet = Multisig::deploy(anvil, from, &[OWNER_A.address, OWNER_B.address], 2).await;
    let office = deploy(anvil, from, "Office", KEEPER.address.abi_encode()).await;
    let roles = deploy(anvil, from, "Offices", KEEPER.address.abi_encode()).await;
    let vesting = deploy(anvil, from, "VestingWallet", (GRANTEE.address, 1_u64, 1_u64).abi_encode_params()).await;
    let me = STRANGER.address;
    let own = IAccess::transferOwnershipCall { newOwner: me }.abi_encode();
    let mint = IToken::mintCall { to: me, amount: U256::ONE }.abi_encode();
    let grant = IAccess::grantRoleCall { role: keccak256("KEEPER_ROLE"), account: me }.abi_encode();
    vec![
        ("timelock", timelock(anvil).await, ITimelock::updateDelayCall { newDelay: U256::ONE }.abi_encode()),
        ("erc20", coin.address, mint),
        ("minime", minime.address, calldata("changeController(address)", me.abi_encode())),
        ("multisig", wallet.address, calldata("addOwner(address)", me.abi_encode())),
        ("ownable", office, own.clone()),
        ("access-control", roles, grant),
        ("vesting", vesting, own),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_that_a_safe_refuses_is_loud_and_a_payment_is_not() {
    let owners = [OWNER_A.address, OWNER_B.address];
    let (mut stage, safe) = CaseChain::with_safe(Version::V1_4_1, &owners, 2).await;
    let owner = ISafe::addOwnerWithThresholdCall { owner: STRANGER.address, threshold: U256::ONE };
    let takeover = SafeTx::call(safe.address, owner.abi_encode());
    let payment = SafeTx::pay(STRANGER.address, U256::ONE);
    for (tx, expected) in [(takeover, "high builtin/attempt"), (payment, "info builtin/attempt")] {
        stage.begin().await;
        // Signed by one of two.
        let data = safe.exec_calldata(&tx, safe.nonce(&stage.anvil).await, &[Signer::Key(OWNER_A)]);
        refused(&stage, STRANGER.address, safe.address, data).await;
        let seen = stage.seen(&watch("safe", safe.address, "")).await;
        assert!(seen.findings.len() == 1 && seen.findings[0].ends_with(expected), "{:#?}", seen.lines);
    }
}
