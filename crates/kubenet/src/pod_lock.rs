//! Operations on one pod exclude each other, between processes too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use podnet_netutil::lock::{FileLock, LockError};
use podnet_standard_plugins::Label;

use crate::error::Error;

/// How long an operation waits for another on the same pod.
const WAIT: Duration = Duration::from_secs(30);

/// The lock of one pod, held until it is dropped. Its file vanishes with it.
#[derive(Debug)]
pub(crate) struct PodLock {
    path: PathBuf,
    _lock: FileLock,
}

impl PodLock {
    /// Waits for the pod's lock in `folder`.
    pub(crate) async fn acquire(folder: &Path, label: &Label) -> Result<Self, Error> {
        let path = folder.join(format!("pod-{}.lock", label.host_end()));
        let lock = match FileLock::acquire(&path, Duration::ZERO) {
            Err(LockError::Held { .. }) => wait(path.clone()).await?,
            other => other?,
        };
        Ok(Self { path, _lock: lock })
    }
}

async fn wait(path: PathBuf) -> Result<FileLock, Error> {
    let waiting = tokio::task::spawn_blocking(move || FileLock::acquire(&path, WAIT));
    Ok(waiting.await.map_err(|_| Error::Interrupted)??)
}

impl Drop for PodLock {
    fn drop(&mut self) {
        // Removed while it is held: whoever waits finds the name gone and makes it anew. One that cannot be removed is
        // an empty file, and locks the pod as well next time.
        let _ = std::fs::remove_file(&self.path);
    }
}
