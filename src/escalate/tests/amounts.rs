//! Acts that differ in one argument: which of them a page showed.

use super::coverage::{acknowledged, high, payment};
use crate::escalate::fixtures::*;
use crate::escalate::{acknowledge_incident, resolve_incident};
use crate::model::activity::{Note, Role, Usual};
use crate::model::value::{Arg, Value};
use crate::model::{Activity, ActivityKind, Position, Severity};
use alloy_primitives::U256;

/// Returns an act of the treasury at another contract, with these arguments.
fn act(n: u32, signature: &str, to: u32, args: Vec<Arg>) -> Activity {
    let mut act = payment(n);
    (act.deed.signature, act.to, act.deed.args) = (signature.into(), Some(numbered_address(to)), args);
    act
}

fn uint(name: &str, number: u64) -> Arg {
    untyped_argument(name, Value::Uint(U256::from(number)))
}

fn list(name: &str, numbers: &[u64]) -> Arg {
    untyped_argument(name, Value::Array(numbers.iter().map(|number| Value::Uint(U256::from(*number))).collect()))
}

fn bytes(name: &str, bytes: &[u8]) -> Arg {
    untyped_argument(name, Value::Bytes(bytes.to_vec().into()))
}

fn party(name: &str, n: u32) -> Arg {
    untyped_argument(name, Value::Address(numbered_address(n)))
}

/// Returns a token's log of an outflow from the treasury.
fn moves(n: u32, amount: u64, pieces: &[(u64, u64)]) -> Activity {
    let mut moves = payment(n);
    (moves.kind, moves.deed.name, moves.deed.signature) = (ActivityKind::Move, "transfer".into(), "transfer".into());
    (moves.position, moves.to) = (Position::Log(0), Some(numbered_address(98)));
    moves.deed.args = vec![party("token", 70), party("from", TREASURY), party("to", 98), uint("amount", amount)];
    if !pieces.is_empty() {
        let (ids, amounts): (Vec<u64>, Vec<u64>) = pieces.iter().copied().unzip();
        moves.deed.args.extend([list("ids", &ids), list("amounts", &amounts)]);
    }
    moves
}

