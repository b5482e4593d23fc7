//! Publishing, withdrawing and listing host ports.

use std::net::IpAddr;
use std::time::Duration;

use podnet_netutil::NamedLock;
use podnet_netutil::nft::Transaction;

use super::change::Change;
use super::conditions::PortsMap;
use super::layout::TABLE;
use super::present::{Index, Present, member_sets};
use super::wanted::{expand, label_text, refuse_conflicts};
use super::{HostPort, NatTable, Published, Publishing, listeners, stale};
use crate::error::Error;
use crate::label::Label;

/// How long publishing waits for another process that publishes.
const TURN_WAIT: Duration = Duration::from_secs(30);
/// How often a change is worked out anew because somebody changed the elements meanwhile.
const ATTEMPTS: usize = 5;

impl NatTable {
    /// Makes these the host ports of a pod with these addresses: exactly these, whatever it had before, at once.
    ///
    /// A port of any address is published for each family of `ips`. [`NatTable::ensure`] must have made the table.
    ///
    /// # Errors
    /// [`Error::HostPortTwice`], [`Error::HostPortUnusable`], [`Error::LabelTooLong`] for what is asked;
    /// [`Error::HostPortTaken`] by another pod, [`Error::HostPortInUse`] by a process of the host; [`Error::Net`],
    /// [`Error::Lock`].
    pub async fn publish(
        &self,
        label: &Label,
        ips: &[IpAddr],
        ports: &[HostPort],
    ) -> Result<(), Error> {
        self.publish_as(label, ips, ports, Publishing::default()).await
    }

    /// As [`NatTable::publish`], with a choice of what is refused and translated.
    ///
    /// # Errors
    /// Those of [`NatTable::publish`].
    pub async fn publish_as(
        &self,
        label: &Label,
        ips: &[IpAddr],
        ports: &[HostPort],
        publishing: Publishing,
    ) -> Result<(), Error> {
        let label = label_text(label)?;
        let wanted = expand(&label, ips, ports, &publishing.conditions)?;
        let _turn = self.turn().await?;
        let mut outcome = Ok(());
        for _ in 0..ATTEMPTS {
            let present = self.present().await?;
            let mut change = Change::between(&present, &label, &wanted, &publishing);
            change.missing = self.missing_conditions(&publishing.conditions, &wanted).await?;
            refuse_conflicts(&label, &present.ports, &change.added)?;
            if publishing.refuse_listeners {
                listeners::refuse_conflicts(&change.added)?;
            }
            outcome = self.carry_out(present, &change).await;
            match &outcome {
                // Somebody without the lock changed the elements: whose they are now shows when they are read again.
                Err(Error::Net(error)) if error.is_already_there() || error.is_gone() => {}
                Err(_) => return outcome,
                Ok(()) => {
                    let flows = stale::of_change(&change.added, &change.removed);
                    self.conntrack.forget(&flows).await?;
                    return Ok(());
                }
            }
        }
        outcome
    }

    /// What [`NatTable::publish_as`] would change, one line each. Changes nothing.
    ///
    /// # Errors
    /// [`Error::HostPortTwice`], [`Error::HostPortUnusable`], [`Error::LabelTooLong`] for what is asked; [`Error::Net`].
    pub async fn unpublished(
        &self,
        label: &Label,
        ips: &[IpAddr],
        ports: &[HostPort],
        publishing: Publishing,
    ) -> Result<Vec<String>, Error> {
        let label = label_text(label)?;
        let wanted = expand(&label, ips, ports, &publishing.conditions)?;
        let mut change = Change::between(&self.present().await?, &label, &wanted, &publishing);
        change.missing = self.missing_conditions(&publishing.conditions, &wanted).await?;
        Ok(change.lines())
    }

    /// Removes all host ports of a pod. None, or no table, is success.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub async fn withdraw(&self, label: &Label) -> Result<(), Error> {
        let label = label.alias();
        let mut outcome = Ok(());
        for _ in 0..ATTEMPTS {
            let present = self.present().await?;
            let change = Change::between(&present, &label, &[], &Publishing::default());
            outcome = self.carry_out(present, &change).await;
            match &outcome {
                Err(Error::Net(error)) if error.is_gone() => {}
                Err(_) => return outcome,
                Ok(()) => {
                    self.conntrack.forget(&stale::of_withdrawal(&change.removed)).await?;
                    return Ok(());
                }
            }
        }
        outcome
    }

    /// Forgets the connections to ports of a pod with these addresses that somebody else published and removed.
    pub(crate) async fn forget_clients(
        &self,
        ips: &[IpAddr],
        ports: &[HostPort],
    ) -> Result<(), Error> {
        Ok(self.conntrack.forget(&stale::of_others(ips, ports)).await.map(drop)?)
    }

    /// The host ports of all pods.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub async fn published(&self) -> Result<Vec<Published>, Error> {
        let collections = self.nft.collections(TABLE).await?;
        let maps: Vec<PortsMap> =
            collections.iter().filter_map(|name| PortsMap::named(name)).collect();
        self.ports_of(&maps).await
    }

    async fn ports_of(&self, maps: &[PortsMap]) -> Result<Vec<Published>, Error> {
        let mut ports = Vec::new();
        for map in maps {
            let elements = self.nft.elements(TABLE, &map.name()).await?;
            ports.extend(
                elements.iter().filter_map(|element| Published::from_element(map, element)),
            );
        }
        Ok(ports)
    }

    /// What is there: as it was left by the last change of ours, where nobody changed anything since.
    pub(super) async fn present(&self) -> Result<Present, Error> {
        let generation = self.nft.generation().await?;
        let left = self.left.lock().await.take();
        if let Some(present) = left.filter(|present| present.generation == generation) {
            return Ok(present);
        }
        let collections = self.nft.collections(TABLE).await?;
        let maps: Vec<PortsMap> =
            collections.iter().filter_map(|name| PortsMap::named(name)).collect();
        let mut members = Vec::new();
        for set in member_sets() {
            let is_there = collections.iter().any(|name| name == set);
            let elements = if is_there { self.nft.elements(TABLE, set).await? } else { Vec::new() };
            members.push((set, elements.into_iter().collect::<Index<_>>()));
        }
        let ports = self.ports_of(&maps).await?.into_iter().collect();
        Ok(Present { generation, maps, ports, members })
    }

    async fn carry_out(&self, mut present: Present, change: &Change) -> Result<(), Error> {
        let generation = self.commit(change.transaction(), present.generation).await?;
        let Some(generation) = generation else { return Ok(()) };
        present.apply(change);
        present.generation = generation;
        if present.unused_maps().next().is_some() {
            return self.remove_unused_maps(&present).await;
        }
        *self.left.lock().await = Some(present);
        Ok(())
    }

    /// Removes the rules of conditions that no port has any more, if nobody changed anything meanwhile: what cannot be
    /// removed now goes with the next port or at the next collection.
    pub(super) async fn remove_unused_maps(&self, present: &Present) -> Result<(), Error> {
        let mut transaction = Transaction::new();
        transaction.only_at(present.generation);
        for map in present.unused_maps() {
            map.remove(&mut transaction);
        }
        match self.commit(transaction, present.generation).await {
            Err(Error::Net(error)) if error.is_overtaken() || error.is_gone() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn turn(&self) -> Result<NamedLock, Error> {
        Ok(NamedLock::acquire(self.lock_file.as_path(), TURN_WAIT).await?)
    }
}

#[cfg(test)]
mod tests;
