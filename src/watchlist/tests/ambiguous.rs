//! Names that several arguments have, and arguments whose value is only a hash in the log.

use super::*;
use crate::watchlist::compile::compile_config;

/// A contract with an ABI of its own.
fn of_abi(abi: &str, rules: &str) -> Result<Config, Problems> {
    let list = format!(
        "{NAMES}[[watch]]\nlabel = \"Vault\"\nchain = \"mainnet\"\naddress = \"0x5FbDB2315678afecb367f032d93F642f64180aa3\"\n\
         kind = \"contract\"\nabi = \"a.json\"\npurpose = \"x\"\npath = \"treasury\"\n{rules}\n"
    );
    let files = Memory::new([("main.toml", MAIN), ("list.toml", &list), ("a.json", abi)]);
    compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly)
}

fn told_by(abi: &str, rule: &str) -> Vec<String> {
    let told = |problem: &&Problem| format!("{} | {}", problem.message, problem.hint.as_deref().unwrap_or_default());
    match of_abi(abi, &format!("[[watch.normal]]\nname = \"r\"\n{rule}")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.sorted_by_position().iter().map(told).collect(),
    }
}

const TWINS: &str = r#"[
  {"type":"function","name":"swap","stateMutability":"nonpayable","outputs":[],"inputs":[
    {"name":"token","type":"address"},{"name":"token","type":"address"},{"name":"amount","type":"uint256"}]},
  {"type":"function","name":"fill","stateMutability":"nonpayable","outputs":[],"inputs":[
    {"name":"o","type":"tuple","components":[{"name":"to","type":"address"},{"name":"id","type":"uint256"},{"name":"to","type":"address"}]},
    {"name":"list","type":"tuple[]","components":[{"name":"to","type":"address"},{"name":"to","type":"address"}]}]},
  {"type":"event","name":"Swapped","inputs":[{"name":"who","type":"address","indexed":true},{"name":"who","type":"address","indexed":false}]}
]"#;

#[test]
fn a_name_that_several_arguments_have_is_refused_with_their_positions() {
    for (rule, message, places) in [
        (
            "call = \"swap\"\nargs = { token = \"@owners\" }",
            "`token` is the name of 2 arguments: #0 and #1",
            "`\"#0\"` or `\"#1\"`",
        ),
        (
            "call = \"fill\"\nargs = { \"o.to\" = \"@self\" }",
            "`o.to` is the name of 2 arguments: #0.#0 and #0.#2",
            "`\"#0.#0\"` or `\"#0.#2\"`",
        ),
        (
            "call = \"fill\"\nargs = { \"list[*].to\" = \"@self\" }",
            "`list[*].to` is the name of 2 arguments: #1[*].#0 and #1[*].#1",
            "`\"#1[*].#0\"` or `\"#1[*].#1\"`",
        ),
        (
            "event = \"Swapped\"\nargs = { who = { not_in = \"@self\" } }",
            "`who` is the name of 2 arguments: #0 and #1",
            "`\"#0\"` or `\"#1\"`",
        ),
        (
            "call = \"swap(address a, address a, uint256 c)\"\nargs = { a = \"@self\" }",
            "`a` is the name of 2 arguments: #0 and #1",
            "`\"#0\"` or `\"#1\"`",
        ),
        (
            "call = \"swap(address a, address b, uint256 b)\"\nlimit = { sum = \"b\", max = \"5\", per = \"1d\" }",
            "`b` is the name of 2 arguments: #1 and #2",
            "`\"#1\"` or `\"#2\"`",
        ),
        (
            "call = \"swap\"\ncode = { in = [\"none\"], of = \"args.token\" }",
            "`token` is the name of 2 arguments: #0 and #1",
            "`\"#0\"` or `\"#1\"`",
        ),
    ] {
        assert_eq!(
            told_by(TWINS, rule),
            [format!("{message} | say which is meant by its position: {places}")],
            "{rule}"
        );
    }
}

