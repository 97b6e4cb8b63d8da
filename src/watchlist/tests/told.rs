//! Reports of mistakes.

use super::*;
use crate::watchlist::compile::compile_config;

#[test]
fn names_that_nobody_knows_are_told_with_the_nearest() {
    refused("act = \"ether\"\nto = \"@grantee\"", "unknown set or token `@grantee` | did you mean `@grantees`?");
    refused(
        "act = \"ether\"\nto = \"Grantee: doc\"",
        "nobody is called `Grantee: doc` | did you mean \"Grantee: docs\"?",
    );
    refused("act = \"ether\"\nto = \"grantees\"", "nobody is called `grantees` | did you mean `@grantees`?");
    refused(
        "act = \"trnsfer\"\nto = \"@USDC\"",
        "`trnsfer` is not a function of the contract's ABI | did you mean `transfer`?",
    );
    refused(
        "act = \"transfer(address)\"\nto = \"@USDC\"",
        "`transfer(address)` is not a function of the contract's ABI | did you mean `transfer(address,uint256)`?",
    );
    refused(
        "call = \"approvHash\"",
        "`approvHash` is not a function of the contract's ABI | did you mean `approveHash`?",
    );
    refused("event = \"AddedOwnr\"", "`AddedOwnr` is not an event of the contract's ABI | did you mean `AddedOwner`?");
    refused(
        "call = \"ExecutionSuccess\"",
        "`ExecutionSuccess` is not a function of the contract's ABI | it is an event: write `event = \"ExecutionSuccess\"`",
    );
    refused(
        "act = \"transfer\"\nto = \"@USDC\"\nargs = { amuont = { max = \"5 USDC\" } }",
        "`transfer(address,uint256)` has no argument `amuont` | did you mean `amount`?",
    );
    refused(
        "act = \"frobnicate\"",
        "no known ABI has a function `frobnicate` | write the whole signature, such as `transfer(address to, uint256 amount)`",
    );
    refused(
        "act = \"ether\"\nhours = \"Fri 08:00-18:00 Europe/Zurick\"",
        "`Europe/Zurick` is not a time zone | did you mean `Europe/Zurich`?",
    );
}

#[test]
fn a_function_of_several_is_ambiguous() {
    let told = told("[[watch.normal]]\nname = \"a\"\nact = \"mint\"\nto = \"@USDC\"\n");
    assert_eq!(told, ["`mint` could be 2 functions | write one of `mint(address,uint256)`, `mint(uint256)`"]);
}

#[test]
fn amounts_in_another_unit_are_told() {
    let transfer =
        |amount: &str| format!("act = \"transfer\"\nto = \"@USDC\"\nargs = {{ amount = {{ max = {amount} }} }}");
    refused(
        &transfer("\"5 SNT\""),
        "unit mismatch: `amount` counts USDC, and this is in SNT | write the amount in USDC, such as \"5_000 USDC\"",
    );
    refused(
        &transfer("\"5 ether\""),
        "unit mismatch: `amount` counts USDC, and this is in ether | write the amount in USDC, such as \"5_000 USDC\"",
    );
    refused(
        &transfer("5.5"),
        "`max` is a float, and money is counted exactly | write it in quotes with its unit: \"5.5 ether\"",
    );
    refused(
        &transfer("\"0.0000001 USDC\""),
        "this amount cannot be counted: it has more than 6 digits behind the point",
    );
    refused(&transfer("\"5 USDT\""), "unknown unit `USDT` | did you mean `USDC`?");
    refused(&transfer("\"5 ETH\""), "unknown unit `ETH` | write `ether`, `gwei` or `wei`");
    refused(
        "act = \"ether\"\nvalue = { max = \"5 SNT\" }",
        "unit mismatch: `value` counts ether, and this is in SNT | write such as \"5 ether\"",
    );
    refused("act = \"ether\"\nvalue = { max = 5 }", "`5` could be ether or wei | write \"5 ether\" or \"5 wei\"");
    refused(
        "act = \"transfer\"\nargs = { amount = { max = \"5 SNT\" } }",
        "unit mismatch: `amount` counts whichever token moves, and this is in SNT | say which token the rule is about: `@SNT`",
    );
    refused(
        "act = \"transfer\"\nto = [\"@SNT\", \"@USDC\"]\nargs = { amount = \"5 SNT\" }",
        "unit mismatch: `amount` counts SNT or USDC, whichever moves, and this is in SNT | write one rule for each token",
    );
    refused(
        "act = \"transfer\"\nto = \"@USDC\"\nlimit = { sum = \"amount\", max = \"5 ether\", per = \"1d\" }",
        "unit mismatch: `amount` counts USDC, and this is in ether | write the amount in USDC, such as \"5_000 USDC\"",
    );
    refused(
        "move = \"out\"\nargs = { amount = { max = \"5 SNT\" }, token = \"@USDC\" }",
        "unit mismatch: `amount` counts USDC, and this is in SNT | write the amount in USDC, such as \"5_000 USDC\"",
    );
    refused(
        "act = \"stake(uint256 x)\"\nto = \"@grantees\"\nargs = { x = \"5 BASED\" }",
        "unit mismatch: BASED is a token on base, and this watch is on mainnet | write the amount in a token of mainnet",
    );
    refused("act = \"ether\"\nto = \"@BASED\"", "`@BASED` is on base, and mainnet is meant here");
}

