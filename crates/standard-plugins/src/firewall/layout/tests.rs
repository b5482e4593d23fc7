//! Plans on tables in memory; real ones are in the tests with network namespaces.

use super::*;

const POD: &str = "10.1.0.2";
const POD_RULES: [&str; 2] = [
    "-d 10.1.0.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-s 10.1.0.2/32 -j ACCEPT",
];

fn layout(isolation: Option<bool>) -> Layout {
    let isolation = isolation.map(|full| Isolation { bridge: "br0".to_owned(), full });
    Layout { admin_chain: Some("CNI-ADMIN".to_owned()), isolation }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn ensured(layout: &Layout, table: FilterTable) -> FilterEdit {
    let mut edit = FilterEdit::new(table);
    layout.ensure(&mut edit, &addresses(&[POD]));
    edit
}

fn listed(table: &FilterTable, chain: &str) -> Vec<String> {
    table.rules(chain).iter().map(ToString::to_string).collect()
}

fn jumps(table: &FilterTable) -> Vec<String> {
    let target = |rule: String| rule.rsplit(' ').next().unwrap_or_default().to_owned();
    listed(table, FORWARD).into_iter().map(target).collect()
}

#[test]
fn chains_and_rules_are_made_in_the_references_order() {
    let table = ensured(&layout(Some(true)), FilterTable::default()).table().clone();
    let admin = r#"-m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN"#;
    assert_eq!(listed(&table, PODS), [admin, POD_RULES[0], POD_RULES[1]]);
    assert!(table.has_chain("CNI-ADMIN"));
    assert_eq!(jumps(&table), [STAGE_1, PODS]);
    let (isolated, any) = ("(ingressPolicy: isolated)", "(ingressPolicy: same-bridge|isolated)");
    let comment = |policy| format!("-m comment --comment \"CNI firewall plugin rules {policy}\"");
    let stage_1 = [
        format!("-i br0 -o br0 {} -j DROP", comment(isolated)),
        format!("-i br0 ! -o br0 {} -j {STAGE_2}", comment(isolated)),
        format!("{} -j RETURN", comment(any)),
    ];
    assert_eq!(listed(&table, STAGE_1), stage_1);
    let stage_2 =
        [format!("-o br0 {} -j DROP", comment(any)), format!("{} -j RETURN", comment(any))];
    assert_eq!(listed(&table, STAGE_2), stage_2);
}

#[test]
fn what_is_there_is_left_alone() {
    for isolation in [None, Some(false), Some(true)] {
        let layout = layout(isolation);
        let table = ensured(&layout, FilterTable::default()).table().clone();
        assert_eq!(ensured(&layout, table.clone()).commands(), [""; 0]);
        assert_eq!(layout.missing(&table, &addresses(&[POD])), [""; 0]);
    }
}

#[test]
fn only_the_rules_of_its_addresses_are_told_as_added_and_withdrawn() {
    let mut edit = ensured(&layout(None), FilterTable::default());
    let added = layout(None).ensure(&mut edit, &addresses(&[POD, "10.1.0.3"]));
    assert_eq!(added, pod_rules("10.1.0.3".parse().unwrap()));
    withdraw(&mut edit, &addresses(&["10.1.0.3", "10.1.0.4"]));
    assert_eq!(listed(edit.table(), PODS)[1..], POD_RULES);
    withdraw(&mut edit, &addresses(&[POD]));
    assert_eq!(edit.table().rules(PODS).len(), 1);
    assert_eq!(jumps(edit.table()), [PODS]);
}

#[test]
fn without_the_rules_for_pods_only_the_isolation_is_made() {
    let only = Layout { admin_chain: None, ..layout(Some(false)) };
    let edit = ensured(&only, FilterTable::default());
    assert!(!edit.table().has_chain(PODS));
    assert_eq!(jumps(edit.table()), [STAGE_1]);
    assert_eq!(only.missing(edit.table(), &addresses(&[POD])), [""; 0]);
    assert_eq!(only.missing(&FilterTable::default(), &[]).len(), 3);
}

#[test]
fn the_isolation_is_never_behind_the_rules_for_pods() {
    let mut edit = ensured(&layout(Some(false)), FilterTable::default());
    // Somebody flushed the chain, and a network without a policy came first.
    edit.delete(FORWARD, &isolation_jump());
    edit.delete(FORWARD, &pods_jump());
    layout(None).ensure(&mut edit, &addresses(&[POD]));
    edit.append(FORWARD, isolation_jump());
    assert_eq!(jumps(edit.table()), [PODS, STAGE_1]);
    let missing = layout(Some(false)).missing(edit.table(), &addresses(&[POD]));
    assert!(missing[0].contains("before"), "{missing:?}");
    layout(Some(false)).ensure(&mut edit, &addresses(&[POD]));
    assert_eq!(jumps(edit.table()), [STAGE_1, PODS]);

    edit.delete(FORWARD, &pods_jump());
    layout(None).ensure(&mut edit, &addresses(&[POD]));
    assert_eq!(jumps(edit.table()), [STAGE_1, PODS]);

    // What portmap puts there for another bridge, and for this one.
    edit.insert(FORWARD, 0, commented(&["-i", "br1"], "podnet: net from br1", "ACCEPT"));
    assert_eq!(layout(Some(false)).missing(edit.table(), &addresses(&[POD])), [""; 0]);
    edit.insert(FORWARD, 0, commented(&["-i", "br0"], "podnet: net from br0", "ACCEPT"));
    assert_eq!(layout(Some(false)).missing(edit.table(), &addresses(&[POD])).len(), 1);
    layout(Some(false)).ensure(&mut edit, &addresses(&[POD]));
    assert_eq!(jumps(edit.table()), [STAGE_1, "ACCEPT", "ACCEPT", PODS]);
}

#[test]
fn each_missing_rule_is_named() {
    let layout = layout(Some(true));
    let whole = ensured(&layout, FilterTable::default());
    for (chain, rule) in [(FORWARD, pods_jump()), (PODS, admin_jump("CNI-ADMIN"))]
        .into_iter()
        .chain(layout.isolation.as_ref().unwrap().rules())
        .chain(pod_rules(POD.parse().unwrap()).map(|rule| (PODS, rule)))
    {
        let mut edit = whole.clone();
        edit.delete(chain, &rule);
        let missing = layout.missing(edit.table(), &addresses(&[POD]));
        assert_eq!(missing, [format!("chain {chain} has no rule {rule}")]);
    }
}

#[test]
fn addresses_are_told_apart_by_their_family() {
    let all = addresses(&["fd00::2", POD, "fd00::2", "10.1.0.3"]);
    assert_eq!(of_family(&all, Family::V4), addresses(&[POD, "10.1.0.3"]));
    assert_eq!(of_family(&all, Family::V6), addresses(&["fd00::2"]));
    assert_eq!(network_of("fd00::2".parse().unwrap()), "fd00::2/128");
}
