//! Addresses of links.

use std::net::IpAddr;
use std::path::Path;

use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::Error;
use crate::link::Link;
use crate::netlink::Netlink;
use crate::netns::Netns;

/// An address on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The address with the length of its network's prefix.
    pub network: IpNetwork,
    /// Whether it is valid beyond the link (scope `global`).
    pub global: bool,
}

impl Netlink {
    /// The addresses of a link, of both families, in the kernel's order.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn addresses(&self, link: &Link) -> Result<Vec<Address>, Error> {
        let mut message = AddressMessage::default();
        message.header.index = link.index;
        let request = RouteNetlinkMessage::GetAddress(message);
        let answers = self.dump(&request, || format!("list addresses of {link}")).await?;
        Ok(answers.iter().filter_map(|answer| address(answer, link.index)).collect())
    }

    /// The first address of each family that is valid beyond the link, IPv4 first: what the kubelet calls a pod's IPs.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn global_ips(&self, link: &Link) -> Result<Vec<IpAddr>, Error> {
        let addresses = self.addresses(link).await?;
        let ips =
            || addresses.iter().filter(|address| address.global).map(|found| found.network.ip());
        Ok(ips().find(IpAddr::is_ipv4).into_iter().chain(ips().find(IpAddr::is_ipv6)).collect())
    }

    /// Gives a link an address. IPv6 addresses are usable at once: no duplicate address detection.
    ///
    /// # Errors
    /// [`Error::Netlink`], with [`Error::is_already_there`] when the link has it.
    pub async fn add_address(&self, link: &Link, network: IpNetwork) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewAddress(message(link, network));
        let action = || format!("add address {network} to {link}");
        self.request(message, NLM_F_CREATE | NLM_F_EXCL, action).await.map(drop)
    }

    /// Takes an address from a link.
    ///
    /// # Errors
    /// [`Error::Netlink`], with [`Error::is_gone`] when the link does not have it.
    pub async fn delete_address(&self, link: &Link, network: IpNetwork) -> Result<(), Error> {
        let message = RouteNetlinkMessage::DelAddress(message(link, network));
        self.request(message, 0, || format!("remove address {network} from {link}")).await.map(drop)
    }
}

/// The addresses by which a pod is known: the first global one of each family on its `interface`, IPv4 first, as the
/// kubelet looks for them. None where the pod's namespace, at `netns`, has no such interface.
///
/// # Errors
/// [`Error::Netns`] when there is no namespace at `netns` or it is the host's own; [`Error::Netlink`].
pub async fn of_pod(netns: &Path, interface: &str) -> Result<Option<Vec<IpAddr>>, Error> {
    let netlink = Netlink::open_in(&Netns::open_other(netns)?)?;
    let Some(link) = netlink.link_by_name(interface).await? else { return Ok(None) };
    netlink.global_ips(&link).await.map(Some)
}

fn message(link: &Link, network: IpNetwork) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = link.index;
    message.header.prefix_len = network.prefix();
    message.attributes.push(AddressAttribute::Local(network.ip()));
    message.attributes.push(AddressAttribute::Address(network.ip()));
    match network {
        IpNetwork::V4(v4) => {
            message.header.family = AddressFamily::Inet;
            // /31 and /32 have no broadcast address (RFC 3021).
            if v4.prefix() < 31 {
                message.attributes.push(AddressAttribute::Broadcast(v4.broadcast()));
            }
        }
        IpNetwork::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
    }
    message
}

fn address(answer: &RouteNetlinkMessage, index: u32) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
    if message.header.index != index {
        return None;
    }
    let ip = local(&message.attributes)?;
    Some(Address {
        network: IpNetwork::new(ip, message.header.prefix_len).ok()?,
        global: message.header.scope == AddressScope::Universe,
    })
}

/// `IFA_LOCAL` is the link's own address; `IFA_ADDRESS` is the peer's where they differ, and IPv6 has only that one.
fn local(attributes: &[AddressAttribute]) -> Option<IpAddr> {
    let own = attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(ip) => Some(*ip),
        _ => None,
    });
    own.or_else(|| {
        attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(ip) => Some(*ip),
            _ => None,
        })
    })
}
