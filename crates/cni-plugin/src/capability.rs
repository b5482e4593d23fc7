//! Capability arguments: what a runtime passes to those plugins of a chain that declare that they
//! understand it (CNI 1.1.0, section 3, "Deriving runtimeConfig"; names and forms are those of CNI's
//! CONVENTIONS.md).

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use podnet_plugin_api::PortMapping;
use serde_json::{Map, Value, json};

#[cfg(test)]
mod tests;

pub(crate) const IP_RANGES: &str = "ipRanges";

/// Capability arguments by name. Whatever is in here reaches only the plugins that declare it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CapabilityArgs(Map<String, Value>);

/// An argument of one of the capabilities that have a name and a form of their own.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Capability {
    /// `portMappings`: ports of the host that lead to the container. An empty list is an argument.
    PortMappings(Vec<PortMapping>),
    /// `bandwidth`: limits of the container's traffic.
    Bandwidth(Bandwidth),
    /// `ipRanges`: where to take addresses from; one address of each set of ranges.
    IpRanges(Vec<Vec<IpRange>>),
    /// `ips`: the addresses to assign, each with the length of its network's prefix.
    Ips(Vec<IpNetwork>),
    /// `mac`: the hardware address of the container's interface, `aa:bb:cc:dd:ee:ff`.
    Mac(String),
    /// `dns`: what the container should resolve names with.
    Dns(DnsServers),
    /// `aliases`: further names of the container on this network.
    Aliases(Vec<String>),
    /// `infinibandGUID`: the GUID of the container's InfiniBand interface.
    InfinibandGuid(String),
    /// `deviceID`: the device to hand to the container, for instance its PCI address.
    DeviceId(String),
    /// `cgroupPath`: the container's control group.
    CgroupPath(String),
}

/// Limits of a container's traffic. Zero is no limit; a rate needs a burst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Into the container, in bits a second.
    pub ingress_rate: u64,
    /// Into the container, what may come at once, in bits.
    pub ingress_burst: u64,
    /// Out of the container, in bits a second.
    pub egress_rate: u64,
    /// Out of the container, what may go at once, in bits.
    pub egress_burst: u64,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpRange {
    /// The network.
    pub subnet: IpNetwork,
    /// The first address to assign; by default the network's second.
    pub range_start: Option<IpAddr>,
    /// The last address to assign; by default the network's last but the broadcast address.
    pub range_end: Option<IpAddr>,
    /// The gateway; by default the network's first address.
    pub gateway: Option<IpAddr>,
}

/// What to resolve names with. As a capability it has other keys than in a configuration or result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsServers {
    /// The servers, in order of priority.
    pub servers: Vec<IpAddr>,
    /// The domains in which short names are looked up, in order of priority.
    pub searches: Vec<String>,
    /// Options of the resolver, as in `resolv.conf(5)`.
    pub options: Vec<String>,
}

impl IpRange {
    /// All of a network.
    #[must_use]
    pub fn new(subnet: IpNetwork) -> Self {
        Self { subnet, range_start: None, range_end: None, gateway: None }
    }
}

impl Capability {
    /// The name by which a plugin declares it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::PortMappings(_) => "portMappings",
            Self::Bandwidth(_) => "bandwidth",
            Self::IpRanges(_) => IP_RANGES,
            Self::Ips(_) => "ips",
            Self::Mac(_) => "mac",
            Self::Dns(_) => "dns",
            Self::Aliases(_) => "aliases",
            Self::InfinibandGuid(_) => "infinibandGUID",
            Self::DeviceId(_) => "deviceID",
            Self::CgroupPath(_) => "cgroupPath",
        }
    }

    /// The argument as a plugin finds it in `runtimeConfig`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::PortMappings(mappings) => mappings.iter().map(port_mapping).collect(),
            Self::Bandwidth(limits) => bandwidth(limits),
            Self::IpRanges(sets) => {
                sets.iter().map(|set| set.iter().map(ip_range).collect::<Value>()).collect()
            }
            Self::Ips(ips) => ips.iter().map(ToString::to_string).collect(),
            Self::Dns(dns) => {
                json!({"servers": dns.servers, "searches": dns.searches, "options": dns.options})
            }
            Self::Aliases(names) => names.iter().map(String::as_str).collect(),
            Self::Mac(text)
            | Self::InfinibandGuid(text)
            | Self::DeviceId(text)
            | Self::CgroupPath(text) => text.as_str().into(),
        }
    }
}

fn port_mapping(mapping: &PortMapping) -> Value {
    json!({
        "hostPort": mapping.host_port,
        "containerPort": mapping.container_port,
        "protocol": mapping.protocol.to_string(),
        // The kubelet sends an empty one, too.
        "hostIP": mapping.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
    })
}

fn bandwidth(limits: &Bandwidth) -> Value {
    [
        ("ingressRate", limits.ingress_rate),
        ("ingressBurst", limits.ingress_burst),
        ("egressRate", limits.egress_rate),
        ("egressBurst", limits.egress_burst),
    ]
    .into_iter()
    .filter(|(_, number)| *number != 0)
    .map(|(key, number)| (key.to_owned(), number.into()))
    .collect::<Map<_, _>>()
    .into()
}

fn ip_range(range: &IpRange) -> Value {
    let ends = [
        ("rangeStart", range.range_start),
        ("rangeEnd", range.range_end),
        ("gateway", range.gateway),
    ];
    let mut object = Map::new();
    object.insert("subnet".to_owned(), range.subnet.to_string().into());
    for (key, ip) in ends {
        if let Some(ip) = ip {
            object.insert(key.to_owned(), ip.to_string().into());
        }
    }
    Value::Object(object)
}

impl CapabilityArgs {
    /// The same with this argument, in place of one of the same capability.
    #[must_use]
    pub fn with(self, argument: &Capability) -> Self {
        self.with_other(argument.name(), argument.to_value())
    }

    /// The same with an argument of any capability, whatever its form.
    #[must_use]
    pub fn with_other(mut self, capability: impl Into<String>, argument: Value) -> Self {
        self.0.insert(capability.into(), argument);
        self
    }

    /// The argument of a capability.
    #[must_use]
    pub fn get(&self, capability: &str) -> Option<&Value> {
        self.0.get(capability)
    }

    /// Every argument by its capability's name.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether there are no arguments.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Map<String, Value>> for CapabilityArgs {
    fn from(arguments: Map<String, Value>) -> Self {
        Self(arguments)
    }
}

impl FromIterator<(String, Value)> for CapabilityArgs {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(arguments: T) -> Self {
        Self(arguments.into_iter().collect())
    }
}
