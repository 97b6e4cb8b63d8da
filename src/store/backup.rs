//! Copies of a store: a backup during a run, and a restore while no run is active.
//!
//! A manual copy of the file would miss the database's log. SQLite's own copy contains one consistent state of both.

use super::place::{OF_DATABASE, PRIVATE, StoreLock, left_behind, path_with_suffix};
use super::{Result, StoreError, schema};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Number of attempts to copy while another process writes; each transaction of that process takes milliseconds.
const TRIES_MAX: u32 = 100;
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Result of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// New path of the store that was there before; absent if there was none.
    pub before: Option<PathBuf>,
}

/// Writes a complete copy of the store at `store` to `to`; a run may be active. `replace` allows `to` to exist already.
///
/// Blocks until the copy is done. The copy gets its name only when it is complete and synced to disk.
///
/// # Errors
/// [`StoreError::Place`] when `to` is there or cannot be written, [`StoreError::Foreign`] and [`StoreError::Newer`] when `store` is no
/// store of this program, [`StoreError::Sqlite`] when it cannot be read.
pub fn backup_store(store: &Path, to: &Path, replace: bool) -> Result<()> {
    if to.exists() && !replace || is_same_file(store, to) {
        return Err(path_error(to, io::Error::from(io::ErrorKind::AlreadyExists)));
    }
    let from = open_checked(store)?;
    copy_database(&from, to)
}

/// Replaces the store at `store` by the backup `from`. An existing store is moved aside; nothing is deleted.
///
/// # Errors
/// As [`backup_store`], and [`StoreError::InUse`] while a run works on the store.
pub fn restore_store(from: &Path, store: &Path, stamp: &str) -> Result<Restored> {
    if is_same_file(from, store) {
        return Err(path_error(from, io::Error::from(io::ErrorKind::AlreadyExists)));
    }
    let backup = open_checked(from)?;
    let part = path_with_suffix(store, ".restored");
    copy_database(&backup, &part)?;
    let before = StoreLock::acquire_lock(store).and_then(|_lock| {
        let before = move_aside(store, stamp)?;
        std::fs::rename(&part, store).map_err(|source| path_error(store, source))?;
        sync_folder(store);
        Ok(before)
    });
    if before.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    Ok(Restored { before: before? })
}

/// Moves the files that an earlier run left of the store at `store` aside, so that the next start counts as a first
/// start. Returns the new path.
///
/// # Errors
/// [`StoreError::Place`] when a file cannot be moved.
pub(super) fn move_aside(store: &Path, stamp: &str) -> Result<Option<PathBuf>> {
    let there = store.exists();
    if !there && left_behind(store).is_empty() {
        return Ok(None);
    }
    let to = path_with_suffix(store, &format!(".before-{stamp}"));
    // The log is moved first, and never the database: an interrupted move then leaves a database without its log, which
    // is only an older state.
    for suffix in OF_DATABASE.into_iter().chain([""]) {
        let from = path_with_suffix(store, suffix);
        if from.exists() {
            std::fs::rename(&from, path_with_suffix(&to, suffix)).map_err(|source| path_error(&from, source))?;
        }
    }
    sync_folder(store);
    Ok(there.then_some(to))
}

/// Copies the state that `from` shows to a file that gets the name `to` when it is complete.
pub(super) fn copy_database(from: &Connection, to: &Path) -> Result<()> {
    let part = path_with_suffix(to, ".part");
    let copied = write_copy(from, &part).and_then(|()| {
        std::fs::rename(&part, to).map_err(|source| path_error(to, source))?;
        sync_folder(to);
        Ok(())
    });
    if copied.is_err() {
        for suffix in OF_DATABASE.into_iter().chain([""]) {
            let _ = std::fs::remove_file(path_with_suffix(&part, suffix));
        }
    }
    copied
}

fn write_copy(from: &Connection, part: &Path) -> Result<()> {
    let failed = |source| path_error(part, source);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(PRIVATE).open(part).map_err(failed)?;
    {
        let mut to = Connection::open(part)?;
        let backup = Backup::new(from, &mut to)?;
        // One step copies all pages, so that they show one state of the database; the writer continues meanwhile.
        let mut tries = 0;
        while backup.step(-1)? != StepResult::Done {
            tries += 1;
            if tries == TRIES_MAX {
                return Err(StoreError::Unknown(
                    "the store is busy: another process writes without a pause".to_owned(),
                ));
            }
            std::thread::sleep(PAUSE);
        }
        drop(backup);
        // The copy is a single file that is complete without a log.
        to.pragma_update(None, "journal_mode", "DELETE")?;
        check_integrity(&to)?;
    }
    file.sync_all().map_err(failed)
}

