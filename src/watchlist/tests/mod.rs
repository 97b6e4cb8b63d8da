//! Small configurations, with the compiled result or the reported problems of each.

mod ambiguous;
mod amounts;
mod cascades;
mod checked;
mod compiled;
mod elements;
mod every_note;
mod habits;
mod lists;
mod mutated;
mod noted;
mod queues;
mod reaches;
mod roles;
mod signs;
mod told;
mod unread;

use super::{Config, Memory};
use crate::classify::rule::Rule;
use crate::settings::{Problem, Problems, Secrets};
use crate::watchlist::compile::compile_config;
use std::path::Path;

const MAIN: &str = r#"
watchlists = ["*list.toml"]
[chain.mainnet]
endpoint = "ws://127.0.0.1:8546"
[chain.base]
endpoint = "http://127.0.0.1:8545"
[destination.console]
kind = "terminal"
[path.treasury]
steps = [{ to = ["console"], ack_within = "5m" }]
[path.self]
steps = [{ to = "console", ack_within = "5m" }]
"#;

/// Names that the cases share; [`WATCH`] follows them.
const NAMES: &str = r#"
[name]
"0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65" = "Grantee: docs"
[set]
grantees = ["Grantee: docs", "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"]
[token.SNT]
chain = "mainnet"
address = "0x744d70FDBE2Ba4CF95131626614a1763DF805B9E"
decimals = 18
kind = "minime"
[token.USDC]
chain = "mainnet"
address = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
decimals = 6
[token.BASED]
chain = "base"
address = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
decimals = 6
"#;

const WATCH: &str = r#"
[[watch]]
label = "Safe"
chain = "mainnet"
address = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
kind = "safe"
purpose = "Pays"
path = "treasury"
registry = { owners = ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"] }
"#;

/// Sections that every main file needs, for tests about something else.
const KEEPERS: &str = r#"
[destination.keeper]
kind = "terminal"
[path.self]
steps = [{ to = "keeper", ack_within = "5m" }]
"#;

fn build(main: &str, list: &str) -> Result<Config, Problems> {
    let main = if main.contains("[path.") { main.to_owned() } else { format!("{main}{KEEPERS}") };
    let files = Memory::new([("main.toml", main.as_str()), ("list.toml", list), ("abis/vault.json", VAULT)]);
    compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly)
}

const VAULT: &str = r#"[
  {"type":"function","name":"deposit","stateMutability":"payable","outputs":[],"inputs":[
    {"name":"order","type":"tuple","components":[{"name":"to","type":"address"},{"name":"amounts","type":"uint256[]"}]}]},
  {"type":"function","name":"set","stateMutability":"nonpayable","outputs":[],"inputs":[
    {"name":"small","type":"uint8"},{"name":"delta","type":"int256"},{"name":"id","type":"bytes4"},{"name":"on","type":"bool"},{"name":"memo","type":"string"}]},
  {"type":"event","name":"Noted","inputs":[{"name":"memo","type":"string","indexed":true},{"name":"who","type":"address"}]}
]"#;

/// Returns the problems of a watchlist as `line:column: message | hint`, with lines counted from its first line below
/// the names.
fn told_of(list: &str) -> Vec<String> {
    match build(MAIN, &format!("{NAMES}{list}")) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            let above = NAMES.matches('\n').count();
            let line = |p: &&Problem| {
                let (line, column) = p.spot.line_column();
                let hint = p.hint.as_ref().map_or(String::new(), |hint| format!(" | {hint}"));
                format!("{}:{column}: {}{hint}", line - above, p.message)
            };
            problems.sorted_by_position().iter().map(line).collect()
        }
    }
}

/// Returns the problems of rules of the Safe, one text each, without places.
fn told(rules: &str) -> Vec<String> {
    let told = told_of(&format!("{WATCH}{rules}"));
    told.iter().map(|line| line.splitn(3, ':').nth(2).unwrap_or_default().trim().to_owned()).collect()
}

/// Checks the only problem of a rule with this body.
#[track_caller]
fn refused(body: &str, expected: &str) {
    let told = told(&format!("[[watch.normal]]\nname = \"a\"\n{body}\n"));
    assert_eq!(told, [expected], "{body}");
}

/// The rule with this body.
#[track_caller]
fn rule(body: &str) -> Rule {
    let list = format!("{NAMES}{WATCH}[[watch.normal]]\nname = \"a\"\n{body}\n");
    let book = build(MAIN, &list).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    book.rules.watches[0].rules[0].clone()
}

#[track_caller]
fn accepted(list: &str) -> Config {
    build(MAIN, &format!("{NAMES}{list}")).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}
