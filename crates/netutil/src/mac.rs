//! Ethernet addresses: text, and locally administered ones made here.

use std::fmt;
use std::str::FromStr;

/// An Ethernet (MAC-48) address.
///
/// It is read as Go reads one: pairs of digits between colons or hyphens, or fours between dots.
///
/// ```
/// use podnet_netutil::MacAddr;
/// let mac: MacAddr = "0a:58:0a:f4:00:02".parse()?;
/// assert_eq!(mac.to_string(), "0a:58:0a:f4:00:02");
/// assert!("0a:58:0a:f4:00".parse::<MacAddr>().is_err());
/// # Ok::<(), podnet_netutil::InvalidMacAddr>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddr([u8; 6]);

/// A text that is no Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no MAC address: it takes six pairs of hexadecimal digits, as in 0a:58:0a:f4:00:02"
)]
pub struct InvalidMacAddr(String);

impl MacAddr {
    /// A unicast, locally administered address (IEEE 802) from the system's random numbers.
    ///
    /// An address set when a link is made is one that udev's `MACAddressPolicy` leaves alone.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 6];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        Ok(Self::local(bytes))
    }

    /// The address with these bytes, made unicast and locally administered.
    #[must_use]
    pub const fn local(mut bytes: [u8; 6]) -> Self {
        let [first, ..] = &mut bytes;
        *first = (*first & !1) | 2;
        Self(bytes)
    }

    /// The six bytes, in the order in which they are sent.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl FromStr for MacAddr {
    type Err = InvalidMacAddr;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let dotted = text.split('.').all(|four| four.len() == 4).then(|| pairs_of(text));
        let text_of_pairs = dotted.as_deref().unwrap_or(text);
        let separator = if text_of_pairs.contains('-') { '-' } else { ':' };
        let bytes: Option<Vec<u8>> = text_of_pairs.split(separator).map(byte).collect();
        bytes.as_deref().and_then(Self::from_slice).ok_or_else(|| InvalidMacAddr(text.to_owned()))
    }
}

/// `0a58.0af4.0002` as `0a:58:0a:f4:00:02`.
fn pairs_of(fours: &str) -> String {
    let mut pairs = String::with_capacity(fours.len() + 3);
    for (position, digit) in fours.chars().filter(|digit| *digit != '.').enumerate() {
        if position > 0 && position % 2 == 0 {
            pairs.push(':');
        }
        pairs.push(digit);
    }
    pairs
}

fn byte(pair: &str) -> Option<u8> {
    let two_digits = pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    two_digits.then(|| u8::from_str_radix(pair, 16).ok())?
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&pairs.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_addresses_are_local_and_unicast() {
        for first in [0_u8, 1, 0xff] {
            let [first, ..] = MacAddr::local([first, 0, 0, 0, 0, 0]).octets();
            assert_eq!(first & 3, 2);
        }
    }

    #[test]
    fn gos_three_notations_are_one_address() {
        for text in ["0a:58:0a:f4:00:02", "0A-58-0A-F4-00-02", "0a58.0af4.0002"] {
            assert_eq!(text.parse::<MacAddr>().unwrap().to_string(), "0a:58:0a:f4:00:02");
        }
    }

    #[test]
    fn other_notations_are_refused() {
        for text in [
            "",
            "0a:58-0a:f4:00:02",
            "0a:58:0a:f4:00:+2",
            "0a:58:0a:f4:00:02:03",
            "0a58.0af4",
            "0a58.0af4.0002.0003",
            "0a580af40002",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }
}
