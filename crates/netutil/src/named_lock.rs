//! A lock known by a name: there are as many as names, and its file vanishes with its holder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::lock::{FileLock, LockError};

/// An exclusive lock on a name, between processes too, held until it is dropped.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use podnet_netutil::NamedLock;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let folder = tempfile::tempdir()?;
/// let wait = Duration::ZERO;
/// let lock = NamedLock::acquire(folder.path(), "pod-web", wait).await?;
/// assert!(NamedLock::acquire(folder.path(), "pod-web", wait).await.is_err());
/// NamedLock::acquire(folder.path(), "pod-client", wait).await?;
/// drop(lock);
/// assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NamedLock {
    path: PathBuf,
    _lock: FileLock,
}

impl NamedLock {
    /// Takes the lock on `name`, a file of `folder`, and waits for it at most `wait`. The folder is made where missing.
    ///
    /// # Errors
    /// [`LockError::Held`] names who has it; the others say what is wrong with the file.
    pub async fn acquire(folder: &Path, name: &str, wait: Duration) -> Result<Self, LockError> {
        let path = folder.join(format!("{name}.lock"));
        let lock = FileLock::acquire_async(&path, wait).await?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for NamedLock {
    fn drop(&mut self) {
        // Removed while it is held: whoever waits finds the name gone and makes it anew. One that cannot be removed is
        // an empty file, and locks as well next time.
        let _ = std::fs::remove_file(&self.path);
    }
}
