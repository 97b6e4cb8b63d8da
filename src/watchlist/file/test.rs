//! `[[watch.test]]`.

use super::rule::{DeedText, LengthText, ListText, read_operations};
use super::via::ViaText;
use super::watch::name;
use crate::model::{Fate, Operation, Severity, Stage};
use crate::settings::{At, Problems, Spot, Table, Value};
use toml::de::DeValue;

/// A test as written.
pub(in crate::watchlist) struct TestText<'a> {
    pub spot: Spot,
    pub name: Option<At<&'a str>>,
    /// Time of the test, in RFC 3339.
    pub at: Option<At<String>>,
    pub deed: Option<DeedText<'a>>,
    /// Name of the `[[watch.absent]]` that the test covers instead of an activity.
    pub absent: Option<At<&'a str>>,
    /// Earlier occurrences of the same activity.
    pub before: Vec<BeforeText<'a>>,
    /// Hash of the code at every other address of the test.
    pub code: Option<At<&'a str>>,
    /// Party through which the activity comes, or the call that contains it.
    pub via: Option<ViaText<'a>>,
    pub from: Option<At<&'a str>>,
    pub origin: Option<At<&'a str>>,
    pub to: Option<At<&'a str>>,
    pub args: Vec<(At<&'a str>, Value<'a>)>,
    pub value: Option<Value<'a>>,
    pub operation: Option<Operation>,
    /// Bytes behind the arguments, in hexadecimal.
    pub suffix: Option<At<&'a str>>,
    pub signers: Option<SignersGiven<'a>>,
    pub stage: Stage,
    pub fate: Option<Fate>,
    pub normal: Option<bool>,
    pub by: Option<At<&'a str>>,
    pub severity: Option<Severity>,
    pub refused: Vec<At<&'a str>>,
}

/// An earlier time at which the same activity happened: `"2d"`, or `{ ago = "2d", args = { … }, value = "…", from =
/// "…", fate = "…" }` with the values that differed.
pub(in crate::watchlist) struct BeforeText<'a> {
    pub ago: LengthText<'a>,
    pub from: Option<At<&'a str>>,
    pub args: Vec<(At<&'a str>, Value<'a>)>,
    pub value: Option<Value<'a>>,
    pub fate: Option<Fate>,
}

/// Approvals: a number of owners, or a list of them.
pub(in crate::watchlist) enum SignersGiven<'a> {
    Number(At<i64>),
    List(ListText<'a>),
}

const FATES: [(&str, Fate); 5] = [
    ("executed", Fate::Executed),
    ("reverted", Fate::Reverted),
    ("failed", Fate::Failed),
    ("waiting", Fate::Waiting),
    ("unconfirmed", Fate::Unconfirmed),
];

