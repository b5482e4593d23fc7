//! The kubenet network plugin: a bridge `cbr0`, and for each pod a veth pair and an address of the node's subnet.
//!
//! A crate of its own because it is one flavour of network plugin, which a runtime links or leaves out. It writes CNI
//! configurations for `loopback`, `bridge` and `host-local` and hands them to an
//! [`Exec`](podnet_cni_invoke::Exec), as the kubelet's kubenet did; here the standard plugins run in this process and
//! nothing needs to be installed.
//!
//! It remembers no pod. Whether one is attached, and with which address, is read from the kernel and from the files
//! of host-local and the result cache, so a restart loses nothing and several processes can serve one node in turn.
//!
//! # Example
//! A node of its own, in a network namespace, with one pod:
//! ```
//! use podnet_kubenet::{Kubenet, KubenetOptions};
//! use podnet_plugin_api::{Event, NetworkPlugin, PodSandbox, Settings};
//! use podnet_testkit::TestHost;
//!
//! let host = TestHost::new()?;
//! let sandbox = host.add_pod("web")?;
//! let options = KubenetOptions::new(host.networks_dir(), host.runtime_dir());
//! let settings = Settings::default().with_mtu(podnet_plugin_api::Mtu::new(1450)?);
//! let pod = PodSandbox::new("default", "web", "a1")?.with_netns(sandbox.path());
//!
//! host.run(async || {
//!     let kubenet = Kubenet::new(options);
//!     kubenet.init(&settings).await?;
//!     kubenet.event(Event::PodCidrChange { cidrs: "10.244.0.0/24".parse()? }).await?;
//!     let status = kubenet.set_up_pod(&pod).await?;
//!     assert_eq!(status.map(|status| status.ip()), Some("10.244.0.2".parse()?));
//!     kubenet.tear_down_pod(&pod).await?;
//!     Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! })??;
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

pub mod plugin;
pub mod options;
mod node;
mod seen;
mod config;
mod promise;
mod pod;
mod attachment;
mod bridge;
mod gateways;
mod census;
pub mod report;
pub mod cni_type;
mod audit;
mod mend;
mod strangers;
pub mod error;

pub use error::Error;
pub use options::KubenetOptions;
pub use plugin::{BRIDGE, Kubenet, NETWORK};
pub use report::{Collected, Finding, PodReport};
