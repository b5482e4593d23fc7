//! The kubenet flavour, in process: pods attached, reached, detached; what crashes and restarts leave.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use futures_util::future::{join, join_all};
use podnet_kubenet::{BRIDGE, Kubenet, KubenetOptions, NETWORK};
use podnet_netutil::{LinkDeleter, MacAddr, Netlink, VethPair};
use podnet_plugin_api::{Event, Mtu, NetworkPlugin as _, PodSandbox, Settings};
use podnet_standard_plugins::Label;
use podnet_testkit::{Pod, TestHost, probe};

const CIDR: &str = "10.9.0.0/24";

async fn start(host: &TestHost, cidrs: &str) -> Kubenet {
    let kubenet = Kubenet::new(KubenetOptions::new(host.networks_dir(), host.runtime_dir()));
    kubenet.init(&Settings::default()).await.unwrap();
    kubenet.event(Event::PodCidrChange { cidrs: cidrs.parse().unwrap() }).await.unwrap();
    kubenet
}

fn pod(id: &str, sandbox: &Pod) -> PodSandbox {
    PodSandbox::new("default", sandbox.name(), id).unwrap().with_netns(sandbox.path())
}

async fn set_up(kubenet: &Kubenet, pod: &PodSandbox) -> IpAddr {
    kubenet.set_up_pod(pod).await.unwrap().unwrap().ip()
}

fn reservations(host: &TestHost) -> BTreeSet<String> {
    let Ok(files) = std::fs::read_dir(host.networks_dir().join(NETWORK)) else {
        return BTreeSet::new();
    };
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.parse::<IpAddr>().is_ok()).collect()
}

async fn ports() -> Vec<String> {
    let netlink = Netlink::open().unwrap();
    let Some(bridge) = netlink.link_by_name(BRIDGE).await.unwrap() else { return Vec::new() };
    netlink.bridge_ports(bridge.index).await.unwrap().into_iter().map(|port| port.name).collect()
}

#[test]
fn two_pods_reach_each_other_the_gateway_and_the_host() {
    let host = TestHost::new().unwrap();
    let _world = host.add_uplink(1450, "192.0.2.10/24".parse().unwrap()).unwrap();
    let (web, client) = (host.add_pod("web").unwrap(), host.add_pod("client").unwrap());
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        let web_ip = set_up(&kubenet, &pod("w1", &web)).await;
        let client_ip = set_up(&kubenet, &pod("c1", &client)).await;
        assert_eq!((web_ip, client_ip), ("10.9.0.2".parse().unwrap(), "10.9.0.3".parse().unwrap()));

        client.ping(web_ip).unwrap();
        client.ping("10.9.0.1".parse().unwrap()).unwrap();
        client.ping("192.0.2.10".parse().unwrap()).unwrap();
        client.ping("127.0.0.1".parse().unwrap()).unwrap();
        probe::ping(client_ip).unwrap();
        let _page = web.serve((web_ip, 80).into(), "hello").unwrap();
        assert_eq!(client.fetch((web_ip, 80).into()).unwrap(), "hello");
    })
    .unwrap();
}

#[test]
fn everything_has_the_narrowest_interfaces_mtu() {
    let host = TestHost::new().unwrap();
    let _world = host.add_uplink(1450, "192.0.2.10/24".parse().unwrap()).unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        set_up(&kubenet, &pod("w1", &web)).await;
        let netlink = Netlink::open().unwrap();
        let bridge = netlink.require_link(BRIDGE).await.unwrap();
        let port = netlink.bridge_ports(bridge.index).await.unwrap().remove(0);
        let inside = web.link("eth0").await.unwrap().unwrap();
        assert_eq!([bridge.mtu, port.mtu, inside.mtu], [1450; 3]);
        assert!(port.port.unwrap().hairpin, "hairpin-veth is the default");
        assert_eq!(port.alias.as_deref(), Some("podnet:kubenet/w1/eth0"));
    })
    .unwrap();
}

