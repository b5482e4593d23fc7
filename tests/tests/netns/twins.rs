//! The same call of the Go program and of ours, each on a host of its own, and what can be seen of both.

use std::path::Path;
use std::process::Command;

use podnet_netutil::Netns;
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::{newest_peer, own};
use podnet_tests::{Cni, Outcome};
use serde_json::{Value, json};

/// Our program as `plugin`.
pub(super) fn ours<'a>(host: &'a TestHost, plugin: &str, config: Value) -> Cni<'a> {
    let program = own("podnet-cni");
    // Nothing is looked up there: delegates of its own types run in its own process.
    let path = program.parent().unwrap().to_owned();
    Cni { host, program, arguments: vec![plugin.to_owned()], path, config }
}

/// The Go program `plugin`; none where there is none of release 1.9.
pub(super) fn go<'a>(
    host: &'a TestHost,
    plugin: &str,
    config: Value,
    test: &str,
) -> Option<Cni<'a>> {
    let program = newest_peer(plugin, test)?;
    let path = program.parent().unwrap().to_owned();
    Some(Cni { host, program, arguments: Vec::new(), path, config })
}

/// The program with these folders of other programs, which some Go programs run.
pub(super) fn with_programs<'a>(cni: Cni<'a>, folders: &str) -> Cni<'a> {
    let program = cni.program.to_str().unwrap().to_owned();
    let arguments = [vec![format!("PATH={folders}"), program], cni.arguments].concat();
    Cni { program: "/usr/bin/env".into(), arguments, ..cni }
}

/// The same calls for another interface of the container.
pub(super) fn for_interface<'a>(cni: &Cni<'a>, interface: &str) -> Cni<'a> {
    let program = cni.program.to_str().unwrap().to_owned();
    let arguments = [vec![format!("CNI_IFNAME={interface}"), program], cni.arguments.clone()];
    Cni { program: "/usr/bin/env".into(), arguments: arguments.concat(), ..cni.clone() }
}

/// Whether the program is one of those that speak 1.1.0, and have the options that came with it or before it.
pub(super) fn is_recent(cni: &Cni<'_>) -> bool {
    let told = cni.call("VERSION", "", Path::new("")).ok();
    told["supportedVersions"].as_array().is_some_and(|versions| versions.contains(&json!("1.1.0")))
}

/// A call with the result of ADD as `prevResult`.
pub(super) fn call_after(
    cni: &Cni<'_>,
    verb: &str,
    id: &str,
    netns: &Path,
    result: &Value,
) -> Outcome {
    let mut cni = cni.clone();
    cni.config["prevResult"] = result.clone();
    cni.call(verb, id, netns)
}

/// What `ip -j` says inside a namespace.
pub(super) fn ip(netns: &Netns, arguments: &[&str]) -> Value {
    let command = || Command::new("/usr/bin/ip").arg("-j").args(arguments).output().unwrap();
    let output = netns.run(command).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text }).unwrap()
}

/// Addresses and routes of a namespace as sorted lines, without what differs from one host to another: names and
/// addresses that were made up, and what links do by themselves for IPv6.
pub(super) fn addresses_and_routes(netns: &Netns) -> Vec<String> {
    let mut lines = Vec::new();
    for link in ip(netns, &["address", "show"]).as_array().unwrap() {
        let name = link_name(&link["ifname"]);
        for address in link["addr_info"].as_array().unwrap() {
            if address["scope"] == "link" {
                continue;
            }
            lines.push(format!(
                "{name}: {}/{} brd {} {}",
                address["local"], address["prefixlen"], address["broadcast"], address["scope"],
            ));
        }
    }
    for family in ["-4", "-6"] {
        for route in ip(netns, &[family, "route", "show", "table", "main"]).as_array().unwrap() {
            let destination = route["dst"].as_str().unwrap();
            if destination.starts_with("fe80::") && route["gateway"].is_null() {
                continue;
            }
            lines.push(format!(
                "{family} {destination} by {} dev {} scope {} from {} metric {}",
                route["gateway"],
                link_name(&route["dev"]),
                route["scope"],
                route["prefsrc"],
                route["metric"],
            ));
        }
    }
    lines.sort();
    lines
}

fn link_name(name: &Value) -> &str {
    let name = name.as_str().unwrap();
    if name.starts_with("veth") { "veth" } else { name }
}

/// A result without an empty `dns`, which only older Go programs write.
pub(super) fn without_empty_dns(mut result: Value) -> Value {
    if result["dns"] == json!({}) {
        result.as_object_mut().unwrap().remove("dns");
    }
    result
}

/// A result without what differs from one host to another.
pub(super) fn comparable(result: Value, pod: &Pod) -> Value {
    let mut result = without_empty_dns(result);
    let netns = pod.path().to_str().unwrap();
    for interface in result["interfaces"].as_array_mut().into_iter().flatten() {
        interface["name"] = link_name(&interface["name"]).into();
        assert!(interface["mac"].is_string(), "{interface}");
        interface["mac"] = "made up".into();
        // Only ours tell it, and only since 1.1.0.
        interface.as_object_mut().unwrap().remove("mtu");
        if interface["sandbox"] == netns {
            interface["sandbox"] = "the pod's".into();
        }
    }
    result
}
