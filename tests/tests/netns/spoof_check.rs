//! `macspoofchk` of `bridge`, by frames, and in turn with the Go program.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use podnet_netutil::Netns;
use podnet_testkit::{Pod, TestHost};
use podnet_tests::Cni;
use serde_json::{Value, json};

use super::twins::{call_after, go, is_recent, ours, with_programs};

const PORT: u16 = 9000;
const FORGED: &str = "02:00:00:00:00:99";

fn config(host: &TestHost, check: bool) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "br0", "isGateway": true,
        "macspoofchk": check,
        "ipam": { "type": "host-local", "subnet": "10.1.0.0/24", "dataDir": host.networks_dir() },
    })
}

/// Runs a program in a namespace and returns what it printed; it must succeed.
fn run(netns: &Netns, program: &str, arguments: &[&str]) -> String {
    let output = netns.run(|| Command::new(program).args(arguments).output().unwrap()).unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

fn rules(host: &TestHost) -> String {
    run(host.netns(), "nft", &["list", "ruleset"])
}

/// Where broadcasts arrive.
fn receiver(netns: &Netns) -> UdpSocket {
    let socket = netns.run(|| UdpSocket::bind(("0.0.0.0", PORT)).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn received(socket: &UdpSocket) -> String {
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Sends to everybody on the bridge, first from a forged address, then from the pod's own. What is received first tells
/// whether the first frame passed: frames of one link do not overtake each other.
fn send_forged_and_own(pod: &Pod) {
    let address = |mac: &str| run(pod.netns(), "ip", &["link", "set", "eth0", "address", mac]);
    let send = |words: &str| {
        let sent = || {
            let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
            socket.set_broadcast(true).unwrap();
            socket.send_to(words.as_bytes(), ("10.1.0.255", PORT)).unwrap();
        };
        pod.netns().run(sent).unwrap();
    };
    let links: Value =
        serde_json::from_str(&run(pod.netns(), "ip", &["-j", "link", "show", "eth0"])).unwrap();
    address(FORGED);
    send("forged");
    address(links[0]["address"].as_str().unwrap());
    send("own");
}

#[test]
fn a_pod_with_a_forged_address_reaches_nobody_and_with_its_own_everybody() {
    let host = TestHost::new().unwrap();
    let (web, db) = (host.add_pod("web").unwrap(), host.add_pod("db").unwrap());
    let (checked, free) = (config(&host, true), config(&host, false));
    let (checked, free) = (ours(&host, "bridge", checked), ours(&host, "bridge", free));
    let attached = checked.call("ADD", "w1", web.path()).ok();
    free.call("ADD", "d1", db.path()).ok();
    let receivers = [receiver(host.netns()), receiver(db.netns())];
    send_forged_and_own(&web);
    for receiver in &receivers {
        assert_eq!(received(receiver), "own");
    }
    let of_web = receiver(web.netns());
    send_forged_and_own(&db);
    for receiver in [&receivers[0], &of_web] {
        assert_eq!((received(receiver), received(receiver)), ("forged".into(), "own".into()));
    }
    web.ping("10.1.0.3".parse().unwrap()).unwrap();
    web.ping("10.1.0.1".parse().unwrap()).unwrap();

    call_after(&checked, "CHECK", "w1", web.path(), &attached).ok();
    run(host.netns(), "nft", &["flush", "chain", "bridge", "nat", "cni-br-iface-w1-eth0-mac"]);
    let (_, message) = call_after(&checked, "CHECK", "w1", web.path(), &attached).error();
    assert!(message.contains("another MAC address than the pod's may pass"), "{message}");

    for _ in 0..2 {
        // What a runtime without a cache sends, after a reboot of the pod.
        free.call("DEL", "w1", Path::new("")).ok();
        assert!(!rules(&host).contains("w1"), "{}", rules(&host));
    }
}

#[test]
fn a_failed_add_leaves_no_rule() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let mut bridge = ours(&host, "bridge", config(&host, true));
    bridge.config["ipMasq"] = json!(true);
    bridge.config["ipam"]["routes"] = json!([{ "dst": "192.0.2.0/24", "gw": "198.51.100.1" }]);
    let (_, message) = bridge.call("ADD", "w1", web.path()).error();
    assert!(message.contains("route 192.0.2.0/24"), "{message}");
    assert!(!rules(&host).contains("w1"), "{}", rules(&host));
}

#[test]
fn gc_removes_the_rules_of_pods_that_are_gone() {
    let host = TestHost::new().unwrap();
    let names = ["web", "gone", "lost"];
    let [web, gone, lost] = names.map(|name| host.add_pod(name).unwrap());
    let mut bridge = ours(&host, "bridge", config(&host, true));
    bridge.config["cniVersion"] = json!("1.1.0");
    for (id, pod) in [("w1", &web), ("g1", &gone), ("l1", &lost)] {
        bridge.call("ADD", id, pod.path()).ok();
    }
    // Its host end went with its namespace, and nobody was told.
    run(lost.netns(), "ip", &["link", "delete", "eth0"]);
    assert!(rules(&host).contains("cni-br-iface-l1-eth0"));
    bridge.config["cni.dev/valid-attachments"] = json!([{ "containerID": "w1", "ifname": "eth0" }]);
    bridge.call("GC", "", Path::new("")).ok();
    let left = rules(&host);
    assert!(left.contains("cni-br-iface-w1-eth0-mac"), "{left}");
    assert!(!left.contains("g1-eth0") && !left.contains("l1-eth0"), "{left}");
}

fn live_through(made_by: &Cni<'_>, ended_by: &Cni<'_>, pod: &Pod) {
    let result = made_by.call("ADD", "w1", pod.path()).ok();
    let host = made_by.host;
    assert!(rules(host).contains("cni-br-iface-w1-eth0-mac"), "{}", rules(host));
    call_after(ended_by, "CHECK", "w1", pod.path(), &result).ok();
    call_after(ended_by, "DEL", "w1", pod.path(), &result).ok();
    assert!(!rules(host).contains("w1"), "{}", rules(host));
}

#[test]
fn what_one_bridge_made_against_forged_addresses_the_other_checks_and_removes() {
    let test = "what_one_bridge_made_against_forged_addresses_the_other_checks_and_removes";
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    let config = config(&host, true);
    let Some(theirs) = go(&host, "bridge", config.clone(), test) else { return };
    if !is_recent(&theirs) {
        return;
    }
    let (theirs, own) = (with_programs(theirs, "/usr/sbin"), ours(&host, "bridge", config));
    // As the program writes it, so that a listing of one is a listing of the other.
    let listed = [&theirs, &own].map(|bridge| {
        let result = bridge.call("ADD", "w1", pod.path()).ok();
        let listing = rules(&host);
        call_after(bridge, "DEL", "w1", pod.path(), &result).ok();
        let words = |line: &str| {
            let known = |word: &str| !word.starts_with("\"veth") && !word.contains(':');
            line.split_whitespace().filter(|word| known(word)).collect::<Vec<_>>().join(" ")
        };
        listing.lines().map(words).collect::<Vec<_>>()
    });
    assert_eq!(listed[0], listed[1]);
    live_through(&theirs, &own, &pod);
    live_through(&own, &theirs, &pod);
}
