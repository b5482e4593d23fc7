//! Two pods that want the same host port at the same time: one gets it, the other hears who has it and keeps nothing.

use std::process::{Command, Output, Stdio};

use podnet_plugin_api::{NetworkPlugin as _, Protocol, Settings};
use podnet_testkit::Pod;
use podnet_tests::programs::own;

use super::bed::{Bed, Mirror, NODE4, WORLD4, ask, for_each_choice, inside, port, sandbox, start};

const ROUNDS: u16 = 5;

/// One of the pods has the port and the address, the other neither.
fn exactly_one(bed: &Bed, pods: [&Pod; 2], round: u16) {
    let mirrors = pods.map(|pod| Mirror::new(pod.netns(), 80));
    assert_eq!(ask(bed.world.netns(), NODE4, 8000 + round).as_deref(), Some(WORLD4));
    drop(mirrors);
    let reserved = std::fs::read_dir(bed.host.networks_dir().join("kubenet")).unwrap();
    let names = reserved.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let addresses = names.filter(|name| name.parse::<std::net::IpAddr>().is_ok()).count();
    assert_eq!(addresses, 2, "one of each family for the pod that won");
}

fn names_the_winner(error: &str, winner: &str, round: u16) {
    let port = (8000 + round).to_string();
    assert!(
        error.contains(&port) && error.contains(&format!("taken by container {winner}")),
        "{error}"
    );
}

#[test]
fn of_two_pods_that_want_a_port_at_once_one_gets_it_through_one_plugin() {
    for_each_choice("of_two_pods_that_want_a_port_at_once", |bed| {
        let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
        bed.host
            .run(async || {
                let kubenet = bed.start(&Settings::default()).await;
                for round in 0..ROUNDS {
                    let mut pods = [sandbox("w1", &web), sandbox("o1", &other)];
                    for pod in &mut pods {
                        pod.port_mappings = vec![port(8000 + round, 80, Protocol::Tcp)];
                    }
                    let [one, two] = &pods;
                    let outcomes =
                        futures_util::join!(kubenet.set_up_pod(one), kubenet.set_up_pod(two));
                    match outcomes {
                        (Ok(_), Err(error)) => names_the_winner(&error.to_string(), "w1", round),
                        (Err(error), Ok(_)) => names_the_winner(&error.to_string(), "o1", round),
                        other => panic!("{other:?}"),
                    }
                    exactly_one(bed, [&web, &other], round);
                    assert_eq!(kubenet.findings().await.unwrap(), []);
                    for pod in &pods {
                        kubenet.tear_down_pod(pod).await.unwrap();
                    }
                    assert!(kubenet.pods().await.unwrap().is_empty());
                }
            })
            .unwrap();
    });
}

/// `podnet VERB ..` as a process of its own, under way.
fn podnet(bed: &Bed, arguments: &[&str]) -> std::process::Child {
    let state = bed.host.folder().to_str().unwrap();
    let options =
        ["--network-plugin=kubenet", "--pod-cidr", super::bed::CIDRS, "--state-dir", state];
    let mut command = Command::new(own("podnet"));
    command.args(options).args(["--cni-plugins", "builtin"]).args(arguments).env_clear();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    inside(bed.host.netns(), || command.spawn().unwrap())
}

#[test]
fn of_two_pods_that_want_a_port_at_once_one_gets_it_through_two_processes() {
    let bed = Bed::new(None);
    let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
    for round in 0..ROUNDS {
        let mapping = format!("{}:80", 8000 + round);
        let set_up = |name: &str, id: &str, pod: &Pod| {
            let netns = pod.path().to_str().unwrap();
            podnet(&bed, &["setup", name, "--id", id, "--netns", netns, "--port", &mapping])
        };
        let (one, two) = (set_up("default/web", "w1", &web), set_up("default/other", "o1", &other));
        let outputs: [Output; 2] =
            [one.wait_with_output().unwrap(), two.wait_with_output().unwrap()];
        let won: Vec<bool> = outputs.iter().map(|output| output.status.success()).collect();
        let text = |index: usize| String::from_utf8_lossy(&outputs[index].stderr).into_owned();
        match won.as_slice() {
            [true, false] => names_the_winner(&text(1), "w1", round),
            [false, true] => names_the_winner(&text(0), "o1", round),
            _ => panic!("{} {}", text(0), text(1)),
        }
        exactly_one(&bed, [&web, &other], round);
        for (name, id) in [("default/web", "w1"), ("default/other", "o1")] {
            let output = podnet(&bed, &["teardown", name, "--id", id]).wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    bed.host
        .run(async || {
            let kubenet = start(bed.options(), &Settings::default()).await;
            assert!(kubenet.pods().await.unwrap().is_empty());
        })
        .unwrap();
}
