//! The IPAM plugin host-local: gives addresses out of ranges and remembers them in files of this host.
//!
//! Options, results and files are those of the Go program, and both may work on one store at the same time. A network's
//! store is the directory `<dataDir>/<network>` (default `/var/lib/cni/networks`):
//!
//! | file | holds |
//! | --- | --- |
//! | `10.1.0.5` | the container id, CR LF, the interface's name: the address is taken |
//! | `last_reserved_ip.0` | the address given last from range set 0, where the next search starts |
//! | `lock` | nothing; whoever changes the store holds flock(2) on it |
//!
//! A request goes from the configuration (`config`, `range`) over the choice (`allocate`, which is pure) to the files
//! (`store`); `index` remembers between requests what the files said, `note` between processes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use podnet_cni_spec::{AddResult, Request};
use podnet_netutil::lock::LockError;
use tokio::sync::Mutex as AsyncMutex;

use self::config::Config;
use self::index::Index;
use self::record::Owner;
use self::store::Access;
use crate::error::Error;

mod add;
mod allocate;
mod boot;
mod check;
mod config;
mod del;
mod gc;
mod index;
mod note;
mod position;
mod range;
mod record;
mod reserved;
mod resolv_conf;
mod stamp;
mod store;
mod taken;

pub use allocate::AllocationError;
pub use boot::BootSource;
pub use range::RangeError;
pub(crate) use reserved::reservation;
pub use reserved::{Reservation, lock_store, reservations, reserved_addresses};

/// How long a request waits for a store, unless told otherwise: with many at once on a busy machine the last one's turn
/// comes late, and whoever waits is told who has the lock.
const WAIT: Duration = Duration::from_secs(15);

/// Others hold a store for less than it takes to make a thread that waits for it: so often it is tried first.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(1);

/// host-local, with what it remembers of every store that it has worked on.
///
/// Copies share their memory. It is a hint only: another process may change a store at any time between two requests,
/// and what was remembered is then read again.
#[derive(Debug, Clone)]
pub struct HostLocal {
    stores: Arc<Mutex<HashMap<PathBuf, Arc<AsyncMutex<Index>>>>>,
    wait: Duration,
    boot: Option<BootSource>,
    notes: Option<PathBuf>,
}

impl Default for HostLocal {
    fn default() -> Self {
        Self { stores: Arc::default(), wait: WAIT, boot: None, notes: None }
    }
}

