//! What a network may give out: ranges, and sets of ranges of which an attachment gets one address each.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::position::Position;

/// A range as it is written in a configuration, each part parsed and nothing checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RangeOptions {
    pub(super) subnet: IpNetwork,
    pub(super) range_start: Option<IpAddr>,
    pub(super) range_end: Option<IpAddr>,
    pub(super) gateway: Option<IpAddr>,
}

/// Why ranges cannot be given out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// A range set holds no range.
    #[error("empty range set")]
    EmptySet,
    /// The subnet has no room for a gateway and a container.
    #[error("network {0} too small to allocate from; at most /30 for IPv4 and /126 for IPv6")]
    TooSmall(IpNetwork),
    /// The subnet's address is not its first.
    #[error(
        "network {subnet} has host bits set: for a subnet mask of length {prefix} the network address is {network}",
        prefix = subnet.prefix()
    )]
    HostBits {
        /// The subnet as configured.
        subnet: IpNetwork,
        /// What its address must be.
        network: IpAddr,
    },
    /// The subnet contains IPv4 addresses in their IPv6 form.
    #[error("network {0} contains IPv4-mapped addresses; write it as an IPv4 network")]
    Ipv4Mapped(IpNetwork),
    /// `rangeStart` or `rangeEnd` is not an address of the subnet.
    #[error("{option} {address} not in network {subnet}")]
    OutsideSubnet {
        /// The option's name.
        option: &'static str,
        /// Its value.
        address: IpAddr,
        /// The subnet.
        subnet: IpNetwork,
    },
    /// The range ends before it starts.
    #[error("rangeStart {start} comes after rangeEnd {end}")]
    Backwards {
        /// The first address.
        start: IpAddr,
        /// The last address.
        end: IpAddr,
    },
    /// The gateway is of the other family.
    #[error(
        "gateway {gateway} cannot be reached from network {subnet}: it is of another address family"
    )]
    GatewayFamily {
        /// The gateway.
        gateway: IpAddr,
        /// The subnet.
        subnet: IpNetwork,
    },
    /// One set holds ranges of both families.
    #[error("mixed address families")]
    MixedFamilies,
    /// Two ranges of one set have addresses in common.
    #[error("subnets {0} and {1} overlap")]
    Overlap(String, String),
}

/// Addresses from `first` to `last`, both included; never the subnet's own address or its IPv4 broadcast address.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    pub(super) first: Position,
    pub(super) last: Position,
    pub(super) gateway: IpAddr,
    pub(super) prefix: u8,
}

impl Range {
    /// Checks a range and fills in what is left out: the first address of the subnet as gateway and as start, its last
    /// address as end.
    pub(super) fn new(options: &RangeOptions) -> Result<Self, RangeError> {
        let subnet = options.subnet;
        check_subnet(subnet)?;
        let (lowest, highest) = usable(subnet);
        let start = bound("rangeStart", options.range_start, subnet)?.unwrap_or(lowest);
        let end = bound("rangeEnd", options.range_end, subnet)?.unwrap_or(highest);
        if start > end {
            return Err(RangeError::Backwards { start: start.address(), end: end.address() });
        }
        let (first, last) = (start.max(lowest), end.min(highest));
        if first > last {
            return Err(RangeError::TooSmall(subnet));
        }
        let gateway = gateway(options.gateway, subnet)?.unwrap_or(lowest.address());
        Ok(Self { first, last, gateway, prefix: subnet.prefix() })
    }

    pub(super) fn contains(&self, position: Position) -> bool {
        self.first <= position && position <= self.last
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn is_ipv4(&self) -> bool {
        self.first.address().is_ipv4()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

fn check_subnet(subnet: IpNetwork) -> Result<(), RangeError> {
    let bits = if subnet.is_ipv4() { 32 } else { 128 };
    if subnet.prefix() > bits - 2 {
        return Err(RangeError::TooSmall(subnet));
    }
    if subnet.ip() != subnet.network() {
        return Err(RangeError::HostBits { subnet, network: subnet.network() });
    }
    let mapped = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0, 0]);
    let mapped_last = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xffff, 0xffff]);
    if subnet.is_ipv6() && subnet.network() <= mapped_last && mapped <= subnet.broadcast() {
        return Err(RangeError::Ipv4Mapped(subnet));
    }
    Ok(())
}