#[test]
fn an_existing_bridge_follows_the_mtu_that_is_asked_for() {
    let host = TestHost::new().unwrap();
    let (web, client) = (host.add_pod("web").unwrap(), host.add_pod("client").unwrap());
    host.run(async || {
        set_up(&start(&host, CIDR).await, &pod("w1", &web)).await;
        let kubenet = Kubenet::new(KubenetOptions::new(host.networks_dir(), host.runtime_dir()));
        let settings = Settings::default().with_mtu(Mtu::new(1400).unwrap());
        kubenet.init(&settings).await.unwrap();
        kubenet.event(Event::PodCidrChange { cidrs: CIDR.parse().unwrap() }).await.unwrap();
        set_up(&kubenet, &pod("c1", &client)).await;
        let bridge = Netlink::open().unwrap().require_link(BRIDGE).await.unwrap();
        assert_eq!(bridge.mtu, 1400);
    })
    .unwrap();
}

#[test]
fn a_second_set_up_returns_the_same_address() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        let first = set_up(&kubenet, &pod("w1", &web)).await;
        assert_eq!(set_up(&kubenet, &pod("w1", &web)).await, first);
        let restarted = start(&host, CIDR).await;
        assert_eq!(set_up(&restarted, &pod("w1", &web)).await, first);
        assert_eq!(reservations(&host).len(), 1);
    })
    .unwrap();
}

#[test]
fn two_processes_that_set_up_one_pod_at_once_agree() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let (one, other) = (start(&host, CIDR).await, start(&host, CIDR).await);
        let sandbox = pod("w1", &web);
        let (first, second) = join(set_up(&one, &sandbox), set_up(&other, &sandbox)).await;
        assert_eq!(first, second);
        assert_eq!(ports().await.len(), 1);
    })
    .unwrap();
}

#[test]
fn a_restarted_plugin_finds_and_removes_pods() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let address = set_up(&start(&host, CIDR).await, &pod("w1", &web)).await;
        let restarted = start(&host, CIDR).await;
        let status = restarted.pod_network_status(&pod("w1", &web)).await.unwrap().unwrap();
        assert_eq!(status.ip(), address);
        restarted.tear_down_pod(&pod("w1", &web)).await.unwrap();
        assert_eq!(restarted.pod_network_status(&pod("w1", &web)).await.unwrap(), None);
        assert!(ports().await.is_empty() && reservations(&host).is_empty());
    })
    .unwrap();
}

#[test]
fn tear_down_twice_and_of_an_unknown_pod_succeeds() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        let sandbox = pod("w1", &web);
        kubenet.tear_down_pod(&sandbox).await.unwrap();
        set_up(&kubenet, &sandbox).await;
        kubenet.tear_down_pod(&sandbox).await.unwrap();
        kubenet.tear_down_pod(&sandbox).await.unwrap();
        assert!(ports().await.is_empty() && reservations(&host).is_empty());
    })
    .unwrap();
}

#[test]
fn tear_down_needs_neither_the_namespace_nor_a_pod_cidr() {
    let host = TestHost::new().unwrap();
    let (web, client) = (host.add_pod("web").unwrap(), host.add_pod("client").unwrap());
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        let gone = pod("w1", &web);
        set_up(&kubenet, &gone).await;
        set_up(&kubenet, &pod("c1", &client)).await;
        drop(web);
        kubenet.tear_down_pod(&gone).await.unwrap();

        let without_cidr =
            Kubenet::new(KubenetOptions::new(host.networks_dir(), host.runtime_dir()));
        without_cidr.init(&Settings::default()).await.unwrap();
        let without_netns = PodSandbox::new("default", "client", "c1").unwrap();
        without_cidr.tear_down_pod(&without_netns).await.unwrap();
        assert!(ports().await.is_empty() && reservations(&host).is_empty());
        assert!(client.link("eth0").await.unwrap().is_none());
    })
    .unwrap();
}

