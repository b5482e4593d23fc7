//! `firewall` with a real firewalld on a bus of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use podnet_tests::programs::skip;
use serde_json::{Value, json};

use super::node::{Node, after, result};

const BUS: &str = "/usr/bin/dbus-daemon";
const FIREWALLD: &str = "/usr/sbin/firewalld";
const BOTH: [&str; 2] = ["10.1.0.2/24", "fd00::2/64"];
/// How long a busy machine may take to start it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A bus on which everybody may do everything.
fn start_bus(node: &Node) -> Process {
    let config = format!(
        "<busconfig><type>system</type><listen>{}</listen><auth>EXTERNAL</auth>\
         <policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\
         <allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>",
        node.bus()
    );
    let file = node.host.folder().join("bus.conf");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(BUS);
    command.arg(format!("--config-file={}", file.display()));
    command.args(["--nofork", "--nopidfile", "--print-address"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    assert!(address.starts_with("unix:path="), "{address}");
    Process(child)
}

fn start_firewalld(node: &Node) -> Process {
    let folder = node.host.folder().join("firewalld");
    fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(FIREWALLD);
    command.args(["--nofork", "--nopid", "--log-target", "console", "--system-config"]).arg(folder);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", node.bus());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process(node.host.netns().run(|| command.spawn().unwrap()).unwrap());
    let began = Instant::now();
    while ask(node, "org.fedoraproject.FirewallD1.zone.querySource", ["trusted", "10.9.9.9"])
        .is_none()
    {
        assert!(began.elapsed() < PATIENCE, "firewalld did not start");
        sleep(Duration::from_millis(50));
    }
    process
}

/// What a method of firewalld returns, by a client that nobody here wrote; none where it is refused.
fn ask(node: &Node, method: &str, arguments: [&str; 2]) -> Option<String> {
    let output = Command::new("/usr/bin/dbus-send")
        .args([&format!("--bus={}", node.bus()), "--print-reply=literal"])
        .args(["--dest=org.fedoraproject.FirewallD1", "/org/fedoraproject/FirewallD1", method])
        .args(arguments.map(|argument| format!("string:{argument}")))
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

fn has(node: &Node, zone: &str, source: &str) -> bool {
    let method = "org.fedoraproject.FirewallD1.zone.querySource";
    ask(node, method, [zone, source]).unwrap() == "boolean true"
}

/// A node with both, or none where they are not installed.
fn node_with_firewalld(test: &str) -> Option<(Node, Process, Process)> {
    for program in [BUS, FIREWALLD] {
        if !Path::new(program).exists() {
            skip(test, &format!("{program} is not installed (packages dbus and firewalld)"));
            return None;
        }
    }
    let node = Node::new("nft");
    let bus = start_bus(&node);
    let firewalld = start_firewalld(&node);
    Some((node, bus, firewalld))
}

#[test]
fn addresses_are_sources_of_a_zone_from_add_to_del() {
    let test = "addresses_are_sources_of_a_zone_from_add_to_del";
    let Some((node, _bus, _firewalld)) = node_with_firewalld(test) else { return };
    let pod = node.host.add_pod("web").unwrap();
    let go = |verb: &str, options: &Value| {
        node.go(after(options, &result(&BOTH)), test).map(|go| go.call(verb, "w1", pod.path()))
    };
    let ours =
        |verb: &str, options: &Value| node.call(verb, "w1", pod.path(), options, &result(&BOTH));
    for (options, zone) in [
        (json!({ "backend": "firewalld" }), "trusted"),
        (json!({}), "trusted"),
        (json!({ "firewalldZone": "internal" }), "internal"),
    ] {
        let both = |expected: bool| {
            for source in ["10.1.0.2/32", "fd00::2/128"] {
                assert_eq!(has(&node, zone, source), expected, "{options} {source}");
            }
        };
        ours("STATUS", &options).ok();
        assert!(ours("CHECK", &options).error().1.contains("10.1.0.2 is not in zone"));
        for _ in 0..2 {
            assert_eq!(ours("ADD", &options).ok()["ips"], result(&BOTH)["ips"]);
            both(true);
            ours("CHECK", &options).ok();
        }
        // The Go program finds and removes what ours added, and the other way round.
        let Some(checked) = go("CHECK", &options) else { return };
        checked.ok();
        go("DEL", &options).unwrap().ok();
        both(false);
        go("ADD", &options).unwrap().ok();
        both(true);
        ours("CHECK", &options).ok();
        for _ in 0..2 {
            ours("DEL", &options).ok();
            both(false);
        }
    }
    assert!(!node.saved().iter().any(|line| line.contains("CNI-")), "{:?}", node.saved());
}

#[test]
fn a_policy_is_iptables_whoever_lets_pods_pass() {
    let test = "a_policy_is_iptables_whoever_lets_pods_pass";
    let Some((node, _bus, _firewalld)) = node_with_firewalld(test) else { return };
    let pod = node.host.add_pod("web").unwrap();
    let options = json!({ "ingressPolicy": "isolated" });
    let config = after(&options, &result(&BOTH));
    let Some(go) = node.go(config, test) else { return };
    go.call("ADD", "w1", pod.path()).ok();
    let theirs = node.saved();
    for family in ["iptables", "ip6tables"] {
        node.iptables(family, "-F").unwrap();
        node.iptables(family, "-X").unwrap();
    }
    let call = |verb| node.call(verb, "w1", pod.path(), &options, &result(&BOTH));
    assert!(call("CHECK").error().1.contains("CNI-ISOLATION-STAGE-1"));
    call("ADD").ok();
    assert_eq!(node.saved(), theirs);
    call("CHECK").ok();
    call("DEL").ok();
    // What fails in iptables is taken back in firewalld.
    node.replace("iptables-save", "/bin/false");
    assert!(call("ADD").status != 0);
    assert!(!has(&node, "trusted", "10.1.0.2/32"));
}

#[test]
fn what_firewalld_refuses_fails_with_its_words_and_leaves_nothing() {
    let test = "what_firewalld_refuses_fails_with_its_words_and_leaves_nothing";
    let Some((node, bus, firewalld)) = node_with_firewalld(test) else { return };
    let pod = node.host.add_pod("web").unwrap();
    let call =
        |verb: &str, options: &Value| node.call(verb, "w1", pod.path(), options, &result(&BOTH));
    let nowhere = json!({ "firewalldZone": "nowhere" });
    let (_, message) = call("ADD", &nowhere).error();
    assert!(message.contains("INVALID_ZONE"), "{message}");
    call("DEL", &nowhere).ok();
    // The second address is in another zone, so the first is taken back.
    let add = "org.fedoraproject.FirewallD1.zone.addSource";
    ask(&node, add, ["internal", "fd00::2/128"]).unwrap();
    let (_, message) = call("ADD", &json!({})).error();
    assert!(message.contains("ZONE_CONFLICT") && message.contains("fd00::2"), "{message}");
    assert!(!has(&node, "trusted", "10.1.0.2/32"));
    call("DEL", &json!({})).ok();
    assert!(has(&node, "internal", "fd00::2/128"), "it is somebody else's");

    drop(firewalld);
    let options = json!({ "backend": "firewalld" });
    let not_running = |status: (u64, String), code| {
        assert!(status.0 == code && status.1.contains("does not run"), "{status:?}");
    };
    not_running(call("ADD", &options).error(), 999);
    not_running(call("STATUS", &options).error(), 50);
    call("DEL", &options).ok();
    drop(bus);
    assert!(call("ADD", &options).error().1.contains("no bus answers"));
    call("DEL", &options).ok();
    // Where nothing is asked for, iptables serves.
    call("ADD", &json!({})).ok();
    assert_eq!(node.rules("iptables", "CNI-FORWARD").len(), 3);
    // What iptables has goes as well, though firewalld, which flushes iptables when it starts, runs by now.
    let restarted = (start_bus(&node), start_firewalld(&node));
    call("ADD", &json!({ "backend": "iptables" })).ok();
    assert_eq!(node.rules("iptables", "CNI-FORWARD").len(), 3);
    call("DEL", &json!({})).ok();
    assert_eq!(node.rules("iptables", "CNI-FORWARD").len(), 1);
    drop(restarted);
}
