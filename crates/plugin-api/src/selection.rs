//! Which of the plugins that were found a node uses.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::name::{InvalidPluginName, PluginName};
use crate::nearest::nearest;
use crate::plugin::NetworkPlugin;

/// The plugin that serves where none is asked for by name.
pub const DEFAULT_PLUGIN: PluginName = PluginName::from_static("kubernetes.io/no-op");

/// A plugin that was found, before anybody checked it.
#[derive(Clone)]
pub struct Candidate {
    /// Its name as found: a folder's, say. Not checked yet.
    pub name: String,
    /// Where it was found, for a person: `built in`, or a path.
    pub origin: String,
    /// The plugin, made and not initialised.
    pub plugin: Arc<dyn NetworkPlugin>,
}

impl Candidate {
    /// A plugin under the name that it has itself.
    pub fn new(origin: impl Into<String>, plugin: Arc<dyn NetworkPlugin>) -> Self {
        Self { name: plugin.name().to_string(), origin: origin.into(), plugin }
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Candidate");
        fields.field("name", &self.name).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The selected plugin, and what is wrong with those beside it.
#[derive(Debug)]
pub struct Selection {
    /// The one to initialise and use.
    pub chosen: Candidate,
    /// What an operator should hear of, though it does not keep the chosen one from working.
    pub warnings: Vec<SelectionWarning>,
}

/// Something wrong with a plugin that was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionWarning {
    /// Its name is none; nobody can select it.
    #[error("network plugin from {origin} is ignored: {reason}")]
    InvalidName {
        /// Where it was found.
        origin: String,
        /// What is wrong with the name.
        reason: InvalidPluginName,
    },
    /// Another one of this name was found before it, and is the one that counts.
    #[error("network plugin {name} from {origin} is ignored: one of this name was found before it")]
    Duplicate {
        /// The name of both.
        name: PluginName,
        /// Where the second one was found.
        origin: String,
    },
}

/// No plugin could be selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// What is asked for is no name of a plugin.
    #[error("cannot select a network plugin: {0}")]
    InvalidName(#[source] InvalidPluginName),
    /// No plugin of this name was found.
    #[error("no network plugin is called {requested}: {}", Found { found, suggestion: suggestion.as_ref() })]
    NotFound {
        /// The name asked for.
        requested: PluginName,
        /// The names that there are.
        found: Vec<PluginName>,
        /// The one that may have been meant.
        suggestion: Option<PluginName>,
    },
}

/// Selects the plugin called `requested`; with no name or an empty one, [`DEFAULT_PLUGIN`].
///
/// Of two candidates of one name the first counts. A candidate whose name is invalid, and the second of a name, are
/// warnings and do not keep another one from being selected.
///
/// Source: kubelet `InitNetworkPlugin`, except that it took a badly named neighbour for a failure.
///
/// # Errors
/// [`SelectionError`]: the name is invalid, or not among the candidates.
pub fn select(
    candidates: Vec<Candidate>,
    requested: Option<&str>,
) -> Result<Selection, SelectionError> {
    let requested = requested_name(requested)?;
    let (usable, warnings) = sort_out(candidates);
    let found: Vec<PluginName> = usable.iter().map(|(name, _)| name.clone()).collect();
    match usable.into_iter().find(|(name, _)| *name == requested) {
        Some((_, chosen)) => Ok(Selection { chosen, warnings }),
        None => Err(not_found(requested, found)),
    }
}

fn requested_name(requested: Option<&str>) -> Result<PluginName, SelectionError> {
    match requested.filter(|name| !name.is_empty()) {
        Some(name) => PluginName::new(name).map_err(SelectionError::InvalidName),
        None => Ok(DEFAULT_PLUGIN),
    }
}

type Named = (PluginName, Candidate);

fn sort_out(candidates: Vec<Candidate>) -> (Vec<Named>, Vec<SelectionWarning>) {
    let (mut usable, mut warnings, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for candidate in candidates {
        let origin = candidate.origin.clone();
        match PluginName::new(candidate.name.as_str()) {
            Err(reason) => warnings.push(SelectionWarning::InvalidName { origin, reason }),
            Ok(name) if !seen.insert(name.clone()) => {
                warnings.push(SelectionWarning::Duplicate { name, origin });
            }
            Ok(name) => usable.push((name, candidate)),
        }
    }
    (usable, warnings)
}

fn not_found(requested: PluginName, found: Vec<PluginName>) -> SelectionError {
    let by_whole_name = nearest(requested.as_str(), found.iter().map(PluginName::as_str));
    let meant = |name: &&PluginName| {
        by_whole_name == Some(name.as_str()) || name.base() == requested.as_str()
    };
    let suggestion = found.iter().find(meant).cloned();
    SelectionError::NotFound { requested, found, suggestion }
}

struct Found<'a> {
    found: &'a [PluginName],
    suggestion: Option<&'a PluginName>,
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.found.iter().map(PluginName::as_str).collect();
        match names.as_slice() {
            [] => f.write_str("none was found at all")?,
            names => write!(f, "found {}", names.join(", "))?,
        }
        match self.suggestion {
            Some(name) => write!(f, "; did you mean {name}?"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
