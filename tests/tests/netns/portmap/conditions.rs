//! `conditionsV4` and `conditionsV6` by real packets, in both programs' words.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use podnet_testkit::{Pod, TestHost};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::{
    NODE, NODE6, Outcome, attach_both, both_families, fetch, holders, ours, portmap, printed, with,
};
use crate::nat::echo::{Echo, tcp};

/// Two containers that serve, one of which has its port by conditions.
struct Bed {
    host: TestHost,
    world: Pod,
    web: Pod,
    other: Pod,
    config: Value,
    _echoes: [Echo; 2],
}

impl Bed {
    fn new() -> Self {
        let (host, world) = both_families();
        let [web, other] = ["web", "other"].map(|name| host.add_pod(name).unwrap());
        let attached = attach_both(&host, &web);
        attach_both(&host, &other);
        let echoes = [&web, &other]
            .map(|pod| Echo::start(pod.netns(), pod.name(), "[::]:80".parse().unwrap()));
        let ports = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
        let config = portmap(&attached, &ports);
        Self { host, world, web, other, config, _echoes: echoes }
    }

    fn call(&self, verb: &str, config: &Value) -> Outcome {
        ours(&self.host, "portmap", config.clone()).call(verb, "web", self.web.path())
    }

    /// Who reaches the port by an address of the host: the world, the host itself, another container.
    fn reached_by(&self, node: &str) -> [bool; 3] {
        let target = SocketAddr::new(node.parse().unwrap(), 8080);
        [self.world.netns(), self.host.netns(), self.other.netns()]
            .map(|from| tcp(from, target).is_ok_and(|answer| answer.starts_with("web ")))
    }

    fn table(&self) -> String {
        printed(&self.host, "nft", &["list", "table", "inet", "podnet"])
    }
}

#[test]
fn a_port_is_reached_by_those_who_meet_its_conditions() {
    let bed = Bed::new();
    for (v4, v6, reached) in [
        (json!(["-i", "eth0"]), json!(["-i", "eth0"]), [true, false, false]),
        (json!(["!", "-i", "eth+"]), json!(["!", "-i", "eth+"]), [false, true, true]),
        (json!(["!", "-s", "192.0.2.1"]), json!(["!", "-s", "2001:db8::1"]), [false, true, true]),
        (
            json!(["-s", "10.1.0.0/24,192.0.2.10", "-d", "192.0.2.0/255.255.255.0"]),
            json!(["-s", "fd00:1::/64,2001:db8::10", "-d", "2001:db8::/64"]),
            [false, true, true],
        ),
        (json!(["-o", "lo"]), json!(["-o", "lo"]), [false, true, false]),
        (
            json!(["-m", "addrtype", "!", "--src-type", "LOCAL"]),
            json!(["-m", "addrtype", "!", "--src-type", "LOCAL"]),
            [true, false, true],
        ),
        (json!(["--sport", ":1023"]), json!(["--sport", ":1023"]), [false, false, false]),
        (
            json!(["ip", "saddr", "{", "192.0.2.1,", "192.0.2.10", "}"]),
            json!(["ip6 saddr { 2001:db8::1, 2001:db8::10 }"]),
            [true, true, false],
        ),
        (json!(["iifname \"br*\""]), json!(["iifname \"br*\""]), [false, false, true]),
        (json!(["tcp sport != 1-1023"]), json!(["tcp sport != 1-1023"]), [true, true, true]),
        (json!(["fib saddr type local"]), json!(["fib saddr type local"]), [false, true, false]),
        // Of one family only: the other is for everybody.
        (json!(["-i", "nowhere"]), Value::Null, [false, false, false]),
    ] {
        let config =
            with(&with(&bed.config, "conditionsV4", v4.clone()), "conditionsV6", v6.clone());
        bed.call("ADD", &config).ok();
        bed.call("CHECK", &config).ok();
        assert_eq!(bed.reached_by(NODE), reached, "{v4}");
        let reached = if v6.is_null() { [true; 3] } else { reached };
        assert_eq!(bed.reached_by(NODE6), reached, "{v6}");
        assert_eq!(holders(&bed.host), ["podnet:net/web/eth0"]);
        let sets = bed.table().matches("chain prerouting4-").count();
        assert_eq!(sets, 1, "what was asked for before is gone: {}", bed.table());
    }
    bed.call("DEL", &bed.config).ok();
    let table = bed.table();
    for left in ["prerouting4-", "prerouting6-", "output4-", "hostports4-", "/web/"] {
        assert!(!table.contains(left), "{left}: {table}");
    }
}

#[test]
fn a_mark_is_a_condition() {
    let bed = Bed::new();
    let ask = |mark: u32| {
        let connected = bed.host.netns().run(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_mark(mark).unwrap();
            let target: SocketAddr = "192.0.2.10:8080".parse().unwrap();
            socket.connect_timeout(&target.into(), Duration::from_secs(2))?;
            let mut answer = String::new();
            TcpStream::from(socket).read_to_string(&mut answer).map(|_| answer)
        });
        connected.unwrap().is_ok_and(|answer| answer.starts_with("web "))
    };
    for (words, meets) in [
        (json!(["-m", "mark", "--mark", "0x11/0xf0"]), [false, false, false, false]),
        (json!(["-m", "mark", "--mark", "0x10/0xf0"]), [false, false, true, false]),
        (json!(["-m", "mark", "!", "--mark", "1"]), [true, false, true, true]),
        (json!(["meta mark & 0xf0 != 0x10"]), [true, true, false, true]),
    ] {
        bed.call("ADD", &with(&bed.config, "conditionsV4", words.clone())).ok();
        assert_eq!([0, 1, 0x11, 0x21].map(ask), meets, "{words}");
    }
}

