//! Where ports lead: the container's addresses, and the bridge behind which it is or the interface that leads to it.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use podnet_cni_spec::{AddResult, Interface, InterfaceName, IpConfig, NetworkName, Request};
use podnet_netutil::{Link, Route};

use crate::error::Error;
use crate::host::Host;
use crate::nat::{HostPort, NatNetwork};

const BRIDGE: &str = "bridge";
const VETH: &str = "veth";

/// A container as the result of the plugins before describes it.
#[derive(Debug)]
pub(super) struct Destination {
    /// Its addresses, the first of each family.
    pub(super) ips: Vec<IpAddr>,
    cidrs: Vec<IpNetwork>,
    interface: InterfaceName,
    way: Way,
}

/// By what the host reaches a container.
#[derive(Debug)]
enum Way {
    Bridge(InterfaceName),
    /// The host's end of its veth.
    Veth(InterfaceName),
    Unknown,
}

impl Destination {
    pub(super) async fn of(
        host: &Host,
        request: &Request,
        attached: &AddResult,
    ) -> Result<Self, Error> {
        let interface = request.attachment()?.interface.clone();
        let addresses = addresses(attached, &interface);
        let ips: Vec<IpAddr> = addresses.iter().map(IpNetwork::ip).collect();
        let network_of = |address: &IpNetwork| IpNetwork::new(address.network(), address.prefix());
        let cidrs = addresses.iter().filter_map(|address| network_of(address).ok()).collect();
        let way = way(host, attached, &ips).await?;
        Ok(Self { ips, cidrs, interface, way })
    }

    /// The ports that an address of the container can serve. One of an address of the host of another family leads
    /// nowhere, which is no error in the reference.
    pub(super) fn reachable(&self, ports: &[HostPort]) -> Vec<HostPort> {
        let serves = |port: &&HostPort| {
            self.ips.iter().any(|ip| port.host_ip.is_none_or(|at| at.is_ipv4() == ip.is_ipv4()))
        };
        ports.iter().filter(serves).copied().collect()
    }

    /// The container's own interface that must let 127.0.0.1 out, where it is behind no bridge. Only with `snat`: what
    /// comes from there must not keep its source.
    pub(super) fn direct(&self, snat: bool) -> Option<&InterfaceName> {
        match &self.way {
            Way::Veth(name) if snat && self.ips.iter().any(IpAddr::is_ipv4) => Some(name),
            _ => None,
        }
    }

    /// What the host's address translation needs. Its bridge must let 127.0.0.1 out, also only with `snat`.
    pub(super) fn network(&self, name: &NetworkName, snat: bool) -> NatNetwork {
        let bridge = match &self.way {
            Way::Bridge(name) if snat => Some(name),
            _ => None,
        };
        NatNetwork {
            name: name.clone(),
            bridge: bridge.unwrap_or(&self.interface).clone(),
            pod_cidrs: bridge.map(|_| self.cidrs.clone()).unwrap_or_default(),
            non_masquerade: Vec::new(),
            masquerade: false,
            dedup: None,
            reports_to: None,
        }
    }
}

/// The first address of each family that is not known to be another interface's.
fn addresses(attached: &AddResult, interface: &InterfaceName) -> Vec<IpNetwork> {
    let own = attached.ips.iter().filter(|ip| is_of(ip, attached, interface));
    let mut found: Vec<IpNetwork> = Vec::new();
    for address in own.map(|ip| ip.address) {
        if !found.iter().any(|earlier| earlier.is_ipv4() == address.is_ipv4()) {
            found.push(address);
        }
    }
    found
}

fn is_of(ip: &IpConfig, attached: &AddResult, interface: &InterfaceName) -> bool {
    let index = ip.interface.and_then(|index| usize::try_from(index).ok());
    let named = index.and_then(|index| attached.interfaces.get(index));
    named.is_none_or(|named| named.name == interface.as_str() && !is_on_the_host(named))
}

fn is_on_the_host(interface: &Interface) -> bool {
    interface.sandbox.as_ref().is_none_or(String::is_empty)
}

