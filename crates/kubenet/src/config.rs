//! The CNI configurations that kubenet writes: `loopback`, and `bridge` with `host-local`.

use std::path::Path;

use podnet_cni_spec::{CniError, PluginConfig};
use podnet_plugin_api::{HairpinMode, Mtu, PodCidrs};
use serde_json::{Value, json};

use crate::plugin::{BRIDGE, NETWORK};

/// What the configuration of the bridge is made of.
#[derive(Debug, Clone)]
pub(crate) struct BridgeConfig<'a> {
    pub(crate) mtu: Mtu,
    pub(crate) hairpin_mode: HairpinMode,
    pub(crate) networks_dir: &'a Path,
    /// None where none was assigned (yet): enough for a tear-down.
    pub(crate) pod_cidrs: Option<&'a PodCidrs>,
}

/// The configuration of `lo`.
pub(crate) fn loopback() -> Result<PluginConfig, CniError> {
    PluginConfig::from_value(json!({
        "cniVersion": "0.2.0",
        "name": "kubenet-loopback",
        "type": "loopback",
    }))
}

/// The configuration of the pod's network.
///
/// One family is written as any plugin since 0.2.0 reads it; two families need range sets, which 0.3.0 brought.
pub(crate) fn bridge(config: &BridgeConfig<'_>) -> Result<PluginConfig, CniError> {
    let version = match config.pod_cidrs {
        Some(cidrs) if cidrs.iter().count() > 1 => "0.3.1",
        _ => "0.2.0",
    };
    PluginConfig::from_value(json!({
        "cniVersion": version,
        "name": NETWORK,
        "type": "bridge",
        "bridge": BRIDGE,
        "mtu": config.mtu.get(),
        "isGateway": true,
        "ipMasq": false,
        "hairpinMode": config.hairpin_mode == HairpinMode::HairpinVeth,
        "promiscMode": config.hairpin_mode == HairpinMode::PromiscuousBridge,
        "ipam": ipam(config),
    }))
}

/// Has the bridge plugin leave cbr0's addresses alone, which kubenet then sees to.
///
/// While cbr0 carries the gateways of two pod CIDRs, the plugin (the Go one too, depending on their order) would refuse
/// the pod for an address that it does not know. The pod gets the gateway that the configuration of host-local names.
pub(crate) fn leave_addresses_alone(bridge: &mut PluginConfig) {
    bridge.set("isGateway", Value::Bool(false));
}

fn ipam(config: &BridgeConfig<'_>) -> Value {
    let mut ipam = json!({ "type": "host-local", "dataDir": config.networks_dir });
    let Some(cidrs) = config.pod_cidrs else { return ipam };
    let cidrs: Vec<_> = cidrs.iter().collect();
    let defaults = cidrs.iter().map(|cidr| if cidr.is_ipv4() { "0.0.0.0/0" } else { "::/0" });
    let routes: Vec<_> = defaults.map(|dst| json!({ "dst": dst })).collect();
    if let Some(object) = ipam.as_object_mut() {
        object.insert("routes".to_owned(), routes.into());
        match cidrs.as_slice() {
            [only] => {
                object.insert("subnet".to_owned(), only.to_string().into());
                object.insert("gateway".to_owned(), only.gateway().to_string().into());
            }
            several => {
                let sets = several.iter().map(|cidr| {
                    json!([{ "subnet": cidr.to_string(), "gateway": cidr.gateway().to_string() }])
                });
                object.insert("ranges".to_owned(), sets.collect());
            }
        }
    }
    ipam
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipam_of(cidrs: &str) -> (String, Value) {
        let cidrs: PodCidrs = cidrs.parse().unwrap();
        let config = bridge(&BridgeConfig {
            mtu: Mtu::new(1450).unwrap(),
            hairpin_mode: HairpinMode::HairpinVeth,
            networks_dir: Path::new("/var/lib/cni/networks"),
            pod_cidrs: Some(&cidrs),
        });
        let value = config.unwrap().to_value();
        (value["cniVersion"].as_str().unwrap().to_owned(), value["ipam"].clone())
    }

    #[test]
    fn one_family_is_written_for_any_plugin_since_0_2_0() {
        let (version, ipam) = ipam_of("10.9.0.0/24");
        assert_eq!(version, "0.2.0");
        assert_eq!(ipam["subnet"], "10.9.0.0/24");
        assert_eq!(ipam["gateway"], "10.9.0.1");
        assert_eq!(ipam["routes"], json!([{ "dst": "0.0.0.0/0" }]));
    }

    #[test]
    fn two_families_are_range_sets_in_their_order() {
        let (version, ipam) = ipam_of("fd00::/64,10.9.0.0/24");
        assert_eq!(version, "0.3.1");
        assert_eq!(ipam["ranges"][0][0]["subnet"], "fd00::/64");
        assert_eq!(ipam["ranges"][1][0]["gateway"], "10.9.0.1");
        assert_eq!(ipam["routes"], json!([{ "dst": "::/0" }, { "dst": "0.0.0.0/0" }]));
    }
}
