//! Addresses, ports and numbers as both programs write them.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use podnet_netutil::Family;
use podnet_netutil::nft::AddressKind;

/// An address, or a network with its length or (as iptables has it) its mask.
pub(super) fn network(family: Family, text: &str) -> Result<IpNetwork, String> {
    let wrong = || {
        let name = match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        format!("{text:?} is no {name} address or network")
    };
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let length = match length {
        None if address.is_ipv4() => 32,
        None => 128,
        Some(digits) => match digits.parse() {
            Ok(length) => length,
            Err(_) => mask_length(address, digits).ok_or_else(wrong)?,
        },
    };
    let network = IpNetwork::new(address, length).map_err(|_| wrong())?;
    let network = IpNetwork::new(network.network(), length).map_err(|_| wrong())?;
    if Family::of(&network) == family { Ok(network) } else { Err(wrong()) }
}

fn mask_length(address: IpAddr, mask: &str) -> Option<u8> {
    let mask: IpAddr = mask.parse().ok()?;
    (mask.is_ipv4() == address.is_ipv4()).then(|| ipnetwork::ip_mask_to_prefix(mask).ok()).flatten()
}

/// A port, or two with `between` between them. iptables takes a missing end for the lowest and the highest.
pub(super) fn ports(text: &str, between: char) -> Result<(u16, u16), String> {
    let wrong = || format!("{text:?} is no port and no range of ports");
    let port = |digits: &str, missing: u16| match digits {
        "" if between == ':' => Ok(missing),
        digits => digits.parse().map_err(|_| wrong()),
    };
    let (from, to) = match text.split_once(between) {
        Some((from, to)) => (port(from, 0)?, port(to, u16::MAX)?),
        // Only an end of a range may be missing.
        None => (text.parse().map_err(|_| wrong())?, text.parse().map_err(|_| wrong())?),
    };
    if from <= to { Ok((from, to)) } else { Err(wrong()) }
}

/// A number, with `0x` a hexadecimal one.
pub(super) fn number(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("{text:?} is no number of 32 bits"))
}

/// What an address is to the host.
pub(super) fn kind(name: &str) -> Result<AddressKind, String> {
    AddressKind::named(name)
        .ok_or_else(|| format!("addresses of type {name:?} cannot be told apart"))
}
