//! Trees of calls at random around a contract, a wallet's target and a delegated account: what more sight may never hide.
//!
//! A transaction's calls, their logs and what became of them are made up; the judge is the real one, with traces and without, under
//! several watchlists. Three promises hold for whatever comes: more visibility never means fewer findings; nothing goes out by the word
//! of a built-in, or of a rule for a call that does not say so; and no function is a view by its name.

use crate::support::accounts::{KEEPER, PAYER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, Bytes, U256, address, keccak256};
use alloy_sol_types::SolValue;
use proptest::prelude::*;
use std::sync::LazyLock;
use watchfire::classify::rule::Polarity;
use watchfire::model::{
    ActivityKind, CallHow, Judged, JudgedBlock, Operation, Role, TracedCall, TxTrace, Verdict, Voucher,
};
use watchfire::wire;

const DESK: Address = address!("De5c000000000000000000000000000000000001");
/// A contract that nobody watches, and a library of somebody else's.
const OTHER: Address = address!("07e4000000000000000000000000000000000002");
const LIBRARY: Address = address!("11b0000000000000000000000000000000000003");

const ABI: &str = r#"[
  {"type":"function","name":"harvest","inputs":[],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"function","name":"peek","inputs":[],"outputs":[{"name":"","type":"uint256"}],"stateMutability":"view"},
  {"type":"event","name":"Kept","inputs":[{"name":"amount","type":"uint256","indexed":false}],"anonymous":false}
]"#;

/// What each watchlist says of the desk and of the account.
const RULES: &[&str] = &[
    "",
    "[[watch.normal]]\nname = \"harvests\"\ncall = \"harvest()\"\n",
    "[[watch.normal]]\nname = \"harvests\"\ncall = \"harvest()\"\neffects = \"any\"\n",
    "[[watch.normal]]\nname = \"harvests\"\ncall = \"harvest()\"\n[[watch.normal]]\nname = \"pays\"\nact = \"transfer(address to, uint256 amount)\"\nargs = { amount = { max = \"5\" } }\n",
    "[[watch.normal]]\nname = \"harvests\"\ncall = \"harvest()\"\n[[watch.normal]]\nname = \"moves\"\nmove = \"out\"\nargs = { amount = { max = \"5\" } }\nvia = { call = \"harvest()\" }\n",
];

static COURTS: LazyLock<Vec<Court>> = LazyLock::new(|| {
    let watch = |label: &str, address: Address, kind: &str, rules: &str| {
        format!(
            "[[watch]]\nlabel = \"{label}\"\nchain = \"demo\"\naddress = \"{address}\"\nkind = \"{kind}\"\nabi = \"desk.json\"\npurpose = \"x\"\npath = \"duty\"\n{rules}\n"
        )
    };
    let tokens = format!("[token.COIN]\nchain = \"demo\"\naddress = \"{COIN}\"\ndecimals = 0\n");
    let court = |rules: &&str| {
        let list = [watch("Desk", DESK, "contract", rules), watch("Payer", PAYER.address, "eoa", rules)];
        Court::with(&(tokens.clone() + &list.concat()), &[("desk.json", ABI)])
    };
    RULES.iter().map(court).collect()
});

fn call(signature: &str, arguments: impl AsRef<[u8]>) -> Bytes {
    [&keccak256(signature)[..4], arguments.as_ref()].concat().into()
}

/// Calldata that the calls are made of.
fn inputs() -> Vec<Bytes> {
    let uint = |n: u64| U256::from(n);
    vec![
        Bytes::new(),
        call("harvest()", []),
        call("peek()", []),
        call("transfer(address,uint256)", (EVIL, uint(3)).abi_encode()),
        call("transfer(address,uint256)", (EVIL, uint(900)).abi_encode()),
        call("approve(address,uint256)", (EVIL, U256::MAX).abi_encode()),
        call("transferFrom(address,address,uint256)", (DESK, EVIL, uint(4)).abi_encode()),
        call("setApprovalForAll(address,bool)", (EVIL, true).abi_encode()),
        call("transferOwnership(address)", EVIL.abi_encode()),
        call("balanceOf(address)", DESK.abi_encode()),
        Bytes::from_static(&[0xde, 0xad, 0xbe, 0xef]),
        [&call("peek()", [])[..], EVIL.as_slice()].concat().into(),
    ]
}

