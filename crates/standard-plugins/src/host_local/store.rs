//! A network's addresses on disk, in the reference's format: a file for each address, named by it, under a lock.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, DirEntry};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podnet_netutil::files::{self, FileError, TEMPORARY_PREFIX};
use podnet_netutil::lock::{FileLock, LockError};
use tracing::warn;

use super::allocate::Choice;
use super::index::{Holdings, Index};
use super::note;
use super::position::Position;
use super::record::{Owner, RECORD_LIMIT, Record};
use super::stamp::{DirectoryStamp, FileStamp};
use crate::error::{Error, ReleaseError};

const LOCK: &str = "lock";
const LAST_RESERVED: &str = "last_reserved_ip.";
/// The longest text of an address and some white space, in bytes.
const LAST_RESERVED_LIMIT: u64 = 64;
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o755;

/// What is needed to open a store.
#[derive(Debug)]
pub(super) struct Access<'a> {
    pub(super) dir: &'a Path,
    pub(super) index: &'a mut Index,
    /// Where processes note for each other what the store holds.
    pub(super) notes: Option<&'a Path>,
    /// How long to wait for the lock.
    pub(super) wait: Duration,
}

impl<'a> Access<'a> {
    /// Opens the store, and makes it if there is none.
    pub(super) fn create(self) -> Result<Store<'a>, Error> {
        Store::new(lock_or_make(self.dir, self.wait)?, self)
    }

    /// Opens the store if there is one.
    pub(super) fn open(self) -> Result<Option<Store<'a>>, Error> {
        lock(self.dir, self.wait)?.map(|lock| Store::new(lock, self)).transpose()
    }
}

/// Locks the store in `dir`, which is made if it is missing.
pub(super) fn lock_or_make(dir: &Path, wait: Duration) -> Result<FileLock, Error> {
    if let Some(lock) = lock(dir, wait)? {
        return Ok(lock);
    }
    let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(dir);
    made.map_err(|source| refused("make directory", dir, source))?;
    let missing = || refused("open directory", dir, io::ErrorKind::NotFound.into());
    lock(dir, wait)?.ok_or_else(missing)
}

/// Locks the store in `dir`; `None` if there is no such directory.
fn lock(dir: &Path, wait: Duration) -> Result<Option<FileLock>, LockError> {
    match FileLock::acquire(&dir.join(LOCK), wait) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Unusable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

pub(super) fn refused(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Store { action, path: path.to_owned(), source }
}

/// A store that is locked, with an index that is true as long as it is.
#[derive(Debug)]
pub(super) struct Store<'a> {
    dir: &'a Path,
    index: &'a mut Index,
    notes: Option<&'a Path>,
    found: DirectoryStamp,
    /// Whether this process remembered what the store holds, so that it has no need of notes.
    was_known: bool,
    is_changed: bool,
    /// Whether something went wrong after which the index may not be true.
    is_doubtful: bool,
    _lock: FileLock,
}

impl<'a> Store<'a> {
    fn new(lock: FileLock, access: Access<'a>) -> Result<Self, Error> {
        let Access { dir, index, notes, .. } = access;
        let found = DirectoryStamp::read(dir)
            .map_err(|source| refused("look at directory", dir, source))?;
        let was_known = index.describes.take() == Some(found);
        let mut store = Self {
            dir,
            index,
            notes,
            found,
            was_known,
            is_changed: false,
            is_doubtful: false,
            _lock: lock,
        };
        if !was_known && !store.read_note() {
            store.scan()?;
        }
        Ok(store)
    }

    /// Takes over what another process noted; `false` where there is no note of the store as it is.
    fn read_note(&mut self) -> bool {
        // Whoever remembers an earlier state has to read only what changed since.
        let is_new = self.index.records().next().is_none();
        let noted = self.notes.filter(|_| is_new);
        let noted = noted.and_then(|notes| note::read(notes, self.dir, self.found));
        let is_noted = noted.is_some();
        if let Some(noted) = noted {
            self.replace_index(noted);
        }
        is_noted
    }

    /// Unlocks the store and lets the index be used again. A store that is dropped without is listed anew next time.
    pub(super) fn close(self) {
        self.index.describes = match (self.is_doubtful, self.is_changed) {
            (true, _) => None,
            (false, true) => DirectoryStamp::mark(self.dir),
            (false, false) => Some(self.found),
        };
        let state = self.index.describes.filter(|_| self.is_changed && !self.was_known);
        if let (Some(notes), Some(state)) = (self.notes, state)
            && let Err(error) = note::write(notes, self.dir, state, self.index)
        {
            warn!("the next process reads every address's file again: {error}");
        }
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir
    }

    pub(super) fn index(&self) -> &Index {
        self.index
    }

    /// Whether it is the first time in this process that the addresses of before a reboot are asked for.
    pub(super) fn begin_reclaim(&mut self) -> bool {
        !std::mem::replace(&mut self.index.is_reclaimed, true)
    }

    /// What an attachment holds, by the content of the files.
    pub(super) fn holdings(&mut self, owner: &Owner) -> Result<Holdings, Error> {
        let holdings = self.index.holdings(owner);
        if holdings.all().into_iter().all(|position| self.is_as_indexed(position)) {
            return Ok(holdings);
        }
        self.scan_anew()?;
        Ok(self.index.holdings(owner))
    }

    /// The same where it must not be nothing by mistake: a file may have been edited, which no directory tells.
    pub(super) fn certain_holdings(&mut self, owner: &Owner) -> Result<Holdings, Error> {
        let holdings = self.holdings(owner)?;
        if !holdings.all().is_empty() {
            return Ok(holdings);
        }
        self.scan_anew()?;
        Ok(self.index.holdings(owner))
    }

