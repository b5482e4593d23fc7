//! Host ports that only some packets reach: each set of conditions has a map and two chains of its own, named by what it
//! says, so that no network's conditions replace another's and ports without conditions are found as before.

use std::fmt::Write as _;

use podnet_netutil::Family;
use podnet_netutil::nft::{Condition, Hook, Rule, Test, Transaction};
use sha2::{Digest, Sha256};

use super::elements::family_of;
use super::layout::{self, Chain, TABLE};
use super::{NatTable, Published};
use crate::error::Error;

/// After the ports without conditions.
const PRIORITY: i32 = layout::AFTER_SERVICES + 1;
/// What a rule's comment has room for, beside its place.
const COMMENT_CHARACTERS: usize = 100;
/// How much of a digest tells one set of conditions from another, in hexadecimal digits.
const ID_DIGITS: usize = 12;

/// What a packet must be like to reach a host port, besides going there. Without any, every packet may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// All of these for a packet of IPv4.
    pub v4: Vec<Condition>,
    /// All of these for a packet of IPv6.
    pub v6: Vec<Condition>,
}

impl Conditions {
    /// The most rules that one set of conditions may become in a chain.
    pub const MOST_ALTERNATIVES: usize = 64;

    /// In how many ways all of these conditions can be met: a rule can say only one.
    #[must_use]
    pub fn alternatives(conditions: &[Condition]) -> usize {
        let several = conditions.iter().filter(|condition| !condition.negated);
        several.fold(1, |all, condition| all.saturating_mul(condition.any_of.len()))
    }

    fn of(&self, family: Family) -> &[Condition] {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// By what the map and the chains of a family's conditions are known; none where there are no conditions.
    pub(super) fn id(&self, family: Family) -> Option<String> {
        let conditions = self.of(family);
        (!conditions.is_empty()).then(|| {
            let digest = Sha256::digest(sentence(conditions));
            let mut digits = String::new();
            for byte in digest.iter().take(ID_DIGITS / 2) {
                let _ = write!(digits, "{byte:02x}");
            }
            digits
        })
    }
}

fn sentence(conditions: &[Condition]) -> String {
    let texts: Vec<String> = conditions.iter().map(ToString::to_string).collect();
    texts.join(" and ")
}

/// A map of host ports: that of all packets of a family, or that of a set of conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PortsMap {
    pub(super) family: Family,
    pub(super) conditions: Option<String>,
}

impl PortsMap {
    pub(super) fn of(port: &Published) -> Self {
        Self { family: family_of(port.pod_ip), conditions: port.conditions.clone() }
    }

    pub(super) fn name(&self) -> String {
        let name = layout::host_ports(self.family);
        match &self.conditions {
            Some(id) => format!("{name}-{id}"),
            None => name.to_owned(),
        }
    }

    /// Reads a name back; none where it is another set's.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Family::V4, Family::V6].into_iter().find_map(|family| {
            let rest = name.strip_prefix(layout::host_ports(family))?;
            let conditions = match rest.strip_prefix('-') {
                Some(id) => Some(id.to_owned()),
                None if rest.is_empty() => None,
                None => return None,
            };
            Some(Self { family, conditions })
        })
    }

    /// The chains that look into it, with their rules for these conditions; none for the map of all packets.
    fn chains(&self, conditions: &[Condition]) -> Vec<Chain> {
        let Some(id) = &self.conditions else { return Vec::new() };
        let number = match self.family {
            Family::V4 => 4,
            Family::V6 => 6,
        };
        [("prerouting", Hook::Prerouting), ("output", Hook::Output)]
            .map(|(hook_name, hook)| {
                let name = format!("{hook_name}{number}-{id}");
                layout::nat_chain(name, hook, PRIORITY, self.rules(conditions))
            })
            .to_vec()
    }

    fn rules(&self, conditions: &[Condition]) -> Vec<Rule> {
        let map = self.name();
        let mut rules = vec![layout::only_to_this_host(), layout::not_to_loopback6()];
        for (place, tests) in alternatives(conditions).into_iter().enumerate() {
            let family = Rule::new().of_family(self.family);
            let tested = tests.iter().fold(family, |rule, (test, not)| rule.test(test, *not));
            let words: String = sentence(conditions).chars().take(COMMENT_CHARACTERS).collect();
            let [exact, any] = layout::look_ups(self.family, &map, &tested);
            rules.push(exact.comment(format!("{place} {words}: an address's port")));
            rules.push(any.comment(format!("{place} {words}: a port of any address")));
        }
        rules
    }

    /// Removes chains and map, whether or not all of them are there.
    pub(super) fn remove(&self, transaction: &mut Transaction) {
        let map = self.name();
        for chain in self.chains(&[]) {
            transaction.add_chain(TABLE, &chain.base());
            transaction.flush_chain(TABLE, &chain.name);
            transaction.delete_chain(TABLE, &chain.name);
        }
        transaction.delete_collection(TABLE, &map);
    }
}

