//! What a plugin says of itself, and what it is called with.

use std::path::PathBuf;

use podnet_cni_spec::{PluginVersions, Request, SpecVersion};

/// A plugin: its name and the versions it speaks.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// Its type, the name of its program.
    pub name: &'static str,
    /// One line for a person who starts it by hand.
    pub about: String,
    /// The versions of the specification it speaks.
    pub versions: &'static [SpecVersion],
}

/// One call, complete and valid.
#[derive(Debug, Clone)]
pub struct Call {
    /// What to do, to which attachment, with which configuration. `ADD` and `CHECK` have an
    /// attachment with a namespace; `DEL` has an attachment; `GC` and `STATUS` have none.
    pub request: Request,
    /// `CNI_PATH`: the folders in which to look for plugins to delegate to.
    pub plugin_path: Vec<PathBuf>,
}

impl Plugin {
    pub(crate) fn newest_version(&self) -> SpecVersion {
        self.versions.iter().max().copied().unwrap_or(SpecVersion::LATEST)
    }

    /// The versions in words, `0.4.0, 1.0.0`.
    pub(crate) fn spoken_versions(&self) -> String {
        PluginVersions::new(self.versions).supported.join(", ")
    }
}
