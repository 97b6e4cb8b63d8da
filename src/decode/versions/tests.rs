//! Code that a proxy ran, tested by hand: slots and logs as a block and its answers contain them.

use super::*;
use crate::abi::{Event, Function};
use crate::contracts::proxy_kind;
use crate::decode::{Subject, decode_block};
use crate::model::read::Answers;
use crate::model::{BlockRef, ChainId, Status, WatchId};
use alloy_primitives::{U256, keccak256};

const PROXY: Address = Address::repeat_byte(0xaa);
const FIRST: Address = Address::repeat_byte(1);
const NEXT: Address = Address::repeat_byte(2);
const FOREIGN: Address = Address::repeat_byte(3);

/// Returns subjects with a proxy of two versions, which name the argument of `run` differently.
fn subjects() -> Subjects {
    let speaks = |function: &str| {
        let event = Event::parse("Upgraded(address indexed implementation)").expect("an event");
        Abi::from_items([Function::parse(function).expect("a function")], [event])
    };
    let (first, next) = (speaks("run(uint256 speed)"), speaks("run(uint256 limit)"));
    let all = Arc::new(first.clone().merge(&next));
    let version = |abi: Abi, name: &str| Version { name: Some(name.into()), abi: abi.into() };
    let versions = Versions::new([(FIRST, version(first, "first")), (NEXT, version(next, "next"))]);
    let mut subjects = Subjects::new(ChainId(1));
    subjects.insert_subject(PROXY, Subject { watch: WatchId(0), kind: proxy_kind(), rule_abi: all.clone(), abi: all });
    subjects.run(PROXY, versions);
    subjects
}

/// Returns a call of `run` in which the proxy logs these upgrades, one after another.
fn run(index: u32, upgrades: &[Address]) -> Tx {
    let input = Function::parse("run(uint256)").expect("a function").selector.to_vec();
    let log = |(ordinal, to): (usize, &Address)| Log {
        address: PROXY,
        topics: vec![UPGRADED, to.into_word()],
        data: Bytes::new(),
        ordinal: u32::try_from(ordinal).expect("few"),
    };
    Tx {
        hash: B256::with_last_byte(u8::try_from(index).expect("few")),
        index,
        kind: 2,
        from: Address::repeat_byte(9),
        to: Some(PROXY),
        value: U256::ZERO,
        input: [&input[..], &[0; 32]].concat().into(),
        nonce: 0,
        authorizations: vec![],
        status: Status::Success,
        created: None,
        logs: upgrades.iter().enumerate().map(log).collect(),
        fee: None,
        tip: None,
        bid: None,
    }
}

/// Returns the code that each call of `run` ran and the name of its argument, when the slot holds `after` after the
/// block.
fn read(txs: Vec<Tx>, after: Address) -> Vec<(Option<Address>, String)> {
    let at = BlockRef { number: 1, hash: B256::repeat_byte(7) };
    let block = Block { at, parent: B256::ZERO, time: 0, txs, withdrawals: vec![] };
    let decoded = decode_block(&block, &subjects(), &Known::default(), &answers(after));
    assert_eq!(decoded.wanted, []);
    runs(decoded.activities)
}

fn answers(after: Address) -> Answers {
    let slot = |slot, word: Address| {
        (Read::Storage { of: PROXY, slot }, Answer::Data(Bytes::copy_from_slice(word.into_word().as_slice())))
    };
    [slot(IMPLEMENTATION, after), slot(BEACON, Address::ZERO)].into()
}

fn runs(activities: Vec<Activity>) -> Vec<(Option<Address>, String)> {
    let calls = activities.into_iter().filter(|activity| &*activity.deed.name == "run");
    calls.map(|call| (call.executed_code().map(|(code, _)| code), call.deed.args[0].name.to_string())).collect()
}

#[test]
fn what_is_only_announced_is_read_by_the_code_that_runs_now() {
    let at = BlockRef { number: 1, hash: B256::repeat_byte(7) };
    let tip = Block { at, parent: B256::ZERO, time: 0, txs: vec![], withdrawals: vec![] };
    for (now, name) in [(FIRST, "speed"), (NEXT, "limit"), (FOREIGN, "speed")] {
        let decoded = crate::decode::pending::decode_pending(&run(0, &[]), &tip, &subjects(), &answers(now));
        assert_eq!(runs(decoded.activities), [(Some(now), name.to_owned())]);
    }
}

#[test]
fn where_no_state_is_known_the_slot_behind_the_block_and_its_logs_tell() {
    let is = |code, name: &str| (code, name.to_owned());
    assert_eq!(read(vec![run(0, &[])], NEXT), [is(Some(NEXT), "limit")]);
    // The code before the upgrade is unknown: the call is decoded by all ABIs together, of which the first counts.
    let upgraded = vec![run(0, &[]), run(1, &[NEXT]), run(2, &[])];
    assert_eq!(read(upgraded, NEXT), [is(None, "speed"), is(None, "speed"), is(Some(NEXT), "limit")]);
}

#[test]
fn code_that_nobody_listed_cannot_say_that_it_is_gone() {
    let txs = vec![run(0, &[NEXT]), run(1, &[FOREIGN, FIRST]), run(2, &[FIRST]), run(3, &[])];
    let codes: Vec<_> = read(txs, FIRST).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [None, Some(NEXT), Some(FOREIGN), Some(FOREIGN)]);
}

#[test]
fn thousands_of_logs_that_say_so_cost_their_order() {
    let many: Vec<Address> = [FIRST, NEXT].into_iter().cycle().take(20_000).collect();
    let txs = (0..200).map(|index| run(index, if index == 0 { &many } else { &[] })).collect();
    let codes = read(txs, NEXT);
    assert_eq!((codes.len(), codes.last().and_then(|(code, _)| *code)), (200, Some(NEXT)));
}

#[test]
fn topics_are_those_of_their_events() {
    assert_eq!(keccak256("Upgraded(address)"), UPGRADED);
    assert_eq!(keccak256("BeaconUpgraded(address)"), BEACON_UPGRADED);
}

#[test]
fn a_minimal_proxy_says_in_its_code_what_it_runs() {
    let behind = Address::repeat_byte(0xbe);
    let code = [MINIMAL[0].0, behind.as_slice(), MINIMAL[0].1].concat();
    assert_eq!(minimal_proxy_target(&code), Some(behind));
    assert_eq!(
        (minimal_proxy_target(&code[1..]), minimal_proxy_target(&[]), minimal_proxy_target(MINIMAL[0].0)),
        (None, None, None)
    );
}
