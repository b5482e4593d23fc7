//! `tuning` beside the Go program: results, what becomes of the interface, and the file that DEL reads.

use std::path::Path;

use podnet_cni_invoke::Exec as _;
use podnet_cni_spec::{Attachment, CniArgs, PluginConfig, Request, Verb};
use podnet_netutil::{MacAddr, NetKey, Netlink, VethPair, sysctl};
use podnet_standard_plugins::{BuiltinExec, Host, Tuning};
use podnet_testkit::{Pod, TestHost};
use serde_json::{Value, json};

use super::twins::{call_after, go, is_recent, ours, without_empty_dns};

const MAC: &str = "02:00:00:00:00:0a";

/// A pod with an interface that another plugin made, and that plugin's result.
fn attached(host: &TestHost) -> (Pod, Value) {
    let pod = host.add_pod("web").unwrap();
    host.run(async || {
        let pair = VethPair {
            host_name: "veth0",
            host_mac: MacAddr::local([0, 0, 0, 0, 0, 1]),
            bridge: None,
            peer_name: "eth0",
            peer_mac: MacAddr::local([0, 0, 0, 0, 0, 2]),
            peer_netns: pod.netns(),
            mtu: None,
        };
        let peer = Netlink::open().unwrap().create_veth(&pair).await.unwrap().peer;
        Netlink::open_in(pod.netns()).unwrap().set_link_up(peer.index).await.unwrap();
    })
    .unwrap();
    let result = json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            { "name": "veth0", "mac": "02:00:00:00:00:01" },
            { "name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/a/pod" },
        ],
        "ips": [{ "interface": 1, "address": "10.1.0.2/24", "gateway": "10.1.0.1" }],
        "routes": [{ "dst": "0.0.0.0/0" }],
        "dns": {},
    });
    (pod, result)
}

fn config(host: &TestHost, options: &Value) -> Value {
    let mut config = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "tuning",
        "dataDir": host.folder().join("tuning"),
    });
    config.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    config
}

/// MAC address, promiscuous, MTU, all-multicast and queue of a pod's interface.
type Seen = (String, bool, u32, bool, u32);

fn seen(host: &TestHost, pod: &Pod) -> Seen {
    let link = host.run(async || pod.link("eth0").await.unwrap().unwrap()).unwrap();
    let mac = link.mac.unwrap().to_string();
    (mac, link.promiscuous, link.mtu, link.all_multicast, link.tx_queue_len)
}

fn sysctl_of(pod: &Pod, key: &str) -> String {
    let key = NetKey::parse(key, "eth0").unwrap();
    pod.netns().run(|| sysctl::read_net(&key)).unwrap().unwrap()
}

fn file(host: &TestHost) -> Option<String> {
    std::fs::read_to_string(host.folder().join("tuning/w1_eth0.json")).ok()
}

fn everything() -> Value {
    json!({
        "mac": MAC, "mtu": 1400, "promisc": true, "allmulti": true,
        "sysctl": { "net.core.somaxconn": "300", "net.ipv4.conf.eth0.arp_filter": "1" },
    })
}

#[test]
fn tuning_changes_what_the_go_program_changes() {
    let test = "tuning_changes_what_the_go_program_changes";
    for options in [
        everything(),
        json!({ "mtu": 1300 }),
        json!({ "allmulti": false, "promisc": false }),
        json!({ "sysctl": { "net.ipv4.conf.eth0.arp_filter": "1" } }),
        json!({ "args": { "cni": { "mac": MAC, "mtu": 1300, "promisc": true } }, "mtu": 1200 }),
        json!({ "runtimeConfig": { "mac": MAC }, "mac": "02:00:00:00:00:0b" }),
        json!({ "txQLen": 9, "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1" } }),
    ] {
        let (one, other) = (TestHost::new().unwrap(), TestHost::new().unwrap());
        let ((theirs, result), (own, _)) = (attached(&one), attached(&other));
        let Some(go) = go(&one, "tuning", config(&one, &options), test) else { return };
        if options.to_string().contains("IFNAME") && !is_recent(&go) {
            continue;
        }
        let ours = ours(&other, "tuning", config(&other, &options));
        let before = seen(&one, &theirs);
        let expected = call_after(&go, "ADD", "w1", theirs.path(), &result).ok();
        let expected = without_empty_dns(expected);
        assert_eq!(call_after(&ours, "ADD", "w1", own.path(), &result).ok(), expected);
        assert_eq!(seen(&other, &own), seen(&one, &theirs), "{options}");
        assert_eq!(file(&other), file(&one), "{options}");
        for key in ["net.core.somaxconn", "net.ipv4.conf.eth0.arp_filter"] {
            assert_eq!(sysctl_of(&own, key), sysctl_of(&theirs, key));
        }
        call_after(&ours, "CHECK", "w1", own.path(), &expected).ok();
        call_after(&go, "CHECK", "w1", theirs.path(), &expected).ok();
        // Each puts back what the other changed.
        for (host, pod, del) in [(&one, &theirs, &ours), (&other, &own, &go)] {
            let mut del = del.clone();
            (del.host, del.config["dataDir"]) = (host, config(host, &options)["dataDir"].clone());
            call_after(&del, "DEL", "w1", pod.path(), &result).ok();
            assert_eq!((seen(host, pod), file(host)), (before.clone(), None), "{options}");
        }
    }
}

