//! Why kubenet could not do what it was asked.

use std::path::PathBuf;

use podnet_cni_invoke::ExecError;
use podnet_cni_spec::{CniError, InvalidName};
use podnet_plugin_api::{Mtu, PodCidr};

/// A cause that an operation of kubenet failed from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused something.
    #[error(transparent)]
    Net(#[from] podnet_netutil::Error),
    /// A standard plugin could not be opened.
    #[error(transparent)]
    StandardPlugin(Box<podnet_standard_plugins::Error>),
    /// A standard plugin failed.
    #[error(transparent)]
    Exec(Box<ExecError>),
    /// The pod's id or a name is not one that CNI allows.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A configuration that kubenet wrote was refused.
    #[error(transparent)]
    Config(#[from] CniError),
    /// `cbr0` exists and is something else than a bridge.
    #[error(
        "{name} exists and is a {kind} interface, not a bridge: remove or rename it, kubenet needs the name"
    )]
    NotABridge {
        /// The interface's name.
        name: &'static str,
        /// What it is.
        kind: String,
    },
    /// The MTU is below what IPv6 needs.
    #[error(
        "an MTU of {mtu} is too small for the IPv6 pod CIDR: IPv6 needs at least 1280 bytes; enlarge that of the host's narrowest interface, or set --network-plugin-mtu"
    )]
    MtuTooSmallForIpv6 {
        /// The MTU in use, in bytes.
        mtu: Mtu,
    },
    /// The pod CIDR has addresses in common with an earlier one that pods still use.
    #[error(
        "pod CIDR {cidr} overlaps {earlier}, of which pods of this node still have addresses: tear down those that {store} names, or choose another pod CIDR",
        store = store.display()
    )]
    PodCidrOverlaps {
        /// The pod CIDR in force.
        cidr: PodCidr,
        /// The earlier one.
        earlier: PodCidr,
        /// The folder with a file for each address.
        store: PathBuf,
    },
    /// An MTU that was found on the host is out of range.
    #[error(transparent)]
    Mtu(#[from] podnet_plugin_api::InvalidMtu),
    /// The plugin ended in success and gave no address.
    #[error("the bridge plugin gave the pod no address")]
    NoAddress,
    /// The pod asks for something that kubenet does not do yet. Ignoring it would give the pod less than it was promised.
    #[error("{what} is not supported yet: remove it from the pod")]
    Unsupported {
        /// The annotation, or what else the pod asks for.
        what: &'static str,
    },
    /// Another operation on the pod did not end in time, or its lock cannot be used.
    #[error(transparent)]
    Lock(#[from] podnet_netutil::lock::LockError),
    /// Kubenet was used before it was initialised.
    #[error("kubenet is not initialised")]
    NotInitialised,
}

// Boxed, because an error is returned from every call and these two are large.
impl From<podnet_standard_plugins::Error> for Error {
    fn from(error: podnet_standard_plugins::Error) -> Self {
        Self::StandardPlugin(Box::new(error))
    }
}

impl From<ExecError> for Error {
    fn from(error: ExecError) -> Self {
        Self::Exec(Box::new(error))
    }
}
