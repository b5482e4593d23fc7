//! The IPAM plugin `static`: gives the addresses that the configuration, or the runtime, names.
//!
//! Options and results are those of the Go program. It reserves nothing and remembers nothing: who gives one address to
//! two pods gets two pods with one address. What differs: CHECK misses an address that prevResult does not have.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use podnet_cni_spec::{
    AddResult, CniArgs, Dns, IpConfig, PluginConfig, Request, Route, SpecVersion,
};
use serde::Deserialize;

use crate::error::Error;

/// What comes before an IPv4 address that is written as an IPv6 one.
const MAPPED_BITS: u8 = 96;

/// Gives the addresses with their gateways, the configured routes and `dns`.
///
/// Addresses come from `runtimeConfig.ips`, else from `args.cni.ips`, else from `ipam.addresses` and, beside them, `IP`
/// of `CNI_ARGS` with its `GATEWAY`; each of the last two may hold several between commas.
///
/// # Errors
/// [`Error::MissingIpam`], [`Error::InvalidAddress`], [`Error::OneAddressPerFamily`], [`Error::Spec`].
pub fn add(request: &Request) -> Result<AddResult, Error> {
    let config = Config::new(&request.config, &request.attachment()?.args)?;
    Ok(AddResult {
        ips: config.ips,
        routes: config.ipam.routes,
        dns: config.ipam.dns,
        ..AddResult::default()
    })
}

/// Verifies that prevResult has every address that ADD would give, by the same gateway.
///
/// # Errors
/// [`Error::CheckFailed`], [`Error::NoPrevResult`]; the configuration's errors as for [`add`].
pub fn check(request: &Request) -> Result<(), Error> {
    let config = Config::new(&request.config, &request.attachment()?.args)?;
    let result = request.config.prev_result()?.ok_or(Error::NoPrevResult)?;
    for wanted in &config.ips {
        let has = |ip: &&IpConfig| ip.address.ip() == wanted.address.ip();
        let Some(found) = result.ips.iter().find(has) else {
            return Err(Error::CheckFailed(format!("the result lacks {}", wanted.address)));
        };
        if wanted.gateway.is_some() && wanted.gateway != found.gateway {
            let gateway = |ip: &IpConfig| {
                ip.gateway.map_or_else(|| "none".to_owned(), |gateway| gateway.to_string())
            };
            return Err(Error::CheckFailed(format!(
                "the gateway of {} is {} in the result, and {} in the configuration",
                wanted.address,
                gateway(found),
                gateway(wanted),
            )));
        }
    }
    Ok(())
}

/// Whether the configured addresses can be given (CNI 1.1.0, section 2, STATUS).
///
/// # Errors
/// As for [`add`].
pub fn status(request: &Request) -> Result<(), Error> {
    Config::new(&request.config, &CniArgs::default()).map(drop)
}

struct Config {
    ipam: IpamOptions,
    ips: Vec<IpConfig>,
}

impl Config {
    fn new(config: &PluginConfig, environment: &CniArgs) -> Result<Self, Error> {
        let options: Options = config.options()?;
        let ipam = options.ipam.ok_or(Error::MissingIpam)?;
        let of_environment = of_environment(environment)?;
        let of_args = options.args.and_then(|args| args.cni).map(|cni| cni.ips).unwrap_or_default();
        let of_runtime = options.runtime_config.ips;
        let ips = if !of_runtime.is_empty() {
            plain("runtimeConfig.ips", &of_runtime)?
        } else if !of_args.is_empty() {
            plain("args.cni.ips", &of_args)?
        } else {
            let mut ips = configured(&ipam.addresses)?;
            ips.extend(of_environment);
            ips
        };
        check_version(config.version()?, &ips)?;
        Ok(Self { ipam, ips })
    }
}

fn configured(addresses: &[AddressOptions]) -> Result<Vec<IpConfig>, Error> {
    let one = |options: &AddressOptions| {
        let address = cidr("ipam.addresses", &options.address)?;
        let gateway = match options.gateway.as_str() {
            "" => None,
            text => Some(ip("ipam.addresses", text)?),
        };
        Ok(IpConfig { gateway, ..IpConfig::new(address) })
    };
    addresses.iter().map(one).collect()
}

