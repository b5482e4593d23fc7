//! Removes what belongs to no living pod, and puts right what living pods lack, without cutting one that is well.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use podnet_cni_spec::PluginConfig;
use podnet_netutil::files;
use podnet_netutil::lock::LockError;
use podnet_netutil::{Link, NamedLock, Netlink, Netns};
use podnet_standard_plugins::host_local::lock_store;
use podnet_standard_plugins::{Label, shaping};

use crate::attachment::Attachment;
use crate::audit::{missing_inside, result_of};
use crate::bridge::add_port;
use crate::census::{Census, Traces};
use crate::error::Error;
use crate::node::Node;
use crate::plugin::{NETWORK, POD_INTERFACE};
use crate::promise::{Promise, rates};
use crate::report::Collected;

/// As host-local makes them.
const ADDRESS_FILE_MODE: u32 = 0o644;

/// Which pods are to go.
pub(crate) enum Doomed<'a> {
    /// Those of which the kernel shows that they are gone.
    Dead,
    /// Those, and every one that is not in the list.
    AllBut(&'a BTreeSet<String>),
}

impl Doomed<'_> {
    fn has(&self, census: &Census, traces: &Traces) -> bool {
        match self {
            Self::Dead => !census.lives(traces),
            Self::AllBut(kept) => {
                !census.lives(traces) || !kept.contains(traces.label.container_id().as_str())
            }
        }
    }
}

/// Removes every trace of the pods that are to go.
///
/// Each under the lock of its pod, and after a second look: a pod that is being set up has traces and no veth yet.
pub(crate) async fn collect(
    node: &Node,
    bridge: &PluginConfig,
    runtime_dir: &Path,
    doomed: &Doomed<'_>,
) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    let census = Census::take(node).await?;
    let candidates: Vec<_> =
        census.pods.values().filter(|traces| doomed.has(&census, traces)).collect();
    for traces in candidates {
        let id = traces.label.container_id().to_string();
        let file = runtime_dir.join(lock_file(&traces.label));
        let _lock = match NamedLock::acquire(file, Duration::ZERO).await {
            Ok(lock) => lock,
            Err(LockError::Held { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let attachment = Attachment { node, bridge, label: &traces.label, netns: None };
        let came_up = traces.host_end.is_none() && attachment.host_end().await?.is_some();
        if came_up {
            continue;
        }
        let removed = attachment.remove().await;
        match removed {
            Ok(()) => collected.removed.push(id),
            Err(causes) => collected.left.push(format!("{id}: {causes}")),
        }
    }
    Ok(collected)
}

/// Gives living pods what they were promised and lack. A line for each thing that was put right.
pub(crate) async fn mend_pods(node: &Node, runtime_dir: &Path) -> Result<Collected, Error> {
    let census = Census::take(node).await?;
    let mut collected = Collected::default();
    for (id, traces) in &census.pods {
        let Some(host_end) = &traces.host_end else { continue };
        let file = runtime_dir.join(lock_file(&traces.label));
        let _lock = match NamedLock::acquire(file, Duration::ZERO).await {
            Ok(lock) => lock,
            // Whoever works on it sees to it.
            Err(LockError::Held { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        match mend_pod(node, &census, traces, host_end).await {
            Ok(lines) => {
                collected.mended.extend(lines.into_iter().map(|line| format!("{id}: {line}")));
            }
            Err(error) => collected.left.push(format!("{id}: {error}")),
        }
    }
    Ok(collected)
}

async fn mend_pod(
    node: &Node,
    census: &Census,
    traces: &Traces,
    host_end: &Link,
) -> Result<Vec<String>, Error> {
    let mut mended = Vec::new();
    if !host_end.up {
        node.netlink().set_link_up(host_end.index).await?;
        mended.push(format!("enabled {host_end}"));
    }
    mended.extend(mend_port(node, census, &traces.label, host_end).await?);
    let Some(record) = &traces.record else { return Ok(mended) };
    let result = result_of(record);
    let ips: Vec<_> = result.ips.iter().map(|ip| ip.address.ip()).collect();
    for ip in ips.iter().filter(|ip| !traces.ips.contains(ip)) {
        reserve(node, &traces.label, *ip).await?;
        mended.push(format!("reserved {ip}"));
    }
    if let Some(promise) = Promise::noted(record) {
        let before = node.nat.published().await?.len();
        node.nat.publish(&traces.label, &ips, &promise.host_ports()).await?;
        if before != node.nat.published().await?.len() {
            mended.push("published its host ports".to_owned());
        }
        let limits = promise.limits();
        let found = shaping::limits_of(&node.host, &traces.label, host_end).await?;
        shaping::shape(&node.host, &traces.label, host_end, &limits).await?;
        if rates(&found) != rates(&limits) {
            mended.push("set its limits".to_owned());
        }
    }
    if let Some(netns) = &record.runtime.attachment.netns {
        let netlink = match Netns::open_other(netns) {
            Ok(netns) => Netlink::open_in(&netns)?,
            Err(error) if error.is_gone() => return Ok(mended),
            Err(error) => return Err(error.into()),
        };
        let missing = missing_inside(record, netns).await?;
        if missing.interface {
            return Ok(mended);
        }
        let link = netlink.require_link(POD_INTERFACE).await?;
        for address in &missing.addresses {
            netlink.add_address(&link, *address).await?;
            mended.push(format!("gave {POD_INTERFACE} the address {address}"));
        }
        // An address that goes takes the routes by it along.
        for route in &missing_inside(record, netns).await?.routes {
            netlink.add_route(&link, route).await?;
            mended.push(format!("added the route to {}", route.destination));
        }
    }
    Ok(mended)
}

async fn mend_port(
    node: &Node,
    census: &Census,
    label: &Label,
    host_end: &Link,
) -> Result<Option<String>, Error> {
    let Some(bridge) = &census.bridge else { return Ok(None) };
    let wanted = node.port(label);
    let is_port = host_end.master == Some(bridge.index);
    if is_port && host_end.port.is_some_and(|port| port.hairpin == wanted.hairpin) {
        return Ok(None);
    }
    if is_port {
        node.netlink().commit_port(host_end, &wanted).await?;
    } else {
        add_port(node, bridge, host_end, label).await?;
    }
    Ok(Some(format!("made {host_end} a port of {bridge} as it should be")))
}

/// Reserves again the address of a pod that has it.
async fn reserve(node: &Node, label: &Label, ip: std::net::IpAddr) -> Result<(), Error> {
    let store = node.networks_dir.join(NETWORK);
    let _lock = lock_store(&store).await?;
    let content = format!("{}\r\n{}", label.container_id(), label.interface());
    if files::create_new_whole(&store.join(ip.to_string()), content.as_bytes(), ADDRESS_FILE_MODE)?
    {
        return Ok(());
    }
    Err(Error::AddressTaken { ip, store })
}

/// The file by which operations on a pod exclude each other.
pub(crate) fn lock_file(label: &Label) -> String {
    format!("pod-{}.lock", label.host_end())
}
