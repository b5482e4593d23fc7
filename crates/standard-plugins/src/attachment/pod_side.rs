//! The pod's side of a veth pair: what its interface needs before it is enabled, and its routes as the kernel has them.

use podnet_cni_spec::{AddResult, IpConfig, Route};
use podnet_netutil::sysctl::{self, Family, InterfaceParameters};
use podnet_netutil::{Link, Netlink, Netns};

use crate::error::Error;

/// No router advertisements: the routes are ours to give.
const IPV6_PARAMETERS: [(&str, &str); 3] =
    [("disable_ipv6", "0"), ("accept_ra", "0"), ("keep_addr_on_down", "1")];
/// No detection of duplicates: the address is ours to give too.
const GIVEN: [(&str, &str); 1] = [("accept_dad", "0")];
const CLAIMED: [(&str, &str); 2] = [("enhanced_dad", "1"), ("accept_dad", "1")];

/// The families of a pod's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Families {
    /// It gets no address, and does by itself what the kernel has interfaces do.
    None,
    /// IPv4 alone.
    OnlyV4,
    /// IPv6, with or without IPv4.
    Both,
}

impl Families {
    pub(crate) fn of(ips: &[IpConfig]) -> Self {
        match ips {
            [] => Self::None,
            ips if ips.iter().any(|ip| ip.address.is_ipv6()) => Self::Both,
            _ => Self::OnlyV4,
        }
    }
}

/// Opens a connection in the pod's namespace and prepares the interface for addresses of these families, before it is
/// enabled.
pub(crate) async fn open_pod(
    netns: &Netns,
    link: &Link,
    families: Families,
    claim: bool,
) -> Result<Netlink, Error> {
    match families {
        Families::Both => {
            let netlink = open_for_ipv6(netns, &link.name, claim)?;
            // Neighbours that knew an earlier owner of an address hear of the new one; where not, they find out by themselves.
            if let Err(error) = netlink.announce_ipv4(link).await {
                tracing::debug!(%error, "no gratuitous ARP");
            }
            Ok(netlink)
        }
        Families::None => Ok(Netlink::open_in(netns)?),
        Families::OnlyV4 => {
            let netlink = Netlink::open_in(netns)?;
            netlink.announce_ipv4_only(link).await?;
            Ok(netlink)
        }
    }
}

/// Sets what an interface with IPv6 needs before it is enabled, or the kernel acts on its defaults first.
fn open_for_ipv6(
    netns: &Netns,
    interface: &str,
    claim: bool,
) -> Result<Netlink, podnet_netutil::Error> {
    let runtime = tokio::runtime::Handle::current();
    let claiming: &[(&str, &str)] = if claim { &CLAIMED } else { &GIVEN };
    netns.run(|| {
        let _entered = runtime.enter();
        // What the pod sends to its own address goes by lo.
        let has_lo = sysctl::has_ipv6_address("lo");
        if !has_lo && let Err(error) = sysctl::set_interface(Family::V6, "lo", "disable_ipv6", "0")
        {
            tracing::debug!(%error, "IPv6 of lo is left as it is");
        }
        let parameters = InterfaceParameters::open(Family::V6, interface)?;
        for (key, value) in IPV6_PARAMETERS.iter().chain(claiming) {
            parameters.set(key, value)?;
        }
        Netlink::open()
    })?
}

/// A route without a gateway goes by the gateway of the first address of its family, as in the reference.
pub(crate) fn kernel_route(route: &Route, addresses: &AddResult) -> podnet_netutil::Route {
    let same_family = |ip: &&IpConfig| ip.address.is_ipv4() == route.dst.is_ipv4();
    let by = route.gw.or_else(|| addresses.ips.iter().find(same_family).and_then(|ip| ip.gateway));
    let mut wanted = podnet_netutil::Route::new(route.dst, by);
    wanted.mtu = route.mtu;
    wanted.advmss = route.advmss;
    wanted.priority = route.priority;
    wanted.table = route.table;
    wanted.scope = route.scope;
    wanted
}
