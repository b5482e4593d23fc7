//! CHECK: whether what ADD built is still there.

use ipnetwork::IpNetwork;
use podnet_cni_invoke::Exec;
use podnet_cni_spec::{AddResult, Interface, Request};
use podnet_netutil::{Link, Netlink};

use super::host_side::gateway_address;
use super::plan::{Gateway, Plan};
use crate::delegate::Ipam;
use crate::error::Error;
use crate::host::{Host, pod_netns};

/// Verifies the bridge, the host end on it, the pod's interface with its addresses and routes, and the reservation.
///
/// # Errors
/// [`Error::CheckFailed`] naming the first thing that is missing; [`Error::Spec`] without prevResult.
pub async fn check(host: &Host, exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    let plan = Plan::from_request(request)?;
    let expected = request.config.prev_result()?.ok_or(Error::NoPrevResult)?;
    let netns = pod_netns(request)?;
    Ipam::of(exec, request)?.check().await?;
    check_host(&host.netlink, &plan, &expected).await?;
    check_pod(&Netlink::open_in(&netns)?, &plan, &expected).await
}

async fn check_host(netlink: &Netlink, plan: &Plan, expected: &AddResult) -> Result<(), Error> {
    let bridge = present(netlink, plan.bridge.as_str(), "on the host").await?;
    if bridge.kind != "bridge" {
        return missing(format!("{bridge} is no bridge"));
    }
    if let Some(recorded) = named(expected, plan.bridge.as_str()) {
        same_mac(&bridge, recorded)?;
    }
    check_gateways(netlink, plan, &bridge, expected).await?;
    let Some(recorded) = host_end(expected, plan) else { return Ok(()) };
    let host_end = present(netlink, &recorded.name, "on the host").await?;
    same_mac(&host_end, recorded)?;
    if host_end.condemned {
        return missing(format!("{host_end} is about to be deleted"));
    }
    if host_end.master != Some(bridge.index) {
        return missing(format!("{host_end} is no port of {bridge}"));
    }
    let port = host_end.port.unwrap_or_default();
    if port.hairpin != plan.hairpin || port.isolated != plan.isolated {
        return missing(format!("the port flags of {host_end} are not those configured"));
    }
    Ok(())
}

async fn check_gateways(
    netlink: &Netlink,
    plan: &Plan,
    bridge: &Link,
    expected: &AddResult,
) -> Result<(), Error> {
    if plan.gateway == Gateway::No {
        return Ok(());
    }
    let present = netlink.addresses(bridge).await?;
    for ip in &expected.ips {
        let wanted = gateway_address(ip)?;
        if !present.iter().any(|address| address.network == wanted) {
            return missing(format!("{bridge} lost the gateway's address {wanted}"));
        }
    }
    Ok(())
}

async fn check_pod(netlink: &Netlink, plan: &Plan, expected: &AddResult) -> Result<(), Error> {
    let interface = plan.label.interface().as_str();
    let link = present(netlink, interface, "in the pod").await?;
    if !link.up {
        return missing(format!("{link} in the pod is disabled"));
    }
    if let Some(recorded) = named(expected, interface) {
        same_mac(&link, recorded)?;
    }
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

async fn present(netlink: &Netlink, name: &str, whereabouts: &str) -> Result<Link, Error> {
    match netlink.link_by_name(name).await? {
        Some(link) => Ok(link),
        None => Err(Error::CheckFailed(format!("there is no interface {name} {whereabouts}"))),
    }
}

/// A route may be written with host bits set; the kernel keeps it without.
fn is_same_network(one: IpNetwork, other: IpNetwork) -> bool {
    (one.network(), one.prefix()) == (other.network(), other.prefix())
}

fn named<'a>(result: &'a AddResult, name: &str) -> Option<&'a Interface> {
    result.interfaces.iter().find(|interface| interface.name == name)
}

/// The host end is the one interface outside the pod that is not the bridge; another program may have named it.
fn host_end<'a>(result: &'a AddResult, plan: &Plan) -> Option<&'a Interface> {
    result.interfaces.iter().find(|interface| {
        interface.name != plan.bridge.as_str()
            && interface.sandbox.as_ref().is_none_or(String::is_empty)
    })
}

fn same_mac(link: &Link, recorded: &Interface) -> Result<(), Error> {
    let Some(mac) = recorded.mac.as_deref().filter(|mac| !mac.is_empty()) else { return Ok(()) };
    let now = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    if now.eq_ignore_ascii_case(mac) {
        return Ok(());
    }
    missing(format!("the MAC address of {link} is {now}, it was {mac}"))
}

fn missing(what: String) -> Result<(), Error> {
    Err(Error::CheckFailed(what))
}
