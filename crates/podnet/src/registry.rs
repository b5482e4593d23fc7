//! The plugins that were found on a node, and the choice of one by name.
//!
//! The names `kubernetes.io/no-op`, `cni`, `kubenet` and `exec` are podnet's own, whichever flavours a build has: an
//! exec plugin of such a name cannot be selected, and a warning says so.

#[cfg(feature = "exec")]
mod exec;

#[cfg(test)]
#[cfg(feature = "exec")]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podnet_plugin_api::{Candidate, NetworkPlugin, Selection, selection};

use crate::flavours::Flavour;

/// Where a flavour that is part of this build was found.
const BUILT_IN: &str = "built in";
/// Asks for the one exec plugin that there is.
const EXEC: &str = "exec";

/// Every network plugin that was found on a node. What it holds does not change when the node's folders do.
///
/// ```
/// use podnet::{NodeOptions, probe};
///
/// let mut options = NodeOptions::default();
/// options.network_plugin_dir = "/no/such/folder".into();
/// let found = probe(&options);
/// assert_eq!(found.select(Some("kubenet"))?.chosen.name, "kubenet");
/// assert_eq!(
///     found.select(Some("exec")).unwrap_err().to_string(),
///     "--network-plugin=exec: there is no exec plugin in /no/such/folder: put its program at \
///      /no/such/folder/NAME/NAME, or say where it is by --network-plugin-dir",
/// );
/// # Ok::<(), podnet::SelectionError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Registry {
    plugins: Vec<FoundPlugin>,
    /// Where exec plugins were looked for.
    exec_dir: Option<PathBuf>,
}

/// A network plugin that was found, or what was found in the place of one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FoundPlugin {
    /// Its name as found. Empty where the folder of plugins itself cannot be read.
    pub name: String,
    /// What kind of plugin it is.
    pub flavour: Flavour,
    /// Its program or folder; none where it is part of this build.
    pub path: Option<PathBuf>,
    /// Why it could not be used as it is, in one line.
    pub unusable: Option<String>,
    /// The plugin to select; none where it cannot have this name.
    candidate: Option<Candidate>,
}

/// No network plugin could be selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// The name is no plugin's name, or no plugin of this name was found.
    #[error("{source}{}", Looked(exec_dir.as_deref()))]
    Name {
        /// What is wrong, with the names that were found.
        source: selection::SelectionError,
        /// Where exec plugins were looked for.
        exec_dir: Option<PathBuf>,
    },
    /// `--network-plugin=exec`, and there is no exec plugin.
    #[error(
        "--network-plugin=exec: there is no exec plugin in {dir}: put its program at {dir}/NAME/NAME, or say where it is by --network-plugin-dir{}",
        Others(unusable),
        dir = dir.display()
    )]
    NoExec {
        /// Where it was looked for.
        dir: PathBuf,
        /// What is there and is no plugin, with the reason.
        unusable: Vec<String>,
    },
    /// `--network-plugin=exec`, and there are several exec plugins.
    #[error(
        "--network-plugin=exec: {} has several exec plugins, {}: choose one by its name, such as --network-plugin={}",
        dir.display(),
        found.join(", "),
        found.first().map_or("NAME", String::as_str)
    )]
    SeveralExec {
        /// Where they are.
        dir: PathBuf,
        /// Their names.
        found: Vec<String>,
    },
}

impl Registry {
    pub(crate) fn new(plugins: Vec<FoundPlugin>) -> Self {
        Self { plugins, exec_dir: None }
    }

    /// What was found: the flavours that are part of this build, then what the folder of exec plugins holds.
    pub fn iter(&self) -> impl Iterator<Item = &FoundPlugin> {
        self.plugins.iter()
    }

    /// What cannot be a plugin though it lies where plugins do. It does not keep another one from being used.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.plugins.iter().filter(|found| found.candidate.is_none()).map(FoundPlugin::complaint)
    }

    /// Selects the plugin of a name; the no-op plugin without one, and the only exec plugin for `exec`.
    ///
    /// A plugin whose program cannot be used can be selected all the same: its initialisation says why it fails.
    ///
    /// # Errors
    /// [`SelectionError`] says what was found, and where it was looked for.
    pub fn select(&self, requested: Option<&str>) -> Result<Selection, SelectionError> {
        let requested = match (requested, &self.exec_dir) {
            (Some(EXEC), Some(dir)) => Some(self.only_exec(dir)?),
            (requested, _) => requested,
        };
        let candidates = self.plugins.iter().filter_map(|found| found.candidate.clone());
        let exec_dir = self.exec_dir.clone();
        selection::select(candidates.collect(), requested)
            .map_err(|source| SelectionError::Name { source, exec_dir })
    }

    fn only_exec(&self, dir: &Path) -> Result<&str, SelectionError> {
        let exec = self.plugins.iter().filter(|found| found.flavour == Flavour::Exec);
        let (named, others): (Vec<_>, Vec<_>) = exec.partition(|found| found.candidate.is_some());
        let dir = dir.to_owned();
        match named.as_slice() {
            [only] => Ok(&only.name),
            [] => {
                let unusable = others.into_iter().map(FoundPlugin::complaint).collect();
                Err(SelectionError::NoExec { dir, unusable })
            }
            several => {
                let found = several.iter().map(|found| found.name.clone()).collect();
                Err(SelectionError::SeveralExec { dir, found })
            }
        }
    }
}

impl FoundPlugin {
    pub(crate) fn built_in(flavour: Flavour, plugin: Arc<dyn NetworkPlugin>) -> Self {
        let candidate = Candidate::new(BUILT_IN, plugin);
        let name = candidate.name.clone();
        Self { name, flavour, path: None, unusable: None, candidate: Some(candidate) }
    }

    /// Whether this is the plugin that was selected.
    #[must_use]
    pub fn is(&self, chosen: &Candidate) -> bool {
        self.candidate.as_ref().is_some_and(|own| Arc::ptr_eq(&own.plugin, &chosen.plugin))
    }

    fn complaint(&self) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new(&self.name));
        let reason = self.unusable.as_deref().unwrap_or("nobody knows why");
        format!("{} is no network plugin: {reason}", path.display())
    }
}

/// Where exec plugins were looked for, behind what was found.
struct Looked<'a>(Option<&'a Path>);

impl fmt::Display for Looked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(dir) => write!(f, " (exec plugins are looked for in {})", dir.display()),
            None => Ok(()),
        }
    }
}

/// What is no plugin, behind that there is none.
struct Others<'a>(&'a [String]);

impl fmt::Display for Others<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|other| write!(f, "; {other}"))
    }
}
