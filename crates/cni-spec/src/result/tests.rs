//! Results: golden forms of each version, and what every conversion must keep.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::ErrorCode;

mod any;

fn read(value: &Value) -> AddResult {
    AddResult::from_json(value, SpecVersion::LATEST).unwrap()
}

/// One result with everything in it.
fn full() -> Value {
    json!({
        "cniVersion": "1.1.0",
        "interfaces": [
            {"name": "cni0", "mac": "00:11:22:33:44:55"},
            {"name": "eth0", "mac": "00:11:22:33:44:66", "mtu": 1400, "sandbox": "/run/netns/x",
             "socketPath": "/run/s", "pciID": "0000:00:1f.6"},
        ],
        "ips": [
            {"interface": 0, "address": "10.1.0.5/16", "gateway": "10.1.0.1"},
            {"interface": 1, "address": "10.2.0.5/16"},
            {"address": "fd00::5/64", "gateway": "fd00::1"},
        ],
        "routes": [
            {"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1300, "advmss": 1260, "priority": 5,
             "table": 0, "scope": 0},
            {"dst": "::/0"},
        ],
        "dns": {"nameservers": ["10.1.0.1"], "domain": "local", "search": ["a"], "options": ["b"]},
    })
}

#[test]
fn full_result_of_1_1_0_is_written_as_it_was_read() {
    assert_eq!(read(&full()).to_json(SpecVersion::V1_1_0).unwrap(), full());
}

#[test]
fn older_versions_lack_the_keys_of_1_1_0() {
    let written = read(&full()).to_json(SpecVersion::V1_0_0).unwrap();
    let expected = json!({"name": "eth0", "mac": "00:11:22:33:44:66", "sandbox": "/run/netns/x"});
    assert_eq!(written["interfaces"][1], expected);
    assert_eq!(written["routes"][0], json!({"dst": "0.0.0.0/0", "gw": "10.1.0.1"}));
    assert_eq!(written["ips"], full()["ips"]);
}

#[test]
fn versions_before_1_0_0_say_the_family() {
    for version in [SpecVersion::V0_3_0, SpecVersion::V0_3_1, SpecVersion::V0_4_0] {
        let written = read(&full()).to_json(version).unwrap();
        assert_eq!(written["cniVersion"], version.as_str());
        let first = json!({
            "version": "4", "interface": 0, "address": "10.1.0.5/16", "gateway": "10.1.0.1",
        });
        assert_eq!(written["ips"][0], first);
        assert_eq!(written["ips"][2]["version"], "6");
        assert!(written["interfaces"][1].get("mtu").is_none());
    }
}

#[test]
fn versions_before_0_3_0_have_one_address_a_family() {
    let written = read(&full()).to_json(SpecVersion::V0_2_0).unwrap();
    let expected = json!({
        "cniVersion": "0.2.0",
        "ip4": {"ip": "10.1.0.5/16", "gateway": "10.1.0.1",
                "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}]},
        "ip6": {"ip": "fd00::5/64", "gateway": "fd00::1", "routes": [{"dst": "::/0"}]},
        "dns": full()["dns"],
    });
    assert_eq!(written, expected);
    let again = read(&written);
    assert_eq!((again.ips.len(), again.routes.len()), (2, 2));
}

#[test]
fn result_without_address_cannot_be_said_before_0_3_0() {
    for version in [SpecVersion::V0_1_0, SpecVersion::V0_2_0] {
        let error = AddResult::default().to_json(version).unwrap_err();
        assert_eq!(error.code, ErrorCode::INCOMPATIBLE_VERSION);
    }
}

#[test]
fn empty_dns_is_written_until_1_0_0() {
    let written = |version| AddResult::default().to_json(version).unwrap();
    assert_eq!(written(SpecVersion::V0_4_0), json!({"cniVersion": "0.4.0", "dns": {}}));
    assert_eq!(written(SpecVersion::V1_0_0), json!({"cniVersion": "1.0.0"}));
}

#[test]
fn null_and_versionless_results_are_read_by_the_configuration() {
    let read = |value: Value, version| AddResult::from_json(&value, version).unwrap();
    assert_eq!(read(Value::Null, SpecVersion::V0_1_0), AddResult::default());
    let old = json!({"ip4": {"ip": "10.0.0.2/24"}});
    assert_eq!(read(old.clone(), SpecVersion::V0_2_0).ips.len(), 1);
    assert!(read(old, SpecVersion::V1_0_0).ips.is_empty());
    let new = json!({"cniVersion": "", "ips": [{"address": "10.0.0.2/24"}]});
    assert_eq!(read(new, SpecVersion::V1_0_0).ips.len(), 1);
}

#[test]
fn result_of_another_version_than_the_configuration_is_read_by_its_own() {
    let value = json!({"cniVersion": "0.2.0", "ip6": {"ip": "fd00::2/64"}});
    assert_eq!(read(&value).ips[0].address.to_string(), "fd00::2/64");
}

#[test]
fn keys_are_read_as_go_does() {
    let value = json!({
        "CNIVersion": "1.0.0",
        "IPs": [{"Address": "10.0.0.2/24", "Gateway": "", "Interface": 0, "version": "4", "Own": 1}],
        "Interfaces": [{"Name": "eth0", "Mac": null, "sandbox": "", "mtu": 0, "own": {"a": 1}}],
        "Routes": null, "DNS": {"Domain": "", "search": null}, "vendor": true,
    });
    let result = read(&value);
    assert_eq!(result.ips[0].interface, Some(0));
    assert_eq!((result.ips[0].gateway, result.interfaces[0].sandbox.clone()), (None, None));
    assert!(result.dns.is_empty());
    let expected = json!({
        "cniVersion": "1.0.0", "vendor": true,
        "ips": [{"address": "10.0.0.2/24", "interface": 0, "Own": 1}],
        "interfaces": [{"name": "eth0", "own": {"a": 1}}],
    });
    assert_eq!(result.to_json(SpecVersion::V1_0_0).unwrap(), expected);
}

#[test]
fn keys_of_another_version_do_not_come_back() {
    let value = json!({
        "cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24"}, "ips": [{"address": "10.6.6.6/24"}],
    });
    let written = read(&value).to_json(SpecVersion::V1_0_0).unwrap();
    assert_eq!(written["ips"], json!([{"address": "10.0.0.2/24"}]));
    let mut smuggled = AddResult::default();
    smuggled.extra.insert("IPS".to_owned(), json!([1]));
    let written = smuggled.to_json(SpecVersion::V1_1_0).unwrap();
    assert_eq!(written, json!({"cniVersion": "1.1.0"}));
}

