//! host-local: ranges, requested addresses, results and the files of the store.

use serde_json::{Value, json};

use super::calls as any;
use crate::case::{Call, Case, DATA_DIR, Previous, Step, Table, calls, with};

const PLUGIN: &str = "host-local";

pub(crate) fn table() -> Table {
    let config = config(&json!({ "subnet": "10.4.0.0/24" }));
    let mut cases = any::versions(PLUGIN, &config);
    cases.extend(any::variables(PLUGIN, &config));
    cases.extend(any::input(PLUGIN, &config));
    cases.extend(any::previous(PLUGIN, &config));
    cases.extend(ranges());
    cases.extend(refused_ranges());
    cases.extend(requests());
    cases.extend(runtime_ranges());
    cases.extend(stores());
    cases.extend(order());
    cases.extend(resolv_conf());
    Table { everywhere: &["D-01", "D-02"], cases: super::expect(cases, EXPECTED) }
}

/// Rows of docs/differences.md and the cases that show them.
const EXPECTED: super::Expected = &[
    (
        "D-03",
        &[
            "*list as runtimeConfig",
            "*0.2.0, two sets of one family",
            "*0.2.0, a small set*",
            "*0.2.0, subnet beside*",
            "*refuses empty ranges",
            "*refuses no range",
            "*refuses an empty set",
            "*refuses a /*",
            "*refuses a range without subnet",
            "*refuses no prefix",
            "*refuses an endless prefix",
            "*refuses host bits",
            "*refuses words*",
            "*refuses a number as subnet",
            "*refuses rangeStart*",
            "*refuses rangeEnd*",
            "*refuses a range backwards",
            "*that overlap",
            "*refuses a set of*",
            "*that are no list",
            "*that is no list",
            "*refuses a route to words",
            "*\"nine\"*",
            "*\"\" wanted by args",
            "*\"\" wanted by runtimeConfig",
            "*ipRanges alone: nothing",
            "*ipRanges alone: null",
            "*ipRanges before a subnet: a set that overlaps",
        ],
    ),
    ("D-05", &["*prevResult: text", "*prevResult: a wrong address"]),
    ("D-06", &["*1.0.0, a route with metrics"]),
    (
        "D-70",
        &["*no store to delete from", "*no such file", "*DEL without a variable", "*CNI_NETNS="],
    ),
    ("D-71", &["*from the network's address", "*to the broadcast address"]),
    (
        "D-72",
        &[
            "*1.0.0, a small set beside*",
            "*1.1.0, a small set beside*",
            "*\"10.4.0.0\" wanted*",
            "*\"10.4.0.255\" wanted*",
            "*\"10.9.0.9\" wanted*",
            "*\"fd00::9\" wanted*",
        ],
    ),
    ("D-75", &["*a file ends with a line"]),
    ("D-76", &["*a foreign file"]),
    ("D-77", &["*garbage is collected"]),
    ("D-78", &["*garbage is collected without a list"]),
    ("D-73", &["*a gateway of the other family"]),
    ("D-74", &["*a route without destination"]),
];

/// A configuration as the bridge's, with these options of its `ipam`.
fn config(options: &Value) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge",
        "ipam": with(&json!({ "type": PLUGIN, "dataDir": DATA_DIR }), options.clone()),
    })
}

fn add(config: &Value, id: &str) -> Step {
    Call::new("ADD", PLUGIN, config).with("CNI_CONTAINERID", id).step()
}

fn del(config: &Value, id: &str) -> Step {
    Call::new("DEL", PLUGIN, config).with("CNI_CONTAINERID", id).step()
}

/// More containers than some of the ranges have addresses, and one that comes after another has gone.
fn round(config: &Value) -> Vec<Step> {
    let mut steps: Vec<Step> = ["a", "b", "c", "d"].map(|id| add(config, id)).into();
    steps.push(del(config, "b"));
    steps.extend([add(config, "e"), add(config, "f")]);
    steps.extend(["a", "c", "d", "e"].map(|id| del(config, id)));
    steps
}

