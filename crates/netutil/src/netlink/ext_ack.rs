//! The kernel's own words: the extended acknowledgement that follows an error.

use rustix::io::Errno;

use crate::error::RequestError;

/// `NLM_F_CAPPED`: the original request's payload was left out of the error message.
const NLM_F_CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes follow the original request.
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSG_HEADER_LENGTH: usize = 16;
const ATTRIBUTE_HEADER_LENGTH: usize = 4;
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;

/// The refusal that an `NLMSG_ERROR` message carries.
///
/// `flags` are those of the message's header; `after_code` is what follows the error number: the header of the
/// original request, its payload unless capped, then attributes (`include/uapi/linux/netlink.h`, `nlmsgerr`).
pub(crate) fn refusal(raw_code: i32, flags: u16, after_code: &[u8]) -> RequestError {
    RequestError::Kernel {
        errno: Errno::from_raw_os_error(raw_code.saturating_abs()),
        text: text(flags, after_code),
    }
}

fn text(flags: u16, after_code: &[u8]) -> Option<String> {
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let skipped = if flags & NLM_F_CAPPED == 0 {
        usize::try_from(u32::from_ne_bytes(first_chunk(after_code)?)).ok()?
    } else {
        NLMSG_HEADER_LENGTH
    };
    message_attribute(after_code.get(align(skipped)..)?)
}

fn message_attribute(mut attributes: &[u8]) -> Option<String> {
    while let Some((length, rest)) = attributes.split_at_checked(2) {
        let length = usize::from(u16::from_ne_bytes(first_chunk(length)?));
        let kind = u16::from_ne_bytes(first_chunk(rest)?) & ATTRIBUTE_TYPE_MASK;
        let value = attributes.get(ATTRIBUTE_HEADER_LENGTH..length)?;
        if kind == NLMSGERR_ATTR_MSG {
            let words = value.split(|byte| *byte == 0).next().unwrap_or_default();
            return Some(String::from_utf8_lossy(words).into_owned());
        }
        attributes = attributes.get(align(length)..)?;
    }
    None
}

fn first_chunk<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk::<N>().copied()
}

fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(ATTRIBUTE_HEADER_LENGTH + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(value);
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    fn request_header(length: u32) -> Vec<u8> {
        let mut header = length.to_ne_bytes().to_vec();
        header.resize(NLMSG_HEADER_LENGTH, 0);
        header
    }

    #[test]
    fn text_follows_a_capped_request() {
        let mut bytes = request_header(999);
        bytes.extend(attribute(2, &[1, 0, 0, 0]));
        bytes.extend(attribute(NLMSGERR_ATTR_MSG, b"Nexthop has invalid gateway\0"));
        assert_eq!(
            text(NLM_F_CAPPED | NLM_F_ACK_TLVS, &bytes).as_deref(),
            Some("Nexthop has invalid gateway")
        );
    }

    #[test]
    fn text_follows_a_whole_request() {
        let mut bytes = request_header(20);
        bytes.extend([0; 4]);
        bytes.extend(attribute(NLMSGERR_ATTR_MSG, b"no\0"));
        assert_eq!(text(NLM_F_ACK_TLVS, &bytes).as_deref(), Some("no"));
    }

    #[test]
    fn truncated_or_lying_attributes_give_no_text() {
        for bytes in [vec![], request_header(4_000_000_000), {
            let mut bytes = request_header(16);
            bytes.extend([255, 255, 1, 0, b'x']);
            bytes
        }] {
            assert_eq!(text(NLM_F_ACK_TLVS, &bytes), None);
        }
    }

    #[test]
    fn an_attribute_of_length_zero_ends_the_walk() {
        let mut bytes = request_header(16);
        bytes.extend([0, 0, 2, 0, 0, 0, 0, 0]);
        assert_eq!(text(NLM_F_ACK_TLVS, &bytes), None);
    }
}
