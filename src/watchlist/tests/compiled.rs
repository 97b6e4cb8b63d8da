//! Compiled results of valid configurations.

use super::*;
use crate::classify::rule::{ArgTest, CallMatch, Condition, Measure, ValueRule};
use crate::contracts::kind_named;
use crate::model::pending::PendingVoice;
use crate::model::{ChainId, Operation, Severity};
use crate::source::FinalityRule;
use crate::watchlist::{ChainClock, EndpointUrl};
use alloy_primitives::{U256, address, b256};
use std::time::Duration;

#[test]
fn a_rule_is_compiled_to_its_smallest_units() {
    let rule = rule(
        r#"act = "transfer(address recipient, uint256 sum)"
to = ["@SNT"]
args = { recipient = "@grantees", sum = { max = "50_000 SNT" } }
signers = { at_least = 2, within = "@owners" }
hours = "Fri 08:00-18:00 Europe/Zurich"
limit = [{ sum = "sum", max = "200_000 SNT", per = "7d" }, { count = 5, per = "1h" }]
severity = "critical""#,
    );
    let CallMatch::Function { selector, signature } = &rule.deed else { panic!("{:?}", rule.deed) };
    assert_eq!((selector, &**signature), (&[0xa9, 0x05, 0x9c, 0xbb], "transfer(address,uint256)"));
    assert_eq!(
        (rule.value, rule.operations, rule.severity),
        (ValueRule::Unsaid, vec![Operation::Call], Some(Severity::Critical))
    );
    let [
        Condition::To(_),
        Condition::Arg { path: to, .. },
        Condition::Arg { path: sum, label, tests, .. },
        Condition::Signers { .. },
        Condition::Hours(_),
    ] = &rule.conditions[..]
    else {
        panic!("{:?}", rule.conditions)
    };
    assert_eq!((to.to_string(), sum.to_string(), &**label), ("#0".to_owned(), "#1".to_owned(), "sum"));
    let [ArgTest::Max(bound)] = &tests[..] else { panic!("{tests:?}") };
    assert_eq!(bound.unit.format_amount(bound.value), "50,000 SNT");
    assert_eq!(
        rule.limits.iter().map(|limit| (limit.per, &*limit.per_text)).collect::<Vec<_>>(),
        [(604_800, "7d"), (3_600, "1h")]
    );
    assert!(matches!(rule.limits[1].measure, Measure::Count));
}

#[test]
fn a_bare_name_means_the_function_of_the_target() {
    assert!(matches!(
        rule("act = \"changeController\"\nto = \"@SNT\"").deed,
        CallMatch::Function { selector: [0x3c, 0xeb, 0xb8, 0x23], .. }
    ));
    assert!(matches!(rule("act = \"addOwnerWithThreshold\"\nto = \"@self\"").deed, CallMatch::Function { .. }));
    assert!(matches!(rule("call = \"approveHash\"").deed, CallMatch::Function { .. }));
    assert!(matches!(rule("act = \"0xa9059cbb\"\nto = \"@SNT\"").deed, CallMatch::Function { .. }));
    assert_eq!(rule("act = \"ether\"\nto = \"@grantees\"").deed, CallMatch::Ether);
    assert_eq!(rule("move = \"out\"").deed, CallMatch::MoveOut);
    let creation = rule("act = \"creation\"");
    assert_eq!((creation.deed, creation.operations), (CallMatch::Creation, vec![Operation::Create]));
}

#[test]
fn a_signature_that_no_abi_has_is_taken_for_a_target_nobody_knows() {
    let list = format!(
        "{NAMES}{WATCH}[[watch.normal]]\nname = \"a\"\nact = \"stake(uint256 what)\"\nto = \"@grantees\"\nargs = {{ what = {{ max = 5 }} }}\n"
    );
    let book = build(MAIN, &list).unwrap();
    let subject = book.chains[0].subjects.get(&book.watches[0].address).unwrap();
    assert_eq!(subject.rule_abi.functions().map(|f| f.signature.to_string()).collect::<Vec<_>>(), ["stake(uint256)"]);
}

