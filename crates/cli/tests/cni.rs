//! `podnet cni` as far as it needs no network namespace: what it refuses, finds and asks.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use podnet_testkit::{Behaviour, FakePlugins};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder that stands for a node's: configurations in it, state and the cache below.
struct Node {
    folder: TempDir,
    plugins: FakePlugins,
}

impl Node {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), plugins: FakePlugins::new().unwrap() }
    }

    /// A network of these plugins, all of CNI 1.1.0.
    fn configure(&self, file: &str, network: &str, types: &[&str]) {
        let plugins: Vec<Value> = types.iter().map(|name| json!({ "type": name })).collect();
        let list = json!({ "cniVersion": "1.1.0", "name": network, "plugins": plugins });
        std::fs::write(self.folder.path().join(file), list.to_string()).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podnet"));
        command.env_clear().arg("--cni-conf-dir").arg(self.folder.path());
        command.arg("--cni-bin-dir").arg(self.plugins.folder());
        command.arg("--state-dir").arg(self.folder.path().join("state"));
        command.arg("cni").args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn path(&self, file: &str) -> String {
        self.folder.path().join(file).display().to_string()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_makes_no_sense_is_refused_with_what_is_wrong() {
    let node = Node::new();
    let cases = [
        ("gc pods", "--keep <ID[/IFNAME]>|--keep-none"),
        (
            "gc pods --keep-none --keep web",
            "'--keep-none' cannot be used with '--keep <ID[/IFNAME]>'",
        ),
        (
            "gc pods --keep ../web",
            "invalid value '../web' for '--keep <ID[/IFNAME]>': container id",
        ),
        ("add pods", "--netns <PATH>"),
        ("del pods", "--id <ID>|--netns <PATH>"),
        (
            "add pods --netns /x --ifname a/b",
            "invalid value 'a/b' for '--ifname <NAME>': interface name",
        ),
        ("add pods --netns /x --arg A", "invalid value 'A' for '--arg <K=V>': write K=V"),
        ("add pods --netns /x --capability mac=02:00", "is not JSON; a string needs quotes"),
        ("version ../bridge", "invalid value '../bridge' for '[TYPE]...': plugin type"),
    ];
    for (line, reason) in cases {
        let output = node.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
        assert!(output.stdout.is_empty(), "{line}");
        let said = text(&output.stderr);
        assert!(said.starts_with("podnet: ") && said.contains(reason), "{line}: {said}");
    }
}

#[test]
fn variables_that_cannot_be_read_are_a_usage_error() {
    let output = Node::new().command("list").env("CAP_ARGS", "[]").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("podnet: CAP_ARGS is no JSON object: "));
}

#[test]
fn networks_are_listed_with_the_first_as_default() {
    let node = Node::new();
    node.configure("10-pods.conflist", "pods", &["bridge", "portmap"]);
    node.configure("20-storage.conflist", "storage", &["macvlan"]);
    std::fs::write(node.folder.path().join("05-half.conf"), "{").unwrap();

    let output = node.run("list");
    let (pods, storage) = (node.path("10-pods.conflist"), node.path("20-storage.conflist"));
    let expected = format!(
        "   NETWORK  CNI    PLUGINS         FILE\n\
         *  pods     1.1.0  bridge portmap  {pods}\n   \
            storage  1.1.0  macvlan         {storage}\n"
    );
    assert_eq!(text(&output.stdout), expected);
    let said = text(&output.stderr);
    assert!(
        said.contains(&format!("skipped network configuration {}", node.path("05-half.conf"))),
        "{said}"
    );

    let listed = json_of(&node.run("list --output json"));
    assert_eq!(
        listed["networks"][0],
        json!({
            "name": "pods", "file": pods, "cniVersion": "1.1.0", "plugins": ["bridge", "portmap"], "default": true,
        })
    );
    assert_eq!(listed["skipped"][0]["file"], node.path("05-half.conf"));
    assert_eq!(listed["attachments"], json!([]));
}

#[test]
fn an_empty_folder_is_said_and_no_error() {
    let node = Node::new();
    let output = node.run("list");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), format!("no network in {}\n", node.folder.path().display()));
}

#[test]
fn a_network_that_is_not_there_is_named_with_those_that_are() {
    let node = Node::new();
    node.configure("10-pods.conflist", "pods", &["bridge"]);
    let output = node.run("add nosuch --netns /no/such");
    assert_eq!(output.status.code(), Some(1));
    let folder = node.folder.path().display();
    assert_eq!(
        text(&output.stderr),
        format!("podnet: no network \"nosuch\" in {folder}, where there is pods\n")
    );
}

