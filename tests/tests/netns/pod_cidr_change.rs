//! The node's subnet changes while pods run: their connections go on, new pods get the new subnet, and the old gateway
//! leaves cbr0 with the last old pod.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use futures_util::future::{join, join_all};
use podnet_kubenet::{BRIDGE, Kubenet, KubenetOptions, NETWORK};
use podnet_netutil::{Netlink, Netns};
use podnet_plugin_api::{Event, NetworkPlugin as _, PodSandbox, Settings};
use podnet_testkit::{Pod, TestHost};
use podnet_tests::Cni;
use podnet_tests::programs::peer;
use serde_json::json;

const OLD: &str = "10.8.0.0/24";
const NEW: &str = "10.9.0.0/24";

async fn start(host: &TestHost, cidrs: &str) -> Kubenet {
    let kubenet = Kubenet::new(KubenetOptions::new(host.networks_dir(), host.runtime_dir()));
    kubenet.init(&Settings::default()).await.unwrap();
    change(&kubenet, cidrs).await;
    kubenet
}

async fn change(kubenet: &Kubenet, cidrs: &str) {
    kubenet.event(Event::PodCidrChange { cidrs: cidrs.parse().unwrap() }).await.unwrap();
}

fn sandboxes(host: &TestHost, prefix: &str, count: usize) -> Vec<Pod> {
    (0..count).map(|number| host.add_pod(&format!("{prefix}{number}")).unwrap()).collect()
}

fn pod(sandbox: &Pod) -> PodSandbox {
    let pod = PodSandbox::new("default", sandbox.name(), sandbox.name()).unwrap();
    pod.with_netns(sandbox.path())
}

async fn set_up(kubenet: &Kubenet, sandbox: &Pod) -> IpAddr {
    kubenet.set_up_pod(&pod(sandbox)).await.unwrap().unwrap().ip()
}

async fn tear_down(kubenet: &Kubenet, sandbox: &Pod) {
    kubenet.tear_down_pod(&pod(sandbox)).await.unwrap();
}

/// The addresses of cbr0 that are valid beyond it.
async fn gateways() -> BTreeSet<String> {
    let netlink = Netlink::open().unwrap();
    let bridge = netlink.require_link(BRIDGE).await.unwrap();
    let addresses = netlink.addresses(&bridge).await.unwrap();
    let global = addresses.iter().filter(|address| address.global);
    global.map(|address| address.network.to_string()).collect()
}

fn set<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
    texts.map(str::to_owned).into()
}

/// Both ends of a TCP connection.
struct Connection {
    client: TcpStream,
    server: TcpStream,
}

impl Connection {
    fn open(client: &Netns, server: &Netns, address: &str) -> Self {
        let address: IpAddr = address.parse().unwrap();
        let listener = server.run(|| TcpListener::bind((address, 0))).unwrap().unwrap();
        let target: SocketAddr = listener.local_addr().unwrap();
        let wait = Duration::from_secs(10);
        let client = client.run(|| TcpStream::connect_timeout(&target, wait)).unwrap().unwrap();
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            end.set_read_timeout(Some(wait)).unwrap();
        }
        Self { client, server }
    }

    /// Sends something each way.
    fn use_it(&self) {
        for (mut from, mut to) in [(&self.client, &self.server), (&self.server, &self.client)] {
            let mut received = [0; 4];
            from.write_all(b"ping").unwrap();
            to.read_exact(&mut received).unwrap();
            assert_eq!(&received, b"ping");
        }
    }
}

