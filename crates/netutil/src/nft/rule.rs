//! Rules: matches and statements, as the expressions that the kernel runs one after the other.
//!
//! Values pass between expressions in sixteen slots of four bytes (the kernel's 32-bit registers).

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::condition::Test;
use super::userdata;
use crate::mac::MacAddr;
use crate::netfilter::Attributes;
use crate::sysctl::Family;

/// The number of the first 32-bit register (`NFT_REG32_00`).
const FIRST_REGISTER: u32 = 8;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
/// `NF_DROP`, `NF_ACCEPT`, `NFT_RETURN`, `NFT_JUMP`, `NFT_GOTO`.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const RETURN: u32 = 0xffff_fffb;
const JUMP: u32 = 0xffff_fffd;
const GOTO: u32 = 0xffff_fffc;
/// `IPS_DST_NAT` of a connection's status.
const DESTINATION_TRANSLATED: u32 = 1 << 5;
/// `RTN_LOCAL`.
const LOCAL: u32 = 2;
/// The room for an interface's name.
const NAME_BYTES: usize = 16;

/// A four-byte slot for values on their way, 0 to 15; a longer value takes those behind it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub u8);

impl Slot {
    fn number(self) -> u32 {
        FIRST_REGISTER + u32::from(self.0)
    }
}

/// Something that can be put into slots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Load {
    /// The packet's transport protocol: one slot.
    Protocol,
    /// The source address of a packet of this family: one slot or four.
    Source(Family),
    /// The destination address of a packet of this family: one slot or four.
    Destination(Family),
    /// The destination port of TCP, UDP or SCTP: one slot.
    DestinationPort,
    /// The port to which the connection was opened, before anything was translated: one slot.
    OriginalDestinationPort,
    /// A constant.
    Constant(Vec<u8>),
}

/// A rule: what is written first is tested and done first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    expressions: Vec<(&'static str, Attributes)>,
    comment: Option<String>,
}

