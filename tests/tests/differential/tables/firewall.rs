//! firewall: who may be forwarded to, by what `iptables-save` prints, behind pods that are attached already.

use serde_json::{Value, json};

use super::chained::{self, attached, behind};
use crate::base;
use crate::case::{Call, Case, Previous, Step, Table, calls, with};

const PLUGIN: &str = "firewall";

pub(crate) fn table() -> Table {
    let mut cases = chained::versions(PLUGIN, &plain());
    cases.extend(chained::variables(PLUGIN, &plain()));
    cases.extend(chained::input(PLUGIN, &plain()));
    cases.extend(chained::lives(PLUGIN, &plain(), options()));
    cases.extend(chained::refused(PLUGIN, &plain(), refused()));
    cases.extend(chained::order(PLUGIN, &plain()));
    cases.extend(chained::changed(PLUGIN, &plain(), changes()));
    let isolated = with(&plain(), json!({ "ingressPolicy": "same-bridge" }));
    let isolated = chained::changed(PLUGIN, &isolated, changes());
    cases.extend(
        isolated
            .into_iter()
            .map(|case| Case { name: format!("{}, same-bridge", case.name), ..case }),
    );
    let mut cases = behind(cases);
    cases.extend(two_pods());
    Table { everywhere: &["D-01", "D-02", "D-146"], cases: super::expect(cases, EXPECTED) }
}

/// Rows of docs/differences.md and the cases that show them.
const EXPECTED: super::Expected = &[
    (
        "D-03",
        &[
            "*text as dns",
            "*list as runtimeConfig",
            "firewall refuses firewalld*",
            "firewall refuses an unknown*",
            "firewall refuses a number*",
            "firewall refuses a list*",
            "*a result that is text",
        ],
    ),
    ("D-04", &["*no-equals-sign"]),
    ("D-07", &["*a result of another version", "*with no version"]),
    ("D-21", &["*with text as dns"]),
    ("D-78", &["*without a list"]),
    ("D-140", &["firewall 0.1.0*", "firewall 0.2.0*", "firewall 0.3.*", "firewall * node"]),
    ("D-143", &["*an unknown policy", "*text that is no chain", "*a long chain"]),
    ("D-146", &["firewall 1.0.0 life"]),
];

fn plain() -> Value {
    json!({ "cniVersion": "1.0.0", "name": "net", "type": PLUGIN, "backend": "iptables" })
}

fn options() -> Vec<(&'static str, Value)> {
    vec![
        ("iptables", json!({})),
        ("no backend", json!({ "backend": null })),
        ("an empty backend", json!({ "backend": "" })),
        ("an admin chain", json!({ "iptablesAdminChainName": "MY-ADMIN" })),
        ("an empty admin chain", json!({ "iptablesAdminChainName": "" })),
        ("policy open", json!({ "ingressPolicy": "open" })),
        ("policy same-bridge", json!({ "ingressPolicy": "same-bridge" })),
        ("policy isolated", json!({ "ingressPolicy": "isolated" })),
        ("an empty policy", json!({ "ingressPolicy": "" })),
        ("a zone", json!({ "firewalldZone": "trusted" })),
        (
            "keys in capitals",
            json!({ "IngressPolicy": "same-bridge", "IPTABLESADMINCHAINNAME": "X" }),
        ),
        ("nulls", json!({ "ingressPolicy": null, "iptablesAdminChainName": null })),
    ]
}

fn refused() -> Vec<(&'static str, Value)> {
    vec![
        ("an unknown backend", json!({ "backend": "ebpf" })),
        ("firewalld where there is none", json!({ "backend": "firewalld" })),
        ("an unknown policy", json!({ "ingressPolicy": "closed" })),
        ("a number as policy", json!({ "ingressPolicy": 7 })),
        ("text that is no chain", json!({ "iptablesAdminChainName": "-X" })),
        ("a long chain", json!({ "iptablesAdminChainName": "a-name-of-more-than-28-letters-" })),
        ("a list as backend", json!({ "backend": [] })),
    ]
}

fn changes() -> Vec<(&'static str, Step)> {
    vec![
        ("all rules are gone", Step::Tool { program: "nft", arguments: "flush ruleset" }),
        ("its chain is empty", Step::Tool { program: "iptables", arguments: "-F CNI-FORWARD" }),
        ("the jump is gone", Step::Tool { program: "iptables", arguments: "-F FORWARD" }),
        ("nothing has changed", Step::Tool { program: "true", arguments: "" }),
    ]
}

fn two_pods() -> Vec<Case> {
    let cases = ["open", "same-bridge", "isolated"].map(|policy| {
        let config = with(&plain(), json!({ "ingressPolicy": policy }));
        let second = |verb| {
            let given = Previous::Given(base::result("1.0.0", 1));
            Call::new(verb, PLUGIN, &config).of_pod(1).previous(given).step()
        };
        let mut steps = attached(calls(&["ADD"], PLUGIN, &config));
        steps.extend([second("ADD"), second("CHECK")]);
        steps.push(Call::new("DEL", PLUGIN, &config).previous(Previous::Last).step());
        steps.push(second("DEL"));
        Case::new(format!("firewall, two pods, {policy}"), steps)
    });
    cases.into()
}
