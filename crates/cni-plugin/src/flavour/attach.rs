//! Setting a pod up.

use std::net::IpAddr;
use std::path::Path;

use podnet_cni_spec::AddResult;
use podnet_netutil::address;
use podnet_plugin_api::{
    Causes, Error as PluginError, PodBandwidth, PodCidrs, PodNetworkStatus, PodSandbox,
};

use super::pod::{self, Described};
use super::{CniPlugin, FlavourError, POD_INTERFACE, loopback};
use crate::cache::CachedAttachment;
use crate::network::Network;

impl CniPlugin {
    /// Attaches a pod, or finds that it is attached already.
    pub(super) async fn attach(
        &self,
        sandbox: &PodSandbox,
    ) -> Result<Option<PodNetworkStatus>, PluginError> {
        self.require_initialised().map_err(|reason| PluginError::not_ready(sandbox, reason))?;
        let netns = sandbox.netns.as_deref().ok_or_else(|| PluginError::no_netns(sandbox))?;
        let failed = |error: FlavourError| PluginError::set_up(sandbox, error);
        let cidrs = self.pod_cidrs();
        let described = checked(sandbox, cidrs.as_ref()).map_err(failed)?;
        let id = &described.pod.attachment.container_id;
        let _turn = self.turn(id).await.map_err(failed)?;
        if let Some(there) = self.find_attached(&described, netns).await.map_err(failed)? {
            return Ok(PodNetworkStatus::new(there));
        }
        let network = self.network_for_pods().await;
        let network = network.map_err(|reason| PluginError::not_ready(sandbox, reason))?;
        let result = self.add(&network, &described).await;
        let result = result.map_err(|causes| PluginError::set_up(sandbox, causes))?;
        Ok(status_of(netns, &result).await)
    }

    /// The addresses of a pod that is attached, to whichever network. What is left of one that is not, because its set-up
    /// was cut off or its namespace is another one now, is taken away.
    async fn find_attached(
        &self,
        described: &Described,
        netns: &Path,
    ) -> Result<Option<Vec<IpAddr>>, FlavourError> {
        let id = &described.pod.attachment.container_id;
        let mut cached = self.cni.attachments_of(id).await?;
        cached.retain(is_the_pods);
        if cached.is_empty() {
            return Ok(None);
        }
        let there = address::of_pod(netns, POD_INTERFACE).await?;
        for attachment in cached {
            if let Some(there) = there.as_deref().filter(|there| is_whole(&attachment, there)) {
                return Ok(Some(there.to_vec()));
            }
            self.delete(attachment, Some(netns)).await?;
        }
        Ok(None)
    }

    /// `lo`, then the network. What fails is undone, and all of it is told.
    async fn add(&self, network: &Network, described: &Described) -> Result<AddResult, Causes> {
        let list = loopback::list().map_err(|error| Causes::new(FlavourError::from(error)))?;
        let loopback = self.cni.network(list);
        let only = |error: crate::Error| Causes::new(FlavourError::from(error));
        loopback.add(&described.loopback).await.map_err(only)?;
        let first = match network.add(&described.pod).await {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        let mut causes = only(first);
        if let Err(undo) = loopback.del(&described.loopback).await {
            causes.push(FlavourError::from(undo));
        }
        Err(causes)
    }
}

/// Everything that can be wrong with what is asked for, before anything is touched.
fn checked(sandbox: &PodSandbox, cidrs: Option<&PodCidrs>) -> Result<Described, FlavourError> {
    pod::describe(sandbox, PodBandwidth::from_annotations(&sandbox.annotations)?, cidrs)
}

/// Whether this is the attachment of the interface by which a pod is known.
pub(super) fn is_the_pods(cached: &CachedAttachment) -> bool {
    cached.runtime.attachment.interface.as_str() == POD_INTERFACE && !loopback::is_it(cached)
}

/// An attachment whose interface is there is whole if its ADD came to its end and, where the result has addresses, the
/// interface has one.
fn is_whole(cached: &CachedAttachment, there: &[IpAddr]) -> bool {
    let promised = cached.result().ok().flatten();
    promised.is_some_and(|result| !there.is_empty() || result.ips.is_empty())
}

/// What the namespace says, so that it is the same later. The result's addresses where it has none of them: those of a
/// device that is no interface of the kernel.
async fn status_of(netns: &Path, result: &AddResult) -> Option<PodNetworkStatus> {
    let there = address::of_pod(netns, POD_INTERFACE).await.ok().flatten().unwrap_or_default();
    let promised = || PodNetworkStatus::new(result.ips.iter().map(|ip| ip.address.ip()).collect());
    PodNetworkStatus::new(there).or_else(promised)
}
