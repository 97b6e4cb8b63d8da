//! How far the word for a call reaches: what goes out of a contract inside of it, case by case, beside what looks like it and does not.

use crate::support::accounts::{GRANTEE, KEEPER, PAYER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, Bytes, U256, address, keccak256};
use alloy_sol_types::SolValue;
use watchfire::model::{Abnormal, ActivityKind, CallHow, Judged, Severity, TracedCall, TxTrace, Verdict};
use watchfire::wire;

const DESK: Address = address!("De5c000000000000000000000000000000000001");
/// A contract that nobody watches.
const OTHER: Address = address!("07e4000000000000000000000000000000000002");
const ENTRY_POINT: Address = address!("0000000071727De22E5E9d8BAf0edAc6f37da032");
const ABI: &str = r#"[{"type":"function","name":"harvest","inputs":[],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"function","name":"poke","inputs":[],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"event","name":"Transfer","inputs":[{"name":"from","type":"address","indexed":true},{"name":"to","type":"address","indexed":true},{"name":"amount","type":"uint256","indexed":false}],"anonymous":false},
  {"type":"event","name":"Approval","inputs":[{"name":"owner","type":"address","indexed":true},{"name":"spender","type":"address","indexed":true},{"name":"amount","type":"uint256","indexed":false}],"anonymous":false}]"#;
const CALL: &str = "[[watch.normal]]\nname = \"harvests\"\ncall = \"harvest()\"\n";
const ANY: &str = "[[watch.normal]]\nname = \"harvests\"\ncall = \"harvest()\"\neffects = \"any\"\n";

fn court(rules: &str) -> Court {
    let known = format!(
        "[set]\npayees = [\"{}\"]\n[token.COIN]\nchain = \"demo\"\naddress = \"{COIN}\"\ndecimals = 0\n",
        GRANTEE.address
    );
    let desk = watched("Desk", DESK, "contract", &format!("abi = \"desk.json\"\n{rules}"));
    let list = [known, desk, watched("Payer", PAYER.address, "eoa", "")];
    Court::with(&list.concat(), &[("desk.json", ABI)])
}

fn call(signature: &str, arguments: impl AsRef<[u8]>) -> Bytes {
    [&keccak256(signature)[..4], arguments.as_ref()].concat().into()
}

/// Calls that the desk makes while it is called, and logs that it writes.
fn judged(court: &Court, asked: &Tx, calls: &[(Address, Bytes)], logs: &[Log]) -> Vec<Judged> {
    let tx = logs.iter().fold(asked.clone(), |tx, log| tx.log(log.clone()));
    let one = |parent, from, to, value, input: &Bytes| TracedCall {
        parent,
        how: CallHow::Call,
        from,
        to: Some(to),
        value,
        input: input.clone(),
        failed: false,
        logs: vec![],
    };
    let root = one(None, tx.from, DESK, tx.value, &tx.input);
    let inner = calls.iter().map(|(to, input)| one(Some(0), DESK, *to, U256::ZERO, input));
    let trace = TxTrace { tx: None, calls: [root].into_iter().chain(inner).collect(), has_logs: false };
    let (block, receipts) = wire(1, FRIDAY, &[tx]);
    let block = wire::parse_block(&block, &receipts).unwrap_or_else(|why| panic!("{why}"));
    court.examine_traced(&block, vec![trace]).judged
}

fn harvest() -> Tx {
    Tx::call(KEEPER.address, DESK, call("harvest()", []))
}

/// Findings of the desk that are told by themselves.
fn found(judged: &[Judged]) -> Vec<(ActivityKind, &Abnormal)> {
    let own = |one: &&Judged| one.activity.watch.index() == 0;
    judged
        .iter()
        .filter(own)
        .filter_map(|one| match &one.verdict {
            Verdict::Abnormal(abnormal) if abnormal.repeats.is_none() => Some((one.activity.kind, abnormal)),
            _ => None,
        })
        .collect()
}

/// Where a call goes to, what gives something to the first address, and the same for the second.
struct Case {
    to: Address,
    signature: &'static str,
    given: fn(Address) -> Vec<u8>,
}

const fn case(to: Address, signature: &'static str, given: fn(Address) -> Vec<u8>) -> Case {
    Case { to, signature, given }
}

const N: U256 = U256::from_limbs([5, 0, 0, 0]);

