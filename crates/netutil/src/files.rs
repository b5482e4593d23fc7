//! Files made whole or not at all, and files read within bounds.
//!
//! A file appears under its name complete or it does not appear: it is written under a temporary name in the same
//! directory first. Nothing is synced to the disk: what is kept here must outlive a process, not a power failure, and
//! whoever reads it must expect empty files after one.
//!
//! A process that is killed between the two names leaves a file whose name starts with [`TEMPORARY_PREFIX`]. Whoever
//! owns the directory removes such files at a time when nobody can be writing, for instance under its lock.

use std::fs::{self, DirEntry, File, FileType, Metadata, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tempfile::NamedTempFile;

use crate::error::system_text;

/// How the names of files begin that are not whole yet.
pub const TEMPORARY_PREFIX: &str = ".podnet-";

/// Never to follow a symbolic link, to block on a FIFO, to take over a terminal or to leave the file to a child.
const SAFE_OPEN: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused to read it.
    #[error("cannot read {path}: {}", system_text(source), path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused to write it.
    #[error("cannot write {path}: {}", system_text(source), path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something that must not be read as a file: reading it could block for ever or lead elsewhere.
    #[error("{path} is {kind}, not a regular file", path = path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// It is larger than anything that belongs there.
    #[error("{path} is larger than {limit} bytes", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
}

impl FileError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, FileError::Read { source, .. } | FileError::Write { source, .. }
            if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a regular file of at most `limit` bytes, without following a symbolic link and without ever blocking on a FIFO.
///
/// # Errors
/// [`FileError::NotRegular`], [`FileError::TooLarge`], or [`FileError::Read`] for what the system said.
///
/// # Examples
/// ```
/// use podnet_netutil::files::{FileError, read_bounded, write_atomically};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("greeting");
/// write_atomically(&path, b"hello", 0o600)?;
/// assert_eq!(read_bounded(&path, 5)?, b"hello");
/// assert!(matches!(read_bounded(&path, 4), Err(FileError::TooLarge { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let refused = |source| FileError::Read { path: path.to_owned(), source };
    // Looked at first, because merely opening a device can have an effect; and again once open, because it may have
    // been replaced in between.
    regular(path, fs::symlink_metadata(path).map_err(refused)?.file_type())?;
    read_opened(path, limit).map(|(bytes, _)| bytes)
}

/// Reads a regular file of at most `limit` bytes that a listing of its directory has just found, as [`read_bounded`] does;
/// what the listing says of its kind spares a look at it. Returns what the system says of the file, too.
///
/// # Errors
/// As [`read_bounded`].
pub fn read_listed(listed: &DirEntry, limit: u64) -> Result<(Vec<u8>, Metadata), FileError> {
    let path = listed.path();
    let kind = listed.file_type();
    regular(&path, kind.map_err(|source| FileError::Read { path: path.clone(), source })?)?;
    read_opened(&path, limit)
}

/// Reads a file that was regular a moment ago.
fn read_opened(path: &Path, limit: u64) -> Result<(Vec<u8>, Metadata), FileError> {
    let refused = |source| FileError::Read { path: path.to_owned(), source };
    let flags = OFlags::RDONLY | SAFE_OPEN;
    let file =
        File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|e| refused(e.into()))?);
    let metadata = file.metadata().map_err(refused)?;
    regular(path, metadata.file_type())?;
    // Room for one byte more than there is, so that most often one read finds the end as well.
    let expected = metadata.len().min(limit).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(refused)?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) {
        Ok((bytes, metadata))
    } else {
        Err(FileError::TooLarge { path: path.to_owned(), limit })
    }
}

/// Writes a file, replacing one of that name, so that a reader sees the old content or the new, never a part.
///
/// `mode` holds the permission bits, less the process's umask. A symbolic link of that name is replaced, not followed.
///
/// # Errors
/// [`FileError::Write`]; the old file is then as it was.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    write_temporary(path, bytes, mode)
        .and_then(|file| file.persist(path).map_err(|refused| refused.error))
        .map(drop)
        .map_err(|source| FileError::Write { path: path.to_owned(), source })
}

