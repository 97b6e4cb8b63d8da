//! Holds every path that `src` names against the ranks of the rooms. In: the source files. Out: each import that does not go
//! strictly down, and each socket, clock, file, lock, logger or random number in the pure rooms, by file and line.
//!
//! The compiler lets any module of a crate import any other; this test is what keeps the folder tree the data flow.

mod paths;

use paths::{Contents, Mention, Target};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every room with its rank. Imports go strictly to a lower rank; rooms of one rank do not know each other.
pub(crate) const RANKS: &[(&str, u8)] = &[
    ("model", 0),
    ("abi", 1),
    ("wire", 1),
    ("contracts", 2),
    ("decode", 4),
    ("classify", 4),
    ("escalate", 4),
    ("telemetry", 5),
    ("runtime", 5),
    ("settings", 5),
    ("store", 6),
    ("source", 6),
    ("http", 6),
    ("deliver", 7),
    ("heartbeat", 7),
    ("safe_service", 7),
    ("tape", 7),
    ("watchlist", 8),
    ("pipeline", 9),
    ("web", 9),
    ("app", 10),
    ("cli", 11),
    ("main", 12),
];

/// Rooms up to this rank compute and do nothing else.
const PURE_RANK_MAX: u8 = 4;

/// What the pure rooms must not name, outside tests. `LazyLock` is no lock in this sense: it holds what never changes.
const IMPURE: &[(&str, &str)] = &[
    ("a socket", "std::net std::os reqwest rustls tokio_tungstenite alloy_json_rpc alloy_pubsub alloy_rpc_client"),
    ("a socket", "alloy_transport alloy_transport_http alloy_transport_ws"),
    ("a runtime", "tokio tokio_util futures"),
    ("a clock", "std::time::SystemTime std::time::Instant jiff::Timestamp::now jiff::ZonedDateTime::now"),
    ("a clock", "jiff::tz::TimeZone::system jiff::tz::TimeZone::try_system"),
    ("a file", "std::fs std::io::stdin std::io::stdout std::io::stderr std::path rusqlite"),
    ("a lock", "std::sync::Mutex std::sync::RwLock std::sync::Condvar std::sync::Barrier std::sync::atomic dashmap"),
    ("a thread or a process", "std::thread std::process std::env std::sync::mpsc thread_local!"),
    ("a logger", "tracing tracing_subscriber log print! println! eprint! eprintln! dbg!"),
    ("randomness", "fastrand rand getrandom std::hash::RandomState std::collections::hash_map::RandomState"),
];

/// What makes verdicts and plans out of blocks, and the files beside `pipeline.rs` that may call it.
const ORDER: &[(&str, &[&str])] = &[
    ("decode::decode_block", &[]),
    // A watchlist's own tests judge an activity that no block holds.
    ("classify::judge_activities", &["watchlist/check/"]),
    ("escalate::step_change_set", &[]),
];

#[test]
fn imports_go_down_the_ranks_and_the_core_is_pure() {
    let sources = sources();
    let sources: Vec<(&str, &str)> = sources.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let problems = problems(&sources);
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn only_the_pipeline_knows_the_order_of_the_rooms() {
    let sources = sources();
    let mut read: BTreeMap<&str, Contents> = BTreeMap::new();
    for (file, text) in &sources {
        read.insert(file, paths::read(&module(file), text).expect("it compiles"));
    }
    let declared = declared(&read);
    let mut callers = 0;
    for (file, read) in read.iter().filter(|(file, _)| !is_for_tests(&module(file), &declared)) {
        for Mention { target, line, in_tests, .. } in &read.mentions {
            let Target::Inside(path) = target else { continue };
            let called = ORDER.iter().find(|(function, _)| *function == path.join("::")).filter(|_| !*in_tests);
            let Some((function, others)) = called else { continue };
            let home = function.split("::").next().is_some_and(|room| file.starts_with(&format!("{room}/")));
            let may = home || *file == "pipeline.rs" || others.iter().any(|other| file.starts_with(other));
            assert!(may, "src/{file}:{line} calls {function}: go through src/pipeline.rs, so that all commands agree");
            callers += usize::from(*file == "pipeline.rs");
        }
    }
    assert!(callers >= ORDER.len(), "pipeline.rs calls {callers} of {ORDER:?}");
}

/// Every file of `src` by its path from there, and its text.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources: Vec<(String, String)> = files(&src)
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).expect("a readable file");
            let name = file.strip_prefix(&src).expect("below src").to_str().expect("UTF-8").replace('\\', "/");
            (name, text)
        })
        .collect();
    assert!(sources.iter().any(|(name, _)| name == "lib.rs"), "no lib.rs among {} files", sources.len());
    sources
}

