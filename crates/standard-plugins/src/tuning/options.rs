//! What a tuning configuration asks for, read and checked before anything is touched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use podnet_cni_spec::{CniArgs, PluginConfig, Request};
use podnet_netutil::{InvalidMacAddr, MacAddr, NetKey};
use serde::Deserialize;

use super::attributes::Attributes;
use super::backup::BackupFile;
use crate::error::Error;
use crate::mtu_option::mtu;

/// The reference's place for what interfaces were like before.
const DATA_DIR: &str = "/run/cni/tuning";
/// What stands for the interface where none is known.
const NO_INTERFACE: &str = "IFNAME";

/// A kernel parameter to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SysctlOption {
    /// The key as it stands in the configuration, which is what the allow-list is about.
    pub(super) written: String,
    pub(super) key: NetKey,
    pub(super) value: String,
}

#[derive(Debug)]
pub(super) struct Options {
    pub(super) sysctls: Vec<SysctlOption>,
    pub(super) attributes: Attributes,
    pub(super) backup: BackupFile,
}

impl Options {
    pub(super) fn from_request(request: &Request) -> Result<Self, Error> {
        let attachment = request.attachment()?;
        let file = BackupFile::of(&data_dir(&request.config)?, attachment);
        Self::new(&request.config, &attachment.args, attachment.interface.as_str(), file)
    }

    /// The options that are the same for every attachment.
    pub(super) fn from_config(config: &PluginConfig) -> Result<Self, Error> {
        let file = BackupFile::nowhere(&data_dir(config)?);
        Self::new(config, &CniArgs::default(), NO_INTERFACE, file)
    }

    fn new(
        config: &PluginConfig,
        environment: &CniArgs,
        interface: &str,
        backup: BackupFile,
    ) -> Result<Self, Error> {
        let options: Written = config.options()?;
        environment.refuse_unknown(&["MAC"])?;
        let of_args = options.args.and_then(|args| args.cni).unwrap_or_default();
        let sysctls = options.sysctl.into_iter().chain(of_args.sysctl.unwrap_or_default());
        // Of equal keys the last one counts, that of `args`.
        let sysctls: BTreeMap<String, String> = sysctls.collect();
        let mac = of_args.mac.unwrap_or_else(|| {
            let of_environment = environment.get("MAC").unwrap_or_default().to_owned();
            let ascending = [options.runtime_config.mac, of_environment, options.mac];
            ascending.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
        });
        let promisc = of_args.promisc.unwrap_or(options.promisc);
        Ok(Self {
            sysctls: read_sysctls(sysctls, interface)?,
            attributes: Attributes {
                mac: read_mac(&mac)?,
                promisc: promisc.then_some(true),
                mtu: mtu(of_args.mtu.unwrap_or(options.mtu))?,
                all_multicast: of_args.all_multicast.or(options.all_multicast),
                tx_queue_len: read_length(of_args.tx_queue_len.or(options.tx_queue_len))?,
            },
            backup,
        })
    }
}

/// The folder of the files that DEL reads; nothing else of the configuration counts there.
pub(super) fn data_dir(config: &PluginConfig) -> Result<PathBuf, Error> {
    let options: PlaceOptions = config.options()?;
    let written = Some(options.data_dir).filter(|text| !text.is_empty());
    Ok(written.map_or_else(|| Path::new(DATA_DIR).to_owned(), PathBuf::from))
}

fn read_sysctls(
    written: BTreeMap<String, String>,
    interface: &str,
) -> Result<Vec<SysctlOption>, Error> {
    let read = |(written, value): (String, String)| {
        let key = NetKey::parse(&written, interface).map_err(|error| invalid("sysctl", &error))?;
        Ok(SysctlOption { written, key, value })
    };
    written.into_iter().map(read).collect()
}

fn read_mac(text: &str) -> Result<Option<MacAddr>, Error> {
    let parsed = (!text.is_empty()).then(|| text.parse()).transpose();
    parsed.map_err(|error: InvalidMacAddr| invalid("mac", &error))
}

fn read_length(packets: Option<i64>) -> Result<Option<u32>, Error> {
    let Some(packets) = packets else { return Ok(None) };
    let length = u32::try_from(packets);
    length.map(Some).map_err(|_| invalid("txQLen", &format!("{packets} is no number of packets")))
}

