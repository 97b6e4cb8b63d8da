//! Timelocks: found when it is scheduled, while there is time, and again when it is carried out.

use super::{CaseChain, Row, calldata, pays, vouch, watch};
use crate::support::abi::{IAccess, IPuppet, ITimelock, IToken};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, STRANGER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::contracts::deploy;
use crate::support::tokens::{Token, transfer};
use crate::support::treasury::ether;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use watchfire::model::Severity::{Critical, High, Warning};

pub(super) const ROWS: &[&Row] = &[&K1, &K2, &K3, &K4, &K5, &K6, &K7, &K8, &K9, &K10, &K11, &K12];

const HOUR: u64 = 3_600;

/// A timelock that holds ether, whose proposer and executor is the keeper.
async fn stage(delay: u64) -> (CaseChain, Address) {
    let stage = CaseChain::new().await;
    let keeper = vec![KEEPER.address];
    let arguments = (U256::from(delay), keeper.clone(), keeper, Address::ZERO).abi_encode_params();
    let lock = deploy(&stage.anvil, DEPLOYER.address, "TimelockController", arguments).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, lock, ether(10))).await;
    (stage, lock)
}

fn schedule(to: Address, wei: U256, data: impl Into<Bytes>, delay: u64) -> Vec<u8> {
    ITimelock::scheduleCall {
        target: to,
        value: wei,
        data: data.into(),
        predecessor: B256::ZERO,
        salt: B256::repeat_byte(7),
        delay: U256::from(delay),
    }
    .abi_encode()
}

fn execute(to: Address, wei: U256, data: impl Into<Bytes>) -> Vec<u8> {
    let (predecessor, salt) = (B256::ZERO, B256::repeat_byte(7));
    ITimelock::executeCall { target: to, value: wei, payload: data.into(), predecessor, salt }.abi_encode()
}

async fn wait(anvil: &Anvil, seconds: u64) {
    anvil.set_next_timestamp(anvil.now().await + seconds).await;
}

/// The timelock pays the grantee; two hours pass at least.
fn rules(lock: Address, more: &str) -> String {
    let pays = pays(GRANTEE.address);
    watch("timelock", lock, &format!("registry = {{ delay = \"2h\" }}\n{more}{pays}"))
}

const K1: Row = Row {
    id: "timelock-1",
    finds: "a payment to somebody unlisted is scheduled and carried out",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the routine queue: the same payment to a listed payee, judged at both ends",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_scheduled() {
    let (mut stage, lock) = stage(2 * HOUR).await;
    for (payee, expected) in [(STRANGER.address, false), (GRANTEE.address, true)] {
        stage.when(KEEPER.address, lock, schedule(payee, ether(1), [], 2 * HOUR)).await;
        if !expected {
            stage.finds(&K1, &rules(lock, "")).await;
        }
        wait(&stage.anvil, 2 * HOUR).await;
        stage.send(KEEPER.address, lock, execute(payee, ether(1), [])).await;
        stage.judged(&K1, &rules(lock, ""), expected).await;
    }
}

const K2: Row = Row {
    id: "timelock-2",
    finds: "a mint is scheduled from inside another contract's call, where no calldata shows",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a payment scheduled in the same way, by the rule about payments",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_is_scheduled_from_inside() {
    let mut stage = CaseChain::new().await;
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let arguments = (U256::from(2 * HOUR), vec![puppet], vec![puppet], Address::ZERO).abi_encode_params();
    let lock = deploy(&stage.anvil, DEPLOYER.address, "TimelockController", arguments).await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, lock).await;
    let make = |data: Vec<u8>| IPuppet::makeCall { to: lock, data: data.into() }.abi_encode();
    stage.when(KEEPER.address, puppet, make(schedule(GRANTEE.address, ether(1), [], 2 * HOUR))).await;
    stage.is_quiet(&K2, &rules(lock, "")).await;
    stage.begin().await;
    let mint = IToken::mintCall { to: STRANGER.address, amount: coin.units(1) }.abi_encode();
    stage.send(KEEPER.address, puppet, make(schedule(coin.address, U256::ZERO, mint, 2 * HOUR))).await;
    stage.finds(&K2, &rules(lock, "")).await;
}

const K3: Row = Row {
    id: "timelock-3",
    finds: "what is scheduled may run sooner than `registry.delay` says",
    by: "builtin/short-delay",
    severity: Critical,
    incidents: 1,
    beside: "the same with time enough",
};