/// What goes to somebody, and is harmless where that is the desk itself.
const CASES: &[Case] = &[
    case(OTHER, "withdrawTo(address,address,uint256)", |who| (who, COIN, N).abi_encode()),
    case(OTHER, "withdrawFrom(address,address,address,uint256)", |who| (DESK, who, COIN, N).abi_encode()),
    case(OTHER, "transferAsset(address,address,uint256)", |who| (who, COIN, N).abi_encode()),
    case(OTHER, "withdraw(address,uint256,address)", |who| (COIN, N, who).abi_encode()),
    case(OTHER, "withdraw(uint256,address,address)", |who| (N, who, DESK).abi_encode()),
    case(OTHER, "redeem(uint256,address,address)", |who| (N, who, DESK).abi_encode()),
    case(OTHER, "collect((uint256,address,uint128,uint128))", |who| (N, who, u128::MAX, u128::MAX).abi_encode()),
    case(ENTRY_POINT, "withdrawTo(address,uint256)", |who| (who, N).abi_encode()),
    case(ENTRY_POINT, "withdrawStake(address)", |who| who.abi_encode()),
    case(OTHER, "mint(uint256,address)", |who| (N, who).abi_encode()),
    case(OTHER, "mint(address,uint256,uint256,bytes)", |who| (who, N, N, Bytes::new()).abi_encode_params()),
    case(OTHER, "mintTo(address,uint256)", |who| (who, N).abi_encode()),
    case(OTHER, "settleDebtFor(uint256,address)", |who| (N, who).abi_encode()),
    case(OTHER, "multicall(bytes[])", |who| vec![call("sweep(address,uint256)", (who, N).abi_encode())].abi_encode()),
];

/// What changes who or what rules somewhere, or cannot be read and is addressed to what the configuration names: each always goes out.
const ALWAYS: &[Case] = &[
    case(OTHER, "mint(address,uint256)", |who| (who, N).abi_encode()),
    case(OTHER, "_setPendingAdmin(address)", |who| who.abi_encode()),
    case(OTHER, "setAdmin(address)", |who| who.abi_encode()),
    case(OTHER, "setGovernance(address)", |who| who.abi_encode()),
    case(OTHER, "setPendingGovernance(address)", |who| who.abi_encode()),
    case(OTHER, "grantRoles(address,uint256)", |who| (who, N).abi_encode()),
    case(OTHER, "transferOwnership(address)", |who| who.abi_encode()),
    case(OTHER, "changeDefaultAdminDelay(uint48)", |_| N.abi_encode()),
    case(OTHER, "setDelay(uint256)", |_| N.abi_encode()),
    case(OTHER, "setVotingPeriod(uint256)", |_| N.abi_encode()),
    case(OTHER, "upgradeTo(address)", |who| who.abi_encode()),
    case(COIN, "setPeer(uint32,bytes32)", |_| (N, [0x66_u8; 32]).abi_encode()),
    case(COIN, "quietly(uint256)", |_| N.abi_encode()),
    case(PAYER.address, "quietly(uint256)", |_| N.abi_encode()),
];

#[test]
fn a_rule_for_a_call_vouches_for_nothing_that_it_gives_away() {
    let (only_call, any) = (court(CALL), court(ANY));
    for Case { to, signature, given } in CASES.iter().chain(ALWAYS) {
        let input = |who: Address| call(signature, given(who));
        let inside = |court: &Court, who: Address| judged(court, &harvest(), &[(*to, input(who))], &[]);
        let theft = inside(&only_call, EVIL);
        let acts = found(&theft);
        assert!(
            acts.iter().any(|(kind, one)| *kind == ActivityKind::Act && one.severity >= Severity::High),
            "{signature}: {theft:#?}"
        );
        let vouched = inside(&any, EVIL);
        assert!(found(&vouched).is_empty(), "{signature}: {vouched:#?}");
    }
    for Case { to, signature, given } in CASES {
        for who in [DESK, GRANTEE.address] {
            // To a payee something goes out as well, unless nothing tells what it is.
            let own = judged(&only_call, &harvest(), &[(*to, call(signature, given(who)))], &[]);
            let known =
                own.iter().any(|one| one.activity.kind == ActivityKind::Act && !one.activity.deed.args.is_empty());
            assert_eq!(found(&own).is_empty(), who == DESK || !known, "{signature} to {who}: {own:#?}");
        }
    }
    for input in
        [call("rebalance(uint256)", N.abi_encode()), call("checkpoint()", []), Bytes::from_static(&[1, 2, 3, 4])]
    {
        let calm = judged(&only_call, &harvest(), &[(OTHER, input)], &[]);
        assert!(found(&calm).is_empty(), "{calm:#?}");
    }
}

#[test]
fn more_calls_than_are_followed_are_told_whatever_a_rule_vouches_for() {
    let mut calls = vec![(OTHER, Bytes::from_static(&[1, 2, 3, 4])); 1_100];
    for rules in [CALL, ANY] {
        let calm = judged(&court(rules), &harvest(), &calls[..900], &[]);
        assert!(found(&calm).is_empty(), "{:#?}", found(&calm));
    }
    calls.push((OTHER, call("transferOwnership(address)", EVIL.abi_encode())));
    for rules in [CALL, ANY] {
        let judged = judged(&court(rules), &harvest(), &calls, &[]);
        let names: Vec<&str> = found(&judged).iter().map(|(_, one)| &*one.rule).collect();
        assert_eq!(names, ["builtin/budget"], "{rules}");
    }
}

