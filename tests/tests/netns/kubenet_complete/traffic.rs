//! What reaches whom, and with which address.

use podnet_plugin_api::{Protocol, Settings};

use super::bed::{
    Mirror, NODE4, NODE6, WORLD4, ask, ask_udp, for_each_choice, output, port, sandbox, set_up,
};

#[test]
fn a_host_port_is_reached_from_outside_the_host_other_pods_and_the_pod_itself() {
    for_each_choice("a_host_port_is_reached_from_everywhere", |bed| {
        let (web, client) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("client").unwrap());
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                let mut pod = sandbox("w1", &web);
                pod.port_mappings =
                    vec![port(8080, 80, Protocol::Tcp), port(8080, 80, Protocol::Udp)];
                let web_ip = set_up(&kubenet, &pod).await.ip().to_string();
                let client_ip = set_up(&kubenet, &sandbox("c1", &client)).await.ip().to_string();
                let _mirror = Mirror::new(web.netns(), 80);
                let node = bed.host.netns();
                // The address of whoever comes from outside, and of another pod, is kept.
                let outside = bed.world.netns();
                assert_eq!(ask(outside, NODE4, 8080).as_deref(), Some(WORLD4));
                assert_eq!(ask_udp(outside, NODE4, 8080).as_deref(), Some(WORLD4));
                assert_eq!(ask(outside, NODE6, 8080).as_deref(), Some("2001:db8::1"));
                assert_eq!(ask_udp(outside, NODE6, 8080).as_deref(), Some("2001:db8::1"));
                assert_eq!(ask(client.netns(), NODE4, 8080), Some(client_ip.clone()));
                assert_eq!(ask_udp(client.netns(), NODE4, 8080), Some(client_ip));
                for by in [NODE4, "127.0.0.1", "10.9.0.1", NODE6] {
                    assert!(ask(node, by, 8080).is_some(), "the host by {by}");
                    assert!(ask_udp(node, by, 8080).is_some(), "the host by {by}, UDP");
                }
                for by in [NODE4, NODE6, "10.9.0.1"] {
                    assert!(ask(web.netns(), by, 8080).is_some(), "the pod itself by {by}");
                    assert!(
                        ask_udp(web.netns(), by, 8080).is_some(),
                        "the pod itself by {by}, UDP"
                    );
                }
                assert!(ask(client.netns(), &web_ip, 80).is_some(), "pod to pod");
                kubenet.tear_down(&pod).await;
                assert_eq!(ask(outside, NODE4, 8080), None);
            })
            .unwrap();
    });
}

#[test]
fn traffic_to_the_world_leaves_with_the_nodes_address_and_to_the_cluster_with_the_pods() {
    for_each_choice("masquerade", |bed| {
        let web = bed.host.add_pod("web").unwrap();
        let _world = Mirror::new(bed.world.netns(), 9000);
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                let ips = set_up(&kubenet, &sandbox("w1", &web)).await;
                let ip = ips.ip().to_string();
                assert_eq!(ask(web.netns(), WORLD4, 9000).as_deref(), Some(NODE4));
                assert_eq!(ask_udp(web.netns(), WORLD4, 9000).as_deref(), Some(NODE4));
                assert_eq!(ask(web.netns(), "2001:db8::1", 9000).as_deref(), Some(NODE6));
                for exempt in ["192.0.2.0/24", "0.0.0.0/0"] {
                    let settings = Settings::default()
                        .with_non_masquerade_cidrs(vec![exempt.parse().unwrap()]);
                    let kubenet = bed.start(&settings).await;
                    set_up(&kubenet, &sandbox("w1", &web)).await;
                    assert_eq!(ask(web.netns(), WORLD4, 9000), Some(ip.clone()), "{exempt}");
                }
            })
            .unwrap();
    });
}

#[test]
fn limits_follow_the_annotations_and_leave_no_queue_behind() {
    for_each_choice("limits", |bed| {
        let web = bed.host.add_pod("web").unwrap();
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                let limited = sandbox("w1", &web)
                    .with_annotation("kubernetes.io/ingress-bandwidth", "10M")
                    .with_annotation("kubernetes.io/egress-bandwidth", "1M");
                set_up(&kubenet, &limited).await;
                let queues = output("tc", "qdisc show");
                assert!(
                    queues.contains("rate 10Mbit") && queues.contains("rate 1Mbit"),
                    "{queues}"
                );
                let wider = limited.with_annotation("kubernetes.io/ingress-bandwidth", "20M");
                set_up(&kubenet, &wider).await;
                let queues = output("tc", "qdisc show");
                assert!(
                    queues.contains("rate 20Mbit") && !queues.contains("rate 10Mbit"),
                    "{queues}"
                );
                set_up(&kubenet, &sandbox("w1", &web)).await;
                assert!(!output("tc", "qdisc show").contains("tbf"));
                set_up(&kubenet, &wider).await;
                kubenet.tear_down(&sandbox("w1", &web)).await;
                assert!(!output("tc", "qdisc show").contains("tbf"));
                assert!(!output("ip", "link show").contains("pifb"));
                assert!(kubenet.pods().await.unwrap().is_empty());
            })
            .unwrap();
    });
}

#[test]
fn a_port_that_is_held_is_refused_with_its_holder_and_the_pod_is_gone() {
    for_each_choice("conflicts", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                let mut first = sandbox("w1", &web);
                first.port_mappings = vec![port(8080, 80, Protocol::Tcp)];
                set_up(&kubenet, &first).await;
                let mut second = sandbox("o1", &other);
                second.port_mappings = vec![port(8080, 81, Protocol::Tcp)];
                let error = kubenet.refused(&second).await;
                assert!(error.contains("8080") && error.contains("w1"), "{error}");
                assert_eq!(kubenet.pods().await.unwrap().len(), 1);
                let _listener = std::net::TcpListener::bind("0.0.0.0:9090").unwrap();
                second.port_mappings = vec![port(9090, 81, Protocol::Tcp)];
                let error = kubenet.refused(&second).await;
                assert!(error.contains("9090") && error.contains("listens"), "{error}");
                set_up(&kubenet, &first).await;
            })
            .unwrap();
    });
}

/// Calls that the tests make again and again.
pub(super) trait Calls {
    async fn tear_down(&self, pod: &podnet_plugin_api::PodSandbox);
    async fn refused(&self, pod: &podnet_plugin_api::PodSandbox) -> String;
}

impl Calls for podnet_kubenet::Kubenet {
    async fn tear_down(&self, pod: &podnet_plugin_api::PodSandbox) {
        podnet_plugin_api::NetworkPlugin::tear_down_pod(self, pod).await.unwrap();
    }

    async fn refused(&self, pod: &podnet_plugin_api::PodSandbox) -> String {
        let outcome = podnet_plugin_api::NetworkPlugin::set_up_pod(self, pod).await;
        outcome.unwrap_err().to_string()
    }
}
