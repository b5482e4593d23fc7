//! The subnet from which a node's pods get their addresses.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnetwork::IpNetwork;

/// The longest IPv4 prefix with room for a gateway and a pod beside the network's own and the broadcast address.
const LONGEST_V4_PREFIX: u8 = 30;
/// The longest IPv6 prefix with room for a gateway and a pod.
const LONGEST_V6_PREFIX: u8 = 126;

/// A subnet for pods: it has room for a gateway and at least one pod, and can be assigned to interfaces.
///
/// Host bits are accepted and masked, as the kubelet did; [`had_host_bits`](Self::had_host_bits) lets the caller say
/// so. Two subnets are equal where they are the same after masking.
///
/// ```
/// use podnet_plugin_api::PodCidr;
///
/// let cidr: PodCidr = "10.9.0.77/24".parse()?;
/// assert_eq!(cidr.to_string(), "10.9.0.0/24");
/// assert_eq!(cidr.gateway().to_string(), "10.9.0.1");
/// assert!(cidr.had_host_bits());
/// assert!("10.9.0.0/31".parse::<PodCidr>().is_err(), "no room");
/// # Ok::<(), podnet_plugin_api::InvalidPodCidr>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PodCidr {
    given: IpNetwork,
    network: IpNetwork,
}

impl PodCidr {
    /// Checks and masks a network.
    ///
    /// # Errors
    /// [`InvalidPodCidr`] where it is too small, or where no interface may have its addresses.
    pub fn new(given: IpNetwork) -> Result<Self, InvalidPodCidr> {
        let longest = longest_prefix(&given);
        if given.prefix() > longest {
            return Err(InvalidPodCidr::TooSmall { cidr: given, longest });
        }
        match IpNetwork::new(given.network(), given.prefix()) {
            Ok(network) if is_assignable(network.ip()) => Ok(Self { given, network }),
            _ => Err(InvalidPodCidr::NotAssignable(given)),
        }
    }

    /// The network, with its host bits zero.
    #[must_use]
    pub fn network(&self) -> IpNetwork {
        self.network
    }

    /// The first address of the network, which the node itself has.
    #[must_use]
    pub fn gateway(&self) -> IpAddr {
        match self.network {
            IpNetwork::V4(network) => Ipv4Addr::from(u32::from(network.network()) | 1).into(),
            IpNetwork::V6(network) => Ipv6Addr::from(u128::from(network.network()) | 1).into(),
        }
    }

    /// Whether it was given with host bits set, which are dropped.
    #[must_use]
    pub fn had_host_bits(&self) -> bool {
        self.given != self.network
    }

    /// The network as it was given.
    #[must_use]
    pub fn given(&self) -> IpNetwork {
        self.given
    }

    /// Whether it is of IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.network.is_ipv4()
    }

    /// Whether it is of IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.network.is_ipv6()
    }
}

impl PartialEq for PodCidr {
    fn eq(&self, other: &Self) -> bool {
        self.network == other.network
    }
}

impl Eq for PodCidr {}

impl Hash for PodCidr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.network.hash(state);
    }
}

impl fmt::Display for PodCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.network.fmt(f)
    }
}

impl FromStr for PodCidr {
    type Err = InvalidPodCidr;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = parse_cidr(text).ok_or_else(|| InvalidPodCidr::NoCidr(text.to_owned()))?;
        Self::new(network)
    }
}

/// The subnets of a node: one, or one of each family, the primary one first.
///
/// Read from a comma-separated list, `10.244.0.0/24,fd00:244::/64`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodCidrs {
    first: PodCidr,
    second: Option<PodCidr>,
}

impl PodCidrs {
    /// A first subnet, and one of the other family if there is one.
    ///
    /// # Errors
    /// [`InvalidPodCidr::SameFamily`] where both are of one family.
    pub fn new(first: PodCidr, second: Option<PodCidr>) -> Result<Self, InvalidPodCidr> {
        match second {
            Some(second) if second.is_ipv4() == first.is_ipv4() => {
                Err(InvalidPodCidr::SameFamily { first, second })
            }
            second => Ok(Self { first, second }),
        }
    }

    /// The primary subnet.
    #[must_use]
    pub fn first(&self) -> &PodCidr {
        &self.first
    }

    /// The subnets in their order.
    pub fn iter(&self) -> impl Iterator<Item = &PodCidr> {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// Whether one of them is of IPv6.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.iter().any(PodCidr::is_ipv6)
    }
}

impl From<PodCidr> for PodCidrs {
    fn from(first: PodCidr) -> Self {
        Self { first, second: None }
    }
}

impl fmt::Display for PodCidrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        match &self.second {
            Some(second) => write!(f, ",{second}"),
            None => Ok(()),
        }
    }
}

impl FromStr for PodCidrs {
    type Err = InvalidPodCidr;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let mut cidrs = list.split(',').map(|text| text.trim().parse::<PodCidr>());
        let first = cidrs.next().unwrap_or_else(|| Err(InvalidPodCidr::NoCidr(list.to_owned())))?;
        let second = cidrs.next().transpose()?;
        match cidrs.next() {
            Some(_) => Err(InvalidPodCidr::TooMany(list.to_owned())),
            None => Self::new(first, second),
        }
    }
}

/// A text or network that pods cannot have as their subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPodCidr {
    /// It is not written as address and prefix length.
    #[error(
        "pod CIDR {0:?} is no CIDR: write an address and a prefix length, such as 10.244.0.0/24"
    )]
    NoCidr(String),
    /// It has no room for a gateway and a pod.
    #[error(
        "pod CIDR {cidr} is too small: it has no room for a gateway and a pod; use a prefix length of at most {longest}"
    )]
    TooSmall {
        /// The network.
        cidr: IpNetwork,
        /// The longest prefix of its family that will do.
        longest: u8,
    },
    /// Its addresses have another meaning.
    #[error(
        "pod CIDR {0} cannot be assigned to pods: it is unspecified, loopback, link-local or multicast; use a private range such as 10.244.0.0/24"
    )]
    NotAssignable(IpNetwork),
    /// Two of one family.
    #[error(
        "pod CIDRs {first} and {second} are of one family: give at most one for IPv4 and one for IPv6"
    )]
    SameFamily {
        /// The first of them.
        first: PodCidr,
        /// The other.
        second: PodCidr,
    },
    /// More than two.
    #[error("pod CIDRs {0:?} are too many: give at most one for IPv4 and one for IPv6")]
    TooMany(String),
}

/// Stricter than `IpNetwork`, which takes a missing prefix length for a host's and a netmask for a prefix length.
fn parse_cidr(text: &str) -> Option<IpNetwork> {
    let (address, prefix) = text.split_once('/')?;
    let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = prefix.parse().ok().filter(|_| is_number)?;
    IpNetwork::new(address.parse().ok()?, prefix).ok()
}

fn longest_prefix(network: &IpNetwork) -> u8 {
    if network.is_ipv4() { LONGEST_V4_PREFIX } else { LONGEST_V6_PREFIX }
}

fn is_assignable(base: IpAddr) -> bool {
    let is_link_local = match base {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(base.is_unspecified() || base.is_loopback() || base.is_multicast() || is_link_local)
}

#[cfg(test)]
mod tests;
