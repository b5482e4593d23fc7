//! Where kubenet keeps its files.

use std::path::PathBuf;

/// Where kubenet keeps what must be found again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KubenetOptions {
    /// The folder of host-local's stores, one below it for each network. Shared with the Go plugins.
    pub networks_dir: PathBuf,
    /// A folder for locks, which may vanish at a reboot. It is made where missing.
    pub runtime_dir: PathBuf,
}

impl KubenetOptions {
    /// Options with these two folders.
    #[must_use]
    pub fn new(networks_dir: impl Into<PathBuf>, runtime_dir: impl Into<PathBuf>) -> Self {
        Self { networks_dir: networks_dir.into(), runtime_dir: runtime_dir.into() }
    }
}

impl Default for KubenetOptions {
    /// `/var/lib/cni/networks`, as host-local has it, and `/run/podnet`.
    fn default() -> Self {
        Self::new("/var/lib/cni/networks", "/run/podnet")
    }
}
