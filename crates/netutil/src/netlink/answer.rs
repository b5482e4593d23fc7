//! A message from the kernel, as it comes.

use netlink_packet_core::{NetlinkDeserializable as _, NetlinkHeader};
use netlink_packet_route::RouteNetlinkMessage;

use crate::error::RequestError;

/// A message from the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// What follows the netlink header.
    pub(crate) payload: Vec<u8>,
}

impl Answer {
    /// The messages of a datagram. One that is cut off ends the walk.
    pub(crate) fn all(mut datagram: &[u8]) -> Vec<Self> {
        let mut answers = Vec::new();
        while let Some((answer, rest)) = Self::first(datagram) {
            answers.push(answer);
            datagram = rest;
        }
        answers
    }

    fn first(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = bytes.first_chunk::<16>()?;
        let length = usize::try_from(u32::from_ne_bytes([*l0, *l1, *l2, *l3])).ok()?;
        let answer = Self {
            kind: u16::from_ne_bytes([*k0, *k1]),
            flags: u16::from_ne_bytes([*f0, *f1]),
            sequence: u32::from_ne_bytes([*s0, *s1, *s2, *s3]),
            payload: bytes.get(16..length)?.to_vec(),
        };
        Some((answer, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
    }

    /// The attributes behind netfilter's header.
    pub(crate) fn attributes(&self) -> &[u8] {
        self.payload.get(4..).unwrap_or_default()
    }

    /// The message as one of routing netlink.
    pub(crate) fn decode(&self) -> Result<RouteNetlinkMessage, RequestError> {
        let mut header = NetlinkHeader::default();
        header.message_type = self.kind;
        RouteNetlinkMessage::deserialize(&header, &self.payload).map_err(|error| {
            RequestError::Malformed(format!("the kernel's answer cannot be read: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_cut_off_is_none() {
        let mut bytes = 20_u32.to_ne_bytes().to_vec();
        bytes.resize(20, 1);
        assert_eq!(Answer::all(&[bytes.clone(), bytes.clone()].concat()).len(), 2);
        assert!(Answer::all(&bytes[..19]).is_empty());
        assert!(Answer::all(&[0; 16]).is_empty());
    }
}
