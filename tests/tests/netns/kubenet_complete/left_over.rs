//! Rules of networks that are no more, or that need fewer.

use podnet_netutil::Netlink;
use podnet_plugin_api::Settings;
use podnet_standard_plugins::nat::{NatNetwork, NatTable};

use super::bed::{Bed, for_each_choice, output, run, sandbox, set_up, start_with};

fn network(name: &str, bridge: &str) -> NatNetwork {
    NatNetwork {
        name: name.parse().unwrap(),
        bridge: bridge.parse().unwrap(),
        pod_cidrs: vec!["10.7.0.0/24".parse().unwrap()],
        non_masquerade: Vec::new(),
        masquerade: true,
        dedup: None,
        reports_to: None,
    }
}

fn chains() -> String {
    output("nft", "list table inet podnet")
}

#[test]
fn chains_of_a_network_that_is_gone_are_named_and_removed_and_those_of_others_stay() {
    for_each_choice("chains_of_a_network_that_is_gone", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        bed.host
            .run(async || {
                run("ip", "link add cni0 type bridge");
                run("ip", "link add cni1 type bridge");
                let table = NatTable::open(&bed.host.runtime_dir()).unwrap();
                table.ensure(&network("renamed", "cni0")).await.unwrap();
                table.ensure(&network("in-use", "cni1")).await.unwrap();
                // A pod of another network, as the bridge plugin labels it.
                run("ip", "link add vethx type veth peer name vethy");
                run("ip", "link set vethx alias podnet:in-use/c1/eth0");

                let kubenet = bed.start(&Settings::default()).await;
                let found = kubenet.findings().await.unwrap();
                assert!(found.iter().any(|it| it.problem.contains("network renamed")), "{found:?}");
                set_up(&kubenet, &sandbox("w1", &web)).await;
                assert!(!chains().contains("renamed"), "the first set-up of a process");
                assert!(chains().contains("masquerade-in-use"));

                table.ensure(&network("renamed", "cni0")).await.unwrap();
                assert!(chains().contains("masquerade-renamed"));
                let done = kubenet.collect(None).await.unwrap();
                assert!(done.mended.iter().any(|line| line.contains("renamed")), "{done:?}");
                assert!(!chains().contains("renamed") && chains().contains("masquerade-in-use"));
                // The network comes back: its rules too.
                assert!(!table.ensure(&network("renamed", "cni0")).await.unwrap().is_empty());
                set_up(&kubenet, &sandbox("o1", &other)).await;
                assert_eq!(kubenet.pods().await.unwrap().len(), 2);
            })
            .unwrap();
    });
}

#[test]
fn an_attachment_that_is_being_made_keeps_its_networks_chains() {
    let bed = Bed::new(None);
    bed.host
        .run(async || {
            run("ip", "link add cni0 type bridge");
            let table = NatTable::open(&bed.host.runtime_dir()).unwrap();
            table.ensure(&network("new", "cni0")).await.unwrap();
            let lock = bed.host.runtime_dir().join("attachment-vethnew.lock");
            let held = podnet_netutil::NamedLock::acquire(lock, std::time::Duration::ZERO).await;
            let kubenet = bed.start(&Settings::default()).await;
            kubenet.collect(None).await.unwrap();
            assert!(chains().contains("masquerade-new"));
            drop(held.unwrap());
            kubenet.collect(None).await.unwrap();
            assert!(!chains().contains("masquerade-new"));
        })
        .unwrap();
}

#[test]
fn the_rules_of_a_family_go_with_its_pod_cidr() {
    for_each_choice("the_rules_of_a_family", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        bed.host
            .run(async || {
                let settings = Settings::default();
                let both = start_with(bed.options(), &settings, "10.9.0.0/24,fd00:9::/64").await;
                set_up(&both, &sandbox("w1", &web)).await;
                assert!(chains().contains("guard-kubenet") && chains().contains("10.9.0.0/24"));
                podnet_plugin_api::NetworkPlugin::tear_down_pod(&both, &sandbox("w1", &web))
                    .await
                    .unwrap();
                let netlink = Netlink::open().unwrap();
                let six = start_with(bed.options(), &settings, "fd00:9::/64").await;
                set_up(&six, &sandbox("o1", &other)).await;
                six.collect(None).await.unwrap();
                assert!(!chains().contains("guard-kubenet"), "{}", chains());
                assert!(!chains().contains("10.9.0.0/24"), "{}", chains());
                assert!(netlink.link_by_name("cbr0").await.unwrap().is_some());
            })
            .unwrap();
    });
}