#[test]
fn connections_of_twenty_pods_go_on_and_the_old_gateway_leaves_with_the_last_of_them() {
    let host = TestHost::new().unwrap();
    let (old, new) = (sandboxes(&host, "old", 20), sandboxes(&host, "new", 3));
    host.run(async || {
        let kubenet = start(&host, OLD).await;
        let mut ips = Vec::new();
        for sandbox in &old {
            ips.push(set_up(&kubenet, sandbox).await.to_string());
        }
        let open = |pod: &Pod| Connection::open(pod.netns(), host.netns(), "10.8.0.1");
        let to_host: Vec<_> = old.iter().map(open).collect();
        let open =
            |pod: usize| Connection::open(old[pod].netns(), old[pod + 1].netns(), &ips[pod + 1]);
        let to_next: Vec<_> = (0..19).map(open).collect();

        change(&kubenet, NEW).await;
        for (number, sandbox) in new.iter().enumerate() {
            let expected = format!("10.9.0.{}", number + 2);
            assert_eq!(set_up(&kubenet, sandbox).await.to_string(), expected);
        }
        assert_eq!(set_up(&kubenet, &old[0]).await.to_string(), ips[0], "it keeps its address");
        let of_new = [
            Connection::open(new[0].netns(), host.netns(), "10.9.0.1"),
            Connection::open(new[0].netns(), new[1].netns(), "10.9.0.3"),
        ];
        let across = Connection::open(new[0].netns(), old[19].netns(), &ips[19]);

        for (number, sandbox) in old.iter().enumerate() {
            assert_eq!(gateways().await, set(["10.8.0.1/24", "10.9.0.1/24"]));
            to_host.iter().skip(number).for_each(Connection::use_it);
            to_next.iter().skip(number).for_each(Connection::use_it);
            across.use_it();
            tear_down(&kubenet, sandbox).await;
        }
        assert_eq!(gateways().await, set(["10.9.0.1/24"]));
        of_new.iter().for_each(Connection::use_it);
    })
    .unwrap();
}

#[test]
fn the_old_gateway_leaves_before_there_is_a_new_pod() {
    let host = TestHost::new().unwrap();
    let pods = sandboxes(&host, "p", 2);
    host.run(async || {
        let kubenet = start(&host, OLD).await;
        set_up(&kubenet, &pods[0]).await;
        change(&kubenet, NEW).await;
        tear_down(&kubenet, &pods[0]).await;
        assert_eq!(gateways().await, set([]));
        assert_eq!(set_up(&kubenet, &pods[1]).await.to_string(), "10.9.0.2");
        pods[1].ping("10.9.0.1".parse().unwrap()).unwrap();
    })
    .unwrap();
}

#[test]
fn a_restart_in_between_makes_no_difference() {
    let host = TestHost::new().unwrap();
    let (old, new) = (sandboxes(&host, "old", 3), sandboxes(&host, "new", 2));
    host.run(async || {
        let before = start(&host, OLD).await;
        for sandbox in &old {
            set_up(&before, sandbox).await;
        }
        let connection = Connection::open(old[2].netns(), host.netns(), "10.8.0.1");
        let restarted = start(&host, NEW).await;
        tear_down(&restarted, &old[0]).await;
        assert_eq!(gateways().await, set(["10.8.0.1/24"]), "the new one comes with its first pod");
        assert_eq!(set_up(&restarted, &new[0]).await.to_string(), "10.9.0.2");
        let again = start(&host, NEW).await;
        tear_down(&again, &old[1]).await;
        assert_eq!(set_up(&again, &new[1]).await.to_string(), "10.9.0.3");
        connection.use_it();
        assert_eq!(gateways().await, set(["10.8.0.1/24", "10.9.0.1/24"]));
        tear_down(&again, &old[2]).await;
        assert_eq!(gateways().await, set(["10.9.0.1/24"]));
        new[1].ping("10.9.0.1".parse().unwrap()).unwrap();
    })
    .unwrap();
}

/// A process that knows no pod CIDR cannot tell which gateway is the old one; the next set-up can.
#[test]
fn a_tear_down_without_a_pod_cidr_leaves_the_gateway_to_the_next_set_up() {
    let host = TestHost::new().unwrap();
    let (old, new) = (sandboxes(&host, "old", 1), sandboxes(&host, "new", 2));
    host.run(async || {
        let kubenet = start(&host, OLD).await;
        set_up(&kubenet, &old[0]).await;
        change(&kubenet, NEW).await;
        set_up(&kubenet, &new[0]).await;
        let other = Kubenet::new(KubenetOptions::new(host.networks_dir(), host.runtime_dir()));
        other.init(&Settings::default()).await.unwrap();
        tear_down(&other, &old[0]).await;
        assert_eq!(gateways().await, set(["10.8.0.1/24", "10.9.0.1/24"]));
        set_up(&kubenet, &new[1]).await;
        assert_eq!(gateways().await, set(["10.9.0.1/24"]));
    })
    .unwrap();
}

