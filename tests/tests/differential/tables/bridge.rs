//! bridge: options, addresses, a bridge that is there before, and calls that come twice or too late.

use serde_json::{Value, json};

use super::calls as any;
use crate::case::{Call, Case, DATA_DIR, Step, Table, calls, with};

const PLUGIN: &str = "bridge";

pub(crate) fn table() -> Table {
    let config = config(&json!({ "isGateway": true }));
    let mut cases = any::versions(PLUGIN, &config);
    cases.extend(any::variables(PLUGIN, &config));
    cases.extend(any::input(PLUGIN, &config));
    cases.extend(any::previous(PLUGIN, &config));
    cases.extend(gateways());
    cases.extend(options());
    cases.extend(refused());
    cases.extend(macs());
    cases.extend(bridges());
    cases.extend(order());
    cases.extend(changes());
    Table {
        everywhere: &[
            "D-01", "D-02", "D-40", "D-41", "D-42", "D-43", "D-44", "D-46", "D-59", "D-70",
        ],
        cases: super::expect(cases, EXPECTED),
    }
}

/// Rows of docs/differences.md and the cases that show them.
const EXPECTED: super::Expected = &[
    (
        "D-03",
        &[
            "*with text as dns",
            "*list as runtimeConfig",
            "*prevResult: text",
            "*refuses text as mtu",
            "*refuses a fraction as mtu",
            "*refuses a number as bridge",
            "*refuses text as isGateway",
            "*refuses an ipam without room",
            "*refuses an ipam without range",
            "*of CNI_ARGS",
            "*of all three",
            "*none in CNI_ARGS",
        ],
    ),
    ("D-06", &["bridge, *, routes"]),
    (
        "D-45",
        &[
            "bridge, *, a route in a table",
            "*CNI_NETNS=/nowhere",
            "bridge refuses the name of*",
            "bridge refuses an ipam*",
            "bridge refuses a route*",
            "*MAC address of CNI_ARGS",
            "*MAC address of all three",
            "*MAC address that is none*",
            "*MAC address that is zero",
            "*MAC address that is a multicast one",
            "*there, with another address",
            "*in a wider network",
            "*that is a veth",
            "*its pod has eth0",
        ],
    ),
    ("D-58", &["bridge *, ipMasq by nftables"]),
    ("D-56", &["bridge, added again"]),
    ("D-57", &["bridge, its namespace is not named"]),
    ("D-47", &["bridge, isDefaultGateway, IPv4", "bridge, isDefaultGateway, IPv6"]),
    ("D-48", &["bridge, is*, two IPv4 networks"]),
    ("D-49", &["*, an empty name", "*, switched off"]),
    ("D-50", &["bridge, *, no addresses", "bridge, *, an empty ipam"]),
    ("D-51", &["*a negative mtu"]),
    ("D-52", &["bridge *, mtu*"]),
    ("D-53", &["*the bridge lost its address"]),
    ("D-54", &["*that is promiscuous", "*the bridge is promiscuous"]),
    ("D-55", &["bridge, garbage is collected"]),
];

pub(crate) fn config(options: &Value) -> Value {
    let plain = json!({
        "cniVersion": "1.0.0", "name": "net", "type": PLUGIN, "bridge": "br0",
        "ipam": { "type": "host-local", "dataDir": DATA_DIR, "subnet": "10.1.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }] },
    });
    with(&plain, options.clone())
}

fn ipam(options: Value) -> Value {
    with(&json!({ "type": "host-local", "dataDir": DATA_DIR }), options)
}

/// Two pods come, are checked and go.
fn life(config: &Value) -> Vec<Step> {
    let mut steps = calls(&["ADD", "CHECK"], PLUGIN, config);
    steps.push(Call::new("ADD", PLUGIN, config).of_pod(1).step());
    steps.extend(calls(&["DEL"], PLUGIN, config));
    steps.push(Call::new("DEL", PLUGIN, config).of_pod(1).step());
    steps
}

/// Addresses of one family and of both, with routes and without.
fn families() -> Vec<(&'static str, Value)> {
    let both = json!([[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]]);
    vec![
        ("IPv4", ipam(json!({ "subnet": "10.1.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }] }))),
        ("IPv6", ipam(json!({ "subnet": "fd00:1::/64", "routes": [{ "dst": "::/0" }] }))),
        ("both families", ipam(json!({ "ranges": both }))),
        (
            "two IPv4 networks",
            ipam(
                json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "10.2.0.0/24" }]] }),
            ),
        ),
        (
            "routes",
            ipam(
                json!({ "subnet": "10.1.0.0/24", "routes": [{ "dst": "192.168.0.0/16", "gw": "10.1.0.77" }, { "dst": "172.16.0.0/12", "mtu": 1300, "advmss": 1200, "priority": 50 }] }),
            ),
        ),
        (
            "a route in a table",
            ipam(
                json!({ "subnet": "10.1.0.0/24", "routes": [{ "dst": "192.168.0.0/16", "table": 100 }, { "dst": "192.168.9.0/24", "scope": 253 }] }),
            ),
        ),
        ("no addresses", Value::Null),
        ("an empty ipam", json!({})),
        ("a gateway of its own", ipam(json!({ "subnet": "10.1.0.0/24", "gateway": "10.1.0.200" }))),
    ]
}

