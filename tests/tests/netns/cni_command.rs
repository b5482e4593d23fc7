//! `podnet cni` as a person or a script uses it, each call a process of its own: with Debian's Go programs, and with
//! nothing installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use podnet_netutil::Netlink;
use podnet_testkit::{Behaviour, FakePlugins, Pod, TestHost};
use podnet_tests::programs::{own, peer};
use serde_json::{Value, json};

/// A node with a configuration folder, and programs in these folders.
struct Node {
    host: TestHost,
    bin_dirs: Vec<PathBuf>,
    plugins: &'static str,
}

impl Node {
    fn new(bin_dirs: Vec<PathBuf>, plugins: &'static str) -> Self {
        let host = TestHost::new().unwrap();
        std::fs::create_dir(host.folder().join("conf")).unwrap();
        Self { host, bin_dirs, plugins }
    }

    /// Nothing installed: what is not built in cannot be had.
    fn bare() -> Self {
        Self::new(vec!["/nowhere".into()], "builtin")
    }

    /// Debian's Go programs, unless they are missing.
    fn with_peers(test: &str) -> Option<Self> {
        let folder = peer("bridge", test)?.parent()?.to_owned();
        Some(Self::new(vec![folder], "installed"))
    }

    fn conf_dir(&self) -> PathBuf {
        self.host.folder().join("conf")
    }

    /// The network `pods`: a bridge, and these plugins after it.
    fn configure(&self, others: &[Value]) {
        let bridge = json!({
            "type": "bridge", "bridge": "br0", "isGateway": true,
            "ipam": {
                "type": "host-local", "subnet": "10.1.0.0/24", "dataDir": self.host.networks_dir(),
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        });
        let plugins = [&[bridge], others].concat();
        let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": plugins });
        std::fs::write(self.conf_dir().join("10-pods.conflist"), list.to_string()).unwrap();
    }

    fn command(&self, line: &str, more: &[&str]) -> Command {
        let mut command = Command::new(own("podnet"));
        command.env_clear().arg("cni").args(line.split_whitespace()).args(more);
        command.arg("--state-dir").arg(self.host.folder()).arg("--cni-plugins").arg(self.plugins);
        command
    }

    fn execute(&self, command: &mut Command) -> Output {
        self.host.netns().run(|| command.output()).unwrap().unwrap()
    }

    fn run(&self, line: &str, more: &[&str]) -> Output {
        let mut command = self.command(line, more);
        command.arg("--cni-conf-dir").arg(self.conf_dir());
        command.arg("--cni-bin-dir").arg(std::env::join_paths(&self.bin_dirs).unwrap());
        self.execute(&mut command)
    }

    /// What a call printed that must have succeeded.
    fn ok(&self, line: &str, more: &[&str]) -> String {
        let output = self.run(line, more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, line: &str, more: &[&str]) -> Value {
        serde_json::from_str(&self.ok(line, &[&["--output", "json"], more].concat())).unwrap()
    }

    /// What a call said on stderr that must have failed.
    fn failure(&self, line: &str, more: &[&str]) -> String {
        let output = self.run(line, more);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(output.stdout.is_empty(), "results only on stdout");
        assert!(!said.contains("os error") && !said.contains("panicked"), "{said}");
        said
    }

    fn has_eth0(&self, pod: &Pod) -> bool {
        self.host.run(async || pod.link("eth0").await.unwrap().is_some()).unwrap()
    }

    fn bridge_ports(&self) -> usize {
        let ports = self.host.run(async || {
            let netlink = Netlink::open().unwrap();
            let bridge = netlink.require_link("br0").await.unwrap();
            netlink.bridge_ports(bridge.index).await.unwrap().len()
        });
        ports.unwrap()
    }

    fn reserved(&self, address: &str) -> bool {
        self.host.networks_dir().join("pods").join(address).exists()
    }
}

fn at(netns: &Path) -> [&str; 2] {
    ["--netns", netns.to_str().unwrap()]
}

/// From nothing to nothing, with every operation in between.
fn live_through(node: &Node) {
    let pod = node.host.add_pod("web").unwrap();
    let netns = at(pod.path());
    assert_eq!(node.ok("status", &[]), "pods: ready\n");

    let table = node.ok("add pods --id web", &netns);
    let lines: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..2], ["INTERFACE", "MAC"]);
    assert_eq!((lines[1][0], lines[3][0]), ("br0", "eth0"));
    assert_eq!(lines[3].last(), Some(&pod.path().to_str().unwrap()));
    assert!(lines.contains(&vec!["10.1.0.2/24", "eth0", "10.1.0.1"]), "{table}");
    assert!(lines.iter().any(|line| line.first() == Some(&"0.0.0.0/0")), "{table}");
    pod.ping("10.1.0.1".parse().unwrap()).unwrap();

