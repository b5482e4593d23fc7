//! One pod's life: attached, looked at, detached.

use podnet_cni_plugin::CachedAttachment;
use podnet_cni_spec::{AddResult, IpConfig, PluginConfig};
use podnet_netutil::{Link, Netlink, Netns};
use podnet_plugin_api::error::{BoxError, Causes};
use podnet_plugin_api::{PodNetworkStatus, PodSandbox};
use podnet_standard_plugins::{Label, shaping};

use crate::attachment::Attachment;
use crate::error::Error;
use crate::node::Node;
use crate::plugin::POD_INTERFACE;
use crate::promise::{self, Promise};

/// A pod, the configuration by which it is attached, and what it asks for.
pub(crate) struct Pod<'a> {
    pub(crate) node: &'a Node,
    pub(crate) bridge: PluginConfig,
    pub(crate) label: Label,
    pub(crate) sandbox: &'a PodSandbox,
    /// Whether a pod that is attached already is refused.
    pub(crate) once: bool,
}

/// How a set-up ended.
pub(crate) struct SetUp {
    pub(crate) status: PodNetworkStatus,
    /// The plugin's own result, where the pod was not attached before.
    pub(crate) result: Option<AddResult>,
}

/// What there is of a pod that is attached already.
struct Found {
    host_end: Link,
    status: PodNetworkStatus,
}

