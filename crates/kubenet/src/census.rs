//! Every pod of which there is a trace on the node: an interface, an address, a rule, a queue, a cached result.

use std::collections::BTreeMap;
use std::net::IpAddr;

use podnet_cni_plugin::CachedAttachment;
use podnet_netutil::Link;
use podnet_standard_plugins::Label;
use podnet_standard_plugins::host_local::reservations;
use podnet_standard_plugins::nat::Published;

use crate::attachment;
use crate::bridge::label_of;
use crate::error::Error;
use crate::node::Node;
use crate::plugin::{BRIDGE, NETWORK, POD_INTERFACE};
use crate::promise::noted_host_end;

/// The traces, by the sandbox's id.
pub(crate) struct Census {
    pub(crate) bridge: Option<Link>,
    pub(crate) links: Vec<Link>,
    pub(crate) pods: BTreeMap<String, Traces>,
    /// Whether a veth on cbr0 bears no label: then some other program attached a pod, and which one nobody can tell.
    pub(crate) has_strangers: bool,
}

/// What there is of one pod.
pub(crate) struct Traces {
    pub(crate) label: Label,
    pub(crate) host_end: Option<Link>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) record: Option<CachedAttachment>,
    pub(crate) published: Vec<Published>,
    pub(crate) has_queue: bool,
}

impl Traces {
    fn new(label: Label) -> Self {
        Self {
            label,
            host_end: None,
            ips: Vec::new(),
            record: None,
            published: Vec::new(),
            has_queue: false,
        }
    }
}

impl Census {
    pub(crate) async fn take(node: &Node) -> Result<Self, Error> {
        let links = node.netlink().links().await?;
        let bridge = links.iter().find(|link| link.name == BRIDGE).cloned();
        let is_port =
            |link: &&Link| bridge.as_ref().is_some_and(|it| link.master == Some(it.index));
        let has_strangers = links
            .iter()
            .filter(is_port)
            .any(|link| link.kind == "veth" && label_of(link).is_none() && !link.condemned);
        let mut census = Self { bridge, links: Vec::new(), pods: BTreeMap::new(), has_strangers };
        for link in &links {
            census.count_link(link);
        }
        census.links = links;
        for reservation in reservations(&node.networks_dir.join(NETWORK))? {
            let is_pods = reservation.interface.as_deref().is_none_or(|it| it == POD_INTERFACE);
            let id = reservation.container_id.as_deref().filter(|_| is_pods);
            if let Some(traces) = id.and_then(|id| census.traces(attachment::label(id).ok()?)) {
                traces.ips.push(reservation.address);
            }
        }
        for published in node.nat.published().await? {
            let label = Label::from_alias(&published.label);
            if let Some(traces) = label.and_then(|label| census.traces(label)) {
                traces.published.push(published);
            }
        }
        for record in node.records.attachments()? {
            let attachment = &record.runtime.attachment;
            let is_pods = record.network.as_str() == NETWORK
                && attachment.interface.as_str() == POD_INTERFACE;
            let label = attachment::label(attachment.container_id.as_str()).ok();
            if let Some(traces) = label.filter(|_| is_pods).and_then(|it| census.traces(it)) {
                traces.record = Some(record);
            }
        }
        Ok(census)
    }

    fn count_link(&mut self, link: &Link) {
        let Some(label) = label_of(link) else { return };
        let Some(traces) = self.traces(label) else { return };
        match link.kind.as_str() {
            "veth" if !link.condemned => traces.host_end = Some(link.clone()),
            "ifb" => traces.has_queue = true,
            _ => {}
        }
    }

    fn traces(&mut self, label: Label) -> Option<&mut Traces> {
        if label.network().as_str() != NETWORK || label.interface().as_str() != POD_INTERFACE {
            return None;
        }
        let id = label.container_id().as_str().to_owned();
        Some(self.pods.entry(id).or_insert_with(|| Traces::new(label)))
    }

    /// Whether the kernel shows that a pod lives, or may live because it was attached by a program that sets no labels.
    pub(crate) fn lives(&self, traces: &Traces) -> bool {
        traces.host_end.is_some() || (self.has_strangers && self.may_be_a_stranger(traces))
    }

    /// A runtime notes what it attached by the Go programs in the same place and format, and the veth that it names bears
    /// no label.
    fn may_be_a_stranger(&self, traces: &Traces) -> bool {
        let noted = traces.record.as_ref().and_then(|record| noted_host_end(record, BRIDGE));
        noted.is_none_or(|name| {
            self.links
                .iter()
                .any(|link| link.name == name && link.kind == "veth" && !link.condemned)
        })
    }
}