/// In the reference's nftables backend the later network's conditions replace the earlier one's.
#[test]
fn networks_with_different_conditions_keep_their_own() {
    let bed = Bed::new();
    let outside = with(&bed.config, "conditionsV4", json!(["iifname eth0"]));
    let outside = with(&outside, "conditionsV6", json!(["iifname eth0"]));
    bed.call("ADD", &outside).ok();
    let other_ips = |version: &str| {
        // As the plugin before says in this network.
        let mut attached = bed.config["prevResult"].clone();
        for ip in attached["ips"].as_array_mut().unwrap() {
            let address = ip["address"].as_str().unwrap().replace("10.1.0.2/", "10.1.0.3/");
            ip["address"] = address.replace("fd00:1::2/", "fd00:1::3/").into();
        }
        attached["cniVersion"] = version.into();
        attached
    };
    let mut inside = portmap(&other_ips("1.0.0"), &bed.config["runtimeConfig"]["portMappings"]);
    inside["name"] = json!("second");
    let unconditional = inside.clone();
    inside["conditionsV4"] = json!(["ip saddr 192.0.2.10"]);
    inside["conditionsV6"] = json!(["ip6 saddr 2001:db8::10"]);
    let call = |verb: &str, config: &Value| {
        ours(&bed.host, "portmap", config.clone()).call(verb, "other", bed.other.path())
    };
    call("ADD", &inside).ok();
    for node in [NODE, NODE6] {
        let target = SocketAddr::new(node.parse().unwrap(), 8080);
        assert!(tcp(bed.world.netns(), target).unwrap().starts_with("web "), "{node}");
        assert!(tcp(bed.host.netns(), target).unwrap().starts_with("other "), "{node}");
    }
    call("CHECK", &inside).ok();
    bed.call("CHECK", &outside).ok();

    // Without conditions it would take packets from both.
    let (code, message) = call("ADD", &unconditional).error();
    assert!(code == 11 && message.contains("8080/tcp is taken by container web"), "{message}");
    call("ADD", &inside).ok();
    bed.call("DEL", &outside).ok();
    let target = SocketAddr::new(NODE.parse().unwrap(), 8080);
    assert!(tcp(bed.world.netns(), target).is_err());
    assert!(tcp(bed.host.netns(), target).unwrap().starts_with("other "));
    // The refused ADD took nothing away, and what remains is the second network's alone.
    assert_eq!(bed.table().matches("chain prerouting4-").count(), 1);
    call("DEL", &inside).ok();
    assert_eq!(bed.table().matches("chain prerouting4-").count(), 0);
}

#[test]
fn rules_of_conditions_are_checked_and_mended() {
    let bed = Bed::new();
    let config = with(&bed.config, "conditionsV4", json!(["-i", "eth0"]));
    bed.call("ADD", &config).ok();
    let table = bed.table();
    let (_, rest) = table.split_once("chain prerouting4-").unwrap();
    let chain = format!("prerouting4-{}", rest.split_whitespace().next().unwrap());
    printed(&bed.host, "nft", &["flush", "chain", "inet", "podnet", &chain]);
    assert_eq!(bed.reached_by(NODE), [false; 3]);
    let (_, fault) = bed.call("CHECK", &config).error();
    assert!(fault.contains(&format!("chain inet podnet {chain} is missing or empty")), "{fault}");
    bed.call("ADD", &config).ok();
    bed.call("CHECK", &config).ok();
    assert_eq!(bed.reached_by(NODE), [true, false, false]);
    // The table itself may go.
    printed(&bed.host, "nft", &["delete", "table", "inet", "podnet"]);
    bed.call("ADD", &config).ok();
    assert_eq!(bed.reached_by(NODE), [true, false, false]);
}

#[test]
fn conditions_that_cannot_be_said_are_refused_before_anything_is_touched() {
    let bed = Bed::new();
    let unsayable = json!(["-m", "conntrack", "--ctstate", "NEW"]);
    let config = with(&bed.config, "conditionsV6", unsayable.clone());
    for verb in ["ADD", "CHECK", "STATUS"] {
        let (code, message) = bed.call(verb, &with(&config, "cniVersion", json!("1.1.0"))).error();
        let named = message.contains("conditionsV6") && message.contains("\"conntrack\"");
        assert!(code == 7 && named, "{verb}: {message}");
    }
    let tables = printed(&bed.host, "nft", &["list", "tables"]);
    assert!(!tables.contains("podnet"), "{tables}");
    bed.call("DEL", &config).ok();
    // Without ports there is nothing to be met.
    let mut none = config.clone();
    none["runtimeConfig"] = json!({});
    bed.call("ADD", &none).ok();
    let del = ours(&bed.host, "portmap", config).call("DEL", "web", Path::new(""));
    del.ok();
    assert_eq!(fetch(bed.world.netns(), "192.0.2.10:8080"), None);
}
