//! A host with pods-to-be and a world outside; and the proofs that host ports and limits are there.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use podnet_kubenet::BRIDGE;
use podnet_netutil::{Link, Netlink, RootQdisc};
use podnet_testkit::{Pod, UPLINK};
use serde_json::Value;

use super::setting::{AT_ONCE, CONTAINER_PORT, EGRESS, INGRESS};
use crate::bench::field::{Field, MTU};
use crate::bench::programs::addresses;

/// The host as the world outside knows it, and the world.
const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const WORLD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PREFIX: u8 = 24;

/// The host of one contender.
pub(super) struct Stage {
    world: Pod,
    /// Dropped last: the namespaces are kept in its folder.
    pub(super) field: Field,
}

impl Stage {
    /// A host below `folder` with `standing` pods, and those that come and go.
    pub(super) fn new_in(folder: &Path, standing: u32) -> Result<Self> {
        let field = Field::new_in(folder, standing, AT_ONCE)?;
        let network = |ip: Ipv4Addr| ipnetwork::IpNetwork::new(ip.into(), PREFIX);
        let world = field.host.add_uplink(MTU, network(NODE)?)?;
        field.host.run(async || {
            let outside = Netlink::open_in(world.netns())?;
            let uplink = outside.require_link(UPLINK).await?;
            Ok::<_, anyhow::Error>(outside.add_address(&uplink, network(WORLD)?).await?)
        })??;
        Ok(Self { world, field })
    }

    /// All pods: those that stand, then those that come and go.
    pub(super) fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.field.standing.iter().chain(&self.field.passing)
    }

    /// Runs something on a thread that is in the host's namespace.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.field.host.netns().run(work)?
    }

    /// Does all of it at once: what each gave, and how long it took from the first's begin to the last's end.
    pub(super) fn at_once<T: Send>(
        &self,
        work: Vec<impl FnOnce() -> Result<T> + Send>,
    ) -> Result<(Vec<T>, Duration)> {
        let barrier = Barrier::new(work.len());
        let done = self.inside(|| {
            thread::scope(|scope| {
                let start = |work| scope.spawn(|| timed(&barrier, work));
                let threads: Vec<_> = work.into_iter().map(start).collect();
                let ended = threads.into_iter().map(thread::ScopedJoinHandle::join);
                ended.map(|done| done.map_err(|_| anyhow!("a call panicked"))?).collect()
            })
        });
        let done: Vec<(T, Instant, Instant)> = done?;
        let begun = done.iter().map(|(_, begun, _)| *begun).min();
        let ended = done.iter().map(|(_, _, ended)| *ended).max();
        let (begun, ended) = begun.zip(ended).context("nothing was done")?;
        Ok((done.into_iter().map(|(gave, ..)| gave).collect(), ended - begun))
    }

    /// That pods are attached as their results say; none has an address of those `taken`.
    pub(super) fn verify_attached(
        &self,
        pods: &[Pod],
        results: &[Value],
        taken: &[Value],
    ) -> Result<()> {
        let taken = reported(taken)?;
        for family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
            let of_family = |ips: &Vec<IpAddr>| ips.iter().copied().find(family);
            let ips: Vec<_> = reported(results)?.iter().filter_map(of_family).collect();
            let twice = ips.iter().find(|ip| taken.iter().flatten().any(|other| other == *ip));
            ensure!(twice.is_none(), "{twice:?} was given twice");
            // Without this family at all, or with it for everyone.
            if !ips.is_empty() {
                let verify = async || self.field.verify_attached(pods, &ips).await;
                self.field.host.run(verify)??;
            }
        }
        Ok(())
    }

    /// That these pods have no interface left.
    pub(super) fn verify_detached(&self, pods: &[Pod]) -> Result<()> {
        self.field.host.run(async || self.field.verify_detached(pods).await)?
    }

    /// That nothing is left of any pod.
    pub(super) fn verify_empty(&self) -> Result<()> {
        self.field.host.run(async || {
            self.field.verify_empty().await?;
            let links = Netlink::open()?.links().await?;
            let left: Vec<_> = links.iter().filter(|link| link.kind == "ifb").collect();
            ensure!(left.is_empty(), "{} ifb devices are left", left.len());
            Ok(())
        })?
    }

    /// That what each of these attachments receives and sends has its limit.
    pub(super) fn verify_limits(&self, results: &[Value]) -> Result<()> {
        self.field.host.run(async || {
            let netlink = Netlink::open()?;
            for result in results {
                verify_limits(&netlink, result).await?;
            }
            Ok(())
        })?
    }

    /// That the world outside reaches a server in this pod by its host port.
    pub(super) fn verify_published(&self, pod: &Pod, host_port: u16) -> Result<()> {
        let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), CONTAINER_PORT);
        let _page = pod.serve(everywhere, pod.name())?;
        let page = self.world.fetch(SocketAddr::new(NODE.into(), host_port));
        let page = page.with_context(|| format!("{} is not published", pod.name()))?;
        ensure!(page == pod.name(), "host port {host_port} of {} leads to {page}", pod.name());
        Ok(())
    }

    /// That nobody answers at this host port.
    pub(super) fn verify_withdrawn(&self, host_port: u16) -> Result<()> {
        let answer = self.world.fetch(SocketAddr::new(NODE.into(), host_port));
        ensure!(answer.is_err(), "host port {host_port} still answers");
        Ok(())
    }
}

