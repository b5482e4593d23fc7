//! The cni flavour as `--network-plugin=cni` starts it, with the plugins in process and with the Go programs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use podnet::{NetworkPlugin, NodeOptions, PluginChoice, Subnet};
use podnet_netutil::Netlink;
use podnet_plugin_api::{NotReadyReason, PodSandbox, PortMapping, Protocol};
use podnet_testkit::{Pod, TestHost, probe};
use podnet_tests::programs::peer;
use serde_json::{Value, json};

/// The bridge of the network `pods`.
const BRIDGE: &str = "cni-pods";

/// Who runs the plugins, and where programs are.
#[derive(Debug, Clone)]
struct Way {
    choice: PluginChoice,
    folder: PathBuf,
}

impl Way {
    fn builtin() -> Self {
        Self { choice: PluginChoice::Builtin, folder: "/nowhere".into() }
    }

    /// In process, and with the Go programs where they are.
    fn all(test: &str) -> Vec<Self> {
        let go = |folder| Self { choice: PluginChoice::Installed, folder };
        std::iter::once(Self::builtin()).chain(go_folder(test).map(go)).collect()
    }
}

fn go_folder(test: &str) -> Option<PathBuf> {
    Some(peer("bridge", test)?.parent().unwrap().to_owned())
}

/// A node with a network configuration and everything of its own.
struct Node {
    host: TestHost,
    options: NodeOptions,
}

impl Node {
    fn new(way: &Way) -> Self {
        let host = TestHost::new().unwrap();
        let mut options = NodeOptions::default();
        options.network_plugin = Some("cni".to_owned());
        options.cni_conf_dir = host.folder().join("net.d");
        options.cni_bin_dir = way.folder.to_str().unwrap().parse().unwrap();
        options.cni_plugins = way.choice;
        options.state_dir = Some(host.folder().to_owned());
        std::fs::create_dir(&options.cni_conf_dir).unwrap();
        Self { host, options }
    }

    fn with_network(way: &Way, others: &[Value]) -> Self {
        let node = Self::new(way);
        node.configure("pods", "10.1.0.0/24", others);
        node
    }

    /// A network of a bridge with host-local, and other plugins behind it.
    fn configure(&self, name: &str, subnet: &str, others: &[Value]) {
        let ipam = json!({
            "type": "host-local", "dataDir": self.host.networks_dir(), "ranges": [[{ "subnet": subnet }]],
            "routes": [{ "dst": "0.0.0.0/0" }],
        });
        let bridge = format!("cni-{name}");
        let bridge = json!({ "type": "bridge", "bridge": bridge, "isGateway": true, "ipam": ipam });
        self.write(name, &[&[bridge], others].concat());
    }

    fn write(&self, name: &str, plugins: &[Value]) {
        let list = json!({ "cniVersion": "1.0.0", "name": name, "plugins": plugins });
        let file = self.options.cni_conf_dir.join("10-pods.conflist");
        std::fs::write(file, list.to_string()).unwrap();
    }

    fn forget_configuration(&self) {
        std::fs::remove_dir_all(&self.options.cni_conf_dir).unwrap();
    }

    /// As a process that has just started.
    async fn start(&self) -> Arc<dyn NetworkPlugin> {
        podnet::start(&self.options, Subnet::Optional).await.unwrap()
    }

    fn run<F: Future<Output = ()>>(&self, work: impl FnOnce() -> F + Send) {
        self.host.run(work).unwrap();
    }

