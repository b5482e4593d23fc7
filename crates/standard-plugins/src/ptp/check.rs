//! CHECK: whether what ADD built is still there.

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{AddResult, Request, Route};
use podnet_netutil::Netlink;

use super::plan::{self, Ends, Plan};
use crate::attachment::{check_pod, missing, present, same_mac};
use crate::delegate::Ipam;
use crate::error::Error;
use crate::host::{Host, pod_netns};
use crate::masquerade;

/// Verifies the host end with the gateways' addresses, the masquerade, the pod's interface with its addresses and routes, and the
/// reservation.
///
/// # Errors
/// [`Error::CheckFailed`] naming the first thing that is missing; [`Error::NoPrevResult`].
pub async fn check(host: &Host, exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    let plan = Plan::from_request(request)?;
    let expected = request.config.prev_result()?.ok_or(Error::NoPrevResult)?;
    let netns = pod_netns(request)?;
    Ipam::of(exec, request)?.check().await?;
    check_host(&host.netlink, &expected).await?;
    if plan.masquerade {
        masquerade::check(host, &plan.label, &expected.ips).await?;
    }
    let expected = with_subnets(expected)?;
    check_pod(&Netlink::open_in(&netns)?, plan.label.interface(), true, &expected).await
}

/// What is expected in the pod: the others of an address's network are reached by the gateway, too.
fn with_subnets(mut expected: AddResult) -> Result<AddResult, Error> {
    let ends = plan::ends(&expected.ips)?;
    expected.routes.extend(ends.iter().filter_map(Ends::subnet).map(Route::new));
    Ok(expected)
}

/// The host end is the one interface outside the pod; another program may have named it.
async fn check_host(netlink: &Netlink, expected: &AddResult) -> Result<(), Error> {
    let outside = |sandbox: &Option<String>| sandbox.as_ref().is_none_or(String::is_empty);
    let recorded = expected.interfaces.iter().find(|interface| outside(&interface.sandbox));
    let Some(recorded) = recorded else { return Ok(()) };
    let host_end = present(netlink, &recorded.name, "on the host").await?;
    same_mac(&host_end, recorded)?;
    if host_end.condemned {
        return missing(format!("{host_end} is about to be deleted"));
    }
    let present = netlink.addresses(&host_end).await?;
    let lacking = |end: &&Ends| !present.iter().any(|address| address.network == end.host());
    match plan::ends(&expected.ips)?.iter().find(lacking) {
        Some(end) => missing(format!("{host_end} lost the gateway's address {}", end.gateway)),
        None => Ok(()),
    }
}
