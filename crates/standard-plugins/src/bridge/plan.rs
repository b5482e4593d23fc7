//! What a bridge configuration asks for, read and checked before anything is touched.

use podnet_cni_spec::{Dns, InterfaceName, PluginConfig, Request};
use podnet_netutil::MacAddr;
use serde::Deserialize;

use super::vlan::{TrunkRange, Vlans};
use crate::error::Error;
use crate::label::Label;
use crate::masquerade;
use crate::mtu_option::mtu;

const DEFAULT_BRIDGE: &str = "cni0";

/// The options of the reference's `bridge` plugin, as they stand in the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "the configuration has each as a key of its own")]
struct Options {
    bridge: Option<String>,
    is_gateway: bool,
    is_default_gateway: bool,
    force_address: bool,
    ip_masq: bool,
    ip_masq_backend: Option<String>,
    mtu: i64,
    hairpin_mode: bool,
    promisc_mode: bool,
    vlan: i64,
    vlan_trunk: Vec<TrunkRange>,
    preserve_default_vlan: bool,
    macspoofchk: bool,
    enabledad: bool,
    disable_container_interface: bool,
    port_isolation: bool,
    args: Args,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Args {
    cni: CniArgsMac,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CniArgsMac {
    mac: Option<String>,
}

/// What is to be built for one attachment.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own of bridge or port")]
pub(super) struct Plan {
    pub(super) label: Label,
    pub(super) bridge: InterfaceName,
    pub(super) gateway: Gateway,
    /// Whether a foreign address on the bridge is replaced instead of refused.
    pub(super) force_address: bool,
    /// Whether what leaves the bridge's network takes the host's address.
    pub(super) masquerade: bool,
    /// Whether frames of the pod with another MAC address than its own are dropped.
    pub(super) check_mac: bool,
    pub(super) mtu: Option<u32>,
    pub(super) hairpin: bool,
    pub(super) promiscuous: bool,
    pub(super) isolated: bool,
    pub(super) vlans: Vlans,
    /// Whether the pod's IPv6 addresses are claimed first (RFC 4862, duplicate address detection).
    pub(super) claim_addresses: bool,
    /// Whether the pod's end is enabled.
    pub(super) enable_pod_end: bool,
    pub(super) dns: Dns,
    pub(super) host_mac: MacAddr,
    pub(super) pod_mac: MacAddr,
}

/// What the bridge is to the pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gateway {
    /// Nothing: it only joins them.
    No,
    /// It has the gateway's address.
    Address,
    /// It has the gateway's address, and pods get a default route by it.
    DefaultRoute,
}

impl Plan {
    pub(super) fn from_request(request: &Request) -> Result<Self, Error> {
        let label = Label::of(request)?;
        let options: Options = request.config.options()?;
        refuse_contradictions(&options)?;
        let enable_pod_end = enable_pod_end(&options, &request.config)?;
        let (host_mac, own_mac) = label.macs();
        Ok(Self {
            bridge: bridge_name(options.bridge.as_deref())?,
            gateway: gateway(&options),
            force_address: options.force_address,
            masquerade: masquerade(&options)?,
            check_mac: options.macspoofchk,
            mtu: mtu(options.mtu)?,
            hairpin: options.hairpin_mode,
            promiscuous: options.promisc_mode,
            isolated: options.port_isolation,
            vlans: vlans(&options)?,
            claim_addresses: options.enabledad,
            enable_pod_end,
            dns: request.config.dns()?,
            host_mac,
            pod_mac: wanted_mac(request, &options)?.unwrap_or(own_mac),
            label,
        })
    }
}

/// Checks the options that are the same for every attachment.
pub(super) fn check_options(config: &PluginConfig) -> Result<(), Error> {
    let options: Options = config.options()?;
    refuse_contradictions(&options)?;
    masquerade(&options)?;
    bridge_name(options.bridge.as_deref())?;
    vlans(&options)?;
    enable_pod_end(&options, config)?;
    mtu(options.mtu).map(drop)
}

fn vlans(options: &Options) -> Result<Vlans, Error> {
    Vlans::parse(options.vlan, &options.vlan_trunk, options.preserve_default_vlan)
}

/// An interface that stays disabled has no use for an address.
fn enable_pod_end(options: &Options, config: &PluginConfig) -> Result<bool, Error> {
    if options.disable_container_interface && config.ipam_type()?.is_some() {
        let reason = "it cannot be combined with ipam: the interface stays disabled".to_owned();
        return Err(Error::InvalidOption { option: "disableContainerInterface", reason });
    }
    Ok(!options.disable_container_interface)
}

fn refuse_contradictions(options: &Options) -> Result<(), Error> {
    if options.hairpin_mode && options.promisc_mode {
        let reason = "it cannot be combined with promiscMode: frames would arrive twice".to_owned();
        return Err(Error::InvalidOption { option: "hairpinMode", reason });
    }
    Ok(())
}

fn bridge_name(name: Option<&str>) -> Result<InterfaceName, Error> {
    let name = name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_BRIDGE);
    InterfaceName::new(name)
        .map_err(|error| Error::InvalidOption { option: "bridge", reason: error.to_string() })
}

