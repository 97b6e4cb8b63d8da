//! Names in sections that could not be parsed: a reference to one is not a mistake and is not reported.

use super::setup::SECTIONS;
use crate::settings::{Problem, Problems, Table, Value, nearest_name};
use std::collections::BTreeSet;

/// Sections of any file that define names.
const NAMING: [&str; 3] = ["name", "set", "token"];

/// Names that cannot be looked up because of a mistake elsewhere, which is reported there.
#[derive(Clone, Debug, Default)]
pub(in crate::watchlist) struct Lost<'a> {
    /// Single names.
    names: BTreeSet<&'a str>,
    /// Sections that could not be read at all: a reference to any name of theirs may be valid.
    sections: BTreeSet<&'a str>,
}

impl<'a> Lost<'a> {
    /// Records a name whose entry could not be parsed.
    pub(in crate::watchlist) fn name(&mut self, name: &'a str) {
        self.names.insert(name);
    }

    /// Records a watchlist file that could not be read.
    pub(in crate::watchlist) fn record_file(&mut self) {
        self.sections.extend(NAMING);
    }

    /// Records a section that is not a table.
    pub(in crate::watchlist) fn record_section(&mut self, key: &'a str) {
        self.sections.insert(key);
    }

    /// Records a section with an unknown name, or in the wrong file, with all names that it may define.
    pub(in crate::watchlist) fn record_misplaced(&mut self, key: &'a str, value: &Value<'a>) {
        self.names.insert(key);
        let section = SECTIONS.into_iter().chain(NAMING);
        let Some(table) = value.as_table() else {
            self.sections.extend(nearest_name(key, section));
            return;
        };
        // A section with an `endpoint` counts as a chain, whatever its name is.
        let is_chain = |table: &Table<'_>| table.has_key("endpoint");
        if is_chain(&table) || nearest_name(key, section) == Some("chain") {
            self.sections.insert("chain");
        }
        for (key, value) in table.into_entries() {
            self.names.insert(key.value);
            self.names.extend(value.as_str());
            if value.as_table().as_ref().is_some_and(is_chain) {
                self.sections.insert("chain");
            }
        }
    }

    /// Adds the lost names of another part of the files.
    pub(in crate::watchlist) fn extend(&mut self, other: Self) {
        self.names.extend(other.names);
        self.sections.extend(other.sections);
    }

    /// Returns whether a name of this section may be one that could not be parsed.
    pub(in crate::watchlist) fn may_define(&self, section: &str, name: &str) -> bool {
        self.names.contains(name) || self.sections.contains(section)
    }

    /// Returns whether a name that rules refer to, of any section, may be one that could not be parsed.
    pub(in crate::watchlist) fn has_named(&self, name: &str) -> bool {
        NAMING.iter().any(|section| self.may_define(section, name))
    }

    /// Reports that a name of this section is unknown, unless it may be one that could not be parsed.
    pub(in crate::watchlist) fn report_unknown(
        &self,
        section: &str,
        name: &str,
        problem: Problem,
        problems: &mut Problems,
    ) {
        if self.may_define(section, name) { problems.hold_back() } else { problems.push(problem) }
    }
}
