//! The configuration folder, read by the kubelet's rules.
//!
//! - Files that end in `.conf`, `.conflist` or `.json`, in the order of their names byte by byte. Folders below are not
//!   entered, save the one of a network's plugins.
//! - A `.conflist` is a list; any other file is one plugin's configuration and becomes a list of one.
//! - To a list, unless it says `loadOnlyInlinedPlugins`, come the plugins in `FOLDER/NETWORK/*.conf`, after its own. If
//!   one of these is broken, so is the network.
//! - A broken file is skipped, with the reason; so is one that gives a network a name that is taken.
//!
//! Only regular files, and links to them, are read, at most 1 MiB of each and at most [`MAX_FILES`] of them: whatever
//! lies in the folder, reading it ends.
//!
//! ```
//! use podnet_cni_plugin::conf_dir::{load, scan};
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("00-half.conflist"), r#"{"name": "pods", "#)?;
//! std::fs::write(folder.path().join("10-lo.conf"), r#"{"cniVersion": "1.0.0", "name": "lo", "type": "loopback"}"#)?;
//!
//! let scan = scan(folder.path());
//! assert_eq!(scan.networks[0].name().as_str(), "lo");
//! assert!(scan.skipped[0].to_string().contains("00-half.conflist: "));
//! assert_eq!(load(folder.path(), "lo")?, scan.networks[0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod file;
mod listing;
mod read;
mod reason;
mod stamp;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podnet_cni_spec::{NetworkConfigList, NetworkName};

pub use self::listing::MAX_FILES;
pub use self::reason::SkipReason;
pub(crate) use self::stamp::{Seen, Stamp};
use crate::conf_error::ConfError;

/// The endings of configuration files.
pub const ENDINGS: [&str; 3] = [".conf", ".conflist", ".json"];

/// A network and the file that it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The file; its folder may have added plugins.
    pub file: PathBuf,
    /// The network, with at least one plugin.
    pub list: NetworkConfigList,
}

impl Loaded {
    /// The network's name.
    #[must_use]
    pub fn name(&self) -> &NetworkName {
        &self.list.name
    }
}

/// A file that gives no network. Displayed as `FILE: REASON`.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// The file.
    pub file: PathBuf,
    /// Why not.
    pub reason: SkipReason,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

/// What a configuration folder holds.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Scan {
    /// The folder.
    pub folder: PathBuf,
    /// Why the folder was not read, or not whole.
    pub folder_problem: Option<SkipReason>,
    /// The networks in the order of their files' names, each name once. The first is the default.
    pub networks: Vec<Arc<Loaded>>,
    /// The files that give no network, in the order of their names.
    pub skipped: Vec<Skipped>,
    seen: Seen,
}

impl Scan {
    /// The network of this name.
    #[must_use]
    pub fn find(&self, name: &NetworkName) -> Option<&Arc<Loaded>> {
        self.networks.iter().find(|network| network.name() == name)
    }

    /// Whether anything that was looked at has been changed, added or removed since.
    pub(crate) fn is_outdated(&self) -> bool {
        self.seen.has_changed()
    }

    /// The folder, and those of its networks' plugins, whether they are there or not.
    pub(crate) fn folders_seen(&self) -> impl Iterator<Item = &Path> {
        self.seen.folders()
    }

    fn add(&mut self, file: PathBuf, names: &mut HashMap<NetworkName, PathBuf>) {
        match file::load(&file, &mut self.seen) {
            Ok(list) => match names.get(&list.name) {
                None => {
                    names.insert(list.name.clone(), file.clone());
                    self.networks.push(Arc::new(Loaded { file, list }));
                }
                Some(first) => {
                    let reason =
                        SkipReason::DuplicateName { network: list.name, first: first.clone() };
                    self.skipped.push(Skipped { file, reason });
                }
            },
            Err(reason) if reason.is_not_found() && !is_there(&file) => {}
            Err(reason) => self.skipped.push(Skipped { file, reason }),
        }
    }
}

fn is_there(file: &Path) -> bool {
    fs::symlink_metadata(file).is_ok()
}

/// Reads a configuration folder. Blocks for as long as the disk takes.
///
/// A missing folder is an empty one with a [`Scan::folder_problem`]. Nothing is logged: whoever reads again and again
/// knows better what is new.
#[must_use]
pub fn scan(folder: &Path) -> Scan {
    let mut scan = Scan { folder: folder.to_owned(), ..Scan::default() };
    scan.seen.folder(folder);
    match listing::config_files(folder, &ENDINGS) {
        Ok(listing) => {
            if listing.is_cut {
                scan.folder_problem = Some(SkipReason::TooManyFiles);
            }
            let mut names = HashMap::new();
            listing.files.into_iter().for_each(|file| scan.add(file, &mut names));
        }
        Err(error) => scan.folder_problem = Some(SkipReason::of_folder(error)),
    }
    scan
}

/// The network of a name in the folder, or of a file, for a command that takes either. Blocks.
///
/// What contains a `/` is a file. Anything else is a name, or, if there is no network of this name, a file with a
/// configuration's ending in the current folder.
///
/// # Errors
/// [`ConfError::UnknownNetwork`] says what the folder holds; [`ConfError::File`] what is wrong with the file.
pub fn load(folder: &Path, network: &str) -> Result<Arc<Loaded>, ConfError> {
    let file = Path::new(network);
    if network.contains('/') {
        return load_file(file).map(Arc::new);
    }
    let scan = scan(folder);
    let name = NetworkName::new(network).ok();
    if let Some(found) = name.and_then(|name| scan.find(&name).cloned()) {
        return Ok(found);
    }
    if listing::has_ending(file.as_os_str(), &ENDINGS) && is_there(file) {
        return load_file(file).map(Arc::new);
    }
    Err(ConfError::unknown(network, &scan, scan.networks.iter()))
}

/// The network of one file of any name, which may hold a list or a single plugin's configuration. Blocks.
///
/// # Errors
/// [`ConfError::File`].
pub fn load_file(file: &Path) -> Result<Loaded, ConfError> {
    match file::load_any(file) {
        Ok(list) => Ok(Loaded { file: file.to_owned(), list }),
        Err(reason) => Err(ConfError::File(Box::new(Skipped { file: file.to_owned(), reason }))),
    }
}