fn plain(place: &'static str, texts: &[String]) -> Result<Vec<IpConfig>, Error> {
    texts.iter().map(|text| cidr(place, text).map(IpConfig::new)).collect()
}

/// The addresses of `IP`, each with the last gateway of `GATEWAY` that is in its network. As with the Go program,
/// `GATEWAY` has nothing to say to addresses from elsewhere.
fn of_environment(environment: &CniArgs) -> Result<Vec<IpConfig>, Error> {
    environment.refuse_unknown(&["IP", "GATEWAY"])?;
    let list = |key| {
        let text = environment.get(key).filter(|text| !text.is_empty());
        text.into_iter().flat_map(|text| text.split(',')).map(str::trim)
    };
    let addresses = list("IP").map(|text| cidr("IP of CNI_ARGS", text).map(IpConfig::new));
    let mut addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    for text in list("GATEWAY") {
        let gateway = ip("GATEWAY of CNI_ARGS", text)?;
        for address in addresses.iter_mut().filter(|found| found.address.contains(gateway)) {
            address.gateway = Some(gateway);
        }
    }
    Ok(addresses)
}

/// Results before 0.3.0 hold one address of each family.
fn check_version(version: SpecVersion, ips: &[IpConfig]) -> Result<(), Error> {
    let ipv4 = ips.iter().filter(|ip| ip.address.is_ipv4()).count();
    if ipv4.max(ips.len() - ipv4) > 1 && version < SpecVersion::V0_3_0 {
        return Err(Error::OneAddressPerFamily { version });
    }
    Ok(())
}

fn cidr(place: &'static str, text: &str) -> Result<IpNetwork, Error> {
    let network = text.split_once('/').and_then(|(address, prefix)| {
        // `+8` is a number to Rust.
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = is_number.then(|| prefix.parse().ok())??;
        unmapped(address.parse().ok()?, prefix)
    });
    network.ok_or_else(|| Error::InvalidAddress {
        place,
        text: text.to_owned(),
        form: "10.1.0.5/24",
    })
}

/// An IPv4 address that is written as an IPv6 one (RFC 4291, section 2.5.5.2) is an IPv4 address, as with the Go program.
fn unmapped(address: IpAddr, prefix: u8) -> Option<IpNetwork> {
    let canonical = address.to_canonical();
    let without = prefix.checked_sub(MAPPED_BITS).filter(|_| canonical != address);
    match without {
        Some(prefix) => IpNetwork::new(canonical, prefix).ok(),
        None => IpNetwork::new(address, prefix).ok(),
    }
}

fn ip(place: &'static str, text: &str) -> Result<IpAddr, Error> {
    let invalid = |_| Error::InvalidAddress { place, text: text.to_owned(), form: "10.1.0.1" };
    text.parse().map(|address: IpAddr| address.to_canonical()).map_err(invalid)
}

