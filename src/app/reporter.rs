//! Consumer of what a running application reports: the printer of a command, or whatever a Rust program wants.

use crate::model::record::Line;

/// Takes reports as they come. It must not block: a slow reader would hold up the chains.
pub(crate) trait Reporter: Send + Sync {
    /// True if reports are read by a program, line by line as JSON.
    fn is_json(&self) -> bool;

    /// Takes a line of the record.
    fn line(&self, line: &Line);

    /// Takes a record that is no line of the feed; only asked for where [`Reporter::is_json`].
    fn record(&self, record: &serde_json::Value);

    /// Takes a sentence about progress.
    fn progress(&self, text: &str);
}
