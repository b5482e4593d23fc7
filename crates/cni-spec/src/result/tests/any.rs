//! Strategies for results, sensible ones and JSON that merely looks like one.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

pub(super) fn version() -> impl Strategy<Value = SpecVersion> {
    proptest::sample::select(SpecVersion::ALL)
}

fn extra() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![Just(Value::Null), Just(json!({"Ips": [1]})), Just(json!("x"))];
    btree_map("x-[a-z]{1,3}", value, 0..2).prop_map(|map| map.into_iter().collect())
}

fn text() -> impl Strategy<Value = Option<String>> {
    option::of("[a-z:/]{1,8}")
}

fn number() -> impl Strategy<Value = Option<u32>> {
    option::of(1..=u32::MAX)
}

fn network() -> impl Strategy<Value = IpNetwork> {
    any::<IpAddr>().prop_flat_map(|address| {
        let longest = if address.is_ipv4() { 32_u8 } else { 128 };
        (0..=longest).prop_map(move |length| IpNetwork::new(address, length).unwrap())
    })
}

fn interface() -> impl Strategy<Value = Interface> {
    ("[a-z]{0,5}", text(), number(), text(), text(), text(), extra()).prop_map(
        |(name, mac, mtu, sandbox, socket_path, pci_id, extra)| Interface {
            name,
            mac,
            mtu,
            sandbox,
            socket_path,
            pci_id,
            extra,
        },
    )
}

fn ip() -> impl Strategy<Value = IpConfig> {
    (any::<Option<u32>>(), network(), any::<Option<IpAddr>>(), extra()).prop_map(
        |(interface, address, gateway, extra)| IpConfig { interface, address, gateway, extra },
    )
}

fn route() -> impl Strategy<Value = Route> {
    let numbers = (number(), number(), number(), any::<Option<u32>>(), any::<Option<u8>>());
    (network(), any::<Option<IpAddr>>(), numbers, extra()).prop_map(
        |(dst, gw, (mtu, advmss, priority, table, scope), extra)| Route {
            dst,
            gw,
            mtu,
            advmss,
            priority,
            table,
            scope,
            extra,
        },
    )
}

fn dns() -> impl Strategy<Value = Dns> {
    let texts = || vec("[a-z.]{0,4}", 0..3);
    (texts(), text(), texts(), texts()).prop_map(|(nameservers, domain, search, options)| Dns {
        nameservers,
        domain,
        search,
        options,
    })
}

pub(super) fn result() -> impl Strategy<Value = AddResult> {
    let lists = (vec(interface(), 0..3), vec(ip(), 0..4), vec(route(), 0..4));
    (lists, dns(), extra()).prop_map(|((interfaces, ips, routes), dns, extra)| AddResult {
        interfaces,
        ips,
        routes,
        dns,
        extra,
    })
}

/// JSON with a result's keys in any case and anything under them.
pub(super) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..3_i64).prop_map(Value::from),
        proptest::sample::select(vec!["", "4", "10.0.0.1", "10.0.0.1/24", "fd00::1/64", "0.2.0"])
            .prop_map(Value::from),
    ];
    let key = proptest::sample::select(vec![
        "ips",
        "IPs",
        "interfaces",
        "routes",
        "dns",
        "ip4",
        "IP6",
        "address",
        "Interface",
        "gateway",
        "dst",
        "gw",
        "ip",
        "version",
        "name",
        "mtu",
        "scope",
        "search",
        "x",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let object = btree_map(key.clone(), inner.clone(), 0..4).prop_map(|map| {
            Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        });
        prop_oneof![vec(inner, 0..3).prop_map(Value::from), object]
    })
}
