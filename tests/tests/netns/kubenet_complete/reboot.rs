//! A reboot: every interface and rule is gone, and the files are there.

use podnet_kubenet::Kubenet;
use podnet_plugin_api::{PodSandbox, Protocol, Settings};
use podnet_testkit::Pod;

use super::bed::{
    Bed, Mirror, NODE4, WORLD4, ask, for_each_choice, inside, output, port, run, sandbox, set_up,
};

fn reserved(bed: &Bed) -> Vec<String> {
    let entries = std::fs::read_dir(bed.host.networks_dir().join("kubenet")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut addresses: Vec<_> =
        names.filter(|name| name.parse::<std::net::IpAddr>().is_ok()).collect();
    addresses.sort();
    addresses
}

fn notes(bed: &Bed) -> usize {
    std::fs::read_dir(bed.options().cache_dir.join("results")).unwrap().count()
}

/// Takes away what a reboot does: interfaces, rules, and what is in `/run`.
fn reboot(bed: &Bed, pods: &[&Pod]) {
    for pod in pods {
        inside(pod.netns(), || run("ip", "link delete eth0"));
    }
    inside(bed.host.netns(), || {
        run("ip", "link delete cbr0");
        run("nft", "flush ruleset");
        let ifbs = output("ip", "-o link show type ifb");
        for line in ifbs.lines() {
            run("ip", &format!("link delete {}", line.split(": ").nth(1).unwrap()));
        }
    });
    std::fs::remove_dir_all(bed.host.runtime_dir()).unwrap();
}

async fn set_up_with_port(kubenet: &Kubenet, id: &str, pod: &Pod, number: u16) -> PodSandbox {
    let mut sandbox = sandbox(id, pod).with_annotation("kubernetes.io/egress-bandwidth", "100M");
    sandbox.port_mappings = vec![port(number, 80, Protocol::Tcp)];
    set_up(kubenet, &sandbox).await;
    sandbox
}

#[test]
fn after_a_reboot_the_first_set_up_reclaims_everything_and_spares_who_is_there_again() {
    for_each_choice("after_a_reboot", |bed| {
        let pods: Vec<_> = ["a", "b", "c"].map(|name| bed.host.add_pod(name).unwrap()).into();
        let _mirror = Mirror::new(pods[0].netns(), 80);
        bed.host
            .run(async || {
                let before = bed.start(&Settings::default()).await;
                for (number, pod) in (8000..).zip(&pods) {
                    set_up_with_port(&before, &format!("before-{number}"), pod, number).await;
                }
                assert_eq!((reserved(bed).len(), notes(bed)), (6, 3));
                reboot(bed, &pods.iter().collect::<Vec<_>>());

                // The ports of before are free again, and the first pod's name is another's.
                let first = bed.start(&Settings::default()).await;
                set_up_with_port(&first, "after-1", &pods[0], 8002).await;
                assert_eq!((reserved(bed).len(), notes(bed)), (2, 1));
                assert_eq!(ask(bed.world.netns(), NODE4, 8002).as_deref(), Some(WORLD4));
                let spared = reserved(bed);

                let second = bed.start(&Settings::default()).await;
                set_up_with_port(&second, "after-2", &pods[1], 8000).await;
                assert_eq!((reserved(bed).len(), notes(bed)), (4, 2));
                assert!(spared.iter().all(|address| reserved(bed).contains(address)));
                assert_eq!(ask(bed.world.netns(), NODE4, 8002).as_deref(), Some(WORLD4));
                assert_eq!(second.findings().await.unwrap(), []);
            })
            .unwrap();
    });
}

#[test]
fn a_pod_that_keeps_its_id_over_a_reboot_is_set_up_anew() {
    for_each_choice("a_pod_that_keeps_its_id", |bed| {
        let web = bed.host.add_pod("web").unwrap();
        let _mirror = Mirror::new(web.netns(), 80);
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                set_up_with_port(&kubenet, "w1", &web, 8080).await;
                reboot(bed, &[&web]);
                let kubenet = bed.start(&Settings::default()).await;
                set_up_with_port(&kubenet, "w1", &web, 8080).await;
                assert_eq!((reserved(bed).len(), notes(bed)), (2, 1));
                assert_eq!(ask(bed.world.netns(), NODE4, 8080).as_deref(), Some(WORLD4));
            })
            .unwrap();
    });
}
