//! What a store tells whoever builds on it: which addresses are reserved, and a way to keep it so for a moment.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use podnet_netutil::files;
use podnet_netutil::lock::{FileLock, LockError};

use super::WAIT;
use super::position::Position;
use super::record::{RECORD_LIMIT, Record};
use super::store::{address_in, lock_or_make, refused};
use crate::error::Error;

/// The addresses that are reserved in the store at `store`, whoever has them. A store that does not exist has none.
///
/// Reads the names of the files and takes no lock; see [`lock_store`].
///
/// # Errors
/// [`Error::Store`] when the directory cannot be listed.
///
/// # Examples
/// ```
/// use podnet_standard_plugins::host_local::reserved_addresses;
///
/// let store = tempfile::tempdir()?;
/// std::fs::write(store.path().join("10.1.0.5"), "a1\r\neth0")?;
/// std::fs::write(store.path().join("last_reserved_ip.0"), "10.1.0.7")?;
/// assert_eq!(reserved_addresses(store.path())?, ["10.1.0.5".parse::<std::net::IpAddr>()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reserved_addresses(store: &Path) -> Result<Vec<IpAddr>, Error> {
    let list = |source| refused("list directory", store, source);
    let entries = match fs::read_dir(store) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(list)?,
    };
    let mut addresses = Vec::new();
    for entry in entries {
        let name = entry.map_err(list)?.file_name();
        addresses.extend(address_in(&name.to_string_lossy()).map(Position::address));
    }
    Ok(addresses)
}

/// An address of a store, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reservation {
    /// The address.
    pub address: IpAddr,
    /// The container that has it; none where its file names nobody.
    pub container_id: Option<String>,
    /// The container's interface; none in a file of an early version of the Go program.
    pub interface: Option<String>,
}

/// The addresses that are reserved in the store at `store`, with their owners. A store that does not exist has none.
///
/// Reads every file and takes no lock; an address that is given back meanwhile is left out.
///
/// # Errors
/// [`Error::Store`] when the directory cannot be listed.
pub fn reservations(store: &Path) -> Result<Vec<Reservation>, Error> {
    let addresses = reserved_addresses(store)?;
    Ok(addresses.into_iter().filter_map(|address| reservation(store, address)).collect())
}

/// The reservation of one address in the store at `store`, if there is one.
pub(crate) fn reservation(store: &Path, address: IpAddr) -> Option<Reservation> {
    let path = store.join(address.to_string());
    let owner = match files::read_bounded(&path, RECORD_LIMIT) {
        Ok(content) => match Record::parse(&content) {
            Record::Owned(owner) => Some(owner),
            Record::Empty | Record::Foreign => None,
        },
        Err(error) if error.is_not_found() => return None,
        Err(error) => {
            tracing::warn!("{error}");
            None
        }
    };
    let (container_id, interface) =
        owner.map_or((None, None), |owner| (Some(owner.container), owner.interface));
    Some(Reservation { address, container_id, interface })
}

/// Keeps every program from reserving or releasing an address in the store at `store`, until the lock is dropped.
///
/// The directory is made where it is missing. Must run in a tokio runtime.
///
/// # Errors
/// [`Error::Lock`] when others use the store for 15 s on end; [`Error::Store`] when it cannot be made.
pub async fn lock_store(store: &Path) -> Result<FileLock, Error> {
    match lock_or_make(store, Duration::ZERO) {
        Err(Error::Lock(LockError::Held { .. })) => {}
        done => return done,
    }
    let store = store.to_owned();
    let waiting = tokio::task::spawn_blocking(move || lock_or_make(&store, WAIT));
    waiting.await.map_err(|_| Error::Interrupted)?
}
