//! Virtual Ethernet pairs, made in one message with the peer already in its own namespace.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::{LinkUnspec, LinkVeth};

use crate::error::{Error, RequestError};
use crate::link::{Link, link};
use crate::mac::MacAddr;
use crate::netlink::Netlink;
use crate::netns::Netns;

/// A veth pair to be made: one end in this namespace, most often on a bridge, the peer in a pod's.
#[derive(Debug, Clone)]
pub struct VethPair<'a> {
    /// Name of the end that stays here, at most 15 bytes.
    pub host_name: &'a str,
    /// Ethernet address of the end that stays here.
    pub host_mac: MacAddr,
    /// Index of the bridge of which the end that stays here becomes a port, if of any.
    pub bridge: Option<u32>,
    /// Name of the peer, at most 15 bytes.
    pub peer_name: &'a str,
    /// Ethernet address of the peer.
    pub peer_mac: MacAddr,
    /// The namespace in which the peer is born; moving it later costs 23 ms.
    pub peer_netns: &'a Netns,
    /// MTU of both ends in bytes; the kernel's default (1500) where none is given.
    pub mtu: Option<u32>,
}

/// The two ends of a veth pair that was made.
#[derive(Debug, Clone)]
pub struct VethEnds {
    /// The end that stays here.
    pub host: Link,
    /// The peer, as it was born in its namespace: disabled.
    pub peer: Link,
}

impl Netlink {
    /// Makes a veth pair.
    ///
    /// The host end is born enabled and, where there is one, as a port of the bridge; the peer is born disabled (the kernel refuses
    /// otherwise, ENOTCONN). Either has one queue for each direction, which is all that the kernel uses of the many that it
    /// makes where no number is given: one for each processor that there could be, which costs more than the rest. Port flags and alias are ignored by the kernel in this message and need
    /// [`Netlink::commit_port`].
    ///
    /// # Errors
    /// [`Error::Netlink`], with [`Error::is_already_there`] when either name is taken.
    pub async fn create_veth(&self, pair: &VethPair<'_>) -> Result<VethEnds, Error> {
        let one_queue = || [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];
        let mut peer = LinkUnspec::new_with_name(pair.peer_name)
            .address(pair.peer_mac.octets().to_vec())
            .setns_by_fd(pair.peer_netns.raw_fd());
        let mut host = LinkVeth::new(pair.host_name, pair.peer_name)
            .address(pair.host_mac.octets().to_vec())
            .up();
        if let Some(bridge) = pair.bridge {
            host = host.controller(bridge);
        }
        if let Some(mtu) = pair.mtu {
            peer = peer.mtu(mtu);
            host = host.mtu(mtu);
        }
        let mut peer = peer.build();
        peer.attributes.extend(one_queue());
        let mut host = host.set_info_data(InfoData::Veth(InfoVeth::Peer(peer))).build();
        host.attributes.extend(one_queue());
        let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO;
        let action = || format!("create veth {} with peer {}", pair.host_name, pair.peer_name);
        let answers = self.request(RouteNetlinkMessage::NewLink(host), flags, action).await?;
        let host = match answers.iter().find_map(link) {
            Some(made) => made,
            // Kernels before 6.2 do not echo what was made.
            None => self.require_link(pair.host_name).await?,
        };
        let peer = peer_of(pair, &host).ok_or_else(|| Error::Netlink {
            action: action(),
            source: RequestError::AnswerIncomplete,
        })?;
        Ok(VethEnds { host, peer })
    }
}

/// The peer follows from what was asked for and from the index that the kernel reports at the host end: looking it up
/// in its own namespace would be one request more for each pod.
fn peer_of(pair: &VethPair<'_>, host: &Link) -> Option<Link> {
    Some(Link {
        index: host.peer?,
        name: pair.peer_name.to_owned(),
        mac: Some(pair.peer_mac),
        master: None,
        alias: None,
        up: false,
        operational: false,
        peer: None,
        condemned: false,
        port: None,
        ..host.clone()
    })
}
