//! Clients that a container could not answer: 127.0.0.1 where there is no bridge, and neighbours on a bridge whose frames
//! netfilter does not see.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use podnet_netutil::sysctl;
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::skip;
use serde_json::{Value, json};

use super::{
    NODE, NODE6, attach_both, bare, both_families, host_and_world, ours, pod_ip, portmap, printed,
    published, with,
};
use crate::nat::echo::{Echo, tcp, udp};

const FILTERED: [&str; 2] =
    ["net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"];

fn ports() -> Value {
    let port = |protocol| json!({ "hostPort": 8080, "containerPort": 80, "protocol": protocol });
    json!([port("tcp"), port("udp")])
}

fn echo(pod: &Pod) -> Echo {
    Echo::start(pod.netns(), pod.name(), "[::]:80".parse().unwrap())
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

/// The result of an ADD of `ptp`.
fn attach_alone(host: &TestHost, pod: &Pod, version: &str) -> Value {
    let config = json!({
        "cniVersion": version, "name": "net", "type": "ptp",
        "ipam": {
            "type": "host-local", "subnet": "10.1.0.0/24", "dataDir": host.networks_dir(),
            "routes": [{ "dst": "0.0.0.0/0" }],
        },
    });
    ours(host, "ptp", config).call("ADD", pod.name(), pod.path()).ok()
}

#[test]
fn without_a_bridge_ports_are_reached_by_loopback_too() {
    for version in ["1.1.0", "0.2.0"] {
        let (host, world) = host_and_world();
        let pods = ["web", "db"].map(|name| host.add_pod(name).unwrap());
        let _echoes = pods.each_ref().map(echo);
        for (pod, port) in pods.iter().zip([8080, 8081]) {
            let attached = attach_alone(&host, pod, version);
            let mut config = portmap(&attached, &ports());
            for mapping in config["runtimeConfig"]["portMappings"].as_array_mut().unwrap() {
                mapping["hostPort"] = json!(port);
            }
            let call = |verb: &str| {
                ours(&host, "portmap", config.clone()).call(verb, pod.name(), pod.path())
            };
            call("ADD").ok();
            if version != "0.2.0" {
                call("CHECK").ok();
            }
            let name = pod.name();
            for (from, address, client) in [
                (host.netns(), "127.0.0.1", "10.1.0.1"),
                (host.netns(), NODE, NODE),
                (world.netns(), NODE, "192.0.2.1"),
                (pod.netns(), NODE, "10.1.0.1"),
            ] {
                let answer = format!("{name} {client}");
                assert_eq!(tcp(from, at(address, port)).unwrap(), answer, "{version} {address}");
                assert_eq!(udp(from, at(address, port)).unwrap(), answer, "{version} {address}");
            }
            ours(&host, "portmap", bare()).call("DEL", pod.name(), Path::new("")).ok();
            assert!(tcp(host.netns(), at("127.0.0.1", port)).is_err());
            assert!(udp(host.netns(), at("127.0.0.1", port)).is_err());
        }
    }
}

#[test]
fn without_a_bridge_no_pod_reaches_the_hosts_loopback() {
    let (host, _world) = host_and_world();
    let web = host.add_pod("web").unwrap();
    let attached = attach_alone(&host, &web, "1.1.0");
    let config = portmap(&attached, &ports());
    let call = |verb: &str| ours(&host, "portmap", config.clone()).call(verb, "web", web.path());
    call("ADD").ok();
    let veth = attached["interfaces"][0]["name"].as_str().unwrap();
    let routed = format!("/proc/sys/net/ipv4/conf/{veth}/route_localnet");
    assert_eq!(printed(&host, "cat", &[&routed]).trim(), "1");
    let _private = Echo::start(host.netns(), "private", at("127.0.0.1", 90));
    let intrude = "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; ip link set lo down; \
                   ip route add 127.0.0.0/8 via 10.1.0.1 dev eth0 src IP";
    let intrude = intrude.replace("IP", &pod_ip(&attached).to_string());
    let run = || Command::new("sh").args(["-c", &intrude]).status();
    assert!(web.netns().run(run).unwrap().unwrap().success());
    assert!(tcp(web.netns(), at("127.0.0.1", 90)).is_err());
    printed(&host, "nft", &["flush", "chain", "inet", "podnet", "guard"]);
    assert!(tcp(web.netns(), at("127.0.0.1", 90)).is_ok(), "without the guard it is open");
    host.netns().run(|| std::fs::write(&routed, "0").unwrap()).unwrap();
    let (_, message) = call("CHECK").error();
    for fault in ["chain inet podnet guard is missing or empty", "route_localnet is 0, not 1"] {
        assert!(message.contains(fault), "{message}");
    }
    call("ADD").ok();
    call("CHECK").ok();
    assert!(tcp(web.netns(), at("127.0.0.1", 90)).is_err());
}

#[test]
fn without_a_bridge_and_snat_loopback_stays_in_the_host() {
    let (host, _world) = host_and_world();
    let web = host.add_pod("web").unwrap();
    let attached = attach_alone(&host, &web, "1.1.0");
    let config = with(&portmap(&attached, &ports()), "snat", json!(false));
    ours(&host, "portmap", config).call("ADD", "web", web.path()).ok();
    let veth = attached["interfaces"][0]["name"].as_str().unwrap();
    let routed = format!("/proc/sys/net/ipv4/conf/{veth}/route_localnet");
    assert_eq!(printed(&host, "cat", &[&routed]).trim(), "0");
}

#[test]
fn neighbours_are_answered_whether_or_not_netfilter_sees_the_bridge() {
    let (host, world) = both_families();
    let set = |value: &str| {
        let set = || FILTERED.into_iter().try_for_each(|key| sysctl::set(key, value));
        host.netns().run(set).unwrap()
    };
    if set("1").is_err() {
        let test = "neighbours_are_answered_whether_or_not_netfilter_sees_the_bridge";
        return skip(test, "the kernel's module br_netfilter is not loaded");
    }
    let (web, db) = (host.add_pod("web").unwrap(), host.add_pod("db").unwrap());
    let _echo = echo(&web);
    let attached = attach_both(&host, &web);
    attach_both(&host, &db);
    let config = portmap(&attached, &ports());
    let call = |verb: &str| ours(&host, "portmap", config.clone()).call(verb, "web", web.path());
    for (value, clients) in [
        ("1", ["10.1.0.3", "fd00:1::3"]),
        ("0", ["10.1.0.1", "fd00:1::1"]),
        ("1", ["10.1.0.3", "fd00:1::3"]),
    ] {
        set(value).unwrap();
        call("ADD").ok();
        call("CHECK").ok();
        let addresses = [(NODE, "192.0.2.1", "10.1.0.2"), (NODE6, "2001:db8::1", "fd00:1::2")];
        let neighbours = ["10.1.0.3", "fd00:1::3"];
        for (((node, outside, own), client), neighbour) in
            addresses.into_iter().zip(clients).zip(neighbours)
        {
            for (from, target, client) in [
                (&db, at(node, 8080), client),
                (&world, at(node, 8080), outside),
                (&db, at(own, 80), neighbour),
            ] {
                let answer = format!("web {client}");
                assert_eq!(tcp(from.netns(), target).unwrap(), answer, "{value} {target}");
                assert_eq!(udp(from.netns(), target).unwrap(), answer, "{value} {target}");
            }
            assert!(tcp(web.netns(), at(node, 8080)).unwrap().starts_with("web "), "{value}");
        }
        let table = printed(&host, "nft", &["list", "table", "inet", "podnet"]);
        assert_eq!(table.contains("chain neighbours-net"), value == "0", "{table}");
    }
    set("0").unwrap();
    let (_, message) = call("CHECK").error();
    assert!(message.contains("chain inet podnet neighbours-net is missing"), "{message}");
    call("ADD").ok();
    call("DEL").ok();
    assert!(published(&host).is_empty());
    let none_valid = with(&bare(), "cni.dev/valid-attachments", json!([]));
    ours(&host, "portmap", none_valid).call("GC", "", Path::new("")).ok();
    let table = printed(&host, "nft", &["list", "table", "inet", "podnet"]);
    assert!(!table.contains("-net"), "{table}");
}
