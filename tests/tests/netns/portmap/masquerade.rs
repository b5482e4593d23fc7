//! `masqAll`: every client of a container's ports is seen with the host's address, and of no other.

use podnet_testkit::Pod;
use serde_json::json;

use super::{NODE, NODE6, attach_both, both_families, ours, portmap, printed, with};
use crate::nat::echo::{Echo, tcp, udp};

fn echo(pod: &Pod) -> Echo {
    Echo::start(pod.netns(), pod.name(), "[::]:80".parse().unwrap())
}

fn ports(host_port: u16) -> serde_json::Value {
    let port =
        |protocol| json!({ "hostPort": host_port, "containerPort": 80, "protocol": protocol });
    json!([port("tcp"), port("udp")])
}

#[test]
fn every_client_of_the_ports_gets_the_hosts_address_and_nobody_elses_client_does() {
    let (host, world) = both_families();
    let (all, plain) = (host.add_pod("all").unwrap(), host.add_pod("plain").unwrap());
    let (_all, _plain) = (echo(&all), echo(&plain));
    let attached_plain = attach_both(&host, &plain);
    let config = portmap(&attached_plain, &ports(8081));
    ours(&host, "portmap", config).call("ADD", "plain", plain.path()).ok();
    let attached = attach_both(&host, &all);
    let config = portmap(&attached, &ports(8080));
    let masquerading = with(&config, "masqAll", json!(true));
    let call = |verb: &str, config: &serde_json::Value| {
        ours(&host, "portmap", config.clone()).call(verb, "all", all.path())
    };
    call("ADD", &masquerading).ok();
    call("CHECK", &masquerading).ok();

    let families = [(NODE, "10.1.0.1", "192.0.2.1"), (NODE6, "fd00:1::1", "2001:db8::1")];
    let ask = |node: &str, port: u16| {
        let target = std::net::SocketAddr::new(node.parse().unwrap(), port);
        (tcp(world.netns(), target).unwrap(), udp(world.netns(), target).unwrap())
    };
    let same = |answer: String| (answer.clone(), answer);
    for (node, gateway, client) in families {
        assert_eq!(ask(node, 8080), same(format!("all {gateway}")));
        assert_eq!(ask(node, 8081), same(format!("plain {client}")));
    }
    // What comes to the container itself and by no port of the host keeps its address.
    let own = |attached: &serde_json::Value| {
        let address = attached["ips"][0]["address"].as_str().unwrap();
        address.split('/').next().unwrap().to_owned()
    };
    let target = format!("{}:80", own(&attached)).parse().unwrap();
    assert_eq!(tcp(plain.netns(), target).unwrap(), format!("all {}", own(&attached_plain)));

    let (_, fault) = call("CHECK", &config).error();
    assert!(fault.contains("clients of a port are not masqueraded as they should be"), "{fault}");
    call("ADD", &config).ok();
    for (node, _, client) in families {
        assert_eq!(ask(node, 8080), same(format!("all {client}")));
    }
    call("ADD", &masquerading).ok();
    call("DEL", &masquerading).ok();
    let table = printed(&host, "nft", &["list", "table", "inet", "podnet"]);
    assert!(!table.contains("/all/"), "{table}");
}

#[test]
fn a_chain_of_others_is_accepted_and_its_rules_are_ours() {
    let (host, world) = both_families();
    let web = host.add_pod("web").unwrap();
    let _echo = echo(&web);
    let config = portmap(&attach_both(&host, &web), &ports(8080));
    let config = with(&config, "externalSetMarkChain", json!("KUBE-MARK-MASQ"));
    let call = |verb: &str| ours(&host, "portmap", config.clone()).call(verb, "web", web.path());
    call("ADD").ok();
    call("CHECK").ok();
    for node in [NODE, NODE6] {
        let target = std::net::SocketAddr::new(node.parse().unwrap(), 8080);
        assert!(tcp(world.netns(), target).unwrap().starts_with("web "));
        assert!(tcp(web.netns(), target).unwrap().starts_with("web "), "to itself");
    }
    assert!(tcp(host.netns(), "127.0.0.1:8080".parse().unwrap()).unwrap().starts_with("web "));
    call("DEL").ok();
}
