//! Examples of the documentation: together they compile, and their own tests pass.

use std::path::Path;
use watchfire::settings::Secrets;
use watchfire::watchlist::check::run_tests;
use watchfire::watchlist::{Memory, compile_config};

/// Main file beside the watchlist that a page shows: a chain, and paths of one destination.
const MAIN: &str = "watchlists = [\"list.toml\"]\n[chain.mainnet]\nendpoint = \"ws://127.0.0.1:8546\"\n\
    [destination.screen]\nkind = \"terminal\"\n[path.self]\nsteps = [{ to = [\"screen\"], ack_within = \"5m\" }]\n\
    [path.treasury]\nsteps = [{ to = [\"screen\"], ack_within = \"5m\" }]\n";

/// Watchlist beside the settings that a page shows: something to watch.
const LIST: &str = "[[watch]]\nlabel = \"Key\"\nchain = \"mainnet\"\naddress = \"0x976EA74026E726554dB657fA54763abd0C3a0aa9\"\n\
    kind = \"eoa\"\npurpose = \"Pays\"\npath = \"treasury\"\n";

/// Compiles the TOML of a page of the documentation as part of one main file.
#[track_caller]
pub(crate) fn check_settings(page: &str) {
    let shown = toml_of(page);
    let mut main = MAIN.to_owned();
    if shown.contains("[path.self]") {
        main.truncate(main.find("[destination.screen]").unwrap());
    }
    main.push_str(&shown);
    let files = Memory::new([("main.toml", main.as_str()), ("list.toml", LIST)]);
    if let Err(problems) = compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly) {
        panic!("{page}: {}", problems.render(false));
    }
}

/// TOML of a page of the documentation, its blocks one after another.
fn toml_of(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let examples = text.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    examples.collect::<Vec<_>>().join("\n")
}

/// Compiles the TOML of a page of the documentation as one watchlist and runs its tests, of which there are at least `least`.
#[track_caller]
pub(crate) fn check_examples(page: &str, least: usize) {
    let list = toml_of(page);
    let files = Memory::new([("main.toml", MAIN), ("list.toml", list.as_str())]);
    let book = compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly);
    let book = book.unwrap_or_else(|problems| panic!("{page}: {}", problems.render(false)));
    let outcomes = run_tests(&book);
    assert!(outcomes.len() >= least, "{page}: {} tests", outcomes.len());
    for outcome in outcomes {
        assert!(outcome.has_passed(), "{}: {:?} {:?}", outcome.name, outcome.failures, outcome.verdict);
    }
}
