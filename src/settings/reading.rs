//! State while a file is read: the data shared by its tables and values, and the keys that were read.

use super::problem::{Problems, SourceFile};
use super::secret::Secrets;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Key in the parser's representation.
pub(super) type Key<'a> = Spanned<Cow<'a, str>>;

/// State shared by all tables and values of a file.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) secrets: Secrets,
    pub(super) read: &'a ReadKeys,
}

/// Keys whose values were read: one bit for each byte of the file, set where such a key begins. This takes an eighth of
/// the file's size and needs no lock, since files are read on several threads.
pub(super) struct ReadKeys(Box<[AtomicU64]>);

impl ReadKeys {
    pub(super) fn new(bytes: usize) -> Self {
        Self((0..bytes / 64 + 1).map(|_| AtomicU64::new(0)).collect())
    }

    fn mark_read(&self, at: usize) {
        if let Some(word) = self.0.get(at / 64) {
            word.fetch_or(1 << (at % 64), Ordering::Relaxed);
        }
    }

    fn is_read(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (at % 64)) != 0)
    }
}

impl Reading<'_> {
    /// Records that the value of `key` was read.
    pub(super) fn mark_read(&self, key: &Key<'_>) {
        self.read.mark_read(key.span().start);
    }

    /// Reports every key below `table` whose value was not read. For an unread table only the table's own key is
    /// reported.
    pub(super) fn report_unread(&self, table: &DeTable<'_>, problems: &mut Problems) {
        for (key, value) in table {
            if self.read.is_read(key.span().start) {
                self.report_unread_within(value.get_ref(), problems);
            } else {
                let problem = self.file.spot_at(key.span()).problem(format!("`{}` has no effect here", key.get_ref()));
                problems.push(problem.with_hint("remove it: nothing that is written may be without effect"));
            }
        }
    }

    fn report_unread_within(&self, value: &DeValue<'_>, problems: &mut Problems) {
        match value {
            DeValue::Table(table) => self.report_unread(table, problems),
            DeValue::Array(items) => items.iter().for_each(|item| self.report_unread_within(item.get_ref(), problems)),
            _ => {}
        }
    }
}
