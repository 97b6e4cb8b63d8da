//! Examples of the documentation: together they compile, and their own tests pass.

use std::path::Path;
use watchfire::settings::Secrets;
use watchfire::watchlist::check::run_tests;
use watchfire::watchlist::{Memory, compile_config};

/// What the examples of every page stand on.
const MAIN: &str = "watchlists = [\"list.toml\"]\n[chain.mainnet]\nendpoint = \"ws://127.0.0.1:8546\"\n\
    [destination.screen]\nkind = \"terminal\"\n[path.self]\nsteps = [{ to = [\"screen\"], ack_within = \"5m\" }]\n\
    [path.treasury]\nsteps = [{ to = [\"screen\"], ack_within = \"5m\" }]\n";

/// Compiles the TOML of a page of the documentation as one watchlist and runs its tests, of which there are at least `least`.
#[track_caller]
pub(crate) fn check_examples(page: &str, least: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let examples = text.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let list = examples.collect::<Vec<_>>().join("\n");
    let files = Memory::new([("main.toml", MAIN), ("list.toml", list.as_str())]);
    let book = compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly);
    let book = book.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let outcomes = run_tests(&book);
    assert!(outcomes.len() >= least, "{} tests", outcomes.len());
    for outcome in outcomes {
        assert!(outcome.has_passed(), "{}: {:?} {:?}", outcome.name, outcome.failures, outcome.verdict);
    }
}
