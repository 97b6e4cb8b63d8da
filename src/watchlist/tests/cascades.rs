//! Cascades: a mistake in one section is reported as one problem, however many places refer to what the section
//! defines.

use super::*;
use crate::watchlist::compile::compile_config;

/// Two watches of one chain and path, each with rules that use a set, a name and a token.
fn list() -> String {
    let rules = |n: u8| {
        format!(
            "[[watch.normal]]\nname = \"a{n}\"\nact = \"transfer\"\nto = \"@USDC\"\nargs = {{ to = \"@grantees\", amount = {{ max = \"5 USDC\" }} }}\n\
             [[watch.normal]]\nname = \"b{n}\"\nact = \"transfer\"\nto = \"@SNT\"\nargs = {{ to = \"Grantee: docs\", amount = {{ max = \"7 SNT\" }} }}\n"
        )
    };
    let other = WATCH.replace("\"Safe\"", "\"Other\"").replace("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720", OTHER);
    format!("{NAMES}{WATCH}{}{other}{}", rules(1), rules(2))
}

const OTHER: &str = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f";

fn problems_of(main: &str, files: &[(&str, &str)]) -> Vec<String> {
    let all = [("main.toml", main)].into_iter().chain(files.iter().copied());
    let told = compile_config(Path::new("main.toml"), &Memory::new(all), Secrets::NamesOnly).err();
    told.map(|problems| problems.to_lines()).unwrap_or_default()
}

#[test]
fn one_mistake_in_one_section_is_one_problem() {
    let list = list();
    assert_eq!(problems_of(MAIN, &[("list.toml", &list)]), [""; 0]);
    let chain = "[chain.mainnet]\nendpoint = \"ws://127.0.0.1:8546\"\n";
    let base = "[chain.base]\nendpoint = \"http://127.0.0.1:8545\"\n";
    let [chains, destination, treasury, keeper] = [
        format!("{chain}{base}"),
        "[destination.console]\nkind = \"terminal\"\n".to_owned(),
        "[path.treasury]\nsteps = [{ to = [\"console\"], ack_within = \"5m\" }]\n".to_owned(),
        "[path.self]\nsteps = [{ to = \"console\", ack_within = \"5m\" }]\n".to_owned(),
    ];
    let paths = format!("{treasury}{keeper}");
    // Text in the main file, its replacement, and the only problem.
    let cases: Vec<(&str, String, &str)> = vec![
        (chain, chain.replace("chain", "chains"), "unknown key `chains`"),
        (&chains, chains.replace("chain", "chian"), "unknown key `chian`"),
        (&chains, chains.replace("chain", "network"), "unknown key `network`"),
        (chain, chain.replace("chain.mainnet", "mainnet"), "unknown key `mainnet`"),
        (chain, chain.replace("mainnet", "mainnett"), "`id` of chain `mainnett` is missing"),
        (chain, chain.replace("endpoint", "endpiont"), "`endpoint` is missing"),
        (chain, "chain.mainnet = 1\n".to_owned(), "`mainnet` must be a table, not an integer"),
        (&chains, "[[chain]]\nid = 1\nendpoint = \"ws://127.0.0.1:8546\"\n".to_owned(), "`chain` must be a table"),
        (&chains, "chain = \"mainnet\"\n".to_owned(), "`chain` must be a table, not a string"),
        (&destination, destination.replace("destination", "destinations"), "unknown key `destinations`"),
        (&destination, destination.replace("destination", "receiver"), "unknown key `receiver`"),
        (&destination, destination.replace("terminal", "terminl"), "`kind` cannot be \"terminl\""),
        (&destination, destination.replace("kind", "knid"), "`kind` is missing"),
        (&destination, "[[destination]]\nkind = \"terminal\"\n".to_owned(), "`destination` must be a table"),
        (&destination, "destination.console = \"terminal\"\n".to_owned(), "`console` must be a table"),
        (&paths, paths.replace("[path", "[paths"), "unknown key `paths`"),
        (&paths, paths.replace("[path", "[escalation"), "unknown key `escalation`"),
        (&treasury, treasury.replace("[path", "[paths"), "unknown key `paths`"),
        (&treasury, "path.treasury = [\"console\"]\n".to_owned(), "`treasury` must be a table, not a list"),
        (&treasury, treasury.replace("ack_within", "ack_witin"), "`ack_within` is missing"),
        (&keeper, keeper.replace("[path", "[paths"), "unknown key `paths`"),
        (&paths, "path = \"console\"\n".to_owned(), "`path` must be a table, not a string"),
        (&paths, "[[path]]\nname = \"self\"\n".to_owned(), "`path` must be a table"),
        ("*list.toml", "lost.toml".to_owned(), "there is no `lost.toml`"),
    ];
    for (right, wrong, message) in cases {
        assert!(MAIN.contains(right), "{right}");
        let main = MAIN.replacen(right, &wrong, 1);
        // A key without a section belongs to the one before it.
        let main = if wrong.starts_with('[') { main } else { format!("{wrong}{}", MAIN.replacen(right, "", 1)) };
        let main = if right.starts_with('*') { MAIN.replacen(right, &wrong, 1) } else { main };
        let told = problems_of(&main, &[("list.toml", &list)]);
        let about: Vec<&String> = told.iter().filter(|line| line.contains(message)).collect();
        // A misspelt key is reported as an unknown key and a missing key.
        let follows = |line: &&String| !line.contains("unknown key `") || message.starts_with("unknown key");
        let others = told.iter().filter(|line| !line.contains(message)).filter(follows).count();
        assert!(!about.is_empty() && others == 0, "{wrong}: {told:#?}");
    }
}

