//! The options of host-local: parsed from a plugin's configuration, validated, and from then on right.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnetwork::IpNetwork;
use podnet_cni_spec::{CniArgs, NetworkName, PluginConfig, Request, Route, SpecVersion};
use serde::Deserialize;

use super::position::Position;
use super::range::{Pools, RangeError, RangeOptions, RangeSet};
use crate::error::Error;

/// Where the stores of all networks are, unless the configuration says otherwise.
const DATA_DIR: &str = "/var/lib/cni/networks";

/// What an ADD or a CHECK needs to know.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    pub(super) pools: Pools,
    pub(super) requested: Vec<Position>,
    pub(super) routes: Vec<Route>,
    pub(super) resolv_conf: Option<PathBuf>,
    /// Whether addresses of before a reboot are given back at the first ADD after it.
    pub(super) reclaim_after_reboot: bool,
}

impl Config {
    /// Reads and checks the whole configuration and the arguments of a request.
    pub(super) fn new(request: &Request) -> Result<Self, Error> {
        let options: Options = request.config.options()?;
        let ipam = options.ipam.ok_or(Error::MissingIpam)?;
        let requested =
            requested(&request.attachment()?.args, options.args, &options.runtime_config.ips)?;
        let sets = range_sets(&ipam, options.runtime_config.ip_ranges)?;
        check_version(request.config.version()?, &sets)?;
        Ok(Self {
            pools: Pools::new(sets)
                .map_err(|(one, other)| Error::RangeSetsOverlap { one, other })?,
            requested,
            routes: ipam.routes,
            resolv_conf: path(&ipam.resolv_conf),
            reclaim_after_reboot: ipam.reclaim_after_reboot.unwrap_or(true),
        })
    }
}

/// The directory of a network's store.
///
/// Reads nothing else, so that a DEL succeeds whatever has become of the rest of the configuration.
pub(super) fn store_dir(config: &PluginConfig) -> Result<PathBuf, Error> {
    let options: PlaceOptions = config.options()?;
    let ipam = options.ipam.ok_or(Error::MissingIpam)?;
    let network: NetworkName = config.name()?;
    let data_dir = path(&ipam.data_dir).unwrap_or_else(|| PathBuf::from(DATA_DIR));
    Ok(data_dir.join(network.as_str()))
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| Path::new(text).to_owned())
}

/// The sets in the reference's order: those of the runtime, the one written inline, those of `ranges`.
fn range_sets(ipam: &IpamOptions, of_runtime: Vec<Vec<RangeText>>) -> Result<Vec<RangeSet>, Error> {
    let inline = ipam.inline().map(|range| vec![range]);
    let all: Vec<Vec<RangeText>> =
        of_runtime.into_iter().chain(inline).chain(ipam.ranges.iter().cloned()).collect();
    if all.is_empty() {
        return Err(Error::NoRanges);
    }
    all.iter().enumerate().map(|(set, ranges)| range_set(set, ranges)).collect()
}

fn range_set(set: usize, ranges: &[RangeText]) -> Result<RangeSet, Error> {
    let options = ranges.iter().map(RangeText::options).collect::<Option<Vec<_>>>();
    let options = options.ok_or(Error::MissingSubnet { set })?;
    RangeSet::new(&options).map_err(|source: RangeError| Error::InvalidRangeSet { set, source })
}

/// Results before 0.3.0 hold one address of each family.
fn check_version(version: SpecVersion, sets: &[RangeSet]) -> Result<(), Error> {
    let ipv4 = sets.iter().filter(|set| set.is_ipv4()).count();
    let most = ipv4.max(sets.len() - ipv4);
    if most > 1 && version < SpecVersion::V0_3_0 {
        return Err(Error::OneAddressPerFamily { version });
    }
    Ok(())
}

/// The addresses asked for in `CNI_ARGS`, in `args` and in `runtimeConfig`, each once.
fn requested(
    environment: &CniArgs,
    args: Option<ArgsOptions>,
    of_runtime: &[RequestedIp],
) -> Result<Vec<Position>, Error> {
    environment.refuse_unknown(&["IP"])?;
    let of_environment = match environment.get("IP") {
        None | Some("") => None,
        Some(text) => {
            Some(RequestedIp::try_from(text.to_owned()).map_err(Error::InvalidIpArgument)?)
        }
    };
    let of_config = args.and_then(|args| args.cni).map(|cni| cni.ips).unwrap_or_default();
    let mut all = Vec::new();
    for RequestedIp(address) in of_environment.iter().chain(&of_config).chain(of_runtime) {
        let position = Position::from(*address);
        if !all.contains(&position) {
            all.push(position);
        }
    }
    Ok(all)
}

#[derive(Deserialize)]
struct Options {
    ipam: Option<IpamOptions>,
    args: Option<ArgsOptions>,
    #[serde(default, rename = "runtimeConfig")]
    runtime_config: RuntimeOptions,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct IpamOptions {
    subnet: Subnet,
    range_start: Address,
    range_end: Address,
    gateway: Address,
    ranges: Vec<Vec<RangeText>>,
    routes: Vec<Route>,
    resolv_conf: String,
    reclaim_after_reboot: Option<bool>,
}

impl IpamOptions {
    /// The range of the oldest configurations, written without a list.
    fn inline(&self) -> Option<RangeText> {
        self.subnet.0?;
        Some(RangeText {
            subnet: self.subnet,
            range_start: self.range_start,
            range_end: self.range_end,
            gateway: self.gateway,
        })
    }
}

#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
struct RangeText {
    subnet: Subnet,
    range_start: Address,
    range_end: Address,
    gateway: Address,
}

impl RangeText {
    fn options(&self) -> Option<RangeOptions> {
        Some(RangeOptions {
            subnet: self.subnet.0?,
            range_start: self.range_start.0,
            range_end: self.range_end.0,
            gateway: self.gateway.0,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RuntimeOptions {
    #[serde(rename = "ipRanges")]
    ip_ranges: Vec<Vec<RangeText>>,
    ips: Vec<RequestedIp>,
}

#[derive(Deserialize)]
struct ArgsOptions {
    cni: Option<CniOptions>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CniOptions {
    ips: Vec<RequestedIp>,
}

#[derive(Deserialize)]
struct PlaceOptions {
    ipam: Option<PlaceIpamOptions>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct PlaceIpamOptions {
    data_dir: String,
}

/// An address, or nothing where the text is empty.
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(try_from = "String")]
struct Address(Option<IpAddr>);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse()
            .map(|address| Self(Some(address)))
            .map_err(|_| format!("{text:?} is no IP address"))
    }
}

/// A network as `address/prefix`, or nothing where the text is empty.
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(try_from = "String")]
struct Subnet(Option<IpNetwork>);

impl TryFrom<String> for Subnet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let invalid = || format!("{text:?} is no network; write it as address/prefix, 10.1.0.0/16");
        network(&text).map(|network| Self(Some(network))).ok_or_else(invalid)
    }
}

/// An address someone wants, with or without a prefix, which does not count: the range's does.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
struct RequestedIp(IpAddr);

impl TryFrom<String> for RequestedIp {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let address = network(&text).map(|network| network.ip()).or_else(|| text.parse().ok());
        address.map(Self).ok_or_else(|| format!("{text:?} is no IP address"))
    }
}

fn network(text: &str) -> Option<IpNetwork> {
    let (address, prefix) = text.split_once('/')?;
    IpNetwork::new(address.parse().ok()?, prefix.parse().ok()?).ok()
}

#[cfg(test)]
mod tests;