impl HostLocal {
    /// One that remembers nothing yet and waits at most 15 s for a store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same one, waiting at most `wait` for a store that others are using.
    #[must_use]
    pub fn waiting_at_most(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The same one, which at its first ADD after a boot reclaims the addresses that were reserved before, in stores whose
    /// configuration does not say `"reclaimAfterReboot": false`.
    #[must_use]
    pub fn reclaiming_after_reboot(self, boot: BootSource) -> Self {
        Self { boot: Some(boot), ..self }
    }

    /// The same one, which notes in `folder` for other processes what it found and left in a store, and uses what they noted.
    /// Without, a process that lives for one request reads the file of every address. The folder (usually `/run/podnet`) is
    /// made where missing; it may vanish at any time.
    #[must_use]
    pub fn noting_in(self, folder: impl Into<PathBuf>) -> Self {
        Self { notes: Some(folder.into()), ..self }
    }

    /// Reserves an address of each range set, all or none, and returns them with their gateways, the configured routes
    /// and the `dns` of `resolvConf`.
    ///
    /// Must run in a tokio runtime with time enabled, as all of these functions. Once begun it is finished even if the
    /// future is dropped; a DEL that follows waits for that.
    ///
    /// # Errors
    /// [`Error::Allocation`] when there is no address to give, or the attachment has one already; the configuration's
    /// errors (code 7) before anything is touched; [`Error::Lock`] and [`Error::StoreBusy`] (code 11) when others use the
    /// store all the time. No address stays reserved then, save [`Error::UndoFailed`] says so.
    pub async fn add(&self, request: &Request) -> Result<AddResult, Error> {
        let owner = Owner::new(request.attachment()?);
        let config = Config::new(request)?;
        let boot = self.boot.clone().filter(|_| config.reclaim_after_reboot);
        let add = move |access: Access<'_>| add::add(&config, &owner, boot.as_ref(), access);
        self.on_store(request, add).await
    }

    /// Releases every address of the attachment, whichever range it is from. Nothing to release is success.
    ///
    /// Of the configuration only the network's name and `dataDir` count.
    ///
    /// # Errors
    /// [`Error::NotReleased`] with every file that could not be removed; [`Error::Lock`], [`Error::StoreBusy`].
    pub async fn del(&self, request: &Request) -> Result<(), Error> {
        let owner = Owner::new(request.attachment()?);
        self.on_store(request, move |access| del::del(&owner, access)).await
    }

    /// Checks that the addresses in `prevResult` which are of this network's ranges are reserved for the attachment, and
    /// that it has one at all.
    ///
    /// # Errors
    /// [`Error::NotAllocated`], [`Error::AddressNotReserved`]; [`Error::Lock`], [`Error::StoreBusy`].
    pub async fn check(&self, request: &Request) -> Result<(), Error> {
        let owner = Owner::new(request.attachment()?);
        let expected = check::expected(&Config::new(request)?, request)?;
        self.on_store(request, move |access| check::check(&expected, &owner, access)).await
    }

    /// Releases the addresses of every attachment that is not in the request's list of valid ones (CNI 1.1.0, section 2,
    /// GC). Nobody may add or delete an attachment of the network meanwhile.
    ///
    /// # Errors
    /// [`Error::NoValidAttachments`] without that list: a missing list is not an empty one; [`Error::NotReleased`];
    /// [`Error::Lock`], [`Error::StoreBusy`].
    pub async fn gc(&self, request: &Request) -> Result<(), Error> {
        let valid = request.config.valid_attachments()?.ok_or(Error::NoValidAttachments)?;
        self.on_store(request, move |access| gc::gc(&valid, access)).await
    }

    /// Does the work of one request on its network's store. Requests on one store take turns here, so that many of them
    /// at once do not make as many threads that wait for one lock.
    ///
    /// Most often the lock is free, and the work is a handful of calls on a local file system: less than handing it to
    /// another thread costs. Only where another process holds the lock is it waited for in a thread that may block.
    async fn on_store<T: Send + 'static>(
        &self,
        request: &Request,
        work: impl Fn(Access<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let dir = config::store_dir(&request.config)?;
        let (started, wait) = (Instant::now(), self.wait);
        let turn = tokio::time::timeout(wait, self.index_of(&dir).lock_owned()).await;
        let Ok(mut index) = turn else { return Err(Error::StoreBusy { store: dir, waited: wait }) };
        let notes = self.notes.clone();
        let at_once = Duration::ZERO;
        for attempt in 1..=ATTEMPTS {
            let notes = notes.as_deref();
            match work(Access { dir: &dir, index: &mut index, notes, wait: at_once }) {
                Err(Error::Lock(LockError::Held { .. })) => {}
                done => return done,
            }
            if attempt < ATTEMPTS && started.elapsed() < wait {
                tokio::time::sleep(PAUSE).await;
            }
        }
        let wait = wait.saturating_sub(started.elapsed());
        // The turn moves into the thread: it must last as long as the work, also where nobody waits for the result.
        let done = tokio::task::spawn_blocking(move || {
            work(Access { dir: &dir, index: &mut index, notes: notes.as_deref(), wait })
        })
        .await;
        match done {
            Ok(result) => result,
            Err(failure) if failure.is_panic() => std::panic::resume_unwind(failure.into_panic()),
            Err(_) => Err(Error::Interrupted),
        }
    }

    fn index_of(&self, dir: &Path) -> Arc<AsyncMutex<Index>> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.entry(dir.to_owned()).or_default().clone()
    }
}

/// Whether the configuration names a store to give addresses out of (CNI 1.1.0, section 2, STATUS). Ranges may come
/// with each request, and are not looked at.
///
/// # Errors
/// [`Error::MissingIpam`], [`Error::Spec`].
pub fn status(request: &Request) -> Result<(), Error> {
    config::store_dir(&request.config).map(drop)
}

#[cfg(test)]
mod tests;
