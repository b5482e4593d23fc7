//! Clients of `portmap`'s ports that its containers could not answer: processes of the host that come by 127.0.0.1 to a
//! container that is behind no bridge, and neighbours on a bridge that hands over frames without netfilter.

use std::io;

use podnet_cni_spec::{InterfaceName, NetworkName};
use podnet_netutil::nft::{Hook, InterfaceMatch, ListedRule, Load, Rule, Slot, Test, Transaction};
use podnet_netutil::{Error as NetError, Family, sysctl};

use super::audit::{loopback_fault, route_loopback};
use super::layout::{self, Chain, NEIGHBOURS, SOURCE_TRANSLATION, TABLE, hairpins};
use super::{NatNetwork, NatTable};
use crate::error::Error;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// The chains that are needed, each with its rules as they stand, and what stands there without need.
struct Audit {
    wanted: Vec<(Chain, Vec<ListedRule>)>,
    left_over: Option<Chain>,
}

impl Audit {
    fn lines(&self) -> Vec<String> {
        self.wanted.iter().filter_map(|(chain, present)| chain.fault(present)).collect()
    }

    fn transaction(&self) -> Transaction {
        let mut transaction = Transaction::new();
        for (chain, _) in self.wanted.iter().filter(|(chain, rules)| chain.fault(rules).is_some()) {
            chain.write(&mut transaction);
        }
        if let Some(chain) = &self.left_over {
            // Making it first makes the removal succeed where somebody else was quicker.
            chain.write(&mut transaction);
            transaction.flush_chain(TABLE, &chain.name);
            transaction.delete_chain(TABLE, &chain.name);
        }
        transaction
    }
}

impl NatTable {
    /// Puts in place what such clients need, and returns what was not, one line each. [`NatTable::ensure`] must have made
    /// the table. `direct` is the interface by which the host reaches a pod that is behind no bridge.
    ///
    /// Who is masqueraded by these rules is told by the pods' elements: only clients of those that may reach themselves.
    pub(crate) async fn ensure_clients(
        &self,
        network: &NatNetwork,
        direct: Option<&InterfaceName>,
    ) -> Result<Vec<String>, Error> {
        let audit = self.audit_clients(network, direct).await?;
        let mut lines = audit.lines();
        lines.extend(
            audit
                .left_over
                .as_ref()
                .map(|chain| format!("chain {TABLE} {} is not needed any more", chain.name)),
        );
        let transaction = audit.transaction();
        if !transaction.is_empty() {
            let generation = self.nft.generation().await?;
            self.commit(transaction, generation).await?;
        }
        // Only now that the guard is there.
        if let Some(interface) = direct {
            lines.extend(route_loopback(interface)?);
        }
        Ok(lines)
    }

    /// What such clients need and is not in place, one line each. Changes nothing.
    pub(crate) async fn missing_clients(
        &self,
        network: &NatNetwork,
        direct: Option<&InterfaceName>,
    ) -> Result<Vec<String>, Error> {
        let mut lines = self.audit_clients(network, direct).await?.lines();
        if let Some(interface) = direct {
            lines.extend(loopback_fault(interface)?);
        }
        Ok(lines)
    }

    async fn audit_clients(
        &self,
        network: &NatNetwork,
        direct: Option<&InterfaceName>,
    ) -> Result<Audit, Error> {
        let mut audit = Audit { wanted: Vec::new(), left_over: None };
        if direct.is_some() {
            for chain in guard().into_iter().chain(loopback_clients()) {
                let present = self.nft.chain_rules(TABLE, &chain.name).await?;
                audit.wanted.push((chain, present));
            }
        }
        if network.pod_cidrs.is_empty() {
            return Ok(audit);
        }
        let chain = neighbours(network, &unfiltered(network)?);
        let present = self.nft.chain_rules(TABLE, &chain.name).await?;
        if !chain.rules.is_empty() {
            audit.wanted.push((chain, present));
        } else if !present.is_empty() {
            audit.left_over = Some(chain);
        }
        Ok(audit)
    }
}

