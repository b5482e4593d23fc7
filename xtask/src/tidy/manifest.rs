//! Versions and lints stand once, in the workspace's `Cargo.toml`.

use crate::violation::Violation;
use crate::workspace::Package;

/// Every dependency takes its version from the workspace.
pub(crate) fn check_versions(package: &Package) -> Vec<Violation> {
    let path = format!("{}/Cargo.toml", package.folder);
    let mut in_dependencies = false;
    let mut violations = Vec::new();
    for (number, line) in package.manifest.lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line.trim_end().ends_with("dependencies]");
        } else if in_dependencies && opens_entry(line) && !is_inherited(line) {
            let message =
                "the version stands in the workspace's Cargo.toml: say `workspace = true` here";
            violations.push(Violation::at(&path, number + 1, message));
        }
    }
    violations
}

/// Every package takes the workspace's lints, or has a table of its own that says why not.
pub(crate) fn check_lints(package: &Package) -> Vec<Violation> {
    let has_lints = package.manifest.lines().any(|line| line.starts_with("[lints"));
    let path = format!("{}/Cargo.toml", package.folder);
    let message = "the workspace's lints do not apply: add `[lints]` with `workspace = true`";
    if has_lints { Vec::new() } else { vec![Violation::of(&path, message)] }
}

fn opens_entry(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_alphanumeric()) && line.contains('=')
}

fn is_inherited(line: &str) -> bool {
    let dense: String = line.chars().filter(|character| !character.is_whitespace()).collect();
    dense.contains("workspace=true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(manifest: &str) -> Package {
        Package { manifest: manifest.to_owned(), ..Package::default() }
    }

    #[test]
    fn a_version_of_its_own_is_refused() {
        let manifest = "[package]\nversion = \"1\"\n[dependencies]\na.workspace = true\n\
                        b = { workspace = true, features = [\n  \"x\",\n] }\nc = \"1\"\n\
                        [target.'cfg(unix)'.dev-dependencies]\nd = { version = \"1\" }\n[lints]\nworkspace = true\n";
        let lines: Vec<usize> =
            check_versions(&package(manifest)).iter().map(|found| found.line).collect();
        assert_eq!(lines, [8, 10]);
    }

    #[test]
    fn a_package_without_lints_is_refused() {
        assert_eq!(check_lints(&package("[lints]\nworkspace = true\n")), []);
        assert_eq!(check_lints(&package("[package]\n")).len(), 1);
    }
}
