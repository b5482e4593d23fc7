//! The destinations that see a pod's own address, as an option lists them.

use std::fmt;
use std::str::FromStr;

use ipnetwork::IpNetwork;

/// Destinations to which pods appear with their own addresses, at least one.
///
/// Read from a comma-separated list. Host bits are masked.
///
/// ```
/// use podnet::NonMasqueradeCidrs;
///
/// let cidrs: NonMasqueradeCidrs = "10.0.0.0/8, 172.16.3.4/12".parse()?;
/// assert_eq!(cidrs.to_string(), "10.0.0.0/8,172.16.0.0/12");
/// assert!("10.0.0.0".parse::<NonMasqueradeCidrs>().is_err(), "no prefix length");
/// # Ok::<(), podnet::non_masquerade::InvalidCidr>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NonMasqueradeCidrs(Vec<IpNetwork>);

impl NonMasqueradeCidrs {
    /// The networks in their order.
    #[must_use]
    pub fn as_slice(&self) -> &[IpNetwork] {
        &self.0
    }
}

impl fmt::Display for NonMasqueradeCidrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, cidr) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "," };
            write!(f, "{separator}{cidr}")?;
        }
        Ok(())
    }
}

impl FromStr for NonMasqueradeCidrs {
    type Err = InvalidCidr;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let cidrs = list.split(',').map(|text| {
            let text = text.trim();
            parse(text).ok_or_else(|| InvalidCidr(text.to_owned()))
        });
        cidrs.collect::<Result<_, _>>().map(Self)
    }
}

fn parse(text: &str) -> Option<IpNetwork> {
    let given: IpNetwork = text.contains('/').then(|| text.parse().ok())??;
    IpNetwork::new(given.network(), given.prefix()).ok()
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no CIDR: write an address and a prefix length, such as 10.0.0.0/8")]
pub struct InvalidCidr(String);
