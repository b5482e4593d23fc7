//! Requests as runtimes sent them (`tests/golden`), for a pod of this host.

use std::fs;
use std::path::PathBuf;

use podnet_tests::named::workspace;
use serde_json::{Value, json};

use super::chained::attached;
use crate::base;
use crate::case::{Call, Case, DATA_DIR, HOST_DIR, Previous, Step, Table, with};

const RUNTIMES: [&str; 3] = ["containerd-cri", "containerd-ctr", "podman"];
const CHAIN: [&str; 4] = ["bridge", "portmap", "bandwidth", "tuning"];

/// The recorded host ports.
const ASKED: Step = Step::Reach { ports: &[8080, 8081, 9053, 9081], addresses: &[] };

pub(crate) fn table() -> Table {
    let mut cases: Vec<Case> = RUNTIMES.into_iter().map(whole).collect();
    cases.extend(RUNTIMES.into_iter().flat_map(single));
    let loopback = ["ADD", "DEL"].map(|verb| request("containerd-cri", verb, "loopback").step());
    cases.push(Case::new("recorded from containerd-cri: loopback", loopback.into()));
    Table { everywhere: EVERYWHERE, cases: super::expect(cases, EXPECTED) }
}

/// Rows of docs/differences.md and the cases that show them.
const EXPECTED: super::Expected =
    &[("D-20", &["*: loopback"]), ("D-90", &["*containerd-cri: portmap", "*podman: portmap"])];

/// Rows that any of the chains may show.
const EVERYWHERE: &[&str] = &["D-40", "D-42", "D-46", "D-59", "D-100", "D-101"];

/// The whole chain, each with the result of the plugin before.
fn whole(runtime: &'static str) -> Case {
    let mut steps = vec![Step::Uplink];
    for (place, plugin) in CHAIN.into_iter().enumerate() {
        let previous = if place == 0 { Previous::None } else { Previous::Last };
        steps.push(request(runtime, "ADD", plugin).previous(previous).step());
    }
    steps.push(ASKED);
    let last = |plugin| request(runtime, "DEL", plugin).previous(Previous::Last).step();
    steps.extend(CHAIN.into_iter().rev().map(last));
    steps.push(ASKED);
    Case::new(format!("recorded from {runtime}: the chain"), steps)
}

/// Each plugin of the chain behind the same pods.
fn single(runtime: &'static str) -> Vec<Case> {
    let case = |plugin: &'static str| {
        let mut steps = vec![Step::Uplink];
        steps.extend(attached(vec![request(runtime, "ADD", plugin).step()]));
        steps.push(ASKED);
        let given = Previous::Given(base::result("1.0.0", 0));
        steps.push(request(runtime, "DEL", plugin).previous(given).step());
        Case::new(format!("recorded from {runtime}: {plugin}"), steps)
    };
    CHAIN[1..].iter().copied().map(case).collect()
}

/// The recorded request, with folders of this host in the place of the machine's.
fn request(runtime: &str, verb: &'static str, plugin: &'static str) -> Call {
    let file = |extension: &str| {
        let folder: PathBuf = workspace().join("tests/golden").join(runtime);
        fs::read_to_string(folder.join(format!("{verb}-{plugin}.{extension}"))).unwrap()
    };
    let mut config: Value = serde_json::from_str(&file("json")).unwrap();
    config = with(&config, json!({ "prevResult": null }));
    if let Some(ipam) = config.get("ipam") {
        config["ipam"] = with(ipam, json!({ "dataDir": DATA_DIR }));
    }
    if plugin == "tuning" {
        config["dataDir"] = json!(format!("{HOST_DIR}/tuning"));
    }
    let variables = file("env");
    let arguments = variables.lines().find_map(|line| line.strip_prefix("CNI_ARGS=")).unwrap();
    Call::new(verb, plugin, &config).with("CNI_ARGS", arguments)
}

/// What the recorded values mean, whatever another program makes of them.
#[test]
fn recorded_requests_have_the_effects_that_were_asked_for() {
    let ours = crate::side::Side::ours();
    let seen = |name: &str| {
        let cases = table().cases;
        let case = cases.iter().find(|case| case.name == name).unwrap();
        crate::side::play(case, &ours, &ours)
    };
    let cri = seen("recorded from containerd-cri: the chain");
    let podman = seen("recorded from podman: the chain");
    let bucket = |link: &str| {
        let links = cri["4-ADD"]["state"]["host"]["links"].as_object().unwrap();
        let (_, found) = links.iter().find(|(name, _)| name.starts_with(link)).unwrap();
        found["queues"]["root"]["options"]["rate"].clone()
    };
    for (what, expected) in [
        (&cri["6-REACH"]["world tcp 192.0.2.10:8081"], json!("web:80 saw 192.0.2.1")),
        (&cri["6-REACH"]["host udp 127.0.0.1:9081"], json!("web:53 saw 10.88.0.1")),
        (&cri["6-REACH"]["world udp 192.0.2.10:9081"], json!("silence")),
        (&cri["11-REACH"]["world tcp 192.0.2.10:8081"], json!("refused")),
        (&bucket("host-end"), json!(50_000_000 / 8)),
        (&bucket("bwp"), json!(100_000_000 / 8)),
        (&podman["6-REACH"]["world tcp 192.0.2.10:8080"], json!("web:80 saw 192.0.2.1")),
        (&podman["6-REACH"]["host udp 127.0.0.1:9053"], json!("web:53 saw 10.88.0.1")),
        (&podman["2-ADD"]["output"]["interfaces"][2]["mac"], json!("02:00:00:00:00:77")),
    ] {
        assert_eq!(*what, expected);
    }
}
