//! What of the main file is about the program itself: where it answers, and whom it tells that it lives.

use crate::settings::{At, Problems, Table};

/// `[console]`.
pub(in crate::watchlist) struct ConsoleText<'a> {
    pub listen: Option<At<&'a str>>,
}

/// `[heartbeat.X]`, still to be read by its kind.
pub(in crate::watchlist) struct HeartbeatText<'a> {
    pub name: At<&'a str>,
    pub table: Table<'a>,
}

impl<'a> ConsoleText<'a> {
    pub(super) fn read(mut table: Table<'a>, problems: &mut Problems) -> Self {
        let listen = table.require("listen", problems, Table::string);
        table.finish(problems);
        Self { listen }
    }
}
