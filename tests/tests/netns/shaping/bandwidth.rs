//! The plugin `bandwidth` called as a runtime calls it, beside the Go program and in turn with it.

use std::path::Path;

use podnet_netutil::{Link, Netlink, RootQdisc};
use podnet_testkit::{Pod, TestHost};
use podnet_tests::Cni;
use podnet_tests::programs::{newest_peer, own};
use serde_json::{Value, json};

use crate::twins::for_interface;

/// What stands at the end of a result of our bridge: its host end, and then the pod's interface.
const HOST_END: usize = 1;

fn ours<'a>(host: &'a TestHost, plugin: &str, config: Value) -> Cni<'a> {
    let program = own("podnet-cni");
    let path = program.parent().unwrap().to_owned();
    Cni { host, program, arguments: vec![plugin.to_owned()], path, config }
}

fn theirs<'a>(host: &'a TestHost, test: &str, config: Value) -> Option<Cni<'a>> {
    let program = newest_peer("bandwidth", test)?;
    let path = program.parent().unwrap().to_owned();
    Some(Cni { host, program, arguments: Vec::new(), path, config })
}

/// The result of an ADD of the bridge plugin.
fn attach(host: &TestHost, pod: &Pod) -> Value {
    let config = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "br0", "isGateway": true,
        "ipam": { "type": "host-local", "subnet": "10.1.0.0/24", "dataDir": host.networks_dir() },
    });
    ours(host, "bridge", config).call("ADD", pod.name(), pod.path()).ok()
}

fn config(attached: &Value) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bandwidth", "prevResult": attached,
        "ingressRate": 2_000_000, "ingressBurst": 800_000,
        "runtimeConfig": { "bandwidth": { "ingressRate": 1, "ingressBurst": 1 } },
        "egressRate": 80_000_000_000_u64, "egressBurst": 2_147_483_647,
    })
}

fn links(host: &TestHost) -> Vec<Link> {
    host.run(async || Netlink::open().unwrap().links().await.unwrap()).unwrap()
}

fn ifbs(host: &TestHost) -> Vec<String> {
    let links = links(host).into_iter().filter(|link| link.kind == "ifb");
    links.map(|link| link.name).collect()
}

/// The rates in bytes a second of the host end and of the ifb to which it redirects.
fn rates(host: &TestHost, attached: &Value) -> (u64, Option<u64>) {
    host.run(async || {
        let netlink = Netlink::open().unwrap();
        let host_end = attached["interfaces"][HOST_END]["name"].as_str().unwrap();
        let host_end = netlink.require_link(host_end).await.unwrap();
        let rate = async |link: &Link| match netlink.root_qdisc(link).await.unwrap() {
            RootQdisc::TokenBucket(bucket) => bucket.bytes_per_second,
            other => panic!("{link} has {other:?}"),
        };
        let to_pod = rate(&host_end).await;
        let Some(ifb) = netlink.ingress_redirects(&host_end).await.unwrap().first().copied() else {
            return (to_pod, None);
        };
        let ifb = netlink.link_by_index(ifb).await.unwrap().unwrap();
        (to_pod, Some(rate(&ifb).await))
    })
    .unwrap()
}

fn with(config: &Value, key: &str, value: Value) -> Value {
    let mut config = config.clone();
    config[key] = value;
    config
}

#[test]
fn a_container_is_limited_checked_and_released() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let attached = attach(&host, &web);
    let config = config(&attached);
    let bandwidth = ours(&host, "bandwidth", config.clone());
    let result = bandwidth.call("ADD", "web", web.path()).ok();
    assert_eq!(rates(&host, &attached), (250_000, Some(10_000_000_000)));
    assert_eq!(result["interfaces"].as_array().unwrap().len(), 4);
    assert_eq!(result["interfaces"][3]["name"], ifbs(&host)[0]);
    web.ping("10.1.0.1".parse().unwrap()).unwrap();

    let check = |config: Value| ours(&host, "bandwidth", config).call("CHECK", "web", web.path());
    check(with(&config, "prevResult", result)).ok();
    let (_, message) = check(with(&config, "egressRate", json!(1_000_000))).error();
    assert!(message.contains("sends is limited to 80000000000 bits a second"), "{message}");
    host.run(async || {
        let netlink = Netlink::open().unwrap();
        let host_end = attached["interfaces"][HOST_END]["name"].as_str().unwrap();
        let host_end = netlink.require_link(host_end).await.unwrap();
        netlink.remove_ingress(&host_end).await.unwrap();
    })
    .unwrap();
    let (_, message) = check(config.clone()).error();
    assert!(message.contains("sends is not limited"), "{message}");

    bandwidth.call("ADD", "web", web.path()).ok();
    check(config.clone()).ok();
    let gone =
        json!({ "cniVersion": "1.0.0", "name": "net", "type": "bandwidth", "ingressRate": 1 });
    for _ in 0..2 {
        ours(&host, "bandwidth", gone.clone()).call("DEL", "web", Path::new("")).ok();
        assert!(ifbs(&host).is_empty());
    }
}

