//! portmap: ports of the host by what becomes of connections, behind pods that are attached already.

use serde_json::{Value, json};

use super::chained::{self, attached, behind};
use crate::case::{Call, Case, Previous, Step, Table, calls, with};

const PLUGIN: &str = "portmap";

pub(crate) fn table() -> Table {
    let config = config(&json!([mapping(8080, 80, "tcp")]));
    let mut cases = chained::versions(PLUGIN, &config);
    cases.extend(chained::variables(PLUGIN, &config));
    cases.extend(chained::input(PLUGIN, &config));
    cases.extend(refused(&config));
    cases.extend(chained::order(PLUGIN, &config));
    // Below it is also asked what is left of the ports.
    cases.retain(|case| case.name != "portmap, garbage is collected");
    let mut cases = behind(cases);
    cases.extend(ports());
    cases.extend(options());
    cases.extend(withdrawn(&config));
    cases.extend(published(&config));
    cases.extend(of_two_pods(&config));
    Table { everywhere: &["D-01", "D-02", "D-90"], cases: super::expect(cases, EXPECTED) }
}

/// Rows of docs/differences.md and the cases that show them.
const EXPECTED: super::Expected = &[
    (
        "D-03",
        &[
            "*list as runtimeConfig",
            "*text as dns",
            "portmap refuses host port 0",
            "portmap refuses a negative host port",
            "portmap refuses text as host port",
            "portmap refuses a fraction*",
            "portmap refuses no host port",
            "portmap refuses no container port",
            "portmap refuses text as ports",
            "portmap refuses an unknown backend",
            "portmap refuses one port that*",
            "portmap refuses a number as port",
            "portmap refuses an empty backend",
            "portmap refuses *markMasqBit*",
            "portmap refuses text as snat",
            "*a result that is text",
        ],
    ),
    (
        "D-03",
        &[
            "portmap refuses conditions of*",
            "portmap refuses a chain with*",
            "portmap refuses text as conditions",
            "portmap refuses text as masqAll",
        ],
    ),
    ("D-96", &["*masqAll, nftables"]),
    ("D-109", &["*a chain that is not there"]),
    ("D-04", &["*no-equals-sign"]),
    ("D-07", &["*a result of another version", "*with no version"]),
    ("D-21", &["*with text as dns"]),
    ("D-78", &["*without a list"]),
    ("D-91", &["*asked for by ::1"]),
    ("D-92", &["*the same port"]),
    ("D-93", &["*withdrawn without ports"]),
    ("D-94", &["*and asked for"]),
    ("D-95", &["*a host name as address", "*a network as address"]),
];

pub(crate) fn config(ports: &Value) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "net", "type": PLUGIN, "capabilities": { "portMappings": true },
        "runtimeConfig": { "portMappings": ports },
    })
}

pub(crate) fn mapping(host: u32, container: u32, protocol: &str) -> Value {
    json!({ "hostPort": host, "containerPort": container, "protocol": protocol })
}

fn at(host_ip: &str) -> Value {
    with(&mapping(8080, 80, "tcp"), json!({ "hostIP": host_ip }))
}

const ASKED: Step = Step::Reach { ports: &[8080, 8081], addresses: &["10.1.0.1"] };
const ASKED_MORE: Step = Step::Reach { ports: &[8080], addresses: &["10.1.0.1", "::1"] };

/// A pod's ports are published, asked for, withdrawn and asked for again.
fn life(config: &Value) -> Vec<Step> {
    let mut steps = vec![Step::Uplink];
    steps.extend(attached(calls(&["ADD", "CHECK"], PLUGIN, config)));
    steps.push(ASKED);
    steps.push(Call::new("DEL", PLUGIN, config).previous(Previous::Last).step());
    steps.push(ASKED);
    steps
}