impl<'a> TestText<'a> {
    pub(super) fn read(mut table: Table<'a>, problems: &mut Problems) -> Self {
        let spot = table.spot();
        let name = name(&mut table, &spot, problems);
        let absent = table.string("absent", problems);
        let deed = if absent.is_none() { DeedText::from_table(&mut table, "test", problems) } else { None };
        let before = table.value("before").map(|value| BeforeText::read_all(&value, problems)).unwrap_or_default();
        let at = table.value("at").and_then(|value| time(&value, problems));
        let code = table.string("code", problems);
        let via = table.value("via").and_then(|value| ViaText::from_value(&value, problems));
        let from = table.string("from", problems);
        let origin = table.string("origin", problems);
        let to = table.string("to", problems);
        let args = table.table("args", problems).map(Table::into_entries).unwrap_or_default();
        let value = table.value("value").filter(|value| !value.is_broken());
        let operation = read_operations(&mut table, problems).and_then(|operations| {
            for other in operations.iter().skip(1) {
                problems.push(other.problem("a test is executed in one way").with_hint("write one test for each"));
            }
            Some(operations.first()?.value)
        });
        let suffix = table.string("suffix", problems);
        let signers = table.value("signers").and_then(|value| SignersGiven::read(&value, problems));
        let stages = [
            ("proposed", Stage::Proposed),
            ("pending", Stage::Pending),
            ("included", Stage::Included),
            ("reverted", Stage::Reverted),
        ];
        let stage = table.choice("stage", &stages, problems).map_or(Stage::Included, |at| at.value);
        let fate = table.choice("fate", &FATES, problems).map(|at| at.value);
        let verdicts = [("normal", true), ("abnormal", false)];
        let normal = table.require_key("verdict", problems, |t, key, p| t.choice(key, &verdicts, p)).map(|at| at.value);
        let by = table.string("by", problems);
        let severity = table.severity("severity", problems);
        let refused = table.one_or_more("refused", problems).unwrap_or_default();
        if normal == Some(true) {
            let spot = severity.as_ref().map(|at| &at.spot).or(refused.first().map(|at| &at.spot));
            if let Some(spot) = spot {
                problems.push(spot.problem("what is normal has no severity and no refusal"));
            }
        }
        if absent.is_some() {
            refuse_happening(&table, problems);
        }
        table.report_unknown_keys(problems);
        let severity = severity.map(|at| at.value);
        Self {
            spot,
            name,
            at,
            deed,
            absent,
            before,
            code,
            via,
            from,
            origin,
            to,
            args,
            value,
            operation,
            suffix,
            signers,
            stage,
            fate,
            normal,
            by,
            severity,
            refused,
        }
    }
}

/// Keys that describe an activity, for use in a test of an expected action.
const HAPPENING: [&str; 11] =
    ["code", "from", "origin", "to", "args", "value", "operation", "suffix", "signers", "stage", "fate"];

fn refuse_happening(table: &Table<'_>, problems: &mut Problems) {
    for key in HAPPENING {
        if let Some(spot) = table.key_spot(key) {
            let problem = spot.problem(format!("`{key}` has no effect here: this test is about what does not come"));
            problems.push(problem.with_hint("remove it, or write what happens instead of `absent`"));
        }
    }
}

impl<'a> BeforeText<'a> {
    fn read_all(value: &Value<'a>, problems: &mut Problems) -> Vec<Self> {
        let items = if value.as_str().is_some() || value.as_table().is_some() {
            vec![*value]
        } else if let Some(items) = value.as_items() {
            items
        } else {
            let problem = value.spot().problem("`before` says how long before the test the same happened");
            problems.push(problem.with_hint("such as `before = \"2d\"` or `before = [\"2d\", \"1h\"]`"));
            return Vec::new();
        };
        items.iter().filter_map(|item| Self::read(item, problems)).collect()
    }

    fn read(value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        let Some(mut table) = value.as_table() else {
            let ago = LengthText { length: value.duration(problems)?, text: value.as_str().unwrap_or_default() };
            return Some(Self { ago, from: None, args: Vec::new(), value: None, fate: None });
        };
        let ago = table.require_key("ago", problems, LengthText::from_table);
        let from = table.string("from", problems);
        let args = table.table("args", problems).map(Table::into_entries).unwrap_or_default();
        let value = table.value("value").filter(|value| !value.is_broken());
        let fate = table.choice("fate", &FATES, problems).map(|at| at.value);
        table.report_unknown_keys(problems);
        Some(Self { ago: ago?, from, args, value, fate })
    }
}

impl<'a> SignersGiven<'a> {
    fn read(value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        match value.raw_toml() {
            DeValue::Integer(_) => Some(Self::Number(value.int(problems)?)),
            _ => Some(Self::List(ListText::from_value(value, problems)?)),
        }
    }
}

/// Reads a time, as a string or as TOML's own date and time.
fn time(value: &Value<'_>, problems: &mut Problems) -> Option<At<String>> {
    match value.raw_toml() {
        DeValue::Datetime(time) => Some(At { value: time.to_string(), spot: value.spot() }),
        _ => value.string(problems).map(|at| at.map(str::to_owned)),
    }
}
