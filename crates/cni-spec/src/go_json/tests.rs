//! The differences between serde and Go, one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Options {
    host_port: u16,
    host_ip: String,
    is_gateway: bool,
    limit: Option<u32>,
    rate: f64,
    ranges: Vec<Vec<Range>>,
    labels: BTreeMap<String, String>,
    mode: Mode,
    nested: Option<Box<Options>>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    subnet: String,
    #[serde(default)]
    range_start: String,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Bridge,
    Hairpin,
}

#[test]
fn struct_keys_are_matched_without_regard_to_case() {
    let value = json!({
        "HostPort": 80, "HOSTIP": "::1", "isgateway": true, "Limit": 5, "unknown": [1],
        "Ranges": [[{"SUBNET": "10.0.0.0/24", "RangeStart": "10.0.0.9"}]],
        "Mode": "hairpin", "Nested": {"HostPort": 81},
    });
    let options: Options = decode(&value).unwrap();
    assert_eq!((options.host_port, options.limit), (80, Some(5)));
    assert_eq!(options.host_ip, "::1");
    assert!(options.is_gateway);
    assert_eq!(options.ranges[0][0].range_start, "10.0.0.9");
    assert_eq!(options.mode, Mode::Hairpin);
    assert_eq!(options.nested.unwrap().host_port, 81);
}

#[test]
fn map_keys_keep_their_case() {
    let options: Options = decode(&json!({"labels": {"App": "a", "app": "b"}})).unwrap();
    assert_eq!(options.labels.len(), 2);
}

#[test]
fn letters_that_fold_into_ascii_match() {
    assert!(same_key("\u{212a}ey\u{17f}", "KEYS"));
    assert!(!same_key("straße", "STRASSE") && !same_key("é", "É"));
}

#[test]
fn null_is_absent_in_a_struct_and_zero_elsewhere() {
    let value = json!({
        "hostPort": null, "hostIp": null, "limit": null, "ranges": [null, [{"subnet": "a"}]],
        "labels": {"x": null}, "nested": null, "mode": null,
    });
    let options: Options = decode(&value).unwrap();
    assert_eq!(options.ranges, [vec![], vec![Range { subnet: "a".into(), ..Range::default() }]]);
    assert_eq!(options.labels["x"], "");
    assert_eq!(options.limit, None);
    assert_eq!(decode::<Options>(&Value::Null).unwrap(), Options::default());
    assert_eq!(decode::<Vec<u8>>(&json!([1, null])).unwrap(), [1, 0]);
}

#[test]
fn last_of_two_spellings_counts() {
    let options: Options = decode(&json!({"HostPort": 1, "hostPort": 2})).unwrap();
    assert_eq!(options.host_port, 2);
    let options: Options = decode(&json!({"HostPort": 1, "hostPort": null})).unwrap();
    assert_eq!(options.host_port, 1);
}

#[test]
fn errors_name_the_path() {
    let cases = [
        (json!({"hostPort": "80"}), "hostPort: invalid type: string \"80\", expected u16"),
        (json!({"HostPort": 70000}), "hostPort: invalid value: integer `70000`, expected u16"),
        (json!({"nested": {"Ranges": [[{}, {"subnet": "x"}]]}}), "nested.ranges[0][0]: missing"),
        (json!({"ranges": [[], 5]}), "ranges[1]: invalid type"),
        (json!({"labels": {"a": 1}}), "labels.a: invalid type"),
        (json!({"hostPort": 80.5}), "hostPort: invalid type: floating point"),
        (json!({"ranges": [[["10.0.0.0/24"]]]}), "ranges[0][0]: invalid type: array"),
    ];
    for (value, expected) in cases {
        let error = decode::<Options>(&value).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn values_and_untyped_parts_are_kept_as_they_are() {
    let value = json!({"A": [null, {"b": 1.5}], "c": -3, "D": null});
    assert_eq!(decode::<Value>(&value).unwrap(), value);
}

fn respelled(value: &Value, capitals: bool) -> Value {
    let spell = |key: &String| if capitals { key.to_uppercase() } else { key.to_lowercase() };
    match value {
        Value::Object(map) => {
            map.iter().map(|(key, inner)| (spell(key), respelled(inner, capitals))).collect()
        }
        Value::Array(items) => items.iter().map(|item| respelled(item, capitals)).collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn any_spelling_decodes_to_the_same(
        host_port: u16, is_gateway: bool, limit: Option<u32>, subnets in proptest::collection::vec("[a-z0-9/]*", 0..3),
        capitals: bool,
    ) {
        let range = |subnet: String| Range { subnet, range_start: "x".into() };
        let ranges = vec![subnets.into_iter().map(range).collect()];
        let options = Options { host_port, is_gateway, limit, ranges, ..Options::default() };
        let written = serde_json::to_value(&options).unwrap();
        prop_assert_eq!(&decode::<Options>(&written).unwrap(), &options);
        prop_assert_eq!(&decode::<Options>(&respelled(&written, capitals)).unwrap(), &options);
    }
}