    /// What is left of pods: cached results, locks, reserved addresses.
    fn remains(&self) -> BTreeSet<String> {
        let folders = ["results", "run", "networks/pods", "networks/other"];
        let all = folders.iter().flat_map(|folder| files(&self.host.folder().join(folder)));
        let kept = |name: &String| {
            name.parse::<IpAddr>().is_ok() || name.starts_with("cni-") || name.contains("-eth0")
        };
        all.filter(kept).collect()
    }
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn sandbox(id: &str, pod: &Pod) -> PodSandbox {
    PodSandbox::new("default", pod.name(), id).unwrap().with_netns(pod.path())
}

async fn set_up(plugin: &Arc<dyn NetworkPlugin>, pod: &PodSandbox) -> IpAddr {
    plugin.set_up_pod(pod).await.unwrap().unwrap().ip()
}

async fn ports() -> usize {
    let netlink = Netlink::open().unwrap();
    let Some(bridge) = netlink.link_by_name(BRIDGE).await.unwrap() else { return 0 };
    netlink.bridge_ports(bridge.index).await.unwrap().len()
}

#[test]
fn cni_pods_are_attached_reach_each_other_and_leave_nothing() {
    for way in Way::all("cni_pods_are_attached_reach_each_other_and_leave_nothing") {
        let node = Node::with_network(&way, &[]);
        let (web, client) =
            (node.host.add_pod("web").unwrap(), node.host.add_pod("client").unwrap());
        node.run(async || {
            let plugin = node.start().await;
            plugin.status().await.unwrap();
            let (web_pod, client_pod) = (sandbox("w1", &web), sandbox("c1", &client));
            let address = set_up(&plugin, &web_pod).await;
            set_up(&plugin, &client_pod).await;
            assert_eq!(address, "10.1.0.2".parse::<IpAddr>().unwrap(), "{way:?}");
            client.ping(address).unwrap();
            client.ping("127.0.0.1".parse().unwrap()).unwrap();
            let status = plugin.pod_network_status(&web_pod).await.unwrap().unwrap();
            assert_eq!(status.ips(), [address]);

            for _ in 0..2 {
                plugin.tear_down_pod(&web_pod).await.unwrap();
                plugin.tear_down_pod(&client_pod).await.unwrap();
            }
            assert_eq!(plugin.pod_network_status(&web_pod).await.unwrap(), None);
            assert_eq!(ports().await, 0, "{way:?}");
        });
        assert_eq!(node.remains(), BTreeSet::new(), "{way:?}");
    }
}

#[test]
fn cni_a_pod_keeps_its_address_after_a_restart_and_with_another_network() {
    for way in Way::all("cni_a_pod_keeps_its_address_after_a_restart_and_with_another_network") {
        let node = Node::with_network(&way, &[]);
        let web = node.host.add_pod("web").unwrap();
        node.run(async || {
            let pod = sandbox("w1", &web);
            let first = set_up(&node.start().await, &pod).await;
            node.configure("other", "10.2.0.0/24", &[]);
            let restarted = node.start().await;
            assert_eq!(set_up(&restarted, &pod).await, first, "{way:?}");
            restarted.tear_down_pod(&pod).await.unwrap();
            assert_eq!(node.remains(), BTreeSet::new(), "{way:?}");
            assert_eq!(set_up(&restarted, &pod).await, "10.2.0.2".parse::<IpAddr>().unwrap());
        });
    }
}

#[test]
fn cni_tear_down_needs_neither_the_configuration_nor_the_namespace() {
    for way in Way::all("cni_tear_down_needs_neither_the_configuration_nor_the_namespace") {
        let node = Node::with_network(&way, &[]);
        let (web, gone) = (node.host.add_pod("web").unwrap(), node.host.add_pod("gone").unwrap());
        node.run(async || {
            let plugin = node.start().await;
            let gone_pod = sandbox("g1", &gone);
            set_up(&plugin, &sandbox("w1", &web)).await;
            set_up(&plugin, &gone_pod).await;
            drop(gone);
            node.forget_configuration();

            let restarted = node.start().await;
            let not_ready = restarted.status().await.unwrap_err();
            assert_eq!(not_ready.reason, NotReadyReason::NoNetworkConfig);
            let without_its_path = PodSandbox::new("default", "web", "w1").unwrap();
            restarted.tear_down_pod(&without_its_path).await.unwrap();
            restarted.tear_down_pod(&gone_pod).await.unwrap();
            let unknown = PodSandbox::new("default", "unknown", "u1").unwrap();
            restarted.tear_down_pod(&unknown).await.unwrap();
            assert!(web.link("eth0").await.unwrap().is_none());
            // The Go program leaves the pair of a namespace that has gone to the kernel, which takes its time.
            assert!(way.choice != PluginChoice::Builtin || ports().await == 0);
        });
        assert_eq!(node.remains(), BTreeSet::new(), "{way:?}");
    }
}

#[test]
fn cni_addresses_of_two_families_come_from_the_pod_cidr() {
    for way in Way::all("cni_addresses_of_two_families_come_from_the_pod_cidr") {
        let mut node = Node::new(&way);
        node.write(
            "pods",
            &[json!({
                "type": "bridge", "bridge": BRIDGE, "isGateway": true, "capabilities": { "ipRanges": true },
                "ipam": { "type": "host-local", "dataDir": node.host.networks_dir() },
            })],
        );
        let web = node.host.add_pod("web").unwrap();
        node.run(async || {
            let plugin = node.start().await;
            assert_eq!(plugin.status().await.unwrap_err().reason, NotReadyReason::NoPodCidr);
            let error = plugin.set_up_pod(&sandbox("w1", &web)).await.unwrap_err().to_string();
            assert!(error.contains("network pods needs ipRanges"), "{error}");
        });
        node.options.pod_cidr = Some("10.9.0.0/24,fd00:9::/64".parse().unwrap());
        node.run(async || {
            let plugin = node.start().await;
            plugin.status().await.unwrap();
            let status = plugin.set_up_pod(&sandbox("w1", &web)).await.unwrap().unwrap();
            let expected: [IpAddr; 2] = ["10.9.0.2".parse().unwrap(), "fd00:9::2".parse().unwrap()];
            assert_eq!(status.ips(), expected, "{way:?}");
            web.ping("fd00:9::1".parse().unwrap()).unwrap();
            plugin.tear_down_pod(&sandbox("w1", &web)).await.unwrap();
        });
        assert_eq!(node.remains(), BTreeSet::new(), "{way:?}");
    }
}

#[test]
fn cni_a_failed_set_up_leaves_nothing_and_names_the_cause() {
    for way in Way::all("cni_a_failed_set_up_leaves_nothing_and_names_the_cause") {
        let node = Node::with_network(&way, &[]);
        node.configure("pods", "10.1.0.0/30", &[]);
        let (web, client) =
            (node.host.add_pod("web").unwrap(), node.host.add_pod("client").unwrap());
        node.run(async || {
            let plugin = node.start().await;
            set_up(&plugin, &sandbox("w1", &web)).await;
            let before = node.remains();
            let error = plugin.set_up_pod(&sandbox("c1", &client)).await.unwrap_err().to_string();
            let beginning =
                "cannot set up pod default/client: network pods (plugin 1 of 1): plugin bridge: ADD of container c1: ";
            assert!(error.starts_with(beginning), "{error}");
            assert!(error.contains("10.1.0.1-10.1.0.2") || error.contains("no IP addresses available"), "{error}");
            assert_eq!((node.remains(), ports().await), (before, 1), "{way:?}");
            assert!(client.link("eth0").await.unwrap().is_none());
            assert!(!client.link("lo").await.unwrap().unwrap().up, "lo is undone, too");
        });
    }
}

#[test]
fn cni_two_processes_that_set_up_one_pod_at_once_agree() {
    let node = Node::with_network(&Way::builtin(), &[]);
    let web = node.host.add_pod("web").unwrap();
    node.run(async || {
        let (one, other) = (node.start().await, node.start().await);
        let pod = sandbox("w1", &web);
        let (first, second) = join(set_up(&one, &pod), set_up(&other, &pod)).await;
        assert_eq!(first, second);
        assert_eq!(ports().await, 1);
    });
}

#[test]
fn cni_many_pods_at_once_get_different_addresses_and_leave_nothing() {
    for way in Way::all("cni_many_pods_at_once_get_different_addresses_and_leave_nothing") {
        let node = Node::with_network(&way, &[]);
        let pods: Vec<_> = (0..12).map(|n| node.host.add_pod(&format!("p{n}")).unwrap()).collect();
        node.run(async || {
            let plugin = node.start().await;
            let sandboxes: Vec<_> = pods.iter().map(|pod| sandbox(pod.name(), pod)).collect();
            let addresses = join_all(sandboxes.iter().map(|pod| set_up(&plugin, pod))).await;
            assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), pods.len(), "{way:?}");
            let torn_down = join_all(sandboxes.iter().map(|pod| plugin.tear_down_pod(pod))).await;
            torn_down.into_iter().collect::<Result<(), _>>().unwrap();
            assert_eq!(ports().await, 0, "{way:?}");
        });
        assert_eq!(node.remains(), BTreeSet::new(), "{way:?}");
    }
}

