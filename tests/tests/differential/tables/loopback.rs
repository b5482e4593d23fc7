//! loopback: it has no options, so that calls and the state of the namespace are all there is.

use serde_json::json;

use super::{VERSIONS, calls as any};
use crate::case::{Call, Case, Previous, Step, Table, calls, plain, with};

const PLUGIN: &str = "loopback";

pub(crate) fn table() -> Table {
    let config = plain(PLUGIN, "1.0.0");
    let mut cases = any::versions(PLUGIN, &config);
    cases.extend(any::variables(PLUGIN, &config));
    cases.extend(any::input(PLUGIN, &config));
    cases.extend(any::previous(PLUGIN, &config));
    cases.extend(VERSIONS.map(chained));
    cases.extend(states());
    Table { everywhere: &["D-01", "D-02"], cases: super::expect(cases, EXPECTED) }
}

/// Rows of docs/differences.md and the cases that show them.
const EXPECTED: super::Expected = &[
    ("D-04", &["*CNI_ARGS=IgnoreUnknown=true;A=B=C", "*CNI_ARGS=no-*", "*CNI_ARGS=A=1;"]),
    ("D-20", &["loopback 0.* life"]),
    ("D-21", &["*with text as dns"]),
];

/// Behind another plugin, whose result is passed on.
fn chained(version: &'static str) -> Case {
    let before = if version < "0.3.0" {
        json!({ "cniVersion": version, "ip4": { "ip": "10.9.0.2/24" }, "dns": {} })
    } else {
        json!({
            "cniVersion": version,
            "interfaces": [{ "name": "eth0", "mac": "02:00:00:00:00:09", "sandbox": "/x" }],
            "ips": [{ "version": "4", "address": "10.9.0.2/24", "interface": 0 }],
            "routes": [{ "dst": "0.0.0.0/0", "gw": "10.9.0.1" }],
            "dns": { "nameservers": ["10.9.0.1"] },
        })
    };
    let config = plain(PLUGIN, version);
    let add = Call::new("ADD", PLUGIN, &config).previous(Previous::Given(before)).step();
    Case::new(format!("loopback {version} behind another plugin"), vec![add])
}

/// Namespaces that are not as a new one is.
fn states() -> Vec<Case> {
    let config = plain(PLUGIN, "1.1.0");
    let ip = |arguments| Step::Ip { inside: true, arguments };
    let life = || calls(&["ADD", "CHECK", "DEL"], PLUGIN, &config);
    let after = |first: Step, mut rest: Vec<Step>| {
        rest.insert(0, first);
        rest
    };
    let cases = [
        ("lo is up already", after(ip("link set lo up"), life())),
        ("lo has another loopback address", after(ip("address add 127.0.0.53/8 dev lo"), life())),
        ("lo has a larger mtu", after(ip("link set lo mtu 9000"), life())),
        ("lo is another interface's name", calls(&["DEL", "DEL", "ADD", "ADD"], PLUGIN, &config)),
        ("the pod is gone", {
            let mut steps = calls(&["ADD"], PLUGIN, &config);
            steps.push(Step::DeletePod);
            steps.extend(calls(&["CHECK", "DEL"], PLUGIN, &config));
            steps
        }),
        ("lo was disabled", {
            let mut steps = calls(&["ADD"], PLUGIN, &config);
            steps.push(ip("link set lo down"));
            steps.extend(calls(&["CHECK", "DEL"], PLUGIN, &config));
            steps
        }),
        ("an interface that is not lo", {
            vec![Call::new("ADD", PLUGIN, &config).with("CNI_IFNAME", "net1").step()]
        }),
        (
            "a foreign option",
            calls(&["ADD"], PLUGIN, &with(&config, json!({ "mtu": 1400, "ipam": {} }))),
        ),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("loopback, {what}"), steps)).collect()
}
