//! `loopback`: enables `lo` in a pod's namespace.
//!
//! It has no options. The interface is `lo` whatever `CNI_IFNAME` says, as in the reference.

use std::path::Path;

use podnet_cni_spec::{AddResult, Interface, IpConfig, Request};
use podnet_netutil::{Link, Netlink};

use crate::error::Error;
use crate::host::{pod_netns, pod_netns_if_left};

const LO: &str = "lo";

/// Enables `lo` and reports its addresses; where a plugin ran before, that one's result is passed on.
///
/// # Errors
/// [`Error::OwnNetns`] when the namespace is the host's own; [`Error::Net`].
pub async fn add(request: &Request) -> Result<AddResult, Error> {
    let netns = pod_netns(request)?;
    let previous = request.config.prev_result()?;
    let netlink = Netlink::open_in(&netns)?;
    let lo = netlink.require_link(LO).await?;
    if !lo.up {
        netlink.set_link_up(lo.index).await?;
    }
    match previous {
        Some(result) => Ok(result),
        None => describe(&netlink, &lo, netns.path()).await,
    }
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

async fn describe(netlink: &Netlink, lo: &Link, netns: &Path) -> Result<AddResult, Error> {
    let addresses = netlink.addresses(lo).await?;
    let ips = addresses.into_iter().map(|address| IpConfig {
        interface: Some(0),
        address: address.network,
        ..IpConfig::default()
    });
    Ok(AddResult {
        interfaces: vec![Interface {
            name: LO.to_owned(),
            mac: lo.mac.map(|mac| mac.to_string()),
            sandbox: Some(netns.display().to_string()),
            ..Interface::default()
        }],
        ips: ips.collect(),
        ..AddResult::default()
    })
}
