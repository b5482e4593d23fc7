//! cbr0: made, kept as it should be, and refused where it is somebody else's.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipnetwork::IpNetwork;
use podnet_netutil::bridge::port_group;
use podnet_netutil::lock::NamespaceLock;
use podnet_netutil::sysctl::{self, Family};
use podnet_netutil::{Link, MacAddr, Netlink};
use podnet_plugin_api::{HairpinMode, Mtu, PodCidrs};
use podnet_standard_plugins::Label;
use podnet_standard_plugins::nat::{Dedup, NatNetwork, Reporting};

use crate::error::Error;
use crate::gateways::Gateways;
use crate::node::Node;
use crate::plugin::{BRIDGE, NETWORK};
use crate::seen::Seen;

/// The lock under which cbr0 is claimed.
const CLAIM: &str = "podnet/cbr0";
const CLAIM_WAIT: Duration = Duration::from_secs(5);
/// What the kubelet takes where it cannot find an MTU.
pub(crate) const FALLBACK_MTU: u32 = 1460;

/// The MTU for cbr0 and the pods: the operator's, or that of the narrowest enabled normal interface.
pub(crate) fn choose_mtu(seen: &Seen, wanted: Option<Mtu>) -> Result<Mtu, Error> {
    if let Some(mtu) = wanted {
        return Ok(mtu);
    }
    let narrowest = seen.narrowest.as_ref();
    Ok(Mtu::new(narrowest.map_or(FALLBACK_MTU, |narrowest| narrowest.mtu))?)
}

/// cbr0 as it is ready for a pod.
pub(crate) struct Prepared {
    pub(crate) bridge: Link,
    /// The gateways of earlier pod CIDRs that it carries beside those in force.
    pub(crate) earlier: Vec<IpNetwork>,
    /// Whether it was missing.
    pub(crate) made: bool,
}

/// Makes cbr0 where there is none, and has it follow the MTU and the pod CIDRs, before a pod is attached to it.
///
/// For every pod anew, because others change it too; and not when kubenet starts: whoever only asks for a status,
/// perhaps with another pod CIDR, must change nothing.
pub(crate) async fn prepare(node: &Node, gateways: &Gateways<'_>) -> Result<Prepared, Error> {
    let (seen, mtu) = (node.look().await?, node.mtu().await?.get());
    if let Some(port) = &seen.foreign_port {
        return Err(Error::ForeignPort { port: port.name.clone(), kind: kind_of(port) });
    }
    let netlink = gateways.netlink;
    let found = netlink.link_by_name(BRIDGE).await?;
    let made = found.is_none();
    let mut bridge = match found {
        Some(bridge) => bridge,
        None => make(netlink, gateways.cidrs).await?,
    };
    refuse_another_kind(&bridge)?;
    let mark = mark(&node.networks_dir);
    claim(netlink, &mut bridge, own_mac(gateways.cidrs), &mark).await?;
    if bridge.mtu != mtu {
        tracing::info!(from = bridge.mtu, to = mtu, "changing the MTU of cbr0");
        netlink.set_link_mtu(bridge.index, mtu).await?;
        bridge.mtu = mtu;
    }
    if bridge.multicast_snooping {
        // It does not see the pods' reports, and would leave those out who have made some.
        netlink.disable_multicast_snooping(&bridge).await?;
        bridge.multicast_snooping = false;
    }
    if !bridge.up {
        set_ipv6_parameters()?;
        netlink.set_link_up(bridge.index).await?;
        bridge.up = true;
    }
    let earlier = gateways.clear(&bridge).await?;
    if !earlier.is_empty() {
        gateways.refuse_overlap(&earlier)?;
        gateways.carry(&bridge).await?;
    }
    Ok(Prepared { bridge, earlier, made })
}

