//! A lock whose file vanishes with its holder, for things that come and go, such as pods.

use std::path::PathBuf;
use std::time::Duration;

use super::{FileLock, LockError};

/// An exclusive lock by a name, held until it is dropped. The file of that name is there only meanwhile.
///
/// ```
/// use std::time::Duration;
/// use podnet_netutil::lock::NamedLock;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("pod-web.lock");
/// let lock = NamedLock::acquire(&path, Duration::from_secs(30)).await?;
/// assert!(path.exists());
/// drop(lock);
/// assert!(!path.exists());
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
    /// Takes the lock on the file `path` and waits for it at most `wait`. Its folder is made where missing.
    ///
    /// Waiting does not block the thread.
    ///
    /// # Errors
    /// [`LockError::Held`] names who has it; the others say what is wrong with the file.
    pub async fn acquire(path: impl Into<PathBuf>, wait: Duration) -> Result<Self, LockError> {
        let path = path.into();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_gets_it_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pod.lock");
        let held = NamedLock::acquire(&path, Duration::ZERO).await.unwrap();
        let refused = NamedLock::acquire(&path, Duration::from_millis(5)).await;
        assert!(matches!(refused, Err(LockError::Held { .. })));

        let waiter = tokio::spawn(NamedLock::acquire(path.clone(), Duration::from_secs(60)));
        tokio::task::yield_now().await;
        drop(held);
        drop(waiter.await.unwrap().unwrap());
        assert!(!path.exists());
    }
}
