//! Which network serves, or why none does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::Selection;
use crate::conf_dir::{Loaded, SkipReason, Skipped};
use crate::conf_error::{ConfError, NothingFound};
use crate::programs::ProgramProblem;

/// The state of the configurations, for an operator.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConfStatus {
    /// The folder that was looked in.
    pub looked_in: PathBuf,
    /// Why the folder was not read, or not whole.
    pub folder_problem: Option<SkipReason>,
    /// The default network.
    pub current: Option<Arc<Loaded>>,
    /// Why this is the last good configuration and not what the folder says now.
    pub serving_stale: Option<String>,
    /// Every file that was passed over, in the order of their names: the broken ones, and before the default network's
    /// those whose programs cannot serve them.
    pub skipped: Vec<Skipped>,
    /// The capabilities that the default network's plugins declare.
    pub capabilities: BTreeSet<String>,
    /// What is wrong with the default network's IPAM programs.
    pub warnings: Vec<ProgramProblem>,
}

impl ConfStatus {
    pub(super) fn new(selection: &Selection) -> Self {
        let found = NothingFound::new(&selection.snapshot.scan, selection.unusable.clone());
        let (served, usable) = selection.default.clone().unzip();
        let usable = usable.unwrap_or_default();
        Self {
            looked_in: found.folder,
            folder_problem: found.folder_problem,
            current: served.as_ref().map(|served| Arc::clone(&served.network)),
            serving_stale: served.and_then(|served| served.stale),
            skipped: found.skipped,
            capabilities: usable.capabilities,
            warnings: usable.warnings,
        }
    }

    /// The default network.
    ///
    /// # Errors
    /// [`ConfError::NoNetwork`], as [`default_network`](super::ConfStore::default_network) gives it.
    pub fn ready(&self) -> Result<&Arc<Loaded>, ConfError> {
        self.current.as_ref().ok_or_else(|| {
            ConfError::NoNetwork(Box::new(NothingFound {
                folder: self.looked_in.clone(),
                folder_problem: self.folder_problem.clone(),
                skipped: self.skipped.clone(),
            }))
        })
    }
}
