//! CHECK: whether what ADD built is still there.

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{AddResult, Interface, Request};
use podnet_netutil::{Link, Netlink};

use super::host_side::gateway_address;
use super::plan::{Gateway, Plan};
use crate::attachment::{check_pod, missing, named, present, same_mac};
use crate::delegate::Ipam;
use crate::error::Error;
use crate::host::{Host, pod_netns};
use crate::{masquerade, spoof_check};

/// Verifies the bridge, the host end on it, its rules, the pod's interface with its addresses and routes, and the
/// reservation.
///
/// # Errors
/// [`Error::CheckFailed`] naming the first thing that is missing; [`Error::Spec`] without prevResult.
pub async fn check(host: &Host, exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    let plan = Plan::from_request(request)?;
    let expected = request.config.prev_result()?.ok_or(Error::NoPrevResult)?;
    let netns = pod_netns(request)?;
    Ipam::of(exec, request)?.check().await?;
    check_host(&host.netlink, &plan, &expected).await?;
    check_rules(host, &plan, &expected).await?;
    let pod = Netlink::open_in(&netns)?;
    check_pod(&pod, plan.label.interface(), plan.enable_pod_end, &expected).await
}

async fn check_host(netlink: &Netlink, plan: &Plan, expected: &AddResult) -> Result<(), Error> {
    let bridge = present(netlink, plan.bridge.as_str(), "on the host").await?;
    if bridge.kind != "bridge" {
        return missing(format!("{bridge} is no bridge"));
    }
    if let Some(recorded) = named(expected, plan.bridge.as_str()) {
        same_mac(&bridge, recorded)?;
    }
    let of_vlan = match plan.vlans.gateway_link_name(&bridge) {
        Some(name) if plan.gateway != Gateway::No => {
            Some(present(netlink, &name, "on the host").await?)
        }
        _ => None,
    };
    check_gateways(netlink, plan, of_vlan.as_ref().unwrap_or(&bridge), expected).await?;
    let Some(recorded) = host_end(expected, plan) else { return Ok(()) };
    let host_end = present(netlink, &recorded.name, "on the host").await?;
    same_mac(&host_end, recorded)?;
    if host_end.condemned {
        return missing(format!("{host_end} is about to be deleted"));
    }
    if host_end.master != Some(bridge.index) {
        return missing(format!("{host_end} is no port of {bridge}"));
    }
    let port = host_end.port.unwrap_or_default();
    if port.hairpin != plan.hairpin || port.isolated != plan.isolated {
        return missing(format!("the port flags of {host_end} are not those configured"));
    }
    Ok(())
}

async fn check_rules(host: &Host, plan: &Plan, expected: &AddResult) -> Result<(), Error> {
    if let Some(recorded) = host_end(expected, plan).filter(|_| plan.check_mac) {
        spoof_check::check(host, &plan.label, &recorded.name).await?;
    }
    if plan.masquerade {
        masquerade::check(host, &plan.label, &expected.ips).await?;
    }
    Ok(())
}

async fn check_gateways(
    netlink: &Netlink,
    plan: &Plan,
    bridge: &Link,
    expected: &AddResult,
) -> Result<(), Error> {
    if plan.gateway == Gateway::No {
        return Ok(());
    }
    let present = netlink.addresses(bridge).await?;
    for ip in &expected.ips {
        let wanted = gateway_address(ip)?;
        if !present.iter().any(|address| address.network == wanted) {
            return missing(format!("{bridge} lost the gateway's address {wanted}"));
        }
    }
    Ok(())
}

/// The host end is the one interface outside the pod that is not the bridge; another program may have named it.
fn host_end<'a>(result: &'a AddResult, plan: &Plan) -> Option<&'a Interface> {
    result.interfaces.iter().find(|interface| {
        interface.name != plan.bridge.as_str()
            && interface.sandbox.as_ref().is_none_or(String::is_empty)
    })
}
