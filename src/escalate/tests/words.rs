//! Wording of headlines.

use crate::escalate::activity_headline;
use crate::escalate::fixtures::*;
use crate::model::activity::{Fate, Operation, Role};
use crate::model::record::Line;
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Decoding, Position, Severity, Wrapper};
use alloy_primitives::{Address, B256, U256};

fn say(activity: &Activity) -> String {
    let roster = sample_routing();
    activity_headline(activity, &roster.watches[activity.watch.index()], &roster)
}

/// Returns a call by the treasury of `signature` at watch or address `to`.
fn act(to: u32, signature: &str, args: Vec<(&str, Value)>) -> Activity {
    let mut activity = snt_transfer(TREASURY, 1, &[0], 0);
    activity.to = Some(numbered_address(to));
    activity.deed.name = signature.split('(').next().unwrap().into();
    activity.deed.signature = signature.into();
    activity.deed.args = args.into_iter().map(|(name, value)| untyped_argument(name, value)).collect();
    activity
}

fn someone(n: u32) -> Value {
    Value::Address(numbered_address(n))
}

fn number(n: u64) -> Value {
    Value::Uint(U256::from(n))
}

#[test]
fn a_headline_says_who_did_what_to_whom_with_units_and_names() {
    let unlimited = Value::Uint(U256::MAX);
    let mut payment = act(99, "ether", vec![]);
    (payment.value, payment.deed.decoding) = (U256::from(250_000_000_000_000_000u64), Decoding::Ether);
    let cases = [
        (snt_transfer(TREASURY, 1, &[0], 60_000), "Treasury Safe sent 60,000 SNT to Grantee: docs"),
        (payment, "Treasury Safe sent 0.25 ETH to Grantee: docs"),
        (
            act(77, "transfer(address,uint256)", vec![("to", someone(99)), ("value", number(1_000_000))]),
            "Treasury Safe sent 1,000,000 units of 0x0000…A04D to Grantee: docs",
        ),
        (
            act(TOKEN, "approve(address,uint256)", vec![("spender", someone(99)), ("amount", unlimited)]),
            "Treasury Safe allowed Grantee: docs to spend unlimited SNT",
        ),
        (
            act(TOKEN, "changeController(address)", vec![("_newController", someone(99))]),
            "Treasury Safe made Grantee: docs the controller of SNT",
        ),
        (
            act(
                TREASURY,
                "swapOwner(address,address,address)",
                vec![("prevOwner", someone(1)), ("oldOwner", someone(51)), ("newOwner", someone(99))],
            ),
            "Treasury Safe replaced owner 0x0000…a033 of itself by Grantee: docs",
        ),
        (
            act(CHILD, "confirmTransaction(uint256)", vec![("transactionId", number(12))]),
            "Treasury Safe confirmed transaction 12 of Child Safe",
        ),
        (
            act(CHILD, "setPrice(uint256,string)", vec![("price", number(5000)), ("", Value::String(b"x".into()))]),
            "Treasury Safe called setPrice(price: 5,000, \"x\") on Child Safe",
        ),
    ];
    for (activity, sentence) in cases {
        assert_eq!(say(&activity), sentence);
    }
}

#[test]
fn a_headline_says_how_far_it_got() {
    let with = |fate| say(&Activity { fate, ..snt_transfer(TREASURY, 1, &[0], 5) });
    assert_eq!(with(Fate::Waiting), "Treasury Safe is to send 5 SNT to Grantee: docs (proposed)");
    assert_eq!(with(Fate::Reverted), "Treasury Safe tried to send 5 SNT to Grantee: docs (reverted)");
    assert_eq!(
        with(Fate::Failed),
        "Treasury Safe tried to send 5 SNT to Grantee: docs (failed inside a transaction that succeeded)"
    );
}

#[test]
fn a_delegatecall_is_told_as_foreign_code_and_not_by_the_name_of_its_function() {
    let mut activity = snt_transfer(TREASURY, 1, &[0], 0);
    activity.operation = Operation::Delegatecall;
    activity.to = Some(numbered_address(66));
    assert_eq!(
        say(&activity),
        "Treasury Safe ran foreign code as itself: transfer(to: Grantee: docs, amount: 0) of 0x0000…a042, by delegatecall"
    );
}