#[test]
fn check_names_what_has_another_value() {
    let host = TestHost::new().unwrap();
    let (pod, result) = attached(&host);
    let tuning = |options: Value| ours(&host, "tuning", config(&host, &options));
    call_after(&tuning(everything()), "ADD", "w1", pod.path(), &result).ok();
    for (options, what) in [
        (json!({ "promisc": true, "mac": "02:00:00:00:00:0b" }), "MAC address"),
        (json!({ "promisc": true, "mtu": 1401 }), "MTU"),
        (json!({ "promisc": true, "allmulti": false }), "all-multicast"),
        (json!({ "promisc": true, "txQLen": 3 }), "transmit queue"),
        (json!({}), "promiscuous"),
        (json!({ "sysctl": { "net.core.somaxconn": "301" } }), "net/core/somaxconn"),
    ] {
        let checked = call_after(&tuning(options), "CHECK", "w1", pod.path(), &result);
        let (_, message) = checked.error();
        assert!(message.contains(what), "{what}: {message}");
    }
    let ports =
        json!({ "promisc": true, "sysctl": { "net.ipv4.ip_local_port_range": "1024 65000" } });
    call_after(&tuning(ports.clone()), "ADD", "w1", pod.path(), &result).ok();
    call_after(&tuning(ports), "CHECK", "w1", pod.path(), &result).ok();
}

#[test]
fn a_refused_attribute_puts_the_others_back() {
    let host = TestHost::new().unwrap();
    let (pod, result) = attached(&host);
    let before = seen(&host, &pod);
    // A multicast address is nobody's; the queue's length is set and put back.
    let options = json!({ "txQLen": 7, "mtu": 1400, "mac": "01:00:5e:00:00:01" });
    let tuning = ours(&host, "tuning", config(&host, &options));
    let (_, message) = call_after(&tuning, "ADD", "w1", pod.path(), &result).error();
    assert!(message.contains("MAC address of eth0"), "{message}");
    assert_eq!((seen(&host, &pod), file(&host)), (before.clone(), None));

    let tuning = ours(&host, "tuning", config(&host, &json!({ "txQLen": 7 })));
    call_after(&tuning, "ADD", "w1", pod.path(), &result).ok();
    assert_eq!(seen(&host, &pod).4, 7);
    tuning.call("DEL", "w1", pod.path()).ok();
    assert_eq!(seen(&host, &pod), before);
}

#[test]
fn tuning_stands_behind_another_plugin_and_ends_without_a_namespace() {
    let host = TestHost::new().unwrap();
    let (pod, result) = attached(&host);
    let tuning = ours(&host, "tuning", config(&host, &json!({ "mtu": 1400 })));
    let (_, message) = tuning.call("ADD", "w1", pod.path()).error();
    assert!(message.contains("prevResult"), "{message}");
    call_after(&tuning, "ADD", "w1", pod.path(), &result).ok();
    assert!(file(&host).is_some());
    tuning.call("DEL", "w1", Path::new("/nowhere")).ok();
    assert!(file(&host).is_none());
    tuning.call("DEL", "w1", pod.path()).ok();
    let outside =
        ours(&host, "tuning", config(&host, &json!({ "sysctl": { "kernel.panic": "1" } })));
    let (code, message) = call_after(&outside, "ADD", "w1", pod.path(), &result).error();
    assert!(code == 7 && message.contains("kernel.panic"), "{code} {message}");
}

#[test]
fn the_allow_list_of_a_node_binds_tuning() {
    let host = TestHost::new().unwrap();
    let (pod, result) = attached(&host);
    let list = host.folder().join("allowlist.conf");
    std::fs::write(&list, "net.ipv4.conf.IFNAME.arp_[a-z]+\n").unwrap();
    let request = |key: &str| {
        let mut config = config(&host, &json!({ "sysctl": { key: "1" } }));
        config["prevResult"] = result.clone();
        let attachment = Attachment {
            container_id: "w1".parse().unwrap(),
            interface: "eth0".parse().unwrap(),
            netns: Some(pod.path().to_owned()),
            args: CniArgs::default(),
        };
        let config = PluginConfig::from_value(config).unwrap();
        Request { verb: Verb::Add, attachment: Some(attachment), config }
    };
    host.run(async || {
        let host = Host::open(&host.runtime_dir()).unwrap();
        let exec = BuiltinExec::new(host).with_tuning(Tuning::with_allow_list(&list));
        let tuning = "tuning".parse().unwrap();
        exec.run(&tuning, &request("net.ipv4.conf.IFNAME.arp_filter")).await.unwrap();
        for key in ["net.ipv4.conf.all.arp_filter", "net.ipv4.conf.IFNAME.forwarding"] {
            let error = exec.run(&tuning, &request(key)).await.unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    })
    .unwrap();
    assert_eq!(sysctl_of(&pod, "net.ipv4.conf.eth0.arp_filter"), "1");
    assert_eq!(sysctl_of(&pod, "net.ipv4.conf.all.arp_filter"), "0");
}