#[tokio::test(flavor = "multi_thread")]
async fn too_little_time_to_react() {
    let (mut stage, lock) = stage(HOUR).await;
    let rules = rules(lock, "");
    let both = [schedule(GRANTEE.address, ether(1), [], HOUR), schedule(GRANTEE.address, ether(2), [], 2 * HOUR)];
    stage.tells_apart(&K3, &rules, [KEEPER.address, lock], both).await;
}

const K4: Row = Row {
    id: "timelock-4",
    finds: "the timelock is to change its own delay",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned change, by a rule that names the new delay; the log of it is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_timelock_changes_itself() {
    let (mut stage, lock) = stage(2 * HOUR).await;
    let update = |seconds: u64| ITimelock::updateDelayCall { newDelay: U256::from(seconds) }.abi_encode();
    let planned = format!(
        "[[watch.normal]]\nname = \"planned\"\nact = \"updateDelay\"\nto = [\"{lock}\"]\nargs = {{ newDelay = {{ min = \"10800\" }} }}\n"
    );
    stage.when(KEEPER.address, lock, schedule(lock, U256::ZERO, update(1), 2 * HOUR)).await;
    stage.finds(&K4, &rules(lock, &planned)).await;
    stage.when(KEEPER.address, lock, schedule(lock, U256::ZERO, update(3 * HOUR), 2 * HOUR)).await;
    wait(&stage.anvil, 2 * HOUR).await;
    stage.send(KEEPER.address, lock, execute(lock, U256::ZERO, update(3 * HOUR))).await;
    stage.is_quiet(&K4, &rules(lock, &planned)).await;
}

const K5: Row = Row {
    id: "timelock-5",
    finds: "a call is carried out of which no schedule was seen",
    by: "builtin/unscheduled",
    severity: Critical,
    incidents: 1,
    beside: "the same, scheduled while we watched",
};

#[tokio::test(flavor = "multi_thread")]
async fn carried_out_without_a_schedule() {
    let (mut stage, lock) = stage(2 * HOUR).await;
    stage.send(KEEPER.address, lock, schedule(GRANTEE.address, ether(1), [], 2 * HOUR)).await;
    wait(&stage.anvil, 2 * HOUR).await;
    stage.when(KEEPER.address, lock, execute(GRANTEE.address, ether(1), [])).await.finds(&K5, &rules(lock, "")).await;
    stage.when(KEEPER.address, lock, schedule(GRANTEE.address, ether(2), [], 2 * HOUR)).await;
    wait(&stage.anvil, 2 * HOUR).await;
    stage.send(KEEPER.address, lock, execute(GRANTEE.address, ether(2), [])).await;
    stage.is_quiet(&K5, &rules(lock, "")).await;
}

const K6: Row = Row {
    id: "timelock-6",
    finds: "a call is scheduled and carried out in one block",
    by: "builtin/unscheduled",
    severity: Critical,
    incidents: 1,
    beside: "the same with its time between, of a timelock whose delay is zero",
};

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_and_carried_out_at_once() {
    let mut stage = CaseChain::new().await;
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let arguments = (U256::ZERO, vec![puppet], vec![puppet], Address::ZERO).abi_encode_params();
    let lock = deploy(&stage.anvil, DEPLOYER.address, "TimelockController", arguments).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, lock, ether(10))).await;
    let watchlist = rules(lock, "").replace("registry = { delay = \"2h\" }\n", "");
    let both = |first: Vec<u8>, second: Vec<u8>| {
        IPuppet::makeTwoCall { to: lock, first: first.into(), second: second.into() }.abi_encode()
    };
    let make = |data: Vec<u8>| IPuppet::makeCall { to: lock, data: data.into() }.abi_encode();
    stage.begin().await;
    let at_once = both(schedule(GRANTEE.address, ether(1), [], 0), execute(GRANTEE.address, ether(1), []));
    stage.send(STRANGER.address, puppet, at_once).await;
    let seen = stage.finds(&K6, &watchlist).await;
    assert_eq!(seen.findings.len(), 1, "what is scheduled is told apart from what ran: {:#?}", seen.lines);
    stage.when(KEEPER.address, puppet, make(schedule(GRANTEE.address, ether(2), [], 0))).await;
    stage.send(KEEPER.address, puppet, make(execute(GRANTEE.address, ether(2), []))).await;
    stage.is_quiet(&K6, &watchlist).await;
}

