//! Kubenet beside what else is on a node: other people's rules, a changing MTU, a bridge in promiscuous mode.

use std::net::UdpSocket;
use std::time::Duration;

use podnet_plugin_api::{HairpinMode, Mtu, Protocol, Settings};

use super::bed::{
    Mirror, NODE4, NODE6, WORLD4, WORLD6, ask, ask_udp, for_each_choice, inside, output, port, run,
    sandbox, set_up,
};
use super::traffic::Calls as _;

const DOCKER: [&str; 5] = [
    "-P FORWARD DROP",
    "-N DOCKER-USER",
    "-A FORWARD -j DOCKER-USER",
    "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A DOCKER-USER -j RETURN",
];
const KUBE_PROXY: [&str; 5] = [
    "-N KUBE-FORWARD",
    "-A FORWARD -m comment --comment kubernetes -j KUBE-FORWARD",
    "-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
    "-t nat -N KUBE-SERVICES",
    "-t nat -A PREROUTING -j KUBE-SERVICES",
];

#[test]
fn what_works_works_beside_dockers_and_kube_proxys_rules_and_changes_none_of_them() {
    for_each_choice("beside_dockers_rules", |bed| {
        for flavour in ["iptables-nft", "iptables-legacy"] {
            let (web, other) =
                (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
            let _mirrors = [Mirror::new(web.netns(), 80), Mirror::new(bed.world.netns(), 9000)];
            bed.host
                .run(async || {
                    for rule in DOCKER.iter().chain(&KUBE_PROXY) {
                        run(flavour, rule);
                    }
                    let rules = || -> Vec<String> {
                        let saved = output(&format!("{flavour}-save"), "-M /sbin/modprobe");
                        let own = |line: &&str| line.starts_with("-A") || line.starts_with("-N");
                        saved.lines().filter(own).map(str::to_owned).collect()
                    };
                    let before = rules();
                    let kubenet = bed.start(&Settings::default()).await;
                    let mut pod = sandbox(&format!("w-{flavour}"), &web);
                    pod.port_mappings = vec![port(8080, 80, Protocol::Tcp)];
                    let ip = set_up(&kubenet, &pod).await.ip().to_string();
                    set_up(&kubenet, &sandbox(&format!("o-{flavour}"), &other)).await;
                    assert_eq!(ask(bed.world.netns(), NODE4, 8080).as_deref(), Some(WORLD4));
                    assert_eq!(ask(web.netns(), WORLD4, 9000).as_deref(), Some(NODE4));
                    assert!(ask(other.netns(), &ip, 80).is_some(), "pod to pod");
                    assert!(ask(other.netns(), NODE4, 8080).is_some(), "pod to host port");
                    let foreign: Vec<_> = rules()
                        .into_iter()
                        .filter(|rule| !rule.contains("podnet: kubenet"))
                        .collect();
                    assert_eq!(foreign, before, "{flavour}");
                    kubenet.tear_down(&pod).await;
                    kubenet.tear_down(&sandbox(&format!("o-{flavour}"), &other)).await;
                    run(flavour, "-P FORWARD ACCEPT");
                    run(flavour, "-F");
                    run(flavour, "-t nat -F");
                    run(flavour, "-X");
                    run(flavour, "-t nat -X");
                })
                .unwrap();
        }
    });
}

#[test]
fn what_works_by_ipv6_works_beside_dockers_rules_and_changes_none_of_them() {
    for_each_choice("beside_dockers_ipv6_rules", |bed| {
        for flavour in ["ip6tables-nft", "ip6tables-legacy"] {
            let (web, other) =
                (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
            let _mirrors = [Mirror::new(web.netns(), 80), Mirror::new(bed.world.netns(), 9000)];
            bed.host
                .run(async || {
                    for rule in DOCKER {
                        run(flavour, rule);
                    }
                    let rules = || -> Vec<String> {
                        let saved = output(&format!("{flavour}-save"), "-M /sbin/modprobe");
                        let own = |line: &&str| line.starts_with("-A") || line.starts_with("-N");
                        saved.lines().filter(own).map(str::to_owned).collect()
                    };
                    let before = rules();
                    let kubenet = bed.start(&Settings::default()).await;
                    let mut pod = sandbox(&format!("w-{flavour}"), &web);
                    pod.port_mappings =
                        vec![port(8080, 80, Protocol::Tcp), port(8080, 80, Protocol::Udp)];
                    let ips = set_up(&kubenet, &pod).await.ips().to_vec();
                    let six = ips.iter().find(|ip| ip.is_ipv6()).unwrap().to_string();
                    set_up(&kubenet, &sandbox(&format!("o-{flavour}"), &other)).await;
                    let outside = bed.world.netns();
                    assert_eq!(ask(outside, NODE6, 8080).as_deref(), Some(WORLD6), "{flavour}");
                    assert_eq!(ask_udp(outside, NODE6, 8080).as_deref(), Some(WORLD6), "{flavour}");
                    assert_eq!(ask(web.netns(), WORLD6, 9000).as_deref(), Some(NODE6), "{flavour}");
                    assert!(ask(other.netns(), &six, 80).is_some(), "{flavour}: pod to pod");
                    assert!(ask(other.netns(), NODE6, 8080).is_some(), "{flavour}: to host port");
                    assert!(ask(bed.host.netns(), NODE6, 8080).is_some(), "{flavour}: the host");
                    let foreign: Vec<_> = rules()
                        .into_iter()
                        .filter(|rule| !rule.contains("podnet: kubenet"))
                        .collect();
                    assert_eq!(foreign, before, "{flavour}");
                    assert_eq!(kubenet.findings().await.unwrap(), [], "{flavour}");
                    kubenet.tear_down(&pod).await;
                    kubenet.tear_down(&sandbox(&format!("o-{flavour}"), &other)).await;
                    run(flavour, "-P FORWARD ACCEPT");
                    run(flavour, "-F");
                    run(flavour, "-X");
                })
                .unwrap();
        }
    });
}

#[test]
fn the_mtu_follows_the_hosts_and_old_pods_are_named() {
    for_each_choice("the_mtu_follows", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                set_up(&kubenet, &sandbox("w1", &web)).await;
                run("ip", "link set eth0 mtu 1400");
                // What was seen of the host holds for a second.
                tokio::time::sleep(Duration::from_millis(1100)).await;
                set_up(&kubenet, &sandbox("o1", &other)).await;
                assert_eq!(other.link("eth0").await.unwrap().unwrap().mtu, 1400);
                assert!(output("ip", "link show cbr0").contains("mtu 1400"));
                let findings = kubenet.findings().await.unwrap();
                let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
                assert!(
                    matches!(lines.as_slice(), [one] if one.contains("default/web (w1)")
                        && one.contains("an MTU of 1500, cbr0 of 1400")),
                    "{lines:?}"
                );
                // The option goes before the host's, and is followed too.
                let third = bed.host.add_pod("third").unwrap();
                let settings = Settings::default().with_mtu(Mtu::new(1350).unwrap());
                let kubenet = bed.start(&settings).await;
                set_up(&kubenet, &sandbox("t1", &third)).await;
                assert_eq!(third.link("eth0").await.unwrap().unwrap().mtu, 1350);
                assert!(output("ip", "link show cbr0").contains("mtu 1350"));
                let findings = kubenet.findings().await.unwrap();
                let named = |id: &str| {
                    let named = |it: &&podnet_kubenet::Finding| {
                        it.subject.contains(id) && it.problem.contains("cbr0 of 1350")
                    };
                    findings.iter().filter(named).count()
                };
                assert_eq!([named("w1"), named("o1"), named("t1")], [1, 1, 0], "{findings:?}");
            })
            .unwrap();
    });
}

