//! Both families alike: addresses that can be used at once, none where there are none to be, and nobody's routes but ours.

use std::mem::size_of;
use std::net::{Ipv6Addr, SocketAddrV6};

use podnet_netutil::address::Claim;
use podnet_netutil::{Netlink, Netns, sysctl};
use podnet_plugin_api::{HairpinMode, NetworkPlugin as _, Protocol, Settings};
use podnet_testkit::Pod;
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket, sockopt};

use super::bed::{
    Mirror, NODE4, NODE6, WORLD4, WORLD6, ask, for_each_choice, inside, output, port, run, sandbox,
    set_up, start_with,
};
use super::traffic::Calls as _;

#[test]
fn addresses_can_be_used_at_once_without_detection_of_duplicates() {
    for_each_choice("addresses_can_be_used_at_once", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                for (id, pod) in [("w1", &web), ("o1", &other)] {
                    set_up(&kubenet, &sandbox(id, pod)).await;
                    let netlink = Netlink::open_in(pod.netns()).unwrap();
                    let eth0 = netlink.require_link("eth0").await.unwrap();
                    let addresses = netlink.addresses(&eth0).await.unwrap();
                    let global: Vec<_> = addresses.iter().filter(|it| it.global).collect();
                    assert!(global.iter().all(|it| it.claim == Claim::Settled), "{addresses:?}");
                    assert_eq!(global.len(), 2);
                }
                let cbr0 = Netlink::open().unwrap();
                let bridge = cbr0.require_link("cbr0").await.unwrap();
                let addresses = cbr0.addresses(&bridge).await.unwrap();
                let global: Vec<_> = addresses.iter().filter(|it| it.global).collect();
                assert!(global.iter().all(|it| it.claim == Claim::Settled), "{addresses:?}");
                assert_eq!(global.len(), 2);
            })
            .unwrap();
    });
}

#[test]
fn a_pod_without_ipv6_has_none_and_its_host_end_neither() {
    for_each_choice("a_pod_without_ipv6_has_none", |bed| {
        let web = bed.host.add_pod("web").unwrap();
        bed.host
            .run(async || {
                let settings = Settings::default();
                let kubenet = start_with(bed.options(), &settings, "10.9.0.0/24").await;
                set_up(&kubenet, &sandbox("w1", &web)).await;
                let (pods, hosts) =
                    (Netlink::open_in(web.netns()).unwrap(), Netlink::open().unwrap());
                let eth0 = pods.require_link("eth0").await.unwrap();
                let name = kubenet.pods().await.unwrap().remove(0).host_end.unwrap();
                let host_end = hosts.require_link(&name).await.unwrap();
                let inside = pods.addresses(&eth0).await.unwrap();
                assert!(inside.iter().all(|it| it.network.is_ipv4()), "{inside:?}");
                assert_eq!(hosts.addresses(&host_end).await.unwrap(), []);
            })
            .unwrap();
    });
}

/// Announces itself as a router to all on the pod's link (RFC 4861, section 4.2).
fn advertise_router(pod: &Pod) {
    let index =
        inside(pod.netns(), || std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap());
    let row = index.lines().find(|line| line.ends_with(" eth0")).unwrap();
    let index = u32::from_str_radix(row.split_whitespace().nth(1).unwrap(), 16).unwrap();
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend(1800_u16.to_be_bytes());
    message.extend([0; 2 * size_of::<u32>()]);
    inside(pod.netns(), || {
        let router = socket(AddressFamily::INET6, SocketType::RAW, Some(ipproto::ICMPV6)).unwrap();
        sockopt::set_ipv6_multicast_hops(&router, 255).unwrap();
        let all = SocketAddrV6::new(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), 0, 0, index);
        sendto(&router, &message, SendFlags::empty(), &all).unwrap();
    });
}

fn default_routes(netns: &Netns) -> String {
    inside(netns, || output("ip", "-6 route show default"))
}

#[test]
fn a_pod_that_advertises_itself_as_a_router_is_believed_by_nobody() {
    for_each_choice("a_pod_that_advertises_itself", |bed| {
        let (evil, other) = (bed.host.add_pod("evil").unwrap(), bed.host.add_pod("other").unwrap());
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                set_up(&kubenet, &sandbox("e1", &evil)).await;
                set_up(&kubenet, &sandbox("o1", &other)).await;
                let before = default_routes(other.netns());
                advertise_router(&evil);
                // What the bridge hands over is handled before the pod hears the answer to what it asked afterwards.
                assert!(
                    inside(evil.netns(), || output("ping", "-6 -c1 -W2 fd00:9::1"))
                        .contains("1 received")
                );
                let ours = default_routes(bed.host.netns());
                assert!(!ours.contains("cbr0"), "{ours}");
                // The Go bridge leaves it to the pod whether it listens; ours does not let it.
                if bed.is_builtin() {
                    assert_eq!(default_routes(other.netns()), before);
                }
                run("sysctl", "-q -w net.ipv6.conf.cbr0.accept_ra=2");
                advertise_router(&evil);
                assert!(
                    inside(evil.netns(), || output("ping", "-6 -c1 -W2 fd00:9::1"))
                        .contains("1 received")
                );
                let believed = default_routes(bed.host.netns());
                assert!(believed.contains("cbr0"), "it was no advertisement: {believed}");
            })
            .unwrap();
    });
}

