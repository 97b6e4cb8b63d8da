//! Amounts of tokens: each needs a unit, and never that of another token.

use super::*;
use crate::model::Verdict;
use crate::watchlist::check::{config_notes, run_tests};

const TRANSFER: &str = "act = \"transfer(address to, uint256 amount)\"";

#[test]
fn an_amount_of_a_known_token_says_its_unit() {
    let hint = "write \"5000 USDC\" or \"5000 base units\"";
    for amount in ["5000", "\"5_000\"", "{ max = 5000 }", "{ min = \"5e3\" }", "{ in = [5000] }"] {
        refused(
            &format!("{TRANSFER}\nto = \"@USDC\"\nargs = {{ amount = {amount} }}"),
            &format!("`5000` could be USDC or its base units | {hint}"),
        );
    }
    refused(
        &format!("{TRANSFER}\nto = \"@USDC\"\nlimit = {{ sum = \"amount\", max = 5000, per = \"1d\" }}"),
        &format!("`5000` could be USDC or its base units | {hint}"),
    );
    refused(
        "move = \"out\"\nargs = { token = \"@USDC\", amount = { max = 5000 } }",
        &format!("`5000` could be USDC or its base units | {hint}"),
    );
    let max = |amount: &str| {
        let rule = rule(&format!("{TRANSFER}\nto = \"@USDC\"\nargs = {{ amount = {{ max = {amount} }} }}"));
        format!("{:?}", rule.conditions)
    };
    assert!(max("\"5_000 base units\"").contains("value: 5000,"), "{}", max("\"5_000 base units\""));
    assert!(max("\"5_000 USDC\"").contains("value: 5000000000,"), "{}", max("\"5_000 USDC\""));
    assert!(max("0").contains("value: 0,"));
    // An argument that is not an amount needs no unit.
    rule(
        "act = \"permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)\"\nto = \"@USDC\"\nargs = { deadline = { max = 5000 }, v = 27 }",
    );
    refused(
        "act = \"ether\"\nvalue = { max = \"5 base units\" }",
        "unit mismatch: `value` counts ether | write \"wei\" for its base units",
    );
}

#[test]
fn no_bound_and_no_limit_is_about_several_units() {
    let several = "to = [\"@USDC\", \"@SNT\"]";
    for amount in ["5000", "\"5 USDC\"", "\"5 SNT\""] {
        let told = told(&format!(
            "[[watch.normal]]\nname = \"a\"\n{TRANSFER}\n{several}\nargs = {{ amount = {{ max = {amount} }} }}\n"
        ));
        assert!(told[0].contains("counts SNT or USDC, whichever moves"), "{told:?}");
    }
    refused(
        &format!("{TRANSFER}\n{several}\nlimit = {{ sum = \"amount\", max = \"5 base units\", per = \"1d\" }}"),
        "`amount` counts SNT or USDC, and these do not add up | write one rule for each token",
    );
    refused(
        &format!("{TRANSFER}\nto = [\"@USDC\", \"@grantees\"]\nargs = {{ amount = {{ max = \"5 USDC\" }} }}"),
        "unit mismatch: `amount` counts USDC or units of 0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65, whichever moves, and this is in USDC | write one rule for each of them",
    );
    rule(&format!("{TRANSFER}\n{several}\nargs = {{ amount = 0 }}"));
    rule(&format!("{TRANSFER}\n{several}\nargs = {{ amount = {{ max = \"5000 base units\" }} }}"));
}

#[test]
fn a_number_that_counts_whichever_token_is_noted() {
    let book = accepted(&format!(
        "{WATCH}[[watch.normal]]\nname = \"a\"\nact = \"transfer\"\nargs = {{ amount = {{ max = 5000 }} }}\n"
    ));
    let noted: Vec<String> =
        config_notes(&book).into_iter().map(|note| note.text).filter(|text| text.contains("5000")).collect();
    assert_eq!(
        noted,
        [
            "`5000` counts base units of whichever token moves: it is another amount of each; say which token the rule is about, and write the amount in it"
        ]
    );
}

#[test]
fn a_refusal_shows_no_amount_in_the_unit_of_another_token() {
    let rules = "[[watch.normal]]\nname = \"pay\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@USDC\"\n\
        args = { amount = { max = \"25_000 USDC\" } }\nlimit = { sum = \"amount\", max = \"25_000 USDC\", per = \"1d\" }\n\
        [[watch.normal]]\nname = \"moved\"\nmove = \"out\"\nargs = { token = \"@USDC\", amount = { max = \"25_000 USDC\" } }\n";
    let test = |what: &str| format!("[[watch.test]]\nname = \"t\"\n{what}\nverdict = \"abnormal\"\n");
    let act = test("act = \"transfer\"\nto = \"@SNT\"\nargs = { amount = \"0.666 SNT\" }");
    let moved = test("move = \"out\"\nargs = { token = \"@SNT\", amount = \"0.666 SNT\" }");
    let book = accepted(&format!("{WATCH}{rules}{act}{}", moved.replace("\"t\"", "\"u\"")));
    let mut seen = 0;
    for outcome in run_tests(&book) {
        let Verdict::Abnormal(abnormal) = outcome.verdict else { panic!("{}", outcome.name) };
        for reason in abnormal.reasons.iter().filter(|reason| reason.contains("666")) {
            assert!(reason.contains("666,000,000,000,000,000 base units of another token"), "{reason}");
            seen += 1;
        }
    }
    assert_eq!(seen, 3, "an argument, a limit, a movement");
}
