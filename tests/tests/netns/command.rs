//! The command `podnet` as a person or a script uses it, each call a process of its own.

use std::process::{Command, Output};

use podnet_netutil::Netlink;
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::own;
use serde_json::Value;

/// Runs `podnet ARGUMENTS` on the host, with its state in the host's own folder.
fn podnet(host: &TestHost, arguments: &[&str]) -> Output {
    let mut command = Command::new(own("podnet"));
    command.args(arguments).env_clear();
    host.netns().run(|| command.output()).unwrap().unwrap()
}

fn kubenet(host: &TestHost, arguments: &[&str]) -> Output {
    kubenet_with(host, "10.9.0.0/24", arguments)
}

fn kubenet_with(host: &TestHost, cidr: &str, arguments: &[&str]) -> Output {
    let state = host.folder().to_str().unwrap();
    let options = ["--network-plugin=kubenet", "--pod-cidr", cidr, "--state-dir", state];
    podnet(host, &[&options, arguments].concat())
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn failure(output: &Output) -> (i32, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!text.contains("os error") && !text.contains("panicked"), "{text}");
    assert!(output.stdout.is_empty(), "results only on stdout");
    (output.status.code().unwrap(), text)
}

fn set_up<'a>(pod: &'a Pod, name: &'a str, id: &'a str) -> Vec<&'a str> {
    vec!["--output", "json", "setup", name, "--id", id, "--netns", pod.path().to_str().unwrap()]
}

#[test]
fn a_pod_lives_through_four_processes() {
    let host = TestHost::new().unwrap();
    let _world = host.add_uplink(1450, "192.0.2.10/24".parse().unwrap()).unwrap();
    let pod = host.add_pod("a").unwrap();
    let netns = pod.path().to_str().unwrap();

    let status: Value =
        serde_json::from_str(&stdout(&kubenet(&host, &set_up(&pod, "default/a", "a1")))).unwrap();
    assert_eq!(status["apiVersion"], "v1beta1");
    assert_eq!(status["kind"], "PodNetworkStatus");
    assert_eq!(status["ip"], "10.9.0.2");
    let address = host.networks_dir().join("kubenet/10.9.0.2");
    assert_eq!(std::fs::read(&address).unwrap(), b"a1\r\neth0");

    let found = kubenet(
        &host,
        &["--output", "json", "status", "default/a", "--id", "a1", "--netns", netns],
    );
    let found: Value = serde_json::from_str(&stdout(&found)).unwrap();
    assert_eq!(found["ip"], "10.9.0.2");

    for _ in 0..2 {
        stdout(&kubenet(&host, &["teardown", "default/a", "--id", "a1", "--netns", netns]));
        assert!(!address.exists());
    }
    host.run(async || {
        let netlink = Netlink::open().unwrap();
        let bridge = netlink.require_link("cbr0").await.unwrap();
        assert_eq!(bridge.mtu, 1450);
        assert!(netlink.bridge_ports(bridge.index).await.unwrap().is_empty());
        assert!(pod.link("eth0").await.unwrap().is_none());
    })
    .unwrap();
}

#[test]
fn the_plugins_readiness_is_told() {
    let host = TestHost::new().unwrap();
    stdout(&kubenet(&host, &["status"]));
    stdout(&podnet(&host, &["status"]));
    let plugins = stdout(&podnet(&host, &["plugins"]));
    assert!(plugins.contains("kubenet") && plugins.contains("kubernetes.io/no-op"), "{plugins}");
}

#[test]
fn bad_options_are_refused_in_one_line_that_says_what_to_do() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("a").unwrap();
    let set_up = set_up(&pod, "default/a", "a1");
    let cases: [(&[&str], &str); 8] = [
        (&["--pod-cidr=10.9.0.0"], "10.9.0.0"),
        (&["--pod-cidr=10.9.0.0/31"], "too small"),
        (&["--pod-cidr=10.9.0.0/24", "--network-plugin-mtu=67"], "68"),
        (&["--pod-cidr=10.9.0.0/24", "--network-plugin-mtu=65536"], "65535"),
        (&["--pod-cidr=fd00::/64", "--network-plugin-mtu=1279"], "1280"),
        (&["--pod-cidr=10.9.0.0/24", "--configure-cbr0"], "--configure-cbr0"),
        (&["--pod-cidr=10.9.0.0/24", "--reconcile-cidr=false"], "--reconcile-cidr"),
        (&[], "--pod-cidr"),
    ];
    for (options, reason) in cases {
        let output = podnet(&host, &[&["--network-plugin=kubenet"], options, &set_up].concat());
        let (status, text) = failure(&output);
        assert_ne!(status, 0);
        assert!(text.contains(reason), "{options:?}: {text}");
    }
    assert_eq!(
        host.run(async || Netlink::open().unwrap().links().await.unwrap().len()).unwrap(),
        1
    );
}

