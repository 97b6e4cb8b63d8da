//! Abnormal rules beside normal ones and built-ins: whatever a rule says, in force or on trial, it hides nothing that is louder.

use crate::hostile::made::*;
use crate::support::accounts::{GRANTEE, OWNER_A, OWNER_B, OWNER_C, PAYER, STRANGER};
use alloy_primitives::{Address, address};
use watchfire::model::{Abnormal, Judged, Verdict};

const DESK: Address = address!("De5c000000000000000000000000000000000001");
const ABI: &str = r#"[{"type":"function","name":"harvest","inputs":[],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"event","name":"Kept","inputs":[{"name":"amount","type":"uint256","indexed":false}],"anonymous":false}]"#;

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

/// The finding that somebody is told of, if there is one.
fn told(one: &Judged) -> Option<&Abnormal> {
    match &one.verdict {
        Verdict::Abnormal(abnormal) if !abnormal.observe && abnormal.repeats.is_none() => Some(abnormal),
        _ => None,
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
