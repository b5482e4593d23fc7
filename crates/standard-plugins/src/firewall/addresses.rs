//! Which addresses a pod has, or had: nothing in the rules says whose they are.

use std::net::IpAddr;
use std::path::Path;

use podnet_cni_spec::{AddResult, Attachment, Request, ValidAttachment};
use podnet_netutil::Netlink;

use crate::error::Error;
use crate::host::pod_netns_if_left;
use crate::host_local::{self, Reservation};

/// Those of a result.
pub(super) fn of_result(result: &AddResult) -> Vec<IpAddr> {
    result.ips.iter().map(|ip| ip.address.ip().to_canonical()).collect()
}

/// Those of an attachment that is about to go: by its result, else by its interface and by host-local's store of the
/// network, which both outlast the rules where the plugins are called in the order of the specification.
///
/// One that the store has of another container by now is not among them, whatever the result says: a DEL that is
/// repeated late must not take it away from there.
pub(super) async fn of_attachment(
    request: &Request,
    networks_dir: &Path,
) -> Result<Vec<IpAddr>, Error> {
    let attachment = request.attachment()?;
    let store = networks_dir.join(request.config.name()?.as_str());
    let mut addresses = match request.config.prev_result() {
        Ok(result) => result.as_ref().map(of_result).unwrap_or_default(),
        Err(error) => {
            tracing::warn!("{error}; looking for the pod's addresses elsewhere");
            Vec::new()
        }
    };
    if addresses.is_empty() {
        addresses = of_interface(request, attachment).await?;
        addresses.extend(reserved(&store, |holder| is_of(holder, attachment)));
    }
    addresses.retain(|address| {
        let holder = host_local::reservation(&store, *address);
        holder
            .and_then(|holder| holder.container_id)
            .is_none_or(|id| id == attachment.container_id.as_str())
    });
    Ok(addresses)
}

/// Those that host-local's store of the network has of attachments which are not valid any more.
pub(super) fn of_invalid(
    request: &Request,
    networks_dir: &Path,
    valid: &[ValidAttachment],
) -> Result<Vec<IpAddr>, Error> {
    let store = networks_dir.join(request.config.name()?.as_str());
    Ok(reserved(&store, |holder| holder.container_id.is_some() && !is_valid(holder, valid)))
}

async fn of_interface(request: &Request, attachment: &Attachment) -> Result<Vec<IpAddr>, Error> {
    let Some(netns) = pod_netns_if_left(request)? else { return Ok(Vec::new()) };
    let netlink = Netlink::open_in(&netns)?;
    match netlink.link_by_name(attachment.interface.as_str()).await? {
        Some(link) => Ok(netlink.global_ips(&link).await?),
        None => Ok(Vec::new()),
    }
}

/// A store that cannot be read knows nobody: it is host-local's to complain.
fn reserved(store: &Path, wanted: impl Fn(&Reservation) -> bool) -> Vec<IpAddr> {
    let reservations = host_local::reservations(store).unwrap_or_else(|error| {
        tracing::warn!("{error}");
        Vec::new()
    });
    reservations.into_iter().filter(wanted).map(|reservation| reservation.address).collect()
}

fn is_of(holder: &Reservation, attachment: &Attachment) -> bool {
    let is_interface = |name: &String| name == attachment.interface.as_str();
    holder.container_id.as_deref() == Some(attachment.container_id.as_str())
        && holder.interface.as_ref().is_none_or(is_interface)
}

/// A file of an old version names no interface: one valid attachment of its container keeps it.
fn is_valid(holder: &Reservation, valid: &[ValidAttachment]) -> bool {
    valid.iter().any(|attachment| {
        let is_interface = |name: &String| name == attachment.interface.as_str();
        holder.container_id.as_deref() == Some(attachment.container_id.as_str())
            && holder.interface.as_ref().is_none_or(is_interface)
    })
}
