//! `bridge`: a veth pair between a pod and a Linux bridge of the host.
//!
//! Options, results and effects are those of the reference's plugin of the same name. What differs: the pair is made
//! in one message with the pod's end already in its namespace, names follow from the [`Label`], a failed ADD undoes
//! itself, an ADD after a crash mends what the dead one left, and DEL needs neither the namespace nor prevResult.

mod check;
mod gc;
mod host_side;
mod plan;
mod pod_side;
mod report;

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{AddResult, Request};
use podnet_netutil::{Link, LinkDeleter, Netlink, Netns, Port, VethEnds, VethPair};

use crate::delegate::Ipam;
use crate::error::Error;
use crate::host::{Host, pod_netns, pod_netns_if_left};
use crate::label::Label;
use plan::Plan;

pub use check::check;
pub use gc::gc;

/// Attaches a pod to the bridge, which is made where there is none.
///
/// Addresses come from the IPAM plugin that the configuration names, executed by `exec`.
///
/// # Errors
/// Before anything is touched: [`Error::Spec`], [`Error::Unsupported`], [`Error::InvalidOption`] for the
/// configuration, [`Error::OwnNetns`] and [`Error::Net`] for the namespace, [`Error::AlreadyAttached`] when this
/// attachment exists. Afterwards whatever the IPAM plugin or the kernel refused; by then everything is undone, or
/// [`Error::UndoFailed`] holds both errors.
pub async fn add(host: &Host, exec: &dyn Exec, request: &Request) -> Result<AddResult, Error> {
    let plan = Plan::from_request(request)?;
    let ipam = Ipam::of(exec, request)?;
    let netns = pod_netns(request)?;
    let _lock = host.lock(&plan.label).await?;
    clear_remains(host, &plan.label).await?;
    let addresses = reserve(&ipam, &plan, &netns).await?;
    match attach(host, &plan, &netns, addresses).await {
        Ok(result) => Ok(result),
        Err(first) => Err(undo(host, &ipam, &plan.label, first).await),
    }
}

/// Detaches a pod: deletes its veth pair, then gives its addresses back.
///
/// Succeeds when there is nothing (left) to detach. Works with the namespace gone and without prevResult.
///
/// # Errors
/// [`Error::Spec`] when the request names no attachment; [`Error::Net`] or the IPAM plugin's error when something is
/// left. An address is kept as long as the interface that has it may still be there.
pub async fn del(host: &Host, exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    let label = Label::of(request)?;
    let _lock = host.lock_if_possible(&label).await?;
    if !delete_host_end(host, &label).await? {
        delete_pod_end(host, exec, request, &label).await?;
    }
    // Only now: what the configuration says of addresses must not keep the interface from being deleted.
    Ipam::of(exec, request)?.del().await
}

/// Whether pods could be attached: the options are ones that can be used, and the IPAM plugin says that it could serve
/// (CNI 1.1.0, section 2, STATUS).
///
/// # Errors
/// [`Error::Spec`], [`Error::Unsupported`], [`Error::InvalidOption`] for the configuration; whatever the IPAM plugin
/// returned.
pub async fn status(exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    plan::check_options(&request.config)?;
    Ipam::of(exec, request)?.status().await
}

/// Refuses an attachment that exists; removes the host end that a crashed operation left.
///
/// The alias is attached last: a host end without one belongs to an ADD that did not finish. One that is marked for
/// deletion belongs to a DEL that did not.
async fn clear_remains(host: &Host, label: &Label) -> Result<(), Error> {
    let Some(found) = host.netlink.link_by_name(&label.host_end()).await? else { return Ok(()) };
    match found.alias.as_deref() {
        None => Ok(host.deleter.delete(&found).await?),
        Some(_) if found.condemned => Ok(host.deleter.delete(&found).await?),
        Some(alias) if alias == label.alias() => Err(Error::AlreadyAttached {
            container_id: label.container_id().clone(),
            interface: label.interface().clone(),
            host_end: found.name,
        }),
        Some(alias) => {
            Err(Error::HostEndTaken { name: found.name.clone(), alias: alias.to_owned() })
        }
    }
}

/// Gets addresses, a second time if a crashed ADD still holds some.
///
/// That the pod has no such interface tells a crashed ADD from an attachment that another program made.
async fn reserve(ipam: &Ipam<'_>, plan: &Plan, netns: &Netns) -> Result<AddResult, Error> {
    let first = match ipam.add().await {
        Ok(addresses) => return Ok(addresses),
        Err(error) => error,
    };
    if !is_duplicate(&first) {
        return Err(release_after(ipam, first).await);
    }
    let pod = Netlink::open_in(netns)?;
    if pod.link_by_name(plan.label.interface().as_str()).await?.is_some() {
        return Err(first);
    }
    ipam.del().await.map_err(|undo| undone(first, Err(undo)))?;
    match ipam.add().await {
        Ok(addresses) => Ok(addresses),
        Err(second) => Err(release_after(ipam, second).await),
    }
}

