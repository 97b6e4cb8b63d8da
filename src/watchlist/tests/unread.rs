//! No key without effect: any text at any place of a valid configuration is either understood or an error.

use super::*;
use crate::settings::SourceFile;
use crate::{deliver, heartbeat, safe_service};
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::LazyLock;
use toml::de::{DeTable, DeValue};

/// A main file with every table and key that there is.
const EVERY_SETUP: &str = r#"
store = "watchfire.db"
watchlists = ["*list.toml"]
[console]
listen = "127.0.0.1:9464"
[chain.mainnet]
id = 1
explorer = "https://explorer.example"
slot = "12s"
clock = "wall"
finality = { safe = 10, finalized = 20 }
verify = true
traces = true
pending = true
genesis = "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
state = { every = 50 }
multisend = ["0x40A2aCCbd92BCA938b02010E17A5b8929b49130D"]
migrations = ["0x526643F69b81B008F46d95CD5ced5eC0edFFDaC6"]
endpoint = [{ name = "own", url = "ws://127.0.0.1:8546", requests_per_second = 50 }, { name = "other", url = { env = "OTHER" } }]
[chain.base]
endpoint = { env = "BASE" }
[destination.console]
kind = "terminal"
[path.treasury]
page_at = "high"
notify = ["console"]
ack_expires = "4h"
steps = [{ to = ["console"], ack_within = "5m" }]
[path.self]
steps = [{ to = "console", ack_within = "5m" }]
"#;

/// A watchlist with every table and key of watches, rules and tests.
const EVERY_LIST: &str = r#"
[name]
"0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65" = { name = "Grantee: docs", chain = "mainnet" }
[set]
grantees = { addresses = ["Grantee: docs", "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"], chain = "mainnet" }
[token.SNT]
chain = "mainnet"
address = "0x744d70FDBE2Ba4CF95131626614a1763DF805B9E"
decimals = 18
kind = "minime"
tolerance = "1%"
[token.STETH]
chain = "mainnet"
address = "0xae7ab96520DE3A18E5e111B5EaAb095312D7fE84"
decimals = 18
rebasing = true
[[watch]]
label = "Safe"
chain = "mainnet"
address = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
kind = "safe"
purpose = "Pays"
path = "treasury"
runbook = "https://runbook.example"
executors = ["Grantee: docs"]
refund_receivers = []
inbound = "judge"
queue = false
pending = "page"
mode = "observe"
builtins = { off = ["builtin/drift"] }
[watch.registry]
owners = ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"]
threshold = 2
modules = []
delegates = []
guard = "none"
[[watch.normal]]
name = "grants"
act = "transfer(address to, uint256 amount)"
to = { in = ["@SNT"], not_in = ["@grantees"] }
origin = { in = "@owners" }
args = { to = { in = "@grantees", not_in = "@self" }, amount = { min = "1 SNT", max = "50_000 SNT" } }
value = { max = "0 ether" }
tip = "1 gwei"
operation = ["call"]
signers = { at_least = 2, within = "@owners", include = ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"] }
hours = ["Fri 08:00-18:00 Europe/Zurich"]
limit = [{ sum = "amount", max = "200_000 SNT", per = "7d" }, { count = 5, per = "1d" }]
pause = "1h"
code = { in = ["0x0000000000000000000000000000000000000000000000000000000000000001"], of = "args.to" }
age = { min = "1d", of = "args.to" }
severity = "critical"
mode = "observe"
replaces = true
[[watch.abnormal]]
name = "odd"
act = "ether"
value = { min = "1 ether", max = "2 ether" }
first_seen = ["to"]
dormant = "30d"
failed = { count = 5, share = "50%", per = "1h" }
age = { max = "1d" }
severity = "critical"
[[watch.abnormal]]
name = "mine"
call = "approveHash"
from = { not_in = "@owners" }
args = { hashToApprove = { eq = "0x0000000000000000000000000000000000000000000000000000000000000001" } }
[[watch.absent]]
name = "weekly"
act = "transfer(address to, uint256 amount)"
to = "@SNT"
every = "7d"
grace = "1d"
[[watch.absent]]
name = "fridays"
act = "ether"
by = ["Fri 18:00 Europe/Zurich"]
[[watch.test]]
name = "too much"
at = "2026-11-20T10:00:00Z"
act = "transfer"
to = "@SNT"
origin = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
args = { to = "Grantee: docs", amount = "60_000 SNT" }
value = "0 ether"
operation = "call"
signers = 2
code = "none"
stage = "included"
fate = "executed"
before = [{ ago = "2d", args = { amount = "1 SNT" }, value = "0 ether", fate = "executed" }, "1d"]
verdict = "abnormal"
by = "builtin/unvouched"
severity = "critical"
refused = ["grants: amount"]
[[watch.test]]
name = "nothing came"
absent = "weekly"
before = "8d"
verdict = "abnormal"
[[watch]]
label = "Vault"
chain = "mainnet"
address = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
kind = "access-control"
purpose = "Holds"
path = "treasury"
registry = { roles = { MINTER_ROLE = ["Grantee: docs"] }, roles_since = 5 }
[[watch]]
label = "Lock"
chain = "base"
address = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
kind = "timelock"
purpose = "Waits"
path = "treasury"
abi = "timelock"
registry = { delay = "2d", open_executor = true }
[[watch]]
label = "Proxy"
chain = "mainnet"
address = "0x610178dA211FEF7D417bC0e6FeD39F05609AD788"
kind = "proxy"
purpose = "Leads"
path = "treasury"
registry = { implementations = ["Grantee: docs", { address = "0x41675C099F32341bf84BFc5382aF534df5C7461a", abi = "vesting" }] }
[[watch]]
label = "Name"
chain = "mainnet"
address = "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e"
kind = "ens-name"
purpose = "Leads"
path = "treasury"
node = "treasury.example.eth"
contracts = ["0x253553366Da8546fC250F225fe3d25d0C782303b"]
"#;

/// Valid configurations: a main file and a watchlist each.
static VALID: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let kinds = deliver::DESTINATIONS.iter().map(|kind| kind.example());
    let kinds = kinds.chain(heartbeat::HEARTBEATS.iter().map(|kind| kind.example())).chain([safe_service::EXAMPLE]);
    let shipped = [
        include_str!("../../../watchlists/status.toml"),
        include_str!("../../../watchlists/safe-template.toml"),
        include_str!("../../../examples/minimal/watchlists/treasury.toml"),
    ];
    let mains = kinds.map(|example| (format!("{MAIN}{example}"), format!("{NAMES}{WATCH}")));
    let lists = shipped.into_iter().map(|list| (MAIN.to_owned(), list.to_owned()));
    mains.chain(lists).chain([(EVERY_SETUP.to_owned(), EVERY_LIST.to_owned())]).collect()
});

