//! An address as a number, so that ranges of both families are plain intervals.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The place of an address among all addresses.
///
/// IPv4 addresses stand where IPv6 keeps the IPv4-mapped ones (`::ffff:0:0/96`): two texts of one address, `10.0.0.1`
/// and `::ffff:10.0.0.1`, are one position, as they are one address to the Go program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Position(u128);

impl Position {
    /// The address after this one.
    pub(super) fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// The address before this one.
    pub(super) fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// How many addresses there are from this one to `last`, both included.
    pub(super) fn count_to(self, last: Self) -> u128 {
        match last.0.checked_sub(self.0) {
            Some(distance) => distance.saturating_add(1),
            None => 0,
        }
    }

    /// The address.
    pub(super) fn address(self) -> IpAddr {
        Ipv6Addr::from(self.0).to_canonical()
    }
}

impl From<IpAddr> for Position {
    fn from(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
            IpAddr::V6(v6) => v6.into(),
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_order_and_their_text() {
        let texts = ["10.0.0.255", "10.0.1.0", "2001:db8::1"];
        let positions = texts.map(|text| Position::from(text.parse::<IpAddr>().unwrap()));
        assert!(positions.is_sorted());
        assert_eq!(positions[0].next(), Some(positions[1]));
        assert_eq!(positions.map(|position| position.to_string()), texts);
    }
}
