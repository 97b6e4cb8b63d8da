//! Configuration as written: the shape of the files, each value with its place, nothing looked up yet.
//!
//! Comes in: parsed TOML. Goes out: the same data in structures with a field for every key. A value that is missing or
//! of the wrong type is reported here and absent in the structure, so that the compiler continues with the rest. Never
//! here: the resolution of names.

mod absent;
mod chain;
mod lost;
mod rule;
mod setup;
mod signs;
mod test;
mod via;
mod watch;

pub(super) use absent::AbsentText;
pub(super) use chain::{ChainText, EndpointText, FinalityText, StateText};
pub(super) use lost::Lost;
pub(super) use rule::{
    AddressesText, AgeText, DeedText, LengthText, LimitText, ListText, MeasureText, RuleText, SignersText,
};
pub(super) use setup::{DestinationText, PathText, SECTIONS, ServiceText, SetupText};
pub(super) use signs::{ConsoleText, HeartbeatText};
pub(super) use test::{BeforeText, SignersGiven, TestText};
pub(super) use via::{ViaSays, ViaText};
pub(super) use watch::{RegistryText, WatchText};

use crate::contracts::{CONTRACTS, Property};
use crate::decode::Tolerance;
use crate::model::Kind;
use crate::settings::{At, Problems, Spot, Table, Value};

/// Contents that any file of a configuration may hold, gathered over all of them.
#[derive(Default)]
pub(super) struct Texts<'a> {
    pub names: Vec<NameText<'a>>,
    pub sets: Vec<SetText<'a>>,
    pub tokens: Vec<TokenText<'a>>,
    pub watches: Vec<WatchText<'a>>,
    /// Names in sections that could not be parsed.
    pub lost: Lost<'a>,
}

/// A line of `[name]`.
pub(super) struct NameText<'a> {
    pub address: At<&'a str>,
    pub name: At<&'a str>,
    /// Chain of the entry, from `{ name = "…", chain = "…" }`; every chain when absent.
    pub chain: Option<At<&'a str>>,
}

/// Kind of a listed token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A kind of token that can also be watched.
    Watchable(Kind),
    /// ERC-721 or ERC-1155.
    Collectible,
}

/// A line of `[set]`.
pub(super) struct SetText<'a> {
    pub name: At<&'a str>,
    pub members: ListText<'a>,
    /// Chain of the entry, from `{ addresses = […], chain = "…" }`; every chain when absent.
    pub chain: Option<At<&'a str>>,
}

/// A `[token.X]`.
pub(super) struct TokenText<'a> {
    pub name: At<&'a str>,
    pub chain: Option<At<&'a str>>,
    pub address: Option<At<&'a str>>,
    pub decimals: Option<At<u8>>,
    pub kind: TokenKind,
    /// Precision with which its transfers account for its balances.
    pub tolerance: Tolerance,
}

impl<'a> Texts<'a> {
    /// Reads names, sets, tokens and watches out of a file's top level.
    pub(super) fn read_sections(&mut self, table: &mut Table<'a>, problems: &mut Problems) {
        for section in ["name", "set", "token"] {
            if table.value(section).is_some_and(|value| value.as_table().is_none()) {
                self.lost.record_section(section);
            }
        }
        if let Some(names) = table.table("name", problems) {
            self.names.extend(
                names.into_entries().into_iter().filter_map(|(key, value)| NameText::from_value(key, &value, problems)),
            );
        }
        if let Some(sets) = table.table("set", problems) {
            for (key, value) in sets.into_entries() {
                let name = key.value;
                match SetText::from_value(key, &value, problems) {
                    Some(set) => self.sets.push(set),
                    None => self.lost.name(name),
                }
            }
        }
        if let Some(tokens) = table.table("token", problems) {
            for (key, value) in tokens.into_entries() {
                let name = key.value;
                match TokenText::from_value(key, &value, problems) {
                    Some(token) => self.tokens.push(token),
                    None => self.lost.name(name),
                }
            }
        }
        self.watches
            .extend(table.tables("watch", problems).into_iter().map(|watch| WatchText::from_table(watch, problems)));
        // `[tokens.USDC]` is reported as one mistake, and not again for each amount of USDC.
        table.unread_values().for_each(|value| self.lost.record_misplaced(value.name(), &value));
    }
}