/// What a runtime may send, with each of their backends.
fn ports() -> Vec<Case> {
    let many: Value = (8080..8100).map(|port| mapping(port, 80, "tcp")).collect();
    let sets = [
        ("TCP", json!([mapping(8080, 80, "tcp")])),
        ("UDP", json!([mapping(8080, 80, "udp")])),
        ("TCP and UDP", json!([mapping(8080, 80, "tcp"), mapping(8080, 81, "udp")])),
        ("two ports", json!([mapping(8080, 80, "tcp"), mapping(8081, 81, "tcp")])),
        ("two ports that lead to one", json!([mapping(8080, 80, "tcp"), mapping(8081, 80, "tcp")])),
        ("twenty ports", many),
        ("no address", json!([at("")])),
        ("127.0.0.1", json!([at("127.0.0.1")])),
        ("an address and any", json!([at("192.0.2.10"), mapping(8080, 81, "tcp")])),
        ("the host's address", json!([at("192.0.2.10")])),
        ("the host's IPv6 address", json!([at("2001:db8::10")])),
        ("any IPv4 address", json!([at("0.0.0.0")])),
        ("any IPv6 address", json!([at("::")])),
        ("another's address", json!([at("203.0.113.9")])),
        (
            "keys in capitals",
            json!([{ "HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "" }]),
        ),
        ("SCTP beside TCP", json!([mapping(8080, 80, "sctp"), mapping(8081, 80, "tcp")])),
        ("the same twice", json!([mapping(8080, 80, "tcp"), mapping(8080, 80, "tcp")])),
        ("none", json!([])),
        ("null", Value::Null),
    ];
    let mut cases = Vec::new();
    for (what, ports) in sets {
        for backend in ["iptables", "nftables"] {
            let config = with(&config(&ports), json!({ "backend": backend }));
            cases.push(Case::new(format!("portmap, {backend}, {what}"), life(&config)));
        }
    }
    cases
}

fn options() -> Vec<Case> {
    let one = json!([mapping(8080, 80, "tcp"), mapping(8080, 80, "udp")]);
    let options = [
        ("no backend", json!({})),
        ("snat", json!({ "snat": true })),
        ("no snat", json!({ "snat": false })),
        ("no snat, nftables", json!({ "snat": false, "backend": "nftables" })),
        ("markMasqBit", json!({ "markMasqBit": 20 })),
        (
            "nulls",
            json!({ "snat": null, "markMasqBit": null, "backend": null, "conditionsV4": null }),
        ),
        ("switched off", json!({ "masqAll": false, "conditionsV4": [], "conditionsV6": [] })),
        ("masqAll", json!({ "masqAll": true })),
        ("masqAll, nftables", json!({ "masqAll": true, "backend": "nftables" })),
        ("conditionsV4", json!({ "conditionsV4": ["-s", "192.0.2.0/24"] })),
        ("conditionsV4 that nobody meets", json!({ "conditionsV4": ["-s", "203.0.113.0/24"] })),
        ("conditionsV4 negated", json!({ "conditionsV4": ["!", "-s", "192.0.2.0/24"] })),
        (
            "conditionsV4 by address and protocol",
            json!({ "conditionsV4": ["-d", "192.0.2.10", "-p", "tcp"] }),
        ),
        ("conditionsV6", json!({ "conditionsV6": ["!", "-d", "2001:db8::10"] })),
        (
            "conditions of nftables",
            json!({ "backend": "nftables", "conditionsV4": ["ip", "saddr", "192.0.2.0/24"] }),
        ),
        (
            "conditions of nftables for another",
            json!({ "backend": "nftables", "conditionsV4": ["ip", "saddr", "203.0.113.0/24"] }),
        ),
        (
            "conditionsV6 of nftables",
            json!({ "backend": "nftables", "conditionsV6": ["ip6", "daddr", "!=", "2001:db8::10"] }),
        ),
        ("keys in capitals", json!({ "SNAT": true, "Backend": "nftables" })),
    ];
    let cases = options.into_iter().map(|(what, options)| {
        Case::new(format!("portmap, option {what}"), life(&with(&config(&one), options)))
    });
    cases.collect()
}

/// What the options of the rules must be, for the one backend or the other.
fn rules() -> Vec<(&'static str, Value)> {
    let (iptables, nftables) =
        (json!(["-s", "192.0.2.0/24"]), json!(["ip", "saddr", "192.0.2.0/24"]));
    vec![
        (
            "conditions of iptables with nftables",
            json!({ "backend": "nftables", "conditionsV4": iptables }),
        ),
        (
            "conditions of nftables with iptables",
            json!({ "backend": "iptables", "conditionsV4": nftables }),
        ),
        ("a chain with nftables", json!({ "backend": "nftables", "externalSetMarkChain": "MARK" })),
        ("text as conditions", json!({ "conditionsV4": "-s 192.0.2.0/24" })),
        ("conditions that are none", json!({ "conditionsV4": ["-x", "y"] })),
        ("text as masqAll", json!({ "masqAll": "yes" })),
    ]
}

/// A chain that marks packets for others, as kube-proxy has one.
fn marks() -> Vec<Step> {
    let programs = ["iptables", "ip6tables"].into_iter();
    let rules = [
        "-t nat -N KUBE-MARK-MASQ",
        "-t nat -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
        "-t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
    ];
    programs.flat_map(|program| rules.map(|arguments| Step::Tool { program, arguments })).collect()
}

fn refused(config: &Value) -> Vec<Case> {
    let port = |keys: Value| json!({ "runtimeConfig": { "portMappings": [with(&mapping(8080, 80, "tcp"), keys)] } });
    let sent = |ports: Value| json!({ "runtimeConfig": { "portMappings": ports } });
    let options = vec![
        ("host port 0", port(json!({ "hostPort": 0 }))),
        ("a negative host port", port(json!({ "hostPort": -1 }))),
        ("host port 65536", port(json!({ "hostPort": 65536 }))),
        ("text as host port", port(json!({ "hostPort": "8080" }))),
        ("a fraction as host port", port(json!({ "hostPort": 80.5 }))),
        ("no host port", port(json!({ "hostPort": null }))),
        ("no container port", port(json!({ "containerPort": null }))),
        ("container port 65536", port(json!({ "containerPort": 65536 }))),
        ("no protocol", port(json!({ "protocol": null }))),
        ("an empty protocol", port(json!({ "protocol": "" }))),
        ("icmp as protocol", port(json!({ "protocol": "icmp" }))),
        ("a protocol in capitals", port(json!({ "protocol": "TCP" }))),
        ("a host name as address", port(json!({ "hostIP": "localhost" }))),
        ("a network as address", port(json!({ "hostIP": "192.0.2.0/24" }))),
        ("text as ports", sent(json!("8080:80"))),
        ("one port that is no list", sent(mapping(8080, 80, "tcp"))),
        ("a number as port", sent(json!([8080]))),
        ("an unknown backend", json!({ "backend": "ebpf" })),
        ("an empty backend", json!({ "backend": "" })),
        ("text as snat", json!({ "snat": "yes" })),
        ("markMasqBit 32", json!({ "markMasqBit": 32 })),
        ("a negative markMasqBit", json!({ "markMasqBit": -1 })),
        ("text as markMasqBit", json!({ "markMasqBit": "13" })),
        (
            "markMasqBit and a chain",
            json!({ "markMasqBit": 13, "externalSetMarkChain": "KUBE-MARK-MASQ" }),
        ),
    ];
    chained::refused(PLUGIN, config, [options, rules()].concat())
}

/// A pod's ports are published, and then these steps.
fn begun(config: &Value, more: Vec<Step>) -> Vec<Step> {
    let mut steps = vec![Step::Uplink];
    steps.extend(attached(calls(&["ADD"], PLUGIN, config)));
    steps.extend(more);
    steps
}

/// Ports that are withdrawn in one way or the other.
fn withdrawn(config: &Value) -> Vec<Case> {
    let other = with(config, json!({ "runtimeConfig": null }));
    let del = |config: &Value| Call::new("DEL", PLUGIN, config);
    let begin = |more| begun(config, more);
    let cases = [
        ("a chain that marks", {
            let config = with(config, json!({ "externalSetMarkChain": "KUBE-MARK-MASQ" }));
            let mut steps = [vec![Step::Uplink], marks()].concat();
            steps.extend(attached(calls(&["ADD", "CHECK"], PLUGIN, &config)));
            steps.extend([ASKED, Call::new("DEL", PLUGIN, &config).step(), ASKED]);
            steps
        }),
        ("a chain that is not there", {
            let config = with(config, json!({ "externalSetMarkChain": "NO-SUCH-CHAIN" }));
            attached(calls(&["ADD", "DEL"], PLUGIN, &config))
        }),
        ("withdrawn without result", begin(vec![del(config).step(), ASKED])),
        (
            "withdrawn without ports",
            begin(vec![del(&other).previous(Previous::Last).step(), ASKED]),
        ),
        (
            "withdrawn without namespace",
            begin(vec![del(config).with("CNI_NETNS", "").step(), ASKED]),
        ),
        ("withdrawn when its pod is gone", begin(vec![Step::DeletePod, del(config).step(), ASKED])),
        ("garbage is collected and asked for", {
            let none = json!({ "cniVersion": "1.1.0", "cni.dev/valid-attachments": [] });
            begin(vec![Call::new("GC", PLUGIN, &with(config, none)).step(), ASKED])
        }),
        ("withdrawn twice", begin(vec![del(config).step(), del(config).step(), ASKED])),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("portmap, {what}"), steps)).collect()
}

/// What somebody does to ports that are published.
fn published(config: &Value) -> Vec<Case> {
    let step = |verb| Call::new(verb, PLUGIN, config);
    let del = || step("DEL").step();
    let begin = |more| begun(config, more);
    let flush = Step::Tool { program: "nft", arguments: "flush ruleset" };
    let cases = [
        ("asked for by ::1", begin(vec![ASKED_MORE, del(), ASKED_MORE])),
        ("a neighbour asks while the bridge keeps packets from netfilter", {
            let arguments =
                "-q -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0";
            let mut steps = begin(vec![ASKED]);
            steps.insert(2, Step::Tool { program: "sysctl", arguments });
            steps
        }),
        ("published twice", begin(vec![attached_again(config), ASKED, del(), ASKED])),
        ("all rules are gone", begin(vec![flush.clone(), step("CHECK").step(), ASKED, del()])),
        ("all rules are gone and it is published again", {
            begin(vec![flush, attached_again(config), step("CHECK").step(), ASKED])
        }),
        ("checked for another port", {
            let more = with(
                config,
                json!({ "runtimeConfig": { "portMappings": [mapping(8081, 80, "tcp")] } }),
            );
            begin(vec![Call::new("CHECK", PLUGIN, &more).step()])
        }),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("portmap, {what}"), steps)).collect()
}

/// Two pods whose ports meet.
fn of_two_pods(config: &Value) -> Vec<Case> {
    let step = |verb| Call::new(verb, PLUGIN, config);
    let del = |config: &Value| Call::new("DEL", PLUGIN, config);
    let begin = |more| begun(config, more);
    let cases = [
        ("a second pod with other ports", {
            let second = with(
                config,
                json!({ "runtimeConfig": { "portMappings": [mapping(8081, 80, "tcp")] } }),
            );
            let given = Previous::Given(crate::base::result("1.0.0", 1));
            let add = Call::new("ADD", PLUGIN, &second).of_pod(1).previous(given).step();
            begin(vec![add, ASKED, del(config).step(), ASKED, del(&second).of_pod(1).step(), ASKED])
        }),
        ("a second pod with the same port", {
            let given = Previous::Given(crate::base::result("1.0.0", 1));
            let add = step("ADD").of_pod(1).previous(given).step();
            begin(vec![add, ASKED, del(config).of_pod(1).step(), ASKED])
        }),
        ("a port goes from one pod to another", {
            let given = Previous::Given(crate::base::result("1.0.0", 1));
            let add = step("ADD").of_pod(1).previous(given).step();
            begin(vec![ASKED, del(config).step(), add, ASKED])
        }),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("portmap, {what}"), steps)).collect()
}

fn attached_again(config: &Value) -> Step {
    let given = Previous::Given(crate::base::result("1.0.0", 0));
    Call::new("ADD", PLUGIN, config).previous(given).step()
}