/// Byte positions at which one more line or item of a table can be written, and whether it is an item of an inline table.
fn places(text: &str) -> Vec<(usize, bool)> {
    fn within(text: &str, value: &DeValue<'_>, span: std::ops::Range<usize>, found: &mut Vec<(usize, bool)>) {
        match value {
            DeValue::Table(table) => of_table(text, table, span, found),
            DeValue::Array(items) => {
                items.iter().for_each(|item| within(text, item.get_ref(), item.span(), found));
            }
            _ => {}
        }
    }
    fn of_table(text: &str, table: &DeTable<'_>, span: std::ops::Range<usize>, found: &mut Vec<(usize, bool)>) {
        if text[span.start..].starts_with('{') {
            found.push((span.start + 1, true));
        } else if text[span.start..].starts_with('[') {
            let end = text[span.start..].find('\n').map_or(text.len(), |end| span.start + end + 1);
            found.push((end, false));
        }
        table.iter().for_each(|(_, value)| within(text, value.get_ref(), value.span(), found));
    }
    let root = DeTable::parse(text).expect("a valid file");
    let mut found = vec![(0, false)];
    of_table(text, root.get_ref(), 0..0, &mut found);
    // The span of an implicit table is that of the first header below it.
    found.sort_unstable();
    found.dedup();
    found
}

/// `text` with one more key at one of its places.
fn with_key(text: &str, (at, inline): (usize, bool), key: &str, value: &str) -> String {
    let empty = text[at..].trim_start().starts_with('}');
    let written = match (inline, empty) {
        (true, true) => format!(" {key} = {value} "),
        (true, false) => format!(" {key} = {value},"),
        (false, _) => format!("{key} = {value}\n"),
    };
    format!("{}{written}{}", &text[..at], &text[at..])
}

