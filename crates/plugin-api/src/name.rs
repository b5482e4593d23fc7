//! The name of a plugin: a qualified name of Kubernetes, `kubenet` or `example.org/sdn`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::charset;

/// The longest vendor (a DNS subdomain), in bytes.
const LONGEST_VENDOR: usize = 253;
/// The longest name without its vendor, in bytes.
const LONGEST_NAME: usize = 63;

/// The name of a network plugin, checked.
///
/// An optional vendor and one `/`, then the name. The vendor is a lowercase DNS subdomain of at most 253 bytes; the
/// name has 1 to 63 of `A-Z a-z 0-9 - _ .` and begins and ends with a letter or digit.
///
/// Source: Kubernetes `validation.IsQualifiedName`.
///
/// ```
/// use podnet_plugin_api::PluginName;
///
/// let name: PluginName = "example.org/sdn".parse()?;
/// assert_eq!((name.vendor(), name.base()), (Some("example.org"), "sdn"));
/// assert!("Example/sdn".parse::<PluginName>().is_err(), "a vendor is a lowercase DNS name");
/// # Ok::<(), podnet_plugin_api::InvalidPluginName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginName(Cow<'static, str>);

impl PluginName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidPluginName`] quotes the name and says which rule it breaks.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidPluginName> {
        let name = name.into();
        match broken_rule(&name) {
            Some(rule) => Err(InvalidPluginName { name, rule }),
            None => Ok(Self(Cow::Owned(name))),
        }
    }

    /// A name that stands in the program, checked at compile time where it is made in a `const` or `static`.
    ///
    /// # Panics
    /// If the name is invalid.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(broken_rule(name).is_none(), "not a qualified name");
        Self(Cow::Borrowed(name))
    }

    /// The whole name, vendor included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `/`, if there is one.
    #[must_use]
    pub fn vendor(&self) -> Option<&str> {
        self.0.split_once('/').map(|(vendor, _)| vendor)
    }

    /// The name without its vendor.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, base)| base)
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for PluginName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginName {
    type Err = InvalidPluginName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl Serialize for PluginName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A text that is no [`PluginName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin name {name:?} is invalid: {rule}")]
pub struct InvalidPluginName {
    /// The text.
    pub name: String,
    /// The rule that it breaks.
    pub rule: NameRule,
}

/// A rule for qualified names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameRule {
    /// Nothing before the `/`, or nothing at all.
    #[error("neither the name nor the vendor before a '/' may be empty")]
    Empty,
    /// A second `/`.
    #[error("it has more than one '/', which separates the vendor from the name")]
    Slashes,
    /// The vendor is no DNS subdomain.
    #[error(
        "the vendor before the '/' must be a DNS name of lowercase letters, digits, '-' and '.' that begins and ends each part with a letter or digit"
    )]
    Vendor,
    /// Characters of the name.
    #[error(
        "it must consist of letters, digits, '-', '_' and '.', and begin and end with a letter or digit"
    )]
    Characters,
    /// Length of the name or the vendor.
    #[error("at most 63 characters, and at most 253 for a vendor before the '/'")]
    Length,
}

const fn broken_rule(name: &str) -> Option<NameRule> {
    let (vendor, base) = split_vendor(name.as_bytes());
    if let Some(vendor) = vendor
        && let Some(rule) = broken_vendor_rule(vendor)
    {
        return Some(rule);
    }
    broken_base_rule(base)
}

const fn broken_vendor_rule(vendor: &[u8]) -> Option<NameRule> {
    match vendor {
        [] => Some(NameRule::Empty),
        long if long.len() > LONGEST_VENDOR => Some(NameRule::Length),
        name if charset::is_dns_subdomain(name) => None,
        _ => Some(NameRule::Vendor),
    }
}

const fn broken_base_rule(base: &[u8]) -> Option<NameRule> {
    match base {
        [] => Some(NameRule::Empty),
        [first, .., last] if !(first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric()) => {
            Some(rule_of_characters(base))
        }
        [only] if !only.is_ascii_alphanumeric() => Some(rule_of_characters(base)),
        _ if !charset::is_word(base) => Some(rule_of_characters(base)),
        long if long.len() > LONGEST_NAME => Some(NameRule::Length),
        _ => None,
    }
}

const fn rule_of_characters(base: &[u8]) -> NameRule {
    match split_vendor(base) {
        (Some(_), _) => NameRule::Slashes,
        (None, _) => NameRule::Characters,
    }
}

/// Parts a name at its first `/`.
const fn split_vendor(name: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        if *first == b'/' {
            let (vendor, _) = name.split_at(name.len() - rest.len());
            return (Some(vendor), tail);
        }
        rest = tail;
    }
    (None, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualified_names_are_accepted() {
        let longest = format!("{}/{}", "v".repeat(253), "n".repeat(63));
        for name in ["kubenet", "a", "A_b.c-9", "kubernetes.io/no-op", "a.b-c.d/X", &longest] {
            assert_eq!(PluginName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        let cases = [
            ("", NameRule::Empty),
            ("/x", NameRule::Empty),
            ("x/", NameRule::Empty),
            ("a/b/c", NameRule::Slashes),
            ("a//c", NameRule::Slashes),
            ("MyCompany/sdn", NameRule::Vendor),
            ("a..b/sdn", NameRule::Vendor),
            ("-a/sdn", NameRule::Vendor),
            ("a-.b/sdn", NameRule::Vendor),
            ("a~b", NameRule::Characters),
            ("-", NameRule::Characters),
            (".hidden", NameRule::Characters),
            ("ends-", NameRule::Characters),
            ("naïve", NameRule::Characters),
            (&"n".repeat(64), NameRule::Length),
            (&format!("{}/n", "v".repeat(254)), NameRule::Length),
        ];
        for (name, rule) in cases {
            assert_eq!(PluginName::new(name).unwrap_err().rule, rule, "{name}");
        }
    }

    #[test]
    fn static_and_parsed_names_are_equal() {
        const NAME: PluginName = PluginName::from_static("kubernetes.io/no-op");
        assert_eq!(NAME, "kubernetes.io/no-op".parse().unwrap());
    }
}
