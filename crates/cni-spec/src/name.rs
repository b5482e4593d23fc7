//! The names of the specification, checked once: whoever holds one need not look at it again.
//!
//! Each of them becomes a file name, a link name or an argument somewhere, so none of them can be
//! empty, longer than 255 bytes, or contain a path separator, a blank or a control character.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{CniError, ErrorCode};

#[cfg(test)]
mod tests;

/// The longest name accepted, in bytes: what a directory entry can hold.
pub const MAX_NAME_BYTES: usize = 255;
/// The longest interface name, in bytes: the kernel's `IFNAMSIZ` without its terminating zero.
pub const MAX_INTERFACE_BYTES: usize = 15;
/// How much of a refused name is quoted in its error, in characters.
const QUOTED_CHARACTERS: usize = 40;

/// Which kind of name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameKind {
    /// A network's name, the configuration's `name`.
    Network,
    /// A container's id, `CNI_CONTAINERID`.
    Container,
    /// An interface's name, `CNI_IFNAME`.
    Interface,
    /// A plugin's type, the configuration's `type`.
    PluginType,
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "network name",
            Self::Container => "container id",
            Self::Interface => "interface name",
            Self::PluginType => "plugin type",
        })
    }
}

/// Why a name was refused. The text in it is escaped and shortened, fit to be printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The name has no characters.
    #[error("the {kind} is empty")]
    Empty {
        /// What was being named.
        kind: NameKind,
    },
    /// The name has too many bytes.
    #[error("{kind} \"{text}\" is {length} bytes long: at most {limit} are allowed")]
    TooLong {
        /// What was being named.
        kind: NameKind,
        /// The beginning of the name.
        text: String,
        /// Its length in bytes.
        length: usize,
        /// The allowed length in bytes.
        limit: usize,
    },
    /// The name has a character that this kind must not have, or not at this place.
    #[error("{kind} \"{text}\" must not have {character:?} at position {position}: {rule}")]
    Character {
        /// What was being named.
        kind: NameKind,
        /// The beginning of the name.
        text: String,
        /// The first offending character.
        character: char,
        /// Its position, counted in characters from 1.
        position: usize,
        /// What is allowed.
        rule: &'static str,
    },
    /// The name is `.` or `..`, which mean directories.
    #[error("{kind} \"{text}\" is the name of a directory")]
    Directory {
        /// What was being named.
        kind: NameKind,
        /// The name.
        text: String,
    },
}

impl InvalidName {
    /// What was being named.
    #[must_use]
    pub fn kind(&self) -> NameKind {
        match self {
            Self::Empty { kind }
            | Self::TooLong { kind, .. }
            | Self::Character { kind, .. }
            | Self::Directory { kind, .. } => *kind,
        }
    }

    /// The error code the Go reference gives for this: 3 for an empty container id, 4 for what comes
    /// from a variable, 7 for what comes from the configuration.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match (self.kind(), self) {
            (NameKind::Container, Self::Empty { .. }) => ErrorCode::UNKNOWN_CONTAINER,
            (NameKind::Container | NameKind::Interface, _) => ErrorCode::INVALID_ENVIRONMENT,
            (NameKind::Network | NameKind::PluginType, _) => ErrorCode::INVALID_NETWORK_CONFIG,
        }
    }
}

impl From<InvalidName> for CniError {
    fn from(refused: InvalidName) -> Self {
        Self::new(refused.code(), refused.to_string())
    }
}

fn quoted(text: &str) -> String {
    let beginning: String = text.chars().take(QUOTED_CHARACTERS).collect();
    let dots = if beginning.len() < text.len() { "..." } else { "" };
    format!("{}{dots}", beginning.escape_default())
}

fn check_length(kind: NameKind, text: &str, limit: usize) -> Result<(), InvalidName> {
    match text.len() {
        0 => Err(InvalidName::Empty { kind }),
        length if length > limit => {
            Err(InvalidName::TooLong { kind, text: quoted(text), length, limit })
        }
        _ => Ok(()),
    }
}

/// Refuses the first character for which `allowed(position from 0, character)` is false.
fn check_characters(
    kind: NameKind,
    text: &str,
    rule: &'static str,
    allowed: impl Fn(usize, char) -> bool,
) -> Result<(), InvalidName> {
    match text.chars().enumerate().find(|(position, character)| !allowed(*position, *character)) {
        None => Ok(()),
        Some((position, character)) => Err(InvalidName::Character {
            kind,
            text: quoted(text),
            character,
            position: position + 1,
            rule,
        }),
    }
}

/// CNI 1.1.0, sections 1 and 2: `[A-Za-z0-9][A-Za-z0-9_.-]*`.
fn check_identifier(kind: NameKind, text: &str) -> Result<(), InvalidName> {
    check_length(kind, text, MAX_NAME_BYTES)?;
    let rule = "letters, digits, '_', '.' and '-' are allowed, the first a letter or a digit";
    check_characters(kind, text, rule, |position, character| {
        character.is_ascii_alphanumeric() || (position > 0 && matches!(character, '_' | '.' | '-'))
    })
}

/// The kernel's `dev_valid_name`, and no `%`, which the kernel takes for a template.
fn check_interface(kind: NameKind, text: &str) -> Result<(), InvalidName> {
    check_length(kind, text, MAX_INTERFACE_BYTES)?;
    if matches!(text, "." | "..") {
        return Err(InvalidName::Directory { kind, text: text.to_owned() });
    }
    let rule = "printable ASCII without blanks, '/', ':' and '%' is allowed";
    check_characters(kind, text, rule, |_, character| {
        character.is_ascii_graphic() && !matches!(character, '/' | ':' | '%')
    })
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $kind:ident by $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `text` and makes it a name.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                $check(NameKind::$kind, &text)?;
                Ok(Self(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

names! {
    /// A network's name: `[A-Za-z0-9][A-Za-z0-9_.-]*` (CNI 1.1.0, section 1).
    NetworkName: Network by check_identifier;
    /// A container's id: `[A-Za-z0-9][A-Za-z0-9_.-]*` (CNI 1.1.0, section 2, `CNI_CONTAINERID`).
    ContainerId: Container by check_identifier;
    /// An interface's name as Linux takes it: 1 to 15 bytes of printable ASCII without blanks, `/`,
    /// `:` and `%`, not `.` or `..` (CNI 1.1.0, section 2, `CNI_IFNAME`).
    InterfaceName: Interface by check_interface;
    /// A plugin's type, the name of its program: one path component, `[A-Za-z0-9][A-Za-z0-9_.-]*`.
    PluginType: PluginType by check_identifier;
}
