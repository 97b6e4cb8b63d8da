//! What wallets write down, bent: schedules that nobody logged, logs that nobody watched wrote, lists that do not fit, and more calls
//! than are opened.

use crate::support::abi::ITimelock;
use crate::support::accounts::{KEEPER, STRANGER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_sol_types::{SolCall, SolValue};

const LOCK: Address = address!("10C0000000000000000000000000000000000001");
const COUNCIL: Address = address!("C0C0000000000000000000000000000000000002");

fn court() -> Court {
    let watch = |label: &str, address: Address, kind: &str| {
        format!(
            "[[watch]]\nlabel = \"{label}\"\nchain = \"demo\"\naddress = \"{address}\"\nkind = \"{kind}\"\npurpose = \"A test\"\npath = \"duty\"\n\
             [[watch.normal]]\nname = \"pays\"\nact = \"ether\"\nto = [\"{}\"]\n",
            KEEPER.address
        )
    };
    Court::new(&format!("{}{}", watch("Lock", LOCK, "timelock"), watch("Council", COUNCIL, "governor")))
}

fn schedule(to: Address) -> Bytes {
    let (target, value, data) = (to, U256::from(1), Bytes::new());
    let (predecessor, salt, delay) = (B256::ZERO, B256::ZERO, U256::from(60));
    ITimelock::scheduleCall { target, value, data, predecessor, salt, delay }.abi_encode().into()
}

/// `CallScheduled` of `emitter`.
fn scheduled(emitter: Address, id: B256, to: Address) -> Log {
    let topic = keccak256("CallScheduled(bytes32,uint256,address,uint256,bytes,bytes32,uint256)");
    let data = (to, U256::from(1), Bytes::new(), B256::ZERO, U256::from(60)).abi_encode_params();
    Log { address: emitter, topics: vec![topic, id, B256::ZERO], data: data.into() }
}

/// `ProposalCreated` of the council with these targets, and so many values.
fn proposed(targets: Vec<Address>, n_values: usize) -> Log {
    let topic =
        keccak256("ProposalCreated(uint256,address,address[],uint256[],string[],bytes[],uint256,uint256,string)");
    let n = targets.len();
    let data = (
        U256::from(7),
        STRANGER.address,
        targets,
        vec![U256::from(1); n_values],
        vec![String::new(); n],
        vec![Bytes::new(); n],
        U256::from(1),
        U256::from(2),
        "text".to_owned(),
    );
    Log { address: COUNCIL, topics: vec![topic], data: data.abi_encode_params().into() }
}

#[test]
fn a_schedule_and_its_log_are_one_and_judged_by_what_is_scheduled() {
    let told = |to: Address| {
        let tx = Tx::call(STRANGER.address, LOCK, schedule(to)).log(scheduled(LOCK, B256::repeat_byte(1), to));
        court().told(&[tx])
    };
    assert_eq!(
        told(KEEPER.address),
        [
            "Lock call schedule: normal by builtin/envelope",
            "Lock act ether: normal by pays",
            "Lock event CallScheduled: normal by effect of call"
        ]
    );
    assert_eq!(
        told(EVIL),
        [
            "Lock call schedule: (high builtin/unvouched)",
            "Lock act ether: high builtin/unvouched",
            "Lock event CallScheduled: (high builtin/unvouched)"
        ]
    );
}

#[test]
fn a_schedule_that_logs_nothing_or_something_else_is_not_what_it_seems() {
    let silent = Tx::call(STRANGER.address, LOCK, schedule(KEEPER.address));
    assert_eq!(court().told(&[silent]), ["Lock call schedule: critical builtin/unconfirmed"]);
    // It asks for a payment to the keeper, and the timelock writes down one to somebody else: both are told.
    let other =
        Tx::call(STRANGER.address, LOCK, schedule(KEEPER.address)).log(scheduled(LOCK, B256::repeat_byte(1), EVIL));
    let told = court().told(&[other]);
    assert!(told.contains(&"Lock call schedule: critical builtin/unconfirmed".to_owned()), "{told:?}");
    assert!(told.contains(&"Lock act ether: high builtin/unvouched".to_owned()), "{told:?}");
}

#[test]
fn a_stranger_s_contract_may_log_what_it_likes() {
    let tx = Tx::call(STRANGER.address, FAKE, []).log(scheduled(FAKE, B256::repeat_byte(1), LOCK));
    assert_eq!(court().told(&[tx]), Vec::<String>::new());
}

#[test]
fn one_log_answers_for_one_call() {
    let log = || scheduled(LOCK, B256::repeat_byte(1), KEEPER.address);
    let twice = [(0, LOCK, 0, schedule(KEEPER.address)), (0, LOCK, 0, schedule(KEEPER.address))];
    let tx = Tx::call(STRANGER.address, CALL_ONLY_1_4_1, multi_send(&twice)).log(log());
    let told = court().told(&[tx]);
    let unconfirmed = told.iter().filter(|line| line.ends_with("builtin/unconfirmed")).count();
    assert_eq!(unconfirmed, 1, "{told:?}");
}

#[test]
fn lists_that_do_not_fit_are_a_finding_and_so_are_more_calls_than_are_opened() {
    let tx = |log: Log| Tx::call(STRANGER.address, FAKE, []).log(log);
    let told = court().told(&[tx(proposed(vec![KEEPER.address; 2], 2))]);
    assert!(told.iter().all(|line| line.contains("normal")), "{told:?}");
    let told = court().told(&[tx(proposed(vec![KEEPER.address; 2], 1))]);
    assert_eq!(told, ["Council event ProposalCreated: high builtin/unvouched"]);
    let told = court().told(&[tx(proposed(vec![KEEPER.address; 3_000], 3_000))]);
    assert!(told.iter().any(|line| line.starts_with("Council event ProposalCreated: critical")), "{:?}", told.last());
}

/// EntryPoint 0.7.
const ENTRY_POINT: Address = address!("0000000071727De22E5E9d8BAf0edAc6f37da032");

/// `handleOps` with one operation, in which the account pays somebody.
fn bundle(account: Address, to: Address) -> Bytes {
    let call = [&[0xb6, 0x1d, 0x27, 0xf6][..], &(to, U256::from(1), Bytes::new()).abi_encode_params()].concat();
    let nothing = Bytes::new();
    let words = (B256::ZERO, U256::ZERO, B256::ZERO);
    let one =
        (account, U256::ZERO, nothing.clone(), Bytes::from(call), words.0, words.1, words.2, nothing.clone(), nothing);
    [&[0x76, 0x5e, 0x82, 0x7f][..], &(vec![one], STRANGER.address).abi_encode_params()].concat().into()
}

/// `UserOperationEvent`: how it went, by whoever says so.
fn went(emitter: Address, account: Address, well: bool) -> Log {
    let topic = keccak256("UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)");
    let data = (U256::ZERO, well, U256::ZERO, U256::ZERO).abi_encode_params();
    Log { address: emitter, topics: vec![topic, B256::ZERO, account.into_word(), B256::ZERO], data: data.into() }
}

#[test]
fn an_operation_went_as_its_entry_point_says_and_nobody_else() {
    let court = || {
        Court::new(&format!(
            "[[watch]]\nlabel = \"Key\"\nchain = \"demo\"\naddress = \"{}\"\nkind = \"eoa\"\npurpose = \"A test\"\npath = \"duty\"\n",
            KEEPER.address
        ))
    };
    let told = |tx: Tx| court().told(&[tx]);
    let brought = |to: Address| Tx::call(STRANGER.address, to, bundle(KEEPER.address, EVIL));
    assert_eq!(
        told(brought(ENTRY_POINT).log(went(ENTRY_POINT, KEEPER.address, true))),
        ["Key call execute: (high builtin/unvouched)", "Key act ether: high builtin/unvouched"]
    );
    let failed = court().judge(&[brought(ENTRY_POINT).log(went(ENTRY_POINT, KEEPER.address, false))]);
    assert!(failed.iter().all(|judged| judged.activity.fate == watchfire::model::Fate::Failed), "{failed:?}");
    // A contract of the attacker's takes the same words and says that all went well: nobody's account did anything.
    assert_eq!(told(brought(FAKE).log(went(FAKE, KEEPER.address, true))), Vec::<String>::new());
}
