//! One plugin's configuration: the object a plugin finds on its standard input.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bounded_json::{self, MAX_CONFIG_BYTES};
use crate::error::{CniError, ErrorCode};
use crate::go_json;
use crate::name::{ContainerId, InterfaceName, NetworkName, PluginType};
use crate::result::{AddResult, Dns};
use crate::version::SpecVersion;

#[cfg(test)]
mod tests;

/// The key of GC's list of attachments that must stay (CNI 1.1.0, section 2, GC).
const VALID_ATTACHMENTS: &str = "cni.dev/valid-attachments";
/// What libcni sent before, and still sends beside it.
const VALID_ATTACHMENTS_OLD: &str = "cni.dev/attachments";

/// One plugin's configuration. Every key is kept, known or not; known ones are read by the methods.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PluginConfig(Map<String, Value>);

/// An attachment that GC must not touch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ValidAttachment {
    /// The container.
    #[serde(rename = "containerID")]
    pub container_id: ContainerId,
    /// Its interface.
    #[serde(rename = "ifname")]
    pub interface: InterfaceName,
}

pub(crate) fn undecodable(why: impl fmt::Display) -> CniError {
    let msg = format!("cannot decode the network configuration: {why}");
    CniError::new(ErrorCode::DECODING_FAILURE, msg)
}

fn undecodable_at(key: &str, why: impl fmt::Display) -> CniError {
    undecodable(format_args!("{key}: {why}"))
}