#[test]
fn conditions_that_could_never_hold_are_told() {
    refused("act = \"ether\"\nto = []", "no address is listed, so this could never hold");
    refused(
        "act = \"ether\"\nto = { in = \"@grantees\", not_in = \"@grantees\" }",
        "everything in `in` is in `not_in` too, so this could never hold",
    );
    refused(
        "act = \"ether\"\nvalue = { min = \"2 ether\", max = \"1 ether\" }",
        "the least is above the most, so `value` could never hold",
    );
    refused(
        "act = \"transfer\"\nto = \"@SNT\"\nargs = { amount = { min = \"2 SNT\", max = \"1 SNT\" } }",
        "the least is above the most, so `amount` could never hold",
    );
    refused(
        "act = \"transfer\"\nto = \"@SNT\"\nargs = { amount = { in = [] } }",
        "no value is listed, so this could never hold",
    );
    refused("act = \"ether\"\nsigners = { at_least = 3 }", "`@owners` has 2 signers, so 3 could never sign");
    refused(
        "act = \"ether\"\nsigners = { within = \"@owners\", include = \"@grantees\" }",
        "not all of these are in `@owners`, so this could never hold",
    );
    refused(
        "act = \"ether\"\nlimit = { count = 0, per = \"1d\" }",
        "a limit of zero vouches for nothing | remove the rule instead",
    );
    refused(
        "act = \"ether\"\nlimit = { sum = \"value\", max = \"0 ether\", per = \"1d\" }",
        "a limit of zero vouches for nothing | remove the rule instead",
    );
    refused("act = \"ether\"\nlimit = { count = 1, per = \"0s\" }", "a window is from a second to a year long");
    refused("act = \"setOption(uint8 n)\"\nargs = { n = 256 }", "`n` is `uint8`, which never has this value");
    refused(
        "act = \"0x12345678\"\nto = \"@grantees\"",
        "no one function `0x12345678` is known, and what cannot be decoded is never normal | write the function's signature instead of its selector",
    );
}

#[test]
fn conditions_that_say_nothing_are_told() {
    refused(
        "act = \"ether\"\nfrom = \"@grantees\"",
        "`from` says nothing here: it is always the watched address itself | who sends the transaction is `origin`; who approved it is `signers`",
    );
    refused(
        "call = \"approveHash\"\nto = \"@self\"",
        "`to` says nothing here: it is always the watched address itself | who calls is `from`",
    );
    refused(
        "event = \"AddedOwner\"\nvalue = 0",
        "`value` says nothing here: no ether goes along with a log | an amount that a log tells is in `args`",
    );
    refused(
        "call = \"approveHash\"\noperation = \"delegatecall\"",
        "`operation` says nothing here: it is about acts | remove it",
    );
    refused("act = \"ether\"\nargs = { amount = 5 }", "plain ether has no argument `amount`");
    refused(
        "act = \"stake(uint256[] x)\"\nto = \"@grantees\"\nargs = { x = 5 }",
        "`x` is a list | say which of its elements: `\"x[*]\"` for all, `\"x[0]\"` for the first",
    );
    let abnormal = told("[[watch.abnormal]]\nname = \"a\"\nact = \"ether\"\nlimit = { count = 5, per = \"1h\" }\n");
    assert_eq!(
        abnormal,
        ["a limit says nothing here: what an abnormal rule raises is not counted | put the limit on a normal rule"]
    );
}

