//! Whether the table holds what the networks need, and putting it there where it does not.

use std::collections::{HashMap, HashSet};
use std::io;

use podnet_cni_spec::{InterfaceName, NetworkName};
use podnet_netutil::nft::{ListedRule, Table, Transaction};
use podnet_netutil::{Family, sysctl};

use super::layout::{self, BRIDGE_TABLE, Chain, TABLE};
use super::{NatNetwork, NatTable, forward};
use crate::error::Error;

pub(super) const ROUTE_LOCALNET: &str = "route_localnet";

/// What was found in order, and when.
#[derive(Debug, Default)]
pub(super) struct Verified {
    /// The generation of nftables at which a network's rules were all there.
    networks: HashMap<NetworkName, (u32, NatNetwork)>,
    /// The networks for which the older iptables was looked at.
    legacy: HashSet<NetworkName>,
}

impl Verified {
    fn holds(&self, network: &NatNetwork, generation: u32) -> bool {
        let found = self.networks.get(&network.name);
        found.is_some_and(|(at, found)| *at == generation && found == network)
    }

    /// What is removed is looked at again when it is needed again.
    pub(super) fn forget(&mut self, network: &NetworkName) {
        self.networks.remove(network);
        self.legacy.remove(network);
    }

    /// A transaction of ours was the only one: what was in order still is.
    fn advance(&mut self, before: u32, after: u32) {
        if after == next(before) {
            let current = self.networks.values_mut().filter(|(at, _)| *at == before);
            current.for_each(|(at, _)| *at = after);
        }
    }
}

/// The kernel leaves out 0 when the number wraps.
fn next(generation: u32) -> u32 {
    generation.wrapping_add(1).max(1)
}

/// What is not as it should be, and the transaction that mends it.
#[derive(Default)]
struct Repair {
    lines: Vec<String>,
    transaction: Transaction,
}

impl NatTable {
    /// Puts everything in place that a network's pods need, and returns what was not, one line each.
    ///
    /// Published host ports are left as they are. Nothing is read but one number while no nftables of this host
    /// changed since the last call. On a host whose FORWARD chain drops by policy, two rules of ours go to its head; the
    /// older iptables is looked at once for each network.
    ///
    /// # Errors
    /// [`Error::Net`] when the kernel refuses something.
    pub async fn ensure(&self, network: &NatNetwork) -> Result<Vec<String>, Error> {
        let mut verified = self.verified.lock().await;
        let generation = self.nft.generation().await?;
        let mut lines = Vec::new();
        if !verified.holds(network, generation) {
            let mut repair = self.audit(network).await?;
            forward::audit(&self.nft, network, &mut repair.lines, &mut repair.transaction).await?;
            let changes = !repair.transaction.is_empty();
            self.nft.commit(repair.transaction).await?;
            // Somebody else's change in between makes the next call look again.
            let now = if changes { next(generation) } else { generation };
            verified.networks.insert(network.name.clone(), (now, network.clone()));
            lines = repair.lines;
        }
        // Only now that the guard is there may the bridge route 127.0.0.0/8.
        lines.extend(route_localnet(network)?);
        if verified.legacy.insert(network.name.clone()) {
            lines.extend(forward::ensure_legacy(network).await);
        }
        Ok(lines)
    }

    /// Lets a network's packets pass where the FORWARD chain drops by policy, and nothing else of [`NatTable::ensure`].
    pub(crate) async fn let_pass(&self, network: &NatNetwork) -> Result<Vec<String>, Error> {
        let Repair { mut lines, mut transaction } = Repair::default();
        forward::audit(&self.nft, network, &mut lines, &mut transaction).await?;
        self.nft.commit(transaction).await?;
        lines.extend(forward::ensure_legacy(network).await);
        Ok(lines)
    }

    /// What a network's pods need and is not in place, one line each. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Net`] when the kernel cannot be asked.
    pub async fn missing(&self, network: &NatNetwork) -> Result<Vec<String>, Error> {
        let mut repair = self.audit(network).await?;
        forward::audit(&self.nft, network, &mut repair.lines, &mut repair.transaction).await?;
        repair.lines.extend(localnet_fault(network)?);
        repair.lines.extend(forward::missing_legacy(network).await);
        Ok(repair.lines)
    }

    /// Carries out a transaction of ours, which changes nothing of what was verified. Returns the generation after it
    /// where it was the only one since the generation `seen`.
    pub(super) async fn commit(
        &self,
        transaction: Transaction,
        seen: u32,
    ) -> Result<Option<u32>, Error> {
        if transaction.is_empty() {
            return Ok(Some(seen));
        }
        let mut verified = self.verified.lock().await;
        let before = self.nft.generation().await?;
        self.nft.commit(transaction).await?;
        let after = self.nft.generation().await?;
        verified.advance(before, after);
        Ok((before == seen && after == next(before)).then_some(after))
    }

