//! Where kubenet keeps its files, and whose plugins it runs.

use std::path::{Path, PathBuf};

use podnet_standard_plugins::PluginChoice;

/// Where the standard CNI programs are looked for first (Kubernetes page on network plugins, "kubenet").
const BIN_DIR: &str = "/opt/cni/bin";

/// Where kubenet keeps what must be found again, and which plugins it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KubenetOptions {
    /// The folder of host-local's stores, one below it for each network. Shared with the Go plugins.
    pub networks_dir: PathBuf,
    /// A folder for locks, which may vanish at a reboot. It is made where missing.
    pub runtime_dir: PathBuf,
    /// The folder with `results/`, where it is noted, in libcni's format, what each pod was promised: addresses, host
    /// ports, limits.
    pub cache_dir: PathBuf,
    /// Who runs `loopback`, `bridge` and `host-local`: the programs that are installed, or this process.
    pub plugins: PluginChoice,
    /// The folders in which the programs are looked for, the first match wins.
    pub bin_dirs: Vec<PathBuf>,
}

impl KubenetOptions {
    /// Options with these two folders; results are cached beside the first, and programs looked for in `/opt/cni/bin`.
    #[must_use]
    pub fn new(networks_dir: impl Into<PathBuf>, runtime_dir: impl Into<PathBuf>) -> Self {
        let networks_dir = networks_dir.into();
        let cache_dir = networks_dir.parent().unwrap_or(Path::new("/")).to_owned();
        Self {
            networks_dir,
            runtime_dir: runtime_dir.into(),
            cache_dir,
            plugins: PluginChoice::default(),
            bin_dirs: vec![BIN_DIR.into()],
        }
    }

    /// The same with this choice of plugins, and these folders with programs.
    #[must_use]
    pub fn with_plugins(self, plugins: PluginChoice, bin_dirs: Vec<PathBuf>) -> Self {
        Self { plugins, bin_dirs, ..self }
    }
}

impl Default for KubenetOptions {
    /// `/var/lib/cni/networks`, as host-local has it, and `/run/podnet`.
    fn default() -> Self {
        Self::new("/var/lib/cni/networks", "/run/podnet")
    }
}
