//! The result of an ADD. In memory it is always that of 1.1.0; `result/convert.rs` knows the others.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::{IpNetwork, Ipv4Network};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::CniError;
use crate::version::SpecVersion;

mod convert;
mod wire;

#[cfg(test)]
mod tests;

/// The result of an ADD (CNI 1.1.0, section 5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddResult {
    /// The interfaces made, on the host and in the container. Since 0.3.0.
    pub interfaces: Vec<Interface>,
    /// The addresses assigned.
    pub ips: Vec<IpConfig>,
    /// The routes made in the container.
    pub routes: Vec<Route>,
    /// What the container should resolve names with.
    pub dns: Dns,
    /// Every other key.
    pub extra: Map<String, Value>,
}

/// An interface. Since 0.3.0.
///
/// Its serde form, and that of [`IpConfig`] and [`Route`], is the one of 1.1.0, unknown keys included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address, `aa:bb:cc:dd:ee:ff`.
    pub mac: Option<String>,
    /// Its MTU in bytes. Since 1.1.0.
    pub mtu: Option<u32>,
    /// Where it is: the path of a network namespace, or none for the host's.
    pub sandbox: Option<String>,
    /// The path of a socket that belongs to it (vhost-user). Since 1.1.0.
    pub socket_path: Option<String>,
    /// The address of its PCI device. Since 1.1.0.
    pub pci_id: Option<String>,
    /// Every other key.
    pub extra: Map<String, Value>,
}

/// An address of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpConfig {
    /// Which of [`AddResult::interfaces`] has it, counted from 0. Since 0.3.0.
    pub interface: Option<u32>,
    /// The address with the length of its network's prefix.
    pub address: IpNetwork,
    /// The gateway of that network.
    pub gateway: Option<IpAddr>,
    /// Every other key.
    pub extra: Map<String, Value>,
}

/// A route in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub dst: IpNetwork,
    /// The next hop; without one that of the address of the same family.
    pub gw: Option<IpAddr>,
    /// The path MTU in bytes. Since 1.1.0.
    pub mtu: Option<u32>,
    /// The TCP segment size to advertise, in bytes. Since 1.1.0.
    pub advmss: Option<u32>,
    /// The priority, the lower the better. Since 1.1.0.
    pub priority: Option<u32>,
    /// The routing table; none is the main one. Since 1.1.0.
    pub table: Option<u32>,
    /// The scope, the kernel's number: 0 global, 253 link, 254 host. Since 1.1.0.
    pub scope: Option<u8>,
    /// Every other key.
    pub extra: Map<String, Value>,
}

/// What to resolve names with, as in `resolv.conf(5)`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// The servers' addresses, in order of priority.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// The local domain.
    #[serde(with = "wire::text", skip_serializing_if = "wire::text::is_absent")]
    pub domain: Option<String>,
    /// The domains in which short names are looked up, in order of priority.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Options of the resolver.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl AddResult {
    /// Reads a result of any version. `null` is an empty result; one without a `cniVersion` has that
    /// of the configuration, `if_unversioned`.
    ///
    /// # Errors
    /// Code 1 if the version is unknown, 6 if a key does not fit it.
    pub fn from_json(value: &Value, if_unversioned: SpecVersion) -> Result<Self, CniError> {
        convert::read(value, if_unversioned)
    }

    /// The result in `version`, without what that version has no words for.
    ///
    /// Before 1.1.0 an interface's MTU, socket and PCI address go, and a route's MTU, segment size,
    /// priority, table and scope. Before 0.3.0 interfaces go too, all addresses but the first of each
    /// family, and routes of a family without an address.
    ///
    /// # Errors
    /// Code 1 if that leaves nothing: before 0.3.0 a result must have an address.
    pub fn to_json(&self, version: SpecVersion) -> Result<Value, CniError> {
        convert::write(self, version)
    }
}

impl IpConfig {
    /// An address alone.
    #[must_use]
    pub fn new(address: IpNetwork) -> Self {
        Self { interface: None, address, gateway: None, extra: Map::new() }
    }
}

impl Route {
    /// A route by the default gateway.
    #[must_use]
    pub fn new(dst: IpNetwork) -> Self {
        Self {
            dst,
            gw: None,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
            extra: Map::new(),
        }
    }
}

impl Dns {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// 0.0.0.0, no address yet.
fn unspecified() -> IpNetwork {
    IpNetwork::V4(Ipv4Network::from(Ipv4Addr::UNSPECIFIED))
}

/// For `..Default::default()`: the address is 0.0.0.0.
impl Default for IpConfig {
    fn default() -> Self {
        Self::new(unspecified())
    }
}

/// For `..Default::default()`: the destination is 0.0.0.0.
impl Default for Route {
    fn default() -> Self {
        Self::new(unspecified())
    }
}
