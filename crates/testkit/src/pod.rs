//! A pod: a network namespace kept at a path, as a runtime makes one for a sandbox.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use podnet_netutil::{Link, Netlink, Netns};

use crate::error::Error;
use crate::probe::{self, Page};

/// A pod's network namespace. It is removed with the value.
#[derive(Debug)]
pub struct Pod {
    name: String,
    netns: Netns,
}

impl Pod {
    pub(crate) fn new(name: &str, netns: Netns) -> Self {
        Self { name: name.to_owned(), netns }
    }

    /// The name that the test gave it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its network namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The path of its network namespace.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.netns.path()
    }

    /// Its interface of this name, if it has one.
    ///
    /// Call it within a runtime ([`TestHost::run`](crate::TestHost::run)).
    ///
    /// # Errors
    /// [`Error::Net`].
    pub async fn link(&self, name: &str) -> Result<Option<Link>, Error> {
        Ok(Netlink::open_in(&self.netns)?.link_by_name(name).await?)
    }

    /// Sends echo requests from this pod until one is answered, and returns its round-trip time.
    ///
    /// # Errors
    /// [`Error::NoReply`] after ten seconds; [`Error::Probe`] when the pod has no route.
    pub fn ping(&self, target: IpAddr) -> Result<Duration, Error> {
        self.netns.run(|| probe::ping(target))?
    }

    /// Serves `body` over HTTP from this pod until the returned value is dropped.
    ///
    /// # Errors
    /// [`Error::Probe`] when nothing can listen at `address`.
    pub fn serve(&self, address: SocketAddr, body: &str) -> Result<Page, Error> {
        self.netns.run(|| Page::serve(address, body))?
    }

    /// Fetches the page at `address` over TCP and returns its body.
    ///
    /// # Errors
    /// [`Error::Probe`].
    pub fn fetch(&self, address: SocketAddr) -> Result<String, Error> {
        self.netns.run(|| probe::fetch(address))?
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // As for the host: what stays mounted shows when the folder is removed.
        let _ = Netns::remove(self.netns.path());
    }
}
