//! Which chains and rules there are, and where: those of the reference, to the letter, so that either program finds what
//! the other left.

use std::net::IpAddr;

use podnet_netutil::Family;
use podnet_netutil::xtables::{FilterEdit, FilterRule, FilterTable};

use crate::nat::is_forwarding;

pub(super) const FORWARD: &str = "FORWARD";
/// What pods may receive and send.
pub(super) const PODS: &str = "CNI-FORWARD";
/// Who leaves a bridge, and who enters one that came from another.
const STAGE_1: &str = "CNI-ISOLATION-STAGE-1";
const STAGE_2: &str = "CNI-ISOLATION-STAGE-2";

const COMMENT: &str = "CNI firewall plugin rules";
const ADMIN_COMMENT: &str = "CNI firewall plugin admin overrides";
const ANY_POLICY: &str = "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)";
const SAME_BRIDGE: &str = "CNI firewall plugin rules (ingressPolicy: same-bridge)";
const ISOLATED: &str = "CNI firewall plugin rules (ingressPolicy: isolated)";

/// Which pods may reach those of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Isolation {
    pub(super) bridge: String,
    /// None at all; else those of the same bridge.
    pub(super) full: bool,
}

/// What a configuration wants in the filter table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The chain that an administrator fills, ahead of the rules for pods; none where iptables lets no pod pass.
    pub(super) admin_chain: Option<String>,
    pub(super) isolation: Option<Isolation>,
}

/// A rule and the chain it is in.
type Placed = (&'static str, FilterRule);

impl Layout {
    /// Whether there is anything to do.
    pub(super) fn is_empty(&self) -> bool {
        self.admin_chain.is_none() && self.isolation.is_none()
    }

    /// The chains that it looks at.
    pub(super) fn chains(&self) -> Vec<&str> {
        let admin = self.admin_chain.as_deref();
        [FORWARD, PODS, STAGE_1, STAGE_2].into_iter().chain(admin).collect()
    }

    /// Adds what is missing, and returns what of it is about these addresses alone.
    pub(super) fn ensure(&self, edit: &mut FilterEdit, addresses: &[IpAddr]) -> Vec<FilterRule> {
        let mut added = Vec::new();
        if let Some(admin) = &self.admin_chain {
            edit.ensure_chain(PODS);
            edit.ensure_chain(admin);
            // At the head as with the reference; but a packet that is let pass there would not come to the isolation.
            let behind = edit.table().position(FORWARD, &isolation_jump());
            insert_once(edit, FORWARD, behind.map_or(0, |position| position + 1), pods_jump());
            insert_once(edit, PODS, 0, admin_jump(admin));
            for rule in addresses.iter().copied().flat_map(pod_rules) {
                if append_once(edit, PODS, &rule) {
                    added.push(rule);
                }
            }
        }
        if let Some(isolation) = &self.isolation {
            isolation.ensure(edit);
        }
        added
    }

    /// What of it is missing, each as a line for a person.
    pub(super) fn missing(&self, table: &FilterTable, addresses: &[IpAddr]) -> Vec<String> {
        let mut wanted: Vec<Placed> = Vec::new();
        if let Some(admin) = &self.admin_chain {
            wanted.extend([(FORWARD, pods_jump()), (PODS, admin_jump(admin))]);
            wanted.extend(addresses.iter().copied().flat_map(pod_rules).map(|rule| (PODS, rule)));
        }
        let isolation = self.isolation.as_ref();
        wanted.extend(isolation.map(Isolation::rules).into_iter().flatten());
        let absent =
            wanted.into_iter().filter(|(chain, rule)| table.position(chain, rule).is_none());
        let mut lines: Vec<String> =
            absent.map(|(chain, rule)| format!("chain {chain} has no rule {rule}")).collect();
        if isolation.is_some_and(|isolation| isolation.is_overtaken(table)) {
            lines.push(format!("chain {FORWARD} accepts packets before it leads to {STAGE_1}"));
        }
        lines
    }
}

impl Isolation {
    fn ensure(&self, edit: &mut FilterEdit) {
        edit.ensure_chain(STAGE_1);
        edit.ensure_chain(STAGE_2);
        if self.is_overtaken(edit.table()) {
            edit.delete(FORWARD, &isolation_jump());
        }
        insert_once(edit, FORWARD, 0, isolation_jump());
        insert_once(edit, STAGE_1, 0, self.leaving());
        if self.full {
            insert_once(edit, STAGE_1, 0, self.within());
        }
        append_once(edit, STAGE_1, &back());
        insert_once(edit, STAGE_2, 0, self.entering());
        append_once(edit, STAGE_2, &back());
    }

    /// Whether packets of its bridge are let pass before it sees them: by rules that somebody flushed and a plugin put
    /// back, or by those that our host ports have there for the bridge.
    fn is_overtaken(&self, table: &FilterTable) -> bool {
        let Some(own) = table.position(FORWARD, &isolation_jump()) else { return false };
        let (pods, bridge) = (pods_jump(), self.bridge.as_str());
        let of_bridge =
            |rule: &FilterRule| rule.comment().is_some_and(|text| is_forwarding(text, bridge));
        table.rules(FORWARD).iter().take(own).any(|rule| *rule == pods || of_bridge(rule))
    }

    fn rules(&self) -> Vec<Placed> {
        let mut rules = vec![(FORWARD, isolation_jump()), (STAGE_1, self.leaving())];
        rules.extend(self.full.then(|| (STAGE_1, self.within())));
        rules.push((STAGE_2, self.entering()));
        rules
    }

    fn comment(&self) -> &'static str {
        if self.full { ISOLATED } else { SAME_BRIDGE }
    }

    fn leaving(&self) -> FilterRule {
        let bridge = self.bridge.as_str();
        commented(&["-i", bridge, "!", "-o", bridge], self.comment(), STAGE_2)
    }

    fn within(&self) -> FilterRule {
        let bridge = self.bridge.as_str();
        commented(&["-i", bridge, "-o", bridge], self.comment(), "DROP")
    }

    fn entering(&self) -> FilterRule {
        commented(&["-o", &self.bridge], ANY_POLICY, "DROP")
    }
}

