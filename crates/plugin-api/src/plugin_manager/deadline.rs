//! How long an operation may take.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::future::BoxFuture;

/// A function whose future ends after the time that it is given.
pub(super) type Sleep = Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// How long each operation may take, waiting for its turn included.
///
/// ```
/// use std::time::Duration;
/// use podnet_plugin_api::Deadlines;
///
/// let patient = Deadlines::default().with_set_up(Duration::from_secs(240));
/// assert_eq!(patient.undo, Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// For a set-up.
    pub set_up: Duration,
    /// For a tear-down.
    pub tear_down: Duration,
    /// For a pod's status.
    pub status: Duration,
    /// For the tear-down of a set-up that overran, beyond the set-up's own.
    pub undo: Duration,
}

impl Default for Deadlines {
    /// Two minutes for a set-up and for a tear-down, which is how long the kubelet waits for a runtime; a minute for an
    /// undo, which is how long one call of a plugin's program may take; half a minute for a status.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            set_up: seconds(120),
            tear_down: seconds(120),
            status: seconds(30),
            undo: seconds(60),
        }
    }
}

impl Deadlines {
    /// The same with another deadline for a set-up.
    #[must_use]
    pub fn with_set_up(self, set_up: Duration) -> Self {
        Self { set_up, ..self }
    }

    /// The same with another deadline for a tear-down.
    #[must_use]
    pub fn with_tear_down(self, tear_down: Duration) -> Self {
        Self { tear_down, ..self }
    }

    /// The same with another deadline for a pod's status.
    #[must_use]
    pub fn with_status(self, status: Duration) -> Self {
        Self { status, ..self }
    }

    /// The same with another deadline for the tear-down of a set-up that overran.
    #[must_use]
    pub fn with_undo(self, undo: Duration) -> Self {
        Self { undo, ..self }
    }
}

/// A time that runs from when it is made.
pub(super) struct Deadline {
    limit: Duration,
    /// None where nobody keeps the time.
    end: Option<BoxFuture<'static, ()>>,
}

impl Deadline {
    pub(super) fn new(limit: Duration, sleep: Option<&Sleep>) -> Self {
        Self { limit, end: sleep.map(|sleep| sleep(limit)) }
    }

    /// What the work gives, or else the limit, when it passes first. The work is dropped then.
    pub(super) async fn bound<F: Future>(&mut self, work: F) -> Result<F::Output, Duration> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            match &mut self.end {
                Some(end) => end.as_mut().poll(context).map(|()| Err(self.limit)),
                None => Poll::Pending,
            }
        })
        .await
    }
}
