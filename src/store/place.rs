//! The store's file and the files beside it: first start, file permissions, and presence of the file.

use super::{Result, StoreError};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Mode of every written file: the store holds findings before any person is notified of them.
pub(super) const PRIVATE: u32 = 0o600;
/// Suffixes of the files that a run leaves beside its store: the lock, SQLite's log and its index, and rejected answers
/// of endpoints.
const BESIDE: [&str; 4] = [".lock", "-wal", "-shm", ".evidence"];
/// Suffixes of the files that belong to the database itself.
pub(super) const OF_DATABASE: [&str; 2] = ["-wal", "-shm"];

/// Returns the path with `suffix` appended to its file name.
pub(super) fn path_with_suffix(store: &Path, suffix: &str) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Returns the names of files that an earlier run left beside `store` although the store itself is missing or empty; an
/// empty list if the store exists, and before a first start.
pub(super) fn left_behind(store: &Path) -> Vec<String> {
    if std::fs::metadata(store).is_ok_and(|file| file.len() > 0) {
        return Vec::new();
    }
    let left = BESIDE.map(|suffix| path_with_suffix(store, suffix)).into_iter().filter(|path| path.exists());
    left.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
}

/// Creates the empty file of a missing store, and makes an existing one readable by its owner only. `anew` allows
/// creation even if an earlier run left files.
///
/// # Errors
/// [`StoreError::Vanished`] when an earlier run left its traces but not its store, [`StoreError::Place`] when the place takes no file.
pub(super) fn prepare_file(store: &Path, anew: bool) -> Result<()> {
    let failed = |source| StoreError::Place { path: store.display().to_string(), source };
    if store.is_dir() {
        return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let left = left_behind(store);
    if !left.is_empty() && !anew {
        return Err(StoreError::Vanished { path: store.display().to_string(), left });
    }
    // SQLite gives its log and index the same mode as the database.
    OpenOptions::new().create(true).truncate(false).write(true).mode(PRIVATE).open(store).map_err(failed)?;
    for path in [store.to_path_buf()].into_iter().chain(OF_DATABASE.map(|suffix| path_with_suffix(store, suffix))) {
        let Ok(file) = std::fs::metadata(&path) else { continue };
        if file.mode() & 0o077 != 0 {
            // The change of mode fails for a file of another user, which can be used all the same.
            let _ = std::fs::set_permissions(&path, Permissions::from_mode(PRIVATE));
        }
    }
    Ok(())
}

/// The file behind a path: its device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

/// Returns the identity of the file at `path`; `None` if there is no file, or its identity cannot be read.
pub(super) fn file_identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|file| Identity(file.dev(), file.ino()))
}

/// Lock that limits each store to one `run`: two would judge every block twice and fight over the cursor. The lock ends
/// with the process, however it ends; its file stays, and shows a later start that there was a store.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock of the store at `store`.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process holds it, [`StoreError::Place`] when its file cannot be made.
    pub fn acquire_lock(store: &Path) -> Result<Self> {
        let path = path_with_suffix(store, ".lock");
        let failed = |source| StoreError::Place { path: path.display().to_string(), source };
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(PRIVATE).open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(StoreError::InUse(store.display().to_string())),
            Err(error) => Err(failed(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn traces_without_a_store_are_no_first_start() {
        for (what, empty) in BESIDE.iter().flat_map(|what| [(what, false), (what, true)]) {
            let dir = tempfile::tempdir().unwrap();
            let store = dir.path().join("watchfire.db");
            assert!(left_behind(&store).is_empty());
            std::fs::write(path_with_suffix(&store, what), "").unwrap();
            if empty {
                std::fs::write(&store, "").unwrap();
            }
            let Err(StoreError::Vanished { left, .. }) = prepare_file(&store, false) else { panic!("{what}") };
            assert_eq!(left, [format!("watchfire.db{what}")]);
            assert_eq!(store.exists(), empty, "nothing is made in its place");
            std::fs::write(&store, "something").unwrap();
            prepare_file(&store, false).unwrap();
        }
    }

    #[test]
    fn files_are_their_owner_s_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("watchfire.db");
        prepare_file(&store, false).unwrap();
        assert_eq!(mode(&store), PRIVATE);
        std::fs::write(&store, "x").unwrap();
        std::fs::set_permissions(&store, Permissions::from_mode(0o644)).unwrap();
        prepare_file(&store, false).unwrap();
        assert_eq!(mode(&store), PRIVATE);
        let _lock = StoreLock::acquire_lock(&store).unwrap();
        assert_eq!(mode(&path_with_suffix(&store, ".lock")), PRIVATE);
    }

    #[test]
    fn a_store_is_one_process_s_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("watchfire.db");
        let lock = StoreLock::acquire_lock(&store).unwrap();
        assert!(matches!(StoreLock::acquire_lock(&store), Err(StoreError::InUse(_))));
        drop(lock);
        StoreLock::acquire_lock(&store).unwrap();
    }

    #[test]
    fn a_place_that_takes_no_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for place in ["gone/watchfire.db", "."] {
            let error = prepare_file(&dir.path().join(place), false).unwrap_err();
            assert!(matches!(error, StoreError::Place { .. }) && error.to_string().contains(place), "{error}");
        }
        assert!(matches!(StoreLock::acquire_lock(Path::new("/proc/watchfire.db")), Err(StoreError::Place { .. })));
    }
}
