//! What a store's directory holds, remembered between requests. A hint: the disk is the truth.

use std::collections::{BTreeSet, HashMap};

use super::position::Position;
use super::record::{Owner, Record};
use super::stamp::{DirectoryStamp, FileStamp};
use super::taken::Taken;

/// The address files of one directory.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<Position, Entry>,
    by_container: HashMap<String, BTreeSet<Position>>,
    taken: Taken,
    stale: BTreeSet<Position>,
    /// The state of the directory that this describes, if it is sure to describe any.
    pub(super) describes: Option<DirectoryStamp>,
    /// Whether this process has seen to what was reserved before the boot.
    pub(super) is_reclaimed: bool,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    /// The file's state when it was read; `None` for a file that this process made.
    file: Option<FileStamp>,
}

/// The addresses that an attachment has.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Holdings {
    /// In files that name the container and the interface.
    pub(super) named: Vec<Position>,
    /// In files of an old version, which name the container only.
    pub(super) unnamed: Vec<Position>,
}

impl Holdings {
    pub(super) fn all(&self) -> Vec<Position> {
        self.named.iter().chain(&self.unnamed).copied().collect()
    }

    /// Those that are this attachment's without doubt. A file without an interface may belong to another one of the
    /// container, so it counts only where there is no better one; so does the reference.
    pub(super) fn own(&self) -> &[Position] {
        if self.named.is_empty() { &self.unnamed } else { &self.named }
    }
}

impl Index {
    pub(super) fn taken(&self) -> &Taken {
        &self.taken
    }

    pub(super) fn stale(&self) -> &BTreeSet<Position> {
        &self.stale
    }

    pub(super) fn record(&self, position: Position) -> Option<&Record> {
        self.entries.get(&position).map(|entry| &entry.record)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = (Position, &Record)> {
        self.entries.iter().map(|(position, entry)| (*position, &entry.record))
    }

    /// Every address whose owner is known.
    pub(super) fn owned(&self) -> impl Iterator<Item = (Position, &Owner)> {
        self.records().filter_map(|(position, record)| match record {
            Record::Owned(owner) => Some((position, owner)),
            Record::Empty | Record::Foreign => None,
        })
    }

    pub(super) fn holdings(&self, owner: &Owner) -> Holdings {
        let unnamed = owner.without_interface();
        Holdings { named: self.owned_by(owner), unnamed: self.owned_by(&unnamed) }
    }

    fn owned_by(&self, owner: &Owner) -> Vec<Position> {
        let candidates = self.by_container.get(&owner.container).into_iter().flatten().copied();
        let is_owned = |position: &Position| matches!(self.record(*position), Some(Record::Owned(it)) if it == owner);
        candidates.filter(is_owned).collect()
    }

    /// Whether the file was in this state when it was read.
    pub(super) fn knows(&self, position: Position, file: FileStamp) -> bool {
        self.entries.get(&position).is_some_and(|entry| entry.file == Some(file))
    }

    pub(super) fn insert(&mut self, position: Position, record: Record, file: Option<FileStamp>) {
        self.remove(position);
        self.taken.insert(position);
        match &record {
            Record::Owned(owner) => {
                self.by_container.entry(owner.container.clone()).or_default().insert(position);
            }
            Record::Empty => {
                self.stale.insert(position);
            }
            Record::Foreign => {}
        }
        self.entries.insert(position, Entry { record, file });
    }

    pub(super) fn remove(&mut self, position: Position) {
        let Some(entry) = self.entries.remove(&position) else { return };
        self.taken.remove(position);
        self.stale.remove(&position);
        let Record::Owned(owner) = entry.record else { return };
        if let Some(held) = self.by_container.get_mut(&owner.container) {
            held.remove(&position);
            if held.is_empty() {
                self.by_container.remove(&owner.container);
            }
        }
    }

    /// Forgets every address that is not in `present`.
    pub(super) fn retain(&mut self, present: &BTreeSet<Position>) {
        let gone: Vec<Position> =
            self.entries.keys().filter(|position| !present.contains(position)).copied().collect();
        for position in gone {
            self.remove(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8) -> Position {
        std::net::IpAddr::from([10, 0, 0, host]).into()
    }

    fn owner(interface: Option<&str>) -> Owner {
        Owner { container: "c".to_owned(), interface: interface.map(str::to_owned) }
    }

    #[test]
    fn a_file_without_interface_counts_where_there_is_no_better_one() {
        let mut index = Index::default();
        index.insert(at(2), Record::Owned(owner(None)), None);
        index.insert(at(3), Record::Owned(owner(Some("eth0"))), None);
        index.insert(at(4), Record::Owned(owner(Some("eth1"))), None);
        assert_eq!(index.holdings(&owner(Some("eth0"))).all(), [at(3), at(2)]);
        assert_eq!(index.holdings(&owner(Some("eth0"))).own(), [at(3)]);
        assert_eq!(index.holdings(&owner(Some("eth2"))).own(), [at(2)]);
    }

    #[test]
    fn what_is_removed_leaves_no_trace() {
        let mut index = Index::default();
        for (host, record) in
            [(2, Record::Owned(owner(None))), (3, Record::Empty), (4, Record::Foreign)]
        {
            index.insert(at(host), record, None);
        }
        assert!(index.stale().contains(&at(3)));
        index.retain(&BTreeSet::from([at(4)]));
        index.remove(at(4));
        assert!(
            index.entries.is_empty() && index.by_container.is_empty() && index.stale.is_empty()
        );
        assert_eq!(index.taken(), &Taken::default());
    }
}