#[test]
fn what_does_not_lead_to_a_namespace_is_refused_before_any_plugin_runs() {
    let node = Node::new();
    node.configure("10-pods.conflist", "pods", &["fake"]);
    node.plugins.install("fake", &[("ADD", Behaviour::Die(9))]).unwrap();
    let output = node.run("add pods --netns /no/such --id web");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with("podnet: network pods: ADD of container web: "), "{said}");
    assert!(said.contains("/no/such") && !said.contains("os error"), "{said}");
}

#[test]
fn a_missing_program_is_said_before_any_plugin_runs() {
    let node = Node::new();
    node.configure("10-pods.conflist", "pods", &["fake", "nosuch"]);
    node.plugins.install("fake", &[("ADD", Behaviour::Die(9))]).unwrap();
    let output = node.run("add pods --netns /no/such --id web");
    assert_eq!(output.status.code(), Some(1));
    let folder = node.plugins.folder().display();
    assert_eq!(
        text(&output.stderr),
        format!(
            "podnet: network pods cannot be used: plugin nosuch: no such program in {folder}; install it or correct \
             the search path\n"
        )
    );
}

#[test]
fn a_network_whose_plugin_objects_is_not_ready() {
    let node = Node::new();
    node.configure("10-pods.conflist", "pods", &["fine", "full"]);
    node.plugins.install("fine", &[]).unwrap();
    let error = r#"{"cniVersion": "1.1.0", "code": 50, "msg": "no address left"}"#;
    let full = Behaviour::Fail(error.to_owned(), "pool is empty\ncall the owner\n".to_owned(), 1);
    node.plugins.install("full", &[("STATUS", full)]).unwrap();

    let output = node.run("status pods");
    assert_eq!(output.status.code(), Some(3));
    let message = "network pods (plugin 2 of 2): plugin full: STATUS: no address left (code 50)";
    assert_eq!(text(&output.stdout), format!("pods: not ready: {message}\n"));
    let lines = "podnet: stderr of full (plugin 2 of 2):\npodnet:   pool is empty\npodnet:   call the owner\n";
    assert_eq!(text(&output.stderr), lines);

    let output = node.run("status --output json");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        json_of(&output),
        json!({
            "network": "pods", "file": node.path("10-pods.conflist"), "ready": false, "message": message, "code": 50,
        })
    );
}

#[test]
fn without_a_name_the_first_network_that_can_be_used_is_asked() {
    let node = Node::new();
    node.plugins.install("fine", &[]).unwrap();
    node.configure("10-lacking.conflist", "lacking", &["nosuch"]);
    let output = node.run("status");
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stdout);
    assert!(said.starts_with("not ready: ") && said.contains("no such program"), "{said}");

    node.configure("20-pods.conflist", "pods", &["fine"]);
    let output = node.run("status");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "pods: ready\n");
}

#[test]
fn versions_are_told_with_who_speaks_them() {
    let node = Node::new();
    node.configure("10-pods.conflist", "pods", &["loopback", "fake"]);
    node.plugins.install("fake", &[]).unwrap();
    let output = node.run("version");
    assert_eq!(output.status.code(), Some(0));
    let all = "0.1.0 0.2.0 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0";
    let fake = node.plugins.folder().join("fake");
    assert_eq!(
        text(&output.stdout),
        format!(
            "TYPE      CNI                                        PROGRAM\n\
             fake      {all}  {}\n\
             loopback  {all}  built in\n",
            fake.display()
        )
    );

    let output = node.run("version nosuch loopback --output json --cni-plugins builtin");
    assert_eq!(output.status.code(), Some(1));
    let rows = json_of(&output);
    assert!(rows[0]["error"].as_str().unwrap().contains("no such program"), "{rows}");
    assert_eq!(rows[1]["program"], Value::Null);
    assert_eq!(rows[1]["supportedVersions"].as_array().unwrap().len(), 7);
}

#[test]
fn a_command_that_is_told_to_stop_ends_its_plugin() {
    let node = Node::new();
    node.configure("10-pods.conflist", "pods", &["hanging"]);
    node.plugins.install("hanging", &[("STATUS", Behaviour::HangWithChildren)]).unwrap();
    let child = node.command("status").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap();
    // podnet itself has the folder on its command line: the plugin and its children come on top.
    wait_until(|| node.plugins.processes().unwrap().len() >= 4);
    let output = stop(child);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).starts_with("podnet: stopped; "), "{output:?}");
    wait_until(|| node.plugins.processes().unwrap().is_empty());
}

fn stop(child: Child) -> Output {
    let status = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
    child.wait_with_output().unwrap()
}

fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "in vain");
        std::thread::yield_now();
    }
}
