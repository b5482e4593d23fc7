//! Links: look one up, list them, change and delete them.

use std::fmt;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridge, InfoBridgePort, InfoData, InfoPortData, LinkAttribute, LinkExtentMask, LinkFlags,
    LinkInfo, LinkMessage, State,
};
use rtnetlink::LinkUnspec;

use crate::delete::CONDEMNED;
use crate::error::Error;
use crate::mac::MacAddr;
use crate::netlink::Netlink;

/// A network interface as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own in the kernel's description"
)]
#[non_exhaustive]
pub struct Link {
    /// The kernel's number for it in its namespace.
    pub index: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// What made it: `bridge`, `veth`, `vxlan`; empty for hardware and loopback.
    pub kind: String,
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// Its Ethernet address, where it has one.
    pub mac: Option<MacAddr>,
    /// The index of the bridge (or bond) of which it is a port.
    pub master: Option<u32>,
    /// The text that an operator or podnet attached to it (`ip link set alias`).
    pub alias: Option<String>,
    /// Whether it is enabled (`IFF_UP`).
    pub up: bool,
    /// Whether it is a loopback interface.
    pub loopback: bool,
    /// Whether it has exactly one peer (tunnels, PPP).
    pub point_to_point: bool,
    /// Whether an operator or podnet had it take frames for any address (`IFF_PROMISC`); a capture does not count.
    pub promiscuous: bool,
    /// Whether an operator or podnet had it take every multicast frame (`IFF_ALLMULTI`).
    pub all_multicast: bool,
    /// How many packets may wait to be sent.
    pub tx_queue_len: u32,
    /// Whether the kernel says that packets can pass (RFC 2863 `up`).
    pub operational: bool,
    /// The index of a veth's other end, in that end's namespace.
    pub peer: Option<u32>,
    /// Whether a [`LinkDeleter`](crate::LinkDeleter) marked it: it is about to go, and must not be taken for one that
    /// stays.
    pub condemned: bool,
    /// How it behaves as the port of a bridge; none where it is none.
    pub port: Option<PortState>,
    /// Whether it is a bridge that keeps VLANs apart.
    pub vlan_filtering: bool,
}

/// How a link behaves as the port of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PortState {
    /// Whether frames may leave by the port by which they came.
    pub hairpin: bool,
    /// Whether it is cut off from other isolated ports.
    pub isolated: bool,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Link {
    fn from_message(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Link {
            index: message.header.index,
            name: String::new(),
            kind: String::new(),
            mtu: 0,
            mac: None,
            master: None,
            alias: None,
            up: flags.contains(LinkFlags::Up),
            loopback: flags.contains(LinkFlags::Loopback),
            point_to_point: flags.contains(LinkFlags::Pointopoint),
            promiscuous: flags.contains(LinkFlags::Promisc),
            all_multicast: flags.contains(LinkFlags::Allmulti),
            tx_queue_len: 0,
            operational: false,
            peer: None,
            condemned: false,
            port: None,
            vlan_filtering: false,
        };
        message.attributes.iter().for_each(|attribute| link.take(attribute));
        link
    }

    fn take(&mut self, attribute: &LinkAttribute) {
        match attribute {
            LinkAttribute::IfName(name) => self.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => self.mtu = *mtu,
            LinkAttribute::TxQueueLen(packets) => self.tx_queue_len = *packets,
            LinkAttribute::Address(bytes) => self.mac = MacAddr::from_slice(bytes),
            LinkAttribute::Controller(index) => self.master = Some(*index),
            LinkAttribute::Link(index) => self.peer = Some(*index),
            LinkAttribute::IfAlias(alias) => self.alias = Some(alias.clone()),
            LinkAttribute::OperState(state) => self.operational = *state == State::Up,
            LinkAttribute::Group(group) => self.condemned = *group == CONDEMNED,
            LinkAttribute::LinkInfo(infos) => infos.iter().for_each(|info| self.take_info(info)),
            _ => {}
        }
    }

    fn take_info(&mut self, info: &LinkInfo) {
        match info {
            LinkInfo::Kind(kind) => self.kind = kind.to_string(),
            LinkInfo::PortData(InfoPortData::BridgePort(data)) => {
                self.port = Some(port_state(data));
            }
            LinkInfo::Data(InfoData::Bridge(data)) => {
                self.vlan_filtering = data.contains(&InfoBridge::VlanFiltering(true));
            }
            _ => {}
        }
    }
}

