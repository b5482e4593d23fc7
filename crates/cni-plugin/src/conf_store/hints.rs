//! inotify as a hint that the folder may have changed.
//!
//! Only the fact that something happened is used, never what: a lost event, an overflow of the kernel's queue or a
//! folder that is removed and made again do no harm but delay.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// How long after the first event the others are waited for: a bound on how often the folder is read.
pub(super) const SETTLE: Duration = Duration::from_millis(20);
/// Bytes read at a time; one event of the longest name fits.
const BUFFER: usize = 4096;
/// How often the buffer is filled in a row, so that a storm of events cannot hold us.
const READS: usize = 64;

const CONTENT: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// An inotify instance, if the system grants one.
pub(super) struct Hints(Option<AsyncFd<OwnedFd>>);

impl Hints {
    pub(super) fn new() -> Self {
        match Self::descriptor() {
            Ok(descriptor) => Self(Some(descriptor)),
            Err(error) => {
                tracing::warn!(%error, "no inotify: a changed network configuration is seen later");
                Self(None)
            }
        }
    }

    #[allow(
        deprecated,
        reason = "its successor is unsafe, for types that may close what they hold; an OwnedFd keeps it"
    )]
    fn descriptor() -> io::Result<AsyncFd<OwnedFd>> {
        AsyncFd::new(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?)
    }

    /// Watches a folder; once more where it has been made anew. What cannot be watched is left to the clock.
    pub(super) fn arm(&self, folder: &Path) {
        if let Some(descriptor) = &self.0
            && let Err(error) = inotify::add_watch(descriptor.get_ref(), folder, CONTENT)
        {
            tracing::trace!(folder = %folder.display(), %error, "cannot watch");
        }
    }

    /// Until something happens in a watched folder, at most `limit`.
    pub(super) async fn wait(&self, limit: Duration) {
        let Some(descriptor) = &self.0 else {
            return tokio::time::sleep(limit).await;
        };
        if let Ok(Ok(mut ready)) = tokio::time::timeout(limit, descriptor.readable()).await {
            tokio::time::sleep(SETTLE).await;
            if drain(descriptor.get_ref()) {
                ready.clear_ready();
            }
        }
    }
}

/// Takes what has happened; `true` if that was all.
fn drain(descriptor: &OwnedFd) -> bool {
    let mut buffer = [0_u8; BUFFER];
    (0..READS).any(|_| rustix::io::read(descriptor, &mut buffer).is_err())
}
