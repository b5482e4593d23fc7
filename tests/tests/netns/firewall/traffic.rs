//! Real packets of both families: pods behind bridges, and a world outside.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use podnet_netutil::{Netlink, Netns, bridge_filter};
use podnet_testkit::{Page, Pod, UPLINK, probe};
use serde_json::{Value, json};

use super::node::{FAMILIES, FLAVOURS, Node, after};

const HOST: [&str; 2] = ["192.0.2.10", "2001:db8::10"];
const WORLD: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
/// How long a connection that is to be refused may take: it would be there within a few milliseconds.
const REFUSAL: Duration = Duration::from_millis(600);

struct Street {
    node: Node,
    world: Pod,
    _pages: Vec<Page>,
}

/// A pod behind a bridge, with a page on port 80.
struct House {
    pod: Pod,
    result: Value,
    ips: Vec<IpAddr>,
    _pages: Vec<Page>,
}

fn serve(pod: &Pod, ips: &[IpAddr]) -> Vec<Page> {
    ips.iter().map(|ip| pod.serve((*ip, 80).into(), "hello").unwrap()).collect()
}

fn ip(netns: &Netns, arguments: &str) {
    let run = || Command::new("/usr/bin/ip").args(arguments.split(' ')).status();
    assert!(netns.run(run).unwrap().unwrap().success(), "{arguments}");
}

impl Street {
    /// A host whose FORWARD chains drop by policy.
    fn new(flavour: &'static str) -> Self {
        let node = Node::new(flavour);
        let world = node.host.add_uplink(1500, format!("{}/24", HOST[0]).parse().unwrap()).unwrap();
        node.host
            .run(async || {
                let inside = Netlink::open().unwrap();
                let eth0 = inside.require_link(UPLINK).await.unwrap();
                inside
                    .add_address(&eth0, format!("{}/64", HOST[1]).parse().unwrap())
                    .await
                    .unwrap();
                let outside = Netlink::open_in(world.netns()).unwrap();
                let eth0 = outside.require_link(UPLINK).await.unwrap();
                for (address, length) in [(WORLD[0], 24), (WORLD[1], 64)] {
                    let address = format!("{address}/{length}").parse().unwrap();
                    outside.add_address(&eth0, address).await.unwrap();
                }
                assert_eq!(bridge_filter::enable(), [""; 0]);
            })
            .unwrap();
        ip(world.netns(), &format!("route add 10.9.0.0/16 via {}", HOST[0]));
        ip(world.netns(), &format!("-6 route add fd00:9::/32 via {}", HOST[1]));
        for address in HOST {
            world.ping(address.parse().unwrap()).unwrap();
        }
        for family in FAMILIES {
            node.iptables(family, "-P FORWARD DROP").unwrap();
        }
        let pages = serve(&world, &WORLD.map(|address| address.parse().unwrap()));
        Self { node, world, _pages: pages }
    }

    /// Attaches a pod to the bridge of this number.
    fn house(&self, name: &str, number: u8) -> House {
        let pod = self.node.host.add_pod(name).unwrap();
        let config = json!({
            "cniVersion": "1.0.0", "name": format!("net{number}"), "type": "bridge",
            "bridge": format!("br{number}"), "isGateway": true, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "dataDir": self.node.host.networks_dir(),
                "ranges": [
                    [{ "subnet": format!("10.9.{number}.0/24") }],
                    [{ "subnet": format!("fd00:9:0:{number}::/64") }],
                ],
                "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
            },
        });
        let result = self.node.ours("bridge", config).call("ADD", name, pod.path()).ok();
        let address = |ip: &Value| {
            ip["address"].as_str().unwrap().split('/').next().unwrap().parse().unwrap()
        };
        let ips: Vec<IpAddr> = result["ips"].as_array().unwrap().iter().map(address).collect();
        assert_eq!(ips.len(), 2);
        for gateway in [format!("10.9.{number}.1"), format!("fd00:9:0:{number}::1")] {
            pod.ping(gateway.parse().unwrap()).unwrap();
        }
        House { _pages: serve(&pod, &ips), pod, result, ips }
    }

    fn firewall(&self, verb: &str, house: &House, options: &Value) {
        let outcome =
            self.node.call(verb, house.pod.name(), house.pod.path(), options, &house.result);
        outcome.ok();
    }
}

fn world() -> Vec<IpAddr> {
    WORLD.iter().map(|address| address.parse().unwrap()).collect()
}

/// By both families, or the test has failed.
fn passes(from: &Netns, targets: &[IpAddr]) {
    for target in targets {
        let page = from.run(|| probe::fetch((*target, 80).into())).unwrap();
        assert_eq!(page.unwrap(), "hello", "{target}");
    }
}

