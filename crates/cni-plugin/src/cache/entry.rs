//! One cached attachment, and its form on disk, that of libcni's `cachedInfo`.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podnet_cni_spec::{
    AddResult, Attachment, CniArgs, CniError, ContainerId, ErrorCode, InterfaceName,
    NetworkConfigList, NetworkName, PluginConfig, SpecVersion, bounded_json, go_json,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Key;
use crate::attachment::RuntimeConf;
use crate::capability::CapabilityArgs;

/// The `kind` of the one format there is, apart from the bare result of older runtimes.
const KIND: &str = "cniCacheV1";
/// The largest file read, in bytes: a configuration in base64 and the largest result of a plugin.
pub(super) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Stands for the result while there is none: runtimes of any age read it and convert it.
const NO_RESULT_VERSION: SpecVersion = SpecVersion::V0_4_0;

/// What the cache knows of an attachment: how it was made, and with which result.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CachedAttachment {
    /// The network attached to.
    pub network: NetworkName,
    /// What the runtime said when it added the attachment.
    pub runtime: RuntimeConf,
    /// The network's configuration then, as JSON. Empty in the older format, which is a bare result.
    pub config: Vec<u8>,
    /// The result in the version of the configuration; none while ADD is not done, or if it never
    /// came to its end.
    pub result: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    kind: &'static str,
    container_id: &'a ContainerId,
    config: String,
    if_name: &'a InterfaceName,
    network_name: &'a NetworkName,
    #[serde(skip_serializing_if = "String::is_empty")]
    netns: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cni_args: Vec<[&'a str; 2]>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    capability_args: &'a Map<String, Value>,
    result: Value,
    /// Ours alone; libcni ignores it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    podnet_adding: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Read {
    kind: String,
    container_id: String,
    config: String,
    if_name: String,
    network_name: String,
    netns: String,
    cni_args: Vec<[String; 2]>,
    capability_args: Map<String, Value>,
    result: Map<String, Value>,
    podnet_adding: bool,
}

impl CachedAttachment {
    /// An attachment of which there is no result yet.
    #[must_use]
    pub fn new(list: &NetworkConfigList, runtime: RuntimeConf) -> Self {
        Self { network: list.name.clone(), runtime, config: list.to_json(), result: None }
    }

    /// Notes the result of the ADD in the configuration's version. Before 0.3.0 there are no words
    /// for a result without an address: then it says nothing.
    pub(crate) fn set_result(&mut self, result: &AddResult, version: SpecVersion) {
        let silent = |_| json!({"cniVersion": version.as_str()});
        self.result = Some(result.to_json(version).unwrap_or_else(silent));
    }

    pub(super) fn key(&self) -> Key<'_> {
        Key {
            network: &self.network,
            container_id: &self.runtime.attachment.container_id,
            interface: &self.runtime.attachment.interface,
        }
    }

    /// The configuration the attachment was made with, if the cache has it.
    ///
    /// # Errors
    /// As [`NetworkConfigList::from_json`]; code 7 if it is that of another network.
    pub fn list(&self) -> Result<Option<NetworkConfigList>, CniError> {
        if self.config.is_empty() {
            return Ok(None);
        }
        let list = read_list(&self.config)?;
        if list.name != self.network {
            let msg = format!("the configuration is that of network {}", list.name);
            return Err(CniError::new(ErrorCode::INVALID_NETWORK_CONFIG, msg));
        }
        Ok(Some(list))
    }

    /// The result, if ADD came to its end.
    ///
    /// # Errors
    /// As [`AddResult::from_json`].
    pub fn result(&self) -> Result<Option<AddResult>, CniError> {
        // Go takes a result without a version for the oldest.
        let read = |value| AddResult::from_json(value, SpecVersion::V0_1_0);
        self.result.as_ref().map(read).transpose()
    }

    /// The file's content.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let Attachment { container_id, interface, netns, args } = &self.runtime.attachment;
        let netns = netns.as_deref().map(|path| path.to_string_lossy().into_owned());
        let written = Written {
            kind: KIND,
            container_id,
            config: STANDARD.encode(&self.config),
            if_name: interface,
            network_name: &self.network,
            netns: netns.unwrap_or_default(),
            cni_args: args.iter().map(|(key, value)| [key, value]).collect(),
            capability_args: self.runtime.capability_args.as_map(),
            result: self.result.clone().unwrap_or_else(no_result),
            podnet_adding: self.result.is_none(),
        };
        // Strings and JSON values cannot fail to become JSON.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// Reads a file that says itself whose it is.
    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, String> {
        match parse(bytes)? {
            Parsed::Whole(cached) => Ok(*cached),
            Parsed::Legacy(_) => Err("it does not say which attachment it belongs to".to_owned()),
        }
    }

    /// Reads the file of this key; in the older format it says nothing that could be verified.
    pub(super) fn from_json_of(key: Key<'_>, bytes: &[u8]) -> Result<Self, String> {
        match parse(bytes)? {
            Parsed::Whole(cached) => Ok(*cached),
            Parsed::Legacy(result) => Ok(Self {
                network: key.network.clone(),
                runtime: RuntimeConf::new(key.container_id.clone(), key.interface.clone()),
                config: Vec::new(),
                result: Some(result),
            }),
        }
    }
}

fn no_result() -> Value {
    json!({"cniVersion": NO_RESULT_VERSION.as_str()})
}

/// A list, or the single plugin that libcni's `AddNetwork` caches.
fn read_list(config: &[u8]) -> Result<NetworkConfigList, CniError> {
    let object = PluginConfig::from_json(config)?;
    if object.plugin_type().is_ok() {
        return NetworkConfigList::from_plugin(object);
    }
    NetworkConfigList::from_json(config)
}

enum Parsed {
    Whole(Box<CachedAttachment>),
    Legacy(Value),
}

fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    let value = bounded_json::parse("it", bytes, MAX_BYTES).map_err(|error| error.msg)?;
    let read: Read = go_json::decode(&value).map_err(|error| error.to_string())?;
    if read.kind == KIND {
        return whole(read).map(|cached| Parsed::Whole(Box::new(cached)));
    }
    match AddResult::from_json(&value, SpecVersion::V0_1_0) {
        Ok(result) if read.kind.is_empty() && says_something(&result) => Ok(Parsed::Legacy(value)),
        _ => Err(format!("its kind is {:?}, and it is no result either", read.kind)),
    }
}

fn says_something(result: &AddResult) -> bool {
    !result.ips.is_empty() || !result.interfaces.is_empty()
}

fn whole(read: Read) -> Result<CachedAttachment, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let container_id = ContainerId::new(read.container_id).map_err(|error| text(&error))?;
    let interface = InterfaceName::new(read.if_name).map_err(|error| text(&error))?;
    let mut args = CniArgs::default();
    for [key, value] in read.cni_args {
        args.insert(key, value).map_err(|error| text(&error))?;
    }
    let netns = Some(PathBuf::from(read.netns)).filter(|path| !path.as_os_str().is_empty());
    let config = STANDARD.decode(read.config).map_err(|error| format!("config: {error}"))?;
    Ok(CachedAttachment {
        network: NetworkName::new(read.network_name).map_err(|error| text(&error))?,
        runtime: RuntimeConf {
            attachment: Attachment { container_id, interface, netns, args },
            capability_args: CapabilityArgs::from(read.capability_args),
        },
        config,
        result: (!read.podnet_adding).then_some(Value::Object(read.result)),
    })
}
