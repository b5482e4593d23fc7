//! Where the kernel and the files differ from what the pods were promised.

use std::net::IpAddr;

use podnet_cni_plugin::CachedAttachment;
use podnet_cni_spec::{AddResult, NetworkName};
use podnet_netutil::sysctl;
use podnet_netutil::{Link, Netlink, Netns};
use podnet_plugin_api::{HairpinMode, PodCidrs};
use podnet_standard_plugins::nat::{HostPort, NatNetwork, Published};
use podnet_standard_plugins::shaping;

use crate::bridge::mark;
use crate::census::{Census, Traces};
use crate::error::Error;
use crate::node::Node;
use crate::plugin::{BRIDGE, NETWORK, POD_INTERFACE};
use crate::promise::{Promise, rates};
use crate::report::{Finding, PodReport};

const COLLECT: &str = "`podnet gc` removes the rest";
const MEND: &str = "`podnet gc` mends it";

/// What is to be said of each pod.
pub(crate) async fn pods(node: &Node, census: &Census) -> Result<Vec<PodReport>, Error> {
    let mut reports = Vec::new();
    for (id, traces) in &census.pods {
        let promise = traces.record.as_ref().and_then(Promise::noted).unwrap_or_default();
        let attachment = traces.record.as_ref().map(|record| &record.runtime.attachment);
        let arg = |key| attachment.and_then(|it| it.args.get(key)).map(str::to_owned);
        reports.push(PodReport {
            pod: arg("K8S_POD_NAMESPACE").zip(arg("K8S_POD_NAME")),
            container_id: id.clone(),
            ips: traces.ips.clone(),
            host_end: traces.host_end.as_ref().map(|link| link.name.clone()),
            netns: attachment.and_then(|it| it.netns.clone()),
            ports: promise.ports.clone(),
            limits: promise.limits,
            alive: census.lives(traces),
            drift: drift(node, census, traces, &promise).await?,
        });
    }
    Ok(reports)
}

async fn drift(
    node: &Node,
    census: &Census,
    traces: &Traces,
    promise: &Promise,
) -> Result<Vec<String>, Error> {
    let Some(host_end) = &traces.host_end else {
        let gone = "its veth is gone, and with it the pod";
        return Ok(if census.lives(traces) { Vec::new() } else { vec![gone.to_owned()] });
    };
    let mut drift = of_host_end(node, census.bridge.as_ref(), host_end);
    let Some(record) = &traces.record else {
        drift.push("nothing is noted of what it was promised".to_owned());
        return Ok(drift);
    };
    drift.extend(of_addresses(record, traces));
    drift.extend(of_ports(promise, traces));
    if let Some(line) = of_limits(node, promise, traces, host_end).await? {
        drift.push(line);
    }
    drift.extend(inside(record).await);
    Ok(drift)
}

fn of_host_end(node: &Node, bridge: Option<&Link>, host_end: &Link) -> Vec<String> {
    let mut drift = Vec::new();
    if bridge.is_none_or(|bridge| host_end.master != Some(bridge.index)) {
        drift.push(format!("{host_end} is no port of {BRIDGE}"));
    }
    if !host_end.up {
        drift.push(format!("{host_end} is disabled"));
    }
    if let Some(bridge) = bridge.filter(|bridge| bridge.mtu != host_end.mtu) {
        drift
            .push(format!("{host_end} has an MTU of {}, {BRIDGE} of {}", host_end.mtu, bridge.mtu));
    }
    let wants_hairpin = node.hairpin_mode == HairpinMode::HairpinVeth;
    if host_end.port.is_some_and(|port| wants_hairpin && !port.hairpin) {
        drift.push(format!("{host_end} is not in hairpin mode"));
    }
    drift
}

/// The result of the pod's ADD, where it is noted.
pub(crate) fn result_of(record: &CachedAttachment) -> AddResult {
    record.result().ok().flatten().unwrap_or_default()
}

fn of_addresses(record: &CachedAttachment, traces: &Traces) -> Vec<String> {
    let promised = result_of(record).ips;
    let missing = promised.iter().map(|ip| ip.address.ip()).filter(|ip| !traces.ips.contains(ip));
    missing.map(|ip| format!("its address {ip} is not reserved")).collect()
}

