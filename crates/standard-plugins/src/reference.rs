//! Names as the reference makes them where a text is too long for a name.

use sha2::{Digest, Sha512};

/// A prefix, and as many hexadecimal digits of a text's SHA-512 as there is room for.
pub(crate) fn hashed_name(prefix: &str, length: usize, text: &str) -> String {
    let hash = Sha512::digest(text);
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
    prefix.chars().chain(digits).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_references() {
        // As the Go programs name a container's ifb and its chain of host ports.
        assert_eq!(hashed_name("bwp", 15, "netc1"), "bwp623e1c388032");
        assert_eq!(hashed_name("CNI-DN-", 28, "netweb"), "CNI-DN-437252eec243bd2aa31b9");
    }
}
