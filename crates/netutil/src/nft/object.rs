//! Tables, base chains, sets, maps and elements.

use std::net::IpAddr;

use super::userdata;
use crate::netfilter::Attributes;

/// The packets that a table sees (`NFPROTO_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableFamily {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// What passes a bridge.
    Bridge,
}

impl TableFamily {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    /// As `nft` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
        }
    }
}

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table<'a> {
    /// The packets it sees.
    pub family: TableFamily,
    /// Its name.
    pub name: &'a str,
}

impl std::fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.family.as_str(), self.name)
    }
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChainKind {
    /// Translates addresses; sees the first packet of a connection.
    Nat,
    /// Accepts and drops.
    Filter,
}

/// Where packets enter a base chain (`NF_INET_*`, which the bridge family has too).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hook {
    /// Before routing.
    Prerouting,
    /// On the way through.
    Forward,
    /// From a process of the host.
    Output,
    /// After routing.
    Postrouting,
}

impl Hook {
    fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }
}

/// A base chain: one that packets enter by themselves. Its policy is accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseChain<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it may do.
    pub kind: ChainKind,
    /// Where packets enter it.
    pub hook: Hook,
    /// Its place among the chains at that hook, lower first.
    pub priority: i32,
}

/// A field of a key or of a map's data, padded to four bytes in a concatenation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// `inet_proto`.
    Protocol,
    /// `ipv4_addr`.
    Ipv4,
    /// `ipv6_addr`.
    Ipv6,
    /// `inet_service`.
    Port,
}

impl Field {
    /// The number by which `nft` knows the type (`include/datatype.h` of nftables).
    fn datatype(self) -> u32 {
        match self {
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Protocol => 12,
            Self::Port => 13,
        }
    }

    fn bytes(self) -> u32 {
        match self {
            Self::Ipv6 => 16,
            _ => 4,
        }
    }
}

/// A set, or with data a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection<'a> {
    /// Its name.
    pub name: &'a str,
    /// The fields of a key.
    pub key: &'a [Field],
    /// The fields of what a key leads to; empty for a set.
    pub data: &'a [Field],
}

/// `NFT_SET_MAP`.
const MAP: u32 = 8;

impl Collection<'_> {
    /// The attributes of `NFT_MSG_NEWSET`. `id` is unique in a transaction.
    pub(super) fn attributes(&self, table: &str, id: u32) -> Attributes {
        let attributes = Attributes::new()
            .text(1, table)
            .text(2, self.name)
            .number(3, if self.data.is_empty() { 0 } else { MAP })
            .number(4, datatype(self.key))
            .number(5, length(self.key));
        let attributes = if self.data.is_empty() {
            attributes
        } else {
            attributes.number(6, datatype(self.data)).number(7, length(self.data))
        };
        attributes.number(10, id)
    }
}

/// The type of a concatenation: six bits a field.
fn datatype(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |all, field| (all << 6) | field.datatype())
}

fn length(fields: &[Field]) -> u32 {
    fields.iter().map(|field| field.bytes()).sum()
}

/// An element of a set or map.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Element {
    /// Its key, as `push_address`, `push_port` and `push_protocol` concatenate it.
    pub key: Vec<u8>,
    /// What the key leads to; empty in a set.
    pub data: Vec<u8>,
    /// Its comment.
    pub comment: Option<String>,
}

impl Element {
    pub(super) fn attributes(&self) -> Attributes {
        let value = |bytes: &[u8]| Attributes::new().bytes(1, bytes);
        let attributes = Attributes::new().nested(1, &value(&self.key));
        let attributes = if self.data.is_empty() {
            attributes
        } else {
            attributes.nested(2, &value(&self.data))
        };
        let comment = self.comment.as_deref().map(userdata::encode);
        attributes.maybe(6, comment.as_deref())
    }
}

/// Appends an address to a concatenation.
pub fn push_address(bytes: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => bytes.extend(address.octets()),
        IpAddr::V6(address) => bytes.extend(address.octets()),
    }
}

/// Appends a port to a concatenation.
pub fn push_port(bytes: &mut Vec<u8>, port: u16) {
    bytes.extend(port.to_be_bytes());
    bytes.extend([0; 2]);
}

/// Appends an IP protocol's number to a concatenation.
pub fn push_protocol(bytes: &mut Vec<u8>, protocol: u8) {
    bytes.extend([protocol, 0, 0, 0]);
}

impl BaseChain<'_> {
    /// The attributes of `NFT_MSG_NEWCHAIN`.
    pub(super) fn attributes(&self, table: &str) -> Attributes {
        let hook =
            Attributes::new().number(1, self.hook.number()).bytes(2, &self.priority.to_be_bytes());
        let kind = match self.kind {
            ChainKind::Nat => "nat",
            ChainKind::Filter => "filter",
        };
        Attributes::new()
            .text(1, table)
            .text(3, self.name)
            .nested(4, &hook)
            // The policy: accept.
            .number(5, 1)
            .text(7, kind)
    }
}
