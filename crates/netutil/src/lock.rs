//! Locks between processes: `flock(2)` on a file, as the Go programs take it, and every wait for one ends.

mod named;
mod namespace;

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::sync::oneshot;

use crate::error::system_text;

pub use self::named::NamedLock;
pub use self::namespace::NamespaceLock;

/// How much of `/proc/locks` is read in search of a holder, in bytes.
const LOCK_TABLE_LIMIT: u64 = 1 << 20;

/// A lock that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process held it all the time.
    #[error(
        "cannot lock {path} within {seconds:.1} s: {holder} holds it; try again when it is done",
        path = path.display(), seconds = waited.as_secs_f64(), holder = holder_text(holder.as_ref())
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
        /// Who holds it, where that can be told.
        holder: Option<Holder>,
    },
    /// The lock file cannot be opened, made or locked.
    #[error("cannot use the lock file {path}: {}", system_text(source), path = path.display())]
    Unusable {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime ended while the lock was waited for.
    #[error("stopped waiting for the lock file {path}: the program is shutting down", path = path.display())]
    Interrupted {
        /// The lock file.
        path: PathBuf,
    },
    /// What bears the lock file's name is something else.
    #[error("cannot use the lock file {path}: it is not a regular file; remove it", path = path.display())]
    NotRegular {
        /// The lock file.
        path: PathBuf,
    },
}

/// The process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its process id in our namespace.
    pub pid: u32,
    /// The name of its program, where it can be read.
    pub program: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some(program) => write!(f, "{program} (pid {})", self.pid),
            None => write!(f, "pid {}", self.pid),
        }
    }
}

fn make_folder(path: &Path) -> Result<(), LockError> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.map_err(|source| LockError::Unusable { path: path.to_owned(), source })
}

fn holder_text(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "an unknown process".to_owned(), Holder::to_string)
}

