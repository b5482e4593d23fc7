//! The ports that a runtime asks for, and the options by which they are published.

use std::net::IpAddr;

use podnet_cni_spec::PluginConfig;
use serde::Deserialize;

use crate::error::Error;
use crate::nat::{HostPort, Protocol};

const PLUGIN: &str = "portmap";
const PORTS: &str = "runtimeConfig.portMappings";
/// What an unset `backend` is; either is accepted, and nftables it is.
const BACKENDS: [&str; 2] = ["iptables", "nftables"];

/// What a configuration asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// The ports, without those that others include.
    pub(super) ports: Vec<HostPort>,
    /// Whether clients that the container could not answer get the host's address: itself, and 127.0.0.1.
    pub(super) snat: bool,
}

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Written {
    backend: Option<String>,
    snat: Option<bool>,
    masq_all: bool,
    mark_masq_bit: Option<i64>,
    external_set_mark_chain: Option<String>,
    conditions_v4: Option<Vec<String>>,
    conditions_v6: Option<Vec<String>>,
}

/// A port as the runtime sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Mapping {
    host_port: i64,
    container_port: i64,
    protocol: String,
    #[serde(rename = "hostIP")]
    host_ip: String,
}

impl Options {
    /// Reads and validates a configuration.
    pub(super) fn of(config: &PluginConfig) -> Result<Self, Error> {
        let written: Written = config.options()?;
        written.validate()?;
        let sent: Vec<Mapping> = config.runtime_config("portMappings")?.unwrap_or_default();
        let mut ports: Vec<HostPort> = Vec::new();
        for port in sent.iter().map(Mapping::port) {
            let port = port?;
            if !ports.iter().any(|earlier| covers(earlier, &port)) {
                ports.retain(|earlier| !covers(&port, earlier));
                ports.push(port);
            }
        }
        Ok(Self { ports, snat: written.snat.unwrap_or(true) })
    }
}

impl Written {
    fn validate(&self) -> Result<(), Error> {
        if self.mark_masq_bit.is_some() && self.external_set_mark_chain.is_some() {
            return Err(invalid("markMasqBit", "externalSetMarkChain is given too".to_owned()));
        }
        if let Some(bit) = self.mark_masq_bit.filter(|bit| !(0..=31).contains(bit)) {
            return Err(invalid("markMasqBit", format!("{bit} is not between 0 and 31")));
        }
        if let Some(backend) = self.backend.as_deref().filter(|name| !BACKENDS.contains(name)) {
            return Err(invalid(
                "backend",
                format!("{backend:?} is neither iptables nor nftables"),
            ));
        }
        self.refuse_unsupported()
    }

