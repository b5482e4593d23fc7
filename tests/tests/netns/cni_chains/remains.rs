//! What an attachment may leave behind: links, reservations, cached results, firewall rules.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use podnet_netutil::Netlink;
use podnet_testkit::{Pod, TestHost};

use super::bed::NETWORK;

/// Kept between containers, as the plugin does.
pub(super) const BRIDGE: &str = "br0";

/// All of it, to be compared before ADD and after DEL.
#[derive(Debug, PartialEq)]
pub(super) struct Remains {
    host_links: BTreeSet<String>,
    pod_links: BTreeSet<String>,
    reservations: BTreeSet<String>,
    cached: BTreeSet<String>,
    rules: BTreeSet<String>,
}

impl Remains {
    /// To be called in the host's namespace.
    pub(super) async fn of(host: &TestHost, pod: &Pod) -> Self {
        let mut host_links = names(&Netlink::open().unwrap()).await;
        host_links.remove(BRIDGE);
        let mut reservations = files(&host.networks_dir().join(NETWORK));
        reservations.retain(|name| name.parse::<IpAddr>().is_ok());
        Self {
            host_links,
            pod_links: names(&Netlink::open_in(pod.netns()).unwrap()).await,
            reservations,
            cached: files(&host.folder().join("cache/results")),
            rules: rules(),
        }
    }
}

async fn names(netlink: &Netlink) -> BTreeSet<String> {
    netlink.links().await.unwrap().into_iter().map(|link| link.name).collect()
}

fn files(folder: &Path) -> BTreeSet<String> {
    let Ok(files) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

/// The rules that name an address of the tests' network; empty where there is no iptables.
fn rules() -> BTreeSet<String> {
    let Ok(saved) = Command::new("/usr/sbin/iptables-save").output() else {
        return BTreeSet::new();
    };
    assert!(saved.status.success());
    let text = String::from_utf8(saved.stdout).unwrap();
    text.lines().filter(|line| line.contains("10.4.0.")).map(str::to_owned).collect()
}
