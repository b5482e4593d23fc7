//! The error a plugin answers with: a code, a line for a person, details.

use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::go_json;
use crate::version::SpecVersion;

#[cfg(test)]
mod tests;

/// An error code of CNI 1.1.0, section 5. From 100 on a plugin may have its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// The plugin does not speak the configuration's version.
    pub const INCOMPATIBLE_VERSION: Self = Self(1);
    /// A field of the configuration is not supported; the message names it.
    pub const UNSUPPORTED_FIELD: Self = Self(2);
    /// The container is unknown or gone: a runtime need not clean up.
    pub const UNKNOWN_CONTAINER: Self = Self(3);
    /// A variable of the environment is missing or wrong; the message names it.
    pub const INVALID_ENVIRONMENT: Self = Self(4);
    /// Standard input could not be read.
    pub const IO_FAILURE: Self = Self(5);
    /// JSON could not be decoded.
    pub const DECODING_FAILURE: Self = Self(6);
    /// The network configuration is not valid.
    pub const INVALID_NETWORK_CONFIG: Self = Self(7);
    /// The network namespace is none, or the plugin's own. The Go library's number, not the specification's.
    pub const INVALID_NETNS: Self = Self(8);
    /// The operation may succeed when tried again.
    pub const TRY_AGAIN_LATER: Self = Self(11);
    /// STATUS: the plugin cannot serve an ADD.
    pub const PLUGIN_NOT_AVAILABLE: Self = Self(50);
    /// STATUS: the plugin cannot serve an ADD, and attached containers may have lost connectivity.
    pub const LIMITED_CONNECTIVITY: Self = Self(51);
    /// Anything else. The Go library's number, not the specification's.
    pub const INTERNAL: Self = Self(999);
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A plugin's error (CNI 1.1.0, section 5). Displayed as `msg` or `msg; details`, as Go does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CniError {
    /// What kind of failure.
    pub code: ErrorCode,
    /// One line for a person.
    pub msg: String,
    /// More of it, possibly empty.
    pub details: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorReply {
    code: Option<u32>,
    msg: Option<String>,
    details: String,
}

impl CniError {
    /// An error without details.
    #[must_use]
    pub fn new(code: ErrorCode, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: String::new() }
    }

    /// The same error with details.
    #[must_use]
    pub fn with_details(self, details: impl Into<String>) -> Self {
        Self { details: details.into(), ..self }
    }

    /// The error as a plugin prints it; `version` is that of the configuration, where known.
    #[must_use]
    pub fn to_json(&self, version: Option<SpecVersion>) -> Value {
        let mut object = json!({"code": self.code.0, "msg": self.msg});
        if let Some(fields) = object.as_object_mut() {
            if let Some(version) = version {
                fields.insert("cniVersion".to_owned(), version.as_str().into());
            }
            if !self.details.is_empty() {
                fields.insert("details".to_owned(), self.details.as_str().into());
            }
        }
        object
    }

    /// Reads what a plugin printed. `None` if it is no error: neither a code nor a message. An error
    /// without a code has code 999.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let reply: ErrorReply = go_json::decode(value).ok()?;
        if reply.code.is_none() && reply.msg.is_none() {
            return None;
        }
        Some(Self {
            code: reply.code.map_or(ErrorCode::INTERNAL, ErrorCode),
            msg: reply.msg.unwrap_or_default(),
            details: reply.details,
        })
    }
}

impl fmt::Display for CniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.msg.as_str(), self.details.as_str()) {
            ("", "") => write!(f, "error code {} without a message", self.code),
            (msg, "") => f.write_str(msg),
            ("", details) => f.write_str(details),
            (msg, details) => write!(f, "{msg}; {details}"),
        }
    }
}

impl std::error::Error for CniError {}
