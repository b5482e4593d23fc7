//! What leads from the elements that are there to those that a pod is to have.

use std::collections::HashSet;

use podnet_netutil::Family;
use podnet_netutil::nft::{Element, Transaction, Uniqueness};

use super::conditions::{Missing, PortsMap};
use super::elements::{hairpin, masquerade};
use super::layout::{TABLE, hairpins, masquerades};
use super::present::{Index, Indexed as _, Present, member_sets};
use super::{Published, Publishing};

/// What leads from the elements that are there to those that a pod is to have.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) missing: Vec<Missing>,
    pub(super) added: Vec<Published>,
    pub(super) removed: Vec<Published>,
    pub(super) members_added: Vec<(&'static str, Element)>,
    pub(super) members_removed: Vec<(&'static str, Element)>,
}

impl Change {
    pub(super) fn between(
        present: &Present,
        label: &str,
        wanted: &[Published],
        publishing: &Publishing,
    ) -> Self {
        let added = wanted.iter().filter(|port| !present.ports.contains(port)).cloned().collect();
        let removed = present.ports.of(label).filter(|port| !wanted.contains(port));
        let mut change = Self { added, removed: removed.cloned().collect(), ..Self::default() };
        for (set, elements) in &present.members {
            let members = wanted_members(set, wanted, publishing);
            change.members(set, elements, label, &members);
        }
        change
    }

    /// What removes all elements of these labels.
    pub(super) fn without(present: &Present, is_gone: impl Fn(&str) -> bool) -> Self {
        let ports = present.ports.iter().filter(|port| is_gone(&port.label));
        let members = present.members.iter().flat_map(|(set, elements)| {
            let of_gone = elements.iter().filter(|element| is_gone(element.label()));
            of_gone.map(|element| (*set, element.clone()))
        });
        Self {
            removed: ports.cloned().collect(),
            members_removed: members.collect(),
            ..Self::default()
        }
    }

    /// An element of a pod that had the address before and was not withdrawn is replaced.
    fn members(
        &mut self,
        set: &'static str,
        present: &Index<Element>,
        label: &str,
        wanted: &HashSet<Element>,
    ) {
        let in_the_way = wanted.iter().flat_map(|wanted| present.beside(wanted));
        let stale: HashSet<&Element> = present
            .of(label)
            .chain(in_the_way)
            .filter(|element| !wanted.contains(element))
            .collect();
        self.members_removed.extend(stale.into_iter().map(|element| (set, element.clone())));
        let added = wanted.iter().filter(|wanted| !present.contains(wanted));
        self.members_added.extend(added.map(|element| (set, element.clone())));
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let missing = self.missing.iter().flat_map(|missing| missing.lines.iter().cloned());
        let added = self.added.iter().map(|port| format!("host port {port} is not published"));
        let removed = self.removed.iter().map(|port| format!("host port {port} is published"));
        let sets = self.members_added.iter().chain(&self.members_removed);
        let sets = sets.map(|(set, _)| {
            let what = if [Family::V4, Family::V6].map(hairpins).contains(set) {
                "the pod cannot reach itself"
            } else {
                "clients of a port are not masqueraded as they should be"
            };
            format!("set {set} is not in order: {what}")
        });
        missing.chain(added).chain(removed).chain(sets).collect()
    }

    pub(super) fn transaction(&self) -> Transaction {
        let mut transaction = Transaction::new();
        for missing in &self.missing {
            missing.make(&mut transaction);
        }
        for (map, elements) in by_map(&self.removed) {
            transaction.delete_elements(TABLE, &map.name(), &elements);
        }
        for set in member_sets() {
            transaction.delete_elements(TABLE, set, &of_set(&self.members_removed, set));
        }
        let new = Uniqueness::MustBeNew;
        for (map, elements) in by_map(&self.added) {
            transaction.add_elements(TABLE, &map.name(), &elements, new);
        }
        for set in member_sets() {
            transaction.add_elements(TABLE, set, &of_set(&self.members_added, set), new);
        }
        transaction
    }
}

fn wanted_members(set: &str, wanted: &[Published], publishing: &Publishing) -> HashSet<Element> {
    let itself = wanted.iter().filter(|port| publishing.hairpin && hairpins(port.family()) == set);
    let everybody =
        wanted.iter().filter(|port| publishing.masquerade_all && masquerades(port.family()) == set);
    itself.map(hairpin).chain(everybody.map(masquerade)).collect()
}

fn by_map(ports: &[Published]) -> Vec<(PortsMap, Vec<Element>)> {
    let mut maps: Vec<(PortsMap, Vec<Element>)> = Vec::new();
    for port in ports {
        let map = PortsMap::of(port);
        match maps.iter_mut().find(|(known, _)| *known == map) {
            Some((_, elements)) => elements.push(port.element()),
            None => maps.push((map, vec![port.element()])),
        }
    }
    maps
}

fn of_set(elements: &[(&'static str, Element)], set: &str) -> Vec<Element> {
    let own = elements.iter().filter(|(of, _)| *of == set);
    own.map(|(_, element)| element.clone()).collect()
}
