//! The result cache: what was attached, with which configuration, arguments and result.
//!
//! Format and place are libcni's, so that a runtime in Go can delete what we added and the other way
//! round: a file an attachment, `<cache folder>/results/<network>-<container id>-<interface>`.
//! Two things are done otherwise. A file is written whole or not at all. And it is there from before
//! the first plugin runs, marked as unfinished, so that an ADD that was killed half way is found by
//! the next DEL or GC together with its configuration.

mod entry;
mod error;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use podnet_cni_spec::{ContainerId, InterfaceName, NetworkName};
use podnet_netutil::files::{self, TEMPORARY_PREFIX};

pub use self::entry::CachedAttachment;
pub use self::error::CacheError;

#[cfg(test)]
mod tests;

/// Where runtimes cache results unless told otherwise.
pub const DEFAULT_CACHE_DIR: &str = "/var/lib/cni";
/// Nobody but root may read it: arguments can hold secrets.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// From this age on a temporary file is what a killed process left.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// The folder with one file an attachment. Cheap to clone; its methods block for as long as the
/// file system does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultCache {
    folder: PathBuf,
}

/// Which attachment a file is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    pub(crate) network: &'a NetworkName,
    pub(crate) container_id: &'a ContainerId,
    pub(crate) interface: &'a InterfaceName,
}

/// What the cache knew of an attachment that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing that is certain, or an ADD that never came to its end.
    Unattached,
    /// It is attached already.
    Attached,
}

impl Default for ResultCache {
    fn default() -> Self {
        Self::new(DEFAULT_CACHE_DIR)
    }
}

