//! The alphabets that Kubernetes and CNI allow in names.

/// One or more of `A-Z a-z 0-9 - _ .`.
pub(crate) const fn is_word(text: &[u8]) -> bool {
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        if !(first.is_ascii_alphanumeric() || matches!(first, b'-' | b'_' | b'.')) {
            return false;
        }
        rest = tail;
    }
    !text.is_empty()
}

/// Lowercase letters, digits and `-` in parts separated by dots; each part begins and ends with a letter or digit.
///
/// The length is for the caller to check.
pub(crate) const fn is_dns_subdomain(text: &[u8]) -> bool {
    let mut rest = text;
    let mut before = b'.';
    while let [byte, tail @ ..] = rest {
        let fits = match byte {
            b'a'..=b'z' | b'0'..=b'9' => true,
            b'-' => before != b'.',
            b'.' => before != b'.' && before != b'-',
            _ => false,
        };
        if !fits {
            return false;
        }
        before = *byte;
        rest = tail;
    }
    before != b'.' && before != b'-'
}
