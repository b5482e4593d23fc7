//! The same calls of the Go program and of ours leave the same chains and rules, and either removes the other's.

use podnet_testkit::Pod;
use serde_json::{Value, json};

use super::super::twins::without_empty_dns;
use super::node::{FLAVOURS, Node, after, result};

fn options() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "backend": "iptables" }),
        json!({ "backend": "nothing known", "firewalldZone": "pods" }),
        json!({ "backend": "", "iptablesAdminChainName": "MY-ADMIN" }),
        json!({ "ingressPolicy": "open" }),
        json!({ "ingressPolicy": "same-bridge" }),
        json!({ "ingressPolicy": "isolated", "iptablesAdminChainName": "MY-ADMIN" }),
    ]
}

/// The addresses of a first pod, and of a second.
const PODS: [[&[&str]; 2]; 3] = [
    [&["10.1.0.2/24"], &["10.1.0.3/24"]],
    [&["10.1.0.2/24", "fd00::2/64"], &["fd00::3/64"]],
    [&["fd00::2/64", "10.1.0.2/24", "10.1.0.4/24"], &["10.1.0.5/16"]],
];

/// A node for each program, and a pod on each.
fn two(flavour: &'static str) -> [(Node, Pod); 2] {
    [(); 2].map(|()| {
        let node = Node::new(flavour);
        let pod = node.host.add_pod("web").unwrap();
        (node, pod)
    })
}

/// Calls the Go program on the first node and ours on the second: same outcome, same rules.
fn both(nodes: &[(Node, Pod); 2], verb: &str, id: &str, config: &Value, test: &str) -> Option<()> {
    let [(theirs, pod), (other, own)] = nodes;
    let expected = theirs.go(config.clone(), test)?.call(verb, id, pod.path());
    let outcome = other.ours("firewall", config.clone()).call(verb, id, own.path());
    let what = format!("{verb} {id} {config} {}", theirs.flavour);
    assert_eq!(outcome.status, expected.status, "{what}: {} {}", outcome.output, expected.output);
    if outcome.status == 0 {
        let [output, expected] = [outcome.output, expected.output].map(without_empty_dns);
        assert_eq!(output, expected, "{what}");
    }
    assert_eq!(other.saved(), theirs.saved(), "{what}");
    Some(())
}

#[test]
fn rules_are_those_of_the_go_program() {
    let test = "rules_are_those_of_the_go_program";
    for flavour in FLAVOURS {
        for (options, pods) in options().into_iter().zip(PODS.into_iter().cycle()) {
            let nodes = two(flavour);
            let [first, second] = pods.map(|addresses| after(&options, &result(addresses)));
            for (verb, id, config) in [
                ("ADD", "w1", &first),
                ("CHECK", "w1", &first),
                ("ADD", "w1", &first),
                ("ADD", "w2", &second),
                ("CHECK", "w2", &second),
                ("DEL", "w1", &first),
                ("DEL", "w1", &first),
                ("CHECK", "w1", &first),
                ("ADD", "w1", &first),
                ("DEL", "w2", &second),
                ("DEL", "w1", &first),
            ] {
                let Some(()) = both(&nodes, verb, id, config, test) else { return };
            }
        }
    }
}

/// Each program deletes and checks what the other one added, and adds beside it.
#[test]
fn a_node_changes_programs_with_pods_running() {
    let test = "a_node_changes_programs_with_pods_running";
    for flavour in FLAVOURS {
        for policy in ["open", "same-bridge", "isolated"] {
            let nodes = two(flavour);
            let options = json!({ "ingressPolicy": policy });
            let [first, second] = PODS[1].map(|addresses| after(&options, &result(addresses)));
            let Some(()) = both(&nodes, "ADD", "w1", &first, test) else { return };
            // They change places.
            let [(theirs, pod), (other, own)] = nodes;
            let nodes = [(other, own), (theirs, pod)];
            for (verb, id, config) in [
                ("CHECK", "w1", &first),
                ("ADD", "w1", &first),
                ("ADD", "w2", &second),
                ("DEL", "w1", &first),
                ("CHECK", "w2", &second),
            ] {
                both(&nodes, verb, id, config, test).unwrap();
            }
            let [one, other] = nodes;
            let nodes = [other, one];
            both(&nodes, "DEL", "w2", &second, test).unwrap();
            assert!(!nodes[0].0.saved().iter().any(|line| line.contains("-j ACCEPT")));
        }
    }
}

#[test]
fn policies_of_one_bridge_after_another_are_as_the_go_program_has_them() {
    let test = "policies_of_one_bridge_after_another_are_as_the_go_program_has_them";
    for flavour in FLAVOURS {
        let nodes = two(flavour);
        for (id, bridge, policy) in [
            ("w1", "br0", "open"),
            ("w2", "br0", "same-bridge"),
            ("w3", "br1", "isolated"),
            ("w4", "br0", "isolated"),
            ("w5", "br1", "same-bridge"),
            ("w6", "br2", "open"),
        ] {
            let address = format!("10.1.0.{}/24", &id[1..]);
            let mut result = result(&[&address]);
            result["interfaces"][0]["name"] = bridge.into();
            let config = after(&json!({ "ingressPolicy": policy }), &result);
            let Some(()) = both(&nodes, "ADD", id, &config, test) else { return };
            both(&nodes, "CHECK", id, &config, test).unwrap();
        }
    }
}

#[test]
fn older_versions_have_the_same_rules() {
    let test = "older_versions_have_the_same_rules";
    let nodes = two("nft");
    let mut result = result(&["10.1.0.2/24"]);
    result["cniVersion"] = "0.4.0".into();
    result["ips"][0]["version"] = "4".into();
    let config = after(&json!({}), &result);
    for verb in ["ADD", "CHECK", "DEL"] {
        let Some(()) = both(&nodes, verb, "w1", &config, test) else { return };
    }
    // Theirs begin with 0.4.0.
    let (node, pod) = &nodes[1];
    for version in ["0.3.0", "0.3.1"] {
        result["cniVersion"] = version.into();
        let outcome = node.call("ADD", "w1", pod.path(), &json!({}), &result);
        assert_eq!(outcome.ok()["ips"], result["ips"]);
        assert_eq!(node.rules("iptables", "CNI-FORWARD").len(), 3);
        node.call("DEL", "w1", pod.path(), &json!({}), &result).ok();
        assert_eq!(node.rules("iptables", "CNI-FORWARD").len(), 1);
    }
}
