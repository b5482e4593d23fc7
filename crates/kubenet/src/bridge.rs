//! cbr0 and the MTU of the pod network.

use podnet_netutil::{Link, Netlink, mtu};
use podnet_plugin_api::{Mtu, PodCidrs};

use crate::error::Error;
use crate::plugin::BRIDGE;

/// What the kubelet takes where it cannot find an MTU.
const FALLBACK_MTU: u32 = 1460;

/// The MTU for cbr0 and the pods: the operator's, or that of the narrowest enabled normal interface.
pub(crate) fn choose_mtu(links: &[Link], wanted: Option<Mtu>) -> Result<Mtu, Error> {
    if let Some(mtu) = wanted {
        return Ok(mtu);
    }
    match mtu::narrowest(links, BRIDGE) {
        Ok(narrowest) => {
            tracing::info!(interface = %narrowest, mtu = narrowest.mtu, "smallest MTU of the host");
            Ok(Mtu::new(narrowest.mtu)?)
        }
        Err(error) => {
            tracing::warn!("{error}; cbr0 gets an MTU of {FALLBACK_MTU}");
            Ok(Mtu::new(FALLBACK_MTU)?)
        }
    }
}

/// Refuses a cbr0 that is something else than a bridge.
pub(crate) fn refuse_another_kind(links: &[Link]) -> Result<(), Error> {
    match links.iter().find(|link| link.name == BRIDGE) {
        Some(found) if found.kind != "bridge" => {
            let kind = if found.kind.is_empty() { "hardware" } else { &found.kind };
            Err(Error::NotABridge { name: BRIDGE, kind: kind.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Has a cbr0 that exists follow the MTU and the pod CIDRs, before a pod is attached to it.
///
/// Not when kubenet starts: whoever only asks for a status, perhaps with another pod CIDR, must change nothing.
pub(crate) async fn prepare(netlink: &Netlink, mtu: Mtu, cidrs: &PodCidrs) -> Result<(), Error> {
    let Some(bridge) = netlink.link_by_name(BRIDGE).await? else { return Ok(()) };
    if bridge.mtu != mtu.get() {
        tracing::info!(from = bridge.mtu, to = mtu.get(), "changing the MTU of cbr0");
        netlink.set_link_mtu(bridge.index, mtu.get()).await?;
    }
    clear_other_addresses(netlink, &bridge, cidrs).await
}

/// Takes from cbr0 the addresses that are no gateway of `cidrs`: one that is left from an earlier pod CIDR makes the
/// bridge plugin refuse every pod.
async fn clear_other_addresses(
    netlink: &Netlink,
    bridge: &Link,
    cidrs: &PodCidrs,
) -> Result<(), Error> {
    for address in netlink.addresses(bridge).await? {
        let is_gateway = cidrs.iter().any(|cidr| {
            cidr.gateway() == address.network.ip()
                && cidr.network().prefix() == address.network.prefix()
        });
        if address.global && !is_gateway {
            tracing::warn!(address = %address.network, "removing a foreign address from cbr0");
            netlink.delete_address(bridge, address.network).await?;
        }
    }
    Ok(())
}
