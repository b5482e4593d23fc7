//! Pods attached to a bridge by `ip`, for the plugins that come behind one that attaches; and the world outside.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use podnet_netutil::Netns;
use podnet_testkit::{Pod, TestHost};
use serde_json::{Value, json};

use crate::case::NETNS;

/// What the clients ask: the host's addresses outside and on the bridge.
pub(crate) const HOST: &str = "192.0.2.10";
pub(crate) const HOST6: &str = "2001:db8::10";
pub(crate) const BRIDGE: &str = "10.1.0.1";

const FORWARDING: [&str; 2] =
    ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];

/// New interfaces' IPv6 addresses can be used at once, and who asks in vain is told so each time: neither costs a wait.
const AT_ONCE: [(&str, &str); 4] = [
    ("/proc/sys/net/ipv6/conf/default/accept_dad", "0"),
    ("/proc/sys/net/ipv4/icmp_ratelimit", "0"),
    ("/proc/sys/net/ipv4/icmp_msgs_per_sec", "100000"),
    ("/proc/sys/net/ipv6/icmp/ratelimit", "0"),
];

const BRIDGE_LINK: &str = "link add br0 address 02:00:00:00:00:b0 type bridge\naddress add 10.1.0.1/24 dev br0\n\
    address add fd00:1::1/64 dev br0 nodad\nlink set br0 up\n";

/// Joins the host to the world by a link `eth0`.
pub(crate) fn join_world(host: &TestHost, pods: &[Option<Pod>]) -> Pod {
    let spaces = pods.iter().flatten().map(Pod::netns).chain([host.netns()]);
    // A kernel without one of them is only slower.
    let hasten = || AT_ONCE.iter().for_each(|(path, value)| drop(fs::write(path, value)));
    spaces.for_each(|netns| netns.run(hasten).unwrap());
    let world = host.add_pod("world").unwrap();
    let path = world.path().display();
    let addresses = |ip: &str, ip6: &str| {
        format!(
            "address add {ip}/24 dev eth0\naddress add {ip6}/64 dev eth0 nodad\nlink set eth0 up\n"
        )
    };
    let link = format!(
        "link add eth0 address 02:00:00:00:0e:01 type veth peer name eth0 address 02:00:00:00:0e:02 netns {path}\n"
    );
    batch(host.netns(), &(link + &addresses(HOST, HOST6)));
    batch(world.netns(), &addresses("192.0.2.1", "2001:db8::1"));
    world
}

/// Attaches the pods to the bridge `br0`, each by an interface `eth0` with an address of each family.
pub(crate) fn attach(host: &TestHost, pods: &[Option<Pod>]) {
    let mut script = vec![BRIDGE_LINK.to_owned()];
    for (number, pod) in numbered(pods) {
        let path = pod.path().display();
        script.push(format!(
            "link add pair{number} address 02:00:00:00:01:0{number} type veth peer name eth0 address \
             02:00:00:00:02:0{number} netns {path}\nlink set pair{number} addrgenmode none master br0 up\n\
             link set pair{number} type bridge_slave hairpin on\n"
        ));
    }
    batch(host.netns(), &script.concat());
    for (number, pod) in numbered(pods) {
        let own = number + 2;
        batch(
            pod.netns(),
            &format!(
                "link set lo up\naddress add 10.1.0.{own}/24 dev eth0\naddress add fd00:1::{own}/64 dev eth0 nodad\n\
                 link set eth0 up\nroute add default via {BRIDGE}\nroute add ::/0 via fd00:1::1 dev eth0\n"
            ),
        );
    }
    host.netns().run(|| FORWARDING.iter().for_each(|path| fs::write(path, "1").unwrap())).unwrap();
}

fn numbered(pods: &[Option<Pod>]) -> impl Iterator<Item = (usize, &Pod)> {
    pods.iter().enumerate().filter_map(|(number, pod)| Some((number, pod.as_ref()?)))
}

/// The result of the plugin that would have attached a pod so.
pub(crate) fn result(version: &str, pod: usize) -> Value {
    let own = pod + 2;
    let (ip, ip6) = (format!("10.1.0.{own}/24"), format!("fd00:1::{own}/64"));
    if version < "0.3.0" {
        return json!({
            "cniVersion": version,
            "ip4": { "ip": ip, "gateway": BRIDGE }, "ip6": { "ip": ip6, "gateway": "fd00:1::1" }, "dns": {},
        });
    }
    let mut result = json!({
        "cniVersion": version,
        "interfaces": [
            { "name": "br0", "mac": "02:00:00:00:00:b0" },
            { "name": format!("pair{pod}"), "mac": format!("02:00:00:00:01:0{pod}") },
            { "name": "eth0", "mac": format!("02:00:00:00:02:0{pod}"), "sandbox": NETNS },
        ],
        "ips": [
            { "interface": 2, "address": ip, "gateway": BRIDGE },
            { "interface": 2, "address": ip6, "gateway": "fd00:1::1" },
        ],
        "routes": [{ "dst": "0.0.0.0/0" }],
        "dns": { "nameservers": ["10.1.0.53"] },
    });
    if version < "1.0.0" {
        result["ips"][0]["version"] = json!("4");
        result["ips"][1]["version"] = json!("6");
    }
    result
}

fn batch(netns: &Netns, commands: &str) {
    let run = || {
        let mut child =
            Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
        child.wait().unwrap()
    };
    assert!(netns.run(run).unwrap().success(), "ip refused one of:\n{commands}");
}