/// What is wrong with these files, named from `src`.
fn problems(sources: &[(&str, &str)]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut contents: BTreeMap<&str, Contents> = BTreeMap::new();
    for (file, text) in sources {
        match paths::read(&module(file), text) {
            Ok(read) => _ = contents.insert(*file, read),
            Err(error) => problems.push(format!("src/{file}:{}: {error}", error.span().start().line)),
        }
    }
    let declared = declared(&contents);
    let whole = contents.contains_key("lib.rs");
    for (file, read) in &contents {
        let mut tell = |line: usize, problem: String| problems.push(format!("src/{file}:{line}: {problem}"));
        if *file == "lib.rs" {
            for line in &read.beyond_mods {
                tell(*line, "lib.rs only declares the rooms: move this into one of them".to_owned());
            }
            continue;
        }
        let module = module(file);
        let room = if *file == "main.rs" { "main" } else { module[0].as_str() };
        let Some(rank) = rank(room) else {
            tell(1, format!("room `{room}` has no rank: give it one in tests/it/ranks.rs and in ARCHITECTURE.md"));
            continue;
        };
        if whole && room != "main" && !declared.iter().any(|(declared, _)| *declared == module) {
            tell(1, "no `mod` names this file, so nobody compiles it: declare it or delete it".to_owned());
        }
        let test_file = is_for_tests(&module, &declared);
        for mention in &read.mentions {
            if let Some(problem) = climbs(room, rank, mention) {
                tell(mention.line, problem);
            }
            let holds_pure = rank <= PURE_RANK_MAX && !mention.in_tests && !test_file;
            if let Some(what) = impure(mention).filter(|_| holds_pure) {
                let advice = "take what it gives as a value from a caller above rank 2";
                tell(mention.line, format!("`{}` is {what}, and {room} [{rank}] is pure: {advice}", mention.written));
            }
        }
    }
    problems
}

/// What is wrong with a path that does not go down.
fn climbs(room: &str, rank_here: u8, mention: &Mention) -> Option<String> {
    let Target::Inside(path) = &mention.target else { return None };
    let written = &mention.written;
    let Some(there) = path.first() else {
        // Behind the root's own name, or a glob of it, every room could hide.
        return Some(format!("`{written}` names the whole crate: name the room"));
    };
    if there == room {
        return None;
    }
    let Some(rank_there) = rank(there) else {
        return Some(format!("`{written}` leads to no room: rooms are listed in tests/it/ranks.rs"));
    };
    if rank_there < rank_here {
        return None;
    }
    let advice = if rank_there == rank_here {
        "siblings do not mix: move what both need to a lower room, or let a higher one hand it over"
    } else {
        "imports go down: move it to a lower room, or let the higher one hand it over"
    };
    Some(format!("`{written}` takes {room} [{rank_here}] to {there} [{rank_there}]; {advice}"))
}

/// What a pure room must not name, if it is that.
fn impure(mention: &Mention) -> Option<&'static str> {
    let Target::Outside(path) = &mention.target else { return None };
    let named = |forbidden: &str| {
        if let Some(name) = forbidden.strip_suffix('!') {
            return mention.is_macro && path.last().is_some_and(|last| last == name);
        }
        let forbidden: Vec<&str> = forbidden.split("::").collect();
        let same = path.iter().zip(&forbidden).take_while(|(segment, wanted)| segment == wanted).count();
        same == forbidden.len() || (mention.glob && same == path.len())
    };
    IMPURE.iter().find(|(_, names)| names.split(' ').any(named)).map(|(what, _)| *what)
}

/// Modules in files of their own, and whether only tests compile them.
fn declared(contents: &BTreeMap<&str, Contents>) -> Vec<(Vec<String>, bool)> {
    contents.values().flat_map(|read| read.modules.clone()).collect()
}

fn is_for_tests(module: &[String], declared: &[(Vec<String>, bool)]) -> bool {
    declared.iter().any(|(declared, only_tests)| *only_tests && module.starts_with(declared))
}

fn rank(room: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank)
}

