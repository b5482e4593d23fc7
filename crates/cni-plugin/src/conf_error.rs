//! Why there is no network to be had.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podnet_cni_spec::NetworkName;

use crate::conf_dir::{ENDINGS, Loaded, Scan, SkipReason, Skipped};
use crate::programs::UnusableNetwork;

/// How many files, or names, a message mentions; the fields have all.
const MENTIONED: usize = 5;

/// Why there is no network to be had.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConfError {
    /// The configuration folder holds no network that can be used.
    #[error("no network configuration in {}: {}", .0.folder.display(), why_nothing(.0))]
    NoNetwork(Box<NothingFound>),
    /// The configuration folder holds no network of this name.
    #[error("no network {network:?} in {}, where {}{}", .found.folder.display(), named(.known), what_else(.found))]
    UnknownNetwork {
        /// The name, as it was given.
        network: String,
        /// The names that there are, in the order of their files.
        known: Vec<NetworkName>,
        /// Where it was looked for.
        found: Box<NothingFound>,
    },
    /// The file that was asked for gives no network.
    #[error("no network configuration in {0}")]
    File(Box<Skipped>),
    /// The network is configured, and programs that it needs are missing or do not speak its version.
    #[error("{}: {source}", .file.display())]
    Unusable {
        /// The network's file.
        file: PathBuf,
        /// What is wrong with which program.
        source: Arc<UnusableNetwork>,
    },
}

impl ConfError {
    /// Whether a network is configured and cannot be used because programs are missing or too old.
    #[must_use]
    pub fn lacks_programs(&self) -> bool {
        match self {
            Self::NoNetwork(found) | Self::UnknownNetwork { found, .. } => found
                .skipped
                .iter()
                .any(|skipped| matches!(skipped.reason, SkipReason::Programs(_))),
            Self::Unusable { .. } => true,
            Self::File(_) => false,
        }
    }
}

/// What was looked at in vain. Displayed as the reasons with the names of the files, empty where there are none.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NothingFound {
    /// The folder that was looked in.
    pub folder: PathBuf,
    /// Why it was not read, or not whole.
    pub folder_problem: Option<SkipReason>,
    /// The files that were passed over.
    pub skipped: Vec<Skipped>,
}

impl NothingFound {
    pub(crate) fn new(scan: &Scan, unusable: Vec<Skipped>) -> Self {
        let mut skipped = scan.skipped.clone();
        skipped.extend(unusable);
        skipped.sort_by(|one, other| one.file.cmp(&other.file));
        Self { folder: scan.folder.clone(), folder_problem: scan.folder_problem.clone(), skipped }
    }

    fn name<'a>(&self, file: &'a Path) -> &'a Path {
        file.strip_prefix(&self.folder).unwrap_or(file)
    }
}

impl fmt::Display for NothingFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(problem) = &self.folder_problem {
            write!(f, "{problem}")?;
        }
        let mut separator = if self.folder_problem.is_some() { "; skipped " } else { "skipped " };
        for skipped in self.skipped.iter().take(MENTIONED) {
            write!(f, "{separator}{} ({})", self.name(&skipped.file).display(), skipped.reason)?;
            separator = ", ";
        }
        match self.skipped.len().saturating_sub(MENTIONED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn why_nothing(found: &NothingFound) -> String {
    if found.folder_problem.is_none() && found.skipped.is_empty() {
        return format!("no file there ends in {}", ENDINGS.join(", "));
    }
    found.to_string()
}

fn what_else(found: &NothingFound) -> String {
    let text = found.to_string();
    if text.is_empty() { text } else { format!("; {text}") }
}

fn named(known: &[NetworkName]) -> String {
    if known.is_empty() {
        return "there are none".to_owned();
    }
    let names: Vec<&str> = known.iter().take(MENTIONED).map(NetworkName::as_str).collect();
    let (verb, more) = match known.len() {
        1 => ("is", ""),
        2..=MENTIONED => ("are", ""),
        _ => ("are", " and others"),
    };
    format!("there {verb} {}{more}", names.join(", "))
}

impl ConfError {
    pub(crate) fn unknown<'a>(
        network: &str,
        scan: &Scan,
        known: impl Iterator<Item = &'a Arc<Loaded>>,
    ) -> Self {
        Self::UnknownNetwork {
            network: network.chars().take(60).collect(),
            known: known.map(|loaded| loaded.name().clone()).collect(),
            found: Box::new(NothingFound::new(scan, Vec::new())),
        }
    }
}
