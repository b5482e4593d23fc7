//! cbr0 is kubenet's, or refused.

use std::collections::BTreeSet;

use podnet_kubenet::KubenetOptions;
use podnet_plugin_api::Settings;

use super::bed::{Bed, for_each_choice, output, run, sandbox, set_up, start};
use super::heard::Warnings;
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
            // Nor does it take away what it does not know.
            let error = second.collect(Some(&BTreeSet::new())).await.unwrap_err().to_string();
            assert!(error.contains(&folder), "{error}");
            assert!(first.pods().await.unwrap().iter().all(|pod| pod.alive));
            assert_eq!(first.findings().await.unwrap(), []);
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
                let mut seen = BTreeSet::new();
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
            })
            .unwrap();
    });
}

#[test]
fn foreign_addresses_are_removed_with_a_warning_that_names_them() {
    for_each_choice("foreign_addresses", |bed| {
        let web = bed.host.add_pod("web").unwrap();
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                set_up(&kubenet, &sandbox("a", &web)).await;
                run("ip", "address add 198.51.100.7/24 dev cbr0");
                run("ip", "address add 2001:db8:7::7/64 dev cbr0 nodad");
                let warnings = Warnings::new();
                set_up(&kubenet, &sandbox("a", &web)).await;
                let lines = warnings.lines();
                let shown = output("ip", "address show cbr0");
                for foreign in ["198.51.100.7/24", "2001:db8:7::7/64"] {
                    assert!(!shown.contains(foreign), "{shown}");
                    let named = |line: &String| line.contains(foreign) && line.contains("cbr0");
                    assert!(lines.iter().any(named), "{foreign}: {lines:?}");
                }
                assert!(shown.contains("10.9.0.1/24") && shown.contains("fd00:9::1/64"), "{shown}");
            })
            .unwrap();
    });
}

#[test]
fn two_podnets_with_one_folder_of_addresses_share_the_bridge_and_its_pods() {
    let bed = Bed::new(None);
    let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
    bed.host
        .run(async || {
            let (first, second) =
                (bed.start(&Settings::default()).await, bed.start(&Settings::default()).await);
            let one = set_up(&first, &sandbox("w1", &web)).await;
            let two = set_up(&second, &sandbox("o1", &other)).await;
            assert_ne!(one, two);
            web.ping(two.ip()).unwrap();
            for podnet in [&first, &second] {
                let ids: Vec<_> =
                    podnet.pods().await.unwrap().into_iter().map(|it| it.container_id).collect();
                assert_eq!(ids, ["o1", "w1"]);
                assert_eq!(podnet.findings().await.unwrap(), []);
            }
            second.tear_down(&sandbox("w1", &web)).await;
            assert_eq!(first.pods().await.unwrap().len(), 1);
        })
        .unwrap();
}

#[test]
fn of_two_podnets_that_claim_the_bridge_at_once_never_both_have_it() {
    let bed = Bed::new(None);
    for round in 0..8 {
        let pods = ["one", "two"].map(|name| bed.host.add_pod(&format!("{name}-{round}")).unwrap());
        let claim = |index: usize| {
            let folder = bed.host.folder().join(format!("state-{index}"));
            let pod = &pods[index];
            bed.host.run(async || {
                let options = KubenetOptions::new(folder.join("networks"), folder.join("run"));
                let kubenet = start(options, &Settings::default()).await;
                let sandbox = sandbox(&format!("c{index}-{round}"), pod);
                let outcome =
                    podnet_plugin_api::NetworkPlugin::set_up_pod(&kubenet, &sandbox).await;
                (kubenet, sandbox, outcome.map(drop).map_err(|error| error.to_string()))
            })
        };
        let outcomes = std::thread::scope(|scope| {
            let claims = [0, 1].map(|index| scope.spawn(move || claim(index).unwrap()));
            claims.map(|claim| claim.join().unwrap())
        });
        let errors: Vec<_> = outcomes.iter().filter_map(|it| it.2.as_ref().err()).collect();
        // Where each finds the other at work both may step back; whoever took it over may have removed a host end.
        assert!(!errors.is_empty(), "both have it");
        let told = ["cbr0 is kept by podnet:", "No such device"];
        let is_told = |error: &&String| told.iter().any(|words| error.contains(words));
        assert!(errors.iter().all(is_told), "{errors:?}");
        bed.host
            .run(async || {
                run("ip", "link delete cbr0");
                run("nft", "delete table inet podnet");
            })
            .unwrap();
        drop(outcomes);
    }
}
