//! The host's side of an attachment: its end with the gateways' addresses, and the routes to the pod.

use podnet_netutil::sysctl::{self, Family};
use podnet_netutil::{Error as NetError, Link, Netlink, Route};

use super::plan::Ends;
use crate::attachment::{Families, refuse_router_advertisements};
use crate::error::Error;

/// `RT_SCOPE_HOST`, as the reference has it.
const SCOPE_HOST: u8 = 254;

/// Lets the host pass packets on for the families of a pod's addresses.
pub(super) fn enable_forwarding(ends: &[Ends]) -> Result<(), Error> {
    for end in ends {
        sysctl::enable_forwarding(Family::of(&end.address))?;
    }
    Ok(())
}

/// Sets what the host end needs before the pod's end is enabled and the carrier comes.
///
/// For IPv6 it keeps its address of the link: the kernel asks for a pod's MAC address from it. That one cannot collide
/// on a link with two ends, and must be usable at once.
pub(super) async fn prepare(
    netlink: &Netlink,
    host_end: &Link,
    families: Families,
) -> Result<(), Error> {
    refuse_router_advertisements(host_end)?;
    if families == Families::Both {
        sysctl::set_interface(Family::V6, &host_end.name, "disable_ipv6", "0")?;
        return Ok(sysctl::set_interface(Family::V6, &host_end.name, "accept_dad", "0")?);
    }
    Ok(netlink.keep_without_ipv6(host_end).await?)
}

/// Gives the host end the gateways' addresses and makes the routes to the pod's.
pub(super) async fn configure(
    netlink: &Netlink,
    host_end: &Link,
    ends: &[Ends],
) -> Result<(), Error> {
    for end in ends {
        // Several addresses may go by one gateway.
        unless_there(netlink.add_address(host_end, end.host()).await)?;
        let mut route = Route::new(end.pod(), None);
        route.scope = end.pod().is_ipv4().then_some(SCOPE_HOST);
        unless_there(netlink.add_route(host_end, &route).await)?;
    }
    Ok(())
}

pub(super) fn unless_there(done: Result<(), NetError>) -> Result<(), NetError> {
    match done {
        Err(error) if error.is_already_there() => Ok(()),
        other => other,
    }
}
