//! The networks of a configuration folder, kept up to date while the process runs.
//!
//! The folder's content is the truth. Before each answer the files' time stamps are compared with those of the last
//! reading, and after a few seconds everything is read again without looking at them. Nobody has to watch for this to
//! work: [`ConfStore::watch`] only makes a change known before somebody asks.
//!
//! While the folder is missing, empty or has nothing but broken files, the last good network serves, and
//! [`ConfStore::status`] says so. A single file that breaks has 2 s of grace before the network of the next one takes
//! its place: the time in which somebody writes it.
//!
//! ```
//! use podnet_cni_plugin::conf_store::ConfStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("10-lo.conf");
//! std::fs::write(&file, r#"{"cniVersion": "1.0.0", "name": "lo", "type": "loopback"}"#)?;
//!
//! let networks = ConfStore::new(folder.path());
//! assert_eq!(networks.default_network().await?.network.name().as_str(), "lo");
//!
//! std::fs::remove_file(&file)?;
//! let served = networks.default_network().await?;
//! assert_eq!(served.network.name().as_str(), "lo");
//! assert!(served.stale.unwrap().contains("10-lo.conf is gone"));
//! # Ok(())
//! # }
//! ```

mod hints;
mod snapshot;
mod status;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use podnet_cni_spec::NetworkName;
use tokio::sync::watch;

use self::hints::Hints;
pub use self::snapshot::{Served, Snapshot};
pub use self::status::ConfStatus;
use crate::conf_dir::{self, Scan, SkipReason, Skipped};
use crate::conf_error::{ConfError, NothingFound};
use crate::programs::{Programs, Usable};

/// After how long the time stamps are not trusted any more. The kubelet's interval.
const REREAD: Duration = Duration::from_secs(5);
/// How many folders are watched: this one, the one above it, and those of the networks' plugins.
const WATCHED: usize = 100;

/// The networks of a configuration folder: the default one, and any by its name.
///
/// To be shared by reference or in an [`Arc`]. Reading the folder is done by one caller at a time, off the async
/// threads; no lock is held while a program runs.
pub struct ConfStore {
    folder: PathBuf,
    programs: Option<Arc<Programs>>,
    reread: Duration,
    current: watch::Sender<Arc<Snapshot>>,
    /// When the folder was last read. Held while it is read, so that a crowd of callers reads it once.
    read_at: tokio::sync::Mutex<Option<Instant>>,
    /// What was warned of, until the folder changes.
    warned: Mutex<HashSet<String>>,
}

/// The default network, and what had to be passed over to get to it.
struct Selection {
    snapshot: Arc<Snapshot>,
    default: Option<(Served, Usable)>,
    unusable: Vec<Skipped>,
}

