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

/// Refuses a cbr0 that is no bridge, and has one that is follow the MTU.
pub(crate) async fn adopt(netlink: &Netlink, links: &[Link], mtu: Mtu) -> Result<(), Error> {
    let Some(found) = links.iter().find(|link| link.name == BRIDGE) else { return Ok(()) };
    if found.kind != "bridge" {
        let kind = if found.kind.is_empty() { "hardware" } else { &found.kind };
        return Err(Error::NotABridge { name: BRIDGE, kind: kind.to_owned() });
    }
    if found.mtu != mtu.get() {
        tracing::info!(from = found.mtu, to = mtu.get(), "changing the MTU of cbr0");
        netlink.set_link_mtu(found.index, mtu.get()).await?;
    }
    Ok(())
}

/// Takes from cbr0 the addresses that are neither of `cidrs`' gateways: one that is left from an earlier pod CIDR
/// makes the bridge plugin refuse every pod.
pub(crate) async fn clear_other_addresses(
    netlink: &Netlink,
    cidrs: &PodCidrs,
) -> Result<(), Error> {
    let Some(bridge) = netlink.link_by_name(BRIDGE).await? else { return Ok(()) };
    for address in netlink.addresses(&bridge).await? {
        let ours = cidrs.iter().any(|cidr| {
            cidr.gateway() == address.network.ip() && cidr.network().prefix() == address.network.prefix()
        });
        if address.global && !ours {
            tracing::warn!(address = %address.network, "removing a foreign address from cbr0");
            netlink.delete_address(&bridge, address.network).await?;
        }
    }
    Ok(())
}