/// A veth pair by the pod's label as a set-up makes it, before its alias says that it is complete.
async fn half_attach(host: &TestHost, kubenet: &Kubenet, id: &str, sandbox: &Pod) {
    let other = host.add_pod("other").unwrap();
    set_up(kubenet, &pod("other", &other)).await;
    let label = Label::new(NETWORK.parse().unwrap(), id.parse().unwrap(), "eth0".parse().unwrap());
    let netlink = Netlink::open().unwrap();
    let bridge = netlink.require_link(BRIDGE).await.unwrap();
    let pair = VethPair {
        host_name: &label.unwrap().host_end(),
        host_mac: MacAddr::local([0, 0, 0, 0, 0, 1]),
        bridge: Some(bridge.index),
        peer_name: "eth0",
        peer_mac: MacAddr::local([0, 0, 0, 0, 0, 2]),
        peer_netns: sandbox.netns(),
        mtu: None,
    };
    netlink.create_veth(&pair).await.unwrap();
    kubenet.tear_down_pod(&pod("other", &other)).await.unwrap();
}

fn reserve(host: &TestHost, address: &str, id: &str) {
    let store = host.networks_dir().join(NETWORK);
    std::fs::create_dir_all(&store).unwrap();
    std::fs::write(store.join(address), format!("{id}\r\neth0")).unwrap();
}

#[test]
fn a_set_up_mends_what_one_that_was_killed_left() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        half_attach(&host, &kubenet, "w1", &web).await;
        reserve(&host, "10.9.0.77", "w1");
        let address = set_up(&kubenet, &pod("w1", &web)).await;
        assert_eq!(reservations(&host), BTreeSet::from([address.to_string()]));
        assert_eq!(ports().await.len(), 1);
        web.ping("10.9.0.1".parse().unwrap()).unwrap();
    })
    .unwrap();
}

#[test]
fn a_set_up_mends_a_reservation_without_an_interface() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        reserve(&host, "10.9.0.77", "w1");
        let address = set_up(&start(&host, CIDR).await, &pod("w1", &web)).await;
        assert_eq!(reservations(&host), BTreeSet::from([address.to_string()]));
    })
    .unwrap();
}

#[test]
fn a_failed_set_up_leaves_nothing_and_names_the_cause() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        Netlink::open_in(web.netns())
            .unwrap()
            .create_bridge("eth0", MacAddr::local([0; 6]))
            .await
            .unwrap();
        let error = kubenet.set_up_pod(&pod("w1", &web)).await.unwrap_err().to_string();
        assert!(error.contains("interface name eth0 is taken in"), "{error}");
        assert!(ports().await.is_empty() && reservations(&host).is_empty());
    })
    .unwrap();
}

#[test]
fn a_full_range_is_named_with_its_count() {
    let host = TestHost::new().unwrap();
    let (web, client) = (host.add_pod("web").unwrap(), host.add_pod("client").unwrap());
    host.run(async || {
        let kubenet = start(&host, "10.9.0.0/30").await;
        set_up(&kubenet, &pod("w1", &web)).await;
        let error = kubenet.set_up_pod(&pod("c1", &client)).await.unwrap_err().to_string();
        assert!(error.contains("10.9.0.1-10.9.0.2"), "{error}");
        assert!(error.contains("taken"), "{error}");
        assert_eq!(ports().await.len(), 1);
    })
    .unwrap();
}

#[test]
fn a_cbr0_that_is_no_bridge_is_refused() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let netlink = Netlink::open().unwrap();
        netlink.create_bridge("br0", MacAddr::local([0; 6])).await.unwrap();
        let bridge = netlink.require_link("br0").await.unwrap();
        let pair = VethPair {
            host_name: BRIDGE,
            host_mac: MacAddr::local([0, 0, 0, 0, 0, 1]),
            bridge: Some(bridge.index),
            peer_name: "other",
            peer_mac: MacAddr::local([0, 0, 0, 0, 0, 2]),
            peer_netns: web.netns(),
            mtu: None,
        };
        netlink.create_veth(&pair).await.unwrap();
        let kubenet = start(&host, CIDR).await;
        let error = kubenet.set_up_pod(&pod("w1", &web)).await.unwrap_err().to_string();
        assert!(error.contains("cbr0 exists and is a veth interface, not a bridge"), "{error}");
    })
    .unwrap();
}

