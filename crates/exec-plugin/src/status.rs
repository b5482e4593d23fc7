//! What a program prints as a pod's status.

use std::fmt;
use std::net::IpAddr;

use podnet_plugin_api::PodNetworkStatus;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::excerpt;

/// Why what a program printed is no status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStatus {
    /// It is no JSON, or no object with texts where texts belong.
    #[error("not the JSON of a PodNetworkStatus: {}", short(&.0.to_string()))]
    Json(#[source] serde_json::Error),
    /// It says that it is something else.
    #[error(
        "unknown version: kind {:?} and apiVersion {:?}, where PodNetworkStatus and v1beta1 belong, or nothing",
        short(kind),
        short(api_version)
    )]
    Version {
        /// What it says that it is.
        kind: String,
        /// In which version.
        api_version: String,
    },
    /// Something else stands where an address belongs.
    #[error("{} is no IP address", short(&.0.to_string()))]
    Address(Value),
}

/// A message has no megabytes, whatever a program printed.
fn short(text: &str) -> String {
    excerpt::beginning(text, 200)
}

/// The status in a program's output; `None` where the output is blank or has no address.
///
/// As in Go, keys are matched without regard to case, the last of several counts, `null` is as good as absent and an
/// empty text is no address. Other keys are ignored.
pub(crate) fn parse(output: &[u8]) -> Result<Option<PodNetworkStatus>, InvalidStatus> {
    if output.trim_ascii().is_empty() {
        return Ok(None);
    }
    let object: Option<Object> = serde_json::from_slice(output).map_err(InvalidStatus::Json)?;
    let Object { kind, api_version, ip, ips } = object.unwrap_or_default();
    if !["", "PodNetworkStatus"].contains(&kind.as_str())
        || !["", "v1beta1"].contains(&api_version.as_str())
    {
        return Err(InvalidStatus::Version { kind, api_version });
    }
    let mut addresses = Vec::new();
    for value in std::iter::once(ip).chain(ips) {
        match address(value)? {
            Some(ip) if !addresses.contains(&ip) => addresses.push(ip),
            _ => {}
        }
    }
    Ok(PodNetworkStatus::new(addresses))
}

/// The address; an IPv4 address that is written as an IPv6 one is an IPv4 address, as in Go.
fn address(value: Value) -> Result<Option<IpAddr>, InvalidStatus> {
    match &value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => match text.parse::<IpAddr>() {
            Ok(ip) => Ok(Some(ip.to_canonical())),
            Err(_) => Err(InvalidStatus::Address(value)),
        },
        _ => Err(InvalidStatus::Address(value)),
    }
}

/// The object as it stands there. Addresses are looked at only when it is known to be a status.
#[derive(Default)]
struct Object {
    kind: String,
    api_version: String,
    ip: Value,
    ips: Vec<Value>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object, A::Error> {
        let mut object = Object::default();
        while let Some(key) = entries.next_key::<String>()? {
            match key.to_ascii_lowercase().as_str() {
                "kind" => replace(&mut object.kind, entries.next_value()?),
                "apiversion" => replace(&mut object.api_version, entries.next_value()?),
                "ip" => replace(&mut object.ip, entries.next_value()?),
                "ips" => replace(&mut object.ips, entries.next_value()?),
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(object)
    }
}

fn replace<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests;
