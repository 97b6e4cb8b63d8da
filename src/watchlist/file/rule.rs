//! `[[watch.normal]]` and `[[watch.abnormal]]`.

use super::read_observe_mode;
use super::via::ViaText;
use super::watch::name;
use crate::classify::rule::{Polarity, Suffix};
use crate::model::{ActivityKind, Fate, Operation, Severity, Stage};
use crate::settings::{At, Problems, Spot, Table, Value};
use std::time::Duration;

/// A rule as written.
pub(in crate::watchlist) struct RuleText<'a> {
    pub spot: Spot,
    /// True if the whole rule was understood: otherwise nothing is concluded from the absence of a condition.
    pub sound: bool,
    pub polarity: Polarity,
    pub name: Option<At<&'a str>>,
    pub deed: Option<DeedText<'a>>,
    pub from: Option<AddressesText<'a>>,
    pub origin: Option<AddressesText<'a>>,
    pub to: Option<AddressesText<'a>>,
    pub args: Vec<(At<&'a str>, Value<'a>)>,
    pub value: Option<Value<'a>>,
    /// Maximum payment for inclusion.
    pub tip: Option<Value<'a>>,
    pub operations: Option<Vec<At<Operation>>>,
    /// Bytes that are allowed behind the arguments.
    pub suffix: Option<At<Suffix>>,
    /// Accepted outcomes; a `None` item stands for `any`.
    pub outcomes: Option<Vec<At<Option<Fate>>>>,
    pub stages: Option<Vec<At<Stage>>>,
    pub signers: Option<SignersText<'a>>,
    pub hours: Vec<At<&'a str>>,
    pub limits: Vec<LimitText<'a>>,
    pub habits: HabitsText<'a>,
    pub severity: Option<Severity>,
    pub observe: bool,
    /// Permission to replace another pending transaction.
    pub replaces: Option<At<bool>>,
    pub via: Option<ViaText<'a>>,
    /// `effects = "any"`.
    pub effects: Option<At<bool>>,
}

/// `call = "…"`, `act = "…"`, `event = "…"`, `move = "…"` or `state = "…"`; all except the last may also be a list.
pub(in crate::watchlist) struct DeedText<'a> {
    pub kind: ActivityKind,
    /// The single text, or the first of a list.
    pub text: At<&'a str>,
    /// Further texts of a list.
    pub more: Vec<At<&'a str>>,
}

/// Addresses and `@names`.
#[derive(Clone)]
pub(in crate::watchlist) struct ListText<'a> {
    pub spot: Spot,
    pub items: Vec<At<&'a str>>,
}

/// A list, or `{ in = …, not_in = … }`.
pub(in crate::watchlist) struct AddressesText<'a> {
    pub spot: Spot,
    pub inside: Option<ListText<'a>>,
    pub outside: Option<ListText<'a>>,
}

/// `signers = { … }`.
pub(in crate::watchlist) struct SignersText<'a> {
    pub spot: Spot,
    pub at_least: Option<At<i64>>,
    pub within: Option<ListText<'a>>,
    pub include: Option<ListText<'a>>,
}

/// Conditions on earlier activities.
#[derive(Default)]
pub(in crate::watchlist) struct HabitsText<'a> {
    pub pause: Option<LengthText<'a>>,
    pub first_seen: Vec<At<&'a str>>,
    pub dormant: Option<LengthText<'a>>,
    pub failed: Option<FailedText<'a>>,
    pub age: Option<AgeText<'a>>,
    pub code: Option<CodeText<'a>>,
}

/// `age = { min = "30d", of = "args.spender" }`.
pub(in crate::watchlist) struct AgeText<'a> {
    pub spot: Spot,
    pub of: Option<At<&'a str>>,
    pub min: Option<LengthText<'a>>,
    pub max: Option<LengthText<'a>>,
}

/// `code = "0x…"`, a list, or `{ in = […], of = "args.spender" }`.
pub(in crate::watchlist) struct CodeText<'a> {
    pub spot: Spot,
    pub of: Option<At<&'a str>>,
    pub hashes: Vec<At<&'a str>>,
}