#[test]
fn both_families_change() {
    let host = TestHost::new().unwrap();
    let (old, new) = (sandboxes(&host, "old", 1), sandboxes(&host, "new", 1));
    host.run(async || {
        let kubenet = start(&host, "10.8.0.0/24").await;
        set_up(&kubenet, &old[0]).await;
        change(&kubenet, "fd00:8::/64,10.8.0.0/24").await;
        tear_down(&kubenet, &old[0]).await;
        set_up(&kubenet, &old[0]).await;
        change(&kubenet, "10.9.0.0/24,fd00:9::/64").await;
        set_up(&kubenet, &new[0]).await;
        let all = set(["10.8.0.1/24", "10.9.0.1/24", "fd00:8::1/64", "fd00:9::1/64"]);
        assert_eq!(gateways().await, all);
        let connections = [
            Connection::open(new[0].netns(), old[0].netns(), "10.8.0.2"),
            Connection::open(old[0].netns(), new[0].netns(), "fd00:9::2"),
            Connection::open(old[0].netns(), host.netns(), "fd00:8::1"),
            Connection::open(new[0].netns(), host.netns(), "fd00:9::1"),
        ];
        connections.iter().for_each(Connection::use_it);
        tear_down(&kubenet, &old[0]).await;
        assert_eq!(gateways().await, set(["10.9.0.1/24", "fd00:9::1/64"]));
        connections[3].use_it();
    })
    .unwrap();
}

#[test]
fn set_ups_under_way_during_the_change_succeed_by_one_of_the_two() {
    let host = TestHost::new().unwrap();
    let pods = sandboxes(&host, "p", 30);
    host.run(async || {
        let kubenet = start(&host, OLD).await;
        let by_old = join_all(pods[..15].iter().map(|pod| set_up(&kubenet, pod)));
        let changed_by_new = async {
            change(&kubenet, NEW).await;
            join_all(pods[15..].iter().map(|pod| set_up(&kubenet, pod))).await
        };
        let (old_ips, new_ips) = join(by_old, changed_by_new).await;
        let of = |prefix: &str, ip: &IpAddr| ip.to_string().starts_with(prefix);
        assert!(new_ips.iter().all(|ip| of("10.9.0.", ip)), "{new_ips:?}");
        for (pod, ip) in pods.iter().zip(old_ips.iter().chain(&new_ips)) {
            let gateway = if of("10.8.0.", ip) { "10.8.0.1" } else { "10.9.0.1" };
            pod.ping(gateway.parse().unwrap()).unwrap();
        }
        join_all(pods[..15].iter().map(|pod| tear_down(&kubenet, pod))).await;
        assert_eq!(gateways().await, set(["10.9.0.1/24"]));
        pods[20].ping(new_ips[0]).unwrap();
    })
    .unwrap();
}

#[test]
fn a_subnet_that_overlaps_one_in_use_is_refused_until_its_pods_are_gone() {
    let host = TestHost::new().unwrap();
    let pods = sandboxes(&host, "p", 2);
    host.run(async || {
        let kubenet = start(&host, "10.9.1.0/24").await;
        set_up(&kubenet, &pods[0]).await;
        let connection = Connection::open(pods[0].netns(), host.netns(), "10.9.1.1");
        change(&kubenet, "10.9.0.0/16").await;
        let error = kubenet.set_up_pod(&pod(&pods[1])).await.unwrap_err().to_string();
        assert!(error.contains("pod CIDR 10.9.0.0/16 overlaps 10.9.1.0/24"), "{error}");
        assert!(error.contains(&*host.networks_dir().join(NETWORK).to_string_lossy()), "{error}");
        connection.use_it();
        tear_down(&kubenet, &pods[0]).await;
        set_up(&kubenet, &pods[1]).await;
        assert_eq!(gateways().await, set(["10.9.0.1/16"]));
    })
    .unwrap();
}

