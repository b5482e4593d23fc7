//! cbr0 is kubenet's, or refused.

use podnet_kubenet::KubenetOptions;
use podnet_plugin_api::Settings;

use super::bed::{Bed, for_each_choice, output, run, sandbox, set_up, start};
use super::traffic::Calls as _;

#[test]
fn a_foreign_port_another_kind_and_another_owner_are_refused_by_name() {
    for_each_choice("a_foreign_port", |bed| {
        let web = bed.host.add_pod("web").unwrap();
        bed.host
            .run(async || {
                run("ip", "link add cbr0 type ifb");
                let error =
                    bed.start(&Settings::default()).await.refused(&sandbox("w1", &web)).await;
                assert!(error.contains("cbr0 exists and is a ifb interface"), "{error}");
                run("ip", "link delete cbr0");

                run("ip", "link add cbr0 type bridge");
                run("ip", "link set cbr0 alias docker");
                let error =
                    bed.start(&Settings::default()).await.refused(&sandbox("w1", &web)).await;
                assert!(error.contains("cbr0 is kept by docker"), "{error}");
                run("ip", "link delete cbr0");

                run("ip", "link add cbr0 type bridge");
                run("ip", "link add vx0 type vxlan id 7 dstport 4789 dev eth0");
                run("ip", "link set vx0 master cbr0");
                let error =
                    bed.start(&Settings::default()).await.refused(&sandbox("w1", &web)).await;
                assert!(error.contains("vx0 (vxlan) is a port of cbr0"), "{error}");
                run("ip", "link delete vx0");
                set_up(&bed.start(&Settings::default()).await, &sandbox("w1", &web)).await;
            })
            .unwrap();
    });
}

#[test]
fn two_podnets_with_addresses_in_different_folders_do_not_share_a_bridge() {
    let bed = Bed::new(None);
    let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
    bed.host
        .run(async || {
            let first = bed.start(&Settings::default()).await;
            set_up(&first, &sandbox("w1", &web)).await;
            let elsewhere = bed.host.folder().join("elsewhere");
            let options = KubenetOptions::new(elsewhere.join("networks"), elsewhere.join("run"));
            let second = start(options, &Settings::default()).await;
            let error = second.refused(&sandbox("o1", &other)).await;
            let folder = bed.host.networks_dir().display().to_string();
            assert!(error.contains(&folder), "{error}");
            first.tear_down(&sandbox("w1", &web)).await;
            set_up(&second, &sandbox("o1", &other)).await;
        })
        .unwrap();
}

#[test]
fn the_bridge_keeps_its_address_from_first_pod_to_last_and_takes_no_router_advertisements() {
    for_each_choice("the_bridge_keeps_its_address", |bed| {
        let pods: Vec<_> = ["a", "b", "c"].map(|name| bed.host.add_pod(name).unwrap()).into();
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                let address = || {
                    let shown = output("ip", "-o link show cbr0");
                    shown.split_once("link/ether ").map(|(_, rest)| rest[..17].to_owned())
                };
                let mut seen = std::collections::BTreeSet::new();
                for (id, pod) in ["a", "b", "c"].iter().zip(&pods) {
                    set_up(&kubenet, &sandbox(id, pod)).await;
                    seen.extend(address());
                }
                for (id, pod) in ["a", "b", "c"].iter().zip(&pods) {
                    kubenet.tear_down(&sandbox(id, pod)).await;
                    seen.extend(address());
                }
                assert_eq!(seen, ["0a:58:0a:09:00:01".to_owned()].into());
                let accepts = podnet_netutil::sysctl::read("net/ipv6/conf/cbr0/accept_ra").unwrap();
                assert_eq!(accepts, "0");
                run("ip", "address add 198.51.100.7/24 dev cbr0");
                set_up(&kubenet, &sandbox("a", &pods[0])).await;
                assert!(!output("ip", "address show cbr0").contains("198.51.100.7"));
            })
            .unwrap();
    });
}
