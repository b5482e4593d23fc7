//! The name of a kernel parameter that belongs to a network namespace, as an operator writes it.

use std::fmt;
use std::path::{Path, PathBuf};

/// The parameters of network namespaces; those of the whole machine stand elsewhere.
const ROOT: &str = "net";
/// What stands for the interface's name in a key.
const INTERFACE: &str = "IFNAME";

/// A kernel parameter below `net/`, which each network namespace has for itself.
///
/// It is written with dots or with slashes. The first separator decides: what separates in the one notation is part of a
/// name in the other, so that `net.ipv4.conf.eth0/100.forwarding` and `net/ipv4/conf/eth0.100/forwarding` are the same
/// (`sysctl(8)`).
///
/// ```
/// use podnet_netutil::NetKey;
/// let key = NetKey::parse("net.ipv4.conf.IFNAME.arp_filter", "eth0.100")?;
/// assert_eq!(key.to_string(), "net/ipv4/conf/eth0.100/arp_filter");
/// assert!(NetKey::parse("kernel.panic", "eth0").is_err());
/// # Ok::<(), podnet_netutil::InvalidNetKey>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetKey(String);

/// A text that names no parameter of a network namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid net sysctl key: {0:?}; it must begin with net. and go on with names")]
pub struct InvalidNetKey(String);

impl NetKey {
    /// Reads a key. The first `IFNAME` in it stands for `interface`, whose name may hold a dot.
    ///
    /// # Errors
    /// [`InvalidNetKey`] when it is not below `net`, or would lead out of it.
    pub fn parse(text: &str, interface: &str) -> Result<Self, InvalidNetKey> {
        let separator = text.chars().find(|character| matches!(character, '.' | '/'));
        let exchanged = |character| match character {
            '.' => '/',
            '/' => '.',
            other => other,
        };
        let path: String = match separator {
            Some('.') => text.chars().map(exchanged).collect(),
            _ => text.to_owned(),
        };
        // A leading or a double slash is none of a name's; `sysctl(8)` and Go leave them out.
        let steps: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let key = steps.join("/").replacen(INTERFACE, interface, 1);
        let mut names = key.split('/');
        let is_below = names.next() == Some(ROOT) && names.clone().next().is_some();
        if !is_below || names.any(|name| matches!(name, "." | "..")) || key.contains('\0') {
            return Err(InvalidNetKey(text.to_owned()));
        }
        Ok(Self(key))
    }

    pub(super) fn path(&self) -> PathBuf {
        Path::new("/proc/sys").join(&self.0)
    }
}

impl fmt::Display for NetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_decides() {
        for (text, expected) in [
            ("net.core.somaxconn", "net/core/somaxconn"),
            ("net/core/somaxconn", "net/core/somaxconn"),
            ("/net/core//somaxconn", "net/core/somaxconn"),
            ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
            ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
            ("net.ipv4.conf.IFNAME.IFNAME", "net/ipv4/conf/pod.0/IFNAME"),
            ("net/ipv4/conf/IFNAME/arp_filter", "net/ipv4/conf/pod.0/arp_filter"),
        ] {
            assert_eq!(NetKey::parse(text, "pod.0").unwrap().to_string(), expected);
        }
    }

    #[test]
    fn nothing_outside_of_net_is_a_key() {
        for text in [
            "",
            "net",
            "net.",
            "kernel.panic",
            "network.core",
            "net/../kernel/panic",
            "net/./core",
            "net.//.kernel",
            "IFNAME.core",
        ] {
            assert!(NetKey::parse(text, "eth0").is_err(), "{text}");
        }
    }
}
