//! The ports that a runtime asks for, and the options by which they are published.

use std::net::IpAddr;

use podnet_cni_spec::PluginConfig;
use podnet_netutil::Family;
use serde::Deserialize;

use super::conditions::{self, Syntax};
use crate::error::Error;
use crate::nat::{Conditions, HostPort, Protocol, Publishing};

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
    /// Whether every client gets the host's address.
    masquerade_all: bool,
    conditions: Conditions,
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
        let snat = written.snat.unwrap_or(true);
        // Conditions that cannot be said are no reason to refuse a container without ports.
        let unread = ports.is_empty();
        let conditions = if unread { Conditions::default() } else { written.conditions()? };
        Ok(Self { ports, snat, masquerade_all: snat && written.masq_all, conditions })
    }

    /// Whether ports could be published by a configuration, whatever ports are asked for now.
    pub(super) fn validate(config: &PluginConfig) -> Result<(), Error> {
        let written: Written = config.options()?;
        written.validate()?;
        written.conditions().map(drop)
    }

    /// How the ports are published. Without `snat` no client's address is touched, not even one that the container cannot
    /// answer to.
    pub(super) fn publishing(&self) -> Publishing {
        Publishing {
            refuse_listeners: false,
            hairpin: self.snat,
            masquerade_all: self.masquerade_all,
            conditions: self.conditions.clone(),
        }
    }
}

/// The ports that a runtime sends with a request, as far as they can be read.
pub(super) fn sent_ports(config: &PluginConfig) -> Vec<HostPort> {
    let sent: Option<Vec<Mapping>> = config.runtime_config("portMappings").ok().flatten();
    sent.iter().flatten().filter_map(|mapping| mapping.port().ok()).collect()
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
        self.refuse_mixed_backends()
    }

    fn conditions(&self) -> Result<Conditions, Error> {
        Ok(Conditions {
            v4: conditions::read(Family::V4, words(self.conditions_v4.as_ref()))?,
            v6: conditions::read(Family::V6, words(self.conditions_v6.as_ref()))?,
        })
    }

    /// Options that the reference takes for one backend only must be for the one asked for, or, where none is, for the
    /// same one.
    fn refuse_mixed_backends(&self) -> Result<(), Error> {
        let of_words = |family, words: &[String]| {
            Syntax::of(words).map(|syntax| (conditions::option(family), syntax.backend()))
        };
        let chain = self.external_set_mark_chain.as_ref();
        let given = [
            chain.map(|_| ("externalSetMarkChain", "iptables")),
            of_words(Family::V4, words(self.conditions_v4.as_ref())),
            of_words(Family::V6, words(self.conditions_v6.as_ref())),
        ];
        let mut given = given.into_iter().flatten();
        if let Some(backend) = self.backend.as_deref() {
            return match given.find(|(_, of)| *of != backend) {
                Some((option, of)) => {
                    Err(invalid(option, format!("it is for {of}, and backend is {backend}")))
                }
                None => Ok(()),
            };
        }
        let Some((first, backend)) = given.next() else { return Ok(()) };
        match given.find(|(_, of)| *of != backend) {
            Some((option, of)) => {
                Err(invalid(option, format!("it is for {of}, and {first} is for {backend}")))
            }
            None => Ok(()),
        }
    }
}

