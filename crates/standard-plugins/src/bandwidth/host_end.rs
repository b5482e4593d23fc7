//! The host's end of a container's interface, whoever made it.

use podnet_cni_spec::{AddResult, Request};
use podnet_netutil::{Link, Netlink};

use crate::error::Error;
use crate::host::{Host, pod_netns};

/// The host's end of the veth pair of the request's interface, which must be in the result of the plugins before.
pub(super) async fn find(
    host: &Host,
    request: &Request,
    attached: &AddResult,
) -> Result<Link, Error> {
    let netns = pod_netns(request)?;
    let interface = &request.attachment()?.interface;
    let inside = Netlink::open_in(&netns)?.require_link(interface.as_str()).await?;
    let found = match inside.peer {
        Some(index) => host.netlink.link_by_index(index).await?,
        None => None,
    };
    // An index says nothing of the namespace it belongs to; that both point at each other does.
    let found = found.filter(|link| link.peer == Some(inside.index));
    found.filter(|link| is_reported(link, attached)).ok_or_else(|| Error::InvalidOption {
        option: "prevResult",
        reason: format!(
            "none of its interfaces on the host is the veth peer of {interface} in {}",
            netns.path().display()
        ),
    })
}

fn is_reported(link: &Link, attached: &AddResult) -> bool {
    attached.interfaces.iter().any(|interface| {
        interface.name == link.name && interface.sandbox.as_ref().is_none_or(String::is_empty)
    })
}
