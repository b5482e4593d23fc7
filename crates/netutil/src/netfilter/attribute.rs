//! Netlink attributes: a length, a type, a value, padded to four bytes (`include/uapi/linux/netlink.h`, `nlattr`).

const HEADER_LENGTH: usize = 4;
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

/// Attributes being written. One that does not fit its length field spoils the whole, which the socket then refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Attributes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Appends a value as it is.
    #[must_use]
    pub(crate) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let Ok(length) = u16::try_from(HEADER_LENGTH + value.len()) else {
            self.too_long = true;
            return self;
        };
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Appends a text with its closing zero.
    #[must_use]
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let value = [value.as_bytes(), &[0]].concat();
        self.bytes(kind, &value)
    }

    /// Appends a number in network byte order, as netfilter has all of its own.
    #[must_use]
    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends attributes as the value of one.
    #[must_use]
    pub(crate) fn nested(mut self, kind: u16, inner: &Attributes) -> Self {
        self.too_long |= inner.too_long;
        self.bytes(kind | NESTED, &inner.bytes)
    }

    /// Appends attributes as the value of one, where there are any.
    #[must_use]
    pub(crate) fn maybe(self, kind: u16, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.bytes(kind, value),
            None => self,
        }
    }

    /// What was written; none where a value did not fit.
    pub(crate) fn written(&self) -> Option<&[u8]> {
        (!self.too_long).then_some(&self.bytes)
    }
}

/// The attributes of a message from the kernel: type and value. A lying length ends the walk.
pub(crate) fn walk(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [low, high, kind @ ..] = bytes.first_chunk::<HEADER_LENGTH>()?;
        let length = usize::from(u16::from_ne_bytes([*low, *high]));
        let value = bytes.get(HEADER_LENGTH..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes(*kind) & TYPE_MASK, value))
    })
}

/// The value of the first attribute of a type.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    walk(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// The value found by a path of types through nested attributes.
pub(crate) fn find_in<'a>(bytes: &'a [u8], path: &[u16]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, kind| find(bytes, *kind))
}

/// A text up to its closing zero.
pub(crate) fn text(value: &[u8]) -> String {
    let words = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(words).into_owned()
}

/// A number in network byte order.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().copied().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let inner = Attributes::new().number(1, 7).text(2, "abc");
        let outer = Attributes::new().bytes(3, &[9]).nested(4, &inner);
        let bytes = outer.written().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(find(bytes, 3), Some([9].as_slice()));
        assert_eq!(find_in(bytes, &[4, 1]).and_then(number), Some(7));
        assert_eq!(find_in(bytes, &[4, 2]).map(text).as_deref(), Some("abc"));
        assert_eq!(find_in(bytes, &[4, 5]), None);
    }

    #[test]
    fn a_value_that_does_not_fit_spoils_the_whole() {
        let long = Attributes::new().bytes(1, &vec![0; 65_532]);
        assert_eq!(long.written(), None);
        assert_eq!(Attributes::new().nested(1, &long).written(), None);
    }

    #[test]
    fn lying_lengths_end_the_walk() {
        for bytes in [&[][..], &[8, 0], &[0, 0, 1, 0, 9, 9], &[255, 255, 1, 0, 9]] {
            assert_eq!(walk(bytes).count(), 0, "{bytes:?}");
        }
    }
}