impl<'a> NameText<'a> {
    fn from_value(address: At<&'a str>, value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        let (name, chain) = match value.as_table() {
            None => (value.string(problems)?, None),
            Some(mut table) => {
                let name = table.require_key("name", problems, Table::string);
                let chain = table.string("chain", problems);
                table.report_unknown_keys(problems);
                (name?, chain)
            }
        };
        Some(Self { address, name: require_text(name, problems)?, chain })
    }
}

impl<'a> SetText<'a> {
    fn from_value(name: At<&'a str>, value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        let (members, chain) = match value.as_table() {
            None => (ListText::from_value(value, problems), None),
            Some(mut table) => {
                let members =
                    table.require_key("addresses", problems, |t, key, p| ListText::from_value(&t.value(key)?, p));
                let chain = table.string("chain", problems);
                table.report_unknown_keys(problems);
                (members, chain)
            }
        };
        Some(Self { name, members: members?, chain })
    }
}

impl<'a> TokenText<'a> {
    fn from_value(name: At<&'a str>, value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        let mut table = value.table(problems)?;
        let chain = table.require_key("chain", problems, Table::string);
        let address = table.require_key("address", problems, Table::string);
        // A 256-bit number has 78 digits; with more decimals it could not hold a whole unit.
        let decimals = table.require_key("decimals", problems, |t, key, p| t.int_in(key, 0..=77, p));
        let decimals = decimals.and_then(|at| Some(At { value: u8::try_from(at.value).ok()?, spot: at.spot }));
        let tokens = CONTRACTS.iter().filter(|contract| contract.has(Property::Token));
        let mut kinds: Vec<(&str, TokenKind)> =
            tokens.map(|contract| (contract.word, TokenKind::Watchable(contract.kind()))).collect();
        kinds.push(("collectible", TokenKind::Collectible));
        // The first kind of token is the plain one.
        let kind = table.choice("kind", &kinds, problems).map_or(kinds[0].1, |at| at.value);
        let tolerance = read_tolerance(&mut table, problems);
        table.report_unknown_keys(problems);
        Some(Self { name, chain, address, decimals, kind, tolerance })
    }
}

/// Reads `rebasing = true`, or `tolerance = "1%"` of a token that takes a fee.
fn read_tolerance(table: &mut Table<'_>, problems: &mut Problems) -> Tolerance {
    let rebasing = table.bool("rebasing", problems).is_some_and(|at| at.value);
    let within = table.string("tolerance", problems);
    let parts = within.as_ref().and_then(|written| {
        let parts = parse_basis_points(written);
        if parts.is_none() {
            let problem = written.problem(format!("`{}` is no tolerance", **written));
            problems.push(problem.with_hint("write a share such as `\"1%\"` or `\"0.25%\"`"));
        }
        parts
    });
    match (rebasing, parts) {
        (true, _) => Tolerance::Any,
        (false, Some(parts)) => Tolerance::Within(parts),
        (false, None) => Tolerance::Exact,
    }
}

/// Parses a percentage such as `1.25%` to ten-thousandths.
fn parse_basis_points(written: &str) -> Option<u32> {
    let number = written.trim().strip_suffix('%')?.trim();
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 2 {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let part: u32 = format!("{part:0<2}").parse().ok()?;
    (whole <= 100).then_some(whole * 100 + part)
}

/// Returns a text for people, which must not be empty.
pub(super) fn require_text<'a>(text: At<&'a str>, problems: &mut Problems) -> Option<At<&'a str>> {
    if text.trim().is_empty() {
        problems.push(text.problem("this says nothing"));
        return None;
    }
    Some(text)
}

/// Reads `mode = "observe"`, the only mode.
fn read_observe_mode(table: &mut Table<'_>, problems: &mut Problems) -> bool {
    table.choice("mode", &[("observe", true)], problems).is_some()
}

/// Reports that `key` is missing, at a place that can be underlined even where a table has no header of its own.
fn report_missing_key(spot: &Spot, key: &str, problems: &mut Problems) {
    problems.push(spot.problem(format!("`{key}` is missing")));
}
