//! What the specification asks of a plugin, held against our own programs: `podnet-cni`, with an IPAM program of the
//! tests behind it.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use podnet_netutil::{Netlink, Route};
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::own;
use serde_json::{Value, json};

const IPAM: &str = r#"#!/bin/sh
cd FOLDER
echo $CNI_COMMAND >> calls
env > $CNI_COMMAND.env
cat > $CNI_COMMAND.stdin
echo "ipam said on $CNI_COMMAND" >&2
if test -e $CNI_COMMAND.fails; then cat $CNI_COMMAND.fails; exit 1; fi
if test $CNI_COMMAND = ADD; then
    echo '{"cniVersion": "1.1.0", "ips": [{"address": "10.5.0.7/24", "gateway": "10.5.0.1"}]}'
fi
"#;

/// A host with a pod, and the folder of an IPAM program that notes how it is called.
struct Bed {
    // Before the host whose folder it is in.
    pod: Pod,
    host: TestHost,
    config: Value,
}

impl Bed {
    fn new() -> Self {
        let host = TestHost::new().unwrap();
        let pod = host.add_pod("web").unwrap();
        let program = host.folder().join("noting-ipam");
        fs::write(&program, IPAM.replace("FOLDER", host.folder().to_str().unwrap())).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let config = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0",
            "isGateway": true, "unknown": ["to", "bridge"],
            "ipam": { "type": "noting-ipam", "own": 1 },
        });
        Self { pod, host, config }
    }

    /// Calls `podnet-cni bridge` and waits for its end.
    fn call(&self, verb: &str, config: &Value) -> Output {
        let started = || {
            Command::new(own("podnet-cni"))
                .arg("bridge")
                .env("CNI_COMMAND", verb)
                .env("CNI_CONTAINERID", "w1")
                .env("CNI_NETNS", self.pod.path())
                .env("CNI_IFNAME", "eth0")
                .env("CNI_ARGS", "IgnoreUnknown=1;K=v")
                .env("CNI_PATH", self.host.folder())
                .env("OF_THE_RUNTIME", "kept")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let mut child = self.host.netns().run(started).unwrap();
        child.stdin.take().unwrap().write_all(config.to_string().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The result of an ADD that succeeds.
    fn add(&self) -> Value {
        let output = self.call("ADD", &self.config);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The code of a call that fails.
    fn code(&self, verb: &str, config: &Value) -> u64 {
        let output = self.call(verb, config);
        assert!(!output.status.success(), "{verb}");
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        error["code"].as_u64().unwrap()
    }

    fn let_ipam_fail(&self, verb: &str, code: u64) {
        let error = json!({ "cniVersion": "1.1.0", "code": code, "msg": "the delegate objects" });
        fs::write(self.noted(&format!("{verb}.fails")), error.to_string()).unwrap();
    }

    fn noted(&self, name: &str) -> PathBuf {
        self.host.folder().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.noted(name)).unwrap()
    }
}

#[test]
fn cni_a_delegate_gets_the_whole_call_and_has_the_plugins_stderr() {
    let bed = Bed::new();
    let output = bed.call("ADD", &bed.config);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "ipam said on ADD\n");
    assert_eq!(serde_json::from_str::<Value>(&bed.read("ADD.stdin")).unwrap(), bed.config);
    let environment = bed.read("ADD.env");
    let netns = bed.pod.path().display().to_string();
    let folder = bed.host.folder().display().to_string();
    for (name, value) in [
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "w1"),
        ("CNI_NETNS", &netns),
        ("CNI_IFNAME", "eth0"),
        ("CNI_ARGS", "IgnoreUnknown=1;K=v"),
        ("CNI_PATH", &folder),
        ("OF_THE_RUNTIME", "kept"),
    ] {
        assert!(environment.lines().any(|line| line == format!("{name}={value}")), "{environment}");
    }
}

#[test]
fn cni_after_a_failed_delegate_it_is_asked_to_delete_and_its_error_returned() {
    let bed = Bed::new();
    bed.let_ipam_fail("ADD", 107);
    assert_eq!(bed.code("ADD", &bed.config), 107);
    assert_eq!(bed.read("calls").lines().last(), Some("DEL"));
}

#[test]
fn cni_check_del_and_status_are_forwarded_and_a_delegates_error_returned() {
    let bed = Bed::new();
    let mut config = bed.config.clone();
    config["prevResult"] = bed.add();
    for (verb, code) in [("CHECK", 108), ("STATUS", 50), ("DEL", 109)] {
        bed.let_ipam_fail(verb, code);
        assert_eq!(bed.code(verb, &config), code);
        let stdin: Value = serde_json::from_str(&bed.read(&format!("{verb}.stdin"))).unwrap();
        assert_eq!(stdin, config, "{verb}");
    }
}

#[test]
fn cni_an_interface_that_exists_is_an_error_and_stays() {
    let bed = Bed::new();
    let result = bed.add();
    assert_eq!(result["interfaces"][2]["name"], "eth0");
    bed.code("ADD", &bed.config);
    let stays = async || bed.pod.link("eth0").await.unwrap().is_some();
    assert!(bed.host.run(stays).unwrap());
}

#[test]
fn cni_a_check_bears_what_a_later_plugin_changes() {
    let bed = Bed::new();
    let mut config = bed.config.clone();
    config["prevResult"] = bed.add();
    bed.host
        .run(async || {
            let inside = Netlink::open_in(bed.pod.netns()).unwrap();
            let eth0 = inside.require_link("eth0").await.unwrap();
            inside.add_address(&eth0, "10.5.0.8/24".parse().unwrap()).await.unwrap();
            inside.set_link_mtu(eth0.index, 1400).await.unwrap();
            let gateway = "10.5.0.1".parse().unwrap();
            let route = Route::new("192.0.2.0/24".parse().unwrap(), Some(gateway));
            inside.add_route(&eth0, &route).await.unwrap();
        })
        .unwrap();
    let output = bed.call("CHECK", &config);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn cni_an_ipam_result_has_no_interfaces() {
    let bed = Bed::new();
    let mut config = bed.config.clone();
    config["ipam"] = json!({
        "type": "host-local", "subnet": "10.5.0.0/24", "dataDir": bed.host.networks_dir(),
    });
    let program = own("podnet-cni");
    let path = bed.host.folder().to_owned();
    let arguments = vec!["host-local".to_owned()];
    let cni = podnet_tests::Cni { host: &bed.host, program, arguments, path, config };
    let result = cni.call("ADD", "w1", bed.pod.path()).ok();
    assert_eq!(result.get("interfaces"), None);
    assert_eq!(result["ips"][0]["address"], "10.5.0.2/24");
    assert_eq!(result["ips"][0].get("interface"), None);
}

#[test]
fn cni_a_plugin_that_changes_nothing_passes_the_result_on() {
    let bed = Bed::new();
    let given = json!({
        "cniVersion": "1.1.0", "dns": { "domain": "example.org" },
        "interfaces": [{ "name": "eth0", "sandbox": bed.pod.path() }],
        "ips": [{ "address": "10.5.0.9/24", "interface": 0 }],
    });
    let config = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "loopback", "prevResult": given,
    });
    let program = own("podnet-cni");
    let path = bed.host.folder().to_owned();
    let arguments = vec!["loopback".to_owned()];
    let cni = podnet_tests::Cni { host: &bed.host, program, arguments, path, config };
    assert_eq!(cni.call("ADD", "w1", bed.pod.path()).ok(), given);
}