#[test]
fn a_promiscuous_bridge_hands_a_pod_each_datagram_of_a_service_once() {
    for_each_choice("a_promiscuous_bridge", |bed| {
        let (web, client) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("client").unwrap());
        bed.host
            .run(async || {
                let settings =
                    Settings::default().with_hairpin_mode(HairpinMode::PromiscuousBridge);
                let kubenet = bed.start(&settings).await;
                let ip = set_up(&kubenet, &sandbox("w1", &web)).await.ip();
                set_up(&kubenet, &sandbox("c1", &client)).await;
                assert!(output("ip", "-d link show cbr0").contains("PROMISC"));
                run("nft", "add table ip service");
                run("nft", "add chain ip service pre { type nat hook prerouting priority -100 ; }");
                run("nft", &format!("add rule ip service pre ip daddr 10.96.0.1 dnat to {ip}"));
                let count = || {
                    let any = ("0.0.0.0", 5353);
                    let server = inside(web.netns(), || UdpSocket::bind(any).unwrap());
                    server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
                    let from = inside(client.netns(), || UdpSocket::bind(("0.0.0.0", 0)).unwrap());
                    for _ in 0..10 {
                        from.send_to(b"once", ("10.96.0.1", 5353)).unwrap();
                    }
                    let mut buffer = [0; 16];
                    std::iter::from_fn(|| server.recv(&mut buffer).ok()).count()
                };
                assert_eq!(count(), 10);
                run("nft", "delete table bridge podnet");
                assert_eq!(count(), 20, "without the rules the bridge hands over each twice");
                let _mirror = Mirror::new(web.netns(), 80);
                assert!(ask_udp(client.netns(), &ip.to_string(), 80).is_some());
            })
            .unwrap();
    });
}
