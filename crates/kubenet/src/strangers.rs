//! Rules in the table that belong to no network of this host any more: it was renamed, or its configuration removed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use podnet_cni_spec::NetworkName;
use podnet_netutil::NamedLock;
use podnet_netutil::lock::LockError;
use podnet_standard_plugins::Label;
use podnet_standard_plugins::host_local::reserved_addresses;

use crate::error::Error;
use crate::node::Node;
use crate::plugin::NETWORK;

/// Removes the chains of other networks of which nothing else is on this host.
pub(crate) async fn forget_networks(node: &Node, runtime_dir: &Path) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for network in unknown_networks(node, runtime_dir).await? {
        lines.extend(node.nat.remove_network(&network).await?);
    }
    Ok(lines)
}

/// The networks with chains of which nothing else is on this host: no interface, no host port, no address, no note of an
/// attachment.
///
/// The chains are looked at first and all else after it, so that an attachment which is being made either has something
/// by then or still holds its lock.
pub(crate) async fn unknown_networks(
    node: &Node,
    runtime_dir: &Path,
) -> Result<Vec<NetworkName>, Error> {
    let mut candidates = node.nat.networks().await?;
    candidates.retain(|network| network.as_str() != NETWORK);
    if candidates.is_empty() || is_something_attached(runtime_dir).await? {
        return Ok(Vec::new());
    }
    let known = known(node).await?;
    let mut unknown = Vec::new();
    for network in candidates.into_iter().filter(|network| !known.contains(network)) {
        if reserved_addresses(&node.networks_dir.join(network.as_str()))?.is_empty() {
            unknown.push(network);
        }
    }
    Ok(unknown)
}

/// The networks of which there is an interface, a host port or a note.
async fn known(node: &Node) -> Result<BTreeSet<NetworkName>, Error> {
    let links = node.netlink().links().await?;
    let published = node.nat.published().await?;
    let aliases = links.iter().filter_map(|link| link.alias.as_deref());
    let labels = aliases.chain(published.iter().map(|port| port.label.as_str()));
    let mut known: BTreeSet<_> =
        labels.filter_map(Label::from_alias).map(|label| label.network().clone()).collect();
    known.extend(node.records.attachments()?.into_iter().map(|record| record.network));
    Ok(known)
}

/// Whether an attachment is being made or taken away: whoever does so holds a lock.
async fn is_something_attached(runtime_dir: &Path) -> Result<bool, Error> {
    let entries = fs::read_dir(runtime_dir).into_iter().flatten().flatten();
    let is_lock = |name: &str| name.starts_with("attachment-");
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(is_lock)) {
        match NamedLock::acquire(entry.path(), Duration::ZERO).await {
            Err(LockError::Held { .. }) => return Ok(true),
            other => drop(other?),
        }
    }
    Ok(false)
}