const K7: Row = Row {
    id: "timelock-7",
    finds: "a role of the timelock is to be granted, hidden in a batch",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a batch of payments, each by the rule about payments",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_granted_inside_a_batch() {
    let (mut stage, lock) = stage(2 * HOUR).await;
    let grant = IAccess::grantRoleCall { role: keccak256("PROPOSER_ROLE"), account: STRANGER.address }.abi_encode();
    let batch = |calls: [(Address, U256, Vec<u8>); 2]| {
        let calls = calls.to_vec();
        ITimelock::scheduleBatchCall {
            targets: calls.iter().map(|call| call.0).collect(),
            values: calls.iter().map(|call| call.1).collect(),
            payloads: calls.into_iter().map(|call| call.2.into()).collect(),
            predecessor: B256::ZERO,
            salt: B256::ZERO,
            delay: U256::from(2 * HOUR),
        }
        .abi_encode()
    };
    let pay = || (GRANTEE.address, ether(1), vec![]);
    stage.when(KEEPER.address, lock, batch([pay(), pay()])).await.is_quiet(&K7, &rules(lock, "")).await;
    stage.when(KEEPER.address, lock, batch([pay(), (lock, U256::ZERO, grant)])).await;
    let seen = stage.finds(&K7, &rules(lock, "")).await;
    assert_eq!(seen.findings.len(), 1, "the payment beside it is normal: {:#?}", seen.findings);
}