#[test]
fn positions_and_the_rules_own_names_say_which_is_meant() {
    for rule in [
        "call = \"swap\"\nargs = { \"#0\" = \"@self\", \"#1\" = \"@self\", amount = { max = 5 } }",
        "call = \"swap(address sold, address bought, uint256 amount)\"\nargs = { sold = \"@self\", bought = \"@self\" }",
        "call = \"fill\"\nargs = { \"o.#0\" = \"@self\", \"o.#2\" = \"@self\", \"o.id\" = 5, \"list[*].#1\" = \"@self\" }",
    ] {
        assert_eq!(told_by(TWINS, rule), Vec::<String>::new(), "{rule}");
    }
}

#[test]
fn a_signature_that_one_abi_has_twice_with_other_names_is_noted() {
    let twice = r#"[
      {"type":"function","name":"set","stateMutability":"nonpayable","outputs":[],"inputs":[{"name":"a","type":"address"},{"name":"b","type":"address"}]},
      {"type":"function","name":"set","stateMutability":"nonpayable","outputs":[],"inputs":[{"name":"b","type":"address"},{"name":"a","type":"address"}]},
      {"type":"event","name":"Set","inputs":[{"name":"a","type":"uint256"}]},
      {"type":"event","name":"Set","inputs":[{"name":"a","type":"uint256","indexed":true}]}
    ]"#;
    let book = of_abi(twice, "").unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let notes: Vec<&str> = book.notes.iter().map(|note| &*note.message).filter(|note| note.contains("twice")).collect();
    assert_eq!(
        notes,
        ["`a.json` has `set(address,address)` twice with other names of its arguments: the first are taken"]
    );
}

#[test]
fn what_is_indexed_is_compared_by_its_hash_and_by_nothing_else() {
    let hash = format!("0x{}", "ab".repeat(32));
    let none = Vec::<String>::new();
    // A Safe's ABI is closed, so these cases use a contract of which nothing is known.
    let open = |event: &str, args: &str| {
        let list = format!(
            "{NAMES}{}[[watch.normal]]\nname = \"a\"\nevent = \"{event}\"\nargs = {{ {args} }}\n",
            WATCH.replace("\"safe\"", "\"contract\"").replace("registry", "#")
        );
        match build(MAIN, &list) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.sorted_by_position().iter().map(|problem| problem.message.clone()).collect(),
        }
    };
    assert_eq!(open("E(string indexed s)", "s = \"text\""), none);
    assert_eq!(open("E(string indexed s)", &format!("s = \"{hash}\"")), none);
    assert_eq!(open("E(bytes indexed b)", "b = { in = [\"0x00\", \"0x0102\"] }"), none);
    assert_eq!(
        open("E(bytes indexed b)", &format!("b = \"{hash}\"")),
        ["`b` is indexed, and this could be its bytes or their hash"]
    );
    assert_eq!(open("E(bytes indexed b)", &format!("b = {{ hash = \"{hash}\" }}")), none);
    assert_eq!(open("E(uint256[] indexed l)", &format!("l = {{ hash = [\"{hash}\"] }}")), none);
    assert_eq!(open("E(uint256[] indexed l)", "l = [1]"), ["of `l` the log holds only the hash"]);
    assert_eq!(
        open("E(uint256[] indexed l)", "\"l[*]\" = 1"),
        ["`l[*]` is indexed, so the log holds only the hash of all of it"]
    );
    assert_eq!(
        open("E(string s)", &format!("s = {{ hash = \"{hash}\" }}")),
        ["`s` is not indexed, so the value itself is there"]
    );
    assert_eq!(open("E(string indexed s)", "s = { hash = \"0x12\" }"), ["`0x12` is no hash"]);
    assert_eq!(
        open("E(string indexed s)", "s = { max = \"5\" }"),
        ["`s` is `string`, which has neither a least nor a most"]
    );
}
