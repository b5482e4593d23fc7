//! The JSON form of a result's parts, that of 1.1.0, and the small differences of Go's encoding: an
//! empty string or a zero is absent where Go's struct has no pointer.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Interface, IpConfig, Route};
use crate::go_json;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Interface")]
struct InterfaceFields {
    #[serde(default)]
    name: String,
    #[serde(default, with = "text", skip_serializing_if = "text::is_absent")]
    mac: Option<String>,
    #[serde(default, with = "number", skip_serializing_if = "number::is_absent")]
    mtu: Option<u32>,
    #[serde(default, with = "text", skip_serializing_if = "text::is_absent")]
    sandbox: Option<String>,
    #[serde(
        default,
        rename = "socketPath",
        with = "text",
        skip_serializing_if = "text::is_absent"
    )]
    socket_path: Option<String>,
    #[serde(default, rename = "pciID", with = "text", skip_serializing_if = "text::is_absent")]
    pci_id: Option<String>,
    #[serde(skip)]
    extra: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "IpConfig")]
struct IpConfigFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interface: Option<u32>,
    #[serde(with = "cidr")]
    address: IpNetwork,
    #[serde(default, with = "address", skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    #[serde(skip)]
    extra: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Route")]
struct RouteFields {
    #[serde(with = "cidr")]
    dst: IpNetwork,
    #[serde(default, with = "address", skip_serializing_if = "Option::is_none")]
    gw: Option<IpAddr>,
    #[serde(default, with = "number", skip_serializing_if = "number::is_absent")]
    mtu: Option<u32>,
    #[serde(default, with = "number", skip_serializing_if = "number::is_absent")]
    advmss: Option<u32>,
    #[serde(default, with = "number", skip_serializing_if = "number::is_absent")]
    priority: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<u8>,
    #[serde(skip)]
    extra: Map<String, Value>,
}

macro_rules! keeping_unknown_keys {
    ($($name:ident as $fields:ident;)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::Error as _;
                let map = Map::<String, Value>::deserialize(deserializer)?;
                let (mut known, extra) =
                    go_json::decode_keeping_unknown(&map, |object| $fields::deserialize(object))
                        .map_err(D::Error::custom)?;
                known.extra = extra;
                Ok(known)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let known = $fields::serialize(self, serde_json::value::Serializer)
                    .map_err(S::Error::custom)?;
                with_extra(known, &self.extra).serialize(serializer)
            }
        }
    )*};
}

keeping_unknown_keys! {
    Interface as InterfaceFields;
    IpConfig as IpConfigFields;
    Route as RouteFields;
}

/// `known` and those keys of `extra` that it has not.
pub(super) fn with_extra(mut known: Value, extra: &Map<String, Value>) -> Value {
    if let Some(object) = known.as_object_mut() {
        for (key, value) in extra {
            object.entry(key.as_str()).or_insert_with(|| value.clone());
        }
    }
    known
}

/// A string for which Go has no pointer: empty means absent.
pub(super) mod text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    // serde passes references to the field.
    #[allow(clippy::ref_option)]
    pub(in super::super) fn is_absent(text: &Option<String>) -> bool {
        text.as_deref().unwrap_or_default().is_empty()
    }

    #[allow(clippy::ref_option)]
    pub(in super::super) fn serialize<S: Serializer>(
        text: &Option<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        text.serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        Ok(Option::deserialize(deserializer)?.filter(|text: &String| !text.is_empty()))
    }
}

/// A number for which Go has no pointer: zero means absent.
mod number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    // serde passes references to the field.
    #[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option)]
    pub(super) fn is_absent(number: &Option<u32>) -> bool {
        number.unwrap_or_default() == 0
    }

    #[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option)]
    pub(super) fn serialize<S: Serializer>(
        number: &Option<u32>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        number.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u32>, D::Error> {
        Ok(Option::deserialize(deserializer)?.filter(|number| *number != 0))
    }
}

/// An address with a prefix length. Unlike `IpNetwork`'s own form, which takes an address alone and
/// a netmask too, the length must be there.
pub(super) mod cidr {
    use std::net::IpAddr;

    use ipnetwork::IpNetwork;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    fn parse(text: &str) -> Option<IpNetwork> {
        let (address, length) = text.split_once('/')?;
        let decimal = length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse().ok().filter(|_| decimal)?;
        IpNetwork::new(address.parse::<IpAddr>().ok()?, length).ok()
    }

    pub(in super::super) fn serialize<S: Serializer>(
        network: &IpNetwork,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(network)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<IpNetwork, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text)
            .ok_or_else(|| D::Error::custom(format!("{text:?} is no address with a prefix length")))
    }
}

/// An address that may be absent, null or empty.
pub(super) mod address {
    use std::net::IpAddr;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    // serde passes references to the field.
    #[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option)]
    pub(in super::super) fn serialize<S: Serializer>(
        address: &Option<IpAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        address.serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<IpAddr>, D::Error> {
        match Option::<String>::deserialize(deserializer)?.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => {
                let refused = |_| D::Error::custom(format!("{text:?} is no IP address"));
                Ok(Some(text.parse().map_err(refused)?))
            }
        }
    }
}
