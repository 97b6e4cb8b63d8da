//! Write health of the store: derived from the outcome of every job, whoever gave it.

use super::StoreError;
use crate::model::page::Way;
use crate::runtime::monotonic_now;
use rusqlite::ErrorCode;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Current rejection of writes by a store. Clones share the state of the same store.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteHealth(Arc<Mutex<Option<WriteRefusal>>>);

/// State of a store that rejects writes.
#[derive(Clone, Debug)]
pub struct WriteRefusal {
    /// Time of the first refusal that no successful write has followed.
    pub since: Instant,
    /// Last error message of the store.
    pub why: String,
    /// Commands with which a person can repair it, where there are any.
    pub ways: Vec<Way>,
}

impl WriteHealth {
    /// Returns the current refusal, if there is one.
    pub(super) fn current_failure(&self) -> Option<WriteRefusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records the result of a job. Only a successful write shows that writing works: a full disk can still be read.
    pub(super) fn record_outcome(&self, wrote: bool, failure: Option<&StoreError>) {
        let mut refusal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failure.filter(|error| error.is_refusal()) {
            Some(error) => {
                let since = refusal.as_ref().map_or_else(monotonic_now, |refusal| refusal.since);
                *refusal = Some(WriteRefusal { since, why: error.to_string(), ways: error.recovery_commands() });
            }
            None if wrote && failure.is_none() => *refusal = None,
            None => {}
        }
    }
}

impl StoreError {
    /// Returns the commands that resolve the error, for a person to choose from.
    #[must_use]
    pub fn recovery_commands(&self) -> Vec<Way> {
        match self {
            Self::Vanished { .. } => vec![
                Way::new("restore a backup", "store restore FILE"),
                Way::new("begin anew, without what was judged and told before", "run --new-store"),
            ],
            _ => Vec::new(),
        }
    }

    /// Returns whether the same job may succeed later, once the disk or another process allows it: the job itself has
    /// no fault.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        use ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, OutOfMemory, PermissionDenied,
            ReadOnly, SystemIoFailure,
        };
        // The disk may not be mounted yet, be full or be read-only: a person must be paged and can repair it while the
        // program runs.
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
                    // A person has to repair it and must be paged: ending the process would notify no one.
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
        let refusals = WriteHealth::default();
        let full = error(rusqlite::ffi::SQLITE_FULL);
        refusals.record_outcome(true, None);
        assert!(refusals.current_failure().is_none());
        refusals.record_outcome(false, Some(&full));
        let since = refusals.current_failure().unwrap().since;
        refusals.record_outcome(false, None);
        refusals.record_outcome(false, Some(&StoreError::Unknown("a job that makes no sense".to_owned())));
        refusals.record_outcome(false, Some(&error(rusqlite::ffi::SQLITE_IOERR)));
        let refusal = refusals.current_failure().unwrap();
        assert_eq!(refusal.since, since, "reading works, and other jobs fail for other reasons");
        assert!(refusal.why.contains("disk I/O error"), "{}", refusal.why);
        refusals.record_outcome(true, None);
        assert!(refusals.current_failure().is_none());
    }

    #[test]
    fn what_no_waiting_mends_is_no_refusal() {
        assert!(!error(rusqlite::ffi::SQLITE_CONSTRAINT).is_refusal());
        assert!(!StoreError::Foreign.is_refusal());
        assert!(error(rusqlite::ffi::SQLITE_BUSY).is_refusal());
    }
}
