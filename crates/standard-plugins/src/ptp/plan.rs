//! What a ptp configuration asks for, read and checked before anything is touched.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use podnet_cni_spec::{Dns, IpConfig, PluginConfig, Request};
use podnet_netutil::MacAddr;
use serde::Deserialize;

use crate::error::Error;
use crate::label::Label;
use crate::masquerade;
use crate::mtu_option::mtu;

/// The options of the reference's `ptp` plugin, as they stand in the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Options {
    ip_masq: bool,
    ip_masq_backend: Option<String>,
    mtu: i64,
}

/// What is to be built for one attachment.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) label: Label,
    pub(super) mtu: Option<u32>,
    /// Whether what leaves the pod's network takes the host's address.
    pub(super) masquerade: bool,
    pub(super) dns: Dns,
    pub(super) host_mac: MacAddr,
    pub(super) pod_mac: MacAddr,
}

impl Plan {
    pub(super) fn from_request(request: &Request) -> Result<Self, Error> {
        let label = Label::of(request)?;
        let Checked { mtu, masquerade } = check_options(&request.config)?;
        let (host_mac, pod_mac) = label.macs();
        Ok(Self { label, mtu, masquerade, dns: request.config.dns()?, host_mac, pod_mac })
    }
}

/// The options that are the same for every attachment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checked {
    mtu: Option<u32>,
    masquerade: bool,
}

/// Checks the options that are the same for every attachment.
pub(super) fn check_options(config: &PluginConfig) -> Result<Checked, Error> {
    let options: Options = config.options()?;
    if config.ipam_type()?.is_none() {
        let reason = "ptp routes by address: name an IPAM plugin".to_owned();
        return Err(Error::InvalidOption { option: "ipam.type", reason });
    }
    let masquerade = masquerade::is_wanted(options.ip_masq, options.ip_masq_backend.as_deref())?;
    Ok(Checked { mtu: mtu(options.mtu)?, masquerade })
}

/// The two ends of the way between a pod's address and its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    /// The pod's address with the length of its network's prefix.
    pub(super) address: IpNetwork,
    /// The gateway's, which the host end has.
    pub(super) gateway: IpAddr,
}

impl Ends {
    /// The pod's address alone.
    pub(super) fn pod(&self) -> IpNetwork {
        self.address.ip().into()
    }

    /// The gateway's address alone.
    pub(super) fn host(&self) -> IpNetwork {
        self.gateway.into()
    }

    /// The pod's network, where there are others in it.
    pub(super) fn subnet(&self) -> Option<IpNetwork> {
        let subnet = IpNetwork::new(self.address.network(), self.address.prefix()).ok()?;
        (subnet.prefix() < self.pod().prefix()).then_some(subnet)
    }
}

/// The ends for each address; without a gateway there is no way.
pub(super) fn ends(ips: &[IpConfig]) -> Result<Vec<Ends>, Error> {
    let one = |ip: &IpConfig| match ip.gateway {
        Some(gateway) if gateway.is_ipv4() == ip.address.is_ipv4() => {
            Ok(Ends { address: ip.address, gateway })
        }
        _ => Err(Error::NoGateway { address: ip.address }),
    };
    ips.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn options(config: Value) -> Result<Checked, Error> {
        check_options(&PluginConfig::from_value(config).unwrap())
    }

    #[test]
    fn options_that_cannot_be_used_are_refused_with_their_names() {
        let ipam = json!({"type": "static"});
        for (config, name) in [
            (json!({"ipam": ipam, "ipMasq": true, "ipMasqBackend": "ipfw"}), "ipMasqBackend"),
            (json!({"ipam": ipam, "mtu": 67}), "mtu"),
            (json!({"mtu": 1400}), "ipam.type"),
        ] {
            assert!(options(config).unwrap_err().to_string().contains(name));
        }
        let checked = options(json!({"IPAM": ipam, "MTU": 1400, "IPMASQ": true})).unwrap();
        assert_eq!(checked, Checked { mtu: Some(1400), masquerade: true });
    }

    #[test]
    fn each_address_has_its_way_to_its_gateway() {
        let ip = |address: &str, gateway: Option<&str>| IpConfig {
            gateway: gateway.map(|by| by.parse().unwrap()),
            ..IpConfig::new(address.parse().unwrap())
        };
        for (address, gateway, subnet) in [
            ("10.1.0.5/24", "10.1.0.1", Some("10.1.0.0/24")),
            ("10.1.0.5/32", "10.1.0.1", None),
            ("fd00::5/64", "fe80::1", Some("fd00::/64")),
        ] {
            let ends = ends(&[ip(address, Some(gateway))]).unwrap();
            assert_eq!(ends[0].subnet(), subnet.map(|subnet| subnet.parse().unwrap()));
        }
        for (address, gateway) in [("10.1.0.5/24", None), ("10.1.0.5/24", Some("fd00::1"))] {
            assert!(matches!(ends(&[ip(address, gateway)]), Err(Error::NoGateway { .. })));
        }
    }
}