#[test]
fn another_interface_of_the_container_keeps_its_ifb() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let config = config(&attach(&host, &web));
    let bandwidth = ours(&host, "bandwidth", config);
    let first = bandwidth.call("ADD", "web", web.path()).ok()["interfaces"][3]["name"].clone();
    let first = first.as_str().unwrap().to_owned();
    assert!(first.starts_with("bwp"), "{first}");
    bandwidth.call("DEL", "web", web.path()).ok();
    host.run(async || {
        let netlink = Netlink::open().unwrap();
        let others = netlink.create_ifb(&first, 1500).await.unwrap();
        netlink.commit_ifb(&others, "podnet:net/web/net1").await.unwrap();
    })
    .unwrap();
    let result = bandwidth.call("ADD", "web", web.path()).ok();
    assert!(result["interfaces"][3]["name"].as_str().unwrap().starts_with("pifb"), "{result}");
    bandwidth.call("CHECK", "web", web.path()).ok();
    bandwidth.call("DEL", "web", web.path()).ok();
    assert_eq!(ifbs(&host), [first]);
}

#[test]
fn what_cannot_be_limited_is_refused_before_anything_is_touched() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let attached = attach(&host, &web);
    let before = links(&host);
    let config = config(&attached);
    let mut unchained = config.clone();
    unchained.as_object_mut().unwrap().remove("prevResult");
    let mut foreign = attached.clone();
    foreign["interfaces"].as_array_mut().unwrap().remove(HOST_END);
    for (config, reason) in [
        (unchained, "must be called as chained plugin"),
        (with(&config, "prevResult", foreign), "veth peer of eth0"),
        (with(&config, "egressBurst", json!(0)), "if rate is set, burst must also be set"),
        (with(&config, "egressRate", json!(0)), "if burst is set, rate must also be set"),
    ] {
        let refused = ours(&host, "bandwidth", config).call("ADD", "web", web.path()).error();
        assert!(refused.0 == 7 && refused.1.contains(reason), "{refused:?}");
    }
    assert_eq!(links(&host), before);
    let unlimited = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bandwidth", "prevResult": attached,
    });
    let passed_on = ours(&host, "bandwidth", unlimited).call("ADD", "web", web.path()).ok();
    assert_eq!(passed_on, attached);
    assert_eq!(links(&host), before);
}

#[test]
fn gc_deletes_the_ifbs_that_no_valid_attachment_has() {
    let host = TestHost::new().unwrap();
    let (web, gone) = (host.add_pod("web").unwrap(), host.add_pod("gone").unwrap());
    for pod in [&web, &gone] {
        let config = config(&attach(&host, pod));
        ours(&host, "bandwidth", config).call("ADD", pod.name(), pod.path()).ok();
    }
    let valid = json!([{ "containerID": "web", "ifname": "eth0" }]);
    let config = json!({ "cniVersion": "1.1.0", "name": "net", "type": "bandwidth" });
    let gc = |config: Value| ours(&host, "bandwidth", config).call("GC", "", Path::new(""));
    assert_eq!(gc(config.clone()).error().0, 7);
    assert_eq!(ifbs(&host).len(), 2);
    let elsewhere =
        with(&with(&config, "name", json!("other")), "cni.dev/valid-attachments", json!([]));
    gc(elsewhere).ok();
    assert_eq!(ifbs(&host).len(), 2);
    gc(with(&config, "cni.dev/valid-attachments", valid)).ok();
    assert_eq!(ifbs(&host).len(), 1);
    assert_eq!(links(&host).iter().filter(|link| link.kind == "veth").count(), 2);
    ours(&host, "bandwidth", config.clone()).call("STATUS", "", Path::new("")).ok();
    ours(&host, "bandwidth", config).call("DEL", "web", web.path()).ok();
    assert!(ifbs(&host).is_empty());
}

#[test]
fn the_go_program_and_ours_set_the_same_rates_and_report_the_same() {
    let test = "the_go_program_and_ours_set_the_same_rates_and_report_the_same";
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let attached = attach(&host, &web);
    let config = config(&attached);
    let ours = ours(&host, "bandwidth", config.clone());
    let Some(go) = theirs(&host, test, config.clone()) else { return };

    let made_by_go = go.call("ADD", "web", web.path()).ok();
    let rates_by_go = rates(&host, &attached);
    ours.call("CHECK", "web", web.path()).ok();
    ours.call("DEL", "web", web.path()).ok();
    assert!(ifbs(&host).is_empty());

    // The host end still has the Go program's bucket and its redirect to nowhere.
    let made_by_us = ours.call("ADD", "web", web.path()).ok();
    assert_eq!(rates(&host, &attached), rates_by_go);
    // An ifb's address is chance, and before 1.1.0 the Go programs print `dns` even when it is empty.
    let comparable = |mut result: Value| {
        result["interfaces"][3]["mac"].take();
        result["dns"].take();
        result
    };
    assert_eq!(comparable(made_by_us), comparable(made_by_go));
    go.call("CHECK", "web", web.path()).ok();
    go.call("DEL", "web", web.path()).ok();
    assert!(ifbs(&host).is_empty());
}

