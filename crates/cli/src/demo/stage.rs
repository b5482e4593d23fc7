//! The acts of the demonstration: start kubenet, set pods up, probe them, look around, tear them down.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::join_all;
use indicatif::ProgressBar;
use podnet::{NetworkPlugin, NodeOptions, PodSandbox, Subnet};
use podnet_netutil::{Link, Netlink};
use podnet_testkit::{Pod, TestHost, UPLINK, probe};

use super::latency::{Latency, milliseconds};
use super::report::{Interface, PodView, Probe, Topology};

const POD_INTERFACE: &str = "eth0";
const PAGE: &str = "hello from default/web\n";
const PAGE_PORT: u16 = 80;

/// The throw-away host and the pods' sandboxes on it.
pub(super) struct Stage<'a> {
    pub(super) host: &'a TestHost,
    pub(super) actors: Vec<Actor>,
}

/// A pod-to-be: its namespace, and what kubenet is told of it.
pub(super) struct Actor {
    pub(super) sandbox: Pod,
    pub(super) pod: PodSandbox,
}

/// The pods after they were set up.
pub(super) struct SetUp {
    pub(super) pods: Vec<UpPod>,
    pub(super) took: Duration,
}

pub(super) struct UpPod {
    pub(super) ip: IpAddr,
    pub(super) took: Duration,
}

impl<'a> Stage<'a> {
    /// Makes the sandboxes: `default/web`, `default/client`, and more where more are asked for.
    pub(super) fn new(host: &'a TestHost, pods: u32) -> anyhow::Result<Self> {
        let names = ["web".to_owned(), "client".to_owned()].into_iter();
        let names = names.chain((3..=pods).map(|number| format!("pod-{number}")));
        let actors = names.map(|name| {
            let sandbox = host.add_pod(&name)?;
            let pod = PodSandbox::new("default", name.as_str(), format!("{name}-1"))?;
            let pod = pod.with_netns(sandbox.path());
            Ok(Actor { sandbox, pod })
        });
        Ok(Self { host, actors: actors.collect::<anyhow::Result<_>>()? })
    }

    /// The smallest of the usual node subnets that has room for the pods.
    fn pod_cidr(&self) -> &'static str {
        if self.actors.len() <= 250 { "10.244.0.0/24" } else { "10.244.0.0/20" }
    }

    pub(super) async fn start_kubenet(&self) -> anyhow::Result<Arc<dyn NetworkPlugin>> {
        let mut options = NodeOptions::default();
        options.network_plugin = Some("kubenet".to_owned());
        options.pod_cidr = Some(self.pod_cidr().parse()?);
        options.state_dir = Some(self.host.folder().to_owned());
        Ok(podnet::start(&options, Subnet::Required).await?)
    }

    pub(super) async fn set_up_pods(
        &self,
        plugin: &Arc<dyn NetworkPlugin>,
        progress: &ProgressBar,
    ) -> anyhow::Result<SetUp> {
        let all = Instant::now();
        let mut pods = Vec::with_capacity(self.actors.len());
        for actor in &self.actors {
            let begun = Instant::now();
            let status = plugin.set_up_pod(&actor.pod).await?;
            let took = begun.elapsed();
            let ip = status.context("kubenet reports an address for each pod")?.ip();
            pods.push(UpPod { ip, took });
            progress.inc(1);
        }
        Ok(SetUp { pods, took: all.elapsed() })
    }

    /// Real packets between the first two pods, the gateway and the host.
    pub(super) async fn probe(&self, set_up: &SetUp) -> anyhow::Result<Vec<Probe>> {
        let [web, client, ..] = self.actors.as_slice() else { return Ok(Vec::new()) };
        let [web_up, client_up, ..] = set_up.pods.as_slice() else { return Ok(Vec::new()) };
        let bridge = self.link(podnet::kubenet::BRIDGE).await?;
        let gateway = Netlink::open()?.addresses(&bridge).await?;
        let gateway = gateway.first().context("cbr0 has the gateway's address")?.network.ip();
        let (from, to) = (client.pod.to_string(), web.pod.to_string());
        let pod_to_pod = client.sandbox.ping(web_up.ip)?;
        let pod_to_gateway = client.sandbox.ping(gateway)?;
        let host_to_pod = probe::ping(client_up.ip)?;
        let (page, fetched) = fetch_page(web, client, web_up.ip)?;
        Ok(vec![
            Probe::new("ping", &from, format!("{to} ({})", web_up.ip), pod_to_pod),
            Probe::new("ping", &from, format!("gateway ({gateway})"), pod_to_gateway),
            Probe::new("ping", "host", format!("{from} ({})", client_up.ip), host_to_pod),
            Probe::new("page over TCP", &from, format!("http://{page}/"), fetched),
        ])
    }

    /// What the kernel has, beside what kubenet said.
    pub(super) async fn topology(&self, set_up: &SetUp) -> anyhow::Result<Topology> {
        let netlink = Netlink::open()?;
        let bridge = self.link(podnet::kubenet::BRIDGE).await?;
        let ports = netlink.bridge_ports(bridge.index).await?;
        let mut pods = Vec::with_capacity(self.actors.len());
        for (actor, up) in self.actors.iter().zip(&set_up.pods) {
            pods.push(view(actor, up, &ports).await?);
        }
        Ok(Topology {
            uplink: interface(&netlink, &self.link(UPLINK).await?).await?,
            bridge: interface(&netlink, &bridge).await?,
            pods,
        })
    }

    /// All at once, as a node that is drained does it.
    pub(super) async fn tear_down_pods(
        &self,
        plugin: &Arc<dyn NetworkPlugin>,
    ) -> anyhow::Result<Latency> {
        let all = Instant::now();
        let operations = self.actors.iter().map(|actor| async move {
            let begun = Instant::now();
            plugin.tear_down_pod(&actor.pod).await.map(|()| begun.elapsed())
        });
        let ended: Result<Vec<_>, _> = join_all(operations).await.into_iter().collect();
        Ok(Latency::of(&ended?, all.elapsed()))
    }

    /// Interfaces of the host and of pods, and reservations, that should be gone. cbr0 stays, as on any node.
    pub(super) async fn left_behind(&self, links_before: &[String]) -> anyhow::Result<Vec<String>> {
        let now = link_names().await?.into_iter();
        let new =
            now.filter(|name| name != podnet::kubenet::BRIDGE && !links_before.contains(name));
        let mut left: Vec<_> = new.map(|name| format!("interface {name} of the host")).collect();
        for actor in &self.actors {
            if actor.sandbox.link(POD_INTERFACE).await?.is_some() {
                left.push(format!("{POD_INTERFACE} of {}", actor.pod));
            }
        }
        let store = self.host.networks_dir().join(podnet::kubenet::NETWORK);
        for file in std::fs::read_dir(&store)? {
            let name = file?.file_name();
            if name.to_string_lossy().parse::<IpAddr>().is_ok() {
                left.push(format!("reservation of {}", name.to_string_lossy()));
            }
        }
        Ok(left)
    }

    async fn link(&self, name: &str) -> anyhow::Result<Link> {
        Ok(Netlink::open()?.require_link(name).await?)
    }
}

