//! `portmap`: leads ports of the host to a container, behind the plugin that attached it.
//!
//! Options and results are those of the reference's plugin of the same name, by way of [`nat`](crate::nat): whatever
//! `backend` says, ports are elements of the maps of the nftables table `inet podnet`, and no iptables is run for them.
//! What differs: a port that another container has is refused instead of taken away (one on which a process listens is
//! not, as some runtimes bind published ports themselves), ports end at 65535, a `protocol` may be in capitals, DEL needs
//! nothing but the attachment, CHECK finds each missing port and rule, GC and STATUS exist. Neighbours on the container's
//! bridge keep their addresses, but where netfilter does not see what the bridge hands over. Of two mappings of one port
//! that of an address goes first, in whichever order they come. `masqAll` is about what comes by the ports. `markMasqBit` and
//! `externalSetMarkChain` have no effect: who is masqueraded is told without marks. Conditions are those of the
//! attachment and replace nobody's; what of iptables and nftables can be said is in `docs/cni.md`.
//!
//! ADD, DEL and GC also remove what the reference's plugin published for the container by any of its backends.

mod conditions;
mod destination;
mod options;
mod reference;

use podnet_cni_spec::{AddResult, CniError, ErrorCode, NetworkName, Request, ValidAttachment};

use crate::error::Error;
use crate::host::Host;
use crate::label::Label;
use crate::nat::NatTable;

use self::destination::Destination;
use self::options::Options;
use self::reference::Scope;

/// Publishes an attachment's ports, and passes on the result of the plugin before.
///
/// Without ports nothing is touched.
///
/// # Errors
/// Before anything is touched: [`Error::Spec`] and [`Error::InvalidOption`] for the configuration and its `prevResult`. Then [`Error::HostPortTaken`], [`Error::HostPortTwice`], or what the kernel refused; by then
/// nothing is published, or [`Error::UndoFailed`] holds both errors.
pub async fn add(host: &Host, request: &Request) -> Result<AddResult, Error> {
    let options = Options::of(&request.config)?;
    let result = request.config.prev_result()?.ok_or_else(not_chained)?;
    if options.ports.is_empty() {
        return Ok(result);
    }
    let label = Label::of(request)?;
    let destination = Destination::of(host, request, &result).await?;
    let network = destination.network(label.network(), options.snat);
    let _lock = host.lock(&label).await?;
    let nat = host.nat().await?;
    let mut mended = nat.ensure(&network).await?;
    mended.extend(nat.ensure_clients(&network, destination.direct(options.snat)).await?);
    for mended in mended {
        tracing::debug!(network = %network.name, "{mended}; set right");
    }
    let (ips, ports) = (&destination.ips, destination.reachable(&options.ports));
    reference::remove(nat, &label, Scope::InTheWayOf { ips, ports: &ports }).await?;
    match nat.publish_as(&label, ips, &ports, options.publishing()).await {
        Ok(()) => Ok(result),
        Err(first) => Err(undo(nat, &label, first).await),
    }
}

/// Removes an attachment's ports, whichever plugin published them.
///
/// Succeeds when there is nothing (left) to remove. Needs neither the namespace nor prevResult nor the ports.
///
/// # Errors
/// [`Error::Spec`] when the request names no attachment; [`Error::Net`].
pub async fn del(host: &Host, request: &Request) -> Result<(), Error> {
    let label = Label::of(request)?;
    let _lock = host.lock_if_possible(&label).await?;
    let nat = host.nat().await?;
    nat.withdraw(&label).await?;
    let ports = options::sent_ports(&request.config);
    let attached = request.config.prev_result().ok().flatten();
    // A runtime that remembers the result remembers the ports too.
    let had_ports = !ports.is_empty() || attached.is_none();
    if reference::remove(nat, &label, Scope::Everything { had_ports }).await? {
        // Whose connections those ports had, only the request can tell.
        let ips = attached.iter().flat_map(|attached| &attached.ips);
        let ips: Vec<_> = ips.map(|ip| ip.address.ip()).collect();
        nat.forget_clients(&ips, &ports).await?;
    }
    Ok(())
}

