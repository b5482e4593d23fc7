//! A file with node options.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use podnet_plugin_api::{BoxError, nearest};
use serde_json::{Map, Value, from_value};

use crate::options::NodeOptions;

/// The longest file, in bytes.
const LONGEST: u64 = 1 << 20;

/// Every option that a file may set.
const KEYS: &[&str] = &[
    "network-plugin",
    #[cfg(feature = "exec")]
    "network-plugin-dir",
    "network-plugin-mtu",
    "pod-cidr",
    "allocate-node-cidrs",
    "cluster-cidr",
    "node-cidr-mask-size",
    "non-masquerade-cidr",
    "hairpin-mode",
    "configure-cbr0",
    "reconcile-cidr",
    #[cfg(feature = "cni")]
    "cni-conf-dir",
    #[cfg(feature = "cni")]
    "cni-bin-dir",
    #[cfg(feature = "cni")]
    "cni-plugins",
    "state-dir",
];

/// Node options from a file: a JSON object whose keys are the names of the flags without `--`.
///
/// Values are strings as the flag has them, numbers and booleans; what the flag has as a list may be an array of
/// strings, too.
///
/// ```
/// use podnet::{ConfigFile, NodeOptions};
///
/// let text = br#"{"network-plugin": "kubenet", "pod-cidr": ["10.244.0.0/24", "fd00:244::/64"]}"#;
/// let file = ConfigFile::from_json("node.json", text)?;
/// let mut options = NodeOptions::default();
/// options.network_plugin = Some("cni".to_owned());
/// // The command line had a plugin, which wins over the file's.
/// file.apply(&mut options, |key| key == "network-plugin")?;
/// assert_eq!(options.network_plugin.as_deref(), Some("cni"));
/// assert!(options.pod_cidr.is_some());
/// # Ok::<(), podnet::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    path: PathBuf,
    values: Map<String, Value>,
}

/// A file that gives no node options. Each message is one line that begins with the file, or names it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is larger than any configuration.
    #[error("{} has more than {LONGEST} bytes: it is no file of node options", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is no JSON object.
    #[error("{}: {source}: write a JSON object of options, such as {{\"network-plugin\": \"kubenet\"}}", path.display())]
    NoObject {
        /// The file.
        path: PathBuf,
        /// Where it is none.
        source: serde_json::Error,
    },
    /// There is no such option.
    #[error("{}: no option is called {key:?}{}", path.display(), suggestion.map_or_else(String::new, |name| format!("; did you mean {name}?")))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The one that may have been meant.
        suggestion: Option<&'static str>,
    },
    /// An option cannot have this value.
    #[error("{}: {key}: {source}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The option.
        key: String,
        /// What is wrong with its value.
        source: BoxError,
    },
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`]: it cannot be read, is no JSON object, or has a key that is no option.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        // Opening a FIFO or a device might wait for ever.
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(unreadable(io::Error::other("it is not a regular file")));
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > LONGEST) {
            return Err(ConfigError::TooLarge { path: path.to_owned() });
        }
        Self::from_json(path, &bytes)
    }

    /// The same of the content of a file, whose path is for messages.
    ///
    /// # Errors
    /// [`ConfigError`]: it is no JSON object, or has a key that is no option.
    pub fn from_json(path: impl Into<PathBuf>, bytes: &[u8]) -> Result<Self, ConfigError> {
        let path = path.into();
        let values: Map<String, Value> = match serde_json::from_slice(bytes) {
            Ok(values) => values,
            Err(source) => return Err(ConfigError::NoObject { path, source }),
        };
        match values.keys().find(|key| !KEYS.contains(&key.as_str())).cloned() {
            Some(key) => {
                let suggestion = nearest(&key.replace('_', "-"), KEYS.iter().copied());
                Err(ConfigError::UnknownKey { path, key, suggestion })
            }
            None => Ok(Self { path, values }),
        }
    }

    /// Sets the options that the file has, save those for which `given` is true: what was said elsewhere wins.
    ///
    /// # Errors
    /// [`ConfigError::Value`] where an option cannot have its value, given elsewhere or not.
    pub fn apply(
        &self,
        options: &mut NodeOptions,
        given: impl Fn(&str) -> bool,
    ) -> Result<(), ConfigError> {
        let mut ignored = NodeOptions::default();
        for (key, value) in &self.values {
            let target = if given(key) { &mut ignored } else { &mut *options };
            set(target, key, value.clone()).map_err(|source| ConfigError::Value {
                path: self.path.clone(),
                key: key.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

fn set(options: &mut NodeOptions, key: &str, value: Value) -> Result<(), BoxError> {
    match key {
        "network-plugin" => options.network_plugin = Some(from_value(value)?),
        #[cfg(feature = "exec")]
        "network-plugin-dir" => options.network_plugin_dir = from_value(value)?,
        "network-plugin-mtu" => options.network_plugin_mtu = from_value(value)?,
        "pod-cidr" => options.pod_cidr = Some(parse(value)?),
        "allocate-node-cidrs" => options.allocate_node_cidrs = from_value(value)?,
        "cluster-cidr" => options.cluster_cidr = Some(parse(value)?),
        "node-cidr-mask-size" => options.node_cidr_mask_size = Some(from_value(value)?),
        "non-masquerade-cidr" => options.non_masquerade_cidr = Some(parse(value)?),
        "hairpin-mode" => options.hairpin_mode = parse(value)?,
        "configure-cbr0" => options.configure_cbr0 = from_value(value)?,
        "reconcile-cidr" => options.reconcile_cidr = from_value(value)?,
        #[cfg(feature = "cni")]
        "cni-conf-dir" => options.cni_conf_dir = from_value(value)?,
        #[cfg(feature = "cni")]
        "cni-bin-dir" => options.cni_bin_dir = parse(value)?,
        #[cfg(feature = "cni")]
        "cni-plugins" => options.cni_plugins = parse(value)?,
        "state-dir" => options.state_dir = Some(from_value(value)?),
        other => return Err(format!("no option is called {other}").into()),
    }
    Ok(())
}

/// A value as the flag has it, or the parts of a list one by one.
fn parse<T: FromStr<Err: Into<BoxError>>>(value: Value) -> Result<T, BoxError> {
    let text = match value {
        Value::Array(_) => from_value::<Vec<String>>(value)?.join(","),
        value => from_value(value)?,
    };
    text.parse().map_err(Into::into)
}

#[cfg(test)]
mod tests;