#[test]
fn a_call_that_wakes_nobody_hides_nothing_that_changes_something_elsewhere() {
    // An address that only looks like the payee's.
    let mut twin = GRANTEE.address;
    twin[9] ^= 0xff;
    let wei = Tx::call(twin, DESK, []).value(1);
    let observed = "[[watch.normal]]\nname = \"pokes\"\ncall = \"poke()\"\nfrom = [\"0x00000000000000000000000000000000000000AA\"]\nmode = \"observe\"\n";
    let poke = Tx::call(KEEPER.address, DESK, call("poke()", []));
    let unknown = call("forget(uint256)", N.abi_encode());
    let gives = call("withdrawTo(address,address,uint256)", (EVIL, COIN, N).abi_encode());
    for (rules, asked) in [("", &wei), (observed, &poke)] {
        let court = court(rules);
        let alone = judged(&court, asked, &[], &[]);
        assert!(found(&alone).iter().all(|(_, one)| one.is_noise() || one.observe), "{alone:#?}");
        for input in [&unknown, &gives] {
            let seen = judged(&court, asked, &[(OTHER, input.clone())], &[]);
            let loud = found(&seen).into_iter().filter(|(_, one)| !one.observe && one.severity >= Severity::High);
            assert_eq!(loud.map(|(kind, _)| kind).collect::<Vec<_>>(), [ActivityKind::Act], "{seen:#?}");
        }
    }
}

#[test]
fn what_goes_out_of_a_call_that_nothing_vouches_for_is_a_finding_of_its_own() {
    let poke = Tx::call(KEEPER.address, DESK, call("poke()", []));
    let pays = "[[watch.normal]]\nname = \"pays\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@COIN\"\nargs = { amount = { max = \"5 COIN\" } }\n";
    let sends = |n: u64| (COIN, transfer(EVIL, n));
    let kinds = |rules: &str, calls: &[(Address, Bytes)]| -> Vec<ActivityKind> {
        found(&judged(&court(rules), &poke, calls, &[])).iter().map(|(kind, _)| *kind).collect()
    };
    let (a_call, an_act) = (ActivityKind::Call, ActivityKind::Act);
    assert_eq!(kinds("", &[]), [a_call]);
    assert_eq!(kinds("", &[sends(400)]), [a_call, an_act]);
    assert_eq!(kinds("", &[sends(400), sends(3)]), [a_call, an_act, an_act]);
    assert_eq!(kinds(pays, &[sends(400), sends(3)]), [a_call, an_act], "what a rule vouches for is part of the call");
    assert_eq!(kinds("", &[(OTHER, call("checkpoint()", []))]), [a_call], "nothing goes out by it");
}

#[test]
fn a_token_that_makes_sends_or_allows_its_own_is_asked_for_whom() {
    let log =
        |signature: &str, a: Address, b: Address, n: u64| raw(DESK, signature, &[word(a), word(b)], number(n).to_vec());
    let (moves, allows) = ("Transfer(address,address,uint256)", "Approval(address,address,uint256)");
    let (keeper, nobody) = (KEEPER.address, Address::ZERO);
    let told = |rules: &str, log: Log| !found(&judged(&court(rules), &harvest(), &[], &[log])).is_empty();
    for (log, why) in [
        (log(moves, DESK, EVIL, 7), "it sends what it holds of itself"),
        (log(moves, DESK, keeper, 7), "to its caller as well"),
        (log(moves, nobody, EVIL, 7), "it makes some for somebody"),
        (log(moves, EVIL, nobody, 7), "it destroys somebody's"),
        (log(allows, DESK, EVIL, 7), "it allows its own"),
    ] {
        assert!(told(CALL, log.clone()), "{why}");
        assert!(!told(ANY, log), "{why}, and the rule says that it may");
    }
    for (log, why) in [
        (log(moves, nobody, keeper, 7), "shares for whoever calls"),
        (log(moves, keeper, nobody, 7), "shares that are given back"),
        (log(moves, nobody, GRANTEE.address, 7), "a fee for somebody whom the configuration names"),
        (log(moves, nobody, DESK, 7), "for itself"),
        (log(moves, keeper, EVIL, 7), "somebody else's tokens"),
        (log(allows, keeper, EVIL, 7), "somebody else's allowance"),
        (log(allows, DESK, EVIL, 0), "an allowance that is taken back"),
    ] {
        assert!(!told(CALL, log), "{why}");
    }
}