/// Every gateway with every family.
fn gateways() -> Vec<Case> {
    let gateways = [
        ("no gateway", json!({})),
        ("isGateway", json!({ "isGateway": true })),
        ("isDefaultGateway", json!({ "isDefaultGateway": true })),
    ];
    let mut cases = Vec::new();
    for (gateway, options) in &gateways {
        for (family, ipam) in families() {
            let config = with(&config(options), json!({ "ipam": ipam }));
            cases.push(Case::new(format!("bridge, {gateway}, {family}"), life(&config)));
        }
    }
    cases
}

/// Every option by itself, and with some others.
fn options() -> Vec<Case> {
    let more = [
        ("ipMasq", json!({ "ipMasq": true })),
        ("ipMasq by nftables", json!({ "ipMasq": true, "ipMasqBackend": "nftables" })),
        ("macspoofchk", json!({ "macspoofchk": true })),
        ("no mtu", json!({ "mtu": 0 })),
        ("mtu", json!({ "mtu": 1400 })),
        ("mtu below IPv6's", json!({ "mtu": 1000 })),
        ("hairpinMode", json!({ "hairpinMode": true })),
        ("promiscMode", json!({ "promiscMode": true })),
        ("portIsolation", json!({ "portIsolation": true })),
        ("hairpinMode and portIsolation", json!({ "hairpinMode": true, "portIsolation": true })),
        (
            "dns",
            json!({ "dns": { "nameservers": ["10.1.0.53"], "domain": "a.example", "search": ["b.example"], "options": ["ndots:5"] } }),
        ),
        ("forceAddress", json!({ "forceAddress": true, "isGateway": true })),
        ("the default bridge", json!({ "bridge": null })),
        ("an empty name", json!({ "bridge": "" })),
        (
            "keys in capitals",
            json!({ "bridge": null, "BRIDGE": "br7", "IsGateway": true, "hairpinmode": true }),
        ),
        (
            "switched off",
            json!({ "ipMasq": false, "vlan": 0, "vlanTrunk": [], "macspoofchk": false, "enabledad": false, "disableContainerInterface": false }),
        ),
        ("nulls", json!({ "mtu": null, "isGateway": null })),
    ];
    let mut cases = Vec::new();
    for (what, options) in &more {
        for version in ["0.3.1", "1.1.0"] {
            let config = with(&config(options), json!({ "cniVersion": version }));
            cases.push(Case::new(format!("bridge {version}, {what}"), life(&config)));
        }
    }
    cases
}

