//! What a pod was promised: host ports and limits, and how that is noted for the time when nobody asks for it any more.
//!
//! The note is a cached result as libcni has it, so that whoever reads those finds kubenet's pods among them.

use std::net::IpAddr;
use std::num::NonZeroU16;

use podnet_cni_plugin::{Bandwidth, CachedAttachment, Capability, CapabilityArgs, RuntimeConf};
use podnet_cni_spec::{
    AddResult, CniArgs, CniError, ErrorCode, NetworkConfigList, PluginConfig, SpecVersion, go_json,
};
use podnet_plugin_api::{PodBandwidth, PodSandbox, PortMapping, Protocol};
use podnet_standard_plugins::Label;
use podnet_standard_plugins::nat::{self, HostPort};
use podnet_standard_plugins::shaping::{Limit, Limits};
use serde::Deserialize;
use serde_json::json;

use crate::error::Error;

/// The version in which results are noted: the first that names the interfaces, and says it in one form.
const NOTED_VERSION: SpecVersion = SpecVersion::V1_0_0;

/// What a pod asks for besides an address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Promise {
    pub(crate) ports: Vec<PortMapping>,
    pub(crate) limits: PodBandwidth,
}

impl Promise {
    pub(crate) fn of(sandbox: &PodSandbox) -> Result<Self, Error> {
        let limits = PodBandwidth::from_annotations(&sandbox.annotations)?;
        Ok(Self { ports: sandbox.port_mappings.clone(), limits })
    }

    /// What a runtime sends with a request, in `runtimeConfig`: the host ports, and the rates in bits a second. A burst is
    /// not honoured: it follows from the rate.
    pub(crate) fn requested(config: &PluginConfig) -> Result<Self, CniError> {
        let sent: Option<Vec<SentPort>> = config.runtime_config("portMappings")?;
        let sent = sent.unwrap_or_default();
        let ports = sent.iter().filter(|port| port.host_port != 0).map(SentPort::mapping);
        let noted: NotedLimits = config.runtime_config("bandwidth")?.unwrap_or_default();
        let mut limits = PodBandwidth::default();
        limits.ingress = sent_rate("ingressRate", noted.ingress_rate)?;
        limits.egress = sent_rate("egressRate", noted.egress_rate)?;
        Ok(Self { ports: ports.collect::<Result<_, _>>()?, limits })
    }

    /// What is noted of it. Nothing where what is noted cannot be read: then nothing is certain.
    pub(crate) fn noted(record: &CachedAttachment) -> Option<Self> {
        let arguments = &record.runtime.capability_args;
        let ports = arguments.get("portMappings").cloned().unwrap_or_else(|| json!([]));
        let ports: Vec<NotedPort> = go_json::decode(&ports).ok()?;
        let limits = arguments.get("bandwidth").cloned().unwrap_or_else(|| json!({}));
        let noted: NotedLimits = go_json::decode(&limits).ok()?;
        let rate = |rate: u64| (rate != 0).then_some(rate);
        let mut limits = PodBandwidth::default();
        limits.ingress = rate(noted.ingress_rate);
        limits.egress = rate(noted.egress_rate);
        let ports = ports.iter().map(NotedPort::mapping).collect::<Option<_>>()?;
        Some(Self { ports, limits })
    }

    pub(crate) fn host_ports(&self) -> Vec<HostPort> {
        self.ports.iter().map(host_port).collect()
    }

    /// As seen from the node: what comes in for a pod goes to it.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            to_pod: self.limits.ingress.map(Limit::new),
            from_pod: self.limits.egress.map(Limit::new),
        }
    }

    fn capability_args(&self) -> CapabilityArgs {
        let mut limits = Bandwidth::default();
        limits.ingress_rate = self.limits.ingress.unwrap_or_default();
        limits.egress_rate = self.limits.egress.unwrap_or_default();
        let ports = Capability::PortMappings(self.ports.clone());
        let arguments = CapabilityArgs::default().with(&ports);
        if self.limits.is_unlimited() {
            return arguments;
        }
        arguments.with(&Capability::Bandwidth(limits))
    }
}

/// Limits as they can be compared: the kernel counts bytes, and a burst is derived.
pub(crate) fn rates(limits: &Limits) -> [Option<u64>; 2] {
    [limits.to_pod, limits.from_pod].map(|limit| limit.map(|limit| limit.bits_per_second / 8))
}

/// A note of a pod's attachment.
pub(crate) fn record(
    sandbox: &PodSandbox,
    label: &Label,
    bridge: &PluginConfig,
    promise: &Promise,
    result: &AddResult,
) -> Result<CachedAttachment, Error> {
    let conf = RuntimeConf::new(label.container_id().clone(), label.interface().clone())
        .with_args(args(sandbox)?)
        .with_capability_args(promise.capability_args());
    let conf = match &sandbox.netns {
        Some(netns) => conf.with_netns(netns),
        None => conf,
    };
    let mut config = bridge.clone();
    config.set("cniVersion", NOTED_VERSION.as_str().into());
    let mut record = CachedAttachment::new(&NetworkConfigList::from_plugin(config)?, conf);
    record.result = Some(result.to_json(NOTED_VERSION)?);
    Ok(record)
}

