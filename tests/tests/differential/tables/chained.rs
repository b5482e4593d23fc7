//! For the plugins that come behind one that attaches: its result, and calls that are right or wrong for any of them.

use serde_json::{Value, json};

use super::VERSIONS;
use crate::base;
use crate::case::{Call, Case, Input, Previous, Step, calls, with};

/// The cases with pods that are attached already, and with the result of that before each ADD that names none.
pub(crate) fn behind(cases: Vec<Case>) -> Vec<Case> {
    cases.into_iter().map(|case| Case { steps: attached(case.steps), ..case }).collect()
}

/// The steps with pods that are attached already.
pub(crate) fn attached(steps: Vec<Step>) -> Vec<Step> {
    let with_result = steps.into_iter().map(|step| match step {
        Step::Call(call) if call.verb == "ADD" && call.previous == Previous::None => {
            let result = base::result(version(&call), call.pod.unwrap_or_default());
            call.previous(Previous::Given(result)).step()
        }
        other => other,
    });
    std::iter::once(Step::Base).chain(with_result).collect()
}

/// That of the configuration, where it is one.
fn version(call: &Call) -> &'static str {
    let Input::Config(config) = &call.input else { return "1.0.0" };
    let written = config["cniVersion"].as_str().unwrap_or_default();
    VERSIONS.into_iter().find(|version| *version == written).unwrap_or("1.0.0")
}

/// Every verb with every version of the specification, for one pod.
pub(crate) fn versions(plugin: &'static str, config: &Value) -> Vec<Case> {
    let cases = VERSIONS.iter().flat_map(|version| {
        let config = with(config, json!({ "cniVersion": version }));
        let valid = with(&config, json!({ "cni.dev/valid-attachments": [] }));
        let life = calls(&["ADD", "CHECK", "DEL", "DEL"], plugin, &config);
        let node = [("STATUS", &config), ("VERSION", &config), ("GC", &valid)];
        let node = node.map(|(verb, config)| Call::new(verb, plugin, config).step());
        [
            Case::new(format!("{plugin} {version} life"), life),
            Case::new(format!("{plugin} {version} node"), node.into()),
        ]
    });
    cases.collect()
}