/// The module that a file is, from the crate's root.
fn module(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" || path == "main" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

mod tests {
    use super::problems;

    const UP: &str = "imports go down: move it to a lower room, or let the higher one hand it over";
    const ASIDE: &str = "siblings do not mix: move what both need to a lower room, or let a higher one hand it over";

    #[track_caller]
    fn check(file: &str, text: &str, expected: &[&str]) {
        assert_eq!(problems(&[(file, text)]), expected, "{text}");
    }

    /// One line of a file in `decode`, and the path it is blamed for.
    #[track_caller]
    fn blamed(line: &str, path: &str) {
        let expected = format!("src/decode/frames.rs:2: `{path}` takes decode [4] to store [6]; {UP}");
        check("decode/frames.rs", &format!("//! Frames.\n{line}"), &[&expected]);
    }

    #[track_caller]
    fn impure(line: &str, path: &str, what: &str) {
        let advice = "take what it gives as a value from a caller above rank 2";
        let expected = format!("src/decode/frames.rs:1: `{path}` is {what}, and decode [4] is pure: {advice}");
        check("decode/frames.rs", line, &[&expected]);
    }

    #[test]
    fn what_goes_down_or_stays_in_its_room_is_fine() {
        let text = "use super::deed;\nuse crate::model::{self, Block, value::{Arg, Value as V}};\nuse self::inner::*;\n\
                    pub(in crate::decode) fn f(_: &crate::abi::Abi) -> Block { super::frames::inner::g() }\n\
                    mod inner { use super::super::deed::Deed; pub(crate) use crate::model; }";
        check("decode/frames.rs", text, &[]);
        check("store/mod.rs", "pub use crate::escalate::plan;\nuse tracing::info;\nuse std::fs;", &[]);
        check("main.rs", "fn main() { watchfire::cli::main() }", &[]);
        check("lib.rs", "//! Rooms.\n/// One.\npub mod model;\n#[cfg(test)]\nmod tests;", &[]);
    }

    #[test]
    fn a_use_that_climbs_is_named_with_its_line() {
        blamed("use crate::store::Store;", "crate::store::Store");
        blamed("use crate::{model::Block, store::{self as keep}};", "crate::store");
        blamed("use crate::store::*;", "crate::store::*");
        blamed("use watchfire::store::Store;", "watchfire::store::Store");
        blamed("fn f() { use crate::store::Store as _; }", "crate::store::Store");
        blamed("#[cfg(test)] mod tests { use crate::store::Store; }", "crate::store::Store");
    }

    #[test]
    fn an_inline_path_that_climbs_is_named_with_its_line() {
        blamed("fn f() { crate::store::open(); }", "crate::store::open");
        blamed("fn f(_: Option<&crate::store::Store>) {}", "crate::store::Store");
        blamed("fn f(x: u8) -> bool { matches!(x, crate::store::ONE) }", "crate::store::ONE");
        blamed("impl crate::store::Keep for () {}", "crate::store::Keep");
        blamed("fn f<T: Into<crate::store::Store>>() where T: Sized {}", "crate::store::Store");
        blamed("fn f() { let crate::store::Pair { a: _ } = g(); }", "crate::store::Pair");
    }

    #[test]
    fn a_path_through_super_and_self_is_followed_to_its_room() {
        blamed("use super::super::store::Store;", "super::super::store::Store");
        blamed("mod inner { fn f() { super::super::super::store::open() } }", "super::super::super::store::open");
        blamed("fn f() { self::super::super::store::open() }", "self::super::super::store::open");
        check(
            "decode/mod.rs",
            "use super::store::Store;",
            &[&format!("src/decode/mod.rs:1: `super::store::Store` takes decode [4] to store [6]; {UP}")],
        );
    }

    #[test]
    fn a_re_export_climbs_like_any_import() {
        blamed("pub use crate::store::Store;", "crate::store::Store");
        blamed("pub(crate) use crate::store::{Store as Keep};", "crate::store::Store");
    }

    #[test]
    fn macros_and_attributes_hide_nothing() {
        blamed("fn f() { format!(\"{}\", crate::store::open()); }", "crate::store::open");
        blamed("macro_rules! m { () => { $crate::store::open() } }", "crate::store::open");
        blamed("macro_rules! m { () => { use crate::{model::Block, store::{Store}}; } }", "crate::store::Store");
        blamed("fn f() { crate::store::shout!(1); }", "crate::store::shout!");
        blamed("struct S { #[serde(with = \"crate::store::hex\")] a: u8 }", "crate::store::hex");
        blamed("#[derive(crate::store::Row)] struct S;", "crate::store::Row");
    }

    #[test]
    fn siblings_do_not_mix() {
        let expected =
            format!("src/decode/mod.rs:1: `crate::classify::judge` takes decode [4] to classify [4]; {ASIDE}");
        check("decode/mod.rs", "use crate::classify::judge;", &[&expected]);
        let expected = format!("src/web/mod.rs:1: `crate::pipeline` takes web [9] to pipeline [9]; {ASIDE}");
        check("web/mod.rs", "use crate::pipeline;", &[&expected]);
    }

    #[test]
    fn the_root_is_no_way_around() {
        let whole = |path: &str| format!("src/decode/mod.rs:1: `{path}` names the whole crate: name the room");
        check("decode/mod.rs", "use super::*;", &[&whole("super::*")]);
        check("decode/mod.rs", "use crate::*;", &[&whole("crate::*")]);
        let followed = format!("src/decode/mod.rs:1: `crate::store::open` takes decode [4] to store [6]; {UP}");
        check("decode/mod.rs", "use crate as root; fn f() { root::store::open() }", &[&whole("crate"), &followed]);
        check("decode/mod.rs", "extern crate self as root;", &[&whole("crate")]);
        let nowhere = "src/decode/mod.rs:1: `crate::Store` leads to no room: rooms are listed in tests/it/ranks.rs";
        check("decode/mod.rs", "use crate::Store;", &[nowhere]);
        let only = "src/lib.rs:2: lib.rs only declares the rooms: move this into one of them";
        check("lib.rs", "pub mod store;\npub use store::Store;", &[only]);
    }

    #[test]
    fn a_room_without_a_rank_fails() {
        let expected = "room `oracle` has no rank: give it one in tests/it/ranks.rs and in ARCHITECTURE.md";
        check("oracle.rs", "", &[&format!("src/oracle.rs:1: {expected}")]);
        check("oracle/mod.rs", "use crate::model::Block;", &[&format!("src/oracle/mod.rs:1: {expected}")]);
    }

    #[test]
    fn a_file_that_nobody_declares_fails() {
        let sources =
            [("lib.rs", "mod decode;"), ("decode/mod.rs", "mod safe;"), ("decode/safe.rs", ""), ("decode/old.rs", "")];
        let expected = "no `mod` names this file, so nobody compiles it: declare it or delete it";
        assert_eq!(problems(&sources), [format!("src/decode/old.rs:1: {expected}")]);
    }

    #[test]
    fn the_core_names_nothing_that_acts_or_differs_from_run_to_run() {
        impure("use std::net::TcpStream;", "std::net::TcpStream", "a socket");
        impure("use std::time::{Duration, SystemTime};", "std::time::SystemTime", "a clock");
        impure("fn f() { std::fs::read(\"x\"); }", "std::fs::read", "a file");
        impure("static X: std::sync::Mutex<u8> = todo();", "std::sync::Mutex", "a lock");
        impure("fn f() { tracing::info!(\"x\"); }", "tracing::info!", "a logger");
        impure("fn f() { println!(\"x\"); }", "println!", "a logger");
        impure("fn f() -> u64 { fastrand::u64(..) }", "fastrand::u64", "randomness");
        impure("fn f() { vec![std::env::var(\"HOME\")]; }", "std::env::var", "a thread or a process");
        impure("use std::sync::*;", "std::sync::*", "a lock");
        impure("#[cfg(any(test, unix))] use tokio::spawn;", "tokio::spawn", "a runtime");
    }

    #[test]
    fn an_import_is_followed_to_what_it_is_used_for() {
        impure("use jiff::Timestamp; fn f() -> Timestamp { Timestamp::now() }", "jiff::Timestamp::now", "a clock");
        impure("use jiff::Timestamp as T; fn f() -> T { <T>::now() }", "jiff::Timestamp::now", "a clock");
        impure("use std::time; fn f() { time::Instant::now(); }", "std::time::Instant::now", "a clock");
        impure("use std::time; mod m { use super::*; fn f(_: time::Instant) {} }", "std::time::Instant", "a clock");
    }

    #[test]
    fn tests_of_the_core_may_roll_dice_and_lazy_statics_are_no_locks() {
        check("decode/mod.rs", "use std::sync::{Arc, LazyLock};\nuse std::time::Duration;", &[]);
        check("decode/mod.rs", "#[cfg(test)] mod tests { fn f() { println!(\"{}\", fastrand::u8(..)); } }", &[]);
        check("decode/mod.rs", "impl X { #[cfg(test)] fn f() { dbg!(1); } }", &[]);
        let declared = [("decode/mod.rs", "#[cfg(test)]\nmod tests;"), ("decode/tests.rs", "use std::fs;")];
        assert_eq!(problems(&declared), [""; 0]);
    }

    #[test]
    fn a_file_that_does_not_parse_is_a_problem_of_its_own() {
        let found = problems(&[("decode/mod.rs", "fn f( {")]);
        assert!(found.len() == 1 && found[0].starts_with("src/decode/mod.rs:1: "), "{found:?}");
    }
}
