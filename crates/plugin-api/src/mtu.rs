//! A checked MTU.

use std::fmt;

/// The smallest MTU of an interface that carries IPv6 (RFC 8200, section 5), in bytes.
const SMALLEST_FOR_IPV6: u16 = 1280;

/// The size of the largest packet that an interface sends whole, 68 to 65535 bytes.
///
/// 68 is the smallest that IPv4 works with (RFC 791), 65535 the largest packet it has.
///
/// ```
/// use podnet_plugin_api::Mtu;
///
/// assert_eq!(Mtu::new(9001)?.get(), 9001);
/// assert!(Mtu::new(65536).is_err());
/// assert!(!Mtu::new(1000)?.carries_ipv6());
/// # Ok::<(), podnet_plugin_api::InvalidMtu>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mtu(u16);

impl Mtu {
    /// The smallest, 68 bytes.
    pub const MIN: Self = Self(68);
    /// The largest, 65535 bytes.
    pub const MAX: Self = Self(u16::MAX);

    /// Checks an MTU in bytes.
    ///
    /// # Errors
    /// [`InvalidMtu`] where it is below 68 or above 65535.
    pub fn new(bytes: u32) -> Result<Self, InvalidMtu> {
        match u16::try_from(bytes) {
            Ok(fits) if fits >= Self::MIN.0 => Ok(Self(fits)),
            _ => Err(InvalidMtu(bytes)),
        }
    }

    /// The MTU in bytes.
    #[must_use]
    pub fn get(self) -> u32 {
        u32::from(self.0)
    }

    /// Whether IPv6 works with it, which takes 1280 bytes.
    #[must_use]
    pub fn carries_ipv6(self) -> bool {
        self.0 >= SMALLEST_FOR_IPV6
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of bytes that is no [`Mtu`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an MTU of {0} is out of range: it must be 68 to 65535 bytes")]
pub struct InvalidMtu(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_the_range_are_valid() {
        for (bytes, valid) in [(0, false), (67, false), (68, true), (65535, true), (65536, false)] {
            assert_eq!(Mtu::new(bytes).is_ok(), valid, "{bytes}");
        }
        assert!(!Mtu::new(1279).unwrap().carries_ipv6());
        assert!(Mtu::new(1280).unwrap().carries_ipv6());
    }
}