    assert_eq!(node.ok("check pods --id web", &netns), "");
    assert_eq!(node.ok("check pods --id web", &[]), "", "the cache knows the namespace");
    let attachments = node.json("list", &[])["attachments"].clone();
    assert_eq!(
        attachments,
        json!([{
            "network": "pods", "containerID": "web", "ifname": "eth0", "netns": pod.path(),
            "addresses": ["10.1.0.2/24"], "finished": true,
        }])
    );

    for _ in 0..2 {
        assert_eq!(node.ok("del pods --id web", &netns), "");
        assert!(!node.has_eth0(&pod) && !node.reserved("10.1.0.2"));
    }
    assert_eq!(node.json("list", &[])["attachments"], json!([]));
}

#[test]
fn an_attachment_lives_through_its_operations_with_the_go_programs() {
    let test = "an_attachment_lives_through_its_operations_with_the_go_programs";
    let Some(node) = Node::with_peers(test) else { return };
    node.configure(&[json!({ "type": "tuning", "mtu": 1400 })]);
    live_through(&node);
    let versions = node.ok("version", &[]);
    assert!(versions.contains("/bridge\n") && versions.contains("host-local"), "{versions}");
}

#[test]
fn an_attachment_lives_through_its_operations_with_nothing_installed() {
    let node = Node::bare();
    node.configure(&[]);
    live_through(&node);
    let versions = node.ok("version", &[]);
    assert_eq!(versions.matches("built in").count(), 2, "{versions}");
}

#[test]
fn json_is_the_result_of_the_networks_version() {
    let node = Node::bare();
    let pod = node.host.add_pod("web").unwrap();
    for (version, key) in [("0.2.0", "ip4"), ("0.4.0", "ips"), ("1.0.0", "ips")] {
        let config = json!({
            "cniVersion": version, "name": "single", "type": "bridge", "bridge": "br0", "isGateway": true,
            "ipam": { "type": "host-local", "subnet": "10.1.0.0/24", "dataDir": node.host.networks_dir() },
        });
        let file = node.host.folder().join("single.conf");
        std::fs::write(&file, config.to_string()).unwrap();
        let file = file.to_str().unwrap();
        let result = node.json("add --id web", &[&[file][..], &at(pod.path())].concat());
        assert_eq!(result["cniVersion"], version);
        assert!(result.get(key).is_some(), "{result}");
        node.ok("del --id web", &[&[file][..], &at(pod.path())].concat());
    }
}

#[test]
fn what_is_not_kept_is_collected_and_a_missing_list_keeps_all() {
    let node = Node::bare();
    node.configure(&[]);
    let pods = ["a", "b", "c"].map(|name| node.host.add_pod(name).unwrap());
    for (pod, id) in pods.iter().zip(["a", "b", "c"]) {
        node.ok("add pods --id", &[&[id][..], &at(pod.path())].concat());
    }
    assert_eq!(node.run("gc pods", &[]).status.code(), Some(2));
    assert_eq!(node.bridge_ports(), 3);

    let collected = node.json("gc pods --keep a --keep b/eth0 --keep unheard-of", &[]);
    let attachment = |id: &str| json!({ "containerID": id, "ifname": "eth0" });
    assert_eq!(collected["removed"], json!([attachment("c")]));
    assert_eq!(collected["kept"], json!([attachment("a"), attachment("b")]));
    assert_eq!(node.bridge_ports(), 2);
    assert!(node.reserved("10.1.0.2") && !node.reserved("10.1.0.4"));

    let text = node.ok("gc pods --keep b/net1", &[]);
    assert_eq!(text, "pods: 2 removed, 0 kept\nremoved a/eth0\nremoved b/eth0\n");
    assert_eq!(node.bridge_ports(), 0);
}

