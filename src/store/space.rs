//! How much room the store has and takes.

use std::path::Path;

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// That we may still write on the file system the store lies on.
    pub free: u64,
    /// That the database and its journal take.
    pub size: u64,
}

/// The room around the database at `path`; absent where the system does not say.
pub(super) fn of(path: &Path) -> Option<Space> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let system = rustix::fs::statvfs(folder).ok()?;
    let beside = ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        std::fs::metadata(name).map_or(0, |file| file.len())
    });
    // What is free to us, without what is set aside for root.
    Some(Space { free: system.f_bavail.saturating_mul(system.f_frsize), size: beside.iter().sum() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_counts_with_its_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watchfire.db");
        std::fs::write(&path, [0; 1_000]).unwrap();
        std::fs::write(folder.path().join("watchfire.db-wal"), [0; 24]).unwrap();
        let space = of(&path).unwrap();
        assert_eq!(space.size, 1_024);
        assert!(space.free > 0);
        assert_eq!(of(&folder.path().join("gone/watchfire.db")), None);
    }
}
