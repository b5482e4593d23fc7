//! `docs/conformance.md` stays true: each rule names a test, and each test that is named is there.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests: a panic is how they fail"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The rows of the document's tables: rule and tests, with the number of the section.
fn rows(text: &str) -> Vec<(u8, &str, Vec<&str>)> {
    let mut section = 0;
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## Section ") {
            section = title[..1].parse().unwrap();
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if line.starts_with('|') && !line.starts_with("| ---") && cells[0] != "Rule" {
            let tests = cells[1].split(", ").map(|name| name.trim_matches('`'));
            rows.push((section, cells[0], tests.collect()));
        }
    }
    rows
}

/// Whether a function of this name is marked as a test, in the module that its path says.
fn exists(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split("::").collect();
    let test = parts.pop().unwrap();
    let package = parts.remove(0).trim_start_matches("podnet_").replace('_', "-");
    let folder =
        workspace().join(if package == "tests" { package } else { format!("crates/{package}") });
    ["src", "tests"].iter().any(|kind| is_in(&folder.join(kind), &parts, test))
}

/// The module is a file, or is written inside the file of one above it.
fn is_in(root: &Path, modules: &[&str], test: &str) -> bool {
    (1..=modules.len()).rev().any(|depth| {
        let (above, inside) = modules.split_at(depth);
        let mut file = above.iter().fold(root.to_owned(), |path, module| path.join(module));
        file.set_extension("rs");
        fs::read_to_string(file).is_ok_and(|source| {
            let written = |module: &&str| source.contains(&format!("mod {module} {{"));
            inside.iter().all(written) && has_test(&source, test)
        })
    })
}

fn has_test(source: &str, test: &str) -> bool {
    let head = format!("fn {test}(");
    let mut marked = false;
    for line in source.lines().map(str::trim_start) {
        if line.trim_start_matches("async ").starts_with(&head) {
            return marked;
        }
        marked = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    }
    false
}

#[test]
fn every_rule_names_tests_and_every_test_named_exists() {
    let text = fs::read_to_string(workspace().join("docs/conformance.md")).unwrap();
    let rows = rows(&text);
    for section in 1..=5 {
        assert!(rows.iter().any(|row| row.0 == section), "no rule of section {section}");
    }
    let named = rows.iter().flat_map(|(_, rule, tests)| tests.iter().map(move |test| (rule, test)));
    let missing: Vec<_> = named.filter(|(_, test)| !exists(test)).collect();
    assert!(missing.is_empty(), "no such test: {missing:#?}");
}

#[test]
fn a_test_is_found_only_where_it_is() {
    let cases = [
        ("podnet_cni_spec::name::tests::identifiers_follow_the_specification", true),
        (
            "podnet_cni_invoke::process::deadline::the_deadline_ends_the_plugin_and_its_descendants",
            true,
        ),
        ("podnet_tests::conformance::a_test_is_found_only_where_it_is", true),
        ("podnet_cni_spec::name::identifiers_follow_the_specification", false),
        ("podnet_cni_spec::list::tests::identifiers_follow_the_specification", false),
        ("podnet_cni_spec::name::tests::no_such_test", false),
        ("podnet_tests::conformance::exists", false),
    ];
    for (path, expected) in cases {
        assert_eq!(exists(path), expected, "{path}");
    }
}
