//! One address store, our host-local and the Go program on it in turn and at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;

use podnet_testkit::TestHost;
use podnet_tests::Cni;
use podnet_tests::programs::{own, peer};
use serde_json::{Value, json};

const ROUNDS: usize = 3;
const CALLERS: usize = 4;
const EACH: usize = 15;

fn config(host: &TestHost) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge",
        "ipam": { "type": "host-local", "subnet": "10.3.0.0/24", "dataDir": host.networks_dir() },
    })
}

fn ours(host: &TestHost) -> Cni<'_> {
    let program = own("podnet-cni");
    let path = program.parent().unwrap().to_owned();
    Cni { host, program, arguments: vec!["host-local".to_owned()], path, config: config(host) }
}

fn theirs<'a>(host: &'a TestHost, test: &str) -> Option<Cni<'a>> {
    let program = peer("host-local", test)?;
    let path = program.parent().unwrap().to_owned();
    Some(Cni { host, program, arguments: Vec::new(), path, config: config(host) })
}

fn add(cni: &Cni<'_>, id: &str) -> String {
    let result = cni.call("ADD", id, Path::new("/nowhere")).ok();
    result["ips"][0]["address"].as_str().unwrap().to_owned()
}

fn reservations(host: &TestHost) -> usize {
    let files = std::fs::read_dir(host.networks_dir().join("net")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("10.3.")).count()
}

#[test]
fn in_turn_they_continue_each_others_round() {
    let host = TestHost::new().unwrap();
    let Some(theirs) = theirs(&host, "in_turn_they_continue_each_others_round") else { return };
    let ours = ours(&host);
    let given: Vec<_> = (0..6)
        .map(|number| add(if number % 2 == 0 { &ours } else { &theirs }, &format!("c{number}")))
        .collect();
    let expected: Vec<_> = (2..8).map(|last| format!("10.3.0.{last}/24")).collect();
    assert_eq!(given, expected);
    for number in 0..6 {
        // Each releases what the other reserved.
        let cni = if number % 2 == 0 { &theirs } else { &ours };
        let _ = cni.call("DEL", &format!("c{number}"), Path::new("")).ok();
    }
    assert_eq!(reservations(&host), 0);
}

#[test]
fn at_once_they_never_give_an_address_twice() {
    let host = TestHost::new().unwrap();
    let Some(theirs) = theirs(&host, "at_once_they_never_give_an_address_twice") else { return };
    let ours = ours(&host);
    for round in 0..ROUNDS {
        let given = all_at_once(&[&ours, &theirs], add, round);
        let different: BTreeSet<_> = given.iter().collect();
        assert_eq!(different.len(), CALLERS * EACH, "an address was given twice");
        assert_eq!(reservations(&host), CALLERS * EACH);
        // Swapped, so that each releases what the other reserved.
        let release = |cni: &Cni<'_>, id: &str| cni.call("DEL", id, Path::new("")).ok().to_string();
        all_at_once(&[&theirs, &ours], release, round);
        assert_eq!(reservations(&host), 0);
    }
}

/// Four callers at once, two with each program, `EACH` containers each.
fn all_at_once(
    programs: &[&Cni<'_>],
    call: impl Fn(&Cni<'_>, &str) -> String + Sync,
    round: usize,
) -> Vec<String> {
    let call = &call;
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let cni = programs[caller % programs.len()];
                let ids = (0..EACH).map(move |number| format!("r{round}-{caller}-{number}"));
                scope.spawn(move || ids.map(|id| call(cni, &id)).collect::<Vec<_>>())
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    })
}