impl PluginConfig {
    /// Parses a configuration of at most 1 MiB, nested at most 64 deep.
    ///
    /// # Errors
    /// Code 6 if it is larger, deeper, or no JSON object.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CniError> {
        Self::from_value(bounded_json::parse("the network configuration", bytes, MAX_CONFIG_BYTES)?)
    }

    /// Makes a configuration of a JSON object.
    ///
    /// # Errors
    /// Code 6 if it is another kind of value.
    pub fn from_value(value: Value) -> Result<Self, CniError> {
        if let Value::Object(map) = value {
            Ok(Self(map))
        } else {
            Err(undecodable("it is no JSON object"))
        }
    }

    /// Every key.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The configuration as a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// The configuration as JSON text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.to_value().to_string().into_bytes()
    }

    fn text(&self, key: &str) -> Result<&str, CniError> {
        match go_json::lookup(&self.0, key) {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(undecodable_at(key, "a string is expected")),
        }
    }

    fn object(&self, key: &str) -> Result<Option<&Map<String, Value>>, CniError> {
        match go_json::lookup(&self.0, key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(undecodable_at(key, "an object is expected")),
        }
    }

    /// The network's `name`.
    ///
    /// # Errors
    /// Code 7 if it is absent or no network name, 6 if it is no string.
    pub fn name(&self) -> Result<NetworkName, CniError> {
        Ok(NetworkName::new(self.text("name")?)?)
    }

    /// The plugin's `type`.
    ///
    /// # Errors
    /// Code 7 if it is absent or no plugin type, 6 if it is no string.
    pub fn plugin_type(&self) -> Result<PluginType, CniError> {
        Ok(PluginType::new(self.text("type")?)?)
    }

    /// The `cniVersion`; 0.1.0 where it is absent or empty.
    ///
    /// # Errors
    /// Code 1 if it is an unknown one, 6 if it is no string.
    pub fn version(&self) -> Result<SpecVersion, CniError> {
        match self.text("cniVersion")? {
            "" => Ok(SpecVersion::V0_1_0),
            text => Ok(text.parse::<SpecVersion>()?),
        }
    }

    /// The type of the IPAM plugin, `ipam.type`, if there is one.
    ///
    /// # Errors
    /// Code 7 if it is no plugin type, 6 if `ipam` is no object or its `type` no string.
    pub fn ipam_type(&self) -> Result<Option<PluginType>, CniError> {
        let Some(ipam) = self.object("ipam")? else {
            return Ok(None);
        };
        match go_json::lookup(ipam, "type") {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(PluginType::new(text)?)),
            Some(_) => Err(undecodable_at("ipam.type", "a string is expected")),
        }
    }

    /// The configured `dns`, empty where it is absent.
    ///
    /// # Errors
    /// Code 6 if it has another form.
    pub fn dns(&self) -> Result<Dns, CniError> {
        let dns = go_json::lookup(&self.0, "dns").map(go_json::decode);
        Ok(dns.transpose().map_err(|error| undecodable_at("dns", error))?.unwrap_or_default())
    }

    /// The whole object as the plugin's own options, decoded as [`go_json`] has it.
    ///
    /// # Errors
    /// Code 6, naming the key that does not fit.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T, CniError> {
        go_json::decode_map(&self.0).map_err(undecodable)
    }

    /// The `capabilities` that are true: what the plugin wants in its `runtimeConfig`.
    #[must_use]
    pub fn capabilities(&self) -> Vec<&str> {
        let declared = self.object("capabilities").ok().flatten();
        let enabled =
            declared.into_iter().flatten().filter(|(_, value)| **value == Value::Bool(true));
        enabled.map(|(name, _)| name.as_str()).collect()
    }

    /// What the runtime sent for `capability`, `runtimeConfig.<capability>`.
    ///
    /// # Errors
    /// Code 6, naming the key that does not fit.
    pub fn runtime_config<T: DeserializeOwned>(
        &self,
        capability: &str,
    ) -> Result<Option<T>, CniError> {
        let sent = self.object("runtimeConfig")?;
        let argument = sent.and_then(|sent| go_json::lookup(sent, capability));
        let decoded = argument.map(go_json::decode).transpose();
        decoded.map_err(|error| undecodable_at(&format!("runtimeConfig.{capability}"), error))
    }

    /// The result of the plugin before this one, or of the ADD that is checked or undone.
    ///
    /// # Errors
    /// Code 6 if it is no result, 1 if it, or the configuration, has an unknown version.
    pub fn prev_result(&self) -> Result<Option<AddResult>, CniError> {
        let Some(value) = go_json::lookup(&self.0, "prevResult") else {
            return Ok(None);
        };
        AddResult::from_json(value, self.version()?).map(Some)
    }

    /// The same configuration with `result` as its `prevResult`, in the configuration's version.
    ///
    /// # Errors
    /// Code 1 if that version is unknown or cannot say this result.
    pub fn with_prev_result(&self, result: &AddResult) -> Result<Self, CniError> {
        let mut config = self.clone();
        config.set("prevResult", result.to_json(self.version()?)?);
        Ok(config)
    }

    /// The attachments that a GC must not touch. `None` if the runtime sent no list, which is not
    /// the same as an empty one.
    ///
    /// # Errors
    /// Code 6 if the list or a name in it is not valid.
    pub fn valid_attachments(&self) -> Result<Option<Vec<ValidAttachment>>, CniError> {
        let sent = [VALID_ATTACHMENTS, VALID_ATTACHMENTS_OLD]
            .into_iter()
            .find_map(|key| go_json::lookup(&self.0, key));
        let decoded = sent.map(go_json::decode).transpose();
        decoded.map_err(|error| undecodable_at(VALID_ATTACHMENTS, error))
    }

    /// The same configuration with this list for GC, under today's key and the one before it.
    #[must_use]
    pub fn with_valid_attachments(&self, valid: &[ValidAttachment]) -> Self {
        let list = Value::Array(valid.iter().map(ValidAttachment::to_value).collect());
        let mut config = self.clone();
        config.set(VALID_ATTACHMENTS, list.clone());
        config.set(VALID_ATTACHMENTS_OLD, list);
        config
    }

    /// Sets a key, in place of any that differs in case only.
    pub fn set(&mut self, key: &str, value: Value) {
        self.remove(key);
        self.0.insert(key.to_owned(), value);
    }

    /// Removes a key and any that differs in case only.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|spelled, _| !go_json::same_key(spelled, key));
    }

    pub(crate) fn remove_starting_with(&mut self, prefix: &str) {
        let reserved = |key: &str| {
            key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        self.0.retain(|key, _| !reserved(key));
    }
}

impl ValidAttachment {
    fn to_value(&self) -> Value {
        serde_json::json!({
            "containerID": self.container_id.as_str(),
            "ifname": self.interface.as_str(),
        })
    }
}
