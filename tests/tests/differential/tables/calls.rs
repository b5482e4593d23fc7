//! Calls that are wrong for any plugin, or right in every version.

use serde_json::{Value, json};

use super::VERSIONS;
use crate::case::{Call, Case, Previous, calls, with};

/// Every verb with every version of the specification.
pub(crate) fn versions(plugin: &'static str, config: &Value) -> Vec<Case> {
    let cases = VERSIONS.iter().flat_map(|version| {
        let config = with(config, json!({ "cniVersion": version }));
        let valid = with(&config, json!({ "cni.dev/valid-attachments": [] }));
        let mut life = calls(&["ADD", "CHECK", "DEL", "DEL"], plugin, &config);
        life.insert(2, Call::new("ADD", plugin, &config).of_pod(1).step());
        let node = [("GC", &valid), ("STATUS", &config), ("VERSION", &config)];
        let node = node.map(|(verb, config)| Call::new(verb, plugin, config).step());
        [
            Case::new(format!("{plugin} {version} life"), life),
            Case::new(format!("{plugin} {version} node"), node.into()),
        ]
    });
    cases.collect()
}

/// Variables that are missing or wrong, for the verbs that look at them.
pub(crate) fn variables(plugin: &'static str, config: &Value) -> Vec<Case> {
    let names = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"];
    let missing = ["ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"].into_iter().map(|verb| {
        let steps = names.map(|name| Call::new(verb, plugin, config).without(name).step());
        Case::new(format!("{plugin} {verb} without a variable"), steps.into())
    });
    let wrong = WRONG.iter().map(|(name, value)| {
        let steps =
            ["ADD", "DEL"].map(|verb| Call::new(verb, plugin, config).with(name, value).step());
        Case::new(format!("{plugin} with {name}={value}"), steps.into())
    });
    missing.chain(wrong).collect()
}

const WRONG: &[(&str, &str)] = &[
    ("CNI_CONTAINERID", ""),
    ("CNI_CONTAINERID", "-begins"),
    ("CNI_CONTAINERID", "has space"),
    ("CNI_CONTAINERID", "../up"),
    ("CNI_CONTAINERID", "dots.and_lines-ok"),
    ("CNI_IFNAME", ""),
    ("CNI_IFNAME", "sixteen-letters-"),
    ("CNI_IFNAME", "fifteen-letters"),
    ("CNI_IFNAME", "."),
    ("CNI_IFNAME", ".."),
    ("CNI_IFNAME", "a/b"),
    ("CNI_IFNAME", "a:b"),
    ("CNI_IFNAME", "a b"),
    ("CNI_NETNS", ""),
    ("CNI_NETNS", "/nowhere"),
    ("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=web"),
    ("CNI_ARGS", "IgnoreUnknown=true;A=B=C"),
    ("CNI_ARGS", "no-equals-sign"),
    ("CNI_ARGS", "A=1;"),
];

/// Standard input that is no configuration, or one that lacks what all need.
pub(crate) fn input(plugin: &'static str, config: &Value) -> Vec<Case> {
    let keys: [(&str, Value); 13] = [
        ("no name", json!({ "name": null })),
        ("an empty name", json!({ "name": "" })),
        ("a name with a slash", json!({ "name": "a/b" })),
        ("a name with a space", json!({ "name": "a b" })),
        ("a number as name", json!({ "name": 7 })),
        ("no version", json!({ "cniVersion": null })),
        ("an empty version", json!({ "cniVersion": "" })),
        ("a version to come", json!({ "cniVersion": "9.9.9" })),
        ("a version that is none", json!({ "cniVersion": "one" })),
        ("a number as version", json!({ "cniVersion": 1 })),
        ("an unknown key", json!({ "neverHeardOf": { "x": [1] } })),
        ("a list as runtimeConfig", json!({ "runtimeConfig": [] })),
        ("text as dns", json!({ "dns": "8.8.8.8" })),
    ];
    let keyed = keys.into_iter().map(|(what, keys)| {
        let config = with(config, keys);
        Case::new(format!("{plugin} with {what}"), calls(&["ADD", "DEL"], plugin, &config))
    });
    let texts = [
        ("nothing", ""),
        ("null", "null"),
        ("a list", "[]"),
        ("half an object", "{\"name\":"),
        ("text", "\"x\""),
    ];
    let texts = texts.into_iter().map(|(what, text)| {
        let steps = ["ADD", "DEL", "CHECK"]
            .map(|verb| Call::new(verb, plugin, config).previous(Previous::None).text(text).step());
        Case::new(format!("{plugin} with {what} as configuration"), steps.into())
    });
    let verbs = ["add", "CREATE", " ADD"].into_iter().map(|verb| {
        Case::new(
            format!("{plugin} called with {verb:?}"),
            vec![Call::new(verb, plugin, config).step()],
        )
    });
    keyed.chain(texts).chain(verbs).collect()
}

/// Results of a plugin before that are missing or no results.
pub(crate) fn previous(plugin: &'static str, config: &Value) -> Vec<Case> {
    let results = [
        ("none", Previous::None),
        ("an empty one", Previous::Given(json!({ "cniVersion": "1.0.0" }))),
        ("text", Previous::Given(json!("x"))),
        (
            "a wrong address",
            Previous::Given(
                json!({ "cniVersion": "1.0.0", "ips": [{ "address": "10.1.0.300/24" }] }),
            ),
        ),
        ("another version", Previous::Given(json!({ "cniVersion": "0.3.1", "ips": [] }))),
    ];
    let cases = results.into_iter().map(|(what, result)| {
        let mut steps = calls(&["ADD"], plugin, config);
        steps.push(Call::new("CHECK", plugin, config).previous(result.clone()).step());
        steps.push(Call::new("DEL", plugin, config).previous(result).step());
        Case::new(format!("{plugin} CHECK with prevResult: {what}"), steps)
    });
    cases.collect()
}