/// An exclusive lock, held until it is dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock on the file `path`, which is made if it is missing, and waits for it at most `wait`.
    ///
    /// Blocks the thread. At least one attempt is made, whatever `wait` is. The lock is one on the file that bears the
    /// name now: where somebody removed or replaced the file meanwhile, the new one is locked.
    ///
    /// # Errors
    /// [`LockError::Held`] names who holds it; the others say what is wrong with the file.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use podnet_netutil::lock::{FileLock, LockError};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("lock");
    /// let lock = FileLock::acquire(&path, Duration::from_secs(5))?;
    /// assert!(matches!(FileLock::acquire(&path, Duration::ZERO), Err(LockError::Held { .. })));
    /// drop(lock);
    /// FileLock::acquire(&path, Duration::ZERO)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn acquire(path: &Path, wait: Duration) -> Result<Self, LockError> {
        if let Some(lock) = Self::attempt(path)? {
            return Ok(lock);
        }
        if wait.is_zero() {
            return Err(held(path, wait));
        }
        let (waits, (deliver, arrival)) = (Arc::new(()), mpsc::channel());
        stand_in_line(path, &waits, move |lock| drop(deliver.send(lock)))?;
        arrival.recv_timeout(wait).unwrap_or_else(|_| Err(held(path, wait)))
    }

    /// Takes the lock as [`FileLock::acquire`] does, without blocking the calling thread, and makes its folder where it
    /// is missing.
    ///
    /// # Errors
    /// As [`FileLock::acquire`]; [`LockError::Interrupted`] when the runtime ends.
    pub async fn acquire_async(path: &Path, wait: Duration) -> Result<Self, LockError> {
        if let Some(lock) = Self::try_acquire(path)? {
            return Ok(lock);
        }
        if wait.is_zero() {
            return Err(held(path, wait));
        }
        let (waits, (deliver, arrival)) = (Arc::new(()), oneshot::channel());
        stand_in_line(path, &waits, move |lock| drop(deliver.send(lock)))?;
        match tokio::time::timeout(wait, arrival).await {
            Ok(Ok(lock)) => lock,
            Ok(Err(_)) => Err(LockError::Interrupted { path: path.to_owned() }),
            Err(_) => Err(held(path, wait)),
        }
    }

    /// Takes the lock if it is free, and makes its folder where it is missing. Does not say who holds it: to find out takes
    /// a hundred times as long.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>, LockError> {
        match Self::attempt(path) {
            Err(LockError::Unusable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                make_folder(path)?;
                Self::attempt(path)
            }
            attempted => attempted,
        }
    }

    fn attempt(path: &Path) -> Result<Option<Self>, LockError> {
        let unusable = |source| LockError::Unusable { path: path.to_owned(), source };
        let file = open(path).map_err(unusable)?;
        if !file.metadata().map_err(unusable)?.is_file() {
            return Err(LockError::NotRegular { path: path.to_owned() });
        }
        match file.try_lock() {
            Ok(()) => Ok(bears_name(&file, path).map_err(unusable)?.then_some(FileLock { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}

/// Has a thread wait where the kernel keeps the line: it wakes one after the other, in the order in which they came, and
/// nobody asks in vain. The thread ends when it has the lock, which nobody gets any more when `waits` is gone.
fn stand_in_line(
    path: &Path,
    waits: &Arc<()>,
    deliver: impl FnOnce(Result<FileLock, LockError>) + Send + 'static,
) -> Result<(), LockError> {
    let (waiting_for, waits) = (path.to_owned(), Arc::downgrade(waits));
    let wait = move || {
        let unusable = |source| LockError::Unusable { path: waiting_for.clone(), source };
        while waits.strong_count() > 0 {
            match lock_when_free(&waiting_for) {
                Ok(None) => {}
                Ok(Some(lock)) => return deliver(Ok(lock)),
                Err(source) => return deliver(Err(unusable(source))),
            }
        }
    };
    let thread = thread::Builder::new().name("podnet-lock".to_owned()).spawn(wait);
    thread.map(drop).map_err(|source| LockError::Unusable { path: path.to_owned(), source })
}

/// The lock on the file that bears the name now; none where it was replaced while others had it.
fn lock_when_free(path: &Path) -> io::Result<Option<FileLock>> {
    let file = open(path)?;
    while let Err(error) = file.lock() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(bears_name(&file, path)?.then_some(FileLock { file }))
}

fn held(path: &Path, waited: Duration) -> LockError {
    LockError::Held { path: path.to_owned(), waited, holder: holder(path) }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing alone would leave it locked while a child between fork and exec holds a copy of the descriptor.
        // It cannot fail on a file that is locked, and closing follows.
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Not blocking, so that a FIFO in the lock's place is found out rather than waited for.
    let flags = OFlags::RDONLY
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?))
}

fn bears_name(file: &File, path: &Path) -> io::Result<bool> {
    let locked = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (locked.dev(), locked.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn holder(path: &Path) -> Option<Holder> {
    let inode = fs::symlink_metadata(path).ok()?.ino();
    let mut table = String::new();
    File::open("/proc/locks").ok()?.take(LOCK_TABLE_LIMIT).read_to_string(&mut table).ok()?;
    let pid = pid_of_holder(&table, inode)?;
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    Some(Holder { pid, program: program.map(|name| name.trim_end().to_owned()) })
}

/// Finds the flock on an inode in the text of `/proc/locks`.
///
/// A line reads `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; those that wait have `->` before `FLOCK`, and a
/// holder outside our PID namespace is 0 or missing. Only the inode is compared: the device that a file system reports
/// to stat(2) can be another than the one shown here (btrfs, overlayfs).
fn pid_of_holder(table: &str, inode: u64) -> Option<u32> {
    let inode = inode.to_string();
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = fields.as_slice() else { return None };
        let is_it = file.rsplit(':').next() == Some(inode.as_str());
        pid.parse().ok().filter(|pid| is_it && *pid != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_held_is_refused_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _held = FileLock::acquire(&path, Duration::ZERO).unwrap();
        let refused = FileLock::acquire(&path, Duration::from_millis(5)).unwrap_err();
        let LockError::Held { holder: Some(holder), .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(holder.pid, std::process::id());
        assert!(
            refused.to_string().contains(&format!("(pid {})", std::process::id())),
            "{refused}"
        );
    }

    #[test]
    fn a_waiter_gets_the_lock_when_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = FileLock::acquire(&path, Duration::ZERO).unwrap();
        thread::scope(|scope| {
            let waiter =
                scope.spawn(|| FileLock::acquire(&path, Duration::from_secs(60)).map(drop));
            drop(held);
            waiter.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_lock_on_a_removed_file_excludes_nobody_from_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _old = FileLock::acquire(&path, Duration::ZERO).unwrap();
        fs::remove_file(&path).unwrap();
        let new = FileLock::acquire(&path, Duration::ZERO).unwrap();
        assert!(bears_name(&new.file, &path).unwrap());
    }

    #[test]
    fn what_is_no_regular_file_is_not_locked() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        assert!(matches!(
            FileLock::acquire(&fifo, Duration::ZERO),
            Err(LockError::NotRegular { .. })
        ));
        assert!(matches!(
            FileLock::acquire(dir.path(), Duration::ZERO),
            Err(LockError::Unusable { .. })
        ));
    }

    #[test]
    fn the_lock_table_is_read_line_by_line() {
        let table = "1: POSIX  ADVISORY  WRITE 11 fe:00:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 22 fe:00:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 33 fe:00:78 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 0 fe:00:79 0 EOF\n\
                     5: FLOCK  ADVISORY  WRITE 55 fe:00:77 0 EOF\nnonsense\n";
        for (inode, expected) in [(77, Some(55)), (78, Some(33)), (79, None), (80, None)] {
            assert_eq!(pid_of_holder(table, inode), expected, "inode {inode}");
        }
    }
}