/// The first and the last address of a subnet that a container may have: not the network's own and, with IPv4, not the
/// broadcast address.
fn usable(subnet: IpNetwork) -> (Position, Position) {
    let network = Position::from(subnet.network());
    let highest = Position::from(subnet.broadcast());
    let last = if subnet.is_ipv4() { highest.previous() } else { Some(highest) };
    (network.next().unwrap_or(network), last.unwrap_or(highest))
}

fn bound(
    option: &'static str,
    address: Option<IpAddr>,
    subnet: IpNetwork,
) -> Result<Option<Position>, RangeError> {
    match address.map(|address| address.to_canonical()) {
        None => Ok(None),
        Some(address) if subnet.contains(address) => Ok(Some(address.into())),
        Some(address) => Err(RangeError::OutsideSubnet { option, address, subnet }),
    }
}

fn gateway(gateway: Option<IpAddr>, subnet: IpNetwork) -> Result<Option<IpAddr>, RangeError> {
    match gateway.map(|address| address.to_canonical()) {
        Some(gateway) if gateway.is_ipv4() != subnet.is_ipv4() => {
            Err(RangeError::GatewayFamily { gateway, subnet })
        }
        gateway => Ok(gateway),
    }
}

/// Ranges of one family that serve as one pool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RangeSet {
    ranges: Vec<Range>,
}

impl RangeSet {
    /// Checks every range, and that they are of one family and do not overlap.
    pub(super) fn new(options: &[RangeOptions]) -> Result<Self, RangeError> {
        let ranges = options.iter().map(Range::new).collect::<Result<Vec<_>, _>>()?;
        let Some(head) = ranges.first() else { return Err(RangeError::EmptySet) };
        if ranges.iter().any(|range| range.is_ipv4() != head.is_ipv4()) {
            return Err(RangeError::MixedFamilies);
        }
        if let Some((one, other)) = first_pair(&ranges, Range::overlaps) {
            return Err(RangeError::Overlap(one.to_string(), other.to_string()));
        }
        Ok(Self { ranges })
    }

    pub(super) fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    pub(super) fn contains(&self, position: Position) -> bool {
        self.range_of(position).is_some()
    }

    pub(super) fn range_of(&self, position: Position) -> Option<&Range> {
        self.ranges.iter().find(|range| range.contains(position))
    }

    pub(super) fn is_ipv4(&self) -> bool {
        self.ranges.first().is_some_and(Range::is_ipv4)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.ranges.iter().any(|one| other.ranges.iter().any(|other| one.overlaps(other)))
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.ranges.iter().map(Range::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

/// All that a network gives out; an attachment gets an address of each set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pools {
    sets: Vec<RangeSet>,
    gateways: BTreeSet<Position>,
}

impl Pools {
    /// The sets in their order, or the numbers of two that overlap.
    pub(super) fn new(sets: Vec<RangeSet>) -> Result<Self, (usize, usize)> {
        let numbered: Vec<_> = sets.iter().enumerate().collect();
        if let Some(((one, _), (other, _))) = first_pair(&numbered, |(_, a), (_, b)| a.overlaps(b))
        {
            return Err((*one, *other));
        }
        let gateways = sets
            .iter()
            .flat_map(RangeSet::ranges)
            .map(|range| Position::from(range.gateway))
            .collect();
        Ok(Self { sets, gateways })
    }

    pub(super) fn sets(&self) -> &[RangeSet] {
        &self.sets
    }

    pub(super) fn contains(&self, position: Position) -> bool {
        self.sets.iter().any(|set| set.contains(position))
    }

    /// Whether it is the gateway of any range: such an address is given to no container.
    pub(super) fn is_gateway(&self, position: Position) -> bool {
        self.gateways.contains(&position)
    }

    /// How many addresses of a set can be given to containers.
    pub(super) fn size_of(&self, set: &RangeSet) -> u128 {
        let all = set.ranges.iter().map(|range| range.first.count_to(range.last));
        let gateways =
            self.gateways.iter().filter(|gateway| set.contains(**gateway)).fold(0, |n, _| n + 1);
        all.fold(0_u128, u128::saturating_add) - gateways
    }
}

fn first_pair<T>(items: &[T], related: impl Fn(&T, &T) -> bool) -> Option<(&T, &T)> {
    items.iter().enumerate().find_map(|(index, one)| {
        items.iter().skip(index + 1).find(|other| related(one, other)).map(|other| (one, other))
    })
}

#[cfg(test)]
mod tests;
