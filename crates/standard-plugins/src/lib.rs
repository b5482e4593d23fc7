//! The standard CNI plugins `loopback`, `bridge`, `ptp`, `host-local`, `static`, `portmap`, `bandwidth`, `tuning` and
//! `firewall`, each verb a function from a request to a result; and what kubenet and they have in common: host ports, masquerade, limits.
//!
//! A crate of its own because both sides of CNI need it: the programs that a runtime executes, and a process that runs
//! the same plugins inside itself, by [`BuiltinExec`]; [`ChosenExec`] takes whichever of the two a node has. Either way the state they leave is the same: same links, same
//! addresses, same files as the Go programs'. It knows nothing of Kubernetes.
//!
//! # Example
//! Attaching a container to a bridge, with nothing installed:
//! ```
//! use podnet_cni_invoke::Exec;
//! use podnet_cni_spec::{Attachment, CniArgs, PluginConfig, Request, Verb};
//! use podnet_standard_plugins::{BuiltinExec, Host};
//! use podnet_testkit::TestHost;
//! use serde_json::json;
//!
//! # type BoxError = Box<dyn std::error::Error + Send + Sync>;
//! let host = TestHost::new()?;
//! let pod = host.add_pod("web")?;
//! let config = json!({
//!     "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0", "isGateway": true,
//!     "ipam": { "type": "host-local", "subnet": "10.1.0.0/24", "dataDir": host.networks_dir() },
//! });
//! let request = Request {
//!     verb: Verb::Add,
//!     attachment: Some(Attachment {
//!         container_id: "a1".parse()?,
//!         interface: "eth0".parse()?,
//!         netns: Some(pod.path().to_owned()),
//!         args: CniArgs::default(),
//!     }),
//!     config: PluginConfig::from_value(config)?,
//! };
//! host.run(async || {
//!     let exec = BuiltinExec::new(Host::open(&host.runtime_dir())?);
//!     let result = exec.run(&"bridge".parse()?, &request).await?.ok_or("ADD gives a result")?;
//!     assert_eq!(result.ips[0].address.to_string(), "10.1.0.2/24");
//!     Ok::<(), BoxError>(())
//! })??;
//! # Ok::<(), BoxError>(())
//! ```

pub mod loopback;
pub mod bridge;
pub mod ptp;
mod attachment;
mod masquerade;
mod spoof_check;
mod reference;
mod mtu_option;
pub mod host_local;
pub mod portmap;
pub mod bandwidth;
pub mod shaping;
pub mod static_ipam;
pub mod tuning;
pub mod firewall;
pub mod builtin;
pub mod choice;
pub mod host;
pub mod label;
pub mod nat;
mod delegate;
pub mod error;

pub use builtin::{BUILTIN_TYPES, BuiltinExec};
pub use choice::{ChosenExec, PluginChoice, UnknownPluginChoice};
pub use error::Error;
pub use firewall::Firewall;
pub use host::Host;
pub use host_local::HostLocal;
pub use label::Label;
pub use nat::{HostPort, NatNetwork, NatTable};
pub use shaping::{Limit, Limits};
pub use tuning::Tuning;