/// Options that make one range.
fn one_range() -> Vec<(&'static str, Value)> {
    vec![
        ("a /30", json!({ "subnet": "10.4.0.0/30" })),
        ("a /29", json!({ "subnet": "10.4.0.0/29" })),
        ("a /126", json!({ "subnet": "fd00:4::/126" })),
        ("a /64", json!({ "subnet": "fd00:4::/64" })),
        ("rangeStart", json!({ "subnet": "10.4.0.0/24", "rangeStart": "10.4.0.250" })),
        (
            "rangeStart and rangeEnd",
            json!({ "subnet": "10.4.0.0/24", "rangeStart": "10.4.0.8", "rangeEnd": "10.4.0.10" }),
        ),
        (
            "one address",
            json!({ "subnet": "10.4.0.0/24", "rangeStart": "10.4.0.8", "rangeEnd": "10.4.0.8" }),
        ),
        (
            "a range from the network's address",
            json!({ "subnet": "10.4.0.0/24", "rangeStart": "10.4.0.0", "rangeEnd": "10.4.0.3" }),
        ),
        (
            "a range to the broadcast address",
            json!({ "subnet": "10.4.0.0/24", "rangeStart": "10.4.0.253", "rangeEnd": "10.4.0.255" }),
        ),
        ("a gateway", json!({ "subnet": "10.4.0.0/29", "gateway": "10.4.0.6" })),
        ("a gateway outside", json!({ "subnet": "10.4.0.0/29", "gateway": "10.9.9.9" })),
        ("an empty gateway", json!({ "subnet": "10.4.0.0/29", "gateway": "" })),
    ]
}