    fn refuse_unsupported(&self) -> Result<(), Error> {
        let unsupported =
            |option, value: String| Err(Error::Unsupported { plugin: PLUGIN, option, value });
        if self.masq_all {
            return unsupported("masqAll", "true".to_owned());
        }
        if let Some(chain) = &self.external_set_mark_chain {
            return unsupported("externalSetMarkChain", format!("{chain:?}"));
        }
        for (option, conditions) in
            [("conditionsV4", &self.conditions_v4), ("conditionsV6", &self.conditions_v6)]
        {
            match conditions {
                Some(words) if words.iter().any(|word| !word.is_empty()) => {
                    return unsupported(option, format!("{words:?}"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Mapping {
    fn port(&self) -> Result<HostPort, Error> {
        let number = |what: &str, number: i64| {
            let port = u16::try_from(number).ok().filter(|port| *port != 0);
            port.ok_or_else(|| {
                invalid(PORTS, format!("{number} is no {what}: ports are 1 to 65535"))
            })
        };
        Ok(HostPort {
            container_port: number("container port", self.container_port)?,
            host_port: number("host port", self.host_port)?,
            protocol: self.protocol()?,
            host_ip: self.host_ip()?,
        })
    }

    fn protocol(&self) -> Result<Protocol, Error> {
        let named = |protocol: &Protocol| protocol.to_string() == self.protocol.to_lowercase();
        let found = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(named);
        found.ok_or_else(|| {
            let reason = format!("protocol {:?} is not one of tcp, udp, sctp", self.protocol);
            invalid(PORTS, reason)
        })
    }

    fn host_ip(&self) -> Result<Option<IpAddr>, Error> {
        if self.host_ip.is_empty() {
            return Ok(None);
        }
        let parsed = self.host_ip.parse().map(|ip: IpAddr| Some(ip.to_canonical()));
        parsed.map_err(|_| invalid(PORTS, format!("hostIP {:?} is no IP address", self.host_ip)))
    }
}

/// Whether the one leads to where the other does, from each address that the other has.
fn covers(one: &HostPort, other: &HostPort) -> bool {
    let same = HostPort { host_ip: other.host_ip, ..*one } == *other;
    same && (one.host_ip.is_none() || one.host_ip == other.host_ip)
}

fn invalid(option: &'static str, reason: String) -> Error {
    Error::InvalidOption { option, reason }
}

#[cfg(test)]
mod tests {
    use podnet_cni_spec::ErrorCode;
    use serde_json::{Value, json};

    use super::*;

    fn read(config: Value) -> Result<Options, Error> {
        Options::of(&PluginConfig::from_value(config).unwrap())
    }

    fn with_port(mapping: &Value) -> Result<Options, Error> {
        read(json!({ "runtimeConfig": { "portMappings": [mapping] } }))
    }

    #[test]
    fn ports_are_read_as_each_runtime_spells_them() {
        let expected = |host_ip: Option<&str>, protocol| HostPort {
            protocol,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port: 8081,
            container_port: 80,
        };
        for (mapping, port) in [
            (
                json!({"HostPort": 8081, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}),
                expected(None, Protocol::Tcp),
            ),
            (
                json!({"hostPort": 8081, "containerPort": 80, "protocol": "UDP"}),
                expected(None, Protocol::Udp),
            ),
            (
                json!({"hostPort": 8081, "containerPort": 80, "protocol": "sctp", "hostIP": "::ffff:192.0.2.1"}),
                expected(Some("192.0.2.1"), Protocol::Sctp),
            ),
        ] {
            assert_eq!(with_port(&mapping).unwrap().ports, [port]);
        }
        assert_eq!(read(json!({})).unwrap(), Options { ports: Vec::new(), snat: true });
    }

    #[test]
    fn a_port_that_another_includes_is_left_out() {
        let port = |container: u16, host_ip: &str| json!({"hostPort": 8081, "containerPort": container, "protocol": "tcp", "hostIP": host_ip});
        for (mappings, left) in [
            (json!([port(80, ""), port(80, "")]), 1),
            (json!([port(80, "127.0.0.1"), port(80, "")]), 1),
            (json!([port(80, ""), port(80, "::1"), port(80, "0.0.0.0")]), 1),
            (json!([port(80, "0.0.0.0"), port(80, "::")]), 2),
            (json!([port(80, ""), port(81, "127.0.0.1")]), 2),
        ] {
            let config = json!({ "runtimeConfig": { "portMappings": mappings } });
            assert_eq!(read(config).unwrap().ports.len(), left, "{mappings}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for (mapping, reason) in [
            (json!({"hostPort": 0, "containerPort": 80, "protocol": "tcp"}), "0 is no host port"),
            (json!({"hostPort": 1, "protocol": "tcp"}), "0 is no container port"),
            (json!({"hostPort": 65536, "containerPort": 1, "protocol": "tcp"}), "65536 is no"),
            (json!({"hostPort": -1, "containerPort": 1, "protocol": "tcp"}), "-1 is no"),
            (json!({"hostPort": 1, "containerPort": 1}), "protocol \"\""),
            (json!({"hostPort": 1, "containerPort": 1, "protocol": "icmp"}), "protocol \"icmp\""),
            (
                json!({"hostPort": 1, "containerPort": 1, "protocol": "tcp", "hostIP": "web"}),
                "hostIP \"web\"",
            ),
        ] {
            let error = with_port(&mapping).unwrap_err();
            assert_eq!(error.code(), ErrorCode::INVALID_NETWORK_CONFIG, "{error}");
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert_eq!(with_port(&json!("80")).unwrap_err().code(), ErrorCode::DECODING_FAILURE);
    }

    #[test]
    fn options_have_an_effect_or_are_refused_by_name() {
        for config in [
            json!({"backend": "iptables"}),
            json!({"backend": "nftables", "markMasqBit": 13}),
            json!({"masqAll": false, "conditionsV4": [], "conditionsV6": [""]}),
        ] {
            assert!(read(config).unwrap().snat);
        }
        assert!(!read(json!({"snat": false})).unwrap().snat);
        for (config, code, words) in [
            (json!({"masqAll": true}), ErrorCode::UNSUPPORTED_FIELD, "masqAll with value true"),
            (
                json!({"externalSetMarkChain": "KUBE-MARK-MASQ"}),
                ErrorCode::UNSUPPORTED_FIELD,
                "externalSetMarkChain with value \"KUBE-MARK-MASQ\"",
            ),
            (
                json!({"conditionsV6": ["-d", "fd00::/8"]}),
                ErrorCode::UNSUPPORTED_FIELD,
                "conditionsV6 with value [\"-d\", \"fd00::/8\"]",
            ),
            (
                json!({"markMasqBit": 1, "externalSetMarkChain": "X"}),
                ErrorCode::INVALID_NETWORK_CONFIG,
                "markMasqBit",
            ),
            (json!({"markMasqBit": 32}), ErrorCode::INVALID_NETWORK_CONFIG, "32 is not between"),
            (json!({"backend": "ebpf"}), ErrorCode::INVALID_NETWORK_CONFIG, "\"ebpf\""),
        ] {
            let error = read(config).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
