//! `ptp`: a veth pair between a pod and the host, without a bridge.
//!
//! Options, results and effects are those of the reference's plugin of the same name: the host end has the gateway's
//! address, and the pod reaches all else, its neighbours in the same subnet included, by that gateway. What differs is
//! what differs at [`bridge`](crate::bridge).

mod check;
mod host_side;
mod plan;
mod pod_side;

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{AddResult, Interface, Request};
use podnet_netutil::{Link, Netns, VethEnds, VethPair};

use crate::attachment::{self, Attempt, Families, create_veth, interface};
use crate::delegate::Ipam;
use crate::error::Error;
use crate::host::Host;
use crate::masquerade;
use plan::Plan;

pub use check::check;

/// The place of the pod's interface in the result's list; every address points at it.
const POD_INTERFACE: u32 = 1;

/// Attaches a pod to the host.
///
/// Addresses come from the IPAM plugin that the configuration names, executed by `exec`.
///
/// # Errors
/// Before anything is touched: [`Error::Spec`], [`Error::InvalidOption`] for the configuration, [`Error::OwnNetns`] and
/// [`Error::Net`] for the namespace, [`Error::AlreadyAttached`] when this attachment exists. Afterwards whatever the IPAM
/// plugin or the kernel refused, or [`Error::NoGateway`] where the IPAM plugin gave none; by then everything is undone, or
/// [`Error::UndoFailed`] holds both errors.
pub async fn add(host: &Host, exec: &dyn Exec, request: &Request) -> Result<AddResult, Error> {
    let plan = Plan::from_request(request)?;
    let (attempt, addresses) = Attempt::begin(host, exec, request, &plan.label).await?;
    let attached = attach(host, &plan, &attempt.netns, addresses).await;
    attempt.end(attached).await
}

/// Detaches a pod: deletes its veth pair and its rules, then gives its addresses back.
///
/// Succeeds when there is nothing (left) to detach. Works with the namespace gone and without prevResult.
///
/// # Errors
/// [`Error::Spec`] when the request names no attachment; [`Error::Net`] or the IPAM plugin's error when something is
/// left. An address is kept as long as the interface that has it may still be there.
pub async fn del(host: &Host, exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    attachment::detach(host, exec, request).await
}

/// Deletes every host end of this network whose attachment is not in the request's list of valid ones, and its rules, then
/// has the IPAM plugin do the same with its addresses (CNI 1.1.0, section 2, GC).
///
/// # Errors
/// As for [`bridge::gc`](crate::bridge::gc).
pub async fn gc(host: &Host, exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    attachment::gc(host, exec, request).await
}

/// Whether pods could be attached: the options are ones that can be used, and the IPAM plugin says that it could serve
/// (CNI 1.1.0, section 2, STATUS).
///
/// # Errors
/// [`Error::Spec`], [`Error::InvalidOption`] for the configuration; whatever the IPAM plugin returned.
pub async fn status(exec: &dyn Exec, request: &Request) -> Result<(), Error> {
    plan::check_options(&request.config)?;
    Ipam::of(exec, request)?.status().await
}

async fn attach(
    host: &Host,
    plan: &Plan,
    netns: &Netns,
    addresses: AddResult,
) -> Result<AddResult, Error> {
    let ends = plan::ends(&addresses.ips)?;
    host_side::enable_forwarding(&ends)?;
    let pair = VethPair {
        host_name: &plan.label.host_end(),
        host_mac: plan.host_mac,
        bridge: None,
        peer_name: plan.label.interface().as_str(),
        peer_mac: plan.pod_mac,
        peer_netns: netns,
        mtu: plan.mtu,
    };
    let VethEnds { host: host_end, peer } = create_veth(host, &plan.label, &pair).await?;
    host_side::prepare(&host.netlink, &host_end, Families::of(&addresses.ips)).await?;
    if plan.masquerade {
        masquerade::ensure(host, &plan.label, &addresses.ips).await?;
    }
    pod_side::configure(netns, &peer, &ends, &addresses).await?;
    host_side::configure(&host.netlink, &host_end, &ends).await?;
    host.netlink.set_link_alias(&host_end, &plan.label.alias()).await?;
    Ok(result(plan, &host_end, netns, addresses))
}

/// Host end and pod's interface, in the reference's order.
fn result(plan: &Plan, host_end: &Link, netns: &Netns, addresses: AddResult) -> AddResult {
    let pod = Interface {
        sandbox: Some(netns.path().display().to_string()),
        ..interface(plan.label.interface().as_str(), Some(plan.pod_mac), host_end.mtu)
    };
    let host = interface(&host_end.name, Some(plan.host_mac), host_end.mtu);
    let mut result = AddResult { interfaces: vec![host, pod], ..addresses };
    for ip in &mut result.ips {
        ip.interface = Some(POD_INTERFACE);
    }
    if !plan.dns.is_empty() {
        result.dns = plan.dns.clone();
    }
    result
}