#[test]
fn the_shape_of_a_rule_is_told() {
    refused(
        "to = \"@SNT\"",
        "a rule says one of `call`, `act`, `event`, `move` and `state` | such as `act = \"transfer(address to, uint256 amount)\"`",
    );
    refused(
        "act = \"ether\"\ncall = \"approveHash\"",
        "a rule says one thing: `call` stands here already | write one for each",
    );
    refused(
        "move = \"sideways\"",
        "`move` cannot be `sideways` | write `move = \"in\"`, `\"out\"`, `\"approval\"` or `\"*\"`",
    );
    refused(
        "act = \"f(uint999 x)\"",
        "this is not a signature: `f(uint999 x)`, character 3: `uint999` is no type of the ABI",
    );
    refused(
        "act = \"ether\"\nlimit = { sum = \"value\", per = \"1d\" }",
        "`max` is missing | write `{ count = 5, per = \"1h\" }` or `{ sum = \"amount\", max = \"200_000 SNT\", per = \"7d\" }`",
    );
    let nameless = told("[[watch.normal]]\nact = \"ether\"\n");
    assert_eq!(nameless, ["`name` is missing"]);
    let reserved = told("[[watch.normal]]\nname = \"builtin/mine\"\nact = \"ether\"\n");
    assert_eq!(reserved, ["names that begin with `builtin/` are the program's own"]);
    let builtin = told_of(&format!("{WATCH}builtins = {{ off = [\"builtin/inbond\"] }}\n"));
    assert_eq!(builtin, ["10:21: unknown built-in `builtin/inbond` | did you mean `builtin/inbound`?"]);
}

#[test]
fn rules_that_nobody_reaches_are_told() {
    let pair = |first: &str, second: &str| {
        let table = |name: &str, body: &str| {
            let (polarity, body) = body.split_once(' ').unwrap();
            format!("[[watch.{polarity}]]\nname = \"{name}\"\n{}\n", body.replace("; ", "\n"))
        };
        told(&format!("{}{}", table("first", first), table("second", second)))
    };
    let unreached = ["rule `second` is never reached: `first` vouches for all of it | move it above, or remove it"];
    let any = "normal act = \"approve\"; to = \"@SNT\"";
    assert_eq!(
        pair(any, "normal act = \"approve\"; to = \"@SNT\"; args = { amount = { max = \"5 SNT\" } }"),
        unreached
    );
    assert_eq!(pair(any, any), unreached, "the same twice");
    assert_eq!(pair("normal call = \"*\"", "normal call = \"approveHash\"; from = \"@owners\""), unreached);
    assert_eq!(pair("normal act = \"ether\"", "normal act = \"ether\"; value = { max = \"1 ether\" }"), unreached);
    let narrow = "normal act = \"ether\"; value = { max = \"1 ether\" }";
    assert_eq!(pair(narrow, "normal act = \"ether\"; value = { max = \"0.5 ether\" }; to = \"@grantees\""), unreached);
    assert!(pair(narrow, "normal act = \"ether\"; value = { max = \"2 ether\" }").is_empty(), "wider");
    assert!(pair(any, "normal act = \"approve\"; to = \"@USDC\"").is_empty(), "another target");
    assert!(pair(&format!("{any}; limit = {{ count = 1, per = \"1d\" }}"), any).is_empty(), "the first gives out");
    assert!(pair(any, &format!("{any}; operation = \"delegatecall\"")).is_empty(), "another operation");
    assert!(
        pair(
            any,
            &format!("{any}; value = \"1 wei\"").replace("approve", "multiSend(bytes)").replace("@SNT", "@grantees")
        )
        .is_empty()
    );
    assert_eq!(
        pair(any, &any.replacen("normal", "abnormal", 1)),
        ["rule `first` is never reached: `second` raises all of it | remove it"],
        "an abnormal rule comes first wherever it stands"
    );
    let twice = told(
        "[[watch.normal]]\nname = \"a\"\nact = \"ether\"\nto = \"@SNT\"\n[[watch.normal]]\nname = \"a\"\nact = \"ether\"\nto = \"@USDC\"\n",
    );
    assert_eq!(twice, ["rule `a` stands twice in this watch"]);
}