fn refused() -> Vec<Case> {
    let options = [
        ("text as mtu", json!({ "mtu": "1400" })),
        ("a fraction as mtu", json!({ "mtu": 1400.5 })),
        ("a tiny mtu", json!({ "mtu": 20 })),
        ("an enormous mtu", json!({ "mtu": 70000 })),
        ("a negative mtu", json!({ "mtu": -1 })),
        ("text as isGateway", json!({ "isGateway": "yes" })),
        ("a number as bridge", json!({ "bridge": 7 })),
        ("a long name", json!({ "bridge": "sixteen-letters-" })),
        ("a slash in the name", json!({ "bridge": "a/b" })),
        ("hairpinMode and promiscMode", json!({ "hairpinMode": true, "promiscMode": true })),
        ("the name of another interface", json!({ "bridge": "lo" })),
        ("an ipam that is no program", json!({ "ipam": { "type": "no-such-ipam" } })),
        ("an ipam with a path", json!({ "ipam": { "type": "../host-local" } })),
        ("text as ipam", json!({ "ipam": "host-local" })),
        (
            "an ipam without room",
            json!({ "ipam": { "type": "host-local", "dataDir": DATA_DIR, "subnet": "10.1.0.0/32" } }),
        ),
        ("an ipam without range", json!({ "ipam": { "type": "host-local", "dataDir": DATA_DIR } })),
        (
            "a route that leads nowhere",
            json!({ "ipam": ipam(json!({ "subnet": "10.1.0.0/24", "routes": [{ "dst": "192.168.0.0/16", "gw": "10.99.0.1" }] })) }),
        ),
    ];
    let cases = options.into_iter().map(|(what, options)| {
        Case::new(
            format!("bridge refuses {what}"),
            calls(&["ADD", "DEL"], PLUGIN, &config(&options)),
        )
    });
    cases.collect()
}

/// A MAC address from each of the places, and from two at once.
fn macs() -> Vec<Case> {
    let (one, two, three) = ("02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:01:03");
    let arguments = |mac: &str| json!({ "args": { "cni": { "mac": mac } } });
    let capability = |mac: &str| json!({ "runtimeConfig": { "mac": mac } });
    let case = |what: &str, keys: Value, environment: &str| {
        let config = config(&keys);
        let call = |verb| Call::new(verb, PLUGIN, &config).with("CNI_ARGS", environment).step();
        Case::new(format!("bridge, MAC address {what}"), ["ADD", "CHECK", "DEL"].map(call).into())
    };
    let both = with(&arguments(two), capability(three));
    vec![
        case("of CNI_ARGS", json!({}), &format!("MAC={one}")),
        case("of CNI_ARGS, unknown ones too", json!({}), &format!("IgnoreUnknown=1;MAC={one};X=Y")),
        case("of args", arguments(two), ""),
        case("of the capability", capability(three), ""),
        case("of all three", both, &format!("MAC={one}")),
        case("that is none", capability("none"), ""),
        case("that is none in CNI_ARGS", json!({}), "MAC=none"),
        case("that is empty", capability(""), ""),
        case("that is a multicast one", capability("01:00:5e:00:00:01"), ""),
        case("that is zero", capability("00:00:00:00:00:00"), ""),
        case("with dashes", capability("02-00-00-00-01-04"), ""),
    ]
}

/// A bridge that is there before.
fn bridges() -> Vec<Case> {
    let gateway = config(&json!({ "isGateway": true }));
    let made = |more: &[&'static str]| {
        let first = "link add br0 address 02:00:00:00:09:09 type bridge";
        let all = std::iter::once(first).chain(more.iter().copied());
        all.map(|arguments| Step::Ip { inside: false, arguments }).collect::<Vec<_>>()
    };
    let then = |mut before: Vec<Step>, config: &Value| {
        before.extend(life(config));
        before
    };
    let cases = [
        ("disabled", then(made(&[]), &gateway)),
        ("enabled", then(made(&["link set br0 up"]), &gateway)),
        ("with another mtu", then(made(&["link set br0 mtu 1300 up"]), &gateway)),
        (
            "with another mtu than is wanted",
            then(made(&["link set br0 mtu 1300 up"]), &config(&json!({ "mtu": 1400 }))),
        ),
        ("with the gateway's address", then(made(&["address add 10.1.0.1/24 dev br0"]), &gateway)),
        (
            "with the gateway's address in a wider network",
            then(made(&["address add 10.1.0.1/16 dev br0"]), &gateway),
        ),
        ("with another address", then(made(&["address add 10.8.0.1/24 dev br0"]), &gateway)),
        (
            "with another address, by force",
            then(
                made(&["address add 10.8.0.1/24 dev br0"]),
                &config(&json!({ "isGateway": true, "forceAddress": true })),
            ),
        ),
        (
            "with another address and no gateway",
            then(made(&["address add 10.8.0.1/24 dev br0"]), &config(&json!({}))),
        ),
        (
            "with an IPv6 address",
            then(made(&["link set br0 up", "address add fd00:9::1/64 dev br0 nodad"]), &gateway),
        ),
        ("that is promiscuous", then(made(&["link set br0 promisc on"]), &gateway)),
        ("that is a veth", {
            then(
                vec![Step::Ip {
                    inside: false,
                    arguments: "link add br0 type veth peer name other",
                }],
                &gateway,
            )
        }),
    ];
    cases
        .into_iter()
        .map(|(what, steps)| Case::new(format!("bridge that is there, {what}"), steps))
        .collect()
}

