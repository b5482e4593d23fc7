//! The parameters of one interface, which is looked up once.
//!
//! `conf/eth0` of a pod stands in one hash chain with that of every other pod, because they have the same name in the same
//! folder; a lookup passes them all. Below it each has a folder of its own.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{Family, interface_failed, interface_path};
use crate::error::Error;

/// The folder `net/FAMILY/conf/INTERFACE` of the namespace in which it was opened.
#[derive(Debug)]
pub struct InterfaceParameters {
    folder: File,
    path: PathBuf,
}

impl InterfaceParameters {
    /// Finds an interface of the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::Sysctl`].
    pub fn open(family: Family, interface: &str) -> Result<Self, Error> {
        let path = interface_path(family, interface, "");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(CWD, &path, flags, Mode::empty()) {
            Ok(folder) => Ok(Self { folder: folder.into(), path }),
            Err(errno) => Err(interface_failed("open", &path, errno.into())),
        }
    }

    /// Sets a parameter, unless it has that value already. Says whether it had not.
    ///
    /// # Errors
    /// [`Error::Sysctl`].
    pub fn set(&self, key: &str, value: &str) -> Result<bool, Error> {
        let failed = |action| {
            let path = self.path.join(key);
            move |source| interface_failed(action, &path, source)
        };
        let mut present = String::new();
        let read =
            self.open_key(key, OFlags::RDONLY).and_then(|mut it| it.read_to_string(&mut present));
        read.map_err(failed("read"))?;
        if present.trim() == value {
            return Ok(false);
        }
        let written =
            self.open_key(key, OFlags::WRONLY).and_then(|mut it| it.write_all(value.as_bytes()));
        written.map_err(failed("write")).map(|()| true)
    }

    fn open_key(&self, key: &str, how: OFlags) -> io::Result<File> {
        Ok(openat(&self.folder, key, how | OFlags::CLOEXEC, Mode::empty())?.into())
    }
}

/// Whether an interface of the calling thread's network namespace has an IPv6 address.
#[must_use]
pub fn has_ipv6_address(interface: &str) -> bool {
    let listed = fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
    listed.lines().any(|line| line.split_whitespace().next_back() == Some(interface))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Netlink;
    use crate::netns::in_own_netns;
    use crate::sysctl::read_interface;

    #[test]
    fn a_parameter_is_set_once() {
        in_own_netns(async || {
            let lo = InterfaceParameters::open(Family::V6, "lo").unwrap();
            assert!(lo.set("accept_ra", "0").unwrap());
            assert!(!lo.set("accept_ra", "0").unwrap());
            assert_eq!(read_interface(Family::V6, "lo", "accept_ra").unwrap(), "0");
            assert!(lo.set("no_such_parameter", "0").is_err());
            assert!(InterfaceParameters::open(Family::V6, "no-such-link").is_err());
        });
    }

    #[test]
    fn an_interface_has_an_ipv6_address_once_it_is_enabled() {
        in_own_netns(async || {
            assert!(!has_ipv6_address("lo"));
            let netlink = Netlink::open().unwrap();
            netlink.set_link_up(netlink.require_link("lo").await.unwrap().index).await.unwrap();
            assert!(has_ipv6_address("lo"));
        });
    }
}
