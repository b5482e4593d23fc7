//! What is broken by hand is named, and mended without cutting a pod; what belongs to no living pod goes.

use std::collections::BTreeSet;

use podnet_kubenet::Kubenet;
use podnet_plugin_api::{Protocol, Settings};
use podnet_standard_plugins::PluginChoice;
use podnet_testkit::Pod;

use super::bed::{
    Bed, Mirror, NODE4, WORLD4, ask, for_each_choice, inside, output, port, run, sandbox, set_up,
    start,
};
use super::traffic::Calls as _;

async fn findings(kubenet: &Kubenet) -> Vec<String> {
    kubenet.findings().await.unwrap().iter().map(ToString::to_string).collect()
}

/// Breaks something, has it named, mends it, and sees that the pod is reached.
async fn broken(bed: &Bed, kubenet: &Kubenet, web: &Pod, damage: &dyn Fn(), named: &str) {
    damage();
    let found = findings(kubenet).await;
    assert!(found.iter().any(|line| line.contains(named)), "{named}: {found:?}");
    let done = kubenet.collect(None).await.unwrap();
    assert!(done.left.is_empty() && done.removed.is_empty(), "{named}: {done:?}");
    assert_eq!(findings(kubenet).await, Vec::<String>::new(), "{named}: {done:?}");
    assert_eq!(ask(bed.world.netns(), NODE4, 8080).as_deref(), Some(WORLD4), "{named}");
    assert!(ask(web.netns(), WORLD4, 9000).is_some(), "{named}");
}

#[test]
fn what_is_deleted_by_hand_is_named_and_mended() {
    for_each_choice("what_is_deleted_by_hand", |bed| {
        let web = bed.host.add_pod("web").unwrap();
        let (_in_pod, _world) =
            (Mirror::new(web.netns(), 80), Mirror::new(bed.world.netns(), 9000));
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                let mut pod = sandbox("w1", &web)
                    .with_annotation("kubernetes.io/ingress-bandwidth", "100M")
                    .with_annotation("kubernetes.io/egress-bandwidth", "100M");
                pod.port_mappings = vec![port(8080, 80, Protocol::Tcp)];
                let status = set_up(&kubenet, &pod).await;
                assert_eq!(findings(&kubenet).await, Vec::<String>::new());
                let host_end = kubenet.pods().await.unwrap().remove(0).host_end.unwrap();

                let cbr0 = || run("ip", "link delete cbr0");
                broken(bed, &kubenet, &web, &cbr0, "cbr0").await;
                let table = || run("nft", "delete table inet podnet");
                broken(bed, &kubenet, &web, &table, "rules").await;
                let queue = || run("tc", &format!("qdisc delete dev {host_end} root"));
                broken(bed, &kubenet, &web, &queue, "its limits are none to the pod").await;
                let gateway = || run("ip", "address delete 10.9.0.1/24 dev cbr0");
                broken(bed, &kubenet, &web, &gateway, "it lacks the gateway 10.9.0.1").await;
                let ip = status.ip();
                let address = || {
                    inside(web.netns(), || run("ip", &format!("address delete {ip}/24 dev eth0")));
                };
                broken(bed, &kubenet, &web, &address, "its eth0 lacks").await;
                let route = || inside(web.netns(), || run("ip", "route delete default"));
                broken(bed, &kubenet, &web, &route, "it lacks the route to 0.0.0.0/0").await;
                let file = bed.host.networks_dir().join("kubenet").join(ip.to_string());
                let reservation = || std::fs::remove_file(&file).unwrap();
                broken(bed, &kubenet, &web, &reservation, "is not reserved").await;
                let port_gone = || run("ip", &format!("link set {host_end} nomaster"));
                broken(bed, &kubenet, &web, &port_gone, "is no port of cbr0").await;
            })
            .unwrap();
    });
}

#[test]
fn the_next_set_up_mends_a_bridge_and_a_table_that_were_deleted() {
    for_each_choice("next_set_up_mends", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        let _in_pod = Mirror::new(web.netns(), 80);
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                let mut pod = sandbox("w1", &web);
                pod.port_mappings = vec![port(8080, 80, Protocol::Tcp)];
                set_up(&kubenet, &pod).await;
                run("ip", "link delete cbr0");
                run("nft", "delete table inet podnet");
                set_up(&kubenet, &sandbox("o1", &other)).await;
                assert_eq!(ask(bed.world.netns(), NODE4, 8080).as_deref(), Some(WORLD4));
                assert!(ask(other.netns(), NODE4, 8080).is_some());
            })
            .unwrap();
    });
}