#[test]
fn watches_are_told_apart() {
    let other = WATCH.replace("\"Safe\"", "\"Other\"");
    assert_eq!(
        told_of(&format!("{WATCH}{other}")),
        [
            "14:11: `0xa0Ee7A142d267C1f36714E4a8F75612F20a79720` is watched twice on mainnet | put all its rules into one watch"
        ]
    );
    let elsewhere = WATCH.replace("mainnet", "base");
    assert_eq!(
        told_of(&format!("{WATCH}{elsewhere}")),
        ["12:9: label `Safe` is used twice | a page would not say which is meant"]
    );
    assert!(
        told_of(&format!("{WATCH}{}", elsewhere.replace("\"Safe\"", "\"Other\""))).is_empty(),
        "one address on two chains"
    );
}

#[test]
fn the_head_of_a_watch_is_told() {
    let with = |from: &str, to: &str| told_of(&WATCH.replace(from, to));
    assert_eq!(
        with("path = \"treasury\"", ""),
        ["2:1: `path` is missing | a path says who is told; there is no default, so that nobody is forgotten"]
    );
    assert_eq!(with("purpose = \"Pays\"", ""), ["2:1: `purpose` is missing"]);
    assert_eq!(with("\"Pays\"", "\" \""), ["7:11: this says nothing"]);
    assert_eq!(with("\"treasury\"", "\"tresury\""), ["8:8: unknown path `tresury` | did you mean `treasury`?"]);
    assert_eq!(with("\"mainnet\"", "\"mianet\""), ["4:9: unknown chain `mianet` | did you mean `mainnet`?"]);
    assert_eq!(with("\"safe\"", "\"save\""), ["6:8: `kind` cannot be \"save\" | did you mean \"safe\"?"]);
    assert_eq!(
        with("kind = \"safe\"", "kind = \"safe\"\nabi = \"erc21\""),
        ["7:7: unknown ABI `erc21` | did you mean `erc20`?"]
    );
    let missing = with("kind = \"safe\"", "kind = \"safe\"\nabi = \"abis/none.json\"");
    assert_eq!(missing, ["7:7: there is no `abis/none.json` | an ABI's path starts at the directory of its watchlist"]);
    let lower = with("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720", "0xa0ee7a142d267c1f36714e4a8f75612f20a79720");
    assert_eq!(
        lower,
        [
            "5:11: `0xa0ee7a142d267c1f36714e4a8f75612f20a79720` has no checksum, which guards against a mistyped address | write `0xa0Ee7A142d267C1f36714E4a8F75612F20a79720`"
        ]
    );
    let short = with("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720", "0xa0Ee7A142d267C1f36714E4a8F75612F20a797");
    assert_eq!(
        short,
        ["5:11: `0xa0Ee7A142d267C1f36714E4a8F75612F20a797` is not an address: it has 38 digits, an address has 40"]
    );
    let page = with("kind = \"safe\"", "kind = \"safe\"\npending = \"page\"");
    assert_eq!(
        page,
        ["7:11: nothing is heard of `mainnet` before its blocks | write `pending = true` into `[chain.mainnet]`"]
    );
    let threshold = with("registry = { owners", "registry = { threshold = 3, owners");
    assert_eq!(threshold, ["9:26: a threshold of 3 cannot be met by 2 owners"]);
}

