//! The pod's side of an attachment: its interface, addresses and routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use podnet_cni_spec::{AddResult, Route};
use podnet_netutil::{Link, Netns};

use super::plan::{Gateway, Plan};
use crate::attachment::{Families, kernel_route, open_pod};
use crate::error::Error;

/// Enables the pod's interface, where it is to be, and gives it its addresses and routes.
pub(super) async fn configure(
    netns: &Netns,
    plan: &Plan,
    link: &Link,
    addresses: &AddResult,
) -> Result<(), Error> {
    if !plan.enable_pod_end {
        return Ok(());
    }
    let families = Families::of(&addresses.ips);
    let netlink = open_pod(netns, link, families, plan.claim_addresses).await?;
    netlink.set_link_up(link.index).await?;
    for ip in &addresses.ips {
        if plan.claim_addresses {
            netlink.claim_address(link, ip.address).await?;
        } else {
            netlink.add_address(link, ip.address).await?;
        }
    }
    if plan.claim_addresses && families == Families::Both {
        netlink.wait_for_claims(link).await?;
    }
    for route in routes(plan, addresses) {
        netlink.add_route(link, &kernel_route(&route, addresses)).await?;
    }
    Ok(())
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
