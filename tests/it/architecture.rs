//! Keeps ARCHITECTURE.md true where a machine can tell: its ranks are those that are enforced, and every file and test that
//! it names exists.

use crate::ranks::RANKS;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_ranks_on_the_map_are_those_that_are_enforced() {
    let map = read("ARCHITECTURE.md");
    let rows = section(&map, "## Ranks").lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let drawn: BTreeSet<(String, u8)> = rows
        .filter_map(|(rank, rooms)| Some((rank.parse::<u8>().ok()?, rooms)))
        .flat_map(|(rank, rooms)| quoted(rooms).map(move |room| (room.to_owned(), rank)))
        .collect();
    let enforced = RANKS.iter().map(|(room, rank)| ((*room).to_owned(), *rank)).collect();
    assert_eq!(drawn, enforced);
}

#[test]
fn every_test_that_guards_an_invariant_exists() {
    let map = read("ARCHITECTURE.md");
    let mut tests = String::new();
    for folder in ["src", "tests/it"] {
        for file in crate::ranks::files(&root().join(folder)) {
            tests.push_str(&std::fs::read_to_string(file).expect("a readable file"));
        }
    }
    let rows = section(&map, "## Invariants").lines().filter_map(|line| line.rsplit("| ").next());
    let named: Vec<&str> = rows.flat_map(quoted).filter(|name| name.matches('_').count() > 2).collect();
    assert!(!named.is_empty(), "no test is named");
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names tests that do not exist: {missing:#?}");
}

#[test]
fn every_file_on_the_map_exists() {
    let map = read("ARCHITECTURE.md");
    let named = quoted(section(&map, "## Where is the thing that"));
    let missing: Vec<&str> = named
        .filter(|name| name.ends_with('/') || name.ends_with(".rs"))
        .filter(|name| !root().join("src").join(name).exists() && !root().join(name).exists())
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names files that do not exist: {missing:#?}");
}

/// From the heading that begins so to the next one.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = text.find(heading).unwrap_or_else(|| panic!("no {heading}"));
    let rest = &text[start + heading.len()..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// Whatever stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
