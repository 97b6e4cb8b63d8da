//! `via` and `effects`: the reach of a rule into activities inside of a call.

use super::*;
use crate::classify::rule::{Condition, Via};
use crate::watchlist::check::{config_notes, coverage_rows, run_tests};

const VAULT: &str = r#"
[[watch]]
label = "Vault"
chain = "mainnet"
address = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
kind = "contract"
purpose = "Lends"
path = "treasury"
"#;

#[test]
fn what_says_nothing_or_could_never_hold_is_told() {
    let transfer = "act = \"transfer\"\nto = \"@USDC\"\n";
    let with = |via: &str| format!("{transfer}via = {via}");
    refused(
        &with("\"Nobody\""),
        "nobody is called `Nobody` | write an address, `@set`, `@token`, or a name from `[name]`",
    );
    refused(&with("[]"), "no address is listed, so this could never hold");
    refused(
        &with("{ of = \"@self\" }"),
        "`via` says either `call` or `module` | write `\"Roles modifier\"`, `{ call = \"deposit\", of = \"Vault\" }` or `{ module = \"…\", role = \"…\" }`",
    );
    refused(
        &with("{ call = \"approveHsh\" }"),
        "`approveHsh` is not a function of the contract's ABI | did you mean `approveHash`?",
    );
    refused(
        &with("{ module = \"@grantees\", role = \"a name that no role of thirty-one bytes can have\" }"),
        "`a name that no role of thirty-one bytes can have` is no role | write its name of at most 31 bytes, its number, or its key as `0x` and 64 hexadecimal digits",
    );
    refused(
        "call = \"approveHash\"\nvia = \"@grantees\"",
        "`via` says nothing here: it is about what the watch does, and about what moves | who calls is `from`; make it a rule about `act` or `move`",
    );
    refused(
        "call = \"approveHash\"\neffects = \"any\"",
        "`effects` says nothing here: what a wallet does is judged one by one, whoever calls it | write a rule about `act` for it",
    );
    refused(
        &format!("{transfer}effects = \"any\""),
        "`effects` says nothing here: it is about what happens inside of a call | put it on the rule for the `call`",
    );
    refused(
        "call = \"approveHash\"\neffects = \"everything\"",
        "`effects` cannot be \"everything\" | write one of \"any\"",
    );
    let told =
        told("[[watch.normal]]\nname = \"a\"\nact = \"ether\"\nvia = { call = \"approveHash\", whose = \"@self\" }\n");
    assert_eq!(told.len(), 1, "an unknown key: {told:?}");
}

#[test]
fn a_role_is_known_by_its_name_its_hash_or_its_number() {
    let keys = |role: &str| {
        let rule =
            rule(&format!("act = \"transfer\"\nto = \"@USDC\"\nvia = {{ module = \"@grantees\", role = \"{role}\" }}"));
        rule.conditions.iter().find_map(|condition| match condition {
            Condition::Via(Via::Module { role: Some(role), .. }) => Some(role.keys.clone()),
            _ => None,
        })
    };
    let name = alloy_primitives::B256::right_padding_from(b"MANAGER");
    assert!(keys("MANAGER").expect("a role").contains(&name));
    assert!(keys("MANAGER").expect("a role").contains(&alloy_primitives::keccak256("MANAGER")));
    assert!(keys("7").expect("a role").contains(&alloy_primitives::B256::with_last_byte(7)));
    assert_eq!(keys(&name.to_string()).expect("a role"), [name]);
}

#[test]
fn tests_say_inside_of_which_call_and_by_which_role() {
    let module = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f";
    let rules = format!(
        "[[watch.normal]]\nname = \"role\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@USDC\"\nvia = {{ module = \"{module}\", role = \"PAY\" }}\n\
         [[watch.normal]]\nname = \"taken\"\nmove = \"out\"\nvia = {{ call = \"deposit(uint256)\", of = \"{module}\" }}\n"
    );
    let test = |name: &str, what: &str, via: &str, expected: &str| {
        format!("[[watch.test]]\nname = \"{name}\"\n{what}\n{via}\n{expected}\n")
    };
    let pays = "act = \"transfer\"\nto = \"@USDC\"";
    let right = "verdict = \"normal\"";
    let tests = [
        test("a", pays, &format!("via = {{ module = \"{module}\", role = \"PAY\" }}"), right),
        test(
            "b",
            pays,
            &format!("via = {{ module = \"{module}\", role = \"STAY\" }}"),
            "verdict = \"abnormal\"\nrefused = [\"role: via is under the role\"]",
        ),
        test(
            "c",
            pays,
            &format!("via = \"{module}\""),
            "verdict = \"abnormal\"\nrefused = [\"role: via names no role\"]",
        ),
        test("d", pays, "", "verdict = \"abnormal\"\nrefused = [\"role: via is not known\"]"),
        test(
            "e",
            "move = \"out\"\nargs = { token = \"@USDC\", amount = \"5 USDC\" }",
            &format!("via = {{ call = \"deposit(uint256)\", of = \"{module}\" }}"),
            right,
        ),
        test(
            "f",
            "move = \"out\"\nargs = { token = \"@USDC\", amount = \"5 USDC\" }",
            &format!("via = {{ call = \"take(uint256)\", of = \"{module}\" }}"),
            "verdict = \"abnormal\"\nrefused = [\"taken: via is take(uint256) of\"]",
        ),
    ];
    let book = accepted(&format!("{WATCH}{rules}{}", tests.concat()));
    for outcome in run_tests(&book) {
        assert!(outcome.has_passed(), "{}: {:?}\n{:?}", outcome.name, outcome.failures, outcome.verdict);
    }
}

#[test]
fn rules_that_hold_nothing_back_are_noted_and_coverage_says_who_vouches() {
    let rules = "[[watch.normal]]\nname = \"harvest\"\ncall = \"harvest()\"\neffects = \"any\"\n\
                 [[watch.normal]]\nname = \"pays\"\nact = \"ether\"\nvalue = { max = \"1 ether\" }\nlimit = { count = 1, per = \"1d\" }\n";
    let book = accepted(&format!("{VAULT}{rules}"));
    let texts: Vec<String> = config_notes(&book).into_iter().map(|note| note.text).collect();
    let expected = "`Vault`: rule `pays` holds nothing back inside of what `harvest` vouches for, which says `effects = \"any\"`; remove that, or the rule";
    assert!(texts.iter().any(|text| text == expected), "{texts:#?}");
    let rows = coverage_rows(&book);
    let row = rows.iter().find(|row| row.kind == crate::model::ActivityKind::Act && &*row.function == "ether");
    let by: Vec<&str> = row.expect("a row").vouched_by.iter().map(|name| &**name).collect();
    assert_eq!(by, ["pays", "harvest (inside of the call)"]);
    let alone = accepted(&format!("{VAULT}{}", rules.replace("effects = \"any\"\n", "")));
    assert!(!config_notes(&alone).iter().any(|note| note.text.contains("holds nothing back")));
}