#[test]
fn what_belongs_to_no_living_pod_is_collected() {
    for_each_choice("what_belongs_to_no_living_pod", |bed| {
        let (web, dead) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("dead").unwrap());
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                set_up(&kubenet, &sandbox("w1", &web)).await;
                let mut pod =
                    sandbox("d1", &dead).with_annotation("kubernetes.io/egress-bandwidth", "10M");
                pod.port_mappings = vec![port(8080, 80, Protocol::Udp)];
                set_up(&kubenet, &pod).await;
                inside(dead.netns(), || run("ip", "link delete eth0"));
                assert!(output("ip", "link show").contains("pifb"));
                let reports = kubenet.pods().await.unwrap();
                assert_eq!(reports.iter().map(|it| it.alive).collect::<Vec<_>>(), [false, true]);

                let done = kubenet.collect(None).await.unwrap();
                assert_eq!((done.removed, done.left), (vec!["d1".to_owned()], Vec::new()));
                assert!(!output("ip", "link show").contains("pifb"));
                assert!(!output("nft", "list table inet podnet").contains("8080"));
                let ids = |reports: Vec<podnet_kubenet::PodReport>| {
                    reports.into_iter().map(|it| it.container_id).collect::<Vec<_>>()
                };
                assert_eq!(ids(kubenet.pods().await.unwrap()), ["w1"]);
                assert!(kubenet.collect(None).await.unwrap().removed.is_empty());
                let nobody = BTreeSet::from(["somebody-else".to_owned()]);
                assert_eq!(kubenet.collect(Some(&nobody)).await.unwrap().removed, ["w1"]);
            })
            .unwrap();
    });
}

#[test]
fn a_full_range_is_freed_of_pods_that_are_gone() {
    for_each_choice("a_full_range", |bed| {
        let web = bed.host.add_pod("web").unwrap();
        bed.host
            .run(async || {
                let store = bed.host.networks_dir().join("kubenet");
                std::fs::create_dir_all(&store).unwrap();
                for last in 2..255 {
                    let owner = format!("before-the-reboot-{last}\r\neth0");
                    std::fs::write(store.join(format!("10.9.0.{last}")), owner).unwrap();
                }
                let kubenet = bed.start(&Settings::default()).await;
                set_up(&kubenet, &sandbox("w1", &web)).await;
                assert_eq!(kubenet.pods().await.unwrap().len(), 1);
            })
            .unwrap();
    });
}

#[test]
fn the_first_set_up_of_a_process_collects_what_earlier_pods_left() {
    for_each_choice("the_first_set_up", |bed| {
        let (web, dead) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("dead").unwrap());
        bed.host
            .run(async || {
                let pod =
                    sandbox("d1", &dead).with_annotation("kubernetes.io/egress-bandwidth", "10M");
                set_up(&bed.start(&Settings::default()).await, &pod).await;
                inside(dead.netns(), || run("ip", "link delete eth0"));
                let kubenet = bed.start(&Settings::default()).await;
                assert!(
                    output("ip", "link show").contains("pifb"),
                    "a start alone changes nothing"
                );
                set_up(&kubenet, &sandbox("w1", &web)).await;
                assert!(!output("ip", "link show").contains("pifb"));
                assert_eq!(kubenet.pods().await.unwrap().len(), 1);
            })
            .unwrap();
    });
}

#[test]
fn a_pod_that_another_program_attached_and_a_runtime_noted_keeps_its_address() {
    for_each_choice("a_pod_that_another_program_attached", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                let ip = set_up(&kubenet, &sandbox("w1", &web)).await.ip();
                // As the Go bridge leaves it: without a label.
                let host_end = kubenet.pods().await.unwrap().remove(0).host_end.unwrap();
                run("ip", &format!("link set {host_end} alias foreign"));
                set_up(&bed.start(&Settings::default()).await, &sandbox("o1", &other)).await;
                assert!(kubenet.collect(None).await.unwrap().removed.is_empty());
                let file = bed.host.networks_dir().join("kubenet").join(ip.to_string());
                assert!(file.exists(), "a living pod's address was given back");
                run("ip", &format!("link delete {host_end}"));
                assert_eq!(kubenet.collect(None).await.unwrap().removed, ["w1"]);
            })
            .unwrap();
    });
}

#[test]
fn a_node_moves_between_built_in_and_installed_plugins_with_pods_running() {
    let name = "a_node_moves_between_built_in_and_installed_plugins_with_pods_running";
    let Some(bridge) = podnet_tests::programs::peer("bridge", name) else { return };
    let bed = Bed::new(bridge.parent().map(std::path::PathBuf::from));
    let pods: Vec<_> = ["a", "b", "c"].map(|name| bed.host.add_pod(name).unwrap()).into();
    bed.host
        .run(async || {
            let built_in = bed.options().with_plugins(PluginChoice::Builtin, Vec::new());
            let one = start(built_in, &Settings::default()).await;
            let other = bed.start(&Settings::default()).await;
            let a = set_up(&one, &sandbox("a", &pods[0])).await;
            let b = set_up(&other, &sandbox("b", &pods[1])).await;
            assert_eq!(set_up(&other, &sandbox("a", &pods[0])).await, a);
            assert_eq!(set_up(&one, &sandbox("b", &pods[1])).await, b);
            pods[0].ping(b.ip()).unwrap();
            assert_eq!(findings(&one).await, Vec::<String>::new());
            assert_eq!(findings(&other).await, Vec::<String>::new());
            one.tear_down(&sandbox("b", &pods[1])).await;
            other.tear_down(&sandbox("a", &pods[0])).await;
            assert!(one.pods().await.unwrap().is_empty());
            assert!(!output("ip", "link show").contains("veth"));
        })
        .unwrap();
}
