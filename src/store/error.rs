//! Errors of the store, sorted by what the caller does next.

use crate::model::{BlockRef, IncidentId};
use alloy_primitives::B256;

/// Reason that the store did not do a job. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Start the newer program again, or point this one at another file.
    #[error("the store was written by a newer version (schema {found}, this program knows {known})")]
    Newer {
        /// Schema version of the file.
        found: u32,
        /// Newest schema version that this program can read.
        known: u32,
    },
    /// Point at another file.
    #[error("the file is a database of another program")]
    Foreign,
    /// Walk the chain back to the cursor and retry.
    #[error("the step builds on {parent}, and the cursor stands at {cursor}")]
    Gap {
        /// Block that the step must build on.
        cursor: BlockRef,
        /// Block that the step was built on.
        parent: B256,
    },
    /// The chain was not begun, or a step retracts or repeats blocks that it must not.
    #[error("{0}")]
    Unknown(String),
    /// Stop following the chain until it contains the final block again, or a person allows the step with
    /// [`Store::allow_reorg`].
    ///
    /// [`Store::allow_reorg`]: super::Store::allow_reorg
    #[error(
        "block {retracted} cannot be retracted: the chain is final up to {finalized}, and nobody allowed to undo that"
    )]
    Finalized {
        /// The newest final block.
        finalized: BlockRef,
        /// The oldest block that the step would undo.
        retracted: BlockRef,
    },
    /// No incident has this id.
    #[error("no incident `{0}`")]
    NoIncident(String),
    /// Give more characters of the id.
    #[error("`{prefix}` fits {} incidents, the first of them {}: write more of the id", .candidates.len(), .candidates.first().map_or("", |id| id.as_str()))]
    Ambiguous {
        /// Prefix that was asked for.
        prefix: String,
        /// Incidents that match, at most ten.
        candidates: Vec<IncidentId>,
    },
    /// A row cannot be parsed: the file was changed by hand, or is corrupt.
    #[error("a row of `{table}` cannot be read: {why}")]
    Damaged {
        /// Name of the table.
        table: &'static str,
        /// Fault of the row.
        why: String,
    },
    /// The planning function panicked.
    #[error("planning panicked: {0}")]
    Engine(String),
    /// Put the file back, restore a backup, or start with a new store explicitly; no file was created in its place.
    #[error(
        "the store {path} is gone, and {} of an earlier run {} still there: put it back, restore a backup, or begin anew",
        .left.join(", "), if .left.len() == 1 { "is" } else { "are" }
    )]
    Vanished {
        /// Path where the store was.
        path: String,
        /// Names of the files that are left.
        left: Vec<String>,
    },
    /// Make the location usable, or name another one.
    #[error("{path}: {source}")]
    Place {
        /// Path of the file.
        path: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Stop the other process first.
    #[error("another `watchfire run` works on {0}: stop it first, or name another store")]
    InUse(String),
    /// The writer has ended, at shutdown.
    #[error("the store is closed")]
    Closed,
    /// The database returned an error.
    #[error("the database refused: {0}")]
    Sqlite(#[from] rusqlite::Error),
}
