//! A node that changes programs while pods run: one side's programs attach, the other's check and detach.

use serde_json::{Value, json};

use crate::case::{Call, Case, DATA_DIR, Previous, Step, chain, with};
use crate::document::matches;
use crate::run;
use crate::side;
use crate::tables::{bandwidth, bridge, chained, portmap, ptp, tuning};

/// What does not go as it should: the direction, the case, what is seen, each a pattern; docs/cni.md says what to do.
const KNOWN: &[(&str, &str, &str)] = &[
    // Each side's rules are in tables that the other does not look at.
    ("theirs, then ours", "portmap, *", "*-CHECK: code *"),
    ("ours, then theirs", "portmap, *", "*-CHECK: code *"),
    ("ours, then theirs", "portmap, *", "left: *"),
    // It compares how many bytes may wait, which are not as many as that.
    ("ours, then theirs", "bandwidth, the kubelet's burst", "*-CHECK: code *"),
    // It needs the namespace.
    ("ours, then theirs", "bridge, tuning, bandwidth, its pod is gone", "left: file *"),
];

/// On the host without any pod, or before ours is attached.
const STAYS: [&str; 6] = ["lo", "eth0", "br0", "pair0", "pair1", "cni0"];
const ASKED: Step = Step::Reach { ports: &[8080], addresses: &[] };

#[test]
fn either_side_checks_and_detaches_what_the_other_attached() {
    let test = "cross::either_side_checks_and_detaches_what_the_other_attached";
    let Some((theirs, ours)) = run::sides(test) else { return };
    let cases = cases();
    let mut complaints: Vec<String> = Vec::new();
    let mut known = vec![false; KNOWN.len()];
    for (direction, first, second) in
        [("theirs, then ours", &theirs, &ours), ("ours, then theirs", &ours, &theirs)]
    {
        let faults = run::at_once(&cases, |case| faults(&side::play(case, first, second)));
        for (case, faults) in cases.iter().zip(faults) {
            for fault in faults {
                let place = KNOWN.iter().position(|(way, name, seen)| {
                    *way == direction && matches(name, &case.name) && matches(seen, &fault)
                });
                match place {
                    Some(place) => known[place] = true,
                    None => complaints.push(format!("{direction}: {}: {fault}", case.name)),
                }
            }
        }
    }
    let unseen = KNOWN.iter().zip(known).filter(|(_, seen)| !seen);
    complaints.extend(unseen.map(|(known, _)| format!("nothing shows {known:?}")));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Calls that failed, and what is left in the end.
fn faults(seen: &Value) -> Vec<String> {
    let steps = seen.as_object().unwrap();
    let mut faults: Vec<String> = steps
        .iter()
        .filter(|(_, step)| step.get("status").is_some_and(|status| status != 0))
        .map(|(title, step)| format!("{title}: code {}", step["output"]["code"]))
        .collect();
    let number = |title: &str| title.split('-').next().unwrap().parse::<usize>().unwrap();
    let last = steps.iter().filter(|(_, step)| step.get("state").is_some());
    if let Some((_, last)) = last.max_by_key(|(title, _)| number(title)) {
        faults.extend(left(&last["state"]));
    }
    if let Some((_, answers)) = steps
        .iter()
        .filter(|(title, _)| title.ends_with("REACH"))
        .max_by_key(|(title, _)| number(title))
    {
        let answers = answers.as_object().unwrap().iter();
        let answered =
            answers.filter(|(_, answer)| answer.as_str().is_some_and(|text| text.contains("saw")));
        faults.extend(answered.map(|(who, answer)| format!("left: {who}: {answer}")));
    }
    faults
}

/// What a pod that has gone leaves.
fn left(state: &Value) -> Vec<String> {
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
    };
    let links =
        keys(&state["host"]["links"]).into_iter().filter(|name| !STAYS.contains(&name.as_str()));
    let mut left: Vec<String> = links.map(|name| format!("left: link {name}")).collect();
    let addresses = keys(&state["store"]["net"])
        .into_iter()
        .filter(|name| name.contains(['.', ':']) && !name.starts_with("last"));
    left.extend(addresses.map(|name| format!("left: address {name}")));
    left.extend(keys(&state["tuning"]).into_iter().map(|name| format!("left: file {name}")));
    let inside = &state["web"]["links"]["eth0"];
    if !inside.is_null() {
        for (key, before) in [
            ("mtu", json!(1500)),
            ("address", json!("02:00:00:00:02:00")),
            ("promiscuity", json!(0)),
            ("txqlen", json!(1000)),
        ] {
            if inside[key] != before {
                left.push(format!("left: {key} {}", inside[key]));
            }
        }
    }
    left
}

