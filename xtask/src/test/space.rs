//! Where the tests run: in new network and mount namespaces, for an ordinary user inside a new user namespace.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use super::skips::Skips;
use crate::workspace::Package;

const AS_ROOT: &[&str] = &["--net", "--mount"];
const AS_USER: &[&str] = &["--user", "--map-root-user", "--net", "--mount"];

/// Programs keep their locks in `/run`: the tests' own must not meet the machine's, nor need the right to write there.
const WITH_EMPTY_RUN: &str = r#"mount -t tmpfs tmpfs /run && exec "$0" "$@""#;

/// What every package that touches the network links.
const NETWORK: &str = "podnet-netutil";

/// The namespaces that this machine lets us have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// New namespaces, made by `unshare` with these options.
    New(&'static [&'static str]),
    /// None, in the words of `unshare`.
    Refused(String),
}

impl Space {
    /// Tries as root first, then as an ordinary user.
    pub(crate) fn probe() -> Self {
        let attempt = |options| try_unshare("unshare", options).map(|()| Self::New(options));
        attempt(AS_ROOT).or_else(|_| attempt(AS_USER)).unwrap_or_else(Self::Refused)
    }

    /// For the user: where the tests run.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::New(options) if options.contains(&"--user") => {
                "in new user, network and mount namespaces".to_owned()
            }
            Self::New(_) => "in new network and mount namespaces".to_owned(),
            Self::Refused(reason) => format!("that need no network namespace; {reason}"),
        }
    }

    /// The program, to be run in these namespaces.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Refused(_) => Command::new(program),
            Self::New(options) => {
                let mut command = Command::new("unshare");
                command.args(*options).args(["--", "sh", "-c", WITH_EMPTY_RUN]).arg(program);
                command
            }
        }
    }

    /// The packages whose tests can run here, out of those wanted; an empty list means all. Notes the
    /// others; that none is left is an error.
    pub(crate) fn choose(
        &self,
        packages: &[Package],
        wanted: Vec<String>,
        skips: &mut Skips,
    ) -> Result<Vec<String>> {
        let Self::Refused(reason) = self else {
            return Ok(wanted);
        };
        let networked = networked(packages);
        let names = packages.iter().map(|package| package.name.clone());
        let wanted = if wanted.is_empty() { names.collect() } else { wanted };
        let (skipped, chosen): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|name| networked.contains(name.as_str()));
        ensure!(!chosen.is_empty(), "cannot test {}: {reason}", skipped.join(", "));
        for name in skipped {
            skips.note(format!("all tests of {name}: {reason}"));
        }
        Ok(chosen)
    }
}

/// Whether `unshare` gets the namespaces; if not, what it says.
fn try_unshare(program: &str, options: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    let output = command
        .args(options)
        .args(["--", "sh", "-c", WITH_EMPTY_RUN, "true"])
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "no network namespace to be had: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("cannot start {program}, part of util-linux: {error}")),
    }
}

/// The packages that link netutil, directly or not, be it for their tests.
fn networked(packages: &[Package]) -> BTreeSet<&str> {
    let mut found = BTreeSet::from([NETWORK]);
    loop {
        let links = |package: &&Package| {
            package.dependencies.iter().any(|dependency| found.contains(dependency.name.as_str()))
        };
        let more: Vec<&str> =
            packages.iter().filter(links).map(|package| package.name.as_str()).collect();
        let before = found.len();
        found.extend(more);
        if found.len() == before {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::tally::Tally;
    use crate::workspace::example::{dependency, package};

    fn packages() -> Vec<Package> {
        let depending =
            |name, on| Package { dependencies: vec![dependency(on)], ..package(name, &[]) };
        vec![
            package("podnet-cni-spec", &[]),
            depending("podnet-cli", "podnet-testkit"),
            package("podnet-netutil", &[]),
            depending("podnet-testkit", "podnet-netutil"),
        ]
    }

    fn choose(space: &Space, wanted: &[&str]) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let mut skips = Skips::new(folder.path()).unwrap();
        let wanted = wanted.iter().map(|name| (*name).to_owned()).collect();
        let chosen = space.choose(&packages(), wanted, &mut skips).unwrap();
        (chosen, skips.collect(&Tally::default()).unwrap())
    }

    #[test]
    fn without_namespaces_only_packages_without_network_are_tested() {
        let (chosen, skips) = choose(&Space::Refused("no".into()), &[]);
        assert_eq!(chosen, ["podnet-cni-spec"]);
        let expected = ["podnet-cli", "podnet-netutil", "podnet-testkit"];
        assert_eq!(skips, expected.map(|name| format!("all tests of {name}: no")));
    }

    #[test]
    fn nothing_left_to_test_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut skips = Skips::new(folder.path()).unwrap();
        let chosen =
            Space::Refused("no".into()).choose(&packages(), vec!["podnet-cli".into()], &mut skips);
        assert_eq!(chosen.unwrap_err().to_string(), "cannot test podnet-cli: no");
    }

    #[test]
    fn with_namespaces_all_that_is_wanted_is_tested() {
        assert_eq!(
            choose(&Space::New(AS_ROOT), &["podnet-cli"]),
            (vec!["podnet-cli".to_owned()], vec![])
        );
        assert_eq!(choose(&Space::New(AS_USER), &[]), (vec![], vec![]));
    }

    #[test]
    fn a_refusal_says_what_is_missing() {
        let missing = try_unshare("/nowhere/unshare", AS_ROOT).unwrap_err();
        assert!(
            missing.starts_with("cannot start /nowhere/unshare, part of util-linux: "),
            "{missing}"
        );
        let refused = try_unshare("unshare", &["--no-such-option"]).unwrap_err();
        assert!(refused.starts_with("no network namespace to be had: unshare: "), "{refused}");
    }

    #[test]
    fn the_program_runs_with_its_arguments_and_an_empty_run_folder() {
        let listed = Space::probe().command("ls").arg("/run").output().unwrap();
        assert!(listed.status.success());
        assert_eq!(String::from_utf8_lossy(&listed.stdout), "");
        assert_eq!(crate::cargo::quoted(&Space::Refused(String::new()).command("cargo")), "cargo");
    }
}
