//! Where the cni flavour finds and keeps what it needs.

use std::path::PathBuf;
use std::time::Duration;

use podnet_cni_invoke::SearchPath;

use crate::cache::DEFAULT_CACHE_DIR;

/// Half of the two minutes that the kubelet gives a request, so that the other half remains for an undo.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where the cni flavour finds and keeps what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CniOptions {
    /// The folder with network configurations (kubelet `--cni-conf-dir`). It need not exist yet.
    pub conf_dir: PathBuf,
    /// The folders with CNI programs (kubelet `--cni-bin-dir`).
    pub bin_dirs: SearchPath,
    /// The folder of the result cache, shared with runtimes in Go: attachments are in `results` below it. It is made
    /// where missing.
    pub cache_dir: PathBuf,
    /// A folder for locks, which may vanish at a reboot. It is made where missing.
    pub runtime_dir: PathBuf,
    /// How long a pod is waited for that another operation works on, how long one network may take to attach or detach
    /// it, and how long the undo may take besides; 60 s unless set.
    pub timeout: Duration,
}

impl CniOptions {
    /// Options with these folders of the operator's, and the others where runtimes have them: `/var/lib/cni`, and
    /// `/run/podnet`.
    #[must_use]
    pub fn new(conf_dir: impl Into<PathBuf>, bin_dirs: SearchPath) -> Self {
        Self {
            conf_dir: conf_dir.into(),
            bin_dirs,
            cache_dir: DEFAULT_CACHE_DIR.into(),
            runtime_dir: "/run/podnet".into(),
            timeout: TIMEOUT,
        }
    }
}

impl Default for CniOptions {
    /// `/etc/cni/net.d` and `/opt/cni/bin`, the kubelet's defaults.
    fn default() -> Self {
        Self::new("/etc/cni/net.d", SearchPath::new(vec!["/opt/cni/bin".into()]))
    }
}