fn masquerade(options: &Options) -> Result<bool, Error> {
    masquerade::is_wanted(options.ip_masq, options.ip_masq_backend.as_deref())
}

fn gateway(options: &Options) -> Gateway {
    match (options.is_default_gateway, options.is_gateway) {
        (true, _) => Gateway::DefaultRoute,
        (false, true) => Gateway::Address,
        (false, false) => Gateway::No,
    }
}

/// A MAC address from, in rising order of weight, `CNI_ARGS`, `args.cni.mac` and the capability `mac`.
fn wanted_mac(request: &Request, options: &Options) -> Result<Option<MacAddr>, Error> {
    let capability: Option<String> = request.config.runtime_config("mac")?;
    let environment = request.attachment()?.args.get("MAC").map(str::to_owned);
    let text = capability.or_else(|| options.args.cni.mac.clone()).or(environment);
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| text.parse()).transpose().map_err(|error: podnet_netutil::InvalidMacAddr| {
        Error::InvalidOption { option: "mac", reason: error.to_string() }
    })
}

#[cfg(test)]
mod tests {
    use podnet_cni_spec::{Attachment, CniArgs, PluginConfig, Verb};
    use serde_json::{Value, json};

    use super::*;

    fn plan(options: Value) -> Result<Plan, Error> {
        let mut config = PluginConfig::from_value(options).unwrap();
        config.set("name", json!("net"));
        config.set("type", json!("bridge"));
        let attachment = Attachment {
            container_id: "a1".parse().unwrap(),
            interface: "eth0".parse().unwrap(),
            netns: None,
            args: CniArgs::parse("MAC=02:00:00:00:00:01").unwrap(),
        };
        Plan::from_request(&Request { verb: Verb::Add, attachment: Some(attachment), config })
    }

    #[test]
    fn keys_are_read_without_regard_to_case() {
        let plan =
            plan(json!({"Bridge": "br7", "ISGATEWAY": true, "MTU": 1400, "ipmasq": true})).unwrap();
        assert_eq!(
            (plan.bridge.as_str(), plan.gateway, plan.mtu, plan.masquerade),
            ("br7", Gateway::Address, Some(1400), true)
        );
    }

    #[test]
    fn the_nearest_source_of_a_mac_address_wins() {
        let from_environment = plan(json!({})).unwrap().pod_mac.to_string();
        assert_eq!(from_environment, "02:00:00:00:00:01");
        let arguments = json!({"args": {"cni": {"mac": "02:00:00:00:00:02"}}});
        assert_eq!(plan(arguments.clone()).unwrap().pod_mac.to_string(), "02:00:00:00:00:02");
        let mut both = arguments;
        both["runtimeConfig"] = json!({"mac": "02:00:00:00:00:03"});
        assert_eq!(plan(both).unwrap().pod_mac.to_string(), "02:00:00:00:00:03");
    }

    #[test]
    fn what_is_not_asked_for_is_left_as_the_kernel_has_it() {
        let silent = plan(json!({})).unwrap();
        assert!(silent.enable_pod_end && !silent.claim_addresses);
        let asked = json!({"disableContainerInterface": true, "enabledad": true});
        let asked = plan(asked).unwrap();
        assert!(!asked.enable_pod_end && asked.claim_addresses);
    }

    #[test]
    fn numbers_and_names_out_of_range_are_refused() {
        for config in [
            json!({"mtu": 67}),
            json!({"mtu": 65_536}),
            json!({"mtu": -1}),
            json!({"bridge": "a-name-too-long-"}),
            json!({"bridge": "br%d"}),
            json!({"hairpinMode": true, "promiscMode": true}),
            json!({"disableContainerInterface": true, "ipam": {"type": "host-local"}}),
            json!({"IpMasq": true, "IpMasqBackend": "ipfw"}),
            json!({"vlan": 4095}),
            json!({"vlanTrunk": [{"minID": 5}]}),
        ] {
            assert!(plan(config.clone()).is_err(), "{config}");
        }
    }
}