/// The host end of a pod's attachment as its note names it: an interface outside the pod that is not the bridge.
pub(crate) fn noted_host_end(record: &CachedAttachment, bridge: &str) -> Option<String> {
    let result = record.result().ok().flatten()?;
    let outside = |sandbox: &Option<String>| sandbox.as_deref().is_none_or(str::is_empty);
    let host_end = result
        .interfaces
        .into_iter()
        .find(|interface| outside(&interface.sandbox) && interface.name != bridge);
    host_end.map(|interface| interface.name)
}

fn args(sandbox: &PodSandbox) -> Result<CniArgs, CniError> {
    let mut args = CniArgs::default();
    args.insert("IgnoreUnknown", "1")?;
    args.insert("K8S_POD_NAMESPACE", sandbox.namespace())?;
    args.insert("K8S_POD_NAME", sandbox.name())?;
    args.insert("K8S_POD_INFRA_CONTAINER_ID", sandbox.id())?;
    Ok(args)
}

pub(crate) fn host_port(mapping: &PortMapping) -> HostPort {
    HostPort {
        protocol: match mapping.protocol {
            Protocol::Udp => nat::Protocol::Udp,
            Protocol::Sctp => nat::Protocol::Sctp,
            _ => nat::Protocol::Tcp,
        },
        host_ip: mapping.host_ip.filter(|ip| !ip.is_unspecified()),
        host_port: mapping.host_port.get(),
        container_port: mapping.container_port.get(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotedPort {
    host_port: NonZeroU16,
    container_port: NonZeroU16,
    #[serde(default)]
    protocol: String,
    #[serde(default, rename = "hostIP")]
    host_ip: String,
}

impl NotedPort {
    fn mapping(&self) -> Option<PortMapping> {
        let protocol = match self.protocol.to_ascii_lowercase().as_str() {
            "tcp" | "" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return None,
        };
        let host_ip = match self.host_ip.as_str() {
            "" => None,
            text => Some(text.parse::<IpAddr>().ok()?),
        };
        let (host_port, container_port) = (self.host_port, self.container_port);
        Some(PortMapping { host_ip, host_port, container_port, protocol })
    }
}

/// A host port as a runtime sends it; number 0 asks for none.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentPort {
    #[serde(default)]
    host_port: u16,
    container_port: NonZeroU16,
    #[serde(default)]
    protocol: String,
    #[serde(default, rename = "hostIP")]
    host_ip: String,
}

impl SentPort {
    fn mapping(&self) -> Result<PortMapping, CniError> {
        let noted = NonZeroU16::new(self.host_port).and_then(|host_port| {
            let (protocol, host_ip) = (self.protocol.clone(), self.host_ip.clone());
            NotedPort { host_port, container_port: self.container_port, protocol, host_ip }
                .mapping()
        });
        let (port, protocol, ip) = (self.host_port, &self.protocol, &self.host_ip);
        noted.ok_or_else(|| refused(format!("host port {port} of {protocol:?} at {ip:?} is none")))
    }
}

/// A rate, within the kubelet's bounds for one.
fn sent_rate(key: &str, rate: u64) -> Result<Option<u64>, CniError> {
    match rate {
        0 => Ok(None),
        1_000..=1_000_000_000_000_000 => Ok(Some(rate)),
        _ => Err(refused(format!("{key} {rate}: it must be from 1 kbit/s to 1 Pbit/s"))),
    }
}

fn refused(reason: String) -> CniError {
    CniError::new(ErrorCode::INVALID_NETWORK_CONFIG, reason)
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct NotedLimits {
    ingress_rate: u64,
    egress_rate: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_back() {
        let mut sandbox = PodSandbox::new("default", "web", "a1")
            .unwrap()
            .with_annotation("kubernetes.io/egress-bandwidth", "10M");
        sandbox.port_mappings.push(PortMapping {
            host_ip: Some("192.0.2.1".parse().unwrap()),
            host_port: NonZeroU16::new(8080).unwrap(),
            container_port: NonZeroU16::new(80).unwrap(),
            protocol: Protocol::Udp,
        });
        let promise = Promise::of(&sandbox).unwrap();
        let label =
            Label::new("kubenet".parse().unwrap(), "a1".parse().unwrap(), "eth0".parse().unwrap())
                .unwrap();
        let config = json!({ "cniVersion": "0.2.0", "name": "kubenet", "type": "bridge" });
        let config = PluginConfig::from_value(config).unwrap();
        let record = record(&sandbox, &label, &config, &promise, &AddResult::default()).unwrap();
        assert_eq!(Promise::noted(&record), Some(promise));
        assert_eq!(record.runtime.attachment.args.get("K8S_POD_NAME"), Some("web"));
    }
}
