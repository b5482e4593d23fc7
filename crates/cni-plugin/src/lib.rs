//! The runtime side of CNI: network configurations, running them, and the cni flavour.
//!
//! A crate of its own because it is what libcni is to a runtime in Go: whoever attaches containers to networks needs
//! it, whoever writes a plugin does not. It finds configurations in a folder ([`conf_dir`], [`ConfStore`]), runs their
//! chains ([`Network`]), and remembers what it attached in libcni's own format ([`ResultCache`]), so that a runtime in
//! Go can delete it and the other way round. Who executes a plugin, a program or this process, is the
//! [`Exec`](podnet_cni_invoke::Exec) that it is given.
//!
//! A runtime that attaches a container and detaches it:
//! ```
//! use std::sync::Arc;
//!
//! use podnet_cni_invoke::{ProcessExec, SearchPath};
//! use podnet_cni_plugin::{Cni, ResultCache, RuntimeConf, conf_dir};
//! use podnet_cni_spec::{ContainerId, InterfaceName};
//!
//! # use std::os::unix::fs::PermissionsExt;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (bin_dir, conf_dir, cache_dir) = (folder.path(), folder.path(), folder.path());
//! # let config = r#"{"cniVersion": "1.1.0", "name": "pods", "type": "fixed"}"#;
//! # std::fs::write(conf_dir.join("10-pods.conf"), config)?;
//! # let script = "#!/bin/sh\necho '{\"cniVersion\": \"1.1.0\", \"ips\": [{\"address\": \"10.1.2.3/24\"}]}'\n";
//! # std::fs::write(bin_dir.join("fixed"), script)?;
//! # std::fs::set_permissions(bin_dir.join("fixed"), PermissionsExt::from_mode(0o755))?;
//! let exec = ProcessExec::new(SearchPath::new(vec![bin_dir.into()])); // "/opt/cni/bin"
//! let cni = Cni::new(Arc::new(exec), ResultCache::new(cache_dir)); // "/var/lib/cni"
//! # let mut cni = cni;
//! # cni.check_netns = false; // there is none here
//! let pods = cni.network(conf_dir::load(conf_dir, "pods")?.list.clone()); // "/etc/cni/net.d"
//!
//! let container = RuntimeConf::new(ContainerId::new("c0ffee")?, InterfaceName::new("eth0")?)
//!     .with_netns("/run/netns/web");
//! let result = pods.add(&container).await?;
//! println!("c0ffee has {}", result.ips[0].address);
//! pods.del(&container).await?;
//! # assert!(cni.attachments_of(&container.attachment.container_id).await?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! On top of it is the cni flavour of network plugin, [`CniPlugin`]: what the kubelet's `--network-plugin=cni` was.
//!
//! Futures of this crate run on a tokio runtime with its I/O and time drivers enabled.

pub mod conf_dir;
pub mod conf_error;
pub mod programs;

pub mod conf_store;

pub mod attachment;
pub mod capability;
pub mod cni;
pub mod network;

pub mod cache;

pub mod error;

pub mod flavour;

mod chain;
mod turns;

pub use attachment::RuntimeConf;
pub use cache::{CacheError, CachedAttachment, DEFAULT_CACHE_DIR, ResultCache};
pub use capability::{Bandwidth, Capability, CapabilityArgs, DnsServers, IpRange};
pub use cni::Cni;
pub use conf_dir::{Loaded, Scan, SkipReason, Skipped};
pub use conf_error::{ConfError, NothingFound};
pub use conf_store::{ConfStatus, ConfStore, Served, Snapshot};
pub use error::{Error, PluginFailure, Undo};
pub use flavour::{CniOptions, CniPlugin, FlavourError};
pub use network::Network;
pub use programs::{ProgramProblem, Programs, UnusableNetwork, Usable};

#[cfg(test)]
mod conf_bed;
