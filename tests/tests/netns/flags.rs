//! The node's flags, each as an operator gives it: what `docs/kubelet-flags.md` says of them.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Command, Output};

use podnet::{NodeOptions, PluginChoice, PodSandbox, Subnet};
use podnet_netutil::{Netlink, sysctl};
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::{own, skip};
use serde_json::{Value, json};

const IPTABLES: &str = "net/bridge/bridge-nf-call-iptables";

/// A node with a folder of exec plugins, a network configuration and a pod.
struct Node {
    host: TestHost,
    pod: Pod,
}

impl Node {
    fn new() -> Self {
        let host = TestHost::new().unwrap();
        let pod = host.add_pod("web").unwrap();
        let node = Self { host, pod };
        node.make_folder("net.d");
        node.make_folder("exec");
        node
    }

    /// With the exec plugin `lab`, which notes how it is called in `calls`.
    fn with_lab() -> Self {
        let node = Self::new();
        node.install("lab");
        node
    }

    fn file(&self, name: &str) -> PathBuf {
        self.host.folder().join(name)
    }

    fn make_folder(&self, name: &str) {
        DirBuilder::new().mode(0o755).create(self.file(name)).unwrap();
    }

    fn install(&self, name: &str) {
        self.make_folder(&format!("exec/{name}"));
        let calls = self.file("calls").display().to_string();
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {calls}\ncase $1 in status) echo '{{\"ip\": \"10.20.30.40\"}}' ;; esac\n"
        );
        let program = self.file(&format!("exec/{name}/{name}"));
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }

    fn configure_cni(&self) {
        let list = json!({
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [{
                "type": "bridge",
                "bridge": "cni-pods",
                "ipam": {
                    "type": "host-local",
                    "subnet": "10.8.0.0/24",
                    "dataDir": self.host.networks_dir(),
                },
            }],
        });
        fs::write(self.file("net.d/10-pods.conflist"), list.to_string()).unwrap();
    }

    /// The options of a node that uses this plugin.
    fn options(&self, plugin: Option<&str>) -> NodeOptions {
        let mut options = NodeOptions::default();
        options.network_plugin = plugin.map(str::to_owned);
        options.network_plugin_dir = self.file("exec");
        options.cni_conf_dir = self.file("net.d");
        options.cni_plugins =
            if plugin == Some("cni") { PluginChoice::Builtin } else { PluginChoice::Auto };
        options.pod_cidr = Some("10.9.0.0/24".parse().unwrap());
        options.state_dir = Some(self.host.folder().to_owned());
        options
    }

    /// Runs `podnet OPTIONS COMMAND..`, with the folders of this node.
    fn podnet(&self, options: &[&str], command: &[&str]) -> Output {
        let (state, exec) = (self.host.folder(), self.file("exec"));
        let mut podnet = Command::new(own("podnet"));
        podnet.arg("--state-dir").arg(state).arg("--network-plugin-dir").arg(exec).args(options);
        podnet.args(["--output", "json"]).args(command).env_clear();
        self.host.netns().run(|| podnet.output()).unwrap().unwrap()
    }

    /// Sets the pod up with these options and returns its address.
    fn set_up(&self, options: &[&str]) -> String {
        let netns = self.pod.path().to_str().unwrap();
        let output =
            self.podnet(options, &["setup", "default/web", "--id", "w1", "--netns", netns]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        status["ip"].as_str().unwrap().to_owned()
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.file("calls")).unwrap()
    }
}

#[test]
fn every_flavour_serves_a_pod_by_the_same_calls() {
    let node = Node::with_lab();
    node.configure_cni();
    let web = PodSandbox::new("default", "web", "w1").unwrap().with_netns(node.pod.path());
    let cases = [
        (None, "kubernetes.io/no-op", None),
        (Some("kubenet"), "kubenet", Some("10.9.0.2")),
        (Some("cni"), "cni", Some("10.8.0.2")),
        (Some("exec"), "lab", Some("10.20.30.40")),
    ];
    for (requested, name, address) in cases {
        let options = node.options(requested);
        node.host
            .run(async || {
                let plugin = podnet::start(&options, Subnet::Required).await.unwrap();
                assert_eq!(plugin.name().as_str(), name);
                plugin.status().await.unwrap();
                let status = plugin.set_up_pod(&web).await.unwrap();
                assert_eq!(status.map(|status| status.ip().to_string()).as_deref(), address);
                for _ in 0..2 {
                    plugin.tear_down_pod(&web).await.unwrap();
                }
            })
            .unwrap();
    }
}