/// Makes cbr0, disabled. The address follows from the gateway's, as the kubelet had it, so that pods which knew an
/// earlier cbr0 reach this one.
async fn make(netlink: &Netlink, cidrs: &PodCidrs) -> Result<Link, Error> {
    match netlink.create_bridge(BRIDGE, own_mac(cidrs)).await {
        // Another process made it in the meantime.
        Err(error) if error.is_already_there() => {}
        made => made?,
    }
    Ok(netlink.require_link(BRIDGE).await?)
}

fn own_mac(cidrs: &PodCidrs) -> MacAddr {
    let [a, b, c, d] = match cidrs.first().gateway() {
        IpAddr::V4(gateway) => gateway.octets(),
        IpAddr::V6(gateway) => {
            let [.., a, b, c, d] = gateway.octets();
            [a, b, c, d]
        }
    };
    MacAddr::local([0x0a, 0x58, a, b, c, d])
}

/// A pod must not become the host's router (CVE-2020-10749), and the gateways are there at once, whoever adds them.
fn set_ipv6_parameters() -> Result<(), Error> {
    for key in ["accept_ra", "accept_dad"] {
        match sysctl::set_interface(Family::V6, BRIDGE, key, "0") {
            // A kernel without IPv6.
            Err(error) if error.is_gone() => {}
            set => set?,
        }
    }
    Ok(())
}

/// The mark of a cbr0 that is kept by the podnet with this folder of addresses.
pub(crate) fn mark(networks_dir: &Path) -> String {
    format!("podnet:{NETWORK}@{}", networks_dir.display())
}

/// Marks cbr0 as ours, or refuses it where it bears somebody else's mark.
///
/// A cbr0 without a mark is what the kubelet's kubenet made. One of a podnet that keeps its addresses elsewhere may be
/// taken over once no pod hangs on it: before, an address could be given twice.
async fn claim(
    netlink: &Netlink,
    bridge: &mut Link,
    mac: MacAddr,
    mark: &str,
) -> Result<(), Error> {
    if bridge.alias.as_deref() == Some(mark) {
        return Ok(());
    }
    // Whoever claims it at the same time, with whatever folders, is in this network namespace too.
    let _turn = match NamespaceLock::acquire(CLAIM, CLAIM_WAIT).await {
        Ok(turn) => Some(turn),
        Err(error) => {
            tracing::warn!("{error}; claiming {BRIDGE} without it");
            None
        }
    };
    *bridge = netlink.require_link(BRIDGE).await?;
    match bridge.alias.as_deref() {
        Some(alias) if alias == mark => return Ok(()),
        Some(alias) => {
            let abandoned = alias.starts_with("podnet:")
                && netlink.bridge_ports(bridge.index).await?.is_empty();
            if !abandoned {
                return Err(Error::BridgeOfAnother { name: BRIDGE, owner: alias.to_owned() });
            }
        }
        None => {
            pin(netlink, bridge, mac).await?;
            return Ok(netlink.set_link_alias(bridge, mark).await?);
        }
    }
    take_over(netlink, bridge, mark).await
}

/// Marks a cbr0 that had no pods as ours. Its owner may attach one in this moment: he looks at the mark after that, and
/// we look for pods after having set it.
async fn take_over(netlink: &Netlink, bridge: &Link, mark: &str) -> Result<(), Error> {
    let owner = bridge.alias.clone().unwrap_or_default();
    netlink.set_link_alias(bridge, mark).await?;
    if netlink.bridge_ports(bridge.index).await?.is_empty() {
        return Ok(());
    }
    netlink.set_link_alias(bridge, &owner).await?;
    Err(Error::BridgeOfAnother { name: BRIDGE, owner })
}

/// Refuses a cbr0 with pods that somebody else keeps.
pub(crate) async fn refuse_pods_of_another(node: &Node) -> Result<(), Error> {
    let Some(bridge) = node.netlink().link_by_name(BRIDGE).await? else { return Ok(()) };
    match &bridge.alias {
        Some(owner) if *owner != mark(&node.networks_dir) => {
            let ports = node.netlink().bridge_ports(bridge.index).await?;
            let owner = owner.clone();
            if ports.is_empty() {
                Ok(())
            } else {
                Err(Error::BridgeOfAnother { name: BRIDGE, owner })
            }
        }
        _ => Ok(()),
    }
}

