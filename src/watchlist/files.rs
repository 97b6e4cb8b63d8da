//! Sources of the texts: a disk, or a few strings.

use crate::settings::{Problem, SourceFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Source of a configuration's files.
pub trait Files {
    /// The whole text of one file.
    ///
    /// # Errors
    ///
    /// Returns a problem that names the file and the reason why it cannot be read.
    fn read(&self, path: &Path) -> Result<Arc<SourceFile>, Box<Problem>>;

    /// Names of the files in a directory; empty when there is no such directory.
    fn names(&self, directory: &Path) -> Vec<String>;

    /// Returns whether `path` is a directory.
    fn is_directory(&self, path: &Path) -> bool;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

/// Texts in memory, by path: for the demonstration's configuration, and tests.
#[derive(Clone, Debug, Default)]
pub struct Memory(BTreeMap<PathBuf, Arc<SourceFile>>);

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Arc<SourceFile>, Box<Problem>> {
        SourceFile::read_file(path)
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        // `Path` treats the empty path as the current directory; the operating system rejects it.
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || path.is_dir()
    }
}

impl Memory {
    /// Creates a set of files from these texts, each with its path.
    pub fn new<P: Into<String>, T: Into<Arc<str>>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        let files = files.into_iter().map(|(path, text)| {
            let path = path.into();
            (PathBuf::from(&path), SourceFile::new(path, text))
        });
        Self(files.collect())
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> Result<Arc<SourceFile>, Box<Problem>> {
        self.0.get(path).cloned().ok_or_else(|| {
            let shown = path.display().to_string();
            Box::new(SourceFile::new(shown.clone(), "").spot_at(0..0).problem(format!("there is no `{shown}`")))
        })
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let inside = self.0.keys().filter(|path| path.parent() == Some(directory));
        inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || self.0.keys().any(|file| file.parent() == Some(path))
    }
}

/// Returns the files that match `pattern`, ordered by name: one file, or `dir/*.toml` with a `*` in the last segment.
///
/// Returns `None` for a `*` anywhere else.
pub(super) fn expand_glob(files: &dyn Files, base: &Path, pattern: &str) -> Option<Vec<PathBuf>> {
    let path = base.join(pattern);
    if !pattern.contains('*') {
        return Some(vec![path]);
    }
    let directory = path.parent()?;
    let last = path.file_name()?.to_str()?;
    if directory.to_str().is_none_or(|text| text.contains('*')) || !last.contains('*') {
        return None;
    }
    let mut names: Vec<String> =
        files.names(directory).into_iter().filter(|name| matches_pattern(name, last)).collect();
    names.sort();
    Some(names.into_iter().map(|name| directory.join(name)).collect())
}

/// Checks whether `name` matches a pattern of literal pieces with `*` between them. A hidden file matches none.
fn matches_pattern(name: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str) -> Option<Vec<String>> {
        let names = ["w/b.toml", "w/a.toml", "w/.a.toml", "w/a.txt", "w/deep/c.toml", "x.toml"];
        let files = Memory::new(names.map(|name| (name, "")));
        let paths = expand_glob(&files, Path::new(""), pattern)?;
        Some(paths.iter().map(|path| path.display().to_string()).collect())
    }

    #[test]
    fn a_star_in_the_last_segment_means_every_file_that_fits() {
        assert_eq!(found("w/*.toml").unwrap(), ["w/a.toml", "w/b.toml"]);
        assert_eq!(found("w/a.*").unwrap(), ["w/a.toml", "w/a.txt"]);
        assert_eq!(found("*.toml").unwrap(), ["x.toml"]);
        assert_eq!(found("w/b.toml").unwrap(), ["w/b.toml"]);
        assert!(found("w/*.json").unwrap().is_empty());
    }

    #[test]
    fn a_star_elsewhere_is_not_understood() {
        assert_eq!(found("*/a.toml"), None);
        assert_eq!(found("*/*.toml"), None);
    }

    #[test]
    fn pieces_between_stars_stand_in_order() {
        assert!(matches_pattern("treasury-main.toml", "t*-m*.toml"));
        assert!(!matches_pattern("m-t.toml", "t*-m*.toml"));
        assert!(!matches_pattern("ab", "ab*b"));
    }
}
