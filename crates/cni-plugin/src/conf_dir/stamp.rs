//! By what one sees, without reading it, that a file has changed.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which file it is, and when its content or its entry was last touched. Links are followed.
///
/// The time of the last status change is part of it: no program can set that one back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of what is at `path` now, if anything is.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|found| Self::from(&found))
    }
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// Everything that was looked at, with its stamp before it was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    files: Vec<(PathBuf, Option<Stamp>)>,
    folders: Vec<(PathBuf, Option<Stamp>)>,
}

impl Seen {
    /// To be called before a file is read, so that a change while it is read counts as one after.
    pub(super) fn file(&mut self, path: &Path) {
        self.files.push((path.to_owned(), Stamp::of(path)));
    }

    /// To be called before a folder is listed.
    pub(super) fn folder(&mut self, path: &Path) {
        self.folders.push((path.to_owned(), Stamp::of(path)));
    }

    /// The folders, there or not, in which a file may appear.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(|(path, _)| path.as_path())
    }

    pub(super) fn has_changed(&self) -> bool {
        let mut all = self.folders.iter().chain(&self.files);
        all.any(|(path, stamp)| Stamp::of(path) != *stamp)
    }
}
