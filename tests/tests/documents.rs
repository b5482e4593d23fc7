//! Documents that name tests stay true: every statement has one, and each test that is named is there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests: a panic is how they fail")]

use std::fs;

use podnet_tests::named::{exists, named_in, workspace};

/// What names tests.
const DOCUMENTS: [&str; 3] =
    ["docs/kubelet-flags.md", "docs/conformance.md", "docs/kubenet-conformance.md"];

#[test]
fn every_test_that_a_document_names_exists() {
    let texts = DOCUMENTS.map(|name| fs::read_to_string(workspace().join(name)).unwrap());
    let named: Vec<&str> = texts.iter().flat_map(|text| named_in(text)).collect();
    assert!(named.len() >= 100, "{named:?}");
    let missing: Vec<_> = named.into_iter().filter(|test| !exists(test)).collect();
    assert!(missing.is_empty(), "no such test: {missing:#?}");
}

#[test]
fn every_statement_has_a_command_and_a_test() {
    let text = fs::read_to_string(workspace().join("docs/kubelet-flags.md")).unwrap();
    for number in 1..=34 {
        let start = format!("| S{number} | ");
        let row = text.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("there is no row S{number}"));
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(
            matches!(cells.as_slice(), [_, _, command, tests] if command.starts_with("`podnet ") && tests.starts_with("`podnet") && tests.contains("::")),
            "{row}"
        );
    }
}

#[test]
fn every_rule_of_the_specification_has_a_test() {
    let text = fs::read_to_string(workspace().join("docs/conformance.md")).unwrap();
    for section in 1..=5 {
        assert!(text.contains(&format!("## Section {section}")), "no rule of section {section}");
    }
    every_row_has_a_test(&text, "| Rule");
}

#[test]
fn every_statement_of_kubenet_has_a_test() {
    let text = fs::read_to_string(workspace().join("docs/kubenet-conformance.md")).unwrap();
    for section in [
        "Masquerade",
        "Host ports",
        "Shaping",
        "Hairpin",
        "Two families",
        "cbr0",
        "Installed plugins",
        "Clean-up",
    ] {
        assert!(text.contains(&format!("\n## {section}\n")), "no statement of {section}");
    }
    every_row_has_a_test(&text, "| Statement");
}

fn every_row_has_a_test(text: &str, head: &str) {
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    for row in rows.filter(|row| !row.starts_with(head)) {
        assert!(!named_in(row).is_empty(), "no test: {row}");
    }
}

#[test]
fn a_test_is_found_only_where_it_is() {
    let cases = [
        ("podnet_cni_spec::name::tests::identifiers_follow_the_specification", true),
        ("podnet_exec_plugin::exec::calls::each_operation_is_a_call_with_the_pod", true),
        ("podnet_tests::documents::a_test_is_found_only_where_it_is", true),
        ("podnet_cni_spec::name::identifiers_follow_the_specification", false),
        ("podnet_cni_spec::list::tests::identifiers_follow_the_specification", false),
        ("podnet_cni_spec::name::tests::no_such_test", false),
        ("podnet_tests::named::exists", false),
    ];
    for (path, expected) in cases {
        assert_eq!(exists(path), expected, "{path}");
    }
}
