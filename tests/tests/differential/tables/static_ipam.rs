//! static: the addresses that it is told, wherever it is told them.

use serde_json::{Value, json};

use super::calls as any;
use crate::case::{Call, Case, Previous, Table, calls, with};

const PLUGIN: &str = "static";

pub(crate) fn table() -> Table {
    let config = config(&json!({
        "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }],
        "routes": [{ "dst": "0.0.0.0/0" }],
    }));
    let mut cases = any::versions(PLUGIN, &config);
    cases.extend(any::variables(PLUGIN, &config));
    cases.extend(any::input(PLUGIN, &config));
    cases.extend(any::previous(PLUGIN, &config));
    cases.extend(options());
    cases.extend(refused());
    cases.extend(sources());
    cases.extend(environment());
    cases.extend(checked(&config));
    Table { everywhere: &["D-01", "D-02"], cases: super::expect(cases, EXPECTED) }
}

/// Rows of docs/differences.md and the cases that show them.
const EXPECTED: super::Expected = &[
    ("D-04", &["*CNI_ARGS=IgnoreUnknown=true;A=B=C", "*CNI_ARGS=no-*", "*CNI_ARGS=A=1;"]),
    ("D-06", &["static 0.3.1, routes"]),
    ("D-74", &["*a route without destination"]),
    ("D-79", &["*, keys in capitals"]),
    ("D-80", &["*with another address", "*prevResult: an empty one"]),
];

fn config(ipam: &Value) -> Value {
    json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": with(ipam, json!({ "type": PLUGIN })) })
}

/// Options in every version in which they could look different.
fn options() -> Vec<Case> {
    let options = [addresses(), others()].concat();
    let mut cases = Vec::new();
    for (what, ipam) in &options {
        for version in ["0.2.0", "0.3.1", "1.1.0"] {
            let config = with(&config(ipam), json!({ "cniVersion": version }));
            cases.push(Case::new(
                format!("static {version}, {what}"),
                calls(&["ADD", "CHECK", "DEL"], PLUGIN, &config),
            ));
        }
    }
    cases
}

/// What there may be beside one address, or without any.
fn others() -> Vec<(&'static str, Value)> {
    let one = json!([{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }]);
    vec![
        ("no addresses", json!({ "addresses": [] })),
        ("nothing", json!({})),
        ("nulls", json!({ "addresses": null, "routes": null, "dns": null })),
        (
            "routes",
            json!({ "addresses": one, "routes": [
            { "dst": "0.0.0.0/0" }, { "dst": "192.168.0.0/16", "gw": "10.1.0.77" },
            { "dst": "172.16.0.0/12", "mtu": 1300, "advmss": 1200, "priority": 50, "table": 100, "scope": 253 },
        ] }),
        ),
        (
            "an IPv6 route",
            json!({ "addresses": one, "routes": [{ "dst": "fd00::/8", "gw": "fd00:1::1" }] }),
        ),
        (
            "a route of a host's address",
            json!({ "addresses": one, "routes": [{ "dst": "10.9.0.7/16" }] }),
        ),
        (
            "routes without addresses",
            json!({ "routes": [{ "dst": "0.0.0.0/0", "gw": "10.1.0.1" }] }),
        ),
        (
            "dns",
            json!({ "addresses": one, "dns": {
            "nameservers": ["10.1.0.53", "10.1.0.54"], "domain": "a.example", "search": ["b.example"], "options": ["ndots:5"],
        } }),
        ),
        ("dns without a server", json!({ "addresses": one, "dns": { "search": ["b.example"] } })),
        (
            "keys in capitals",
            json!({ "Addresses": [{ "Address": "10.1.0.5/24", "GATEWAY": "10.1.0.1" }], "DNS": { "Domain": "x" } }),
        ),
        (
            "unknown keys",
            json!({ "addresses": [{ "address": "10.1.0.5/24", "colour": "red" }], "colour": "red" }),
        ),
        (
            "a version of an address",
            json!({ "addresses": [{ "address": "10.1.0.5/24", "version": "4" }] }),
        ),
    ]
}

