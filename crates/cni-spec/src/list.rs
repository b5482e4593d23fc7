//! A network's configuration: a name, a version, and the plugins to run one after the other.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::bounded_json::{self, MAX_CONFIG_BYTES};
use crate::config::{PluginConfig, undecodable};
use crate::error::{CniError, ErrorCode};
use crate::go_json;
use crate::name::NetworkName;
use crate::result::AddResult;
use crate::version::{SpecVersion, UnsupportedVersion, version_numbers};

#[cfg(test)]
mod tests;

/// A network configuration list (CNI 1.1.0, section 1), the content of a `.conflist` file.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkConfigList {
    /// The network's name.
    pub name: NetworkName,
    /// The version in which the plugins are spoken to.
    pub version: SpecVersion,
    /// The plugins cannot be checked: a runtime must not send CHECK.
    pub disable_check: bool,
    /// The network cannot be collected: a runtime must not send GC.
    pub disable_gc: bool,
    /// No plugins are to be read from the folder beside the list.
    pub load_only_inlined_plugins: bool,
    /// The plugins in the order of ADD. Empty only where they are in the folder beside the list.
    pub plugins: Vec<PluginConfig>,
    /// Every other key, `cniVersions` among them.
    pub extra: Map<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ListDocument {
    name: String,
    cni_version: String,
    disable_check: Flag,
    #[serde(rename = "disableGC")]
    disable_gc: Flag,
    load_only_inlined_plugins: Flag,
    plugins: Option<Vec<Value>>,
}

/// A bool, or what libcni takes for one, the strings "true" and "false" in any case.
#[derive(Default, Deserialize)]
#[serde(try_from = "Value")]
struct Flag(bool);

impl TryFrom<Value> for Flag {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Bool(flag) => Ok(Self(flag)),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Self(true)),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Self(false)),
            other => Err(format!("true or false is expected, not {other}")),
        }
    }
}

/// How the keys begin that only a runtime makes (CNI 1.1.0, section 1, "Reserved keys").
const RESERVED: &str = "cni.dev/";

fn invalid(msg: String) -> CniError {
    CniError::new(ErrorCode::INVALID_NETWORK_CONFIG, msg)
}

