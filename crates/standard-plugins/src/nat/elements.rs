//! Host ports as elements of the maps, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use podnet_netutil::Family;
use podnet_netutil::nft::{Element, push_address, push_port, push_protocol};

use super::conditions::PortsMap;
use super::layout::any_address;
use super::{Protocol, Published};

/// The family of an address.
pub(super) fn family_of(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

impl Published {
    /// The family of the addresses.
    pub(super) fn family(&self) -> Family {
        family_of(self.pod_ip)
    }

    /// Its element in its map.
    pub(super) fn element(&self) -> Element {
        let (mut key, mut data) = (Vec::new(), Vec::new());
        push_protocol(&mut key, self.protocol.number());
        push_address(&mut key, self.host_ip.unwrap_or_else(|| any_address(self.family())));
        push_port(&mut key, self.host_port);
        push_address(&mut data, self.pod_ip);
        push_port(&mut data, self.container_port);
        Element { key, data, comment: Some(self.label.clone()) }
    }

    /// Reads an element of a map; none where it is not one of ours.
    pub(super) fn from_element(map: &PortsMap, element: &Element) -> Option<Self> {
        let family = map.family;
        let (protocol, key) = element.key.split_at_checked(4)?;
        let (host_ip, host_port) = address_and_port(family, key)?;
        let (pod_ip, container_port) = address_and_port(family, &element.data)?;
        Some(Self {
            label: element.comment.clone().unwrap_or_default(),
            protocol: Protocol::from_number(*protocol.first()?)?,
            host_ip: Some(host_ip).filter(|ip| !ip.is_unspecified()),
            host_port,
            pod_ip,
            container_port,
            conditions: map.conditions.clone(),
        })
    }

    /// Whether one look-up would find both. Of a port of an address and one of all, each is found by its own: that of
    /// the address first.
    pub(super) fn is_looked_up_as(&self, other: &Self) -> bool {
        PortsMap::of(self) == PortsMap::of(other)
            && (self.protocol, self.host_ip, self.host_port)
                == (other.protocol, other.host_ip, other.host_port)
    }

    /// Whether a packet could be meant for both. Whether one could meet two sets of conditions is not known here: who
    /// gave them knows.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let same = (self.protocol, self.host_port, self.family())
            == (other.protocol, other.host_port, other.family());
        let any = self.host_ip.is_none() || other.host_ip.is_none();
        let met = self.conditions == other.conditions
            || self.conditions.is_none()
            || other.conditions.is_none();
        same && met && (any || self.host_ip == other.host_ip)
    }
}

/// The element by which a pod is known to have host ports.
pub(super) fn hairpin(port: &Published) -> Element {
    let mut key = Vec::new();
    push_address(&mut key, port.pod_ip);
    push_address(&mut key, port.pod_ip);
    Element { key, data: Vec::new(), comment: Some(port.label.clone()) }
}

/// The element by which the clients of a port are known to be masqueraded.
pub(super) fn masquerade(port: &Published) -> Element {
    let mut key = Vec::new();
    push_protocol(&mut key, port.protocol.number());
    push_address(&mut key, port.pod_ip);
    push_port(&mut key, port.container_port);
    push_port(&mut key, port.host_port);
    Element { key, data: Vec::new(), comment: Some(port.label.clone()) }
}

fn address_and_port(family: Family, bytes: &[u8]) -> Option<(IpAddr, u16)> {
    let (address, port): (IpAddr, &[u8]) = match family {
        Family::V4 => {
            let (address, port) = bytes.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*address).into(), port)
        }
        Family::V6 => {
            let (address, port) = bytes.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*address).into(), port)
        }
    };
    Some((address, u16::from_be_bytes(*port.first_chunk::<2>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(host_ip: Option<&str>, pod_ip: &str) -> Published {
        Published {
            label: "podnet:kubenet/a1/eth0".to_owned(),
            protocol: Protocol::Udp,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port: 5353,
            pod_ip: pod_ip.parse().unwrap(),
            container_port: 53,
            conditions: None,
        }
    }

    fn with(conditions: &str, port: &Published) -> Published {
        Published { conditions: Some(conditions.to_owned()), ..port.clone() }
    }

    #[test]
    fn an_element_is_read_back() {
        for (host_ip, pod_ip) in [
            (None, "10.1.0.2"),
            (Some("192.0.2.1"), "10.1.0.2"),
            (None, "fd00::2"),
            (Some("2001:db8::1"), "fd00::2"),
        ] {
            let without = published(host_ip, pod_ip);
            for published in [with("0a1b", &without), without] {
                let map = PortsMap::of(&published);
                assert_eq!(Published::from_element(&map, &published.element()), Some(published));
            }
        }
    }

    #[test]
    fn an_element_of_another_shape_is_none_of_ours() {
        let element = Element { key: vec![6, 0, 0], ..Element::default() };
        let map = PortsMap { family: Family::V4, conditions: None };
        assert_eq!(Published::from_element(&map, &element), None);
    }

    #[test]
    fn any_address_overlaps_each_of_its_family() {
        let any = published(None, "10.1.0.2");
        let one = published(Some("192.0.2.1"), "10.1.0.3");
        let other = published(Some("192.0.2.2"), "10.1.0.3");
        assert!(any.overlaps(&one) && one.overlaps(&any) && one.overlaps(&one));
        assert!(!one.overlaps(&other) && !any.overlaps(&published(None, "fd00::2")));
        let conditional = with("0a1b", &any);
        assert!(conditional.overlaps(&any) && any.overlaps(&conditional));
        assert!(conditional.overlaps(&conditional) && !conditional.overlaps(&with("2c3d", &any)));
    }
}