fn addresses() -> Vec<(&'static str, Value)> {
    vec![
        ("an address", json!({ "addresses": [{ "address": "10.1.0.5/24" }] })),
        (
            "an address and its gateway",
            json!({ "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }] }),
        ),
        (
            "an IPv6 address",
            json!({ "addresses": [{ "address": "fd00:1::5/64", "gateway": "fd00:1::1" }] }),
        ),
        (
            "both families",
            json!({ "addresses": [
            { "address": "10.1.0.5/24", "gateway": "10.1.0.1" }, { "address": "fd00:1::5/64", "gateway": "fd00:1::1" },
        ] }),
        ),
        (
            "two of a family",
            json!({ "addresses": [{ "address": "10.1.0.5/24" }, { "address": "10.2.0.5/24" }] }),
        ),
        (
            "the same twice",
            json!({ "addresses": [{ "address": "10.1.0.5/24" }, { "address": "10.1.0.5/24" }] }),
        ),
        (
            "a host's network",
            json!({ "addresses": [{ "address": "10.1.0.5/32", "gateway": "169.254.1.1" }] }),
        ),
        ("a network's address", json!({ "addresses": [{ "address": "10.1.0.0/24" }] })),
        (
            "a gateway from elsewhere",
            json!({ "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.9.0.1" }] }),
        ),
        (
            "a gateway of the other family",
            json!({ "addresses": [{ "address": "10.1.0.5/24", "gateway": "fd00:1::1" }] }),
        ),
        ("a mapped address", json!({ "addresses": [{ "address": "::ffff:10.1.0.5/120" }] })),
        ("an empty gateway", json!({ "addresses": [{ "address": "10.1.0.5/24", "gateway": "" }] })),
    ]
}

fn refused() -> Vec<Case> {
    let address = |value: Value| json!({ "addresses": [{ "address": value }] });
    let gateway =
        |value: Value| json!({ "addresses": [{ "address": "10.1.0.5/24", "gateway": value }] });
    let route =
        |route: Value| json!({ "addresses": [{ "address": "10.1.0.5/24" }], "routes": [route] });
    let options = [
        ("an address without prefix", address(json!("10.1.0.5"))),
        ("a prefix of 33", address(json!("10.1.0.5/33"))),
        ("a prefix of 129", address(json!("fd00::5/129"))),
        ("a signed prefix", address(json!("10.1.0.5/+8"))),
        ("a mask", address(json!("10.1.0.5/255.255.255.0"))),
        ("an address with leading zeros", address(json!("10.01.0.5/24"))),
        ("a zone", address(json!("fe80::5%eth0/64"))),
        ("an empty address", address(json!(""))),
        ("a number as address", address(json!(5))),
        ("no address", json!({ "addresses": [{ "gateway": "10.1.0.1" }] })),
        ("a gateway with prefix", gateway(json!("10.1.0.1/24"))),
        ("a gateway that is none", gateway(json!("router"))),
        ("a number as gateway", gateway(json!(1))),
        ("text as addresses", json!({ "addresses": "10.1.0.5/24" })),
        ("an object as addresses", json!({ "addresses": { "address": "10.1.0.5/24" } })),
        ("text in addresses", json!({ "addresses": ["10.1.0.5/24"] })),
        ("a route without destination", route(json!({ "gw": "10.1.0.1" }))),
        ("a route that is none", route(json!({ "dst": "everywhere" }))),
        ("a route's gateway that is none", route(json!({ "dst": "0.0.0.0/0", "gw": "router" }))),
        ("text as routes", json!({ "addresses": [], "routes": "0.0.0.0/0" })),
        ("text as its dns", json!({ "addresses": [], "dns": "8.8.8.8" })),
    ];
    let mut cases: Vec<Case> = options
        .into_iter()
        .map(|(what, ipam)| {
            Case::new(
                format!("static refuses {what}"),
                calls(&["ADD", "DEL", "STATUS"], PLUGIN, &config(&ipam)),
            )
        })
        .collect();
    let whole = [
        ("no ipam", json!({ "ipam": null })),
        ("text as ipam", json!({ "ipam": "static" })),
        ("an ipam of another type", json!({ "ipam": { "type": "host-local", "addresses": [] } })),
        (
            "an ipam without type",
            json!({ "ipam": { "addresses": [{ "address": "10.1.0.5/24" }] } }),
        ),
    ];
    cases.extend(whole.into_iter().map(|(what, keys)| {
        let config = with(&config(&json!({})), keys);
        Case::new(
            format!("static refuses {what}"),
            calls(&["ADD", "DEL", "STATUS"], PLUGIN, &config),
        )
    }));
    cases
}

