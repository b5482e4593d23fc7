//! The folders with CNI programs, as an option lists them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where runtimes look for CNI programs unless told otherwise.
const DEFAULT: &str = "/opt/cni/bin";

/// Folders with CNI programs in the order in which they are searched, at least one.
///
/// Read from a list separated by colons, as `CNI_PATH` has it, or by commas, as the kubelet's `--cni-bin-dir` had it.
///
/// ```
/// use podnet::BinDirs;
///
/// let dirs: BinDirs = "/opt/cni/bin,/usr/lib/cni".parse()?;
/// assert_eq!(dirs.to_string(), "/opt/cni/bin:/usr/lib/cni");
/// assert!(":,".parse::<BinDirs>().is_err(), "no folder");
/// # Ok::<(), podnet::bin_dirs::NoBinDir>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BinDirs(Vec<PathBuf>);

impl BinDirs {
    /// These folders; empty names are left out.
    ///
    /// # Errors
    /// [`NoBinDir`] where none is left.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> Result<Self, NoBinDir> {
        let folders = folders.into_iter().filter(|folder| !folder.as_os_str().is_empty());
        let folders: Vec<PathBuf> = folders.collect();
        if folders.is_empty() { Err(NoBinDir) } else { Ok(Self(folders)) }
    }

    /// The folders in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }
}

impl Default for BinDirs {
    /// `/opt/cni/bin`.
    fn default() -> Self {
        Self(vec![DEFAULT.into()])
    }
}

impl fmt::Display for BinDirs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, folder) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ":" };
            write!(f, "{separator}{}", folder.display())?;
        }
        Ok(())
    }
}

impl FromStr for BinDirs {
    type Err = NoBinDir;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        Self::new(list.split([':', ',']).map(|folder| PathBuf::from(folder.trim())))
    }
}

/// A list without a folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no folder is named: give at least one, such as {DEFAULT}; several are separated by ':' or ','"
)]
pub struct NoBinDir;