impl ConfStore {
    /// The networks of `folder`, which is read when they are first asked for and need not exist.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            programs: None,
            reread: REREAD,
            current: watch::Sender::default(),
            read_at: tokio::sync::Mutex::default(),
            warned: Mutex::default(),
        }
    }

    /// Serves only networks whose programs are there and speak the network's version.
    #[must_use]
    pub fn with_programs(self, programs: Arc<Programs>) -> Self {
        Self { programs: Some(programs), ..self }
    }

    /// After how long everything is read again even if no time stamp has moved; 5 s unless set.
    #[must_use]
    pub fn reread_after(self, reread: Duration) -> Self {
        Self { reread, ..self }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was last read, without looking at the folder.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.borrow())
    }

    /// Tells of every change that is seen, by whoever looks: by [`watch`](Self::watch), best.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.current.subscribe()
    }

    /// What the folder offers now: reads it if anything has changed.
    pub async fn refresh(&self) -> Arc<Snapshot> {
        let mut read_at = self.read_at.lock().await;
        let trusted = read_at.is_some_and(|at| at.elapsed() < self.reread);
        let (last, folder) = (self.current(), self.folder.clone());
        let began = Instant::now();
        let look = move || {
            let unchanged = trusted && !last.scan.is_outdated();
            if unchanged { None } else { Some(conf_dir::scan(&folder)) }
        };
        // It fails only where the runtime is shutting down: then the last snapshot is as good as any.
        if let Ok(Some(scan)) = tokio::task::spawn_blocking(look).await {
            *read_at = Some(began);
            self.replace(scan);
        }
        self.current()
    }

    fn replace(&self, scan: Scan) {
        let next = self.current().next(scan, Instant::now());
        let changed = self.current().generation != next.generation;
        if changed {
            self.warn_of(&next.scan);
            tracing::info!(folder = %self.folder.display(), generation = next.generation,
                networks = next.scan.networks.len(), "read the network configurations");
        }
        self.current.send_if_modified(|current| {
            *current = Arc::new(next);
            changed
        });
    }

    /// The network of the first file that is valid and whose programs can serve it.
    ///
    /// # Errors
    /// [`ConfError::NoNetwork`] says where it was looked, and what was passed over and why.
    pub async fn default_network(&self) -> Result<Served, ConfError> {
        let Selection { snapshot, default, unusable } = self.select().await;
        match default {
            Some((served, _)) => Ok(served),
            None => {
                Err(ConfError::NoNetwork(Box::new(NothingFound::new(&snapshot.scan, unusable))))
            }
        }
    }

    /// The network of this name.
    ///
    /// # Errors
    /// [`ConfError::UnknownNetwork`], or [`ConfError::Unusable`] if its programs cannot serve it.
    pub async fn network(&self, name: &NetworkName) -> Result<Served, ConfError> {
        let snapshot = self.refresh().await;
        let Some(served) = snapshot.networks().find(|served| served.network.name() == name) else {
            let known = snapshot.networks().map(|served| &served.network);
            return Err(ConfError::unknown(name.as_str(), &snapshot.scan, known));
        };
        if let Some(programs) = &self.programs {
            programs.validate(&served.network.list).await.map_err(|unusable| {
                ConfError::Unusable {
                    file: served.network.file.clone(),
                    source: Arc::new(unusable),
                }
            })?;
        }
        Ok(served.clone())
    }

    /// Which network serves, and everything that an operator wants to know when none does.
    pub async fn status(&self) -> ConfStatus {
        let selection = self.select().await;
        ConfStatus::new(&selection)
    }

    /// Looks at the folder whenever something happens in it, and every few seconds, until it is dropped.
    ///
    /// To be spawned by whoever wants changes to be seen, and warned of, before the next pod is set up. Needs a tokio
    /// runtime with its I/O and time drivers enabled.
    pub async fn watch(&self) -> Infallible {
        let hints = Hints::new();
        loop {
            // Armed before it is read: what happens in between is an event.
            self.arm(&hints);
            let before = self.current().generation;
            self.select().await;
            // What has just appeared may have a folder of its own that is not watched yet.
            let changed = self.current().generation != before;
            hints.wait(if changed { hints::SETTLE } else { self.reread }).await;
        }
    }

    fn arm(&self, hints: &Hints) {
        let snapshot = self.current();
        let parent = self.folder.parent().into_iter();
        let folders = parent.chain([self.folder()]).chain(snapshot.scan.folders_seen());
        folders.take(WATCHED).for_each(|folder| hints.arm(folder));
    }

    async fn select(&self) -> Selection {
        let snapshot = self.refresh().await;
        let mut unusable = Vec::new();
        let mut default = None;
        for served in snapshot.networks() {
            match self.validate(served).await {
                Ok(usable) => {
                    default = Some((served.clone(), usable));
                    break;
                }
                Err(skipped) => unusable.push(skipped),
            }
        }
        self.warn(unusable.iter());
        Selection { snapshot, default, unusable }
    }

    async fn validate(&self, served: &Served) -> Result<Usable, Skipped> {
        let Some(programs) = &self.programs else {
            return Ok(Usable::unasked(&served.network.list));
        };
        let valid = programs.validate(&served.network.list).await;
        valid.map_err(|unusable| Skipped {
            file: served.network.file.clone(),
            reason: SkipReason::Programs(Arc::new(unusable)),
        })
    }

    /// Forgets what no longer is so, and warns of what is new.
    fn warn_of(&self, scan: &Scan) {
        let problem = scan.folder_problem.clone();
        let problem = problem.map(|reason| Skipped { file: scan.folder.clone(), reason });
        let all = || problem.iter().chain(&scan.skipped);
        let still: HashSet<String> = all().map(warning_key).collect();
        self.warned().retain(|key| still.contains(key));
        self.warn(all());
    }

    fn warn<'a>(&self, all: impl Iterator<Item = &'a Skipped>) {
        let mut warned = self.warned();
        for skipped in all.filter(|skipped| warned.insert(warning_key(skipped))) {
            tracing::warn!("skipped network configuration {skipped}");
        }
    }

    fn warned(&self) -> MutexGuard<'_, HashSet<String>> {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By what a warning is known that was given. What a program says when it fails may be different each time.
fn warning_key(skipped: &Skipped) -> String {
    match skipped.reason {
        SkipReason::Programs(_) => skipped.file.display().to_string(),
        _ => skipped.to_string(),
    }
}
