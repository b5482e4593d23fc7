//! Conditions that a packet meets or does not: what a rule can test besides what its map looks up.

use std::fmt;

use ipnetwork::IpNetwork;

/// The room for an interface's name.
const NAME_BYTES: usize = 16;

/// What is tested of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Test {
    /// Its source address is in this network.
    Source(IpNetwork),
    /// Its destination address is in this network.
    Destination(IpNetwork),
    /// It came in by this interface. One that a process of the host sends came in by none.
    FromInterface(InterfaceMatch),
    /// It leaves by this interface. What was not routed yet leaves by none.
    ToInterface(InterfaceMatch),
    /// Its mark (`SO_MARK`), of which these bits count, has this value.
    Mark {
        /// The value.
        value: u32,
        /// The bits that count.
        mask: u32,
    },
    /// Its transport protocol, as the IP header numbers it.
    Protocol(u8),
    /// Its source port is one of these, both ends included.
    SourcePort(u16, u16),
    /// Its destination port is one of these, both ends included.
    DestinationPort(u16, u16),
    /// Its source address is of this kind.
    SourceKind(AddressKind),
    /// Its destination address is of this kind.
    DestinationKind(AddressKind),
}

/// What an address is to this host (`RTN_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressKind {
    /// Somebody else's.
    Unicast,
    /// One of this host's.
    Local,
    /// A broadcast address.
    Broadcast,
    /// An anycast address of this host.
    Anycast,
    /// A multicast address.
    Multicast,
}

impl AddressKind {
    /// By the name that iptables (`LOCAL`) and nftables (`local`) have for it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        use AddressKind::{Anycast, Broadcast, Local, Multicast, Unicast};
        let all = [Unicast, Local, Broadcast, Anycast, Multicast];
        all.into_iter().find(|kind| kind.as_str() == name.to_ascii_lowercase())
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Local => "local",
            Self::Broadcast => "broadcast",
            Self::Anycast => "anycast",
            Self::Multicast => "multicast",
        }
    }

    pub(super) fn bytes(self) -> [u8; 4] {
        let number: u32 = match self {
            Self::Unicast => 1,
            Self::Local => 2,
            Self::Broadcast => 3,
            Self::Anycast => 4,
            Self::Multicast => 5,
        };
        number.to_ne_bytes()
    }
}

/// The name of an interface, or how names begin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InterfaceMatch {
    name: String,
    is_beginning: bool,
}

impl InterfaceMatch {
    /// The interface of this name; none where no interface can have it.
    #[must_use]
    pub fn exactly(name: &str) -> Option<Self> {
        Self::new(name, false)
    }

    /// All interfaces whose names begin so; none where no interface's can.
    #[must_use]
    pub fn beginning_with(name: &str) -> Option<Self> {
        Self::new(name, true)
    }

    fn new(name: &str, is_beginning: bool) -> Option<Self> {
        let fits = (1..NAME_BYTES).contains(&name.len());
        let plain = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        (fits && plain).then(|| Self { name: name.to_owned(), is_beginning })
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.name.as_bytes().to_vec();
        if !self.is_beginning {
            bytes.resize(NAME_BYTES, 0);
        }
        bytes
    }
}

impl fmt::Display for InterfaceMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, if self.is_beginning { "*" } else { "" })
    }
}

/// A condition: one of some tests holds, or with `negated` none of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Whether none of the tests may hold.
    pub negated: bool,
    /// The tests.
    pub any_of: Vec<Test>,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |f: &mut fmt::Formatter<'_>, what: &str, from: &u16, to: &u16| {
            if from == to { write!(f, "{what} {from}") } else { write!(f, "{what} {from}-{to}") }
        };
        match self {
            Self::Source(network) => write!(f, "from {network}"),
            Self::Destination(network) => write!(f, "to {network}"),
            Self::FromInterface(name) => write!(f, "in by {name}"),
            Self::ToInterface(name) => write!(f, "out by {name}"),
            Self::Mark { value, mask } => write!(f, "mark {value:#x}/{mask:#x}"),
            Self::Protocol(number) => write!(f, "protocol {number}"),
            Self::SourcePort(from, to) => range(f, "from port", from, to),
            Self::DestinationPort(from, to) => range(f, "to port", from, to),
            Self::SourceKind(kind) => write!(f, "from {} addresses", kind.as_str()),
            Self::DestinationKind(kind) => write!(f, "to {} addresses", kind.as_str()),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("not ")?;
        }
        let tests: Vec<String> = self.any_of.iter().map(Test::to_string).collect();
        f.write_str(&tests.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_reads_as_a_sentence() {
        let network = |text: &str| Test::Source(text.parse().unwrap());
        let condition =
            Condition { negated: true, any_of: vec![network("10.0.0.0/8"), network("fd00::/8")] };
        assert_eq!(condition.to_string(), "not from 10.0.0.0/8 or from fd00::/8");
        let test = Test::FromInterface(InterfaceMatch::beginning_with("eth").unwrap());
        assert_eq!(test.to_string(), "in by eth*");
        assert_eq!(Test::SourcePort(1, 1).to_string(), "from port 1");
        assert_eq!(Test::Mark { value: 1, mask: 255 }.to_string(), "mark 0x1/0xff");
    }

    #[test]
    fn a_name_that_no_interface_has_is_none() {
        for name in ["", "a b", "a/b", "sixteen-letters-"] {
            assert_eq!(InterfaceMatch::exactly(name), None, "{name}");
        }
        assert_eq!(InterfaceMatch::exactly("eth0").unwrap().bytes().len(), 16);
        assert_eq!(InterfaceMatch::beginning_with("eth").unwrap().bytes(), b"eth");
        assert_eq!(InterfaceMatch::beginning_with(""), None);
    }
}
