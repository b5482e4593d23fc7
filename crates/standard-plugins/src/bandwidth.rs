//! `bandwidth`: limits what a container sends and receives, behind the plugin that attached it.
//!
//! Options, results and effects are those of the reference's plugin of the same name, by way of
//! [`shaping`](crate::shaping). What differs: an ADD after a crash mends what the dead one left, a failed ADD undoes
//! itself, DEL does not mind a configuration that is no longer valid, CHECK finds a missing redirect, GC exists, two
//! interfaces of one container in one network have an ifb each, a burst holds a full packet at least, and one that lasts
//! for more than four seconds is not also a queue: with the kubelet's 256 MiB the reference has a packet wait for minutes.
//! With all others the reference's CHECK finds in an attachment of ours the values that it would have set.

mod dead;
mod host_end;
mod ifbs;
mod options;

use podnet_cni_spec::{AddResult, Interface, NetworkName, Request, ValidAttachment};
use podnet_netutil::Link;

use crate::error::Error;
use crate::host::Host;
use crate::label::Label;
use crate::shaping::{Ifb, Limit, Limits, limits_by, shape_by};

/// Limits an attachment, and reports the ifb by which what the container sends is limited, if it is.
///
/// Without a rate in the configuration the result of the plugin before is passed on.
///
/// # Errors
/// Before anything is touched: [`Error::Spec`] and [`Error::InvalidOption`] for the configuration and its `prevResult`,
/// [`Error::OwnNetns`] and [`Error::Net`] for the namespace. Afterwards what the kernel refused; by then everything is
/// undone, or [`Error::UndoFailed`] holds both errors.
pub async fn add(host: &Host, request: &Request) -> Result<AddResult, Error> {
    let limits = options::limits(&request.config)?;
    let mut result = request.config.prev_result()?.ok_or_else(not_chained)?;
    if limits.is_unlimited() {
        return Ok(result);
    }
    let label = Label::of(request)?;
    let host_end = host_end::find(host, request, &result).await?;
    let _lock = host.lock(&label).await?;
    let ifb = ifbs::of(host, &label, &host_end).await?;
    match shape_by(host, &ifb, &host_end, &limits).await {
        Ok(made) => {
            result.interfaces.extend(made.as_ref().map(described));
            Ok(result)
        }
        Err(first) => Err(undo(host, &ifb, &host_end, first).await),
    }
}

/// Deletes the ifb of an attachment, whoever made it; what limits the host end goes with the host end.
///
/// Succeeds when there is nothing (left) to delete. Needs neither the namespace nor prevResult.
///
/// # Errors
/// [`Error::Spec`] when the request names no attachment; [`Error::Net`].
pub async fn del(host: &Host, request: &Request) -> Result<(), Error> {
    let label = Label::of(request)?;
    let _lock = host.lock_if_possible(&label).await?;
    ifbs::delete(host, &label).await
}

/// Verifies that the traffic passes buckets of the configured rates.
///
/// # Errors
/// [`Error::CheckFailed`] naming the direction that has another rate, or none; [`Error::NoPrevResult`].
pub async fn check(host: &Host, request: &Request) -> Result<(), Error> {
    let wanted = options::limits(&request.config)?;
    let attached = request.config.prev_result()?.ok_or(Error::NoPrevResult)?;
    if wanted.is_unlimited() {
        return Ok(());
    }
    let label = Label::of(request)?;
    let host_end = host_end::find(host, request, &attached).await?;
    let ifb = ifbs::of(host, &label, &host_end).await?;
    let Limits { to_pod, from_pod } = limits_by(host, &ifb.name, &host_end).await?;
    same_rate("receives", wanted.to_pod, to_pod)?;
    same_rate("sends", wanted.from_pod, from_pod)
}

/// Deletes every ifb of this network whose attachment is not in the request's list of valid ones (CNI 1.1.0, section 2,
/// GC). Nobody may add or delete an attachment of the network meanwhile.
///
/// Ifbs are known by their labels. Those of the reference's making bear none; of them go those to which nothing is
/// redirected any more, whatever the network.
///
/// # Errors
/// [`Error::NoValidAttachments`] without that list: a missing list is not an empty one. [`Error::Net`].
pub async fn gc(host: &Host, request: &Request) -> Result<(), Error> {
    let valid = request.config.valid_attachments()?.ok_or(Error::NoValidAttachments)?;
    let network = request.config.name()?;
    let links = host.netlink.links().await?;
    for link in links.iter().filter(|link| is_invalid(link, &network, &valid)) {
        tracing::info!(%link, "no valid attachment");
        host.deleter.delete(link).await?;
    }
    dead::collect(host, links, |name| is_valid(name, &network, &valid)).await
}

/// Whether the reference would give this name to the ifb of a valid attachment.
fn is_valid(name: &str, network: &NetworkName, valid: &[ValidAttachment]) -> bool {
    valid.iter().any(|it| ifbs::reference_name(network, &it.container_id) == name)
}

fn is_invalid(link: &Link, network: &NetworkName, valid: &[ValidAttachment]) -> bool {
    let Some(label) = link.alias.as_deref().and_then(Label::from_alias) else { return false };
    let is_listed = |attachment: &ValidAttachment| {
        attachment.container_id == *label.container_id()
            && attachment.interface == *label.interface()
    };
    link.kind == "ifb" && label.network() == network && !valid.iter().any(is_listed)
}

fn described(ifb: &Link) -> Interface {
    Interface {
        name: ifb.name.clone(),
        mac: ifb.mac.map(|mac| mac.to_string()),
        ..Interface::default()
    }
}

fn not_chained() -> Error {
    Error::InvalidOption {
        option: "prevResult",
        reason: "there is none; bandwidth must be called as chained plugin, after one that attaches the container"
            .to_owned(),
    }
}

/// Takes back what a failed ADD made. What failed first is what the caller hears.
async fn undo(host: &Host, ifb: &Ifb, host_end: &Link, first: Error) -> Error {
    match shape_by(host, ifb, host_end, &Limits::default()).await {
        Ok(_) => first,
        Err(undo) => Error::UndoFailed { first: Box::new(first), undo: Box::new(undo) },
    }
}

/// A direction without a configured rate may have one: it is not this configuration's.
fn same_rate(does: &str, wanted: Option<Limit>, now: Option<Limit>) -> Result<(), Error> {
    let Some(wanted) = wanted else { return Ok(()) };
    let rate = |limit: Limit| limit.bits_per_second / 8;
    match now {
        Some(now) if rate(now) == rate(wanted) => Ok(()),
        Some(now) => Err(Error::CheckFailed(format!(
            "what the container {does} is limited to {} bits a second instead of {}",
            now.bits_per_second, wanted.bits_per_second
        ))),
        None => Err(Error::CheckFailed(format!("what the container {does} is not limited"))),
    }
}
