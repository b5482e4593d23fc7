//! Several processes that publish at once.

use std::sync::Barrier;

use podnet_testkit::{Pod, TestHost};
use serde_json::{Value, json};

use super::{Outcome, holders, ours, portmap, published};

const ROUNDS: usize = 12;
const AT_ONCE: usize = 32;

/// What a plugin before would say of a container; it need not be there for its ports to be published.
fn attached(pod: &Pod, number: usize) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "interfaces": [{ "name": "eth0", "sandbox": pod.path() }],
        "ips": [
            { "interface": 0, "address": format!("10.1.0.{number}/24") },
            { "interface": 0, "address": format!("fd00:1::{number}/64") },
        ],
    })
}

fn at_once<T: Sync>(
    host: &TestHost,
    calls: &[T],
    call: impl Fn(&TestHost, &T) -> Outcome + Sync,
) -> Vec<Outcome> {
    let (start, call) = (Barrier::new(calls.len()), &call);
    std::thread::scope(|scope| {
        let start = &start;
        let threads = calls.iter().map(|one| {
            scope.spawn(move || {
                start.wait();
                call(host, one)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn of_two_that_want_a_port_one_gets_it_and_the_other_hears_who() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("pod").unwrap();
    let any = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
    let one = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "192.0.2.1" }]);
    for round in 0..ROUNDS {
        // A port of one address and the same of all are the same port too.
        let second = if round % 2 == 0 { &any } else { &one };
        let calls =
            [("a", portmap(&attached(&pod, 2), &any)), ("b", portmap(&attached(&pod, 3), second))];
        let outcomes = at_once(&host, &calls, |host, (id, config)| {
            ours(host, "portmap", config.clone()).call("ADD", id, pod.path())
        });
        let won: Vec<bool> = outcomes.iter().map(|outcome| outcome.status == 0).collect();
        let winner = match won[..] {
            [true, false] => 0,
            [false, true] => 1,
            _ => panic!("round {round}: {outcomes:?}"),
        };
        for (loser, outcome) in
            outcomes.into_iter().enumerate().filter(|(place, _)| *place != winner)
        {
            let (code, message) = outcome.error();
            let expected = format!("8080/tcp is taken by container {}", calls[winner].0);
            assert!(code == 11 && message.contains(&expected), "{loser}: {message}");
        }
        assert_eq!(holders(&host), [format!("podnet:net/{}/eth0", calls[winner].0)]);
        for (id, config) in &calls {
            ours(&host, "portmap", config.clone()).call("DEL", id, pod.path()).ok();
        }
        assert!(published(&host).is_empty());
    }
}

#[test]
fn many_different_ports_are_published_and_removed_at_once() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("pod").unwrap();
    let calls: Vec<(String, Value)> = (0..AT_ONCE)
        .map(|number| {
            let ports =
                json!([{ "hostPort": 8000 + number, "containerPort": 80, "protocol": "tcp" }]);
            let mut config = portmap(&attached(&pod, number + 2), &ports);
            // Two networks, one with conditions that come and go with the first and the last of its ports.
            if number % 2 == 1 {
                config["name"] = json!("conditional");
                config["conditionsV4"] = json!(["-i", "eth0"]);
            }
            (format!("c{number}"), config)
        })
        .collect();
    for _ in 0..2 {
        let call = |verb: &'static str| {
            let outcomes = at_once(&host, &calls, |host, (id, config)| {
                ours(host, "portmap", config.clone()).call(verb, id, pod.path())
            });
            for outcome in outcomes {
                outcome.ok();
            }
        };
        call("ADD");
        assert_eq!(holders(&host).len(), AT_ONCE);
        assert_eq!(published(&host).len(), 2 * AT_ONCE);
        call("CHECK");
        call("DEL");
        assert!(published(&host).is_empty());
    }
}