#[test]
fn sets_names_and_tokens_are_told() {
    // NAMES contains `[set]`, `[name]` and `[token]` already, so these are in a separate file.
    let told = |text: &str| build(MAIN, text).err().map(|p| p.to_lines()).unwrap_or_default();
    assert_eq!(told("[set]\na = [\"@b\"]\nb = [\"@a\"]\n"), ["list.toml:3:6: set `a` contains itself: @a → @b → @a"]);
    assert_eq!(
        told("[set]\na = []\n"),
        ["list.toml:2:5: set `a` is empty, so a rule that asks for it could never hold"]
    );
    assert_eq!(
        told("[set]\nowners = [\"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\"]\n"),
        ["list.toml:2:1: `@owners` has a meaning of its own; choose another name"]
    );
    let twice =
        "[token.A]\nchain = \"mainnet\"\naddress = \"0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48\"\ndecimals = 6\n";
    assert_eq!(
        told(&format!("{twice}{}", twice.replace("token.A", "token.B"))),
        ["list.toml:5:8: token `B` has the address of token `A`"]
    );
    assert_eq!(
        told(&format!("{twice}[set]\nA = [\"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\"]\n")),
        ["list.toml:6:1: `A` is a token already, so `@A` would mean two things"]
    );
    let decimals = told(&twice.replace("= 6", "= 78"));
    assert_eq!(decimals, ["list.toml:4:12: `decimals` must be from 0 to 77"]);
    let deep: String = (0..40).map(|i| format!("s{i} = [\"@s{}\"]\n", i + 1)).collect();
    let deep = told(&format!("[set]\n{deep}s40 = [\"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\"]\n"));
    assert!(deep.iter().any(|line| line.contains("more than 32 deep")), "{deep:?}");
}

#[test]
fn the_main_file_is_told() {
    let told =
        |from: &str, to: &str| build(&MAIN.replace(from, to), "").err().map(|p| p.to_lines()).unwrap_or_default();
    assert_eq!(
        told("ws://127.0.0.1:8546", "wss://mainnet.example.org/v2/abcdefghijklmnopqrstuvwxyz"),
        ["main.toml:4:12: this URL seems to carry a key, and a key must not stand in the file"]
    );
    assert_eq!(
        told("ws://127.0.0.1:8546", "wss://user:pass@example.org"),
        ["main.toml:4:12: this URL seems to carry a key, and a key must not stand in the file"]
    );
    assert_eq!(
        told("ws://127", "ftp://127"),
        ["main.toml:4:12: an endpoint begins with ws://, wss://, http://, https:// or ipc://"]
    );
    assert_eq!(told("[chain.base]", "[chain.bass]"), ["main.toml:5:8: `id` of chain `bass` is missing"]);
    assert_eq!(told("[chain.base]", "[chain.other]\nid = 1"), ["main.toml:5:8: chain id 1 is configured twice"]);
    assert_eq!(told("[chain.mainnet]", "[chain.mainnet]\nid = 5"), ["main.toml:4:6: `mainnet` has chain id 1, not 5"]);
    assert_eq!(told("endpoint = \"ws://127.0.0.1:8546\"", ""), ["main.toml:3:1: `endpoint` is missing"]);
    assert_eq!(
        told("steps = [{ to = [\"console\"], ack_within = \"5m\" }]", ""),
        ["main.toml:9:7: path `treasury` has no steps, so it would page nobody"]
    );
    assert_eq!(told("[\"console\"]", "[\"pager\"]"), ["main.toml:10:18: unknown destination `pager`"]);
    assert_eq!(told("[\"console\"]", "[]"), ["main.toml:10:17: a step that tells nobody"]);
    assert_eq!(told("*list.toml", "none/*.toml"), ["main.toml:2:15: `none/*.toml` matches no file"]);
    assert_eq!(told("*list.toml", "*/list.toml"), ["main.toml:2:15: `*/list.toml` has a `*` outside its last segment"]);
    assert_eq!(told("[path.self]", "[path.itself]"), ["main.toml:1:1: there is no path `self`"]);
    assert_eq!(
        told("[path.self]", "[path.self]\npage_at = \"critical\""),
        ["main.toml:11:7: `page_at` of path `self` is above `high`, so no blindness would wake anybody"]
    );
    let misplaced = build(MAIN, "[path.other]\nsteps = []\n").unwrap_err().to_lines();
    assert_eq!(misplaced, ["list.toml:1:2: `path` stands in the main file, not in a watchlist"]);
    let no_such = compile_config(Path::new("none.toml"), &Memory::default(), Secrets::NamesOnly).unwrap_err();
    assert_eq!(no_such.to_lines(), ["none.toml:1:1: there is no `none.toml`"]);
}