#[derive(Deserialize)]
struct Options {
    ipam: Option<IpamOptions>,
    args: Option<ArgsOptions>,
    #[serde(default, rename = "runtimeConfig")]
    runtime_config: Requested,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IpamOptions {
    addresses: Vec<AddressOptions>,
    routes: Vec<Route>,
    dns: Dns,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AddressOptions {
    address: String,
    gateway: String,
}

#[derive(Deserialize)]
struct ArgsOptions {
    cni: Option<Requested>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Requested {
    ips: Vec<String>,
}

#[cfg(test)]
mod tests {
    use podnet_cni_spec::{Attachment, Verb};
    use serde_json::{Value, json};

    use super::*;

    fn request(config: Value, environment: &str) -> Request {
        let mut config = PluginConfig::from_value(config).unwrap();
        config.set("name", json!("net"));
        config.set("type", json!("bridge"));
        if config.as_map().get("cniVersion").is_none() {
            config.set("cniVersion", json!("1.0.0"));
        }
        let attachment = Attachment {
            container_id: "a1".parse().unwrap(),
            interface: "eth0".parse().unwrap(),
            netns: None,
            args: CniArgs::parse(environment).unwrap(),
        };
        Request { verb: Verb::Add, attachment: Some(attachment), config }
    }

    fn ips(config: Value, environment: &str) -> Vec<(String, Option<String>)> {
        let result = add(&request(config, environment)).unwrap();
        let text = |ip: IpConfig| (ip.address.to_string(), ip.gateway.map(|by| by.to_string()));
        result.ips.into_iter().map(text).collect()
    }

    fn by(address: &str, gateway: &str) -> (String, Option<String>) {
        (address.to_owned(), (!gateway.is_empty()).then(|| gateway.to_owned()))
    }

    #[test]
    fn the_nearest_source_of_addresses_counts() {
        let mut config = json!({"ipam": {"addresses": [
            {"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"Address": "fd00::5/64"},
        ]}});
        let configured = [by("10.1.0.5/24", "10.1.0.1"), by("fd00::5/64", "")];
        assert_eq!(ips(config.clone(), ""), configured);
        let environment = "IP=10.1.0.6/24, 10.2.0.6/24;GATEWAY=10.1.0.254,10.2.0.254";
        let both =
            [&configured[..], &[by("10.1.0.6/24", "10.1.0.254"), by("10.2.0.6/24", "10.2.0.254")]]
                .concat();
        assert_eq!(ips(config.clone(), environment), both);
        config["args"] = json!({"cni": {"ips": ["10.3.0.1/24"]}});
        assert_eq!(ips(config.clone(), environment), [by("10.3.0.1/24", "")]);
        config["runtimeConfig"] = json!({"IPs": ["10.4.0.1/24"]});
        assert_eq!(ips(config, environment), [by("10.4.0.1/24", "")]);
    }

    #[test]
    fn a_mapped_address_is_an_ipv4_address() {
        let config = json!({"ipam": {"addresses": [
            {"address": "::ffff:10.1.0.5/120", "gateway": "::ffff:10.1.0.1"}, {"address": "::ffff:10.1.0.5/64"},
        ]}});
        let expected = [by("10.1.0.5/24", "10.1.0.1"), by("::ffff:10.1.0.5/64", "")];
        assert_eq!(ips(config, ""), expected);
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_place() {
        let addresses = |item: Value| json!({"ipam": {"addresses": [item]}});
        for (config, environment, place) in [
            (addresses(json!({"address": "10.1.0.5"})), "", "ipam.addresses"),
            (addresses(json!({"address": "10.1.0.5/33"})), "", "ipam.addresses"),
            (addresses(json!({"address": "10.1.0.5/24", "gateway": "x"})), "", "ipam.addresses"),
            (json!({"ipam": {}, "args": {"cni": {"ips": ["10.1.0.5"]}}}), "", "args.cni.ips"),
            (json!({"ipam": {}, "runtimeConfig": {"ips": ["10.1.0.5"]}}), "", "runtimeConfig.ips"),
            (json!({"ipam": {}}), "IP=10.1.0.5", "IP of CNI_ARGS"),
            (json!({"ipam": {}}), "GATEWAY=10.1.0", "GATEWAY of CNI_ARGS"),
            (json!({"ipam": {}}), "MAC=02:00:00:00:00:01", "MAC"),
            (json!({}), "", "ipam"),
            (
                json!({"cniVersion": "0.2.0", "ipam": {"addresses": [
                    {"address": "10.1.0.5/24"}, {"address": "10.1.0.6/24"},
                ]}}),
                "",
                "0.2.0",
            ),
        ] {
            let error = add(&request(config.clone(), environment)).unwrap_err();
            assert!(error.to_string().contains(place), "{config}: {error}");
        }
    }

    #[test]
    fn check_finds_an_address_or_a_gateway_that_the_result_lacks() {
        let config = json!({
            "ipam": {"addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}]},
        });
        let checked = |ip: Value| {
            let mut config = config.clone();
            config["prevResult"] = json!({"cniVersion": "1.0.0", "ips": [ip]});
            check(&request(config, ""))
        };
        checked(json!({"address": "10.1.0.5/24", "gateway": "10.1.0.1"})).unwrap();
        for ip in [json!({"address": "10.1.0.6/24"}), json!({"address": "10.1.0.5/24"})] {
            assert!(matches!(checked(ip), Err(Error::CheckFailed(_))));
        }
    }
}