impl NetworkConfigList {
    /// Parses a list of at most 1 MiB, nested at most 64 deep.
    ///
    /// Of `cniVersions` and `cniVersion` the highest that this crate knows is taken.
    ///
    /// # Errors
    /// Code 6 if it is larger, deeper, no JSON object or a key has another form; 7 if the name, a
    /// plugin's type or the plugins are missing or not valid; 1 if no version is known.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CniError> {
        let value = bounded_json::parse("the network configuration", bytes, MAX_CONFIG_BYTES)?;
        let object = PluginConfig::from_value(value)?;
        let (document, extra) = go_json::decode_keeping_unknown(object.as_map(), |object| {
            ListDocument::deserialize(object)
        })
        .map_err(undecodable)?;
        let name = NetworkName::new(document.name.as_str())?;
        let version =
            choose_version(&document.cni_version, go_json::lookup(&extra, "cniVersions"))?;
        let plugins = read_plugins(&name, &document)?;
        Ok(Self {
            name,
            version,
            disable_check: document.disable_check.0,
            disable_gc: document.disable_gc.0,
            load_only_inlined_plugins: document.load_only_inlined_plugins.0,
            plugins,
            extra,
        })
    }

    /// A list of one, from a single plugin's configuration with the network's name and version in
    /// it, the content of a `.conf` file.
    ///
    /// # Errors
    /// Code 7 if name or type are missing or not valid, 1 if the version is unknown.
    pub fn from_plugin(plugin: PluginConfig) -> Result<Self, CniError> {
        plugin.plugin_type()?;
        Ok(Self {
            name: plugin.name()?,
            version: plugin.version()?,
            disable_check: false,
            disable_gc: false,
            load_only_inlined_plugins: false,
            plugins: vec![plugin],
            extra: Map::new(),
        })
    }

    /// The list as JSON text. What [`from_json`](Self::from_json) reads from it is equal.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut object = self.extra.clone();
        object.insert("name".to_owned(), self.name.as_str().into());
        object.insert("cniVersion".to_owned(), self.version.as_str().into());
        let flags = [
            ("disableCheck", self.disable_check),
            ("disableGC", self.disable_gc),
            ("loadOnlyInlinedPlugins", self.load_only_inlined_plugins),
        ];
        for (key, _) in flags.into_iter().filter(|(_, set)| *set) {
            object.insert(key.to_owned(), true.into());
        }
        // An empty list is an error to libcni, an absent one is not.
        if !self.plugins.is_empty() {
            let plugins = self.plugins.iter().map(PluginConfig::to_value).collect();
            object.insert("plugins".to_owned(), plugins);
        }
        Value::Object(object).to_string().into_bytes()
    }

    /// What the plugin at `index` gets on its standard input (CNI 1.1.0, section 3).
    ///
    /// The plugin's own configuration with `name` and `cniVersion` of the list, `prev` as
    /// `prevResult`, and as `runtimeConfig` those of `capability_args` that the plugin declares.
    /// `capabilities` is removed, and so are `prevResult` and keys that begin with `cni.dev/`: only the
    /// runtime makes them. A `runtimeConfig` of the file stays where nothing replaces it, as with libcni.
    ///
    /// # Errors
    /// Code 7 if there is no such plugin, 1 if the version cannot say `prev`.
    pub fn plugin_request_config(
        &self,
        index: usize,
        prev: Option<&AddResult>,
        capability_args: &Map<String, Value>,
    ) -> Result<PluginConfig, CniError> {
        let Some(plugin) = self.plugins.get(index) else {
            let msg = format!("network {} has no plugin at position {index}", self.name);
            return Err(invalid(msg));
        };
        let mut config = plugin.clone();
        config.set("name", self.name.as_str().into());
        config.set("cniVersion", self.version.as_str().into());
        let declared = plugin.capabilities();
        let sent: Map<String, Value> = capability_args
            .iter()
            .filter(|(capability, _)| declared.contains(&capability.as_str()))
            .map(|(capability, argument)| (capability.clone(), argument.clone()))
            .collect();
        if !sent.is_empty() {
            config.set("runtimeConfig", Value::Object(sent));
        }
        config.remove("capabilities");
        config.remove("prevResult");
        config.remove_starting_with(RESERVED);
        match prev {
            Some(result) => config.with_prev_result(result),
            None => Ok(config),
        }
    }
}

/// libcni's choice: the highest of all that are not newer than what we know.
fn choose_version(version: &str, versions: Option<&Value>) -> Result<SpecVersion, CniError> {
    let offered: Vec<String> = match versions {
        Some(value) => go_json::decode(value)
            .map_err(|error| undecodable(format_args!("cniVersions: {error}")))?,
        None => Vec::new(),
    };
    let mut known: Option<SpecVersion> = None;
    for text in offered.iter().map(String::as_str).chain([version]).filter(|text| !text.is_empty())
    {
        version_numbers(text)?;
        known = known.max(text.parse().ok());
    }
    match known {
        Some(version) => Ok(version),
        None if version.is_empty() && offered.is_empty() => Ok(SpecVersion::V0_1_0),
        None if version.is_empty() => Err(UnsupportedVersion(offered.join(", ")).into()),
        None => Err(UnsupportedVersion(version.to_owned()).into()),
    }
}

fn read_plugins(
    name: &NetworkName,
    document: &ListDocument,
) -> Result<Vec<PluginConfig>, CniError> {
    let Some(plugins) = &document.plugins else {
        if document.load_only_inlined_plugins.0 {
            let msg = format!(
                "network {name} has no plugins: loadOnlyInlinedPlugins needs them in the list"
            );
            return Err(invalid(msg));
        }
        return Ok(Vec::new());
    };
    if plugins.is_empty() {
        return Err(invalid(format!("network {name} has an empty list of plugins")));
    }
    plugins.iter().cloned().enumerate().map(|(index, plugin)| read_plugin(index, plugin)).collect()
}

fn read_plugin(index: usize, value: Value) -> Result<PluginConfig, CniError> {
    let at =
        |error: CniError| CniError { msg: format!("plugins[{index}]: {}", error.msg), ..error };
    let plugin = PluginConfig::from_value(value).map_err(at)?;
    plugin.plugin_type().map_err(at)?;
    Ok(plugin)
}
