//! Abnormal rules beside normal ones and built-ins: whatever a rule says, in force or on trial, it hides nothing that is louder.

use crate::support::accounts::{GRANTEE, OWNER_A, OWNER_B, OWNER_C, PAYER, RELAYER, STRANGER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, U256, address, keccak256};
use alloy_sol_types::SolValue;
use watchfire::model::{Abnormal, Judged, Verdict};

const DESK: Address = address!("De5c000000000000000000000000000000000001");
const ABI: &str = r#"[{"type":"function","name":"harvest","inputs":[],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"event","name":"Kept","inputs":[{"name":"amount","type":"uint256","indexed":false}],"anonymous":false},
  {"type":"event","name":"OwnershipTransferred","inputs":[{"name":"before","type":"address","indexed":true},{"name":"after","type":"address","indexed":true}],"anonymous":false},
  {"type":"event","name":"Transfer","inputs":[{"name":"from","type":"address","indexed":true},{"name":"to","type":"address","indexed":true},{"name":"value","type":"uint256","indexed":false}],"anonymous":false}]"#;

fn court(raises: &str) -> Court {
    let keys = [OWNER_A, OWNER_B, OWNER_C].map(|owner| owner.address.to_string());
    let watch = |label: &str, address: Address, kind: &str, rules: &str| {
        watched(label, address, kind, &format!("abi = \"desk.json\"\n{rules}"))
    };
    let pays = format!(
        "[[watch.normal]]\nname = \"pays\"\nact = \"ether\"\nto = [\"{}\"]\nvalue = {{ max = \"5 wei\" }}\n",
        GRANTEE.address
    );
    let list = [
        format!("[set]\nkeys = {keys:?}\n[token.COIN]\nchain = \"demo\"\naddress = \"{COIN}\"\ndecimals = 0\n"),
        watch("Payer", PAYER.address, "eoa", &(pays.clone() + raises)),
        watch("Safe", SAFE, "safe", &format!("registry = {{ owners = \"@keys\", threshold = 2 }}\n{pays}{raises}")),
        watch(
            "Desk",
            DESK,
            "contract",
            &format!("[[watch.normal]]\nname = \"harvests\"\ncall = \"harvest()\"\n{raises}"),
        ),
    ];
    Court::with(&list.concat(), &[("desk.json", ABI)]).safe_at(SAFE, 7, 2)
}

/// One block: what rules vouch for, what nothing does, control that changes, an attempt, an envelope, logs and movements.
fn block() -> Vec<Tx> {
    let call = |signature: &str, arguments: Vec<u8>| [&keccak256(signature)[..4], &arguments].concat();
    let seize = || call("transferOwnership(address)", EVIL.abi_encode());
    let enable = Order::call(SAFE, call("enableModule(address)", EVIL.abi_encode()));
    let (order, hash) = enable.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let kept = raw(DESK, "Kept(uint256)", &[], number(1).to_vec());
    let handed = raw(DESK, "OwnershipTransferred(address,address)", &[word(DESK), word(EVIL)], []);
    vec![
        Tx::call(PAYER.address, GRANTEE.address, []).value(3),
        Tx::call(PAYER.address, EVIL, []).value(900),
        Tx::call(PAYER.address, OTHER_TOKEN, seize()),
        Tx::call(PAYER.address, COIN, call("approve(address,uint256)", (EVIL, U256::MAX).abi_encode())),
        Tx::call(PAYER.address, EVIL, []).value(901).reverted(),
        Tx::call(RELAYER.address, SAFE, order).log(success(SAFE, hash)),
        Tx::call(STRANGER.address, DESK, call("harvest()", vec![])).log(kept).log(handed),
        Tx::call(STRANGER.address, DESK, call("harvest()", vec![])).log(moved(DESK, Address::ZERO, EVIL, 5)),
        Tx::call(STRANGER.address, FAKE, [1]).log(moved(COIN, PAYER.address, EVIL, 900)),
    ]
}

/// The finding that somebody is told of, if there is one.
fn told(one: &Judged) -> Option<&Abnormal> {
    match &one.verdict {
        Verdict::Abnormal(abnormal) if !abnormal.observe && abnormal.repeats.is_none() => Some(abnormal),
        _ => None,
    }
}

