//! One attachment to cbr0, known by its label: made, found again and taken away, with or without its pod.

use std::path::PathBuf;

use podnet_cni_invoke::Exec as _;
use podnet_cni_plugin::CachedAttachment;
use podnet_cni_spec::{
    AddResult, Attachment as CniAttachment, CniArgs, ContainerId, InterfaceName, PluginConfig,
    Request, Verb,
};
use podnet_netutil::bridge::port_group;
use podnet_netutil::sysctl;
use podnet_netutil::{Link, Netlink, Netns};
use podnet_plugin_api::error::{BoxError, Causes};
use podnet_standard_plugins::{Label, shaping};

use crate::config;
use crate::error::Error;
use crate::node::Node;
use crate::plugin::{BRIDGE, NETWORK, POD_INTERFACE};
use crate::promise::{Promise, noted_host_end};

/// An attachment, which there may be or not.
pub(crate) struct Attachment<'a> {
    pub(crate) node: &'a Node,
    pub(crate) bridge: &'a PluginConfig,
    pub(crate) label: &'a Label,
    pub(crate) netns: Option<PathBuf>,
}

impl Attachment<'_> {
    /// Attaches the pod's namespace. By the end its host end bears the label, whoever attached it.
    pub(crate) async fn add(&self) -> Result<AddResult, Error> {
        self.run(Verb::Add, &config::loopback()?, "lo").await?;
        let programs = self.node.runs_programs().await?;
        if programs {
            self.skip_address_detection()?;
        }
        let result = self.run(Verb::Add, self.bridge, POD_INTERFACE).await?;
        let result = result.filter(|result| !result.ips.is_empty()).ok_or(Error::NoAddress)?;
        if programs { self.adopt(result).await } else { Ok(result) }
    }

    /// Has the bridge plugin verify what it made.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        self.run(Verb::Check, self.bridge, POD_INTERFACE).await.map(drop)
    }

    /// Takes everything away that is the attachment's, whoever attached it, and as much as can be.
    pub(crate) async fn remove(&self) -> Result<(), Causes> {
        let record = self.record();
        let promise = record.as_ref().and_then(Promise::noted);
        let has_ports = promise.as_ref().is_none_or(|promise| !promise.ports.is_empty());
        let has_limits = promise.as_ref().is_none_or(|promise| !promise.limits.is_unlimited());
        let withdrawn = if has_ports { self.node.nat.withdraw(self.label).await } else { Ok(()) };
        // Together, for the kernel deletes several interfaces as fast as one.
        let unshaped = async {
            if has_limits { shaping::unshape(&self.node.host, self.label).await } else { Ok(()) }
        };
        let (unshaped, deleted) =
            futures_util::join!(unshaped, self.run(Verb::Del, self.bridge, POD_INTERFACE));
        let left = self.delete_left_host_end(record.as_ref()).await;
        let outcomes: [Result<(), BoxError>; 4] = [
            withdrawn.map_err(Into::into),
            unshaped.map_err(Into::into),
            deleted.map(drop).map_err(Into::into),
            left.map_err(Into::into),
        ];
        if let Some(causes) = Causes::collect(outcomes.into_iter().filter_map(Result::err)) {
            return Err(causes);
        }
        self.forget().map_err(Causes::new)
    }

    /// The host end, which bears the label once everything else was done.
    pub(crate) async fn host_end(&self) -> Result<Option<Link>, Error> {
        if let Some(link) = self.labelled(&self.label.host_end()).await? {
            return Ok(Some(link));
        }
        match self.record().and_then(|record| noted_host_end(&record, BRIDGE)) {
            Some(name) if name != self.label.host_end() => self.labelled(&name).await,
            _ => Ok(None),
        }
    }

    async fn labelled(&self, name: &str) -> Result<Option<Link>, Error> {
        let found = self.node.netlink().link_by_name(name).await?;
        Ok(found.filter(|link| link.alias == Some(self.label.alias())))
    }

    /// What is noted of the attachment. A note that cannot be read is as good as none, and is replaced or removed.
    pub(crate) fn record(&self) -> Option<CachedAttachment> {
        let (network, id) = (self.label.network(), self.label.container_id());
        match self.node.records.lookup(network, id, self.label.interface()) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!("{error}");
                None
            }
        }
    }

    pub(crate) fn forget(&self) -> Result<(), Error> {
        let (network, id) = (self.label.network(), self.label.container_id());
        Ok(self.node.records.remove(network, id, self.label.interface())?)
    }

    /// Finishes what an installed program made, so that it is like what this process makes: the host end bears the
    /// label, and neither end has an IPv6 that the pod has not.
    async fn adopt(&self, mut result: AddResult) -> Result<AddResult, Error> {
        let Some(path) = &self.netns else { return Ok(result) };
        let pod = Netlink::open_in(&Netns::open_other(path)?)?;
        let pod_end = pod.require_link(POD_INTERFACE).await?;
        let host_end = match pod_end.peer {
            Some(index) => self.node.netlink().link_by_index(index).await?,
            None => None,
        };
        let host_end = host_end.filter(|link| link.peer == Some(pod_end.index));
        let host_end = host_end.ok_or(Error::NoHostEnd { netns: path.clone() })?;
        without_ipv6(self.node.netlink(), &host_end).await?;
        if let Some(bridge) = host_end.master {
            let netlink = self.node.netlink();
            netlink.keep_without_ipv6_in_group(&host_end, port_group(bridge)).await?;
        }
        if result.ips.iter().all(|ip| ip.address.is_ipv4()) {
            without_ipv6(&pod, &pod_end).await?;
        }
        self.node.netlink().commit_port(&host_end, &self.node.port(self.label)).await?;
        name_host_end(&mut result, &host_end.name);
        Ok(result)
    }

    /// The Go programs wait for the detection of duplicate addresses, which can find none here.
    fn skip_address_detection(&self) -> Result<(), Error> {
        let Some(path) = &self.netns else { return Ok(()) };
        let skipped = Netns::open_other(path)?
            .run(|| sysctl::set("net/ipv6/conf/default/dad_transmits", "0"))?;
        match skipped {
            Err(error) if !error.is_gone() => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn delete_left_host_end(&self, record: Option<&CachedAttachment>) -> Result<(), Error> {
        let noted = record.and_then(|record| noted_host_end(record, BRIDGE));
        let Some(name) = noted.filter(|name| *name != self.label.host_end()) else {
            return Ok(());
        };
        match self.labelled(&name).await? {
            Some(link) => Ok(self.node.host.deleter().delete(&link).await?),
            None => Ok(()),
        }
    }

    async fn run(
        &self,
        verb: Verb,
        config: &PluginConfig,
        interface: &str,
    ) -> Result<Option<AddResult>, Error> {
        let attachment = CniAttachment {
            container_id: self.label.container_id().clone(),
            interface: InterfaceName::new(interface)?,
            netns: self.netns.clone(),
            args: CniArgs::default(),
        };
        let plugin = config.plugin_type()?;
        let request = Request { verb, attachment: Some(attachment), config: config.clone() };
        Ok(self.node.exec.run(&plugin, &request).await?)
    }
}

/// Keeps a link without IPv6 from now on, and takes the address that the kernel gave it.
async fn without_ipv6(netlink: &Netlink, link: &Link) -> Result<(), Error> {
    netlink.keep_without_ipv6(link).await?;
    for address in netlink.addresses(link).await?.iter().filter(|own| own.network.is_ipv6()) {
        match netlink.delete_address(link, address.network).await {
            Err(error) if !error.is_gone() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// A result before 0.3.0 names no interface.
fn name_host_end(result: &mut AddResult, name: &str) {
    if !result.interfaces.iter().any(|interface| interface.name == name) {
        let name = name.to_owned();
        result.interfaces.push(podnet_cni_spec::Interface { name, ..Default::default() });
    }
}

/// The label of a container's attachment, from which every name on the host follows.
pub(crate) fn label(container_id: &str) -> Result<Label, Error> {
    let container_id = ContainerId::new(container_id)?;
    let interface = InterfaceName::new(POD_INTERFACE)?;
    Ok(Label::new(NETWORK.parse()?, container_id, interface)?)
}
