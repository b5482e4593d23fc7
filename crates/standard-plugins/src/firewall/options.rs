//! What a firewall configuration asks for, read and checked before anything is touched.

use podnet_cni_spec::{AddResult, PluginConfig};
use serde::Deserialize;

use super::layout::{FORWARD, Isolation, Layout, PODS};
use crate::error::Error;

/// The reference's names where the configuration has none.
const ADMIN_CHAIN: &str = "CNI-ADMIN";
const ZONE: &str = "trusted";
/// The longest name of a chain that iptables takes, in bytes.
const CHAIN_BYTES: usize = 28;

/// Who lets pods pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    /// firewalld where it runs, else iptables.
    Auto,
    Iptables,
    Firewalld,
}

/// Which connections to a pod are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IngressPolicy {
    Open,
    SameBridge,
    Isolated,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) backend: Backend,
    pub(super) zone: String,
    admin_chain: String,
    policy: IngressPolicy,
}

impl Options {
    pub(super) fn of(config: &PluginConfig) -> Result<Self, Error> {
        let written: Written = config.options()?;
        let policy = match written.ingress_policy.as_str() {
            "" | "open" => IngressPolicy::Open,
            "same-bridge" => IngressPolicy::SameBridge,
            "isolated" => IngressPolicy::Isolated,
            other => return Err(unknown_policy(other)),
        };
        let removal = Removal::of_written(&written);
        let admin_chain = or(written.iptables_admin_chain_name, ADMIN_CHAIN);
        check_chain(&admin_chain)?;
        Ok(Self { backend: removal.backend, zone: removal.zone, admin_chain, policy })
    }

    /// What belongs into the filter table, behind the plugin with this result.
    ///
    /// The bridge is the first interface of the result, as the reference has it.
    pub(super) fn layout(&self, by_iptables: bool, result: &AddResult) -> Result<Layout, Error> {
        let full = self.policy == IngressPolicy::Isolated;
        let isolation = match self.policy {
            IngressPolicy::Open => None,
            _ => Some(Isolation { bridge: bridge_of(result)?, full }),
        };
        Ok(Layout { admin_chain: by_iptables.then(|| self.admin_chain.clone()), isolation })
    }
}

/// All that counts when rules go: what cannot be read is as if it were not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Removal {
    pub(super) backend: Backend,
    pub(super) zone: String,
}

impl Removal {
    pub(super) fn of(config: &PluginConfig) -> Self {
        Self::of_written(&config.options().unwrap_or_default())
    }

    fn of_written(written: &Written) -> Self {
        let backend = match written.backend.as_str() {
            "iptables" => Backend::Iptables,
            "firewalld" => Backend::Firewalld,
            // As with the reference, whatever else is written there.
            _ => Backend::Auto,
        };
        Self { backend, zone: or(written.firewalld_zone.clone(), ZONE) }
    }
}

fn bridge_of(result: &AddResult) -> Result<String, Error> {
    let first = result.interfaces.first().map(|interface| interface.name.as_str());
    let Some(name) = first.filter(|name| !name.is_empty()) else {
        let reason =
            "prevResult names no interface: put firewall behind bridge in the list of plugins";
        return Err(invalid("ingressPolicy", reason.to_owned()));
    };
    let name: podnet_cni_spec::InterfaceName =
        name.parse().map_err(|error| invalid("prevResult", format!("{error}")))?;
    Ok(name.to_string())
}

/// iptables would take the name for something else, or not at all.
fn check_chain(name: &str) -> Result<(), Error> {
    let reason = if name.len() > CHAIN_BYTES {
        format!("a chain's name has at most {CHAIN_BYTES} bytes, and {name:?} has {}", name.len())
    } else if !name.chars().all(|c| c.is_ascii_graphic() && !"\"'\\".contains(c))
        || name.starts_with(['-', '!'])
    {
        format!("{name:?} is no name of a chain")
    } else if [FORWARD, PODS].contains(&name) {
        format!("{name} would lead to itself")
    } else {
        return Ok(());
    };
    Err(invalid("iptablesAdminChainName", reason))
}