#[test]
fn no_abnormal_rule_makes_quieter_what_nothing_vouches_for() {
    let without = court("").judge(&block());
    let critical = without.iter().filter(|one| told(one).is_some_and(|one| one.severity.as_str() == "critical"));
    assert!(critical.count() >= 4, "{without:#?}");
    let deeds = ["act = \"*\"", "call = \"*\"", "event = \"*\"", "move = \"out\"", "act = \"*\"\nfirst_seen = \"to\""];
    let ways = [
        "mode = \"observe\"",
        "severity = \"info\"",
        "severity = \"warning\"",
        "severity = \"critical\"\nmode = \"observe\"",
    ];
    for (deed, way) in deeds.iter().flat_map(|deed| ways.iter().map(move |way| (deed, way))) {
        // A rule on trial says nothing by itself, and a loud one beside it says what it would have said alone.
        let quiet = format!("[[watch.abnormal]]\nname = \"quiet\"\n{deed}\n{way}\n");
        let elsewhere = format!("origin = {{ not_in = [\"{MODULE}\"] }}");
        let loud = format!("[[watch.abnormal]]\nname = \"loud\"\n{deed}\n{elsewhere}\nseverity = \"critical\"\n");
        let alone = court(&loud).judge(&block());
        let with = court(&quiet).judge(&block());
        let both = court(&(quiet.clone() + &loud)).judge(&block());
        assert_eq!(without.len(), with.len());
        for (at, before) in without.iter().enumerate() {
            let shown = || format!("{quiet}\n{before:#?}\n{:#?}", with[at]);
            match (told(before), told(&with[at])) {
                (Some(was), Some(is)) => {
                    assert!(is.severity >= was.severity, "{}", shown());
                    assert!(is.rule == was.rule || &*is.rule == "quiet", "{}", shown());
                }
                (Some(_), None) => panic!("silent: {}", shown()),
                (None, Some(_)) => assert!(!way.contains("observe"), "on trial: {}", shown()),
                (None, None) => {}
            }
            let severity = |one: &Judged| told(one).map(|one| one.severity);
            assert_eq!(severity(&alone[at]), severity(&both[at]), "{}", shown());
        }
    }
}

#[test]
fn a_rule_on_trial_is_a_reason_of_the_finding_that_stands_without_it() {
    let trial = "[[watch.abnormal]]\nname = \"new\"\nact = \"*\"\nfirst_seen = \"to\"\nmode = \"observe\"\n";
    let judged = court(trial)
        .judge(&[Tx::call(PAYER.address, EVIL, []).value(900), Tx::call(PAYER.address, GRANTEE.address, []).value(3)]);
    let abnormal = |at: usize| match &judged[at].verdict {
        Verdict::Abnormal(abnormal) => abnormal,
        normal => panic!("{normal:?}"),
    };
    assert_eq!((&*abnormal(0).rule, abnormal(0).observe), ("builtin/unvouched", false));
    assert!(abnormal(0).reasons.contains(&"new: this is what the rule raises; the rule is on trial".to_owned()));
    assert_eq!(
        (&*abnormal(1).rule, abnormal(1).observe),
        ("new", true),
        "a rule vouches for it: the trial is all there is"
    );
}

#[test]
fn what_a_rule_on_trial_raises_still_fills_the_window_of_the_rule_that_vouches() {
    let limited = format!(
        "[[watch.normal]]\nname = \"small\"\nact = \"ether\"\nto = [\"{}\"]\nvalue = {{ max = \"5 wei\" }}\nlimit = {{ count = 1, per = \"1h\" }}\n",
        STRANGER.address
    );
    let pay = || Tx::call(PAYER.address, STRANGER.address, []).value(1);
    let found = |more: &str| -> Vec<bool> {
        let judged = court(&(limited.clone() + more)).judge(&[pay(), pay()]);
        judged.iter().filter(|one| &*one.activity.deed.name == "ether").map(|one| told(one).is_some()).collect()
    };
    assert_eq!(found(""), [false, true]);
    assert_eq!(found("[[watch.abnormal]]\nname = \"t\"\nact = \"*\"\nmode = \"observe\"\n"), [false, true]);
}