#[test]
fn the_hosts_own_namespace_and_what_is_none_are_refused() {
    let host = TestHost::new().unwrap();
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        let cases = [
            ("/proc/thread-self/ns/net", "own network namespace"),
            ("/proc/self/ns/mnt", "it is not a network namespace"),
            ("/nowhere", "No such file or directory"),
        ];
        for (path, reason) in cases {
            let web = PodSandbox::new("default", "web", "w1").unwrap().with_netns(Path::new(path));
            let error = kubenet.set_up_pod(&web).await.unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("os error"), "{error}");
        }
        assert!(ports().await.is_empty() && reservations(&host).is_empty());
    })
    .unwrap();
}

#[test]
fn pods_of_two_families_reach_each_other_by_both() {
    let host = TestHost::new().unwrap();
    let (web, client) = (host.add_pod("web").unwrap(), host.add_pod("client").unwrap());
    host.run(async || {
        let kubenet = start(&host, "10.9.0.0/24,fd00:9::/64").await;
        let status = kubenet.set_up_pod(&pod("w1", &web)).await.unwrap().unwrap();
        let expected: [IpAddr; 2] = ["10.9.0.2".parse().unwrap(), "fd00:9::2".parse().unwrap()];
        assert_eq!(status.ips(), expected);
        set_up(&kubenet, &pod("c1", &client)).await;
        for ip in expected {
            client.ping(ip).unwrap();
        }
        client.ping("fd00:9::1".parse().unwrap()).unwrap();
    })
    .unwrap();
}

#[test]
fn ipv6_is_off_on_an_ipv4_pod_and_on_host_ends() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        set_up(&start(&host, CIDR).await, &pod("w1", &web)).await;
        let inside = Netlink::open_in(web.netns()).unwrap();
        let eth0 = inside.require_link("eth0").await.unwrap();
        let addresses = inside.addresses(&eth0).await.unwrap();
        assert!(addresses.iter().all(|address| address.network.is_ipv4()), "{addresses:?}");
        let outside = Netlink::open().unwrap();
        let host_end = outside.require_link(&ports().await[0]).await.unwrap();
        assert_eq!(outside.addresses(&host_end).await.unwrap(), []);
    })
    .unwrap();
}

#[test]
fn many_pods_at_once_get_different_addresses_and_leave_nothing() {
    let host = TestHost::new().unwrap();
    let sandboxes: Vec<_> = (0..40).map(|n| host.add_pod(&format!("p{n}")).unwrap()).collect();
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        let pods: Vec<_> = sandboxes.iter().map(|sandbox| pod(sandbox.name(), sandbox)).collect();
        for _ in 0..2 {
            let addresses = join_all(pods.iter().map(|pod| set_up(&kubenet, pod))).await;
            let different: BTreeSet<_> = addresses.iter().collect();
            assert_eq!(different.len(), pods.len());
            let torn_down = join_all(pods.iter().map(|pod| kubenet.tear_down_pod(pod))).await;
            torn_down.into_iter().collect::<Result<(), _>>().unwrap();
            assert!(ports().await.is_empty() && reservations(&host).is_empty());
        }
    })
    .unwrap();
}

#[test]
fn the_bridges_mac_address_stays_while_ports_come_and_go() {
    let host = TestHost::new().unwrap();
    let sandboxes: Vec<_> = (0..4).map(|n| host.add_pod(&format!("p{n}")).unwrap()).collect();
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        let mut macs = BTreeSet::new();
        for sandbox in &sandboxes {
            set_up(&kubenet, &pod(sandbox.name(), sandbox)).await;
            let bridge = Netlink::open().unwrap().require_link(BRIDGE).await.unwrap();
            macs.insert(bridge.mac.unwrap().to_string());
        }
        for sandbox in &sandboxes {
            kubenet.tear_down_pod(&pod(sandbox.name(), sandbox)).await.unwrap();
            let bridge = Netlink::open().unwrap().require_link(BRIDGE).await.unwrap();
            macs.insert(bridge.mac.unwrap().to_string());
        }
        assert_eq!(macs.len(), 1, "{macs:?}");
    })
    .unwrap();
}