fn is_refused(from: &Netns, targets: &[IpAddr]) {
    for target in targets {
        let target: SocketAddr = (*target, 80).into();
        let connected = from.run(|| TcpStream::connect_timeout(&target, REFUSAL)).unwrap();
        assert!(connected.is_err(), "{target} answers");
    }
}

#[test]
fn a_pod_passes_a_dropping_forward_chain_from_add_to_del() {
    for flavour in FLAVOURS {
        let street = Street::new(flavour);
        let (one, other) = (street.house("one", 1), street.house("other", 1));
        let options = json!({ "backend": "iptables" });
        is_refused(one.pod.netns(), &world());
        is_refused(one.pod.netns(), &other.ips);
        street.firewall("ADD", &one, &options);
        passes(one.pod.netns(), &world());
        // Of IPv6 the other's neighbour advertisements would have to pass as well.
        passes(one.pod.netns(), &other.ips[..1]);
        is_refused(other.pod.netns(), &world());
        // Only answers come in, as with the reference.
        is_refused(street.world.netns(), &one.ips);
        // The administrator has the first word.
        for (family, address) in FAMILIES.iter().zip(WORLD) {
            street.node.iptables(family, &format!("-A CNI-ADMIN -d {address} -j DROP")).unwrap();
        }
        is_refused(one.pod.netns(), &world());
        passes(one.pod.netns(), &other.ips[..1]);
        for family in FAMILIES {
            street.node.iptables(family, "-F CNI-ADMIN").unwrap();
        }
        street.firewall("CHECK", &one, &options);
        street.firewall("DEL", &one, &options);
        is_refused(one.pod.netns(), &world());
    }
}

#[test]
fn same_bridge_keeps_bridges_from_each_other() {
    for flavour in FLAVOURS {
        let street = Street::new(flavour);
        let (one, other) = (street.house("one", 1), street.house("other", 1));
        let far = street.house("far", 2);
        // Without the policy all of them reach each other.
        let open = json!({});
        for house in [&one, &other, &far] {
            street.firewall("ADD", house, &open);
        }
        passes(one.pod.netns(), &far.ips);
        passes(far.pod.netns(), &other.ips);
        let options = json!({ "ingressPolicy": "same-bridge" });
        for house in [&one, &other, &far] {
            street.firewall("ADD", house, &options);
        }
        passes(one.pod.netns(), &other.ips);
        is_refused(one.pod.netns(), &far.ips);
        is_refused(far.pod.netns(), &other.ips);
        for house in [&one, &far] {
            passes(house.pod.netns(), &world());
        }
        for house in [&one, &other, &far] {
            street.firewall("CHECK", house, &options);
        }
    }
}

#[test]
fn isolated_keeps_the_pods_of_one_bridge_from_each_other() {
    for flavour in FLAVOURS {
        let street = Street::new(flavour);
        let (one, other) = (street.house("one", 1), street.house("other", 1));
        let far = street.house("far", 2);
        let options = json!({ "ingressPolicy": "isolated" });
        for house in [&one, &other, &far] {
            street.firewall("ADD", house, &options);
        }
        is_refused(one.pod.netns(), &other.ips);
        is_refused(one.pod.netns(), &far.ips);
        is_refused(far.pod.netns(), &other.ips);
        for house in [&one, &other, &far] {
            passes(house.pod.netns(), &world());
        }
    }
}

/// portmap accepts what a bridge sends, at the head of a dropping chain.
#[test]
fn a_policy_holds_beside_our_host_ports() {
    for flavour in FLAVOURS {
        let street = Street::new(flavour);
        let options = json!({ "ingressPolicy": "isolated" });
        let houses = [street.house("one", 1), street.house("far", 2)];
        for (house, port) in houses.iter().zip([8080, 8081]) {
            let mut config = after(
                &json!({ "runtimeConfig": { "portMappings": [
                    { "hostPort": port, "containerPort": 80, "protocol": "tcp" },
                ] } }),
                &house.result,
            );
            config["type"] = "portmap".into();
            config["name"] = house.result["interfaces"][0]["name"].clone();
            let portmap = street.node.ours("portmap", config);
            portmap.call("ADD", house.pod.name(), house.pod.path()).ok();
            street.firewall("ADD", house, &options);
        }
        let [one, far] = &houses;
        is_refused(one.pod.netns(), &far.ips);
        is_refused(far.pod.netns(), &one.ips);
        let published = (HOST[0].parse::<IpAddr>().unwrap(), 8081).into();
        let page = street.world.netns().run(|| probe::fetch(published)).unwrap();
        assert_eq!(page.unwrap(), "hello");
        passes(one.pod.netns(), &world());
    }
}