/// Calls that come twice, too late or for another interface.
fn order() -> Vec<Case> {
    let config = config(&json!({ "isGateway": true }));
    let run = |verbs: &[&'static str]| calls(verbs, PLUGIN, &config);
    let cases = [
        ("deleted twice", run(&["ADD", "DEL", "DEL"])),
        ("deleted and never added", run(&["DEL"])),
        ("added twice", run(&["ADD", "ADD", "DEL"])),
        ("added again", run(&["ADD", "DEL", "ADD", "CHECK", "DEL"])),
        ("checked and never added", run(&["CHECK"])),
        ("checked when deleted", run(&["ADD", "DEL", "CHECK"])),
        ("its pod is gone", {
            let mut steps = run(&["ADD"]);
            steps.push(Step::DeletePod);
            steps.extend(run(&["CHECK", "DEL", "DEL"]));
            steps
        }),
        ("its pod has eth0", {
            let mut steps = vec![Step::Ip {
                inside: true,
                arguments: "link add eth0 type veth peer name other",
            }];
            steps.extend(run(&["ADD"]));
            steps
        }),
        ("its namespace is not named", {
            let mut steps = run(&["ADD"]);
            steps.push(Call::new("DEL", PLUGIN, &config).with("CNI_NETNS", "").step());
            steps
        }),
        ("a second interface", {
            let second = |verb| Call::new(verb, PLUGIN, &config).with("CNI_IFNAME", "net1").step();
            let mut steps = run(&["ADD"]);
            steps.push(second("ADD"));
            steps.extend(run(&["DEL"]));
            steps.push(second("DEL"));
            steps
        }),
        ("garbage is collected", {
            let listed =
                with(&config, json!({ "cniVersion": "1.1.0", "cni.dev/valid-attachments": [] }));
            let mut steps = calls(&["ADD"], PLUGIN, &listed);
            steps.push(Call::new("GC", PLUGIN, &listed).step());
            steps
        }),
        ("status", {
            let newest = |keys| with(&with(&config, json!({ "cniVersion": "1.1.0" })), keys);
            let configs = [
                newest(json!({})),
                newest(json!({ "ipam": null })),
                newest(json!({ "ipam": { "type": "no-such-ipam" } })),
                newest(json!({ "mtu": "much" })),
            ];
            configs.iter().flat_map(|config| calls(&["STATUS"], PLUGIN, config)).collect()
        }),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("bridge, {what}"), steps)).collect()
}

/// What somebody has changed between ADD and CHECK.
fn changes() -> Vec<Case> {
    let config = config(&json!({ "isGateway": true }));
    let changed = |inside, arguments| {
        let mut steps = calls(&["ADD"], PLUGIN, &config);
        steps.push(Step::Ip { inside, arguments });
        steps.extend(calls(&["CHECK", "DEL"], PLUGIN, &config));
        steps
    };
    let cases = [
        ("its interface is disabled", changed(true, "link set eth0 down")),
        ("its address is gone", changed(true, "address flush dev eth0")),
        ("its route is gone", changed(true, "route del default")),
        ("its MAC address is another", changed(true, "link set eth0 address 02:00:00:00:07:07")),
        ("its interface is gone", changed(true, "link del eth0")),
        (
            "its interface has another name",
            changed(true, "link property add dev eth0 altname eth9"),
        ),
        ("its mtu is another", changed(true, "link set eth0 mtu 1200")),
        ("the bridge is gone", changed(false, "link del br0")),
        ("the bridge is disabled", changed(false, "link set br0 down")),
        ("the bridge lost its address", changed(false, "address flush dev br0")),
        ("the bridge is promiscuous", changed(false, "link set br0 promisc on")),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("bridge, {what}"), steps)).collect()
}
