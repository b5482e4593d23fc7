//! The folders in which plugins are looked for.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use podnet_cni_spec::PluginType;

use crate::ExecError;

/// An ordered list of folders; a plugin is the first regular file in them that has its type's name.
///
/// What `CNI_PATH` carries. A [`PluginType`] is a single path component, so that nothing outside
/// these folders is ever found, unless a folder holds a symbolic link to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchPath {
    directories: Vec<PathBuf>,
}

impl SearchPath {
    /// The given folders, in this order; empty names are left out, for they would mean the current
    /// folder.
    ///
    /// A folder with a `:` in its name is searched, but a plugin that reads `CNI_PATH` to delegate
    /// sees it as two.
    #[must_use]
    pub fn new(directories: Vec<PathBuf>) -> Self {
        let named = |directory: &PathBuf| !directory.as_os_str().is_empty();
        Self { directories: directories.into_iter().filter(named).collect() }
    }

    /// Reads a list separated by colons, as `CNI_PATH` has it.
    #[must_use]
    pub fn parse(list: &OsStr) -> Self {
        Self::new(std::env::split_paths(list).collect())
    }

    /// The folders, in the order in which they are searched.
    #[must_use]
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The program of a plugin: the first regular file, or link to one, of this name.
    ///
    /// Whether it may be executed is left to the attempt, as in the reference implementation.
    ///
    /// # Errors
    /// [`ExecError::NotFound`], which names the folders searched.
    pub fn find(&self, plugin: &PluginType) -> Result<PathBuf, ExecError> {
        self.directories
            .iter()
            .map(|directory| directory.join(plugin.as_str()))
            .find(|program| is_regular_file(program))
            .ok_or_else(|| ExecError::NotFound {
                plugin: plugin.clone(),
                searched: self.directories.clone(),
            })
    }

    /// The list separated by colons, for `CNI_PATH`.
    #[must_use]
    pub fn to_os_string(&self) -> OsString {
        let names: Vec<&OsStr> = self.directories.iter().map(|path| path.as_os_str()).collect();
        names.join(OsStr::new(":"))
    }
}

fn is_regular_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(file: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(file), "").unwrap();
        folder
    }

    fn bridge() -> PluginType {
        PluginType::new("bridge").unwrap()
    }

    #[test]
    fn first_match_wins() {
        let (other, first, second) =
            (folder_with("loopback"), folder_with("bridge"), folder_with("bridge"));
        let folders = [&other, &first, &second].map(|folder| folder.path().to_owned());
        let found = SearchPath::new(folders.to_vec()).find(&bridge()).unwrap();
        assert_eq!(found, first.path().join("bridge"));
    }

    #[test]
    fn what_is_no_regular_file_is_passed_over() {
        let (first, second) = (tempfile::tempdir().unwrap(), folder_with("bridge"));
        std::fs::create_dir(first.path().join("bridge")).unwrap();
        let search = SearchPath::new(vec![first.path().to_owned(), second.path().to_owned()]);
        assert_eq!(search.find(&bridge()).unwrap(), second.path().join("bridge"));
    }

    #[test]
    fn a_link_to_a_program_is_followed_and_a_dangling_one_is_not() {
        let (folder, target) = (tempfile::tempdir().unwrap(), folder_with("podnet-cni"));
        let search = SearchPath::new(vec![folder.path().to_owned()]);
        let link = folder.path().join("bridge");
        std::os::unix::fs::symlink(target.path().join("podnet-cni"), &link).unwrap();
        assert_eq!(search.find(&bridge()).unwrap(), link);
        drop(target);
        assert!(search.find(&bridge()).is_err());
    }

    #[test]
    fn not_found_names_the_folders_searched() {
        let search = SearchPath::parse(OsStr::new("/no/such:/neither/this"));
        let message = search.find(&bridge()).unwrap_err().to_string();
        assert!(message.contains("bridge"), "{message}");
        assert!(message.contains("/no/such, /neither/this"), "{message}");
    }

    #[test]
    fn an_empty_search_path_says_so() {
        let message = SearchPath::default().find(&bridge()).unwrap_err().to_string();
        assert!(message.contains("no folder"), "{message}");
    }

    #[test]
    fn a_type_name_is_never_a_path() {
        for name in ["/bin/sh", "../bin/sh", "./sh", "a/b", "..", ".", ""] {
            assert!(PluginType::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn empty_folders_are_left_out_and_the_order_is_kept() {
        let search = SearchPath::parse(OsStr::new(":/opt/cni/bin::/usr/lib/cni:"));
        assert_eq!(search.directories(), [Path::new("/opt/cni/bin"), Path::new("/usr/lib/cni")]);
        assert_eq!(search.to_os_string(), "/opt/cni/bin:/usr/lib/cni");
    }
}