#[test]
fn a_chain_that_fails_names_the_plugin_says_its_stderr_and_is_undone() {
    let mut node = Node::bare();
    let fakes = FakePlugins::new().unwrap();
    let error = r#"{"cniVersion": "1.0.0", "code": 101, "msg": "no luck", "details": "today"}"#;
    let unlucky = Behaviour::Fail(error.to_owned(), "tried\nhard\n".to_owned(), 1);
    fakes.install("unlucky", &[("ADD", unlucky)]).unwrap();
    node.bin_dirs = vec![fakes.folder().to_owned()];
    node.configure(&[json!({ "type": "unlucky" }), json!({ "type": "never-reached" })]);
    fakes.install("never-reached", &[]).unwrap();
    let pod = node.host.add_pod("web").unwrap();

    let said = node.failure("add pods --id web", &at(pod.path()));
    let expected = "podnet: network pods (plugin 2 of 3): plugin unlucky: ADD of container web: no luck: today (code 101)\n\
                    podnet: stderr of unlucky (plugin 2 of 3):\npodnet:   tried\npodnet:   hard\n";
    assert_eq!(said, expected);
    assert!(!node.has_eth0(&pod) && !node.reserved("10.1.0.2"));
    assert_eq!(node.json("list", &[])["attachments"], json!([]));
}

#[test]
fn a_second_add_is_refused_and_takes_nothing_away() {
    let node = Node::bare();
    node.configure(&[]);
    let pod = node.host.add_pod("web").unwrap();
    node.ok("add pods --id web", &at(pod.path()));
    let said = node.failure("add pods --id web", &at(pod.path()));
    assert!(said.contains("plugin 1 of 1") && said.contains("attached before"), "{said}");
    assert!(node.has_eth0(&pod));
    node.ok("check pods --id web", &[]);
}

#[test]
fn check_says_which_plugin_misses_what() {
    let node = Node::bare();
    node.configure(&[]);
    let pod = node.host.add_pod("web").unwrap();
    node.ok("add pods --id web", &at(pod.path()));
    std::fs::remove_file(node.host.networks_dir().join("pods/10.1.0.2")).unwrap();
    let said = node.failure("check pods --id web", &[]);
    assert!(
        said.starts_with("podnet: network pods (plugin 1 of 1): plugin bridge: CHECK"),
        "{said}"
    );
}

#[test]
fn what_is_cached_is_detached_without_configuration_and_namespace() {
    let node = Node::bare();
    node.configure(&[]);
    let pod = node.host.add_pod("web").unwrap();
    node.ok("add pods --id web", &at(pod.path()));
    std::fs::remove_file(node.conf_dir().join("10-pods.conflist")).unwrap();
    drop(pod);

    let output = node.run("del pods --id web", &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("detaching with the configuration in the cache"), "{said}");
    assert!(!node.reserved("10.1.0.2") && node.bridge_ports() == 0);
    let said = node.failure("del pods --id web", &[]);
    assert!(said.contains("no network \"pods\""), "{said}");
}

#[test]
fn cnitools_variables_do_what_its_users_expect() {
    let test = "cnitools_variables_do_what_its_users_expect";
    let Some(node) = Node::with_peers(test) else { return };
    node.configure(&[]);
    let pod = node.host.add_pod("web").unwrap();
    let netns = at(pod.path());
    let call = |line: &str| {
        let mut command = node.command(line, &netns);
        command.env("NETCONFPATH", node.conf_dir()).env("CNI_PATH", &node.bin_dirs[0]);
        command.env("CNI_IFNAME", "net1").env("CNI_ARGS", "IgnoreUnknown=1;COLOUR=blue");
        let output = node.execute(&mut command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    call("add pods");
    let attachment = node.json("list", &[])["attachments"][0].clone();
    assert_eq!(attachment["ifname"], "net1");
    let id = attachment["containerID"].as_str().unwrap();
    assert!(id.strip_prefix("cnitool-").is_some_and(|digest| digest.len() == 20), "{id}");
    let cached = node.host.folder().join(format!("results/pods-{id}-net1"));
    let cached: Value = serde_json::from_slice(&std::fs::read(cached).unwrap()).unwrap();
    assert_eq!(cached["cniArgs"][1], json!(["COLOUR", "blue"]));
    call("check pods");
    call("del pods");
    assert_eq!(node.json("list", &[])["attachments"], json!([]));
}
