//! The pod's side of an attachment: its interface, addresses and routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use podnet_cni_spec::{AddResult, Route};
use podnet_netutil::sysctl::{self, Family};
use podnet_netutil::{Link, Netlink, Netns};

use super::plan::{Gateway, Plan};
use crate::error::Error;

/// No detection of duplicates: the address is ours to give. No router advertisements: the routes are ours to give too.
const IPV6_PARAMETERS: [(&str, &str); 4] =
    [("disable_ipv6", "0"), ("accept_dad", "0"), ("accept_ra", "0"), ("keep_addr_on_down", "1")];

/// Enables the pod's interface and gives it its addresses and routes.
pub(super) async fn configure(
    netns: &Netns,
    plan: &Plan,
    link: &Link,
    addresses: &AddResult,
) -> Result<(), Error> {
    let netlink = if addresses.ips.iter().any(|ip| ip.address.is_ipv6()) {
        open_for_ipv6(netns, &link.name)?
    } else {
        let netlink = Netlink::open_in(netns)?;
        netlink.announce_ipv4_only(link).await?;
        netlink
    };
    netlink.set_link_up(link.index).await?;
    for ip in &addresses.ips {
        netlink.add_address(link, ip.address).await?;
    }
    for route in routes(plan, addresses) {
        netlink.add_route(link, &kernel_route(&route, addresses)).await?;
    }
    Ok(())
}

/// Opens a connection in the pod's namespace, and sets there what an interface with IPv6 needs before it is enabled, or
/// the kernel acts on its defaults first.
fn open_for_ipv6(netns: &Netns, interface: &str) -> Result<Netlink, podnet_netutil::Error> {
    let runtime = tokio::runtime::Handle::current();
    netns.run(|| {
        let _entered = runtime.enter();
        for (key, value) in IPV6_PARAMETERS {
            sysctl::set_interface(Family::V6, interface, key, value)?;
        }
        // Neighbours that knew an earlier owner of an address hear of the new one; where not, they find out by themselves.
        if let Err(error) = sysctl::set_interface(Family::V4, interface, "arp_notify", "1") {
            tracing::debug!(%error, "no gratuitous ARP");
        }
        Netlink::open()
    })?
}

/// The IPAM plugin's routes, and a default route for each family that has none where the bridge is to be the default
/// gateway.
pub(super) fn routes(plan: &Plan, addresses: &AddResult) -> Vec<Route> {
    let mut routes = addresses.routes.clone();
    if plan.gateway != Gateway::DefaultRoute {
        return routes;
    }
    for by in addresses.ips.iter().filter_map(|ip| ip.gateway) {
        let is_default =
            |route: &Route| route.dst.prefix() == 0 && route.dst.is_ipv4() == by.is_ipv4();
        if !routes.iter().any(is_default) {
            routes.extend(everywhere(by).map(|dst| Route { gw: Some(by), ..Route::new(dst) }));
        }
    }
    routes
}

/// The destination of the default route in a gateway's family.
fn everywhere(by: IpAddr) -> Option<IpNetwork> {
    let unspecified = match by {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    IpNetwork::new(unspecified, 0).ok()
}

/// A route without a gateway goes by the gateway of the first address of its family, as in the reference.
fn kernel_route(route: &Route, addresses: &AddResult) -> podnet_netutil::Route {
    let same_family = |ip: &&podnet_cni_spec::IpConfig| ip.address.is_ipv4() == route.dst.is_ipv4();
    let by = route.gw.or_else(|| addresses.ips.iter().find(same_family).and_then(|ip| ip.gateway));
    let mut wanted = podnet_netutil::Route::new(route.dst, by);
    wanted.mtu = route.mtu;
    wanted.advmss = route.advmss;
    wanted.priority = route.priority;
    wanted.table = route.table;
    wanted.scope = route.scope;
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_leads_everywhere() {
        for (by, expected) in [("10.6.0.1", "0.0.0.0/0"), ("fd00::1", "::/0")] {
            assert_eq!(everywhere(by.parse().unwrap()), Some(expected.parse().unwrap()));
        }
    }
}