/// The lives of a pod with each of these options: attached, checked, detached with the result and once more without.
pub(crate) fn lives(
    plugin: &'static str,
    plain: &Value,
    options: Vec<(&'static str, Value)>,
) -> Vec<Case> {
    let cases = options.into_iter().map(|(what, options)| {
        let config = with(plain, options);
        let mut steps = calls(&["ADD", "CHECK"], plugin, &config);
        steps.push(Call::new("DEL", plugin, &config).previous(Previous::Last).step());
        steps.extend(calls(&["DEL"], plugin, &config));
        Case::new(format!("{plugin}, {what}"), steps)
    });
    cases.collect()
}

/// Options that an ADD cannot have, and the DEL after it.
pub(crate) fn refused(
    plugin: &'static str,
    plain: &Value,
    options: Vec<(&'static str, Value)>,
) -> Vec<Case> {
    let cases = options.into_iter().map(|(what, options)| {
        let config = with(plain, options);
        Case::new(format!("{plugin} refuses {what}"), calls(&["ADD", "DEL"], plugin, &config))
    });
    cases.collect()
}

/// What somebody has changed between ADD and CHECK.
pub(crate) fn changed(
    plugin: &'static str,
    config: &Value,
    changes: Vec<(&'static str, Step)>,
) -> Vec<Case> {
    let cases = changes.into_iter().map(|(what, change)| {
        let mut steps = calls(&["ADD"], plugin, config);
        steps.push(change);
        steps.extend(calls(&["CHECK", "DEL"], plugin, config));
        Case::new(format!("{plugin}, {what}"), steps)
    });
    cases.collect()
}

/// Calls that come twice, too late, or without what a runtime may leave out.
pub(crate) fn order(plugin: &'static str, config: &Value) -> Vec<Case> {
    let run = |verbs: &[&'static str]| calls(verbs, plugin, config);
    let last = |verb| Call::new(verb, plugin, config).previous(Previous::Last);
    let and = |mut steps: Vec<Step>, more: Vec<Step>| {
        steps.extend(more);
        steps
    };
    let newest = with(config, json!({ "cniVersion": "1.1.0" }));
    let none_valid = with(&newest, json!({ "cni.dev/valid-attachments": [] }));
    let this_valid = with(
        &newest,
        json!({ "cni.dev/valid-attachments": [{ "containerID": "$ID", "ifname": "eth0" }] }),
    );
    let cases = [
        ("never added", and(run(&["DEL", "DEL"]), vec![])),
        ("added twice", and(run(&["ADD", "ADD"]), vec![last("DEL").step()])),
        ("added again", run(&["ADD", "DEL", "ADD", "CHECK", "DEL"])),
        ("checked without a result", {
            let check = Call::new("CHECK", plugin, config).previous(Previous::None).step();
            and(run(&["ADD"]), vec![check])
        }),
        ("checked and never added", {
            let given = Previous::Given(base::result("1.0.0", 0));
            vec![Call::new("CHECK", plugin, config).previous(given).step()]
        }),
        ("its pod is gone", and(and(run(&["ADD"]), vec![Step::DeletePod]), run(&["DEL", "DEL"]))),
        ("its namespace is not named", {
            and(run(&["ADD"]), vec![last("DEL").with("CNI_NETNS", "").step()])
        }),
        ("the namespace is another", {
            and(run(&["ADD"]), vec![last("DEL").with("CNI_NETNS", "/nowhere").step()])
        }),
        ("garbage is collected", {
            let gc = |config| Call::new("GC", plugin, config).step();
            and(calls(&["ADD"], plugin, &newest), vec![gc(&this_valid), gc(&none_valid)])
        }),
        ("garbage is collected without a list", {
            and(calls(&["ADD"], plugin, &newest), calls(&["GC"], plugin, &newest))
        }),
        ("an interface that is not there", {
            let call = |verb| Call::new(verb, plugin, config).with("CNI_IFNAME", "net1").step();
            vec![call("ADD"), call("DEL")]
        }),
    ];
    let named = |(what, steps)| Case::new(format!("{plugin}, {what}"), steps);
    cases.into_iter().map(named).chain(results(plugin, config)).collect()
}

/// Results of the plugin before that are none, or other ones than it should give.
fn results(plugin: &'static str, config: &Value) -> Vec<Case> {
    let bare = json!({
        "cniVersion": "1.0.0", "ips": [{ "address": "10.1.0.2/24" }, { "address": "fd00:1::2/64" }],
    });
    let results = [
        ("no result of a plugin before", Value::Null),
        ("a result that is text", json!("x")),
        ("an empty result", json!({ "cniVersion": "1.0.0" })),
        ("a result of another version", base::result("0.3.1", 0)),
        ("a result without interfaces", bare),
    ];
    let cases = results.into_iter().map(|(what, result)| {
        let given = Previous::Given(result);
        let call = |verb| Call::new(verb, plugin, config).previous(given.clone()).step();
        Case::new(format!("{plugin}, {what}"), ["ADD", "CHECK", "DEL"].map(call).into())
    });
    cases.collect()
}

/// What is wrong for any plugin is much the same for all: some of it.
pub(crate) fn input(plugin: &'static str, config: &Value) -> Vec<Case> {
    let wanted = [
        "no name",
        "a name with a slash",
        "no version",
        "a version to come",
        "an unknown key",
        "a list as runtimeConfig",
        "text as dns",
        "null as",
        "half an object",
    ];
    let mut cases = super::calls::input(plugin, config);
    cases.retain(|case| wanted.iter().any(|part| case.name.contains(part)));
    cases
}

/// Some variables that are missing or wrong.
pub(crate) fn variables(plugin: &'static str, config: &Value) -> Vec<Case> {
    let wanted = [
        "ADD without",
        "DEL without",
        "CHECK without",
        "../up",
        "a:b",
        "IgnoreUnknown=1",
        "no-equals",
    ];
    let mut cases = super::calls::variables(plugin, config);
    cases.retain(|case| wanted.iter().any(|part| case.name.contains(part)));
    cases
}