/// Options that make several ranges, and routes.
fn several_ranges() -> Vec<(&'static str, Value)> {
    vec![
        ("ranges", json!({ "ranges": [[{ "subnet": "10.4.0.0/24" }]] })),
        (
            "two sets",
            json!({ "ranges": [[{ "subnet": "10.4.0.0/24" }], [{ "subnet": "fd00:4::/64" }]] }),
        ),
        (
            "two sets of one family",
            json!({ "ranges": [[{ "subnet": "10.4.0.0/24" }], [{ "subnet": "10.5.0.0/24" }]] }),
        ),
        (
            "two ranges in a set",
            json!({ "ranges": [[{ "subnet": "10.4.0.0/30" }, { "subnet": "10.5.0.0/30" }, { "subnet": "10.6.0.0/30" }]] }),
        ),
        (
            "a small set beside a large one",
            json!({ "ranges": [[{ "subnet": "10.4.0.0/24" }], [{ "subnet": "10.5.0.0/30" }]] }),
        ),
        (
            "subnet beside ranges",
            json!({ "subnet": "10.4.0.0/24", "ranges": [[{ "subnet": "10.5.0.0/24" }]] }),
        ),
        (
            "routes",
            json!({ "subnet": "10.4.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "10.0.0.0/8", "gw": "10.4.0.9" }] }),
        ),
        (
            "a route with metrics",
            json!({ "subnet": "10.4.0.0/24", "routes": [{ "dst": "10.0.0.0/8", "mtu": 1400, "advmss": 1360, "priority": 7, "table": 100, "scope": 0 }] }),
        ),
        (
            "a route with host bits",
            json!({ "subnet": "10.4.0.0/24", "routes": [{ "dst": "10.1.2.3/8" }] }),
        ),
        (
            "a route to an IPv6 network",
            json!({ "subnet": "10.4.0.0/24", "routes": [{ "dst": "::/0" }] }),
        ),
        ("keys in capitals", json!({ "SUBNET": "10.4.0.0/24", "RangeStart": "10.4.0.7" })),
        (
            "an address in its IPv6 form",
            json!({ "subnet": "10.4.0.0/24", "rangeStart": "::ffff:10.4.0.7" }),
        ),
    ]
}

fn ranges() -> Vec<Case> {
    let options = one_range().into_iter().chain(several_ranges());
    let all = options.flat_map(|(what, options)| {
        ["0.2.0", "1.0.0", "1.1.0"].map(|version| {
            let config = with(&config(&options), json!({ "cniVersion": version }));
            Case::new(format!("host-local {version}, {what}"), round(&config))
        })
    });
    all.collect()
}

fn refused_ranges() -> Vec<Case> {
    let options = [
        ("no range", json!({})),
        ("empty ranges", json!({ "ranges": [] })),
        ("an empty set", json!({ "ranges": [[]] })),
        ("a range without subnet", json!({ "ranges": [[{ "rangeStart": "10.4.0.2" }]] })),
        ("a /31", json!({ "subnet": "10.4.0.0/31" })),
        ("a /32", json!({ "subnet": "10.4.0.0/32" })),
        ("a /127", json!({ "subnet": "fd00:4::/127" })),
        ("host bits", json!({ "subnet": "10.4.0.5/24" })),
        ("no prefix", json!({ "subnet": "10.4.0.0" })),
        ("an endless prefix", json!({ "subnet": "10.4.0.0/64" })),
        ("words as subnet", json!({ "subnet": "much" })),
        ("a number as subnet", json!({ "subnet": 10 })),
        ("rangeStart outside", json!({ "subnet": "10.4.0.0/24", "rangeStart": "10.5.0.1" })),
        ("rangeEnd outside", json!({ "subnet": "10.4.0.0/24", "rangeEnd": "10.5.0.1" })),
        (
            "a range backwards",
            json!({ "subnet": "10.4.0.0/24", "rangeStart": "10.4.0.9", "rangeEnd": "10.4.0.3" }),
        ),
        ("words as rangeStart", json!({ "subnet": "10.4.0.0/24", "rangeStart": "first" })),
        ("words as gateway", json!({ "subnet": "10.4.0.0/24", "gateway": "door" })),
        ("a gateway of the other family", json!({ "subnet": "10.4.0.0/24", "gateway": "fd00::1" })),
        (
            "ranges that overlap",
            json!({ "ranges": [[{ "subnet": "10.4.0.0/24" }, { "subnet": "10.4.0.0/25" }]] }),
        ),
        (
            "sets that overlap",
            json!({ "ranges": [[{ "subnet": "10.4.0.0/24" }], [{ "subnet": "10.4.0.0/25" }]] }),
        ),
        (
            "a set of both families",
            json!({ "ranges": [[{ "subnet": "10.4.0.0/24" }, { "subnet": "fd00::/64" }]] }),
        ),
        ("ranges that are no list", json!({ "ranges": { "subnet": "10.4.0.0/24" } })),
        ("a range that is no list", json!({ "ranges": [{ "subnet": "10.4.0.0/24" }] })),
        (
            "a route without destination",
            json!({ "subnet": "10.4.0.0/24", "routes": [{ "gw": "10.4.0.1" }] }),
        ),
        ("a route to words", json!({ "subnet": "10.4.0.0/24", "routes": [{ "dst": "far" }] })),
        ("a number as dataDir", json!({ "subnet": "10.4.0.0/24", "dataDir": 7 })),
        (
            "a dataDir that is a file",
            json!({ "subnet": "10.4.0.0/24", "dataDir": "/proc/version" }),
        ),
    ];
    let all = options.into_iter().map(|(what, options)| {
        Case::new(
            format!("host-local refuses {what}"),
            calls(&["ADD", "CHECK", "DEL"], PLUGIN, &config(&options)),
        )
    });
    let without = with(&config(&json!({})), json!({ "ipam": null }));
    let none =
        Case::new("host-local refuses no ipam", calls(&["ADD", "CHECK", "DEL"], PLUGIN, &without));
    all.chain([none]).collect()
}

/// Addresses that somebody asks for, in each of the three places.
fn requests() -> Vec<Case> {
    let addresses = [
        "10.4.0.9",
        "10.4.0.9/24",
        "10.4.0.9/32",
        "10.4.0.1",
        "10.4.0.0",
        "10.4.0.255",
        "10.9.0.9",
        "fd00::9",
        "::ffff:10.4.0.9",
        "nine",
        "",
    ];
    let plain = config(&json!({ "subnet": "10.4.0.0/24" }));
    let case = |place: &str, address: &str, call: &dyn Fn(&'static str, &str) -> Step| {
        let steps = vec![call("ADD", "a"), call("ADD", "b"), call("DEL", "a"), call("ADD", "b")];
        Case::new(format!("host-local, {address:?} wanted by {place}"), steps)
    };
    let of = |config: Value| {
        move |verb, id: &str| Call::new(verb, PLUGIN, &config).with("CNI_CONTAINERID", id).step()
    };
    let mut cases = Vec::new();
    for address in addresses {
        let arguments = with(&plain, json!({ "args": { "cni": { "ips": [address] } } }));
        let capability = with(&plain, json!({ "runtimeConfig": { "ips": [address] } }));
        cases.push(case("args", address, &of(arguments)));
        cases.push(case("runtimeConfig", address, &of(capability)));
        cases.push(case("CNI_ARGS", address, &|verb, id| {
            Call::new(verb, PLUGIN, &plain)
                .with("CNI_CONTAINERID", id)
                .with("CNI_ARGS", &format!("IP={address}"))
                .step()
        }));
    }
    cases
}

fn runtime_ranges() -> Vec<Case> {
    let ranges = [
        ("one set", json!([[{ "subnet": "10.7.0.0/24" }]])),
        ("two sets", json!([[{ "subnet": "10.7.0.0/24" }], [{ "subnet": "fd00:7::/64" }]])),
        (
            "as go-cni sends it",
            json!([[{ "Subnet": "10.7.0.0/24", "RangeStart": "10.7.0.5", "RangeEnd": "", "Gateway": "" }]]),
        ),
        ("nothing", json!([])),
        ("null", Value::Null),
        ("a set that overlaps", json!([[{ "subnet": "10.4.0.0/16" }]])),
    ];
    let mut cases = Vec::new();
    for (what, ranges) in ranges {
        for (also, options) in
            [("alone", json!({})), ("before a subnet", json!({ "subnet": "10.4.0.0/24" }))]
        {
            let mut config = config(&options);
            config["runtimeConfig"] = json!({ "ipRanges": ranges });
            let steps = vec![add(&config, "a"), add(&config, "b"), del(&config, "a")];
            cases.push(Case::new(format!("host-local, ipRanges {also}: {what}"), steps));
        }
    }
    cases
}

/// Stores that are not as a new one is.
fn stores() -> Vec<Case> {
    let config = config(&json!({ "subnet": "10.4.0.0/29" }));
    let file = |path, content| Step::File { path, content };
    let life = |mut before: Vec<Step>| {
        before.extend([
            add(&config, "a"),
            add(&config, "b"),
            del(&config, "a"),
            del(&config, "old"),
        ]);
        before
    };
    let cases = [
        ("an address is taken", life(vec![file("networks/net/10.4.0.2", "old\r\neth0")])),
        ("an old file has only the id", life(vec![file("networks/net/10.4.0.2", "old")])),
        ("a file ends with a line", life(vec![file("networks/net/10.4.0.2", "old\neth0\n")])),
        ("a file is of another interface", life(vec![file("networks/net/10.4.0.2", "a\r\neth1")])),
        (
            "the last address is remembered",
            life(vec![file("networks/net/last_reserved_ip.0", "10.4.0.4")]),
        ),
        (
            "the last address is the end",
            life(vec![file("networks/net/last_reserved_ip.0", "10.4.0.6")]),
        ),
        (
            "the last address is of another range",
            life(vec![file("networks/net/last_reserved_ip.0", "10.9.9.9")]),
        ),
        ("the last address is words", life(vec![file("networks/net/last_reserved_ip.0", "x")])),
        ("a foreign file", life(vec![file("networks/net/README", "old\r\neth0")])),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("host-local, {what}"), steps)).collect()
}

/// Calls that come twice, too late, or for what somebody has changed.
fn order() -> Vec<Case> {
    let config = config(&json!({ "subnet": "10.4.0.0/29" }));
    let check = |id: &str, previous| {
        Call::new("CHECK", PLUGIN, &config).with("CNI_CONTAINERID", id).previous(previous).step()
    };
    let cases = [
        (
            "the same container again",
            vec![add(&config, "a"), add(&config, "a"), del(&config, "a"), add(&config, "a")],
        ),
        ("two interfaces of one container", {
            let second = |verb| {
                Call::new(verb, PLUGIN, &config)
                    .with("CNI_CONTAINERID", "a")
                    .with("CNI_IFNAME", "eth1")
                    .step()
            };
            vec![add(&config, "a"), second("ADD"), del(&config, "a"), second("DEL")]
        }),
        ("no store to delete from", vec![del(&config, "a")]),
        ("no store to check", vec![check("a", Previous::Given(json!({ "cniVersion": "1.0.0" })))]),
        (
            "a reservation that is gone",
            vec![
                add(&config, "a"),
                Step::Remove { path: "networks/net/10.4.0.2" },
                check("a", Previous::Last),
                del(&config, "a"),
            ],
        ),
        ("another container checked", vec![add(&config, "a"), check("b", Previous::Last)]),
        ("garbage is collected", {
            let listed = with(
                &config,
                json!({ "cniVersion": "1.1.0", "cni.dev/valid-attachments": [{ "containerID": "a", "ifname": "eth0" }] }),
            );
            vec![add(&config, "a"), add(&config, "b"), Call::new("GC", PLUGIN, &listed).step()]
        }),
        ("garbage is collected without a list", {
            let listed = with(&config, json!({ "cniVersion": "1.1.0" }));
            vec![add(&config, "a"), Call::new("GC", PLUGIN, &listed).step()]
        }),
    ];
    cases.into_iter().map(|(what, steps)| Case::new(format!("host-local, {what}"), steps)).collect()
}

fn resolv_conf() -> Vec<Case> {
    let contents = [
        (
            "all of it",
            "# a comment\nnameserver 10.0.0.53\nnameserver fd00::53\ndomain example.com\nsearch a.example b.example\noptions ndots:5\noptions timeout:1\n",
        ),
        ("nothing", ""),
        (
            "odd lines",
            "; x\n\nnameserver\nsearch\n  nameserver   10.0.0.9  \nnameserver 10.0.0.10 # why\nsortlist 1.2.3.4\n",
        ),
    ];
    let config = config(&json!({ "subnet": "10.4.0.0/24", "resolvConf": "$HOST/resolv.conf" }));
    let mut cases: Vec<Case> = contents
        .into_iter()
        .map(|(what, content)| {
            let steps = vec![
                Step::File { path: "resolv.conf", content },
                add(&config, "a"),
                del(&config, "a"),
            ];
            Case::new(format!("host-local, resolvConf: {what}"), steps)
        })
        .collect();
    cases.push(Case::new(
        "host-local, resolvConf: no such file",
        vec![add(&config, "a"), del(&config, "a")],
    ));
    cases
}
