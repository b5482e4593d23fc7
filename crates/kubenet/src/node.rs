//! What kubenet has once it is initialised: the standard plugins over the host's network, and the choices for all pods.

use podnet_netutil::{Netlink, sysctl};
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
        bridge::refuse_another_kind(&links)?;
        pass_bridged_traffic_to_iptables();
        Ok(Self { exec: BuiltinExec::new(host), mtu, hairpin_mode: settings.hairpin_mode })
    }

    pub(crate) fn netlink(&self) -> &Netlink {
        self.exec.host().netlink()
    }
}

/// kube-proxy's iptables mode needs it; a node without kube-proxy does not, so that it cannot be had is a warning.
fn pass_bridged_traffic_to_iptables() {
    if let Err(error) = sysctl::set("net/bridge/bridge-nf-call-iptables", "1") {
        tracing::warn!(
            "{error}: kube-proxy's iptables rules will not see traffic between pods; load br_netfilter (modprobe br_netfilter)"
        );
    }
}