/// The steps in which another side's programs are called are those of the other.
fn by_other(steps: Vec<Step>) -> Vec<Step> {
    let other = |step| match step {
        Step::Call(call) => Step::Call(Box::new(Call { by_other: true, ..*call })),
        step => step,
    };
    steps.into_iter().map(other).collect()
}

type Plugin = (&'static str, Value);

fn life(plugins: &[Plugin]) -> Vec<Step> {
    let mut steps = chain(&["ADD"], plugins);
    steps.extend(by_other(chain(&["CHECK", "DEL"], plugins)));
    steps
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (what, plugins) in attaching() {
        for version in ["0.4.0", "1.0.0", "1.1.0"] {
            let versioned: Vec<Plugin> = plugins
                .iter()
                .map(|(plugin, config)| (*plugin, with(config, json!({ "cniVersion": version }))))
                .collect();
            cases.push(Case::new(format!("{what} {version}"), life(&versioned)));
        }
        cases.push(Case::new(format!("{what}, deleted without result"), {
            let mut steps = chain(&["ADD"], &plugins);
            let del = plugins
                .iter()
                .rev()
                .map(|(plugin, config)| Call::new("DEL", plugin, config).step());
            steps.extend(by_other(del.collect()));
            steps
        }));
        cases.push(Case::new(format!("{what}, its pod is gone"), {
            let mut steps = chain(&["ADD"], &plugins);
            if what != "loopback" {
                steps.push(Step::DeletePod);
            }
            steps.extend(by_other(chain(&["DEL"], &plugins)));
            steps
        }));
    }
    cases.extend(behind());
    cases
}

fn attaching() -> Vec<(&'static str, Vec<Plugin>)> {
    let both = json!({
        "type": "host-local", "dataDir": DATA_DIR,
        "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
    });
    let fixed = json!({
        "type": "static", "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }],
        "routes": [{ "dst": "0.0.0.0/0" }],
    });
    let gateway = bridge::config(&json!({ "isGateway": true, "hairpinMode": true }));
    let limits = bandwidth::limited(&bandwidth::both(8_000_000, 800_000));
    let tuned = with(&tuning::plain(), json!({ "mtu": 1400, "promisc": true, "txQLen": 500 }));
    vec![
        ("loopback", vec![("loopback", crate::case::plain("loopback", "1.0.0"))]),
        ("bridge", vec![("bridge", gateway.clone())]),
        ("bridge, both families", vec![("bridge", with(&gateway, json!({ "ipam": both })))]),
        ("bridge, static", vec![("bridge", with(&gateway, json!({ "ipam": fixed })))]),
        ("ptp", vec![("ptp", ptp::config(&json!({})))]),
        ("ptp, both families", vec![("ptp", ptp::config(&json!({ "ipam": both })))]),
        ("ptp, static", vec![("ptp", ptp::config(&json!({ "ipam": fixed })))]),
        (
            "bridge, tuning, bandwidth",
            vec![("bridge", gateway), ("tuning", tuned), ("bandwidth", limits)],
        ),
    ]
}

/// Plugins behind pods that are attached already.
fn behind() -> Vec<Case> {
    let limits = bandwidth::limited(&bandwidth::both(8_000_000, 800_000));
    let huge = bandwidth::limited(&bandwidth::both(8_000_000, 2_147_483_647));
    let tuned = with(
        &tuning::plain(),
        json!({ "mtu": 1400, "promisc": true, "txQLen": 500, "mac": "02:00:00:00:0c:01" }),
    );
    let ports = portmap::config(&json!([
        portmap::mapping(8080, 80, "tcp"),
        portmap::mapping(8080, 80, "udp")
    ]));
    let mut cases = Vec::new();
    for (what, plugin, config) in [
        ("bandwidth", "bandwidth", limits),
        ("bandwidth, the kubelet's burst", "bandwidth", huge),
        ("tuning", "tuning", tuned),
        ("portmap, iptables", "portmap", with(&ports, json!({ "backend": "iptables" }))),
        ("portmap, nftables", "portmap", with(&ports, json!({ "backend": "nftables" }))),
    ] {
        let add = || chained::attached(vec![Call::new("ADD", plugin, &config).step()]);
        let del = || Call::new("DEL", plugin, &config);
        let ends = [
            (
                "",
                vec![
                    Call::new("CHECK", plugin, &config).step(),
                    del().previous(Previous::Last).step(),
                ],
            ),
            (", deleted without result", vec![del().step()]),
        ];
        for (how, end) in ends {
            let mut steps = if plugin == "portmap" { vec![Step::Uplink] } else { Vec::new() };
            steps.extend(add());
            steps.extend(by_other(end));
            if plugin == "portmap" {
                steps.push(ASKED);
            }
            cases.push(Case::new(format!("{what}{how}"), steps));
        }
    }
    cases
}