fn logs() -> Vec<Log> {
    vec![
        moved(COIN, DESK, EVIL, 3),
        moved(COIN, DESK, EVIL, 900),
        moved(COIN, PAYER.address, EVIL, 900),
        moved(COIN, EVIL, DESK, 7),
        raw(COIN, "Approval(address,address,uint256)", &[word(DESK), word(EVIL)], number(9).to_vec()),
        raw(DESK, "Kept(uint256)", &[], number(1).to_vec()),
        raw(DESK, "OwnershipTransferred(address,address)", &[word(DESK), word(EVIL)], []),
        raw(OTHER, "Kept(uint256)", &[], number(1).to_vec()),
    ]
}

/// One call, before it has a place: whom its parent is, how, where to, with what, whether it fails, which log it writes.
#[derive(Clone, Debug)]
struct Plan {
    parent: usize,
    how: u8,
    to: usize,
    value: u64,
    input: usize,
    failed: bool,
    log: Option<usize>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let n = || any::<usize>();
    let log = proptest::option::weighted(0.4, any::<usize>());
    let value = prop_oneof![3 => Just(0u64), 1 => 1..9u64];
    (n(), 0..10u8, n(), value, n(), proptest::bool::weighted(0.1), log)
        .prop_map(|(parent, how, to, value, input, failed, log)| Plan { parent, how, to, value, input, failed, log })
}

const PARTIES: [Address; 6] = [DESK, DESK, COIN, OTHER, EVIL, PAYER.address];

/// The transaction and what a node would say ran inside of it.
fn made(plans: &[Plan], with_logs: bool) -> (Tx, TxTrace) {
    let inputs = inputs();
    let mut calls: Vec<TracedCall> = Vec::new();
    let mut written: Vec<Vec<Log>> = Vec::new();
    // A tree is listed in the order in which its calls begin: each call before those it makes.
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); plans.len()];
    for at in 1..plans.len() {
        children[plans[at].parent % at].push(at);
    }
    let mut open = vec![(0usize, None::<usize>)];
    while let Some((at, parent)) = open.pop() {
        let plan = &plans[at];
        let me = calls.len();
        let outer = parent.map(|parent| calls[parent].clone());
        let runs_as = |outer: &TracedCall| {
            if outer.how == CallHow::Delegatecall { outer.from } else { outer.to.unwrap_or_default() }
        };
        let from = outer.as_ref().map_or(KEEPER.address, runs_as);
        let how = match plan.how {
            _ if parent.is_none() => CallHow::Call,
            0..=5 => CallHow::Call,
            6 | 7 => CallHow::Delegatecall,
            8 => CallHow::Staticcall,
            _ => CallHow::Create,
        };
        let to = if how == CallHow::Delegatecall { LIBRARY } else { PARTIES[plan.to % PARTIES.len()] };
        let value = if matches!(how, CallHow::Call | CallHow::Create) { plan.value } else { 0 };
        // A delegatecall now and then hands on what its caller was asked.
        let input = match &outer {
            Some(outer) if how == CallHow::Delegatecall && plan.value > 4 => outer.input.clone(),
            _ => inputs[plan.input % inputs.len()].clone(),
        };
        calls.push(TracedCall {
            parent: parent.map(|parent| u32::try_from(parent).expect("few calls")),
            how,
            from,
            to: Some(to),
            value: U256::from(value),
            input,
            failed: plan.failed && parent.is_some(),
            logs: vec![],
        });
        // A log is written by the contract that it names.
        let runs_as = runs_as(&calls[me]);
        let log = plan.log.map(|log| logs()[log % logs().len()].clone()).filter(|log| log.address == runs_as);
        written.push(log.into_iter().collect());
        for child in children[at].iter().rev() {
            open.push((*child, Some(me)));
        }
    }
    let root = &calls[0];
    let mut tx = Tx::call(root.from, root.to.expect("a target"), root.input.clone()).value(root.value);
    let mut undone = vec![false; calls.len()];
    let mut still = vec![false; calls.len()];
    for at in 0..calls.len() {
        let parent = calls[at].parent.map(|parent| parent as usize);
        undone[at] = calls[at].failed || parent.is_some_and(|parent| undone[parent]);
        still[at] = calls[at].how == CallHow::Staticcall || parent.is_some_and(|parent| still[parent]);
        if still[at] {
            written[at].clear();
            calls[at].value = U256::ZERO;
        }
        if !undone[at] {
            tx.logs.extend(written[at].iter().cloned());
        }
    }
    // The judge holds the logs of a trace against those of the receipt.
    if with_logs {
        for (call, written) in calls.iter_mut().zip(&written) {
            call.logs = written.iter().map(in_trace).collect();
        }
    }
    (tx, TxTrace { tx: None, calls, has_logs: with_logs })
}

