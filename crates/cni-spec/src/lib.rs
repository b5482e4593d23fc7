//! The CNI specification 0.1.0 to 1.1.0 as types: configuration, result, error, version, names.
//!
//! A crate of its own because a runtime and a plugin must agree on every byte of it: both sides, and
//! a plugin author who wants nothing else of podnet, link these types. It is pure: nothing here
//! reads a file, a variable or a clock.
//!
//! In memory there is one form of everything, that of 1.1.0. Versions exist only where JSON is read
//! or written, and JSON is read as the Go reference reads it: keys without regard to case, `null` as
//! absent, unknown keys kept.
//!
//! ```
//! use podnet_cni_spec::{AddResult, NetworkConfigList, SpecVersion};
//!
//! # fn main() -> Result<(), podnet_cni_spec::CniError> {
//! let list = NetworkConfigList::from_json(
//!     br#"{
//!         "name": "pods", "cniVersion": "0.4.0",
//!         "plugins": [
//!             {"type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local"}},
//!             {"type": "portmap", "capabilities": {"portMappings": true}}
//!         ]
//!     }"#,
//! )?;
//!
//! // What the first plugin of the chain answered ...
//! let answer = serde_json::json!({
//!     "cniVersion": "0.4.0",
//!     "ips": [{"version": "4", "address": "10.1.0.5/24", "gateway": "10.1.0.1"}],
//! });
//! let result = AddResult::from_json(&answer, list.version)?;
//!
//! // ... is what the second finds as prevResult, beside the capabilities it asked for.
//! let ports = serde_json::json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
//! let arguments = [("portMappings".to_owned(), ports)].into_iter().collect();
//! let config = list.plugin_request_config(1, Some(&result), &arguments)?;
//! assert_eq!(config.name()?.as_str(), "pods");
//! assert_eq!(config.version()?, SpecVersion::V0_4_0);
//! assert_eq!(config.prev_result()?, Some(result));
//! # Ok(())
//! # }
//! ```

pub mod name;
pub mod version;

pub mod error;

pub mod args;
pub mod bounded_json;
pub mod go_json;

pub mod config;
pub mod list;

pub mod request;
pub mod result;

pub use args::CniArgs;
pub use bounded_json::{MAX_CONFIG_BYTES, MAX_DEPTH};
pub use config::{PluginConfig, ValidAttachment};
pub use error::{CniError, ErrorCode};
pub use list::NetworkConfigList;
pub use name::{ContainerId, InterfaceName, InvalidName, NetworkName, PluginType};
pub use request::{Attachment, Request, Verb};
pub use result::{AddResult, Dns, Interface, IpConfig, Route};
pub use version::{PluginVersions, SpecVersion, UnsupportedVersion};
