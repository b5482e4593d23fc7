//! What kubenet has once it is initialised: the standard plugins over the host's network, and the choices for all pods.

use podnet_netutil::{Netlink, bridge_filter};
use podnet_plugin_api::{HairpinMode, Mtu, Settings};
use podnet_standard_plugins::{BuiltinExec, Host};

use crate::bridge;
use crate::error::Error;
use crate::options::KubenetOptions;

/// The node that kubenet serves.
pub(crate) struct Node {
    pub(crate) exec: BuiltinExec,
    pub(crate) mtu: Mtu,
    pub(crate) hairpin_mode: HairpinMode,
}

impl Node {
    pub(crate) async fn open(options: &KubenetOptions, settings: &Settings) -> Result<Self, Error> {
        let host = Host::open(&options.runtime_dir)?;
        let links = host.netlink().links().await?;
        let mtu = bridge::choose_mtu(&links, settings.mtu)?;
        for warning in bridge_filter::enable() {
            tracing::warn!("{warning}");
        }
        Ok(Self { exec: BuiltinExec::new(host), mtu, hairpin_mode: settings.hairpin_mode })
    }

    pub(crate) fn netlink(&self) -> &Netlink {
        self.exec.host().netlink()
    }
}
