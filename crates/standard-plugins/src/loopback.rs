//! `loopback`: enables `lo` in a pod's namespace.
//!
//! It has no options. The interface is `lo` whatever `CNI_IFNAME` says, as in the reference.

use std::path::Path;

use podnet_cni_spec::{AddResult, Interface, IpConfig, Request};
use podnet_netutil::{Address, Link, Netlink};

use crate::error::Error;
use crate::host::{pod_netns, pod_netns_if_left};

const LO: &str = "lo";

/// Enables `lo` and reports its first address of each family; where a plugin ran before, that one's result is passed on.
///
/// # Errors
/// [`Error::OwnNetns`] when the namespace is the host's own; [`Error::NoLoopbackAddress`] when `lo` has an address by
/// which others could reach it; [`Error::Net`].
pub async fn add(request: &Request) -> Result<AddResult, Error> {
    let netns = pod_netns(request)?;
    let previous = request.config.prev_result()?;
    let netlink = Netlink::open_in(&netns)?;
    let lo = netlink.require_link(LO).await?;
    if !lo.up {
        netlink.set_link_up(lo.index).await?;
    }
    let addresses = netlink.addresses(&lo).await?;
    let outside = addresses.iter().find(|address| !address.network.ip().is_loopback());
    if let Some(outside) = outside {
        return Err(Error::NoLoopbackAddress { address: outside.network });
    }
    Ok(previous.unwrap_or_else(|| describe(&lo, &addresses, netns.path())))
}

/// Disables `lo`. A namespace that is gone is success.
///
/// # Errors
/// [`Error::Net`].
pub async fn del(request: &Request) -> Result<(), Error> {
    let Some(netns) = pod_netns_if_left(request)? else { return Ok(()) };
    let netlink = Netlink::open_in(&netns)?;
    let lo = netlink.require_link(LO).await?;
    Ok(netlink.set_link_down(lo.index).await?)
}

/// Verifies that `lo` is enabled.
///
/// # Errors
/// [`Error::CheckFailed`] when it is not; [`Error::Net`].
pub async fn check(request: &Request) -> Result<(), Error> {
    let netlink = Netlink::open_in(&pod_netns(request)?)?;
    let lo = netlink.require_link(LO).await?;
    if lo.up { Ok(()) } else { Err(Error::CheckFailed("lo is not enabled in the pod".to_owned())) }
}

fn describe(lo: &Link, addresses: &[Address], netns: &Path) -> AddResult {
    let first = |is_ipv4| addresses.iter().find(|found| found.network.is_ipv4() == is_ipv4);
    let ips = [first(true), first(false)]
        .into_iter()
        .flatten()
        .map(|address| IpConfig { interface: Some(0), ..IpConfig::new(address.network) });
    AddResult {
        interfaces: vec![Interface {
            name: LO.to_owned(),
            mac: lo.mac.map(|mac| mac.to_string()),
            sandbox: Some(netns.display().to_string()),
            ..Interface::default()
        }],
        ips: ips.collect(),
        ..AddResult::default()
    }
}