#[test]
fn malformed_results_are_refused_with_the_path() {
    let cases = [
        (json!([]), 6, "no JSON object"),
        (json!({"cniVersion": "4.0.0"}), 1, "4.0.0"),
        (json!({"cniVersion": 1}), 6, "cniVersion"),
        (json!({"ips": [{}]}), 6, "ips[0]: missing field `address`"),
        (json!({"ips": [{"address": "10.0.0.1"}]}), 6, "ips[0]: address: \"10.0.0.1\""),
        (json!({"ips": [{"address": "10.0.0.1/33"}]}), 6, "address"),
        (json!({"ips": [{"address": "10.0.0.1/+8"}]}), 6, "address"),
        (json!({"ips": [{"address": "10.0.0.1/255.0.0.0"}]}), 6, "address"),
        (json!({"ips": [{"address": "10.0.0.1/8", "interface": -1}]}), 6, "interface"),
        (json!({"ips": [{"address": "10.0.0.1/8", "gateway": "x"}]}), 6, "gateway"),
        (json!({"ips": [null]}), 6, "ips[0]"),
        (json!({"routes": [{"dst": "::/0", "scope": 256}]}), 6, "scope"),
        (json!({"cniVersion": "0.2.0", "ip4": {"ip": "fd00::1/64"}}), 6, "ip4.ip"),
        (json!({"cniVersion": "0.1.0", "ip6": {}}), 6, "ip6: missing field `ip`"),
    ];
    for (value, code, text) in cases {
        let error = AddResult::from_json(&value, SpecVersion::LATEST).unwrap_err();
        assert_eq!(error.code.0, code, "{value}");
        assert!(error.msg.contains(text), "{error}");
    }
}

#[test]
fn parts_have_a_serde_form_of_their_own() {
    let value = json!({"Dst": "10.0.0.0/8", "gw": "10.0.0.1", "own": 1});
    let route: Route = crate::go_json::decode(&value).unwrap();
    assert_eq!(route.gw, Some("10.0.0.1".parse().unwrap()));
    let expected = json!({"dst": "10.0.0.0/8", "gw": "10.0.0.1", "own": 1});
    assert_eq!(serde_json::to_value(&route).unwrap(), expected);
}

/// What `version` can say of `result`.
fn said_by(version: SpecVersion, mut result: AddResult) -> AddResult {
    if version < SpecVersion::V1_1_0 {
        for interface in &mut result.interfaces {
            (interface.mtu, interface.socket_path, interface.pci_id) = (None, None, None);
        }
        for route in &mut result.routes {
            (route.mtu, route.advmss, route.priority) = (None, None, None);
            (route.table, route.scope) = (None, None);
        }
    }
    if version < SpecVersion::V0_3_0 {
        let first = |v4| result.ips.iter().find(|ip| ip.address.is_ipv4() == v4).cloned();
        result.ips = [first(true), first(false)].into_iter().flatten().collect();
        let families: Vec<bool> = result.ips.iter().map(|ip| ip.address.is_ipv4()).collect();
        result.ips.iter_mut().for_each(|ip| (ip.interface, ip.extra) = (None, Map::new()));
        result.routes.retain(|route| families.contains(&route.dst.is_ipv4()));
        result.routes.sort_by_key(|route| route.dst.is_ipv6());
        result.routes.iter_mut().for_each(|route| route.extra = Map::new());
        result.interfaces.clear();
    }
    result
}

proptest! {
    #[test]
    fn each_version_keeps_what_it_can_say(result in any::result(), version in any::version()) {
        let expected = said_by(version, result.clone());
        match result.to_json(version) {
            Ok(written) => {
                let again = AddResult::from_json(&written, SpecVersion::LATEST).unwrap();
                prop_assert_eq!(&again, &expected);
                prop_assert_eq!(again.to_json(version).unwrap(), written);
            }
            Err(error) => {
                prop_assert!(version < SpecVersion::V0_3_0 && result.ips.is_empty(), "{}", error);
            }
        }
    }

    #[test]
    fn way_over_another_version_loses_only_what_that_cannot_say(
        result in any::result(), over in any::version(), to in any::version(),
    ) {
        prop_assume!(!result.ips.is_empty());
        let there = result.to_json(over).unwrap();
        let back = AddResult::from_json(&there, SpecVersion::LATEST).unwrap().to_json(to).unwrap();
        prop_assert_eq!(back, said_by(over, result).to_json(to).unwrap());
    }

    #[test]
    fn any_json_is_read_or_refused(value in any::json(), version in any::version()) {
        if let Ok(result) = AddResult::from_json(&value, version) {
            for version in SpecVersion::ALL {
                if let Ok(written) = result.to_json(*version) {
                    prop_assert!(AddResult::from_json(&written, *version).is_ok());
                }
            }
        }
    }
}