fn port_state(data: &[InfoBridgePort]) -> PortState {
    let mut port = PortState::default();
    for datum in data {
        match datum {
            InfoBridgePort::HairpinMode(on) => port.hairpin = *on,
            InfoBridgePort::Isolated(on) => port.isolated = *on,
            _ => {}
        }
    }
    port
}

impl Netlink {
    /// The link of this name, if there is one. One request, whatever the number of links.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn link_by_name(&self, name: &str) -> Result<Option<Link>, Error> {
        self.one_link(LinkUnspec::new_with_name(name).build(), name).await
    }

    /// The link of this index, if there is one.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn link_by_index(&self, index: u32) -> Result<Option<Link>, Error> {
        let what = format!("interface number {index}");
        self.one_link(LinkUnspec::new_with_index(index).build(), &what).await
    }

    /// The link of this name, which must exist.
    ///
    /// # Errors
    /// [`Error::NoSuchLink`] when it does not; [`Error::Netlink`].
    pub async fn require_link(&self, name: &str) -> Result<Link, Error> {
        self.link_by_name(name).await?.ok_or_else(|| Error::NoSuchLink(name.to_owned()))
    }

    /// Every link of the namespace.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn links(&self) -> Result<Vec<Link>, Error> {
        self.dump_links(LinkMessage::default()).await
    }

    /// The ports of the bridge with this index.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn bridge_ports(&self, bridge: u32) -> Result<Vec<Link>, Error> {
        let mut links =
            self.dump_links(LinkUnspec::new_with_index(0).controller(bridge).build()).await?;
        // The kernel filters too; a kernel that does not must not make strangers ours.
        links.retain(|link| link.master == Some(bridge));
        Ok(links)
    }

    /// Enables a link.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn set_link_up(&self, index: u32) -> Result<(), Error> {
        self.change_link(LinkUnspec::new_with_index(index).up().build(), || {
            format!("enable interface number {index}")
        })
        .await
    }

    /// Disables a link.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn set_link_down(&self, index: u32) -> Result<(), Error> {
        self.change_link(LinkUnspec::new_with_index(index).down().build(), || {
            format!("disable interface number {index}")
        })
        .await
    }

    /// Sets a link's MTU, in bytes.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn set_link_mtu(&self, index: u32, mtu: u32) -> Result<(), Error> {
        self.change_link(LinkUnspec::new_with_index(index).mtu(mtu).build(), || {
            format!("set the MTU of interface number {index} to {mtu}")
        })
        .await
    }

    /// Has a link take frames for any address, or no longer.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn set_link_promiscuous(&self, index: u32, on: bool) -> Result<(), Error> {
        self.change_link(LinkUnspec::new_with_index(index).promiscuous(on).build(), || {
            format!("set promiscuous mode of interface number {index}")
        })
        .await
    }

    pub(crate) async fn change_link(
        &self,
        message: LinkMessage,
        action: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        self.request(RouteNetlinkMessage::NewLink(message), 0, action).await.map(drop)
    }

    async fn one_link(&self, mut message: LinkMessage, what: &str) -> Result<Option<Link>, Error> {
        message.attributes.push(without_statistics());
        let request = RouteNetlinkMessage::GetLink(message);
        match self.request(request, 0, || format!("look up {what}")).await {
            Ok(answers) => Ok(answers.iter().find_map(link)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn dump_links(&self, mut message: LinkMessage) -> Result<Vec<Link>, Error> {
        message.attributes.push(without_statistics());
        let request = RouteNetlinkMessage::GetLink(message);
        let answers = self.dump(&request, || "list interfaces".to_owned()).await?;
        Ok(answers.iter().filter_map(link).collect())
    }
}

/// Statistics are two thirds of a link's description and nobody here reads them.
fn without_statistics() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

pub(crate) fn link(answer: &RouteNetlinkMessage) -> Option<Link> {
    match answer {
        RouteNetlinkMessage::NewLink(message) => Some(Link::from_message(message)),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) fn link_for_tests(index: u32, name: &str, mtu: u32) -> Link {
    let mut message = LinkUnspec::new_with_name(name).index(index).mtu(mtu).up().build();
    message.header.index = index;
    Link::from_message(&message)
}
