//! What all hosts of a run have in common, and the configurations that follow from it.

use std::path::Path;

use podnet_kubenet::{BRIDGE, NETWORK};
use serde_json::{Value, json};

use crate::bench::field::{MTU, POD_CIDR};
use crate::bench::programs::{BRIDGE_TYPE, CNI_VERSION, HOST_LOCAL, LOOPBACK};

/// How many calls are under way in the rounds that have several at once.
pub(super) const AT_ONCE: u32 = 32;
pub(super) const PORTMAP: &str = "portmap";
pub(super) const BANDWIDTH: &str = "bandwidth";
pub(super) const KUBENET: &str = "kubenet";
/// Where a pod serves, and the host port by which the first pod is reached; the others follow it.
pub(super) const CONTAINER_PORT: u16 = 80;
const FIRST_HOST_PORT: u16 = 20_000;
/// What a pod may receive and send, in bits a second, and the bits that may pass at once.
pub(super) const INGRESS: u64 = 100_000_000;
pub(super) const EGRESS: u64 = 50_000_000;
const BURST: u64 = 8_000_000;

const POD_CIDR6: &str = "fd00:10:244::/64";

/// How often several come and go at once, and how often a program is started.
const ROUNDS: usize = 6;
const STARTS: usize = 300;

/// What a run is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setting {
    /// Pods that stand on each host once it is full.
    pub(super) pods: u32,
    /// Whether each has an address of both families.
    pub(super) dual_stack: bool,
    /// Whether the bridges of the chains masquerade, as kubenet does.
    pub(super) masquerade: bool,
    /// How often several are attached and detached at once.
    pub(super) rounds: usize,
    /// How often a program is started that only says its versions.
    pub(super) starts: usize,
}

impl Setting {
    /// With IPv4 and masquerade, for so many pods.
    pub(super) fn new(pods: u32) -> Self {
        Self { pods, dual_stack: false, masquerade: true, rounds: ROUNDS, starts: STARTS }
    }

    fn subnets(self) -> &'static [(&'static str, &'static str)] {
        let both = &[(POD_CIDR, "0.0.0.0/0"), (POD_CIDR6, "::/0")];
        if self.dual_stack { both } else { both.split_at(1).0 }
    }

    /// The bridge of kubenet, alone or at the head of the chain.
    pub(super) fn bridge(self, networks_dir: &Path, in_chain: bool) -> Value {
        let ranges: Vec<_> =
            self.subnets().iter().map(|(subnet, _)| json!([{ "subnet": subnet }])).collect();
        let routes: Vec<_> = self.subnets().iter().map(|(_, dst)| json!({ "dst": dst })).collect();
        json!({
            "cniVersion": CNI_VERSION,
            "name": NETWORK,
            "type": BRIDGE_TYPE,
            "bridge": BRIDGE,
            "mtu": MTU,
            "isGateway": true,
            "hairpinMode": true,
            "ipMasq": in_chain && self.masquerade,
            "ipam": {
                "type": HOST_LOCAL, "dataDir": networks_dir, "ranges": ranges, "routes": routes,
            },
        })
    }

    /// The same bridge with masquerade, host ports and limits, in one.
    pub(super) fn kubenet(self, networks_dir: &Path) -> Value {
        let subnets: Vec<_> = self.subnets().iter().map(|(subnet, _)| *subnet).collect();
        json!({
            "cniVersion": CNI_VERSION,
            "name": NETWORK,
            "type": KUBENET,
            "podCIDR": subnets.join(","),
            "mtu": MTU,
            "dataDir": networks_dir,
        })
    }
}

/// A plugin that needs nothing but its type.
pub(super) fn plain(plugin: &str) -> Value {
    let network = if plugin == LOOPBACK { "lo" } else { NETWORK };
    json!({ "cniVersion": CNI_VERSION, "name": network, "type": plugin })
}

/// The host port of a pod, by its place among all of its host.
pub(super) fn host_port(place: usize) -> u16 {
    u16::try_from(place).map_or(u16::MAX, |place| FIRST_HOST_PORT.saturating_add(place))
}

/// The capability `portMappings`, as go-cni sends it.
pub(super) fn port_mappings(host_port: u16) -> Value {
    json!([{
        "HostPort": host_port, "ContainerPort": CONTAINER_PORT, "Protocol": "tcp", "HostIP": "",
    }])
}

/// The capability `bandwidth`, as go-cni sends it.
pub(super) fn bandwidth() -> Value {
    json!({
        "IngressRate": INGRESS, "IngressBurst": BURST, "EgressRate": EGRESS, "EgressBurst": BURST,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_the_same_subnets() {
        for (dual_stack, expected) in
            [(false, POD_CIDR.to_owned()), (true, format!("{POD_CIDR},{POD_CIDR6}"))]
        {
            let setting = Setting { dual_stack, ..Setting::new(1) };
            let folder = Path::new("/networks");
            assert_eq!(setting.kubenet(folder)["podCIDR"], expected.as_str());
            let bridge = setting.bridge(folder, true);
            let ranges = bridge["ipam"]["ranges"].as_array().unwrap().iter();
            let subnets: Vec<_> = ranges.map(|set| set[0]["subnet"].as_str().unwrap()).collect();
            assert_eq!(subnets.join(","), expected);
        }
    }

    #[test]
    fn only_the_head_of_the_chain_masquerades() {
        let cases = [((true, true), true), ((false, true), false), ((true, false), false)];
        for ((in_chain, masquerade), expected) in cases {
            let setting = Setting { masquerade, ..Setting::new(1) };
            assert_eq!(setting.bridge(Path::new("/"), in_chain)["ipMasq"], expected);
        }
    }

    #[test]
    fn every_pod_has_a_host_port_of_its_own() {
        assert_eq!((host_port(0), host_port(931)), (20_000, 20_931));
    }
}
