//! A host: a network namespace with folders of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ipnetwork::IpNetwork;
use podnet_netutil::{MacAddr, Netlink, Netns, VethPair};
use tempfile::TempDir;

use crate::error::Error;
use crate::pod::Pod;

/// The name of the interface by which [`TestHost::add_uplink`] joins the host to the world.
pub const UPLINK: &str = "eth0";

/// A throw-away host. Its namespaces and folders vanish with the value.
#[derive(Debug)]
pub struct TestHost {
    folder: TempDir,
    netns: Netns,
    pods: AtomicU32,
}

impl TestHost {
    /// Makes a host whose only interface is an enabled loopback.
    ///
    /// # Errors
    /// [`Error::Net`] without `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`; [`Error::Folder`].
    pub fn new() -> Result<Self, Error> {
        Self::new_in(&std::env::temp_dir())
    }

    /// Makes a host that keeps its files below `parent`.
    ///
    /// # Errors
    /// As [`TestHost::new`].
    pub fn new_in(parent: &Path) -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("podnet-host-").tempdir_in(parent);
        let folder = folder.map_err(|source| Error::Folder { path: parent.to_owned(), source })?;
        for name in ["networks", "run", "netns"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).map_err(|source| Error::Folder { path, source })?;
        }
        let netns = Netns::create(folder.path().join("netns/host"))?;
        let host = Self { folder, netns, pods: AtomicU32::new(0) };
        host.run(async || {
            let netlink = Netlink::open()?;
            let lo = netlink.require_link("lo").await?;
            Ok::<(), Error>(netlink.set_link_up(lo.index).await?)
        })??;
        Ok(host)
    }

    /// Joins the host to a namespace that stands for the world outside, by an interface `eth0` with this MTU and, on
    /// the host, this address.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub fn add_uplink(&self, mtu: u32, address: IpNetwork) -> Result<Pod, Error> {
        let world = self.add_pod("world")?;
        self.run(async || {
            let netlink = Netlink::open()?;
            // Every veth needs a bridge here; the uplink's is deleted again, which leaves the veth.
            netlink.create_bridge("uplink-br", MacAddr::local([0; 6])).await?;
            let bridge = netlink.require_link("uplink-br").await?;
            let pair = VethPair {
                host_name: UPLINK,
                host_mac: MacAddr::local([0, 0, 0, 0, 0, 1]),
                bridge: Some(bridge.index),
                peer_name: UPLINK,
                peer_mac: MacAddr::local([0, 0, 0, 0, 0, 2]),
                peer_netns: world.netns(),
                mtu: Some(mtu),
            };
            let ends = netlink.create_veth(&pair).await?;
            podnet_netutil::LinkDeleter::new(netlink.clone(), None).delete(&bridge).await?;
            netlink.add_address(&ends.host, address).await?;
            let outside = Netlink::open_in(world.netns())?;
            Ok::<(), Error>(outside.set_link_up(ends.peer.index).await?)
        })??;
        Ok(world)
    }

    /// Makes a network namespace for a pod, without any network yet.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub fn add_pod(&self, name: &str) -> Result<Pod, Error> {
        let number = self.pods.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join("netns").join(format!("{name}-{number}"));
        Ok(Pod::new(name, Netns::create(path)?))
    }

    /// Runs asynchronous work in the host's namespace, on a thread and a runtime that end with it.
    ///
    /// # Errors
    /// [`Error::Net`] when the namespace cannot be entered; [`Error::Runtime`].
    pub fn run<T: Send, F: Future<Output = T>>(
        &self,
        work: impl FnOnce() -> F + Send,
    ) -> Result<T, Error> {
        self.netns.run(|| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().build().map_err(Error::Runtime)?;
            Ok(runtime.block_on(work()))
        })?
    }

    /// The host's network namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The folder that stands for `/var/lib/cni/networks`.
    #[must_use]
    pub fn networks_dir(&self) -> PathBuf {
        self.folder.path().join("networks")
    }

    /// The folder that stands for `/run/podnet`.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// A folder of the test's own.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        // A namespace that stays mounted would keep the folder from being removed, and the test learns of that.
        let _ = Netns::remove(self.netns.path());
    }
}
