//! `podnet cni gc`: removes what belongs to none of the attachments to keep.

use std::collections::BTreeSet;
use std::fmt;
use std::process::ExitCode;

use podnet_cni_plugin::{Cni, Network};
use podnet_cni_spec::{InterfaceName, NetworkName, ValidAttachment};
use serde::Serialize;

use super::arguments::{Gc, Kept};
use super::container::interface;
use super::setting::Setting;
use crate::failure::Failure;
use crate::output::Output;

/// Collects, and prints which cached attachments went and which stayed.
pub(super) async fn collect(
    setting: &Setting,
    arguments: &Gc,
    output: Output,
) -> Result<ExitCode, Failure> {
    let list = setting.find(&arguments.network)?.list.clone();
    let cni = setting.cni();
    let network = cni.network(list);
    if network.list().disable_gc {
        tracing::warn!("network {} has disableGC: nothing is removed", network.list().name);
    }
    let before = attachments_to(&cni, &network)?;
    let usual = interface(None, &setting.environment)?;
    let valid: BTreeSet<_> =
        arguments.keep.iter().flat_map(|kept| valid(kept, &before, &usual)).collect();
    network.gc(&valid.into_iter().collect::<Vec<_>>()).await?;
    let kept = attachments_to(&cni, &network)?;
    let removed = before.difference(&kept).cloned().collect();
    Ok(output.print(&Collected { network: &network.list().name, removed, kept })?)
}

/// The cached attachments to a network.
fn attachments_to(cni: &Cni, network: &Network) -> anyhow::Result<BTreeSet<ValidAttachment>> {
    let cached = cni.cache.attachments()?.into_iter();
    let own = cached.filter(|cached| cached.network == network.list().name);
    let identities = own.map(|cached| {
        let attachment = cached.runtime.attachment;
        ValidAttachment { container_id: attachment.container_id, interface: attachment.interface }
    });
    Ok(identities.collect())
}

/// What is to stay of a container. Where the cache has nothing of it, plugins still may: under the usual name.
fn valid(
    kept: &Kept,
    cached: &BTreeSet<ValidAttachment>,
    usual: &InterfaceName,
) -> Vec<ValidAttachment> {
    let named = |interface: &InterfaceName| {
        let (container_id, interface) = (kept.container_id.clone(), interface.clone());
        vec![ValidAttachment { container_id, interface }]
    };
    if let Some(interface) = &kept.interface {
        return named(interface);
    }
    let own = cached.iter().filter(|attachment| attachment.container_id == kept.container_id);
    let own: Vec<_> = own.cloned().collect();
    if own.is_empty() { named(usual) } else { own }
}

#[derive(Debug, Serialize)]
struct Collected<'a> {
    network: &'a NetworkName,
    removed: BTreeSet<ValidAttachment>,
    kept: BTreeSet<ValidAttachment>,
}

impl fmt::Display for Collected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (removed, kept) = (self.removed.len(), self.kept.len());
        write!(f, "{}: {removed} removed, {kept} kept", self.network)?;
        self.removed.iter().try_for_each(|ValidAttachment { container_id, interface }| {
            write!(f, "\nremoved {container_id}/{interface}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(text: &str) -> ValidAttachment {
        let (id, interface) = text.split_once('/').unwrap();
        ValidAttachment { container_id: id.parse().unwrap(), interface: interface.parse().unwrap() }
    }

    #[test]
    fn a_container_keeps_what_is_cached_or_its_usual_interface() {
        let cached = ["web/eth0", "web/net1", "db/eth0"].map(attachment).into_iter().collect();
        let cases: [(&str, &[&str]); 4] = [
            ("web", &["web/eth0", "web/net1"]),
            ("web/net1", &["web/net1"]),
            ("lost", &["lost/eth0"]),
            ("lost/net1", &["lost/net1"]),
        ];
        for (kept, expected) in cases {
            let valid = valid(&kept.parse().unwrap(), &cached, &"eth0".parse().unwrap());
            assert_eq!(valid, expected.iter().map(|text| attachment(text)).collect::<Vec<_>>());
        }
    }
}