/// The families of whose packets netfilter sees nothing that a bridge hands over: the answer to a neighbour would come
/// from the pod's own address. Nothing tells that to a rule, and so it is looked at when a pod comes.
fn unfiltered(network: &NatNetwork) -> Result<Vec<Family>, NetError> {
    let mut families = Vec::new();
    for family in FAMILIES.into_iter().filter(|family| layout::has(network, *family)) {
        let key = match family {
            Family::V4 => "net/bridge/bridge-nf-call-iptables",
            Family::V6 => "net/bridge/bridge-nf-call-ip6tables",
        };
        match sysctl::read(key) {
            Ok(value) if value != "0" => {}
            Ok(_) => families.push(family),
            // The module is not loaded.
            Err(NetError::Sysctl { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                families.push(family);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(families)
}

fn neighbours_chain(network: &NetworkName) -> String {
    format!("{NEIGHBOURS}{network}")
}

fn neighbours(network: &NatNetwork, unfiltered: &[Family]) -> Chain {
    let bridge = network.bridge.as_str();
    let cidrs = network.pod_cidrs.iter().copied();
    let cidrs = cidrs.filter(|cidr| unfiltered.contains(&Family::of(cidr)));
    let rules = cidrs.map(|cidr| {
        let family = Family::of(&cidr);
        let rule = Rule::new().of_family(family).from_network(cidr).to_interface(bridge);
        to_a_pod_with_ports(rule, family)
            .masquerade()
            .comment(format!("{cidr} to host ports by {bridge}: masquerade"))
    });
    let name = neighbours_chain(&network.name);
    layout::nat_chain(name, Hook::Postrouting, SOURCE_TRANSLATION, rules.collect())
}

/// Each pod's interface routes 127.0.0.0/8 to the pod; from no interface but the host's own may packets go there.
fn guard() -> Option<Chain> {
    let (loopback, own) = (layout::loopback()?, InterfaceMatch::exactly("lo")?);
    let rule = Rule::new()
        .of_family(Family::V4)
        .test(&Test::FromInterface(own), true)
        .to_network(loopback)
        .drop_packet()
        .comment(format!("from elsewhere than lo to {loopback}: drop"));
    Some(layout::guard_chain("guard".to_owned(), rule))
}

/// A pod cannot answer to 127.0.0.1.
fn loopback_clients() -> Option<Chain> {
    let loopback = layout::loopback()?;
    let rule = Rule::new().of_family(Family::V4).from_network(loopback);
    let rule = to_a_pod_with_ports(rule, Family::V4)
        .masquerade()
        .comment(format!("{loopback} to host ports: masquerade"));
    Some(layout::nat_chain(
        "loopback".to_owned(),
        Hook::Postrouting,
        SOURCE_TRANSLATION,
        vec![rule],
    ))
}

/// Packets that came by a port of the host to a pod that may reach itself so.
fn to_a_pod_with_ports(rule: Rule, family: Family) -> Rule {
    let second = match family {
        Family::V4 => Slot(1),
        Family::V6 => Slot(4),
    };
    rule.of_translated_destination()
        .load(Load::Destination(family), Slot(0))
        .load(Load::Destination(family), second)
        .in_set(hairpins(family), Slot(0))
}

#[cfg(test)]
mod tests {
    use super::super::tests::network;
    use super::*;

    #[test]
    fn only_families_that_pass_unseen_are_masqueraded() {
        let comments = |families: &[Family]| -> Vec<String> {
            let chain = neighbours(&network(), families);
            chain.comments().into_iter().map(str::to_owned).collect()
        };
        assert!(comments(&[]).is_empty());
        assert_eq!(
            comments(&FAMILIES),
            [
                "10.9.0.0/24 to host ports by cbr0: masquerade",
                "fd00:9::/64 to host ports by cbr0: masquerade",
            ]
        );
    }

    #[test]
    fn the_chain_of_neighbours_is_the_networks_own_and_the_shared_ones_are_nobodys() {
        let owner = |name: &str| layout::owner(TABLE, name);
        let network = network();
        assert_eq!(owner(&neighbours_chain(&network.name)), Some(network.name));
        for chain in [guard().unwrap(), loopback_clients().unwrap()] {
            assert_eq!(owner(&chain.name), None);
            assert_eq!(chain.comments().len(), chain.rules.len());
        }
    }
}
