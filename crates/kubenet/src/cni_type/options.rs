//! The plugin's configuration, read and checked before anything is touched.

use std::path::PathBuf;

use ipnetwork::IpNetwork;
use podnet_cni_spec::{CniError, ErrorCode, PluginConfig, Request, Verb};
use podnet_plugin_api::{HairpinMode, Mtu, PodCidr, PodCidrs, Settings};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::options::KubenetOptions;
use crate::plugin::{BRIDGE, CallConfig, NETWORK};

/// The keys as they stand in the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Written {
    #[serde(rename = "podCIDR")]
    pod_cidr: String,
    ranges: Vec<Vec<Range>>,
    bridge: String,
    mtu: u32,
    hairpin_mode: String,
    #[serde(rename = "nonMasqueradeCIDRs")]
    non_masquerade_cidrs: Option<Vec<IpNetwork>>,
    data_dir: String,
}

/// A range as host-local and the capability `ipRanges` have it.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct Range {
    subnet: String,
    #[serde(rename = "rangeStart")]
    start: String,
    #[serde(rename = "rangeEnd")]
    end: String,
    gateway: String,
}

/// What a call goes by.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) networks_dir: PathBuf,
    pub(super) settings: Settings,
    pub(super) pod_cidrs: Option<PodCidrs>,
    /// What the bridge plugin is told besides what kubenet always tells it.
    pub(super) call: CallConfig,
}

impl Options {
    /// Of a DEL and a GC only the network's name and `dataDir` must be right, so that they succeed whatever has become of
    /// the rest.
    pub(super) fn read(request: &Request) -> Result<Self, CniError> {
        let config = &request.config;
        refuse_another_name(config)?;
        let forgiving = matches!(request.verb, Verb::Del | Verb::Gc);
        let written = match config.options::<Written>() {
            Err(_) if forgiving => only_place(config)?,
            written => written?,
        };
        let data_dir = Some(written.data_dir.as_str()).filter(|text| !text.is_empty());
        let networks_dir =
            data_dir.map_or_else(|| KubenetOptions::default().networks_dir, PathBuf::from);
        let read = || {
            refuse_another_bridge(&written.bridge)?;
            Ok::<_, CniError>((settings(&written)?, ranges(config, &written)?))
        };
        let (settings, ranges) = match read() {
            Err(_) if forgiving => (Settings::default(), Vec::new()),
            read => read?,
        };
        let pod_cidrs = pod_cidrs(&ranges);
        let mut call = call_config(request)?;
        if !ranges.is_empty() {
            call.insert("ipam".to_owned(), ipam(&networks_dir, &ranges));
        }
        let pod_cidrs = match pod_cidrs {
            Err(_) if forgiving => None,
            cidrs => cidrs?,
        };
        Ok(Self { networks_dir, settings, pod_cidrs, call })
    }

    /// The pods' subnets, which an ADD and a CHECK must have.
    pub(super) fn cidrs(&self) -> Result<&PodCidrs, CniError> {
        let missing = "there is no subnet for the pods: set podCIDR or ranges, or have the runtime send ipRanges";
        self.pod_cidrs.as_ref().ok_or_else(|| invalid(missing))
    }
}

fn only_place(config: &PluginConfig) -> Result<Written, CniError> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Place {
        data_dir: String,
    }
    let Place { data_dir } = config.options()?;
    Ok(Written { data_dir, ..Written::default() })
}

fn refuse_another_name(config: &PluginConfig) -> Result<(), CniError> {
    let name = config.name()?;
    if name.as_str() == NETWORK {
        return Ok(());
    }
    Err(invalid(format!(
        "the network is named {name}: name it {NETWORK:?}, the one network that kubenet has"
    )))
}

fn refuse_another_bridge(name: &str) -> Result<(), CniError> {
    if name.is_empty() || name == BRIDGE {
        return Ok(());
    }
    Err(invalid(format!("bridge {name:?}: kubenet's bridge is {BRIDGE}, leave the option out")))
}

