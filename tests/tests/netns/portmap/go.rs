//! A node changes from the Go program to ours while containers run, whichever way the Go program published their ports.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use podnet_netutil::Family;
use podnet_netutil::conntrack::{Conntrack, Flows};
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::newest_peer;
use serde_json::{Value, json};

use super::{NODE, NODE6, attach_both, both_families, fetch, ours, portmap, with};
use crate::nat::echo::{Echo, tcp, udp};

/// How the Go program publishes: its backend, and which iptables it finds.
struct Way {
    backend: &'static str,
    iptables: &'static str,
}

const WAYS: [Way; 3] = [
    Way { backend: "iptables", iptables: "xtables-nft-multi" },
    Way { backend: "iptables", iptables: "xtables-legacy-multi" },
    Way { backend: "nftables", iptables: "xtables-nft-multi" },
];

/// The Go program on a host, with programs of one flavour before all others on its search path.
struct Go<'a> {
    host: &'a TestHost,
    program: PathBuf,
    path: String,
    way: &'static Way,
}

impl<'a> Go<'a> {
    fn new(host: &'a TestHost, program: &Path, way: &'static Way) -> Self {
        let folder = host.folder().join("iptables");
        std::fs::create_dir(&folder).unwrap();
        for name in ["iptables", "ip6tables"] {
            symlink(Path::new("/usr/sbin").join(way.iptables), folder.join(name)).unwrap();
        }
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display());
        Self { host, program: program.to_owned(), path, way }
    }

    fn add(&self, id: &str, config: &Value, pod: &Pod) {
        let config = with(config, "backend", json!(self.way.backend)).to_string();
        self.host.netns().run(|| self.execute(id, &config, pod)).unwrap();
    }

    fn execute(&self, id: &str, config: &str, pod: &Pod) {
        let mut child = Command::new(&self.program)
            .env_clear()
            .envs([("PATH", self.path.as_str()), ("CNI_COMMAND", "ADD")])
            .envs([("CNI_CONTAINERID", id), ("CNI_IFNAME", "eth0"), ("CNI_PATH", "/")])
            .env("CNI_NETNS", pod.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    /// All rules of the host, by each program that could show any.
    fn rules(&self) -> String {
        let saves = [
            ("nft", &["list", "ruleset"][..]),
            ("iptables-nft-save", &["-t", "nat"]),
            ("ip6tables-nft-save", &["-t", "nat"]),
            ("iptables-legacy-save", &[]),
            ("ip6tables-legacy-save", &[]),
        ];
        let run = |(program, arguments): (&str, &[&str])| {
            let output = Command::new(program).args(arguments).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        self.host.netns().run(|| saves.map(run).concat()).unwrap()
    }
}

fn ports() -> Value {
    json!([
        { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": 8081, "containerPort": 80, "protocol": "udp", "hostIP": NODE },
        { "hostPort": 8082, "containerPort": 80, "protocol": "tcp", "hostIP": NODE6 },
    ])
}

/// Our program, with the search path that a runtime has: the older iptables is a program.
fn call(host: &TestHost, verb: &str, id: &str, config: &Value) {
    let ours = ours(host, "portmap", config.clone());
    let netns = Path::new("/run/netns/none");
    let run = || {
        let mut child = Command::new(&ours.program)
            .arg("portmap")
            .env_clear()
            .envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("CNI_COMMAND", verb)])
            .envs([("CNI_CONTAINERID", id), ("CNI_IFNAME", "eth0"), ("CNI_PATH", "/")])
            .env("CNI_NETNS", netns)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(ours.config.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    host.netns().run(run).unwrap();
}

/// Runs a test for each way, where the Go program is there.
fn each_way(test: &str, run: impl Fn(&TestHost, &Pod, &Go<'_>)) {
    let Some(program) = newest_peer("portmap", test) else { return };
    for way in &WAYS {
        let (host, world) = both_families();
        run(&host, &world, &Go::new(&host, &program, way));
    }
}

fn answers(from: &Pod, name: &str) {
    for node in [NODE, NODE6] {
        let target = SocketAddr::new(node.parse().unwrap(), 8080);
        assert!(tcp(from.netns(), target).unwrap().starts_with(name), "{node}");
    }
}

fn serve(pod: &Pod) -> Echo {
    Echo::start(pod.netns(), pod.name(), "[::]:80".parse().unwrap())
}

#[test]
fn what_the_go_program_published_is_removed_by_del_and_free_for_the_next_container() {
    let test = "what_the_go_program_published_is_removed_by_del_and_free_for_the_next_container";
    each_way(test, |host, world, go| {
        let pods = ["old", "kept", "new"].map(|name| host.add_pod(name).unwrap());
        let [old, kept, new] = &pods;
        let _echoes = [old, new].map(serve);
        let config = portmap(&attach_both(host, old), &ports());
        let other = json!([{ "hostPort": 9090, "containerPort": 80, "protocol": "tcp" }]);
        let before = portmap(&attach_both(host, kept), &other);
        go.add("kept", &before, kept);
        let others = go.rules();
        go.add("old", &config, old);
        assert_ne!(go.rules(), others);
        answers(world, "old ");
        let datagrams = SocketAddr::new(NODE.parse().unwrap(), 8081);
        assert!(udp(world.netns(), datagrams).unwrap().starts_with("old "));
        // Without what the runtime knew of it.
        let bare = json!({ "cniVersion": "1.0.0", "name": "net", "type": "portmap" });
        for config in [&config, &bare] {
            call(host, "DEL", "old", config);
            assert_eq!(normal(&go.rules()), normal(&others), "{}", go.way.iptables);
        }
        assert_eq!(fetch(world.netns(), "192.0.2.10:8080"), None);
        // A client of UDP that goes on is nobody's any more.
        let flows = Flows::To {
            family: Family::V4,
            protocol: 17,
            address: Some(datagrams.ip()),
            port: 8081,
        };
        let forgotten = async || Conntrack::open().unwrap().forget(&[flows]).await.unwrap();
        assert_eq!(host.run(forgotten).unwrap(), 0);

        let config = portmap(&attach_both(host, new), &ports());
        call(host, "ADD", "new", &config);
        answers(world, "new ");
        call(host, "DEL", "new", &config);
        call(host, "DEL", "kept", &before);
        let rules = go.rules();
        assert!(!rules.contains("CNI-DN-") && !rules.contains("\"kept\""), "{rules}");
    });
}

/// Counters differ from one listing to the next.
fn normal(rules: &str) -> Vec<String> {
    let lines = rules.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| match line.split_once(" counter packets ") {
        Some((before, after)) => {
            format!("{before} {}", after.split(' ').skip(3).collect::<Vec<_>>().join(" "))
        }
        None => line.split(" [").next().unwrap_or_default().to_owned(),
    });
    // Our own table is no matter here.
    let mut own = false;
    lines
        .filter(|line| {
            own = line.starts_with("table inet podnet") || (own && !line.starts_with('}'));
            !own
        })
        .collect()
}

#[test]
fn an_add_takes_the_place_of_what_the_go_program_published_for_the_same_container() {
    let test = "an_add_takes_the_place_of_what_the_go_program_published_for_the_same_container";
    each_way(test, |host, world, go| {
        let pods = ["web", "moved"].map(|name| host.add_pod(name).unwrap());
        let _echoes = [&pods[0], &pods[1]].map(serve);
        let [first, second] = [&pods[0], &pods[1]].map(|pod| attach_both(host, pod));
        go.add("web", &portmap(&first, &ports()), &pods[0]);
        // Another network of the container keeps its own.
        let other = json!([{ "hostPort": 9090, "containerPort": 80, "protocol": "tcp" }]);
        let mut elsewhere = portmap(&first, &other);
        elsewhere["name"] = json!("elsewhere");
        elsewhere["prevResult"]["ips"] = json!([{ "interface": 2, "address": "10.77.0.2/24" }]);
        go.add("web", &elsewhere, &pods[0]);
        // The container has another address now, and the Go program's rules would go before ours.
        let config = portmap(&second, &ports());
        call(host, "ADD", "web", &config);
        call(host, "CHECK", "web", &config);
        answers(world, "moved ");
        assert!(go.rules().contains("10.77.0.2"), "{}", go.rules());
        call(host, "DEL", "web", &config);
        call(host, "DEL", "web", &elsewhere);
        let rules = go.rules();
        for left in ["CNI-DN-", "\"web\"", "10.77.0.2", "10.1.0."] {
            assert!(!rules.contains(left), "{left}: {rules}");
        }
    });
}

/// A rule of the Go program's nftables backend says nothing of its network: it is for DEL.
#[test]
fn a_collection_removes_what_the_go_program_published_by_iptables_for_containers_that_are_gone() {
    let test = "a_collection_removes_what_the_go_program_published_by_iptables_for_containers_that_are_gone";
    each_way(test, |host, _world, go| {
        if go.way.backend == "nftables" {
            return;
        }
        let pod = host.add_pod("pod").unwrap();
        let attached = attach_both(host, &pod);
        for (port, id) in [(8080, "web"), (8081, "gone")] {
            let ports = json!([{ "hostPort": port, "containerPort": 80, "protocol": "tcp" }]);
            go.add(id, &portmap(&attached, &ports), &pod);
        }
        let lines = |id: &str| go.rules().matches(id).count();
        let (web, gone) = (lines("web"), lines("gone"));
        assert!(web > 0 && gone > 0);
        let gc = |name: &str, valid: Value| {
            let bare = json!({ "cniVersion": "1.1.0", "name": name, "type": "portmap" });
            call(host, "GC", "", &with(&bare, "cni.dev/valid-attachments", valid));
        };
        gc("elsewhere", json!([]));
        assert_eq!((lines("web"), lines("gone")), (web, gone));
        gc("net", json!([{ "containerID": "web", "ifname": "eth0" }]));
        assert_eq!((lines("web"), lines("gone")), (web, 0), "{}", go.rules());
        gc("net", json!([]));
        assert!(!go.rules().contains("CNI-DN-"), "{}", go.rules());
    });
}

/// Asking whether the Go program left anything must cost next to nothing where it did not.
#[test]
fn where_the_go_program_left_nothing_no_table_is_made() {
    let (host, _world) = both_families();
    let bare = json!({ "cniVersion": "1.0.0", "name": "net", "type": "portmap" });
    call(&host, "DEL", "web", &bare);
    let tables = || {
        let nft = Command::new("nft").args(["list", "tables"]).output().unwrap().stdout;
        let names = ["ip_tables_names", "ip6_tables_names"].map(|name| {
            std::fs::read(Path::new("/proc/thread-self/net").join(name)).unwrap_or_default()
        });
        [nft, names.concat()].concat()
    };
    assert_eq!(host.netns().run(tables).unwrap(), b"");
}
