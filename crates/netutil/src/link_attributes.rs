//! What can be changed of a link that exists, whatever made it.

use netlink_packet_route::link::LinkFlags;
use rtnetlink::LinkUnspec;

use crate::error::Error;
use crate::link::Link;
use crate::mac::MacAddr;
use crate::netlink::Netlink;

impl Netlink {
    /// Sets a link's Ethernet address.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn set_link_mac(&self, link: &Link, mac: MacAddr) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(link.index).address(mac.octets().to_vec());
        let action = || format!("set the MAC address of {link} to {mac}");
        self.change_link(message.build(), action).await
    }

    /// Has a link take every multicast frame, or no longer.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn set_link_all_multicast(&self, link: &Link, on: bool) -> Result<(), Error> {
        let mut message = LinkUnspec::new_with_index(link.index).build();
        message.header.change_mask |= LinkFlags::Allmulti;
        message.header.flags.set(LinkFlags::Allmulti, on);
        self.change_link(message, || format!("set all-multicast mode of {link}")).await
    }

    /// Sets how many packets may wait to be sent.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn set_link_tx_queue_len(&self, link: &Link, packets: u32) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(link.index).txqueuelen(packets).build();
        let action = || format!("set the transmit queue length of {link} to {packets}");
        self.change_link(message, action).await
    }

    /// Attaches a text of at most 255 bytes to a link.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn set_link_alias(&self, link: &Link, alias: &str) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(link.index).alias(alias).build();
        self.change_link(message, || format!("set the alias of {link}")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::in_own_netns;

    #[test]
    fn attributes_are_set_and_read_back() {
        in_own_netns(async || {
            let netlink = Netlink::open().unwrap();
            netlink.create_bridge("br0", MacAddr::local([0; 6])).await.unwrap();
            let bridge = netlink.require_link("br0").await.unwrap();
            assert!(!bridge.all_multicast && !bridge.vlan_filtering);
            let mac = "02:00:00:00:00:07".parse().unwrap();
            netlink.set_link_mac(&bridge, mac).await.unwrap();
            netlink.set_link_all_multicast(&bridge, true).await.unwrap();
            netlink.set_link_tx_queue_len(&bridge, 17).await.unwrap();
            netlink.set_link_alias(&bridge, "mine").await.unwrap();
            let now = netlink.require_link("br0").await.unwrap();
            assert_eq!((now.mac, now.all_multicast, now.tx_queue_len), (Some(mac), true, 17));
            assert_eq!(now.alias.as_deref(), Some("mine"));
            netlink.set_link_all_multicast(&bridge, false).await.unwrap();
            assert!(!netlink.require_link("br0").await.unwrap().all_multicast);
        });
    }
}
