//! Operations on one pod take turns, in the order in which they came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::pod::PodSandbox;

/// A queue for each pod on which somebody works or waits.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queues: Mutex<HashMap<String, Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    /// How many work or wait. The queue goes with the last of them.
    places: usize,
    lock: Arc<AsyncMutex<()>>,
}

impl Turns {
    /// Waits until everybody who came earlier is done with the pod. A place is taken when the future is first polled.
    pub(super) async fn wait(&self, pod: &PodSandbox) -> Turn<'_> {
        let (place, lock) = self.take_place(pod);
        Turn { _lock: lock.lock_owned().await, _place: place }
    }

    fn take_place(&self, pod: &PodSandbox) -> (Place<'_>, Arc<AsyncMutex<()>>) {
        let pod = pod.to_string();
        let mut queues = self.queues();
        let queue = queues.entry(pod.clone()).or_default();
        queue.places += 1;
        (Place { turns: self, pod }, Arc::clone(&queue.lock))
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<String, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many pods somebody works on or waits for.
    #[cfg(test)]
    pub(super) fn pods(&self) -> usize {
        self.queues().len()
    }
}

/// The right to work on a pod, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    // Before the place, so that the lock is free when the queue is left.
    _lock: OwnedMutexGuard<()>,
    _place: Place<'a>,
}

/// A place in a pod's queue, given up when dropped.
#[derive(Debug)]
struct Place<'a> {
    turns: &'a Turns,
    pod: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        if let Some(queue) = queues.get_mut(&self.pod) {
            queue.places -= 1;
            if queue.places == 0 {
                queues.remove(&self.pod);
            }
        }
    }
}
