//! GC: deletes the host ends and the rules of attachments that are no longer valid.

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{NetworkName, Request, ValidAttachment};
use podnet_netutil::Link;

use super::rules;
use crate::delegate::Ipam;
use crate::error::Error;
use crate::host::Host;
use crate::label::Label;

/// Deletes every host end of this network whose attachment is not in the request's list of valid ones, and its rules, then
/// has the IPAM plugin do the same with its addresses (CNI 1.1.0, section 2, GC). Nobody may add or delete an attachment of
/// the network meanwhile.
///
/// Host ends are known by their labels; those of another program's making bear none and end with their pods.
pub(crate) async fn gc(host: &Host, exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    let valid = request.config.valid_attachments()?.ok_or(Error::NoValidAttachments)?;
    let network = request.config.name()?;
    let ipam = Ipam::of(exec, request)?;
    let links = host.netlink.links().await?;
    let mut outcome = Ok(());
    for (link, label) in links.iter().filter_map(labelled) {
        if is_invalid(&label, &network, &valid) {
            tracing::info!(%link, "no valid attachment");
            host.deleter.delete(link).await?;
            outcome = outcome.and(rules::remove(host, &request.config, &label).await);
        }
    }
    let outcome = outcome.and(rules::collect(host, &request.config, &network, &valid).await);
    ipam.gc().await.and(outcome)
}

fn labelled(link: &Link) -> Option<(&Link, Label)> {
    Some((link, Label::from_alias(link.alias.as_deref()?)?))
}

fn is_invalid(label: &Label, network: &NetworkName, valid: &[ValidAttachment]) -> bool {
    let is_listed = |attachment: &ValidAttachment| {
        attachment.container_id == *label.container_id()
            && attachment.interface == *label.interface()
    };
    label.network() == network && !valid.iter().any(is_listed)
}
