//! A result in the words of each version.
//!
//! Three forms exist: `ip4` and `ip6` with their own routes (0.1.0, 0.2.0), `ips` that say their
//! family (0.3.0 to 0.4.0), `ips` that do not (1.0.0 and 1.1.0, which differ in keys only).

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AddResult, Dns, Interface, IpConfig, Route, wire};
use crate::error::{CniError, ErrorCode};
use crate::go_json;
use crate::version::SpecVersion;

/// The keys of any version; none of them may come back as an unknown key in another.
const KEYS: &[&str] = &["cniVersion", "interfaces", "ips", "routes", "dns", "ip4", "ip6"];
/// What an interface has since 1.1.0.
const NEW_INTERFACE_KEYS: &[&str] = &["mtu", "socketPath", "pciID"];
/// What a route has since 1.1.0.
const NEW_ROUTE_KEYS: &[&str] = &["mtu", "advmss", "priority", "table", "scope"];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Document {
    interfaces: Vec<Interface>,
    ips: Vec<IpConfig>,
    routes: Vec<Route>,
    dns: Dns,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LegacyDocument {
    ip4: Option<LegacyIp>,
    ip6: Option<LegacyIp>,
    dns: Dns,
}

/// An address as 0.1.0 and 0.2.0 have it, with the routes of its family.
#[derive(Serialize, Deserialize)]
struct LegacyIp {
    #[serde(with = "wire::cidr")]
    ip: IpNetwork,
    #[serde(default, with = "wire::address", skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Route>,
}

fn undecodable(why: impl std::fmt::Display) -> CniError {
    CniError::new(ErrorCode::DECODING_FAILURE, format!("cannot decode the result: {why}"))
}

/// See [`AddResult::from_json`].
pub(super) fn read(value: &Value, if_unversioned: SpecVersion) -> Result<AddResult, CniError> {
    let document = match value {
        Value::Null => return Ok(AddResult::default()),
        Value::Object(document) => document,
        _ => return Err(undecodable("it is no JSON object")),
    };
    let version = match go_json::lookup(document, "cniVersion") {
        None => if_unversioned,
        Some(Value::String(text)) if text.is_empty() => if_unversioned,
        Some(Value::String(text)) => text.parse()?,
        Some(_) => return Err(undecodable("cniVersion: a string is expected")),
    };
    let mut result =
        if version < SpecVersion::V0_3_0 { read_legacy(document)? } else { read_listed(document)? };
    let unknown = document.iter().filter(|(key, _)| !is_one_of(KEYS, key));
    result.extra = unknown.map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(result)
}

fn is_one_of(keys: &[&str], key: &str) -> bool {
    keys.iter().any(|known| go_json::same_key(known, key))
}

fn read_listed(document: &Map<String, Value>) -> Result<AddResult, CniError> {
    let Document { interfaces, mut ips, routes, dns } =
        go_json::decode_map(document).map_err(undecodable)?;
    // What `version` says, the address says too.
    for ip in &mut ips {
        ip.extra.retain(|key, _| !go_json::same_key(key, "version"));
    }
    Ok(AddResult { interfaces, ips, routes, dns, extra: Map::new() })
}

fn read_legacy(document: &Map<String, Value>) -> Result<AddResult, CniError> {
    let LegacyDocument { ip4, ip6, dns } = go_json::decode_map(document).map_err(undecodable)?;
    let mut result = AddResult { dns, ..AddResult::default() };
    for (family, ip) in [("ip4", ip4), ("ip6", ip6)] {
        let Some(LegacyIp { ip, gateway, routes }) = ip else {
            continue;
        };
        if ip.is_ipv4() != (family == "ip4") {
            return Err(undecodable(format_args!("{family}.ip: {ip} is of the other family")));
        }
        result.ips.push(IpConfig { gateway, ..IpConfig::new(ip) });
        result.routes.extend(routes);
    }
    Ok(result)
}

/// See [`AddResult::to_json`].
pub(super) fn write(result: &AddResult, version: SpecVersion) -> Result<Value, CniError> {
    let mut document = result.extra.clone();
    document.retain(|key, _| !is_one_of(KEYS, key));
    document.insert("cniVersion".to_owned(), version.as_str().into());
    if version < SpecVersion::V0_3_0 {
        write_legacy(result, version, &mut document)?;
    } else {
        write_listed(result, version, &mut document)?;
    }
    // Go's dns has always been there until 1.0.0, empty or not.
    if version < SpecVersion::V1_0_0 || !result.dns.is_empty() {
        document.insert("dns".to_owned(), encode(&result.dns)?);
    }
    Ok(Value::Object(document))
}

fn write_legacy(
    result: &AddResult,
    version: SpecVersion,
    document: &mut Map<String, Value>,
) -> Result<(), CniError> {
    for (family, is_ipv4) in [("ip4", true), ("ip6", false)] {
        let Some(first) = result.ips.iter().find(|ip| ip.address.is_ipv4() == is_ipv4) else {
            continue;
        };
        let of_family = result.routes.iter().filter(|route| route.dst.is_ipv4() == is_ipv4);
        let ip = LegacyIp {
            ip: first.address,
            gateway: first.gateway,
            routes: of_family
                .map(|route| Route { gw: route.gw, ..Route::new(route.dst) })
                .collect(),
        };
        document.insert(family.to_owned(), encode(&ip)?);
    }
    if result.ips.is_empty() {
        let msg = format!("cannot say a result without an address in CNI {version}");
        let details = "use cniVersion 0.3.0 or newer";
        return Err(CniError::new(ErrorCode::INCOMPATIBLE_VERSION, msg).with_details(details));
    }
    Ok(())
}

fn write_listed(
    result: &AddResult,
    version: SpecVersion,
    document: &mut Map<String, Value>,
) -> Result<(), CniError> {
    let is_old = version < SpecVersion::V1_1_0;
    let without = |keys: &'static [&'static str]| if is_old { keys } else { &[] };
    let mut ips = encode_list(&result.ips, &["version"])?;
    if version < SpecVersion::V1_0_0 {
        for (ip, config) in ips.iter_mut().zip(&result.ips) {
            let family = if config.address.is_ipv4() { "4" } else { "6" };
            if let Some(object) = ip.as_object_mut() {
                object.insert("version".to_owned(), family.into());
            }
        }
    }
    let lists = [
        ("interfaces", encode_list(&result.interfaces, without(NEW_INTERFACE_KEYS))?),
        ("ips", ips),
        ("routes", encode_list(&result.routes, without(NEW_ROUTE_KEYS))?),
    ];
    for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        document.insert(key.to_owned(), Value::Array(list));
    }
    Ok(())
}

/// The parts as JSON, without the keys that the version does not have.
fn encode_list<T: Serialize>(parts: &[T], without: &[&str]) -> Result<Vec<Value>, CniError> {
    let encode_part = |part| {
        let mut value = encode(part)?;
        if let Some(object) = value.as_object_mut() {
            object.retain(|key, _| !is_one_of(without, key));
        }
        Ok(value)
    };
    parts.iter().map(encode_part).collect()
}

fn encode<T: Serialize>(part: &T) -> Result<Value, CniError> {
    serde_json::to_value(part).map_err(|error| {
        CniError::new(ErrorCode::INTERNAL, format!("cannot encode the result: {error}"))
    })
}