const K8: Row = Row {
    id: "timelock-8",
    finds: "a timelock of Compound's shape queues what nobody vouches for, its function written out in words",
    by: "builtin/approval",
    severity: Critical,
    incidents: 1,
    beside: "a queued transfer to a listed payee",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_in_compound_s_shape() {
    let mut stage = CaseChain::new().await;
    let arguments = (KEEPER.address, U256::from(2 * HOUR)).abi_encode_params();
    let lock = deploy(&stage.anvil, DEPLOYER.address, "CompoundStyleTimelock", arguments).await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    coin.mint(&stage.anvil, DEPLOYER.address, lock, coin.units(10)).await;
    let pays = format!(
        "[[watch.normal]]\nname = \"coins\"\nact = \"transfer(address to, uint256 amount)\"\nto = [\"{}\"]\nargs = {{ to = {{ eq = \"{}\" }} }}\n",
        coin.address, GRANTEE.address
    );
    let eta = U256::from(stage.anvil.now().await + 3 * HOUR);
    let queue = |signature: &str, data: Vec<u8>| {
        let (target, value, signature) = (coin.address, U256::ZERO, signature.to_owned());
        ITimelock::queueTransactionCall { target, value, signature, data: data.into(), eta }.abi_encode()
    };
    stage.begin().await;
    let approval = (STRANGER.address, U256::MAX).abi_encode_params();
    stage.send(KEEPER.address, lock, queue("approve(address,uint256)", approval)).await;
    stage.finds(&K8, &rules(lock, &pays)).await;
    stage.begin().await;
    let payment: Vec<u8> = transfer(GRANTEE.address, coin.units(1)).into();
    stage.send(KEEPER.address, lock, queue("", payment.clone())).await;
    wait(&stage.anvil, 4 * HOUR).await;
    let (target, value, signature) = (coin.address, U256::ZERO, String::new());
    let run = ITimelock::executeTransactionCall { target, value, signature, data: payment.into(), eta };
    stage.send(KEEPER.address, lock, run.abi_encode()).await;
    stage.is_quiet(&K8, &rules(lock, &pays)).await;
}

const K9: Row = Row {
    id: "timelock-9",
    finds: "a scheduled operation is cancelled by somebody whom nothing here names",
    by: "builtin/control",
    severity: High,
    incidents: 1,
    beside: "the same by the guardian, by a rule that names who may",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_cancelled() {
    let (mut stage, lock) = stage(2 * HOUR).await;
    stage.send(KEEPER.address, lock, schedule(GRANTEE.address, ether(1), [], 2 * HOUR)).await;
    let asked = ITimelock::hashOperationCall {
        target: GRANTEE.address,
        value: ether(1),
        data: Bytes::new(),
        predecessor: B256::ZERO,
        salt: B256::repeat_byte(7),
    };
    let id = B256::from_slice(&stage.anvil.call(lock, asked.abi_encode()).await);
    stage.when(KEEPER.address, lock, ITimelock::cancelCall { id }.abi_encode()).await;
    stage.finds(&K9, &rules(lock, "")).await;
    let guardian =
        format!("[[watch.normal]]\nname = \"guardian\"\ncall = \"cancel\"\nfrom = [\"{}\"]\n", KEEPER.address);
    stage.is_quiet(&K9, &rules(lock, &guardian)).await;
}

const K10: Row = Row {
    id: "timelock-10",
    finds: "a timelock of Compound's shape is to get another administrator, who accepts later",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned administrator, by a rule that names him; the log of it is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn another_administrator_is_queued() {
    let mut stage = CaseChain::new().await;
    let arguments = (KEEPER.address, U256::from(2 * HOUR)).abi_encode_params();
    let lock = deploy(&stage.anvil, DEPLOYER.address, "CompoundStyleTimelock", arguments).await;
    let planned = vouch("act", "setPendingAdmin", &[("#0", &GRANTEE.address)]);
    let rules = rules(lock, &format!("{planned}to = [\"{lock}\"]\n"));
    let eta = U256::from(stage.anvil.now().await + 3 * HOUR);
    let data = |next: Address| Bytes::from(calldata("setPendingAdmin(address)", next.abi_encode()));
    let (target, value) = (lock, U256::ZERO);
    let queue = |next: Address| {
        ITimelock::queueTransactionCall { target, value, signature: String::new(), data: data(next), eta }.abi_encode()
    };
    stage.when(KEEPER.address, lock, queue(STRANGER.address)).await.finds(&K10, &rules).await;
    stage.when(KEEPER.address, lock, queue(GRANTEE.address)).await;
    wait(&stage.anvil, 4 * HOUR).await;
    let signature = String::new();
    let run = ITimelock::executeTransactionCall { target, value, signature, data: data(GRANTEE.address), eta };
    stage.send(KEEPER.address, lock, run.abi_encode()).await;
    stage.is_quiet(&K10, &rules).await;
}

const K11: Row = Row {
    id: "timelock-11",
    finds: "anybody may carry out what is due, from the start",
    by: "builtin/posture",
    severity: Warning,
    incidents: 1,
    beside: "the same timelock whose registry says so; and one whose executor is the keeper",
};

#[tokio::test(flavor = "multi_thread")]
async fn anybody_may_carry_out_what_is_due() {
    let (mut stage, closed) = stage(2 * HOUR).await;
    let arguments = (U256::from(2 * HOUR), vec![KEEPER.address], vec![Address::ZERO], Address::ZERO);
    let open = deploy(&stage.anvil, DEPLOYER.address, "TimelockController", arguments.abi_encode_params()).await;
    stage.begin().await;
    for lock in [open, closed, open] {
        stage.anvil.succeed(&Tx::pay(DEPLOYER.address, lock, ether(1))).await;
    }
    stage.finds(&K11, &watch("timelock", open, "")).await;
    stage.is_quiet(&K11, &watch("timelock", open, "registry = { open_executor = true }\n")).await;
    stage.is_quiet(&K11, &watch("timelock", closed, "")).await;
}

const K12: Row = Row {
    id: "timelock-12",
    finds: "what is carried out runs other code than stood there when it was scheduled",
    by: "builtin/changed-target",
    severity: Critical,
    incidents: 1,
    beside: "the same code at both ends; and a contract that was to be deployed in between, by a rule that names its code",
};

#[tokio::test(flavor = "multi_thread")]
async fn other_code_than_was_scheduled_for() {
    let (mut stage, lock) = stage(2 * HOUR).await;
    let nonce = stage.anvil.sent_by(DEPLOYER.address, stage.anvil.block_number().await).await;
    let coin = DEPLOYER.address.create(nonce);
    let rules = |more: &str| {
        let allows = format!("[[watch.normal]]\nname = \"allows\"\nact = \"approve\"\nto = [\"{coin}\"]\n{more}");
        watch("timelock", lock, &format!("registry = {{ delay = \"2h\" }}\n{allows}"))
    };
    let allows = |amount: u64| crate::support::tokens::approve(GRANTEE.address, U256::from(amount)).to_vec();
    stage.when(KEEPER.address, lock, schedule(coin, U256::ZERO, allows(1), 2 * HOUR)).await;
    stage.is_quiet(&K12, &rules("")).await;
    let deployed = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    assert_eq!(deployed.address, coin, "it stands where it was scheduled for");
    wait(&stage.anvil, 2 * HOUR).await;
    stage.send(KEEPER.address, lock, execute(coin, U256::ZERO, allows(1))).await;
    stage.finds(&K12, &rules("")).await;
    let code = keccak256(stage.anvil.code(coin).await);
    let none = keccak256([]);
    stage.is_quiet(&K12, &rules(&format!("code = {{ in = [\"{none}\", \"{code}\"] }}\n"))).await;
    stage.when(KEEPER.address, lock, schedule(coin, U256::ZERO, allows(2), 2 * HOUR)).await;
    wait(&stage.anvil, 2 * HOUR).await;
    stage.send(KEEPER.address, lock, execute(coin, U256::ZERO, allows(2))).await;
    stage.is_quiet(&K12, &rules("")).await;
}
