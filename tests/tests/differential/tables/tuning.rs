//! tuning: parameters of a namespace and attributes of an interface, behind pods that are attached already.

use serde_json::{Value, json};

use super::chained::{self, attached, behind};
use crate::case::{Call, Case, HOST_DIR, Previous, Step, Table, calls, with};

const PLUGIN: &str = "tuning";

pub(crate) fn table() -> Table {
    let config = with(
        &plain(),
        json!({ "sysctl": { "net.core.somaxconn": "500" }, "mtu": 1400, "mac": "02:00:00:00:0c:01" }),
    );
    let mut cases = chained::versions(PLUGIN, &config);
    cases.extend(chained::variables(PLUGIN, &config));
    cases.extend(chained::input(PLUGIN, &config));
    cases.extend(chained::lives(PLUGIN, &plain(), sysctls()));
    cases.extend(chained::lives(PLUGIN, &plain(), attributes()));
    cases.extend(chained::lives(PLUGIN, &plain(), arguments()));
    cases.extend(chained::refused(PLUGIN, &plain(), refused()));
    cases.extend(chained::order(PLUGIN, &config));
    let all = with(&config, json!({ "promisc": true, "allmulti": true, "txQLen": 500 }));
    cases.extend(chained::changed(PLUGIN, &all, changes()));
    let mut cases = behind(cases);
    cases.extend(files(&all));
    cases.extend(environment());
    Table { everywhere: &["D-01", "D-02"], cases: super::expect(cases, EXPECTED) }
}

/// Rows of docs/differences.md and the cases that show them.
const EXPECTED: super::Expected = &[
    (
        "D-03",
        &[
            "*list as runtimeConfig",
            "*text as dns",
            "tuning refuses text*",
            "tuning refuses a number*",
            "*a result that is text",
            "*CNI_ARGS, unknown ones",
        ],
    ),
    ("D-04", &["*no-equals-sign"]),
    ("D-07", &["*a result of another version", "*with no version"]),
    ("D-21", &["*with text as dns"]),
    (
        "D-110",
        &["*of several parts", "*with white space", "tuning, mac in capitals", "*mac with dashes"],
    ),
    (
        "D-111",
        &[
            "*refuses a mac that*",
            "*refuses a multicast*",
            "*mac of zeros",
            "*tiny mtu",
            "*enormous mtu",
            "*half of what*",
            "*CNI_ARGS, none",
            "*refuses a negative mtu",
        ],
    ),
    (
        "D-112",
        &[
            "*its pod is gone",
            "*its namespace is not named",
            "*the namespace is another",
            "*its interface is gone",
            "*its file is empty",
            "*its file is none",
        ],
    ),
    ("D-113", &["*args: sysctl"]),
    ("D-114", &["*a long mac", "*a negative txQLen"]),
    ("D-115", &["tuning, mac in capitals", "*mac with dashes"]),
];

pub(crate) fn plain() -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "net", "type": PLUGIN, "dataDir": format!("{HOST_DIR}/tuning"),
    })
}

fn sysctls() -> Vec<(&'static str, Value)> {
    let set = |key: &str, value: &str| json!({ "sysctl": { (key): value } });
    vec![
        ("a parameter", set("net.core.somaxconn", "500")),
        ("a parameter with slashes", set("net/core/somaxconn", "500")),
        ("a parameter of the interface", set("net.ipv4.conf.IFNAME.arp_notify", "1")),
        ("a parameter of eth0", set("net.ipv4.conf.eth0.rp_filter", "2")),
        ("a parameter of IPv6", set("net.ipv6.conf.eth0.accept_ra", "0")),
        ("a parameter of several parts", set("net.ipv4.ip_local_port_range", "1024 65000")),
        (
            "several parameters",
            json!({ "sysctl": {
            "net.core.somaxconn": "600", "net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "1",
        } }),
        ),
        ("a parameter that is right already", set("net.ipv4.ip_forward", "0")),
        ("a value with white space", set("net.core.somaxconn", " 500 ")),
        ("no parameters", json!({ "sysctl": {} })),
        ("null as parameters", json!({ "sysctl": null })),
    ]
}