#[test]
fn what_cannot_be_read_is_said_to_be_unknown() {
    let mut activity = act(CHILD, "0xdeadbeef", vec![]);
    activity.deed.decoding = Decoding::Opaque("no function has this selector".into());
    activity.deed.selector = Some([0xde, 0xad, 0xbe, 0xef]);
    assert_eq!(say(&activity), "Treasury Safe called the unknown function 0xdeadbeef of Child Safe");
    activity.deed.decoding = Decoding::Ambiguous(vec!["a(uint256)".into(), "b(address)".into()]);
    assert_eq!(say(&activity), "Treasury Safe called a(uint256) or b(address) or another function of Child Safe");
}

#[test]
fn a_call_is_told_from_the_caller_and_an_event_from_the_emitter() {
    let mut call = act(TREASURY, "approveHash(bytes32)", vec![("hash", Value::FixedBytes(B256::ZERO, 32))]);
    (call.kind, call.from) = (ActivityKind::Call, numbered_address(50));
    assert!(say(&call).starts_with("0x0000…a032 approved the transaction hash 0x0000"), "{}", say(&call));
    let mut event = act(TOKEN, "Transfer(address,address,uint256)", vec![("_amount", number(7))]);
    (event.kind, event.from, event.watch) =
        (ActivityKind::Event, numbered_address(TOKEN), crate::model::WatchId(TOKEN));
    event.position = Position::Log(1);
    assert_eq!(say(&event), "SNT logged Transfer(_amount: 0.000000000000000007 SNT)");
    let mut envelope = act(CHILD, "execTransaction(address,uint256)", vec![]);
    envelope.role = Role::Envelope { carries: vec![] };
    assert_eq!(say(&envelope), "Treasury Safe executed execTransaction of Child Safe");
}

#[test]
fn a_move_is_told_from_the_side_of_the_watch() {
    let moved = |name: &str, from: Address, to: Address| {
        let mut activity = act(TOKEN, name, vec![]);
        (activity.kind, activity.position) = (ActivityKind::Move, Position::Log(3));
        activity.deed.args = [Value::Address(numbered_address(TOKEN)), Value::Address(from), Value::Address(to)]
            .into_iter()
            .chain([Value::Uint(U256::from(5) * U256::from(10).pow(U256::from(18)))])
            .map(|value| untyped_argument("", value))
            .collect();
        say(&activity)
    };
    assert_eq!(
        moved("transfer", numbered_address(99), numbered_address(TREASURY)),
        "Treasury Safe received 5 SNT from Grantee: docs"
    );
    assert_eq!(
        moved("transfer", numbered_address(TREASURY), numbered_address(99)),
        "5 SNT left Treasury Safe for Grantee: docs"
    );
    assert_eq!(
        moved("approval", numbered_address(TREASURY), numbered_address(99)),
        "Treasury Safe allowed Grantee: docs to spend 5 SNT"
    );
}

#[test]
fn text_from_the_chain_cannot_move_the_cursor_or_fill_the_page() {
    let hostile = Value::String(format!("\u{1b}[2J\n\u{202e}{}", "x".repeat(9000)).into_bytes().into());
    let sentence = say(&act(CHILD, "note(string)", vec![("", hostile)]));
    assert!(!sentence.chars().any(crate::model::text::is_treacherous), "{sentence}");
    let long = Value::String("y".repeat(60).into_bytes().into());
    let sentence = say(&act(CHILD, "note(string)", (0..9).map(|_| ("", long.clone())).collect()));
    assert_eq!(sentence.chars().count(), 240);
    let mut named = act(CHILD, "x", vec![]);
    named.deed.decoding = Decoding::Ambiguous(vec!["\u{1b}[2J".into()]);
    assert!(!say(&named).contains('\u{1b}'));
}

