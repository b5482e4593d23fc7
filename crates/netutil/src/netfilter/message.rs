//! Messages of netfilter: a netlink header, netfilter's own (`nfgenmsg`), attributes.

use super::attribute::Attributes;

const HEADER_LENGTH: usize = 20;

/// A message to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Subsystem in the high byte, message in the low one.
    pub(crate) kind: u16,
    /// Netlink's flags.
    pub(crate) flags: u16,
    /// The protocol family (`NFPROTO_*`).
    pub(crate) family: u8,
    /// For a batch's begin and end the subsystem, else zero.
    pub(crate) resource: u16,
    /// What it says.
    pub(crate) attributes: Attributes,
}

impl Message {
    pub(crate) fn new(kind: u16, flags: u16, family: u8, attributes: Attributes) -> Self {
        Self { kind, flags, family, resource: 0, attributes }
    }

    /// The bytes of the message; none where it is longer than its length fields can say.
    pub(crate) fn encode(&self, sequence: u32) -> Option<Vec<u8>> {
        let attributes = self.attributes.written()?;
        let length = u32::try_from(HEADER_LENGTH + attributes.len()).ok()?;
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        // The port of the sender: the kernel knows it.
        bytes.extend([0; 4]);
        // `nfgenmsg`: family, version 0, resource in network byte order.
        bytes.extend([self.family, 0]);
        bytes.extend(self.resource.to_be_bytes());
        bytes.extend(attributes);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Answer;

    #[test]
    fn a_message_is_read_back_from_its_bytes() {
        let message = Message::new(0x0a03, 5, 1, Attributes::new().text(1, "podnet"));
        let bytes = message.encode(77).unwrap();
        let answers = Answer::all(&[bytes.clone(), bytes].concat());
        assert_eq!(answers.len(), 2);
        assert_eq!((answers[1].kind, answers[1].flags, answers[1].sequence), (0x0a03, 5, 77));
        assert_eq!(answers[1].attributes(), message.attributes.written().unwrap());
    }
}
