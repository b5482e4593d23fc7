//! A host and the namespaces of its pods, made before anything is timed; and the proofs that a run did its work.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use podnet_kubenet::{BRIDGE, NETWORK};
use podnet_netutil::Netlink;
use podnet_testkit::{Pod, TestHost};

/// The addresses of the pods, and the bridge's own.
pub(super) const POD_CIDR: &str = "10.244.0.0/20";
pub(super) const GATEWAY: &str = "10.244.0.1/20";
/// What every contender gives its pods' interfaces, in bytes.
pub(super) const MTU: u32 = 1500;
/// How many operations are under way in the rounds that have several at once.
pub(super) const AT_ONCE: u32 = 16;

/// One contender's host with its pods-to-be.
pub(super) struct Field {
    /// Pods that are set up one after the other, and stand until the end.
    pub(super) standing: Vec<Pod>,
    /// Pods that come and go all at once.
    pub(super) passing: Vec<Pod>,
    /// Dropped last: the pods' namespaces are kept in its folder.
    pub(super) host: TestHost,
}

impl Field {
    /// A host below `folder` with `standing` pods and `passing` ones that come and go.
    pub(super) fn new_in(folder: &Path, standing: u32, passing: u32) -> Result<Self> {
        let host = TestHost::new_in(folder)?;
        let pods = |from: u32, to: u32| {
            (from..to).map(|number| Ok(host.add_pod(&format!("pod-{number}"))?)).collect()
        };
        let (standing, passing): (Result<_>, Result<_>) =
            (pods(0, standing), pods(standing, standing + passing));
        Ok(Self { standing: standing?, passing: passing?, host })
    }

    /// That each of these pods has `lo` and `eth0` enabled and, of its family, the address that was reported, which no
    /// other has, and a default route.
    pub(super) async fn verify_attached(&self, pods: &[Pod], reported: &[IpAddr]) -> Result<()> {
        let different: BTreeSet<_> = reported.iter().collect();
        ensure!(different.len() == pods.len(), "{reported:?} is not one address for each pod");
        for (pod, address) in pods.iter().zip(reported) {
            let verified = verify_pod(pod, *address).await;
            verified.with_context(|| format!("{} is not attached as reported", pod.name()))?;
        }
        Ok(())
    }

    /// That packets pass between the last pod that stands and the gateway.
    pub(super) fn verify_traffic(&self) -> Result<()> {
        let gateway: ipnetwork::IpNetwork = GATEWAY.parse()?;
        if let Some(pod) = self.standing.last() {
            pod.ping(gateway.ip()).with_context(|| format!("no traffic from {}", pod.name()))?;
        }
        Ok(())
    }

    /// That none of these pods has an interface left.
    pub(super) async fn verify_detached(&self, pods: &[Pod]) -> Result<()> {
        for pod in pods {
            ensure!(pod.link("eth0").await?.is_none(), "{} still has eth0", pod.name());
        }
        Ok(())
    }

    /// That the bridge has no port left, and the store no reservation.
    pub(super) async fn verify_empty(&self) -> Result<()> {
        let netlink = Netlink::open_in(self.host.netns())?;
        let bridge = netlink.require_link(BRIDGE).await?;
        let ports = netlink.bridge_ports(bridge.index).await?.len();
        ensure!(ports == 0, "{ports} ports are left on {BRIDGE}");
        let reservations = reservations(&self.host.networks_dir().join(NETWORK))?;
        ensure!(reservations.is_empty(), "reservations are left: {}", reservations.join(", "));
        Ok(())
    }
}

async fn verify_pod(pod: &Pod, reported: IpAddr) -> Result<()> {
    let netlink = Netlink::open_in(pod.netns())?;
    ensure!(netlink.require_link("lo").await?.up, "lo is not enabled");
    let eth0 = netlink.require_link("eth0").await?;
    ensure!(eth0.up, "eth0 is not enabled");
    ensure!(eth0.mtu == MTU, "eth0 has an MTU of {}", eth0.mtu);
    let addresses = netlink.addresses(&eth0).await?;
    let of_family = |ip: IpAddr| ip.is_ipv4() == reported.is_ipv4();
    let has = addresses.iter().filter(|address| address.global).map(|address| address.network);
    let has: Vec<_> = has.filter(|network| of_family(network.ip())).collect();
    let as_reported = has.iter().all(|network| network.ip() == reported) && has.len() == 1;
    ensure!(as_reported, "eth0 has {has:?}, and {reported} was reported");
    let routes = netlink.routes(&eth0).await?;
    ensure!(
        routes.iter().any(|route| {
            route.destination.prefix() == 0 && route.gateway.is_some_and(of_family)
        }),
        "eth0 has no default route"
    );
    Ok(())
}

/// The addresses that host-local's store holds; a contender without a store has none.
fn reservations(store: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(store) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("cannot read {}", store.display()))?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.retain(|name| name.parse::<IpAddr>().is_ok());
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_are_the_files_named_by_an_address() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["10.244.0.2", "last_reserved_ip.0", "lock"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(reservations(folder.path()).unwrap(), ["10.244.0.2"]);
        assert!(reservations(&folder.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn a_pod_without_a_network_does_not_pass_for_attached() {
        let folder = tempfile::tempdir().unwrap();
        let field = Field::new_in(folder.path(), 1, 0).unwrap();
        let reported = ["10.244.0.2".parse().unwrap()];
        let attached =
            field.host.run(async || field.verify_attached(&field.standing, &reported).await);
        assert!(format!("{:#}", attached.unwrap().unwrap_err()).contains("lo is not enabled"));
        let nobody = field.host.run(async || field.verify_attached(&field.standing, &[]).await);
        assert!(nobody.unwrap().is_err());
    }
}