#[test]
fn a_verdict_line_holds_what_was_judged() {
    let mut kept = Kept::new();
    let mut activity = snt_transfer(TREASURY, 1, &[0, 2], 60_000);
    activity.signers = Some(vec![numbered_address(51)]);
    activity.via = vec![Wrapper { at: numbered_address(TREASURY), function: "execTransaction".into() }];
    let other = judged_normal(snt_transfer(TREASURY, 2, &[0], 1));
    let plan = kept.commit_block(7, vec![judged_abnormal(activity, "builtin/unvouched", Severity::High), other], T);
    let Line::Verdict(line) = &plan.lines[1] else { panic!("a verdict for each") };
    assert_eq!((line.revision, line.verdict.as_str(), line.by.as_str()), (1, "normal", "friday-grants"));
    let Line::Verdict(line) = &plan.lines[0] else { panic!("a verdict first") };
    let json = serde_json::to_value(Line::Verdict(line.clone())).unwrap();
    let expected = serde_json::json!({
        "type": "verdict", "chain": "mainnet", "block": 7, "time": "2026-11-20T09:48:04Z",
        "position": "call.0.2", "watch": "Treasury Safe", "activity": "act", "function": "transfer(address,uint256)",
        "stage": "included", "fate": "executed", "verdict": "abnormal", "by": "builtin/unvouched", "severity": "high",
        "revision": 1, "value": "0", "value_human": "0 ETH", "via": ["execTransaction at Treasury Safe"],
        "operation": "call", "sources": 2, "verified": true,
        "args": {"to": numbered_address(99).to_checksum(None), "amount": "60000000000000000000000"},
        "args_human": {"amount": "60,000 SNT"},
        "signers": [numbered_address(51).to_checksum(None)],
        "finding_id": kept.findings.keys().next().unwrap().as_str(),
        "incident_id": kept.only_incident().id.as_str(),
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&json[key], value, "{key}");
    }
}

#[test]
fn owners_of_a_registry_are_named_as_such_wherever_an_address_is_shown() {
    let mut roster = sample_routing();
    let (chain, owner) = (crate::model::ChainId(1), numbered_address(51));
    for label in ["Treasury Safe", "Treasury Safe", "Child Safe"] {
        roster.names.insert_owner(chain, owner, &label.into());
    }
    roster.names.insert_owner(chain, numbered_address(99), &"Treasury Safe".into());
    assert_eq!(roster.names.display_name(chain, owner), "owner 0x0000…a033 of Treasury Safe and Child Safe");
    assert_eq!(roster.names.party(chain, owner).name.as_deref(), Some("owner of Treasury Safe and Child Safe"));
    assert_eq!(roster.names.display_name(chain, numbered_address(99)), "Grantee: docs", "a name says who it is");
    assert_eq!(
        roster.names.party(chain, numbered_address(99)).name.as_deref(),
        Some("Grantee: docs, owner of Treasury Safe")
    );
    for label in ["A", "B"] {
        roster.names.insert_owner(chain, owner, &label.into());
    }
    assert_eq!(roster.names.display_name(chain, owner), "owner 0x0000…a033 of Treasury Safe, Child Safe and 2 more");
    assert_eq!(
        roster.names.display_name(crate::model::ChainId(10), owner),
        "0x0000…a033",
        "on another chain it is nobody's"
    );
}

#[test]
fn evidence_lists_every_counterparty_in_full_and_says_whom_it_only_looks_like() {
    use alloy_primitives::address as literal;
    let mut kept = Kept::new();
    let (payee, twin) =
        (literal!("7099797051812dC3A010C7D01b50e0d17dC779c8"), literal!("709fffffffffffffffffffffffffffffffff79c8"));
    kept.roster.names.insert(crate::model::ChainId(1), payee, "Payee");
    let mut act = snt_transfer(TREASURY, 1, &[0], 5);
    let several =
        Value::Array(vec![Value::Address(twin), Value::Address(numbered_address(50)), someone(99), someone(99)]);
    act.deed.args =
        vec![untyped_argument("to", several), untyped_argument("from", Value::Address(numbered_address(TREASURY)))];
    kept.commit_block(1, vec![judged_abnormal(act, "builtin/unvouched", Severity::High)], T);
    let evidence = &kept.only_incident().page.evidence[0];
    let parties: Vec<(Address, Option<&str>)> =
        evidence.parties.iter().map(|party| (party.address, party.name.as_deref())).collect();
    // The list omits the watch itself and the sender, which has a line of its own.
    assert_eq!(
        parties,
        [(numbered_address(TOKEN), Some("SNT")), (twin, None), (numbered_address(99), Some("Grantee: docs"))]
    );
    let like = evidence.parties[1].looks_like.as_ref().expect("it looks like the payee");
    assert_eq!((like.address, like.name.as_deref()), (payee, Some("Payee")));
    assert!(evidence.parties[0].looks_like.is_none() && evidence.more_parties == 0 && evidence.own);
    let mut many = snt_transfer(TREASURY, 2, &[0], 5);
    many.deed.args = (0..40).map(|n| untyped_argument("", someone(400 + n))).collect();
    kept.commit_block(2, vec![judged_abnormal(many, "builtin/unvouched", Severity::High)], T);
    let evidence = &kept.only_incident().page.evidence[0];
    assert_eq!((evidence.parties.len(), evidence.more_parties), (12, 29));
}