impl Pod<'_> {
    pub(crate) fn attachment(&self) -> Attachment<'_> {
        let netns = self.sandbox.netns.clone();
        Attachment { node: self.node, bridge: &self.bridge, label: &self.label, netns }
    }

    /// Attaches the pod, or finds that it is attached already; then gives it the host ports and limits it asks for.
    ///
    /// What fails takes a pod that was not attached before away again, and leaves one that was as it is.
    pub(crate) async fn set_up(&self, promise: &Promise) -> Result<SetUp, BoxError> {
        if let Some(found) = self.found().await? {
            if self.once {
                return Err(Box::new(self.attached_already(found.host_end)));
            }
            self.promise_again(&found, promise).await?;
            return Ok(SetUp { status: found.status, result: None });
        }
        let made = async {
            let result = self.attachment().add().await?;
            self.fulfil(promise, &result).await?;
            let status = status_of(&result).ok_or(Error::NoAddress)?;
            Ok::<_, Error>(SetUp { status, result: Some(result) })
        };
        match made.await {
            Ok(made) => Ok(made),
            Err(error) => {
                let mut causes = Causes::new(error);
                if let Err(failures) = self.attachment().remove().await {
                    causes.push(failures);
                }
                Err(causes.into())
            }
        }
    }

    /// The pod as it is attached; none where it is not, or in a namespace that is no longer the pod's.
    async fn found(&self) -> Result<Option<Found>, BoxError> {
        let Some(host_end) = self.attachment().host_end().await? else { return Ok(None) };
        let status = self.status().await?.filter(|_| !host_end.condemned);
        if let Some(status) = status {
            return Ok(Some(Found { host_end, status }));
        }
        self.attachment().remove().await?;
        Ok(None)
    }

    fn attached_already(&self, host_end: Link) -> Error {
        let (id, interface) = (self.label.container_id(), self.label.interface());
        let (container_id, interface) = (id.clone(), interface.clone());
        let host_end = host_end.name;
        podnet_standard_plugins::Error::AlreadyAttached { container_id, interface, host_end }.into()
    }

    async fn fulfil(&self, promise: &Promise, result: &AddResult) -> Result<(), Error> {
        if !promise.ports.is_empty() {
            let ips: Vec<_> = result.ips.iter().map(|ip| ip.address.ip()).collect();
            self.node.nat.publish(&self.label, &ips, &promise.host_ports()).await?;
        }
        if !promise.limits.is_unlimited() {
            let host_end = self.node.netlink().require_link(&self.noted(result)).await?;
            shaping::shape(&self.node.host, &self.label, &host_end, &promise.limits()).await?;
        }
        self.note(promise, result)
    }

    /// The host end that a result names.
    fn noted(&self, result: &AddResult) -> String {
        let outside = result.interfaces.iter().rev().find(|interface| interface.sandbox.is_none());
        outside.map_or_else(|| self.label.host_end(), |interface| interface.name.clone())
    }

    /// Gives a pod that is attached what it asks for now, or leaves it with what it had.
    async fn promise_again(&self, found: &Found, promise: &Promise) -> Result<(), Error> {
        let record = self.attachment().record();
        let before = record.as_ref().and_then(Promise::noted);
        if before.as_ref() == Some(promise) {
            return self.keep(found, promise).await;
        }
        // Until it is noted again, a tear-down looks for everything that there could be.
        self.attachment().forget()?;
        let noted = record.as_ref().and_then(|record| record.result().ok().flatten());
        let changed = async {
            self.keep(found, promise).await?;
            let result = match noted {
                Some(result) => result,
                None => self.observed(found).await?,
            };
            self.note(promise, &result)
        };
        let changed = changed.await;
        if let (Err(_), Some(before), Some(record)) = (&changed, before, record) {
            self.restore(found, &before, &record).await;
        }
        changed
    }

    async fn keep(&self, found: &Found, promise: &Promise) -> Result<(), Error> {
        let ips = found.status.ips();
        self.node.nat.publish(&self.label, ips, &promise.host_ports()).await?;
        Ok(shaping::shape(&self.node.host, &self.label, &found.host_end, &promise.limits()).await?)
    }

    /// Puts back what a pod had before a change that failed, whose cause is what the caller hears.
    async fn restore(&self, found: &Found, before: &Promise, record: &CachedAttachment) {
        let restored = async {
            self.keep(found, before).await?;
            Ok::<_, Error>(self.node.records.store(record)?)
        };
        if let Err(error) = restored.await {
            tracing::warn!("{} may lack what it was promised: {error}", self.label.alias());
        }
    }

    /// The result of an ADD of which nothing is noted, as far as it can be seen.
    async fn observed(&self, found: &Found) -> Result<AddResult, Error> {
        let mut result = AddResult::default();
        let Some(path) = &self.sandbox.netns else { return Ok(result) };
        let netlink = Netlink::open_in(&Netns::open_other(path)?)?;
        let link = netlink.require_link(POD_INTERFACE).await?;
        let addresses = netlink.addresses(&link).await?;
        let global = addresses.iter().filter(|address| address.global);
        result.ips = global.map(|address| IpConfig::new(address.network)).collect();
        let name = found.host_end.name.clone();
        result.interfaces.push(podnet_cni_spec::Interface { name, ..Default::default() });
        Ok(result)
    }

    fn note(&self, promise: &Promise, result: &AddResult) -> Result<(), Error> {
        let record = promise::record(self.sandbox, &self.label, &self.bridge, promise, result)?;
        Ok(self.node.records.store(&record)?)
    }

    /// The pod's addresses, as its namespace has them.
    ///
    /// The path of a namespace is used again for another pod; what that one has is not reported.
    pub(crate) async fn status(&self) -> Result<Option<PodNetworkStatus>, Error> {
        let Some(path) = &self.sandbox.netns else { return Ok(None) };
        let netlink = Netlink::open_in(&Netns::open_other(path)?)?;
        let Some(link) = netlink.link_by_name(POD_INTERFACE).await? else { return Ok(None) };
        match Label::behind(self.node.netlink(), &link).await? {
            Some(other) if other != self.label => Ok(None),
            // Without a label another program attached it, whose names say nothing.
            _ => Ok(PodNetworkStatus::new(netlink.global_ips(&link).await?)),
        }
    }
}

fn status_of(result: &AddResult) -> Option<PodNetworkStatus> {
    PodNetworkStatus::new(result.ips.iter().map(|ip| ip.address.ip()).collect())
}
