//! TOML tables that record which keys were requested.

use super::problem::{At, Problem, Problems, SourceFile, Spot};
use super::reading::Reading;
use super::secret::{Secret, Secrets};
use super::value::{Value, nearest_name};
use crate::model::Severity;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;

/// TOML table. Every getter marks its key as known; [`Table::report_unknown_keys`] reports the keys that no getter requested.
///
/// A getter returns `None` when the key is absent or its value is invalid. It reports an invalid value.
///
/// A table with free keys, chosen by the author of the file, is consumed as a whole by [`Table::into_entries`]. A table is
/// either read key by key and finished, or consumed entry by entry, never both. Keys that remain unread, because a
/// reader did not finish or open a table, are reported by [`Document::report_unread_keys`](super::Document::report_unread_keys).
pub struct Table<'a> {
    reading: Reading<'a>,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    known: BTreeSet<String>,
}

impl<'a> Table<'a> {
    pub(super) fn new(reading: Reading<'a>, span: Range<usize>, entries: &'a DeTable<'a>) -> Self {
        Self { reading, span, entries, known: BTreeSet::new() }
    }

    /// Returns the location of the header, or of the braces of an inline table.
    #[must_use]
    pub fn spot(&self) -> Spot {
        self.reading.file.spot_at(self.span.clone())
    }

    /// Returns the file that contains the table.
    #[must_use]
    pub fn source_file(&self) -> &'a Arc<SourceFile> {
        self.reading.file
    }

    /// Returns the handling of secrets.
    #[must_use]
    pub fn secrets_mode(&self) -> Secrets {
        self.reading.secrets
    }

    /// Returns the location of the key. Does not mark it as known.
    #[must_use]
    pub fn key_spot(&self, key: &str) -> Option<Spot> {
        self.entries.get_key_value(key).map(|(key, _)| self.reading.file.spot_at(key.span()))
    }

    /// Returns whether the key is present. Does not mark it as known.
    #[must_use]
    pub fn has_key(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Returns whether the table has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns a value of any type.
    pub fn value(&mut self, key: &str) -> Option<Value<'a>> {
        if !self.known.contains(key) {
            self.known.insert(key.to_owned());
        }
        let (name, raw) = self.entries.get_key_value(key)?;
        Some(Value::new(self.reading, name, raw))
    }

    /// Returns all entries in the order of the file, for tables with free keys.
    #[must_use]
    pub fn into_entries(self) -> Vec<(At<&'a str>, Value<'a>)> {
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .map(|(key, raw)| {
                let at = At { value: &**key.get_ref(), spot: self.reading.file.spot_at(key.span()) };
                (at, Value::new(self.reading, key, raw))
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.spot.span.start);
        entries
    }

    /// Returns the value that `get` reads under `key`, as in `table.require("label", problems, Table::string)`. Reports
    /// an absent key as a problem.
    pub fn require_key<T>(
        &mut self,
        key: &str,
        problems: &mut Problems,
        get: impl FnOnce(&mut Self, &str, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        if !self.has_key(key) {
            self.known.insert(key.to_owned());
            problems.push(self.missing_key_problem(key));
            return None;
        }
        get(self, key, problems)
    }

    /// Returns the values of the keys that no getter has requested so far.
    pub fn unread_values(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        let unclaimed = self.entries.iter().filter(|(key, _)| !self.known.contains(key.get_ref().as_ref()));
        unclaimed.map(|(key, raw)| Value::new(self.reading, key, raw))
    }

    /// Returns the problem that `key` is absent, for callers that add details.
    #[must_use]
    pub fn missing_key_problem(&self, key: &str) -> Problem {
        self.spot().problem(format!("`{key}` is missing"))
    }

    /// A string.
    pub fn string(&mut self, key: &str, problems: &mut Problems) -> Option<At<&'a str>> {
        self.value(key)?.string(problems)
    }

    /// An integer of 64 bits.
    pub fn int(&mut self, key: &str, problems: &mut Problems) -> Option<At<i64>> {
        self.value(key)?.int(problems)
    }

    /// An integer within `range`.
    pub fn int_in(&mut self, key: &str, range: RangeInclusive<i64>, problems: &mut Problems) -> Option<At<i64>> {
        let int = self.int(key, problems)?;
        if range.contains(&int) {
            return Some(int);
        }
        problems.push(int.problem(format!("`{key}` must be from {} to {}", range.start(), range.end())));
        None
    }

    /// `true` or `false`.
    pub fn bool(&mut self, key: &str, problems: &mut Problems) -> Option<At<bool>> {
        self.value(key)?.bool(problems)
    }

    /// Returns a duration: `"90s"`, `"5m"`, `"7d"`.
    pub fn duration(&mut self, key: &str, problems: &mut Problems) -> Option<At<Duration>> {
        self.value(key)?.duration(problems)
    }

    /// Returns a list of strings. Valid strings are returned even if other items are not strings.
    pub fn strings(&mut self, key: &str, problems: &mut Problems) -> Option<Vec<At<&'a str>>> {
        self.value(key)?.strings(problems)
    }

    /// Returns a list of strings; a single string counts as a list of one.
    pub fn one_or_more(&mut self, key: &str, problems: &mut Problems) -> Option<Vec<At<&'a str>>> {
        self.value(key)?.one_or_more(problems)
    }

    /// A table.
    pub fn table(&mut self, key: &str, problems: &mut Problems) -> Option<Table<'a>> {
        self.value(key)?.table(problems)
    }

    /// Returns an array of tables: `[[key]]`. It is empty when the key is absent.
    pub fn tables(&mut self, key: &str, problems: &mut Problems) -> Vec<Table<'a>> {
        self.value(key).map(|value| value.tables(problems)).unwrap_or_default()
    }

    /// `info`, `warning`, `high` or `critical`.
    pub fn severity(&mut self, key: &str, problems: &mut Problems) -> Option<At<Severity>> {
        self.value(key)?.severity(problems)
    }

    /// `{ env = "NAME" }` or `{ file = "path" }`.
    pub fn secret(&mut self, key: &str, problems: &mut Problems) -> Option<Secret> {
        Secret::from_value(self.value(key)?, problems)
    }

    /// Reads a value that must be one of several words.
    pub fn choice<T: Clone>(&mut self, key: &str, words: &[(&str, T)], problems: &mut Problems) -> Option<At<T>> {
        self.value(key)?.choice(words, problems)
    }

    /// Reports every key that no getter asked for, with the nearest known one as a hint.
    pub fn report_unknown_keys(self, problems: &mut Problems) {
        for key in self.entries.keys().filter(|key| !self.known.contains(key.get_ref().as_ref())) {
            let name = key.get_ref();
            let known = self.known.iter().map(String::as_str);
            let hint = nearest_name(name, known.clone()).map_or_else(
                || format!("known keys are {}", known.map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let problem = self.reading.file.spot_at(key.span()).problem(format!("unknown key `{name}`"));
            problems.push(if self.known.is_empty() { problem } else { problem.with_hint(hint) });
        }
    }
}