#[test]
fn either_program_checks_what_the_other_set() {
    const M: u64 = 1_000_000;
    let test = "either_program_checks_what_the_other_set";
    for direction in ["ingress", "egress"] {
        for (rate, burst) in [
            (100_000, 40_000),
            (M, 4 * M),
            (1_234_567, 987_654),
            (10 * M, 20_000),
            // The kubelet's burst, and containerd's.
            (M * 1_000, 2_147_483_647),
            (M * 1_000, 4_294_967_295),
            (M * 100_000, 10 * M),
        ] {
            let host = TestHost::new().unwrap();
            let web = host.add_pod("web").unwrap();
            let mut config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bandwidth" });
            config["prevResult"] = attach(&host, &web);
            config[format!("{direction}Rate")] = rate.into();
            config[format!("{direction}Burst")] = burst.into();
            let own = ours(&host, "bandwidth", config.clone());
            let Some(go) = theirs(&host, test, config) else { return };
            for (made_by, checked_by) in [(&own, &go), (&go, &own)] {
                made_by.call("ADD", "web", web.path()).ok();
                for cni in [made_by, checked_by] {
                    let checked = cni.call("CHECK", "web", web.path());
                    assert_eq!(checked.status, 0, "{direction} {rate} {burst}: {}", checked.output);
                }
                checked_by.call("DEL", "web", web.path()).ok();
                assert!(ifbs(&host).is_empty());
                clear(&host, &own.config["prevResult"]);
            }
        }
    }
}

/// Removes the limits that go with the host end, for which the Go program must find none.
fn clear(host: &TestHost, attached: &Value) {
    host.run(async || {
        let netlink = Netlink::open().unwrap();
        let host_end = attached["interfaces"][HOST_END]["name"].as_str().unwrap();
        let host_end = netlink.require_link(host_end).await.unwrap();
        netlink.remove_ingress(&host_end).await.unwrap();
        netlink.remove_root_qdisc(&host_end).await.unwrap();
    })
    .unwrap();
}

#[test]
fn a_second_interface_leaves_the_ifb_of_the_go_program_alone() {
    let test = "a_second_interface_leaves_the_ifb_of_the_go_program_alone";
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let attached = attach(&host, &web);
    let Some(go) = theirs(&host, test, config(&attached)) else { return };
    go.call("ADD", "web", web.path()).ok();
    let theirs = ifbs(&host);

    let bridge = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "br0" });
    let bridge = for_interface(&ours(&host, "bridge", bridge), "net1");
    let second = config(&bridge.call("ADD", "web", web.path()).ok());
    let second = for_interface(&ours(&host, "bandwidth", second), "net1");
    let result = second.call("ADD", "web", web.path()).ok();
    assert!(result["interfaces"][3]["name"].as_str().unwrap().starts_with("pifb"), "{result}");
    let first = ours(&host, "bandwidth", config(&attached));
    for bandwidth in [&first, &second] {
        bandwidth.call("CHECK", "web", web.path()).ok();
    }
    for _ in 0..2 {
        second.call("DEL", "web", Path::new("")).ok();
        assert_eq!(ifbs(&host), theirs);
    }
    first.call("CHECK", "web", web.path()).ok();
    web.ping("10.1.0.1".parse().unwrap()).unwrap();
    first.call("DEL", "web", Path::new("")).ok();
    assert!(ifbs(&host).is_empty());
}

#[test]
fn gc_deletes_the_ifbs_of_the_go_program_that_nothing_uses() {
    let test = "gc_deletes_the_ifbs_of_the_go_program_that_nothing_uses";
    let host = TestHost::new().unwrap();
    let (web, gone) = (host.add_pod("web").unwrap(), host.add_pod("gone").unwrap());
    for pod in [&web, &gone] {
        let Some(go) = theirs(&host, test, config(&attach(&host, pod))) else { return };
        go.call("ADD", pod.name(), pod.path()).ok();
    }
    let before = ifbs(&host);
    host.run(async || {
        let inside = Netlink::open_in(gone.netns()).unwrap();
        let eth0 = inside.require_link("eth0").await.unwrap();
        podnet_netutil::LinkDeleter::new(inside, None).delete(&eth0).await.unwrap();
    })
    .unwrap();
    assert_eq!(ifbs(&host), before);
    let gc = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "bandwidth", "cni.dev/valid-attachments": [],
    });
    ours(&host, "bandwidth", gc).call("GC", "", Path::new("")).ok();
    assert_eq!(ifbs(&host), before[..1]);
}
