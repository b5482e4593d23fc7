//! Lists: libcni's rules for them, and what a plugin is sent.

use serde_json::json;

use super::*;

fn read(value: &Value) -> Result<NetworkConfigList, CniError> {
    NetworkConfigList::from_json(value.to_string().as_bytes())
}

fn code(value: &Value) -> u32 {
    read(value).unwrap_err().code.0
}

#[test]
fn list_survives_a_round_trip_with_its_unknown_keys() {
    let list = read(&json!({
        "name": "pods", "cniVersion": "0.4.0", "cniVersions": ["0.3.1", "1.0.0", "9.0.0"],
        "disableCheck": "TRUE", "disableGC": true, "loadOnlyInlinedPlugins": "false",
        "vendor": {"A": null}, "plugins": [{"type": "bridge", "x": [1]}, {"type": "portmap"}],
    }))
    .unwrap();
    assert_eq!(list.version, SpecVersion::V1_0_0);
    assert!(list.disable_check && list.disable_gc && !list.load_only_inlined_plugins);
    assert_eq!(list.extra["vendor"], json!({"A": null}));
    assert_eq!(NetworkConfigList::from_json(&list.to_json()).unwrap(), list);
}

#[test]
fn highest_known_version_is_chosen() {
    let chosen = |version: Value, versions: Value| {
        let plugins = json!([{"type": "x"}]);
        read(&json!({
            "name": "n", "cniVersion": version, "cniVersions": versions, "plugins": plugins,
        }))
        .map(|list| list.version)
        .map_err(|error| error.code.0)
    };
    let cases = [
        (json!(null), json!(null), Ok(SpecVersion::V0_1_0)),
        (json!(""), json!([]), Ok(SpecVersion::V0_1_0)),
        (json!("0.3.1"), json!(["1.0.0", "0.4.0"]), Ok(SpecVersion::V1_0_0)),
        (json!("1.0.0"), json!(["0.4.0"]), Ok(SpecVersion::V1_0_0)),
        (json!("1.2.0"), json!(["0.4.0", "1.1.1"]), Ok(SpecVersion::V0_4_0)),
        (json!(null), json!(["1.1.0", "1.10.0"]), Ok(SpecVersion::V1_1_0)),
        (json!("1.2.0"), json!(["1.3.0"]), Err(1)),
        (json!(null), json!(["1.3.0"]), Err(1)),
        (json!("0.5.0"), json!(null), Err(1)),
        (json!("1.0.0"), json!(["x"]), Err(6)),
        (json!("1.0.0"), json!("1.0.0"), Err(6)),
        (json!("1.0.0"), json!([1]), Err(6)),
        (json!(1), json!(null), Err(6)),
    ];
    for (version, versions, expected) in cases {
        assert_eq!(chosen(version.clone(), versions.clone()), expected, "{version} {versions}");
    }
}

#[test]
fn malformed_lists_are_refused() {
    let plugins = json!([{"type": "x"}]);
    assert_eq!(code(&json!({"plugins": plugins})), 7);
    assert_eq!(code(&json!({"name": "a b", "plugins": plugins})), 7);
    assert_eq!(code(&json!({"name": "n", "plugins": []})), 7);
    assert_eq!(code(&json!({"name": "n", "plugins": [{}]})), 7);
    assert_eq!(code(&json!({"name": "n", "plugins": [{"type": "../x"}]})), 7);
    assert_eq!(code(&json!({"name": "n", "plugins": ["x"]})), 6);
    assert_eq!(code(&json!({"name": "n", "plugins": {}})), 6);
    assert_eq!(code(&json!({"name": "n", "disableCheck": 1, "plugins": plugins})), 6);
    assert_eq!(code(&json!({"name": "n", "disableGC": "yes", "plugins": plugins})), 6);
    assert_eq!(code(&json!([])), 6);
}

#[test]
fn plugins_may_be_elsewhere_unless_only_inlined_ones_count() {
    let list = read(&json!({"name": "n", "cniVersion": "1.1.0"})).unwrap();
    assert!(list.plugins.is_empty());
    assert_eq!(NetworkConfigList::from_json(&list.to_json()).unwrap(), list);
    assert_eq!(code(&json!({"name": "n", "loadOnlyInlinedPlugins": true})), 7);
}

#[test]
fn single_plugin_is_a_list_of_one() {
    let value = json!({"name": "n", "cniVersion": "0.4.0", "type": "bridge", "own": 1});
    let plugin = PluginConfig::from_value(value).unwrap();
    let list = NetworkConfigList::from_plugin(plugin.clone()).unwrap();
    assert_eq!((list.name.as_str(), list.version), ("n", SpecVersion::V0_4_0));
    assert_eq!(list.plugins, [plugin]);
    let untyped = PluginConfig::from_value(json!({"name": "n"})).unwrap();
    assert!(NetworkConfigList::from_plugin(untyped).is_err());
}

#[test]
fn plugin_gets_what_it_declares_and_no_more() {
    let list = read(&json!({
        "name": "n", "cniVersion": "1.0.0",
        "plugins": [{
            "type": "x", "own": 1, "Name": "other", "prevResult": {"stale": true},
            "capabilities": {"portMappings": true, "mac": true, "ips": false},
        }],
    }))
    .unwrap();
    let sent = json!({"portMappings": [1], "ips": ["10.0.0.1"], "bandwidth": {}});
    let config = list.plugin_request_config(0, None, sent.as_object().unwrap()).unwrap();
    let expected = json!({
        "type": "x", "own": 1, "name": "n", "cniVersion": "1.0.0",
        "runtimeConfig": {"portMappings": [1]},
    });
    assert_eq!(config.to_value(), expected);
    let config = list.plugin_request_config(0, None, &Map::new()).unwrap();
    assert!(!config.as_map().contains_key("runtimeConfig"));
}

#[test]
fn keys_that_only_a_runtime_makes_do_not_come_from_the_file() {
    let list = read(&json!({
        "name": "n", "cniVersion": "1.1.0",
        "plugins": [{
            "type": "x", "cni.dev/valid-attachments": [], "CNI.dev/other": 1, "cni.device": 2,
            "prevResult": {"cniVersion": "1.1.0"},
        }],
    }))
    .unwrap();
    let config = list.plugin_request_config(0, None, &Map::new()).unwrap();
    let expected = json!({"type": "x", "name": "n", "cniVersion": "1.1.0", "cni.device": 2});
    assert_eq!(config.to_value(), expected);
}

#[test]
fn prev_result_is_in_the_version_of_the_list() {
    let list =
        read(&json!({"name": "n", "cniVersion": "0.3.1", "plugins": [{"type": "x"}]})).unwrap();
    let prev = AddResult::default();
    let config = list.plugin_request_config(0, Some(&prev), &Map::new()).unwrap();
    assert_eq!(config.as_map()["prevResult"], json!({"cniVersion": "0.3.1", "dns": {}}));
    let error = list.plugin_request_config(1, None, &Map::new()).unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_NETWORK_CONFIG);
}