#[test]
fn several_destinations_of_both_families_and_the_node_itself_see_the_pods_address() {
    for_each_choice("several_destinations", |bed| {
        let web = bed.host.add_pod("web").unwrap();
        let _mirrors = [Mirror::new(bed.world.netns(), 9000), Mirror::new(bed.host.netns(), 9001)];
        inside(bed.world.netns(), || run("ip", "route replace fd00:9::/64 via 2001:db8::10"));
        bed.host
            .run(async || {
                let exempt = ["198.51.100.0/24", "192.0.2.0/24", "2001:db8::/64"];
                let exempt = exempt.map(|cidr| cidr.parse().unwrap()).to_vec();
                let settings = Settings::default().with_non_masquerade_cidrs(exempt);
                let kubenet = bed.start(&settings).await;
                let status = set_up(&kubenet, &sandbox("w1", &web)).await;
                let ips: Vec<_> = status.ips().iter().map(ToString::to_string).collect();
                assert_eq!(ask(web.netns(), WORLD4, 9000).as_ref(), Some(&ips[0]));
                assert_eq!(ask(web.netns(), WORLD6, 9000).as_ref(), Some(&ips[1]));
                let kubenet = bed.start(&Settings::default()).await;
                set_up(&kubenet, &sandbox("w1", &web)).await;
                assert_eq!(ask(web.netns(), WORLD4, 9000).as_deref(), Some(NODE4));
                assert_eq!(ask(web.netns(), WORLD6, 9000).as_deref(), Some(NODE6));
                assert_eq!(ask(web.netns(), NODE4, 9001).as_ref(), Some(&ips[0]), "the node");
                assert_eq!(ask(web.netns(), NODE6, 9001).as_ref(), Some(&ips[1]), "the node");
            })
            .unwrap();
    });
}

#[test]
fn a_host_port_of_one_address_is_that_addresss_in_either_family() {
    for_each_choice("a_host_port_of_one_address", |bed| {
        let web = bed.host.add_pod("web").unwrap();
        let _mirror = Mirror::new(web.netns(), 80);
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                run("ip", "address add 192.0.2.11/24 dev eth0");
                run("ip", "address add 2001:db8::11/64 dev eth0 nodad");
                let of = |ip: &str, number| {
                    let mut port = port(number, 80, Protocol::Tcp);
                    port.host_ip = Some(ip.parse().unwrap());
                    port
                };
                let mut pod = sandbox("w1", &web);
                pod.port_mappings = vec![of(NODE4, 8080), of(NODE6, 8080)];
                set_up(&kubenet, &pod).await;
                let world = bed.world.netns();
                assert_eq!(ask(world, NODE4, 8080).as_deref(), Some(WORLD4));
                assert_eq!(ask(world, NODE6, 8080).as_deref(), Some(WORLD6));
                assert_eq!(ask(world, "192.0.2.11", 8080), None);
                assert_eq!(ask(world, "2001:db8::11", 8080), None);
                kubenet.tear_down(&pod).await;
            })
            .unwrap();
    });
}

#[test]
fn the_hairpin_mode_is_what_the_port_and_the_bridge_have() {
    for_each_choice("the_hairpin_mode", |bed| {
        for (mode, hairpin, promiscuous) in [
            (HairpinMode::HairpinVeth, true, false),
            (HairpinMode::None, false, false),
            (HairpinMode::PromiscuousBridge, false, true),
        ] {
            let id = format!("{mode:?}").to_ascii_lowercase();
            let web = bed.host.add_pod(&id).unwrap();
            bed.host
                .run(async || {
                    let kubenet = bed.start(&Settings::default().with_hairpin_mode(mode)).await;
                    let pod = sandbox(&id, &web);
                    set_up(&kubenet, &pod).await;
                    let netlink = Netlink::open().unwrap();
                    let bridge = netlink.require_link("cbr0").await.unwrap();
                    let ports = netlink.bridge_ports(bridge.index).await.unwrap();
                    assert_eq!(ports[0].port.unwrap().hairpin, hairpin, "{mode:?}");
                    assert_eq!(bridge.promiscuous, promiscuous, "{mode:?}");
                    assert_eq!(kubenet.findings().await.unwrap(), [], "{mode:?}");
                    kubenet.tear_down_pod(&pod).await.unwrap();
                })
                .unwrap();
        }
    });
}

#[test]
fn multicast_goes_on_between_pods_whose_reports_go_to_the_host_alone() {
    for_each_choice("multicast_goes_on_between_pods", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                set_up(&kubenet, &sandbox("w1", &web)).await;
                let status = set_up(&kubenet, &sandbox("o1", &other)).await;
                assert!(output("nft", "list table bridge podnet").contains("ff02::16"));
                // With a querier a bridge that snoops hands multicast only to those whose reports it saw.
                assert!(output("ip", "-d link show cbr0").contains("mcast_snooping 0"));
                run("ip", "link set cbr0 type bridge mcast_snooping 1 mcast_querier 1");
                let found = kubenet.findings().await.unwrap();
                assert!(found.iter().any(|it| it.problem.contains("snoops")), "{found:?}");
                kubenet.collect(None).await.unwrap();
                assert!(output("ip", "-d link show cbr0").contains("mcast_snooping 0"));
                assert_eq!(kubenet.findings().await.unwrap(), []);
                // Neighbours are found by multicast.
                let six = status.ips().iter().find(|ip| ip.is_ipv6()).unwrap().to_string();
                let found = inside(web.netns(), || output("ping", &format!("-6 -c1 -W3 {six}")));
                assert!(found.contains("1 received"), "{found}");
                let all = inside(web.netns(), || output("ping", "-6 -c2 -W3 -I eth0 ff02::1"));
                assert!(!all.contains(" 0 received"), "{all}");
                assert_eq!(sysctl::read("net/ipv6/conf/cbr0/accept_ra").unwrap(), "0");
            })
            .unwrap();
    });
}
