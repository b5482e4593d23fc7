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
    /// Several things went wrong at once.
    #[error(transparent)]
    Several(#[from] podnet_plugin_api::Causes),
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
    /// A limit that the pod asks for is none.
    #[error(transparent)]
    Bandwidth(#[from] podnet_plugin_api::bandwidth::InvalidBandwidth),
    /// A port of `cbr0` is no pod's.
    #[error(
        "{port} ({kind}) is a port of cbr0, which is for pods alone: remove it with `ip link set {port} nomaster`"
    )]
    ForeignPort {
        /// The port's name.
        port: String,
        /// What it is.
        kind: String,
    },
    /// `cbr0` is kept by somebody else.
    #[error(
        "{name} is kept by {owner}: tear its pods down there, or, if nothing keeps it any more, `ip link set {name} alias \"\"`"
    )]
    BridgeOfAnother {
        /// The interface's name.
        name: &'static str,
        /// The text that its owner attached to it.
        owner: String,
    },
    /// An installed plugin ended in success, and the pod's interface leads to no host end.
    #[error(
        "the bridge plugin ended in success, and eth0 in {netns} is no end of a veth pair of this host",
        netns = netns.display()
    )]
    NoHostEnd {
        /// The pod's network namespace.
        netns: PathBuf,
    },
    /// The address of a living pod is reserved for another one.
    #[error("{ip} is a living pod's, and {store} says that it is another's: make one of the two anew", store = store.display())]
    AddressTaken {
        /// The address.
        ip: std::net::IpAddr,
        /// The folder with a file for each address.
        store: PathBuf,
    },
    /// A file of the store could not be made.
    #[error(transparent)]
    File(#[from] podnet_netutil::files::FileError),
    /// What the pod was promised could not be noted, or the note could not be removed.
    #[error(transparent)]
    Record(Box<podnet_cni_plugin::CacheError>),
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

impl From<podnet_cni_plugin::CacheError> for Error {
    fn from(error: podnet_cni_plugin::CacheError) -> Self {
        Self::Record(Box::new(error))
    }
}

impl From<ExecError> for Error {
    fn from(error: ExecError) -> Self {
        Self::Exec(Box::new(error))
    }
}
