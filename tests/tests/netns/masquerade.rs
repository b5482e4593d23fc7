//! `ipMasq` of `bridge` and `ptp`: real traffic to the world outside, and rules that end with the pod, whichever program
//! made them.

use std::fs;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use podnet_netutil::{Netlink, Netns};
use podnet_testkit::{Pod, TestHost, UPLINK};
use podnet_tests::Cni;
use serde_json::{Value, json};

use super::twins::{call_after, for_interface, go, is_recent, ours, with_programs};

const HOST: [&str; 2] = ["192.0.2.10", "2001:db8::10"];
const WORLD: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const PORT: u16 = 8000;
const PLUGINS: [&str; 2] = ["bridge", "ptp"];

/// A host and the world outside, which knows no way back to any pod.
fn host_and_world() -> (TestHost, Pod) {
    let host = TestHost::new().unwrap();
    let world = host.add_uplink(1500, format!("{}/24", HOST[0]).parse().unwrap()).unwrap();
    host.run(async || {
        let inside = Netlink::open().unwrap();
        let eth0 = inside.require_link(UPLINK).await.unwrap();
        inside.add_address(&eth0, format!("{}/64", HOST[1]).parse().unwrap()).await.unwrap();
        let outside = Netlink::open_in(world.netns()).unwrap();
        let eth0 = outside.require_link(UPLINK).await.unwrap();
        for address in [format!("{}/24", WORLD[0]), format!("{}/64", WORLD[1])] {
            outside.add_address(&eth0, address.parse().unwrap()).await.unwrap();
        }
    })
    .unwrap();
    for address in HOST {
        world.ping(address.parse().unwrap()).unwrap();
    }
    (host, world)
}

fn config(host: &TestHost, plugin: &str, subnets: [&str; 2]) -> Value {
    let ranges = subnets.map(|subnet| json!([{ "subnet": subnet }]));
    let mut config = json!({
        "cniVersion": "1.0.0", "name": "net", "type": plugin, "ipMasq": true,
        "ipam": {
            "type": "host-local", "ranges": ranges, "dataDir": host.networks_dir(),
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
        },
    });
    if plugin == "bridge" {
        config["bridge"] = json!("br0");
        config["isGateway"] = json!(true);
    }
    config
}

const SUBNETS: [&str; 2] = ["10.1.0.0/24", "fd00:1::/64"];

/// From which address a pod comes to a server at `target`.
fn comes_as(pod: &Pod, to: &Netns, target: &str) -> String {
    let target: IpAddr = target.parse().unwrap();
    let listener = to.run(|| TcpListener::bind((target, PORT)).unwrap()).unwrap();
    pod.netns().run(|| TcpStream::connect((target, PORT)).unwrap()).unwrap();
    listener.accept().unwrap().1.ip().to_string()
}

fn is_masqueraded(pod: &Pod, world: &Pod) {
    for (outside, host) in WORLD.into_iter().zip(HOST) {
        assert_eq!(comes_as(pod, world.netns(), outside), host);
    }
}

/// Runs a program in the host's namespace and returns what it printed.
fn printed(host: &TestHost, program: &str, arguments: &[&str]) -> String {
    let run = || Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(host.netns().run(run).unwrap().stdout).unwrap()
}

/// What any program left of the container `w1`: its rules, and chains of iptables.
fn remains(host: &TestHost) -> Vec<String> {
    let mut lines = String::new();
    for program in ["iptables-nft-save", "ip6tables-nft-save"] {
        lines += &printed(host, program, &["-t", "nat"]);
    }
    // To ask the older one would make its table.
    for (names, program) in
        [("ip_tables_names", "iptables-legacy-save"), ("ip6_tables_names", "ip6tables-legacy-save")]
    {
        let names = Path::new("/proc/thread-self/net").join(names);
        let names = host.netns().run(|| fs::read_to_string(names).unwrap_or_default()).unwrap();
        if names.contains("nat") {
            lines += &printed(host, program, &["-t", "nat"]);
        }
    }
    lines += &printed(host, "nft", &["list", "table", "inet", "cni_plugins_masquerade"]);
    let of_pods = |line: &&str| line.contains("CNI-") || line.contains("id: w1");
    lines.lines().filter(of_pods).map(str::to_owned).collect()
}

