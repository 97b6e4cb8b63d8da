//! Tests of watchlists, and coverage.

use super::*;
use crate::model::{Severity, Verdict};
use crate::watchlist::check::{Otherwise, config_notes, coverage_rows, run_tests};

#[test]
fn a_watchs_own_tests_are_judged_as_the_chain_is() {
    let book = accepted(&format!(
        r#"{WATCH}
[[watch.normal]]
name = "grants"
act = "transfer(address to, uint256 amount)"
to = "@SNT"
args = {{ to = "@grantees", amount = {{ max = "50_000 SNT" }} }}
limit = {{ sum = "amount", max = "40_000 SNT", per = "7d" }}
[[watch.test]]
name = "within"
act = "transfer"
to = "@SNT"
args = {{ to = "Grantee: docs", amount = "40_000 SNT" }}
verdict = "normal"
by = "grants"
[[watch.test]]
name = "above"
act = "transfer"
to = "@SNT"
args = {{ to = "Grantee: docs", amount = "60_000 SNT" }}
verdict = "abnormal"
refused = ["grants: amount 60,000 SNT is above 50,000 SNT", "grants: limit"]
[[watch.test]]
name = "wrong"
act = "transfer"
to = "@USDC"
args = {{ to = "Grantee: docs", amount = "60_000 USDC" }}
verdict = "normal"
[[watch.test]]
name = "ether that arrives"
call = "ether"
value = "5 ether"
verdict = "normal"
by = "builtin/inbound"
[[watch.test]]
name = "tokens that arrive"
move = "in"
args = {{ token = "@USDC", amount = "5 USDC" }}
verdict = "normal"
by = "builtin/inbound"
"#
    ));
    let outcomes = run_tests(&book);
    let passed: Vec<bool> = outcomes.iter().map(|outcome| outcome.has_passed()).collect();
    assert_eq!(passed, [true, true, false, true, true], "{outcomes:#?}");
    assert!(outcomes[2].failures[0].starts_with("it is abnormal (`builtin/unvouched`, high), and should be normal"));
}

#[test]
fn a_rules_own_severity_or_silence_does_not_cover_foreign_code_that_looks_like_it() {
    let book = accepted(&format!(
        r#"{WATCH}
[[watch.normal]]
name = "grants"
act = "transfer(address to, uint256 amount)"
to = "@SNT"
args = {{ to = "@grantees", amount = {{ max = "50_000 SNT" }} }}
severity = "info"
mode = "observe"
[[watch.test]]
name = "what the rule is about"
act = "transfer"
to = "@SNT"
args = {{ to = "Grantee: docs", amount = "60_000 SNT" }}
verdict = "abnormal"
severity = "info"
[[watch.test]]
name = "foreign code under the same function"
act = "transfer"
to = "@SNT"
args = {{ to = "Grantee: docs", amount = "60_000 SNT" }}
operation = "delegatecall"
verdict = "abnormal"
severity = "critical"
"#
    ));
    let outcomes = run_tests(&book);
    assert!(outcomes.iter().all(|outcome| outcome.has_passed()), "{outcomes:#?}");
    let observed = |at: usize| matches!(&outcomes[at].verdict, Verdict::Abnormal(abnormal) if abnormal.observe);
    assert!(observed(0) && !observed(1), "{outcomes:#?}");
}

#[test]
fn a_threshold_that_rises_is_quieter_than_one_that_falls() {
    let change = |registry: &str, to: u64, severity: &str| {
        let watch = WATCH.replace(" }", registry);
        let book = accepted(&format!(
            r#"{watch}
[[watch.test]]
name = "a new threshold"
act = "changeThreshold"
to = "@self"
args = {{ threshold = {to} }}
verdict = "abnormal"
by = "builtin/control"
severity = "{severity}"
"#
        ));
        let outcomes = run_tests(&book);
        assert!(outcomes.iter().all(|outcome| outcome.has_passed()), "{outcomes:#?}");
    };
    let registry = ", threshold = 2 }";
    change(registry, 3, "high");
    change(registry, 2, "critical");
    change(registry, 1, "critical");
    // Without a recorded threshold the change may be a decrease, so it is critical.
    change(" }", 3, "critical");
}

#[test]
fn coverage_says_of_every_function_what_would_happen() {
    let book = accepted(&format!(
        "{WATCH}[[watch.normal]]\nname = \"hashes\"\ncall = \"approveHash\"\n[[watch.normal]]\nname = \"pay\"\nact = \"transfer\"\nto = \"@SNT\"\n"
    ));
    let rows = coverage_rows(&book);
    let row = |function: &str, to_itself: bool, kind: &str| {
        let found = rows
            .iter()
            .find(|row| &*row.function == function && row.to_itself == to_itself && row.kind.as_str() == kind);
        found.unwrap_or_else(|| panic!("no row {kind} {function}"))
    };
    assert_eq!(row("ether", false, "call").otherwise, Otherwise::Normal("builtin/inbound"));
    assert_eq!(row("approveHash(bytes32)", false, "call").vouched_by, ["hashes".into()]);
    assert_eq!(row("transfer(address,uint256)", false, "act").vouched_by, ["pay".into()]);
    let execute = "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)";
    assert_eq!(row(execute, false, "call").otherwise, Otherwise::Envelope);
    let owner = &row("addOwnerWithThreshold(address,uint256)", true, "act").otherwise;
    assert_eq!(*owner, Otherwise::Finding { by: "builtin/control".into(), severity: Severity::Critical });
    assert!(matches!(
        row("anything else", false, "call").otherwise,
        Otherwise::Finding { severity: Severity::Critical, .. }
    ));
    assert!(rows.iter().all(|row| !row.function.starts_with("getOwners")), "views change nothing");
}

#[test]
fn what_a_chain_leaves_unconfirmed_is_noted_and_is_no_mistake() {
    let noted = |body: &str| {
        let book =
            build(&format!("[chain.{body}\n"), "").unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let first_words = |text: &str| text.split([':', ';']).next().unwrap_or_default().to_owned();
        let of_chains = config_notes(&book).into_iter().filter_map(|note| Some((note.chain?, note.text)));
        of_chains.map(|(chain, text)| format!("{chain}: {}", first_words(&text))).collect::<Vec<_>>()
    };
    let two = "endpoint = [{ name = \"a\", url = \"ws://a.example\" }, { name = \"b\", url = \"ws://b.example\" }]";
    assert!(noted(&format!("mainnet]\n{two}")).is_empty());
    assert_eq!(noted("mainnet]\nendpoint = \"ws://a.example\""), ["mainnet: one endpoint"]);
    assert_eq!(
        noted(&format!("own]\nid = 7777\nverify = false\n{two}")),
        ["own: blocks are not verified", "own: no block ever counts as final"]
    );
    assert!(noted("local]\nid = 31337\nendpoint = \"ws://127.0.0.1:8546\"").is_empty(), "a developer's machine");
}
