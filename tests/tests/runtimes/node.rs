//! A node: a machine's namespaces, folders and programs without its network, processes or `/run`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use podnet_netutil::Netlink;
use podnet_testkit::{Pod, TestHost, UPLINK};
use podnet_tests::cni_folder;
use podnet_tests::programs::skip;

use crate::network::Network;

/// The node's address in the world outside, and the world's own.
pub(crate) const NODE_ADDRESS: &str = "192.0.2.1";
pub(crate) const WORLD_ADDRESS: &str = "192.0.2.2";

const DEADLINE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(20);
/// Seconds that any program of the node may take.
const TIME_LIMIT: &str = "300";
const CGROUPS: &str = "/sys/fs/cgroup";

/// The first process of the node. Its folders are the node's own; it lives, and everything with it, until its input
/// ends. `/usr/lib/cni` is where Debian has the Go programs.
const FIRST_PROCESS: &str = r#"
set -e
mount -t tmpfs tmpfs /run
cp -a /etc /run/etc
mount --bind /run/etc /etc
mount -t tmpfs tmpfs /opt
mount -t tmpfs tmpfs /var/lib
[ ! -d /usr/lib/cni ] || mount -t tmpfs tmpfs /usr/lib/cni
mkdir -p /opt/cni/bin /etc/cni/net.d /var/lib/cni
mount --bind "$0/bin" /opt/cni/bin
mount --bind "$0/net.d" /etc/cni/net.d
mount --bind "$0/cni" /var/lib/cni
echo ready
cat
"#;

/// A program that must be there, and its Debian package.
pub(crate) type Wanted = (&'static str, &'static str);

/// A node with one network, and a namespace that stands for the world outside.
#[derive(Debug)]
pub(crate) struct Node {
    first_process: Child,
    /// The first process reads it: its end is the node's end.
    life: Option<ChildStdin>,
    pub(crate) world: Pod,
    pub(crate) host: TestHost,
}

impl Node {
    /// A node with this network; none, and the test noted as skipped, where these programs cannot run.
    pub(crate) fn new(test: &str, network: &Network, programs: &[Wanted]) -> Option<Self> {
        if let Some(reason) = obstacle(programs) {
            skip(test, &reason);
            return None;
        }
        let host = TestHost::new().unwrap();
        let world = join_world(&host);
        cni_folder::install(&host.folder().join("bin"));
        for name in ["net.d", "cni"] {
            fs::create_dir(host.folder().join(name)).unwrap();
        }
        fs::write(host.folder().join("net.d/10-test.conflist"), network.text()).unwrap();
        let mut first_process = start_first_process(&host);
        let life = first_process.stdin.take();
        Some(Self { first_process, life, world, host })
    }

    /// What is unique to this node, for names of things that have no namespace.
    pub(crate) fn name(&self) -> &str {
        self.host.folder().file_name().unwrap().to_str().unwrap()
    }

    /// A folder that the node and the test both see.
    pub(crate) fn folder(&self) -> &Path {
        self.host.folder()
    }

    /// `/var/lib/cni` of the node.
    pub(crate) fn cni_state(&self) -> PathBuf {
        self.folder().join("cni")
    }

    /// A program, to be run on the node.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let namespaces = format!("/proc/{}/ns", self.first_process.id());
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount={namespaces}/mnt"))
            .arg(format!("--net={namespaces}/net"))
            .arg(format!("--pid={namespaces}/pid_for_children"))
            .args(["--", "timeout", "--kill-after=5", TIME_LIMIT, program])
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs a program on the node, whatever comes of it.
    pub(crate) fn attempt(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program, arguments).output().unwrap()
    }

    /// Runs a program on the node that must succeed, and returns what it printed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        expect_success(program, arguments, &self.attempt(program, arguments))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.life.take());
        // With the first process the kernel ends all others, and only then is it reaped.
        let _ = self.first_process.wait();
        remove_cgroups(self.name());
    }
}

/// What a program printed, which must have succeeded.
pub(crate) fn expect_success(program: &str, arguments: &[&str], output: &Output) -> String {
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {}: {out}{error}", arguments.join(" "));
    out.into_owned()
}

/// Asks again until there is an answer, for half a minute.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain: {what}");
        thread::sleep(INTERVAL);
    }
}

/// Why these programs cannot run here.
fn obstacle(programs: &[Wanted]) -> Option<String> {
    let missing = programs.iter().find(|(path, _)| !Path::new(path).exists());
    if let Some((path, package)) = missing {
        return Some(format!("{path} is not installed (package {package})"));
    }
    let users = fs::read_to_string("/proc/self/uid_map").unwrap();
    let all = users.split_whitespace().eq(["0", "0", "4294967295"]);
    (!all).then(|| {
        "container runtimes make cgroups and devices, which only the machine's own root may, not the root of a user \
         namespace"
            .to_owned()
    })
}

fn join_world(host: &TestHost) -> Pod {
    let world = host.add_uplink(1500, format!("{NODE_ADDRESS}/24").parse().unwrap()).unwrap();
    host.run(async || {
        let netlink = Netlink::open_in(world.netns()).unwrap();
        let uplink = netlink.require_link(UPLINK).await.unwrap();
        let address = format!("{WORLD_ADDRESS}/24").parse().unwrap();
        netlink.add_address(&uplink, address).await.unwrap();
    })
    .unwrap();
    world
}

fn start_first_process(host: &TestHost) -> Child {
    let start = || {
        Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--mount-proc", "--", "sh", "-c", FIRST_PROCESS])
            .arg(host.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
    };
    let mut process = host.netns().run(start).unwrap().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "the node's folders cannot be mounted; see above");
    process
}

/// A node has no cgroups of its own, only a name for them: in the one hierarchy of version 2, in each of version 1.
fn remove_cgroups(name: &str) {
    let hierarchies = fs::read_dir(CGROUPS).into_iter().flatten().flatten();
    let roots = hierarchies.map(|entry| entry.path()).chain([PathBuf::from(CGROUPS)]);
    for folder in roots.map(|root| root.join(name)).filter(|folder| folder.is_dir()) {
        let begun = Instant::now();
        // Busy for a moment after its last process.
        while remove_folders(&folder).is_err() && begun.elapsed() < DEADLINE {
            thread::sleep(INTERVAL);
        }
    }
}

/// The files of a cgroup go with its folder.
fn remove_folders(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_folders(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}