fn in_trace(log: &Log) -> watchfire::model::Log {
    watchfire::model::Log { ordinal: 0, address: log.address, topics: log.topics.clone(), data: log.data.clone() }
}

/// Whether a rule of the watchlist stands behind a normal verdict: it vouched for this, or for what this is the effect of.
fn by_rule(court: &Court, block: &JudgedBlock, at: usize) -> Option<watchfire::classify::rule::Rule> {
    let one = &block.judged[at];
    let Verdict::Normal { by } = &one.verdict else { return None };
    let rules = &court.book.rules.watches[one.activity.watch.index()].rules;
    match (by, &one.activity.role) {
        (Voucher::Rule(name), _) => rules.iter().find(|rule| rule.name == *name).cloned(),
        (Voucher::EffectOf(_), Role::Effect { of }) => by_rule(court, block, *of),
        _ => None,
    }
}

/// Whether anything leaves by it, told apart from how the judge tells it.
fn leaves(one: &Judged, watched: Address) -> bool {
    let activity = &one.activity;
    let ran = activity.fate == watchfire::model::Fate::Executed;
    let name = &*activity.deed.name;
    ran && match activity.kind {
        ActivityKind::Act => {
            let foreign = activity.operation == Operation::Delegatecall;
            let gives = ["transfer", "approve", "setApprovalForAll", "transferOwnership"].contains(&name)
                || name == "transferFrom" && activity.deed.args[0].value.as_address() == Some(watched);
            activity.operation == Operation::Create
                || foreign
                || !activity.value.is_zero() && activity.to != Some(watched)
                || gives
        }
        ActivityKind::Move => activity.from == watched && activity.to != Some(watched),
        _ => false,
    }
}

/// What is handed on as a proxy does is for the rule for the call to vouch for.
fn hands_on(one: &Judged) -> bool {
    one.activity.notes.contains(&watchfire::model::activity::Note::HandsOn)
}

