//! podman on its CNI backend.

use std::fs;

use podnet_tests::named::workspace;

use crate::image::{BUSYBOX, IMAGE, write_archive};
use crate::network::{self, Network};
use crate::node::{Node, Wanted, expect_success};
use crate::reach::{self, Container};
use crate::remains::{attached, check_nothing_left};

const PROGRAMS: [Wanted; 3] = [("/usr/bin/podman", "podman"), ("/usr/sbin/runc", "runc"), BUSYBOX];
const HOST_PORT: u16 = 8080;

/// What keeps this podman to its node, besides the ready file of the guide.
const ENGINE: &str = r#"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;
const STORAGE: &str = r#"
[storage]
driver = "vfs"
graphroot = "/var/lib/containers"
runroot = "/run/containers"
"#;

#[test]
fn containers_of_podman_reach_each_other_and_leave_nothing() {
    for network in network::usable() {
        let test = "podman::containers_of_podman_reach_each_other_and_leave_nothing";
        let Some(node) = Node::new(test, &network, &PROGRAMS) else { return };
        run_two(&Podman::new(&node, &network), &network);
    }
}

fn run_two(podman: &Podman<'_>, network: &Network) {
    let node = podman.node;
    let archive = write_archive(node.folder());
    podman.run(&["load", "--input", &archive]);
    assert_eq!(podman.run(&["info", "--format", "{{.Host.NetworkBackend}}"]), "cni\n");
    let published = format!("{HOST_PORT}:80");
    let publish: &[&str] =
        if network.has("portMappings") { &["--publish", &published] } else { &[] };
    podman.start("one", publish);
    podman.start("two", &[]);
    let [one, two] = ["one", "two"].map(|name| {
        Container(move |command: &[&str]| podman.run(&[&["exec", name], command].concat()))
    });
    reach::check(node, network, [&one, &two]);
    assert_eq!(podman.address("one"), one.address().to_string());
    if !publish.is_empty() {
        reach::check_host_port(node, HOST_PORT, &two);
    }
    assert_eq!(attached(node), (2, 2));
    let addresses = [one.address(), two.address()];
    podman.run(&["rm", "--force", "--time", "0", "one", "two"]);
    check_nothing_left(node, network, &addresses);
    if !publish.is_empty() {
        reach::check_host_port_closed(node, HOST_PORT);
    }
}

struct Podman<'a> {
    node: &'a Node,
}

impl<'a> Podman<'a> {
    fn new(node: &'a Node, network: &Network) -> Self {
        let ready = workspace().join("docs/conf/podman-containers.conf");
        let ready = fs::read_to_string(ready).unwrap();
        let ready = ready.replace("\"podnet\"", &format!("\"{}\"", network.name()));
        fs::write(node.folder().join("containers.conf"), ready + ENGINE).unwrap();
        fs::write(node.folder().join("storage.conf"), STORAGE).unwrap();
        Self { node }
    }

    /// Runs `podman`, which must succeed, and returns what it printed.
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = self.node.command("podman", arguments);
        command
            .env("CONTAINERS_CONF", self.node.folder().join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.node.folder().join("storage.conf"));
        expect_success("podman", arguments, &command.output().unwrap())
    }

    fn start(&self, name: &str, options: &[&str]) {
        let cgroup = format!("/{}", self.node.name());
        let first = ["run", "--detach", "--name", name, "--cgroup-parent", &cgroup];
        self.run(&[&first[..], options, &[IMAGE]].concat());
    }

    /// What the plugins' result says, as podman tells it.
    fn address(&self, name: &str) -> String {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        self.run(&["inspect", "--format", format, name]).trim().to_owned()
    }
}
