//! The network plugin interface of Kubernetes: what a runtime asks of a plugin, and what it tells it.
//!
//! A crate of its own because both sides need it and neither needs the other: a runtime is written against
//! [`NetworkPlugin`] without knowing any flavour, a flavour without knowing any runtime. So it stays the smallest crate
//! there is: no I/O, no async runtime, no Linux.
//!
//! # Example
//! A pod sandbox as a runtime describes it, and the answer that it gets:
//! ```
//! use podnet_plugin_api::{PodNetworkStatus, PodSandbox};
//!
//! let web = PodSandbox::new("default", "web", "4f2a9c")?.with_netns("/run/netns/web");
//! assert_eq!(web.to_string(), "default/web");
//! assert!(PodSandbox::new("Default", "web", "4f2a9c").is_err(), "no namespace has this name");
//!
//! let status = PodNetworkStatus::from("10.244.0.2".parse::<std::net::IpAddr>()?);
//! assert_eq!(
//!     serde_json::to_string(&status)?,
//!     r#"{"apiVersion":"v1beta1","kind":"PodNetworkStatus","ip":"10.244.0.2","ips":["10.244.0.2"]}"#,
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! How to write a plugin is told, with two of them, at [`NetworkPlugin`]; a runtime calls it through a [`PluginManager`].
//!
//! # Features
//! `metrics`: the manager counts its operations for Prometheus. Off by default.

pub mod plugin;

pub mod name;
pub mod pod;
pub mod port_mapping;
pub mod bandwidth;

pub mod event;
pub mod mtu;
pub mod node_cidr;
pub mod pod_cidr;
pub mod settings;

pub mod capabilities;
pub mod error;
pub mod status;

pub mod selection;
pub mod plugin_manager;

mod charset;
mod nearest;
mod quantity;

pub use bandwidth::{InvalidBandwidth, PodBandwidth};
pub use capabilities::{Capabilities, Capability};
pub use error::{BoxError, Causes, Error};
pub use event::Event;
pub use futures_core::future::BoxFuture;
pub use mtu::{InvalidMtu, Mtu};
pub use name::{InvalidPluginName, NameRule, PluginName};
pub use nearest::nearest;
pub use node_cidr::{NodeCidrAllocator, NodeCidrError, NodeCidrRange, NodeMaskSizes};
pub use plugin::NetworkPlugin;
pub use plugin_manager::{Deadlines, ManagerError, Operation, PluginManager, Undo};
pub use pod::{InvalidPod, PodSandbox};
pub use pod_cidr::{InvalidPodCidr, PodCidr, PodCidrs};
pub use port_mapping::{PortMapping, Protocol};
pub use selection::{
    Candidate, DEFAULT_PLUGIN, Selection, SelectionError, SelectionWarning, select,
};
pub use settings::{HairpinMode, Settings, UnknownHairpinMode};
pub use status::{NotReady, NotReadyReason, PodNetworkStatus};

/// The library whose registry [`PluginManager::with_metrics`] takes.
#[cfg(feature = "metrics")]
pub use prometheus_client;
