//! Conditions on lists: a rule that vouches requires every element to match and at least one element; a rule that
//! raises requires any.

use super::*;
use crate::model::Verdict;
use crate::watchlist::check::run_tests;
use proptest::prelude::*;

/// Payees by name: known, unknown.
const GOOD: &str = "Grantee: docs";
const BAD: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// A contract whose payments to several payees are vouched for, and a contract where unknown payees and large amounts
/// are raised.
const WATCHES: &str = r#"
[[watch]]
label = "Vouches"
chain = "mainnet"
address = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
kind = "contract"
purpose = "Pays many"
path = "treasury"
[[watch.normal]]
name = "payroll"
call = "pay((address to, uint256[] amounts)[] o)"
args = { "o[*].to" = "@grantees", "o[*].amounts[*]" = { max = 10, not_in = [7] } }
TESTS
[[watch]]
label = "Raises"
chain = "mainnet"
address = "0x610178dA211FEF7D417bC0e6FeD39F05609AD788"
kind = "contract"
purpose = "Pays many"
path = "treasury"
[[watch.abnormal]]
name = "stranger"
call = "pay((address to, uint256[] amounts)[] o)"
args = { "o[*].to" = { not_in = "@grantees" } }
severity = "critical"
[[watch.abnormal]]
name = "much"
call = "pay((address to, uint256[] amounts)[] o)"
args = { "o[*].amounts[*]" = { min = 11 } }
severity = "critical"
[[watch.normal]]
name = "rest"
call = "pay((address to, uint256[] amounts)[] o)"
TESTS
"#;

/// Returns the rules that decide about a payment to these payees, of these amounts each: first the name of the rule
/// that vouches, or `None`.
fn deciders(payments: &[(bool, Vec<u8>)]) -> (Option<String>, String) {
    let mut args = Vec::new();
    for (index, (good, amounts)) in payments.iter().enumerate() {
        args.push(format!("\"o[{index}].to\" = \"{}\"", if *good { GOOD } else { BAD }));
        args.extend(amounts.iter().enumerate().map(|(at, amount)| format!("\"o[{index}].amounts[{at}]\" = {amount}")));
    }
    let test = format!(
        "[[watch.test]]\nname = \"t\"\ncall = \"pay((address to, uint256[] amounts)[] o)\"\nargs = {{ {} }}\nverdict = \"normal\"",
        args.join(", ")
    );
    let book = accepted(&WATCHES.replace("TESTS", &test));
    let mut by = run_tests(&book).into_iter().map(|outcome| match outcome.verdict {
        Verdict::Normal { by } => Some(by.to_string()),
        Verdict::Abnormal(abnormal) => Some(abnormal.rule.to_string()),
    });
    let vouched = by.next().flatten().filter(|by| !by.starts_with("builtin/"));
    (vouched, by.next().flatten().unwrap_or_default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn what_vouches_needs_every_element_and_what_raises_needs_one(
        payments in prop::collection::vec((prop::bool::weighted(0.8), prop::collection::vec(0..13_u8, 0..4)), 0..5),
    ) {
        let amounts: Vec<u8> = payments.iter().flat_map(|(_, amounts)| amounts).copied().collect();
        let all_known = !payments.is_empty() && payments.iter().all(|(good, _)| *good);
        let all_small = !amounts.is_empty() && amounts.iter().all(|amount| *amount <= 10 && *amount != 7);
        let raised = if payments.iter().any(|(good, _)| !good) {
            "stranger"
        } else if amounts.iter().any(|amount| *amount >= 11) {
            "much"
        } else {
            "rest"
        };
        let (vouched, decided) = deciders(&payments);
        prop_assert_eq!(vouched.as_deref(), (all_known && all_small).then_some("payroll"));
        prop_assert_eq!(decided, raised);
    }
}

#[test]
fn one_good_payee_beside_a_stranger_hides_nothing() {
    for payments in [vec![(true, vec![1]), (false, vec![1])], vec![(false, vec![1]), (true, vec![1])]] {
        assert_eq!(deciders(&payments), (None, "stranger".to_owned()));
    }
    assert_eq!(deciders(&[(true, vec![1, 11, 1])]), (None, "much".to_owned()));
    assert_eq!(deciders(&[(true, vec![1]), (true, vec![2])]), (Some("payroll".to_owned()), "rest".to_owned()));
}

#[test]
fn what_must_come_has_come_only_where_every_element_is_right() {
    let elements = |list: &str| {
        let book = accepted(&format!(
            "{WATCH}{list}name = \"a\"\nact = \"multisend(address[] to)\"\nargs = {{ \"to[*]\" = \"@grantees\" }}\n"
        ));
        let rules = &book.rules.watches[0];
        rules.rules.first().or(rules.expected.first().map(|expected| &expected.rule)).map(|rule| rule.elements)
    };
    use crate::classify::rule::Elements;
    assert_eq!(elements("[[watch.normal]]\n"), Some(Elements::Every));
    assert_eq!(elements("[[watch.abnormal]]\n"), Some(Elements::Any));
    assert_eq!(elements("[[watch.absent]]\nevery = \"7d\"\n"), Some(Elements::Every));
}
