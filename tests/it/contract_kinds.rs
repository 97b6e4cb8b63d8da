//! Holds every file of `src` against the list of contract kinds: only `contracts/` knows a kind by its name.

use std::path::Path;
use watchfire::contracts::CONTRACTS;

/// Files outside `contracts/` with a text that is also the word of a kind, and what the text means there. The list only
/// shrinks: a file that no longer has the text fails here until its line is removed.
const OTHER_MEANINGS: &[(&str, &str, &str)] = &[
    ("abi/json.rs", "contract", "the internal type of an argument in Solidity"),
    ("classify/first_seen.rs", "contract", "the name of a window of called contracts"),
    ("cli/chain.rs", "safe", "the finality of a block"),
    ("model/block.rs", "safe", "the finality of a block"),
    ("source/finality.rs", "safe", "the block tag of JSON-RPC"),
    ("source/probe.rs", "safe", "the block tag of JSON-RPC"),
    ("tape/serve/block_index.rs", "safe", "the block tag of JSON-RPC"),
    ("watchlist/file/chain.rs", "safe", "the key of a depth of finality"),
];

/// Ways to name one kind, which only the list and tests may use.
const BY_NAME: &[&str] = &["kind_named(", "Kind::from_word("];

/// Returns the lines of `text` that name a kind, outside of comments and tests, each with the word.
fn named_kinds(text: &str) -> Vec<(usize, String)> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let mut found = Vec::new();
    for (at, line) in lines {
        let quoted = |contract: &&&watchfire::contracts::ContractKind| line.contains(&format!("\"{}\"", contract.word));
        found.extend(CONTRACTS.iter().filter(quoted).map(|contract| (at + 1, contract.word.to_owned())));
        found.extend(BY_NAME.iter().filter(|way| line.contains(**way)).map(|way| (at + 1, (*way).to_owned())));
    }
    found
}

#[test]
fn no_file_outside_the_list_knows_a_contract_kind_by_its_name() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut problems, mut allowed) = (Vec::new(), Vec::new());
    for file in crate::ranks::files(&src) {
        let name = file.strip_prefix(&src).expect("below src").to_str().expect("UTF-8").replace('\\', "/");
        let for_tests = name.contains("tests") || name.ends_with("fixtures.rs");
        // The type of the handle declares its constructor.
        if name.starts_with("contracts/") || name == "model/watch.rs" || for_tests {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("a readable file");
        for (line, word) in named_kinds(&text) {
            match OTHER_MEANINGS.iter().position(|(known, of, _)| *known == name && *of == word) {
                Some(at) => allowed.push(at),
                None => problems.push(format!("src/{name}:{line}: `{word}`: ask the kind for a property instead")),
            }
        }
    }
    for (at, (file, word, meaning)) in OTHER_MEANINGS.iter().enumerate() {
        println!("src/{file} may say \"{word}\": {meaning}");
        if !allowed.contains(&at) {
            problems.push(format!("src/{file} no longer says \"{word}\": remove its line from OTHER_MEANINGS"));
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn a_kind_that_is_matched_by_name_is_found_with_its_line() {
    let code = "fn f(kind: Kind) -> bool {\n    kind.as_str() == \"timelock\"\n}\n";
    assert_eq!(named_kinds(code), [(2, "timelock".to_owned())]);
    assert_eq!(named_kinds("let safe = kind_named(word);\n"), [(1, "kind_named(".to_owned())]);
    assert_eq!(named_kinds("// of a \"timelock\"\n#[cfg(test)]\nmod tests { fn f() { kind_named(\"safe\"); } }\n"), []);
}

#[test]
fn every_kind_is_described_in_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kinds.md");
    let text = std::fs::read_to_string(path).expect("docs/kinds.md");
    for contract in CONTRACTS {
        let row = text.lines().find(|line| {
            let first = line.split('|').nth(1).unwrap_or_default();
            first.split(',').any(|word| word.trim() == format!("`{}`", contract.word))
        });
        assert!(row.is_some(), "docs/kinds.md has no row for `{}`", contract.word);
    }
}