/// Writes a small file in place, for what may be lost or mixed up when a process dies in the middle: a hint.
///
/// A hundred times faster than [`write_atomically`] on ext4, which starts to write a file's data to the disk when the
/// file is renamed over another one or truncated to nothing. Makes the file with the permission bits `mode`, less the
/// process's umask, if it is missing.
///
/// # Errors
/// [`FileError::NotRegular`], also for a symbolic link, or [`FileError::Write`].
pub fn write_in_place(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let refused = |source| FileError::Write { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(found) => regular(path, found.file_type())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(refused(error)),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | SAFE_OPEN;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(mode));
    let mut file = File::from(file.map_err(|error| refused(error.into()))?);
    regular(path, file.metadata().map_err(refused)?.file_type())?;
    file.write_all(bytes).map_err(refused)?;
    // Cutting what is left of a longer content, rather than truncating first, is what keeps ext4 from writing.
    let length = file.stream_position().map_err(refused)?;
    file.set_len(length).map_err(refused)
}

/// Makes a new file that appears complete; `false`, and nothing is changed, if something of that name exists.
///
/// `mode` holds the permission bits, less the process's umask. Of several processes that try at once one gets `true`.
///
/// # Errors
/// [`FileError::Write`]; no file appears then.
pub fn create_new_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, FileError> {
    let created = write_temporary(path, bytes, mode)
        .and_then(|file| file.persist_noclobber(path).map_err(|refused| refused.error));
    match created {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(FileError::Write { path: path.to_owned(), source }),
    }
}

fn write_temporary(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(dir)?;
    file.write_all(bytes)?;
    Ok(file)
}

fn regular(path: &Path, found: FileType) -> Result<(), FileError> {
    if found.is_file() {
        return Ok(());
    }
    Err(FileError::NotRegular { path: path.to_owned(), kind: kind_of(found) })
}

fn kind_of(found: FileType) -> &'static str {
    match found {
        it if it.is_dir() => "a directory",
        it if it.is_symlink() => "a symbolic link",
        it if it.is_fifo() => "a FIFO",
        it if it.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_new_file_is_made_once_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("10.0.0.2");
        assert!(create_new_whole(&path, b"one", 0o600).unwrap());
        assert!(!create_new_whole(&path, b"two", 0o600).unwrap());
        assert_eq!(read_bounded(&path, 10).unwrap(), b"one");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()), ["10.0.0.2"], "no temporary file is left");
    }

    #[test]
    fn of_many_who_create_a_file_at_once_one_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let created = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| create_new_whole(&path, b"whole", 0o600).unwrap()))
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(created, 1);
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn replacing_a_symbolic_link_leaves_its_target_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &link).unwrap();
        write_atomically(&link, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert_eq!(read_bounded(&link, 10).unwrap(), b"new");
    }

    #[test]
    fn writing_in_place_leaves_nothing_of_a_longer_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last");
        for content in ["10.0.0.254", "10.0.0.1", ""] {
            write_in_place(&path, content.as_bytes(), 0o600).unwrap();
            assert_eq!(read_bounded(&path, 20).unwrap(), content.as_bytes());
        }
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(matches!(write_in_place(&link, b"x", 0o600), Err(FileError::NotRegular { .. })));
    }

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        let link = dir.path().join("link");
        symlink("/etc/hostname", &link).unwrap();
        let cases =
            [(fifo.as_path(), "a FIFO"), (&link, "a symbolic link"), (dir.path(), "a directory")];
        for (path, expected) in cases.into_iter().chain([(Path::new("/dev/null"), "a device")]) {
            match read_bounded(path, 10) {
                Err(FileError::NotRegular { kind, .. }) => assert_eq!(kind, expected),
                other => panic!("{}: {other:?}", path.display()),
            }
        }
        assert!(read_bounded(&dir.path().join("missing"), 10).unwrap_err().is_not_found());
    }
}