/// What the table should hold for a pod, as it holds it.
fn promised_ports(promise: &Promise, ips: &[IpAddr]) -> Vec<(HostPort, IpAddr)> {
    let mut wanted = Vec::new();
    for port in promise.host_ports() {
        for ip in ips {
            if port.host_ip.is_none_or(|host_ip| host_ip.is_ipv4() == ip.is_ipv4()) {
                wanted.push((port, *ip));
            }
        }
    }
    wanted
}

fn is_published(published: &[Published], port: HostPort, ip: IpAddr) -> bool {
    published.iter().any(|it| {
        it.protocol == port.protocol
            && it.host_ip == port.host_ip
            && it.host_port == port.host_port
            && it.container_port == port.container_port
            && it.pod_ip == ip
    })
}

fn of_ports(promise: &Promise, traces: &Traces) -> Vec<String> {
    let ips = traces.record.as_ref().map(|record| result_of(record).ips).unwrap_or_default();
    let ips: Vec<_> = ips.iter().map(|ip| ip.address.ip()).collect();
    let wanted = promised_ports(promise, &ips);
    let missing = wanted
        .iter()
        .filter(|(port, ip)| !is_published(&traces.published, *port, *ip))
        .map(|(port, ip)| format!("host port {} does not lead to {ip}", port.host_port));
    let promised = |it: &Published| {
        wanted.iter().any(|(port, ip)| is_published(std::slice::from_ref(it), *port, *ip))
    };
    let extra = traces.published.iter().filter(|it| !promised(it)).map(|it| {
        format!("host port {} leads to {} and was not promised", it.host_port, it.pod_ip)
    });
    missing.chain(extra).collect()
}

async fn of_limits(
    node: &Node,
    promise: &Promise,
    traces: &Traces,
    host_end: &Link,
) -> Result<Option<String>, Error> {
    let found = shaping::limits_of(&node.host, &traces.label, host_end).await?;
    let (has, wants) = (rates(&found), rates(&promise.limits()));
    let say = |rate: Option<u64>| {
        rate.map_or_else(|| "none".to_owned(), |rate| format!("{} bit/s", rate.saturating_mul(8)))
    };
    let line = |[to_pod, from_pod]: [Option<u64>; 2]| {
        format!("{} to the pod and {} from it", say(to_pod), say(from_pod))
    };
    let differs = || format!("its limits are {}, and were to be {}", line(has), line(wants));
    Ok((has != wants).then(differs))
}

/// What the pod's own namespace lacks. One that cannot be looked into says nothing: its path may be another mount
/// namespace's.
async fn inside(record: &CachedAttachment) -> Vec<String> {
    let Some(path) = &record.runtime.attachment.netns else { return Vec::new() };
    match missing_inside(record, path).await {
        Ok(missing) => missing.lines(),
        Err(error) => {
            tracing::debug!("{error}");
            Vec::new()
        }
    }
}

/// What a pod should have and has not.
#[derive(Default)]
pub(crate) struct Missing {
    pub(crate) interface: bool,
    pub(crate) addresses: Vec<ipnetwork::IpNetwork>,
    pub(crate) routes: Vec<podnet_netutil::Route>,
}

impl Missing {
    fn lines(&self) -> Vec<String> {
        if self.interface {
            return vec![format!("it has no {POD_INTERFACE}")];
        }
        let addresses = self.addresses.iter();
        let addresses = addresses.map(|it| format!("its {POD_INTERFACE} lacks {it}"));
        let routes =
            self.routes.iter().map(|it| format!("it lacks the route to {}", it.destination));
        addresses.chain(routes).collect()
    }
}

pub(crate) async fn missing_inside(
    record: &CachedAttachment,
    netns: &std::path::Path,
) -> Result<Missing, Error> {
    let netlink = Netlink::open_in(&Netns::open_other(netns)?)?;
    let Some(link) = netlink.link_by_name(POD_INTERFACE).await? else {
        return Ok(Missing { interface: true, ..Missing::default() });
    };
    let result = result_of(record);
    let present = netlink.addresses(&link).await?;
    let routes = netlink.routes(&link).await?;
    let addresses = result.ips.iter().map(|ip| ip.address);
    let lacks = |it: &ipnetwork::IpNetwork| !present.iter().any(|own| own.network == *it);
    let gateway = |is_ipv4| {
        let mut gateways = result.ips.iter().filter_map(|ip| ip.gateway);
        gateways.find(|gateway| gateway.is_ipv4() == is_ipv4)
    };
    let wanted = result.routes.iter().map(|route| {
        podnet_netutil::Route::new(route.dst, route.gw.or(gateway(route.dst.is_ipv4())))
    });
    let no_route =
        |it: &podnet_netutil::Route| !routes.iter().any(|own| own.destination == it.destination);
    Ok(Missing {
        interface: false,
        addresses: addresses.filter(lacks).collect(),
        routes: wanted.filter(no_route).collect(),
    })
}

