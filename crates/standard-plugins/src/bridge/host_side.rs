//! The host's side of an attachment: the bridge and the gateway's address on it.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use podnet_cni_spec::{AddResult, IpConfig};
use podnet_netutil::sysctl::{self, Family};
use podnet_netutil::{Address, Link, MacAddr, Netlink};

use super::plan::{Gateway, Plan};
use crate::attachment::refuse_router_advertisements;
use crate::error::Error;

/// The bridge, made where there is none.
pub(super) async fn ensure_bridge(netlink: &Netlink, plan: &Plan) -> Result<Link, Error> {
    let name = plan.bridge.as_str();
    let mut bridge = match netlink.link_by_name(name).await? {
        Some(link) => link,
        None => create_bridge(netlink, plan).await?,
    };
    if bridge.kind != "bridge" {
        return Err(Error::NotABridge { name: bridge.name, kind: bridge.kind });
    }
    refuse_router_advertisements(&bridge)?;
    plan.vlans.ensure_kept_apart(netlink, &bridge).await?;
    if !bridge.up {
        set_mtu(netlink, plan, &mut bridge).await?;
        netlink.set_link_up(bridge.index).await?;
    }
    if plan.promiscuous && !bridge.promiscuous {
        netlink.set_link_promiscuous(bridge.index, true).await?;
    }
    Ok(bridge)
}

async fn create_bridge(netlink: &Netlink, plan: &Plan) -> Result<Link, Error> {
    let name = plan.bridge.as_str();
    let mac = MacAddr::random().map_err(Error::Random)?;
    match netlink.create_bridge(name, mac).await {
        // Another attachment made it in the meantime.
        Err(error) if error.is_already_there() => {}
        other => other?,
    }
    Ok(netlink.require_link(name).await?)
}

/// A bridge that is found disabled is one that was just made, perhaps by an ADD that died before it came this far.
async fn set_mtu(netlink: &Netlink, plan: &Plan, bridge: &mut Link) -> Result<(), Error> {
    if let Some(mtu) = plan.mtu.filter(|mtu| *mtu != bridge.mtu) {
        netlink.set_link_mtu(bridge.index, mtu).await?;
        bridge.mtu = mtu;
    }
    Ok(())
}

/// Puts the gateways' addresses on the bridge, or for pods of a VLAN on an interface of its own in that VLAN, which is
/// returned; and switches forwarding on for their families.
pub(super) async fn ensure_gateway(
    netlink: &Netlink,
    plan: &Plan,
    bridge: &Link,
    ips: &[IpConfig],
) -> Result<Option<Link>, Error> {
    if plan.gateway == Gateway::No || ips.is_empty() {
        return Ok(None);
    }
    let of_vlan = plan.vlans.ensure_gateway_link(netlink, bridge).await?;
    let link = of_vlan.as_ref().unwrap_or(bridge);
    let present = netlink.addresses(link).await?;
    for ip in ips {
        let wanted = gateway_address(ip)?;
        ensure_address(netlink, plan, link, &present, wanted).await?;
        sysctl::enable_forwarding(Family::of(&wanted))?;
    }
    Ok(of_vlan)
}

/// Fills in the gateways that the IPAM plugin left out, where the bridge is to have them.
pub(super) fn with_gateways(plan: &Plan, mut addresses: AddResult) -> AddResult {
    if plan.gateway != Gateway::No {
        for ip in &mut addresses.ips {
            ip.gateway = gateway_of(ip);
        }
    }
    addresses
}

/// The gateway that an address goes by: the IPAM plugin's, or the first address of the network.
fn gateway_of(ip: &IpConfig) -> Option<IpAddr> {
    ip.gateway.or_else(|| match ip.address {
        IpNetwork::V4(net) => {
            u32::from(net.network()).checked_add(1).map(|bits| IpAddr::V4(bits.into()))
        }
        IpNetwork::V6(net) => {
            u128::from(net.network()).checked_add(1).map(|bits| IpAddr::V6(bits.into()))
        }
    })
}

pub(super) fn gateway_address(ip: &IpConfig) -> Result<IpNetwork, Error> {
    let address = gateway_of(ip).and_then(|by| IpNetwork::new(by, ip.address.prefix()).ok());
    address.ok_or(Error::NoGateway { address: ip.address })
}

async fn ensure_address(
    netlink: &Netlink,
    plan: &Plan,
    bridge: &Link,
    present: &[Address],
    wanted: IpNetwork,
) -> Result<(), Error> {
    if present.iter().any(|address| address.network == wanted) {
        return Ok(());
    }
    for foreign in present.iter().filter(|address| conflicts(address, wanted)) {
        if !plan.force_address {
            let (bridge, has) = (bridge.name.clone(), foreign.network);
            return Err(Error::BridgeHasOtherAddress { bridge, has, wanted });
        }
        match netlink.delete_address(bridge, foreign.network).await {
            Err(error) if !error.is_gone() => return Err(error.into()),
            _ => {}
        }
    }
    match netlink.add_address(bridge, wanted).await {
        Err(error) if !error.is_already_there() => Err(error.into()),
        // For a bridge that somebody else made; pods remember the gateway's MAC address.
        _ => Ok(netlink.pin_bridge_mac(bridge).await?),
    }
}

/// Any other IPv4 address, and an IPv6 address whose network overlaps, as in the reference.
fn conflicts(present: &Address, wanted: IpNetwork) -> bool {
    match (present.network, wanted) {
        (IpNetwork::V4(_), IpNetwork::V4(_)) => true,
        (IpNetwork::V6(has), IpNetwork::V6(wanted)) => has.overlaps(wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_the_first_address_unless_one_is_given() {
        for (address, given, expected) in [
            ("10.1.2.200/25", None, "10.1.2.129/25"),
            ("10.1.2.7/24", Some("10.1.2.254"), "10.1.2.254/24"),
            ("fd00::7/64", None, "fd00::1/64"),
        ] {
            let ip = IpConfig {
                address: address.parse().unwrap(),
                gateway: given.map(|by| by.parse().unwrap()),
                ..IpConfig::default()
            };
            assert_eq!(gateway_address(&ip).unwrap(), expected.parse().unwrap());
        }
    }
}
