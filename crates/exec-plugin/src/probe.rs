//! Which plugins a folder holds.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use podnet_plugin_api::PluginName;

use crate::error::Error;
use crate::plugin::ExecPlugin;

/// What was found in a folder of plugins, in the order of the folders' names.
#[derive(Debug, Default)]
pub struct Probed {
    /// The plugins, none of them initialised. Their programs have not been looked at yet; see [`ExecPlugin::check`].
    pub plugins: Vec<ExecPlugin>,
    /// What cannot be a plugin though it lies where plugins do. For a warning: it does not concern the others.
    pub unusable: Vec<Unusable>,
}

/// Something that cannot be a plugin. Shown as `PATH: REASON`.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Unusable {
    /// The folder.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub reason: Error,
}

/// Finds the plugins in `dir` (kubelet `--network-plugin-dir`).
///
/// Every folder is one, and so is a link to a folder; files are passed over. The plugin's name is the folder's with
/// `/` for each `~`, so that `example.org~lab` is `example.org/lab`. A folder that does not exist has no plugins.
///
/// Nothing is executed, and no program is looked at.
#[must_use]
pub fn probe(dir: &Path) -> Probed {
    let mut probed = Probed::default();
    match entries(dir) {
        Ok(names) => {
            for found in names.iter().filter_map(|name| examine(dir, name)) {
                match found {
                    Ok(plugin) => probed.plugins.push(plugin),
                    Err(unusable) => probed.unusable.push(unusable),
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => probed.unusable.push(unreadable(dir.to_owned(), error)),
    }
    probed
}

fn entries(dir: &Path) -> io::Result<Vec<OsString>> {
    let names = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.file_name()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

/// The plugin of this entry; `None` for a file.
fn examine(dir: &Path, entry: &OsStr) -> Option<Result<ExecPlugin, Unusable>> {
    let path = dir.join(entry);
    match fs::metadata(&path) {
        Ok(found) if !found.is_dir() => None,
        Ok(_) => Some(match PluginName::new(entry.to_string_lossy().replace('~', "/")) {
            Ok(name) => Ok(ExecPlugin::new(name, dir, path)),
            Err(invalid) => Err(Unusable { path, reason: Error::Name(invalid) }),
        }),
        Err(error) => Some(Err(unreadable(path, error))),
    }
}

fn unreadable(path: PathBuf, source: io::Error) -> Unusable {
    Unusable { reason: Error::Unreadable { path: path.clone(), source }, path }
}