#[test]
fn values_bounds_and_nested_arguments_are_read() {
    assert_eq!(
        rule("act = \"ether\"\nto = \"@grantees\"\nvalue = { min = \"30 gwei\", max = \"1.5 ether\" }").value,
        ValueRule::Within {
            min: Some(U256::from(30_000_000_000u64)),
            max: Some(U256::from(1_500_000_000_000_000_000u64))
        }
    );
    let one = U256::from(10).pow(U256::from(18));
    assert_eq!(
        rule("act = \"ether\"\nvalue = \"1 ether\"").value,
        ValueRule::Within { min: Some(one), max: Some(one) }
    );
    let vault = r#"
[[watch]]
label = "Vault"
chain = "mainnet"
address = "0xBcd4042DE499D14e55001CcbB24a551F3b954096"
kind = "contract"
abi = "abis/vault.json"
purpose = "Keeps"
path = "treasury"
[[watch.normal]]
name = "a"
call = "deposit"
args = { "order.to" = "@grantees", "order.amounts[*]" = { max = "5 ether" } }
[[watch.normal]]
name = "b"
call = "set"
args = { small = 255, delta = { min = "-5", max = 5 }, id = "0x01020304", on = true, memo = { in = ["x", "y"] } }
[[watch.normal]]
name = "c"
event = "Noted"
args = { who = "@grantees" }
"#;
    let book = accepted(vault);
    let paths: Vec<String> = book.rules.watches[0]
        .rules
        .iter()
        .flat_map(|rule| &rule.conditions)
        .filter_map(|condition| match condition {
            Condition::Arg { path, .. } => Some(path.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(paths, ["#0.#0", "#0.#1[*]", "#0", "#1", "#2", "#3", "#4", "#1"]);
}

#[test]
fn what_raises_raises_whatever_goes_along() {
    let list = format!("{NAMES}{WATCH}[[watch.abnormal]]\nname = \"a\"\nact = \"*\"\nto = \"@grantees\"\n");
    let rule = build(MAIN, &list).unwrap().rules.watches[0].rules[0].clone();
    assert_eq!(rule.value, ValueRule::Within { min: None, max: None });
    assert_eq!(rule.operations.len(), 3);
}

#[test]
fn the_book_knows_chains_names_tokens_and_paths() {
    let book = accepted(WATCH);
    let mainnet = book.chain("mainnet").unwrap();
    assert_eq!((mainnet.info.id.0, mainnet.info.explorer.as_deref()), (1, Some("https://etherscan.io")));
    let [endpoint] = &mainnet.endpoints[..] else { panic!("{:?}", mainnet.endpoints) };
    assert!(matches!(&endpoint.url, EndpointUrl::Plain(url) if url == "ws://127.0.0.1:8546"));
    assert_eq!((&*endpoint.name, endpoint.requests_per_second), ("mainnet", None));
    assert_eq!((mainnet.clock, mainnet.slot), (ChainClock::Wall, Duration::from_secs(12)));
    assert_eq!((mainnet.finality, mainnet.verify), (FinalityRule::Tags, true));
    assert_eq!(mainnet.genesis, Some(b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3")));
    let grantee = address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65");
    assert_eq!(book.roster.names.get(mainnet.info.id, grantee).map(|n| &**n), Some("Grantee: docs"));
    assert_eq!(book.roster.names.get(mainnet.info.id, book.watches[0].address).map(|n| &**n), Some("Safe"));
    assert_eq!(book.roster.tokens.len(), 3);
    assert_eq!(book.roster.path("treasury").steps[0].to, ["console"]);
    assert_eq!(book.rules.watches[0].known_tokens.len(), 2, "those of its own chain");
    assert_eq!(book.watches[0].kind, kind_named("safe").unwrap());
    assert_eq!(book.store, Path::new("watchfire.db"));
}

#[test]
fn a_chain_has_one_endpoint_or_a_list_of_them() {
    let lists = r#"
[chain.mainnet]
endpoint = [
    { name = "own", url = "/run/geth/geth.ipc" },
    { name = "vendor", url = { env = "VENDOR_WS" }, requests_per_second = 25 },
    { name = "spare", url = { env = "SPARE_WS" } },
]
[[chain.base.endpoint]]
name = "own"
url = "http://127.0.0.1:8545"
[[chain.base.endpoint]]
name = "other"
url = "http://127.0.0.1:8547"
[chain.sepolia]
endpoint = { url = { file = "sepolia.url" }, requests_per_second = 5 }
[chain.hoodi]
endpoint = ["ipc:///run/hoodi.ipc"]
"#;
    let book = build(lists, "").unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let shown: Vec<String> = book
        .chains
        .iter()
        .flat_map(|chain| chain.endpoints.iter().map(|endpoint| (&chain.info.name, endpoint)))
        .map(|(chain, endpoint)| {
            let rate = endpoint.requests_per_second.map_or(String::new(), |rate| format!(" {rate}/s"));
            let url = match &endpoint.url {
                EndpointUrl::Plain(url) => url.as_str(),
                EndpointUrl::Secret(secret) => secret.source(),
            };
            format!("{chain} {} {url}{rate}", endpoint.name)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "mainnet own /run/geth/geth.ipc",
            "mainnet vendor environment variable `VENDOR_WS` 25/s",
            "mainnet spare environment variable `SPARE_WS`",
            "base own http://127.0.0.1:8545",
            "base other http://127.0.0.1:8547",
            "sepolia sepolia file `sepolia.url` 5/s",
            "hoodi hoodi ipc:///run/hoodi.ipc",
        ]
    );
}

#[test]
fn finality_is_by_tags_by_depth_or_not_at_all() {
    let of = |head: &str| {
        let main = format!("[chain.{head}\nendpoint = \"ws://127.0.0.1:8546\"\n");
        let book = build(&main, "").unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        book.chains[0].finality
    };
    assert_eq!(of("gnosis]"), FinalityRule::Tags);
    assert_eq!(of("gnosis]\nfinality = \"none\""), FinalityRule::Never);
    assert_eq!(of("own]\nid = 7777"), FinalityRule::Never, "nobody said that it has tags");
    assert_eq!(of("own]\nid = 31337\nfinality = \"tags\""), FinalityRule::Tags);
    let depth = of("own]\nid = 7777\nfinality = { safe = 32, finalized = 64 }");
    assert_eq!(depth, FinalityRule::Depth { safe: 32, finalized: 64 });
}

#[test]
fn a_chain_of_its_own_names_its_first_block_and_may_go_unverified() {
    let hash = "0x6d8f4ce2ab41b1d6d14b2ba2a5e3e0a2ce8e3c5b9bb1a8ce1c2f6a3b0e9d7c51";
    let main =
        format!("[chain.own]\nid = 7777\nendpoint = \"ws://127.0.0.1:8546\"\nverify = false\ngenesis = \"{hash}\"\n");
    let book = build(&main, "").unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert!(!book.chains[0].verify);
    assert_eq!(book.chains[0].genesis.map(|hash| hash.to_string()).as_deref(), Some(hash));
}

#[test]
fn blocks_are_late_by_the_clock_of_the_chain_and_never_those_of_a_tape() {
    let chain =
        |text: &str| build(&format!("[chain.own]\nid = 7777\nendpoint = \"ws://127.0.0.1:8546\"\n{text}\n"), "");
    let late = |text: &str| chain(text).unwrap().roster.lateness.get(&ChainId(7777)).copied();
    assert_eq!(late("slot = \"2s\""), Some(60), "at least a minute");
    assert_eq!(late("slot = \"30s\""), Some(120), "four slots");
    assert_eq!(late("clock = \"chain\""), None);
    assert!(chain("slot = \"2s\"").unwrap().by_block_time().roster.lateness.is_empty());
}

#[test]
fn what_is_pending_is_heard_of_where_the_chain_says_so_and_pages_where_the_watch_does() {
    let main = MAIN.replacen("8546\"\n", "8546\"\npending = true\n", 1);
    let compiled = |list: &str| {
        build(&main, &format!("{NAMES}{list}")).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
    };
    let book = compiled(&format!("{WATCH}pending = \"page\"\n"));
    assert_eq!(book.chains.iter().map(|chain| chain.pending).collect::<Vec<_>>(), [true, false]);
    assert_eq!(book.watches[0].pending, PendingVoice::Page);
    assert_eq!(compiled(WATCH).watches[0].pending, PendingVoice::Quiet);
}

#[test]
fn rules_speak_of_every_version_by_its_own_names() {
    let (a, b) = ("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
    let list = |rest: &str, rule: &str| {
        let (head, _) = WATCH.split_once("registry").expect("a registry");
        let head = head.replace("\"safe\"", "\"contract\"");
        let listed = format!("{{ address = \"{a}\", abi = \"abis/vault.json\" }}, {rest}");
        format!("{head}registry = {{ implementations = [{listed}] }}\n[[watch.normal]]\nname = \"a\"\n{rule}\n")
    };
    let spoken = format!("{{ address = \"{b}\", abi = \"erc20\" }}");
    let named = "call = \"set\"\nargs = { memo = { eq = \"x\" } }\n[[watch.normal]]\nname = \"b\"\ncall = \"approve\"";
    let book = accepted(&list(&spoken, named));
    let address = book.watches[0].address;
    let versions = book.chains[0].subjects.versions_of(&address).expect("versions");
    let names: Vec<_> =
        versions.all().into_iter().map(|(at, version)| (at.to_string(), version.name.clone())).collect();
    assert_eq!(names, [(b.to_owned(), Some("erc20".into())), (a.to_owned(), Some("abis/vault.json".into()))]);
    let [(_, second), (_, first)] = versions.all()[..] else { panic!("two versions") };
    let has = |abi: &crate::abi::Abi, name: &str| !abi.functions_named(name).is_empty();
    assert!(has(&first.abi, "set") && has(&first.abi, "upgradeTo") && !has(&first.abi, "approve"));
    assert!(!has(&second.abi, "set") && has(&second.abi, "approve"));
    // If every version has its ABI, an unknown function is a mistake; if one version has none, the function may belong
    // to that version.
    let unknown = "call = \"fly(uint256 height)\"";
    assert!(build(MAIN, &format!("{NAMES}{}", list(&spoken, unknown))).is_err());
    accepted(&list(&format!("\"{b}\""), unknown));
}
