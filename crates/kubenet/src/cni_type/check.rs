//! CHECK: whether the pod still has all that it was promised.

use std::net::IpAddr;

use podnet_cni_spec::AddResult;
use podnet_plugin_api::error::BoxError;
use podnet_plugin_api::{Mtu, PodCidrs, PodSandbox};
use podnet_standard_plugins::nat::HostPort;
use podnet_standard_plugins::{Error as StandardError, Label, shaping};

use crate::bridge::{self, Prepared};
use crate::error::Error;
use crate::node::Node;
use crate::plugin::{BRIDGE, Kubenet};
use crate::pod::Pod;
use crate::promise::Promise;

/// Verifies what the bridge plugin made, then rules, host ports and limits. Changes nothing.
pub(super) async fn check(
    kubenet: &Kubenet,
    sandbox: &PodSandbox,
    promise: &Promise,
    cidrs: &PodCidrs,
    result: &AddResult,
) -> Result<(), BoxError> {
    let pod = kubenet.pod(sandbox, Mtu::MIN, Some(cidrs))?;
    pod.attachment().check().await?;
    check_rules(kubenet, cidrs).await?;
    let ips: Vec<_> = result.ips.iter().map(|ip| ip.address.ip()).collect();
    check_ports(pod.node, &pod.label, &ips, &promise.host_ports()).await?;
    Ok(check_limits(&pod, promise).await?)
}

async fn check_rules(kubenet: &Kubenet, cidrs: &PodCidrs) -> Result<(), Error> {
    let (node, gateways) = (kubenet.node()?, kubenet.gateways(cidrs)?);
    let bridge = node.netlink().require_link(BRIDGE).await?;
    let earlier = gateways.earlier(&bridge).await?;
    let prepared = Prepared { bridge, earlier, made: false };
    let network = bridge::nat_network(node, cidrs, &prepared)?;
    let missing = node.nat.missing(&network).await?;
    if missing.is_empty() { Ok(()) } else { failed(missing.join("; ")) }
}

async fn check_ports(
    node: &Node,
    label: &Label,
    ips: &[IpAddr],
    ports: &[HostPort],
) -> Result<(), Error> {
    if ports.is_empty() {
        return Ok(());
    }
    let alias = label.alias();
    let mut published = node.nat.published().await?;
    published.retain(|it| it.label == alias);
    for port in ports {
        let of_family =
            |ip: &&IpAddr| port.host_ip.is_none_or(|host| host.is_ipv4() == ip.is_ipv4());
        for ip in ips.iter().filter(of_family) {
            let is_it = published.iter().any(|it| {
                (it.protocol, it.host_port, it.pod_ip, it.container_port)
                    == (port.protocol, port.host_port, *ip, port.container_port)
            });
            if !is_it {
                return failed(format!("the host port {} does not lead to {ip}", port.host_port));
            }
        }
    }
    Ok(())
}

async fn check_limits(pod: &Pod<'_>, promise: &Promise) -> Result<(), Error> {
    if promise.limits.is_unlimited() {
        return Ok(());
    }
    let Some(host_end) = pod.attachment().host_end().await? else {
        return failed("there is no host end to limit".to_owned());
    };
    let (node, wanted) = (pod.node, promise.limits());
    let now = shaping::limits_of(&node.host, &pod.label, &host_end).await?;
    let rate = |limit: Option<shaping::Limit>| limit.map(|limit| limit.bits_per_second / 8);
    for (does, wanted, now) in
        [("receives", wanted.to_pod, now.to_pod), ("sends", wanted.from_pod, now.from_pod)]
    {
        if wanted.is_some() && rate(wanted) != rate(now) {
            return failed(format!("what the pod {does} is not limited as it was promised"));
        }
    }
    Ok(())
}

fn failed(what: String) -> Result<(), Error> {
    Err(StandardError::CheckFailed(what).into())
}