/// Opens the database at `path` if it is an intact store of a known version.
fn open_checked(path: &Path) -> Result<Connection> {
    let found = std::fs::metadata(path).map_err(|source| path_error(path, source))?;
    if !found.is_file() {
        return Err(path_error(path, io::Error::from(io::ErrorKind::IsADirectory)));
    }
    // The open never creates a file. It is writable only because reading the log of a database that no process has open
    // requires writing its index.
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(schema::BUSY_TIMEOUT)?;
    schema::require_store(&db)?;
    Ok(db)
}

fn check_integrity(db: &Connection) -> Result<()> {
    schema::require_store(db)?;
    let said: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" { Ok(()) } else { Err(StoreError::Damaged { table: "the database", why: said }) }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn path_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Place { path: path.display().to_string(), source }
}

/// Makes a rename durable. On systems that do not support this for directories, no data is lost; only the time at which
/// the rename reaches the disk is unknown.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn filled(path: &Path, rows: usize) -> Connection {
        let db = schema::open_database(path).unwrap();
        for n in 0..rows {
            db.execute("INSERT INTO chains (id, first_number) VALUES (?1, 0)", [i64::try_from(n).unwrap()]).unwrap();
        }
        db
    }

    fn rows(path: &Path) -> i64 {
        Connection::open(path).unwrap().query_row("SELECT count(*) FROM chains", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_backup_of_an_open_store_holds_what_only_its_log_holds() {
        let dir = tempfile::tempdir().unwrap();
        let (store, to) = (dir.path().join("watchfire.db"), dir.path().join("copy.db"));
        let db = filled(&store, 7);
        backup_store(&store, &to, false).unwrap();
        assert_eq!(rows(&to), 7);
        assert_eq!(std::fs::metadata(&to).unwrap().mode() & 0o777, PRIVATE);
        assert!(!path_with_suffix(&to, "-wal").exists() && !path_with_suffix(&to, ".part").exists());
        // An existing file is not overwritten without `replace`, and the store itself is never overwritten.
        db.execute("INSERT INTO chains (id, first_number) VALUES (99, 0)", []).unwrap();
        assert!(matches!(backup_store(&store, &to, false), Err(StoreError::Place { .. })));
        assert_eq!(rows(&to), 7);
        backup_store(&store, &to, true).unwrap();
        assert_eq!(rows(&to), 8);
        assert!(matches!(backup_store(&store, &store, true), Err(StoreError::Place { .. })));
    }

    #[test]
    fn a_restore_moves_aside_what_was_there_and_refuses_what_is_no_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (store, to) = (path("watchfire.db"), path("copy.db"));
        drop(filled(&store, 3));
        backup_store(&store, &to, false).unwrap();
        drop(filled(&path("other.db"), 9));
        std::fs::rename(path("other.db"), &store).unwrap();
        let restored = restore_store(&to, &store, "1").unwrap();
        assert_eq!((rows(&store), restored.before.clone()), (3, Some(path("watchfire.db.before-1"))));
        assert_eq!(rows(&restored.before.unwrap()), 9);
        // A store that vanished leaves nothing to move aside.
        std::fs::remove_file(&store).unwrap();
        assert_eq!(restore_store(&to, &store, "2").unwrap().before, None);
        assert_eq!(rows(&store), 3);
        std::fs::write(path("noise"), [7; 5_000]).unwrap();
        Connection::open(path("foreign.db")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        std::fs::write(path("empty"), "").unwrap();
        for wrong in ["noise", "foreign.db", "empty", "missing", "."] {
            assert!(restore_store(&path(wrong), &store, "3").is_err(), "{wrong}");
        }
        let held = StoreLock::acquire_lock(&store).unwrap();
        assert!(matches!(restore_store(&to, &store, "4"), Err(StoreError::InUse(_))));
        drop(held);
        assert_eq!(rows(&store), 3);
        assert!(!path("watchfire.db.restored").exists());
    }
}