#[test]
fn an_exec_plugin_is_used_by_its_name_and_as_the_only_one() {
    let node = Node::with_lab();
    node.make_folder("exec/a~b~c");
    for name in ["exec", "lab"] {
        assert_eq!(node.set_up(&["--network-plugin", name]), "10.20.30.40");
        assert_eq!(node.calls(), "init\nsetup default web w1\nstatus default web w1\n", "{name}");
        fs::remove_file(node.file("calls")).unwrap();
    }
    node.install("late");
    let output = node.podnet(&["--network-plugin=exec"], &["status"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("has several exec plugins, lab, late: choose one by its name"), "{said}");
    assert!(said.contains("exec/a~b~c is no network plugin"), "a warning: {said}");
    assert!(!node.file("calls").exists(), "nothing is executed");
}

#[test]
fn a_node_takes_its_subnet_out_of_the_clusters() {
    let node = Node::new();
    let subnet =
        ["--allocate-node-cidrs=true", "--cluster-cidr=10.244.0.0/16", "--node-cidr-mask-size=26"];
    let options = [&["--network-plugin=kubenet"], &subnet[..]].concat();
    assert_eq!(node.set_up(&options), "10.244.0.2");
    node.host
        .run(async || {
            let netlink = Netlink::open().unwrap();
            let bridge = netlink.require_link("cbr0").await.unwrap();
            let addresses = netlink.addresses(&bridge).await.unwrap();
            let gateway =
                addresses.iter().any(|found| found.network.to_string() == "10.244.0.1/26");
            assert!(gateway, "{addresses:?}");
        })
        .unwrap();
}

#[test]
fn options_come_from_a_file_as_well() {
    let node = Node::new();
    let file = node.file("node.json");
    let options = json!({ "network-plugin": "kubenet", "pod-cidr": "10.7.0.0/24" });
    fs::write(&file, options.to_string()).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(node.set_up(&["--config", file]), "10.7.0.2");
    let other = node.podnet(&["--config", file, "--network-plugin="], &["status"]);
    assert!(String::from_utf8(other.stdout).unwrap().contains("kubernetes.io/no-op"));
}

#[test]
fn the_mtu_that_is_given_is_that_of_cbr0_and_of_the_pod() {
    for mtu in [9001, 8873] {
        let node = Node::new();
        let _world = node.host.add_uplink(1450, "192.0.2.10/24".parse().unwrap()).unwrap();
        let given = format!("--network-plugin-mtu={mtu}");
        node.set_up(&["--network-plugin=kubenet", "--pod-cidr=10.9.0.0/24", &given]);
        node.host
            .run(async || {
                let bridge = Netlink::open().unwrap().require_link("cbr0").await.unwrap();
                let inside = node.pod.link("eth0").await.unwrap().unwrap();
                assert_eq!([bridge.mtu, inside.mtu], [mtu; 2]);
            })
            .unwrap();
    }
}

#[test]
fn bridged_traffic_passes_iptables_with_the_no_op_plugin_and_kubenet_only() {
    let node = Node::with_lab();
    if node.host.run(async || sysctl::set(IPTABLES, "0")).unwrap().is_err() {
        let test = "bridged_traffic_passes_iptables_with_the_no_op_plugin_and_kubenet_only";
        return skip(test, "the kernel's module br_netfilter is not loaded");
    }
    for (plugin, expected) in
        [(Some("exec"), "0"), (None, "1"), (Some("cni"), "0"), (Some("kubenet"), "1")]
    {
        let options = node.options(plugin);
        node.host
            .run(async || {
                sysctl::set(IPTABLES, "0").unwrap();
                podnet::start(&options, Subnet::Required).await.unwrap();
                assert_eq!(sysctl::read(IPTABLES).unwrap(), expected, "{plugin:?}");
            })
            .unwrap();
    }
}

#[test]
fn what_excludes_each_other_is_refused_before_anything_is_touched() {
    let node = Node::new();
    let cidr = "--pod-cidr=10.9.0.0/24";
    let cluster = "--cluster-cidr=10.244.0.0/16";
    let cases: [(&[&str], &str); 6] = [
        (
            &[cidr, "--configure-cbr0"],
            "--configure-cbr0 and --network-plugin=kubenet exclude each other",
        ),
        (&[cidr, "--reconcile-cidr=false"], "needs --reconcile-cidr=true"),
        (&[], "needs a subnet for this node's pods"),
        (&["--allocate-node-cidrs"], "--allocate-node-cidrs needs the cluster's subnet"),
        (&[cluster], "--cluster-cidr has no effect without --allocate-node-cidrs"),
        (&[cidr, cluster, "--allocate-node-cidrs"], "--pod-cidr and --allocate-node-cidrs exclude"),
    ];
    for (options, reason) in cases {
        let options = [&["--network-plugin=kubenet"], options].concat();
        let netns = node.pod.path().to_str().unwrap();
        let output =
            node.podnet(&options, &["setup", "default/web", "--id", "w1", "--netns", netns]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(reason), "{options:?}: {said}");
    }
    let links = node.host.run(async || Netlink::open().unwrap().links().await.unwrap().len());
    assert_eq!(links.unwrap(), 1, "nothing but lo");
}