#[test]
fn endpoints_are_told() {
    let told = |body: &str| {
        let main = format!("[chain.mainnet]\n{body}\n");
        let problems = build(&main, "").err();
        let line =
            |p: &&Problem| format!("{}{}", p.message, p.hint.as_ref().map_or(String::new(), |h| format!(" | {h}")));
        problems.map(|p| p.sorted_by_position().iter().map(line).collect::<Vec<_>>()).unwrap_or_default()
    };
    assert_eq!(told("endpoint = []"), ["no endpoint is listed, so nothing of this chain could be seen"]);
    let unnamed = "one endpoint of several needs a `name` | write `{ name = \"own\", url = … }`; logs, metrics and pages call it so";
    assert_eq!(told("endpoint = [\"ws://a.example\", { env = \"B\" }]"), [unnamed, unnamed]);
    assert_eq!(
        told("endpoint = [{ name = \"a\", url = \"ws://a.example\" }, { name = \"a\", url = \"ws://b.example\" }]"),
        ["endpoint `a` of mainnet is named twice"]
    );
    let twins =
        |a: &str, b: &str| told(&format!("endpoint = [{{ name = \"a\", url = {a} }}, {{ name = \"b\", url = {b} }}]"));
    let twin = "endpoint `b` is where `a` is | two names of one node agree about everything, so neither could confirm the other";
    assert_eq!(twins("\"ws://a.example\"", "\"ws://a.example/\""), [twin]);
    assert_eq!(twins("\"ipc:///run/a.ipc\"", "\"/run/a.ipc\""), [twin]);
    assert_eq!(twins("{ env = \"A\" }", "{ env = \"A\" }"), [twin]);
    assert!(twins("{ env = \"A\" }", "{ env = \"B\" }").is_empty());
    assert_eq!(
        told("endpoint = { name = \"wss://vendor/key\", url = { env = \"A\" } }"),
        [
            "this is not a name of an endpoint | write 1 to 32 letters, digits, `-`, `_` and `.`; it is shown, so no key may be in it"
        ]
    );
    assert_eq!(
        told("endpoint = { name = \"a\", env = \"A\" }"),
        ["where the URL is kept is said in `url` | write `url = { env = \"NAME\" }`, or a URL without credentials"]
    );
    assert_eq!(
        told("endpoint = { name = \"a\" }"),
        ["`url` is missing | write `url = { env = \"NAME\" }`, or a URL without credentials"]
    );
    assert_eq!(
        told("endpoint = { name = \"a\", url = \"ws://a.example\", request_per_second = 5 }"),
        ["unknown key `request_per_second` | did you mean `requests_per_second`?"]
    );
    assert_eq!(
        told("endpoint = { name = \"a\", url = \"ws://a.example\", requests_per_second = 0 }"),
        ["`requests_per_second` must be from 1 to 100000"]
    );
    assert_eq!(
        told("endpoint = \"ipc://geth.ipc\""),
        [
            "a socket of a node is named by its absolute path | write `ipc:///run/geth/geth.ipc`, or the path alone where it ends in `.ipc`"
        ]
    );
    let many: Vec<String> = (0..17).map(|i| format!("{{ name = \"n{i}\", url = \"ws://n{i}.example\" }}")).collect();
    assert_eq!(
        told(&format!("endpoint = [{}]", many.join(", "))),
        ["a chain has at most 16 endpoints, and here are 17"]
    );
}