/// Verifies that an attachment's ports lead to it, and that the rules are there by which they do.
///
/// # Errors
/// [`Error::CheckFailed`] with all that is missing; [`Error::NoPrevResult`].
pub async fn check(host: &Host, request: &Request) -> Result<(), Error> {
    let options = Options::of(&request.config)?;
    let attached = request.config.prev_result()?.ok_or(Error::NoPrevResult)?;
    if options.ports.is_empty() {
        return Ok(());
    }
    let label = Label::of(request)?;
    let destination = Destination::of(host, request, &attached).await?;
    let network = destination.network(label.network(), options.snat);
    let (ips, ports) = (&destination.ips, destination.reachable(&options.ports));
    let nat = host.nat().await?;
    let mut faults = nat.missing(&network).await?;
    faults.extend(nat.missing_clients(&network, destination.direct(options.snat)).await?);
    faults.extend(nat.unpublished(&label, ips, &ports, options.publishing()).await?);
    if faults.is_empty() { Ok(()) } else { Err(Error::CheckFailed(faults.join("; "))) }
}

/// Removes the ports of every attachment of this network that is not in the request's list of valid ones (CNI 1.1.0,
/// section 2, GC); where none is valid, everything of the network. Nobody may add or delete an attachment of the network
/// meanwhile.
///
/// What the reference's plugin published by its nftables backend says nothing of its network, and is for DEL.
///
/// # Errors
/// [`Error::NoValidAttachments`] without that list: a missing list is not an empty one. [`Error::Net`],
/// [`Error::Iptables`].
pub async fn gc(host: &Host, request: &Request) -> Result<(), Error> {
    let valid = request.config.valid_attachments()?.ok_or(Error::NoValidAttachments)?;
    let network = request.config.name()?;
    let nat = host.nat().await?;
    if valid.is_empty() {
        for line in nat.remove_network(&network).await? {
            tracing::info!(%network, "no valid attachment: removed {line}");
        }
    }
    let published = nat.published().await?;
    let mut labels: Vec<&str> = published.iter().map(|port| port.label.as_str()).collect();
    labels.sort_unstable();
    labels.dedup();
    let labels = labels.into_iter().filter_map(Label::from_alias);
    for label in labels.filter(|label| is_invalid(label, &network, &valid)) {
        tracing::info!(label = label.alias(), "no valid attachment");
        nat.withdraw(&label).await?;
    }
    nat.remove_unused_rules().await?;
    reference::collect(nat.nft(), &network, &valid).await
}

/// Whether ports could be published: the configuration is one of these, and the kernel has nftables.
///
/// # Errors
/// [`Error::InvalidOption`]; [`Error::Spec`] with the code of a plugin that is not available.
pub async fn status(host: &Host, request: &Request) -> Result<(), Error> {
    Options::validate(&request.config)?;
    let listed = async { host.nat().await?.published().await }.await;
    listed.map(drop).map_err(|error| {
        CniError::new(ErrorCode::PLUGIN_NOT_AVAILABLE, format!("no nftables: {error}")).into()
    })
}

fn is_invalid(label: &Label, network: &NetworkName, valid: &[ValidAttachment]) -> bool {
    let is_listed = |attachment: &ValidAttachment| {
        attachment.container_id == *label.container_id()
            && attachment.interface == *label.interface()
    };
    label.network() == network && !valid.iter().any(is_listed)
}

fn not_chained() -> Error {
    Error::InvalidOption {
        option: "prevResult",
        reason: "there is none; portmap must be called as chained plugin, after one that attaches the container"
            .to_owned(),
    }
}

/// Takes back what a failed ADD published. What failed first is what the caller hears.
async fn undo(nat: &NatTable, label: &Label, first: Error) -> Error {
    match nat.withdraw(label).await {
        Ok(()) => first,
        Err(undo) => Error::UndoFailed { first: Box::new(first), undo: Box::new(undo) },
    }
}