/// A folder with some of the Go programs.
fn folder_with(programs: &[&str], from: &Path, node: &TestHost) -> PathBuf {
    let folder = node.folder().join("bin");
    std::fs::create_dir(&folder).unwrap();
    for program in programs {
        std::os::unix::fs::symlink(from.join(program), folder.join(program)).unwrap();
    }
    folder
}

#[test]
fn cni_a_loopback_that_is_not_installed_is_built_in_unless_programs_are_asked_for() {
    let test = "cni_a_loopback_that_is_not_installed_is_built_in_unless_programs_are_asked_for";
    let Some(go) = go_folder(test) else { return };
    let mut node = Node::with_network(&Way { choice: PluginChoice::Auto, folder: go.clone() }, &[]);
    let folder = folder_with(&["bridge", "host-local"], &go, &node.host);
    node.options.cni_bin_dir = folder.to_str().unwrap().parse().unwrap();
    let web = node.host.add_pod("web").unwrap();
    node.run(async || {
        let plugin = node.start().await;
        plugin.status().await.unwrap();
        set_up(&plugin, &sandbox("w1", &web)).await;
        web.ping("127.0.0.1".parse().unwrap()).unwrap();
        plugin.tear_down_pod(&sandbox("w1", &web)).await.unwrap();
    });
    assert_eq!(node.remains(), BTreeSet::new());

    node.options.cni_plugins = PluginChoice::Installed;
    node.run(async || {
        let not_ready = node.start().await.status().await.unwrap_err();
        assert_eq!(not_ready.reason, NotReadyReason::PluginsMissing);
        let message = format!("plugin loopback: no such program in {}", folder.display());
        assert!(not_ready.message.starts_with(&message), "{not_ready}");
    });
}