fn settings(written: &Written) -> Result<Settings, CniError> {
    let mut settings = Settings::default();
    if !written.hairpin_mode.is_empty() {
        let mode: Result<HairpinMode, _> = written.hairpin_mode.parse();
        settings.hairpin_mode = mode.map_err(|error| invalid(error.to_string()))?;
    }
    if let Some(cidrs) = &written.non_masquerade_cidrs {
        settings.non_masquerade_cidrs.clone_from(cidrs);
    }
    if written.mtu != 0 {
        settings.mtu = Some(Mtu::new(written.mtu).map_err(|error| invalid(error.to_string()))?);
    }
    Ok(settings)
}

/// A set of ranges, which are all of one subnet.
struct RangeSet {
    cidr: PodCidr,
    ranges: Vec<Range>,
}

/// The runtime's ranges, else `ranges`, else `podCIDR`.
fn ranges(config: &PluginConfig, written: &Written) -> Result<Vec<RangeSet>, CniError> {
    let sent: Option<Vec<Vec<Range>>> = config.runtime_config("ipRanges")?;
    let sets = match sent.filter(|sets| !sets.is_empty()) {
        Some(sets) => sets,
        None if !written.ranges.is_empty() => written.ranges.clone(),
        None => of_pod_cidr(&written.pod_cidr),
    };
    sets.into_iter().map(range_set).collect()
}

fn of_pod_cidr(text: &str) -> Vec<Vec<Range>> {
    let subnets = text.split(',').map(str::trim).filter(|subnet| !subnet.is_empty());
    let range = |subnet: &str| Range { subnet: subnet.to_owned(), ..Range::default() };
    subnets.map(|subnet| vec![range(subnet)]).collect()
}

fn range_set(ranges: Vec<Range>) -> Result<RangeSet, CniError> {
    let mut subnet = None;
    for range in &ranges {
        let cidr: Result<PodCidr, _> = range.subnet.parse();
        let cidr = cidr.map_err(|error| invalid(format!("subnet {:?}: {error}", range.subnet)))?;
        if *subnet.get_or_insert(cidr) != cidr {
            return Err(invalid(format!("{cidr}: the ranges of one set must be of one subnet")));
        }
        let gateway = cidr.gateway();
        if !range.gateway.is_empty() && range.gateway.parse() != Ok(gateway) {
            let text = format!("gateway {}: kubenet's is {gateway}, the first", range.gateway);
            return Err(invalid(text));
        }
    }
    let cidr = subnet.ok_or_else(|| invalid("a range set is empty"))?;
    Ok(RangeSet { cidr, ranges })
}

fn pod_cidrs(sets: &[RangeSet]) -> Result<Option<PodCidrs>, CniError> {
    let cidrs = match sets {
        [] => return Ok(None),
        [only] => PodCidrs::new(only.cidr, None),
        [first, second] => PodCidrs::new(first.cidr, Some(second.cidr)),
        _ => return Err(invalid("more than two subnets: kubenet has one of each family")),
    };
    cidrs.map(Some).map_err(|error| invalid(error.to_string()))
}

fn ipam(networks_dir: &std::path::Path, sets: &[RangeSet]) -> Value {
    let default = |set: &RangeSet| if set.cidr.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
    let routes: Vec<_> = sets.iter().map(|set| json!({ "dst": default(set) })).collect();
    let ranges: Vec<Vec<_>> = sets
        .iter()
        .map(|set| set.ranges.iter().map(|range| written(set, range)).collect())
        .collect();
    json!({ "type": "host-local", "dataDir": networks_dir, "routes": routes, "ranges": ranges })
}

fn written(set: &RangeSet, range: &Range) -> Value {
    let mut value =
        json!({ "subnet": set.cidr.to_string(), "gateway": set.cidr.gateway().to_string() });
    for (key, end) in [("rangeStart", &range.start), ("rangeEnd", &range.end)] {
        if let (false, Some(object)) = (end.is_empty(), value.as_object_mut()) {
            object.insert(key.to_owned(), end.as_str().into());
        }
    }
    value
}

