//! What the plugins that attach a pod by a veth pair have in common.
//!
//! The host end bears the attachment's [`Label`], attached last, and the addresses come from an IPAM plugin. So a failed
//! ADD undoes itself, an ADD after a crash mends what the dead one left, and DEL needs neither the namespace nor
//! prevResult.

mod attempt;
mod gc;
mod pod_check;
mod pod_side;
mod rules;

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{AddResult, Interface, Request};
use podnet_netutil::{
    Family, Link, LinkDeleter, MacAddr, Netlink, Netns, VethEnds, VethPair, sysctl,
};

use crate::delegate::Ipam;
use crate::error::Error;
use crate::host::{Host, pod_netns_if_left};
use crate::label::Label;

pub(crate) use attempt::Attempt;
pub(crate) use gc::gc;
pub(crate) use pod_check::{check_pod, missing, named, present, same_mac};
pub(crate) use pod_side::{Families, kernel_route, open_pod};

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
async fn reserve(ipam: &Ipam<'_>, label: &Label, netns: &Netns) -> Result<AddResult, Error> {
    let first = match ipam.add().await {
        Ok(addresses) => return Ok(addresses),
        Err(error) => error,
    };
    if !is_duplicate(&first) {
        return Err(release_after(ipam, first).await);
    }
    let pod = Netlink::open_in(netns)?;
    if pod.link_by_name(label.interface().as_str()).await?.is_some() {
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

/// A pod must not become the host's router (CVE-2020-10749). An interface of an operator's making may accept its
/// advertisements too, so that this is seen to for every pod.
///
/// The link's description tells what the parameter is: below `/proc/sys/net` a lookup passes the entries of all pods.
pub(crate) fn refuse_router_advertisements(link: &Link) -> Result<(), Error> {
    if link.accepts_router_advertisements == Some(false) {
        return Ok(());
    }
    match sysctl::set_interface(Family::V6, &link.name, "accept_ra", "0") {
        // The kernel has no IPv6.
        Err(error) if error.is_gone() => Ok(()),
        other => Ok(other?),
    }
}

/// Makes the pair. The host end's name was free a moment ago; where a name is taken, it is the pod's.
pub(crate) async fn create_veth(
    host: &Host,
    label: &Label,
    pair: &VethPair<'_>,
) -> Result<VethEnds, Error> {
    match host.netlink.create_veth(pair).await {
        Err(error) if error.is_already_there() => Err(Error::InterfaceNameTaken {
            interface: label.interface().clone(),
            netns: pair.peer_netns.path().to_owned(),
        }),
        other => Ok(other?),
    }
}

/// An interface as a result describes it.
pub(crate) fn interface(name: &str, mac: Option<MacAddr>, mtu: u32) -> Interface {
    Interface {
        name: name.to_owned(),
        mac: mac.map(|mac| mac.to_string()),
        mtu: Some(mtu),
        ..Interface::default()
    }
}

/// Detaches a pod: deletes its veth pair and its rules, then gives its addresses back.
pub(crate) async fn detach(host: &Host, exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    let label = Label::of(request)?;
    let coming = host.deleter.announce();
    let _lock = host.lock_if_possible(&label).await?;
    if !delete_host_end(host, &label).await? {
        delete_pod_end(host, exec, request, &label).await?;
    }
    drop(coming);
    let rules = rules::remove(host, &request.config, &label).await;
    // Only now: what the configuration says of addresses must not keep the interface from being deleted.
    Ipam::of(exec, request)?.del().await.and(rules)
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
