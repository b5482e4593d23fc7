//! Linux networking for pods: namespaces, links, addresses, routes, kernel parameters, files and locks.
//!
//! The one crate of podnet that opens netlink sockets, enters network namespaces and writes sysctls, so that the rules
//! for doing so are kept in one place:
//!
//! - every change is acknowledged by the kernel or is an error, every listing is whole, and a refusal keeps the
//!   kernel's own words;
//! - there is no guard for being in another namespace: code runs there on a thread that ends there (in a process of one
//!   thread on that one, between two calls), and a netlink connection opened there stays there;
//! - files are made whole or not at all, locks are `flock(2)` and every wait for one ends.
//!
//! No type of the rtnetlink family appears in a signature: it changes several times a year.
//!
//! # Example
//! The links of a namespace, from a task that never enters it:
//! ```
//! use podnet_netutil::{Netlink, Netns};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let netns = Netns::open("/proc/self/ns/net")?;
//! let netlink = Netlink::open()?;
//! for link in netlink.links().await? {
//!     println!("{}: {} bytes", link.name, link.mtu);
//! }
//! assert!(netns.is_same_as(&Netns::current()?)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod error;
pub mod netns;
pub mod netlink;
pub mod link;
mod link_attributes;
mod link_family;
pub mod veth;
pub mod bridge;
pub mod ifb;
pub mod qdisc;
mod bridge_vlan;
pub mod delete;
pub mod address;
pub mod route;
pub mod mac;
pub mod mtu;
pub mod sysctl;
pub mod bridge_filter;
mod netfilter;
pub mod nft;
pub mod conntrack;
pub mod xtables;
pub mod files;
pub mod lock;

pub use address::{Address, Claim};
pub use bridge::Port;
pub use conntrack::Conntrack;
pub use delete::{Announcement, LinkDeleter};
pub use error::{Error, RequestError, system_text};
pub use link::{Link, PortState};
pub use lock::NamedLock;
pub use mac::{InvalidMacAddr, MacAddr};
pub use netlink::Netlink;
pub use netns::Netns;
pub use nft::Nft;
pub use qdisc::{RootQdisc, TokenBucket};
pub use route::Route;
pub use sysctl::{Family, InvalidNetKey, NetKey};
pub use veth::{VethEnds, VethPair};
