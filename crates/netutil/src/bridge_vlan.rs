//! VLANs of a bridge's ports.

use netlink_packet_route::link::{
    AfSpecBridge, BridgeVlanInfoFlags, InfoBridge, InfoData, LinkAttribute, LinkExtentMask,
    LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{LinkBridge, LinkBridgeVlan, LinkMessageBuilder};

use crate::error::Error;
use crate::link::Link;
use crate::netlink::Netlink;

impl Netlink {
    /// Has a bridge keep VLANs apart.
    ///
    /// # Errors
    /// [`Error::Netlink`]; the kernel says `Operation not supported` where it was built without
    /// `BRIDGE_VLAN_FILTERING`.
    pub async fn enable_vlan_filtering(&self, bridge: &Link) -> Result<(), Error> {
        let message = LinkMessageBuilder::<LinkBridge>::new(&bridge.name)
            .index(bridge.index)
            .set_info_data(InfoData::Bridge(vec![InfoBridge::VlanFiltering(true)]))
            .build();
        self.change_link(message, || format!("enable VLAN filtering of bridge {bridge}")).await
    }

    /// Lets a port take part in a VLAN. As the port's own VLAN (`native`), its frames carry no tag outside the bridge.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn add_port_vlan(&self, port: &Link, vlan: u16, native: bool) -> Result<(), Error> {
        let flags = if native {
            BridgeVlanInfoFlags::Pvid | BridgeVlanInfoFlags::Untagged
        } else {
            BridgeVlanInfoFlags::empty()
        };
        let message = LinkBridgeVlan::new(port.index).vlan(vlan, flags).build();
        let action = || format!("add VLAN {vlan} to bridge port {port}");
        self.request(RouteNetlinkMessage::SetLink(message), 0, action).await.map(drop)
    }

    /// Takes a port out of every VLAN in which it is; a new port is in its bridge's default one.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn remove_port_vlans(&self, port: &Link) -> Result<(), Error> {
        for vlan in self.port_vlans(port).await? {
            let flags = BridgeVlanInfoFlags::empty();
            let message = LinkBridgeVlan::new(port.index).vlan(vlan, flags).build();
            let action = || format!("remove VLAN {vlan} from bridge port {port}");
            match self.request(RouteNetlinkMessage::DelLink(message), 0, action).await {
                Err(error) if !error.is_gone() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The VLANs in which a port is, each by its number.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn port_vlans(&self, port: &Link) -> Result<Vec<u16>, Error> {
        let mut message = LinkMessage::default();
        message.header.interface_family = AddressFamily::Bridge;
        message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::Brvlan]));
        let request = RouteNetlinkMessage::GetLink(message);
        let answers = self.dump(request, || format!("list VLANs of bridge port {port}")).await?;
        let of_port = answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) if link.header.index == port.index => Some(link),
            _ => None,
        });
        Ok(of_port.flat_map(|link| &link.attributes).flat_map(vlans).collect())
    }
}

fn vlans(attribute: &LinkAttribute) -> Vec<u16> {
    let LinkAttribute::AfSpecBridge(specs) = attribute else { return Vec::new() };
    let numbers = specs.iter().filter_map(|spec| match spec {
        AfSpecBridge::VlanInfo(vlan) => Some(vlan.vid),
        _ => None,
    });
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;
    use crate::{MacAddr, netns::in_own_netns};

    /// What a kernel without the feature says is told as it is.
    #[test]
    fn a_bridge_keeps_vlans_apart_or_the_kernel_says_why_not() {
        in_own_netns(async || {
            let netlink = Netlink::open().unwrap();
            netlink.create_bridge("br0", MacAddr::local([0; 6])).await.unwrap();
            let bridge = netlink.require_link("br0").await.unwrap();
            let enabled = netlink.enable_vlan_filtering(&bridge).await;
            let bridge = netlink.require_link("br0").await.unwrap();
            match enabled {
                Ok(()) => assert!(bridge.vlan_filtering),
                Err(error) => {
                    assert_eq!(error.errno(), Some(Errno::OPNOTSUPP), "{error}");
                    assert!(error.to_string().contains("VLAN filtering of bridge br0"), "{error}");
                    assert!(!bridge.vlan_filtering);
                }
            }
            assert!(netlink.port_vlans(&bridge).await.unwrap().len() <= 1);
        });
    }
}
