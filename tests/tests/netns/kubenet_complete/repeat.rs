//! A set-up that is repeated and fails leaves the pod as it was.

use podnet_plugin_api::{Event, NetworkPlugin as _, Protocol, Settings};

use super::bed::{
    Bed, Mirror, NODE4, WORLD4, ask, for_each_choice, output, port, run, sandbox, set_up,
    start_with,
};
use super::traffic::Calls as _;

#[test]
fn a_repeat_that_asks_for_a_port_that_is_held_leaves_the_pod_with_what_it_had() {
    for_each_choice("a_repeat_that_asks_for_a_port_that_is_held", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        let _in_pod = Mirror::new(web.netns(), 80);
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                let mut holder = sandbox("o1", &other);
                holder.port_mappings = vec![port(9090, 80, Protocol::Tcp)];
                set_up(&kubenet, &holder).await;
                let mut pod =
                    sandbox("w1", &web).with_annotation("kubernetes.io/ingress-bandwidth", "100M");
                pod.port_mappings = vec![port(8080, 80, Protocol::Tcp)];
                let before = set_up(&kubenet, &pod).await;
                let mut greedy = sandbox("w1", &web);
                greedy.port_mappings = vec![port(9090, 80, Protocol::Tcp)];
                let error = kubenet.refused(&greedy).await;
                assert!(error.contains("9090") && error.contains("o1"), "{error}");
                assert_eq!(ask(bed.world.netns(), NODE4, 8080).as_deref(), Some(WORLD4));
                assert!(output("tc", "qdisc show").contains("rate 100Mbit"));
                assert_eq!(kubenet.findings().await.unwrap(), []);
                assert_eq!(set_up(&kubenet, &pod).await, before);
            })
            .unwrap();
    });
}

#[test]
fn a_repeat_that_cannot_put_a_gateway_back_does_not_cut_the_pod() {
    for_each_choice("a_repeat_that_cannot_put_a_gateway_back", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        let _in_pod = Mirror::new(web.netns(), 80);
        bed.host
            .run(async || {
                let settings = Settings::default();
                let kubenet = start_with(bed.options(), &settings, "10.8.0.0/24").await;
                let mut pod = sandbox("w1", &web);
                pod.port_mappings = vec![port(8080, 80, Protocol::Tcp)];
                let before = set_up(&kubenet, &pod).await;
                // The gateway of the new pod CIDR cannot be had: the kernel refuses IPv6 on cbr0.
                run("sysctl", "-q -w net.ipv6.conf.cbr0.disable_ipv6=1");
                let cidrs = "10.9.0.0/24,fd00:9::/64".parse().unwrap();
                kubenet.event(Event::PodCidrChange { cidrs }).await.unwrap();
                let error = kubenet.refused(&pod).await;
                assert!(error.contains("fd00:9::1"), "{error}");
                assert_eq!(ask(bed.world.netns(), NODE4, 8080).as_deref(), Some(WORLD4));
                let reports = kubenet.pods().await.unwrap();
                assert_eq!((reports.len(), reports[0].ips.as_slice()), (1, before.ips()));
                run("sysctl", "-q -w net.ipv6.conf.cbr0.disable_ipv6=0");
                assert_eq!(set_up(&kubenet, &pod).await, before);
                set_up(&kubenet, &sandbox("o1", &other)).await;
                assert_eq!(ask(bed.world.netns(), NODE4, 8080).as_deref(), Some(WORLD4));
            })
            .unwrap();
    });
}

#[test]
fn a_new_pod_that_is_refused_a_port_gives_everything_back() {
    let bed = Bed::new(None);
    let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
    bed.host
        .run(async || {
            let kubenet = bed.start(&Settings::default()).await;
            let mut pod = sandbox("w1", &web);
            pod.port_mappings = vec![port(8080, 80, Protocol::Tcp)];
            set_up(&kubenet, &pod).await;
            let mut second =
                sandbox("o1", &other).with_annotation("kubernetes.io/egress-bandwidth", "100M");
            second.port_mappings =
                vec![port(8081, 80, Protocol::Tcp), port(8080, 80, Protocol::Tcp)];
            kubenet.refused(&second).await;
            assert!(other.link("eth0").await.unwrap().is_none());
            assert!(!output("nft", "list table inet podnet").contains("8081"));
            assert!(!output("ip", "link show").contains("pifb"));
            let ids: Vec<_> =
                kubenet.pods().await.unwrap().into_iter().map(|it| it.container_id).collect();
            assert_eq!(ids, ["w1"]);
        })
        .unwrap();
}
