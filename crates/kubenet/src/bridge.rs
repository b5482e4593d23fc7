//! cbr0 and the MTU of the pod network.

use podnet_netutil::{Link, mtu};
use podnet_plugin_api::Mtu;

use crate::error::Error;
use crate::gateways::Gateways;
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

/// Has a cbr0 that exists follow the MTU and the pod CIDRs, before a pod is attached to it. Says whether it carries
/// gateways of earlier pod CIDRs beside those in force.
///
/// For every pod anew, because others change it too; and not when kubenet starts: whoever only asks for a status,
/// perhaps with another pod CIDR, must change nothing.
pub(crate) async fn prepare(mtu: Mtu, gateways: &Gateways<'_>) -> Result<bool, Error> {
    let netlink = gateways.netlink;
    let Some(bridge) = netlink.link_by_name(BRIDGE).await? else { return Ok(false) };
    refuse_another_kind(&bridge)?;
    if bridge.mtu != mtu.get() {
        tracing::info!(from = bridge.mtu, to = mtu.get(), "changing the MTU of cbr0");
        netlink.set_link_mtu(bridge.index, mtu.get()).await?;
    }
    let earlier = gateways.clear(&bridge).await?;
    if earlier.is_empty() {
        return Ok(false);
    }
    gateways.refuse_overlap(&earlier)?;
    gateways.carry(&bridge).await?;
    Ok(true)
}

/// Refuses a cbr0 that is something else than a bridge.
fn refuse_another_kind(found: &Link) -> Result<(), Error> {
    if found.kind == "bridge" {
        return Ok(());
    }
    let kind = if found.kind.is_empty() { "hardware" } else { &found.kind };
    Err(Error::NotABridge { name: BRIDGE, kind: kind.to_owned() })
}