fn attributes() -> Vec<(&'static str, Value)> {
    vec![
        ("nothing", json!({})),
        ("mac", json!({ "mac": "02:00:00:00:0c:02" })),
        ("mac in capitals", json!({ "mac": "02:00:00:00:0C:0A" })),
        ("mac with dashes", json!({ "mac": "02-00-00-00-0c-03" })),
        ("an empty mac", json!({ "mac": "" })),
        ("mtu", json!({ "mtu": 1400 })),
        ("mtu below IPv6's", json!({ "mtu": 1000 })),
        ("mtu 0", json!({ "mtu": 0 })),
        ("promisc", json!({ "promisc": true })),
        ("no promisc", json!({ "promisc": false })),
        ("allmulti", json!({ "allmulti": true })),
        ("no allmulti", json!({ "allmulti": false })),
        ("txQLen", json!({ "txQLen": 500 })),
        ("txQLen 0", json!({ "txQLen": 0 })),
        (
            "all attributes",
            json!({
                "mac": "02:00:00:00:0c:04", "mtu": 1300, "promisc": true, "allmulti": true, "txQLen": 42,
            }),
        ),
        (
            "keys in capitals",
            json!({ "MTU": 1400, "PROMISC": true, "TxqLen": 7, "AllMulti": true }),
        ),
        ("an unknown key", json!({ "mtu": 1400, "colour": "red" })),
        ("dns", json!({ "mtu": 1400, "dns": { "nameservers": ["10.1.0.54"] } })),
    ]
}

/// What comes by `args` and from the runtime.
fn arguments() -> Vec<(&'static str, Value)> {
    let args = |keys: Value| json!({ "args": { "cni": keys } });
    let sent = json!({ "runtimeConfig": { "mac": "02:00:00:00:0c:05" } });
    vec![
        ("args: mac", args(json!({ "mac": "02:00:00:00:0c:06" }))),
        ("args: mtu", args(json!({ "mtu": 1350 }))),
        ("args: promisc", args(json!({ "promisc": true }))),
        ("args: allmulti and txQLen", args(json!({ "allmulti": true, "txQLen": 9 }))),
        ("args: sysctl", args(json!({ "sysctl": { "net.core.somaxconn": "700" } }))),
        (
            "args: sysctl beside another",
            with(
                &args(json!({ "sysctl": { "net.core.somaxconn": "700" } })),
                json!({ "sysctl": { "net.ipv4.ip_forward": "1", "net.core.somaxconn": "600" } }),
            ),
        ),
        (
            "args and options",
            with(
                &args(json!({ "mtu": 1350, "promisc": false })),
                json!({ "mtu": 1400, "promisc": true }),
            ),
        ),
        ("args: empty", args(json!({}))),
        ("args: null", json!({ "args": null })),
        ("sent mac", sent.clone()),
        ("sent mac in capitals", json!({ "runtimeConfig": { "Mac": "02:00:00:00:0c:07" } })),
        ("sent mac and mac", with(&sent, json!({ "mac": "02:00:00:00:0c:08" }))),
        ("sent mac and args", with(&sent, args(json!({ "mac": "02:00:00:00:0c:09" })))),
        (
            "sent an empty mac",
            json!({ "runtimeConfig": { "mac": "" }, "mac": "02:00:00:00:0c:08" }),
        ),
    ]
}

fn refused() -> Vec<(&'static str, Value)> {
    let set = |key: &str, value: Value| json!({ "sysctl": { (key): value } });
    vec![
        ("a parameter outside the network", set("kernel.panic", json!("1"))),
        ("a parameter by a way up", set("net/../kernel/panic", json!("1"))),
        ("a parameter that is not there", set("net.core.no_such", json!("1"))),
        ("a parameter of another interface", set("net.ipv4.conf.eth7.rp_filter", json!("1"))),
        ("a value that the kernel refuses", set("net.core.somaxconn", json!("much"))),
        ("a number as value", set("net.core.somaxconn", json!(500))),
        ("text as parameters", json!({ "sysctl": "net.core.somaxconn=1" })),
        ("an empty parameter", set("", json!("1"))),
        ("a mac that is none", json!({ "mac": "none" })),
        ("a multicast mac", json!({ "mac": "01:00:5e:00:00:01" })),
        ("a mac of zeros", json!({ "mac": "00:00:00:00:00:00" })),
        ("a long mac", json!({ "mac": "02:00:00:00:0c:02:03:04" })),
        ("a number as mac", json!({ "mac": 7 })),
        ("a negative mtu", json!({ "mtu": -1 })),
        ("a tiny mtu", json!({ "mtu": 20 })),
        ("an enormous mtu", json!({ "mtu": 100_000 })),
        ("text as mtu", json!({ "mtu": "1400" })),
        ("text as promisc", json!({ "promisc": "yes" })),
        ("a negative txQLen", json!({ "txQLen": -1 })),
        ("text as txQLen", json!({ "txQLen": "9" })),
        ("a number as allmulti", json!({ "allmulti": 1 })),
        ("text as args", json!({ "args": "x" })),
        (
            "half of what is asked",
            json!({ "mac": "02:00:00:00:0c:02", "promisc": true, "mtu": 100_000 }),
        ),
        (
            "a parameter and not the other",
            json!({
                "sysctl": { "net.core.no_such": "1" }, "mtu": 1400,
            }),
        ),
    ]
}