/// Refuses a cbr0 that somebody else took over.
pub(crate) async fn require_mark(node: &Node) -> Result<(), Error> {
    let bridge = node.netlink().require_link(BRIDGE).await?;
    match bridge.alias {
        Some(owner) if owner != mark(&node.networks_dir) => {
            Err(Error::BridgeOfAnother { name: BRIDGE, owner })
        }
        _ => Ok(()),
    }
}

/// Gives a bridge an address for good: its own where pods know it, and one of ours before. The kernel lets one that was
/// given none follow its ports.
async fn pin(netlink: &Netlink, bridge: &mut Link, mac: MacAddr) -> Result<(), Error> {
    if netlink.bridge_ports(bridge.index).await?.is_empty() {
        bridge.mac = Some(mac);
    }
    Ok(netlink.pin_bridge_mac(bridge).await?)
}

/// Puts the pods back on a cbr0 that was deleted under them. Says which.
pub(crate) async fn take_back(node: &Node, bridge: &Link) -> Result<Vec<String>, Error> {
    let mut taken = Vec::new();
    for link in node.netlink().links().await? {
        let Some(label) = label_of(&link) else { continue };
        if link.master == Some(bridge.index) || link.kind != "veth" || link.condemned {
            continue;
        }
        add_port(node, bridge, &link, &label).await?;
        taken.push(format!("made {link} a port of {BRIDGE} again"));
    }
    Ok(taken)
}

/// Makes a pod's host end a port of cbr0.
pub(crate) async fn add_port(
    node: &Node,
    bridge: &Link,
    host_end: &Link,
    label: &Label,
) -> Result<(), Error> {
    node.netlink().add_port(bridge, host_end).await?;
    node.netlink().keep_without_ipv6_in_group(host_end, port_group(bridge.index)).await?;
    Ok(node.netlink().commit_port(host_end, &node.port(label)).await?)
}

/// The label of a pod's host end.
pub(crate) fn label_of(link: &Link) -> Option<Label> {
    let label = Label::from_alias(link.alias.as_deref()?)?;
    (label.network().as_str() == NETWORK).then_some(label)
}

/// What the table of rules is to hold for the pods.
pub(crate) fn nat_network(
    node: &Node,
    cidrs: &PodCidrs,
    prepared: &Prepared,
) -> Result<NatNetwork, Error> {
    let network_of = |address: &IpNetwork| IpNetwork::new(address.network(), address.prefix()).ok();
    let in_force = cidrs.iter().map(podnet_plugin_api::PodCidr::network);
    let earlier = prepared.earlier.iter().filter_map(network_of);
    let dedup = match (node.hairpin_mode, prepared.bridge.mac) {
        (HairpinMode::PromiscuousBridge, Some(bridge_mac)) => {
            let pairs = cidrs.iter().map(|cidr| (cidr.gateway(), cidr.network()));
            Some(Dedup { bridge_mac, gateways_and_cidrs: pairs.collect() })
        }
        _ => None,
    };
    Ok(NatNetwork {
        name: NETWORK.parse()?,
        bridge: BRIDGE.parse()?,
        pod_cidrs: in_force.chain(earlier).collect(),
        non_masquerade: node.non_masquerade.clone(),
        masquerade: true,
        dedup,
        reports_to: prepared.bridge.mac.map(|bridge_mac| Reporting {
            bridge_mac,
            port_group: port_group(prepared.bridge.index),
        }),
    })
}

/// Refuses a cbr0 that is something else than a bridge.
fn refuse_another_kind(found: &Link) -> Result<(), Error> {
    if found.kind == "bridge" {
        return Ok(());
    }
    Err(Error::NotABridge { name: BRIDGE, kind: kind_of(found) })
}

fn kind_of(link: &Link) -> String {
    if link.kind.is_empty() { "hardware".to_owned() } else { link.kind.clone() }
}
