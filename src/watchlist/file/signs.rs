//! Sections of the main file about the program itself: the address it serves on, and the targets of its heartbeat.

use crate::settings::{At, Problems, Table};

/// `[console]`.
pub(in crate::watchlist) struct ConsoleText<'a> {
    pub listen: Option<At<&'a str>>,
}

/// A `[heartbeat.X]`, read later by the module of its kind.
pub(in crate::watchlist) struct HeartbeatText<'a> {
    pub name: At<&'a str>,
    pub table: Table<'a>,
}

impl<'a> ConsoleText<'a> {
    pub(super) fn from_table(mut table: Table<'a>, problems: &mut Problems) -> Self {
        let listen = table.require_key("listen", problems, Table::string);
        table.report_unknown_keys(problems);
        Self { listen }
    }
}