/// A duration, with its written form.
pub(in crate::watchlist) struct LengthText<'a> {
    pub length: At<Duration>,
    pub text: &'a str,
}

/// `failed = { count = 5, share = "50%", per = "1h" }`.
pub(in crate::watchlist) struct FailedText<'a> {
    pub spot: Spot,
    pub count: At<i64>,
    pub share: Option<At<&'a str>>,
    pub per: LengthText<'a>,
}

/// A `limit`.
pub(in crate::watchlist) struct LimitText<'a> {
    pub measure: MeasureText<'a>,
    pub per: At<Duration>,
    pub per_text: &'a str,
}

/// Quantity that a limit adds up, and its maximum.
pub(in crate::watchlist) enum MeasureText<'a> {
    /// `count = 5`
    Count(At<i64>),
    /// `sum = "amount", max = "200_000 SNT"`
    Sum { of: At<&'a str>, max: Value<'a> },
}

/// Outcomes that a rule may name.
const OUTCOMES: [(&str, Option<Fate>); 4] = [
    ("executed", Some(Fate::Executed)),
    ("failed", Some(Fate::Failed)),
    ("reverted", Some(Fate::Reverted)),
    ("any", None),
];
/// Stages that a rule may name.
const STAGES: [(&str, Stage); 3] =
    [("proposed", Stage::Proposed), ("pending", Stage::Pending), ("included", Stage::Included)];

const KINDS: [ActivityKind; 5] =
    [ActivityKind::Call, ActivityKind::Act, ActivityKind::Event, ActivityKind::Move, ActivityKind::State];

impl<'a> RuleText<'a> {
    pub(super) fn from_table(polarity: Polarity, mut table: Table<'a>, problems: &mut Problems) -> Self {
        let spot = table.spot();
        let told = problems.len();
        let name = name(&mut table, &spot, problems);
        let deed = DeedText::from_table(&mut table, "rule", problems);
        let addresses = |table: &mut Table<'a>, key: &str, problems: &mut Problems| {
            AddressesText::from_value(&table.value(key)?, problems)
        };
        let from = addresses(&mut table, "from", problems);
        let origin = addresses(&mut table, "origin", problems);
        let to = addresses(&mut table, "to", problems);
        let args = table.table("args", problems).map(Table::into_entries).unwrap_or_default();
        let value = table.value("value").filter(|value| !value.is_broken());
        let tip = table.value("tip").filter(|value| !value.is_broken());
        let operations = read_operations(&mut table, problems);
        let suffixes = [Suffix::Erc8021, Suffix::Any].map(|suffix| (suffix.as_str(), suffix));
        let suffix = table.choice("suffix", &suffixes, problems);
        let outcomes = read_choices(&mut table, "outcome", &OUTCOMES, problems);
        let stages = read_choices(&mut table, "stage", &STAGES, problems);
        let signers = table.table("signers", problems).map(|table| SignersText::from_table(table, problems));
        let hours = table.one_or_more("hours", problems).unwrap_or_default();
        let limits = table.value("limit").map(|value| LimitText::read_all(&value, problems)).unwrap_or_default();
        let habits = HabitsText::from_table(&mut table, problems);
        let severity = table.severity("severity", problems).map(|at| at.value);
        let observe = read_observe_mode(&mut table, problems);
        let replaces = table.bool("replaces", problems);
        let via = table.value("via").and_then(|value| ViaText::from_value(&value, problems));
        let effects = table.choice("effects", &[("any", true)], problems);
        table.report_unknown_keys(problems);
        let sound = problems.len() == told;
        Self {
            spot,
            sound,
            polarity,
            name,
            deed,
            from,
            origin,
            to,
            args,
            value,
            tip,
            operations,
            suffix,
            outcomes,
            stages,
            signers,
            hours,
            limits,
            habits,
            severity,
            observe,
            replaces,
            via,
            effects,
        }
    }
}