    fn is_as_indexed(&self, position: Position) -> bool {
        let content = files::read_bounded(&self.path_of(position), RECORD_LIMIT);
        content.is_ok_and(|content| self.index.record(position) == Some(&Record::parse(&content)))
    }

    /// Reserves a chosen address; `false` if somebody else has it after all.
    pub(super) fn reserve(&mut self, choice: &Choice<'_>, owner: &Owner) -> Result<bool, Error> {
        let path = self.path_of(choice.address);
        self.is_changed = true;
        let content = owner.to_text();
        let reserved = make_record(&path, &content, choice.is_stale);
        match reserved {
            Ok(true) => self.index.insert(choice.address, Record::Owned(owner.clone()), None),
            Ok(false) | Err(_) => self.is_doubtful = true,
        }
        Ok(reserved?)
    }

    /// Releases an address. One that nobody holds is released already.
    pub(super) fn release(&mut self, position: Position) -> Result<(), ReleaseError> {
        let path = self.path_of(position);
        self.is_changed = true;
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                self.is_doubtful = true;
                Err(ReleaseError { path, source })
            }
            _ => {
                self.index.remove(position);
                Ok(())
            }
        }
    }

    /// The address given last from a range set. A hint: whatever is wrong with it is as if there were none.
    pub(super) fn last_reserved(&self, set: usize) -> Option<Position> {
        let path = self.dir.join(format!("{LAST_RESERVED}{set}"));
        match files::read_bounded(&path, LAST_RESERVED_LIMIT) {
            Ok(content) => address_in(&String::from_utf8_lossy(&content)),
            Err(error) if error.is_not_found() => None,
            Err(error) => {
                warn!("addresses start over: {error}");
                None
            }
        }
    }

    /// Notes the address given last from a range set. Addresses stay reserved where that does not succeed: they only go
    /// round less well.
    pub(super) fn note_last_reserved(&mut self, set: usize, position: Position) {
        let path = self.dir.join(format!("{LAST_RESERVED}{set}"));
        self.is_changed = true;
        let text = position.to_string();
        if let Err(error) = files::write_in_place(&path, text.as_bytes(), FILE_MODE) {
            warn!("the next address may be one used a short time ago: {error}");
        }
    }

    /// Reads every file again, whatever the index says.
    pub(super) fn scan_anew(&mut self) -> Result<(), Error> {
        self.replace_index(Index::default());
        // What was read before a failure is not all there is.
        self.is_doubtful = true;
        self.scan()?;
        self.is_doubtful = false;
        Ok(())
    }

    fn replace_index(&mut self, index: Index) {
        let is_reclaimed = self.index.is_reclaimed;
        *self.index = index;
        self.index.is_reclaimed = is_reclaimed;
    }

    /// Lists the directory and reads the files that are not known in their present state.
    ///
    /// A name that is known is not enough: between two looks an address may have gone from one container to another.
    fn scan(&mut self) -> Result<(), Error> {
        self.is_changed = true;
        let list = |source| refused("list directory", self.dir, source);
        let mut present = BTreeSet::new();
        for entry in fs::read_dir(self.dir).map_err(list)? {
            let entry = entry.map_err(list)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(TEMPORARY_PREFIX) {
                remove_leftover(&entry.path());
            } else if let Some(position) =
                address_in(&name).filter(|position| position.to_string() == name)
                && self.read(position, &entry)
            {
                present.insert(position);
            }
        }
        self.index.retain(&present);
        Ok(())
    }

    /// Takes the file of an address into the index; `false` if it has gone.
    fn read(&mut self, position: Position, listed: &DirEntry) -> bool {
        if self.index.record(position).is_some() {
            let Ok(metadata) = listed.metadata() else { return false };
            if self.index.knows(position, FileStamp::new(&metadata)) {
                return true;
            }
        }
        let (record, file) = match files::read_listed(listed, RECORD_LIMIT) {
            Ok((content, metadata)) => (parse(&content, listed), Some(FileStamp::new(&metadata))),
            Err(error) if error.is_not_found() => return false,
            Err(error) => {
                warn!("{error}; its address counts as taken");
                (Record::Foreign, None)
            }
        };
        self.index.insert(position, record, file);
        true
    }

    pub(super) fn path_of(&self, position: Position) -> PathBuf {
        self.dir.join(position.to_string())
    }
}

/// The address that a file's name or content is, if it is one.
pub(super) fn address_in(text: &str) -> Option<Position> {
    text.trim().parse::<IpAddr>().ok().map(Position::from)
}

fn parse(content: &[u8], listed: &DirEntry) -> Record {
    let record = Record::parse(content);
    if record == Record::Foreign {
        let path = listed.path();
        warn!("{} names no container; its address counts as taken", path.display());
    }
    record
}

/// Makes the file of an address, in place of an empty one where there is one; `false` if it is somebody's.
fn make_record(path: &Path, content: &str, replaces_empty: bool) -> Result<bool, FileError> {
    if replaces_empty && !remove_if_empty(path)? {
        return Ok(false);
    }
    files::create_new_whole(path, content.as_bytes(), FILE_MODE)
}

/// Makes way for an address whose file is empty; `false` if it is not, or not any more.
fn remove_if_empty(path: &Path) -> Result<bool, FileError> {
    match files::read_bounded(path, RECORD_LIMIT) {
        Ok(content) if content.is_empty() => {
            let removed = fs::remove_file(path);
            removed
                .map(|()| true)
                .map_err(|source| FileError::Write { path: path.to_owned(), source })
        }
        _ => Ok(false),
    }
}

/// Removes what a killed process left of a file that it was writing: under the lock nobody is writing one.
fn remove_leftover(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        warn!("cannot remove {}, left by a process that was killed: {error}", path.display());
    }
}

#[cfg(test)]
mod tests;