fn unknown_policy(policy: &str) -> Error {
    let reason = format!("{policy:?} is none of open, same-bridge and isolated");
    invalid("ingressPolicy", reason)
}

fn invalid(option: &'static str, reason: String) -> Error {
    Error::InvalidOption { option, reason }
}

fn or(written: String, default: &str) -> String {
    if written.is_empty() { default.to_owned() } else { written }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Written {
    backend: String,
    iptables_admin_chain_name: String,
    firewalld_zone: String,
    ingress_policy: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(value: Value) -> PluginConfig {
        PluginConfig::from_value(value).unwrap()
    }

    fn behind(interfaces: &[&str]) -> AddResult {
        let interface = |name: &&str| podnet_cni_spec::Interface {
            name: (*name).to_owned(),
            ..Default::default()
        };
        AddResult { interfaces: interfaces.iter().map(interface).collect(), ..Default::default() }
    }

    #[test]
    fn what_is_not_written_is_as_with_the_reference() {
        for empty in [
            json!({}),
            json!({"backend": "", "iptablesAdminChainName": "", "firewalldZone": "", "ingressPolicy": ""}),
            json!({"backend": "nftables", "ingressPolicy": "open"}),
        ] {
            let options = Options::of(&config(empty)).unwrap();
            assert_eq!((options.backend, options.zone.as_str()), (Backend::Auto, "trusted"));
            let layout = options.layout(true, &behind(&[])).unwrap();
            let expected = Layout { admin_chain: Some("CNI-ADMIN".to_owned()), isolation: None };
            assert_eq!(layout, expected);
            assert!(options.layout(false, &behind(&[])).unwrap().is_empty());
        }
    }

    #[test]
    fn every_option_counts() {
        let written = json!({
            "Backend": "firewalld", "iptablesAdminChainName": "MINE", "firewalldZone": "pods",
            "ingressPolicy": "same-bridge",
        });
        let options = Options::of(&config(written)).unwrap();
        assert_eq!((options.backend, options.zone.as_str()), (Backend::Firewalld, "pods"));
        let layout = options.layout(true, &behind(&["br0", "veth1"])).unwrap();
        assert_eq!(layout.admin_chain.as_deref(), Some("MINE"));
        let isolation = |full| Some(Isolation { bridge: "br0".to_owned(), full });
        assert_eq!(layout.isolation, isolation(false));
        let isolated = Options::of(&config(json!({"ingressPolicy": "isolated"}))).unwrap();
        assert_eq!(isolated.layout(true, &behind(&["br0"])).unwrap().isolation, isolation(true));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_option() {
        for (written, option) in [
            (json!({"ingressPolicy": "closed"}), "ingressPolicy"),
            (json!({"ingressPolicy": "Open"}), "ingressPolicy"),
            (json!({"iptablesAdminChainName": "a b"}), "iptablesAdminChainName"),
            (json!({"iptablesAdminChainName": "a\nCOMMIT"}), "iptablesAdminChainName"),
            (json!({"iptablesAdminChainName": "-A"}), "iptablesAdminChainName"),
            (json!({"iptablesAdminChainName": "CNI-FORWARD"}), "iptablesAdminChainName"),
            (json!({"iptablesAdminChainName": "x".repeat(29)}), "iptablesAdminChainName"),
            (json!({"backend": 1}), "backend"),
        ] {
            let error = Options::of(&config(written.clone())).unwrap_err();
            assert!(error.to_string().contains(option), "{written}: {error}");
        }
        let options = Options::of(&config(json!({"ingressPolicy": "isolated"}))).unwrap();
        for interfaces in [&[][..], &[""], &["a b"], &["br0\nCOMMIT"]] {
            assert!(options.layout(true, &behind(interfaces)).is_err(), "{interfaces:?}");
        }
    }

    #[test]
    fn removal_asks_for_nothing_that_can_be_read() {
        let removal = Removal::of(&config(json!({"backend": 7, "ingressPolicy": "closed"})));
        assert_eq!(removal, Removal { backend: Backend::Auto, zone: ZONE.to_owned() });
    }
}
