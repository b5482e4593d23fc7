//! Publishing, withdrawing, conflicts.

use std::net::{IpAddr, TcpListener};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use podnet_netutil::Family;
use podnet_netutil::conntrack::{Conntrack, Flows};
use podnet_standard_plugins::nat::{HostPort, Protocol, Publishing};

use super::echo::{Client, Echo, tcp, udp};
use super::stage::{BRIDGE_IP, HOST, HOST6, Stage, WORLD, WORLD6, at, network, port};

#[test]
fn a_port_of_one_address_is_no_port_of_another() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.ensure(&network());
    let one = HostPort { host_ip: Some(HOST.parse().unwrap()), ..port(Protocol::Tcp, 80) };
    stage.publish(&web, &[one]);
    assert!(tcp(stage.world.netns(), at(HOST, 80)).unwrap().starts_with("web "));
    assert!(tcp(stage.host.netns(), at("127.0.0.1", 80)).is_err());
}

#[test]
fn another_pods_port_is_refused_with_its_name() {
    let stage = Stage::new();
    let (web, other) = (stage.server("web"), stage.server("other"));
    stage.ensure(&network());
    stage.publish(&web, &[port(Protocol::Tcp, 80)]);
    stage.publish(&web, &[port(Protocol::Tcp, 80)]);
    let one = HostPort { host_ip: Some(HOST.parse().unwrap()), ..port(Protocol::Tcp, 80) };
    for wanted in [port(Protocol::Tcp, 80), one] {
        let refused = stage.try_publish(&other, &[wanted]).unwrap_err();
        assert_eq!(refused, "host port 80/tcp is taken by container web");
    }
    stage.publish(&other, &[port(Protocol::Udp, 80), port(Protocol::Tcp, 81)]);
    stage.withdraw(&web);
    stage.withdraw(&web);
    stage.publish(&other, &[port(Protocol::Tcp, 80)]);
    assert!(tcp(stage.world.netns(), at(HOST, 80)).unwrap().starts_with("other "));
    assert!(tcp(stage.world.netns(), at(HOST, 81)).is_err(), "the list was replaced");
}

#[test]
fn a_port_of_a_process_is_refused_with_its_name() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.ensure(&network());
    for (address, wanted, fits) in [
        ("127.0.0.1", None, false),
        ("0.0.0.0", Some(HOST), false),
        ("::", None, false),
        ("::", Some(HOST), false),
        ("127.0.0.1", Some(HOST), true),
    ] {
        let listen = || bound(at(address, 80));
        let _held = stage.host.netns().run(listen).unwrap();
        let host_ip = wanted.map(|ip: &str| ip.parse().unwrap());
        let outcome = stage.try_publish(&web, &[HostPort { host_ip, ..port(Protocol::Tcp, 80) }]);
        assert_eq!(outcome.is_ok(), fits, "{address} {wanted:?}: {outcome:?}");
        if let Err(refused) = outcome {
            let process = format!("(pid {}) listens on {address}", std::process::id());
            assert!(refused.contains(&process), "{refused}");
        }
    }
}

#[test]
fn a_client_of_udp_follows_the_port_to_the_next_pod() {
    let stage = Stage::new();
    let (old, new) = (stage.server("old"), stage.server("new"));
    stage.ensure(&network());
    let clients =
        ["192.0.2.10", "2001:db8::10"].map(|ip| Client::new(stage.world.netns(), at(ip, 53)));
    for client in &clients {
        assert!(client.ask().is_err(), "nobody is there yet");
    }
    stage.publish(&old, &[port(Protocol::Udp, 53)]);
    for client in &clients {
        assert!(client.ask().unwrap().starts_with("old "));
    }
    stage.withdraw(&old);
    stage.publish(&new, &[port(Protocol::Udp, 53)]);
    for client in &clients {
        assert!(client.ask().unwrap().starts_with("new "));
    }
}

/// How many connections of UDP there are to this port of an address, which are forgotten by being counted.
fn counted(stage: &Stage, address: &str, port: u16) -> usize {
    let address: IpAddr = address.parse().unwrap();
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    let flows = Flows::To { family, protocol: 17, address: Some(address), port };
    let count = async || Conntrack::open().unwrap().forget(&[flows]).await.unwrap();
    stage.host.run(count).unwrap()
}

