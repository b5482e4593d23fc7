//! `loopback` beside the Go program.

use std::path::Path;

use podnet_netutil::Netlink;
use podnet_testkit::{Pod, TestHost};
use serde_json::{Value, json};

use super::twins::{call_after, go, is_recent, ours, without_empty_dns};

fn config(version: &str) -> Value {
    json!({ "cniVersion": version, "name": "lo", "type": "loopback" })
}

fn add_to_lo(host: &TestHost, pod: &Pod, address: &str) {
    host.run(async || {
        let netlink = Netlink::open_in(pod.netns()).unwrap();
        let lo = netlink.require_link("lo").await.unwrap();
        netlink.add_address(&lo, address.parse().unwrap()).await.unwrap();
    })
    .unwrap();
}

/// What both say, where the sandbox is the one pod that both are called for.
#[test]
fn loopback_tells_what_the_go_program_tells() {
    let test = "loopback_tells_what_the_go_program_tells";
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    for more in [None, Some("127.0.0.2/32")] {
        if let Some(address) = more {
            add_to_lo(&host, &pod, address);
        }
        // For older versions the Go program writes a result of 1.0.0 all the same.
        for version in ["1.0.0", "1.1.0"] {
            let Some(theirs) = go(&host, "loopback", config(version), test) else { return };
            if version == "1.1.0" && !is_recent(&theirs) {
                continue;
            }
            let own = ours(&host, "loopback", config(version));
            let expected = without_empty_dns(theirs.call("ADD", "w1", pod.path()).ok());
            assert_eq!(own.call("ADD", "w1", pod.path()).ok(), expected);
            own.call("CHECK", "w1", pod.path()).ok();
            theirs.call("DEL", "w1", pod.path()).ok();
            let _ = own.call("CHECK", "w1", pod.path()).error();
            let previous = json!({ "cniVersion": version, "ips": [{ "address": "10.1.0.2/24" }] });
            let expected = call_after(&theirs, "ADD", "w1", pod.path(), &previous).ok();
            let passed_on = call_after(&own, "ADD", "w1", pod.path(), &previous).ok();
            assert_eq!(passed_on, without_empty_dns(expected), "{version}");
            own.call("DEL", "w1", pod.path()).ok();
            let _ = theirs.call("CHECK", "w1", pod.path()).error();
        }
    }
    ours(&host, "loopback", config("1.0.0")).call("DEL", "w1", Path::new("")).ok();
}

#[test]
fn a_loopback_with_an_address_of_others_is_refused_as_by_go() {
    let test = "a_loopback_with_an_address_of_others_is_refused_as_by_go";
    let host = TestHost::new().unwrap();
    for address in ["10.1.0.2/24", "fd00::2/64"] {
        let pod = host.add_pod("web").unwrap();
        add_to_lo(&host, &pod, address);
        let own = ours(&host, "loopback", config("1.0.0"));
        let (_, message) = own.call("ADD", "w1", pod.path()).error();
        assert!(message.contains(address.split('/').next().unwrap()), "{message}");
        let Some(theirs) = go(&host, "loopback", config("1.0.0"), test) else { return };
        let _ = theirs.call("ADD", "w1", pod.path()).error();
    }
}
