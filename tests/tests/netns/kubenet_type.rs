//! `podnet-cni kubenet` called as containerd calls it: one program does the whole chain, on a node with an uplink.

use std::fs;
use std::path::{Path, PathBuf};

use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::own;
use podnet_tests::{Cni, Outcome};
use serde_json::{Value, json};

const NODE: &str = "192.0.2.10";
/// containerd's burst: the largest number of 32 bits.
const BURST: u64 = 4_294_967_295;

struct Node {
    host: TestHost,
    world: Pod,
}

impl Node {
    fn new() -> Self {
        let host = TestHost::new().unwrap();
        let world = host.add_uplink(1500, format!("{NODE}/24").parse().unwrap()).unwrap();
        world.netns().run(|| run("ip", "address replace 192.0.2.1/24 dev eth0")).unwrap();
        Self { host, world }
    }

    /// As containerd sends it: keys inside `runtimeConfig` are capitalised.
    fn cni(&self, version: &str, runtime: &Value) -> Cni<'_> {
        let program = own("podnet-cni");
        let path = program.parent().unwrap().to_owned();
        let config = json!({
            "cniVersion": version, "name": "kubenet", "type": "kubenet", "podCIDR": "10.9.0.0/24",
            "dataDir": self.host.networks_dir(), "dns": { "nameservers": ["192.0.2.53"] },
            "runtimeConfig": runtime,
        });
        Cni { host: &self.host, program, arguments: vec!["kubenet".to_owned()], path, config }
    }

    fn said(&self, program: &str, arguments: &str) -> String {
        self.host.netns().run(|| run(program, arguments)).unwrap()
    }

    fn store(&self) -> PathBuf {
        self.host.networks_dir().join("kubenet")
    }

    fn addresses(&self) -> usize {
        let names = fs::read_dir(self.store()).unwrap().map(|it| it.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("10.")).count()
    }

    /// Whether the outside reaches a pod's server by a host port.
    fn is_reached(&self, port: u16) -> bool {
        let address = format!("{NODE}:{port}").parse().unwrap();
        self.world.fetch(address).is_ok()
    }
}

