//! `[[watch.test]]`.

use super::rule::{DeedText, ListText, operations};
use super::watch::name;
use crate::model::{Fate, Operation, Severity, Stage};
use crate::settings::{At, Problems, Spot, Table, Value};
use toml::de::DeValue;

/// One test as written.
pub(in crate::watchlist) struct TestText<'a> {
    pub spot: Spot,
    pub name: Option<At<&'a str>>,
    /// RFC 3339.
    pub at: Option<At<String>>,
    pub deed: Option<DeedText<'a>>,
    pub from: Option<At<&'a str>>,
    pub origin: Option<At<&'a str>>,
    pub to: Option<At<&'a str>>,
    pub args: Vec<(At<&'a str>, Value<'a>)>,
    pub value: Option<Value<'a>>,
    pub operation: Option<Operation>,
    pub signers: Option<SignersGiven<'a>>,
    pub stage: Stage,
    pub fate: Option<Fate>,
    pub normal: Option<bool>,
    pub by: Option<At<&'a str>>,
    pub severity: Option<Severity>,
    pub refused: Vec<At<&'a str>>,
}

/// Who approved: so many owners, or these.
pub(in crate::watchlist) enum SignersGiven<'a> {
    Number(At<i64>),
    List(ListText<'a>),
}

impl<'a> TestText<'a> {
    pub(super) fn read(mut table: Table<'a>, problems: &mut Problems) -> Self {
        let spot = table.spot();
        let name = name(&mut table, &spot, problems);
        let deed = DeedText::read(&mut table, "test", problems);
        let at = table.value("at").and_then(|value| time(&value, problems));
        let from = table.string("from", problems);
        let origin = table.string("origin", problems);
        let to = table.string("to", problems);
        let args = table.table("args", problems).map(|mut args| args.entries()).unwrap_or_default();
        let value = table.value("value").filter(|value| !value.is_broken());
        let operation = operations(&mut table, problems).and_then(|operations| Some(operations.first()?.value));
        let signers = table.value("signers").and_then(|value| SignersGiven::read(&value, problems));
        let stages = [
            ("proposed", Stage::Proposed),
            ("pending", Stage::Pending),
            ("included", Stage::Included),
            ("reverted", Stage::Reverted),
        ];
        let stage = table.choice("stage", &stages, problems).map_or(Stage::Included, |at| at.value);
        let fates = [
            ("executed", Fate::Executed),
            ("reverted", Fate::Reverted),
            ("failed", Fate::Failed),
            ("waiting", Fate::Waiting),
            ("unconfirmed", Fate::Unconfirmed),
        ];
        let fate = table.choice("fate", &fates, problems).map(|at| at.value);
        let verdicts = [("normal", true), ("abnormal", false)];
        let normal = table.require("verdict", problems, |t, key, p| t.choice(key, &verdicts, p)).map(|at| at.value);
        let by = table.string("by", problems);
        let severity = table.severity("severity", problems);
        let refused = table.one_or_more("refused", problems).unwrap_or_default();
        if normal == Some(true) {
            let spot = severity.as_ref().map(|at| &at.spot).or(refused.first().map(|at| &at.spot));
            if let Some(spot) = spot {
                problems.push(spot.problem("what is normal has no severity and no refusal"));
            }
        }
        table.finish(problems);
        let severity = severity.map(|at| at.value);
        Self {
            spot,
            name,
            at,
            deed,
            from,
            origin,
            to,
            args,
            value,
            operation,
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

impl<'a> SignersGiven<'a> {
    fn read(value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        match value.raw() {
            DeValue::Integer(_) => Some(Self::Number(value.int(problems)?)),
            _ => Some(Self::List(ListText::read(value, problems)?)),
        }
    }
}

/// A moment, as a string or as TOML's own date and time.
fn time(value: &Value<'_>, problems: &mut Problems) -> Option<At<String>> {
    match value.raw() {
        DeValue::Datetime(time) => Some(At { value: time.to_string(), spot: value.spot() }),
        _ => value.string(problems).map(|at| at.map(str::to_owned)),
    }
}
