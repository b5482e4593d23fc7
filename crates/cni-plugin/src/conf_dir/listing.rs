//! Which files of a folder are configurations.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many configuration files of a folder are read, the first ones by name.
pub const MAX_FILES: usize = 20_000;

/// Configuration files in the order of their names.
pub(super) struct Listing {
    pub(super) files: Vec<PathBuf>,
    /// There are more than [`MAX_FILES`].
    pub(super) is_cut: bool,
}

/// The entries, of whatever kind, whose names end so. No more names are held than are returned, however many there are.
pub(super) fn config_files(folder: &Path, endings: &[&str]) -> io::Result<Listing> {
    let mut names: BTreeSet<OsString> = BTreeSet::new();
    let mut is_cut = false;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if has_ending(&name, endings) {
            names.insert(name);
        }
        if names.len() > MAX_FILES {
            names.pop_last();
            is_cut = true;
        }
    }
    Ok(Listing { files: names.into_iter().map(|name| folder.join(name)).collect(), is_cut })
}

/// As Go's `filepath.Ext` has it: the name of a hidden file may be nothing but the ending.
pub(super) fn has_ending(name: &OsStr, endings: &[&str]) -> bool {
    endings.iter().any(|ending| name.as_bytes().ends_with(ending.as_bytes()))
}
