//! GC: deletes the host ends of attachments that are no longer valid.

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{NetworkName, Request, ValidAttachment};
use podnet_netutil::Link;

use crate::delegate::Ipam;
use crate::error::Error;
use crate::host::Host;
use crate::label::Label;

/// Deletes every host end of this network whose attachment is not in the request's list of valid ones, then has the IPAM
/// plugin do the same with its addresses (CNI 1.1.0, section 2, GC). Nobody may add or delete an attachment of the
/// network meanwhile.
///
/// Host ends are known by their labels; those of another program's making bear none and end with their pods.
pub(crate) async fn gc(host: &Host, exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    let valid = request.config.valid_attachments()?.ok_or(Error::NoValidAttachments)?;
    let network = request.config.name()?;
    let ipam = Ipam::of(exec, request)?;
    let links = host.netlink.links().await?;
    for link in links.iter().filter(|link| is_invalid(link, &network, &valid)) {
        tracing::info!(%link, "no valid attachment");
        host.deleter.delete(link).await?;
    }
    ipam.gc().await
}

fn is_invalid(link: &Link, network: &NetworkName, valid: &[ValidAttachment]) -> bool {
    let Some(label) = link.alias.as_deref().and_then(Label::from_alias) else { return false };
    let is_listed = |attachment: &ValidAttachment| {
        attachment.container_id == *label.container_id()
            && attachment.interface == *label.interface()
    };
    label.network() == network && !valid.iter().any(is_listed)
}