fn fetch_page(web: &Actor, client: &Actor, ip: IpAddr) -> anyhow::Result<(SocketAddr, Duration)> {
    let address = SocketAddr::new(ip, PAGE_PORT);
    let _page = web.sandbox.serve(address, PAGE)?;
    let begun = Instant::now();
    let body = client.sandbox.fetch(address)?;
    anyhow::ensure!(body == PAGE, "default/web served {body:?} instead of its page");
    Ok((address, begun.elapsed()))
}

async fn view(actor: &Actor, up: &UpPod, ports: &[Link]) -> anyhow::Result<PodView> {
    let inside = actor.sandbox.link(POD_INTERFACE).await?;
    let inside = inside.with_context(|| format!("{} has no {POD_INTERFACE}", actor.pod))?;
    let host_end = ports.iter().find(|port| port.peer == Some(inside.index) && is_of(actor, port));
    let host_end = host_end.with_context(|| format!("{} has no port on cbr0", actor.pod))?;
    Ok(PodView {
        pod: actor.pod.to_string(),
        id: actor.pod.id().to_owned(),
        netns: actor.sandbox.path().display().to_string(),
        ip: up.ip,
        interface: inside.name.clone(),
        mac: mac(&inside),
        mtu: inside.mtu,
        host_end: host_end.name.clone(),
        set_up_ms: milliseconds(up.took),
    })
}

/// Whether a port's label names the pod; indices are counted in each pod anew.
fn is_of(actor: &Actor, port: &Link) -> bool {
    let label = format!("/{}/", actor.pod.id());
    port.alias.as_ref().is_some_and(|alias| alias.contains(&label))
}

/// The names of the host's interfaces.
pub(super) async fn link_names() -> anyhow::Result<Vec<String>> {
    let links = Netlink::open()?.links().await?;
    Ok(links.into_iter().map(|link| link.name).collect())
}

async fn interface(netlink: &Netlink, link: &Link) -> anyhow::Result<Interface> {
    let addresses = netlink.addresses(link).await?;
    let global = addresses.iter().filter(|address| address.global);
    Ok(Interface {
        name: link.name.clone(),
        addresses: global.map(|address| address.network.to_string()).collect(),
        mtu: link.mtu,
        mac: mac(link),
    })
}

fn mac(link: &Link) -> String {
    link.mac.map(|mac| mac.to_string()).unwrap_or_default()
}

/// Waits for Ctrl-C. Whatever else ends the process removes everything as well: it is all in its own namespaces.
pub(super) async fn wait_for_interrupt() -> anyhow::Result<()> {
    Ok(tokio::signal::ctrl_c().await?)
}
