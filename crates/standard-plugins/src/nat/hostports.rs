//! Publishing, withdrawing and listing host ports.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use podnet_netutil::nft::{COMMENT_BYTES, Element, Transaction, Uniqueness};
use podnet_netutil::{Family, NamedLock};

use super::elements::{family_of, hairpin};
use super::layout::{TABLE, hairpins, host_ports};
use super::{HostPort, NatTable, Published, Publishing, listeners, stale};
use crate::error::Error;
use crate::label::Label;

/// How long publishing waits for another process that publishes.
const TURN_WAIT: Duration = Duration::from_secs(30);
/// How often a change is worked out anew because somebody changed the elements meanwhile.
const ATTEMPTS: usize = 5;
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// The elements of the maps and sets, by family, at a generation of nftables.
#[derive(Debug)]
pub(super) struct Present {
    generation: u32,
    ports: Vec<Published>,
    hairpins: [(Family, Vec<Element>); 2],
}

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
        let wanted = expand(&label, ips, ports)?;
        let _turn = self.turn().await?;
        let mut outcome = Ok(());
        for _ in 0..ATTEMPTS {
            let present = self.present().await?;
            let change = Change::between(&present, &label, &wanted, publishing);
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
                    self.conntrack
                        .forget(&stale::of_change(&change.added, &change.removed))
                        .await?;
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
        let wanted = expand(&label, ips, ports)?;
        Ok(Change::between(&self.present().await?, &label, &wanted, publishing).lines())
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
            let change = Change::between(&present, &label, &[], Publishing::default());
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

    /// The host ports of all pods.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub async fn published(&self) -> Result<Vec<Published>, Error> {
        let mut ports = Vec::new();
        for family in FAMILIES {
            let elements = self.nft.elements(TABLE, host_ports(family)).await?;
            ports.extend(
                elements.iter().filter_map(|element| Published::from_element(family, element)),
            );
        }
        Ok(ports)
    }

    /// What is there: as it was left by the last change of ours, where nobody changed anything since.
    async fn present(&self) -> Result<Present, Error> {
        let generation = self.nft.generation().await?;
        let left = self.left.lock().await.take();
        if let Some(present) = left.filter(|present| present.generation == generation) {
            return Ok(present);
        }
        let mut listed = FAMILIES.map(|family| (family, Vec::new()));
        for (family, elements) in &mut listed {
            *elements = self.nft.elements(TABLE, hairpins(*family)).await?;
        }
        Ok(Present { generation, ports: self.published().await?, hairpins: listed })
    }

    async fn carry_out(&self, mut present: Present, change: &Change) -> Result<(), Error> {
        let generation = self.commit(change.transaction(), present.generation).await?;
        if let Some(generation) = generation {
            present.apply(change);
            present.generation = generation;
            *self.left.lock().await = Some(present);
        }
        Ok(())
    }

    async fn turn(&self) -> Result<NamedLock, Error> {
        Ok(NamedLock::acquire(self.lock_file.as_path(), TURN_WAIT).await?)
    }
}

impl Present {
    fn apply(&mut self, change: &Change) {
        self.ports.retain(|port| !change.removed.contains(port));
        self.ports.extend(change.added.iter().cloned());
        for (family, elements) in &mut self.hairpins {
            let is = |listed: &[(Family, Element)], element: &Element| {
                listed.iter().any(|(of, listed)| of == family && listed == element)
            };
            elements.retain(|element| !is(&change.hairpins_removed, element));
            let added = change.hairpins_added.iter().filter(|(of, _)| of == family);
            elements.extend(added.map(|(_, element)| element.clone()));
        }
    }
}

fn label_text(label: &Label) -> Result<String, Error> {
    let text = label.alias();
    if text.len() > COMMENT_BYTES {
        return Err(Error::LabelTooLong { bytes: text.len(), most: COMMENT_BYTES });
    }
    Ok(text)
}

/// What is asked for, one a family.
fn expand(label: &str, ips: &[IpAddr], ports: &[HostPort]) -> Result<Vec<Published>, Error> {
    let mut wanted: Vec<Published> = Vec::new();
    for port in ports {
        for published in expand_one(label, ips, port)? {
            if wanted.iter().any(|earlier| earlier.overlaps(&published)) {
                return Err(Error::HostPortTwice { port: *port });
            }
            wanted.push(published);
        }
    }
    Ok(wanted)
}