/// Addresses from each of the places, and from several at once.
fn sources() -> Vec<Case> {
    let written = json!({ "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }] });
    let args = |ips: Value| json!({ "args": { "cni": { "ips": ips } } });
    let sent = |ips: Value| json!({ "runtimeConfig": { "ips": ips } });
    let cases = [
        ("args", with(&config(&json!({})), args(json!(["10.3.0.1/24"])))),
        ("args and addresses", with(&config(&written), args(json!(["10.3.0.1/24"])))),
        ("sent", with(&config(&json!({})), sent(json!(["10.4.0.1/24", "fd00:4::1/64"])))),
        ("sent and addresses", with(&config(&written), sent(json!(["10.4.0.1/24"])))),
        (
            "sent and args",
            with(
                &with(&config(&written), args(json!(["10.3.0.1/24"]))),
                sent(json!(["10.4.0.1/24"])),
            ),
        ),
        (
            "sent in capitals",
            with(&config(&written), json!({ "runtimeConfig": { "IPs": ["10.4.0.1/24"] } })),
        ),
        ("sent nothing", with(&config(&written), sent(json!([])))),
        ("sent null", with(&config(&written), sent(Value::Null))),
        ("sent without prefix", with(&config(&written), sent(json!(["10.4.0.1"])))),
        ("sent text", with(&config(&written), sent(json!("10.4.0.1/24")))),
        ("sent an empty one", with(&config(&written), sent(json!([""])))),
        ("args without prefix", with(&config(&written), args(json!(["10.3.0.1"])))),
        ("args of text", with(&config(&written), args(json!("10.3.0.1/24")))),
        ("empty args", with(&config(&written), json!({ "args": { "cni": {} } }))),
        ("args of another", with(&config(&written), json!({ "args": { "other": { "ips": 7 } } }))),
        ("text as args", with(&config(&written), json!({ "args": "x" }))),
    ];
    let cases = cases.into_iter().map(|(what, config)| {
        Case::new(
            format!("static, addresses: {what}"),
            calls(&["ADD", "CHECK", "DEL"], PLUGIN, &config),
        )
    });
    cases.collect()
}

/// Addresses by CNI_ARGS.
fn environment() -> Vec<Case> {
    let written = json!({ "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }] });
    let variables = [
        "IP=10.1.0.6/24",
        "IP=10.1.0.6/24;GATEWAY=10.1.0.254",
        "IP=10.1.0.6/24,fd00:1::6/64;GATEWAY=10.1.0.254,fd00:1::fe",
        "IP=10.1.0.6/24, 10.2.0.6/24;GATEWAY=10.1.0.254",
        "GATEWAY=10.1.0.254",
        "IP=10.1.0.6/24;GATEWAY=10.9.0.1",
        "IP=10.1.0.6",
        "IP=",
        "IP=;GATEWAY=",
        "IP=10.1.0.6/24;GATEWAY=router",
        "IP=10.1.0.6/24;MAC=02:00:00:00:00:01",
        "IgnoreUnknown=1;IP=10.1.0.6/24;MAC=02:00:00:00:00:01",
        "K8S_POD_NAME=web",
        "IP=10.1.0.6/24;IP=10.1.0.7/24",
    ];
    let mut cases = Vec::new();
    for variable in variables {
        for (beside, ipam) in [("nothing", json!({})), ("an address", written.clone())] {
            let config = config(&ipam);
            let call = |verb| Call::new(verb, PLUGIN, &config).with("CNI_ARGS", variable).step();
            let steps = ["ADD", "CHECK", "DEL"].map(call);
            cases.push(Case::new(format!("static, {variable} beside {beside}"), steps.into()));
        }
    }
    cases
}

/// CHECK with results that are not those of ADD.
fn checked(config: &Value) -> Vec<Case> {
    let ip = |ip: Value| json!({ "cniVersion": "1.0.0", "ips": [ip] });
    let results = [
        ("the same", ip(json!({ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }))),
        ("another address", ip(json!({ "address": "10.1.0.6/24", "gateway": "10.1.0.1" }))),
        ("another prefix", ip(json!({ "address": "10.1.0.5/16", "gateway": "10.1.0.1" }))),
        ("another gateway", ip(json!({ "address": "10.1.0.5/24", "gateway": "10.1.0.2" }))),
        ("no gateway", ip(json!({ "address": "10.1.0.5/24" }))),
        (
            "one more",
            json!({ "cniVersion": "1.0.0", "ips": [
            { "address": "10.1.0.5/24", "gateway": "10.1.0.1" }, { "address": "10.1.0.7/24" },
        ] }),
        ),
        (
            "another route",
            json!({ "cniVersion": "1.0.0", "ips": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }], "routes": [{ "dst": "10.0.0.0/8" }] }),
        ),
    ];
    let cases = results.into_iter().map(|(what, result)| {
        let check = Call::new("CHECK", PLUGIN, config).previous(Previous::Given(result)).step();
        Case::new(format!("static CHECK with {what}"), vec![check])
    });
    cases.collect()
}
