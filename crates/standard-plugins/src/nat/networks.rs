//! Networks that have something in the table, and the end of one.

use std::io;

use podnet_cni_spec::NetworkName;
use podnet_netutil::nft::{ListedRule, Table};
use podnet_netutil::{Family, sysctl};

use super::audit::ROUTE_LOCALNET;
use super::change::Change;
use super::layout::{self, BRIDGE_TABLE, TABLE};
use super::{NatTable, forward, stale};
use crate::error::Error;
use crate::label::Label;

/// How often the removal is worked out anew because somebody changed something meanwhile.
const ATTEMPTS: usize = 5;

impl NatTable {
    /// The networks of which the table has anything: rules, or host ports of their pods. In alphabetical order.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub async fn networks(&self) -> Result<Vec<NetworkName>, Error> {
        let mut networks = Vec::new();
        for table in [TABLE, BRIDGE_TABLE] {
            let chains = self.nft.chains(table).await?;
            networks.extend(chains.iter().filter_map(|chain| layout::owner(table, chain)));
        }
        let present = self.present().await?;
        networks.extend(present.labels().filter_map(network_of));
        networks.sort_unstable();
        networks.dedup();
        Ok(networks)
    }

    /// Removes everything of a network that no pod is in any more, and returns what that was, one line each: its rules,
    /// the host ports that pods of it left, its rules in a FORWARD chain of iptables. Nothing is success.
    ///
    /// A bridge of it that no other network's rules guard does not route 127.0.0.0/8 any more. Nobody may attach a pod to
    /// the network meanwhile: its next pod puts all of it back ([`NatTable::ensure`]).
    ///
    /// # Errors
    /// [`Error::Net`].
    pub async fn remove_network(&self, network: &NetworkName) -> Result<Vec<String>, Error> {
        let mut outcome = Ok(Vec::new());
        for _ in 0..ATTEMPTS {
            outcome = self.try_to_remove(network).await;
            match &outcome {
                Err(Error::Net(error)) if error.is_gone() => {}
                _ => break,
            }
        }
        let mut lines = outcome?;
        lines.extend(forward::remove_legacy(network).await);
        self.verified.lock().await.forget(network);
        Ok(lines)
    }

    async fn try_to_remove(&self, network: &NetworkName) -> Result<Vec<String>, Error> {
        let present = self.present().await?;
        let change = Change::without(&present, |label| network_of(label).as_ref() == Some(network));
        let mut lines: Vec<String> =
            change.removed.iter().map(|port| format!("host port {port}, {}", port.label)).collect();
        let mut transaction = change.transaction();
        // Before the guard goes: without it pods would reach what listens there.
        stop_routing_loopback(network, &self.nft.rules(TABLE).await?)?;
        for (table, chain) in self.own_chains(network).await? {
            transaction.flush_chain(table, &chain);
            transaction.delete_chain(table, &chain);
            lines.push(format!("chain {table} {chain}"));
        }
        forward::remove(&self.nft, network, &mut lines, &mut transaction).await?;
        self.commit(transaction, present.generation).await?;
        self.conntrack.forget(&stale::of_withdrawal(&change.removed)).await?;
        self.remove_unused_rules().await?;
        Ok(lines)
    }

    async fn own_chains(
        &self,
        network: &NetworkName,
    ) -> Result<Vec<(Table<'static>, String)>, Error> {
        let own = layout::own_chains(network);
        let asked: Vec<_> = own.iter().map(|(table, chain)| (*table, chain.as_str())).collect();
        let present = self.nft.present_chains(&asked).await?;
        Ok(present
            .into_iter()
            .filter_map(|(table, chain)| {
                own.iter().find(|(of, name)| of.family == table.family && name == chain).cloned()
            })
            .collect())
    }

    /// Removes the rules of conditions that no port has any more.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub(crate) async fn remove_unused_rules(&self) -> Result<(), Error> {
        let present = self.present().await?;
        if present.unused_maps().next().is_some() {
            self.remove_unused_maps(&present).await?;
        }
        Ok(())
    }
}

fn network_of(label: &str) -> Option<NetworkName> {
    Label::from_alias(label).map(|label| label.network().clone())
}

/// For the bridges that only this network's rules guard.
fn stop_routing_loopback(network: &NetworkName, rules: &[ListedRule]) -> Result<(), Error> {
    let guards = |rule: &ListedRule| {
        let bridge = layout::guarded(rule.comment.as_deref()?)?.to_owned();
        Some((layout::owner(TABLE, &rule.chain)?, bridge))
    };
    let guards: Vec<(NetworkName, String)> = rules.iter().filter_map(guards).collect();
    let others = |bridge: &str| guards.iter().any(|(of, same)| of != network && same == bridge);
    for (_, bridge) in guards.iter().filter(|(of, bridge)| of == network && !others(bridge)) {
        match sysctl::set_interface(Family::V4, bridge, ROUTE_LOCALNET, "0") {
            Err(podnet_netutil::Error::Sysctl { source, .. })
                if source.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}
