//! Many pods at once: no rule is lost and none is there twice.

use std::thread;

use podnet_testkit::Pod;
use serde_json::json;

use super::node::{FAMILIES, FLAVOURS, Node, after, result};

const PODS: usize = 32;

fn at_once(call: impl Fn(usize) + Sync) {
    let call = &call;
    thread::scope(|scope| {
        for number in 0..PODS {
            scope.spawn(move || call(number));
        }
    });
}

fn addresses(number: usize) -> [String; 2] {
    [format!("10.1.0.{}/24", number + 2), format!("fd00::{:x}/64", number + 2)]
}

/// The rules of every chain, each once.
fn check_complete(node: &Node) {
    for family in FAMILIES {
        assert_eq!(node.rules(family, "FORWARD").len(), 2, "{:#?}", node.saved());
        let mut rules = node.rules(family, "CNI-FORWARD");
        assert_eq!(rules.len(), 1 + 2 * PODS, "{rules:#?}");
        rules.sort();
        rules.dedup();
        assert_eq!(rules.len(), 1 + 2 * PODS);
        assert_eq!(node.rules(family, "CNI-ISOLATION-STAGE-1").len(), 3);
        assert_eq!(node.rules(family, "CNI-ISOLATION-STAGE-2").len(), 2);
    }
}

#[test]
fn thirty_two_pods_at_once_lose_no_rule_and_make_none_twice() {
    for flavour in FLAVOURS {
        let node = Node::new(flavour);
        let pods: Vec<Pod> = (0..PODS).map(|_| node.host.add_pod("web").unwrap()).collect();
        let options = json!({ "ingressPolicy": "isolated" });
        let call = |verb: &'static str| {
            at_once(|number| {
                let addresses = addresses(number);
                let result = result(&addresses.each_ref().map(String::as_str));
                let id = format!("w{number}");
                node.call(verb, &id, pods[number].path(), &options, &result).ok();
            });
        };
        for _ in 0..2 {
            call("ADD");
            check_complete(&node);
            call("CHECK");
            call("DEL");
            for family in FAMILIES {
                assert_eq!(node.rules(family, "CNI-FORWARD").len(), 1);
            }
        }
    }
}

/// The Go program looks before it makes a rule and holds no lock meanwhile, so it may make a jump twice; but no pod's
/// rule is lost, whoever else changes the table.
#[test]
fn pods_of_both_programs_at_once_lose_no_rule() {
    let test = "pods_of_both_programs_at_once_lose_no_rule";
    for flavour in FLAVOURS {
        let node = Node::new(flavour);
        let pods: Vec<Pod> = (0..PODS).map(|_| node.host.add_pod("web").unwrap()).collect();
        let Some(_) = node.go(json!({}), test) else { return };
        let call = |verb: &'static str| {
            at_once(|number| {
                let config = after(&json!({}), &result(&[&addresses(number)[0]]));
                let id = format!("w{number}");
                let cni = match number % 2 {
                    0 => node.go(config, test).unwrap(),
                    _ => node.ours("firewall", config),
                };
                cni.call(verb, &id, pods[number].path()).ok();
            });
        };
        call("ADD");
        let rules = node.rules("iptables", "CNI-FORWARD");
        let accepting =
            |rules: &[String]| rules.iter().filter(|rule| rule.ends_with("ACCEPT")).count();
        assert_eq!(accepting(&rules), 2 * PODS, "{rules:#?}");
        call("DEL");
        assert_eq!(accepting(&node.rules("iptables", "CNI-FORWARD")), 0);
    }
}
