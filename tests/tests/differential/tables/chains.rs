//! Whole chains, as network configurations have them: each plugin gets the result of the one before.

use serde_json::{Value, json};

use super::{bandwidth, bridge, portmap, ptp, tuning};
use crate::case::{Case, DATA_DIR, Previous, Step, Table, chain, with};

type Plugin = (&'static str, Value);

pub(crate) fn table() -> Table {
    let mut cases = Vec::new();
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        cases.extend(chains().into_iter().map(|(what, plugins)| {
            let plugins: Vec<Plugin> = plugins
                .into_iter()
                .map(|(plugin, config)| (plugin, with(&config, json!({ "cniVersion": version }))))
                .collect();
            Case::new(format!("chain {version}: {what}"), life(&plugins))
        }));
    }
    cases.extend(ends());
    Table { everywhere: EVERYWHERE, cases: super::expect(cases, EXPECTED) }
}

/// Rows of docs/differences.md and the cases that show them.
const EXPECTED: super::Expected = &[
    ("D-56", &["*added again"]),
    ("D-58", &["*by nftables, portmap"]),
    ("D-112", &["chain, its pod is gone"]),
];

/// Rows that any chain may show.
const EVERYWHERE: &[&str] =
    &["D-40", "D-41", "D-42", "D-43", "D-44", "D-46", "D-59", "D-70", "D-100"];

const ASKED: Step = Step::Reach { ports: &[8080], addresses: &[] };

fn bridged(options: Value) -> Plugin {
    let both = json!({
        "type": "host-local", "dataDir": DATA_DIR,
        "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
    });
    let plain = bridge::config(&json!({ "isGateway": true, "hairpinMode": true, "ipam": both }));
    ("bridge", with(&plain, options))
}

fn fixed() -> Value {
    json!({
        "type": "static", "routes": [{ "dst": "0.0.0.0/0" }], "dns": { "nameservers": ["10.1.0.53"] },
        "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }],
    })
}

fn ports() -> Plugin {
    let ports = json!([portmap::mapping(8080, 80, "tcp"), portmap::mapping(8080, 80, "udp")]);
    ("portmap", portmap::config(&ports))
}

fn limits() -> Plugin {
    ("bandwidth", bandwidth::limited(&bandwidth::both(8_000_000, 800_000)))
}

fn tuned() -> Plugin {
    let options =
        json!({ "sysctl": { "net.core.somaxconn": "500" }, "mtu": 1400, "promisc": true });
    ("tuning", with(&tuning::plain(), options))
}

fn point(options: &Value) -> Plugin {
    ("ptp", ptp::config(options))
}

fn chains() -> Vec<(&'static str, Vec<Plugin>)> {
    vec![
        ("bridge, portmap, bandwidth", vec![bridged(json!({})), ports(), limits()]),
        ("bridge, tuning", vec![bridged(json!({})), tuned()]),
        (
            "bridge, tuning, bandwidth, portmap",
            vec![bridged(json!({})), tuned(), limits(), ports()],
        ),
        ("bridge by static, portmap", vec![bridged(json!({ "ipam": fixed() })), ports()]),
        ("ptp, bandwidth, tuning", vec![point(&json!({})), limits(), tuned()]),
        ("ptp by static, tuning", vec![point(&json!({ "ipam": fixed() })), tuned()]),
        ("ptp, portmap", vec![point(&json!({})), ports()]),
        ("ptp with ipMasq, portmap", vec![point(&json!({ "ipMasq": true })), ports()]),
        ("bridge with ipMasq, portmap", vec![bridged(json!({ "ipMasq": true })), ports()]),
        ("bridge with ipMasq and macspoofchk by nftables, portmap", {
            let options =
                json!({ "ipMasq": true, "ipMasqBackend": "nftables", "macspoofchk": true });
            vec![bridged(options), ports()]
        }),
        ("ptp, bandwidth", vec![point(&json!({})), limits()]),
    ]
}

fn life(plugins: &[Plugin]) -> Vec<Step> {
    let mut steps = vec![Step::Uplink];
    steps.extend(chain(&["ADD", "CHECK"], plugins));
    steps.push(ASKED);
    steps.extend(chain(&["DEL"], plugins));
    steps.push(ASKED);
    steps
}

/// Chains that end in another way than they should.
fn ends() -> Vec<Case> {
    let version =
        |(plugin, config): Plugin| (plugin, with(&config, json!({ "cniVersion": "1.0.0" })));
    let plugins: Vec<Plugin> =
        [bridged(json!({})), tuned(), limits(), ports()].map(version).into_iter().collect();
    let begun = |verbs: &[&'static str]| {
        let mut steps = vec![Step::Uplink];
        steps.extend(chain(verbs, &plugins));
        steps
    };
    let without_result = |steps: Vec<Step>| {
        steps
            .into_iter()
            .map(|step| match step {
                Step::Call(call) if call.verb == "DEL" => call.previous(Previous::None).step(),
                other => other,
            })
            .collect::<Vec<_>>()
    };
    let cases = [
        ("its pod is gone", {
            let mut steps = begun(&["ADD"]);
            steps.push(Step::DeletePod);
            steps.extend(chain(&["DEL"], &plugins));
            steps.push(ASKED);
            steps
        }),
        ("deleted twice", [begun(&["ADD", "DEL", "DEL"]), vec![ASKED]].concat()),
        (
            "deleted without a result",
            without_result([begun(&["ADD", "DEL"]), vec![ASKED]].concat()),
        ),
        ("never added", begun(&["DEL"])),
        ("added again", [begun(&["ADD", "DEL", "ADD", "CHECK"]), vec![ASKED]].concat()),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("chain, {what}"), steps)).collect()
}