fn timed<T>(barrier: &Barrier, work: impl FnOnce() -> Result<T>) -> Result<(T, Instant, Instant)> {
    barrier.wait();
    let begun = Instant::now();
    let gave = work()?;
    Ok((gave, begun, Instant::now()))
}

fn reported(results: &[Value]) -> Result<Vec<Vec<IpAddr>>> {
    results.iter().map(addresses).collect()
}

async fn verify_limits(netlink: &Netlink, result: &Value) -> Result<()> {
    let host_end = host_end(result).with_context(|| format!("no host end in {result}"))?;
    let host_end = netlink.require_link(host_end).await?;
    verify_rate(netlink, &host_end, INGRESS).await?;
    // The filter of the Go program redirects twice.
    let targets: BTreeSet<_> = netlink.ingress_redirects(&host_end).await?.into_iter().collect();
    let (1, Some(target)) = (targets.len(), targets.first().copied()) else {
        return Err(anyhow!("what {host_end} receives is redirected to {targets:?}"));
    };
    let ifb = netlink.link_by_index(target).await?;
    let ifb = ifb.with_context(|| format!("{host_end} is redirected to nowhere"))?;
    verify_rate(netlink, &ifb, EGRESS).await
}

async fn verify_rate(netlink: &Netlink, link: &Link, bits_per_second: u64) -> Result<()> {
    let found = netlink.root_qdisc(link).await?;
    let RootQdisc::TokenBucket(bucket) = found else {
        return Err(anyhow!("{link} has {found:?} and no token bucket"));
    };
    let rate = bucket.bytes_per_second;
    ensure!(rate == bits_per_second / 8, "{link} may send {rate} bytes a second");
    Ok(())
}

/// The first interface of the host that is not the bridge.
fn host_end(result: &Value) -> Option<&str> {
    let on_host = |interface: &&Value| {
        interface.get("sandbox").and_then(Value::as_str).unwrap_or_default().is_empty()
    };
    let mut interfaces = result.get("interfaces")?.as_array()?.iter().filter(on_host);
    interfaces.find_map(|interface| interface.get("name")?.as_str().filter(|it| *it != BRIDGE))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_host_end_is_neither_the_bridge_nor_in_the_pod() {
        let result = json!({ "interfaces": [
            { "name": "cbr0" }, { "name": "veth1", "sandbox": "" },
            { "name": "eth0", "sandbox": "/netns" }, { "name": "ifb" },
        ]});
        assert_eq!(host_end(&result), Some("veth1"));
        assert_eq!(host_end(&json!({ "interfaces": [{ "name": "cbr0" }] })), None);
    }

    #[test]
    fn what_is_done_at_once_takes_as_long_as_the_longest() {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::new_in(folder.path(), 1).unwrap();
        assert_eq!(stage.pods().count(), 33);
        let waits = [5, 40].map(Duration::from_millis);
        let work = waits.map(|wait| {
            move || {
                thread::park_timeout(wait);
                Ok(wait)
            }
        });
        let (gave, took) = stage.at_once(work.into()).unwrap();
        assert_eq!(gave, waits);
        assert!(took >= Duration::from_millis(40), "{took:?}");
        assert!(stage.at_once(vec![|| Err::<(), _>(anyhow!("no"))]).is_err());
    }

    #[test]
    fn a_pod_without_a_network_passes_no_proof() {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::new_in(folder.path(), 1).unwrap();
        let pods = &stage.field.standing;
        let results = [json!({ "ips": [{ "address": "10.244.0.2/20" }] })];
        assert!(stage.verify_attached(pods, &results, &[]).is_err());
        assert!(stage.verify_limits(&results).is_err());
        assert!(stage.verify_published(&pods[0], 20_000).is_err());
        stage.verify_withdrawn(20_000).unwrap();
        let twice = stage.verify_attached(pods, &results, &results).unwrap_err().to_string();
        assert!(twice.ends_with("was given twice"), "{twice}");
    }
}
