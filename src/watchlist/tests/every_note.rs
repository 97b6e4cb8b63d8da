//! Every note of `check`, each with a configuration that has it: a note without a case fails.

use super::*;
use crate::watchlist::check::config_notes;
use crate::watchlist::compile::compile_config;
use std::fmt::Write as _;

const TWO: &str = "endpoint = [{ name = \"a\", url = \"ws://a.example\" }, { name = \"b\", url = \"ws://b.example\" }]";
const BOX: &str = "[[watch]]\nlabel = \"Box\"\nchain = \"mainnet\"\naddress = \"0xa0Ee7A142d267C1f36714E4a8F75612F20a79720\"\n\
                   kind = \"contract\"\npurpose = \"Keeps\"\npath = \"treasury\"\n";
const RULE: &str = "[[watch.normal]]\nname = \"a\"\nact = \"ether\"\nvalue = { max = \"1 ether\" }\n";

/// Two functions of one signature, and an entry that cannot be read.
const ODD: &str = r#"[
  {"type":"function","name":"set","stateMutability":"nonpayable","outputs":[],"inputs":[{"name":"a","type":"address"},{"name":"b","type":"address"}]},
  {"type":"function","name":"set","stateMutability":"nonpayable","outputs":[],"inputs":[{"name":"b","type":"address"},{"name":"a","type":"address"}]},
  {"type":"function","name":"odd","stateMutability":"nonpayable","outputs":[],"inputs":[{"name":"a","type":"uint257"}]}
]"#;

/// More tokens than are read on one beat.
fn many_tokens() -> String {
    let mut tokens = String::new();
    for n in 1..=40 {
        let _ = write!(tokens, "[token.T{n}]\nchain = \"mainnet\"\naddress = \"0x{n:040}\"\ndecimals = 0\n");
    }
    tokens
}

/// Text of a note, and the main file and the watchlist that it is about.
fn cases() -> Vec<(&'static str, String, String)> {
    let on = |chain: &str| MAIN.replacen("[chain.mainnet]\nendpoint = \"ws://127.0.0.1:8546\"", chain, 1);
    let main = || MAIN.to_owned();
    let blind = || on(&format!("[chain.mainnet]\ntraces = false\n{TWO}"));
    let list = |rest: &str| format!("{NAMES}{rest}");
    let quota =
        "[safe-service.own]\nchain = \"mainnet\"\nurl = \"https://safe.example/eth\"\nrequests_per_month = 10\n";
    let open = "[[watch.normal]]\nname = \"all\"\ncall = \"harvest()\"\neffects = \"any\"\n";
    vec![
        ("one endpoint: while it is away", main(), list(WATCH)),
        ("blocks are not verified", on(&format!("[chain.mainnet]\nverify = false\n{TWO}")), list(WATCH)),
        ("no block ever counts as final", format!("{}[chain.own]\nid = 7777\n{TWO}\n", main()), list(WATCH)),
        ("balances of a watch are read at once", main(), format!("{}{BOX}{RULE}", many_tokens())),
        ("inside of a call is seen by the balance after the block alone", blind(), list(&format!("{BOX}{RULE}"))),
        ("is never asked, since only traces show", blind(), list(&format!("{BOX}{RULE}"))),
        ("holds nothing back inside of what", main(), list(&format!("{BOX}{open}{RULE}"))),
        ("requests a month let own look at each", format!("{}{quota}", main()), list(WATCH)),
        ("this file is empty", main(), String::new()),
        ("no address is watched", main(), list("")),
        ("the store's directory", format!("store = \"nowhere/w.db\"\n{}", main()), list(WATCH)),
        ("pages a terminal alone", main(), list(WATCH)),
        (
            "counts base units of whichever token moves",
            main(),
            list(&format!(
                "{WATCH}[[watch.normal]]\nname = \"a\"\nmove = \"out\"\nargs = {{ amount = {{ max = \"5000\" }} }}\n"
            )),
        ),
        ("this entry is passed over", main(), list(&format!("{BOX}abi = \"abis/odd.json\"\n{RULE}"))),
        ("twice with other names of its arguments", main(), list(&format!("{BOX}abi = \"abis/odd.json\"\n{RULE}"))),
        ("this watch has no rules", main(), list(WATCH)),
        ("nothing that is found wakes anybody", main(), list(&format!("{WATCH}mode = \"observe\"\n{RULE}"))),
        ("vouches for whatever it is", main(), list(&format!("{WATCH}[[watch.normal]]\nname = \"a\"\ncall = \"*\"\n"))),
    ]
}

/// Places of the source at which a note is made.
fn places() -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/watchlist");
    let compiled = std::fs::read_dir(root.join("compile")).expect("a directory");
    let texts = compiled.map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).unwrap_or_default());
    let written: usize = texts.map(|text| text.matches("problems.push_note(").count()).sum();
    let seen = include_str!("../check/notes.rs");
    let texts = seen.matches("let text = format!(").count() + seen.matches("note(format!(").count();
    let of_chain = seen.split("].into_iter().flatten()").next().and_then(|before| before.rsplit('[').next());
    written + texts + of_chain.map_or(0, |names| names.split(',').count())
}

#[test]
fn every_note_has_a_case() {
    let mut told = 0;
    for (says, main, list) in cases() {
        let files = Memory::new([
            ("main.toml", main.as_str()),
            ("list.toml", list.as_str()),
            ("abis/vault.json", VAULT),
            ("abis/odd.json", ODD),
        ]);
        let book = compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly)
            .unwrap_or_else(|problems| panic!("{says}: {}", problems.render(false)));
        let texts: Vec<String> = config_notes(&book).into_iter().map(|note| note.text).collect();
        assert!(texts.iter().any(|text| text.contains(says)), "no `{says}` in {texts:#?}");
        told += 1;
    }
    assert_eq!(told, places(), "a case for each place at which `check` notes something");
}
