//! What a link does by itself in each address family, set by netlink.
//!
//! The same parameters stand below `/proc/sys/net/*/conf`. There, a lookup in a pod's namespace passes the entries of all
//! other pods, because they have the same name; with some hundred pods that is what a set-up would spend its time on.

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::LinkAttribute;
use rtnetlink::LinkUnspec;

use crate::error::Error;
use crate::link::Link;
use crate::netlink::Netlink;

const IFLA_AF_SPEC: u16 = 26;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Parameters of IPv4, each an attribute of its own (`include/uapi/linux/if_link.h`, `IFLA_INET_CONF`).
const IFLA_INET_CONF: u16 = 1;
const IPV4_DEVCONF_ARP_NOTIFY: u16 = 22;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;

impl Netlink {
    /// Has a link make no IPv6 address of its own, and with that send no neighbour or multicast messages: what a bridge
    /// would flood to every other port. To be set before the link is enabled and has its carrier.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn keep_without_ipv6(&self, link: &Link) -> Result<(), Error> {
        match self.set_families(link, &[without_ipv6()]).await {
            // Nothing to keep quiet.
            Err(error) if is_without_ipv6(&error) => Ok(()),
            other => other,
        }
    }

    /// As [`Netlink::keep_without_ipv6`], and puts the link into a group, by which rules know it, in the same message.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn keep_without_ipv6_in_group(&self, link: &Link, group: u32) -> Result<(), Error> {
        let message = || LinkUnspec::new_with_index(link.index).link_group(group);
        let families = message().append_extra_attribute(family_attribute(&[without_ipv6()]));
        let action = || format!("set group and address families of {link}");
        match self.change_link(families.build(), action).await {
            Err(error) if is_without_ipv6(&error) => {
                self.change_link(message().build(), action).await
            }
            other => other,
        }
    }

    /// As [`Netlink::keep_without_ipv6`], and has the link announce its IPv4 addresses when it is enabled
    /// (`arp_notify`), so that neighbours hear of an address's new owner.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn announce_ipv4_only(&self, link: &Link) -> Result<(), Error> {
        match self.set_families(link, &[announce_ipv4(), without_ipv6()]).await {
            // The whole request is refused, also for a link that is too narrow for IPv6.
            Err(error) if is_without_ipv6(&error) => self.announce_ipv4(link).await,
            other => other,
        }
    }

    /// Has a link announce its IPv4 addresses when it is enabled (`arp_notify`), so that neighbours hear of an address's
    /// new owner.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn announce_ipv4(&self, link: &Link) -> Result<(), Error> {
        self.set_families(link, &[announce_ipv4()]).await
    }

    async fn set_families(&self, link: &Link, families: &[Vec<u8>]) -> Result<(), Error> {
        let families = family_attribute(families);
        let message = LinkUnspec::new_with_index(link.index).append_extra_attribute(families);
        self.change_link(message.build(), || format!("set address families of {link}")).await
    }
}

fn family_attribute(families: &[Vec<u8>]) -> LinkAttribute {
    LinkAttribute::Other(DefaultNla::new(IFLA_AF_SPEC, families.concat()))
}

/// The kernel, or this link, has no IPv6.
fn is_without_ipv6(error: &Error) -> bool {
    error.errno() == Some(rustix::io::Errno::AFNOSUPPORT)
}

fn without_ipv6() -> Vec<u8> {
    let mode = attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
    attribute(AF_INET6, &mode)
}

fn announce_ipv4() -> Vec<u8> {
    let parameter = attribute(IPV4_DEVCONF_ARP_NOTIFY, &1_u32.to_ne_bytes());
    attribute(AF_INET, &attribute(IFLA_INET_CONF, &parameter))
}

/// An attribute as the kernel reads it: length, kind, value, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    // The few bytes that are written here are far below what sixteen bits count.
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::in_own_netns;
    use crate::sysctl::{self, Family};
    use crate::{MacAddr, mtu};

    #[test]
    fn attributes_are_padded_and_count_without_padding() {
        assert_eq!(attribute(8, &[1]), [5, 0, 8, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn a_link_is_kept_without_ipv6_and_announces_its_ipv4_addresses() {
        in_own_netns(async || {
            let netlink = Netlink::open().unwrap();
            netlink.create_bridge("br0", MacAddr::local([0; 6])).await.unwrap();
            let bridge = netlink.require_link("br0").await.unwrap();
            netlink.announce_ipv4_only(&bridge).await.unwrap();
            netlink.set_link_up(bridge.index).await.unwrap();
            let read = |family, key| sysctl::read_interface(family, "br0", key).unwrap();
            assert_eq!(read(Family::V4, "arp_notify"), "1");
            assert_eq!(read(Family::V6, "addr_gen_mode"), "1");
            assert_eq!(netlink.addresses(&bridge).await.unwrap(), []);
            assert!(mtu::narrowest(&netlink.links().await.unwrap(), "cbr0").is_ok());
        });
    }
}
