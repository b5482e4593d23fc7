//! DEL and GC: what they know of a pod when nobody tells them.

use std::fs;
use std::path::Path;

use podnet_cni_invoke::Exec as _;
use podnet_cni_spec::{Attachment, CniArgs, PluginConfig, Request, Verb};
use podnet_netutil::Netlink;
use podnet_standard_plugins::{BuiltinExec, Firewall, Host};
use podnet_testkit::{Pod, TestHost};
use serde_json::{Value, json};

use super::node::{FLAVOURS, Node, after, result};

const BOTH: [&str; 2] = ["10.1.0.2/24", "fd00::2/64"];

/// What a runtime that lost its cache sends.
fn bare() -> Value {
    json!({ "cniVersion": "1.1.0", "name": "net", "type": "firewall", "backend": "iptables" })
}

fn accepted(node: &Node) -> usize {
    node.saved().iter().filter(|line| line.ends_with("-j ACCEPT")).count()
}

/// Gives a pod an interface with addresses, as the plugin before would.
fn attach(node: &Node, pod: &Pod) {
    for arguments in [
        "link add name eth0 type veth peer name other",
        "link set eth0 up",
        "link set other up",
        "address add 10.1.0.2/24 dev eth0",
        "address add fd00::2/64 dev eth0 nodad",
    ] {
        let run = || std::process::Command::new("/usr/bin/ip").args(arguments.split(' ')).status();
        assert!(pod.netns().run(run).unwrap().unwrap().success(), "{arguments}");
    }
    let link = node.host.run(async || {
        let netlink = Netlink::open_in(pod.netns()).unwrap();
        let link = netlink.require_link("eth0").await.unwrap();
        netlink.global_ips(&link).await.unwrap()
    });
    assert_eq!(link.unwrap().len(), 2);
}

/// Runs our plugin in this process with the store of the test's host.
fn run(host: &TestHost, verb: Verb, id: &str, netns: &Path, config: Value) {
    let attachment = Attachment {
        container_id: id.parse().unwrap(),
        interface: "eth0".parse().unwrap(),
        netns: Some(netns.to_owned()),
        args: CniArgs::default(),
    };
    let config = PluginConfig::from_value(config).unwrap();
    let request = Request { verb, attachment: Some(attachment), config };
    let firewall = Firewall::default()
        .with_system_bus(format!("unix:path={}", host.folder().join("bus").display()))
        .with_networks_dir(host.networks_dir());
    host.run(async || {
        let exec = BuiltinExec::new(Host::open(&host.runtime_dir()).unwrap());
        exec.with_firewall(firewall).run(&"firewall".parse().unwrap(), &request).await.unwrap();
    })
    .unwrap();
}

fn reserve(host: &TestHost, address: &str, content: &str) {
    let store = host.networks_dir().join("net");
    fs::create_dir_all(&store).unwrap();
    fs::write(store.join(address), content).unwrap();
}

#[test]
fn a_result_is_all_that_del_needs_and_nothing_to_remove_is_success() {
    for flavour in FLAVOURS {
        let node = Node::new(flavour);
        let pod = node.host.add_pod("web").unwrap();
        let call = |verb, netns| node.call(verb, "w1", netns, &json!({}), &result(&BOTH));
        call("DEL", pod.path()).ok();
        assert!(!node.saved().iter().any(|line| line.contains("CNI-")), "{:?}", node.saved());
        call("ADD", pod.path()).ok();
        assert_eq!(accepted(&node), 4);
        for _ in 0..2 {
            call("DEL", Path::new("/nowhere")).ok();
            assert_eq!(accepted(&node), 0);
        }
        // A rule that is there twice, as two programs at once may make it, goes as often.
        call("ADD", pod.path()).ok();
        node.iptables("iptables", "-A CNI-FORWARD -s 10.1.0.2/32 -j ACCEPT").unwrap();
        call("DEL", Path::new("")).ok();
        assert_eq!(accepted(&node), 0);
    }
}

#[test]
fn without_a_result_the_pods_interface_has_the_addresses() {
    for flavour in FLAVOURS {
        let node = Node::new(flavour);
        let pod = node.host.add_pod("web").unwrap();
        attach(&node, &pod);
        node.call("ADD", "w0", pod.path(), &json!({}), &result(&["10.1.0.9/24"])).ok();
        for config in [
            bare(),
            json!({ "cniVersion": "1.1.0", "name": "net", "type": "firewall",
            "backend": 1, "prevResult": "none" }),
        ] {
            node.call("ADD", "w1", pod.path(), &json!({}), &result(&BOTH)).ok();
            assert_eq!(accepted(&node), 6);
            node.ours("firewall", config).call("DEL", "w1", pod.path()).ok();
            assert_eq!(accepted(&node), 2);
        }
        node.ours("firewall", bare()).call("DEL", "w1", Path::new("/nowhere")).ok();
    }
}

#[test]
fn without_a_result_and_a_namespace_the_store_has_the_addresses() {
    let node = Node::new("nft");
    let pod = node.host.add_pod("web").unwrap();
    for (address, content) in [
        ("10.1.0.2", "w1\r\neth0"),
        ("fd00::2", "w1\r\neth0"),
        ("10.1.0.3", "w1\r\neth1"),
        ("10.1.0.4", "w2\r\neth0"),
    ] {
        reserve(&node.host, address, content);
    }
    let all = ["10.1.0.2/24", "fd00::2/64", "10.1.0.3/24", "10.1.0.4/24"];
    node.call("ADD", "w1", pod.path(), &json!({}), &result(&all)).ok();
    for _ in 0..2 {
        run(&node.host, Verb::Del, "w1", Path::new("/nowhere"), bare());
        assert_eq!(accepted(&node), 4);
    }
    // A late DEL with an old result: the address is another's by now.
    let late = after(&json!({ "backend": "iptables" }), &result(&["10.1.0.3/24", "10.1.0.4/24"]));
    run(&node.host, Verb::Del, "w1", Path::new("/nowhere"), late);
    let rules = node.rules("iptables", "CNI-FORWARD");
    assert!(rules.len() == 3 && rules[2].contains("10.1.0.4"), "{rules:?}");
}

#[test]
fn gc_removes_what_the_store_has_of_others_than_the_valid_ones() {
    let node = Node::new("nft");
    let pod = node.host.add_pod("web").unwrap();
    for (address, content) in [
        ("10.1.0.2", "w1\r\neth0"),
        ("10.1.0.3", "w2\r\neth0"),
        ("10.1.0.4", "w1\r\neth1"),
        ("10.1.0.5", "w3"),
    ] {
        reserve(&node.host, address, content);
    }
    let all = ["10.1.0.2/24", "10.1.0.3/24", "10.1.0.4/24", "10.1.0.5/24", "10.1.0.6/24"];
    node.call("ADD", "w1", pod.path(), &json!({}), &result(&all)).ok();
    let mut config = bare();
    config["cni.dev/valid-attachments"] = json!([
        { "containerID": "w1", "ifname": "eth0" }, { "containerID": "w3", "ifname": "eth0" },
    ]);
    run(&node.host, Verb::Gc, "w1", pod.path(), config);
    let rules = node.rules("iptables", "CNI-FORWARD");
    let kept = ["10.1.0.2/32", "10.1.0.5/32", "10.1.0.6/32"];
    assert_eq!(rules.len(), 1 + 2 * kept.len(), "{rules:?}");
    assert!(kept.iter().all(|address| rules.iter().any(|rule| rule.contains(address))));
    // A missing list is not an empty one.
    assert_eq!(node.ours("firewall", bare()).call("GC", "", Path::new("")).error().0, 7);
}