impl Rule {
    /// A rule that does nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the rule; at most [`COMMENT_BYTES`](super::COMMENT_BYTES) are kept.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Its comment.
    #[must_use]
    pub fn comment_text(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// Packets of this family, in a table of both.
    #[must_use]
    pub fn of_family(self, family: Family) -> Self {
        let number = match family {
            Family::V4 => 2,
            Family::V6 => 10,
        };
        // `NFT_META_NFPROTO`
        self.meta(15, Slot(0)).compare(Slot(0), EQUAL, &[number])
    }

    /// Frames that carry a packet of this family, in a bridge's table.
    #[must_use]
    pub fn of_ether_type(self, family: Family) -> Self {
        let ether_type: u16 = match family {
            Family::V4 => 0x0800,
            Family::V6 => 0x86dd,
        };
        // `NFT_META_PROTOCOL`
        self.meta(1, Slot(0)).compare(Slot(0), EQUAL, &ether_type.to_be_bytes())
    }

    /// Packets that came in by this interface.
    #[must_use]
    pub fn from_interface(self, name: &str) -> Self {
        self.meta(6, Slot(0)).compare(Slot(0), EQUAL, &interface(name))
    }

    /// Packets that came in by this interface, in the form in which `iptables` writes it.
    #[must_use]
    pub fn from_interface_exactly(self, name: &str) -> Self {
        self.meta(6, Slot(0)).compare(Slot(0), EQUAL, &[name.as_bytes(), &[0]].concat())
    }

    /// Packets that leave by this interface.
    #[must_use]
    pub fn to_interface(self, name: &str) -> Self {
        self.meta(7, Slot(0)).compare(Slot(0), EQUAL, &interface(name))
    }

    /// Packets that leave by this interface, in the form in which `iptables` writes it.
    #[must_use]
    pub fn to_interface_exactly(self, name: &str) -> Self {
        self.meta(7, Slot(0)).compare(Slot(0), EQUAL, &[name.as_bytes(), &[0]].concat())
    }

    /// Packets that leave by an interface whose name begins so.
    #[must_use]
    pub fn to_interfaces_beginning_with(self, prefix: &str) -> Self {
        self.meta(7, Slot(0)).compare(Slot(0), EQUAL, prefix.as_bytes())
    }

    /// Packets that leave by another interface than this.
    #[must_use]
    pub fn not_to_interface(self, name: &str) -> Self {
        self.meta(7, Slot(0)).compare(Slot(0), NOT_EQUAL, &interface(name))
    }

    /// Packets whose source address is in this network. The family must have been tested.
    #[must_use]
    pub fn from_network(self, network: IpNetwork) -> Self {
        let load = Load::Source(Family::of(&network));
        self.load(load, Slot(0)).in_network(Slot(0), network)
    }

    /// Packets whose destination address is in this network. The family must have been tested.
    #[must_use]
    pub fn to_network(self, network: IpNetwork) -> Self {
        let load = Load::Destination(Family::of(&network));
        self.load(load, Slot(0)).in_network(Slot(0), network)
    }

    /// Packets that came in by an interface of this group.
    #[must_use]
    pub fn from_interface_group(self, group: u32) -> Self {
        // `NFT_META_IIFGROUP`
        self.meta(21, Slot(0)).compare(Slot(0), EQUAL, &group.to_ne_bytes())
    }

    /// Sends the frame to this Ethernet address instead, in a bridge's table.
    #[must_use]
    pub fn redirect_to_mac(self, mac: MacAddr) -> Self {
        let header = Attributes::new().number(2, 0).number(3, 0).number(4, 6);
        // `NFTA_PAYLOAD_SREG`: what is written, rather than where it is read to.
        let written = header.number(5, Slot(0).number());
        self.load(Load::Constant(mac.octets().to_vec()), Slot(0)).push("payload", written)
    }

    /// Frames from this Ethernet address.
    #[must_use]
    pub fn from_mac(self, mac: MacAddr) -> Self {
        self.payload(0, 6, 6, Slot(0)).compare(Slot(0), EQUAL, &mac.octets())
    }

    /// Packets to an address of this host.
    #[must_use]
    pub fn to_this_host(self) -> Self {
        self.destination_kind().compare(Slot(0), EQUAL, &LOCAL.to_ne_bytes())
    }

    /// Packets to somewhere else than this host.
    #[must_use]
    pub fn not_to_this_host(self) -> Self {
        self.destination_kind().compare(Slot(0), NOT_EQUAL, &LOCAL.to_ne_bytes())
    }

    /// Packets of connections whose destination was translated.
    #[must_use]
    pub fn of_translated_destination(self) -> Self {
        // `NFT_CT_STATUS`
        let status = Attributes::new().number(1, Slot(0).number()).number(2, 2);
        self.push("ct", status).mask(Slot(0), &DESTINATION_TRANSLATED.to_ne_bytes()).compare(
            Slot(0),
            NOT_EQUAL,
            &[0; 4],
        )
    }

    /// Puts a value into slots.
    #[must_use]
    pub fn load(self, load: Load, slot: Slot) -> Self {
        use Family::{V4, V6};
        match load {
            Load::Protocol => self.meta(16, slot),
            Load::Source(V4) => self.payload(1, 12, 4, slot),
            Load::Source(V6) => self.payload(1, 8, 16, slot),
            Load::Destination(V4) => self.payload(1, 16, 4, slot),
            Load::Destination(V6) => self.payload(1, 24, 16, slot),
            Load::DestinationPort => self.payload(2, 2, 2, slot),
            // `NFT_CT_PROTO_DST` of the direction in which the connection was opened.
            Load::OriginalDestinationPort => {
                let attributes = Attributes::new().number(1, slot.number()).number(2, 12);
                self.push("ct", attributes.bytes(3, &[0]))
            }
            Load::Constant(value) => self.immediate(slot.number(), &data(&value)),
        }
    }

    /// Packets whose key is in the set.
    #[must_use]
    pub fn in_set(self, set: &str, key: Slot) -> Self {
        self.push("lookup", Attributes::new().text(1, set).number(2, key.number()))
    }

    /// Packets whose key is in the map; what it leads to is put into slots.
    #[must_use]
    pub fn look_up(self, map: &str, key: Slot, into: Slot) -> Self {
        let attributes = Attributes::new().text(1, map).number(2, key.number());
        self.push("lookup", attributes.number(3, into.number()))
    }

    /// Sends the connection to the address and port that the slots hold.
    #[must_use]
    pub fn translate_destination(self, family: Family, address: Slot, port: Slot) -> Self {
        let number = match family {
            Family::V4 => 2,
            Family::V6 => 10,
        };
        let (address, port) = (address.number(), port.number());
        // The type: `NFT_NAT_DNAT`; then the family, one address and one port.
        self.push(
            "nat",
            Attributes::new().number(1, 1).number(2, number).number(3, address).number(5, port),
        )
    }

    /// Gives the connection the address of the interface by which it leaves.
    #[must_use]
    pub fn masquerade(self) -> Self {
        self.push("masq", Attributes::new())
    }

    /// Counts packets and bytes.
    #[must_use]
    pub fn count(self) -> Self {
        self.push("counter", Attributes::new().bytes(1, &[0; 8]).bytes(2, &[0; 8]))
    }

    /// Lets the packet pass this chain.
    #[must_use]
    pub fn accept(self) -> Self {
        self.verdict(ACCEPT)
    }

    /// Throws the packet away.
    #[must_use]
    pub fn drop_packet(self) -> Self {
        self.verdict(DROP)
    }

    /// Leaves the chain.
    #[must_use]
    pub fn leave_chain(self) -> Self {
        self.verdict(RETURN)
    }

    /// Goes on in another chain, and comes back if nothing there decides.
    #[must_use]
    pub fn jump(self, chain: &str) -> Self {
        self.decide(&Attributes::new().number(1, JUMP).text(2, chain))
    }

    /// Goes on in another chain for good.
    #[must_use]
    pub fn go_to(self, chain: &str) -> Self {
        self.decide(&Attributes::new().number(1, GOTO).text(2, chain))
    }

    /// The attributes of `NFT_MSG_NEWRULE`.
    pub(super) fn attributes(&self, table: &str, chain: &str) -> Attributes {
        let expressions = self.expressions.iter().fold(Attributes::new(), |all, (name, inner)| {
            all.nested(1, &Attributes::new().text(1, name).nested(2, inner))
        });
        let comment = self.comment.as_deref().map(userdata::encode);
        let attributes = Attributes::new().text(1, table).text(2, chain);
        attributes.nested(4, &expressions).maybe(7, comment.as_deref())
    }

    /// Packets that meet a condition, or with `negated` that do not. The family must have been tested.
    #[must_use]
    pub fn test(self, test: &Test, negated: bool) -> Self {
        let how = if negated { NOT_EQUAL } else { EQUAL };
        match test {
            Test::Source(network) => {
                let load = Load::Source(Family::of(network));
                self.load(load, Slot(0)).compare_network(Slot(0), how, *network)
            }
            Test::Destination(network) => {
                let load = Load::Destination(Family::of(network));
                self.load(load, Slot(0)).compare_network(Slot(0), how, *network)
            }
            Test::FromInterface(name) => self.meta(6, Slot(0)).compare(Slot(0), how, &name.bytes()),
            Test::ToInterface(name) => self.meta(7, Slot(0)).compare(Slot(0), how, &name.bytes()),
            Test::Mark { value, mask: u32::MAX } => {
                self.meta(3, Slot(0)).compare(Slot(0), how, &value.to_ne_bytes())
            }
            Test::Mark { value, mask } => {
                let masked = self.meta(3, Slot(0)).mask(Slot(0), &mask.to_ne_bytes());
                masked.compare(Slot(0), how, &value.to_ne_bytes())
            }
            Test::Protocol(number) => self.meta(16, Slot(0)).compare(Slot(0), how, &[*number]),
            Test::SourcePort(from, to) => self.payload(2, 0, 2, Slot(0)).ports(how, *from, *to),
            Test::DestinationPort(from, to) => {
                self.payload(2, 2, 2, Slot(0)).ports(how, *from, *to)
            }
            Test::SourceKind(kind) => self.kind_of(1).compare(Slot(0), how, &kind.bytes()),
            Test::DestinationKind(kind) => self.kind_of(2).compare(Slot(0), how, &kind.bytes()),
        }
    }

    fn ports(self, how: u32, from: u16, to: u16) -> Self {
        if from == to {
            return self.compare(Slot(0), how, &from.to_be_bytes());
        }
        let attributes = Attributes::new().number(1, Slot(0).number()).number(2, how);
        let attributes = attributes.nested(3, &data(&from.to_be_bytes()));
        self.push("range", attributes.nested(4, &data(&to.to_be_bytes())))
    }

    fn push(mut self, name: &'static str, attributes: Attributes) -> Self {
        self.expressions.push((name, attributes));
        self
    }

    fn meta(self, key: u32, slot: Slot) -> Self {
        self.push("meta", Attributes::new().number(1, slot.number()).number(2, key))
    }

    /// `base` is 0 for the frame's header, 1 for the network's, 2 for the transport's.
    fn payload(self, base: u32, offset: u32, length: u32, slot: Slot) -> Self {
        let attributes = Attributes::new().number(1, slot.number()).number(2, base);
        self.push("payload", attributes.number(3, offset).number(4, length))
    }

    fn compare(self, slot: Slot, how: u32, value: &[u8]) -> Self {
        let attributes = Attributes::new().number(1, slot.number()).number(2, how);
        self.push("cmp", attributes.nested(3, &data(value)))
    }

    fn mask(self, slot: Slot, mask: &[u8]) -> Self {
        let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
        let slot = slot.number();
        let attributes = Attributes::new().number(1, slot).number(2, slot).number(3, length);
        let zeroes = vec![0; mask.len()];
        self.push("bitwise", attributes.nested(4, &data(mask)).nested(5, &data(&zeroes)))
    }

    /// A whole address needs no mask, and `nft` prints it as one.
    fn in_network(self, slot: Slot, network: IpNetwork) -> Self {
        self.compare_network(slot, EQUAL, network)
    }

    fn compare_network(self, slot: Slot, how: u32, network: IpNetwork) -> Self {
        let whole = network.prefix() == if network.is_ipv4() { 32 } else { 128 };
        let masked = if whole { self } else { self.mask(slot, &octets(network.mask())) };
        masked.compare(slot, how, &octets(network.network()))
    }

    /// `fib daddr type`.
    fn destination_kind(self) -> Self {
        self.kind_of(2)
    }

    /// `which` is 1 for the source address (`fib saddr type`), 2 for the destination's.
    fn kind_of(self, which: u32) -> Self {
        let attributes = Attributes::new().number(1, Slot(0).number());
        self.push("fib", attributes.number(2, 3).number(3, which))
    }

    fn verdict(self, code: u32) -> Self {
        self.decide(&Attributes::new().number(1, code))
    }

    fn decide(self, verdict: &Attributes) -> Self {
        self.immediate(0, &Attributes::new().nested(2, verdict))
    }

    fn immediate(self, register: u32, value: &Attributes) -> Self {
        self.push("immediate", Attributes::new().number(1, register).nested(2, value))
    }
}

fn data(value: &[u8]) -> Attributes {
    Attributes::new().bytes(1, value)
}

fn octets(address: IpAddr) -> Vec<u8> {
    let mut bytes = Vec::new();
    super::object::push_address(&mut bytes, address);
    bytes
}

fn interface(name: &str) -> [u8; NAME_BYTES] {
    let mut bytes = [0; NAME_BYTES];
    bytes.iter_mut().zip(name.bytes()).for_each(|(slot, byte)| *slot = byte);
    bytes
}
