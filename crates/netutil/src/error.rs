//! What can go wrong between a request and the kernel, as causes a caller can act on.

use std::io;
use std::path::PathBuf;

use ipnetwork::IpNetwork;
use rustix::io::Errno;

/// An operation on the kernel's networking that did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A netlink request failed. `action` says what was asked, on what.
    #[error("cannot {action}: {source}")]
    Netlink {
        /// What was tried: `create bridge cbr0`.
        action: String,
        /// Why it failed.
        source: RequestError,
    },
    /// A netlink socket could not be opened.
    #[error("cannot open a netlink socket: {}", system_text(.0))]
    Socket(#[source] io::Error),
    /// A network namespace could not be opened, entered, made or removed.
    #[error("cannot {action} network namespace {path}: {}{}", system_text(source), privilege_hint(source), path = path.display())]
    Netns {
        /// `open`, `enter`, `create` or `remove`.
        action: &'static str,
        /// The path by which it is known.
        path: PathBuf,
        /// What the system said. Of kind `InvalidInput` where something is at the path and is no network namespace.
        source: io::Error,
    },
    /// The process could not be moved into namespaces of its own.
    #[error(
        "cannot {step} to get namespaces of one's own: {}{}",
        system_text(source),
        privilege_hint(source)
    )]
    Isolation {
        /// What was tried.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A sysctl could not be read or written.
    #[error("cannot {action} sysctl {key}: {}", system_text(source))]
    Sysctl {
        /// `read` or `write`.
        action: &'static str,
        /// The key with slashes: `net/ipv4/ip_forward`.
        key: String,
        /// What the system said.
        source: io::Error,
    },
    /// No link by this name or index exists in the namespace.
    #[error("no interface {0} here")]
    NoSuchLink(String),
    /// A port of a bridge did not come up in time.
    #[error("{link} did not become operational within {waited_ms} ms: it is {state}")]
    NotOperational {
        /// The bridge port's name.
        link: String,
        /// How long was waited, in milliseconds.
        waited_ms: u128,
        /// What it is instead.
        state: &'static str,
    },
    /// Somebody else on the link's network has the address (RFC 4862).
    #[error("{address} cannot be used on {link}: somebody else on that network has it")]
    AddressTaken {
        /// The interface.
        link: String,
        /// The address.
        address: IpNetwork,
    },
    /// A link is not done asking whether somebody else has its address.
    #[error(
        "{link} did not finish claiming its address {address} in time (duplicate address detection)"
    )]
    AddressUnclaimed {
        /// The interface.
        link: String,
        /// The address.
        address: IpNetwork,
    },
    /// No interface from which an MTU could be taken.
    #[error("no enabled interface other than loopback and point-to-point to take an MTU from")]
    NoMtuCandidate,
}

impl Error {
    /// The kernel's error number, where it was the kernel that said no.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::Netlink { source: RequestError::Kernel { errno, .. }, .. } => Some(*errno),
            Error::Sysctl { source, .. } => Errno::from_io_error(source),
            _ => None,
        }
    }

    /// Whether the thing to be made exists already.
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        self.errno() == Some(Errno::EXIST)
    }

    /// Whether a transaction was refused because somebody made another one since the generation it was meant for.
    #[must_use]
    pub fn is_overtaken(&self) -> bool {
        self.errno() == Some(Errno::RESTART)
    }

    /// Whether it cannot be removed because something still uses it.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.errno() == Some(Errno::BUSY)
    }

    /// Whether the thing to be changed or removed does not exist (any more).
    #[must_use]
    pub fn is_gone(&self) -> bool {
        if let Error::Netns { source, .. } = self {
            return matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput);
        }
        matches!(self, Error::NoSuchLink(_))
            || matches!(
                self.errno(),
                Some(Errno::NODEV | Errno::NOENT | Errno::ADDRNOTAVAIL | Errno::SRCH)
            )
    }
}

/// Why a netlink request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The kernel refused the request.
    #[error("{}{}{}", errno_text(*errno), text.as_ref().map(|t| format!(" ({t})")).unwrap_or_default(), capability_hint(*errno))]
    Kernel {
        /// The error number.
        errno: Errno,
        /// The kernel's own words (extended acknowledgement), where it gave any.
        text: Option<String>,
    },
    /// The listing kept changing while it was read.
    #[error("the kernel's list changed under each of {attempts} attempts to read it")]
    DumpInterrupted {
        /// How often it was read.
        attempts: u32,
    },
    /// Messages were lost because the socket's buffer overran.
    #[error("the netlink socket overran and lost messages")]
    Overrun,
    /// The request contradicts itself and was not sent, or the answer cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// The kernel acknowledged the request and left out the object that was asked for.
    #[error("the kernel's answer did not hold what was asked for")]
    AnswerIncomplete,
}

/// What the system said, in words and without the error's number.
///
/// ```
/// let error = std::io::Error::from_raw_os_error(2);
/// assert_eq!(podnet_netutil::system_text(&error), "No such file or directory");
/// ```
#[must_use]
pub fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

pub(crate) fn errno_text(errno: Errno) -> String {
    system_text(&io::Error::from(errno))
}

fn capability_hint(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM => ": needs CAP_NET_ADMIN in this network namespace; run as root",
        // The kernel says so for an IPv6 address on an interface whose IPv6 is off.
        Errno::ACCESS => ": is IPv6 switched off (net.ipv6.conf.*.disable_ipv6)?",
        _ => "",
    }
}

fn privilege_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ": needs CAP_SYS_ADMIN; run as root, or where user namespaces are allowed"
        }
        _ => "",
    }
}