fn words(list: Option<&Vec<String>>) -> &[String] {
    list.map(Vec::as_slice).unwrap_or_default()
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

pub(super) fn invalid(option: &'static str, reason: String) -> Error {
    Error::InvalidOption { option, reason }
}

#[cfg(test)]
mod tests {
    use podnet_cni_spec::ErrorCode;
    use serde_json::{Value, json};

    use super::*;

    /// With a port where the configuration has none: without ports conditions are not read.
    fn read(mut config: Value) -> Result<Options, Error> {
        if config.get("runtimeConfig").is_none() {
            let port = json!({"hostPort": 8081, "containerPort": 80, "protocol": "tcp"});
            config["runtimeConfig"] = json!({ "portMappings": [port] });
        }
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
        let none = Options::of(&PluginConfig::from_value(json!({})).unwrap()).unwrap();
        assert!(none.ports.is_empty() && none.snat);
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
    fn options_say_how_ports_are_published() {
        let published = |config| read(config).unwrap().publishing();
        for config in [
            json!({}),
            json!({"backend": "iptables"}),
            json!({"backend": "nftables", "markMasqBit": 13}),
            json!({"externalSetMarkChain": "KUBE-MARK-MASQ"}),
            json!({"backend": "iptables", "externalSetMarkChain": "KUBE-MARK-MASQ"}),
            json!({"masqAll": false, "conditionsV4": [], "conditionsV6": [""]}),
        ] {
            let publishing = published(config);
            assert!(publishing.hairpin && !publishing.masquerade_all);
            assert_eq!(publishing.conditions, Conditions::default());
        }
        assert!(!published(json!({"snat": false})).hairpin);
        assert!(published(json!({"masqAll": true})).masquerade_all);
        assert!(!published(json!({"masqAll": true, "snat": false})).masquerade_all);
        let conditions = published(json!({
            "backend": "iptables", "conditionsV4": ["!", "-s", "192.0.2.0/24"],
            "conditionsV6": ["-i", "eth0"],
        }));
        let Conditions { v4, v6 } = conditions.conditions;
        assert_eq!(
            (v4[0].to_string(), v6[0].to_string()),
            ("not from 192.0.2.0/24".into(), "in by eth0".into())
        );
        assert_eq!(
            published(json!({"conditionsV4": ["ip saddr 10.0.0.1"]})).conditions.v4.len(),
            1
        );
    }

    #[test]
    fn without_ports_conditions_that_cannot_be_said_are_no_fault_until_somebody_asks() {
        let config = json!({"conditionsV4": ["-m", "conntrack", "--ctstate", "NEW"]});
        let config = PluginConfig::from_value(config).unwrap();
        assert!(Options::of(&config).unwrap().ports.is_empty());
        let refused = Options::validate(&config).unwrap_err().to_string();
        assert!(refused.contains("conditionsV4") && refused.contains("conntrack"), "{refused}");
    }

    #[test]
    fn options_that_do_not_go_together_are_refused_by_name() {
        for (config, words) in [
            (
                json!({"markMasqBit": 1, "externalSetMarkChain": "X"}),
                "markMasqBit cannot be used: externalSetMarkChain is given too",
            ),
            (json!({"markMasqBit": 32}), "markMasqBit cannot be used: 32 is not between"),
            (json!({"markMasqBit": -1}), "markMasqBit cannot be used: -1 is not between"),
            (json!({"backend": "ebpf"}), "backend cannot be used: \"ebpf\""),
            (
                json!({"backend": "nftables", "externalSetMarkChain": ""}),
                "externalSetMarkChain cannot be used: it is for iptables, and backend is nftables",
            ),
            (
                json!({"backend": "nftables", "conditionsV4": ["-i", "eth0"]}),
                "conditionsV4 cannot be used: it is for iptables, and backend is nftables",
            ),
            (
                json!({"backend": "iptables", "conditionsV6": ["iifname eth0"]}),
                "conditionsV6 cannot be used: it is for nftables, and backend is iptables",
            ),
            (
                json!({"externalSetMarkChain": "X", "conditionsV4": ["iifname eth0"]}),
                "conditionsV4 cannot be used: it is for nftables, and externalSetMarkChain is for iptables",
            ),
            (
                json!({"conditionsV4": ["-i", "eth0"], "conditionsV6": ["iifname eth0"]}),
                "conditionsV6 cannot be used: it is for nftables, and conditionsV4 is for iptables",
            ),
            (
                json!({"conditionsV6": ["-d", "192.0.2.1"]}),
                "conditionsV6 cannot be used: \"192.0.2.1\" is no IPv6 address or network",
            ),
        ] {
            let error = read(config).unwrap_err();
            assert_eq!(error.code(), ErrorCode::INVALID_NETWORK_CONFIG, "{error}");
            assert!(error.to_string().starts_with(&format!("option {words}")), "{error}");
        }
    }
}
