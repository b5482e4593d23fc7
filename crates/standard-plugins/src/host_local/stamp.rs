//! By what one sees whether a directory or a file is as it was.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A state of a directory's list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DirectoryStamp {
    device: u64,
    inode: u64,
    /// The time of modification: seconds and nanoseconds.
    modified: (i64, i64),
}

impl DirectoryStamp {
    pub(super) fn read(dir: &Path) -> io::Result<Self> {
        let metadata = dir.metadata()?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { device: metadata.dev(), inode: metadata.ino(), modified })
    }

    /// Marks the directory's present state so that any later change shows, and returns the mark.
    ///
    /// The time that the kernel notes at a change is that of the last clock tick, up to 10 ms ago: two changes in one
    /// tick look like one. The exact time, set here, is no tick's, so the next change is sure to replace it. `None`
    /// where the file system cannot keep it: then nothing may be remembered.
    pub(super) fn mark(dir: &Path) -> Option<Self> {
        let now = SystemTime::now();
        File::open(dir).and_then(|dir| dir.set_modified(now)).ok()?;
        let kept = Self::read(dir).ok()?;
        let since = now.duration_since(UNIX_EPOCH).ok()?;
        let exact = (i64::try_from(since.as_secs()).ok()?, i64::from(since.subsec_nanos()));
        (kept.modified == exact).then_some(kept)
    }
}

impl fmt::Display for DirectoryStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, inode, modified: (seconds, nanoseconds) } = self;
        write!(f, "{device} {inode} {seconds} {nanoseconds}")
    }
}

/// A state of a file under its name: another inode or another time of change is another state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileStamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl FileStamp {
    pub(super) fn new(metadata: &Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { inode: metadata.ino(), size: metadata.size(), changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_right_after_the_mark_shows() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..200 {
            let mark = DirectoryStamp::mark(dir.path()).unwrap();
            assert_eq!(DirectoryStamp::read(dir.path()).unwrap(), mark);
            std::fs::write(dir.path().join(number.to_string()), "").unwrap();
            assert_ne!(DirectoryStamp::read(dir.path()).unwrap(), mark);
        }
    }
}