/// Each way in which all conditions are met: tests that hold, or with true do not.
fn alternatives(conditions: &[Condition]) -> Vec<Vec<(&Test, bool)>> {
    let mut all = vec![Vec::new()];
    for Condition { negated, any_of } in conditions {
        if *negated {
            for tests in &mut all {
                tests.extend(any_of.iter().map(|test| (test, true)));
            }
            continue;
        }
        let with = |tests: &Vec<(_, bool)>, test| [tests.as_slice(), &[(test, false)]].concat();
        all = all.iter().flat_map(|tests| any_of.iter().map(|test| with(tests, test))).collect();
    }
    all
}

/// Map and chains of a set of conditions that are not as they should be.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) map: PortsMap,
    chains: Vec<Chain>,
    /// What is wrong, one line each.
    pub(super) lines: Vec<String>,
}

impl Missing {
    pub(super) fn make(&self, transaction: &mut Transaction) {
        let map = self.map.name();
        transaction.add_collection(TABLE, &layout::ports_map(self.map.family, &map));
        for chain in &self.chains {
            chain.write(transaction);
        }
    }
}

impl NatTable {
    /// What these ports need that is not there or not as it should be.
    pub(super) async fn missing_conditions(
        &self,
        conditions: &Conditions,
        wanted: &[Published],
    ) -> Result<Vec<Missing>, Error> {
        let mut maps: Vec<PortsMap> = Vec::new();
        for map in wanted.iter().map(PortsMap::of) {
            if map.conditions.is_some() && !maps.contains(&map) {
                maps.push(map);
            }
        }
        if maps.is_empty() {
            return Ok(Vec::new());
        }
        let present = self.nft.rules(TABLE).await?;
        let missing = maps.into_iter().map(|map| {
            let chains = map.chains(conditions.of(map.family));
            let lines = chains.iter().filter_map(|chain| chain.fault(&present)).collect();
            Missing { map, chains, lines }
        });
        Ok(missing.filter(|missing| !missing.lines.is_empty()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(network: &str) -> Test {
        Test::Source(network.parse().unwrap())
    }

    fn conditions() -> Conditions {
        let local =
            Condition { negated: true, any_of: vec![from("127.0.0.0/8"), from("10.0.0.1")] };
        let some =
            Condition { negated: false, any_of: vec![from("10.0.0.0/8"), from("192.0.2.0/24")] };
        Conditions { v4: vec![local, some], v6: Vec::new() }
    }

    #[test]
    fn each_way_is_a_rule_and_what_is_negated_is_in_all() {
        let conditions = conditions();
        assert_eq!(Conditions::alternatives(&conditions.v4), 2);
        let ways = alternatives(&conditions.v4);
        let not = [(&from("127.0.0.0/8"), true), (&from("10.0.0.1"), true)];
        assert_eq!(ways[0], [&not[..], &[(&from("10.0.0.0/8"), false)]].concat());
        assert_eq!(ways[1], [&not[..], &[(&from("192.0.2.0/24"), false)]].concat());
        assert_eq!(alternatives(&[]), [[]; 1]);
    }

    #[test]
    fn a_map_is_known_by_its_name() {
        let id = conditions().id(Family::V4);
        assert_eq!(id.as_ref().unwrap().len(), ID_DIGITS);
        assert_eq!(conditions().id(Family::V6), None);
        for conditions in [None, id] {
            for family in [Family::V4, Family::V6] {
                let map = PortsMap { family, conditions: conditions.clone() };
                assert_eq!(PortsMap::named(&map.name()), Some(map));
            }
        }
        for other in ["hairpins4", "hostports40", "hostports"] {
            assert_eq!(PortsMap::named(other), None, "{other}");
        }
    }

    #[test]
    fn every_rule_of_a_condition_has_a_comment_of_its_own_that_fits() {
        let conditions = conditions();
        let map = PortsMap { family: Family::V4, conditions: conditions.id(Family::V4) };
        for chain in map.chains(&conditions.v4) {
            let mut comments = chain.comments();
            assert!(comments.iter().all(|comment| comment.len() < 252));
            assert_eq!(comments.len(), 6);
            comments.sort_unstable();
            comments.dedup();
            assert_eq!(comments.len(), 6);
        }
    }
}
