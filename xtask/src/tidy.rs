//! `cargo xtask tidy`: the rules of the house and of the architecture that a machine can check.
//!
//! Every check is a function from a package to what it breaks, without I/O.

mod layers;
mod manifest;
mod marks;
mod places;
mod rooms;
mod size;

use anyhow::Result;

use crate::public_api;
use crate::violation::{Violation, report};
use crate::workspace::{Package, Workspace};

const CHECKS: &[fn(&Package) -> Vec<Violation>] = &[
    size::check_files,
    size::check_functions,
    rooms::check_front_lines,
    rooms::check_names,
    rooms::check_front_pages,
    layers::check_arrows,
    layers::check_dependencies,
    places::check_places,
    places::check_globals,
    marks::check_code,
    marks::check_comments,
    manifest::check_versions,
    manifest::check_lints,
];

/// Runs every check on every package, prints what is broken.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut violations = check(&workspace.packages);
    violations.extend(public_api::check(workspace));
    report("tidy", &violations)
}

fn check(packages: &[Package]) -> Vec<Violation> {
    packages
        .iter()
        .flat_map(|package| CHECKS.iter().flat_map(move |check| check(package)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::example::package;

    #[test]
    fn all_checks_see_all_packages() {
        let tidy = package("podnet-kubenet", &[("pod.rs", "//! Pods.\nfn f() {}\n")]);
        let untidy = package("podnet-kubenet", &[("pod.rs", "fn f() { todo!() }\n")]);
        assert_eq!(check(&[tidy]), []);
        assert_eq!(check(&[untidy]).len(), 2);
    }
}
