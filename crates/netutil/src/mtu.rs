//! The choice of an MTU: the smallest of the host's enabled normal interfaces.

use crate::error::Error;
use crate::link::Link;

/// What an Ethernet device can have, in bytes; a CAN bus or an InfiniBand port is no measure for pods.
const USABLE: std::ops::RangeInclusive<u32> = 68..=65_535;

/// The enabled normal interface with the smallest MTU (Kubernetes page on network plugins, "MTU").
///
/// Normal is what is neither loopback nor point-to-point nor an ifb, nor the bridge `exclude` or one of its ports: a
/// bridge that was once small would otherwise keep itself small for ever, by itself or by the ifbs of its ports. Of
/// several with the same MTU the first in the kernel's order counts.
///
/// # Errors
/// [`Error::NoMtuCandidate`] when no such interface is enabled.
///
/// # Examples
/// ```no_run
/// # async fn example() -> Result<(), podnet_netutil::Error> {
/// use podnet_netutil::{Netlink, mtu};
/// let links = Netlink::open()?.links().await?;
/// let narrowest = mtu::narrowest(&links, "cbr0")?;
/// println!("{} has the smallest MTU, {}", narrowest.name, narrowest.mtu);
/// # Ok(())
/// # }
/// ```
pub fn narrowest<'a>(links: &'a [Link], exclude: &str) -> Result<&'a Link, Error> {
    let excluded = links.iter().find(|link| link.name == exclude).map(|link| link.index);
    links
        .iter()
        .filter(|link| link.up && !link.loopback && !link.point_to_point && link.kind != "ifb")
        .filter(|link| USABLE.contains(&link.mtu))
        .filter(|link| excluded.is_none_or(|bridge| !hangs_on(link, bridge)))
        .min_by_key(|link| link.mtu)
        .ok_or(Error::NoMtuCandidate)
}

fn hangs_on(link: &Link, bridge: u32) -> bool {
    link.index == bridge || link.master == Some(bridge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::link_for_tests as link;

    #[test]
    fn smallest_of_the_enabled_normal_interfaces_wins() {
        let mut links = vec![
            Link { loopback: true, ..link(1, "lo", 65_536) },
            link(2, "eth0", 1450),
            link(3, "docker0", 1400),
            Link { up: false, ..link(4, "down", 500) },
            Link { point_to_point: true, ..link(5, "tun0", 1000) },
            link(6, "can0", 16),
        ];
        assert_eq!(narrowest(&links, "cbr0").unwrap().name, "docker0");
        links.retain(|link| link.name != "docker0");
        assert_eq!(narrowest(&links, "cbr0").unwrap().name, "eth0");
    }

    #[test]
    fn the_bridge_and_its_ports_do_not_count() {
        let links = [
            link(2, "eth0", 1500),
            link(3, "cbr0", 1000),
            Link { master: Some(3), ..link(4, "veth1", 900) },
            Link { kind: "ifb".to_owned(), ..link(5, "ifb0", 900) },
        ];
        assert_eq!(narrowest(&links, "cbr0").unwrap().name, "eth0");
    }

    #[test]
    fn nothing_enabled_is_an_error() {
        let links = [Link { loopback: true, ..link(1, "lo", 65_536) }];
        assert!(matches!(narrowest(&links, "cbr0"), Err(Error::NoMtuCandidate)));
    }
}