#[test]
fn sections_in_the_wrong_file_are_told_and_what_refers_to_them_is_not() {
    let (sections, rest) = MAIN.split_once("[chain.mainnet]").expect("a chain");
    let moved = format!("[chain.mainnet]{rest}{}", list());
    let told = problems_of(sections, &[("list.toml", &moved)]);
    let places = |line: &String| line.contains("stands in the main file, not in a watchlist");
    assert_eq!((told.len(), told.iter().filter(|line| places(line)).count()), (3, 3), "{told:#?}");
}

#[test]
fn one_mistake_in_a_section_that_defines_names_is_one_problem() {
    let list = list();
    for (right, wrong, message) in [
        ("[token.USDC]", "[tokens.USDC]", "unknown key `tokens`"),
        ("[token.USDC]", "[coin.USDC]", "unknown key `coin`"),
        ("[set]", "[sets]", "unknown key `sets`"),
        ("[name]", "[names]", "unknown key `names`"),
        (
            "\"0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65\"",
            "\"0x15d34AAf54267DB7D7c367839AAf71A00a2C6A\"",
            "0x15d34AAf",
        ),
    ] {
        assert!(list.contains(right), "{right}");
        let told = problems_of(MAIN, &[("list.toml", &list.replacen(right, wrong, 1))]);
        assert!(told.len() == 1 && told[0].contains(message), "{wrong}: {told:#?}");
    }
    // A file that cannot be read is reported once, and not again for each name in it.
    let (names, rest) = (NAMES, list.strip_prefix(NAMES).expect("the names come first"));
    assert_eq!(problems_of(MAIN, &[("list.toml", rest), ("names.list.toml", names)]), [""; 0]);
    let main = MAIN.replace("[\"*list.toml\"]", "[\"list.toml\", \"names.toml\"]");
    let told = problems_of(&main, &[("list.toml", rest)]);
    assert!(told.len() == 1 && told[0].contains("there is no `names.toml`"), "{told:#?}");
    let told = problems_of(&main, &[("list.toml", rest), ("names.toml", "name:\n  a: b\nset:\n  c: d\n")]);
    assert!(told.len() == 1 && told[0].contains("this is YAML"), "{told:#?}");
}

#[test]
fn a_reference_that_is_wrong_itself_is_told_still() {
    let list = list().replacen("path = \"treasury\"", "path = \"tresury\"", 1);
    let told = problems_of(MAIN, &[("list.toml", &list)]);
    assert!(told.len() == 1 && told[0].contains("unknown path `tresury`"), "{told:#?}");
    let list = list.replacen("chain = \"mainnet\"\naddress = \"0xa0", "chain = \"mainet\"\naddress = \"0xa0", 1);
    let told = problems_of(MAIN, &[("list.toml", &list)]);
    assert_eq!(told.len(), 2, "{told:#?}");
}
