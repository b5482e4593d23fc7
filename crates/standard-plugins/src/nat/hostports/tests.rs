//! Tests of what publishing decides.

use podnet_netutil::Family;
use podnet_netutil::nft::Element;

use super::super::conditions::Conditions;
use super::super::elements::hairpin;
use super::super::layout::masquerades;
use super::super::wanted;
use super::*;
use crate::nat::Protocol;

const LABEL: &str = "podnet:kubenet/a1/eth0";

fn everything() -> Publishing {
    Publishing::default()
}

fn expand(label: &str, ips: &[IpAddr], ports: &[HostPort]) -> Result<Vec<Published>, Error> {
    wanted::expand(label, ips, ports, &Conditions::default())
}

fn port(host_ip: Option<&str>, host_port: u16, container_port: u16) -> HostPort {
    let host_ip = host_ip.map(|ip| ip.parse().unwrap());
    HostPort { protocol: Protocol::Tcp, host_ip, host_port, container_port }
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn present(ports: &[Published], pods: &[(&str, &str)]) -> Present {
    let element = |(ip, label): &(&str, &str)| {
        hairpin(&expand(label, &ips(&[ip]), &[port(None, 80, 80)]).unwrap()[0])
    };
    let mut members =
        member_sets().map(|set| (set, Index::default())).into_iter().collect::<Vec<_>>();
    members[0].1 = pods.iter().map(element).collect();
    let ports = ports.iter().cloned().collect();
    Present { generation: 1, ports, members, ..Present::default() }
}

#[test]
fn a_port_of_any_address_is_one_for_each_family_of_the_pod() {
    let both = expand(LABEL, &ips(&["10.1.0.2", "fd00::2"]), &[port(None, 80, 8080)]).unwrap();
    assert_eq!(
        both.iter().map(|port| port.pod_ip).collect::<Vec<_>>(),
        ips(&["10.1.0.2", "fd00::2"])
    );
    let one = expand(LABEL, &ips(&["10.1.0.2", "fd00::2"]), &[port(Some("::"), 80, 8080)]).unwrap();
    assert_eq!((one.len(), one[0].pod_ip, one[0].host_ip), (1, "fd00::2".parse().unwrap(), None));
}

#[test]
fn an_address_of_a_family_that_the_pod_lacks_is_refused() {
    let refused = expand(LABEL, &ips(&["10.1.0.2"]), &[port(Some("2001:db8::1"), 80, 80)]);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "host port [2001:db8::1]:80/tcp cannot be published: the pod has no IPv6 address"
    );
    assert!(expand(LABEL, &[], &[port(None, 80, 80)]).is_err());
    assert!(expand(LABEL, &ips(&["10.1.0.2"]), &[port(None, 0, 80)]).is_err());
}

#[test]
fn a_port_stands_once_in_a_list() {
    for (one, other, fits) in [
        (port(None, 80, 1), port(None, 80, 2), false),
        (port(None, 80, 1), port(Some("192.0.2.1"), 80, 2), true),
        (port(Some("192.0.2.1"), 80, 1), port(Some("192.0.2.2"), 80, 2), true),
        (port(Some("192.0.2.1"), 80, 1), port(Some("192.0.2.1"), 80, 2), false),
        (port(Some("0.0.0.0"), 80, 1), port(Some("192.0.2.2"), 80, 2), true),
        (port(Some("0.0.0.0"), 80, 1), port(None, 80, 2), false),
        (port(None, 80, 1), port(None, 81, 1), true),
    ] {
        let expanded = expand(LABEL, &ips(&["10.1.0.2"]), &[one, other]);
        assert_eq!(expanded.is_ok(), fits, "{one} {other}");
    }
}

#[test]
fn what_another_pod_has_is_refused_with_its_container() {
    let theirs = expand("podnet:kubenet/b2/eth0", &ips(&["10.1.0.3"]), &[port(None, 80, 80)]);
    let ours = expand(LABEL, &ips(&["10.1.0.2"]), &[port(Some("192.0.2.1"), 80, 80)]).unwrap();
    let refused =
        refuse_conflicts(LABEL, &theirs.unwrap().into_iter().collect(), &ours).unwrap_err();
    assert_eq!(refused.to_string(), "host port 80/tcp is taken by container b2");
    refuse_conflicts(LABEL, &ours.iter().cloned().collect(), &ours).unwrap();
}

