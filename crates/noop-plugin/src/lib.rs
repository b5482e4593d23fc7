//! The no-op network plugin: lets bridged traffic pass iptables and leaves pods to the runtime.
//!
//! It is what a node uses when no plugin is named, and enough where the runtime connects its containers to a Linux
//! bridge itself. A crate of its own, as each flavour is: a runtime links those that it offers.
//!
//! # Example
//! A pod has whatever address the runtime gave it:
//! ```
//! use podnet_noop_plugin::NoopPlugin;
//! use podnet_plugin_api::{NetworkPlugin, PodSandbox};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let plugin = NoopPlugin;
//! assert_eq!(plugin.name().as_str(), "kubernetes.io/no-op");
//!
//! let web = PodSandbox::new("default", "web", "4f2a9c")?;
//! assert_eq!(plugin.set_up_pod(&web).await?, None, "ask the runtime");
//! plugin.tear_down_pod(&web).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod plugin;

pub use plugin::NoopPlugin;
