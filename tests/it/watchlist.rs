//! Watchlists as files: those that are shipped hold what they promise, and one with every kind of mistake tells them all.

use std::path::Path;
use watchfire::settings::Secrets;
use watchfire::watchlist::check::{Otherwise, coverage_rows, run_tests};
use watchfire::watchlist::{Config, Memory, compile_config, load_config};

/// A main file for watchlists that are shipped without one.
const MAIN: &str = r#"
watchlists = ["list.toml"]
[chain.mainnet]
endpoint = { env = "MAINNET_WS" }
[destination.console]
kind = "terminal"
[path.self]
steps = [{ to = ["console"], ack_within = "5m" }]
[path.treasury]
steps = [{ to = ["console"], ack_within = "5m" }]
"#;

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn shipped(path: &str) -> Config {
    let list = std::fs::read_to_string(repository(path)).unwrap();
    let files = Memory::new([("main.toml", MAIN.to_owned()), ("list.toml", list)]);
    compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly)
        .unwrap_or_else(|p| panic!("{path}:\n{}", p.render(false)))
}

fn assert_tests_pass(book: &Config, at_least: usize) {
    let outcomes = run_tests(book);
    let failed: Vec<String> = outcomes
        .iter()
        .filter(|outcome| !outcome.has_passed())
        .map(|outcome| format!("{}: {}: {}", outcome.spot, outcome.name, outcome.failures.join("; ")))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(outcomes.len() >= at_least, "{} tests", outcomes.len());
}

#[test]
fn the_minimal_example_compiles_and_its_tests_pass() {
    let book = load_config(&repository("examples/minimal/watchfire.toml"), Secrets::NamesOnly)
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert_eq!(book.watches.len(), 1);
    assert_tests_pass(&book, 3);
}

#[test]
fn the_safe_template_compiles_and_its_tests_pass() {
    assert_tests_pass(&shipped("watchlists/safe-template.toml"), 6);
}

#[test]
fn the_status_watchlist_compiles_and_its_tests_pass() {
    assert_tests_pass(&shipped("watchlists/status.toml"), 12);
}

#[test]
fn the_examples_of_kinds_compile_and_their_tests_pass() {
    let text = std::fs::read_to_string(repository("docs/kinds.md")).unwrap();
    let examples = text.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let list = examples.collect::<Vec<_>>().join("\n");
    let files = Memory::new([("main.toml", MAIN.to_owned()), ("list.toml", list)]);
    let book = compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly);
    assert_tests_pass(&book.unwrap_or_else(|problems| panic!("{}", problems.render(false))), 5);
}

/// What makes no sense for a kind is told, and what a name needs.
#[test]
fn keys_that_a_kind_has_no_use_for_are_told() {
    let told = |kind: &str, more: &str| {
        let list = format!(
            "[[watch]]\nlabel = \"It\"\nchain = \"mainnet\"\naddress = \"0xFe89cc7aBB2C4183683ab71653C4cdc9B02D44b7\"\n\
             kind = \"{kind}\"\npurpose = \"A test\"\npath = \"treasury\"\n{more}\n"
        );
        let files = Memory::new([("main.toml", MAIN.to_owned()), ("list.toml", list)]);
        compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly)
            .map_or_else(|told| told.render(false), |_| String::new())
    };
    assert_eq!(told("timelock", "registry = { delay = \"2d\" }"), "");
    assert!(
        told("safe", "registry = { delay = \"2d\" }").contains("only a watch of the kind `timelock` or `governor` has")
    );
    assert!(told("safe", "node = \"a.eth\"").contains("only a watch of the kind `ens-name` has a `node`"));
    assert!(told("ens-name", "").contains("`node` is missing"));
    assert!(told("ens-name", "node = \"Treasury.eth\"").contains("is not a name that can be watched"));
    assert_eq!(told("ens-name", "node = \"treasury.eth\""), "");
}

#[test]
fn control_over_snt_is_never_normal() {
    let book = shipped("watchlists/status.toml");
    let rows = coverage_rows(&book);
    for name in ["changeController(address)", "generateTokens(address,uint256)", "destroyTokens(address,uint256)"] {
        let of_token = |row: &&watchfire::watchlist::check::CoverageRow| {
            &*row.function == name && &*book.watches[row.watch.index()].label == "SNT"
        };
        let row = rows.iter().find(of_token).unwrap_or_else(|| panic!("no row for {name}"));
        assert!(row.vouched_by.is_empty(), "{row:?}");
        let critical = watchfire::model::Severity::Critical;
        assert!(matches!(&row.otherwise, Otherwise::Finding { severity, .. } if *severity == critical), "{row:?}");
    }
}

/// `watchfire.toml` and `watchlist.toml` hold a mistake of every kind; all of them are told, in order, in one go.
#[test]
fn twelve_mistakes_are_told_at_once() {
    let case = Path::new("tests/cases/watchlist/twelve_mistakes");
    let read = |name: &str| std::fs::read_to_string(repository("").join(case).join(name)).unwrap_or_default();
    let files = Memory::new([("watchfire.toml", read("watchfire.toml")), ("watchlist.toml", read("watchlist.toml"))]);
    let problems =
        compile_config(Path::new("watchfire.toml"), &files, Secrets::NamesOnly).expect_err("it has mistakes");
    let shown = problems.render(false);
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(repository("").join(case).join("expect.txt"), &shown).unwrap();
    }
    assert_eq!(shown, read("expect.txt"), "`UPDATE_CASES=1` writes it anew after a change that was meant");
}
