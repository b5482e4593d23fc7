//! The elements of the maps and sets as they are, found by what they are about and by whose they are, so that a change
//! for one pod costs the same whatever the others have.

use std::collections::{BTreeMap, BTreeSet};

use podnet_netutil::Family;
use podnet_netutil::nft::Element;

use super::change::Change;
use super::conditions::PortsMap;
use super::layout::{hairpins, masquerades};
use super::{Protocol, Published};

/// A set of pods or ports that need more than being found, with its elements.
pub(super) type Members = (&'static str, Index<Element>);

/// Such sets, of both families.
pub(super) fn member_sets() -> [&'static str; 4] {
    [hairpins(Family::V4), hairpins(Family::V6), masquerades(Family::V4), masquerades(Family::V6)]
}

/// What can be found in an [`Index`].
pub(super) trait Indexed: PartialEq {
    /// What can be in the way of another only where it is the same.
    type Subject: Ord + Clone;

    fn subject(&self) -> Self::Subject;

    /// Of the attachment that it belongs to; empty where nobody put a label on it.
    fn label(&self) -> &str;
}

impl Indexed for Published {
    type Subject = (u16, Protocol);

    fn subject(&self) -> Self::Subject {
        (self.host_port, self.protocol)
    }

    fn label(&self) -> &str {
        &self.label
    }
}

impl Indexed for Element {
    type Subject = Vec<u8>;

    fn subject(&self) -> Self::Subject {
        self.key.clone()
    }

    fn label(&self) -> &str {
        self.comment.as_deref().unwrap_or_default()
    }
}

/// Elements by what they are about, with what each label is about.
#[derive(Debug)]
pub(super) struct Index<T: Indexed> {
    about: BTreeMap<T::Subject, Vec<T>>,
    of: BTreeMap<String, BTreeSet<T::Subject>>,
}

impl<T: Indexed> Index<T> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.about.values().flatten()
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.of.keys().map(String::as_str)
    }

    /// Those about the same as this one, and the only ones that can be in its way.
    pub(super) fn beside(&self, one: &T) -> &[T] {
        self.about.get(&one.subject()).map_or(&[], Vec::as_slice)
    }

    pub(super) fn contains(&self, one: &T) -> bool {
        self.beside(one).contains(one)
    }

    pub(super) fn of(&self, label: &str) -> impl Iterator<Item = &T> {
        let subjects = self.of.get(label).into_iter().flatten();
        let beside = subjects.filter_map(|subject| self.about.get(subject));
        beside.flatten().filter(move |one| one.label() == label)
    }

    pub(super) fn insert(&mut self, one: T) {
        let subject = one.subject();
        self.of.entry(one.label().to_owned()).or_default().insert(subject.clone());
        self.about.entry(subject).or_default().push(one);
    }

    pub(super) fn remove(&mut self, one: &T) {
        let subject = one.subject();
        let Some(beside) = self.about.get_mut(&subject) else { return };
        beside.retain(|other| other != one);
        let has_more = beside.iter().any(|other| other.label() == one.label());
        if beside.is_empty() {
            self.about.remove(&subject);
        }
        if !has_more && let Some(subjects) = self.of.get_mut(one.label()) {
            subjects.remove(&subject);
            if subjects.is_empty() {
                self.of.remove(one.label());
            }
        }
    }
}

impl<T: Indexed> Default for Index<T> {
    fn default() -> Self {
        Self { about: BTreeMap::new(), of: BTreeMap::new() }
    }
}

impl<T: Indexed> FromIterator<T> for Index<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut index = Self::default();
        for one in all {
            index.insert(one);
        }
        index
    }
}

/// The elements of the maps and sets at a generation of nftables.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) generation: u32,
    /// The maps that there are.
    pub(super) maps: Vec<PortsMap>,
    pub(super) ports: Index<Published>,
    pub(super) members: Vec<Members>,
}

impl Present {
    /// Notes that a change was carried out.
    pub(super) fn apply(&mut self, change: &Change) {
        for map in change.missing.iter().map(|missing| &missing.map) {
            if !self.maps.contains(map) {
                self.maps.push(map.clone());
            }
        }
        for port in &change.removed {
            self.ports.remove(port);
        }
        for port in &change.added {
            self.ports.insert(port.clone());
        }
        for (set, elements) in &mut self.members {
            for (_, element) in change.members_removed.iter().filter(|(of, _)| of == set) {
                elements.remove(element);
            }
            for (_, element) in change.members_added.iter().filter(|(of, _)| of == set) {
                elements.insert(element.clone());
            }
        }
    }

    /// The labels of all attachments that have anything; one may come several times.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.ports.labels().chain(self.members.iter().flat_map(|(_, elements)| elements.labels()))
    }

    /// The maps of conditions that no port has any more.
    pub(super) fn unused_maps(&self) -> impl Iterator<Item = &PortsMap> {
        let used = |map: &PortsMap| self.ports.iter().any(|port| PortsMap::of(port) == *map);
        self.maps.iter().filter(move |map| map.conditions.is_some() && !used(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(key: u8, data: u8, label: u8) -> Element {
        Element { key: vec![key], data: vec![data], comment: Some(format!("pod{label}")) }
    }

    proptest! {
        #[test]
        fn an_index_finds_what_a_list_holds(steps in prop::collection::vec((any::<bool>(), 0..4_u8, 0..2_u8, 0..3_u8), 0..60)) {
            let (mut index, mut list) = (Index::default(), Vec::<Element>::new());
            for (put, key, data, label) in steps {
                let one = element(key, data, label);
                if put && !list.contains(&one) {
                    list.push(one.clone());
                    index.insert(one);
                } else if !put {
                    list.retain(|other| *other != one);
                    index.remove(&one);
                }
            }
            let sorted = |elements: Vec<&Element>| {
                let mut texts: Vec<String> =
                    elements.into_iter().map(|element| format!("{element:?}")).collect();
                texts.sort();
                texts
            };
            prop_assert_eq!(sorted(index.iter().collect()), sorted(list.iter().collect()));
            for label in 0..3 {
                let label = format!("pod{label}");
                let own = list.iter().filter(|one| one.label() == label);
                prop_assert_eq!(sorted(index.of(&label).collect()), sorted(own.collect()));
                let known = index.labels().any(|known| known == label);
                prop_assert_eq!(known, list.iter().any(|one| one.label() == label));
            }
            for key in 0..4 {
                let one = element(key, 0, 0);
                let beside = list.iter().filter(|other| other.key == one.key);
                prop_assert_eq!(sorted(index.beside(&one).iter().collect()), sorted(beside.collect()));
                prop_assert_eq!(index.contains(&one), list.contains(&one));
            }
        }
    }
}