/// As the result says, by its bridge or by a veth that is no bridge's port. Before 0.3.0 there is neither in it, and the
/// interface that routes to the container is.
async fn way(host: &Host, attached: &AddResult, ips: &[IpAddr]) -> Result<Way, Error> {
    let mut found = Way::Unknown;
    for interface in attached.interfaces.iter().filter(|interface| is_on_the_host(interface)) {
        let Some(link) = host.netlink.link_by_name(&interface.name).await? else { continue };
        if link.kind == BRIDGE {
            return Ok(Way::of(&link));
        }
        if is_direct(&link) {
            found = Way::of(&link);
        }
    }
    if !matches!(found, Way::Unknown) {
        return Ok(found);
    }
    let links = host.netlink.links().await?;
    let (bridges, rest): (Vec<&Link>, Vec<&Link>) =
        links.iter().partition(|link| link.kind == BRIDGE);
    let veths = rest.into_iter().filter(|link| is_direct(link));
    for link in bridges.into_iter().chain(veths) {
        let routes = host.netlink.routes(link).await?;
        if routes.iter().any(|route| ips.iter().any(|ip| leads(link, route, *ip))) {
            return Ok(Way::of(link));
        }
    }
    Ok(Way::Unknown)
}

impl Way {
    /// No way is by a name that no container could have.
    fn of(link: &Link) -> Self {
        match link.name.parse() {
            Ok(name) if link.kind == BRIDGE => Self::Bridge(name),
            Ok(name) => Self::Veth(name),
            Err(_) => Self::Unknown,
        }
    }
}

fn is_direct(link: &Link) -> bool {
    link.kind == VETH && link.master.is_none()
}

/// A bridge leads to a network, a container's veth to its address alone.
fn leads(link: &Link, route: &Route, ip: IpAddr) -> bool {
    let leads = route.gateway.is_none() && route.destination.contains(ip);
    leads && (link.kind == BRIDGE || route.destination == IpNetwork::from(ip))
}

#[cfg(test)]
mod tests {
    use podnet_cni_spec::SpecVersion;
    use serde_json::{Value, json};

    use super::*;

    fn addresses_of(ips: &Value) -> Vec<String> {
        let attached = json!({
            "cniVersion": "1.0.0",
            "interfaces": [
                { "name": "cni0" }, { "name": "eth0", "sandbox": "/run/netns/a" },
                { "name": "net1", "sandbox": "/run/netns/a" }, { "name": "eth0" },
            ],
            "ips": ips,
        });
        let attached = AddResult::from_json(&attached, SpecVersion::LATEST).unwrap();
        let found = addresses(&attached, &"eth0".parse().unwrap());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_address_of_each_family_counts_unless_it_is_another_interfaces() {
        let ips = json!([
            { "interface": 0, "address": "10.1.0.1/24" }, { "interface": 2, "address": "10.2.0.2/24" },
            { "interface": 3, "address": "10.1.0.9/24" }, { "interface": 1, "address": "10.1.0.2/24" },
            { "interface": 1, "address": "10.1.0.3/24" }, { "address": "fd00::2/64" },
        ]);
        assert_eq!(addresses_of(&ips), ["10.1.0.2/24", "fd00::2/64"]);
        assert_eq!(
            addresses_of(&json!([{ "interface": 7, "address": "10.1.0.2/24" }])),
            ["10.1.0.2/24"]
        );
        assert!(addresses_of(&json!([])).is_empty());
    }

    #[test]
    fn a_port_of_the_other_family_and_loopback_without_snat_are_left_out() {
        let destination = Destination {
            ips: vec!["10.1.0.2".parse().unwrap()],
            cidrs: vec!["10.1.0.0/24".parse().unwrap()],
            interface: "eth0".parse().unwrap(),
            way: Way::Bridge("cni0".parse().unwrap()),
        };
        let port = |host_ip: Option<&str>| HostPort {
            protocol: crate::nat::Protocol::Tcp,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port: 80,
            container_port: 80,
        };
        let wanted = [port(None), port(Some("2001:db8::1")), port(Some("192.0.2.1"))];
        assert_eq!(destination.reachable(&wanted), [wanted[0], wanted[2]]);
        let network = "net".parse().unwrap();
        assert_eq!(destination.network(&network, true).bridge.as_str(), "cni0");
        assert!(destination.network(&network, false).pod_cidrs.is_empty());
        assert_eq!(destination.direct(true), None);
        let behind_none = Destination { way: Way::Veth("veth1".parse().unwrap()), ..destination };
        assert!(behind_none.network(&network, true).pod_cidrs.is_empty());
        assert_eq!(behind_none.direct(true).map(InterfaceName::as_str), Some("veth1"));
        assert_eq!(behind_none.direct(false), None);
        let ips = vec!["fd00::2".parse().unwrap()];
        assert_eq!(Destination { ips, ..behind_none }.direct(true), None);
    }
}
