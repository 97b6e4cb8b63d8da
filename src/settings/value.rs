//! Values of a table, and the problems reported for values of the wrong type.

use super::duration::parse_duration;
use super::problem::{At, Problems, Spot};
use super::reading::{Key, Reading};
use super::table::Table;
use crate::model::Severity;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// A value with its key.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    reading: Reading<'a>,
    key: &'a Key<'a>,
    raw: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    pub(super) fn new(reading: Reading<'a>, key: &'a Key<'a>, raw: &'a Spanned<DeValue<'a>>) -> Self {
        Self { reading, key, raw }
    }

    /// Returns the key.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.key.get_ref()
    }

    /// Returns the location of the value.
    #[must_use]
    pub fn spot(&self) -> Spot {
        self.reading.file.spot_at(self.raw.span())
    }

    /// Returns the value in the parser's representation. Marks the key as read, as do all other getters here.
    #[must_use]
    pub fn raw_toml(&self) -> &'a DeValue<'a> {
        self.reading.mark_read(self.key);
        self.raw.get_ref()
    }

    /// Returns whether the value replaces text that could not be parsed, which was reported with the syntax error.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.raw.span().is_empty()
    }

    /// The string, if it is one; nothing is reported.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        self.raw_toml().as_str()
    }

    /// The table, if it is one; nothing is reported.
    #[must_use]
    pub fn as_table(&self) -> Option<Table<'a>> {
        self.raw_toml().as_table().map(|entries| Table::new(self.reading, self.raw.span(), entries))
    }

    /// The items of a list, each under the list's key; nothing is reported.
    #[must_use]
    pub fn as_items(&self) -> Option<Vec<Value<'a>>> {
        let items = self.raw_toml().as_array()?;
        Some(items.iter().map(|raw| Value { raw, ..*self }).collect())
    }

    /// A string.
    pub fn string(&self, problems: &mut Problems) -> Option<At<&'a str>> {
        self.expect_type(self.as_str(), "a string", problems)
    }

    /// An integer of 64 bits.
    pub fn int(&self, problems: &mut Problems) -> Option<At<i64>> {
        let raw = self.expect_type(self.raw_toml().as_integer(), "an integer", problems)?;
        let parsed = i64::from_str_radix(raw.as_str(), raw.radix());
        if parsed.is_err() {
            problems.push(self.spot().problem(format!("`{}` must be an integer of 64 bits", self.name())));
        }
        parsed.ok().map(|value| At { value, spot: self.spot() })
    }

    /// `true` or `false`.
    pub fn bool(&self, problems: &mut Problems) -> Option<At<bool>> {
        self.expect_type(self.raw_toml().as_bool(), "`true` or `false`", problems)
    }

    /// Returns a duration.
    pub fn duration(&self, problems: &mut Problems) -> Option<At<Duration>> {
        let text = self.expect_type(self.as_str(), "a length of time such as \"5m\"", problems)?;
        self.accept_parsed(parse_duration(&text), problems)
    }

    /// A list of strings.
    pub fn strings(&self, problems: &mut Problems) -> Option<Vec<At<&'a str>>> {
        let items = self.expect_type(self.as_items(), "a list of strings", problems)?;
        Some(items.iter().filter_map(|item| item.expect_type(item.as_str(), "a list of strings", problems)).collect())
    }

    /// Returns a list of strings; a single string counts as a list of one.
    pub fn one_or_more(&self, problems: &mut Problems) -> Option<Vec<At<&'a str>>> {
        if self.as_str().is_some() {
            return self.string(problems).map(|one| vec![one]);
        }
        let items = self.expect_type(self.as_items(), "a string or a list of strings", problems)?;
        Some(items.iter().filter_map(|item| item.expect_type(item.as_str(), "a list of strings", problems)).collect())
    }

    /// A table.
    pub fn table(&self, problems: &mut Problems) -> Option<Table<'a>> {
        self.expect_type(self.as_table(), "a table", problems).map(|at| at.value)
    }

    /// An array of tables.
    pub fn tables(&self, problems: &mut Problems) -> Vec<Table<'a>> {
        if let Some(one) = self.as_table() {
            let problem = self.spot().problem(format!("`{}` is a list of tables", self.name()));
            problems.push(problem.with_hint(format!("write `[[{}]]`", self.name())));
            return vec![one];
        }
        let items = self.expect_type(self.as_items(), "a list of tables", problems);
        items.into_iter().flat_map(|at| at.value).filter_map(|item| item.table(problems)).collect()
    }

    /// A severity.
    pub fn severity(&self, problems: &mut Problems) -> Option<At<Severity>> {
        self.choice(&Severity::ALL.map(|severity| (severity.as_str(), severity)), problems)
    }

    /// Reads the value as one of several words.
    pub fn choice<T: Clone>(&self, words: &[(&str, T)], problems: &mut Problems) -> Option<At<T>> {
        let text = self.string(problems)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == *text) {
            return Some(text.map(|_| value.clone()));
        }
        let names = words.iter().map(|(word, _)| *word);
        let hint = nearest_name(&text, names.clone()).map_or_else(
            || format!("write one of {}", names.map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean \"{near}\"?"),
        );
        problems.push(text.problem(format!("`{}` cannot be \"{}\"", self.name(), *text)).with_hint(hint));
        None
    }

    /// Reports a failed parse at the position of this value.
    pub fn accept_parsed<T>(&self, result: Result<T, String>, problems: &mut Problems) -> Option<At<T>> {
        match result {
            Ok(value) => Some(At { value, spot: self.spot() }),
            Err(message) => {
                problems.push(self.spot().problem(message));
                None
            }
        }
    }

    fn expect_type<T>(&self, found: Option<T>, wanted: &str, problems: &mut Problems) -> Option<At<T>> {
        if self.is_broken() {
            return None;
        }
        if found.is_none() {
            let message = format!("`{}` must be {wanted}, not {}", self.name(), type_name(self.raw_toml()));
            problems.push(self.spot().problem(message));
        }
        found.map(|value| At { value, spot: self.spot() })
    }
}

/// Returns the name among `names` that is closest to `written`.
pub fn nearest_name<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
