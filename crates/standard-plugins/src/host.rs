//! What the plugins act on: the host's side of the network, opened once and shared.

use std::path::{Path, PathBuf};

use podnet_cni_spec::Request;
use podnet_netutil::{LinkDeleter, Netlink, Netns};

use crate::error::Error;
use crate::host_local::HostLocal;

/// The host's network: an open connection to the kernel, the queue of deletions, the address stores.
///
/// The thread that calls the plugins must be in the host's network namespace; each pod's is entered by a thread of its
/// own. Cloning shares everything.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) netlink: Netlink,
    pub(crate) deleter: LinkDeleter,
    pub(crate) addresses: HostLocal,
}

impl Host {
    /// Opens the calling thread's network namespace as the host.
    ///
    /// `runtime_dir` (usually `/run/podnet`) is a folder for locks by which several processes take turns. It is
    /// made where missing.
    ///
    /// # Errors
    /// [`Error::RuntimeDir`] when it cannot be made; [`Error::Net`] when the kernel gives no netlink socket.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub fn open(runtime_dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(runtime_dir)
            .map_err(|source| Error::RuntimeDir { path: runtime_dir.to_owned(), source })?;
        let netlink = Netlink::open()?;
        let deleter = LinkDeleter::new(netlink.clone(), Some(runtime_dir.join("link-delete.lock")));
        Ok(Self { netlink, deleter, addresses: HostLocal::default() })
    }

    /// The connection to the host's network namespace.
    #[must_use]
    pub fn netlink(&self) -> &Netlink {
        &self.netlink
    }
}

/// Opens the pod's namespace, which must be one and not the host's own.
pub(crate) fn pod_netns(request: &Request) -> Result<Netns, Error> {
    let netns = Netns::open(request.netns()?)?;
    if netns.is_same_as(&Netns::current()?)? {
        return Err(Error::OwnNetns { path: netns.path().to_owned() });
    }
    Ok(netns)
}

/// The pod's namespace where the request names one that is still there: tear-down goes on without.
pub(crate) fn pod_netns_if_left(request: &Request) -> Option<Netns> {
    let path: PathBuf = request.netns().ok()?.to_owned();
    if path.as_os_str().is_empty() {
        return None;
    }
    match pod_netns(request) {
        Ok(netns) => Some(netns),
        Err(error) => {
            tracing::debug!(%error, "tearing down without the pod's namespace");
            None
        }
    }
}
