//! Network plugins for pods: a node's options, named as the kubelet's flags, and the plugin that they choose.
//!
//! A crate of its own because a runtime wants one dependency and one call, whichever flavours it offers; each flavour
//! is a Cargo feature (`noop`, `cni`, `kubenet`, `exec`), and with `clap` the options are arguments of a command.
//!
//! # Example
//! The three things that a runtime does: it starts the plugin, sets pods up and tears them down.
//! ```
//! use podnet::{NetworkPlugin, NodeOptions, PodSandbox, Subnet};
//! use podnet_testkit::TestHost;
//!
//! # type BoxError = Box<dyn std::error::Error + Send + Sync>;
//! let host = TestHost::new()?;
//! let sandbox = host.add_pod("web")?;
//!
//! let mut options = NodeOptions::default();
//! options.network_plugin = Some("kubenet".to_owned());
//! options.pod_cidr = Some("10.244.0.0/24".parse()?);
//! options.state_dir = Some(host.folder().to_owned());
//! let web = PodSandbox::new("default", "web", "4f2a9c")?.with_netns(sandbox.path());
//!
//! host.run(async || {
//!     let plugin = podnet::start(&options, Subnet::Required).await?;
//!     let status = plugin.set_up_pod(&web).await?.ok_or("kubenet knows the address")?;
//!     assert_eq!(status.ip().to_string(), "10.244.0.2");
//!     plugin.tear_down_pod(&web).await?;
//!     Ok::<(), BoxError>(())
//! })??;
//! # Ok::<(), BoxError>(())
//! ```

pub mod options;
#[cfg(feature = "cni")]
pub mod bin_dirs;
pub mod non_masquerade;
pub mod config;

pub mod rules;

pub mod flavours;
pub mod registry;
pub mod start;
pub mod reconcile;

#[doc(no_inline)]
pub use podnet_plugin_api as plugin_api;

#[cfg(feature = "cni")]
#[doc(no_inline)]
pub use podnet_cni_plugin as cni;
#[cfg(feature = "exec")]
#[doc(no_inline)]
pub use podnet_exec_plugin as exec;
#[cfg(feature = "kubenet")]
#[doc(no_inline)]
pub use podnet_kubenet as kubenet;
#[cfg(feature = "noop")]
#[doc(no_inline)]
pub use podnet_noop_plugin as noop;

#[cfg(feature = "cni")]
pub use bin_dirs::BinDirs;
pub use config::{ConfigError, ConfigFile};
#[cfg(feature = "kubenet")]
pub use flavours::kubenet_of;
pub use flavours::{Flavour, probe};
pub use non_masquerade::NonMasqueradeCidrs;
pub use options::NodeOptions;
pub use podnet_plugin_api::{
    HairpinMode, NetworkPlugin, NotReady, PodCidrs, PodNetworkStatus, PodSandbox, PortMapping,
    Protocol,
};
#[cfg(feature = "cni")]
pub use podnet_standard_plugins::PluginChoice;
pub use reconcile::PodCidrReconciler;
pub use registry::{FoundPlugin, Registry, SelectionError};
pub use rules::{NodePlan, OptionsError, OptionsWarning, Subnet};
#[cfg(feature = "kubenet")]
pub use start::start_kubenet;
pub use start::{Error, start};
