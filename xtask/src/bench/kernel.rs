//! The kernel's floor: the netlink messages without which no pod is attached, and nothing around them.
//!
//! No address is chosen or remembered, nothing is looked up, labelled or waited for, and IPv6 is switched off before
//! anything is timed.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use ipnetwork::{IpNetwork, Ipv4Network};
use podnet_kubenet::BRIDGE;
use podnet_netutil::{Link, LinkDeleter, MacAddr, Netlink, Route, VethPair, sysctl};
use podnet_testkit::Pod;

use super::contender::Step;
use super::field::{Field, GATEWAY, MTU, POD_CIDR};

/// The index of `lo` in every namespace (`LOOPBACK_IFINDEX` of the kernel).
const LO: u32 = 1;
const IPV6_OFF: &str = "net/ipv6/conf/default/disable_ipv6";

/// A bridge to attach pods to, and the address that the next one gets.
pub(super) struct Kernel {
    netlink: Netlink,
    deleter: LinkDeleter,
    bridge: Link,
    gateway: IpNetwork,
    addresses: Ipv4Network,
    next: AtomicU32,
}

impl Kernel {
    /// Makes the bridge, and switches IPv6 off for every link that is made later.
    pub(super) async fn prepare(field: &Field) -> Result<Self> {
        field.host.netns().run(without_ipv6)??;
        for pod in field.standing.iter().chain(&field.passing) {
            pod.netns().run(without_ipv6)??;
        }
        let netlink = Netlink::open_in(field.host.netns())?;
        netlink.create_bridge(BRIDGE, mac(0, 0)).await?;
        let bridge = netlink.require_link(BRIDGE).await?;
        let gateway = GATEWAY.parse()?;
        netlink.add_address(&bridge, gateway).await?;
        netlink.set_link_up(bridge.index).await?;
        Ok(Self {
            deleter: LinkDeleter::new(netlink.clone(), None),
            netlink,
            bridge,
            gateway,
            addresses: POD_CIDR.parse()?,
            next: AtomicU32::new(2),
        })
    }

    /// Attaches a pod and says with which address, or detaches it.
    pub(super) async fn perform(&self, step: Step, pod: &Pod) -> Result<Option<IpAddr>> {
        match step {
            Step::SetUp => self.attach(pod).await.map(Some),
            Step::TearDown => self.detach(pod).await.map(|()| None),
        }
    }

    async fn attach(&self, pod: &Pod) -> Result<IpAddr> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let address: Ipv4Addr = self.addresses.nth(number).context("the subnet is used up")?;
        let pair = VethPair {
            host_name: pod.name(),
            host_mac: mac(1, number),
            bridge: Some(self.bridge.index),
            peer_name: "eth0",
            peer_mac: mac(2, number),
            peer_netns: pod.netns(),
            mtu: Some(MTU),
        };
        let peer = self.netlink.create_veth(&pair).await?.peer;
        let inside = Netlink::open_in(pod.netns())?;
        inside.set_link_up(LO).await?;
        inside.set_link_up(peer.index).await?;
        let network = Ipv4Network::new(address, self.addresses.prefix())?;
        inside.add_address(&peer, IpNetwork::V4(network)).await?;
        let everywhere: IpNetwork = Ipv4Network::new(Ipv4Addr::UNSPECIFIED, 0)?.into();
        inside.add_route(&peer, &Route::new(everywhere, Some(self.gateway.ip()))).await?;
        Ok(address.into())
    }

    async fn detach(&self, pod: &Pod) -> Result<()> {
        Netlink::open_in(pod.netns())?.set_link_down(LO).await?;
        let host_end = self.netlink.require_link(pod.name()).await?;
        Ok(self.deleter.delete(&host_end).await?)
    }
}

/// A kernel without IPv6 has nothing to switch off.
fn without_ipv6() -> Result<(), podnet_netutil::Error> {
    if sysctl::read(IPV6_OFF).is_ok() { sysctl::set(IPV6_OFF, "1") } else { Ok(()) }
}

fn mac(side: u8, number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr::local([side << 4, a, b, c, d, side])
}
