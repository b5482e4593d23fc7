//! Masquerade and host ports by one nftables table of ours, `inet podnet`, changed in transactions and by no program.
//!
//! Chains and rules follow from the networks ([`NatTable::ensure`]); host ports are elements of two maps
//! ([`NatTable::publish`]), so that one more costs what the first did and rules mended later leave them alone. Other
//! tables are never touched, with one exception: where the FORWARD chain of iptables drops by policy, as Docker has it,
//! nothing in our table can let a packet pass, and two rules of ours go to its head.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnetwork::IpNetwork;
use podnet_cni_spec::{InterfaceName, NetworkName};
use podnet_netutil::{Conntrack, MacAddr, Nft};
use tokio::sync::Mutex;

use crate::error::Error;

mod audit;
mod change;
mod clients;
mod conditions;
mod elements;
mod forward;
mod hostports;
mod layout;
mod left_over;
mod listeners;
mod networks;
mod present;
mod stale;
mod wanted;

pub use self::conditions::Conditions;

use self::audit::Verified;
pub(crate) use self::forward::is_forwarding;
use self::present::Present;

/// The nftables table of this host's pods. Cloning shares it.
#[derive(Debug, Clone)]
pub struct NatTable {
    nft: Nft,
    conntrack: Conntrack,
    lock_file: Arc<PathBuf>,
    verified: Arc<Mutex<Verified>>,
    /// The elements as the last change of ours left them.
    left: Arc<Mutex<Option<Present>>>,
}

/// What a network's pods need of the host's address translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatNetwork {
    /// The network's name.
    pub name: NetworkName,
    /// The bridge of its pods.
    pub bridge: InterfaceName,
    /// The networks that its pods' addresses are from.
    pub pod_cidrs: Vec<IpNetwork>,
    /// Destinations that see the pods' own addresses.
    pub non_masquerade: Vec<IpNetwork>,
    /// Whether all other destinations see the host's.
    pub masquerade: bool,
    /// For a bridge in promiscuous mode: what keeps its pods from getting packets twice.
    pub dedup: Option<Dedup>,
    /// The bridge that is to have its pods' multicast listener reports alone. Without, it hands each on to all other
    /// pods, and to attach one costs as much as there are.
    pub reports_to: Option<Reporting>,
}

/// Where the multicast listener reports of pods go: to the host, which is their only router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reporting {
    /// The bridge's Ethernet address.
    pub bridge_mac: MacAddr,
    /// The link group of its ports ([`port_group`](podnet_netutil::bridge::port_group)).
    pub port_group: u32,
}

/// A bridge in promiscuous mode floods what it sends itself: those copies are dropped on their way to the pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedup {
    /// The bridge's Ethernet address.
    pub bridge_mac: MacAddr,
    /// Its own addresses, each with the network of its pods.
    pub gateways_and_cidrs: Vec<(IpAddr, IpNetwork)>,
}

/// A transport protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its number in the IP header.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|found| found.number() == number)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// A port of the host that leads to one of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The protocol.
    pub protocol: Protocol,
    /// The host's address; none for all of them.
    pub host_ip: Option<IpAddr>,
    /// The port of the host.
    pub host_port: u16,
    /// The port of the pod.
    pub container_port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}/{}", self.host_port, self.protocol),
            Some(ip) => write!(f, "{ip}:{}/{}", self.host_port, self.protocol),
            None => write!(f, "{}/{}", self.host_port, self.protocol),
        }
    }
}

/// How host ports are published.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Publishing {
    /// Whether a port on which a process of the host listens is refused. Some runtimes bind published ports themselves.
    pub refuse_listeners: bool,
    /// Whether a pod that comes by its own host port is given the host's address, without which it cannot answer itself.
    pub hairpin: bool,
    /// Whether every client that comes by a host port gets the host's address.
    pub masquerade_all: bool,
    /// Which packets the ports are for.
    pub conditions: Conditions,
}

impl Default for Publishing {
    fn default() -> Self {
        let conditions = Conditions::default();
        Self { refuse_listeners: true, hairpin: true, masquerade_all: false, conditions }
    }
}

/// A host port as it stands in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The text of the label of the attachment it belongs to ([`Label::alias`](crate::Label::alias)).
    pub label: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The host's address; none for all of the family of `pod_ip`.
    pub host_ip: Option<IpAddr>,
    /// The port of the host.
    pub host_port: u16,
    /// The pod's address.
    pub pod_ip: IpAddr,
    /// The port of the pod.
    pub container_port: u16,
    /// For a port that only some packets reach, by what map and chains of its conditions are named; none for all packets.
    pub conditions: Option<String>,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, host_ip, host_port, container_port, .. } = *self;
        HostPort { protocol, host_ip, host_port, container_port }.fmt(f)
    }
}

impl NatTable {
    /// Opens nftables in the calling thread's network namespace; nothing is changed yet.
    ///
    /// `runtime_dir` (usually `/run/podnet`) holds the lock by which several processes take turns in publishing. It is
    /// made when the lock is first taken.
    ///
    /// # Errors
    /// [`Error::Net`] when the system gives no netlink socket.
    pub fn open(runtime_dir: &Path) -> Result<Self, Error> {
        Self::over(Nft::open()?, runtime_dir)
    }

    pub(crate) fn over(nft: Nft, runtime_dir: &Path) -> Result<Self, Error> {
        Ok(Self {
            nft,
            conntrack: Conntrack::open()?,
            lock_file: Arc::new(runtime_dir.join("hostports.lock")),
            verified: Arc::default(),
            left: Arc::default(),
        })
    }

    /// The host's nftables, for what is not in our table.
    pub(crate) fn nft(&self) -> &Nft {
        &self.nft
    }
}

#[cfg(test)]
mod tests;