#[test]
fn what_leaves_a_pods_network_has_the_hosts_address_until_the_pod_goes() {
    for plugin in PLUGINS {
        let (host, world) = host_and_world();
        let (web, db) = (host.add_pod("web").unwrap(), host.add_pod("db").unwrap());
        let mut cni = ours(&host, plugin, config(&host, plugin, SUBNETS));
        cni.config["cniVersion"] = json!("1.1.0");
        cni.call("STATUS", "w1", web.path()).ok();
        let attached = cni.call("ADD", "w1", web.path()).ok();
        cni.call("ADD", "d1", db.path()).ok();
        is_masqueraded(&web, &world);
        for (neighbour, own) in [("10.1.0.3", "10.1.0.2"), ("fd00:1::3", "fd00:1::2")] {
            assert_eq!(comes_as(&web, db.netns(), neighbour), own);
        }
        call_after(&cni, "CHECK", "w1", web.path(), &attached).ok();
        printed(&host, "nft", &["flush", "chain", "inet", "cni_plugins_masquerade", "masq_checks"]);
        let (_, message) = call_after(&cni, "CHECK", "w1", web.path(), &attached).error();
        assert!(message.contains("is not masqueraded"), "{message}");

        cni.call("DEL", "w1", Path::new("")).ok();
        cni.call("ADD", "w1", web.path()).ok();
        is_masqueraded(&web, &world);
        assert_eq!(remains(&host).len(), 2);
        let mut forgotten = cni.clone();
        forgotten.config.as_object_mut().unwrap().remove("ipMasq");
        for _ in 0..2 {
            forgotten.call("DEL", "w1", Path::new("")).ok();
            assert_eq!(remains(&host), [""; 0]);
        }
    }
}

#[test]
fn pods_of_several_subnets_are_masqueraded_side_by_side() {
    for plugin in PLUGINS {
        let (host, world) = host_and_world();
        let (web, db) = (host.add_pod("web").unwrap(), host.add_pod("db").unwrap());
        let mut first = config(&host, plugin, SUBNETS);
        first["ipMasqBackend"] = json!("iptables");
        let mut second = config(&host, plugin, ["10.2.0.0/24", "fd00:2::/64"]);
        second["ipMasqBackend"] = json!("nftables");
        second["bridge"] = json!("br1");
        for (config, id, pod) in [(first, "w1", &web), (second.clone(), "d1", &db)] {
            ours(&host, plugin, config).call("ADD", id, pod.path()).ok();
        }
        is_masqueraded(&web, &world);
        is_masqueraded(&db, &world);
        second["ipMasqBackend"] = json!("ipfw");
        let (code, message) = ours(&host, plugin, second).call("ADD", "x1", web.path()).error();
        assert!(code == 7 && message.contains("ipMasqBackend"), "{code} {message}");
    }
}

#[test]
fn the_end_of_one_interface_leaves_the_others_masquerade() {
    for plugin in PLUGINS {
        let (host, world) = host_and_world();
        let web = host.add_pod("web").unwrap();
        let first = ours(&host, plugin, config(&host, plugin, SUBNETS));
        let mut second = for_interface(&first, "net1");
        second.config["ipam"].as_object_mut().unwrap().remove("routes");
        first.call("ADD", "w1", web.path()).ok();
        second.call("ADD", "w1", web.path()).ok();
        assert_eq!(remains(&host).len(), 4);
        second.call("DEL", "w1", Path::new("")).ok();
        assert_eq!(remains(&host).len(), 2);
        is_masqueraded(&web, &world);
    }
}

#[test]
fn gc_ends_the_masquerade_of_pods_that_are_no_longer_valid() {
    for plugin in PLUGINS {
        let (host, world) = host_and_world();
        let (web, db) = (host.add_pod("web").unwrap(), host.add_pod("db").unwrap());
        let mut cni = ours(&host, plugin, config(&host, plugin, SUBNETS));
        cni.config["cniVersion"] = json!("1.1.0");
        cni.call("ADD", "w1", web.path()).ok();
        cni.call("ADD", "d1", db.path()).ok();
        // Its veth pair is gone, and nobody was told.
        let gone = || Command::new("ip").args(["link", "delete", "eth0"]).status().unwrap();
        assert!(web.netns().run(gone).unwrap().success());
        assert_eq!(remains(&host).len(), 2);
        cni.config["cni.dev/valid-attachments"] =
            json!([{ "containerID": "d1", "ifname": "eth0" }]);
        cni.call("GC", "", Path::new("")).ok();
        assert_eq!(remains(&host), [""; 0]);
        is_masqueraded(&db, &world);
    }
}

/// A folder in which `iptables` is the one of this name.
fn iptables_as(host: &TestHost, which: &str) -> PathBuf {
    let folder = host.folder().join(which);
    fs::create_dir_all(&folder).unwrap();
    for program in ["iptables", "ip6tables"] {
        let script = format!("#!/bin/sh\nexec /usr/sbin/{program}-{which} \"$@\"\n");
        fs::write(folder.join(program), script).unwrap();
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.join(program), executable).unwrap();
    }
    folder
}

fn live_through(made_by: &Cni<'_>, ended_by: &Cni<'_>, pod: &Pod, world: &Pod) {
    let result = made_by.call("ADD", "w1", pod.path()).ok();
    is_masqueraded(pod, world);
    assert_ne!(remains(made_by.host), [""; 0]);
    call_after(ended_by, "CHECK", "w1", pod.path(), &result).ok();
    ended_by.call("DEL", "w1", pod.path()).ok();
    assert_eq!(remains(made_by.host), [""; 0]);
}

