//! What is missing is found and nothing is made for it; what fails leaves nothing; what cannot be is refused.

use std::path::Path;

use serde_json::{Value, json};

use super::node::{FAMILIES, FLAVOURS, Node, after, result};

const BOTH: [&str; 2] = ["10.1.0.2/24", "fd00::2/64"];

#[test]
fn check_names_each_missing_rule_and_makes_none() {
    for flavour in FLAVOURS {
        let node = Node::new(flavour);
        let pod = node.host.add_pod("web").unwrap();
        let (options, result) = (json!({ "ingressPolicy": "isolated" }), result(&BOTH));
        let call = |verb| node.call(verb, "w1", pod.path(), &options, &result);
        let (_, message) = call("CHECK").error();
        assert!(message.contains("FORWARD") && message.contains("ip6tables"), "{message}");
        assert!(!node.saved().iter().any(|line| line.contains("CNI-")), "{:?}", node.saved());
        call("ADD").ok();
        let whole = node.saved();
        for (family, chain, number) in [
            ("iptables", "FORWARD", 1),
            ("iptables", "FORWARD", 2),
            ("ip6tables", "CNI-FORWARD", 1),
            ("ip6tables", "CNI-FORWARD", 2),
            ("iptables", "CNI-FORWARD", 3),
            ("iptables", "CNI-ISOLATION-STAGE-1", 1),
            ("iptables", "CNI-ISOLATION-STAGE-1", 2),
            ("ip6tables", "CNI-ISOLATION-STAGE-2", 1),
        ] {
            node.iptables(family, &format!("-D {chain} {number}")).unwrap();
            let without = node.saved();
            let (_, message) = call("CHECK").error();
            let place = format!("{family}: chain {chain} has no rule");
            assert!(message.starts_with(&place), "{message}");
            assert_eq!(node.saved(), without);
            call("ADD").ok();
            call("CHECK").ok();
        }
        for family in FAMILIES {
            node.iptables(family, "-F").unwrap();
        }
        assert!(call("CHECK").error().1.contains("FORWARD"));
        call("ADD").ok();
        assert_eq!(node.saved(), whole);
    }
}

#[test]
fn an_add_that_fails_in_one_family_takes_back_the_other() {
    for flavour in FLAVOURS {
        let node = Node::new(flavour);
        let pod = node.host.add_pod("web").unwrap();
        let call = |verb| node.call(verb, "w1", pod.path(), &json!({}), &result(&BOTH));
        node.replace("ip6tables-restore", "/bin/false");
        let (_, message) = call("ADD").error();
        assert!(
            message.contains("ip6tables-restore") && message.contains("CNI-FORWARD"),
            "{message}"
        );
        assert_eq!(node.rules("iptables", "CNI-FORWARD").len(), 1);
        // What was there before stays.
        node.call("ADD", "w0", pod.path(), &json!({}), &result(&["10.1.0.2/24"])).ok();
        assert!(call("ADD").status != 0);
        assert_eq!(node.rules("iptables", "CNI-FORWARD").len(), 3);
        call("DEL").ok();
        assert_eq!(node.rules("iptables", "CNI-FORWARD").len(), 1);
    }
}

#[test]
fn a_family_of_which_the_pod_has_no_address_is_not_looked_at() {
    let test = "a_family_of_which_the_pod_has_no_address_is_not_looked_at";
    for flavour in FLAVOURS {
        let node = Node::new(flavour);
        let pod = node.host.add_pod("web").unwrap();
        for program in ["ip6tables", "ip6tables-save", "ip6tables-restore"] {
            node.replace(program, "/bin/false");
        }
        let result = result(&BOTH[..1]);
        for verb in ["ADD", "CHECK", "STATUS", "DEL"] {
            node.call(verb, "w1", pod.path(), &json!({}), &result).ok();
        }
        let Some(go) = node.go(after(&json!({}), &result), test) else { return };
        assert!(go.call("ADD", "w1", pod.path()).error().1.contains("iptables"));
    }
}

