//! The versions of the specification, and what a plugin says it speaks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{CniError, ErrorCode};
use crate::go_json;

#[cfg(test)]
mod tests;

/// A released version of the specification that this crate reads and writes, ordered by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say all")]
pub enum SpecVersion {
    V0_1_0,
    V0_2_0,
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

impl SpecVersion {
    /// The newest version.
    pub const LATEST: Self = Self::V1_1_0;
    /// Every version, the oldest first.
    pub const ALL: &'static [Self] = &[
        Self::V0_1_0,
        Self::V0_2_0,
        Self::V0_3_0,
        Self::V0_3_1,
        Self::V0_4_0,
        Self::V1_0_0,
        Self::V1_1_0,
    ];

    /// The version as `cniVersion` has it, `"1.1.0"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }
}

/// A `cniVersion` that this crate does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cniVersion {0:?} is not supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0 are"
)]
pub struct UnsupportedVersion(pub String);

impl From<UnsupportedVersion> for CniError {
    fn from(unsupported: UnsupportedVersion) -> Self {
        Self::new(ErrorCode::INCOMPATIBLE_VERSION, unsupported.to_string())
    }
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SpecVersion {
    type Err = UnsupportedVersion;

    fn from_str(text: &str) -> Result<Self, UnsupportedVersion> {
        let known = Self::ALL.iter().copied().find(|version| version.as_str() == text);
        known.ok_or_else(|| UnsupportedVersion(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for SpecVersion {
    type Error = UnsupportedVersion;

    fn try_from(text: String) -> Result<Self, UnsupportedVersion> {
        text.parse()
    }
}

impl From<SpecVersion> for String {
    fn from(version: SpecVersion) -> Self {
        version.as_str().to_owned()
    }
}

/// Numbers of a dotted version of at most three parts, as Go's libcni compares them.
///
/// # Errors
/// Code 6 if a part is no number or there are more than three.
pub(crate) fn version_numbers(text: &str) -> Result<[u32; 3], CniError> {
    let refused = || {
        let msg = format!("cannot read version {text:?}: numbers separated by dots are expected");
        CniError::new(ErrorCode::DECODING_FAILURE, msg)
    };
    let mut parts = text.split('.');
    let mut numbers = [0; 3];
    for number in &mut numbers {
        let Some(part) = parts.next() else { break };
        *number = part.parse().map_err(|_| refused())?;
    }
    if parts.next().is_some() { Err(refused()) } else { Ok(numbers) }
}

/// A plugin's answer to VERSION (CNI 1.1.0, section 2).
///
/// The versions are text, because a plugin may speak one that this crate does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginVersions {
    /// The version of the answer itself.
    pub cni_version: String,
    /// The versions the plugin speaks.
    pub supported: Vec<String>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct VersionReply {
    cni_version: String,
    supported_versions: Vec<String>,
}

impl PluginVersions {
    /// The answer of a plugin that speaks these versions.
    #[must_use]
    pub fn new(supported: &[SpecVersion]) -> Self {
        let newest = supported.iter().max().copied().unwrap_or(SpecVersion::LATEST);
        Self {
            cni_version: newest.to_string(),
            supported: supported.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether the plugin speaks `version`.
    #[must_use]
    pub fn supports(&self, version: SpecVersion) -> bool {
        self.supported.iter().any(|supported| supported == version.as_str())
    }

    /// The answer as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"cniVersion": self.cni_version, "supportedVersions": self.supported})
    }

    /// Reads an answer. One of version 0.2.0 without a list means 0.1.0 and 0.2.0.
    ///
    /// # Errors
    /// Code 6 if it is no answer to VERSION, or has no versions.
    pub fn from_json(value: &Value) -> Result<Self, CniError> {
        let refused = |why: String| {
            let msg = format!("cannot read the plugin's answer to VERSION: {why}");
            CniError::new(ErrorCode::DECODING_FAILURE, msg)
        };
        let reply: VersionReply =
            go_json::decode(value).map_err(|error| refused(error.to_string()))?;
        let VersionReply { cni_version, supported_versions: mut supported } = reply;
        if cni_version.is_empty() {
            return Err(refused("it has no cniVersion".to_owned()));
        }
        if supported.is_empty() {
            if cni_version != SpecVersion::V0_2_0.as_str() {
                return Err(refused("it has no supportedVersions".to_owned()));
            }
            supported = vec!["0.1.0".to_owned(), "0.2.0".to_owned()];
        }
        Ok(Self { cni_version, supported })
    }
}