fn run(program: &str, arguments: &str) -> String {
    let output = std::process::Command::new(program).args(arguments.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn asked(port: u16) -> Value {
    json!({
        "portMappings": [
            { "HostPort": port, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "" },
        ],
        "bandwidth": {
            "IngressRate": 80_000_000, "IngressBurst": BURST,
            "EgressRate": 40_000_000, "EgressBurst": BURST,
        },
    })
}

fn check(cni: &Cni<'_>, id: &str, netns: &Path, result: &Value) -> Outcome {
    let mut cni = cni.clone();
    cni.config["prevResult"] = result.clone();
    cni.call("CHECK", id, netns)
}

#[test]
fn one_call_attaches_publishes_and_limits_and_another_leaves_nothing() {
    let node = Node::new();
    let web = node.host.add_pod("web").unwrap();
    for version in ["0.3.1", "1.0.0", "1.1.0"] {
        let cni = node.cni(version, &asked(8080));
        let result = cni.call("ADD", "w1", web.path()).ok();
        assert_eq!(result["cniVersion"], version);
        assert_eq!(result["interfaces"][0]["name"], "cbr0");
        assert_eq!(result["interfaces"][2]["name"], "eth0");
        assert_eq!(result["interfaces"][2]["sandbox"], web.path().to_str().unwrap());
        assert_eq!(result["ips"][0]["gateway"], "10.9.0.1");
        assert_eq!(result["routes"][0]["dst"], "0.0.0.0/0");
        assert_eq!(result["dns"]["nameservers"][0], "192.0.2.53");
        let (code, text) = cni.call("ADD", "w1", web.path()).error();
        assert!(text.contains("w1"), "{code}: {text}");

        let _page = web.serve("0.0.0.0:80".parse().unwrap(), "pod").unwrap();
        assert!(node.is_reached(8080), "{version}");
        let queues = node.said("tc", "qdisc show");
        assert!(queues.contains("rate 80Mbit"), "{queues}");
        assert!(queues.contains("rate 40Mbit"), "{queues}");

        cni.call("DEL", "w1", Path::new("/gone")).ok();
        assert!(!node.is_reached(8080), "{version}");
        assert_eq!(node.addresses(), 0);
        let links = node.said("ip", "-o link show");
        assert!(!links.contains("ifb") && !links.contains("master cbr0"), "{links}");
        assert!(!node.said("nft", "list table inet podnet").contains("8080"));
        cni.call("DEL", "w1", web.path()).ok();
    }
}

#[test]
fn a_check_finds_what_is_gone() {
    let node = Node::new();
    let web = node.host.add_pod("web").unwrap();
    let cni = node.cni("1.0.0", &asked(8080));
    let result = cni.call("ADD", "w1", web.path()).ok();
    check(&cni, "w1", web.path(), &result).ok();
    let host_end = result["interfaces"][1]["name"].as_str().unwrap();
    node.said("tc", &format!("qdisc delete dev {host_end} root"));
    let (_, text) = check(&cni, "w1", web.path(), &result).error();
    assert!(text.contains("receives"), "{text}");
    node.said("nft", "delete table inet podnet");
    let (_, text) = check(&cni, "w1", web.path(), &result).error();
    assert!(!text.is_empty() && !text.contains("receives"), "{text}");

    // The next pod has the rules made again, and with them what the first one was promised.
    let other = node.host.add_pod("other").unwrap();
    node.cni("1.0.0", &json!({})).call("ADD", "o1", other.path()).ok();
    check(&cni, "w1", web.path(), &result).ok();
}

#[test]
fn a_collection_keeps_the_valid_attachments() {
    let node = Node::new();
    let (web, old) = (node.host.add_pod("web").unwrap(), node.host.add_pod("old").unwrap());
    node.cni("1.1.0", &asked(8080)).call("ADD", "w1", web.path()).ok();
    node.cni("1.1.0", &asked(8081)).call("ADD", "old1", old.path()).ok();
    let mut gc = node.cni("1.1.0", &json!({}));
    gc.call("STATUS", "", Path::new("")).ok();
    let (code, _) = gc.call("GC", "", Path::new("")).error();
    assert_eq!(code, 7);
    gc.config["cni.dev/valid-attachments"] = json!([{ "containerID": "w1", "ifname": "eth0" }]);
    gc.call("GC", "", Path::new("")).ok();
    let rules = node.said("nft", "list table inet podnet");
    assert!(rules.contains("8080") && !rules.contains("8081"), "{rules}");
    assert_eq!(node.addresses(), 1);
    let _page = web.serve("0.0.0.0:80".parse().unwrap(), "pod").unwrap();
    assert!(node.is_reached(8080));
}

#[test]
fn what_it_cannot_serve_is_refused_before_anything_is_made() {
    let node = Node::new();
    let web = node.host.add_pod("web").unwrap();
    for (key, value, named) in [
        ("name", json!("pods"), "name it \"kubenet\""),
        ("bridge", json!("cni0"), "cbr0"),
        ("podCIDR", json!(""), "podCIDR"),
        ("hairpinMode", json!("maybe"), "maybe"),
        (
            "runtimeConfig",
            json!({ "portMappings": [{ "hostPort": 1, "containerPort": 1, "protocol": "x" }] }),
            "x",
        ),
    ] {
        let mut cni = node.cni("1.0.0", &json!({}));
        cni.config[key] = value;
        let (code, text) = cni.call("ADD", "w1", web.path()).error();
        assert_eq!(code, 7, "{key}: {text}");
        assert!(text.contains(named), "{key}: {text}");
    }
    assert!(!node.said("ip", "-o link show").contains("cbr0"));
}

#[test]
fn the_runtime_chooses_address_and_mac() {
    let node = Node::new();
    let web = node.host.add_pod("web").unwrap();
    let sent = json!({ "ips": ["10.9.0.77"], "mac": "02:00:00:00:00:03" });
    let cni = node.cni("1.0.0", &sent);
    let result = cni.call("ADD", "w1", web.path()).ok();
    assert_eq!(result["ips"][0]["address"], "10.9.0.77/24");
    assert_eq!(result["interfaces"][2]["mac"], "02:00:00:00:00:03");
    cni.call("DEL", "w1", web.path()).ok();
}
