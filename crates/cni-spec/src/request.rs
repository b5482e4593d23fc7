//! One call of a plugin: what a runtime sends and a plugin gets, as one value.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::args::CniArgs;
use crate::config::PluginConfig;
use crate::error::{CniError, ErrorCode};
use crate::name::{ContainerId, InterfaceName};
use crate::version::SpecVersion;

#[cfg(test)]
mod tests;

/// An operation, the value of `CNI_COMMAND` (CNI 1.1.0, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// Attach a container to the network, or change its attachment.
    Add,
    /// Undo an ADD; twice is success.
    Del,
    /// Is the attachment as ADD left it? Since 0.4.0.
    Check,
    /// Remove what belongs to no valid attachment. Since 1.1.0.
    Gc,
    /// Can the plugin serve an ADD? Since 1.1.0.
    Status,
    /// Which versions does the plugin speak?
    Version,
}

impl Verb {
    /// Every verb.
    pub const ALL: &'static [Self] =
        &[Self::Add, Self::Del, Self::Check, Self::Gc, Self::Status, Self::Version];

    /// The verb as `CNI_COMMAND` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    /// The first version of the specification that has this verb.
    #[must_use]
    pub fn since(self) -> SpecVersion {
        match self {
            // VERSION came with 0.2.0, but is asked before any version is known.
            Self::Add | Self::Del | Self::Version => SpecVersion::V0_1_0,
            Self::Check => SpecVersion::V0_4_0,
            Self::Gc | Self::Status => SpecVersion::V1_1_0,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Verb {
    type Err = CniError;

    fn from_str(text: &str) -> Result<Self, CniError> {
        let known = Self::ALL.iter().copied().find(|verb| verb.as_str() == text);
        // Runtimes know a plugin older than VERSION by this very text.
        let unknown = || {
            let msg = format!("unknown CNI_COMMAND: {}", text.escape_default());
            CniError::new(ErrorCode::INVALID_ENVIRONMENT, msg)
        };
        known.ok_or_else(unknown)
    }
}

/// One interface of one container on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// `CNI_CONTAINERID`.
    pub container_id: ContainerId,
    /// `CNI_IFNAME`, the interface inside the container.
    pub interface: InterfaceName,
    /// `CNI_NETNS`. A DEL may come without, when the namespace is gone.
    pub netns: Option<PathBuf>,
    /// `CNI_ARGS`.
    pub args: CniArgs,
}

/// A verb with all that a plugin needs to carry it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to do.
    pub verb: Verb,
    /// To which attachment; none for GC, STATUS and VERSION.
    pub attachment: Option<Attachment>,
    /// The plugin's configuration, `prevResult` and `runtimeConfig` included.
    pub config: PluginConfig,
}

impl Request {
    /// The attachment.
    ///
    /// # Errors
    /// Code 4 if the request has none.
    pub fn attachment(&self) -> Result<&Attachment, CniError> {
        self.attachment.as_ref().ok_or_else(|| self.missing("CNI_CONTAINERID and CNI_IFNAME"))
    }

    /// The path of the container's network namespace.
    ///
    /// # Errors
    /// Code 4 if the request has none.
    pub fn netns(&self) -> Result<&Path, CniError> {
        self.attachment()?.netns.as_deref().ok_or_else(|| self.missing("CNI_NETNS"))
    }

    fn missing(&self, variables: &str) -> CniError {
        let msg = format!("{} needs {variables}, which the request does not have", self.verb);
        CniError::new(ErrorCode::INVALID_ENVIRONMENT, msg)
    }

    /// The variables by which the request is passed to a process, but for `CNI_PATH`, which is the
    /// caller's to know. Without a namespace `CNI_NETNS` is empty, without arguments `CNI_ARGS` is.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![("CNI_COMMAND", OsString::from(self.verb.as_str()))];
        if let Some(attachment) = &self.attachment {
            let netns = attachment.netns.clone().unwrap_or_default();
            variables.extend([
                ("CNI_CONTAINERID", attachment.container_id.as_str().into()),
                ("CNI_NETNS", netns.into_os_string()),
                ("CNI_IFNAME", attachment.interface.as_str().into()),
                ("CNI_ARGS", attachment.args.to_string().into()),
            ]);
        }
        variables
    }
}
