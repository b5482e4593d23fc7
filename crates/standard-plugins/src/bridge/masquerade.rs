//! `ipMasq`: what pods send beyond their own network leaves with the host's address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use podnet_cni_spec::{AddResult, NetworkName};

use super::plan::Plan;
use crate::error::Error;
use crate::host::Host;
use crate::nat::NatNetwork;

/// Multicast is for whoever hears it on the link.
const MULTICAST: [(IpAddr, u8); 2] = [
    (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
    (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
];

/// Sees to the rules of the network, which know no pod: nothing of them is to be removed with one.
pub(super) async fn ensure(host: &Host, plan: &Plan, addresses: &AddResult) -> Result<(), Error> {
    if !plan.masquerade || addresses.ips.is_empty() {
        return Ok(());
    }
    let rules = rules(plan.label.network(), plan, addresses);
    for line in host.nat().await?.ensure(&rules).await? {
        tracing::info!("{line}");
    }
    Ok(())
}

fn rules(network: &NetworkName, plan: &Plan, addresses: &AddResult) -> NatNetwork {
    let networks = addresses.ips.iter().map(|ip| ip.address);
    let pods: Vec<_> =
        networks.filter_map(|it| IpNetwork::new(it.network(), it.prefix()).ok()).collect();
    let multicast = MULTICAST.iter().filter_map(|(ip, prefix)| IpNetwork::new(*ip, *prefix).ok());
    NatNetwork {
        name: network.clone(),
        bridge: plan.bridge.clone(),
        non_masquerade: pods.iter().copied().chain(multicast).collect(),
        pod_cidrs: pods,
        masquerade: true,
        dedup: None,
    }
}