fn changes() -> Vec<(&'static str, Step)> {
    let ip = |arguments| Step::Ip { inside: true, arguments };
    vec![
        ("its mac is another", ip("link set eth0 address 02:00:00:00:07:07")),
        ("its mtu is another", ip("link set eth0 mtu 1200")),
        ("it is no longer promiscuous", ip("link set eth0 promisc off")),
        ("it no longer takes all multicast", ip("link set eth0 allmulticast off")),
        ("its queue is another", ip("link set eth0 txqueuelen 77")),
        ("its interface is gone", ip("link del eth0")),
        ("its interface is disabled", ip("link set eth0 down")),
        (
            "its file is another's",
            Step::File { path: "tuning/$ID_eth0.json", content: "{\"mtu\": 1111}" },
        ),
        ("its file is empty", Step::File { path: "tuning/$ID_eth0.json", content: "" }),
        ("its file is none", Step::File { path: "tuning/$ID_eth0.json", content: "[not json" }),
        ("its file is gone", Step::Remove { path: "tuning/$ID_eth0.json" }),
    ]
}

/// What is there before, and calls of which one does not suit the other.
fn files(config: &Value) -> Vec<Case> {
    let add = |config: &Value| attached(calls(&["ADD"], PLUGIN, config));
    let then = |mut steps: Vec<Step>, more: Vec<Step>| {
        steps.extend(more);
        steps
    };
    let del = |config: &Value| Call::new("DEL", PLUGIN, config).previous(Previous::Last).step();
    let file = Step::File {
        path: "tuning/$ID_eth0.json",
        content: "{\"mac\":\"02:00:00:00:0d:01\",\"mtu\":1250}",
    };
    let promiscuous = Step::Ip { inside: true, arguments: "link set eth0 promisc on" };
    let other = with(config, json!({ "mtu": 1300, "mac": null }));
    let cases = [
        ("a file of another's before", vec![Step::Base, file.clone(), del(config)]),
        ("a file of another's before an ADD", {
            let mut steps = add(config);
            steps.insert(1, file);
            then(steps, vec![del(config)])
        }),
        ("another configuration at DEL", then(add(config), vec![del(&other)])),
        ("nothing configured at DEL", then(add(config), vec![del(&plain())])),
        ("added with another configuration", {
            let again = attached(calls(&["ADD"], PLUGIN, &other)).remove(1);
            then(add(config), vec![again, del(config)])
        }),
        ("promiscuous before", {
            let mut steps =
                attached(calls(&["ADD", "CHECK"], PLUGIN, &with(&plain(), json!({ "mtu": 1400 }))));
            steps.insert(1, promiscuous);
            then(steps, vec![del(config)])
        }),
        ("another interface", {
            let call = |verb: &'static str| {
                let call = Call::new(verb, PLUGIN, &with(&plain(), json!({ "mtu": 60_000 })));
                call.with("CNI_IFNAME", "lo")
                    .previous(Previous::Given(crate::base::result("1.0.0", 0)))
                    .step()
            };
            vec![Step::Base, call("ADD"), call("CHECK"), call("DEL")]
        }),
        ("two pods", {
            let second =
                attached(vec![Call::new("ADD", PLUGIN, config).of_pod(1).step()]).remove(1);
            then(add(config), vec![second, del(config)])
        }),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("tuning, {what}"), steps)).collect()
}

/// MAC addresses by CNI_ARGS.
fn environment() -> Vec<Case> {
    let mac = json!({ "mac": "02:00:00:00:0c:11" });
    let sent = json!({ "runtimeConfig": { "mac": "02:00:00:00:0c:12" } });
    let args = json!({ "args": { "cni": { "mac": "02:00:00:00:0c:13" } } });
    let cases = [
        ("alone", json!({}), "MAC=02:00:00:00:0c:10"),
        ("and mac", mac, "MAC=02:00:00:00:0c:10"),
        ("and sent", sent, "MAC=02:00:00:00:0c:10"),
        ("and args", args, "MAC=02:00:00:00:0c:10"),
        (
            "beside unknown ones",
            json!({}),
            "IgnoreUnknown=1;MAC=02:00:00:00:0c:10;K8S_POD_NAME=web",
        ),
        ("unknown ones", json!({}), "K8S_POD_NAME=web"),
        ("none", json!({}), "MAC=none"),
        ("empty", json!({}), "MAC="),
    ];
    let cases = cases.into_iter().map(|(what, keys, variable)| {
        let config = with(&plain(), keys);
        let call = |verb| Call::new(verb, PLUGIN, &config).with("CNI_ARGS", variable).step();
        let steps = attached(["ADD", "CHECK", "DEL"].map(call).into());
        Case::new(format!("tuning, MAC of CNI_ARGS, {what}"), steps)
    });
    cases.collect()
}
