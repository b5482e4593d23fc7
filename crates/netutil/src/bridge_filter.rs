//! Whether traffic over a bridge passes iptables.

use crate::error::Error;
use crate::sysctl;

const IPTABLES: &str = "net/bridge/bridge-nf-call-iptables";
const IP6TABLES: &str = "net/bridge/bridge-nf-call-ip6tables";

/// Lets bridged traffic pass iptables and ip6tables, as kube-proxy's iptables mode needs it
/// (`net/bridge/bridge-nf-call-iptables=1`).
///
/// What could not be done is returned as lines for a person: a node without such a proxy works all the same.
#[must_use]
pub fn enable() -> Vec<String> {
    let ipv4 = sysctl::set(IPTABLES, "1");
    let ipv6 = enable_ipv6(sysctl::read(IP6TABLES));
    [ipv4, ipv6].into_iter().filter_map(Result::err).map(|error| warning(&error)).collect()
}

/// Unlike the IPv4 key, a missing one is nothing to warn of: the kernel may have no IPv6.
fn enable_ipv6(current: Result<String, Error>) -> Result<(), Error> {
    match current {
        Ok(value) if value != "1" => sysctl::set(IP6TABLES, "1"),
        _ => Ok(()),
    }
}

fn warning(error: &Error) -> String {
    let remedy = if error.is_gone() {
        "load the kernel's module with `modprobe br_netfilter`"
    } else {
        "set it to 1 as root"
    };
    format!(
        "traffic between pods on a bridge may bypass a service proxy's iptables rules: {error}; {remedy}"
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn refused(key: &str, errno: i32) -> Error {
        let source = io::Error::from_raw_os_error(errno);
        Error::Sysctl { action: "write", key: key.to_owned(), source }
    }

    #[test]
    fn a_missing_module_is_named() {
        let text = warning(&refused(IPTABLES, 2));
        assert!(text.ends_with("load the kernel's module with `modprobe br_netfilter`"), "{text}");
        assert!(text.contains(IPTABLES) && !text.contains("os error"), "{text}");
    }

    #[test]
    fn a_lack_of_permission_is_no_missing_module() {
        assert!(warning(&refused(IPTABLES, 13)).ends_with("set it to 1 as root"));
    }

    #[test]
    fn a_kernel_without_the_ipv6_key_is_left_alone() {
        assert!(enable_ipv6(Err(refused(IP6TABLES, 2))).is_ok());
        assert!(enable_ipv6(Ok("1".to_owned())).is_ok());
    }
}