fn holds(court: &Court, tx: &Tx, trace: TxTrace) {
    let (block, receipts) = wire(1, FRIDAY, std::slice::from_ref(tx));
    let block = wire::parse_block(&block, &receipts).unwrap_or_else(|why| panic!("{why}"));
    let has_logs = trace.has_logs;
    let calls = trace.calls.clone();
    let traced = court.examine_traced(&block, vec![trace]);
    let blind = court.examine(&block);
    let shown = |block: &JudgedBlock| -> Vec<String> {
        let line = |one: &Judged| format!("{} {}", one.activity.position, court.line(one));
        block.judged.iter().map(line).collect()
    };
    let all = || format!("traced: {:#?}\nblind: {:#?}\ncalls: {calls:#?}", shown(&traced), shown(&blind));

    // More sight never means fewer findings.
    for (at, one) in blind.judged.iter().enumerate() {
        if matches!(one.verdict, Verdict::Normal { .. }) {
            continue;
        }
        let same = |other: &&Judged| {
            let key = |one: &Judged| (one.activity.watch, one.activity.kind, one.activity.position.to_string());
            key(one) == key(other)
        };
        let seen = traced.judged.iter().position(|other| same(&other));
        let seen = seen.unwrap_or_else(|| panic!("gone: {}\n{}", shown(&blind)[at], all()));
        let is_found = matches!(traced.judged[seen].verdict, Verdict::Abnormal(_));
        assert!(is_found || by_rule(court, &traced, seen).is_some(), "hidden: {}\n{}", shown(&blind)[at], all());
    }

    for (block, has_trace) in [(&traced, true), (&blind, false)] {
        for (at, one) in block.judged.iter().enumerate() {
            let watched = court.book.watches[one.activity.watch.index()].address;
            let Verdict::Normal { by } = &one.verdict else { continue };
            // Nothing goes out by the word of a built-in, or of a rule for a call.
            if leaves(one, watched) {
                let rule = by_rule(court, block, at);
                let fits = rule.as_ref().is_some_and(|rule| {
                    let of_call = rule.kind == ActivityKind::Call && (rule.effects || hands_on(one));
                    rule.polarity == Polarity::Normal
                        && (matches!(rule.kind, ActivityKind::Act | ActivityKind::Move) || of_call)
                });
                assert!(fits, "let go: {}\n{}", shown(block)[at], all());
            }
            // A view changed nothing.
            if matches!(by, Voucher::Builtin("builtin/view")) {
                let told = |other: &&Judged| {
                    let leaf = other.activity.role == (Role::Effect { of: at });
                    leaf && other.activity.kind != ActivityKind::Act
                };
                assert!(!block.judged.iter().any(|other| told(&other)), "a view changed something: {}", all());
                if !has_trace || !has_logs {
                    let left = |other: &Judged| {
                        let is_event = other.activity.kind == ActivityKind::Event;
                        let is_move = other.activity.kind == ActivityKind::Move && other.activity.from == watched;
                        (is_event || is_move)
                            && other.activity.role == Role::Leaf
                            && other.activity.watch == one.activity.watch
                    };
                    assert!(!block.judged.iter().any(left), "a view where something was logged: {}", all());
                }
            }
        }
    }
    every_call_out_is_seen(&traced, &calls, &all);
}

/// Each call by which something leaves a subject is an activity: none goes by without a line.
fn every_call_out_is_seen(block: &JudgedBlock, calls: &[TracedCall], all: &dyn Fn() -> String) {
    let mut undone = vec![false; calls.len()];
    let mut still = vec![false; calls.len()];
    for (at, call) in calls.iter().enumerate() {
        let parent = call.parent.map(|parent| parent as usize);
        undone[at] = call.failed || parent.is_some_and(|parent| undone[parent]);
        still[at] = call.how == CallHow::Staticcall || parent.is_some_and(|parent| still[parent]);
        if parent.is_none() || undone[at] || still[at] || ![DESK, PAYER.address].contains(&call.from) {
            continue;
        }
        let seen = block.judged.iter().any(|one| {
            let to = call.to.filter(|_| call.how != CallHow::Create);
            let act = &one.activity;
            act.kind == ActivityKind::Act && act.from == call.from && act.to == to && act.value == call.value
        });
        assert!(seen, "no line of call {at}: {}", all());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_out_unvouched_and_more_sight_hides_nothing(
        plans in proptest::collection::vec(plan(), 1..9),
        court in 0..RULES.len(),
        with_logs in any::<bool>(),
    ) {
        let (tx, trace) = made(&plans, with_logs);
        holds(&COURTS[court], &tx, trace);
    }
}

/// A transaction of so many calls that not all are followed says so of every subject that the rest concerns.
#[test]
fn what_stands_behind_a_thousand_calls_is_told_of() {
    let mut plans = vec![Plan { parent: 0, how: 0, to: 4, value: 0, input: 0, failed: false, log: None }];
    plans.extend((0..1200).map(|_| Plan { parent: 0, how: 0, to: 0, value: 1, input: 0, failed: false, log: None }));
    let (tx, trace) = made(&plans, true);
    let (block, receipts) = wire(1, FRIDAY, std::slice::from_ref(&tx));
    let block = wire::parse_block(&block, &receipts).unwrap_or_else(|why| panic!("{why}"));
    let judged = COURTS[0].examine_traced(&block, vec![trace]);
    let found: Vec<String> = judged
        .judged
        .iter()
        .filter(|one| matches!(one.verdict, Verdict::Abnormal(_)))
        .map(|one| COURTS[0].line(one))
        .collect();
    assert_eq!(found, ["Desk call ether: high builtin/budget"]);
}
