//! What a store's directory holds, noted for the next process: a program that lives for one call would otherwise read the
//! file of every pod to find its own.
//!
//! A hint like the index, and true for one state of the directory, which stands in its first line and in its last: a note
//! whose writer was killed has only one of them. Written and read under the store's lock.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use podnet_netutil::files::{self, FileError};
use sha2::{Digest as _, Sha256};

use super::index::Index;
use super::position::Position;
use super::record::{Owner, Record};
use super::stamp::DirectoryStamp;
use super::store::address_in;

const FILE_MODE: u32 = 0o600;
/// Room for every address of a /16, in bytes.
const LIMIT: u64 = 8 << 20;

/// The file in `folder` for what is kept about a store, of the kind that `prefix` says.
pub(super) fn file_for(folder: &Path, prefix: &str, store: &Path) -> PathBuf {
    let digest = Sha256::digest(store.as_os_str().as_encoded_bytes());
    let number = digest.first_chunk::<8>().copied().map_or(0, u64::from_be_bytes);
    folder.join(format!("{prefix}-{number:016x}"))
}

fn note_of(folder: &Path, store: &Path) -> PathBuf {
    file_for(folder, "store", store)
}

/// What was noted of a store that is still in this state.
pub(super) fn read(folder: &Path, store: &Path, state: DirectoryStamp) -> Option<Index> {
    let content = files::read_bounded(&note_of(folder, store), LIMIT).ok()?;
    let text = std::str::from_utf8(&content).ok()?;
    let lines = text.strip_prefix(&first_line(state))?.strip_suffix(&last_line(state))?;
    let mut index = Index::default();
    for line in lines.lines() {
        let (position, record) = parse(line)?;
        index.insert(position, record, None);
    }
    Some(index)
}

/// Notes what a store holds in this state. A file that names nobody is to be looked at, and warned of, each time: then
/// nothing is noted.
pub(super) fn write(
    folder: &Path,
    store: &Path,
    state: DirectoryStamp,
    index: &Index,
) -> Result<(), FileError> {
    let mut text = first_line(state);
    for (position, record) in index.records() {
        // Writing to a string does not fail.
        let _ = match record {
            Record::Owned(Owner { container, interface: Some(interface) }) => {
                writeln!(text, "{position} {container} {interface}")
            }
            Record::Owned(Owner { container, interface: None }) => {
                writeln!(text, "{position} {container}")
            }
            Record::Empty => writeln!(text, "{position}"),
            Record::Foreign => return Ok(()),
        };
    }
    text.push_str(&last_line(state));
    let note = note_of(folder, store);
    match files::write_in_place(&note, text.as_bytes(), FILE_MODE) {
        Err(error) if error.is_not_found() => {
            fs::create_dir_all(folder)
                .map_err(|source| FileError::Write { path: note.clone(), source })?;
            files::write_in_place(&note, text.as_bytes(), FILE_MODE)
        }
        other => other,
    }
}

fn first_line(state: DirectoryStamp) -> String {
    format!("store {state}\n")
}

fn last_line(state: DirectoryStamp) -> String {
    format!("end {state}\n")
}

/// Of one that was written whole, every line can be read.
fn parse(line: &str) -> Option<(Position, Record)> {
    let mut words = line.split(' ');
    let position = address_in(words.next()?)?;
    let record = match (words.next(), words.next()) {
        (Some(container), interface) => Record::Owned(Owner {
            container: container.to_owned(),
            interface: interface.map(str::to_owned),
        }),
        (None, _) => Record::Empty,
    };
    words.next().is_none().then_some((position, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(container: &str, interface: Option<&str>) -> Record {
        let interface = interface.map(str::to_owned);
        Record::Owned(Owner { container: container.to_owned(), interface })
    }

    fn records(index: &Index) -> Vec<(String, Record)> {
        let mut records: Vec<_> = index
            .records()
            .map(|(position, record)| (position.to_string(), record.clone()))
            .collect();
        records.sort_by(|one, other| one.0.cmp(&other.0));
        records
    }

    fn stage() -> (tempfile::TempDir, PathBuf, PathBuf, Index) {
        let dir = tempfile::tempdir().unwrap();
        let (folder, store) = (dir.path().join("run"), dir.path().join("net"));
        fs::create_dir(&store).unwrap();
        let mut index = Index::default();
        for (address, record) in [
            ("10.0.0.2", owned("a1", Some("eth0"))),
            ("10.0.0.3", owned("b2", None)),
            ("fd00::2", Record::Empty),
        ] {
            index.insert(address_in(address).unwrap(), record, None);
        }
        (dir, folder, store, index)
    }

    #[test]
    fn a_note_is_read_back_until_the_directory_changes() {
        let (_dir, folder, store, index) = stage();
        let state = DirectoryStamp::mark(&store).unwrap();
        write(&folder, &store, state, &index).unwrap();
        let found = read(&folder, &store, DirectoryStamp::read(&store).unwrap()).unwrap();
        assert_eq!(records(&found), records(&index));
        assert!(read(&folder, &folder, state).is_none(), "another store's");
        fs::write(store.join("10.0.0.9"), "c3\r\neth0").unwrap();
        assert!(read(&folder, &store, DirectoryStamp::read(&store).unwrap()).is_none());
    }

    #[test]
    fn of_a_note_whose_writer_was_killed_nothing_counts() {
        let (_dir, folder, store, index) = stage();
        let before = DirectoryStamp::mark(&store).unwrap();
        write(&folder, &store, before, &index).unwrap();
        let old = fs::read(note_of(&folder, &store)).unwrap();
        let after = DirectoryStamp::mark(&store).unwrap();
        write(&folder, &store, after, &index).unwrap();
        let new = fs::read(note_of(&folder, &store)).unwrap();
        assert_eq!(new.len(), old.len());
        for written in 0..new.len() {
            let torn = [&new[..written], &old[written..]].concat();
            let is_whole = torn == new;
            fs::write(note_of(&folder, &store), torn).unwrap();
            assert_eq!(read(&folder, &store, after).is_some(), is_whole, "{written} bytes written");
        }
    }

    #[test]
    fn what_names_nobody_is_not_noted() {
        let (_dir, folder, store, mut index) = stage();
        index.insert(address_in("10.0.0.4").unwrap(), Record::Foreign, None);
        write(&folder, &store, DirectoryStamp::mark(&store).unwrap(), &index).unwrap();
        assert!(!note_of(&folder, &store).exists());
    }
}