impl<'a> DeedText<'a> {
    /// Reads exactly one of the five keys; `what` names the table that has none or several.
    pub(super) fn from_table(table: &mut Table<'a>, what: &str, problems: &mut Problems) -> Option<Self> {
        let mut found: Option<(ActivityKind, Value<'a>)> = None;
        for kind in KINDS {
            let Some(value) = table.value(kind.as_str()) else { continue };
            match &found {
                None => found = Some((kind, value)),
                Some((first, _)) => {
                    let spot = table.key_spot(kind.as_str()).unwrap_or_else(|| value.spot());
                    let message = format!("a {what} says one thing: `{}` stands here already", first.as_str());
                    problems.push(spot.problem(message).with_hint("write one for each"));
                }
            }
        }
        let Some((kind, value)) = found else {
            let problem =
                table.spot().problem(format!("a {what} says one of `call`, `act`, `event`, `move` and `state`"));
            problems.push(problem.with_hint("such as `act = \"transfer(address to, uint256 amount)\"`"));
            return None;
        };
        Self::listed(kind, &value, problems)
    }

    /// Reads one text or a list of them.
    pub(super) fn listed(kind: ActivityKind, value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        let mut texts = value.one_or_more(problems)?.into_iter();
        let Some(text) = texts.next() else {
            let problem = value.spot().problem(format!("no {} is listed, so this could never hold", kind.as_str()));
            problems.push(problem.with_hint("name at least one"));
            return None;
        };
        Some(Self { kind, text, more: texts.collect() })
    }
}

impl<'a> ListText<'a> {
    /// A string or a list of strings.
    pub(in crate::watchlist) fn from_value(value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        Some(Self { spot: value.spot(), items: value.one_or_more(problems)? })
    }
}

impl<'a> AddressesText<'a> {
    fn from_value(value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        let spot = value.spot();
        let Some(mut table) = value.as_table() else {
            return Some(Self { spot, inside: Some(ListText::from_value(value, problems)?), outside: None });
        };
        let inside = table.value("in").and_then(|value| ListText::from_value(&value, problems));
        let outside = table.value("not_in").and_then(|value| ListText::from_value(&value, problems));
        if !table.has_key("in") && !table.has_key("not_in") {
            problems.push(spot.problem(format!("`{}` says neither `in` nor `not_in`", value.name())));
        }
        table.report_unknown_keys(problems);
        Some(Self { spot, inside, outside })
    }
}

impl<'a> SignersText<'a> {
    fn from_table(mut table: Table<'a>, problems: &mut Problems) -> Self {
        let spot = table.spot();
        let at_least = table.int_in("at_least", 1..=i64::from(u32::MAX), problems);
        let (within, inside) = (table.value("within"), table.value("in"));
        if let (Some(within), Some(inside)) = (&within, &inside) {
            let problem =
                inside.spot().problem("`in` and `within` say the same, so one of the two would have no effect");
            problems
                .push(problem.with_related_spot(within.spot(), "`within` stands here").with_hint("remove one of them"));
        }
        let within = within.or(inside).and_then(|value| ListText::from_value(&value, problems));
        let include = table.value("include").and_then(|value| ListText::from_value(&value, problems));
        if !["at_least", "within", "in", "include"].into_iter().any(|key| table.has_key(key)) {
            problems.push(table.spot().problem("`signers` says none of `at_least`, `within` and `include`"));
        }
        table.report_unknown_keys(problems);
        Self { spot, at_least, within, include }
    }
}

impl<'a> HabitsText<'a> {
    fn from_table(table: &mut Table<'a>, problems: &mut Problems) -> Self {
        Self {
            pause: LengthText::from_table(table, "pause", problems),
            first_seen: table.one_or_more("first_seen", problems).unwrap_or_default(),
            dormant: LengthText::from_table(table, "dormant", problems),
            failed: table.table("failed", problems).and_then(|table| FailedText::from_table(table, problems)),
            age: table.table("age", problems).map(|table| AgeText::from_table(table, problems)),
            code: table.value("code").and_then(|value| CodeText::from_value(&value, problems)),
        }
    }
}

impl<'a> LengthText<'a> {
    pub(super) fn from_table(table: &mut Table<'a>, key: &str, problems: &mut Problems) -> Option<Self> {
        let value = table.value(key)?;
        let text = value.as_str().unwrap_or_default().trim();
        Some(Self { length: value.duration(problems)?, text })
    }
}

impl<'a> FailedText<'a> {
    fn from_table(mut table: Table<'a>, problems: &mut Problems) -> Option<Self> {
        let spot = table.spot();
        let count = table.require_key("count", problems, Table::int);
        let share = table.string("share", problems);
        let per = table.require_key("per", problems, LengthText::from_table);
        table.report_unknown_keys(problems);
        Some(Self { spot, count: count?, share, per: per? })
    }
}

impl<'a> AgeText<'a> {
    fn from_table(mut table: Table<'a>, problems: &mut Problems) -> Self {
        let spot = table.spot();
        let of = table.string("of", problems);
        let min = LengthText::from_table(&mut table, "min", problems);
        let max = LengthText::from_table(&mut table, "max", problems);
        if !table.has_key("min") && !table.has_key("max") {
            problems.push(spot.problem("`age` says neither `min` nor `max`"));
        }
        table.report_unknown_keys(problems);
        Self { spot, of, min, max }
    }
}

impl<'a> CodeText<'a> {
    fn from_value(value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        let spot = value.spot();
        let Some(mut table) = value.as_table() else {
            return Some(Self { spot, of: None, hashes: value.one_or_more(problems)? });
        };
        let of = table.string("of", problems);
        let hashes = table.require_key("in", problems, Table::one_or_more);
        table.report_unknown_keys(problems);
        Some(Self { spot, of, hashes: hashes? })
    }
}

impl<'a> LimitText<'a> {
    fn read_all(value: &Value<'a>, problems: &mut Problems) -> Vec<Self> {
        if let Some(one) = value.as_table() {
            return Self::from_table(one, problems).into_iter().collect();
        }
        let tables = value.tables(problems);
        tables.into_iter().filter_map(|table| Self::from_table(table, problems)).collect()
    }

