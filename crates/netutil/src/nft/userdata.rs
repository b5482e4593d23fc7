//! Comments: user data of rules and elements, in the form in which `nft` reads and writes it (`libnftnl/udata.h`).

/// What a comment may hold, in bytes: the kernel keeps 256, of which type, length and the closing zero are three.
pub const COMMENT_BYTES: usize = 252;

const COMMENT: u8 = 0;

/// The user data that holds this comment; one that is too long is cut.
pub(super) fn encode(comment: &str) -> Vec<u8> {
    let end = (0..=COMMENT_BYTES).rev().find(|end| comment.is_char_boundary(*end));
    let words = comment.get(..end.unwrap_or_default()).unwrap_or(comment).as_bytes();
    let length = u8::try_from(words.len() + 1).unwrap_or(u8::MAX);
    [&[COMMENT, length], words, &[0]].concat()
}

/// The comment that user data holds.
pub(super) fn decode(mut data: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = data {
        let (value, next) = rest.split_at_checked(usize::from(*length))?;
        if *kind == COMMENT {
            return Some(crate::netfilter::attribute::text(value));
        }
        data = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_read_back() {
        for comment in ["", "abc", "podnet: kubenet", &"x".repeat(COMMENT_BYTES)] {
            assert_eq!(decode(&encode(comment)).as_deref(), Some(comment));
        }
    }

    #[test]
    fn a_comment_that_does_not_fit_is_cut_between_characters() {
        let long = format!("{}é", "x".repeat(COMMENT_BYTES - 1));
        let cut = decode(&encode(&long)).unwrap();
        assert_eq!(cut, "x".repeat(COMMENT_BYTES - 1));
    }

    #[test]
    fn other_user_data_is_skipped_and_lies_are_none() {
        assert_eq!(decode(&[7, 1, 9, 0, 2, b'a', 0]).as_deref(), Some("a"));
        assert_eq!(decode(&[0, 9, b'a']), None);
        assert_eq!(decode(&[]), None);
    }
}