/// Removes what is about these addresses. The chains stay: nothing tells whether others need them.
pub(super) fn withdraw(edit: &mut FilterEdit, addresses: &[IpAddr]) {
    for rule in addresses.iter().copied().flat_map(pod_rules) {
        edit.delete(PODS, &rule);
    }
}

/// The addresses of one family, each once.
pub(super) fn of_family(addresses: &[IpAddr], family: Family) -> Vec<IpAddr> {
    let is_it = |address: &&IpAddr| address.is_ipv4() == matches!(family, Family::V4);
    let mut found: Vec<IpAddr> = Vec::new();
    for address in addresses.iter().filter(is_it) {
        if !found.contains(address) {
            found.push(*address);
        }
    }
    found
}

/// An address as a network of its own, as both iptables and firewalld have it.
pub(super) fn network_of(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

fn pod_rules(address: IpAddr) -> [FilterRule; 2] {
    let pod = network_of(address);
    let state = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"];
    let answers = [&["-d", pod.as_str()], &state[..], &["-j", "ACCEPT"]].concat();
    [FilterRule::new(answers), FilterRule::new(["-s", &pod, "-j", "ACCEPT"])]
}

fn pods_jump() -> FilterRule {
    commented(&[], COMMENT, PODS)
}

fn admin_jump(admin_chain: &str) -> FilterRule {
    commented(&[], ADMIN_COMMENT, admin_chain)
}

fn isolation_jump() -> FilterRule {
    commented(&[], ANY_POLICY, STAGE_1)
}

fn back() -> FilterRule {
    commented(&[], ANY_POLICY, "RETURN")
}

fn commented(matches: &[&str], comment: &str, target: &str) -> FilterRule {
    FilterRule::new([matches, &["-m", "comment", "--comment", comment, "-j", target]].concat())
}

fn insert_once(edit: &mut FilterEdit, chain: &str, position: usize, rule: FilterRule) {
    if edit.table().position(chain, &rule).is_none() {
        edit.insert(chain, position, rule);
    }
}

fn append_once(edit: &mut FilterEdit, chain: &str, rule: &FilterRule) -> bool {
    let is_missing = edit.table().position(chain, rule).is_none();
    if is_missing {
        edit.append(chain, rule.clone());
    }
    is_missing
}

#[cfg(test)]
mod tests;