#[test]
fn bad_pods_are_refused_and_leave_nothing() {
    let host = TestHost::new().unwrap();
    let file = host.folder().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["default/a", "--id", "a1", "--netns", "/nowhere"], "No such file or directory"),
        (&["default/a", "--id", "a1", "--netns", file], "it is not a network namespace"),
        (&["default/a", "--id", "../a1", "--netns", file], "../a1"),
        (&["Default/a", "--id", "a1", "--netns", file], "Default"),
        (&["a", "--id", "a1", "--netns", file], "NAMESPACE/POD"),
    ];
    for (arguments, reason) in cases {
        let (status, text) = failure(&kubenet(&host, &[&["setup"], arguments].concat()));
        assert_ne!(status, 0);
        assert!(text.contains(reason), "{arguments:?}: {text}");
    }
    let links = host.run(async || Netlink::open().unwrap().links().await.unwrap()).unwrap();
    assert!(links.iter().all(|link| link.name != "cbr0" && link.kind != "veth"), "{links:?}");
    assert!(!host.networks_dir().join("kubenet").exists());
}

#[test]
fn two_processes_that_set_up_one_pod_at_once_agree() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("a").unwrap();
    for _ in 0..5 {
        let addresses: Vec<_> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| stdout(&kubenet(&host, &set_up(&pod, "default/a", "a1")))))
                .collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        assert!(addresses.windows(2).all(|pair| pair[0] == pair[1]), "{addresses:?}");
        let netns = pod.path().to_str().unwrap();
        stdout(&kubenet(&host, &["teardown", "default/a", "--id", "a1", "--netns", netns]));
    }
}

#[test]
fn host_bits_of_a_pod_cidr_are_masked_and_said() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("a").unwrap();
    let output = kubenet_with(&host, "10.9.0.77/24", &set_up(&pod, "default/a", "a1"));
    assert!(stdout(&output).contains("10.9.0.2"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("10.9.0.77/24") && said.contains("10.9.0.0/24"), "{said}");
}

#[test]
fn drift_is_listed_named_and_mended_by_commands() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("a").unwrap();
    let arguments = set_up(&pod, "default/a", "a1");
    let with_port = [arguments.as_slice(), &["--port", "8080:80"]].concat();
    stdout(&kubenet(&host, &with_port));
    let pods = || -> Value {
        serde_json::from_str(&stdout(&kubenet(&host, &["--output", "json", "pods"]))).unwrap()
    };
    assert_eq!(pods()[0]["drift"], serde_json::json!([]));
    assert!(kubenet(&host, &["doctor"]).status.success());

    let nft = ["delete", "table", "inet", "podnet"];
    host.netns().run(|| Command::new("nft").args(nft).status()).unwrap().unwrap();
    let drift = pods()[0]["drift"].to_string();
    assert!(drift.contains("host port 8080 does not lead to 10.9.0.2"), "{drift}");
    let doctor = kubenet(&host, &["doctor"]);
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!(doctor.status.code(), Some(1), "{said}");
    assert!(said.contains("default/a") && said.contains("`podnet gc` mends it"), "{said}");
    stdout(&kubenet(&host, &["gc"]));
    assert_eq!(pods()[0]["drift"], serde_json::json!([]));
    assert!(kubenet(&host, &["doctor"]).status.success());
}

#[test]
fn the_demonstration_proves_that_nothing_is_left() {
    let host = TestHost::new().unwrap();
    let output = podnet(&host, &["--output", "json", "demo", "--pods", "3"]);
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["left_behind"], serde_json::json!([]));
    assert_eq!(report["topology"]["bridge"]["mtu"], 1450);
    assert_eq!(report["topology"]["pods"].as_array().unwrap().len(), 3);
    assert_eq!(report["probes"].as_array().unwrap().len(), 4);
    let text = stdout(&podnet(&host, &["demo"]));
    assert!(text.contains("default/web") && text.contains("nothing is left"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour in a pipe");
}
