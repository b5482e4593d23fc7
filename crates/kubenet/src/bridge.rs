//! cbr0 and the MTU of the pod network.

use ipnetwork::IpNetwork;
use podnet_netutil::{Address, Link, Netlink, mtu};
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

/// Has a cbr0 that exists follow the MTU and the pod CIDRs, before a pod is attached to it.
///
/// For every pod anew, because others change it too; and not when kubenet starts: whoever only asks for a status, perhaps
/// with another pod CIDR, must change nothing.
pub(crate) async fn prepare(netlink: &Netlink, mtu: Mtu, cidrs: &PodCidrs) -> Result<(), Error> {
    let Some(bridge) = netlink.link_by_name(BRIDGE).await? else { return Ok(()) };
    refuse_another_kind(&bridge)?;
    if bridge.mtu != mtu.get() {
        tracing::info!(from = bridge.mtu, to = mtu.get(), "changing the MTU of cbr0");
        netlink.set_link_mtu(bridge.index, mtu.get()).await?;
    }
    let present = netlink.addresses(&bridge).await?;
    for foreign in foreign_addresses(&present, cidrs) {
        tracing::warn!(address = %foreign, "removing a foreign address from cbr0");
        match netlink.delete_address(&bridge, foreign).await {
            // Another set-up removed it.
            Err(error) if error.is_gone() => {}
            other => other?,
        }
    }
    Ok(())
}

/// Refuses a cbr0 that is something else than a bridge.
fn refuse_another_kind(found: &Link) -> Result<(), Error> {
    if found.kind == "bridge" {
        return Ok(());
    }
    let kind = if found.kind.is_empty() { "hardware" } else { &found.kind };
    Err(Error::NotABridge { name: BRIDGE, kind: kind.to_owned() })
}

/// The addresses of cbr0 that are no gateway of the pod CIDRs, of the families that have one: an address that is left
/// from an earlier pod CIDR makes the bridge plugin refuse every pod.
fn foreign_addresses(present: &[Address], cidrs: &PodCidrs) -> Vec<IpNetwork> {
    let is_foreign = |address: &&Address| {
        let network = address.network;
        let mut same_family = cidrs.iter().filter(|cidr| cidr.is_ipv4() == network.is_ipv4());
        same_family.any(|cidr| {
            cidr.gateway() != network.ip() || cidr.network().prefix() != network.prefix()
        })
    };
    let global = present.iter().filter(|address| address.global);
    global.filter(is_foreign).map(|address| address.network).collect()
}
