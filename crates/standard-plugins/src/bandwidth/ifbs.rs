//! Which ifb is an attachment's: the reference's name follows from network and container and not from the interface.

use podnet_cni_spec::{ContainerId, NetworkName};
use podnet_netutil::Link;

use crate::error::Error;
use crate::host::Host;
use crate::label::Label;
use crate::reference::hashed_name;
use crate::shaping::{Ifb, ifb_name};

/// The reference's name for an ifb: this and hexadecimal digits, as many as a link's name has room for.
pub(super) const PREFIX: &str = "bwp";
pub(super) const NAME_BYTES: usize = 15;

/// The ifb that an attachment has or is to have: by the reference's name, so that either program deletes what the other
/// made, unless another interface of the container has that one.
pub(super) async fn of(host: &Host, label: &Label, host_end: &Link) -> Result<Ifb, Error> {
    let reference = reference_name(label.network(), label.container_id());
    let name = match host.netlink.link_by_name(&reference).await? {
        Some(found) if !may_be_of(host, &found, label, Some(host_end)).await? => ifb_name(label),
        _ => reference,
    };
    Ok(Ifb { name, alias: label.alias() })
}

/// Deletes the ifb of an attachment by both its names.
pub(super) async fn delete(host: &Host, label: &Label) -> Result<(), Error> {
    let alias = label.alias();
    Ifb { name: ifb_name(label), alias: alias.clone() }.delete(host).await?;
    let name = reference_name(label.network(), label.container_id());
    let Some(found) = host.netlink.link_by_name(&name).await? else { return Ok(()) };
    let host_end = host.netlink.link_by_name(&label.host_end()).await?;
    if may_be_of(host, &found, label, host_end.as_ref()).await? {
        Ifb { name, alias }.delete(host).await?;
    }
    Ok(())
}

/// Whether an ifb by the reference's name is not known to be another interface's of the container. One without an alias
/// that is enabled is the reference's: what its interface receives is redirected to it.
async fn may_be_of(
    host: &Host,
    ifb: &Link,
    label: &Label,
    host_end: Option<&Link>,
) -> Result<bool, Error> {
    match (&ifb.alias, host_end) {
        (Some(alias), _) => Ok(*alias == label.alias()),
        (None, Some(host_end)) if ifb.up => {
            Ok(host.netlink.ingress_redirects(host_end).await?.contains(&ifb.index))
        }
        _ => Ok(true),
    }
}

/// The name that the reference gives a container's ifb.
pub(super) fn reference_name(network: &NetworkName, container_id: &ContainerId) -> String {
    hashed_name(PREFIX, NAME_BYTES, &format!("{network}{container_id}"))
}
