//! Can pods be set up now, and if not, what is missing?

use std::sync::PoisonError;

use podnet_plugin_api::{NotReady, NotReadyReason};

use super::{CniPlugin, loopback};
use crate::capability::IP_RANGES;
use crate::conf_error::ConfError;
use crate::conf_store::ConfStatus;
use crate::network::Network;

impl CniPlugin {
    /// Everything that a set-up needs, and whether the network itself says that it could serve one.
    pub(super) async fn readiness(&self) -> Result<(), NotReady> {
        self.require_initialised()?;
        let status = self.networks.status().await;
        self.warn_once(&status);
        status.ready().map_err(|error| no_network(&error))?;
        let network = self.network_for_pods().await?;
        network
            .status()
            .await
            .map_err(|error| NotReady::new(NotReadyReason::NetworkUnavailable, error.to_string()))
    }

    /// The network that pods are attached to, if they can be.
    pub(super) async fn network_for_pods(&self) -> Result<Network, NotReady> {
        self.require_initialised()?;
        let served = self.networks.default_network().await.map_err(|error| no_network(&error))?;
        let network = self.cni.network(served.network.list.clone());
        loopback::require(&self.programs).await?;
        self.require_pod_cidr(&network)?;
        Ok(network)
    }

    pub(super) fn require_initialised(&self) -> Result<(), NotReady> {
        match self.watch.get() {
            Some(_) => Ok(()),
            None => Err(NotReady::new(NotReadyReason::NotInitialised, "cni is not initialised")),
        }
    }

    /// A network that takes its ranges from the node has none before the node has.
    fn require_pod_cidr(&self, network: &Network) -> Result<(), NotReady> {
        if self.pod_cidrs().is_some() || !network.capabilities().contains(IP_RANGES) {
            return Ok(());
        }
        let name = &network.list().name;
        let message = format!(
            "network {name} needs {IP_RANGES}, and no pod CIDR was assigned to this node yet: give one with --pod-cidr, or take the capability from the configuration"
        );
        Err(NotReady::new(NotReadyReason::NoPodCidr, message))
    }

    /// That a network serves although its file has gone, or might lack an IPAM program, is no reason not to be ready,
    /// and yet to be known.
    fn warn_once(&self, status: &ConfStatus) {
        let stale =
            status.serving_stale.iter().map(|why| format!("the last good one serves: {why}"));
        let ipam = status.warnings.iter().map(|problem| format!("its IPAM: {problem}"));
        let text = stale.chain(ipam).collect::<Vec<_>>().join("; ");
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if *warned != text && !text.is_empty() {
            tracing::warn!("network configuration in {}: {text}", status.looked_in.display());
        }
        *warned = text;
    }
}

fn no_network(error: &ConfError) -> NotReady {
    let reason = if error.lacks_programs() {
        NotReadyReason::PluginsMissing
    } else {
        NotReadyReason::NoNetworkConfig
    };
    NotReady::new(reason, error.to_string())
}
