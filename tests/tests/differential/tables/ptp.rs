//! ptp: links, addresses and routes of pods that have the host as their only neighbour.

use serde_json::{Value, json};

use super::{calls as any, chained};
use crate::case::{Call, Case, DATA_DIR, Previous, Step, Table, calls, with};

const PLUGIN: &str = "ptp";

pub(crate) fn table() -> Table {
    let config = config(&json!({}));
    let mut cases = any::versions(PLUGIN, &config);
    cases.extend(chained::variables(PLUGIN, &config));
    cases.extend(chained::input(PLUGIN, &config));
    cases.extend(any::previous(PLUGIN, &config));
    cases.extend(addresses());
    cases.extend(options());
    cases.extend(chained::refused(PLUGIN, &config, refused()));
    cases.extend(order(&config));
    cases.extend(chained::changed(PLUGIN, &config, changes()));
    Table {
        everywhere: &[
            "D-01", "D-02", "D-40", "D-42", "D-43", "D-44", "D-46", "D-59", "D-70", "D-88",
        ],
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
            "*prevResult: text",
            "ptp refuses text as mtu",
            "ptp refuses text as ipMasq",
            "ptp refuses no ipam",
            "*an unknown masquerade",
            "ptp refuses an empty ipam",
            "ptp refuses an ipam without range",
        ],
    ),
    ("D-06", &["ptp, routes"]),
    (
        "D-45",
        &[
            "*a route in a table",
            "*without gateway",
            "*route that leads nowhere",
            "*an unknown masquerade",
            "*a tiny mtu",
            "*an enormous mtu",
        ],
    ),
    ("D-51", &["*a negative mtu"]),
    ("D-53", &["*the host's address is gone"]),
    ("D-55", &["*garbage is collected"]),
    ("D-56", &["*added again"]),
    ("D-58", &["ptp *, ipMasq by nftables"]),
    ("D-57", &["*is not named"]),
    ("D-85", &["*a host's network", "*gateway from elsewhere", "*two addresses and one*"]),
    ("D-86", &["*a second interface"]),
    ("D-87", &["*its pod has eth0"]),
];

