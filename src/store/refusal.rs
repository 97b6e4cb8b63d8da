//! Whether the store takes what it is given: seen from what becomes of every job, whoever gave it.

use super::StoreError;
use crate::model::page::Way;
use crate::runtime::instant;
use rusqlite::ErrorCode;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// What a store refuses right now. Clones see the same store.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<Mutex<Option<Refusal>>>);

/// The store refuses.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Since the first refusal that no write has followed.
    pub since: Instant,
    /// What it said last.
    pub why: String,
    /// Commands by which a person mends it, where there are any.
    pub ways: Vec<Way>,
}

impl Refusals {
    /// That the store refuses, if it does.
    pub(super) fn now(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A job is done. Only one that wrote shows that writing works: a full disk can still be read.
    pub(super) fn seen(&self, wrote: bool, failure: Option<&StoreError>) {
        let mut refusal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failure.filter(|error| error.is_refusal()) {
            Some(error) => {
                let since = refusal.as_ref().map_or_else(instant, |refusal| refusal.since);
                *refusal = Some(Refusal { since, why: error.to_string(), ways: error.ways() });
            }
            None if wrote && failure.is_none() => *refusal = None,
            None => {}
        }
    }
}

impl StoreError {
    /// Returns the commands that lead on, for a person to choose from.
    #[must_use]
    pub fn ways(&self) -> Vec<Way> {
        match self {
            Self::Vanished { .. } => vec![
                Way::new("restore a backup", "store restore FILE"),
                Way::new("begin anew, without what was judged and told before", "run --new-store"),
            ],
            _ => Vec::new(),
        }
    }

    /// Whether the same job may be done later, once the disk or another process allows it: nothing is wrong with the job.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        use ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, OutOfMemory, PermissionDenied,
            ReadOnly, SystemIoFailure,
        };
        // A disk that is not mounted yet, or one that is full or read-only: a person has to hear of it, and mends it meanwhile.
        if let Self::Vanished { .. } | Self::Place { .. } = self {
            return true;
        }
        let Self::Sqlite(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(
                DiskFull
                    | SystemIoFailure
                    | DatabaseBusy
                    | DatabaseLocked
                    | CannotOpen
                    | ReadOnly
                    | PermissionDenied
                    | OutOfMemory
                    // A person has to mend it, and must hear of it: to end here would say nothing to anybody.
                    | DatabaseCorrupt
            )
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32) -> StoreError {
        StoreError::Sqlite(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None))
    }

    #[test]
    fn a_store_refuses_from_its_first_refusal_to_the_next_write() {
        let refusals = Refusals::default();
        let full = error(rusqlite::ffi::SQLITE_FULL);
        refusals.seen(true, None);
        assert!(refusals.now().is_none());
        refusals.seen(false, Some(&full));
        let since = refusals.now().unwrap().since;
        refusals.seen(false, None);
        refusals.seen(false, Some(&StoreError::Unknown("a job that makes no sense".to_owned())));
        refusals.seen(false, Some(&error(rusqlite::ffi::SQLITE_IOERR)));
        let refusal = refusals.now().unwrap();
        assert_eq!(refusal.since, since, "reading works, and other jobs fail for other reasons");
        assert!(refusal.why.contains("disk I/O error"), "{}", refusal.why);
        refusals.seen(true, None);
        assert!(refusals.now().is_none());
    }

    #[test]
    fn what_no_waiting_mends_is_no_refusal() {
        assert!(!error(rusqlite::ffi::SQLITE_CONSTRAINT).is_refusal());
        assert!(!StoreError::Foreign.is_refusal());
        assert!(error(rusqlite::ffi::SQLITE_BUSY).is_refusal());
    }
}