/// An IPAM plugin that failed may hold something all the same (CNI 1.1.0, section 4). Ours reserves all or nothing.
async fn release_after(ipam: &Ipam<'_>, failed: Error) -> Error {
    if ipam.is_host_local() { failed } else { undone(failed, ipam.del().await) }
}

/// Neither the specification nor the reference has a code for it; the Go host-local and ours have the words in common.
fn is_duplicate(error: &Error) -> bool {
    matches!(error, Error::Ipam(_)) && error.to_string().contains("duplicate allocation")
}

async fn attach(
    host: &Host,
    plan: &Plan,
    netns: &Netns,
    addresses: AddResult,
) -> Result<AddResult, Error> {
    let addresses = host_side::with_gateways(plan, addresses);
    let bridge = host_side::ensure_bridge(&host.netlink, plan).await?;
    host_side::ensure_gateway(&host.netlink, plan, &bridge, &addresses.ips).await?;
    let VethEnds { host: host_end, peer } = create_veth(host, plan, &bridge, netns).await?;
    // Before the pod's end is enabled and the carrier comes: IPv6 on a bridge port only floods the bridge.
    host.netlink.keep_without_ipv6(&host_end).await?;
    pod_side::configure(netns, plan, &peer, &addresses).await?;
    let mut port = Port::labelled(plan.label.alias());
    port.hairpin = plan.hairpin;
    port.isolated = plan.isolated;
    host.netlink.wait_until_operational(&host_end).await?;
    host.netlink.commit_port(&host_end, &port).await?;
    Ok(report::result(plan, &bridge, &host_end, netns, addresses))
}

async fn create_veth(
    host: &Host,
    plan: &Plan,
    bridge: &Link,
    netns: &Netns,
) -> Result<VethEnds, Error> {
    let pair = VethPair {
        host_name: &plan.label.host_end(),
        host_mac: plan.host_mac,
        bridge: bridge.index,
        peer_name: plan.label.interface().as_str(),
        peer_mac: plan.pod_mac,
        peer_netns: netns,
        mtu: plan.mtu,
    };
    match host.netlink.create_veth(&pair).await {
        // The host end's name was free a moment ago; the other name is the pod's.
        Err(error) if error.is_already_there() => Err(Error::InterfaceNameTaken {
            interface: plan.label.interface().clone(),
            netns: netns.path().to_owned(),
        }),
        other => Ok(other?),
    }
}

/// Takes back what a failed ADD made. What failed first is what the caller hears.
async fn undo(host: &Host, ipam: &Ipam<'_>, label: &Label, first: Error) -> Error {
    let undo = async {
        delete_host_end(host, label).await?;
        ipam.del().await
    };
    undone(first, undo.await)
}

fn undone(first: Error, undo: Result<(), Error>) -> Error {
    match undo {
        Ok(()) => first,
        Err(undo) => Error::UndoFailed { first: Box::new(first), undo: Box::new(undo) },
    }
}

/// Deletes the host end, and with it the pod's. Says whether there was one.
async fn delete_host_end(host: &Host, label: &Label) -> Result<bool, Error> {
    let found = host.netlink.link_by_name(&label.host_end()).await?;
    let ours = |link: &Link| link.alias.as_ref().is_none_or(|alias| *alias == label.alias());
    match found.filter(ours) {
        Some(link) => Ok(host.deleter.delete(&link).await.map(|()| true)?),
        None => Ok(false),
    }
}

/// Deletes the pod's end of a pair that another program made: its host end has a name that says nothing.
async fn delete_pod_end(
    host: &Host,
    exec: &dyn Exec,
    request: &Request,
    label: &Label,
) -> Result<(), Error> {
    let Some(netns) = pod_netns_if_left(request)? else { return Ok(()) };
    let pod = Netlink::open_in(&netns)?;
    let found = pod.link_by_name(label.interface().as_str()).await?;
    let Some(link) = found.filter(|link| link.kind == "veth") else { return Ok(()) };
    if !is_attachment_of(host, exec, request, &link).await? {
        tracing::warn!(netns = %netns.path().display(), %link, "left alone: it is another container's");
        return Ok(());
    }
    Ok(LinkDeleter::new(pod, None).delete(&link).await?)
}

/// Whether a pod's interface is the one of this request. The path of a namespace is used again for another pod, and a
/// tear-down is repeated: what is found there then must stay.
async fn is_attachment_of(
    host: &Host,
    exec: &dyn Exec,
    request: &Request,
    link: &Link,
) -> Result<bool, Error> {
    if Label::behind(&host.netlink, link).await?.is_some() {
        // One of ours, and not this one: this one's host end bears another name.
        return Ok(false);
    }
    let ipam = Ipam::of(exec, request)?;
    Ok(!ipam.is_host_local() || ipam.check().await.is_ok())
}