pub(crate) fn config(options: &Value) -> Value {
    let plain = json!({
        "cniVersion": "1.0.0", "name": "net", "type": PLUGIN,
        "ipam": { "type": "host-local", "dataDir": DATA_DIR, "subnet": "10.1.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }] },
    });
    with(&plain, options.clone())
}

fn ipam(options: Value) -> Value {
    with(&json!({ "type": "host-local", "dataDir": DATA_DIR }), options)
}

fn fixed(addresses: &Value) -> Value {
    json!({ "type": "static", "addresses": addresses, "routes": [{ "dst": "0.0.0.0/0" }] })
}

fn life(config: &Value) -> Vec<Step> {
    let mut steps = calls(&["ADD", "CHECK"], PLUGIN, config);
    steps.push(Call::new("ADD", PLUGIN, config).of_pod(1).step());
    steps.push(Call::new("DEL", PLUGIN, config).previous(Previous::Last).step());
    steps.push(Call::new("DEL", PLUGIN, config).of_pod(1).step());
    steps
}

fn addresses() -> Vec<Case> {
    let both = json!([[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]]);
    let cases = [
        ("IPv4", ipam(json!({ "subnet": "10.1.0.0/24" }))),
        (
            "IPv4 with a default route",
            ipam(json!({ "subnet": "10.1.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }] })),
        ),
        ("IPv6", ipam(json!({ "subnet": "fd00:1::/64", "routes": [{ "dst": "::/0" }] }))),
        (
            "both families",
            ipam(json!({ "ranges": both, "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }] })),
        ),
        (
            "two IPv4 networks",
            ipam(
                json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "10.2.0.0/24" }]] }),
            ),
        ),
        ("a gateway of its own", ipam(json!({ "subnet": "10.1.0.0/24", "gateway": "10.1.0.200" }))),
        (
            "routes",
            ipam(json!({ "subnet": "10.1.0.0/24", "routes": [
            { "dst": "192.168.0.0/16", "gw": "10.1.0.1" }, { "dst": "172.16.0.0/12", "mtu": 1300, "advmss": 1200, "priority": 50 },
        ] })),
        ),
        (
            "a route in a table",
            ipam(json!({ "subnet": "10.1.0.0/24", "routes": [
            { "dst": "192.168.0.0/16", "table": 100 }, { "dst": "192.168.9.0/24", "scope": 253 },
        ] })),
        ),
        ("static", fixed(&json!([{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }]))),
        (
            "static, a host's network",
            fixed(&json!([{ "address": "10.1.0.5/32", "gateway": "10.1.0.1" }])),
        ),
        (
            "static, a gateway from elsewhere",
            fixed(&json!([{ "address": "10.1.0.5/24", "gateway": "169.254.1.1" }])),
        ),
        ("static, without gateway", fixed(&json!([{ "address": "10.1.0.5/24" }]))),
        (
            "static, two addresses and one gateway",
            fixed(&json!([
                { "address": "10.1.0.5/24", "gateway": "10.1.0.1" }, { "address": "10.1.0.6/24", "gateway": "10.1.0.1" },
            ])),
        ),
    ];
    let cases = cases.into_iter().map(|(what, ipam)| {
        let is_fixed = ipam["type"] == "static";
        let config = config(&json!({ "ipam": ipam }));
        // One address is for one pod.
        let steps =
            if is_fixed { calls(&["ADD", "CHECK", "DEL"], PLUGIN, &config) } else { life(&config) };
        Case::new(format!("ptp, {what}"), steps)
    });
    cases.collect()
}

fn options() -> Vec<Case> {
    let more = [
        ("ipMasq", json!({ "ipMasq": true })),
        ("ipMasq by iptables", json!({ "ipMasq": true, "ipMasqBackend": "iptables" })),
        ("ipMasq by nftables", json!({ "ipMasq": true, "ipMasqBackend": "nftables" })),
        ("no mtu", json!({ "mtu": 0 })),
        ("mtu", json!({ "mtu": 1400 })),
        ("mtu below IPv6's", json!({ "mtu": 1000 })),
        (
            "dns",
            json!({ "dns": { "nameservers": ["10.1.0.53"], "domain": "a.example", "search": ["b.example"], "options": ["ndots:5"] } }),
        ),
        (
            "dns of IPAM and its own",
            json!({
                "dns": { "domain": "a.example" },
                "ipam": { "type": "static", "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }], "dns": { "nameservers": ["10.1.0.9"] } },
            }),
        ),
        ("switched off", json!({ "ipMasq": false, "ipMasqBackend": null })),
        ("nulls", json!({ "mtu": null, "dns": null })),
        ("keys in capitals", json!({ "MTU": 1400, "IPMasq": false })),
        ("an option of bridge", json!({ "isGateway": true, "bridge": "br0" })),
        ("a MAC address sent", json!({ "runtimeConfig": { "mac": "02:00:00:00:00:77" } })),
    ];
    let mut cases = Vec::new();
    for (what, options) in &more {
        for version in ["0.3.1", "1.1.0"] {
            let config = with(&config(options), json!({ "cniVersion": version }));
            let is_fixed = config["ipam"]["type"] == "static";
            let verbs = ["ADD", "CHECK", "DEL"];
            let steps = if is_fixed { calls(&verbs, PLUGIN, &config) } else { life(&config) };
            cases.push(Case::new(format!("ptp {version}, {what}"), steps));
        }
    }
    cases
}

fn refused() -> Vec<(&'static str, Value)> {
    vec![
        ("an unknown masquerade", json!({ "ipMasq": true, "ipMasqBackend": "ebpf" })),
        ("text as mtu", json!({ "mtu": "1400" })),
        ("a negative mtu", json!({ "mtu": -1 })),
        ("a tiny mtu", json!({ "mtu": 20 })),
        ("an enormous mtu", json!({ "mtu": 70000 })),
        ("text as ipMasq", json!({ "ipMasq": "yes" })),
        ("no ipam", json!({ "ipam": null })),
        ("an empty ipam", json!({ "ipam": {} })),
        ("an ipam that is no program", json!({ "ipam": { "type": "no-such-ipam" } })),
        ("an ipam without addresses", json!({ "ipam": { "type": "static", "addresses": [] } })),
        ("an ipam without range", json!({ "ipam": { "type": "host-local", "dataDir": DATA_DIR } })),
        ("text as ipam", json!({ "ipam": "host-local" })),
        (
            "a route that leads nowhere",
            json!({
                "ipam": ipam(json!({ "subnet": "10.1.0.0/24", "routes": [{ "dst": "192.168.0.0/16", "gw": "10.99.0.1" }] })),
            }),
        ),
    ]
}

fn order(config: &Value) -> Vec<Case> {
    let run = |verbs: &[&'static str]| calls(verbs, PLUGIN, config);
    let and = |mut steps: Vec<Step>, more: Vec<Step>| {
        steps.extend(more);
        steps
    };
    let newest = with(config, json!({ "cniVersion": "1.1.0" }));
    let last = |verb| Call::new(verb, PLUGIN, config).previous(Previous::Last);
    let cases = [
        ("deleted twice", run(&["ADD", "DEL", "DEL"])),
        ("deleted and never added", run(&["DEL"])),
        ("added twice", run(&["ADD", "ADD", "DEL"])),
        ("added again", run(&["ADD", "DEL", "ADD", "CHECK", "DEL"])),
        ("checked when deleted", run(&["ADD", "DEL", "CHECK"])),
        (
            "its pod is gone",
            and(and(run(&["ADD"]), vec![Step::DeletePod]), run(&["CHECK", "DEL", "DEL"])),
        ),
        (
            "its namespace is not named",
            and(run(&["ADD"]), vec![last("DEL").with("CNI_NETNS", "").step()]),
        ),
        (
            "its pod has eth0",
            and(
                vec![Step::Ip {
                    inside: true,
                    arguments: "link add eth0 type veth peer name other",
                }],
                run(&["ADD", "DEL"]),
            ),
        ),
        ("a second interface", {
            let second = |verb| Call::new(verb, PLUGIN, config).with("CNI_IFNAME", "net1").step();
            [run(&["ADD"]), vec![second("ADD")], run(&["DEL"]), vec![second("DEL")]].concat()
        }),
        ("garbage is collected", {
            let none = with(&newest, json!({ "cni.dev/valid-attachments": [] }));
            and(calls(&["ADD"], PLUGIN, &newest), calls(&["GC"], PLUGIN, &none))
        }),
        ("status", {
            let configs = [
                newest.clone(),
                with(&newest, json!({ "ipam": null })),
                with(&newest, json!({ "ipam": { "type": "no-such-ipam" } })),
                with(&newest, json!({ "mtu": "much" })),
            ];
            configs.iter().flat_map(|config| calls(&["STATUS"], PLUGIN, config)).collect()
        }),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("ptp, {what}"), steps)).collect()
}

fn changes() -> Vec<(&'static str, Step)> {
    let inside = |arguments| Step::Ip { inside: true, arguments };
    vec![
        ("its interface is disabled", inside("link set eth0 down")),
        ("its address is gone", inside("address flush dev eth0")),
        ("its default route is gone", inside("route del default")),
        ("its route to its network is gone", inside("route del 10.1.0.0/24")),
        ("its MAC address is another", inside("link set eth0 address 02:00:00:00:07:07")),
        ("its interface is gone", inside("link del eth0")),
        ("its mtu is another", inside("link set eth0 mtu 1200")),
        ("the host's route is gone", Step::Ip { inside: false, arguments: "route del 10.1.0.2" }),
        (
            "the host's address is gone",
            Step::Ip { inside: false, arguments: "address flush to 10.1.0.1/32" },
        ),
    ]
}