#[test]
fn only_less_of_a_token_or_of_ether_for_the_same_party_is_no_worse() {
    const ELSEWHERE: u32 = 88;
    let opened = |mut act: Activity| {
        act.role = Role::Envelope { carries: vec![0] };
        act
    };
    let stranger = |mut call: Activity| {
        (call.kind, call.from, call.origin) = (ActivityKind::Call, numbered_address(66), numbered_address(66));
        call
    };
    let ether = |mut act: Activity, wei: u64| {
        act.value = U256::from(wei);
        act
    };
    let tipped = |mut act: Activity, wei: u64| {
        act.notes.push(Note::Tip { paid: U256::from(wei), per_gas: 1, beside: Usual::BaseFee(1) });
        act
    };
    let to_token = |n, args| act(n, "transfer(address,uint256)", TOKEN, args);
    let from = "transferFrom(address,address,uint256)";
    let pair = |n, first: u64, second: u64| {
        act(
            n,
            "executeBatch(address[],uint256[],bytes[])",
            ELSEWHERE,
            vec![
                untyped_argument(
                    "to",
                    Value::Array(vec![Value::Address(numbered_address(5)), Value::Address(numbered_address(6))]),
                ),
                list("values", &[first, second]),
            ],
        )
    };
    let lists = |n, first: &[u64], second: &[u64]| {
        act(n, "f(uint256[],uint256[])", ELSEWHERE, vec![list("a", first), list("b", second)])
    };
    let one = |signature: &'static str, name: &'static str, number: u64, n| {
        act(n, signature, ELSEWHERE, vec![uint(name, number)])
    };
    let raw = |signature: &'static str, name: &'static str, data: &'static [u8], n| {
        act(n, signature, ELSEWHERE, vec![bytes(name, data)])
    };
    let cases: Vec<(&str, Activity, Activity, bool)> = vec![
        (
            "less of a listed token",
            to_token(1, vec![party("to", 5), uint("amount", 10)]),
            to_token(2, vec![party("to", 5), uint("amount", 9)]),
            true,
        ),
        (
            "less, whatever the ABI calls it",
            to_token(1, vec![party("to", 5), uint("", 10)]),
            to_token(2, vec![party("to", 5), uint("", 9)]),
            true,
        ),
        (
            "more of it",
            to_token(1, vec![party("to", 5), uint("amount", 10)]),
            to_token(2, vec![party("to", 5), uint("amount", 11)]),
            false,
        ),
        ("less ether", ether(payment(1), 5), ether(payment(2), 4), true),
        ("a fortune for being included", payment(1), tipped(payment(2), 5), false),
        ("more for being included", tipped(payment(1), 5), tipped(payment(2), 6), false),
        ("less for being included", tipped(payment(1), 5), tipped(payment(2), 4), true),
        (
            "another id of a collection",
            act(1, from, ELSEWHERE, vec![party("from", TREASURY), party("to", 5), uint("amount", 9)]),
            act(2, from, ELSEWHERE, vec![party("from", TREASURY), party("to", 5), uint("amount", 3)]),
            false,
        ),
        (
            "a shorter delay",
            one("updateDelay(uint256)", "newDelay", 7200, 1),
            one("updateDelay(uint256)", "newDelay", 0, 2),
            false,
        ),
        (
            "a smaller threshold",
            one("changeThreshold(uint256)", "_threshold", 3, 1),
            one("changeThreshold(uint256)", "_threshold", 1, 2),
            false,
        ),
        ("a worse price", one("swap(uint256)", "minOut", 100, 1), one("swap(uint256)", "minOut", 0, 2), false),
        (
            "an earlier deadline",
            one("swap(uint256)", "deadline", 100, 1),
            one("swap(uint256)", "deadline", 50, 2),
            false,
        ),
        ("another split among parties", pair(1, 10, 1), pair(2, 0, 11), false),
        ("the same split", pair(1, 10, 1), pair(2, 10, 1), true),
        ("elements in another list", lists(1, &[1, 2], &[3]), lists(2, &[1], &[2, 3]), false),
        (
            "other bytes of its own",
            raw("sendMessage(bytes)", "message", b"a", 1),
            raw("sendMessage(bytes)", "message", b"b", 2),
            false,
        ),
        (
            "another text of its own",
            act(1, "say(string)", ELSEWHERE, vec![untyped_argument("text", Value::String("a".into()))]),
            act(2, "say(string)", ELSEWHERE, vec![untyped_argument("text", Value::String("b".into()))]),
            false,
        ),
        (
            "other bytes in a list",
            act(
                1,
                "f(bytes[])",
                ELSEWHERE,
                vec![untyped_argument("d", Value::Array(vec![Value::Bytes(b"a".to_vec().into())]))],
            ),
            act(
                2,
                "f(bytes[])",
                ELSEWHERE,
                vec![untyped_argument("d", Value::Array(vec![Value::Bytes(b"b".to_vec().into())]))],
            ),
            false,
        ),
        (
            "the same bytes of its own",
            raw("sendMessage(bytes)", "message", b"a", 1),
            raw("sendMessage(bytes)", "message", b"a", 2),
            true,
        ),
        (
            "another signature",
            raw("exec(bytes)", "signatures", b"a", 1),
            raw("exec(bytes)", "signatures", b"b", 2),
            true,
        ),
        (
            "bytes whose calls are judged",
            opened(raw("exec(bytes)", "data", b"a", 1)),
            opened(raw("exec(bytes)", "data", b"b", 2)),
            true,
        ),
        (
            "other bytes of a stranger",
            stranger(raw("poke(bytes)", "data", b"a", 1)),
            stranger(raw("poke(bytes)", "data", b"b", 2)),
            true,
        ),
        (
            "another number of a stranger",
            stranger(one("poke(uint256)", "n", 2, 1)),
            stranger(one("poke(uint256)", "n", 1, 2)),
            false,
        ),
        ("less leaves", moves(1, 10, &[]), moves(2, 9, &[]), true),
        ("more leaves", moves(1, 10, &[]), moves(2, 11, &[]), false),
        ("another id leaves", moves(1, 1, &[(9, 1)]), moves(2, 1, &[(3, 1)]), false),
        ("less of the same ids", moves(1, 7, &[(3, 4), (9, 3)]), moves(2, 6, &[(3, 4), (9, 2)]), true),
        ("more of one id, less of another", moves(1, 7, &[(3, 4), (9, 3)]), moves(2, 7, &[(3, 3), (9, 4)]), false),
    ];
    for (name, seen, new, covered) in cases {
        let mut kept = acknowledged(high(seen));
        let expected = if covered { "update pager" } else { "trigger pager" };
        assert_eq!(notified_recipients(&kept.commit_block(2, vec![high(new)], T + 60_000)), expected, "{name}");
    }
    // Numbers in a change of control must match exactly, even for a listed token.
    let mint = |n, amount| {
        judged_abnormal(
            act(n, "mint(address,uint256)", TOKEN, vec![party("to", 5), uint("amount", amount)]),
            "builtin/control",
            Severity::High,
        )
    };
    let mut kept = acknowledged(mint(1, 10));
    assert_eq!(notified_recipients(&kept.commit_block(2, vec![mint(2, 9)], T + 60_000)), "trigger pager");
}

#[test]
fn a_transaction_that_does_something_else_after_a_reorg_is_told_anew() {
    type Edit = fn(&mut Activity);
    let cases: &[(&str, Edit, &str)] = &[
        ("the same", |_| {}, "update pager"),
        ("less", |a| a.deed.args[1] = untyped_argument("amount", Value::Uint(U256::from(1))), "update pager"),
        ("a larger sum", |a| a.deed.args[1] = untyped_argument("amount", Value::Uint(U256::MAX)), "trigger pager"),
        (
            "another party",
            |a| a.deed.args[0] = untyped_argument("to", Value::Address(numbered_address(98))),
            "trigger pager",
        ),
        ("ether along with it", |a| a.value = U256::from(1), "trigger pager"),
        ("another function", |a| a.deed.signature = "approve(address,uint256)".into(), "trigger pager"),
    ];
    for (name, edit, expected) in cases {
        for closed in [false, true] {
            let mut kept = Kept::new();
            assert_eq!(
                notified_recipients(&kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T)),
                "trigger pager"
            );
            kept.respond_with(|incident| {
                if closed {
                    resolve_incident(incident, "on-call", T)
                } else {
                    acknowledge_incident(incident, "on-call", T)
                }
            });
            let mut activity = snt_transfer(TREASURY, 1, &[0], 60_000);
            edit(&mut activity);
            let judged = judged_abnormal(activity, "builtin/unvouched", Severity::High);
            let plan = kept.commit_step(
                &[block_ref(1, 0)],
                &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![judged])],
                T + 60_000,
            );
            assert_eq!(notified_recipients(&plan), *expected, "{name}, closed: {closed}");
            let live = *expected == "trigger pager" || !closed;
            assert_eq!(
                (kept.only_incident().state.is_live(), kept.only_incident().standing),
                (live, 1),
                "{name}, closed: {closed}"
            );
        }
    }
}