    async fn audit(&self, network: &NatNetwork) -> Result<Repair, Error> {
        let wanted = layout::chains(network);
        let mut repair = Repair::default();
        for table in [TABLE, BRIDGE_TABLE] {
            let chains: Vec<&Chain> = wanted.iter().filter(|chain| chain.table == table).collect();
            let present = self.nft.rules(table).await?;
            repair.compare(table, &chains, &present);
            if table == BRIDGE_TABLE {
                repair.remove_left_over(network, table, &chains, &present);
            }
        }
        Ok(repair)
    }
}

impl Repair {
    fn compare(&mut self, table: Table<'static>, wanted: &[&Chain], present: &[ListedRule]) {
        let faults: Vec<String> = wanted.iter().filter_map(|chain| chain.fault(present)).collect();
        if faults.is_empty() {
            return;
        }
        if present.is_empty() {
            self.lines.push(format!("table {table} is missing"));
        } else {
            self.lines.extend(faults);
        }
        self.rewrite(table, wanted);
    }

    fn rewrite(&mut self, table: Table<'static>, wanted: &[&Chain]) {
        self.transaction.add_table(table);
        if table == TABLE {
            for collection in layout::collections() {
                self.transaction.add_collection(table, &collection);
            }
        }
        for chain in wanted {
            chain.write(&mut self.transaction);
        }
    }

    /// What the network's bridge needed before and does not any more, for example in promiscuous mode.
    fn remove_left_over(
        &mut self,
        network: &NatNetwork,
        table: Table<'static>,
        wanted: &[&Chain],
        present: &[ListedRule],
    ) {
        let own = layout::own_chains(&network.name).into_iter().filter(|(of, _)| *of == table);
        for (_, chain) in own {
            let is_wanted = wanted.iter().any(|wanted| wanted.name == chain);
            if !is_wanted && present.iter().any(|rule| rule.chain == chain) {
                self.lines.push(format!("chain {table} {chain} is not needed any more"));
                self.transaction.flush_chain(table, &chain);
                self.transaction.delete_chain(table, &chain);
            }
        }
    }
}

/// Lets the bridge route 127.0.0.0/8, so that a host port is reached there too.
fn route_localnet(network: &NatNetwork) -> Result<Option<String>, Error> {
    if layout::has(network, Family::V4) { route_loopback(&network.bridge) } else { Ok(None) }
}

/// Lets an interface route 127.0.0.0/8, and returns what it did until then.
pub(super) fn route_loopback(interface: &InterfaceName) -> Result<Option<String>, Error> {
    let fault = loopback_fault(interface)?;
    if fault.is_some() {
        sysctl::set_interface(Family::V4, interface.as_str(), ROUTE_LOCALNET, "1")?;
    }
    Ok(fault)
}

fn localnet_fault(network: &NatNetwork) -> Result<Option<String>, Error> {
    if layout::has(network, Family::V4) { loopback_fault(&network.bridge) } else { Ok(None) }
}

pub(super) fn loopback_fault(interface: &InterfaceName) -> Result<Option<String>, Error> {
    let name = interface.as_str();
    match sysctl::read_interface(Family::V4, name, ROUTE_LOCALNET) {
        Ok(value) if value == "1" => Ok(None),
        Ok(value) => Ok(Some(format!("net/ipv4/conf/{name}/{ROUTE_LOCALNET} is {value}, not 1"))),
        // A bridge is made with the first pod, and a pod's own interface goes with it.
        Err(podnet_netutil::Error::Sysctl { source, .. })
            if source.kind() == io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_of_ours_alone_keeps_what_was_verified() {
        let network = super::super::tests::network();
        let at = |generation| {
            let networks = HashMap::from([(network.name.clone(), (generation, network.clone()))]);
            Verified { networks, ..Verified::default() }
        };
        let mut verified = at(7);
        verified.advance(7, 8);
        assert!(verified.holds(&network, 8) && !verified.holds(&network, 7));
        verified.advance(8, 10);
        assert!(!verified.holds(&network, 10));
        let mut behind = at(6);
        behind.advance(7, 8);
        assert!(!behind.holds(&network, 8));
    }

    #[test]
    fn another_network_by_the_name_is_not_verified() {
        let network = super::super::tests::network();
        let networks = HashMap::from([(network.name.clone(), (7, network.clone()))]);
        let verified = Verified { networks, ..Verified::default() };
        let other = NatNetwork { masquerade: false, ..network };
        assert!(!verified.holds(&other, 7));
    }
}
