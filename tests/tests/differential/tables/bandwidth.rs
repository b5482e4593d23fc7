//! bandwidth: the buckets and redirects that it makes, behind pods that are attached already.

use serde_json::{Value, json};

use super::chained::{self, attached, behind};
use crate::base;
use crate::case::{Call, Case, Previous, Step, Table, calls, with};

const PLUGIN: &str = "bandwidth";

pub(crate) fn table() -> Table {
    let config = limited(&both(8_000_000, 800_000));
    let mut cases = chained::versions(PLUGIN, &config);
    cases.extend(chained::variables(PLUGIN, &config));
    cases.extend(chained::input(PLUGIN, &config));
    cases.extend(chained::lives(PLUGIN, &plain(), limits()));
    cases.extend(chained::lives(PLUGIN, &plain(), sent()));
    cases.extend(chained::refused(PLUGIN, &plain(), refused()));
    cases.extend(chained::order(PLUGIN, &config));
    cases.extend(chained::changed(PLUGIN, &config, changes()));
    let mut cases = behind(cases);
    cases.extend(more(&config));
    Table {
        everywhere: &["D-01", "D-02", "D-46", "D-100", "D-101"],
        cases: super::expect(cases, EXPECTED),
    }
}

/// Rows of docs/differences.md and the cases that show them.
const EXPECTED: super::Expected = &[
    (
        "D-03",
        &[
            "*list as runtimeConfig",
            "*text as dns",
            "bandwidth refuses a rate*",
            "bandwidth refuses a burst*",
            "bandwidth refuses a larger burst",
            "bandwidth refuses a negative*",
            "bandwidth refuses text*",
            "bandwidth refuses a fraction*",
            "bandwidth refuses a list*",
            "bandwidth refuses a sent*",
            "*a result that is text",
        ],
    ),
    ("D-04", &["*no-equals-sign"]),
    ("D-07", &["*a result of another version", "*with no version"]),
    ("D-21", &["*with text as dns"]),
    ("D-78", &["*without a list"]),
    ("D-102", &["*eight bits*", "*the largest burst", "*a burst of a packet"]),
    ("D-103", &["*a burst of a byte", "*a burst of a bit", "*refuses a bit a second"]),
    ("D-105", &["*nothing l*"]),
    ("D-106", &["*is collected"]),
    ("D-108", &["*its burst is another"]),
    ("D-107", &["*added again", "*added twice", "*another limit after*"]),
];

fn plain() -> Value {
    json!({ "cniVersion": "1.0.0", "name": "net", "type": PLUGIN, "capabilities": { "bandwidth": true } })
}

pub(crate) fn limited(options: &Value) -> Value {
    with(&plain(), options.clone())
}

/// Both directions with the same limit, in bits a second and bits.
pub(crate) fn both(rate: u64, burst: u64) -> Value {
    with(&ingress(rate, burst), egress(rate, burst))
}

fn ingress(rate: u64, burst: u64) -> Value {
    json!({ "ingressRate": rate, "ingressBurst": burst })
}

fn egress(rate: u64, burst: u64) -> Value {
    json!({ "egressRate": rate, "egressBurst": burst })
}

/// From one bit a second to more than the kernel's old fields hold.
fn limits() -> Vec<(&'static str, Value)> {
    vec![
        ("what it receives", ingress(8_000_000, 800_000)),
        ("what it sends", egress(8_000_000, 800_000)),
        ("both", both(8_000_000, 800_000)),
        ("unlike limits", with(&ingress(1_000_000, 80_000), egress(2_000_000, 160_000))),
        ("a slow one", both(8_000, 80_000)),
        ("eight bits a second", both(8, 80_000)),
        ("10 Gbit", both(10_000_000_000, 80_000_000)),
        ("100 Gbit", both(100_000_000_000, 800_000_000)),
        ("the kubelet's burst", both(8_000_000, 2_147_483_647)),
        ("the largest burst", both(8_000_000, 34_359_738_352)),
        ("a burst of a packet", both(8_000_000, 12_000)),
        ("a burst of a byte", both(8_000_000, 8)),
        ("a burst of a bit", both(8_000_000, 1)),
        ("no bits", both(0, 0)),
        ("no options", json!({})),
        ("nulls", json!({ "ingressRate": null, "egressBurst": null })),
        ("keys in capitals", json!({ "IngressRate": 8_000_000, "INGRESSBURST": 800_000 })),
        ("an unknown key", with(&both(8_000_000, 800_000), json!({ "latency": "25ms" }))),
    ]
}