#[test]
fn a_repeated_list_changes_nothing() {
    let ports = expand(LABEL, &ips(&["10.1.0.2"]), &[port(None, 80, 80)]).unwrap();
    let present = present(&ports, &[("10.1.0.2", LABEL)]);
    assert!(Change::between(&present, LABEL, &ports, &everything()).transaction().is_empty());
}

#[test]
fn a_changed_list_removes_and_adds_what_differs() {
    let pod = ips(&["10.1.0.2"]);
    let before = expand(LABEL, &pod, &[port(None, 80, 80), port(None, 81, 81)]).unwrap();
    let wanted = expand(LABEL, &pod, &[port(None, 80, 8080), port(None, 81, 81)]).unwrap();
    let change =
        Change::between(&present(&before, &[("10.1.0.2", LABEL)]), LABEL, &wanted, &everything());
    assert_eq!((change.removed, change.added), (vec![before[0].clone()], vec![wanted[0].clone()]));
    assert!(change.members_added.is_empty() && change.members_removed.is_empty());
}

#[test]
fn an_address_left_by_a_pod_before_gets_the_new_pods_name() {
    let wanted = expand(LABEL, &ips(&["10.1.0.2"]), &[port(None, 80, 80)]).unwrap();
    let change =
        Change::between(&present(&[], &[("10.1.0.2", "old")]), LABEL, &wanted, &everything());
    let comments = |elements: &[(&'static str, Element)]| -> Vec<Option<String>> {
        elements.iter().map(|(_, element)| element.comment.clone()).collect()
    };
    assert_eq!(comments(&change.members_removed), [Some("old".to_owned())]);
    assert_eq!(comments(&change.members_added), [Some(LABEL.to_owned())]);
}

#[test]
fn what_would_change_is_said_and_a_pod_need_not_reach_itself() {
    let wanted = expand(LABEL, &ips(&["10.1.0.2"]), &[port(None, 80, 80)]).unwrap();
    let lines = |present: &Present, hairpin: bool| {
        let publishing = Publishing { hairpin, ..everything() };
        Change::between(present, LABEL, &wanted, &publishing).lines()
    };
    let all = present(&wanted, &[("10.1.0.2", LABEL)]);
    assert!(lines(&all, true).is_empty());
    assert!(lines(&present(&wanted, &[]), false).is_empty());
    assert_eq!(lines(&present(&[], &[]), false), ["host port 80/tcp is not published"]);
    assert_eq!(lines(&present(&[], &[]), true).len(), 2);
}

#[test]
fn of_a_port_whose_clients_are_all_masqueraded_there_is_one_element_for_each_port_of_the_pod() {
    let one = |ip| port(Some(ip), 80, 8080);
    let both = [one("192.0.2.1"), one("192.0.2.2")];
    let wanted = expand(LABEL, &ips(&["10.1.0.2"]), &both).unwrap();
    let publishing = Publishing { masquerade_all: true, hairpin: false, ..everything() };
    let change = Change::between(&present(&[], &[]), LABEL, &wanted, &publishing);
    let sets: Vec<&str> = change.members_added.iter().map(|(set, _)| *set).collect();
    assert_eq!(sets, [masquerades(Family::V4)]);
    let mut after = present(&[], &[]);
    after.apply(&change);
    let without = Publishing { masquerade_all: false, ..publishing };
    let change = Change::between(&after, LABEL, &wanted, &without);
    assert_eq!(change.lines().len(), 1, "{:?}", change.lines());
    assert!(!change.members_removed.is_empty() && change.added.is_empty());
}

#[test]
fn a_change_that_was_carried_out_is_not_asked_for_again() {
    let pod = ips(&["10.1.0.2"]);
    let before = expand(LABEL, &pod, &[port(None, 80, 80), port(None, 81, 81)]).unwrap();
    let wanted = expand(LABEL, &pod, &[port(None, 80, 8080)]).unwrap();
    let mut present = present(&before, &[("10.1.0.2", "old")]);
    for wanted in [wanted.as_slice(), &[]] {
        let change = Change::between(&present, LABEL, wanted, &everything());
        present.apply(&change);
        assert!(Change::between(&present, LABEL, wanted, &everything()).transaction().is_empty());
    }
    assert!(present.labels().next().is_none());
}