fn invalid(option: &'static str, reason: &impl ToString) -> Error {
    Error::InvalidOption { option, reason: reason.to_string() }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    sysctl: BTreeMap<String, String>,
    mac: String,
    promisc: bool,
    mtu: i64,
    #[serde(rename = "allmulti")]
    all_multicast: Option<bool>,
    #[serde(rename = "txQLen")]
    tx_queue_len: Option<i64>,
    #[serde(rename = "runtimeConfig")]
    runtime_config: RuntimeOptions,
    args: Option<ArgsOptions>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RuntimeOptions {
    mac: String,
}

#[derive(Deserialize)]
struct ArgsOptions {
    cni: Option<CniOptions>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CniOptions {
    sysctl: Option<BTreeMap<String, String>>,
    mac: Option<String>,
    promisc: Option<bool>,
    mtu: Option<i64>,
    #[serde(rename = "allmulti")]
    all_multicast: Option<bool>,
    #[serde(rename = "txQLen")]
    tx_queue_len: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PlaceOptions {
    data_dir: String,
}

#[cfg(test)]
mod tests {
    use podnet_cni_spec::{Attachment, Verb};
    use serde_json::{Value, json};

    use super::*;

    fn options(config: Value, environment: &str) -> Result<Options, Error> {
        let attachment = Attachment {
            container_id: "a1".parse().unwrap(),
            interface: "eth0".parse().unwrap(),
            netns: None,
            args: CniArgs::parse(environment).unwrap(),
        };
        let config = PluginConfig::from_value(config).unwrap();
        Options::from_request(&Request { verb: Verb::Add, attachment: Some(attachment), config })
    }

    fn mac(config: Value, environment: &str) -> String {
        options(config, environment).unwrap().attributes.mac.unwrap().to_string()
    }

    #[test]
    fn the_nearest_source_of_a_mac_address_wins() {
        let mut config = json!({"mac": "02:00:00:00:00:01"});
        assert_eq!(mac(config.clone(), ""), "02:00:00:00:00:01");
        let environment = "MAC=02:00:00:00:00:02";
        assert_eq!(mac(config.clone(), environment), "02:00:00:00:00:02");
        config["runtimeConfig"] = json!({"Mac": "02:00:00:00:00:03"});
        assert_eq!(mac(config.clone(), environment), "02:00:00:00:00:03");
        config["args"] = json!({"cni": {"mac": "02:00:00:00:00:04"}});
        assert_eq!(mac(config, environment), "02:00:00:00:00:04");
    }

    #[test]
    fn arguments_weigh_more_than_the_configuration() {
        let config = json!({
            "sysctl": {"net.core.somaxconn": "1", "net.ipv4.conf.IFNAME.arp_filter": "1"},
            "promisc": true, "mtu": 1400, "allmulti": false, "txQLen": 5,
            "args": {"cni": {
                "sysctl": {"net.core.somaxconn": "2"},
                "promisc": false, "mtu": 1300, "allMulti": true, "txqlen": 0,
            }},
        });
        let options = options(config, "").unwrap();
        let sysctls: Vec<_> =
            options.sysctls.iter().map(|one| (one.key.to_string(), one.value.as_str())).collect();
        assert_eq!(
            sysctls,
            [
                ("net/core/somaxconn".to_owned(), "2"),
                ("net/ipv4/conf/eth0/arp_filter".to_owned(), "1")
            ]
        );
        let expected = Attributes {
            mac: None,
            promisc: None,
            mtu: Some(1300),
            all_multicast: Some(true),
            tx_queue_len: Some(0),
        };
        assert_eq!(options.attributes, expected);
    }

    #[test]
    fn what_cannot_be_set_is_refused_with_its_option() {
        for (config, environment, option) in [
            (json!({"sysctl": {"kernel.panic": "1"}}), "", "sysctl"),
            (json!({"sysctl": {"net/../kernel/panic": "1"}}), "", "sysctl"),
            (json!({"sysctl": {"net.core.somaxconn": 1}}), "", "sysctl"),
            (json!({"mac": "02:00"}), "", "mac"),
            (json!({}), "MAC=x", "mac"),
            (json!({}), "IP=10.0.0.1", "IP"),
            (json!({"mtu": -1}), "", "mtu"),
            (json!({"txQLen": -1}), "", "txQLen"),
        ] {
            let error = options(config.clone(), environment).unwrap_err();
            assert!(error.to_string().contains(option), "{config}: {error}");
        }
    }

    #[test]
    fn files_are_where_the_reference_has_them() {
        let path = |config| options(config, "").unwrap().backup.path().display().to_string();
        assert_eq!(path(json!({})), "/run/cni/tuning/a1_eth0.json");
        assert_eq!(path(json!({"dataDir": "/run/t"})), "/run/t/a1_eth0.json");
    }
}