impl ResultCache {
    /// The cache in `cache_dir`, [`DEFAULT_CACHE_DIR`] for most runtimes. Nothing is made yet.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self { folder: cache_dir.into().join("results") }
    }

    /// The file of an attachment.
    ///
    /// The name does not tell where a part of it ends, for each may contain a `-`; what is in the
    /// file does.
    #[must_use]
    pub fn path(
        &self,
        network: &NetworkName,
        container_id: &ContainerId,
        interface: &InterfaceName,
    ) -> PathBuf {
        self.path_of(Key { network, container_id, interface })
    }

    fn path_of(&self, key: Key<'_>) -> PathBuf {
        self.folder.join(key.file_name())
    }

    /// What is cached of an attachment; nothing if there is no file or it is another attachment's.
    ///
    /// # Errors
    /// [`CacheError::Corrupt`] if what is there is no cached result, [`CacheError::File`] if it
    /// cannot be read.
    pub fn lookup(
        &self,
        network: &NetworkName,
        container_id: &ContainerId,
        interface: &InterfaceName,
    ) -> Result<Option<CachedAttachment>, CacheError> {
        let key = Key { network, container_id, interface };
        let found = self.read(key)?;
        Ok(found.filter(|cached| cached.key() == key))
    }

    fn read(&self, key: Key<'_>) -> Result<Option<CachedAttachment>, CacheError> {
        let path = self.path_of(key);
        let bytes = match read_bounded(&path) {
            Err(CacheError::File(error)) if error.is_not_found() => return Ok(None),
            read => read?,
        };
        let cached = CachedAttachment::from_json_of(key, &bytes);
        cached.map(Some).map_err(|reason| CacheError::Corrupt { path, reason })
    }

    /// Notes that an attachment is about to be made, unless it has been made already: then what the
    /// cache has of it stays.
    pub(crate) fn begin(&self, intent: &CachedAttachment) -> Result<Before, CacheError> {
        self.make_folder()?;
        let path = self.path_of(intent.key());
        let bytes = intent.to_json();
        if files::create_new_whole(&path, &bytes, FILE_MODE)? {
            return Ok(Before::Unattached);
        }
        match self.read(intent.key()) {
            Ok(Some(other)) if other.key() != intent.key() => return Err(taken(path, other)),
            Ok(Some(same)) if same.result.is_some() => return Ok(Before::Attached),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "replacing a cached result"),
        }
        files::write_atomically(&path, &bytes, FILE_MODE)?;
        Ok(Before::Unattached)
    }

    /// Stores what is known of an attachment, in place of what was known before.
    ///
    /// # Errors
    /// [`CacheError::File`] or [`CacheError::Folder`]; what was known before is then still there.
    pub fn store(&self, cached: &CachedAttachment) -> Result<(), CacheError> {
        self.make_folder()?;
        let path = self.path_of(cached.key());
        Ok(files::write_atomically(&path, &cached.to_json(), FILE_MODE)?)
    }

    /// Forgets an attachment. That there is nothing to forget is success. Whose file it is, is not
    /// looked at: [`lookup`](Self::lookup) is for that.
    ///
    /// # Errors
    /// [`CacheError::Folder`] if the file cannot be removed.
    pub fn remove(
        &self,
        network: &NetworkName,
        container_id: &ContainerId,
        interface: &InterfaceName,
    ) -> Result<(), CacheError> {
        let path = self.path(network, container_id, interface);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::Folder { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Every cached attachment, in the order of file names; a missing folder holds none.
    ///
    /// A file that is no cached result, that cannot be read, or whose name is not that of the
    /// attachment in it, is passed over with a warning that names it.
    ///
    /// # Errors
    /// [`CacheError::Folder`] if the folder cannot be read.
    pub fn attachments(&self) -> Result<Vec<CachedAttachment>, CacheError> {
        self.attachments_where(|_| true)
    }

    /// The cached attachments of one container: what a tear-down needs that has no configuration.
    ///
    /// # Errors
    /// As [`attachments`](Self::attachments).
    pub fn attachments_of(&self, id: &ContainerId) -> Result<Vec<CachedAttachment>, CacheError> {
        let part = format!("-{id}-");
        let mut found = self.attachments_where(|name| name.contains(&part))?;
        found.retain(|cached| cached.runtime.attachment.container_id == *id);
        Ok(found)
    }

    fn attachments_where(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<CachedAttachment>, CacheError> {
        let mut names = self.file_names()?;
        names.retain(|name| !name.starts_with(TEMPORARY_PREFIX) && wanted(name));
        names.sort_unstable();
        let mut found = Vec::new();
        for name in names {
            match self.read_named(&name) {
                Ok(cached) => found.extend(cached),
                Err(error) => tracing::warn!(%error, "passed over in the result cache"),
            }
        }
        Ok(found)
    }

    /// Reads a file by its name; nothing if it has gone since.
    fn read_named(&self, name: &str) -> Result<Option<CachedAttachment>, CacheError> {
        let path = self.folder.join(name);
        let bytes = match read_bounded(&path) {
            Err(CacheError::File(error)) if error.is_not_found() => return Ok(None),
            read => read?,
        };
        let named = CachedAttachment::from_json(&bytes).and_then(|cached| {
            let expected = cached.key().file_name();
            if expected == name { Ok(cached) } else { Err(format!("it belongs into {expected}")) }
        });
        named.map(Some).map_err(|reason| CacheError::Corrupt { path, reason })
    }

    /// Removes temporary files that processes left which were killed while they wrote.
    pub(crate) fn remove_abandoned(&self) -> Result<(), CacheError> {
        let mut names = self.file_names()?;
        names.retain(|name| name.starts_with(TEMPORARY_PREFIX));
        for path in names.iter().map(|name| self.folder.join(name)).filter(|path| is_old(path)) {
            if let Err(source) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %source, "cannot remove a temporary file");
            }
        }
        Ok(())
    }

    /// What is not UTF-8 is none of ours.
    fn file_names(&self) -> Result<Vec<String>, CacheError> {
        let failed = |source| CacheError::Folder { path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let names: io::Result<Vec<_>> =
            entries.map(|entry| entry.map(|entry| entry.file_name().into_string())).collect();
        Ok(names.map_err(failed)?.into_iter().flatten().collect())
    }

    fn make_folder(&self) -> Result<(), CacheError> {
        let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.folder);
        made.map_err(|source| CacheError::Folder { path: self.folder.clone(), source })
    }
}

impl Key<'_> {
    fn file_name(self) -> String {
        let Key { network, container_id, interface } = self;
        format!("{network}-{container_id}-{interface}")
    }
}

fn taken(path: PathBuf, other: CachedAttachment) -> CacheError {
    let CachedAttachment { network, runtime, .. } = other;
    let (container_id, interface) = (runtime.attachment.container_id, runtime.attachment.interface);
    CacheError::Taken { path, network, container_id, interface }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, CacheError> {
    let limit = u64::try_from(entry::MAX_BYTES).unwrap_or(u64::MAX);
    Ok(files::read_bounded(path, limit)?)
}

fn is_old(path: &Path) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    let age = modified.map(|modified| SystemTime::now().duration_since(modified));
    matches!(age, Ok(Ok(age)) if age > ABANDONED)
}