#[test]
fn iptables_is_found_beside_the_search_path_and_its_failures_are_told() {
    let node = Node::new("nft");
    let pod = node.host.add_pod("web").unwrap();
    let call = |verb| node.call(verb, "w1", pod.path(), &json!({}), &result(&BOTH[..1]));
    for program in ["iptables-save", "iptables-restore"] {
        node.replace(program, "/nowhere");
    }
    call("ADD").ok();
    assert_eq!(node.rules("iptables", "CNI-FORWARD").len(), 3);
    node.replace("iptables-save", "/bin/false");
    for (verb, code) in [("STATUS", 50), ("ADD", 999), ("CHECK", 999), ("DEL", 999)] {
        let (told, message) = call(verb).error();
        assert!(told == code && message.contains("iptables-save"), "{verb}: {told} {message}");
    }
}

#[test]
fn a_node_without_iptables_adds_no_pod_and_lets_pods_go() {
    let node = Node::new("nft");
    let pod = node.host.add_pod("web").unwrap();
    let call = |verb: &str| {
        let mut cni = node.ours("firewall", after(&json!({}), &result(&BOTH)));
        let hidden = "mount -t tmpfs none /usr/sbin && PATH=/nowhere exec \"$@\"";
        let ours = cni.arguments.split_off(1);
        cni.program = "/usr/bin/unshare".into();
        cni.arguments =
            ["--mount", "sh", "-c", hidden, "sh", "/usr/bin/env"].map(str::to_owned).into();
        cni.arguments.extend(ours);
        cni.call(verb, "w1", pod.path())
    };
    for verb in ["ADD", "CHECK"] {
        let (_, message) = call(verb).error();
        assert!(message.contains("iptables-save is not installed"), "{verb}: {message}");
    }
    call("DEL").ok();
}

#[test]
fn a_table_with_rules_of_nft_is_left_alone() {
    let node = Node::new("nft");
    let pod = node.host.add_pod("web").unwrap();
    let call = |verb| node.call(verb, "w1", pod.path(), &json!({}), &result(&BOTH[..1]));
    call("ADD").ok();
    let nft = || {
        let rule = [
            "add", "rule", "ip", "filter", "FORWARD", "meta", "mark", "set", "numgen", "inc",
            "mod", "2",
        ];
        std::process::Command::new("/usr/sbin/nft").args(rule).status().unwrap().success()
    };
    assert!(node.host.netns().run(nft).unwrap());
    for verb in ["ADD", "CHECK"] {
        let (_, message) = call(verb).error();
        assert!(message.contains("incompatible"), "{message}");
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_touched() {
    let node = Node::new("nft");
    let pod = node.host.add_pod("web").unwrap();
    let before = node.saved();
    let result = result(&BOTH);
    let mut without_bridge = result.clone();
    without_bridge["interfaces"] = json!([]);
    let mut injected = result.clone();
    injected["interfaces"][0]["name"] = "br0\nCOMMIT".into();
    let isolated = json!({ "ingressPolicy": "isolated" });
    for (options, result, what) in [
        (json!({ "ingressPolicy": "closed" }), &result, "ingressPolicy"),
        (json!({ "iptablesAdminChainName": "A B" }), &result, "iptablesAdminChainName"),
        (isolated.clone(), &without_bridge, "ingressPolicy"),
        (isolated, &injected, "prevResult"),
    ] {
        let (code, message) = node.call("ADD", "w1", pod.path(), &options, result).error();
        assert!(code == 7 && message.contains(what), "{what}: {code} {message}");
        node.call("DEL", "w1", pod.path(), &options, result).ok();
    }
    let config = |extra: Value| {
        let mut config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "firewall" });
        config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        node.ours("firewall", config)
    };
    for verb in ["ADD", "CHECK"] {
        let (code, message) = config(json!({})).call(verb, "w1", pod.path()).error();
        assert!(code == 7 && message.contains("prevResult"), "{code} {message}");
    }
    assert_eq!(config(json!({ "backend": 1 })).call("ADD", "w1", pod.path()).error().0, 6);
    let own = node.call("ADD", "w1", node.host.netns().path(), &json!({}), &result);
    assert_eq!(own.error().0, 8);
    let nowhere = node.call("ADD", "w1", Path::new("/nowhere"), &json!({}), &result);
    assert_eq!(nowhere.error().0, 8);
    assert_eq!(node.saved(), before);
}
