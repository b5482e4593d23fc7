//! The end of a network.

use podnet_standard_plugins::nat::{Dedup, NatNetwork, Protocol};

use super::echo::tcp;
use super::stage::{HOST, HOST6, Stage, at, network, port};

const ROUTED: &str = "/proc/sys/net/ipv4/conf/cbr0/route_localnet";

fn names(stage: &Stage) -> Vec<String> {
    let networks = stage.table(async |table| table.networks().await.unwrap());
    networks.iter().map(ToString::to_string).collect()
}

fn remove(stage: &Stage, name: &str) -> Vec<String> {
    stage.table(async |table| table.remove_network(&name.parse().unwrap()).await.unwrap())
}

fn ruleset(stage: &Stage) -> String {
    stage.program("nft", &["list", "ruleset"])
}

/// The same bridge, by another name.
fn neighbour() -> NatNetwork {
    NatNetwork { name: "kubenet-2".parse().unwrap(), ..network() }
}

#[test]
fn a_network_is_removed_with_all_it_has_and_another_stays() {
    let stage = Stage::new();
    assert_eq!(names(&stage), [""; 0], "no table is no network");
    assert_eq!(remove(&stage, "kubenet"), [""; 0]);
    let dedup = Dedup {
        bridge_mac: "0a:58:0a:09:00:01".parse().unwrap(),
        gateways_and_cidrs: vec![("10.9.0.1".parse().unwrap(), "10.9.0.0/24".parse().unwrap())],
    };
    let web = stage.server("web");
    stage.ensure(&NatNetwork { dedup: Some(dedup), ..network() });
    stage.ensure(&neighbour());
    stage.publish(&web, &[port(Protocol::Tcp, 80), port(Protocol::Udp, 80)]);
    assert_eq!(names(&stage), ["kubenet", "kubenet-2"]);

    let removed = remove(&stage, "kubenet");
    let chains = removed.iter().filter(|line| line.starts_with("chain ")).count();
    let ports = removed.iter().filter(|line| line.starts_with("host port 80/")).count();
    assert_eq!((chains, ports, removed.len()), (4, 4, 8), "{removed:?}");
    let rules = ruleset(&stage);
    for left in ["guard-kubenet ", "masquerade-kubenet ", "output-kubenet ", "/web/"] {
        assert!(!rules.contains(left), "{left}: {rules}");
    }
    assert_eq!(names(&stage), ["kubenet-2"]);
    assert_eq!(stage.missing(&neighbour()), [""; 0]);
    assert_eq!(stage.program("cat", &[ROUTED]).trim(), "1", "the other guards the bridge");
    assert_eq!(remove(&stage, "kubenet"), [""; 0]);

    remove(&stage, "kubenet-2");
    assert_eq!(stage.program("cat", &[ROUTED]).trim(), "0", "nobody guards it any more");
    assert_eq!(names(&stage), [""; 0]);
}

#[test]
fn a_network_that_was_removed_comes_back_with_its_next_pod() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.table(async |table| {
        table.ensure(&network()).await.unwrap();
        table.remove_network(&network().name).await.unwrap();
        assert!(!table.ensure(&network()).await.unwrap().is_empty(), "it is looked at again");
        table.publish(&web.label, &web.ips, &[port(Protocol::Tcp, 80)]).await.unwrap();
    });
    assert_eq!(stage.missing(&network()), [""; 0]);
    for address in [HOST, HOST6] {
        assert!(tcp(stage.world.netns(), at(address, 80)).is_ok());
    }
    assert!(tcp(stage.host.netns(), at("127.0.0.1", 80)).is_ok());
}

fn forward_rules_go(flavour: &str) {
    let stage = Stage::new();
    stage.program(flavour, &["-P", "FORWARD", "DROP"]);
    stage.program(flavour, &["-A", "FORWARD", "-i", "docker0", "-j", "ACCEPT"]);
    let before = stage.program(flavour, &["-S", "FORWARD"]);
    stage.ensure(&network());
    stage.ensure(&neighbour());
    let both = stage.program(flavour, &["-S", "FORWARD"]);
    assert_eq!(both.matches("podnet: ").count(), 4, "{both}");
    remove(&stage, "kubenet");
    let one = stage.program(flavour, &["-S", "FORWARD"]);
    assert_eq!(one.matches("podnet: kubenet-2 ").count(), 2, "{one}");
    assert_eq!(one.matches("podnet: ").count(), 2, "{one}");
    remove(&stage, "kubenet-2");
    assert_eq!(stage.program(flavour, &["-S", "FORWARD"]), before);
}

#[test]
fn rules_in_a_forward_chain_of_iptables_on_nftables_go_too() {
    forward_rules_go("iptables-nft");
}

#[test]
fn rules_in_a_forward_chain_of_the_older_iptables_go_too() {
    forward_rules_go("iptables-legacy");
}