#[test]
fn an_address_that_is_no_gateway_is_taken_from_cbr0() {
    let host = TestHost::new().unwrap();
    let pods = sandboxes(&host, "p", 2);
    host.run(async || {
        let kubenet = start(&host, NEW).await;
        set_up(&kubenet, &pods[0]).await;
        let netlink = Netlink::open().unwrap();
        let bridge = netlink.require_link(BRIDGE).await.unwrap();
        for foreign in ["10.9.0.254/24", "192.0.2.7/24"] {
            netlink.add_address(&bridge, foreign.parse().unwrap()).await.unwrap();
        }
        set_up(&kubenet, &pods[1]).await;
        assert_eq!(gateways().await, set(["10.9.0.1/24"]));
    })
    .unwrap();
}

/// Why kubenet has the plugin leave cbr0's addresses alone during a change, and that the Go one can live with it.
#[test]
fn the_go_bridge_plugin_attaches_a_pod_during_a_change_if_it_leaves_the_addresses_alone() {
    let name =
        "the_go_bridge_plugin_attaches_a_pod_during_a_change_if_it_leaves_the_addresses_alone";
    let Some(program) = peer("bridge", name) else { return };
    let host = TestHost::new().unwrap();
    let pods = sandboxes(&host, "p", 3);
    let path = program.parent().unwrap().to_owned();
    let ipam = json!({
        "type": "host-local", "dataDir": host.networks_dir(), "routes": [{ "dst": "0.0.0.0/0" }],
        "subnet": NEW, "gateway": "10.9.0.1",
    });
    let go = |is_gateway: bool| Cni {
        host: &host,
        program: program.clone(),
        arguments: Vec::new(),
        path: path.clone(),
        config: json!({
            "cniVersion": "0.2.0", "name": NETWORK, "type": "bridge", "bridge": BRIDGE, "mtu": 1500,
            "isGateway": is_gateway, "ipMasq": false, "hairpinMode": true, "ipam": ipam,
        }),
    };
    host.run(async || {
        let kubenet = start(&host, OLD).await;
        set_up(&kubenet, &pods[0]).await;
        change(&kubenet, NEW).await;
        set_up(&kubenet, &pods[1]).await;
        let (_, refused) = go(true).call("ADD", "go", pods[2].path()).error();
        assert!(
            refused.contains("already has an IP address different from 10.9.0.1/24"),
            "{refused}"
        );
        let again = host.add_pod("again").unwrap();
        go(false).call("ADD", "go2", again.path()).ok();
        again.ping("10.9.0.1".parse().unwrap()).unwrap();
        assert_eq!(gateways().await, set(["10.8.0.1/24", "10.9.0.1/24"]));
    })
    .unwrap();
}

#[test]
fn a_subnet_that_the_cluster_assigns_is_carried_to_the_plugin_once() {
    let host = TestHost::new().unwrap();
    let (web, client) = (host.add_pod("web").unwrap(), host.add_pod("client").unwrap());
    let mut options = podnet::NodeOptions::default();
    options.network_plugin = Some("kubenet".to_owned());
    options.pod_cidr = Some("10.8.0.0/24".parse().unwrap());
    options.state_dir = Some(host.folder().to_owned());
    host.run(async || {
        let plugin = podnet::start(&options, podnet::Subnet::Required).await.unwrap();
        let reconciler = podnet::PodCidrReconciler::new(&options, plugin.clone());
        assert!(!reconciler.assigned("10.8.0.0/24".parse().unwrap()).await.unwrap());
        let before = PodSandbox::new("default", "web", "w1").unwrap().with_netns(web.path());
        let ip = plugin.set_up_pod(&before).await.unwrap().unwrap().ip();
        assert_eq!(ip.to_string(), "10.8.0.2");

        assert!(reconciler.assigned("10.9.0.0/24".parse().unwrap()).await.unwrap());
        assert!(!reconciler.assigned("10.9.0.0/24".parse().unwrap()).await.unwrap());
        let after = PodSandbox::new("default", "client", "c1").unwrap().with_netns(client.path());
        let ip = plugin.set_up_pod(&after).await.unwrap().unwrap().ip();
        assert_eq!(ip.to_string(), "10.9.0.2");
        client.ping("10.8.0.2".parse().unwrap()).unwrap();
    })
    .unwrap();
}
