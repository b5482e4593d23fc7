//! One pod's life: attached, looked at, detached.

use podnet_cni_invoke::Exec as _;
use podnet_cni_spec::{
    AddResult, Attachment, CniArgs, ContainerId, InterfaceName, PluginConfig, Request, Verb,
};
use podnet_netutil::{Link, Netlink, Netns};
use podnet_plugin_api::bandwidth::{EGRESS_ANNOTATION, INGRESS_ANNOTATION};
use podnet_plugin_api::{PodNetworkStatus, PodSandbox};
use podnet_standard_plugins::Label;

use crate::error::Error;
use crate::node::Node;
use crate::plugin::{NETWORK, POD_INTERFACE};

/// A pod and the configurations by which it is attached.
pub(crate) struct Pod<'a> {
    pub(crate) node: &'a Node,
    pub(crate) loopback: PluginConfig,
    pub(crate) bridge: PluginConfig,
    pub(crate) sandbox: &'a PodSandbox,
}

impl Pod<'_> {
    /// Refuses what kubenet does not do yet, before anything is touched.
    pub(crate) fn refuse_unsupported(&self) -> Result<(), Error> {
        let annotations = &self.sandbox.annotations;
        let bandwidth = [INGRESS_ANNOTATION, EGRESS_ANNOTATION]
            .into_iter()
            .find(|key| annotations.contains_key(*key));
        let ports = (!self.sandbox.port_mappings.is_empty()).then_some("a host port");
        match bandwidth.or(ports) {
            Some(what) => Err(Error::Unsupported { what }),
            None => Ok(()),
        }
    }

    /// Attaches the pod, or finds that it is attached already.
    pub(crate) async fn set_up(&self) -> Result<PodNetworkStatus, Error> {
        if let Some(host_end) = self.host_end().await? {
            let status = self.status().await?.filter(|_| !host_end.condemned);
            if let Some(status) = status {
                return Ok(status);
            }
            // Attached by this id in a namespace that is no longer the pod's, or about to be deleted.
            self.tear_down().await?;
        }
        self.run(Verb::Add, &self.loopback, "lo").await?;
        let result = self.run(Verb::Add, &self.bridge, POD_INTERFACE).await?;
        status_of(&result.unwrap_or_default()).ok_or(Error::NoAddress)
    }

    /// Detaches the pod. Its loopback goes with its namespace.
    pub(crate) async fn tear_down(&self) -> Result<(), Error> {
        self.run(Verb::Del, &self.bridge, POD_INTERFACE).await.map(drop)
    }

    /// The pod's addresses, as its namespace has them.
    ///
    /// The path of a namespace is used again for another pod; what that one has is not reported.
    pub(crate) async fn status(&self) -> Result<Option<PodNetworkStatus>, Error> {
        let Some(path) = &self.sandbox.netns else { return Ok(None) };
        let netlink = Netlink::open_in(&Netns::open_other(path)?)?;
        let Some(link) = netlink.link_by_name(POD_INTERFACE).await? else { return Ok(None) };
        let own = label(self.sandbox)?;
        match Label::behind(self.node.netlink(), &link).await? {
            Some(other) if other != own => Ok(None),
            // Without a label another program attached it, whose names say nothing.
            _ => Ok(PodNetworkStatus::new(netlink.global_ips(&link).await?)),
        }
    }

    /// The host end of the pod's attachment, which carries its label once everything else was done.
    async fn host_end(&self) -> Result<Option<Link>, Error> {
        let label = label(self.sandbox)?;
        let found = self.node.netlink().link_by_name(&label.host_end()).await?;
        Ok(found.filter(|link| link.alias == Some(label.alias())))
    }

    async fn run(
        &self,
        verb: Verb,
        config: &PluginConfig,
        interface: &str,
    ) -> Result<Option<AddResult>, Error> {
        let attachment = Attachment {
            container_id: ContainerId::new(self.sandbox.id())?,
            interface: InterfaceName::new(interface)?,
            netns: self.sandbox.netns.clone(),
            args: CniArgs::default(),
        };
        let plugin = config.plugin_type()?;
        let request = Request { verb, attachment: Some(attachment), config: config.clone() };
        Ok(self.node.exec.run(&plugin, &request).await?)
    }
}

/// The label of a pod's attachment, from which every name on the host follows.
pub(crate) fn label(sandbox: &PodSandbox) -> Result<Label, Error> {
    let container_id = ContainerId::new(sandbox.id())?;
    let interface = InterfaceName::new(POD_INTERFACE)?;
    Ok(Label::new(NETWORK.parse()?, container_id, interface)?)
}

fn status_of(result: &AddResult) -> Option<PodNetworkStatus> {
    PodNetworkStatus::new(result.ips.iter().map(|ip| ip.address.ip()).collect())
}
