//! Throw-away hosts with pods in network namespaces, and CNI plugins that misbehave: for podnet's tests, downstream
//! tests and the demonstration.
//!
//! A [`TestHost`] is a network namespace with folders of its own, so that any number of them run side by side without
//! touching the machine's network; it vanishes with its value. It needs `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`, which
//! an ordinary user has inside a user namespace (`unshare --map-root-user --net --mount`).
//!
//! # Example
//! ```
//! use podnet_netutil::Netlink;
//! use podnet_testkit::TestHost;
//!
//! let host = TestHost::new()?;
//! let pod = host.add_pod("web")?;
//! let links = host.run(async || Netlink::open()?.links().await)??;
//! assert_eq!(links.len(), 1, "a new host has only its loopback");
//! assert!(pod.ping("127.0.0.1".parse()?).is_err(), "a new pod's loopback is disabled");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod error;
pub mod host;
pub mod pod;
pub mod probe;

pub mod fake_plugin;

pub use error::Error;
pub use fake_plugin::{Behaviour, FakePlugins};
pub use host::{TestHost, UPLINK};
pub use pod::Pod;
pub use probe::Page;
