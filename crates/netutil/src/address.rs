//! Addresses of links.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
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
    /// Whether the link may have it.
    pub claim: Claim,
}

/// How far a link has come with claiming an address (RFC 4862, duplicate address detection). IPv4 claims nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Claim {
    /// It may be used.
    #[default]
    Settled,
    /// The link is still asking whether somebody else has it.
    Tentative,
    /// Somebody else has it.
    Refused,
}

/// How long a link may take to claim its addresses; the Go plugins wait as long.
const CLAIM_DEADLINE: Duration = Duration::from_secs(5);
const CLAIM_PAUSE: Duration = Duration::from_millis(20);

impl Netlink {
    /// The addresses of a link, of both families, in the kernel's order.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn addresses(&self, link: &Link) -> Result<Vec<Address>, Error> {
        let mut message = AddressMessage::default();
        message.header.index = link.index;
        let request = RouteNetlinkMessage::GetAddress(message);
        let answers = self.dump(request, || format!("list addresses of {link}")).await?;
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
        let mut message = message(link, network);
        if network.is_ipv6() {
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        self.new_address(link, network, message).await
    }

    /// Gives a link an address, which an IPv6 link claims first where its parameter `accept_dad` says so; see
    /// [`Netlink::wait_for_claims`].
    ///
    /// # Errors
    /// [`Error::Netlink`], with [`Error::is_already_there`] when the link has it.
    pub async fn claim_address(&self, link: &Link, network: IpNetwork) -> Result<(), Error> {
        self.new_address(link, network, message(link, network)).await
    }

    async fn new_address(
        &self,
        link: &Link,
        network: IpNetwork,
        message: AddressMessage,
    ) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewAddress(message);
        let action = || format!("add address {network} to {link}");
        self.request(message, NLM_F_CREATE | NLM_F_EXCL, action).await.map(drop)
    }

    /// Waits until a link has claimed all its addresses.
    ///
    /// # Errors
    /// [`Error::AddressTaken`] when somebody else has one; [`Error::AddressUnclaimed`] after 5 s; [`Error::Netlink`].
    pub async fn wait_for_claims(&self, link: &Link) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let addresses = self.addresses(link).await?;
            let with = |claim| addresses.iter().find(move |address| address.claim == claim);
            if let Some(taken) = with(Claim::Refused) {
                return Err(Error::AddressTaken {
                    link: link.name.clone(),
                    address: taken.network,
                });
            }
            let Some(open) = with(Claim::Tentative) else { return Ok(()) };
            if begun.elapsed() >= CLAIM_DEADLINE {
                let (link, address) = (link.name.clone(), open.network);
                return Err(Error::AddressUnclaimed { link, address });
            }
            tokio::time::sleep(CLAIM_PAUSE).await;
        }
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
        claim: claim(message.header.flags),
    })
}

fn claim(flags: AddressHeaderFlags) -> Claim {
    if flags.contains(AddressHeaderFlags::Dadfailed) {
        Claim::Refused
    } else if flags.contains(AddressHeaderFlags::Tentative) {
        Claim::Tentative
    } else {
        Claim::Settled
    }
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