#[test]
fn a_url_with_a_key_is_not_shown_again() {
    let key = "abcdefghijklmnopqrstuvwxyz";
    for written in [
        format!("\"wss://vendor.example/v2/{key}\""),
        format!("[{{ name = \"a\", url = \"wss://vendor.example/v2/{key}\" }}, \"wss://b.example/{key}\"]"),
        format!("{{ name = \"wss://vendor.example/{key}\", url = \"ftp://{key}\" }}"),
    ] {
        let problems = build(&format!("[chain.mainnet]\nendpoint = {written}\n"), "").unwrap_err();
        assert!(!problems.render(false).contains(key), "{}", problems.render(false));
    }
}

#[test]
fn finality_and_genesis_are_told() {
    let told = |body: &str| {
        let main = format!("[chain.mainnet]\nendpoint = \"ws://127.0.0.1:8546\"\n{body}\n");
        build(&main, "").err().map(|p| p.to_lines()).unwrap_or_default()
    };
    assert_eq!(told("finality = \"tag\""), ["main.toml:3:12: `finality` cannot be \"tag\""]);
    assert_eq!(told("finality = { safe = 32 }"), ["main.toml:3:12: `finalized` is missing"]);
    assert_eq!(
        told("finality = { safe = 64, finalized = 32 }"),
        ["main.toml:3:37: what is final is safe too, so `finalized` is at least as deep as `safe`"]
    );
    assert_eq!(told("finality = { safe = 0, finalized = 32 }"), ["main.toml:3:21: `safe` must be from 1 to 100000"]);
    assert_eq!(
        told("genesis = \"d4e5\""),
        ["main.toml:3:11: `genesis` is the hash of block 0: `0x` and 64 hexadecimal digits"]
    );
    let other = told(&format!("genesis = \"0x{}\"", "11".repeat(32)));
    assert_eq!(
        other,
        [
            "main.toml:3:11: `mainnet` begins with block 0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
        ]
    );
}

#[test]
fn a_test_that_says_nonsense_is_told() {
    let test = |body: &str| {
        told(&format!(
            "[[watch.normal]]\nname = \"pay\"\nact = \"ether\"\nto = \"@grantees\"\n[[watch.test]]\nname = \"t\"\n{body}\n"
        ))
    };
    assert_eq!(
        test("act = \"ether\"\nverdict = \"normal\""),
        ["`to` is missing: a test of an act says on whom it acts"]
    );
    assert_eq!(
        test("act = \"ether\"\nto = \"@grantees\"\nverdict = \"normal\""),
        ["`@grantees` is 2 addresses, and one is meant here"]
    );
    assert_eq!(
        test("act = \"ether\"\nto = \"@SNT\"\nverdict = \"abnormal\"\nrefused = \"pya: to\""),
        ["this watch has no rule `pya` | did you mean `pay`?"]
    );
    assert_eq!(
        test("act = \"ether\"\nto = \"@SNT\"\nat = \"yesterday\"\nverdict = \"abnormal\""),
        ["`yesterday` is not a moment | write it with its offset: \"2026-11-20T10:00:00Z\""]
    );
    assert_eq!(test("act = \"ether\"\nto = \"@SNT\""), ["`verdict` is missing"]);
    assert_eq!(
        test("act = \"ether\"\nto = \"@SNT\"\nverdict = \"normal\"\nseverity = \"high\""),
        ["what is normal has no severity and no refusal"]
    );
    assert_eq!(
        test("act = \"ether\"\nto = \"@SNT\"\nsigners = 3\nverdict = \"abnormal\""),
        ["there are at most 2 signers"]
    );
}

