//! containerd on a node, with the image imported.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::image::{BUSYBOX, IMAGE, write_archive};
use crate::node::{Node, Wanted, wait_for};

pub(crate) const PROGRAMS: [Wanted; 4] = [
    ("/usr/bin/containerd", "containerd"),
    ("/usr/bin/ctr", "containerd"),
    ("/usr/sbin/runc", "runc"),
    BUSYBOX,
];

/// The snapshotter that needs nothing of the file system below.
const SNAPSHOTTER: &str = "native";

/// A running containerd.
#[derive(Debug)]
pub(crate) struct Containerd<'a> {
    node: &'a Node,
    _daemon: Child,
}

impl<'a> Containerd<'a> {
    /// Starts it and waits until it answers.
    pub(crate) fn start(node: &'a Node) -> Self {
        let config = node.folder().join("containerd.toml");
        fs::write(&config, configuration(node)).unwrap();
        let log = fs::File::create(node.folder().join("containerd.log")).unwrap();
        let mut command = node.command("containerd", &["--config", config.to_str().unwrap()]);
        let daemon = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let containerd = Self { node, _daemon: daemon };
        wait_for("containerd answers", || {
            let answer = node.attempt("ctr", &["--address", &containerd.socket(), "version"]);
            answer.status.success().then_some(())
        });
        containerd
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> String {
        socket(self.node).to_str().unwrap().to_owned()
    }

    /// Imports the image for this namespace of containerd's.
    pub(crate) fn import(&self, namespace: &str) {
        let archive = write_archive(self.node.folder());
        self.ctr(namespace, &["image", "import", "--snapshotter", SNAPSHOTTER, &archive]);
    }

    /// Runs `ctr`, which must succeed, and returns what it printed.
    pub(crate) fn ctr(&self, namespace: &str, arguments: &[&str]) -> String {
        let socket = self.socket();
        let first = ["--address", &socket, "--namespace", namespace];
        self.node.run("ctr", &[&first, arguments].concat())
    }

    /// `ctr run --cni` in the foreground: the container is detached from its network when it has ended.
    pub(crate) fn spawn(&self, namespace: &str, id: &str) -> Child {
        let socket = self.socket();
        let first = ["--address", &socket, "--namespace", namespace];
        let run = ["run", "--rm", "--cni", "--snapshotter", SNAPSHOTTER, IMAGE, id];
        self.node.command("ctr", &[&first[..], &run].concat()).spawn().unwrap()
    }

    /// What it logged, for a test that fails.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.node.folder().join("containerd.log")).unwrap()
    }
}

fn socket(node: &Node) -> PathBuf {
    node.folder().join("containerd.sock")
}

/// The ready file of the guide, and what keeps this containerd to its node.
fn configuration(node: &Node) -> String {
    let ready =
        fs::read_to_string(podnet_tests::named::workspace().join("docs/conf/containerd.toml"));
    let socket = socket(node);
    format!(
        r#"{}
[grpc]
  address = "{}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "{SNAPSHOTTER}"
"#,
        ready.unwrap(),
        socket.display()
    )
}
