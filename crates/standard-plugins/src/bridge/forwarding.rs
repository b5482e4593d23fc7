//! What pods that are masqueraded need where the FORWARD chain of iptables drops by policy, as Docker has it.

use ipnetwork::IpNetwork;
use podnet_cni_spec::AddResult;

use super::plan::Plan;
use crate::error::Error;
use crate::host::Host;
use crate::nat::NatNetwork;

/// Lets what goes from and to the bridge pass. The rules know no pod: nothing of them is to be removed with one.
pub(super) async fn let_pass(host: &Host, plan: &Plan, addresses: &AddResult) -> Result<(), Error> {
    let networks = addresses.ips.iter().map(|ip| ip.address);
    let network = NatNetwork {
        name: plan.label.network().clone(),
        bridge: plan.bridge.clone(),
        pod_cidrs: networks
            .filter_map(|it| IpNetwork::new(it.network(), it.prefix()).ok())
            .collect(),
        non_masquerade: Vec::new(),
        masquerade: false,
        dedup: None,
        reports_to: None,
    };
    for line in host.nat().await?.let_pass(&network).await? {
        tracing::info!("{line}");
    }
    Ok(())
}