/// What a runtime may send.
fn sent() -> Vec<(&'static str, Value)> {
    let sent = |limits: Value| json!({ "runtimeConfig": { "bandwidth": limits } });
    vec![
        ("sent", sent(both(8_000_000, 800_000))),
        (
            "sent with keys in capitals",
            sent(json!({
                "IngressRate": 8_000_000, "IngressBurst": 800_000, "EgressRate": 0, "EgressBurst": 0,
            })),
        ),
        ("sent and configured", with(&sent(both(8_000_000, 800_000)), both(1_000_000, 80_000))),
        ("sent, and configured in one direction", {
            with(&sent(both(8_000_000, 800_000)), ingress(1_000_000, 80_000))
        }),
        ("sent, and configured as nothing", with(&sent(both(8_000_000, 800_000)), both(0, 0))),
        ("sent as nothing", sent(both(0, 0))),
        ("sent as null", sent(Value::Null)),
        ("sent empty", sent(json!({}))),
    ]
}

fn refused() -> Vec<(&'static str, Value)> {
    let sent = |limits: Value| json!({ "runtimeConfig": { "bandwidth": limits } });
    vec![
        ("a rate without burst", json!({ "ingressRate": 8_000_000 })),
        ("a burst without rate", json!({ "ingressBurst": 800_000 })),
        ("a rate of what it sends without burst", json!({ "egressRate": 8_000_000 })),
        ("a burst of what it sends without rate", json!({ "egressBurst": 800_000 })),
        ("a burst of 4 GiB", both(8_000_000, 34_359_738_360)),
        ("a larger burst", both(8_000_000, 1_000_000_000_000)),
        ("a bit a second", both(1, 80_000)),
        ("a negative rate", json!({ "ingressRate": -1, "ingressBurst": 800_000 })),
        ("text as rate", json!({ "ingressRate": "8M", "ingressBurst": 800_000 })),
        ("a fraction as rate", json!({ "ingressRate": 8.5, "ingressBurst": 800_000 })),
        ("a rate beyond 64 bits", json!({ "ingressRate": 1e30, "ingressBurst": 800_000 })),
        ("a list as limits", sent(json!([]))),
        ("a sent rate without burst", sent(json!({ "ingressRate": 8_000_000 }))),
        ("a sent text as rate", sent(json!({ "ingressRate": "8M" }))),
    ]
}

fn changes() -> Vec<(&'static str, Step)> {
    let tc = |arguments| Step::Tool { program: "tc", arguments };
    vec![
        ("nothing limits what it receives", tc("qdisc del dev pair0 root")),
        ("nothing leads what it sends to the ifb", tc("qdisc del dev pair0 ingress")),
        ("its rate is another", {
            tc("qdisc replace dev pair0 root handle 1: tbf rate 4mbit burst 100kb latency 25ms")
        }),
        ("its burst is another", {
            tc("qdisc replace dev pair0 root handle 1: tbf rate 8mbit burst 50kb latency 25ms")
        }),
        ("its host end is disabled", Step::Ip { inside: false, arguments: "link set pair0 down" }),
        ("its host end has another name", {
            Step::Ip { inside: false, arguments: "link property add dev pair0 altname other" }
        }),
    ]
}

fn more(config: &Value) -> Vec<Case> {
    let slow = limited(&both(1_000_000, 80_000));
    let second = |verb| {
        let call = Call::new(verb, PLUGIN, &slow).of_pod(1);
        let given = Previous::Given(base::result("1.0.0", 1));
        if verb == "CHECK" { call.step() } else { call.previous(given).step() }
    };
    let cases = [
        ("two pods", {
            let mut steps = attached(calls(&["ADD"], PLUGIN, config));
            steps.extend([second("ADD"), second("CHECK")]);
            steps.extend(calls(&["CHECK", "DEL"], PLUGIN, config));
            steps.push(second("DEL"));
            steps
        }),
        ("another limit after the first", {
            let mut steps = attached(calls(&["ADD", "DEL"], PLUGIN, config));
            let given = Previous::Given(base::result("1.0.0", 0));
            steps.push(Call::new("ADD", PLUGIN, &slow).previous(given).step());
            steps
        }),
        ("checked for another limit", {
            let mut steps = attached(calls(&["ADD"], PLUGIN, config));
            steps.extend(calls(&["CHECK"], PLUGIN, &slow));
            steps
        }),
        ("checked for one direction", {
            let mut steps = attached(calls(&["ADD"], PLUGIN, config));
            steps.extend(calls(&["CHECK"], PLUGIN, &limited(&ingress(8_000_000, 800_000))));
            steps.extend(calls(&["CHECK"], PLUGIN, &limited(&egress(8_000_000, 800_000))));
            steps.extend(calls(&["CHECK"], PLUGIN, &plain()));
            steps
        }),
        ("a result of another's host end", {
            let other = base::result("1.0.0", 1);
            let add = Call::new("ADD", PLUGIN, config).previous(Previous::Given(other));
            vec![Step::Base, add.step()]
        }),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("bandwidth, {what}"), steps)).collect()
}