/// Keys that resemble known ones: those most likely to be written with an intention.
const WORDS: [&str; 22] = [
    "max", "min", "in", "not_in", "eq", "to", "from", "args", "value", "limit", "per", "sum", "count", "signers",
    "within", "at_least", "hours", "chain", "address", "url", "off", "severity",
];
const VALUES: [&str; 6] = ["1", "true", "\"1 USDC\"", "[\"@owners\"]", "{ max = \"1 USDC\" }", "[{ to = \"x\" }]"];

#[test]
fn every_configuration_here_is_valid_and_has_many_places() {
    for (main, list) in VALID.iter() {
        build(main, list).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    }
    assert!(places(EVERY_LIST).len() > 40 && places(EVERY_SETUP).len() > 10, "{:?}", places(EVERY_LIST).len());
}

#[test]
fn one_more_key_at_any_place_of_any_valid_file_is_an_error() {
    for (main, list) in VALID.iter() {
        for place in places(main) {
            let written = with_key(main, place, "maximum", "\"1 USDC\"");
            assert!(build(&written, list).is_err(), "{written}");
        }
        for place in places(list) {
            let written = with_key(list, place, "maximum", "\"1 USDC\"");
            assert!(build(main, &written).is_err(), "{written}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn a_misspelt_key_with_any_value_at_any_place_is_an_error(
        which in any::<Index>(),
        in_main in any::<bool>(),
        place in any::<Index>(),
        word in 0..WORDS.len(),
        slip in 0..4_u8,
        value in 0..VALUES.len(),
    ) {
        let (main, list) = which.get(&VALID);
        let key = match slip {
            0 => format!("{}x", WORDS[word]),
            1 => format!("{}_{}", WORDS[word], WORDS[word]),
            2 => format!("x{}", WORDS[word]),
            _ => WORDS[word].to_uppercase(),
        };
        let text = if in_main { main } else { list };
        let written = with_key(text, *place.get(&places(text)), &key, VALUES[value]);
        let built = if in_main { build(&written, list) } else { build(main, &written) };
        prop_assert!(built.is_err(), "{key} is accepted in:\n{written}");
    }
}

#[test]
fn a_misspelt_condition_within_an_argument_is_an_error() {
    for (args, key) in [
        ("amount = { maximum = \"1 USDC\" }", "maximum"),
        ("amount = { maximum = \"1 USDC\", max = \"5 USDC\" }", "maximum"),
        ("to = { inn = \"@grantees\" }", "inn"),
        ("to = { in = \"@grantees\", notin = \"@self\" }", "notin"),
    ] {
        let told =
            told(&format!("[[watch.normal]]\nname = \"a\"\nact = \"transfer\"\nto = \"@USDC\"\nargs = {{ {args} }}\n"));
        assert!(told[0].starts_with(&format!("unknown key `{key}` | ")), "{told:?}");
    }
    refused(
        "act = \"transfer\"\nto = \"@USDC\"\nargs = { amount = {} }",
        "`amount` says nothing | write one of `eq`, `in`, `not_in`, `min`, `max` and `hash`",
    );
}

#[test]
fn a_key_whose_value_would_be_ignored_is_an_error() {
    refused(
        "act = \"ether\"\nsigners = { in = \"@owners\", within = \"@owners\" }",
        "`in` and `within` say the same, so one of the two would have no effect | remove one of them",
    );
    let absent = "[[watch.absent]]\nname = \"a\"\nact = \"ether\"\nevery = \"1d\"\n";
    let told_of = told(&format!(
        "{absent}[[watch.test]]\nname = \"t\"\nabsent = \"a\"\nargs = {{ x = 1 }}\nfate = \"failed\"\nverdict = \"abnormal\"\n"
    ));
    let hint = "remove it, or write what happens instead of `absent`";
    let idle = |key: &str| format!("`{key}` has no effect here: this test is about what does not come | {hint}");
    assert_eq!(told_of, [idle("args"), idle("fate")]);
    let told_of = told(
        "[[watch.test]]\nname = \"t\"\nact = \"ether\"\nto = \"@USDC\"\noperation = [\"call\", \"delegatecall\"]\nverdict = \"abnormal\"\n",
    );
    assert_eq!(told_of, ["a test is executed in one way | write one test for each"]);
    let file = SourceFile::new("x.toml", "a = 1\n");
    assert_eq!(places(&file.text), [(0, false)]);
}
