//! `ptp` beside the Go program: results, addresses, routes, and traffic.

use std::path::Path;

use podnet_netutil::{Netlink, sysctl};
use podnet_testkit::{Pod, TestHost};
use podnet_tests::Cni;
use serde_json::{Value, json};

use super::twins::{addresses_and_routes, call_after, comparable, go, is_recent, ours};

const V4: [&str; 1] = ["10.1.0.0/24"];
const BOTH: [&str; 2] = ["10.1.0.0/24", "fd00:1::/64"];

fn config(host: &TestHost, version: &str, subnets: &[&str]) -> Value {
    let ranges: Vec<_> = subnets.iter().map(|subnet| json!([{ "subnet": subnet }])).collect();
    let routes = if subnets.len() > 1 {
        json!([{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }])
    } else {
        json!([{ "dst": "0.0.0.0/0" }])
    };
    json!({
        "cniVersion": version, "name": "net", "type": "ptp", "mtu": 1400,
        "ipam": {
            "type": "host-local", "ranges": ranges, "routes": routes,
            "dataDir": host.networks_dir(),
        },
    })
}

fn host_ends(host: &TestHost) -> usize {
    let links = host.run(async || Netlink::open().unwrap().links().await.unwrap()).unwrap();
    links.iter().filter(|link| link.name.starts_with("veth")).count()
}

fn reserved(host: &TestHost) -> usize {
    let files = std::fs::read_dir(host.networks_dir().join("net")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "lock" && !name.starts_with("last_")).count()
}

#[test]
fn ptp_builds_what_the_go_program_builds() {
    let test = "ptp_builds_what_the_go_program_builds";
    for (version, subnets) in
        [("0.2.0", &V4[..]), ("0.4.0", &V4), ("1.0.0", &V4), ("1.0.0", &BOTH), ("1.1.0", &BOTH)]
    {
        let (one, other) = (TestHost::new().unwrap(), TestHost::new().unwrap());
        let (theirs, own) = (one.add_pod("web").unwrap(), other.add_pod("web").unwrap());
        let Some(go) = go(&one, "ptp", config(&one, version, subnets), test) else { return };
        if version == "1.1.0" && !is_recent(&go) {
            continue;
        }
        let ours = ours(&other, "ptp", config(&other, version, subnets));
        let expected = comparable(go.call("ADD", "w1", theirs.path()).ok(), &theirs);
        assert_eq!(comparable(ours.call("ADD", "w1", own.path()).ok(), &own), expected);
        for (one, other) in [(theirs.netns(), own.netns()), (one.netns(), other.netns())] {
            assert_eq!(addresses_and_routes(other), addresses_and_routes(one));
        }
        let mtu = other.run(async || own.link("eth0").await.unwrap().unwrap().mtu).unwrap();
        assert_eq!(mtu, 1400);
    }
}

fn pods_reach_each_other(host: &TestHost, web: &Pod, db: &Pod) {
    for target in ["10.1.0.1", "10.1.0.3", "fd00:1::1", "fd00:1::3"] {
        web.ping(target.parse().unwrap()).unwrap_or_else(|error| panic!("{target}: {error}"));
    }
    for target in ["10.1.0.2", "fd00:1::2"] {
        db.ping(target.parse().unwrap()).unwrap_or_else(|error| panic!("{target}: {error}"));
    }
    let forwarded = host.netns().run(|| sysctl::read("net/ipv6/conf/all/forwarding")).unwrap();
    assert_eq!(forwarded.unwrap(), "1");
}

#[test]
fn pods_without_a_bridge_reach_the_host_and_each_other() {
    let host = TestHost::new().unwrap();
    let (web, db) = (host.add_pod("web").unwrap(), host.add_pod("db").unwrap());
    let ptp = ours(&host, "ptp", config(&host, "1.1.0", &BOTH));
    ptp.call("STATUS", "w1", web.path()).ok();
    let result = ptp.call("ADD", "w1", web.path()).ok();
    ptp.call("ADD", "d1", db.path()).ok();
    assert_eq!(result["interfaces"][1]["mtu"], 1400);
    pods_reach_each_other(&host, &web, &db);
    call_after(&ptp, "CHECK", "w1", web.path(), &result).ok();
    let (code, message) = ptp.call("ADD", "w1", web.path()).error();
    assert!(message.contains("attached already"), "{code} {message}");

    ptp.call("DEL", "w1", web.path()).ok();
    ptp.call("DEL", "w1", web.path()).ok();
    assert_eq!((host_ends(&host), reserved(&host)), (1, 2));
    let _ = call_after(&ptp, "CHECK", "w1", web.path(), &result).error();
    ptp.call("DEL", "d1", Path::new("/nowhere")).ok();
    assert_eq!((host_ends(&host), reserved(&host)), (0, 0));
}

#[test]
fn gc_removes_pods_that_are_no_longer_valid() {
    let host = TestHost::new().unwrap();
    let (web, db) = (host.add_pod("web").unwrap(), host.add_pod("db").unwrap());
    let mut ptp = ours(&host, "ptp", config(&host, "1.1.0", &V4));
    ptp.call("ADD", "w1", web.path()).ok();
    ptp.call("ADD", "d1", db.path()).ok();
    ptp.config["cni.dev/valid-attachments"] = json!([{ "containerID": "d1", "ifname": "eth0" }]);
    ptp.call("GC", "", Path::new("")).ok();
    assert_eq!((host_ends(&host), reserved(&host)), (1, 1));
    db.ping("10.1.0.1".parse().unwrap()).unwrap();
}

#[test]
fn a_failed_add_leaves_nothing() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let mut ptp = ours(&host, "ptp", config(&host, "1.0.0", &V4));
    ptp.config["ipam"]["routes"] = json!([{ "dst": "192.0.2.0/24", "gw": "198.51.100.1" }]);
    let (_, message) = ptp.call("ADD", "w1", web.path()).error();
    assert!(message.contains("route 192.0.2.0/24"), "{message}");
    assert_eq!((host_ends(&host), reserved(&host)), (0, 0));
}

fn live_through(made_by: &Cni<'_>, ended_by: &Cni<'_>, pod: &Pod) {
    let result = made_by.call("ADD", "w1", pod.path()).ok();
    call_after(ended_by, "CHECK", "w1", pod.path(), &result).ok();
    call_after(ended_by, "DEL", "w1", pod.path(), &result).ok();
    assert_eq!((host_ends(made_by.host), reserved(made_by.host)), (0, 0));
}

#[test]
fn what_one_ptp_made_the_other_checks_and_removes() {
    let test = "what_one_ptp_made_the_other_checks_and_removes";
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    for subnets in [&V4[..], &BOTH] {
        let config = config(&host, "1.0.0", subnets);
        let Some(theirs) = go(&host, "ptp", config.clone(), test) else { return };
        let own = ours(&host, "ptp", config);
        live_through(&theirs, &own, &pod);
        live_through(&own, &theirs, &pod);
    }
}
