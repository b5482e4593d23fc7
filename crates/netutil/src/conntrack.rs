//! The kernel's table of connections: entries that would keep sending datagrams where a host port led before.
//!
//! TCP needs none of this: a new connection is a new entry. UDP and SCTP clients keep their port, and with it the entry.

mod locality;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

use crate::error::{Error, RequestError};
use crate::netfilter::attribute::{find, find_in};
use crate::netfilter::{Answer, Attributes, Message, Socket};
use crate::netlink::Netlink;
use crate::netns::Netns;
use crate::sysctl::Family;

/// `NFNL_SUBSYS_CTNETLINK` with `IPCTNL_MSG_CT_GET` and `IPCTNL_MSG_CT_DELETE`.
const GET: u16 = (1 << 8) | 1;
const DELETE: u16 = (1 << 8) | 2;
/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_ZONE`.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ZONE: u16 = 18;
/// `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO` and what they hold.
const ADDRESSES: u16 = 1;
const TRANSPORT: u16 = 2;
const PROTOCOL: u16 = 1;
const DESTINATION_PORT: u16 = 3;
/// Entries removed in one request.
const DELETIONS_A_REQUEST: usize = 100;

/// Which connections are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flows {
    /// Those that were opened to this port, at this address or at any of the family that is this host's. Those to the
    /// same port of another host are not meant.
    To {
        /// The family of the addresses.
        family: Family,
        /// The IP protocol's number.
        protocol: u8,
        /// The address; none for all of this host.
        address: Option<IpAddr>,
        /// The port.
        port: u16,
    },
    /// Those of a protocol that are answered by this address.
    AnsweredBy {
        /// The IP protocol's number.
        protocol: u8,
        /// The address.
        address: IpAddr,
    },
}

/// An open connection to the kernel's table of connections in one network namespace. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Conntrack {
    socket: Socket,
    netns: Arc<Netns>,
    /// Opened when first asked whose an address is.
    routes: Arc<OnceLock<Netlink>>,
}

impl Conntrack {
    /// Opens a connection in the calling thread's network namespace, where it stays.
    ///
    /// # Errors
    /// [`Error::Socket`] when the system gives no socket, [`Error::Netns`] when `/proc` is not mounted.
    pub fn open() -> Result<Self, Error> {
        let netns = Arc::new(Netns::current()?);
        Ok(Self { socket: Socket::open()?, netns, routes: Arc::default() })
    }

    /// Forgets all connections that match one of `flows`, and returns how many there were. No flows is success.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn forget(&self, flows: &[Flows]) -> Result<usize, Error> {
        let mut forgotten = 0;
        for family in [Family::V4, Family::V6] {
            if flows.iter().any(|flows| flows.family() == family) {
                forgotten += self.forget_of(family, flows).await?;
            }
        }
        Ok(forgotten)
    }

    async fn forget_of(&self, family: Family, flows: &[Flows]) -> Result<usize, Error> {
        let failed = |source| Error::Netlink { action: "list connections".to_owned(), source };
        let request = Message::new(GET, 0, number(family), Attributes::new());
        let entries = self.socket.list(request).await.map_err(failed)?;
        let mut own = HashMap::new();
        let mut deletions = Vec::new();
        for entry in &entries {
            let is_meant = match Meant::by(flows, entry.attributes()) {
                Meant::No => false,
                Meant::Yes => true,
                Meant::IfOwn(address) => self.is_own(address, &mut own).await?,
            };
            if is_meant {
                deletions.extend(deletion(entry, family));
            }
        }
        for part in deletions.chunks(DELETIONS_A_REQUEST) {
            self.delete(part.to_vec()).await?;
        }
        Ok(deletions.len())
    }

    /// `own` remembers what was asked.
    async fn is_own(
        &self,
        address: IpAddr,
        own: &mut HashMap<IpAddr, bool>,
    ) -> Result<bool, Error> {
        if let Some(known) = own.get(&address) {
            return Ok(*known);
        }
        if self.routes.get().is_none() {
            // Another's that came first is as good.
            let _ = self.routes.set(Netlink::open_in(&self.netns)?);
        }
        let Some(routes) = self.routes.get() else { return Ok(true) };
        let is_own = locality::is_own_address(routes, address).await?;
        own.insert(address, is_own);
        Ok(is_own)
    }

    async fn delete(&self, deletions: Vec<Message>) -> Result<(), Error> {
        let failed = |source| Error::Netlink { action: "forget a connection".to_owned(), source };
        let outcome = self.socket.exchange(deletions).await.map_err(failed)?;
        match outcome.refusal {
            // It ended by itself meanwhile.
            None | Some((_, RequestError::Kernel { errno: Errno::NOENT, .. })) => Ok(()),
            Some((_, refusal)) => Err(failed(refusal)),
        }
    }
}

/// Whether an entry is to be forgotten.
enum Meant {
    No,
    Yes,
    /// Where the address is one of this host's.
    IfOwn(IpAddr),
}

impl Meant {
    fn by(flows: &[Flows], entry: &[u8]) -> Self {
        let mut all = flows.iter().filter(|flows| flows.match_entry(entry)).peekable();
        if all.peek().is_none() {
            return Self::No;
        }
        if all.any(|flows| !matches!(flows, Flows::To { address: None, .. })) {
            return Self::Yes;
        }
        destination(entry).map_or(Self::No, Self::IfOwn)
    }
}

impl Flows {
    fn family(&self) -> Family {
        match self {
            Self::To { family, .. } => *family,
            Self::AnsweredBy { address: IpAddr::V4(_), .. } => Family::V4,
            Self::AnsweredBy { address: IpAddr::V6(_), .. } => Family::V6,
        }
    }

    /// Whose the address is, where all of this host's are meant, is not asked here.
    fn match_entry(&self, entry: &[u8]) -> bool {
        let protocol = find_in(entry, &[ORIGINAL, TRANSPORT, PROTOCOL]).and_then(<[u8]>::first);
        match self {
            Self::To { family: _, protocol: wanted, address, port } => {
                let found = find_in(entry, &[ORIGINAL, TRANSPORT, DESTINATION_PORT]);
                protocol == Some(wanted)
                    && found == Some(port.to_be_bytes().as_slice())
                    && address.is_none_or(|address| destination(entry) == Some(address))
            }
            Self::AnsweredBy { protocol: wanted, address } => {
                protocol == Some(wanted) && answering(entry) == Some(*address)
            }
        }
    }
}

/// The attribute's address, IPv4 or IPv6.
fn address(entry: &[u8], tuple: u16, ipv4: u16, ipv6: u16) -> Option<IpAddr> {
    let addresses = find_in(entry, &[tuple, ADDRESSES])?;
    let v4 = find(addresses, ipv4).and_then(<[u8]>::first_chunk::<4>);
    let v6 = || find(addresses, ipv6).and_then(<[u8]>::first_chunk::<16>);
    match v4 {
        Some(octets) => Some(Ipv4Addr::from(*octets).into()),
        None => v6().map(|octets| Ipv6Addr::from(*octets).into()),
    }
}

/// The destination of the first packet.
fn destination(entry: &[u8]) -> Option<IpAddr> {
    address(entry, ORIGINAL, 2, 4)
}

/// The source of the answers.
fn answering(entry: &[u8]) -> Option<IpAddr> {
    address(entry, REPLY, 1, 3)
}

/// The entry is named by its first packet's addresses, in its zone.
fn deletion(entry: &Answer, family: Family) -> Option<Message> {
    use netlink_packet_core::NLM_F_REQUEST;
    let original = find(entry.attributes(), ORIGINAL)?;
    let attributes = Attributes::new().bytes(ORIGINAL | 0x8000, original);
    let attributes = attributes.maybe(ZONE, find(entry.attributes(), ZONE));
    Some(Message::new(DELETE, NLM_F_REQUEST, number(family), attributes))
}

/// `NFPROTO_IPV4`, `NFPROTO_IPV6`.
fn number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: [u8; 4], destination: [u8; 4], protocol: u8, port: u16) -> Attributes {
        let addresses = Attributes::new().bytes(1, &source).bytes(2, &destination);
        let transport = Attributes::new().bytes(1, &[protocol]).bytes(3, &port.to_be_bytes());
        Attributes::new().nested(ADDRESSES, &addresses).nested(TRANSPORT, &transport)
    }

    /// A client's datagram to port 53 of 192.0.2.1, answered by the pod 10.1.0.2.
    fn entry() -> Vec<u8> {
        let entry = Attributes::new()
            .nested(ORIGINAL, &tuple([198, 51, 100, 9], [192, 0, 2, 1], 17, 53))
            .nested(REPLY, &tuple([10, 1, 0, 2], [198, 51, 100, 9], 17, 4242));
        entry.written().unwrap().to_vec()
    }

    #[test]
    fn an_entry_is_told_by_its_original_destination() {
        let to = |protocol, address: Option<&str>, port| {
            let address = address.map(|text| text.parse().unwrap());
            Flows::To { family: Family::V4, protocol, address, port }.match_entry(&entry())
        };
        assert!(to(17, None, 53) && to(17, Some("192.0.2.1"), 53));
        assert!(!to(132, None, 53) && !to(17, None, 54) && !to(17, Some("192.0.2.2"), 53));
    }

    #[test]
    fn an_entry_is_told_by_who_answers() {
        let by = |protocol, address: &str| {
            let flows = Flows::AnsweredBy { protocol, address: address.parse().unwrap() };
            flows.match_entry(&entry())
        };
        assert!(by(17, "10.1.0.2"));
        assert!(!by(6, "10.1.0.2") && !by(17, "192.0.2.1"));
    }

    #[test]
    fn an_entry_without_addresses_matches_nothing() {
        let flows = Flows::AnsweredBy { protocol: 17, address: "10.1.0.2".parse().unwrap() };
        assert!(!flows.match_entry(&[]));
    }
}
