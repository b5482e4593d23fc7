//! Tests of the rules that follow from a network.

use super::*;
use crate::nat::layout::chains;

pub(super) fn network() -> NatNetwork {
    NatNetwork {
        name: "kubenet".parse().unwrap(),
        bridge: "cbr0".parse().unwrap(),
        pod_cidrs: vec!["10.9.0.0/24".parse().unwrap(), "fd00:9::/64".parse().unwrap()],
        non_masquerade: vec!["10.0.0.0/8".parse().unwrap()],
        masquerade: true,
        dedup: None,
        reports_to: None,
    }
}

fn comments(network: &NatNetwork, name: &str) -> Vec<String> {
    let found = chains(network).into_iter().find(|chain| chain.name == name);
    found.map_or_else(Vec::new, |chain| chain.comments().into_iter().map(str::to_owned).collect())
}

#[test]
fn every_rule_has_a_comment_that_fits() {
    for chain in chains(&network()) {
        assert_eq!(chain.comments().len(), chain.rules.len(), "{}", chain.name);
        let longest = chain.comments().iter().map(|comment| comment.len()).max();
        assert!(longest.unwrap() < 128, "{}", chain.name);
    }
}

#[test]
fn what_is_left_alone_comes_before_what_is_masqueraded() {
    assert_eq!(
        comments(&network(), "masquerade-kubenet"),
        [
            "to 10.0.0.0/8: keep the source",
            "10.9.0.0/24 to elsewhere than cbr0: masquerade",
            "fd00:9::/64 to elsewhere than cbr0: masquerade",
        ]
    );
}

#[test]
fn a_family_whose_destinations_are_all_left_alone_is_not_masqueraded() {
    let everything = NatNetwork { non_masquerade: vec!["0.0.0.0/0".parse().unwrap()], ..network() };
    assert_eq!(
        comments(&everything, "masquerade-kubenet"),
        ["fd00:9::/64 to elsewhere than cbr0: masquerade"]
    );
}

#[test]
fn who_does_not_masquerade_leaves_the_chain_to_those_who_do() {
    let off = NatNetwork { masquerade: false, ..network() };
    assert!(chains(&off).iter().all(|chain| chain.name != "masquerade-kubenet"));
    assert_eq!(
        comments(&off, "loopback-kubenet"),
        ["127.0.0.0/8 to host ports by cbr0: masquerade"]
    );
}

#[test]
fn only_a_network_with_ipv4_guards_loopback() {
    assert_eq!(comments(&network(), "guard-kubenet"), ["from cbr0 to 127.0.0.0/8: drop"]);
    let six = NatNetwork { pod_cidrs: vec!["fd00:9::/64".parse().unwrap()], ..network() };
    assert!(comments(&six, "guard-kubenet").is_empty());
}

#[test]
fn a_bridge_in_promiscuous_mode_drops_copies() {
    let dedup = Dedup {
        bridge_mac: "0a:58:0a:09:00:01".parse().unwrap(),
        gateways_and_cidrs: vec![("10.9.0.1".parse().unwrap(), "10.9.0.0/24".parse().unwrap())],
    };
    assert_eq!(
        comments(&NatNetwork { dedup: Some(dedup), ..network() }, "output-kubenet"),
        [
            "0a:58:0a:09:00:01 with source 10.9.0.1 to veth*: accept",
            "0a:58:0a:09:00:01 with source 10.9.0.0/24 to veth*: drop",
        ]
    );
}
