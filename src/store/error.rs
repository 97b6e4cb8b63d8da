//! What can go wrong, by what the caller does next.

use crate::model::{BlockRef, IncidentId};
use alloy_primitives::B256;

/// Why the store did not do it. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Start the newer program again, or point this one at another file.
    #[error("the store was written by a newer version (schema {found}, this program knows {known})")]
    Newer {
        /// Of the file.
        found: u32,
        /// The newest this program can read.
        known: u32,
    },
    /// Point at another file.
    #[error("the file is a database of another program")]
    Foreign,
    /// Walk the chain back to the cursor and come again.
    #[error("the step builds on {parent}, and the cursor stands at {cursor}")]
    Gap {
        /// What must be built on.
        cursor: BlockRef,
        /// What was built on.
        parent: B256,
    },
    /// The chain was not begun, or a step retracts or repeats what it must not.
    #[error("{0}")]
    Unknown(String),
    /// Follow nothing until the chain contains what was final again, or a person allows the step with [`Store::allow`].
    ///
    /// [`Store::allow`]: super::Store::allow
    #[error(
        "block {retracted} cannot be retracted: the chain is final up to {finalized}, and nobody allowed to undo that"
    )]
    Finalized {
        /// The newest block that is final.
        finalized: BlockRef,
        /// The oldest that was to be undone.
        retracted: BlockRef,
    },
    /// No incident has such an id.
    #[error("no incident `{0}`")]
    NoIncident(String),
    /// Say more of the id.
    #[error("`{prefix}` fits {} incidents, the first of them {}: write more of the id", .candidates.len(), .candidates.first().map_or("", |id| id.as_str()))]
    Ambiguous {
        /// What was asked.
        prefix: String,
        /// What fits, at most ten.
        candidates: Vec<IncidentId>,
    },
    /// A row cannot be read back: the file was changed by hand, or is broken.
    #[error("a row of `{table}` cannot be read: {why}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The function that plans panicked.
    #[error("planning panicked: {0}")]
    Engine(String),
    /// Put the file back, restore a backup, or say that watching begins anew; nothing was made in its place.
    #[error(
        "the store {path} is gone, and {} of an earlier run {} still there: put it back, restore a backup, or begin anew",
        .left.join(", "), if .left.len() == 1 { "is" } else { "are" }
    )]
    Vanished {
        /// Where it was.
        path: String,
        /// Names of the files that are left.
        left: Vec<String>,
    },
    /// Make the place, or name another one.
    #[error("{path}: {source}")]
    Place {
        /// Which file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Stop the other process first.
    #[error("another `watchfire run` works on {0}: stop it first, or name another store")]
    InUse(String),
    /// The writer is gone, at shutdown.
    #[error("the store is closed")]
    Closed,
    /// The database refused.
    #[error("the database refused: {0}")]
    Sqlite(#[from] rusqlite::Error),
}
