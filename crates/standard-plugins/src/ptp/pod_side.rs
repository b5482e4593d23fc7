//! The pod's side of an attachment: its interface, addresses, and routes by the gateway.

use podnet_cni_spec::AddResult;
use podnet_netutil::{Link, Netlink, Netns, Route};

use super::host_side::unless_there;
use super::plan::Ends;
use crate::attachment::{Families, kernel_route, open_pod};
use crate::error::Error;

/// Enables the pod's interface and gives it its addresses and routes.
pub(super) async fn configure(
    netns: &Netns,
    link: &Link,
    ends: &[Ends],
    addresses: &AddResult,
) -> Result<(), Error> {
    let netlink = open_pod(netns, link, Families::of(&addresses.ips), false).await?;
    netlink.set_link_up(link.index).await?;
    for end in ends {
        netlink.add_address(link, end.address).await?;
        route_by_gateway(&netlink, link, end).await?;
    }
    for route in &addresses.routes {
        netlink.add_route(link, &kernel_route(route, addresses)).await?;
    }
    Ok(())
}

/// A veth pair has one neighbour, the host: the kernel's route, which has the whole subnet on the link, gives way to one
/// to the gateway alone and one to the subnet by it.
async fn route_by_gateway(netlink: &Netlink, link: &Link, end: &Ends) -> Result<(), Error> {
    let Ends { address, gateway } = *end;
    if let Some(subnet) = end.subnet() {
        match netlink.delete_route(link, subnet).await {
            // The kernel makes one for the first address in a subnet only.
            Err(error) if !error.is_gone() => return Err(error.into()),
            _ => {}
        }
    }
    let mut to_gateway = Route::new(end.host(), None);
    to_gateway.source = Some(address.ip());
    unless_there(netlink.add_route(link, &to_gateway).await)?;
    let Some(subnet) = end.subnet() else { return Ok(()) };
    let mut to_subnet = Route::new(subnet, Some(gateway));
    to_subnet.source = Some(address.ip());
    Ok(unless_there(netlink.add_route(link, &to_subnet).await)?)
}
