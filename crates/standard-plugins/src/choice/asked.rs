//! What programs said of their versions, for as long as their files stay the same.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podnet_cni_spec::{PluginType, PluginVersions};

/// Answers by type, each with the file that gave it.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<HashMap<PluginType, (File, Arc<PluginVersions>)>>);

/// A program's file, and by what one sees that it was replaced or changed. Links are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    path: PathBuf,
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl File {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            inode: (found.dev(), found.ino()),
            size: found.size(),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

impl Asked {
    pub(super) fn find(&self, plugin: &PluginType, program: &Path) -> Option<Arc<PluginVersions>> {
        let now = File::of(program)?;
        let answers = self.lock();
        let (file, spoken) = answers.get(plugin)?;
        (*file == now).then(|| Arc::clone(spoken))
    }

    /// `file` is as it was before the program was asked.
    pub(super) fn remember(
        &self,
        plugin: &PluginType,
        file: Option<File>,
        spoken: &Arc<PluginVersions>,
    ) {
        if let Some(file) = file {
            self.lock().insert(plugin.clone(), (file, Arc::clone(spoken)));
        }
    }

    /// What is behind the lock is whole at any time, so that a panic of another holder does not matter.
    fn lock(&self) -> MutexGuard<'_, HashMap<PluginType, (File, Arc<PluginVersions>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
