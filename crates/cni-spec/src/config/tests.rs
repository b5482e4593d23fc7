//! One plugin's configuration.

use serde_json::json;

use super::*;

fn config(value: Value) -> PluginConfig {
    PluginConfig::from_value(value).unwrap()
}

#[test]
fn known_keys_are_read_in_any_case() {
    let config = config(json!({
        "Name": "pods", "TYPE": "bridge", "cniversion": "1.0.0", "IPAM": {"Type": "host-local"},
        "DNS": {"NameServers": ["10.0.0.10"]},
    }));
    assert_eq!(config.name().unwrap().as_str(), "pods");
    assert_eq!(config.plugin_type().unwrap().as_str(), "bridge");
    assert_eq!(config.version().unwrap(), SpecVersion::V1_0_0);
    assert_eq!(config.ipam_type().unwrap().unwrap().as_str(), "host-local");
    assert_eq!(config.dns().unwrap().nameservers, ["10.0.0.10"]);
}

#[test]
fn absent_keys_have_their_defaults() {
    let config = config(json!({"cniVersion": "", "ipam": {}}));
    assert_eq!(config.version().unwrap(), SpecVersion::V0_1_0);
    assert_eq!(config.ipam_type().unwrap(), None);
    assert!(config.dns().unwrap().is_empty());
    assert!(config.capabilities().is_empty());
    assert_eq!(config.prev_result().unwrap(), None);
    assert_eq!(config.valid_attachments().unwrap(), None);
    assert_eq!(config.runtime_config::<Value>("portMappings").unwrap(), None);
}

#[test]
fn wrong_keys_have_the_codes_of_the_reference() {
    let code = |value: Value, read: fn(&PluginConfig) -> Option<CniError>| {
        read(&config(value)).map(|error| error.code.0)
    };
    assert_eq!(code(json!({}), |config| config.name().err()), Some(7));
    assert_eq!(code(json!({"name": "a/b"}), |config| config.name().err()), Some(7));
    assert_eq!(code(json!({"name": 5}), |config| config.name().err()), Some(6));
    assert_eq!(code(json!({"type": "../x"}), |config| config.plugin_type().err()), Some(7));
    assert_eq!(code(json!({"cniVersion": "3.0.0"}), |config| config.version().err()), Some(1));
    assert_eq!(code(json!({"ipam": []}), |config| config.ipam_type().err()), Some(6));
    assert_eq!(code(json!({"ipam": {"type": "/"}}), |config| config.ipam_type().err()), Some(7));
    assert_eq!(code(json!({"prevResult": 1}), |config| config.prev_result().err()), Some(6));
}

#[test]
fn text_that_is_no_bounded_object_has_code_6() {
    let deep = format!("{{\"a\": {}1{}}}", "[".repeat(64), "]".repeat(64));
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_CONFIG_BYTES));
    for text in ["", "null", "[]", "{", &deep, &large] {
        let error = PluginConfig::from_json(text.as_bytes()).unwrap_err();
        assert_eq!(error.code, ErrorCode::DECODING_FAILURE);
    }
}

#[test]
fn unknown_keys_survive() {
    let text = json!({"type": "x", "cni.dev/own": [1, {"A": null}], "B": 1.5});
    let config = PluginConfig::from_json(text.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&config.to_json()).unwrap(), text);
}

#[test]
fn options_name_the_key_that_does_not_fit() {
    #[derive(Debug, Deserialize)]
    struct Options {
        mtu: u32,
    }
    assert_eq!(config(json!({"MTU": 1400})).options::<Options>().unwrap().mtu, 1400);
    let error = config(json!({"mtu": "1400"})).options::<Options>().unwrap_err();
    assert_eq!(error.code, ErrorCode::DECODING_FAILURE);
    assert!(error.msg.contains("configuration: mtu: invalid type"), "{error}");
}

#[test]
fn runtime_config_is_read_as_containerd_sends_it() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Mapping {
        host_port: u16,
    }
    let config = config(json!({
        "capabilities": {"portMappings": true, "ips": false, "mac": "true"},
        "runtimeConfig": {"portMappings": [{"HostPort": 80}], "mac": null},
    }));
    assert_eq!(config.capabilities(), ["portMappings"]);
    let mappings = config.runtime_config::<Vec<Mapping>>("portMappings").unwrap();
    assert_eq!(mappings, Some(vec![Mapping { host_port: 80 }]));
    assert_eq!(config.runtime_config::<String>("mac").unwrap(), None);
    let error = config.runtime_config::<Vec<u16>>("portMappings").unwrap_err();
    assert!(error.msg.contains("runtimeConfig.portMappings: [0]: "), "{error}");
}

#[test]
fn prev_result_has_the_version_of_the_configuration() {
    let old = config(json!({"cniVersion": "0.2.0", "prevResult": {"ip4": {"ip": "10.0.0.2/24"}}}));
    let result = old.prev_result().unwrap().unwrap();
    assert_eq!(result.ips[0].address.to_string(), "10.0.0.2/24");
    let new = config(json!({"cniVersion": "1.0.0", "PrevResult": {}}));
    let new = new.with_prev_result(&result).unwrap();
    assert_eq!(new.as_map().len(), 2);
    assert_eq!(new.as_map()["prevResult"]["ips"], json!([{"address": "10.0.0.2/24"}]));
}

#[test]
fn valid_attachments_are_read_from_either_key_and_back() {
    let list = json!([{"containerID": "a", "ifname": "eth0"}]);
    let old = config(json!({"cni.dev/attachments": list}));
    let valid = old.valid_attachments().unwrap().unwrap();
    assert_eq!(valid[0].container_id.as_str(), "a");
    let again = PluginConfig::default().with_valid_attachments(&valid);
    assert_eq!(again.as_map()["cni.dev/valid-attachments"], list);
    assert_eq!(again.valid_attachments().unwrap(), Some(valid));
    let empty = config(json!({"cni.dev/valid-attachments": []}));
    assert_eq!(empty.valid_attachments().unwrap(), Some(vec![]));
    let wrong =
        config(json!({"cni.dev/valid-attachments": [{"containerID": "a/b", "ifname": "e"}]}));
    assert_eq!(wrong.valid_attachments().unwrap_err().code, ErrorCode::DECODING_FAILURE);
}

#[test]
fn set_replaces_every_spelling() {
    let mut config = config(json!({"Name": "a", "NAME": "b"}));
    config.set("name", "c".into());
    assert_eq!(config.to_value(), json!({"name": "c"}));
}