#[test]
fn an_address_of_an_earlier_pod_cidr_is_taken_from_cbr0() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let kubenet = start(&host, "10.8.0.0/24").await;
        set_up(&kubenet, &pod("w1", &web)).await;
        kubenet.tear_down_pod(&pod("w1", &web)).await.unwrap();
        let restarted = start(&host, CIDR).await;
        assert_eq!(set_up(&restarted, &pod("w1", &web)).await.to_string(), "10.9.0.2");
        web.ping("10.9.0.1".parse().unwrap()).unwrap();
    })
    .unwrap();
}

#[test]
fn a_cbr0_that_vanished_is_made_again_for_the_next_pod() {
    let host = TestHost::new().unwrap();
    let (web, client) = (host.add_pod("web").unwrap(), host.add_pod("client").unwrap());
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        set_up(&kubenet, &pod("w1", &web)).await;
        let netlink = Netlink::open().unwrap();
        let bridge = netlink.require_link(BRIDGE).await.unwrap();
        LinkDeleter::new(netlink, None).delete(&bridge).await.unwrap();
        set_up(&kubenet, &pod("c1", &client)).await;
        client.ping("10.9.0.1".parse().unwrap()).unwrap();
        kubenet.tear_down_pod(&pod("w1", &web)).await.unwrap();
    })
    .unwrap();
}

#[test]
fn asking_for_a_status_changes_nothing() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        set_up(&start(&host, CIDR).await, &pod("w1", &web)).await;
        let mistaken = start(&host, "10.8.0.0/24").await;
        mistaken.status().await.unwrap();
        mistaken.pod_network_status(&pod("w1", &web)).await.unwrap();
        web.ping("10.9.0.1".parse().unwrap()).unwrap();
    })
    .unwrap();
}

#[test]
fn a_pod_whose_deletion_was_cut_short_is_attached_anew() {
    let host = TestHost::new().unwrap();
    let (web, other) = (host.add_pod("web").unwrap(), host.add_pod("other").unwrap());
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        set_up(&kubenet, &pod("w1", &web)).await;
        set_up(&kubenet, &pod("o1", &other)).await;
        // A tear-down that ends after its first step: the link is marked, and nothing more.
        let label =
            Label::new(NETWORK.parse().unwrap(), "w1".parse().unwrap(), "eth0".parse().unwrap());
        condemn(&label.unwrap().host_end());
        set_up(&kubenet, &pod("w1", &web)).await;
        kubenet.tear_down_pod(&pod("o1", &other)).await.unwrap();
        web.ping("10.9.0.1".parse().unwrap()).unwrap();
        assert_eq!((ports().await.len(), reservations(&host).len()), (1, 1));
    })
    .unwrap();
}

/// Puts a link into the group of the condemned, as the first half of a deletion does.
fn condemn(link: &str) {
    let group = 0x706f_646e.to_string();
    let status =
        std::process::Command::new("ip").args(["link", "set", link, "group", &group]).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_pod_in_a_namespace_whose_path_was_used_before_is_left_alone() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let kubenet = start(&host, CIDR).await;
        let address = set_up(&kubenet, &pod("new", &web)).await;
        kubenet.tear_down_pod(&pod("old", &web)).await.unwrap();
        assert_eq!(kubenet.pod_network_status(&pod("old", &web)).await.unwrap(), None);
        let status = kubenet.pod_network_status(&pod("new", &web)).await.unwrap().unwrap();
        assert_eq!(status.ip(), address);
        web.ping("127.0.0.1".parse().unwrap()).unwrap();
        web.ping("10.9.0.1".parse().unwrap()).unwrap();
    })
    .unwrap();
}

#[test]
fn an_ipv6_node_works_without_ipv4() {
    let host = TestHost::new().unwrap();
    let (web, client) = (host.add_pod("web").unwrap(), host.add_pod("client").unwrap());
    host.run(async || {
        let kubenet = start(&host, "fd00:9::/64").await;
        let address = set_up(&kubenet, &pod("w1", &web)).await;
        set_up(&kubenet, &pod("c1", &client)).await;
        client.ping(address).unwrap();
        kubenet.tear_down_pod(&pod("w1", &web)).await.unwrap();
        kubenet.tear_down_pod(&pod("c1", &client)).await.unwrap();
        assert!(ports().await.is_empty() && reservations(&host).is_empty());
    })
    .unwrap();
}
