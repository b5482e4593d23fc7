//! What can go wrong in a standard plugin, as causes a caller can act on.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnetwork::IpNetwork;
use podnet_cni_invoke::ExecError;
use podnet_cni_spec::{
    CniError, ContainerId, ErrorCode, InterfaceName, PluginType, SpecVersion, Verb,
};
use podnet_netutil::files::FileError;
use podnet_netutil::lock::LockError;
use podnet_netutil::system_text;
use podnet_netutil::xtables::XtablesError;

use crate::host_local::{AllocationError, RangeError};
use crate::nat::{HostPort, Protocol};

/// A verb that was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be read; the error has its own code.
    #[error(transparent)]
    Spec(#[from] CniError),
    /// A check found something other than what ADD made.
    #[error("{0}")]
    CheckFailed(String),
    /// An operation failed, and undoing what it had done failed too.
    #[error("{first}; undoing it failed as well: {undo}")]
    UndoFailed {
        /// What failed first.
        #[source]
        first: Box<Error>,
        /// What failed while undoing.
        undo: Box<Error>,
    },
    /// The program ends while the operation runs.
    #[error("interrupted: the program is shutting down")]
    Interrupted,

    /// The kernel refused something.
    #[error(transparent)]
    Net(#[from] podnet_netutil::Error),
    /// A program of iptables did not do what it was to.
    #[error(transparent)]
    Iptables(#[from] XtablesError),
    /// The IPAM plugin failed, or could not be executed.
    #[error(transparent)]
    Ipam(Box<ExecError>),
    /// The system gave no random numbers.
    #[error("cannot get random numbers for a MAC address: {}", system_text(.0))]
    Random(#[source] std::io::Error),
    /// The namespace is the host's own.
    #[error("{path} is this host's own network namespace: give the container's", path = path.display())]
    OwnNetns {
        /// The path that was given.
        path: PathBuf,
    },
    /// Network, container and interface are too long to be attached to a link.
    #[error(
        "network name, container id and interface name are too long together: {bytes} bytes, at most {most} fit"
    )]
    LabelTooLong {
        /// What they need, in bytes.
        bytes: usize,
        /// What fits, in bytes.
        most: usize,
    },
    /// A plugin does not have this verb.
    #[error("plugin {plugin} does not support {verb}")]
    VerbNotSupported {
        /// The plugin's type.
        plugin: PluginType,
        /// The verb.
        verb: Verb,
    },
    /// An option that the reference has and this plugin does not have yet.
    #[error(
        "{plugin}: option {option} with value {value} is not supported yet: remove it, or use the reference plugin"
    )]
    Unsupported {
        /// The plugin's type.
        plugin: &'static str,
        /// The option's key.
        option: &'static str,
        /// Its value, as JSON.
        value: String,
    },
    /// An option has a value that cannot be used.
    #[error("option {option} cannot be used: {reason}")]
    InvalidOption {
        /// The option's key.
        option: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// The kernel refused what an option asks for.
    #[error("option {option} cannot be had from this kernel: {source}")]
    OptionRefused {
        /// The option's key.
        option: &'static str,
        /// What was tried, and what the kernel said.
        source: podnet_netutil::Error,
    },
    /// A plugin that changes what another one made found nothing made.
    #[error(
        "{plugin} needs prevResult, the result of the plugin before it: put it behind one in the list of plugins"
    )]
    NotChained {
        /// The plugin's type.
        plugin: &'static str,
    },
    /// An address is written in a way that cannot be read.
    #[error("{place}: {text:?} is no address; write it as {form}")]
    InvalidAddress {
        /// Where it stands: `ipam.addresses`.
        place: &'static str,
        /// What stands there.
        text: String,
        /// An example of the form that is expected.
        form: &'static str,
    },
    /// tuning: the node's operator does not allow a sysctl.
    #[error("sysctl {key} is not allowed: no pattern in {file} matches it as a whole", file = file.display())]
    SysctlNotAllowed {
        /// The key, as the configuration has it.
        key: String,
        /// The allow-list.
        file: PathBuf,
    },
    /// tuning: the allow-list cannot be used.
    #[error("{file}: pattern {pattern:?} cannot be used: {reason}", file = file.display())]
    InvalidAllowList {
        /// The file.
        file: PathBuf,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// firewall: firewalld did not do what it was to.
    #[error("cannot {action}: {reason}")]
    Firewalld {
        /// What was tried: `add 10.1.0.2 to zone trusted`.
        action: String,
        /// What firewalld or the bus said.
        reason: String,
    },
    /// firewall: some of what lets an attachment pass is still there; all else is removed.
    #[error("{}", failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NotWithdrawn {
        /// What failed.
        failures: Vec<Error>,
    },
    /// GC was asked for without the list of valid attachments.
    #[error(
        "GC needs cni.dev/valid-attachments, the list of attachments to keep, in the configuration"
    )]
    NoValidAttachments,
    /// CHECK was asked for without the result of ADD.
    #[error("CHECK needs prevResult, the result of ADD, in the configuration")]
    NoPrevResult,
    /// loopback: `lo` has an address by which others could reach it.
    #[error("lo has the address {address}, which is none of a loopback's: remove it")]
    NoLoopbackAddress {
        /// The address.
        address: IpNetwork,
    },
    /// bridge: the interface of the bridge's name is something else.
    #[error("{name} exists and is a {} interface, not a bridge: choose another name or remove it", if kind.is_empty() { "hardware" } else { kind })]
    NotABridge {
        /// The name.
        name: String,
        /// What it is; empty for hardware.
        kind: String,
    },
    /// bridge: the bridge has another address than the gateway's.
    #[error(
        "{bridge:?} already has an IP address different from {wanted}: {has}; remove it, or set forceAddress"
    )]
    BridgeHasOtherAddress {
        /// The bridge's name.
        bridge: String,
        /// The address it has.
        has: IpNetwork,
        /// The gateway's address.
        wanted: IpNetwork,
    },
    /// bridge: no gateway can be derived from an address.
    #[error("no gateway can be derived from {address}: let the IPAM plugin give one")]
    NoGateway {
        /// The pod's address.
        address: IpNetwork,
    },
    /// bridge: the IPAM plugin ended in success and gave no address.
    #[error("IPAM plugin {plugin} returned no address")]
    NoAddress {
        /// The IPAM plugin's type.
        plugin: PluginType,
    },
    /// bridge: this attachment exists.
    #[error(
        "container {container_id} is attached already by its {interface} ({host_end} on the host): delete it first"
    )]
    AlreadyAttached {
        /// The container's id.
        container_id: ContainerId,
        /// Its interface.
        interface: InterfaceName,
        /// The interface on the host.
        host_end: String,
    },
    /// bridge: the pod has an interface of this name.
    #[error("interface name {interface} is taken in {netns}", netns = netns.display())]
    InterfaceNameTaken {
        /// The name.
        interface: InterfaceName,
        /// The pod's namespace.
        netns: PathBuf,
    },
    /// bridge: the name of the host end belongs to another attachment.
    #[error("interface {name} exists on the host and belongs to {alias:?}: delete that first")]
    HostEndTaken {
        /// The name.
        name: String,
        /// Whose it is.
        alias: String,
    },

    /// host-local: the configuration has no `ipam` section.
    #[error("the network configuration has no key ipam, where host-local finds its options")]
    MissingIpam,
    /// host-local: no range is configured.
    #[error("no IP ranges specified: set ipam.subnet or ipam.ranges")]
    NoRanges,
    /// host-local: a range has no subnet.
    #[error("invalid range set {set}: a range has no subnet")]
    MissingSubnet {
        /// The set's number.
        set: usize,
    },
    /// host-local: a range set cannot be used.
    #[error("invalid range set {set}: {source}")]
    InvalidRangeSet {
        /// The set's number.
        set: usize,
        /// Why.
        source: RangeError,
    },
    /// host-local: two range sets have addresses in common.
    #[error("range set {one} overlaps with {other}")]
    RangeSetsOverlap {
        /// The number of one set.
        one: usize,
        /// The number of the other.
        other: usize,
    },
    /// host-local: the configuration's version cannot say the result.
    #[error(
        "CNI version {version} does not support more than 1 address per family; set cniVersion to 0.3.0 or later"
    )]
    OneAddressPerFamily {
        /// The configuration's version.
        version: SpecVersion,
    },
    /// host-local: `IP` in `CNI_ARGS` is no address.
    #[error("cannot use IP of CNI_ARGS: {0}")]
    InvalidIpArgument(String),
    /// host-local: there is no address to give.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// host-local: an attachment has no address in the store.
    #[error("no address of {container} {interface} is in {store}")]
    NotAllocated {
        /// The container's id.
        container: String,
        /// Its interface.
        interface: String,
        /// The store's directory.
        store: PathBuf,
    },
    /// host-local: an address of the result is not reserved (any more) for its attachment.
    #[error("address {address} is not reserved for {container} {interface} in {store}")]
    AddressNotReserved {
        /// The address.
        address: IpAddr,
        /// The container's id.
        container: String,
        /// Its interface.
        interface: String,
        /// The store's directory.
        store: PathBuf,
    },
    /// host-local: the store was busy all the time with other requests of this process.
    #[error("{} is busy with other requests for {:.1} s; try again later", store.display(), waited.as_secs_f64())]
    StoreBusy {
        /// The store's directory.
        store: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// host-local: somebody who does not hold the lock keeps taking the addresses that are chosen.
    #[error("{} keeps changing while it is locked; see which program writes there without the lock", store.display())]
    StoreChanging {
        /// The store's directory.
        store: PathBuf,
    },
    /// host-local: addresses of an attachment could not be released; all others were.
    #[error("cannot release {}", failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; cannot release "))]
    NotReleased {
        /// What failed, each with its file.
        failures: Vec<ReleaseError>,
    },
    /// host-local: the store's directory cannot be made, opened or listed.
    #[error("cannot {action} {path}: {}", system_text(source), path = path.display())]
    Store {
        /// What was tried: `list directory`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// nat: a host port is another pod's.
    #[error("host port {port}/{protocol} is taken by container {holder}")]
    HostPortTaken {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The container that has it.
        holder: String,
    },
    /// nat: a host port is one on which a process of the host listens.
    #[error("host port {port}/{protocol} is in use on this host: {process} listens on {address}")]
    HostPortInUse {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The address on which the process listens.
        address: IpAddr,
        /// The process, by name and number where it can be seen.
        process: String,
    },
    /// nat: a pod asks twice for a host port.
    #[error("host port {port} is asked for twice by one pod")]
    HostPortTwice {
        /// The port that was asked for later.
        port: HostPort,
    },
    /// nat: a host port cannot lead to the pod.
    #[error("host port {port} cannot be published: {reason}")]
    HostPortUnusable {
        /// The port.
        port: HostPort,
        /// Why.
        reason: &'static str,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A lock could not be had.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// An address file that could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {}", system_text(source), path = path.display())]
pub struct ReleaseError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

impl Error {
    /// The code of CNI 1.1.0, section 5, under which a plugin reports it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::Spec(error) => error.code,
            Error::UndoFailed { first, .. } => first.code(),
            Error::NotWithdrawn { failures } => {
                failures.first().map_or(ErrorCode::INTERNAL, Error::code)
            }
            Error::Ipam(error) => error.code(),
            Error::Unsupported { .. } | Error::OptionRefused { .. } => ErrorCode::UNSUPPORTED_FIELD,
            Error::OwnNetns { .. } | Error::Net(podnet_netutil::Error::Netns { .. }) => {
                ErrorCode::INVALID_NETNS
            }
            Error::LabelTooLong { .. }
            | Error::VerbNotSupported { .. }
            | Error::InvalidIpArgument(_) => ErrorCode::INVALID_ENVIRONMENT,
            Error::InvalidOption { .. }
            | Error::HostPortTwice { .. }
            | Error::HostPortUnusable { .. }
            | Error::NotChained { .. }
            | Error::InvalidAddress { .. }
            | Error::SysctlNotAllowed { .. }
            | Error::InvalidAllowList { .. }
            | Error::NoValidAttachments
            | Error::NoPrevResult
            | Error::MissingIpam
            | Error::NoRanges
            | Error::MissingSubnet { .. }
            | Error::InvalidRangeSet { .. }
            | Error::RangeSetsOverlap { .. }
            | Error::OneAddressPerFamily { .. } => ErrorCode::INVALID_NETWORK_CONFIG,
            // The pod that has the port may be on its way out.
            Error::HostPortTaken { .. }
            | Error::HostPortInUse { .. }
            | Error::Iptables(XtablesError::Busy { .. })
            | Error::StoreBusy { .. }
            | Error::StoreChanging { .. }
            | Error::Lock(LockError::Held { .. }) => ErrorCode::TRY_AGAIN_LATER,
            Error::NotReleased { .. } | Error::Store { .. } | Error::File(_) | Error::Lock(_) => {
                ErrorCode::IO_FAILURE
            }
            _ => ErrorCode::INTERNAL,
        }
    }
}

impl From<ExecError> for Error {
    fn from(error: ExecError) -> Self {
        Error::Ipam(Box::new(error))
    }
}

impl From<Error> for CniError {
    fn from(error: Error) -> Self {
        match error {
            Error::Spec(error) => error,
            error => CniError::new(error.code(), error.to_string()),
        }
    }
}