/// What is wrong with the node itself.
pub(crate) async fn node(
    node: &Node,
    census: &Census,
    cidrs: Option<&PodCidrs>,
) -> Result<Vec<Finding>, Error> {
    let Some(bridge) = &census.bridge else {
        let missing = Finding::new(BRIDGE, "it does not exist, and pods do", MEND);
        return Ok(if census.pods.is_empty() { Vec::new() } else { vec![missing] });
    };
    let mut findings = of_bridge(node, census, bridge).await?;
    let Some(cidrs) = cidrs else { return Ok(findings) };
    let present = node.netlink().addresses(bridge).await?;
    for cidr in cidrs.iter() {
        let gateway = cidr.gateway();
        if !census.pods.is_empty() && !present.iter().any(|own| own.network.ip() == gateway) {
            let problem = format!("it lacks the gateway {gateway} of pod CIDR {cidr}");
            findings.push(Finding::new(BRIDGE, problem, MEND));
        }
        let key =
            if cidr.is_ipv4() { "net/ipv4/ip_forward" } else { "net/ipv6/conf/all/forwarding" };
        if !census.pods.is_empty() && sysctl::read(key)? == "0" {
            let problem = format!("{key} is 0: the host forwards nothing for its pods");
            findings.push(Finding::new("host", problem, MEND));
        }
    }
    Ok(findings)
}

async fn of_bridge(node: &Node, census: &Census, bridge: &Link) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    node.saw(&census.links).await;
    let mtu = node.mtu().await?.get();
    if let Some(alias) = bridge.alias.as_ref().filter(|it| **it != mark(&node.networks_dir)) {
        let remedy = format!("use that one, or `ip link set {BRIDGE} alias \"\"` once it is gone");
        findings.push(Finding::new(BRIDGE, format!("it is kept by {alias}"), remedy));
    }
    if !bridge.up {
        findings.push(Finding::new(BRIDGE, "it is disabled", MEND));
    }
    if bridge.multicast_snooping {
        let problem = "it snoops multicast, and does not see the pods' reports";
        findings.push(Finding::new(BRIDGE, problem, MEND));
    }
    if bridge.mtu != mtu {
        let problem = format!("its MTU is {}, and should be {mtu}", bridge.mtu);
        findings.push(Finding::new(BRIDGE, problem, MEND));
    }
    for port in census.links.iter().filter(|link| link.master == Some(bridge.index)) {
        if port.kind != "veth" {
            let remedy = format!("`ip link set {port} nomaster`");
            findings.push(Finding::new(BRIDGE, format!("its port {port} is no pod's"), remedy));
        }
    }
    Ok(findings)
}

/// What is wrong with the rules.
pub(crate) async fn rules(node: &Node, network: &NatNetwork) -> Result<Vec<Finding>, Error> {
    let missing = node.nat.missing(network).await?;
    Ok(missing.into_iter().map(|line| Finding::new("rules", line, MEND)).collect())
}

/// A network of which nothing but rules is left.
pub(crate) fn of_network_that_is_gone(network: &NetworkName) -> Finding {
    let problem = format!("there are chains of network {network}, and nothing else of it");
    Finding::new("rules", problem, COLLECT)
}

/// What is wrong with a pod.
pub(crate) fn of_pod(report: &PodReport) -> impl Iterator<Item = Finding> {
    let subject = match &report.pod {
        Some((namespace, name)) => format!("pod {namespace}/{name} ({})", report.container_id),
        None => format!("pod {} of network {NETWORK}", report.container_id),
    };
    report.drift.iter().map(move |line| {
        let remedy = match report.alive {
            false => COLLECT,
            true if line.contains("an MTU of") => "it is right when the pod is made anew",
            true if line.contains(&format!("no {POD_INTERFACE}")) => "make the pod anew",
            true if line.contains("nothing is noted") => "`podnet setup` of the pod notes it again",
            true => MEND,
        };
        Finding::new(subject.clone(), line.clone(), remedy)
    })
}
