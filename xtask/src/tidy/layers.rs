//! Who may depend on whom, and which crates of others belong to one place.

use std::collections::BTreeSet;

use crate::violation::Violation;
use crate::workspace::{Dependency, Package};

/// The arrows of docs/architecture.md: a crate may depend on what its arrows reach.
const ARROWS: &[(&str, &[&str])] = &[
    ("podnet-cni-spec", &[]),
    ("podnet-plugin-api", &[]),
    ("podnet-netutil", &[]),
    ("podnet-cni-invoke", &["podnet-cni-spec"]),
    ("podnet-cni-skel", &["podnet-cni-spec"]),
    ("podnet-noop-plugin", &["podnet-plugin-api", "podnet-netutil"]),
    ("podnet-exec-plugin", &["podnet-plugin-api"]),
    ("podnet-standard-plugins", &["podnet-cni-invoke", "podnet-netutil"]),
    ("podnet-cni-plugin", &["podnet-plugin-api", "podnet-cni-invoke", "podnet-netutil"]),
    (
        "podnet-kubenet",
        &["podnet-plugin-api", "podnet-cni-plugin", "podnet-standard-plugins", "podnet-netutil"],
    ),
    (
        "podnet",
        &["podnet-noop-plugin", "podnet-exec-plugin", "podnet-cni-plugin", "podnet-kubenet"],
    ),
    ("podnet-cni-programs", &["podnet-kubenet", "podnet-standard-plugins", "podnet-cni-skel"]),
    ("podnet-testkit", &["podnet-netutil", "podnet-plugin-api", "podnet-cni-invoke"]),
    ("podnet-cli", &["podnet", "podnet-testkit"]),
];

/// Crates of others by the first part of their name, and the only package that may use them.
const KEPT: &[(&str, &str)] = &[
    ("rtnetlink", "podnet-netutil"),
    ("netlink-", "podnet-netutil"),
    ("sysctl", "podnet-netutil"),
    ("nix", "podnet-netutil"),
    ("libc", "podnet-netutil"),
];

/// Packages without I/O, and what they must not link; of tokio only `sync`.
const PURE: &[&str] = &["podnet-cni-spec", "podnet-plugin-api"];
const IMPURE: &[&str] = &["rustix", "socket2", "tempfile", "mio", "async-std", "smol"];

/// A member depends only on what its arrows reach; its tests may use the testkit too.
pub(crate) fn check_arrows(package: &Package) -> Vec<Violation> {
    let path = manifest_path(package);
    if package.serves_development() {
        return Vec::new();
    }
    let Some(allowed) = reachable(&package.name) else {
        let message = "the crate has no place in the layers: add its arrows to docs/architecture.md and to tidy";
        return vec![Violation::of(&path, message)];
    };
    let members =
        package.dependencies.iter().filter(|dependency| arrows(&dependency.name).is_some());
    let wrong = members.filter(|dependency| {
        let tests_only = dependency.for_tests && dependency.name == "podnet-testkit";
        !tests_only && !allowed.contains(dependency.name.as_str())
    });
    wrong
        .map(|dependency| {
            let message = format!(
                "{} may not depend on {}: no arrow leads there",
                package.name, dependency.name
            );
            Violation::of(&path, message)
        })
        .collect()
}

/// Netlink and sysctl crates are netutil's; the pure crates link nothing that does I/O.
pub(crate) fn check_dependencies(package: &Package) -> Vec<Violation> {
    let path = manifest_path(package);
    let wrong = package.dependencies.iter().filter_map(|dependency| {
        let reason =
            kept_elsewhere(package, dependency).or_else(|| impure(&package.name, dependency))?;
        Some(Violation::of(&path, reason))
    });
    wrong.collect()
}

fn kept_elsewhere(package: &Package, dependency: &Dependency) -> Option<String> {
    let (_, owner) = KEPT.iter().find(|(prefix, _)| dependency.name.starts_with(prefix))?;
    let elsewhere = package.name != *owner && !package.serves_development();
    elsewhere.then(|| format!("only {owner} may depend on {}", dependency.name))
}

fn impure(package: &str, dependency: &Dependency) -> Option<String> {
    if !PURE.contains(&package) || dependency.for_tests {
        return None;
    }
    let more_than_sync = dependency.features.iter().any(|feature| feature != "sync");
    let refused = match dependency.name.as_str() {
        "tokio" => more_than_sync,
        name => IMPURE.contains(&name),
    };
    refused.then(|| format!("{package} does no I/O and may not depend on {}", dependency.name))
}

fn arrows(name: &str) -> Option<&'static [&'static str]> {
    ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
}

fn reachable(name: &str) -> Option<BTreeSet<&'static str>> {
    let mut reached = BTreeSet::new();
    let mut next = arrows(name)?.to_vec();
    while let Some(crate_name) = next.pop() {
        if reached.insert(crate_name) {
            next.extend(arrows(crate_name).unwrap_or_default());
        }
    }
    Some(reached)
}

fn manifest_path(package: &Package) -> String {
    format!("{}/Cargo.toml", package.folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::example::{dependency, package};

    fn depending(name: &str, on: Dependency) -> Package {
        Package { dependencies: vec![on], ..package(name, &[]) }
    }

    fn for_tests(name: &str) -> Dependency {
        Dependency { for_tests: true, ..dependency(name) }
    }

    #[test]
    fn dependencies_run_along_the_arrows_only() {
        let cases = [
            ("podnet-kubenet", "podnet-cni-spec", true),
            ("podnet-cli", "podnet-testkit", true),
            ("podnet-tests", "podnet-kubenet", true),
            ("podnet-cni-spec", "podnet-netutil", false),
            ("podnet-plugin-api", "podnet-cni-spec", false),
            ("podnet-standard-plugins", "podnet-plugin-api", false),
            ("podnet-kubenet", "podnet", false),
            ("podnet-kubenet", "podnet-testkit", false),
            ("podnet-unheard-of", "podnet-netutil", false),
        ];
        for (from, to, allowed) in cases {
            let found = check_arrows(&depending(from, dependency(to)));
            assert_eq!(found.is_empty(), allowed, "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn tests_may_use_the_testkit_but_no_other_layer() {
        assert_eq!(check_arrows(&depending("podnet-netutil", for_tests("podnet-testkit"))), []);
        assert_eq!(
            check_arrows(&depending("podnet-netutil", for_tests("podnet-kubenet"))).len(),
            1
        );
    }

    #[test]
    fn netlink_crates_are_netutils() {
        for name in ["rtnetlink", "netlink-packet-route", "sysctl"] {
            assert_eq!(check_dependencies(&depending("podnet-netutil", dependency(name))), []);
            assert_eq!(
                check_dependencies(&depending("podnet-kubenet", dependency(name))).len(),
                1,
                "{name}"
            );
        }
    }

    #[test]
    fn pure_crates_link_no_io() {
        let tokio = |feature: &str| Dependency {
            features: vec![feature.to_owned()],
            ..dependency("tokio")
        };
        let cases = [
            (dependency("serde"), true),
            (for_tests("tempfile"), true),
            (tokio("sync"), true),
            (tokio("rt"), false),
            (dependency("rustix"), false),
        ];
        for (on, allowed) in cases {
            let found = check_dependencies(&depending("podnet-plugin-api", on.clone()));
            assert_eq!(found.is_empty(), allowed, "{on:?}");
        }
    }

    #[test]
    fn the_arrows_have_no_circle() {
        for (name, _) in ARROWS {
            assert!(!reachable(name).unwrap().contains(name), "{name}");
        }
    }
}