#[test]
fn cni_host_ports_reach_a_program_behind_the_built_in_bridge() {
    let test = "cni_host_ports_reach_a_program_behind_the_built_in_bridge";
    let Some(go) = peer("portmap", test) else { return };
    let way = Way { choice: PluginChoice::Builtin, folder: go.parent().unwrap().to_owned() };
    let portmap = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
    let node = Node::with_network(&way, &[portmap]);
    let _world = node.host.add_uplink(1500, "192.0.2.10/24".parse().unwrap()).unwrap();
    let web = node.host.add_pod("web").unwrap();
    node.run(async || {
        let plugin = node.start().await;
        let mut pod = sandbox("w1", &web);
        pod.port_mappings.push(PortMapping {
            host_ip: None,
            host_port: 8080.try_into().unwrap(),
            container_port: 80.try_into().unwrap(),
            protocol: Protocol::Tcp,
        });
        let address = set_up(&plugin, &pod).await;
        let _page = web.serve((address, 80).into(), "hello").unwrap();
        let host_port = ("192.0.2.10".parse::<IpAddr>().unwrap(), 8080).into();
        assert_eq!(probe::fetch(host_port).unwrap(), "hello");
        plugin.tear_down_pod(&pod).await.unwrap();
        assert!(probe::fetch(host_port).is_err());
    });
    assert_eq!(node.remains(), BTreeSet::new());
}

#[test]
fn cni_limits_reach_a_program_that_declares_them() {
    let test = "cni_limits_reach_a_program_that_declares_them";
    let Some(go) = peer("bandwidth", test) else { return };
    let way = Way { choice: PluginChoice::Auto, folder: go.parent().unwrap().to_owned() };
    let bandwidth = json!({ "type": "bandwidth", "capabilities": { "bandwidth": true } });
    let node = Node::with_network(&way, &[bandwidth]);
    let web = node.host.add_pod("web").unwrap();
    node.run(async || {
        let plugin = node.start().await;
        let pod = sandbox("w1", &web).with_annotation("kubernetes.io/ingress-bandwidth", "10M");
        let too_much = pod.clone().with_annotation("kubernetes.io/egress-bandwidth", "2P");
        let error = plugin.set_up_pod(&too_much).await.unwrap_err().to_string();
        assert!(error.contains("kubernetes.io/egress-bandwidth: \"2P\" is no rate"), "{error}");
        assert_eq!((node.remains(), ports().await), (BTreeSet::new(), 0));

        set_up(&plugin, &pod).await;
        let limits = Command::new("/usr/sbin/tc").args(["qdisc", "show"]).output().unwrap();
        let limits = String::from_utf8(limits.stdout).unwrap();
        assert!(limits.contains("tbf") && limits.contains("rate 10Mbit burst 125000b"), "{limits}");
        plugin.tear_down_pod(&pod).await.unwrap();
    });
    assert_eq!(node.remains(), BTreeSet::new());
}