/// The Go programs end all there is, and then fail because iptables has no chain of theirs, as they do after an ADD of
/// their own by nftables. The next DEL succeeds.
fn is_ended_at_last(made_by: &Cni<'_>, theirs: &Cni<'_>, pod: &Pod, world: &Pod) {
    let result = made_by.call("ADD", "w1", pod.path()).ok();
    is_masqueraded(pod, world);
    call_after(theirs, "CHECK", "w1", pod.path(), &result).ok();
    let (_, message) = call_after(theirs, "DEL", "w1", pod.path(), &result).error();
    assert!(message.contains("-t nat -D POSTROUTING"), "{message}");
    assert_eq!(remains(theirs.host), [""; 0]);
    call_after(theirs, "DEL", "w1", pod.path(), &result).ok();
}

#[test]
fn what_one_program_masquerades_the_other_checks_and_ends() {
    let test = "what_one_program_masquerades_the_other_checks_and_ends";
    for plugin in PLUGINS {
        for (backend, which) in [("nftables", "nft"), ("iptables", "nft"), ("iptables", "legacy")] {
            let (host, world) = host_and_world();
            let pod = host.add_pod("web").unwrap();
            let mut config = config(&host, plugin, SUBNETS);
            config["ipMasqBackend"] = json!(backend);
            let Some(theirs) = go(&host, plugin, config.clone(), test) else { return };
            if !is_recent(&theirs) {
                return;
            }
            let folder = iptables_as(&host, which);
            let theirs = with_programs(theirs, &format!("{}:/usr/sbin", folder.display()));
            let own = with_programs(ours(&host, plugin, config), "/usr/sbin");
            live_through(&theirs, &own, &pod, &world);
            if backend == "nftables" {
                is_ended_at_last(&own, &theirs, &pod, &world);
                is_ended_at_last(&theirs, &theirs, &pod, &world);
            }
        }
    }
}

#[test]
fn gc_ends_what_the_go_program_masquerades_by_iptables() {
    let test = "gc_ends_what_the_go_program_masquerades_by_iptables";
    for which in ["nft", "legacy"] {
        let (host, world) = host_and_world();
        let (web, db) = (host.add_pod("web").unwrap(), host.add_pod("db").unwrap());
        let mut config = config(&host, "bridge", SUBNETS);
        config["ipMasqBackend"] = json!("iptables");
        let Some(theirs) = go(&host, "bridge", config.clone(), test) else { return };
        if !is_recent(&theirs) {
            return;
        }
        let folder = iptables_as(&host, which);
        let theirs = with_programs(theirs, &format!("{}:/usr/sbin", folder.display()));
        theirs.call("ADD", "w1", web.path()).ok();
        theirs.call("ADD", "d1", db.path()).ok();
        config["cniVersion"] = json!("1.1.0");
        config["cni.dev/valid-attachments"] = json!([{ "containerID": "d1", "ifname": "eth0" }]);
        let before = remains(&host).len();
        with_programs(ours(&host, "bridge", config), "/usr/sbin")
            .call("GC", "", Path::new(""))
            .ok();
        let left = remains(&host);
        assert!(left.len() * 2 == before && !left.concat().contains("w1"), "{left:#?}");
        is_masqueraded(&db, &world);
    }
}

#[test]
fn a_chain_of_the_go_program_to_which_others_lead_is_emptied() {
    let test = "a_chain_of_the_go_program_to_which_others_lead_is_emptied";
    let (host, _world) = host_and_world();
    let pod = host.add_pod("web").unwrap();
    let mut config = config(&host, "bridge", SUBNETS);
    config["ipMasqBackend"] = json!("iptables");
    let Some(theirs) = go(&host, "bridge", config.clone(), test) else { return };
    if !is_recent(&theirs) {
        return;
    }
    let folder = iptables_as(&host, "nft");
    with_programs(theirs, &format!("{}:/usr/sbin", folder.display()))
        .call("ADD", "w1", pod.path())
        .ok();
    let declared = |line: &String| line.strip_prefix(':')?.split(' ').next().map(str::to_owned);
    let chain = remains(&host).iter().find_map(declared).unwrap();
    for arguments in [vec!["-N", "OTHER"], vec!["-A", "OTHER", "-j", &chain]] {
        printed(&host, "iptables-nft", &[vec!["-t", "nat"], arguments].concat());
    }
    let own = with_programs(ours(&host, "bridge", config), "/usr/sbin");
    for _ in 0..2 {
        own.call("DEL", "w1", pod.path()).ok();
        assert_eq!(remains(&host), [format!(":{chain} - [0:0]"), format!("-A OTHER -j {chain}")]);
    }
}
