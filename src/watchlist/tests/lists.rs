//! Several functions or events in one rule.

use super::*;
use crate::classify::rule::{CallMatch, Condition, Via};
use crate::watchlist::check::{coverage_rows, run_tests};

const TOKEN: &str = r#"
[token.COIN]
chain = "mainnet"
address = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
decimals = 18
[[watch]]
label = "Coin"
chain = "mainnet"
address = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
kind = "erc20"
purpose = "Pays"
path = "treasury"
"#;

fn names(deed: &CallMatch) -> Vec<String> {
    deed.each().iter().map(|one| one.watchlist_text().to_string()).collect()
}

#[test]
fn a_list_takes_each_of_its_functions_and_its_conditions_fit_all() {
    let both = rule(
        "act = [\"transfer\", \"approve(address spender, uint256 amount)\"]\nto = \"@USDC\"\n\
         args = { \"#0\" = \"@grantees\", amount = { max = \"5 USDC\" } }\nlimit = { sum = \"amount\", max = \"9 USDC\", per = \"1d\" }",
    );
    assert_eq!(names(&both.deed), ["transfer(address,uint256)", "approve(address,uint256)"]);
    let paths: Vec<String> = both
        .conditions
        .iter()
        .filter_map(|condition| match condition {
            Condition::Arg { path, .. } => Some(path.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(paths, ["#0", "#1"]);
    assert_eq!(both.limits.len(), 1);
    assert_eq!(rule("call = [\"approveHash\"]").deed, rule("call = \"approveHash\"").deed, "one is no list");
    let moved = rule(
        "move = [\"out\", \"approval\"]\nargs = { token = \"@USDC\", to = \"@grantees\", amount = { max = \"5 USDC\" } }\n\
         limit = { sum = \"amount\", max = \"9 USDC\", per = \"1d\" }",
    );
    assert_eq!(names(&moved.deed), ["out", "approval"]);
    let within = rule("act = \"transfer\"\nto = \"@USDC\"\nvia = { call = [\"approveHash\", \"changeThreshold\"] }");
    let via = within.conditions.iter().find_map(|condition| match condition {
        Condition::Via(Via::Call { deed, .. }) => Some(names(deed)),
        _ => None,
    });
    assert_eq!(via.unwrap(), ["approveHash(bytes32)", "changeThreshold(uint256)"]);
}

#[test]
fn every_mistake_in_a_list_is_told() {
    refused("call = []", "no call is listed, so this could never hold | name at least one");
    refused("state = [\"owner\", \"module\"]", "`state` is one item, and no list | write one rule for each");
    for alone in ["ether", "*", "creation"] {
        refused(
            &format!("act = [\"approveHash(bytes32 hash)\", \"{alone}\"]"),
            &format!(
                "`{alone}` stands alone, and in no list | a list holds functions, events or movements; write a rule of its own for it"
            ),
        );
    }
    refused(
        "call = [\"approveHash\", \"approveHash(bytes32)\"]",
        "`approveHash(bytes32)` stands twice in this list | remove one of them",
    );
    refused(
        "call = [\"approveHash\", \"changeThreshhold\"]",
        "`changeThreshhold` is not a function of the contract's ABI | did you mean `changeThreshold`?",
    );
    // The same name has another position, another type, or no argument in the second function.
    refused(
        "act = [\"pay(address who, uint256 sum)\", \"ask(uint256 sum, address who)\"]\nargs = { who = \"@grantees\" }",
        "`who` is one argument of `pay(address,uint256)` and another of `ask(uint256,address)` | write one rule for each",
    );
    refused(
        "act = [\"pay(uint256 sum)\", \"ask(uint64 sum)\"]\nargs = { sum = { max = 5 } }",
        "`sum` is one argument of `pay(uint256)` and another of `ask(uint64)` | write one rule for each",
    );
    refused(
        "act = [\"pay(uint256 sum)\", \"ask(uint256 much)\"]\nlimit = { sum = \"sum\", max = 5, per = \"1d\" }",
        "`ask(uint256)` has no argument `sum` | its arguments are `much`",
    );
    refused(
        "call = [\"approveHash\", \"0x12345678\"]",
        "no one function `0x12345678` is known, and what cannot be decoded is never normal | write the function's signature instead of its selector",
    );
    let told =
        told("[[watch.test]]\nname = \"t\"\ncall = [\"approveHash\", \"changeThreshold\"]\nverdict = \"normal\"\n");
    assert_eq!(told, ["a test names one thing that happens"]);
}

#[test]
fn a_rule_behind_a_list_that_takes_all_of_it_is_never_reached() {
    let pair = |first: &str, second: &str| {
        told(&format!(
            "[[watch.normal]]\nname = \"first\"\ncall = {first}\n[[watch.normal]]\nname = \"second\"\ncall = {second}\n"
        ))
    };
    let list = "[\"approveHash\", \"changeThreshold\"]";
    let unreached = ["rule `second` is never reached: `first` vouches for all of it | move it above, or remove it"];
    assert_eq!(pair(list, "\"changeThreshold\""), unreached);
    assert_eq!(pair(list, "[\"changeThreshold\", \"approveHash\"]"), unreached);
    assert_eq!(pair("\"*\"", "\"approveHash\""), unreached);
    assert_eq!(pair("\"*\"", list), [""; 0], "`*` vouches for no change of control");
    assert_eq!(pair("\"changeThreshold\"", list), [""; 0], "the other one is left");
}

#[test]
fn a_list_vouches_for_its_own_and_for_nothing_else() {
    let list = format!(
        "{TOKEN}[[watch.normal]]\nname = \"holders\"\ncall = [\"transfer\", \"approve\"]\nargs = {{ \"#1\" = {{ max = \"5 COIN\" }} }}\n\
         [[watch.abnormal]]\nname = \"large\"\nevent = [\"Transfer\", \"Approval\"]\nargs = {{ \"#2\" = {{ min = \"9 COIN\" }} }}\n\
         [[watch.test]]\nname = \"1\"\ncall = \"transfer\"\nargs = {{ \"#1\" = \"1 COIN\" }}\nverdict = \"normal\"\nby = \"holders\"\n\
         [[watch.test]]\nname = \"2\"\ncall = \"approve\"\nargs = {{ \"#1\" = \"5 COIN\" }}\nverdict = \"normal\"\nby = \"holders\"\n\
         [[watch.test]]\nname = \"3\"\ncall = \"approve\"\nargs = {{ \"#1\" = \"6 COIN\" }}\nverdict = \"abnormal\"\nrefused = \"holders: #1\"\n\
         [[watch.test]]\nname = \"4\"\ncall = \"transferFrom\"\nverdict = \"abnormal\"\n\
         refused = \"holders: function is transferFrom(address,address,uint256), the rule is about transfer(address,uint256) or approve(address,uint256)\"\n\
         [[watch.test]]\nname = \"5\"\nevent = \"Approval\"\nargs = {{ \"#2\" = \"9 COIN\" }}\nverdict = \"abnormal\"\nby = \"large\"\n\
         [[watch.test]]\nname = \"6\"\nevent = \"Transfer\"\n\
         args = {{ \"#0\" = \"0x0000000000000000000000000000000000000011\", \"#1\" = \"0x0000000000000000000000000000000000000022\", \"#2\" = \"10 COIN\" }}\nverdict = \"abnormal\"\nby = \"large\"\n"
    );
    let book = accepted(&list);
    let outcomes = run_tests(&book);
    assert_eq!(outcomes.len(), 6);
    for outcome in outcomes {
        assert!(outcome.has_passed(), "{}: {:?} {:?}", outcome.name, outcome.failures, outcome.verdict);
    }
    let rows = coverage_rows(&book);
    for function in ["transfer(address,uint256)", "approve(address,uint256)"] {
        let row = rows.iter().find(|row| &*row.function == function).unwrap();
        assert_eq!(row.vouched_by.iter().map(|by| &**by).collect::<Vec<_>>(), ["holders"], "{function}");
    }
    let row = rows.iter().find(|row| &*row.function == "transferFrom(address,address,uint256)").unwrap();
    assert!(row.vouched_by.is_empty(), "{row:?}");
    let raised: Vec<_> = rows.iter().filter(|row| !row.raised_by.is_empty()).map(|row| &*row.function).collect();
    assert_eq!(raised, ["Transfer(address,address,uint256)", "Approval(address,address,uint256)"]);
}
