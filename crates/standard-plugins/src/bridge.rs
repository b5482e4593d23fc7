//! `bridge`: a veth pair between a pod and a Linux bridge of the host.
//!
//! Options, results and effects are those of the reference's plugin of the same name. What differs: the pair is made
//! in one message with the pod's end already in its namespace, names follow from the [`Label`](crate::Label), a failed ADD undoes
//! itself, an ADD after a crash mends what the dead one left, and DEL needs neither the namespace nor prevResult.

mod check;
mod forwarding;
mod host_side;
mod plan;
mod pod_side;
mod report;
mod vlan;

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{AddResult, Request};
use podnet_netutil::bridge::port_group;
use podnet_netutil::{Netns, Port, VethEnds, VethPair};

use crate::attachment::{self, Attempt, create_veth};
use crate::delegate::Ipam;
use crate::error::Error;
use crate::host::Host;
use crate::{masquerade, spoof_check};
use plan::Plan;

pub use check::check;

/// Attaches a pod to the bridge, which is made where there is none.
///
/// Addresses come from the IPAM plugin that the configuration names, executed by `exec`.
///
/// # Errors
/// Before anything is touched: [`Error::Spec`], [`Error::InvalidOption`] for the configuration, [`Error::OwnNetns`] and
/// [`Error::Net`] for the namespace, [`Error::AlreadyAttached`] when this attachment exists. Afterwards whatever the IPAM
/// plugin or the kernel refused; by then everything is undone, or [`Error::UndoFailed`] holds both errors.
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
/// has the IPAM plugin do the same with its addresses (CNI 1.1.0, section 2, GC). Nobody may add or delete an attachment of
/// the network meanwhile.
///
/// # Errors
/// [`Error::NoValidAttachments`] without that list: a missing list is not an empty one. [`Error::Net`] or the IPAM
/// plugin's error when something is left.
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
    let addresses = host_side::with_gateways(plan, addresses);
    let bridge = host_side::ensure_bridge(&host.netlink, plan).await?;
    let gateway = host_side::ensure_gateway(&host.netlink, plan, &bridge, &addresses.ips).await?;
    let pair = VethPair {
        host_name: &plan.label.host_end(),
        host_mac: plan.host_mac,
        bridge: Some(bridge.index),
        peer_name: plan.label.interface().as_str(),
        peer_mac: plan.pod_mac,
        peer_netns: netns,
        mtu: plan.mtu,
    };
    let VethEnds { host: host_end, peer } = create_veth(host, &plan.label, &pair).await?;
    plan.vlans.join(&host.netlink, &host_end).await?;
    if plan.check_mac {
        spoof_check::ensure(host, &plan.label, &host_end.name, plan.pod_mac).await?;
    }
    if plan.masquerade && !addresses.ips.is_empty() {
        forwarding::let_pass(host, plan, &addresses).await?;
        masquerade::ensure(host, &plan.label, &addresses.ips).await?;
    }
    // Before the pod's end is enabled and the carrier comes: IPv6 on a bridge port only floods the bridge.
    host.netlink.keep_without_ipv6_in_group(&host_end, port_group(bridge.index)).await?;
    pod_side::configure(netns, plan, &peer, &addresses).await?;
    let mut port = Port::labelled(plan.label.alias());
    port.hairpin = plan.hairpin;
    port.isolated = plan.isolated;
    if plan.enable_pod_end {
        host.netlink.wait_until_operational(&host_end).await?;
    }
    host.netlink.commit_port(&host_end, &port).await?;
    let links = report::Links { bridge: &bridge, host_end: &host_end, gateway: gateway.as_ref() };
    Ok(report::result(plan, &links, netns, addresses))
}
