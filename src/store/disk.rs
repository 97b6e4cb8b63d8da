//! Disk space that the store has and takes.

use std::path::Path;

/// Disk space, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes that this process may still write on the file system of the store.
    pub free: u64,
    /// Size of the file system.
    pub total: u64,
    /// Bytes that the database and its journal use.
    pub size: u64,
}

/// Threshold below which free space is low: enough for days of a busy watchlist, and for time to act.
const FREE_MIN: u64 = 512 << 20;
/// Divisor that gives the threshold on a small file system: one byte in this number must be free.
const FREE_SHARE: u64 = 10;

impl DiskSpace {
    /// Returns whether a person should make room.
    #[must_use]
    pub fn is_little(&self) -> bool {
        self.free < self.minimum_free()
    }

    /// Returns whether there is room again: a quarter more than the limit of little room, so that a disk near the limit
    /// is not reported again and again.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.free >= self.minimum_free() / 4 * 5
    }

    fn minimum_free(&self) -> u64 {
        FREE_MIN.min(self.total / FREE_SHARE)
    }
}

/// Returns the disk space around the database at `path`; absent where the system does not report it.
pub(super) fn disk_space(path: &Path) -> Option<DiskSpace> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let system = rustix::fs::statvfs(folder).ok()?;
    let beside = ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        std::fs::metadata(name).map_or(0, |file| file.len())
    });
    // Only the space available to this process counts, without the part reserved for root.
    let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
    Some(DiskSpace { free: bytes(system.f_bavail), total: bytes(system.f_blocks), size: beside.iter().sum() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_a_share_of_a_small_disk_and_an_amount_on_a_large_one() {
        let space = |free, total| DiskSpace { free, total, size: 0 };
        assert!(space(1 << 20, 16 << 20).is_little() && !space(2 << 20, 16 << 20).is_little());
        assert!(space(500 << 20, 1 << 40).is_little() && !space(600 << 20, 1 << 40).is_little());
        let edge = space(520 << 20, 1 << 40);
        assert!(!edge.is_little() && !edge.is_enough());
    }

    #[test]
    fn a_database_counts_with_its_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watchfire.db");
        std::fs::write(&path, [0; 1_000]).unwrap();
        std::fs::write(folder.path().join("watchfire.db-wal"), [0; 24]).unwrap();
        let space = disk_space(&path).unwrap();
        assert_eq!(space.size, 1_024);
        assert!(space.free > 0);
        assert_eq!(disk_space(&folder.path().join("gone/watchfire.db")), None);
    }
}