#[test]
fn one_mistake_is_not_told_as_several() {
    refused(
        "act = \"transfer\"\nto = \"@SNTT\"\nargs = { to = \"@grantees\", amount = { max = \"5 SNT\" } }",
        "unknown set or token `@SNTT` | did you mean `@SNT`?",
    );
    // A rule that could not be parsed covers no other rule, and a watch with an unknown ABI accepts every function.
    let told = told(
        "[[watch.normal]]\nname = \"a\"\nact = \"ether\"\nto = \"@nobody\"\n[[watch.normal]]\nname = \"b\"\nact = \"ether\"\n",
    );
    assert_eq!(told, ["unknown set or token `@nobody` | define it as `[set]` or `[token.X]`, in any of the files"]);
    let abi = WATCH.replace("kind = \"safe\"", "kind = \"safe\"\nabi = \"saef\"");
    let told = told_of(&format!("{abi}[[watch.normal]]\nname = \"a\"\ncall = \"mine(uint256)\"\n"));
    assert_eq!(told, ["7:7: unknown ABI `saef` | did you mean `safe`?"]);
}

#[test]
fn what_the_code_of_a_proxy_speaks_is_told() {
    let told = |kind: &str, listed: &str| {
        let watch = WATCH.replace("\"safe\"", &format!("\"{kind}\""));
        let (head, _) = watch.split_once("registry").expect("a registry");
        told_of(&format!("{head}registry = {{ implementations = {listed} }}\n"))
    };
    let (a, b) = ("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
    let code = |address: &str, abi: &str| format!("{{ address = \"{address}\", abi = \"{abi}\" }}");
    let none: [&str; 0] = [];
    assert_eq!(told("proxy", &format!("[{}, \"{b}\"]", code(a, "abis/vault.json"))), none);
    assert_eq!(told("proxy", &code(a, "vesting")), none);
    assert_eq!(
        told("proxy", &format!("[{}, {}]", code(a, "abis/valt.json"), code(b, "vestin"))),
        [
            "9:97: there is no `abis/valt.json` | an ABI's path starts at the directory of its watchlist",
            "9:181: unknown ABI `vestin` | did you mean `vesting`?"
        ]
    );
    assert_eq!(
        told("proxy", &format!("[{}, {}]", code(a, "vesting"), code(a, "ownable"))),
        [format!(
            "9:174: `{a}` is listed with two ABIs, `vesting` is the other | code speaks one ABI: list each address once"
        )]
    );
    assert_eq!(
        told("safe", &code(a, "vesting")),
        ["9:96: the code of a `safe` is not looked up behind a proxy | write the ABI as `abi` of the watch"]
    );
    assert_eq!(
        told("proxy", "[{ abi = \"vesting\", adress = 1 }]"),
        ["9:33: `address` is missing", "9:52: unknown key `adress` | did you mean `address`?"]
    );
    assert_eq!(
        told("proxy", "7"),
        [
            "9:32: `implementations` must be a list of addresses | write `implementations = [\"0x…\", { address = \"0x…\", abi = \"abi/v2.json\" }]`"
        ]
    );
    let swapped =
        r#"[{"type":"function","name":"f","inputs":[{"name":"%1","type":"address"},{"name":"%2","type":"address"}]}]"#;
    let one = swapped.replace("%1", "payer").replace("%2", "payee");
    let other = swapped.replace("%1", "payee").replace("%2", "payer");
    let both = format!("[{}, {}]", code(a, "one.json"), code(b, "other.json"));
    let rule = |call: &str| {
        let watch = WATCH.replace("\"safe\"", "\"proxy\"");
        let (head, _) = watch.split_once("registry").expect("a registry");
        let list = format!(
            "{NAMES}{head}registry = {{ implementations = {both} }}\n[[watch.normal]]\nname = \"a\"\ncall = \"{call}\"\nargs = {{ payee = {{ eq = \"{a}\" }} }}\n"
        );
        let files =
            Memory::new([("main.toml", MAIN), ("list.toml", &*list), ("one.json", &*one), ("other.json", &*other)]);
        compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly)
            .err()
            .map(|problems| problems.to_lines())
            .unwrap_or_default()
    };
    assert_eq!(rule("f(address payer, address payee)"), none);
    let [told_of_f] = &rule("f")[..] else { panic!("one problem") };
    assert!(told_of_f.ends_with("`payee` is one argument here and another there: #0 and #1"), "{told_of_f}");
    assert_eq!(told("proxy", &code("0x12", "vesting")).len(), 1, "an address that is none is told once");
}
