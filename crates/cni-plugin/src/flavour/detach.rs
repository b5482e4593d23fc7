//! Tearing a pod down.

use std::path::{Path, PathBuf};

use podnet_cni_spec::ContainerId;
use podnet_netutil::address;
use podnet_plugin_api::{Causes, Error as PluginError, PodBandwidth, PodSandbox};

use super::{CniPlugin, FlavourError, POD_INTERFACE, attach, loopback, pod};
use crate::cache::CachedAttachment;

impl CniPlugin {
    /// Detaches a pod as it was attached, whatever the configuration says today.
    pub(super) async fn detach(&self, sandbox: &PodSandbox) -> Result<(), PluginError> {
        self.require_initialised().map_err(|reason| PluginError::tear_down(sandbox, reason))?;
        let failed = |error: FlavourError| PluginError::tear_down(sandbox, error);
        let id = pod::id(sandbox).map_err(failed)?;
        let _turn = self.turn_if_possible(&id).await.map_err(failed)?;
        match Causes::collect(self.delete_all(sandbox, &id).await) {
            Some(causes) => Err(PluginError::tear_down(sandbox, causes)),
            None => Ok(()),
        }
    }

    /// Goes on after a failure, and returns all of them.
    async fn delete_all(&self, sandbox: &PodSandbox, id: &ContainerId) -> Vec<FlavourError> {
        let mut failures = Vec::new();
        let cached = self.cni.attachments_of(id).await.unwrap_or_else(|error| {
            failures.push(error.into());
            Vec::new()
        });
        let (loopbacks, mut pods): (Vec<_>, Vec<_>) = cached.into_iter().partition(loopback::is_it);
        pods.retain(attach::is_the_pods);
        if pods.is_empty() {
            failures.extend(self.delete_unknown(sandbox).await.err());
        }
        let netns = match &sandbox.netns {
            Some(path) => Some(path.clone()),
            None => find_netns(&pods).await,
        };
        for attachment in pods {
            failures.extend(self.delete(attachment, netns.as_deref()).await.err());
        }
        for attachment in loopbacks {
            self.delete_loopback(attachment, netns.as_deref()).await;
        }
        failures
    }

    /// Deletes an attachment by what the cache has of it. `netns` is where the pod is now, if it still is.
    pub(super) async fn delete(
        &self,
        mut attachment: CachedAttachment,
        netns: Option<&Path>,
    ) -> Result<(), FlavourError> {
        attachment.runtime.attachment.netns = netns.map(ToOwned::to_owned);
        let snapshot = self.networks.refresh().await;
        // Today's list tells which plugins a runtime in Go has left out of the cached one.
        let today = snapshot.networks().find(|served| *served.network.name() == attachment.network);
        match today {
            Some(served) => {
                let network = self.cni.network(served.network.list.clone());
                Ok(network.del(&attachment.runtime).await?)
            }
            None => Ok(self.cni.del_cached(&attachment).await?),
        }
    }

    /// A pod that the cache does not know may have been attached by whoever keeps none, or its file was lost. Where
    /// there is no network now, there is nothing that could be asked.
    async fn delete_unknown(&self, sandbox: &PodSandbox) -> Result<(), FlavourError> {
        let served = match self.networks.default_network().await {
            Ok(served) => served,
            // There is one, and it might have been asked were its programs there.
            Err(error) if error.lacks_programs() => return Err(error.into()),
            Err(error) => {
                tracing::info!(pod = %sandbox, %error, "nothing to tear down");
                return Ok(());
            }
        };
        // A limit that cannot be was never set.
        let limits = PodBandwidth::from_annotations(&sandbox.annotations).unwrap_or_default();
        let described = pod::describe(sandbox, limits, self.pod_cidrs().as_ref())?;
        Ok(self.cni.network(served.network.list.clone()).del(&described.pod).await?)
    }

    /// What is done to an `lo` ends with its namespace: that it cannot be undone must not keep a pod from going.
    async fn delete_loopback(&self, attachment: CachedAttachment, netns: Option<&Path>) {
        let Err(error) = self.delete(attachment.clone(), netns).await else { return };
        tracing::warn!(%error, "lo is left as it is");
        let (network, conf) = (attachment.network, attachment.runtime.attachment);
        let removal = self
            .cni
            .with_cache(move |cache| cache.remove(&network, &conf.container_id, &conf.interface));
        if let Err(error) = removal.await {
            tracing::warn!(%error, "lo is still cached");
        }
    }
}

/// The namespace of a pod whose runtime says that it is gone. Where the path at which it was still leads to an interface
/// with the pod's address, it is not, and plugins must take that interface away before the address is given to another
/// pod. Any other namespace at that path is another pod's by now.
async fn find_netns(pods: &[CachedAttachment]) -> Option<PathBuf> {
    for cached in pods {
        let Some(path) = &cached.runtime.attachment.netns else { continue };
        let promised = cached.result().ok().flatten().unwrap_or_default().ips;
        let there = address::of_pod(path, POD_INTERFACE).await.ok().flatten().unwrap_or_default();
        if promised.iter().any(|ip| there.contains(&ip.address.ip())) {
            return Some(path.clone());
        }
    }
    None
}
