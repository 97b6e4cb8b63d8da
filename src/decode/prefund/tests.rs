//! Bounds on a payment in advance, and events that do not widen the bound.

use super::*;
use crate::model::read::Answers;
use crate::model::{BlockRef, Status};
use alloy_primitives::keccak256;

const ENTRY: Address = erc4337::ENTRY_POINTS[1];
const OWN: Address = Address::repeat_byte(0xaa);
const OTHER: Address = Address::repeat_byte(0xbb);

fn wei(n: u64) -> U256 {
    U256::from(n)
}

/// Returns a log with an account in its first indexed argument, followed by numbers.
fn log(by: Address, topic: B256, account: Address, numbers: &[u64]) -> Log {
    let data = numbers.iter().flat_map(|n| wei(*n).to_be_bytes::<32>()).collect::<Vec<u8>>();
    Log { address: by, topics: vec![topic, account.into_word()], data: data.into(), ordinal: 0 }
}

/// Builds the EntryPoint's log of an operation of `account` that cost so much, paid by the account or its paymaster.
fn operation(account: Address, sponsor: Address, cost: u64) -> Log {
    let topics = vec![erc4337::USER_OPERATION, B256::ZERO, account.into_word(), sponsor.into_word()];
    let data = [0, 1, cost, 1].into_iter().flat_map(|n| wei(n).to_be_bytes::<32>()).collect::<Vec<u8>>();
    Log { address: ENTRY, topics, data: data.into(), ordinal: 0 }
}

fn begins(by: Address) -> Log {
    Log { address: by, topics: vec![BEFORE_EXECUTION], data: Bytes::new(), ordinal: 0 }
}

fn block(logs: Vec<Log>) -> Block {
    let tx = Tx {
        hash: B256::repeat_byte(1),
        index: 0,
        kind: 2,
        from: OTHER,
        to: Some(ENTRY),
        value: U256::ZERO,
        input: Bytes::new(),
        nonce: 0,
        authorizations: vec![],
        status: Status::Success,
        created: None,
        logs,
        fee: None,
        tip: None,
        bid: None,
    };
    let at = BlockRef { number: 1, hash: B256::repeat_byte(9) };
    Block { at, parent: B256::repeat_byte(8), time: 0, txs: vec![tx], withdrawals: vec![] }
}

/// Returns the bound of one operation that may cost a hundred, where `held` is the account's deposit at the EntryPoint
/// before and after.
fn advance(logs: Vec<Log>, held: Option<(u64, u64)>) -> Option<Advance> {
    let block = block(logs);
    let data = Bytes::from([&BALANCE_OF, OWN.into_word().as_slice()].concat());
    let said = |n: Option<u64>| match n {
        Some(n) => Answer::Data(wei(n).to_be_bytes::<32>().into()),
        None => Answer::Unavailable,
    };
    let answers: Answers = [
        (Read::Before { parent: block.parent, to: ENTRY, data: data.clone() }, said(held.map(|(before, _)| before))),
        (Read::Call { to: ENTRY, data }, said(held.map(|(_, after)| after))),
    ]
    .into();
    let claim = Claim { of: Depositor { account: OWN, entry: ENTRY }, tx: 0, signed: wei(100) };
    let mut advances = bound_advances(&block, &[claim], &[], &mut Questions::new(&answers));
    assert!(advances.len() <= 1);
    advances.pop()
}

#[test]
fn topics_are_those_of_their_events() {
    for (signature, topic) in [
        ("Deposited(address,uint256)", DEPOSITED),
        ("Withdrawn(address,address,uint256)", WITHDRAWN),
        ("BeforeExecution()", BEFORE_EXECUTION),
    ] {
        assert_eq!(keccak256(signature), topic, "{signature}");
    }
    for (signature, selector) in [("balanceOf(address)", BALANCE_OF), ("depositTo(address)", DEPOSIT_TO)] {
        assert_eq!(keccak256(signature)[..4], selector, "{signature}");
    }
}

#[test]
fn a_payment_is_bounded_by_what_was_signed_what_was_logged_and_what_the_deposit_gained() {
    let honest = |total: u64, cost: u64| {
        vec![log(ENTRY, DEPOSITED, OWN, &[total]), begins(ENTRY), operation(OWN, Address::ZERO, cost)]
    };
    let most = |logs, held| advance(logs, held).map(|advance| (advance.most, advance.lacks));
    // The account had no deposit and paid a hundred, of which forty was spent.
    assert_eq!(most(honest(100, 40), Some((0, 60))), Some((wei(100), None)));
    // The account already had a deposit of sixty.
    assert_eq!(most(honest(100, 40), Some((60, 60))), Some((wei(40), None)));
    // The deposit exceeds the operation's maximum cost.
    assert_eq!(most(honest(500, 40), Some((0, 460))), Some((wei(100), None)));
    // Part of the deposit was withdrawn immediately.
    let withdrawn = [honest(100, 40), vec![log(ENTRY, WITHDRAWN, OWN, &[0, 50])]].concat();
    assert_eq!(most(withdrawn, Some((0, 10))), Some((wei(100), None)));
    // The node cannot return the account's deposit.
    assert_eq!(most(honest(70, 40), None), Some((wei(70), Some(LACKS))));
    assert_eq!(most(honest(700, 40), None), Some((wei(100), Some(LACKS))));
}

#[test]
fn nothing_but_the_entry_point_s_own_word_of_that_account_is_believed() {
    let spent = operation(OWN, Address::ZERO, 40);
    let cases = [
        ("nothing was deposited", vec![begins(ENTRY), spent.clone()]),
        ("somebody else says so", vec![log(OTHER, DEPOSITED, OWN, &[100]), begins(ENTRY), spent.clone()]),
        (
            "it was deposited for somebody else",
            vec![log(ENTRY, DEPOSITED, OTHER, &[100]), begins(ENTRY), spent.clone()],
        ),
        ("it was deposited while it was carried out", vec![begins(ENTRY), log(ENTRY, DEPOSITED, OWN, &[100])]),
        ("somebody else began", vec![log(ENTRY, DEPOSITED, OWN, &[100]), begins(OTHER), spent]),
    ];
    for (name, logs) in cases {
        assert_eq!(advance(logs, Some((0, 60))), None, "{name}");
    }
    // A payment by a paymaster was not taken from the account.
    let sponsored = vec![log(ENTRY, DEPOSITED, OWN, &[10]), begins(ENTRY), operation(OWN, OTHER, 40)];
    assert_eq!(advance(sponsored, Some((0, 10))).map(|advance| advance.most), Some(wei(10)));
}
