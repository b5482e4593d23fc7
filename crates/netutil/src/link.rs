//! Links: look one up, list them, change and delete them.

use std::fmt;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use rtnetlink::LinkUnspec;

use crate::delete::CONDEMNED;
use crate::error::Error;
use crate::mac::MacAddr;
use crate::netfilter::attribute::{find, text, walk};
use crate::netlink::{Answer, Netlink};

const RTM_NEWLINK: u16 = 16;
const HEADER_BYTES: usize = 16;
/// `IF_OPER_UP`.
const OPERATIONAL: u8 = 6;

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
    /// Whether it is a bridge that hands multicast only to those whose reports it saw, once somebody asks for reports.
    pub multicast_snooping: bool,
    /// Whether it accepts router advertisements in some case (its `accept_ra` is not 0); none where the kernel does not say,
    /// for example without IPv6.
    pub accepts_router_advertisements: Option<bool>,
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
    /// A link without properties.
    fn unknown(index: u32, flags: u32) -> Self {
        let has = |flag| flags & flag != 0;
        Self {
            index,
            name: String::new(),
            kind: String::new(),
            mtu: 0,
            mac: None,
            master: None,
            alias: None,
            up: has(flag::UP),
            loopback: has(flag::LOOPBACK),
            point_to_point: has(flag::POINT_TO_POINT),
            promiscuous: has(flag::PROMISCUOUS),
            all_multicast: has(flag::ALL_MULTICAST),
            tx_queue_len: 0,
            operational: false,
            peer: None,
            condemned: false,
            port: None,
            vlan_filtering: false,
            multicast_snooping: false,
            accepts_router_advertisements: None,
        }
    }

    /// Takes in one attribute of the kernel's description (`include/uapi/linux/if_link.h`, `IFLA_*`).
    ///
    /// The others, among them most parameters of both IP families, are most of the description; to decode them all takes
    /// ten times as long as the kernel needs to write it.
    fn take(&mut self, kind: u16, value: &[u8]) {
        match kind {
            1 => self.mac = MacAddr::from_slice(value),
            3 => self.name = text(value),
            4 => self.mtu = number(value).unwrap_or_default(),
            5 => self.peer = number(value),
            10 => self.master = number(value),
            13 => self.tx_queue_len = number(value).unwrap_or_default(),
            16 => self.operational = value.first() == Some(&OPERATIONAL),
            18 => self.take_info(value),
            20 => self.alias = Some(text(value)),
            26 => self.accepts_router_advertisements = accept_ra(value).map(|mode| mode != 0),
            27 => self.condemned = number(value) == Some(CONDEMNED),
            _ => {}
        }
    }

    /// Takes in what links of its kind have (`IFLA_INFO_*`, `IFLA_BR_*`, `IFLA_BRPORT_*`).
    fn take_info(&mut self, info: &[u8]) {
        let is_on =
            |data, kind| find(data, kind).and_then(<[u8]>::first).is_some_and(|on| *on != 0);
        self.kind = find(info, 1).map(text).unwrap_or_default();
        if self.kind == "bridge" {
            let data = find(info, 2).unwrap_or_default();
            self.vlan_filtering = is_on(data, 7);
            self.multicast_snooping = is_on(data, 23);
        }
        if find(info, 4).map(text).as_deref() == Some("bridge") {
            self.port = find(info, 5)
                .map(|data| PortState { hairpin: is_on(data, 4), isolated: is_on(data, 33) });
        }
    }
}

/// `accept_ra` of what a link has for each family: in `AF_INET6`, the list `IFLA_INET6_CONF`, at `DEVCONF_ACCEPT_RA`.
fn accept_ra(families: &[u8]) -> Option<u32> {
    const PLACE: usize = 3;
    let parameters = find(find(families, 10)?, 2)?;
    parameters.get(PLACE * size_of::<u32>()..).and_then(number)
}

/// The flags of a link that are asked for (`include/uapi/linux/if.h`, `IFF_*`).
mod flag {
    pub(super) const UP: u32 = 0x1;
    pub(super) const LOOPBACK: u32 = 0x8;
    pub(super) const POINT_TO_POINT: u32 = 0x10;
    pub(super) const PROMISCUOUS: u32 = 0x100;
    pub(super) const ALL_MULTICAST: u32 = 0x200;
}

/// A number in the machine's byte order, as routing netlink has them.
fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().copied().map(u32::from_ne_bytes)
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
        let answers = self.list(request, || "list interfaces".to_owned()).await?;
        Ok(answers.iter().filter_map(link).collect())
    }
}

/// Statistics are two thirds of a link's description and nobody here reads them.
fn without_statistics() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

/// The link that a message describes, if it is one that does: a header (`struct ifinfomsg`), then attributes.
pub(crate) fn link(answer: &Answer) -> Option<Link> {
    let (header, attributes) = answer.payload.split_first_chunk::<HEADER_BYTES>()?;
    let [_, _, _, _, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *header;
    if answer.kind != RTM_NEWLINK {
        return None;
    }
    let mut link =
        Link::unknown(u32::from_ne_bytes([i0, i1, i2, i3]), u32::from_ne_bytes([f0, f1, f2, f3]));
    walk(attributes).for_each(|(kind, value)| link.take(kind, value));
    Some(link)
}

#[cfg(test)]
pub(crate) fn link_for_tests(index: u32, name: &str, mtu: u32) -> Link {
    Link { name: name.to_owned(), mtu, ..Link::unknown(index, flag::UP) }
}