/// What a request says of one container: its address, its MAC address, DNS; and the result that a CHECK goes by.
fn call_config(request: &Request) -> Result<CallConfig, CniError> {
    let config = &request.config;
    let mut call = CallConfig::new();
    call.insert("cniVersion".to_owned(), config.version()?.as_str().into());
    for key in ["dns", "args", "prevResult"] {
        if let Some(value) = config.as_map().get(key) {
            call.insert(key.to_owned(), value.clone());
        }
    }
    let Some(attachment) = &request.attachment else { return Ok(call) };
    let argument = |key| attachment.args.get(key).filter(|text| !text.is_empty());
    let mut ips: Vec<String> = config.runtime_config("ips")?.unwrap_or_default();
    ips.extend(argument("IP").map(str::to_owned));
    let mac: Option<String> = config.runtime_config("mac")?;
    let mac = mac.filter(|text| !text.is_empty());
    let mac = mac.or_else(|| argument("MAC").map(str::to_owned));
    let mut runtime = serde_json::Map::new();
    if !ips.is_empty() {
        runtime.insert("ips".to_owned(), ips.into());
    }
    if let Some(mac) = mac {
        runtime.insert("mac".to_owned(), mac.into());
    }
    if !runtime.is_empty() {
        call.insert("runtimeConfig".to_owned(), runtime.into());
    }
    Ok(call)
}

pub(super) fn invalid(reason: impl Into<String>) -> CniError {
    CniError::new(ErrorCode::INVALID_NETWORK_CONFIG, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(verb: Verb, keys: Value) -> Result<Options, CniError> {
        let mut config = PluginConfig::from_value(keys).unwrap();
        for (key, value) in [("cniVersion", "1.0.0"), ("type", "kubenet")] {
            config.set(key, value.into());
        }
        if !config.as_map().contains_key("name") {
            config.set("name", NETWORK.into());
        }
        Options::read(&Request { verb, attachment: None, config })
    }

    #[test]
    fn the_runtimes_ranges_go_before_those_of_the_file() {
        let sent = json!({"ipRanges": [[{"Subnet": "10.7.0.0/24", "RangeStart": "10.7.0.9"}]]});
        let options = read(Verb::Add, json!({"podCIDR": "10.8.0.0/24", "runtimeConfig": sent}));
        let options = options.unwrap();
        assert_eq!(options.cidrs().unwrap().to_string(), "10.7.0.0/24");
        assert_eq!(options.call["ipam"]["ranges"][0][0]["rangeStart"], "10.7.0.9");
        let both = read(Verb::Add, json!({"podCIDR": "10.8.0.0/24,fd00::/64"})).unwrap();
        assert!(both.cidrs().unwrap().has_ipv6());
    }

    #[test]
    fn what_kubenet_cannot_serve_is_refused_and_still_deleted() {
        for (keys, named) in [
            (json!({"bridge": "cni0"}), "cbr0"),
            (json!({"hairpinMode": "maybe"}), "maybe"),
            (json!({"podCIDR": "10.8.0.0"}), "10.8.0.0"),
            (json!({"podCIDR": "10.8.0.0/24,10.9.0.0/24"}), "10.9.0.0/24"),
            (json!({"ranges": [[{"subnet": "10.8.0.0/24", "gateway": "10.8.0.9"}]]}), "10.8.0.9"),
        ] {
            let error = read(Verb::Add, keys.clone()).unwrap_err();
            assert_eq!(error.code, ErrorCode::INVALID_NETWORK_CONFIG, "{keys}");
            assert!(error.msg.contains(named), "{}", error.msg);
            read(Verb::Del, keys).unwrap();
        }
        let error = read(Verb::Del, json!({"name": "pods"})).unwrap_err();
        assert!(error.msg.contains("name it \"kubenet\""), "{}", error.msg);
    }
}
