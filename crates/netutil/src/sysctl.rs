//! Kernel parameters of the calling thread's network namespace.
//!
//! Fixed keys are written by the `sysctl` crate. A key that holds an interface name goes through the components of its
//! path, because the crate takes every dot for a separator and interfaces are called `eth0.100`.

mod interface;
mod net_key;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ipnetwork::IpNetwork;
use sysctl::{Ctl, Sysctl as _, SysctlError};

use crate::error::Error;

pub use interface::{InterfaceParameters, has_ipv6_address};
pub use net_key::{InvalidNetKey, NetKey};

/// An address family, where a parameter or a rule exists once for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of a network.
    #[must_use]
    pub fn of(network: &IpNetwork) -> Self {
        if network.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

/// Reads a fixed key, written with slashes: `net/bridge/bridge-nf-call-iptables`.
///
/// # Errors
/// [`Error::Sysctl`], whose source is of kind `NotFound` where the kernel does not have the key.
pub fn read(key: &str) -> Result<String, Error> {
    // The crate opens the file twice for a value and tells every error as "not found".
    let text = fs::read_to_string(Path::new("/proc/sys").join(key));
    let text =
        text.map_err(|source| Error::Sysctl { action: "read", key: key.to_owned(), source })?;
    Ok(text.trim().to_owned())
}

/// Sets a fixed key, unless it has that value already.
///
/// Other programs write the same keys; one that is right is left alone.
///
/// # Errors
/// [`Error::Sysctl`].
pub fn set(key: &str, value: &str) -> Result<(), Error> {
    if read(key)? == value {
        return Ok(());
    }
    let ctl = Ctl::new(key).map_err(|error| write_failed(key, error))?;
    ctl.set_value_string(value).map(drop).map_err(|error| write_failed(key, error))
}

/// Reads an interface's parameter, `net/FAMILY/conf/INTERFACE/KEY`.
///
/// # Errors
/// [`Error::Sysctl`].
pub fn read_interface(family: Family, interface: &str, key: &str) -> Result<String, Error> {
    let path = interface_path(family, interface, key);
    let text =
        fs::read_to_string(&path).map_err(|source| interface_failed("read", &path, source))?;
    Ok(text.trim().to_owned())
}

/// Sets an interface's parameter, `net/FAMILY/conf/INTERFACE/KEY`, whatever it is.
///
/// # Errors
/// [`Error::Sysctl`].
pub fn set_interface(family: Family, interface: &str, key: &str, value: &str) -> Result<(), Error> {
    let path = interface_path(family, interface, key);
    fs::write(&path, value).map_err(|source| interface_failed("write", &path, source))
}

/// Reads a key that belongs to a network namespace.
///
/// # Errors
/// [`Error::Sysctl`].
pub fn read_net(key: &NetKey) -> Result<String, Error> {
    let path = key.path();
    let text =
        fs::read_to_string(&path).map_err(|source| interface_failed("read", &path, source))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// Sets a key that belongs to a network namespace, whatever it is.
///
/// # Errors
/// [`Error::Sysctl`].
pub fn set_net(key: &NetKey, value: &str) -> Result<(), Error> {
    let path = key.path();
    fs::write(&path, value).map_err(|source| interface_failed("write", &path, source))
}

/// Lets the host pass packets of a family on between its interfaces.
///
/// # Errors
/// [`Error::Sysctl`].
pub fn enable_forwarding(family: Family) -> Result<(), Error> {
    set(
        match family {
            Family::V4 => "net/ipv4/ip_forward",
            Family::V6 => "net/ipv6/conf/all/forwarding",
        },
        "1",
    )
}

fn interface_path(family: Family, interface: &str, key: &str) -> PathBuf {
    Path::new("/proc/sys/net").join(family.folder()).join("conf").join(interface).join(key)
}

fn interface_failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    let key = path.strip_prefix("/proc/sys").unwrap_or(path).display().to_string();
    Error::Sysctl { action, key, source }
}

/// The crate reports every error at opening as "not found"; what really happened is asked of the system again.
fn write_failed(key: &str, error: SysctlError) -> Error {
    let source = match error {
        SysctlError::IoError(error) => error,
        other => match fs::OpenOptions::new().write(true).open(Path::new("/proc/sys").join(key)) {
            Err(error) => error,
            Ok(_) => io::Error::other(other),
        },
    };
    Error::Sysctl { action: "write", key: key.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_not_found() {
        let Err(Error::Sysctl { source, .. }) = read("net/bridge/no-such-key") else { panic!() };
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_fixed_key_is_read() {
        assert_eq!(read("kernel/ostype").unwrap(), "Linux");
    }

    #[test]
    fn an_interface_name_may_hold_a_dot() {
        let path = interface_path(Family::V4, "eth0.100", "forwarding");
        assert_eq!(path, Path::new("/proc/sys/net/ipv4/conf/eth0.100/forwarding"));
    }
}
