//! Notes of `check`, cascades that it leaves out, and the coverage of targets.

use super::*;
use crate::watchlist::check::{config_notes, coverage_rows};

/// Returns the notes on the files, without places.
fn noted(main: &str, list: &str) -> Vec<String> {
    let book = build(main, list).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let of_files = config_notes(&book).into_iter().filter(|note| note.place.is_some());
    of_files.map(|note| note.text.split(';').next().unwrap_or_default().to_owned()).collect()
}

const PAGER: &str = "[destination.hook]\nkind = \"webhook\"\nurl = \"https://pager.example\"\nunsigned = true\n";

/// A main file whose paths lead to more than a terminal.
fn quiet_main() -> String {
    format!(
        "{}{PAGER}",
        MAIN.replace("to = [\"console\"]", "to = [\"console\", \"hook\"]").replace("to = \"console\"", "to = \"hook\"")
    )
}

#[test]
fn what_tells_nobody_or_lets_everything_be_is_noted() {
    let rule = "[[watch.normal]]\nname = \"a\"\nact = \"ether\"\n";
    let main = quiet_main();
    assert_eq!(noted(&main, &format!("{NAMES}{WATCH}{rule}")), Vec::<String>::new());
    assert_eq!(
        noted(MAIN, &format!("{NAMES}{WATCH}{rule}")),
        [
            "path `treasury` pages a terminal alone: whoever does not look at it is not woken",
            "path `self` pages a terminal alone: whoever does not look at it is not woken"
        ]
    );
    assert_eq!(noted(&main, ""), ["this file is empty: nothing of it is watched", "no address is watched"]);
    assert_eq!(noted(&main, NAMES), ["no address is watched"]);
    assert_eq!(
        noted(&main, &format!("{NAMES}{WATCH}")),
        ["this watch has no rules: whatever no built-in vouches for is a finding"]
    );
    assert_eq!(
        noted(&main, &format!("{NAMES}{WATCH}mode = \"observe\"\n{rule}")),
        ["this watch is in `observe`: nothing that is found wakes anybody"]
    );
    assert_eq!(
        noted(&main, &format!("{NAMES}{WATCH}{rule}mode = \"observe\"\n")),
        ["every rule of this watch is in `observe`: nothing that is found wakes anybody"]
    );
    for kind in ["act", "call", "event", "move", "state"] {
        let any = format!("[[watch.normal]]\nname = \"a\"\n{kind} = \"*\"\n");
        let expected = format!("`{kind} = \"*\"` vouches for whatever it is, functions that are added later too");
        assert_eq!(noted(&main, &format!("{NAMES}{WATCH}{any}")), [expected]);
    }
    assert!(noted(&main, &format!("{NAMES}{WATCH}[[watch.abnormal]]\nname = \"a\"\nact = \"*\"\n")).is_empty());
}

#[test]
fn one_wrong_section_is_one_problem_and_not_one_for_each_name_in_it() {
    let rules = "[[watch.normal]]\nname = \"a\"\nact = \"transfer\"\nto = \"@USDC\"\nargs = { to = \"@grantees\", amount = { max = \"5 USDC\" } }\n\
        [[watch.normal]]\nname = \"b\"\nact = \"stake(uint256 amount)\"\nto = \"Grantee: docs\"\nargs = { amount = \"7 USDC\" }\n";
    for (right, wrong, message) in [
        ("[token.USDC]", "[tokens.USDC]", "unknown key `tokens`"),
        ("[set]", "[sets]", "unknown key `sets`"),
        ("decimals = 6\n[token.BASED]", "decimal = 6\n[token.BASED]", "`decimals` is missing"),
        (
            "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
            "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB4",
            "`0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB4`",
        ),
    ] {
        let list = format!("{NAMES}{WATCH}{rules}");
        assert!(list.contains(right), "{right}");
        let problems = build(MAIN, &list.replacen(right, wrong, 1)).expect_err(wrong);
        let told: Vec<&str> = problems.sorted_by_position().iter().map(|problem| &*problem.message).collect();
        assert!(told[0].starts_with(message), "{told:?}");
        let cascade = told.iter().filter(|told| {
            told.starts_with("unknown unit") || told.starts_with("unknown set") || told.starts_with("nobody is")
        });
        assert_eq!(cascade.count(), 0, "{told:?}");
    }
}

#[test]
fn a_unit_that_nothing_defines_is_told_once_and_a_slip_at_each_place() {
    let rules = |unit: &str| {
        let rule = |name: &str| {
            format!(
                "[[watch.normal]]\nname = \"{name}\"\nact = \"stake(uint256 amount)\"\nto = \"Grantee: docs\"\nargs = {{ amount = \"{name} {unit}\" }}\n"
            )
        };
        told(&format!("{}{}{}", rule("1"), rule("2"), rule("3"))).len()
    };
    assert_eq!(rules("FROBNICATED"), 1);
    assert_eq!(rules("USDD"), 3);
}

#[test]
fn a_signature_without_types_is_answered_with_the_typed_one() {
    for (written, meant) in [
        ("transfer(to, amount)", "write the types too: `transfer(address to, uint256 amount)`"),
        ("transferFrom(from,to,value)", "write the types too: `transferFrom(address from, address to, uint256 value)`"),
        ("frobnicate(a, b)", "every parameter has a type: `transfer(address to, uint256 amount)`"),
    ] {
        let told = told(&format!("[[watch.normal]]\nname = \"a\"\nact = \"{written}\"\nto = \"@USDC\"\n"));
        let [only] = &told[..] else { panic!("{told:?}") };
        assert!(only.starts_with("this is not a signature: ") && only.ends_with(&format!(" | {meant}")), "{only}");
    }
}

#[test]
fn coverage_says_vouched_only_where_the_rule_can_match_the_target() {
    let rules = "[[watch.normal]]\nname = \"others\"\nact = \"*\"\nto = \"@grantees\"\n\
        [[watch.normal]]\nname = \"own\"\nact = \"changeThreshold\"\nto = \"@self\"\n\
        [[watch.normal]]\nname = \"ether\"\nact = \"ether\"\nto = \"@grantees\"\nvalue = { max = \"1 ether\" }\n\
        [[watch.normal]]\nname = \"called\"\ncall = \"*\"\n\
        [[watch.normal]]\nname = \"later\"\nact = \"swapOwner\"\nto = \"@self\"\nstage = \"proposed\"\n";
    let book = accepted(&format!("{WATCH}{rules}"));
    let rows = coverage_rows(&book);
    let by = |kind: &str, function: &str, to_itself: bool| {
        let row = rows
            .iter()
            .find(|row| row.kind.as_str() == kind && row.function.starts_with(function) && row.to_itself == to_itself);
        row.unwrap_or_else(|| panic!("{kind} {function}"))
            .vouched_by
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(by("act", "addOwnerWithThreshold", true), Vec::<String>::new(), "`others` is about others");
    assert_eq!(by("act", "changeThreshold", true), ["own"]);
    assert_eq!(by("act", "swapOwner", true), Vec::<String>::new(), "only as a proposal");
    assert_eq!(by("act", "anything else", false), ["others"]);
    assert_eq!(by("act", "ether", false), ["ether"], "`others` lets no ether go along");
    assert_eq!(by("call", "anything else", false), Vec::<String>::new(), "what cannot be read is never vouched for");
    assert_eq!(by("call", "approveHash", false), ["called"]);
}
