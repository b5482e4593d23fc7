//! Who reaches whom, and with which address.

use podnet_standard_plugins::nat::{NatNetwork, Protocol};

use super::echo::{Echo, tcp, udp};
use super::stage::{BRIDGE_IP, HOST, HOST6, Stage, WORLD, WORLD6, at, network, port};

fn both(host_port: u16) -> [podnet_standard_plugins::HostPort; 2] {
    [port(Protocol::Tcp, host_port), port(Protocol::Udp, host_port)]
}

#[test]
fn the_world_reaches_a_host_port_and_keeps_its_address() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.ensure(&network());
    stage.publish(&web, &both(80));
    for (host, world) in [(HOST, WORLD), (HOST6, WORLD6)] {
        let expected = format!("web {world}");
        assert_eq!(tcp(stage.world.netns(), at(host, 80)).unwrap(), expected);
        assert_eq!(udp(stage.world.netns(), at(host, 80)).unwrap(), expected);
    }
    assert!(tcp(stage.world.netns(), at(HOST, 81)).is_err());
}

#[test]
fn the_host_reaches_a_host_port_by_each_of_its_addresses() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.ensure(&network());
    stage.publish(&web, &both(80));
    for ip in [HOST, BRIDGE_IP, "127.0.0.1", HOST6, "fd00:9::1"] {
        for answer in [tcp, udp].map(|ask| ask(stage.host.netns(), at(ip, 80))) {
            let answer = answer.unwrap_or_else(|error| panic!("{ip}: {error}"));
            assert!(answer.starts_with("web "), "{ip}: {answer}");
        }
    }
    assert!(tcp(stage.host.netns(), at("::1", 80)).is_err());
}

#[test]
fn another_pod_reaches_a_host_port_and_keeps_its_address() {
    let stage = Stage::new();
    let (web, client) = (stage.server("web"), stage.server("client"));
    stage.ensure(&network());
    stage.publish(&web, &both(80));
    for (host, ip) in [(HOST, client.ips[0]), (HOST6, client.ips[1]), (BRIDGE_IP, client.ips[0])] {
        assert_eq!(tcp(client.pod.netns(), at(host, 80)).unwrap(), format!("web {ip}"), "{host}");
        assert_eq!(udp(client.pod.netns(), at(host, 80)).unwrap(), format!("web {ip}"), "{host}");
    }
}

#[test]
fn a_pod_reaches_itself_by_its_host_port() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.ensure(&network());
    stage.publish(&web, &both(80));
    for host in [HOST, BRIDGE_IP, HOST6] {
        for answer in [tcp, udp].map(|ask| ask(web.pod.netns(), at(host, 80))) {
            let answer = answer.unwrap_or_else(|error| panic!("{host}: {error}"));
            assert!(answer.starts_with("web ") && !answer.contains(&web.ip()), "{answer}");
        }
    }
}

#[test]
fn a_pod_goes_out_with_the_hosts_address() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.ensure(&network());
    let _world = Echo::start(stage.world.netns(), "world", at("::", 80));
    let ask = |world| tcp(web.pod.netns(), at(world, 80));
    assert_eq!(ask(WORLD).unwrap(), format!("world {HOST}"));
    assert_eq!(ask(WORLD6).unwrap(), format!("world {HOST6}"));
}

#[test]
fn a_destination_that_is_left_alone_sees_no_masquerade() {
    for non_masquerade in ["192.0.2.0/24", "0.0.0.0/0"] {
        let stage = Stage::new();
        let web = stage.server("web");
        let non_masquerade = vec![non_masquerade.parse().unwrap()];
        stage.ensure(&NatNetwork { non_masquerade, ..network() });
        let _world = Echo::start(stage.world.netns(), "world", at("::", 80));
        // The world has no route to the pod, so that only what is masqueraded is answered.
        assert!(tcp(web.pod.netns(), at(WORLD, 80)).is_err());
        assert_eq!(tcp(web.pod.netns(), at(WORLD6, 80)).unwrap(), format!("world {HOST6}"));
    }
}

#[test]
fn the_same_port_of_another_host_is_left_alone() {
    let stage = Stage::new();
    let (web, client) = (stage.server("web"), stage.server("client"));
    stage.ensure(&network());
    stage.publish(&web, &both(80));
    let _world = Echo::start(stage.world.netns(), "world", at("::", 80));
    for from in [client.pod.netns(), stage.host.netns()] {
        for world in [WORLD, WORLD6] {
            assert!(tcp(from, at(world, 80)).unwrap().starts_with("world "));
            assert!(udp(from, at(world, 80)).unwrap().starts_with("world "));
        }
    }
}

#[test]
fn no_pod_reaches_the_hosts_loopback() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.ensure(&network());
    let localnet = "/proc/sys/net/ipv4/conf/cbr0/route_localnet";
    assert_eq!(stage.program("cat", &[localnet]).trim(), "1");
    let _private = Echo::start(stage.host.netns(), "private", at("127.0.0.1", 90));
    // As an intruder does: 127.0.0.0/8 is routed to the host.
    let intrude = "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; \
                   ip link set lo down; \
                   ip route add 127.0.0.0/8 via 10.9.0.1 dev eth0 src IP";
    let intrude = intrude.replace("IP", &web.ip());
    let run = || std::process::Command::new("sh").args(["-c", &intrude]).status();
    web.pod.netns().run(run).unwrap().unwrap();
    assert!(tcp(web.pod.netns(), at("127.0.0.1", 90)).is_err());
    stage.program("nft", &["flush", "chain", "inet", "podnet", "guard-kubenet"]);
    assert!(tcp(web.pod.netns(), at("127.0.0.1", 90)).is_ok(), "without the guard it is open");
}
