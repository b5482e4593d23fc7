//! `host-local` beside the Go program: what each option gives, and what is refused.

use podnet_testkit::{Pod, TestHost};
use podnet_tests::Outcome;
use serde_json::{Value, json};

use super::twins::{call_after, go, ours, without_empty_dns};

/// The plugin's options as a configuration of the version, on a host's own store.
fn config(host: &TestHost, version: &str, ipam: &Value) -> Value {
    let mut ipam = ipam.clone();
    ipam["type"] = json!("host-local");
    ipam["dataDir"] = json!(host.networks_dir());
    json!({ "cniVersion": version, "name": "net", "type": "bridge", "ipam": ipam })
}

fn good() -> Vec<(&'static str, Value)> {
    vec![
        ("1.0.0", json!({ "subnet": "10.1.0.0/24" })),
        ("0.2.0", json!({ "subnet": "10.1.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }] })),
        ("1.0.0", json!({ "subnet": "10.1.0.0/30" })),
        ("1.0.0", json!({ "subnet": "fd00:1::/126" })),
        ("1.0.0", json!({ "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.20" })),
        (
            "1.0.0",
            json!({ "subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.9", "gateway": "10.1.0.2" }),
        ),
        ("1.0.0", json!({ "subnet": "10.1.0.0/24", "gateway": "192.0.2.1" })),
        (
            "1.0.0",
            json!({ "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.1", "rangeEnd": "10.1.0.2" }),
        ),
        (
            "1.0.0",
            json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]] }),
        ),
        (
            "0.2.0",
            json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]] }),
        ),
        ("1.0.0", json!({ "subnet": "10.2.0.0/24", "ranges": [[{ "subnet": "10.1.0.0/24" }]] })),
        (
            "1.0.0",
            json!({ "ranges": [[
                { "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.254" },
                { "subnet": "10.3.0.0/24" },
            ]] }),
        ),
        (
            "1.0.0",
            json!({
                "subnet": "10.1.0.0/24",
                "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "192.0.2.0/24", "gw": "10.1.0.9" }],
            }),
        ),
    ]
}

fn bad() -> Vec<(&'static str, Value)> {
    vec![
        ("1.0.0", json!({})),
        ("1.0.0", json!({ "ranges": [] })),
        ("1.0.0", json!({ "ranges": [[]] })),
        ("1.0.0", json!({ "ranges": [[{}]] })),
        ("1.0.0", json!({ "subnet": "10.1.0.0/31" })),
        ("1.0.0", json!({ "subnet": "fd00:1::/127" })),
        ("1.0.0", json!({ "subnet": "10.1.0.5/24" })),
        ("1.0.0", json!({ "subnet": "10.1.0.0" })),
        ("1.0.0", json!({ "subnet": "10.1.0.0/33" })),
        ("1.0.0", json!({ "subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1" })),
        ("1.0.0", json!({ "subnet": "10.1.0.0/24", "rangeEnd": "10.2.0.1" })),
        (
            "1.0.0",
            json!({ "subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.5", "rangeStart": "10.1.0.6" }),
        ),
        ("1.0.0", json!({ "subnet": "10.1.0.0/24", "gateway": "x" })),
        ("1.0.0", json!({ "subnet": "10.1.0.0/24", "resolvConf": "/nowhere" })),
        (
            "1.0.0",
            json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }, { "subnet": "fd00:1::/64" }]] }),
        ),
        (
            "1.0.0",
            json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }, { "subnet": "10.1.0.0/25" }]] }),
        ),
        (
            "1.0.0",
            json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "10.1.0.0/16" }]] }),
        ),
        (
            "0.2.0",
            json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "10.2.0.0/24" }]] }),
        ),
    ]
}

/// A host for each, with a pod.
struct Twins {
    hosts: [TestHost; 2],
    pods: [Pod; 2],
}

impl Twins {
    fn new() -> Self {
        let hosts = [TestHost::new().unwrap(), TestHost::new().unwrap()];
        let pods = [hosts[0].add_pod("web").unwrap(), hosts[1].add_pod("web").unwrap()];
        Self { hosts, pods }
    }