fn expand_one(label: &str, ips: &[IpAddr], port: &HostPort) -> Result<Vec<Published>, Error> {
    let unusable = |reason: &'static str| Error::HostPortUnusable { port: *port, reason };
    if port.host_port == 0 || port.container_port == 0 {
        return Err(unusable("0 is no port"));
    }
    let families: Vec<Family> =
        port.host_ip.map_or_else(|| FAMILIES.to_vec(), |ip| vec![family_of(ip)]);
    let pod_ip = |family| ips.iter().copied().find(|ip| family_of(*ip) == family);
    let published = families.into_iter().filter_map(pod_ip).map(|pod_ip| Published {
        label: label.to_owned(),
        protocol: port.protocol,
        // 0.0.0.0 and :: are all addresses of their family.
        host_ip: port.host_ip.filter(|ip| !ip.is_unspecified()),
        host_port: port.host_port,
        pod_ip,
        container_port: port.container_port,
    });
    let published: Vec<Published> = published.collect();
    if published.is_empty() {
        return Err(unusable(match port.host_ip {
            Some(IpAddr::V4(_)) => "the pod has no IPv4 address",
            Some(IpAddr::V6(_)) => "the pod has no IPv6 address",
            None => "the pod has no address",
        }));
    }
    Ok(published)
}

/// A port that another pod has.
fn refuse_conflicts(label: &str, present: &[Published], added: &[Published]) -> Result<(), Error> {
    for wanted in added {
        let holder = present.iter().find(|port| port.label != label && port.overlaps(wanted));
        if let Some(holder) = holder {
            let parsed = Label::from_alias(&holder.label);
            return Err(Error::HostPortTaken {
                port: wanted.host_port,
                protocol: wanted.protocol,
                holder: parsed
                    .map_or_else(|| holder.label.clone(), |label| label.container_id().to_string()),
            });
        }
    }
    Ok(())
}

/// What leads from the elements that are there to those that a pod is to have.
struct Change {
    added: Vec<Published>,
    removed: Vec<Published>,
    hairpins_added: Vec<(Family, Element)>,
    hairpins_removed: Vec<(Family, Element)>,
}

impl Change {
    fn between(
        present: &Present,
        label: &str,
        wanted: &[Published],
        publishing: Publishing,
    ) -> Self {
        let own: HashSet<Element> = present
            .ports
            .iter()
            .filter(|port| port.label == label)
            .map(Published::element)
            .collect();
        let added = wanted.iter().filter(|port| !own.contains(&port.element())).cloned().collect();
        let stays: HashSet<Element> = wanted.iter().map(Published::element).collect();
        let removed = present.ports.iter().filter(|port| port.label == label);
        let removed = removed.filter(|port| !stays.contains(&port.element())).cloned().collect();
        let mut change =
            Self { added, removed, hairpins_added: Vec::new(), hairpins_removed: Vec::new() };
        let to_themselves = if publishing.hairpin { wanted } else { &[] };
        for (family, elements) in &present.hairpins {
            change.hairpins(*family, elements, label, to_themselves);
        }
        change
    }

    /// An element of a pod that had the address before and was not withdrawn is replaced.
    fn hairpins(&mut self, family: Family, present: &[Element], label: &str, wanted: &[Published]) {
        let pods = wanted.iter().filter(|port| port.family() == family).map(|port| port.pod_ip);
        let wanted: HashSet<Element> = pods.map(|pod_ip| hairpin(pod_ip, label)).collect();
        let stale = present.iter().filter(|element| {
            let own = element.comment.as_deref() == Some(label);
            let in_the_way = wanted.iter().any(|wanted| wanted.key == element.key);
            (own || in_the_way) && !wanted.contains(element)
        });
        self.hairpins_removed.extend(stale.map(|element| (family, element.clone())));
        let added = wanted.iter().filter(|wanted| !present.contains(wanted));
        self.hairpins_added.extend(added.map(|element| (family, element.clone())));
    }

    fn lines(&self) -> Vec<String> {
        let added = self.added.iter().map(|port| format!("host port {port} is not published"));
        let removed = self.removed.iter().map(|port| format!("host port {port} is published"));
        let sets = self.hairpins_added.iter().chain(&self.hairpins_removed);
        let sets = sets.map(|(family, _)| {
            format!("set {} is not in order: the pod cannot reach itself", hairpins(*family))
        });
        added.chain(removed).chain(sets).collect()
    }

    fn transaction(&self) -> Transaction {
        let mut transaction = Transaction::new();
        for family in FAMILIES {
            let of = |ports: &[Published]| -> Vec<Element> {
                let own = ports.iter().filter(|port| port.family() == family);
                own.map(Published::element).collect()
            };
            let pods = |elements: &[(Family, Element)]| -> Vec<Element> {
                let own = elements.iter().filter(|(of, _)| *of == family);
                own.map(|(_, element)| element.clone()).collect()
            };
            let (ports, pods_set) = (host_ports(family), hairpins(family));
            transaction.delete_elements(TABLE, ports, &of(&self.removed));
            transaction.delete_elements(TABLE, pods_set, &pods(&self.hairpins_removed));
            let new = Uniqueness::MustBeNew;
            transaction.add_elements(TABLE, ports, &of(&self.added), new);
            transaction.add_elements(TABLE, pods_set, &pods(&self.hairpins_added), new);
        }
        transaction
    }
}

#[cfg(test)]
mod tests;