    fn from_table(mut table: Table<'a>, problems: &mut Problems) -> Option<Self> {
        let measure = MeasureText::from_table(&mut table, problems);
        let per_text = table.value("per").and_then(|value| value.as_str()).unwrap_or_default();
        let per = table.require_key("per", problems, Table::duration);
        table.report_unknown_keys(problems);
        Some(Self { measure: measure?, per: per?, per_text })
    }
}

impl<'a> MeasureText<'a> {
    fn from_table(table: &mut Table<'a>, problems: &mut Problems) -> Option<Self> {
        let (count, sum, max) = (table.value("count"), table.value("sum"), table.value("max"));
        let usage =
            "write `{ count = 5, per = \"1h\" }` or `{ sum = \"amount\", max = \"200_000 SNT\", per = \"7d\" }`";
        match (count, sum, max) {
            (Some(count), None, None) => Some(Self::Count(count.int(problems)?)),
            (None, Some(sum), Some(max)) => Some(Self::Sum { of: sum.string(problems)?, max }),
            (None, Some(_), None) => {
                problems.push(table.missing_key_problem("max").with_hint(usage));
                None
            }
            _ => {
                problems.push(table.spot().problem("a limit says either `count`, or `sum` and `max`").with_hint(usage));
                None
            }
        }
    }
}

/// Reads the operations that a rule may name.
pub(super) fn read_operations(table: &mut Table<'_>, problems: &mut Problems) -> Option<Vec<At<Operation>>> {
    let words = [Operation::Call, Operation::Delegatecall, Operation::Create].map(|o| (o.as_str(), o));
    read_choices(table, "operation", &words, problems)
}

/// Reads one word or several.
fn read_choices<T: Clone>(
    table: &mut Table<'_>,
    key: &str,
    words: &[(&str, T)],
    problems: &mut Problems,
) -> Option<Vec<At<T>>> {
    let value = table.value(key)?;
    let items = if value.as_str().is_some() { vec![value] } else { value.as_items().unwrap_or_else(|| vec![value]) };
    if items.is_empty() {
        problems.push(value.spot().problem(format!("no {key} is listed, so the rule could never hold")));
        return None;
    }
    Some(items.iter().filter_map(|item| item.choice(words, problems)).collect())
}