    /// The Go program's outcome and ours for one container more.
    fn add(
        &self,
        version: &str,
        ipam: &Value,
        more: &Value,
        id: &str,
        test: &str,
    ) -> Option<[Outcome; 2]> {
        let mut configs = [0, 1].map(|which| config(&self.hosts[which], version, ipam));
        for config in &mut configs {
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        let [theirs, own] = configs;
        let theirs = go(&self.hosts[0], "host-local", theirs, test)?;
        let own = ours(&self.hosts[1], "host-local", own);
        Some([
            theirs.call("ADD", id, self.pods[0].path()),
            own.call("ADD", id, self.pods[1].path()),
        ])
    }
}

#[test]
fn host_local_gives_what_the_go_program_gives() {
    let test = "host_local_gives_what_the_go_program_gives";
    for (version, ipam) in good() {
        let twins = Twins::new();
        for id in ["w1", "w2", "w3"] {
            let Some([theirs, own]) = twins.add(version, &ipam, &json!({}), id, test) else {
                return;
            };
            assert_eq!(own.status, theirs.status, "{ipam} {id}: {} {}", theirs.output, own.output);
            if theirs.status == 0 {
                let own = without_empty_dns(own.output);
                assert_eq!(own, without_empty_dns(theirs.output), "{ipam} {id}");
            }
        }
    }
}

#[test]
fn host_local_gives_addresses_that_were_asked_for_as_go_does() {
    let test = "host_local_gives_addresses_that_were_asked_for_as_go_does";
    let ipam = json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]] });
    for more in [
        json!({ "runtimeConfig": { "ips": ["10.1.0.77"] } }),
        json!({ "runtimeConfig": { "ips": ["10.1.0.77/16", "fd00:1::77"] } }),
        json!({ "args": { "cni": { "ips": ["10.1.0.78"] } } }),
        json!({ "runtimeConfig": { "ips": ["10.1.0.1"] } }),
        json!({ "runtimeConfig": { "ips": ["10.9.0.1"] } }),
        json!({ "runtimeConfig": { "ips": ["10.1.0.78", "10.1.0.79"] } }),
        json!({ "runtimeConfig": { "ips": ["x"] } }),
        json!({ "runtimeConfig": { "ipRanges": [[{ "subnet": "10.7.0.0/24" }]] } }),
        json!({ "runtimeConfig": { "ipRanges": [[{ "subnet": "10.1.0.0/25" }]] } }),
    ] {
        let twins = Twins::new();
        for id in ["w1", "w2"] {
            let Some([theirs, own]) = twins.add("1.0.0", &ipam, &more, id, test) else { return };
            assert_eq!(own.status, theirs.status, "{more} {id}: {} {}", theirs.output, own.output);
            if theirs.status == 0 {
                let own = without_empty_dns(own.output);
                assert_eq!(own, without_empty_dns(theirs.output), "{more} {id}");
            }
        }
    }
}

#[test]
fn host_local_refuses_what_the_go_program_refuses() {
    let test = "host_local_refuses_what_the_go_program_refuses";
    for (version, ipam) in bad() {
        let Some([theirs, own]) = Twins::new().add(version, &ipam, &json!({}), "w1", test) else {
            return;
        };
        assert_ne!(theirs.status, 0, "{ipam}: {}", theirs.output);
        assert_ne!(own.status, 0, "{ipam}: {}", own.output);
    }
}

#[test]
fn host_local_checks_and_releases_as_the_go_program_does() {
    let test = "host_local_checks_and_releases_as_the_go_program_does";
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    let config = config(&host, "1.0.0", &json!({ "subnet": "10.1.0.0/24" }));
    let Some(theirs) = go(&host, "host-local", config.clone(), test) else { return };
    let own = ours(&host, "host-local", config);
    let result = own.call("ADD", "w1", pod.path()).ok();
    for program in [&theirs, &own] {
        call_after(program, "CHECK", "w1", pod.path(), &result).ok();
        let _ = call_after(program, "CHECK", "w2", pod.path(), &result).error();
        let (_, message) = program.call("ADD", "w1", pod.path()).error();
        assert!(message.contains("duplicate allocation"), "{message}");
        program.call("DEL", "w2", pod.path()).ok();
    }
    own.call("DEL", "w1", pod.path()).ok();
    for program in [&theirs, &own] {
        let _ = call_after(program, "CHECK", "w1", pod.path(), &result).error();
        program.call("DEL", "w1", pod.path()).ok();
    }
}
