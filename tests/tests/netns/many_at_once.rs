//! Many containers at once, over and over: no error, no address twice, nothing left.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use podnet_netutil::Netlink;
use podnet_testkit::{Pod, TestHost};
use podnet_tests::Cni;
use podnet_tests::programs::{own, peer};
use serde_json::{Value, json};

const CONTAINERS: usize = 64;
const ROUNDS: usize = 20;
/// How often each comes and goes where none waits for the others.
const TURNS: usize = 5;
/// Fixed, so that a failure comes again.
const SEED: u64 = 6;

fn config(host: &TestHost) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "br0", "isGateway": true,
        "ipam": {
            "type": "host-local", "subnet": "10.4.0.0/24", "dataDir": host.networks_dir(),
            "routes": [{ "dst": "0.0.0.0/0" }],
        },
    })
}

fn ours<'a>(host: &'a TestHost, plugin: &str) -> Cni<'a> {
    let program = own("podnet-cni");
    let path = program.parent().unwrap().to_owned();
    Cni { host, program, arguments: vec![plugin.to_owned()], path, config: config(host) }
}

fn theirs(host: &TestHost, program: PathBuf) -> Cni<'_> {
    let path = program.parent().unwrap().to_owned();
    Cni { host, program, arguments: Vec::new(), path, config: config(host) }
}

/// A call for each container, all at once.
fn at_once<T: Send>(call: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let call = &call;
    thread::scope(|scope| {
        let calls: Vec<_> =
            (0..CONTAINERS).map(|number| scope.spawn(move || call(number))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

fn address(result: &Value) -> String {
    result["ips"][0]["address"].as_str().unwrap().to_owned()
}

fn check_different(given: &[String], round: usize) {
    let different: BTreeSet<_> = given.iter().collect();
    assert_eq!(different.len(), CONTAINERS, "round {round}: an address was given twice: {given:?}");
}

fn reservations(host: &TestHost) -> BTreeSet<String> {
    let files = fs::read_dir(host.networks_dir().join("net")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.parse::<IpAddr>().is_ok()).collect()
}

fn links(host: &TestHost) -> BTreeSet<String> {
    let links = host.run(async || Netlink::open().unwrap().links().await.unwrap()).unwrap();
    links.into_iter().map(|link| link.name).collect()
}

fn id(round: usize, number: usize) -> String {
    format!("r{round}-c{number}")
}

#[test]
fn sixty_four_containers_are_attached_and_detached_at_once_twenty_times_over() {
    let host = TestHost::new().unwrap();
    let pods: Vec<Pod> =
        (0..CONTAINERS).map(|number| host.add_pod(&format!("c{number}")).unwrap()).collect();
    let bridge = ours(&host, "bridge");
    for round in 0..ROUNDS {
        let call = |verb| {
            at_once(|number| bridge.call(verb, &id(round, number), pods[number].path()).ok())
        };
        let given: Vec<_> = call("ADD").iter().map(address).collect();
        check_different(&given, round);
        assert_eq!(reservations(&host).len(), CONTAINERS, "round {round}");
        call("DEL");
        assert_eq!(reservations(&host), BTreeSet::new(), "round {round}");
        assert_eq!(links(&host), ["br0", "lo"].map(str::to_owned).into(), "round {round}");
    }
    let left = pods
        .iter()
        .filter(|pod| host.run(async || pod.link("eth0").await).unwrap().unwrap().is_some());
    assert_eq!(left.map(Pod::name).collect::<Vec<_>>(), [""; 0], "an eth0 is left");
}

#[test]
fn containers_that_come_and_go_without_waiting_for_others_leave_nothing() {
    let host = TestHost::new().unwrap();
    let pods: Vec<Pod> =
        (0..CONTAINERS).map(|number| host.add_pod(&format!("c{number}")).unwrap()).collect();
    let bridge = ours(&host, "bridge");
    let in_use = Mutex::new(BTreeSet::new());
    at_once(|number| {
        for turn in 0..TURNS {
            let call = |verb| bridge.call(verb, &id(turn, number), pods[number].path()).ok();
            let given = address(&call("ADD"));
            assert!(in_use.lock().unwrap().insert(given.clone()), "{given} was given twice");
            in_use.lock().unwrap().remove(&given);
            call("DEL");
        }
    });
    assert_eq!(reservations(&host), BTreeSet::new());
    assert_eq!(links(&host), ["br0", "lo"].map(str::to_owned).into());
}

#[test]
fn ours_and_gos_host_local_mixed_at_random_never_give_an_address_twice() {
    let host = TestHost::new().unwrap();
    let test = "ours_and_gos_host_local_mixed_at_random_never_give_an_address_twice";
    let Some(program) = peer("host-local", test) else { return };
    let programs = [ours(&host, "host-local"), theirs(&host, program)];
    let mut random = Random(SEED);
    for round in 0..ROUNDS {
        // Who releases an address is drawn anew: it may not be who gave it.
        let [adds, deletes] = [random.choices(), random.choices()];
        let nowhere = Path::new("/nowhere");
        let add = |number: usize| programs[adds[number]].call("ADD", &id(round, number), nowhere);
        let given: Vec<_> = at_once(|number| address(&add(number).ok()));
        check_different(&given, round);
        let reserved = given.iter().map(|given| given.trim_end_matches("/24").to_owned());
        assert_eq!(reservations(&host), reserved.collect(), "round {round}");
        let delete = |number: usize| {
            programs[deletes[number]].call("DEL", &id(round, number), Path::new(""))
        };
        at_once(|number| delete(number).ok());
        assert_eq!(reservations(&host), BTreeSet::new(), "round {round}");
    }
}

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// For each container one of two programs.
    fn choices(&mut self) -> [usize; CONTAINERS] {
        let drawn = self.next();
        std::array::from_fn(|number| usize::from((drawn >> number) & 1 == 1))
    }
}