#[test]
fn connections_to_the_same_port_of_other_hosts_and_other_addresses_are_kept() {
    let stage = Stage::new();
    let (web, client) = (stage.server("web"), stage.server("client"));
    stage.ensure(&network());
    let _world = Echo::start(stage.world.netns(), "world", at("::", 53));
    let hosts = [HOST, HOST6, BRIDGE_IP, "fd00:9::1"];
    let _hosts = hosts.map(|ip| Echo::start(stage.host.netns(), "host", at(ip, 53)));
    let ask = |both: [&str; 2]| {
        for to in both {
            assert!(udp(client.pod.netns(), at(to, 53)).is_ok(), "{to}");
        }
    };
    let mut everything = Publishing::default();
    everything.refuse_listeners = false;
    let publish = |host_ip: Option<&str>| {
        let host_ip = host_ip.map(|ip| ip.parse().unwrap());
        let one = HostPort { host_ip, ..port(Protocol::Udp, 53) };
        stage.table(async |table| {
            let how = everything.clone();
            table.publish_as(&web.label, &web.ips, &[one], how).await.unwrap();
        });
    };
    // A port of any address: any address of this host is meant, and no other.
    for (host, world) in [(HOST, WORLD), (HOST6, WORLD6)] {
        ask([host, world]);
        publish(None);
        assert_eq!((counted(&stage, host, 53), counted(&stage, world, 53)), (0, 1), "publish");
        ask([host, world]);
        stage.withdraw(&web);
        assert_eq!((counted(&stage, host, 53), counted(&stage, world, 53)), (0, 1), "withdraw");
    }
    // A port of one address: no other address of this host is meant either.
    for (host, other) in [(HOST, BRIDGE_IP), (HOST6, "fd00:9::1")] {
        ask([host, other]);
        publish(Some(host));
        assert_eq!((counted(&stage, host, 53), counted(&stage, other, 53)), (0, 1), "publish");
        ask([host, other]);
        stage.withdraw(&web);
        assert_eq!((counted(&stage, host, 53), counted(&stage, other, 53)), (0, 1), "withdraw");
    }
}

#[test]
fn of_two_that_publish_a_port_at_once_one_gets_it() {
    let stage = Stage::new();
    let (web, other) = (stage.server("web"), stage.server("other"));
    stage.ensure(&network());
    for _ in 0..10 {
        let start = Barrier::new(2);
        let outcomes = thread::scope(|scope| {
            let publish = |server| {
                let (stage, start) = (&stage, &start);
                scope.spawn(move || {
                    start.wait();
                    stage.try_publish(server, &[port(Protocol::Tcp, 80)])
                })
            };
            [publish(&web), publish(&other)].map(|thread| thread.join().unwrap())
        });
        let [first, second] = &outcomes;
        let taken = |by: &str| Err(format!("host port 80/tcp is taken by container {by}"));
        let one_each = [(Ok(()), taken("web")), (taken("other"), Ok(()))];
        assert!(one_each.contains(&(first.clone(), second.clone())), "{outcomes:?}");
        stage.withdraw(&web);
        stage.withdraw(&other);
    }
}

#[test]
fn what_is_published_is_listed_until_it_is_withdrawn() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.table(async |table| table.withdraw(&web.label).await.unwrap());
    stage.ensure(&network());
    stage.publish(&web, &[port(Protocol::Sctp, 80)]);
    let listed = stage.table(async |table| table.published().await.unwrap());
    assert_eq!(listed.iter().map(|port| port.pod_ip).collect::<Vec<_>>(), web.ips);
    assert_eq!(listed[0].label, web.label.alias());
    let key =
        (listed[0].protocol, listed[0].host_ip, listed[0].host_port, listed[0].container_port);
    assert_eq!(key, (Protocol::Sctp, None, 80, 8080));
    stage.withdraw(&web);
    assert!(stage.table(async |table| table.published().await.unwrap()).is_empty());
    assert!(!stage.program("nft", &["list", "table", "inet", "podnet"]).contains("elements"));
}

fn some_ips(number: u16) -> Vec<IpAddr> {
    let [high, low] = number.to_be_bytes();
    let six = [0xfd00, 0x9, 0, 0, 0, 0, 1, number];
    vec![[10, 9, high, low].into(), six.into()]
}

#[test]
fn a_thousand_ports_are_published_and_lead_to_the_pod() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.ensure(&network());
    let labels: Vec<_> = (1..=1000_u16)
        .map(|number| {
            let id = format!("c{number}").parse().unwrap();
            let network = "kubenet".parse().unwrap();
            podnet_standard_plugins::Label::new(network, id, "eth0".parse().unwrap()).unwrap()
        })
        .collect();
    let spent = stage.table(async |table| {
        let mut spent = Vec::new();
        for (label, number) in labels.iter().zip(1001_u16..) {
            let begun = Instant::now();
            let ips = if number == 2000 { web.ips.clone() } else { some_ips(number) };
            table.publish(label, &ips, &[port(Protocol::Tcp, number)]).await.unwrap();
            spent.push(begun.elapsed());
        }
        spent
    });
    let mean = |part: &[Duration]| part.iter().sum::<Duration>() / 100;
    println!(
        "the first 100 took {:?} each, the last {:?}",
        mean(&spent[..100]),
        mean(&spent[900..])
    );
    assert!(tcp(stage.world.netns(), at(HOST, 2000)).unwrap().starts_with("web "));
    assert!(udp(stage.world.netns(), at(HOST, 2000)).is_err());
}

/// Listens, as soon as the port is free: a process that another test starts has the last listener until it is another
/// program.
fn bound(address: std::net::SocketAddr) -> TcpListener {
    let begun = std::time::Instant::now();
    loop {
        match TcpListener::bind(address) {
            Err(_) if begun.elapsed() < std::time::Duration::from_secs(5) => {
                std::thread::yield_now();
            }
            done => return done.unwrap(),
        }
    }
}
