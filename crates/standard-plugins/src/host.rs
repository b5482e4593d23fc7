//! What the plugins act on: the host's side of the network, opened once and shared.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podnet_cni_spec::Request;
use podnet_netutil::lock::LockError;
use podnet_netutil::{LinkDeleter, NamedLock, Netlink, Netns, Nft};
use tokio::sync::OnceCell;

use crate::error::Error;
use crate::host_local::{BootSource, HostLocal};
use crate::label::Label;
use crate::nat::NatTable;

/// How long an operation waits for another on the same attachment.
const ATTACHMENT_WAIT: Duration = Duration::from_secs(30);

/// The host's network: an open connection to the kernel, the queue of deletions, the address stores.
///
/// The thread that calls the plugins must be in the host's network namespace; each pod's is entered by a thread of its
/// own. Cloning shares everything.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) netlink: Netlink,
    pub(crate) deleter: LinkDeleter,
    pub(crate) addresses: HostLocal,
    nft: Arc<OnceCell<Nft>>,
    nat: Arc<OnceCell<NatTable>>,
    runtime_dir: PathBuf,
}

impl Host {
    /// Opens the calling thread's network namespace as the host.
    ///
    /// `runtime_dir` (usually `/run/podnet`) is a folder for locks by which several processes take turns. It is made
    /// when the first lock is taken.
    ///
    /// # Errors
    /// [`Error::Net`] when the kernel gives no netlink socket.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub fn open(runtime_dir: &Path) -> Result<Self, Error> {
        let netlink = Netlink::open()?;
        let deleter = LinkDeleter::new(netlink.clone(), Some(runtime_dir.join("link-delete.lock")));
        let addresses = HostLocal::default().noting_in(runtime_dir);
        let addresses = addresses.reclaiming_after_reboot(BootSource::system(runtime_dir));
        let runtime_dir = runtime_dir.to_owned();
        let (nft, nat) = (Arc::default(), Arc::default());
        Ok(Self { netlink, deleter, addresses, nft, nat, runtime_dir })
    }

    /// The connection to the host's network namespace.
    #[must_use]
    pub fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// The queue of deletions in the host's network namespace.
    #[must_use]
    pub fn deleter(&self) -> &LinkDeleter {
        &self.deleter
    }

    /// The host's nftables, opened when first asked for: most plugins need none, and a kernel may have none.
    pub(crate) async fn nft(&self) -> Result<&Nft, Error> {
        self.nft.get_or_try_init(async || Ok(Nft::open()?)).await
    }

    /// Our table in it.
    pub(crate) async fn nat(&self) -> Result<&NatTable, Error> {
        let open = async || NatTable::over(self.nft().await?.clone(), &self.runtime_dir);
        self.nat.get_or_try_init(open).await
    }

    /// Operations on one attachment exclude each other, between processes too.
    pub(crate) async fn lock(&self, label: &Label) -> Result<NamedLock, Error> {
        let file = format!("attachment-{}.lock", label.host_end());
        Ok(NamedLock::acquire(self.runtime_dir.join(file), ATTACHMENT_WAIT).await?)
    }

    /// For a tear-down, which must go on where no lock file can be made.
    pub(crate) async fn lock_if_possible(&self, label: &Label) -> Result<Option<NamedLock>, Error> {
        match self.lock(label).await {
            Err(Error::Lock(error)) if !matches!(error, LockError::Held { .. }) => {
                tracing::warn!("{error}; tearing down without it");
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Whoever adds rules of iptables that pods share excludes all others of podnet.
    pub(crate) async fn iptables_lock(&self) -> Result<NamedLock, Error> {
        let file = self.runtime_dir.join("iptables.lock");
        Ok(NamedLock::acquire(file, ATTACHMENT_WAIT).await?)
    }
}

/// Opens the pod's namespace, which must be one and not the host's own.
pub(crate) fn pod_netns(request: &Request) -> Result<Netns, Error> {
    let netns = Netns::open(request.netns()?)?;
    if netns.is_own()? {
        return Err(Error::OwnNetns { path: netns.path().to_owned() });
    }
    Ok(netns)
}

/// The pod's namespace where the request names one that is still there: tear-down goes on without.
///
/// # Errors
/// [`Error::Net`] when the system could not tell: then what is inside may still be there.
pub(crate) fn pod_netns_if_left(request: &Request) -> Result<Option<Netns>, Error> {
    match pod_netns(request) {
        Ok(netns) => Ok(Some(netns)),
        // No path was given, or none that leads to a pod any more.
        Err(Error::Spec(_) | Error::OwnNetns { .. }) => Ok(None),
        Err(Error::Net(error)) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}
