//! What CHECK looks for in the pod.

use ipnetwork::IpNetwork;
use podnet_cni_spec::{AddResult, Interface, InterfaceName};
use podnet_netutil::{Link, Netlink};

use crate::error::Error;

/// Verifies the pod's interface, enabled or not, with its addresses and routes.
pub(crate) async fn check_pod(
    netlink: &Netlink,
    interface: &InterfaceName,
    enabled: bool,
    expected: &AddResult,
) -> Result<(), Error> {
    let interface = interface.as_str();
    let link = present(netlink, interface, "in the pod").await?;
    if enabled && !link.up {
        return missing(format!("{link} in the pod is disabled"));
    }
    let Some(recorded) = named(expected, interface) else {
        return missing(format!("prevResult has no interface {interface}"));
    };
    same_mac(&link, recorded)?;
    let addresses = netlink.addresses(&link).await?;
    for ip in &expected.ips {
        if !addresses.iter().any(|address| address.network == ip.address) {
            return missing(format!("{link} in the pod lost its address {}", ip.address));
        }
    }
    check_routes(netlink, &link, expected).await
}

async fn check_routes(netlink: &Netlink, link: &Link, expected: &AddResult) -> Result<(), Error> {
    let routes = netlink.routes(link).await?;
    let main_table = |route: &&podnet_cni_spec::Route| route.table.is_none_or(|table| table == 254);
    for wanted in expected.routes.iter().filter(main_table) {
        if !routes.iter().any(|route| is_same_network(route.destination, wanted.dst)) {
            return missing(format!("the pod lost its route to {}", wanted.dst));
        }
    }
    Ok(())
}

pub(crate) async fn present(
    netlink: &Netlink,
    name: &str,
    whereabouts: &str,
) -> Result<Link, Error> {
    match netlink.link_by_name(name).await? {
        Some(link) => Ok(link),
        None => Err(Error::CheckFailed(format!("there is no interface {name} {whereabouts}"))),
    }
}

/// A route may be written with host bits set; the kernel keeps it without.
fn is_same_network(one: IpNetwork, other: IpNetwork) -> bool {
    (one.network(), one.prefix()) == (other.network(), other.prefix())
}

pub(crate) fn named<'a>(result: &'a AddResult, name: &str) -> Option<&'a Interface> {
    result.interfaces.iter().find(|interface| interface.name == name)
}

pub(crate) fn same_mac(link: &Link, recorded: &Interface) -> Result<(), Error> {
    let Some(mac) = recorded.mac.as_deref().filter(|mac| !mac.is_empty()) else { return Ok(()) };
    let now = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    if now.eq_ignore_ascii_case(mac) {
        return Ok(());
    }
    missing(format!("the MAC address of {link} is {now}, it was {mac}"))
}

pub(crate) fn missing(what: String) -> Result<(), Error> {
    Err(Error::CheckFailed(what))
}
